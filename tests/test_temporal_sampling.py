"""The sampler's versions agree on any stream, also where moments tie; streams grow; nothing sees its own moment."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from small_streams import stream

from tenfold.errors import DataError, OptionError, ShapeError
from tenfold.ops import dependency_trees as dt
from tenfold.ops import temporal_sampling as ts
from tenfold.ops.temporal_index import TemporalIndex


def random_stream(events=300, nodes=23, moments=120, seed=0):
    rng = np.random.default_rng(seed)
    return stream(np.stack([*rng.integers(1, nodes + 1, (2, events)), rng.integers(0, moments, events)], 1), nodes)


def queries(index, count, seed=1):
    rng = np.random.default_rng(seed)
    nodes = rng.integers(0, index.nodes + 1, count).astype(np.int32)
    return nodes, index.cuts(rng.integers(-2, 130, count).astype(np.float64))


ROWS = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(0, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_the_index_is_what_it_is_defined_as(rows, k):
    index = stream(rows)
    for e in range(len(index)):
        for side, ends in enumerate((index.sources, index.destinations)):
            earlier = [
                p + 1
                for p in range(len(index))
                if index.times[p] < index.times[e] and ends[e] in (index.sources[p], index.destinations[p])
            ]
            assert index.previous[e + 1, side] == max(earlier, default=0)
    moments = np.array([4.0, 9, -1, 3, 3, 10, 0])
    assert index.cuts(moments).tolist() == [int((index.times < t).sum()) for t in moments]
    nodes = np.arange(8, dtype=np.int32)
    cuts = index.cuts(np.arange(2.0, 10.0))
    expected = ts.recent_reference(index, nodes, cuts, k)
    vectorised = ts.recent_vectorised(index.packed, torch.from_numpy(nodes).long(), torch.from_numpy(cuts), k)
    for want, compiled, tensor in zip(expected, ts.recent(index, nodes, cuts, k), vectorised, strict=True):
        np.testing.assert_array_equal(compiled, want)
        np.testing.assert_array_equal(tensor.numpy(), want)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 40), st.lists(st.integers(1, 9), max_size=4))
@example([(1, 2, 0), (1, 2, 1), (1, 3, 1)], 2, [])
def test_a_stream_that_grew_is_the_whole_one(rows, first, pieces):
    """From its first events on, which were there at once: moments and self loops may stand on either side."""
    whole = stream(rows, nodes=9)
    columns = whole.sources, whole.destinations, whole.times
    first = min(first, len(whole))
    nodes = max(int(ends[:first].max(initial=1)) for ends in columns[:2])
    grown, pieces = TemporalIndex(*(column[:first] for column in columns), nodes), [first, *pieces]
    for last in [*np.cumsum(pieces).tolist(), len(whole)]:
        last = min(last, len(whole))
        grown.append(*(column[first:last] for column in columns))
        first = max(first, last)
    np.testing.assert_array_equal(grown.previous, whole.previous)
    asked = np.arange(grown.nodes + 1, dtype=np.int32)
    for cut in range(0, len(whole) + 1, 7):
        cuts = np.full(len(asked), cut)
        for one, other in zip(ts.recent(grown, asked, cuts, 5), ts.recent(whole, asked, cuts, 5), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(grown.packed, stream(rows, grown.nodes).packed, strict=True):
        assert torch.equal(one, other)


def test_drawn_neighbours_agree_and_are_as_likely_as_they_should():
    index = random_stream()
    nodes, cuts = queries(index, 60)
    u = ts.draws(3, np.arange(60), 6)
    assert ((u >= 0) & (u < 1)).all() and (np.diff(u, axis=1) >= 0).all()
    np.testing.assert_array_equal(ts.draws(3, np.array([17]), 6)[0], u[17])
    vectorised = ts.uniform_vectorised(index.packed, *map(torch.from_numpy, (nodes.astype(np.int64), cuts, u)))
    for rate in (0.0, 0.05):
        expected = ts.drawn_reference(index, nodes, cuts, u, rate)
        for n, (want, compiled) in enumerate(zip(expected, ts.drawn(index, nodes, cuts, u, rate), strict=True)):
            np.testing.assert_array_equal(compiled, want)
            if rate == 0:
                np.testing.assert_array_equal(vectorised[n].numpy(), want)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_draws_are_as_likely_as_their_weights(rate):
    index = stream([(1, 2, t) for t in range(9)] + [(3, 4, 1)])
    count = 4000
    found = ts.drawn(
        index, np.ones(count, np.int32), np.full(count, len(index)), ts.draws(5, np.arange(count), 5), rate
    )
    weights = np.exp(rate * np.arange(9.0))
    seen = np.bincount(found.times.astype(int).ravel(), minlength=9)
    assert chisquare(seen, weights / weights.sum() * seen.sum()).pvalue > 1e-3


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(1, 5), st.sampled_from([1, 3, 31]))
def test_trees_agree_with_their_definition(rows, depth, most):
    index = stream(rows)
    nodes = np.repeat(np.arange(8, dtype=np.int32), 3)
    cuts = index.cuts(np.tile([3.0, 7.0, 10.0], 8))
    roots = dt.roots(index, nodes, cuts)
    assert roots.tolist() == [last[-1] for last in ts.recent_reference(index, nodes, cuts, 1).events]
    expected = dt.trees_reference(index, roots, depth, most)
    found = dt.trees(index, roots, depth, most)
    width = found.events.shape[1]
    for want, compiled in zip(expected, found, strict=True):
        np.testing.assert_array_equal(compiled, want[:, :width])
        assert not want[:, width:].any()
    tensors = dt.trees_vectorised(index.packed, torch.from_numpy(roots), depth, most)
    wide = tensors.events.shape[1]
    np.testing.assert_array_equal(tensors.events.numpy(), expected.events[:, :wide])
    np.testing.assert_array_equal(tensors.depths.numpy(), expected.depths[:, :wide])
    bits = (tensors.reach.numpy() * (np.int64(1) << np.arange(wide))).sum(-1)
    np.testing.assert_array_equal(bits, expected.reach[:, :wide])


def test_a_whole_tree_without_repeats_is_a_heap():
    index = stream([(1, 2, 0), (3, 4, 1), (1, 3, 2), (5, 6, 3), (1, 5, 4)])
    assert dt.chase(index.packed.previous, torch.tensor([5]), 3).tolist() == [[5, 3, 4, 1, 2, 0, 0]]
    found = dt.trees(index, np.array([5], np.int32), 3, 31)
    assert found.events.tolist() == [[5, 4, 3, 2, 1]] and found.depths.tolist() == [[1, 2, 2, 3, 3]]
    assert found.children.tolist() == [[0, 5, 5, 3, 3]]
    # by its source 1 the root depends on event 3 and, through it, on 2 and 1; by 5, on event 4 alone
    assert found.reach[0, 0].tolist() == [0b11100, 0b00010]


@pytest.mark.parametrize("shift", [1.6e9, 1.6e12])
def test_times_are_exact_however_large(shift):
    rows = [(1, 2, 0.25), (1, 3, 0.5), (1, 2, 0.75)]
    index = stream([(u, v, t + shift) for u, v, t in rows])
    cuts = index.cuts(np.array([0.5, 0.51, 9.0]) + shift)
    assert cuts.tolist() == [1, 2, 3]
    assert (ts.recent(index, np.array([1], np.int32), cuts[2:], 3).times - shift).tolist() == [[0.25, 0.5, 0.75]]


def test_what_is_no_stream_is_said():
    with pytest.raises(DataError, match=r"event 2 at 1.0 is earlier than the one before it, at 2.0"):
        TemporalIndex(np.array([1, 1]), np.array([2, 2]), np.array([2.0, 1.0]), 2)
    with pytest.raises(DataError, match=r"numbered 1\.\.2; found 3 \.\. 3"):
        TemporalIndex(np.array([1]), np.array([3]), np.array([2.0]), 2)
    with pytest.raises(ShapeError, match="float32"):
        TemporalIndex(np.array([1]), np.array([2]), np.array([2.0], np.float32), 2)
    with pytest.raises(DataError, match=r"event 3 at -\d+ is earlier than the one before it, at \d+"):
        far = np.iinfo(np.int64)  # whose difference is no int64
        TemporalIndex(np.array([1, 1, 1]), np.array([2, 2, 2]), np.array([0, far.max, far.min]), 2)
    index = stream([(1, 2, 5.0)])
    with pytest.raises(DataError, match=r"an event at 4\.0 cannot follow one at 5\.0"):
        index.append(np.array([1]), np.array([2]), np.array([4.0]))
    with pytest.raises(OptionError, match="1 to 63 events; found 2 and 64"):
        dt.trees(index, np.array([1], np.int32), 2, 64)
