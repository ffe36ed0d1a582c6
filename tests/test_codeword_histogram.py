"""Codeword attention, three versions of it, against the definition and against softmax attention. All sizes differ."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from tenfold.errors import ShapeError
from tenfold.ops import codeword_histogram, codeword_loops
from tenfold.ops.codeword_histogram import (
    codeword_attention,
    codeword_attention_chunked,
    codeword_attention_reference,
)
from tenfold.ops.straight_through import straight_through, straight_through_reference

N, L, B, W, D, R = 3, 41, 2, 5, 7, 11
VERSIONS = {"loops": codeword_attention, "chunks": codeword_attention_chunked}
KINDS = ["hard", "straight-through", "soft"]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setitem(codeword_attention_chunked.__kwdefaults__, "chunk", 8)
    monkeypatch.setattr(codeword_loops, "WEIGHTS", 8 * B * W)


def draw(kind, dtype=torch.float64, *, decay=None, state=True, padding=True, length=L, scale=1.0):
    torch.manual_seed(length)
    p = (torch.randn(R, B, W, dtype=dtype) / 0.7).softmax(-1)
    rows = torch.randint(R, (N, length))
    if padding:
        rows[torch.rand(N, length) < 0.3] = -1
    learned = {
        "table": torch.randn(B, W, W, dtype=dtype) * scale,
        "values": torch.randn(B, W, D, dtype=dtype),
        "p": None if kind == "hard" else p,
        "decay": None if decay is None else decay * (1 + torch.rand(B, dtype=dtype) / 10),
        "state": torch.rand(N, B, W, dtype=dtype) if state else None,
    }
    learned = {name: x.requires_grad_() for name, x in learned.items() if x is not None}
    return {"rows": rows, "codes": p.argmax(-1).to(torch.uint8), "soft": kind == "soft"} | learned


def answers(version, given):
    """y, the last histograms, and the gradients of all that learns, weighted so that no two places are alike."""
    y, state = version(**given)
    torch.manual_seed(0)
    weights = (torch.randn(x.shape, dtype=torch.float64).to(x.dtype) for x in (y, state))
    total = sum((x * weight).sum() for x, weight in zip((y, state), weights, strict=True))
    learned = [x for x in given.values() if isinstance(x, torch.Tensor) and x.requires_grad]
    return [y, state, *torch.autograd.grad(total, learned)]


def worst(found, expected):
    """The largest error, relative to the largest entry of what is expected."""
    pairs = zip(found, expected, strict=True)
    return max(float((a.double() - b.double()).detach().abs().max() / b.detach().abs().max()) for a, b in pairs)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decay", [None, 0, 0.1, 1])
def test_outputs_and_all_gradients_equal_the_definition(version, kind, decay):
    given = draw(kind, decay=decay)
    assert worst(answers(version, given), answers(codeword_attention_reference, given)) < 1e-10


def packed(given, lengths):
    """Other sequences, end to end, each with a state of its own."""
    torch.manual_seed(len(lengths))
    dtype = given["table"].dtype
    return given | {
        "rows": torch.randint(-1, R, (sum(lengths),)),
        "offsets": torch.tensor([0, *lengths]).cumsum(0),
        "state": torch.rand(len(lengths), B, W, dtype=dtype, requires_grad=True),
    }


def by_definition(rows, offsets, **rest):
    padded, real = codeword_histogram._padded(rows, offsets)
    y, after = codeword_attention_reference(rows=padded, **rest)
    return y[real], after


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[200, 130], [0, 64, 0, 1, 0, 128, 63, 0]], ids=str)
def test_chunks_of_any_length_give_the_same(kind, lengths, monkeypatch):
    """A chunk that begins inside a sequence counts what came before, and one that holds many counts each anew."""
    given = packed(draw(kind, decay=0.1), lengths)
    expected = answers(by_definition, given)
    for events in (1, 3, 64, 1000):
        monkeypatch.setattr(codeword_loops, "WEIGHTS", events * B * W)
        assert worst(answers(codeword_attention, given), expected) < 1e-10


def test_a_count_that_is_no_number_is_not_taken_for_none():
    given = draw("hard", decay=0.1)
    state = given["state"].detach().clone()
    state[1, 0, 2] = math.nan
    y, after = codeword_attention(**given | {"state": state})
    assert after[1, 0, 2].isnan() and y[1][(given["rows"][1] >= 0)].isnan().all()
    assert y[0].isfinite().all() and after[2].isfinite().all()


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 8, 63, 64, 65])
def test_lengths_at_the_edges_of_chunks(version, kind, length):
    given = draw(kind, length=length, decay=0.3, padding=False)
    assert worst(answers(version, given), answers(codeword_attention_reference, given)) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decay", [None, 0.1])
def test_float32_over_five_thousand_events(kind, decay):
    given = draw(kind, torch.float32, length=5000, decay=decay, state=False)
    exact = {
        name: x.detach().double().requires_grad_(x.requires_grad)
        if isinstance(x, torch.Tensor) and x.is_floating_point()
        else x
        for name, x in given.items()
    }
    assert worst(answers(codeword_attention, given), answers(codeword_attention_chunked, exact)) < 1e-5


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_decay_of_a_tenth_over_five_thousand_events_is_finite_and_right_in_float32(version):
    given = draw("hard", torch.float32, length=5000, decay=0.1, state=False, padding=False)
    for x in answers(version, given):
        assert x.isfinite().all()
    _, state = version(**given)
    age = torch.arange(4999, -1, -1).double()
    weight = torch.exp(-given["decay"].double()[:, None] * age)  # (B, L)
    one_hot = F.one_hot(given["codes"][given["rows"]].long(), W).double()  # (N, L, B, W)
    assert_close(state.double(), torch.einsum("bl,nlbw->nbw", weight, one_hot), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_of_two_hundred_are_finite_and_right(version, dtype):
    """Codewords that nobody has had must not push those that are there to 0 / 0."""
    given = draw("hard", dtype, state=False)
    sign = torch.where(torch.rand(B, W, W) < 0.5, -200.0, 200.0)
    given["table"] = (sign + torch.randn(B, W, W)).to(dtype).requires_grad_()
    exact = {
        n: x.detach().double().requires_grad_() if x is given["table"] or x is given["values"] else x
        for n, x in given.items()
    }
    found, expected = answers(version, given), answers(codeword_attention_reference, exact)
    # A score of 200 is known to 1.5e-5 in float32, and so is its exponential.
    assert worst(found, expected) < (1e-4 if dtype == torch.float32 else 1e-10)


@pytest.mark.parametrize("kind", ["straight-through", "soft"])
def test_large_logits_and_decay_together_are_right_in_float64(kind):
    given = draw(kind, length=2000, decay=0.1, state=False, padding=False)
    sign = torch.where(torch.rand(B, W, W) < 0.5, -200.0, 200.0)
    given["table"] = (sign + torch.randn(B, W, W)).double().requires_grad_()
    assert worst(answers(codeword_attention, given)[:4], answers(codeword_attention_reference, given)[:4]) < 1e-10


def test_hard_codes_are_softmax_attention_over_quantised_items():
    """A second reference: torch's own attention, with an additive bias for the decay, one head a codebook."""
    torch.manual_seed(0)
    codewords, query, key, value = (torch.randn(B, n, D, dtype=torch.float64) for n in (W, D, D, D))
    learned = [x.requires_grad_() for x in (codewords, query, key, value)]
    codes, rate = torch.randint(W, (N, L, B)), torch.tensor([0.2, 0.7], dtype=torch.float64)
    rows = torch.arange(N * L).view(N, L)
    table = (codewords @ query) @ (codewords @ key).mT / math.sqrt(D)
    y, _ = codeword_attention(rows, codes.flatten(0, 1), table, codewords @ value, decay=rate)

    chosen = codewords[torch.arange(B), codes].transpose(1, 2)  # (N, B, L, D)
    q, k, v = chosen @ query, chosen @ key, chosen @ value
    age = torch.arange(L).unsqueeze(1) - torch.arange(L)
    bias = torch.where(age >= 0, -rate[:, None, None] * age, -math.inf)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).sum(1)
    assert_close(y, expected)
    weight = torch.randn_like(y)
    assert_close(
        torch.autograd.grad((y * weight).sum(), learned), torch.autograd.grad((expected * weight).sum(), learned)
    )


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [[13], [8, 32], list(range(1, L))], ids=["two parts", "at chunks", "event by event"])
def test_a_stream_equals_one_call(version, kind, cuts):
    given = draw(kind, decay=0.1)

    def streamed(rows, state, **rest):
        reads = []
        for part in rows.tensor_split(cuts, dim=1):
            y, state = version(rows=part, state=state, **rest)
            reads.append(y)
        return torch.cat(reads, 1), state

    assert worst(answers(streamed, given), answers(version, given)) < 1e-10


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("decay", [None, 0.1])
def test_padding_changes_nothing_wherever_it_stands(version, decay):
    given = draw("straight-through", decay=decay, padding=False)
    y, state = version(**given)
    apart = torch.full((N, 2 * L), -1)
    apart[:, 1::2] = given["rows"]
    padded, after = version(**given | {"rows": apart})
    assert_close(padded[:, 1::2], y)
    assert_close(after, state)
    assert (padded[:, ::2] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_end_to_end_equal_the_padded_ones(kind):
    """Empty ones too: first, last, and two at once in between, inside a block and at its border."""
    given = packed(draw(kind, decay=0.1), [0, 13, 0, 0, 37, 1, 0, 13, 0, 70, 58, 0])
    assert worst(answers(codeword_attention, given), answers(by_definition, given)) < 1e-10


@pytest.mark.parametrize("kind", ["straight-through", "soft"])
def test_where_sums_vanish_in_float32_all_gradients_are_right_still(kind):
    """Scores of 38 and -38: the careful way in float32, the usual one in float64."""
    lengths = [13, 0, 40, 9, 70, 64, 0, 5]
    single = packed(draw(kind, torch.float32, decay=0.1), lengths)
    single["table"] = (torch.randint(2, (B, W, W)) * 76.0 - 38).requires_grad_()
    one_hot = F.one_hot(single["codes"].long(), W).float()
    single |= {"p": one_hot.requires_grad_(), "state": torch.zeros(len(lengths), B, W, requires_grad=True)}
    double = {
        name: x.detach().double().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
        for name, x in single.items()
    }
    assert worst(answers(codeword_attention, single), answers(codeword_attention, double)) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_may_see_the_whole_sequence(kind):
    given = draw(kind) | {"causal": False}
    assert worst(answers(codeword_attention, given), answers(codeword_attention_reference, given)) < 1e-10
    y, _ = codeword_attention(**given)
    given["rows"] = given["rows"].clone()
    given["rows"][:, -1] = (given["rows"][:, -1].clamp(min=0) + 1) % R
    assert (codeword_attention(**given)[0][:, 0] != y[:, 0]).any()


def test_the_first_of_a_hundred_thousand_events_is_not_cut_in_silence():
    given = draw("hard", torch.float32, length=100_000, state=False, padding=False)
    given["rows"] = given["rows"][:1]
    other = given["rows"].clone()
    other[0, 0] = (other[0, 0] + 1) % R
    y, z = (codeword_attention(**given | {"rows": rows})[0][0, -1] for rows in (given["rows"], other))
    assert not torch.equal(y, z)


def test_half_precision_is_counted_in_float32():
    given = draw("soft", torch.float32, length=3000, state=False)
    expected, _ = codeword_attention(**given)
    half = {n: x.detach().bfloat16() if n in ("table", "values", "p") else x for n, x in given.items()}
    found, state = codeword_attention(**half)
    assert found.dtype == state.dtype == torch.float32
    assert_close(found, expected, rtol=0.05, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(codeword_attention(**given)[0], expected)


def test_what_is_kept_for_the_backward_pass_does_not_hold_the_histograms(monkeypatch):
    monkeypatch.undo()
    length, words = 20_000, 16
    p = torch.rand(length, 8, words, requires_grad=True)
    table, values = torch.randn(8, words, words, requires_grad=True), torch.randn(8, words, 32, requires_grad=True)
    kept = []

    def keep(x):
        kept.append(x)
        return x

    given = {x.data_ptr() for x in (p, table, values)}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        codeword_attention(torch.arange(length).unsqueeze(0), p.argmax(-1).to(torch.uint8), table, values, p=p)
    saved = sum({x.data_ptr(): x.nbytes for x in kept if x.data_ptr() not in given}.values())
    assert saved < length * 8 * words * 4 / 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": torch.zeros(3, 0, dtype=torch.long)}, r"rows \(N, L >= 1\); found rows \(3, 0\)"),
        ({"values": torch.zeros(B, W + 1, D)}, r"needs values \(2, 5, 7\); found \(2, 6, 7\)"),
        ({"p": torch.zeros(R, B, W + 1)}, r"needs p \(11, 2, 5\); found \(11, 2, 6\)"),
        ({"state": torch.zeros(N + 1, B, W)}, r"needs state \(3, 2, 5\); found \(4, 2, 5\)"),
        ({"decay": torch.zeros(B + 1)}, r"needs decay \(2,\); found \(3,\)"),
        ({"p": None, "soft": True}, "counts soft codes where soft=True, and needs p"),
        ({"causal": False, "decay": torch.zeros(B)}, "sees the whole sequence has no decay"),
    ],
)
def test_what_does_not_fit_is_named(changed, message):
    with pytest.raises(ShapeError, match=message):
        codeword_attention(**draw("hard") | changed)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rows": torch.tensor([[0, R]])}, "rows are below 11, the rows of codes; found 11"),
        ({"codes": torch.full((R, B), W)}, "codes are below 5, the codewords; found 5"),
        ({"codes": torch.full((R, B), -1)}, "codes are 0 or more; found -1"),
        ({"rows": torch.zeros(1, 2)}, "whole numbers as rows; found torch.float32"),
        ({"rows": torch.zeros(4, dtype=torch.long), "offsets": torch.tensor([0, 3])}, "from 0 up to the 4 rows"),
        ({"table": torch.zeros(B, 300, 300), "values": torch.zeros(B, 300, D)}, "at most 256 codewords"),
    ],
)
def test_nothing_is_read_outside_of_what_was_given(change, message):
    given = {name: x for name, x in draw("hard", state=False).items() if name != "soft"}
    with pytest.raises(ShapeError, match=message):
        codeword_attention(**given | change)


def test_whole_numbers_of_any_width_and_tensors_with_gaps_are_taken():
    given = draw("soft", decay=0.1)
    expected = answers(codeword_attention, given)
    other = dict(given)
    for name in ("table", "values", "p", "state"):
        other[name] = given[name].detach().mT.contiguous().mT.requires_grad_()
    other |= {"rows": given["rows"].int().T.contiguous().T, "codes": given["codes"].int()}
    assert worst(answers(codeword_attention, other), expected) < 1e-12


def test_straight_through_equals_its_definition():
    torch.manual_seed(0)
    p = torch.randn(R, W, dtype=torch.float64).softmax(1).requires_grad_()
    codewords = torch.randn(W, D, dtype=torch.float64, requires_grad=True)
    code = p.argmax(1)
    weight = torch.randn(R, D, dtype=torch.float64)
    found = [f(p, code, codewords) for f in (straight_through, straight_through_reference)]
    assert_close(*found)
    assert_close(*(torch.autograd.grad((r * weight).sum(), (p, codewords)) for r in found))
