"""Streams whose next partner is known to whoever reads the right part of the past.

Relay: a stream whose next partner is two steps away, so that depth, the pair and contrast can be told apart.

With probability `follows` the next partner of u is whom the last partner of u met before that, at depth two of the
dependency tree; otherwise anybody. The rule is right in about 78 % of the cases, so that no MRR is far above 0.8.
"""

import numpy as np
import polars as pl

from tenfold.data.graphs import TemporalGraph, read_interactions


def relay(
    nodes: int = 400, events: int = 24_000, *, follows: float = 0.8, noise: float = 0.0, seed: int = 0
) -> TemporalGraph:
    """Strictly increasing times, a minute apart on average.  noise: share of random interactions that are put between,
    before the test part only; they are part of everybody's past."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(60.0, events) + 1e-3)
    sources, destinations = rng.integers(nodes, size=events), rng.integers(nodes, size=events)
    chance, stray = rng.random(events), rng.random(events) < noise
    stray[int(0.85 * events) :] = False
    met: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]  # (event, partner), the latest two
    for e in range(events):
        u = int(sources[e])
        if not stray[e] and chance[e] < follows and met[u]:
            at, partner = met[u][-1]
            before = [other for when, other in met[partner] if when < at]
            if before and before[-1] != u:
                destinations[e] = before[-1]
        v = int(destinations[e])
        for one, other in ((u, v), (v, u)):
            met[one] = [*met[one][-3:], (e, other)]
    frame = pl.DataFrame({"source": sources, "destination": destinations, "time": times})
    return read_interactions(frame, bipartite=False)


def strangers(nodes: int = 200, events: int = 6_000, *, follows: float = 0.8, seed: int = 0) -> TemporalGraph:
    """Nobody meets the same one twice: what repeats says nothing. With probability `follows` u meets one whom the last
    partner met and u did not, the newest of these; otherwise anybody who is new to u."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(60.0, events) + 1e-3)
    partners: list[list[int]] = [[] for _ in range(nodes)]
    rows = []
    for t in times.tolist():
        u = int(rng.integers(nodes))
        known = {u, *partners[u]}
        near = [w for w in reversed(partners[partners[u][-1]]) if w not in known] if partners[u] else []
        others = [w for w in range(nodes) if w not in known]
        if not others:
            continue
        v = near[0] if near and rng.random() < follows else others[int(rng.integers(len(others)))]
        partners[u].append(v)
        partners[v].append(u)
        rows.append((u, v, t))
    frame = pl.DataFrame(rows, schema=["source", "destination", "time"], orient="row")
    return read_interactions(frame, bipartite=False)
