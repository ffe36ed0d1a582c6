"""The task: losses against their formulas, the protocol against one query at a time, and the verb `recommend`."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ring_walks
from contract import TRAINED, over
from torch.testing import assert_close

from tenfold import LISA, FirstOrderMarkov, LimaRec, Popularity, SASRec
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.errors import DataError, OptionError, UnknownIdError
from tenfold.tasks.next_item import NextItem, answers, evaluation, task
from tenfold.tasks.next_item.events import NextItemBatch, NextItemSamples
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import LossOptions
from tenfold.tasks.next_item.task import PATIENT_STEPS
from tenfold.training import Draw

B, L, D, V, K = 2, 5, 3, 11, 4


def a_batch(name):
    torch.manual_seed(3)
    following = torch.randint(1, V + 1, (B, L))
    following[1, 3:] = 0
    shape = {"softmax": (B, 0), "bce": (B, L, K)}.get(name, (B, K))
    negatives = torch.randint(1, V + 1, shape)
    return NextItemBatch(torch.zeros(B, L, dtype=torch.long), following, negatives)


@pytest.mark.parametrize("name", ["softmax", "sampled_softmax", "bce", "gbce"])
def test_a_loss_is_its_formula_written_out(name):
    batch, t = a_batch(name), 0.6
    user, table = torch.randn(B, L, D, dtype=torch.double), torch.randn(V + 1, D, dtype=torch.double)
    total = 0.0
    for b, i in itertools.product(range(B), range(L)):
        positive = int(batch.next[b, i])
        if positive == 0:
            continue
        s = [float(user[b, i] @ table[v]) for v in range(V + 1)]
        if name == "softmax":
            total -= s[positive] - math.log(sum(math.exp(s[v]) for v in range(1, V + 1)))
            continue
        negatives = (batch.negatives[b, i] if name == "bce" else batch.negatives[b]).tolist()
        if name == "bce":
            total += math.log1p(math.exp(-s[positive])) + sum(math.log1p(math.exp(s[n])) for n in negatives) / K
            continue
        others = [n for n in negatives if n != positive]
        if name == "sampled_softmax":
            total -= s[positive] - math.log(sum(math.exp(s[v]) for v in [positive, *others]))
        else:
            alpha = K / (V - 1)
            beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
            total -= math.log((1 / (1 + math.exp(-s[positive]))) ** beta)
            total -= sum(math.log(1 - 1 / (1 + math.exp(-s[n]))) for n in others)
    found, weight = next_item_loss(LossOptions(name=name, calibration=t), user, table, batch)
    assert found.item() == pytest.approx(total) and weight == 8


@pytest.mark.parametrize(("name", "epochs"), [("softmax", 8), ("sampled_softmax", 8), ("bce", 15), ("gbce", 30)])
def test_every_loss_learns_the_rings(name, epochs, events):
    loss = {"loss.name": name, "loss.negatives": 1 if name == "bce" else 9}
    system = SASRec(SASRec.tiny).set_params(**loss).fit(events, max_epochs=epochs, accelerator="cpu")
    chance = 6 / 24  # whoever knows only the ring
    assert system.evaluate(events, ks=[1])["hr@1"] > 1.5 * chance


def test_negatives_are_a_function_of_seed_epoch_and_window(events):
    samples = NextItemSamples(split(events, "loo"), 7, LossOptions(name="bce", negatives=2))
    one = samples.batch(Draw(5, 1, np.array([3, 8, 20])))
    two = samples.batch(Draw(5, 1, np.array([20, 3])))
    width = min(one.negatives.shape[1], two.negatives.shape[1])
    assert torch.equal(one.negatives[2, :width], two.negatives[0, :width])
    assert torch.equal(one.negatives[0, :width], two.negatives[1, :width])
    assert not torch.equal(one.negatives, samples.batch(Draw(5, 2, np.array([3, 8, 20]))).negatives)
    assert ((one.negatives == 0) == (one.next == 0).unsqueeze(-1)).all()
    assert not (one.negatives == one.next.unsqueeze(-1))[one.next != 0].any()


@pytest.mark.parametrize("name", ["sampled_softmax", "gbce"])
def test_a_batch_may_share_its_negatives(name, events):
    samples = NextItemSamples(split(events, "loo"), 7, LossOptions(name=name, negatives=9, share_negatives=True))
    one, half, other = (
        samples.batch(Draw(5, 1, np.array(rows), b)) for rows, b in (([3, 8], 2), ([8], 2), ([3, 8], 3))
    )
    assert one.negatives.shape == (1, 9) and torch.equal(one.negatives, half.negatives)  # another process's part
    assert not torch.equal(one.negatives, other.negatives)
    user, table = torch.randn(2, one.events.shape[1], 4), torch.randn(25, 4)
    repeated = one._replace(negatives=one.negatives.expand(2, -1))
    options = LossOptions(name=name)
    assert_close(next_item_loss(options, user, table, one), next_item_loss(options, user, table, repeated))


@pytest.mark.parametrize("cls", [SASRec, LISA, LimaRec])
def test_methods_learn_from_negatives_that_a_batch_shares(cls, events):
    shared = {"loss.name": "sampled_softmax", "loss.negatives": 9, "loss.share_negatives": True}
    system = cls(cls.tiny).set_params(**shared).fit(events, max_epochs=20, accelerator="cpu")
    assert system.evaluate(events, ks=[1])["hr@1"] > 0.3  # whoever knows only the ring has 0.17
    assert system.history["next_item"][-1]["loss"] < system.history["next_item"][0]["loss"]


def test_negatives_may_leave_out_the_history(events):
    samples = NextItemSamples(split(events, "loo"), 7, LossOptions(name="bce", negatives=3, exclude_history=True))
    prepared = samples.split
    for window in range(len(samples)):
        batch = samples.batch(Draw(0, 0, np.array([window])))
        owner = [
            u
            for u in range(len(prepared.events))
            if set(batch.events[0].tolist()) - {0} <= set(prepared.events.history(u).tolist())
        ]
        drawn = set(batch.negatives.flatten().tolist()) - {0}
        assert any(
            not drawn & set(prepared.events.items[prepared.events.offsets[u] : prepared.train_end[u]]) for u in owner
        )


def test_as_it_comes_training_ends_where_the_validation_part_is_no_better(events):
    system = SASRec(SASRec.tiny).fit(events, accelerator="cpu", progress="none")
    found = [epoch["ndcg@10"] for epoch in system.history["next_item"]]
    steps = -(-len(NextItemSamples(split(events, "loo"), 20, LossOptions())) // 8)  # of an epoch
    after = max(10, -(-PATIENT_STEPS // steps))
    assert after < len(found) < 200 and np.argmax(found) == len(found) - 1 - after
    assert len(SASRec(SASRec.tiny).fit(events, max_units=1, progress="none").history["next_item"]) == 1
    unwatched = SASRec(SASRec.tiny).fit(events, split="none", accelerator="cpu", progress="none")
    assert len(unwatched.history["next_item"]) == 20


@pytest.mark.parametrize("cls", over({n: c for n, c in TRAINED.items() if issubclass(c, NextItem)}))
def test_units_of_a_budget_are_events(cls, events):
    a_quarter = int(0.25 * sum(len(events.history(user)) - 3 for user in range(len(events))))  # of those trained on
    system = cls(cls.tiny).fit(events, max_units=a_quarter, progress="none")
    (ended,) = system.history["next_item"]
    assert 0.25 <= ended["epoch"] < 0.5


def test_a_schedule_of_the_learning_rate_has_the_usual_epochs(events):
    """It is made for all of them, and would hardly begin in the first of 200."""
    for schedule in ({"training.schedule": "cosine"}, {"training.warmup": 0.1}):
        system = SASRec(SASRec.tiny).set_params(**schedule).fit(events, progress="none", accelerator="cpu")
        assert len(system.history["next_item"]) == 20


# The protocol.


def fitted(events, **options):
    return SASRec(SASRec.tiny).set_params(**options).fit(events, max_epochs=1, accelerator="cpu")


def one_by_one(system, prepared, queries, exclude_seen):
    """above and tied of each query, from a pass of its own over the last events that the system looks at."""
    for user, position in zip(queries.user, queries.position, strict=True):
        past = prepared.events.items[prepared.events.offsets[user] : position]
        target = int(prepared.events.items[position])
        known = past[past > 0][-system.context :] if system.context else past[past > 0]
        users, _ = system.encode(torch.from_numpy(known.astype(np.int64))[None])
        scores = system.scores(users[:, -1])[0]
        others = [v for v in range(1, len(scores)) if not (exclude_seen and v in past) or v == target]
        yield (
            sum(bool(scores[v] > scores[target]) for v in others),
            sum(bool(scores[v] == scores[target]) for v in others),
        )


@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("name", ["loo", "stream"])
def test_ranks_equal_those_of_one_query_at_a_time(name, exclude_seen, events, monkeypatch):
    monkeypatch.setattr(answers, "EVENTS_AT_ONCE", 64)  # many chunks
    monkeypatch.setattr(answers, "SCORES_AT_ONCE", 150)
    system = fitted(events, **{"training.length": 9})  # shorter than many histories
    prepared = split(events, name)
    queries = prepared.queries("test")
    with torch.no_grad():
        expected = list(one_by_one(system, prepared, queries, exclude_seen))
        ranked = evaluation.rank(system, prepared, queries, k=10, exclude_seen=exclude_seen)
    assert list(zip(ranked.above.tolist(), ranked.tied.tolist(), strict=True)) == expected


def long_walks():
    """Ten users with 60 events each."""
    return Events.from_histories([[1 + (user + event) % 7 for event in range(60)] for user in range(10)])


def test_with_a_stride_a_pass_answers_several_events():
    """Each looks at up to so many events fewer, a history's first ones at all there are."""
    events, window, stride = long_walks(), 9, 4
    system = fitted(events, **{"training.length": window})
    prepared = split(events, "stream")
    queries = prepared.queries("test")
    begin, end, of_query = evaluation.passes(system, prepared, queries, stride)
    assert len(begin) < len(queries.user) / 2 and (end - begin).max() == window
    seen = queries.position - begin[of_query]
    assert seen.min() == window - stride + 1 and seen.max() == window
    wanted, scores = torch.from_numpy(events.items[queries.position].astype(np.int64)), []
    with torch.no_grad():
        for position, start in zip(queries.position, begin[of_query], strict=True):
            users, _ = system.encode(torch.from_numpy(events.items[start:position].astype(np.int64))[None])
            scores.append(system.scores(users[:, -1])[0])
        ranked = evaluation.rank(system, prepared, queries, k=5, stride=stride)
    scores = torch.stack(scores)[:, 1:]
    expected = (scores > scores.gather(1, wanted[:, None] - 1)).sum(1)
    assert torch.equal(ranked.above, expected)
    whole = evaluation.passes(system, prepared, queries, 1_000)  # more than a window: as many as it holds
    assert all(
        np.array_equal(*each) for each in zip(whole, evaluation.passes(system, prepared, queries, 9), strict=True)
    )
    assert "after 6 to 9 events or all there are" in system.evaluate(events, split="stream", stride=4).protocol
    with pytest.raises(OptionError, match="stride is a number of events"):
        system.evaluate(events, stride=0)


