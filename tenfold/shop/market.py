"""What the catalogue means to customers: what sells when and to whom, and which item follows which.

A position is an item's place in the order of segments, so that a segment's pool of items is a slice.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.catalog import MONTHS, Catalog
from tenfold.shop.compiled import inner, loop
from tenfold.shop.options import Options
from tenfold.shop.streams import Kind, stream, uniform
from tenfold.shop.traits import PRICE_CLASSES, SEASONS, STYLES, THEME_SEASONS, THEMES

CROSS, SIMILAR = 3, 2  # what follows an item: of its theme's next category, and of its own
FOLLOWS = np.array([0.55, 0.17, 0.06, 0.17, 0.05])  # how likely each of them is, where all are sold
CANDIDATES = 64  # among so many are an item's followers looked for; a large shop has more, and they are not missed
TOP = 48  # of each pool, the best sellers that the oracle looks at: more than its list and all favourites are long


class Market(NamedTuple):
    """Arrays for compiled loops. P positions, G segments, M months, C price classes."""

    item: NDArray[np.int32]  # (P,): row in the catalogue
    start: NDArray[np.int64]  # (G + 1,): a segment's pool is start[g] .. start[g + 1]
    segment: NDArray[np.int32]  # (P,)
    brand: NDArray[np.int32]  # (P,)
    tier: NDArray[np.int32]  # (P,)
    arrived: NDArray[np.int32]  # (P,)
    limits: NDArray[np.float64]  # (M, C, P): the distribution function of what sells in a pool
    top: NDArray[np.int32]  # (M, C, G, TOP): positions that sell best in their pool, -1 where there are no more
    follower: NDArray[np.int32]  # (P, 5): positions, -1 where there is none
    follows: NDArray[np.float64]  # (5,)
    season: NDArray[np.float64]  # (M, G): how much a segment is looked for, sums to 1 over G
    affordable: NDArray[np.float64]  # (C, tiers)


def build_market(catalog: Catalog, options: Options) -> Market:
    order = np.lexsort((np.arange(len(catalog)), catalog.segment))
    start = np.searchsorted(catalog.segment[order], np.arange(catalog.segments + 1))
    gap = np.abs(np.arange(len(PRICE_CLASSES))[:, None] - np.arange(3))
    affordable = np.exp(-0.9 * gap)
    limits, top = _sales(catalog, order, start, affordable)
    follower = np.full((len(order), CROSS + SIMILAR), -1, np.int32)
    kind = catalog.category[order]
    columns = (kind, _next_kinds(kind, start), *(c[order] for c in (catalog.colour, catalog.pattern, catalog.brand)))
    likings = 0.5 * np.log(catalog.popularity)[order]
    _match(np.uint64(options.seed), int(Kind.MATCH), start, order, np.stack(columns), likings, follower)
    return Market(
        item=order.astype(np.int32),
        start=start,
        segment=catalog.segment[order].astype(np.int32),
        brand=catalog.brand[order].astype(np.int32),
        tier=catalog.tier[order].astype(np.int32),
        arrived=catalog.arrived[order].astype(np.int32),
        limits=limits,
        top=top,
        follower=follower,
        follows=FOLLOWS,
        season=_theme_seasons(start),
        affordable=affordable,
    )


def season_of(month: int) -> int:
    """Number in SEASONS of a month counted from a January."""
    return {0: 4, 1: 1, 2: 2, 3: 3}[(month + 1) // 3 % 4]


def _theme_seasons(start: NDArray[np.int64]) -> NDArray[np.float64]:
    table = np.empty((MONTHS, len(start) - 1))
    for month in range(MONTHS):
        season = SEASONS[season_of(month)]
        table[month] = [THEME_SEASONS[THEMES[g // len(STYLES)]][season] for g in range(len(start) - 1)]
    table *= np.diff(start) > 0
    return table / table.sum(1, keepdims=True)


def _sales(
    catalog: Catalog, order: NDArray[np.int64], start: NDArray[np.int64], affordable: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """What sells: the popular, what the season asks for, what is new, what the purse allows."""
    popularity, season, arrived, tier = (
        c[order] for c in (catalog.popularity, catalog.season, catalog.arrived, catalog.tier)
    )
    limits = np.empty((MONTHS, len(PRICE_CLASSES), len(order)))
    top = np.full((MONTHS, len(PRICE_CLASSES), len(start) - 1, TOP), -1, np.int32)
    for month in range(MONTHS):
        age = month - arrived
        fits = np.where(season == 0, 1.0, np.where(season == season_of(month), 2.0, 0.4))
        new = np.where(arrived > 0, 1 + 1.5 * np.exp(-np.maximum(age, 0) / 2), 1.0)
        for purse in range(len(PRICE_CLASSES)):
            weights = popularity * fits * new * affordable[purse, tier] * (age >= 0)
            for g in np.flatnonzero(np.diff(start)):
                pool = weights[start[g] : start[g + 1]]
                limits[month, purse, start[g] : start[g + 1]] = pool.cumsum() / pool.sum()
                best = np.argsort(-pool, kind="stable")[:TOP]
                top[month, purse, g, : len(best)] = start[g] + best
    return limits, top


def _next_kinds(kind: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """After the tent the sleeping bag, after that the lantern, then tents again: of what the pool has; -1 alone."""
    after = np.full(len(kind), -1)
    for first, last in itertools.pairwise(start):
        present, place = np.unique(kind[first:last], return_inverse=True)
        if len(present) > 1:
            after[first:last] = np.roll(present, -1)[place]
    return after


@loop
def _match(seed, stream_kind, start, order, columns, likings, follower):  # type: ignore[no-untyped-def]
    """The items that follow each item: alike in colour, pattern and brand, liked by others, and a keyed liking.

    columns: category, next category, colour, pattern, brand, in the order of positions; follower is filled.
    """
    best = np.empty(CROSS + SIMILAR)
    for g in range(len(start) - 1):
        first, last = start[g], start[g + 1]
        stride = max(1, (last - first) // CANDIDATES)
        for i in range(first, last):
            best[:] = -np.inf
            key = stream(seed, stream_kind, order[i])
            for j in range(first + i % stride, last, stride):
                if i == j:
                    continue
                score = likings[j] + 1.5 * uniform(key, order[j]) + 1.0 * (columns[2, i] == columns[2, j])
                score += 0.5 * (columns[3, i] == columns[3, j]) + 0.5 * (columns[4, i] == columns[4, j])
                if columns[0, j] == columns[1, i]:
                    _insert(best, follower[i], j, score, 0, CROSS)
                if columns[0, j] == columns[0, i]:
                    _insert(best, follower[i], j, score, CROSS, CROSS + SIMILAR)


@inner
def _insert(best, row, j, score, first, last):  # type: ignore[no-untyped-def]
    """Put j among row[first:last], the highest score first."""
    place = last
    while place > first and score > best[place - 1]:
        place -= 1
    for k in range(last - 1, place, -1):
        best[k], row[k] = best[k - 1], row[k - 1]
    if place < last:
        best[place], row[place] = score, j
