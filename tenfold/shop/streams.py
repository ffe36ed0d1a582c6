"""Keyed randomness: every draw is a function of (seed, kind, row, number), so no draw waits for another.

A shop of one process equals a shop of many, and a shop with more rows begins with the same rows. The generator is
splitmix64 (Steele, Lea and Flood, OOPSLA 2014), read at any place: its n-th value is a hash of key + n * golden ratio.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.compiled import inner, loop

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S27, S30, S31, S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)


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
def mix(x):  # type: ignore[no-untyped-def]  # numba infers uint64 -> uint64
    """splitmix64's finaliser: a bijection of 64 bits that hides all structure of its input."""
    x = (x ^ (x >> S30)) * FIRST
    x = (x ^ (x >> S27)) * SECOND
    return x ^ (x >> S31)


@inner
def stream(seed, kind, row):  # type: ignore[no-untyped-def]
    """The key of one row's draws."""
    key = mix(np.uint64(seed) + GOLDEN)
    key = mix(key ^ (np.uint64(kind) * SECOND + GOLDEN))
    return mix(key ^ (np.uint64(row) * FIRST + GOLDEN))


@inner
def uniform(key, number):  # type: ignore[no-untyped-def]
    """Draw `number` of a stream, in [0, 1) with 53 bits."""
    return np.float64(mix(key + (np.uint64(number) + np.uint64(1)) * GOLDEN) >> S11) * 2.0**-53


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