def test_a_validation_of_many_windows_is_strided_and_that_is_said(monkeypatch):
    events, notes = long_walks(), list[str]()
    for dear in (2, 0.5):  # a validation reads 480 events, an epoch 480
        monkeypatch.setattr(task, "DEAR_VALIDATION", dear)
        system = SASRec(SASRec.tiny).set_params(**{"training.length": 8})
        system.fit(events, split="stream", max_epochs=1, progress="none")
        notes.append(" ".join(system.notes))
    assert "stride" not in notes[0]
    assert "one pass answers 4 held-out events of a user, after 5 to 8 events each" in notes[1]


def test_unknown_items_are_left_out_of_histories_and_miss_as_targets(events):
    system = fitted(ring_walks(users=40, rings=2))
    found = system.evaluate(events)  # twice as many rings
    assert any("without a training event" in note for note in found.notes)
    assert any("not the log" in note for note in found.notes)
    prepared = system.prepare(events, "loo")
    queries = prepared.queries("test")
    ranked = evaluation.rank(system, prepared, queries, k=10)
    unknown = prepared.events.items[queries.position] == 0
    assert unknown.any() and (ranked.untrained == unknown).all()
    assert system.evaluate(events).per_unit["hr@10"][unknown].max() == 0


def test_the_time_split_tells_warm_users_from_cold_ones():
    histories, times = [[1, 2, 3, 1, 2, 3, 1, 2], [1, 2], [3, 2], [2]], [[*range(8)], [8.0, 9.0], [2.0, 9.0], [9.5]]
    events = Events.from_histories(histories, times=times)
    system = Popularity().fit(events, split="time")
    found = system.evaluate(events, ks=[1])
    warm, cold = (
        next(note for note in found.notes if f"users {of} training events" in note) for of in ("with", "without")
    )
    counts, means = zip(
        *(map(float, re.match(r"(\d+) users .* mrr ([\d.]+)", x).groups()) for x in (warm, cold)), strict=True
    )
    prepared = split(events, "time")
    tested = prepared.valid_end < events.offsets[1:]
    trained = prepared.train_end > events.offsets[:-1]
    assert counts == ((tested & trained).sum(), (tested & ~trained).sum()) and min(counts) > 0
    assert np.dot(counts, means) / sum(counts) == pytest.approx(found["mrr"], abs=1e-4)


