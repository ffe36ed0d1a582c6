"""LimaRec: the recurrence against its definition, streams against batches, training in stretches, the choice of an
interest, and the verbs of the room. All sizes differ."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from tenfold import LimaRec
from tenfold.data.events import Events
from tenfold.errors import OptionError
from tenfold.nn.attention import FEATURE_MAPS
from tenfold.options import parse
from tenfold.streaming import key_of, unpack_many
from tenfold.systems.limarec.model import Interests, LimaRecNetwork, State
from tenfold.systems.limarec.options import Options
from tenfold.systems.limarec.system import StretchSamples
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.training import Draw

ITEMS, DIM, HEADS, K = 13, 12, 3, 5
KINDS = {
    "faithful": {"preset": "faithful"},
    "default": {},
    "slot": {"interest.short_term": "slot", "memory.feature_map": "exp", "interest.weights": "product"},
    "two layers by time": {"layers": 2, "memory.decay": "time", "memory.time_unit": 50.0, "memory.gap_codes": True},
    "counted": {"interests": 1, "counts.of": "items", "counts.width": 11, "counts.decay": 0.01},
}


def options(**more):
    small = {"dim": DIM, "heads": HEADS, "interests": K, "dropout": 0.0, "training.length": 6, "training.batch_size": 8}
    return parse(Options, small | more)


@pytest.fixture(params=KINDS)
def network(request):
    torch.manual_seed(3)
    return LimaRecNetwork(ITEMS, options(**KINDS[request.param])).double().eval()


def histories(batch, length, seed=0):
    """Events without padding, and times that grow."""
    rng = np.random.default_rng(seed)
    events = torch.from_numpy(rng.integers(1, ITEMS + 1, (batch, length)))
    return events, torch.from_numpy(np.cumsum(rng.integers(0, 90, (batch, length)), axis=1).astype(float))


def flat(state: State):
    return torch.cat([x.flatten(1) for x in (*state.sums, state.interests, state.last, state.counters)], 1)


# The network.


def test_an_interest_is_the_papers_weighted_mean():
    torch.manual_seed(1)
    layer = Interests(DIM, K, feature_map="elu", weights="product", decay=False).double()
    h = torch.randn(2, 7, DIM, dtype=torch.double)
    f, sums, _ = layer(h, None, None, None)
    phi, k, v = FEATURE_MAPS["elu"], layer.key(h), layer.value(h)
    for user in range(2):
        for place in range(7):
            for number in range(K):
                a = phi(k[user, : place + 1]) @ phi(layer.mu[number])
                expected = (a[:, None] * v[user, : place + 1]).sum(0) / a.sum()
                assert_close(f[user, place, number], expected, rtol=1e-5, atol=1e-6)
    assert sums.shape == (2, K, 1, DIM + 1)  # K (d + 1) numbers, as the formula says


@pytest.mark.parametrize("weights", ["product", "exp"])
def test_interests_fade_at_the_pace_of_each(weights):
    torch.manual_seed(2)
    layer = Interests(DIM, K, feature_map="elu", weights=weights, decay=True).double()
    h, steps = torch.randn(1, 90, DIM, dtype=torch.double), torch.rand(1, 90, dtype=torch.double)
    f, _, found = layer(h, None, None, steps)
    a, v, left = layer.weigh(h)[0], layer.value(h)[0], layer.left.sigmoid()
    for place in (0, 63, 64, 89):
        age = steps[0, : place + 1].flip(0).cumsum(0).roll(1).flip(0)
        age[-1] = 0.0
        w = a[:, : place + 1] * left[:, None] ** age
        assert_close(f[0, place], w @ v[: place + 1] / w.sum(1, keepdim=True), rtol=1e-5, atol=1e-6)
    assert_close(found.at_the_end()[0], w / w.sum(1, keepdim=True))
    assert (a > 0).all()


@pytest.mark.parametrize("cuts", [[1], [64], [63, 64, 65], list(range(1, 70))])
def test_recurrent_equals_chunked(network, cuts):
    """To 1e-10 in double precision: one event at a time, several on a state that is not empty, across chunk borders."""
    events, times = histories(3, 70)
    whole, state_of_whole, _ = network(events, None, times)
    parts, state = [], None
    for some, clock in zip(events.tensor_split(cuts, 1), times.tensor_split(cuts, 1), strict=True):
        f, state, _ = network(some, state, clock)
        parts.append(f)
    assert_close(torch.cat(parts, 1), whole, rtol=1e-10, atol=1e-10)
    assert_close(flat(state), flat(state_of_whole), rtol=1e-10, atol=1e-10)
    assert_close(network.after(state), whole[:, -1], rtol=1e-10, atol=1e-10)
    assert torch.equal(state.time, times[:, -1])


@pytest.mark.parametrize("begin", [0, 66])
def test_the_state_alone_is_the_same(network, begin):
    """Without the vectors after each event, which a replay does not ask for; rows end at different places."""
    events, times = histories(3, 70)
    events[1, 69:], events[2, begin:] = 0, 0
    before = network(events[:, :begin], None, times[:, :begin])[1] if begin else None
    _, expected, _ = network(events[:, begin:], before, times[:, begin:])
    found = network.carried(events[:, begin:], before, times[:, begin:])
    assert_close(flat(found), flat(expected), rtol=1e-10, atol=1e-10)
    assert torch.equal(found.time.nan_to_num(nan=-1), expected.time.nan_to_num(nan=-1))


@pytest.mark.parametrize("left", [0, 4])
def test_padding_on_either_side_changes_nothing(network, left):
    events, times = histories(2, 9)
    expected, state, _ = network(events, None, times)
    rows, clock = F.pad(events, (left, 7 - left)), F.pad(times, (left, 7 - left))
    found, after, weights = network(rows, None, clock)
    assert_close(found[:, left : left + 9], expected)
    assert_close(flat(after), flat(state))
    assert torch.equal(after.time, state.time)
    assert (weights.a[:, :, :left] == 0).all() and (weights.a[:, :, left + 9 :] == 0).all()
    nothing, unchanged, _ = network(torch.zeros(2, 3, dtype=torch.long), state, torch.zeros(2, 3, dtype=torch.double))
    assert_close(flat(unchanged), flat(state))
    assert nothing.isfinite().all() and torch.equal(unchanged.time, state.time)


def test_no_event_sees_a_later_one(network):
    events, times = histories(2, 70)
    other = events.clone()
    other[:, 50:] = other[:, 50:] % ITEMS + 1
    assert torch.equal(network(events, None, times)[0][:, :50], network(other, None, times)[0][:, :50])


def test_only_the_gap_to_the_event_before_counts():
    """A late event fades nothing, and times are seen only where they are asked for."""
    torch.manual_seed(0)
    events, times = histories(1, 9)
    timed = LimaRecNetwork(ITEMS, options(**KINDS["two layers by time"])).double().eval()
    base = timed(events, None, times)[0]
    assert_close(timed(events, None, times + 1e6)[0], base)
    assert not torch.allclose(timed(events, None, times * 3)[0], base)
    late = times.clone()
    late[0, -1] = times[0, 2]
    same = times.clone()
    same[0, -1] = times[0, -2]
    assert_close(timed(events, None, late)[0], timed(events, None, same)[0])
    untimed = LimaRecNetwork(ITEMS, options()).double().eval()
    assert torch.equal(untimed(events, None, times)[0], untimed(events)[0])


@pytest.mark.parametrize("feature_map", FEATURE_MAPS)
def test_feature_maps_are_positive_where_everything_is_negative(feature_map):
    found = FEATURE_MAPS[feature_map](torch.full((2, 5), -30.0))
    assert (found > 0).all() and found.isfinite().all()


# What is learned.


@pytest.fixture(scope="module")
def fitted(events):
    return LimaRec(LimaRec.tiny).fit(events, max_epochs=4, progress="none", accelerator="cpu")


def unfitted(events, **more):
    system = LimaRec(options(**more))
    system.vocabularies, system.sizes = {"items": events.catalogue}, {"items": len(events.catalogue)}
    torch.manual_seed(0)
    system._network = system.build()
    return system


def stretches(system, events, size=9, epoch=0):
    from tenfold.data.splits import split

    samples = StretchSamples(split(events, "loo"), system.options, system.vectors, times=False)
    return samples, samples.batch(Draw(5, epoch, np.arange(size)))


@pytest.mark.parametrize("kind", ["faithful", "default"])
def test_a_stretch_is_its_windows_in_order_without_gradients_between(events, kind):
    system = unfitted(events, **KINDS[kind] | {"interest.negatives_by": "chosen"})
    _, batch = stretches(system, events)
    rows = batch.events
    assert rows.events.shape[1] > 2 * 6
    total, weight = system.loss(batch)
    parameters = list(system.network.parameters())
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    state, expected = None, torch.zeros(())
    for start in range(0, rows.events.shape[1], 6):
        f, state, _ = system.network(rows.events[:, start : start + 6], state)
        state, window = state.detached(), type(rows)(*(x[:, start : start + 6] for x in rows[:3]))
        user = system.chosen(f, system.network.item(window.next))
        expected = expected + next_item_loss(system.options.loss, user, system.network.item.weight, window)[0]
    assert_close(total, expected)
    assert weight == (rows.next != 0).sum()
    for one, other in zip(found, torch.autograd.grad(expected, parameters, allow_unused=True), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce", "gbce"])
def test_negatives_are_scored_by_the_chosen_or_by_the_best(events, loss):
    """The best interest scores a negative no lower than the chosen one does; with one interest they are the same."""
    for k in (1, K):
        lost = {}
        for by in ("chosen", "max"):
            system = unfitted(
                events,
                **{"loss.name": loss, "interest.negatives_by": by, "interests": k, "interest.short_term": "none"},
            )
            _, batch = stretches(system, events)
            lost[by] = system.loss(batch)[0].item()
        assert (lost["max"] == pytest.approx(lost["chosen"], rel=1e-4)) == (k == 1)
        assert k == 1 or lost["max"] > lost["chosen"]


def test_which_interest_answers(events):
    torch.manual_seed(0)
    f, item = torch.randn(2, 3, K, DIM), torch.randn(2, 3, DIM)
    near = torch.einsum("blkd,bld->blk", f, item)
    hard = unfitted(events).chosen(f, item)
    assert_close(
        hard, torch.stack([f[b, at, near[b, at].argmax()] for b in range(2) for at in range(3)]).view(2, 3, DIM)
    )
    soft = unfitted(events, **{"interest.choice": "soft", "interest.power": 2.0}).chosen(f, item)
    assert_close(soft, torch.einsum("blk,blkd->bld", (2 * near).softmax(-1), f))
    noise = torch.zeros(2, 3, K)
    noise[..., 1] = 1e6
    assert_close(unfitted(events).chosen(f, item, noise), f[:, :, 1])


def test_noise_of_the_choice_is_a_function_of_seed_epoch_and_stretch(events):
    system = unfitted(events, **{"interest.choice": "gumbel", "interest.noise": 4.0})
    samples, batch = stretches(system, events, 9)
    some = samples.batch(Draw(5, 0, np.array([7, 2])))
    width = some.noise.shape[1]
    assert_close(some.noise, batch.noise[[7, 2], :width])
    other = samples.batch(Draw(5, 1, np.arange(9))).noise
    assert not torch.allclose(other[:, :3] * 2, batch.noise[:, :3])
    draws = torch.cat([samples.batch(Draw(seed, 0, np.arange(9))).noise.flatten() for seed in range(40)]) / 4
    assert draws.mean().item() == pytest.approx(0.5772, abs=0.03) and draws.var().item() == pytest.approx(
        1.645, abs=0.1
    )
    assert stretches(unfitted(events), events)[1].noise is None


def test_leaning_on_few_events_costs(events):
    plain, pulled = (unfitted(events, **{"interest.apart": apart}) for apart in (0.0, 0.5))
    _, batch = stretches(plain, events)
    assert pulled.loss(batch)[0] > plain.loss(batch)[0] and pulled.loss(batch)[1] == plain.loss(batch)[1]


def test_it_learns_what_can_be_learned(fitted, events):
    assert fitted.evaluate(events)["ndcg@10"] > 0.85


# What is answered.


def test_the_state_has_the_size_of_the_formula():
    network = LimaRecNetwork(9, parse(Options, {"preset": "faithful"}))
    d, heads, k = 64, 4, 4
    formula = 4 * (d * d // heads + d + k * (d + 1))
    assert 4 * sum(int(np.prod(shape)) for shape in network.shapes()) == formula == 5_392


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_gives_what_the_whole_history_gives(kind, events, tmp_path):
    """Event by event, several at once, over a store that was closed, over a system that was saved: to 1e-4."""
    system = unfitted(events, **KINDS[kind])
    system.statistics["item_counts"] = torch.ones(len(events.catalogue) + 1, dtype=torch.long)
    system.network.eval()
    rng = np.random.default_rng(0)
    ids = events.catalogue.ids(np.arange(1, len(events.catalogue) + 1))
    history = [ids[i] for i in rng.integers(len(ids), size=300)]
    times = np.cumsum(rng.integers(0, 100, 300)).astype(float)
    with system.open(tmp_path / "states") as session:
        for item, time in zip(history[:20], times[:20], strict=True):
            session.update("u", item, time)
        for start, stop in ((20, 90), (90, 91), (91, 250)):
            session.update_many(["u"] * (stop - start), history[start:stop], times[start:stop])
    with system.open(tmp_path / "states") as session:
        session.update_many(["u"] * 50, history[250:], times[250:])
        states = unpack_many(
            session.store.get_many([key_of("u")]), fingerprint=system.fingerprint(), size=system.state_size
        )
        answered = session.recommend("u", k=5)
    with torch.no_grad():
        numbers = torch.from_numpy(system.item_numbers(history).astype(np.int64)).unsqueeze(0)
        clock = torch.from_numpy(times).unsqueeze(0) if system.uses_times else None
        whole, _ = system.encode(numbers, None, clock)
    assert_close(system.users_after(states)[0], whole[0, -1], rtol=1e-4, atol=1e-4)
    direct = system.recommend(history, k=5, times=times)
    assert [r.item for r in answered] == [r.item for r in direct]


@pytest.mark.parametrize("feature_map", FEATURE_MAPS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "two layers by time"])
def test_the_short_way_of_one_event_is_the_network_s(kind, feature_map, events):
    """Several users at once, on states that are not empty, two layers as well."""
    for layers in (1, 2):
        system = unfitted(events, **KINDS[kind] | {"memory.feature_map": feature_map, "layers": layers})
        system.network.eval()
        rows = torch.randint(1, 25, (4, 9))
        with torch.no_grad():
            _, state, _ = system.network(rows[:, :-1])
            numbers = system.network.numbers(state).numpy().copy()
            _, expected, _ = system.network(rows[:, -1:], state)
        system._step()(numbers, rows[:, -1].numpy())
        assert_close(torch.from_numpy(numbers), system.network.numbers(expected), rtol=1e-4, atol=1e-5)


def test_the_short_way_follows_the_weights(events):
    system = unfitted(events)
    assert system._step() is None  # in training
    system.network.eval()
    first = system._step()
    assert system._step() is first
    with torch.no_grad():
        system.network.item.weight.mul_(2.0)
    assert system._step() is not first


def test_the_best_by_all_interests_is_the_best(fitted, events):
    vectors = torch.from_numpy(fitted.interests(["r0i1", "r1i2", "r2i0"]))
    table = fitted.network.item.weight.detach()
    by_hand = max(range(1, len(table)), key=lambda item: max(float(v @ table[item]) for v in vectors))
    assert fitted.recommend(["r0i1", "r1i2", "r2i0"], k=1)[0].item == events.catalogue.ids([by_hand])[0]
    soft = LimaRec(fitted.options).set_params(**{"interest.read": "logsumexp"})
    soft._network = fitted.network
    assert_close(soft.scores(vectors[None])[0], (vectors @ table.T).logsumexp(0))


def test_what_each_event_weighs_sums_to_one(fitted):
    share = fitted.weights(["r0i1", "nobody's", "r0i2", "r0i3"])
    assert share.shape == (3, 4) and np.allclose(share.sum(1), 1) and (share[:, 1] == 0).all()
    with pytest.raises(OptionError, match="no event of this history is known"):
        fitted.interests(["nobody's"])


def test_what_cannot_be_built_is_said(events):
    with pytest.raises(OptionError, match="dim must be a multiple of heads; found dim 10 and 4 heads"):
        LimaRec(dim=10).fit(events, max_epochs=1)
    with pytest.raises(OptionError, match="found 99 interests and 24 items"):
        LimaRec(dim=8, interests=99).fit(events, max_epochs=1)
    with pytest.raises(OptionError, match=r"counts\.of=items goes with one vector of a user; found interests=2"):
        LimaRec(**{"dim": 8, "interests": 2, "counts.of": "items"}).fit(events, max_epochs=1)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce"])
def test_who_counts_knows_what_comes_again(loss):
    """Each user has three items of their own, which come again; nothing else can be told."""
    rng = np.random.default_rng(0)
    log = Events.from_histories([rng.choice(rng.integers(1, 90, 3), 30).tolist() for _ in range(80)])
    small = {"dim": 8, "heads": 2, "training.lr": 0.01, "loss.name": loss, "loss.negatives": 20}
    counting = LimaRec(**small | {"counts.decay": 0.0}).fit(log, max_epochs=6, progress="none")  # as it comes
    assert counting.evaluate(log)["hr@10"] > 0.9 and counting.network.counts.gate.bias.item() > 0
    bare = LimaRec(**small | {"counts.of": "none"}).fit(log, max_epochs=1, progress="none")
    assert counting.state_size == bare.state_size + 2 * 512
    assert counting.by_products and counting.interests(log.catalogue.ids([1])).shape == (1, 8)


def test_the_demo_begins_with_states_of_its_own(events, tmp_path):
    """A second demo has another model where it trained for fewer seconds."""
    from tenfold.systems.limarec.demo import _followed

    for seed in (0, 1):
        system = LimaRec(LimaRec.tiny).fit(events, max_epochs=1, seed=seed, progress="none", accelerator="cpu")
        assert "event by event" in _followed(system, events, tmp_path).title
