"""Keyed randomness: every draw is a function of (seed, kind, row, number), so no draw waits for another.

A shop of one process equals a shop of many, and a shop with more rows begins with the same rows (splitmix.py).
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.compiled import inner, loop
from tenfold.splitmix import FIRST, GOLDEN, SECOND, mix, to_unit

T = TypeVar("T")


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
    CUT = 9
    ITEM_SPLIT = 10  # which items are for training, which for tests
    USER_SPLIT = 11
    PICTURE = 20  # pose, light and background; a row is an item and the number of its picture
    TEXT = 30
    FACT = 31  # an item's numbers and invented names
    MEETING = 40
    FRIEND = 41
    QUESTION = 50
    SCENE = 60
    LABEL = 70
    LABEL_ORDER = 71  # which class each of ten rows is of, and so its split
    LABEL_GRAIN = 72
    MAKE = 80


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


class Draws:
    """The draws of one row, one after another: for what is drawn in Python, a row at a time."""

    def __init__(self, seed: int, kind: Kind, row: int) -> None:
        self._of = seed, kind, row
        self._values: list[float] = []
        self._used = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        if self._used == len(self._values):
            seed, kind, row = self._of
            self._values = uniforms(seed, kind, row, row + 1, max(32, 2 * self._used))[0].tolist()
        value = self._values[self._used]
        self._used += 1
        return low + (high - low) * value

    def normal(self) -> float:
        radius = math.sqrt(-2 * math.log1p(-self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self.uniform() * count)

    def happens(self, chance: float) -> bool:
        return self.uniform() < chance

    def pick(self, values: Sequence[T], weights: Sequence[float] | None = None) -> T:
        if weights is None:
            return values[self.below(len(values))]
        limits = list(accumulate(weights))
        u = self.uniform() * limits[-1]
        return next(value for value, limit in zip(values, limits, strict=True) if u < limit)

    def some(self, values: Sequence[T], count: int) -> list[T]:
        """`count` of them, each at most once, in any order."""
        left = list(values)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def normals(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal values from two columns of uniforms (Box and Muller)."""
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
