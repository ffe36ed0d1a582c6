"""Keyed randomness: every draw is a function of (seed, kind, row, number), so no draw waits for another.

A shop of one process equals a shop of many, and a shop with more rows begins with the same rows (splitmix.py).
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.compiled import inner, loop
from tenfold.splitmix import FIRST, GOLDEN, SECOND, mix, to_unit


class Kind(IntEnum):
    """What a stream of draws is for. A kind keeps its number for ever: another number is another shop."""

    BRAND = 1
    ITEM = 2
    SHELF = 3  # which segment each of a block of items belongs to
    MATCH = 4  # how well one item follows another
    CUSTOMER = 5
    TASTE = 6  # which segments a customer likes
    VISIT = 7  # when a customer comes, and for how many events
    EVENT = 8  # what the customer does


@inner
def stream(seed, kind, row):  # type: ignore[no-untyped-def]
    """The key of one row's draws."""
    key = mix(np.uint64(seed) + GOLDEN)
    key = mix(key ^ (np.uint64(kind) * SECOND + GOLDEN))
    return mix(key ^ (np.uint64(row) * FIRST + GOLDEN))


@inner
def uniform(key, number):  # type: ignore[no-untyped-def]
    """Draw `number` of a stream, in [0, 1) with 53 bits."""
    return to_unit(mix(key + (np.uint64(number) + np.uint64(1)) * GOLDEN))


@loop
def _fill(seed, kind, first, out):  # type: ignore[no-untyped-def]
    for row in range(out.shape[0]):
        key = stream(seed, kind, first + row)
        for number in range(out.shape[1]):
            out[row, number] = uniform(key, number)


def uniforms(seed: int, kind: Kind, first: int, last: int, draws: int) -> NDArray[np.float64]:
    """The first `draws` draws of the rows first .. last - 1, in [0, 1): (last - first, draws)."""
    out = np.empty((last - first, draws))
    _fill(np.uint64(seed), int(kind), first, out)
    return out


def normals(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal values from two columns of uniforms (Box and Muller)."""
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