def test_figures_of_a_stream_are_averaged_within_users_first(events):
    system = fitted(events)
    prepared = split(events, "stream")
    queries = prepared.queries("test")
    ranked = evaluation.rank(system, prepared, queries, k=10)
    hit = (ranked.above < 10).double().numpy()
    expected = [hit[queries.user == u].mean() for u in np.unique(queries.user)]
    found = system.evaluate(events, split="stream")
    assert_close(found.per_unit["hr@10"], np.array(expected), atol=0.35, rtol=0)  # ties aside
    assert found["hr@10"] == pytest.approx(float(found.per_unit["hr@10"].mean()))


def test_a_protocol_says_what_it_was(events):
    system = fitted(events)
    told = system.evaluate(events, exclude_seen=True).protocol
    assert told.startswith("split loo, test part: 61 events of 61 users") and told.endswith("seen before left out")
    sampled = system.evaluate(events, sampled=5)
    assert "5 items that the user never had" in sampled.protocol and "hr@5(sampled-5)" in sampled
    with pytest.raises(OptionError, match="k = 25 is larger than the catalogue of 24 items"):
        system.evaluate(events, ks=[25])
    with pytest.raises(OptionError, match="k = 6 is larger than sampled = 5"):  # it would always be right
        system.evaluate(events, sampled=5, ks=[6])
    with pytest.raises(OptionError, match="sampled = -1: give 0"):
        system.evaluate(events, sampled=-1)
    with pytest.raises(DataError, match="split 'none' leaves no test event"):
        system.evaluate(events, split="none")


