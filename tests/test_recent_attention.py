"""Attention to recent events one by one, to older ones by codewords: against the definition, in streams, bad input."""

import pytest
import torch
from torch.testing import assert_close

from tenfold import LISA
from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import attention
from tenfold.nn.lisa import Tables
from tenfold.nn.recent import RecentEvents, Ring
from tenfold.ops.recent_attention import Recent, recent_attention, recent_attention_reference
from tenfold.options import parse
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.baselines.transformer import Transformer

N, B, W, D = 3, 2, 5, 8
SMALL = {"dim": 16, "codebooks.books": 3, "codebooks.words": 5, "training.length": 20, "training.batch_size": 8}


def drawn(length, window, dtype, decay):
    """A layer, its events x and their codes, the tables of older ones, and lambda."""
    torch.manual_seed(length)
    layer = RecentEvents(D, window).to(dtype)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(N, length, D, dtype=dtype, requires_grad=True)
    codes = torch.randint(W, (N, length, B)).to(torch.uint8)
    tables = Tables(*(torch.randn(B, W, n, dtype=dtype, requires_grad=True) for n in (W, D)))
    return layer, x, codes, tables, torch.tensor([0.02, 0.3], dtype=dtype) if decay else None


@pytest.mark.parametrize(("length", "window"), [(41, 7), (41, 1), (300, 20), (9, 9), (5, 9)])
@pytest.mark.parametrize("decay", ["none", "fixed", "learned"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_outputs_gradients_and_streams_are_those_of_the_definition(length, window, decay, dtype, tolerance):
    """A lambda that is learned is for plain torch, the others for the compiled loops."""
    layer, x, codes, tables, rate = drawn(length, window, dtype, decay != "none")
    if decay == "learned" and length > window:
        rate.requires_grad_()
    there = torch.ones(N, length, dtype=torch.bool)
    events = layer.of(x, codes, there)
    expected = recent_attention_reference(layer.query(x), events, layer.bias, *tables, decay=rate)
    found, _ = layer(x, events, tables, rate)
    close = {"rtol": tolerance, "atol": tolerance}
    assert_close(found, expected, **close)
    weight, learned = torch.randn_like(found), [x, *tables, *layer.parameters()]
    learned += [rate] if rate is not None and rate.requires_grad else []
    pair = [torch.autograd.grad((y * weight).sum(), learned, retain_graph=True) for y in (found, expected)]
    for own, defined in zip(*pair, strict=True):
        assert_close(own, defined, rtol=tolerance, atol=tolerance * max(1.0, float(defined.abs().max())))
    state, reads = None, []
    with torch.no_grad():
        for part in torch.arange(length).split([1, 2, length - 3]):
            events = layer.of(x[:, part], codes[:, part], there[:, part])
            y, histogram = layer(x[:, part], events, tables, rate, state)
            state = Ring(layer.after(events, None if state is None else state.events), histogram)
            reads.append(y)
        assert_close(torch.cat(reads, 1), expected, **close)
        assert_close(layer(x, layer.of(x, codes, there), tables, rate)[0], expected, **close)
        assert_close(layer.read(x[:, -1], state, codes[:, -1], tables, rate), expected[:, -1], **close)
    assert state.histogram.shape == (N, B, W) and state.events.keys.shape == (N, window, D)


def test_while_nothing_is_older_it_is_softmax_attention():
    layer, x, codes, tables, _ = drawn(9, 9, torch.float64, False)
    torch.nn.init.zeros_(layer.bias)
    y, histogram = layer(x, layer.of(x, codes, torch.ones(N, 9, dtype=torch.bool)), tables, None)
    q, k, v = (each(x).unsqueeze(1) for each in (layer.query, layer.key, layer.value))
    assert_close(y, torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[:, 0])
    assert histogram.abs().sum() == 0


@pytest.mark.parametrize("spread", [1.0, 100.0])
@pytest.mark.parametrize("decay", [0.0, 0.2, 30.0])
def test_without_gradients_an_answer_is_the_same(spread, decay):
    """By products of a block's weights; where scores spread far, or an event leaves nothing, codeword by codeword."""
    layer, x, codes, tables, _ = drawn(150, 7, torch.float64, False)
    tables, rate = Tables(tables.scores * spread, tables.values), torch.tensor([decay, decay / 2], dtype=torch.float64)
    there = torch.arange(150).expand(N, 150) < torch.tensor([[150], [60], [3]])
    learned, after = layer(x, layer.of(x, codes, there), tables, rate)
    with torch.no_grad():
        found, state = layer(x, layer.of(x, codes, there), tables, rate)
        assert_close((found[there], state), (learned[there], after))
        for events in (130, 9, 1):  # in two calls, the first of which may leave the ring half empty
            first, rest = slice(events), slice(events, None)
            before = layer.of(x[:, first], codes[:, first], there[:, first])
            begun, histogram = layer(x[:, first], before, tables, rate)
            ring = Ring(layer.after(before), histogram)
            ended, end = layer(x[:, rest], layer.of(x[:, rest], codes[:, rest], there[:, rest]), tables, rate, ring)
            assert_close((torch.cat((begun, ended), 1)[there], end), (found[there], state))


def test_far_larger_scores_on_either_side_stay_finite():
    layer, x, codes, tables, _ = drawn(41, 7, torch.float32, False)
    for recent, coded in ((1e4, 1.0), (1.0, 1e4)):
        y, _ = layer(x * recent, layer.of(x * recent, codes, torch.ones(N, 41, dtype=torch.bool)),
                     Tables(tables.scores * coded, tables.values), None)  # fmt: skip
        found = torch.autograd.grad(y.sum(), [x, *tables])
        assert y.isfinite().all() and all(each.isfinite().all() for each in found)


def test_a_state_without_its_events_is_refused():
    events = Recent(torch.zeros(1, 3, D), torch.zeros(1, 3, D), torch.zeros(1, 3, B, dtype=torch.uint8),
                    torch.ones(1, 3, dtype=torch.bool))  # fmt: skip
    with pytest.raises(ShapeError, match="needs 4 events before the first one, or none and no state; found 0"):
        recent_attention(torch.zeros(1, 3, D), events, torch.zeros(4), torch.zeros(B, W, W), torch.zeros(B, W, D),
                         state=torch.zeros(1, B, W))  # fmt: skip


@pytest.mark.parametrize("recent", [20, 7, 1])
def test_lisa_streams_as_it_answers_of_whole_histories(recent, events):
    system = LISA(parse(Options, SMALL | {"attention.recent": recent})).fit(events, max_epochs=1, progress="none")
    assert system.state_size == 3 * 5 + recent + 2 * 512  # counts, items, the sketch of candidates
    ids = system.vocabularies["items"].ids(list(range(1, 25)))
    history = [ids[i] for i in torch.randint(24, (300,), generator=torch.Generator().manual_seed(0)).tolist()]
    session = system.open()
    for item in history[:30]:
        session.update("u", item)
    session.update_many(["u"] * 270, history[30:])
    session.update_many(["new"] * 3, history[:3])
    for user, seen in (("u", history), ("new", history[:3])):
        streamed, whole = (dict(x) for x in (session.recommend(user, k=24), system.recommend(seen, k=24)))
        assert_close(streamed, whole, rtol=1e-4, atol=1e-4)
        assert system.attention_to(seen).sum() == pytest.approx(1, abs=1e-5)


def test_lisa_s_attention_falls_where_the_definition_says(events):
    """Values that say which event they belong to make y the weights themselves."""
    system = LISA(parse(Options, SMALL | {"attention.recent": 4})).fit(events, max_epochs=1, progress="none")
    known = torch.randperm(24, generator=torch.Generator().manual_seed(1)) + 1  # each item once
    network, window, rate = system.network, system.network.recent.window, system.network.attention.decay
    with torch.no_grad():
        catalogue = network.catalogue()
        x, codes = catalogue.history.vectors[known], catalogue.history.codes[known].long()
        exact = network.recent.key(x) @ network.recent.query(x[-1]) * 16**-0.5
        expected = torch.zeros(24)
        for b in range(3):
            logits = torch.empty(24)
            for j in range(24):
                back = 23 - j
                coded = catalogue.tables.scores[b, codes[-1, b], codes[j, b]] - rate[b] * back
                logits[j] = exact[j] + network.recent.bias[back] if back < window else coded
            expected += logits.softmax(0) / 3
    found = system.attention_to(system.vocabularies["items"].ids(known.tolist()))
    assert_close(torch.from_numpy(found).float(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention.recent": 21}, "recent = 21 is above training.length = 20: .*give a smaller recent"),
        ({"attention.recent": 0}, "attention.recent = 0: it should be greater than 0"),
        ({"attention.recent": 5, "soft": True}, "soft codes are counted of all events; found attention.recent = 5"),
    ],
)
def test_lisa_refuses_what_cannot_be_recent(options, message, events):
    with pytest.raises(OptionError, match=message):
        LISA(parse(Options, SMALL | options)).fit(events, max_epochs=1, progress="none")


def test_any_transformer_takes_it_and_refuses_the_same(events):
    given = {"attention": "lisa+recent", "dim": 16, "codewords": 5, "training.length": 20, "training.batch_size": 8}
    system = Transformer(**given, recent=4).fit(events, max_epochs=1, progress="none")
    ids = system.vocabularies["items"].ids(list(range(1, 25)))
    session, history = system.open(), [ids[i % 24] for i in range(60)]
    session.update_many(["u"] * 60, history)
    assert len(session.recommend("u", k=24)) == 24
    with pytest.raises(OptionError, match=r"recent = 21 is above training.length = 20"):
        Transformer(**given, recent=21).fit(events, max_epochs=1, progress="none")
    with pytest.raises(OptionError, match="recent = 0: it should be greater than 0"):
        Transformer(**given, recent=0)
    with pytest.raises(OptionError, match="needs one or more of them; found recent = 0"):
        attention("lisa+recent", 16, 2, recent=0)
    with pytest.raises(OptionError, match="counts older ones by hard codes; leave soft or recent out"):
        attention("lisa+recent", 16, 2, recent=3, soft=True)
