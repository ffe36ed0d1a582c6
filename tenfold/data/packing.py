"""The loops over events that no table library has: numbering ids, packing by user, order, duplicates, k-cores.

E events, U users, V items. They are compiled once, hold no state and start no threads: loader processes may call them.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numba import njit

DIRECT = 1 << 26  # pairs of item and kind that may be counted in a table
GROWTH = 4  # a table of numbers is made so much larger when it is half full


def alike(lengths: np.ndarray, cells: int, most: int | None = None) -> Iterator[np.ndarray]:
    """Rows in groups of about one length, the short ones first: padded, a group has at most `cells` places (or is one
    row), and at most `most` rows. One very long row does not make all others as long."""
    order, begin = np.argsort(lengths, kind="stable"), 0
    most = len(order) if most is None else most
    while begin < len(order):
        end = begin + 1
        while end < len(order) and end - begin < most and (end + 1 - begin) * lengths[order[end]] <= cells:
            end += 1
        yield order[begin:end]
        begin = end


class Numbering:
    """Numbers 1, 2, ... for ids in order of appearance, batch after batch.

    An id is known by two 64-bit hashes: among a thousand million ids two would be mixed up with probability 1e-21.
    """

    def __init__(self, size: int = 1 << 16) -> None:
        self.appeared: list[pl.Series] = []
        self.count = 0
        self._numbers = np.zeros(size, np.int32)
        self._keys = np.zeros(size, np.uint64), np.zeros(size, np.uint64)

    def add(self, ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """(n,) int32 numbers of ids, none of which is empty; and the rows of those that appeared for the first time."""
        one, two = ids.hash(seed=1).to_numpy(), ids.hash(seed=2).to_numpy()
        found, first = np.empty(len(ids), np.int32), np.empty(len(ids), np.int64)
        done, count = 0, self.count
        while True:
            done, count = _number(one, two, self._numbers, *self._keys, done, self.count, count, found, first)
            if done == len(ids):
                break
            self._numbers, *keys = _rehash(self._numbers, *self._keys, GROWTH * len(self._numbers))
            self._keys = keys[0], keys[1]
        first = first[: count - self.count]
        self.count = count
        if len(first):
            self.appeared.append(ids.gather(first))
        return found, first

    def ids(self) -> pl.Series:
        return pl.concat(self.appeared) if self.appeared else pl.Series([], dtype=pl.String)


@njit(cache=True, nogil=True)
def _number(one, two, numbers, ones, twos, row, before, count, found, first):  # type: ignore[no-untyped-def]
    """Go on at `row` until the end or until the table is half full; returns the row and the count reached."""
    mask = np.uint64(len(numbers) - 1)
    while row < len(one) and 2 * count < len(numbers):
        slot = one[row] & mask
        while numbers[slot] != 0 and (ones[slot] != one[row] or twos[slot] != two[row]):
            slot = (slot + np.uint64(1)) & mask
        if numbers[slot] == 0:
            first[count - before] = row
            count += 1
            numbers[slot], ones[slot], twos[slot] = count, one[row], two[row]
        found[row] = numbers[slot]
        row += 1
    return row, count


@njit(cache=True, nogil=True)
def _rehash(numbers, ones, twos, size):  # type: ignore[no-untyped-def]
    mask = np.uint64(size - 1)
    larger, new_ones, new_twos = np.zeros(size, np.int32), np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    for old in range(len(numbers)):
        if numbers[old] != 0:
            slot = ones[old] & mask
            while larger[slot] != 0:
                slot = (slot + np.uint64(1)) & mask
            larger[slot], new_ones[slot], new_twos[slot] = numbers[old], ones[old], twos[old]
    return larger, new_ones, new_twos


@njit(cache=True, nogil=True)
def out_of_order(users, times, latest):  # type: ignore[no-untyped-def]
    """How many of these events (users (n,) from 1, times (n,)) are earlier than one before them of the same user, and
    the row of the first, -1 for none. latest (U + 1,) is each user's latest time so far, -inf before; it is updated."""
    count, first = 0, -1
    for row in range(len(users)):
        if times[row] < latest[users[row]]:
            count += 1
            if first < 0:
                first = row
        else:
            latest[users[row]] = times[row]
    return count, first


@njit(cache=True, nogil=True)
def offsets_of(users, count):  # type: ignore[no-untyped-def]
    """Where each user's events begin, (U + 1,), by counting; users (E,) from 1."""
    offsets = np.zeros(count + 1, np.int64)
    for user in users:
        offsets[user] += 1
    for user in range(count):
        offsets[user + 1] += offsets[user]
    return offsets


@njit(cache=True, nogil=True)
def packed(users, values, offsets):  # type: ignore[no-untyped-def]
    """values (E,) of the first user, then of the second ..., each in the order in which they came."""
    place = offsets[:-1].copy()
    out = np.empty_like(values)
    for row in range(len(users)):
        user = users[row] - 1
        out[place[user]] = values[row]
        place[user] += 1
    return out


