"""A candidate's own count: counters against their definition, a state's bytes, streams, bad input, what it is for."""

import numpy as np
import pytest
import torch
from small_lisa import history_of, small
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.ops.item_counts import (
    Least,
    counts_after,
    item_keys,
    joint_keys,
    least,
    least_of,
    least_reference,
    running_counts,
    running_counts_reference,
)
from tenfold.ops.linear_cross_entropy import linear_cross_entropy
from tenfold.streaming import key_of
from tenfold.systems.lisa.compact import Compact

N, L, R, W = 3, 41, 2, 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counters_are_those_of_the_definition(dtype):
    torch.manual_seed(0)
    keys, real = torch.randint(W, (N, L, R)), torch.rand(N, L) < 0.8
    before, fade = torch.rand(N, R, W, dtype=dtype), torch.tensor([1.0, 0.7], dtype=dtype)
    found = running_counts(keys, real, before, fade)
    assert_close(found, running_counts_reference(keys, real, before, fade))
    assert_close(counts_after(keys, real, before, fade), found[:, -1])
    count = sum(fade[1] ** int(real[1, at + 1 :].sum()) for at in range(L) if real[1, at] and keys[1, at, 1] == 4)
    assert_close(found[1, -1, 1, 4], before[1, 1, 4] * fade[1] ** int(real[1].sum()) + count)
    candidates = torch.randint(W, (9, R))
    defined = torch.stack([found[:, -1, row, candidates[:, row]] for row in range(R)]).amin(0)
    assert_close(least(found[:, -1], candidates), defined)
    assert torch.equal(least(found[:, -1], candidates), least_reference(found[:, -1], candidates))
    for of in (N, 1):  # of each sequence, or of all
        assert_close(least_of(found, candidates.expand(of, 1, 9, R))[:, -1], defined)


def test_counters_that_faded_long_ago_are_nothing():
    keys = torch.zeros(1, 2_000, 1, dtype=torch.long)
    keys[0, 0] = 1
    found = running_counts(keys, keys[..., 0] >= 0, torch.zeros(1, 1, 2), torch.tensor([0.9]))
    assert found[0, 1, 0, 1] > 0.89 and found[0, -1, 0, 1] == 0 and (found[found > 0] > 1e-30).all()


def test_a_joint_key_depends_on_all_codes_together():
    """Each codeword of either is the other's too, as far as histograms tell; and rows spread items evenly."""
    together, apart = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 4], [3, 2]])
    keys = joint_keys(torch.cat((together, apart)).to(torch.uint8), 2, 512)
    assert len(keys.unique(dim=0)) == 4
    every = torch.cartesian_prod(torch.arange(64), torch.arange(64)).to(torch.uint8)
    load = torch.stack([row.bincount(minlength=64) for row in joint_keys(every, 3, 64).unbind(1)])
    assert load.shape == (3, 64) and load.min() > 20 and load.max() < 120


def test_keys_of_items_spread_them_evenly_and_differently_in_each_row():
    keys = item_keys(4_000, 2, 64)
    load = torch.stack([row.bincount(minlength=64) for row in keys.unbind(1)])
    assert keys.shape == (4_001, 2) and load.min() > 30 and load.max() < 100
    assert len(keys.unique(dim=0)) > 2_500  # of 4,096 pairs


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_gated_counts_beside_the_answers_learn_as_written_out(rows):
    """Most counters are 0, as those of a user are, and so are most counts."""
    torch.manual_seed(1)
    h, table, gate = (torch.randn(*size, dtype=torch.float64).requires_grad_() for size in ((9, 5), (41, 5), (9,)))
    counts = torch.rand(9, rows, W, dtype=torch.float64) * (torch.rand(9, rows, W) < 0.6)
    target, keys = torch.randint(1, 41, (9,)), item_keys(40, rows, W)[1:]
    more = least_reference(counts, keys)
    assert 0 < (more > 0).double().mean() < 0.7
    beside = Least(counts, keys)
    found = linear_cross_entropy(h, table, target, first=1, chunk=4, gate=gate, beside=beside)
    logits = h @ table[1:].T + gate.unsqueeze(1) * more
    expected = torch.nn.functional.cross_entropy(logits, target - 1, reduction="sum")
    assert_close(found, expected)
    learned = [h, table, gate]
    for own, defined in zip(*(torch.autograd.grad(2 * x, learned) for x in (found, expected)), strict=True):
        assert_close(own, defined)
    with pytest.raises(ShapeError, match="needs a target in each row"):
        linear_cross_entropy(h, table, target * 0, first=1, gate=gate, beside=beside)


