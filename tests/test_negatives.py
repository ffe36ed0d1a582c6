"""Negatives are uniform over what they may be, never what they may not, and a function of their keys alone."""

import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.negatives import per_position, per_sample
from tenfold.errors import DataError


def chi_square(counts):
    expected = counts.sum() / len(counts)
    return ((counts - expected) ** 2 / expected).sum()


def test_uniform_over_all_but_the_positive():
    items, rows, length, k = 11, 40, 50, 9
    following = np.full((rows, length), 4)
    drawn = per_position(following, np.arange(rows), items, k, seed=1, epoch=0)
    assert drawn.shape == (rows, length, k) and drawn.dtype == np.int64
    counts = np.bincount(drawn.ravel(), minlength=items + 1)
    assert counts[0] == 0 and counts[4] == 0
    assert chi_square(np.delete(counts, [0, 4])) < 27.9  # 9 degrees, p = 0.001
    for j in range(k):  # and so is each of the k, for itself
        assert chi_square(np.delete(np.bincount(drawn[..., j].ravel(), minlength=items + 1), [0, 4])) < 40


def test_uniform_over_the_catalogue():
    items, rows, k = 13, 900, 17
    drawn = per_sample(np.arange(rows), items, k, seed=1, epoch=0)
    assert drawn.shape == (rows, k) and drawn.dtype == np.int64
    counts = np.bincount(drawn.ravel(), minlength=items + 1)
    assert counts[0] == 0 and chi_square(counts[1:]) < 32.9  # 12 degrees, p = 0.001


@pytest.mark.parametrize("positive", [1, 7, 12], ids=["not had", "had", "the last, not had"])
def test_uniform_without_a_history(positive):
    items, rows, length, k = 12, 30, 40, 5
    had = np.array([3, 7, 7, 0, 11, 3, 2])
    following = np.full((rows, length), positive)
    bounds = np.arange(rows + 1) * len(had)
    drawn = per_position(following, np.arange(rows), items, k, seed=2, epoch=3, had=(np.tile(had, rows), bounds))
    counts = np.bincount(drawn.ravel(), minlength=items + 1)
    allowed = sorted(set(range(1, items + 1)) - set(had.tolist()) - {positive})
    assert set(np.flatnonzero(counts)) == set(allowed)
    assert chi_square(counts[allowed]) < 26.2  # at most 7 degrees, p = 0.0005


@settings(deadline=None)
@given(st.integers(2, 9), st.lists(st.integers(0, 9), max_size=12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_never_what_the_user_had(items, had, positive, seed):
    had, positive = [item for item in had if item <= items], min(positive, items)
    following = np.array([[positive, 0]])
    drawn = per_position(
        following, np.array([5]), items, 30, seed=seed, epoch=0, had=(np.array(had), np.array([0, len(had)]))
    )
    allowed = set(range(1, items + 1)) - {positive}
    assert set(drawn[0, 0].tolist()) <= (allowed - set(had) or allowed)  # who had everything gets any but the positive
    assert not drawn[0, 1].any()


def test_nothing_else_decides():
    rng = np.random.default_rng(0)
    following, samples = rng.integers(0, 30, (23, 19)), rng.permutation(1000)[:23]
    taken, bounds = rng.integers(0, 30, 230), np.arange(24) * 10
    for more in ({}, {"had": (taken, bounds)}):
        whole = per_position(following, samples, 29, 3, seed=7, epoch=2, **more)
        assert (whole[following == 0] == 0).all() and (whole[following > 0] > 0).all()
        for row in (0, 5, 22):  # alone, shorter, with fewer negatives
            one = {"had": (taken[bounds[row] : bounds[row + 1]], np.array([0, 10]))} if more else {}
            alone = per_position(following[row : row + 1, :11], samples[row : row + 1], 29, 2, seed=7, epoch=2, **one)
            assert (alone[0] == whole[row, :11, :2]).all()
    shared = per_sample(samples, 29, 6, seed=7, epoch=2)
    assert (per_sample(samples[4:5], 29, 3, seed=7, epoch=2)[0] == shared[4, :3]).all()


@pytest.mark.parametrize("other", [{"seed": 8}, {"epoch": 3}, {"samples": 9}], ids=str)
def test_each_key_changes_all(other):
    items, count = 50, 20_000
    keys = {"seed": 7, "epoch": 2, "samples": 4}

    def draw(*, samples, **rest):
        return per_position(np.full((1, count), 50), np.array([samples]), items, 1, **rest).ravel()

    share = (draw(**keys) == draw(**keys | other)).mean()
    assert abs(share - 1 / 49) < 5 * np.sqrt(1 / 49 / count)

    def shared(*, samples, **rest):
        return per_sample(np.array([samples]), items, count, **rest).ravel()

    share = (shared(**keys) == shared(**keys | other)).mean()
    assert abs(share - 1 / 50) < 5 * np.sqrt(1 / 50 / count)


def test_positions_and_numbers_are_independent():
    drawn = per_position(np.full((200, 101), 1), np.arange(200), 41, 2, seed=0, epoch=0)
    for one, other in ((drawn[:, :-1], drawn[:, 1:]), (drawn[..., 0], drawn[..., 1]), (drawn[:-1], drawn[1:])):
        assert abs((one == other).mean() - 1 / 40) < 5 * np.sqrt(1 / 40 / one.size)


def in_another_process(queue):
    queue.put(per_position(np.full((3, 4), 2), np.arange(3), 99, 5, seed=1, epoch=1))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_loader_process_draws_the_same(method):
    expected = per_position(np.full((3, 4), 2), np.arange(3), 99, 5, seed=1, epoch=1)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=in_another_process, args=(queue,))
    process.start()
    assert (queue.get(timeout=120) == expected).all()
    process.join(timeout=60)
    assert process.exitcode == 0


def test_one_item_has_no_negatives():
    with pytest.raises(DataError, match="a catalogue of one item has no negatives"):
        per_position(np.ones((1, 2), dtype=np.int64), np.array([0]), 1, 1, seed=0, epoch=0)
    assert not per_position(np.zeros((1, 2), dtype=np.int64), np.array([0]), 1, 1, seed=0, epoch=0).any()


def test_a_catalogue_of_two_and_of_many():
    assert (per_position(np.array([[1, 2]]), np.array([0]), 2, 4, seed=0, epoch=0)[0] == [[2] * 4, [1] * 4]).all()
    many = 2**31 - 1
    drawn = per_sample(np.arange(500), many, 20, seed=0, epoch=0)
    assert drawn.min() >= 1 and drawn.max() <= many and len(np.unique(drawn)) > 9_990
    assert abs(drawn.mean() / many - 0.5) < 0.015