@njit(cache=True, nogil=True)
def sort_each(items, times, offsets):  # type: ignore[no-untyped-def]
    """Put each user's events in order of time, in place; equal times keep their order.

    A merge sort of our own, without slices: numba takes seconds to compile numpy's, and a newcomer waits for it.
    """
    longest = 0
    for user in range(len(offsets) - 1):
        longest = max(longest, offsets[user + 1] - offsets[user])
    other_items, other_times = np.empty(longest, items.dtype), np.empty(longest, times.dtype)
    for user in range(len(offsets) - 1):
        begin, size = offsets[user], offsets[user + 1] - offsets[user]
        unsorted = False
        for place in range(begin + 1, begin + size):
            unsorted = unsorted or times[place] < times[place - 1]
        width, moved = 1, False  # of the runs that are in order; whether they lie in the other arrays
        while unsorted and width < size:
            if moved:
                _merge(other_items, other_times, 0, items, times, begin, size, width)
            else:
                _merge(items, times, begin, other_items, other_times, 0, size, width)
            width, moved = 2 * width, not moved
        if moved:
            for place in range(size):
                items[begin + place], times[begin + place] = other_items[place], other_times[place]


@njit(cache=True, nogil=True)
def _merge(items, times, begin, to_items, to_times, to, size, width):  # type: ignore[no-untyped-def]
    """Runs of `width` events from place `begin` on, two at a time, to runs of twice that from place `to` on."""
    for low in range(0, size, 2 * width):
        middle, high = min(low + width, size), min(low + 2 * width, size)
        left, right = low, middle
        for place in range(low, high):
            first = right == high or (left < middle and times[begin + left] <= times[begin + right])
            source = begin + (left if first else right)
            to_items[to + place], to_times[to + place] = items[source], times[source]
            left, right = left + first, right + (not first)


@njit(cache=True, nogil=True)
def repeats(items, times, offsets, catalogue):  # type: ignore[no-untyped-def]
    """(E,) bool: an earlier event of the user has the same item and time; without times (0,) the same item."""
    again = np.zeros(len(items), np.bool_)
    seen = np.full(catalogue + 1, -1, np.int64)  # the stretch of one user and time in which an item was last seen
    stretch = 0
    for user in range(len(offsets) - 1):
        stretch += 1
        for place in range(offsets[user], offsets[user + 1]):
            if len(times) and place > offsets[user] and times[place] != times[place - 1]:
                stretch += 1
            again[place] = seen[items[place]] == stretch
            seen[items[place]] = stretch
    return again


def together(items: np.ndarray, catalogue: int, kinds: np.ndarray | None, names: int) -> tuple[np.ndarray, int]:
    """One number (E,) for each pair of an item 1..catalogue and a kind 0..names, and the largest there may be."""
    if kinds is None or not names:
        return items, catalogue
    pairs = items.astype(np.int64) * (names + 1) + kinds
    most = (catalogue + 1) * (names + 1)
    if most < DIRECT:
        return pairs.astype(np.int32), most
    found, dense = np.unique(pairs, return_inverse=True)
    return dense.astype(np.int32), len(found)


@njit(cache=True, nogil=True)
def core(items, offsets, catalogue, min_user, min_item):  # type: ignore[no-untyped-def]
    """(E,) bool: what is left when users and items with too few events go, and again, until all have enough."""
    keep = np.ones(len(items), np.bool_)
    changed = True
    while changed:
        changed = False
        per_item = np.zeros(catalogue + 1, np.int64)
        for place in range(len(items)):
            if keep[place]:
                per_item[items[place]] += 1
        for user in range(len(offsets) - 1):
            left = 0
            for place in range(offsets[user], offsets[user + 1]):
                if keep[place] and per_item[items[place]] < min_item:
                    keep[place] = False
                    changed = True
                left += keep[place]
            if left < min_user:
                for place in range(offsets[user], offsets[user + 1]):
                    changed = changed or keep[place]
                    keep[place] = False
    return keep


def raw(array: np.ndarray) -> memoryview:
    """The bytes of an array, not copied where they lie together."""
    return memoryview(np.ascontiguousarray(array)).cast("B")  # type: ignore[arg-type]


def kept(offsets: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The offsets (U' + 1,) when only some events (E,) bool stay, and which users (U,) bool still have any."""
    before = np.concatenate([[0], np.cumsum(keep)])[offsets]
    stays = np.diff(before) > 0
    return np.concatenate([[0], before[1:][stays]]).astype(np.int64), stays


def renumbered(items: np.ndarray, catalogue: int) -> tuple[np.ndarray, np.ndarray]:
    """Items (E,) in the numbers 1..V' of those that still occur, which are the old numbers returned beside them."""
    there = np.zeros(catalogue + 1, bool)
    there[items] = True
    there[0] = False
    new = np.cumsum(there, dtype=np.int32)
    new[~there] = 0
    return new[items], np.flatnonzero(there)
