"""Edits by their definition, by the vectors of the authors' oracle, and by what they must do: turn x into y."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import ShapeError
from tenfold.metrics.parent import common_reference
from tenfold.ops.edits import edits, edits_in_steps, edits_reference, embedded, embedded_reference, gap_counts

VERSIONS = [edits, edits_in_steps]
tokens = st.lists(st.integers(1, 4), max_size=9)  # few symbols: ties everywhere


def padded(rows, width=None):
    width = width or max(map(len, rows), default=0) or 1
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "x, y, deleted, inserted",
    [
        ([9, 5, 5, 2], [9, 5, 2], [0, 0, 1, 0], [0, 0, 0]),
        ([9, 7, 5, 2], [9, 5, 7, 2], [0, 1, 0, 0], [0, 1, 0]),
        ([9, 5, 8, 6, 2], [9, 6, 5, 2], [0, 1, 1, 0, 0], [0, 1, 0]),
        ([9, 5, 2], [9, 5, 5, 2], [0, 0, 0], [0, 1]),
    ],
)
def test_vectors_of_the_authors_oracle(version, x, y, deleted, inserted):
    """9 begins and 2 ends a text; inserted: how many behind each kept token but the last."""
    found = version(torch.tensor([x]), torch.tensor([y]))
    assert found.deleted.int().tolist() == [deleted]
    gaps = gap_counts(found.found, torch.ones(1, len(y), dtype=torch.bool)).tolist()[0]
    kept = [token for token, gone in zip(x, deleted, strict=True) if not gone]
    assert gaps[: len(kept) - 1] == inserted[: len(kept) - 1]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=5), st.integers(0, 3))
def test_batches_are_the_definition_whatever_the_padding(pairs, more):
    xs, ys = ([pair[side] for pair in pairs] for side in (0, 1))
    x, y = (padded(rows, max(map(len, rows)) + more + 1) for rows in (xs, ys))
    for version in VERSIONS:
        found = version(x, y)
        for b, (one, two) in enumerate(pairs):
            deleted, kept = edits_reference(one, two)
            assert found.deleted[b].tolist() == deleted + [False] * (x.shape[1] - len(one))
            assert found.found[b].tolist() == kept + [False] * (y.shape[1] - len(two))


@settings(max_examples=200, deadline=None)
@given(tokens, tokens)
def test_what_is_kept_is_a_longest_common_subsequence(x, y):
    deleted, found = edits_reference(x, y)
    kept = [token for token, gone in zip(x, deleted, strict=True) if not gone]
    assert kept == [token for token, there in zip(y, found, strict=True) if there]
    assert len(kept) == common_reference(x, y)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(tokens, st.randoms(use_true_random=False)), min_size=1, max_size=4))
def test_a_subsequence_is_found_from_the_right(rows):
    ys = [row for row, _ in rows]
    zs = [[token for token in row if rng.random() < 0.5] for row, rng in rows]
    found = embedded(padded(zs), padded(ys))
    assert found.shape == padded(ys).shape
    for b, (z, y) in enumerate(zip(zs, ys, strict=True)):
        expected = embedded_reference(z, y)
        assert found[b, : len(y)].tolist() == expected
        # No other embedding has its last token, its last but one and so on further right.
        assert z == [token for token, there in zip(y, expected, strict=True) if there]
        at, right = [i for i, there in enumerate(expected) if there], len(y)
        for token, place in zip(reversed(z), reversed(at), strict=True):
            assert token not in y[place + 1 : right]
            right = place


def test_what_is_not_in_a_text_is_refused_by_row():
    with pytest.raises(ShapeError, match=r"row 1: \[3, 2\] is no subsequence of \[2, 3\]"):
        embedded(torch.tensor([[2, 3], [3, 2]]), torch.tensor([[2, 3], [2, 3]]))
    with pytest.raises(ShapeError, match="no subsequence"):
        embedded_reference([3], [2])
    with pytest.raises(ShapeError, match="of int64"):
        edits(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64))


def test_gaps_of_several_rows():
    kept = torch.tensor([[1, 0, 0, 1, 1, 0, 1], [1, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    real = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]], dtype=torch.bool)
    assert gap_counts(kept, real).tolist() == [[2, 0, 1], [1, 0, 0]]
