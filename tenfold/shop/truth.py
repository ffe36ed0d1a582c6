"""What could be known: the hit rates of the oracle, which knows the customer, and of three simple rules, which do not.

Before each test event the simulator knows every item's probability. An item's is what makes it certain (a step, a
favourite, a cart) plus its pool's share times its own share of the pool; so the oracle's list needs only the first of
each pool, and is exact. Hits count as in metrics/ranking.py: equal scores in a random order, seen items not left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.compiled import inner, loop
from tenfold.shop.market import TOP

AT = (1, 10, 20)
LIST = 20  # the longest of AT
FIGURES = 7  # the event's own probability; the oracle's hit at 1, 10, 20; its probability of a hit at 1, 10, 20
RULES = ("popularity", "repeat-last", "personal frequency")


@inner
def add(certain, touched, count, item, probability):  # type: ignore[no-untyped-def]
    """Add to an item's probability and remember that it has some."""
    if certain[item] == 0.0:
        touched[count] = item
        count += 1
    certain[item] += probability
    return count


@inner
def pool_share(sales, start, segment, item):  # type: ignore[no-untyped-def]
    """An item's share of what sells in its pool, from the distribution function `sales`."""
    return sales[item] - (sales[item - 1] if item > start[segment[item]] else 0.0)


@inner
def insert(best, probability):  # type: ignore[no-untyped-def]
    """Keep `best` the highest values, highest first."""
    if probability > best[-1]:
        place = len(best) - 1
        while place > 0 and probability > best[place - 1]:
            best[place] = best[place - 1]
            place -= 1
        best[place] = probability


@inner
def expected_hits(sales, top, start, segment, certain, touched, pools, chosen, figures):  # type: ignore[no-untyped-def]
    """Fill the FIGURES of one event from every item's probability."""
    best = np.zeros(LIST)
    for item in touched:
        insert(best, certain[item] + pools[segment[item]] * pool_share(sales, start, segment, item))
    for g in range(len(pools)):
        for place in range(TOP):
            item = top[g, place]
            if item < 0:
                break
            probability = pools[g] * pool_share(sales, start, segment, item)
            if probability <= best[-1]:
                break
            if certain[item] == 0.0:
                insert(best, probability)
    own = certain[chosen] + pools[segment[chosen]] * pool_share(sales, start, segment, chosen)
    above, tied = 0, 0
    for probability in best:
        above += probability > own
        tied += probability == own
    figures[0] = own
    for place, k in enumerate(AT):
        figures[1 + place] = min(max((k - above) / max(tied, 1), 0.0), 1.0) if tied > 0 else 0.0
        figures[1 + len(AT) + place] = 0.0
        for rank in range(k):
            figures[1 + len(AT) + place] += best[rank]


class Truth(NamedTuple):
    """Mean hit rates at 1, 10 and 20 on one split's test events."""

    events: int
    oracle: tuple[float, ...]
    expected: tuple[float, ...]  # what the oracle expects of itself: nearly the same, if its probabilities are right
    rules: dict[str, tuple[float, ...]]

    def gap(self, k: int = 10) -> float:
        """What lies between the best rule and the oracle."""
        place = AT.index(k)
        return self.oracle[place] - max(hits[place] for hits in self.rules.values())


def measure(
    item: NDArray[np.int32], counts: NDArray[np.int64], items: int, truth: NDArray[np.float32]
) -> dict[str, Truth]:
    """The truth about both splits, as data/splits.py cuts them: `loo`, the last event of each customer who has three,
    and `stream`, the last tenth of each history.

    item: all events, customer by customer; counts: each customer's events; truth: a row for each of the test_events.
    Every customer counts the same, however many test events there are. Popularity is counted on what a split trains on.
    """
    kept, end = test_events(counts), counts.cumsum()
    behind = np.repeat(kept.cumsum(), kept) - np.arange(len(truth))  # 1 for a customer's last event
    enough = (counts >= 3).astype(np.int64)
    splits = {"loo": (enough, counts - 2 * enough), "stream": (counts // 10, counts - 2 * (counts // 10))}
    found = {}
    for name, (asked, trained) in splits.items():
        popular = _count(item, end - counts, end - counts + trained, items)
        hits = np.empty((asked.sum(), len(RULES), len(AT)))
        _rules(item, end - counts, end, asked, popular, *_places(popular), hits)
        owner = np.repeat(np.arange(len(counts)), asked)
        means = {rule: _mean_of_means(hits[:, place], owner) for place, rule in enumerate(RULES)}
        known = _mean_of_means(truth[behind <= np.repeat(asked, kept), 1:].astype(np.float64), owner)
        found[name] = Truth(len(owner), known[: len(AT)], known[len(AT) :], means)
    return found


def test_events(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For how many of a customer's last events the truth is kept: the last tenth, and at least the last one."""
    return np.maximum(counts // 10, 1)


def _mean_of_means(values: NDArray[np.float64], owner: NDArray[np.int64]) -> tuple[float, ...]:
    """Over the events of each owner, then over the owners; 0 where there are none."""
    owners, group, size = np.unique(owner, return_inverse=True, return_counts=True)
    means = (np.bincount(group, weights=column, minlength=len(owners)) / size for column in values.T)
    return tuple(round(float(column.mean()), 6) if len(owners) else 0.0 for column in means)


def _places(popular: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many items are more popular than each, and how many as popular, itself included."""
    _, group, size = np.unique(-popular, return_inverse=True, return_counts=True)
    return (size.cumsum() - size)[group], size[group]


@loop
def _count(item, start, end, items):  # type: ignore[no-untyped-def]
    count = np.zeros(items, np.int64)
    for u in range(len(start)):
        for e in range(start[u], end[u]):
            count[item[e]] += 1
    return count


@loop
def _rules(item, start, end, asked, popular, more_popular, as_popular, hits):  # type: ignore[no-untyped-def]
    """Fill hits (T, RULES, AT) for the last `asked` events of each customer, given all the events before.

    What a personal rule ties, and what the history does not hold, is ordered by popularity, then at random.
    """
    count, latest = np.zeros(len(popular), np.int64), np.zeros(len(popular), np.int64)
    own = np.empty(len(popular), np.int64)
    row = 0
    for u in range(len(start)):
        seen = 0
        for e in range(start[u], end[u]):
            target = item[e]
            if e >= end[u] - asked[u]:
                later, oftener, as_often = 0, 0, 0
                popular_seen, as_popular_seen = 0, 0
                for place in range(seen):
                    i = own[place]
                    more, equal = popular[i] > popular[target], popular[i] == popular[target]
                    popular_seen += more
                    as_popular_seen += equal
                    later += latest[i] > latest[target]
                    oftener += count[i] > count[target] or (count[i] == count[target] and more)
                    as_often += count[i] == count[target] and equal
                rest = seen + more_popular[target] - popular_seen, as_popular[target] - as_popular_seen
                _hits(more_popular[target], as_popular[target], hits[row, 0])
                if count[target] > 0:
                    _hits(later, 1, hits[row, 1])
                    _hits(oftener, as_often, hits[row, 2])
                else:
                    _hits(rest[0], rest[1], hits[row, 1])
                    _hits(rest[0], rest[1], hits[row, 2])
                row += 1
            if count[target] == 0:
                own[seen] = target
                seen += 1
            count[target] += 1
            latest[target] = e + 1
        for place in range(seen):
            count[own[place]] = 0
            latest[own[place]] = 0


@inner
def _hits(above, tied, hits):  # type: ignore[no-untyped-def]
    for place in range(len(AT)):
        hits[place] = min(max((AT[place] - above) / tied, 0.0), 1.0)