def test_what_was_not_held_out_is_said(events):
    system = fitted(events)
    assert not any("fitted on" in note for note in system.evaluate(events).notes)
    assert (
        "fitted on split loo: events tested here may have been trained on"
        in system.evaluate(events, split="stream").notes
    )
    assert "this is not the log that the system was fitted on" in system.evaluate(ring_walks(50)).notes


def test_a_small_catalogue_is_ranked_whole():
    few = ring_walks(rings=1)
    assert "hr@6" in Popularity().fit(few, max_epochs=1).evaluate(few)


# The verb.


def test_recommend_takes_and_gives_the_user_s_own_ids(events):
    system = SASRec(SASRec.tiny).fit(events, max_epochs=12, accelerator="cpu")
    best = system.recommend(["r1i3", "r1i4", "r1i5"], k=5)
    assert best[0].item == "r1i0" and [r.score for r in best] == sorted((r.score for r in best), reverse=True)
    several = system.recommend([["r1i3", "r1i4", "r1i5"], ["r0i2"]], k=5)
    assert [r.item for r in several[0]] == [r.item for r in best] and len(several) == 2
    assert_close(torch.tensor([r.score for r in several[0]]), torch.tensor([r.score for r in best]))


def test_exclude_candidates_and_what_was_seen(events):
    system, history = fitted(events), ["r1i3", "r1i4"]
    first = [r.item for r in system.recommend(history, k=24)]
    assert len(first) == 24
    without = [r.item for r in system.recommend(history, k=24, exclude=[first[0], "unknown"])]
    assert without == first[1:]
    among = [r.item for r in system.recommend(history, k=3, candidates=first[5:8])]
    assert among == first[5:8]
    unseen = [r.item for r in system.recommend(history, k=24, exclude_seen=True)]
    assert unseen == [item for item in first if item not in history]


