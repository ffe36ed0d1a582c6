"""Negatives for training: uniform over the catalogue, and a function of (seed, epoch, sample, position, number) alone.

A sample is a training window by its number. Shapes: B samples, L positions, k negatives, V items.
"""

import numpy as np
from numba import njit

from tenfold.data.hashing import below, mixed
from tenfold.errors import DataError

Had = tuple[np.ndarray, np.ndarray]  # what each sample's user had, end to end, and the B + 1 offsets

NOTHING = np.empty(0, np.int64)


def per_position(
    following: np.ndarray, samples: np.ndarray, items: int, k: int, *, seed: int, epoch: int, had: Had | None = None
) -> np.ndarray:
    """(B, L, k) int64, uniform over 1..V without the positive that stands in following (B, L); 0 where that is 0.

    had: these are left out as well, exactly, whatever their share; a user who had everything gets any but the positive.
    Raises DataError.
    """
    if items < 2 and (following > 0).any():
        raise DataError("a catalogue of one item has no negatives; train with the loss 'softmax', or give more items")
    taken, bounds = had if had is not None else (NOTHING, np.zeros(len(following) + 1, np.int64))
    return _per_position(
        np.asarray(following, np.int64),
        np.asarray(samples, np.int64),
        items,
        k,
        np.uint64(seed),
        np.uint64(epoch),
        np.asarray(taken, np.int64),
        np.asarray(bounds, np.int64),
    )


def per_sample(samples: np.ndarray, items: int, k: int, *, seed: int, epoch: int) -> np.ndarray:
    """(B, k) int64, uniform over 1..V: one set for all positions of a sample, positives not excluded."""
    return _per_sample(np.asarray(samples, np.int64), items, k, np.uint64(seed), np.uint64(epoch))


def per_batch(batch: int, items: int, k: int, *, seed: int, epoch: int) -> np.ndarray:
    """(1, k) int64, uniform over 1..V: one set for all samples of a batch, in all processes that share it."""
    return _per_sample(np.array([-1 - batch], np.int64), items, k, np.uint64(seed), np.uint64(epoch))


@njit(cache=True, nogil=True)
def _per_position(following, samples, items, k, seed, epoch, taken, bounds):  # type: ignore[no-untyped-def]
    rows, length = following.shape
    drawn = np.zeros((rows, length, k), np.int64)
    root = mixed(mixed(seed, epoch), 1)
    for row in range(rows):
        of_sample = mixed(root, samples[row])
        left_out = np.unique(taken[bounds[row] : bounds[row + 1]])
        left_out = left_out[left_out > 0]
        for position in range(length):
            positive = following[row, position]
            if positive == 0:
                continue
            of_position = mixed(of_sample, position)
            # the positive is one more to leave out, unless the user had it, or had so much that only it counts
            place = np.searchsorted(left_out, positive)
            among = place < len(left_out) and left_out[place] == positive
            free = items - len(left_out) - (0 if among else 1)
            for j in range(k):
                key = mixed(of_position, j)
                if free > 0:
                    if among:
                        drawn[row, position, j] = _free(left_out, below(key, free))
                    else:
                        # as if the positive stood last: what would have been it becomes the free item of the last rank
                        item = _free(left_out, below(key, free))
                        drawn[row, position, j] = _free(left_out, free) if item == positive else item
                else:
                    item = below(key, items - 1) + 1
                    drawn[row, position, j] = item + (item >= positive)
    return drawn


@njit(cache=True, nogil=True)
def _free(left_out, rank):  # type: ignore[no-untyped-def]
    """The item of this rank, from 0, among 1, 2, ... without those of left_out, which ascend."""
    low, high = 0, len(left_out)
    while low < high:  # left_out[i] - 1 - i free items stand before left_out[i]
        middle = (low + high) // 2
        if left_out[middle] - 1 - middle <= rank:
            low = middle + 1
        else:
            high = middle
    return rank + 1 + low


@njit(cache=True, nogil=True)
def _per_sample(samples, items, k, seed, epoch):  # type: ignore[no-untyped-def]
    drawn = np.empty((len(samples), k), np.int64)
    root = mixed(mixed(seed, epoch), 2)
    for row in range(len(samples)):
        of_sample = mixed(root, samples[row])
        for j in range(k):
            drawn[row, j] = below(mixed(of_sample, j), items) + 1
    return drawn