COUNTED = {
    "items": {"counts.of": "items", "counts.width": 11, "counts.decay": 0.01},
    "items, recent": {"counts.of": "items", "counts.width": 11, "attention.recent": 6, "codebooks.distinct": True},
    "joint": {"counts.of": "joint", "counts.width": 11, "counts.decay": 0.01},
    "joint, recent": {"counts.of": "joint", "counts.width": 11, "attention.recent": 6},
    "joint, soft": {"preset": "soft", "counts.of": "joint", "counts.width": 11},
    "codewords": {"counts.of": "codewords"},
    "codewords, recent": {"counts.of": "codewords", "attention.recent": 6, "codebooks.distinct": True},
    "codewords, no lambda": {"counts.of": "codewords", "attention.decay": 0.0},
}


@pytest.fixture(scope="module", params=COUNTED)
def counted(request, events):
    options = {"preset": "mini"} | COUNTED[request.param]
    fitted = small(**options).fit(events, max_epochs=1, progress="none")
    with torch.no_grad():  # one epoch opens the gate a little only
        fitted.network.counts.gate.bias += 0.5
    return fitted


def test_a_stream_answers_as_the_whole_history_does(counted):
    history = history_of(counted, 400)
    session = counted.open()
    for item in history[:30]:
        session.update("u", item)
    for start in range(30, 400, 37):
        session.update_many(["u"] * len(history[start : start + 37]), history[start : start + 37])
    assert_close(dict(session.recommend("u", k=24)), dict(counted.recommend(history, k=24)), rtol=1e-4, atol=1e-4)
    parts = torch.from_numpy(counted.item_numbers(history)).long().unsqueeze(0)
    with torch.no_grad():
        whole, _ = counted.encode(parts)
        first, state = counted.encode(parts[:, :123])
        second, _ = counted.encode(torch.nn.functional.pad(parts[:, 123:], (0, 3)), state)
    assert_close(torch.cat((first, second[:, :-3]), 1), whole, rtol=1e-4, atol=1e-4)


def test_what_is_kept_has_one_size(counted):
    """Numbers of the histograms, the ring and the sketch, and nothing else."""
    o = counted.options
    sketch = 0 if o.counts.of == "codewords" else 2 * 11
    assert counted.state_size == o.codebooks.books * o.codebooks.words + (o.attention.recent or 0) + sketch
    session, sizes = counted.open(), set()
    for length in (1, 40):
        session.update_many([length] * length, history_of(counted, length))
        sizes |= {len(record) for record in session.store.get_many([key_of(length)])}
    assert len(sizes) == 1 and 0 <= sizes.pop() - 4 * counted.state_size < 600  # a header and ids of events


def test_an_export_counts_too(counted, tmp_path):
    counted.export(tmp_path / "small")
    compact, history = Compact.load(tmp_path / "small"), history_of(counted, 60)
    assert_close(dict(compact.recommend(history, k=24)), dict(counted.recommend(history, k=24)), rtol=1e-4, atol=1e-4)


def test_items_of_equal_codes_are_counted_apart(events):
    """While codes are learned thousands of rare items may share theirs; by all codes together they are one item."""
    for of, apart in (("items", True), ("joint", False)):
        fitted = small("base", **{"counts.of": of, "counts.width": 501}).fit(events, max_epochs=1, progress="none")
        network = fitted.network.train()
        with torch.no_grad():
            network.item.weight[2] = network.item.weight[1]
            codes, keys = (network.catalogue().history.codes, network.catalogue().keys)
            some = network.catalogue(torch.tensor([0, 2, 9])).keys
        assert torch.equal(codes[1], codes[2]) and torch.equal(some, keys[[0, 2, 9]])
        assert torch.equal(keys[1], keys[2]) != apart


@pytest.mark.parametrize("loss", [
    {"loss.name": "bce"}, {"loss.name": "sampled_softmax", "loss.negatives": 9},
    {"loss.name": "sampled_softmax", "loss.negatives": 9, "loss.share_negatives": True},
])  # fmt: skip
def test_each_loss_opens_the_gate(loss, events):
    fitted = small("mini", **{"counts.of": "joint"} | loss).fit(events, max_epochs=1, progress="none")
    assert fitted.network.counts.gate.bias.abs() > 0 and np.isfinite(fitted.evaluate(events)["ndcg@10"])


def test_bad_input_is_refused_in_a_sentence(events):
    with pytest.raises(OptionError, match=r"counts\.width .*0"):
        small("mini", **{"counts.of": "joint", "counts.width": 0})
    with pytest.raises(OptionError, match=r"soft codes have no counts of single codewords"):
        small("soft", **{"counts.of": "codewords"}).fit(events, max_epochs=1, progress="none")