def test_unknown_items_are_skipped_and_counted_or_refused(events):
    system = fitted(events)
    found = system.recommend(["r1i3", "what?", "r1i4"])
    assert found == system.recommend(["r1i3", "r1i4"]) and found.skipped == 1 and not found.by_popularity
    with pytest.raises(UnknownIdError, match="there is no item 'r1i33' in this system; did you mean 'r1i3'"):
        system.recommend(["r1i33"], on_unseen="refuse")
    alone = system.recommend(["what?"], k=3)
    counts = system.statistics["item_counts"]
    assert alone.by_popularity and [r.score for r in alone] == counts.sort(descending=True).values[:3].tolist()
    assert system.recommend([], k=3) == alone
    with pytest.raises(OptionError, match="none of the candidates"):
        system.recommend(["r1i3"], candidates=["x"])
    with pytest.raises(OptionError, match="k = 25 is larger than the catalogue"):
        system.recommend(["r1i3"], k=25)


def test_a_stream_of_events_equals_the_whole_history(events):
    from tenfold import GRU4Rec, Transformer

    torch.manual_seed(0)
    numbers = torch.randint(1, 25, (3, 15))
    for cls, options in [(SASRec, {}), (GRU4Rec, {}), *((Transformer, {"attention": a}) for a in ("linear", "local"))]:
        system = cls(cls.tiny).set_params(**options).fit(events, max_epochs=1, accelerator="cpu")
        state = None
        with torch.no_grad():
            whole, _ = system.encode(numbers)
            for i in range(15):
                user, state = system.encode(numbers[:, i : i + 1], state)
                assert_close(user[:, 0], whole[:, i], rtol=1e-4, atol=1e-5)


def test_a_table_tied_to_the_items_is_what_scores(events):
    system = fitted(events)
    user = torch.randn(2, 16)
    assert_close(system.scores(user), F.linear(user, system.network.item.weight))


def test_events_may_be_a_frame_too(events):
    import polars as pl

    rows = [(f"u{u}", events.catalogue.ids([int(i)])[0]) for u in range(len(events)) for i in events.history(u)]
    frame = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    system = FirstOrderMarkov().fit(frame)
    assert system.evaluate(frame) == pytest.approx(dict(FirstOrderMarkov().fit(events).evaluate(events)))
    assert isinstance(system.read(frame), Events)
