"""The loops of the rules that count: running totals of a history, and the first k of what a rule says of few items.

A rule says something of some items, and popularity orders the others: the first k are then found without a score for
each item of the catalogue.

Shapes: B users, V items (0 is padding), N queries, P pairs of items in a table by row: start (V + 2,), column and value
(P,).
"""

from typing import NamedTuple

import numpy as np
from numba import njit


class Said(NamedTuple):
    """What a rule looks at of each user: user u has items[offsets[u] : offsets[u + 1]], each known, with its weight.

    most: of an item's weights the largest counts; without it they are added up.
    """

    items: np.ndarray  # int64
    weights: np.ndarray  # float32
    offsets: np.ndarray  # (B + 1,) int64
    most: bool = False


class Pairs(NamedTuple):
    """What an item of a user says of others; row i has value[start[i] : start[i + 1]]."""

    start: np.ndarray
    column: np.ndarray
    value: np.ndarray


@njit(cache=True, nogil=True)
def first_k(said, pairs, popular, order, barred, seen, seen_offsets, k):  # type: ignore[no-untyped-def]
    """The best k items of each user and their scores, (B, k) each: 0 and -inf where fewer may be shown.

    said: items, weights, offsets, most.  pairs: start, column, value; without rows an item says something of itself.
    popular (V + 1,): is added to what is said.  order (V,): all items, the most popular first.  barred (V + 1,): items
    that nobody is shown.  seen, seen_offsets: items that their user is not shown.
    """
    items, weights, offsets, most = said
    start, column, value = pairs
    users, size = len(offsets) - 1, len(popular)
    best, scores = np.zeros((users, k), np.int64), np.full((users, k), -np.inf, np.float32)
    total, touched = np.zeros(size, np.float32), np.zeros(size, np.int64)
    state = np.zeros(size, np.int64)  # of an item: 2 u + 1, user u is told of it; 2 u + 2, it is not shown to u
    for u in range(users):
        count = 0
        for place in range(offsets[u], offsets[u + 1]):
            item, weight = items[place], weights[place]
            first, last = (start[item], start[item + 1]) if len(start) else (0, 1)
            for p in range(first, last):
                other, worth = (column[p], value[p] * weight) if len(start) else (item, weight)
                if state[other] != 2 * u + 1:
                    state[other] = 2 * u + 1
                    touched[count], total[other] = other, worth
                    count += 1
                elif most:
                    total[other] = max(total[other], worth)
                else:
                    total[other] += worth
        for place in range(seen_offsets[u], seen_offsets[u + 1]):
            state[seen[place]] = 2 * u + 2
        full = 0  # how many are found
        for t in range(count):
            item = touched[t]
            if state[item] == 2 * u + 1 and not barred[item]:
                full = _put(best[u], scores[u], full, item, total[item] + popular[item])
        left = k
        for item in order:
            if left == 0 or (full == k and popular[item] <= scores[u, k - 1]):
                break
            if state[item] != 2 * u + 1 and state[item] != 2 * u + 2 and not barred[item]:
                full = _put(best[u], scores[u], full, item, popular[item])
                left -= 1
    return best, scores


@njit(cache=True, nogil=True)
def _put(best, scores, full, item, score):  # type: ignore[no-untyped-def]
    """Into a list that is in order, where the item belongs; how many it holds then."""
    k = len(best)
    if full == k and score <= scores[k - 1]:
        return full
    place = min(full, k - 1)
    while place > 0 and scores[place - 1] < score:
        best[place], scores[place] = best[place - 1], scores[place - 1]
        place -= 1
    best[place], scores[place] = item, score
    return min(full + 1, k)


@njit(cache=True, nogil=True)
def spread(said, pairs, popular, out):  # type: ignore[no-untyped-def]
    """What is said of all items and popular (V + 1,), into out (N, V + 1); said and pairs as in `first_k`, added up."""
    items, weights, offsets, _ = said
    start, column, value = pairs
    for n in range(len(out)):
        total = out[n]
        total[:] = 0
        for place in range(offsets[n], offsets[n + 1]):
            item, weight = items[place], weights[place]
            for p in range(start[item], start[item + 1]):
                total[column[p]] += value[p] * weight
        total += popular


@njit(cache=True, nogil=True)
def tally(rows, row, column, latest, total, place, popular, out):  # type: ignore[no-untyped-def]
    """The totals of each item after the events rows[row[n], : column[n] + 1], and popular, into out (N, V + 1).

    latest: the place of an item's last event, counted from 1; else how many it has.  total (V + 1,) and place, the row
    and the column that it stands at, are carried on from call to call: queries in order cost each event once.
    """
    for n in range(len(row)):
        if row[n] != place[0] or column[n] < place[1]:
            total[:] = 0
            place[0], place[1] = row[n], -1
        for c in range(place[1] + 1, column[n] + 1):
            item = rows[row[n], c]
            total[item] = c + 1 if latest else total[item] + 1
        place[1] = column[n]
        out[n] = total + popular
