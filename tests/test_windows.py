"""Windows tile every training part exactly once an epoch, whatever the lengths, and are a function of (seed, epoch)."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.data.windows import Windows
from tenfold.errors import OptionError

seeds = st.one_of(st.none(), st.integers(0, 2**32 - 1))


def packed(lengths):
    """Users with histories of these lengths; item n is the n-th event of the log, so that each is told apart."""
    ends = np.cumsum(lengths)
    return Events.from_histories([list(range(end - n, end)) for n, end in zip(lengths, ends.tolist(), strict=True)])


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=9),
    st.integers(1, 23),
    seeds,
    st.integers(0, 5),
    st.sampled_from(["none", "loo", "stream"]),
)
def test_every_target_stands_in_one_window(lengths, length, seed, epoch, name):
    events = packed(lengths)
    found = split(events, name)
    windows = Windows(found, length)
    start, stop = windows.draw(seed, epoch)
    trained = found.train_end - events.offsets[:-1]
    assert len(windows) == sum(-(-(int(n) - 1) // length) for n in trained if n > 1) == len(start)
    assert ((stop - start >= 1) & (stop - start <= length)).all()
    inputs = [place for a, b in zip(start, stop, strict=True) for place in range(a, b)]
    expected = [p for o, end in zip(events.offsets[:-1], found.train_end, strict=True) for p in range(o, end - 1)]
    assert sorted(inputs) == expected
    for user in range(len(events)):  # a user's first window may be short, its last too, the others are full
        mine = (stop - start)[windows.user == user]
        assert (mine[1:-1] == length).all() and (seed is not None or (mine[1:] == length).all())
    assert (windows.lengths(seed, epoch) == stop - start).all()


def test_windows_in_numbers():
    """A history of 9 has 8 inputs: two windows of at most 5, whose slack is 2."""
    events = Events.from_histories([[10, 11, 12, 13, 14, 15, 16, 17, 18], [19], [20, 21]])
    windows = Windows(split(events, "none"), 5)
    assert windows.user.tolist() == [0, 0, 2]
    assert [bound.tolist() for bound in windows.draw(None, 0)] == [[0, 3, 10], [3, 8, 11]]
    inputs, following = windows.batch(np.array([2, 1, 0]), None, 0)
    assert inputs.tolist() == [[11, 0, 0, 0, 0], [4, 5, 6, 7, 8], [1, 2, 3, 0, 0]]
    assert following.tolist() == [[12, 0, 0, 0, 0], [5, 6, 7, 8, 9], [2, 3, 4, 0, 0]]
    assert inputs.dtype == following.dtype == np.int64
    firsts = Counter(int(windows.draw(seed, 0)[1][0]) for seed in range(300))
    assert set(firsts) == {3, 4, 5} and min(firsts.values()) > 60


def test_histories_are_whole_training_parts():
    events = Events.from_histories([[10, 11, 12, 13, 14, 15], [16, 17, 18, 16, 17]])
    windows = Windows(split(events, "loo"), 2)
    had, offsets = windows.histories(np.array([2, 0, 2]))
    assert windows.user.tolist() == [0, 0, 1] and offsets.tolist() == [0, 3, 7, 10]
    assert events.catalogue.ids(had) == [16, 17, 18, 10, 11, 12, 13, 16, 17, 18]


def test_shifts_are_even_and_change_with_seed_epoch_and_user():
    length, count = 7, 20_000
    windows = Windows(split(packed([9] * count), "none"), length)  # 8 inputs, two windows, slack 6
    shifts = {}
    for key in ((0, 0), (0, 1), (1, 0), (1, 1)):
        shifts[key] = length - windows.lengths(*key)[::2]
        counts = np.bincount(shifts[key], minlength=7)
        assert ((counts - count / 7) ** 2 / (count / 7)).sum() < 22.5  # chi-square, 6 degrees, p = 0.001
    for first in shifts:
        for second in shifts:
            if first < second:
                share = (shifts[first] == shifts[second]).mean()
                assert abs(share - 1 / 7) < 5 * np.sqrt(6 / 49 / count)


def test_the_draw_depends_on_nothing_else():
    events = packed([30, 4, 61, 18])
    windows, again = Windows(split(events, "none"), 6), Windows(split(events, "none"), 6)
    first = [bound.copy() for bound in windows.draw(3, 2)]
    again.draw(3, 1)  # another epoch in between
    again = pickle.loads(pickle.dumps(again))  # as a loader process gets it
    for one, other in zip(first, again.draw(3, 2), strict=True):
        assert (one == other).all()
    whole, following = windows.batch(np.arange(len(windows)), 3, 2)
    for row in range(len(windows)):
        one, after = again.batch(np.array([row]), 3, 2)
        width = one.shape[1]
        assert (whole[row, :width] == one[0]).all() and not whole[row, width:].any()
        assert (following[row, :width] == after[0]).all() and not following[row, width:].any()


def test_a_window_holds_something():
    with pytest.raises(OptionError, match="at least one event; found length 0"):
        Windows(split(packed([3]), "none"), 0)


def test_nothing_to_train_on_is_no_window():
    assert len(Windows(split(packed([1, 2, 1]), "loo"), 4)) == 1 and len(Windows(split(packed([1, 1]), "none"), 4)) == 0
