"""What the past says of a pair: when and how often the two met, whom their partners met, how popular the other one is.

Every rule of thumb about who meets whom next is an order by one of these numbers, and a network that is told of pairs
gets all of them. A compiled loop walks through the past of the source once and serves all its candidates; `facts_of` is
the definition, pair by pair.

Shapes: Q queries, C candidates of each, F facts.
"""

from enum import IntEnum

import numpy as np

from tenfold.ops import temporal_loops as loops
from tenfold.ops.temporal_index import TemporalIndex
from tenfold.ops.temporal_loops import NEVER, RECENT


class Fact(IntEnum):
    """u is the source, v the candidate; all of events among the first `cut`. An event that never was is number 0."""

    LAST_SENT = 0  # the last event u -> v
    LAST_RECEIVED = 1  # the last event v -> u
    SENT = 2  # events u -> v
    RECEIVED = 3  # events v -> u
    RECENCY = 4  # v's place, from 1, among u's partners by when they last met; 0: never
    BY_LAST = 5  # v's place among the partners of u's last partner
    BY_SECOND = 6  # v's place among the partners of u's last partner but one
    COMMON = 7  # partners in both's last RECENT entries
    ADAMIC_ADAR = 8  # each of these over the log of its degree
    POPULARITY = 9  # log of v's events as destination, each fading with its age; NEVER: none
    TIMES_MET = 10  # events whose destination is v
    LAST_OF = 11  # v's last event
    MUTUAL = 12  # 1 where v's last partner is u


FACTS = len(Fact)


def facts(
    index: TemporalIndex,
    sources: np.ndarray,
    cuts: np.ndarray,
    candidates: np.ndarray,
    fading: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """sources, cuts (Q,), candidates (Q, C) or, the same for all, (C,) -> (Q, C, F) float64; 0 for candidate 0.

    fading: what `fading_counts` gives of this index.
    """
    shared = candidates.ndim == 1
    asked = candidates[None] if shared else candidates
    found = np.zeros((len(sources), asked.shape[1], FACTS))
    marks = np.zeros((index.nodes + 1, 8))
    columns = index.begin, index.end, index.partners, index.events, index.sources, index.destinations
    loops.facts(sources.astype(np.int32), cuts, asked.astype(np.int32), *columns, *fading, marks, found)
    return found


def fading_counts(index: TemporalIndex, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """By place of an entry: the log of the node's events as destination up to it, each halved every `half_life`, plus
    its time in such units; and how many they are. (2 E,) both: a look-up takes the entry before the cut."""
    logs, counts = np.full(len(index.events), NEVER), np.zeros(len(index.events), np.int64)
    origin = float(index.times[0]) if len(index) else 0.0
    rate = np.log(2.0) / half_life if half_life > 0 else 0.0
    columns = index.begin, index.end, index.events, index.destinations, index.times
    loops.fading(*columns, origin, rate, logs, counts)
    return logs, counts


def facts_of(index: TemporalIndex, u: int, v: int, cut: int, half_life: float) -> list[float]:
    """The definition."""
    past = [(int(index.sources[e]), int(index.destinations[e])) for e in range(int(cut))]

    def entries(node: int) -> list[tuple[int, int]]:
        """(partner, event), oldest first; a self loop twice."""
        return [(other, e) for e, (s, d) in enumerate(past, 1) for own, other in ((s, d), (d, s)) if own == node]

    def order(node: int, but: int = 0) -> list[int]:
        return [p for p in dict.fromkeys(p for p, _ in reversed(entries(node))) if p != but]

    def place(partners: list[int]) -> int:
        return partners.index(v) + 1 if v in partners else 0

    sent = [e for e, pair in enumerate(past, 1) if pair == (u, v)] * (2 if u == v else 1)
    got = [e for e, pair in enumerate(past, 1) if pair == (v, u) and u != v]
    mine = order(u)
    common = {p for p, _ in entries(u)[-RECENT:]} & {p for p, _ in entries(v)[-RECENT:]}
    taken = [e for e, pair in enumerate(past, 1) if pair[1] == v]
    origin = float(index.times[0]) if len(index) else 0.0
    fading = [np.log(2.0) / half_life * (float(index.times[e - 1]) - origin) for e in taken]
    popularity = float(np.logaddexp.reduce(fading)) if taken else NEVER
    own = entries(v)
    return [
        max(sent, default=0),
        max(got, default=0),
        len(sent),
        len(got),
        place(mine),
        place(order(mine[0], u)) if mine else 0,
        place(order(mine[1], u)) if len(mine) > 1 else 0,
        len(common),
        sum(1 / np.log(2.0 + len(entries(w))) for w in common),
        popularity,
        len(taken),
        own[-1][1] if own else 0,
        float(bool(own) and own[-1][0] == u),
    ]
