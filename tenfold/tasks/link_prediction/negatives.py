"""Pairs that did not happen: what a true partner is ranked among, and what a curve is drawn against.

Each is drawn from (seed, interaction), whatever else is asked, but for DyGLib's, which has one generator for a whole
evaluation and whose numbers are compared with published ones (Yu et al., NeurIPS 2023; Poursafaei et al., 2022).

Shapes: n interactions that are measured, C candidates.
"""

from typing import NamedTuple

import numpy as np

from tenfold.ops import temporal_sampling
from tenfold.splitmix import GOLDEN, mix, to_unit
from tenfold.tasks.link_prediction.data import Links, Queries

OWN, OTHERS = 20, 12  # last partners of a source, and of each of its last two, that count as near
BATCH = 200  # of DyGLib's evaluation
DYGLIB_SEED = 2  # of its test part; its validation part has 0


class FalsePairs(NamedTuple):
    """One for each interaction; `there` says for which one could be drawn."""

    sources: np.ndarray  # (n,)
    destinations: np.ndarray  # (n,)
    there: np.ndarray  # (n,) bool


def uniforms(seed: int, rows: np.ndarray, count: int) -> np.ndarray:
    """(n, count) in [0, 1): of each interaction its own, whatever else is drawn."""
    with np.errstate(over="ignore"):
        key = mix(rows.astype(np.uint64) * GOLDEN + mix(np.uint64(seed) + GOLDEN))
        return to_unit(mix(key[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN))


def candidates(links: Links, rows: np.ndarray, cuts: np.ndarray, random: int, historical: int, seed: int) -> np.ndarray:
    """(n, random + historical): random destinations, with replacement, and as many earlier partners of the source as
    there are, each once; 0 for none. True destinations of the moment may be among them: `links.same_moment`."""
    every = links.destinations
    u = uniforms(seed, rows, random)
    found = [every[(u * len(every)).astype(np.int64)].astype(np.int64)]
    if historical:
        earlier = np.zeros((len(rows), historical), np.int64)
        draws = uniforms(seed + 1, rows, historical)
        for n, (source, cut) in enumerate(zip(links.graph.sources[rows], cuts, strict=True)):
            partners = _partners(links, int(source), int(cut))
            if len(partners) > historical:
                order = np.argsort(uniforms(seed + 2, np.array([rows[n]]), len(partners))[0], kind="stable")
                partners = partners[order[:historical]]
            earlier[n, : len(partners)] = partners
        assert draws.shape == earlier.shape
        found.append(earlier)
    return np.concatenate(found, axis=1)


def _partners(links: Links, source: int, cut: int) -> np.ndarray:
    """Destinations that the source had among the first `cut` interactions, each once."""
    index = links.index
    events = index.events[index.begin[source] : index.end[source]]
    events = events[: np.searchsorted(events, cut, side="right")] - 1
    return np.unique(index.destinations[events[index.sources[events] == source]])


def near_partners(links: Links, queries: Queries) -> np.ndarray:
    """(Q, OWN + 2 OTHERS): the last partners of the source, of its last partner and of the one before, as far as the
    training part has them as destinations; each once, 0 for none."""
    index, nodes = links.index, queries.sources.astype(np.int32)
    own = temporal_sampling.recent(index, nodes, queries.cuts, OWN).partners
    last = own[:, -1]
    other = (own != last[:, None]) & (own > 0)
    newest = OWN - 1 - other[:, ::-1].argmax(1)
    before = np.where(other.any(1), own[np.arange(len(own)), newest], 0).astype(np.int32)
    theirs = [temporal_sampling.recent(index, each, queries.cuts, OTHERS).partners for each in (last, before)]
    found = np.sort(np.concatenate([own, *theirs], axis=1).astype(np.int64), axis=1)
    found[:, 1:][found[:, 1:] == found[:, :-1]] = 0
    allowed = np.zeros(links.graph.size + 1, bool)
    allowed[links.training_destinations] = True
    return np.where(allowed[found], found, 0)


def false_pairs(links: Links, rows: np.ndarray, kind: str, seed: int) -> FalsePairs:
    """Of a kind that `Protocol.pairs` names."""
    if kind.startswith("dyglib_"):
        return _as_dyglib(links, rows, kind.removeprefix("dyglib_"))
    if kind == "historical_edges":
        return _edges(links, rows, seed)
    if kind == "random":
        return _random(links, rows, seed)
    queries = links.queries(rows)
    found, there = np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
    trained = _trained_pairs(links) if kind == "inductive" else set()
    true = _true_destinations(links, rows)
    u = uniforms(seed + 3, rows, 1)[:, 0]
    for n, (source, cut) in enumerate(zip(queries.sources.tolist(), queries.cuts.tolist(), strict=True)):
        partners = [v for v in _partners(links, source, cut).tolist() if v not in true[n]]
        partners = [v for v in partners if (source, v) not in trained]
        there[n] = bool(partners)
        if partners:
            found[n] = partners[int(u[n] * len(partners))]
    return FalsePairs(queries.sources.astype(np.int64), found, there)


def _random(links: Links, rows: np.ndarray, seed: int) -> FalsePairs:
    """Any destination but the true ones of the moment, the source kept."""
    every, true = links.destinations, _true_destinations(links, rows)
    found, there = np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
    u = uniforms(seed, rows, 64)
    for n, own in enumerate(true):
        drawn = [v for v in every[(u[n] * len(every)).astype(np.int64)].tolist() if v not in own]
        rest = drawn or [v for v in every.tolist() if v not in own]
        there[n] = bool(rest)
        found[n] = rest[0] if rest else 0
    return FalsePairs(links.graph.sources[rows].astype(np.int64), found, there)


def _true_destinations(links: Links, rows: np.ndarray) -> list[set[int]]:
    found = [{v} for v in links.graph.destinations[rows].tolist()]
    for n, destination in links.same_moment(rows).tolist():
        found[n].add(destination)
    return found


def _trained_pairs(links: Links) -> set[tuple[int, int]]:
    train = links.rows.train
    return set(zip(links.graph.sources[train].tolist(), links.graph.destinations[train].tolist(), strict=True))


def _edges(links: Links, rows: np.ndarray, seed: int) -> FalsePairs:
    """Whole earlier pairs, of any source, that are not of the moment: DGB's historical negatives."""
    graph, cuts = links.graph, links.index.cuts(links.graph.times[rows])
    u = uniforms(seed + 4, rows, 1)[:, 0]
    chosen = np.minimum((u * cuts).astype(np.int64), np.maximum(cuts - 1, 0))
    sources, destinations = graph.sources[chosen].astype(np.int64), graph.destinations[chosen].astype(np.int64)
    same = (sources == graph.sources[rows]) & (destinations == graph.destinations[rows])
    return FalsePairs(sources, destinations, (cuts > 0) & ~same)


def _as_dyglib(links: Links, rows: np.ndarray, kind: str) -> FalsePairs:
    """One generator for all batches: of each batch first sources, then destinations, by the order of their ids."""
    graph = links.graph
    generator = np.random.RandomState(DYGLIB_SEED)
    sources, destinations = (_by_id(links, ends) for ends in (graph.sources, graph.destinations))
    found_sources, found = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for first in range(0, len(rows), BATCH):
        part = rows[first : first + BATCH]
        here = slice(first, first + len(part))
        if kind == "random":
            generator.randint(0, len(sources), len(part))
            found[here] = destinations[generator.randint(0, len(destinations), len(part))]
            found_sources[here] = graph.sources[part]
        else:
            pairs = _earlier_pairs(links, part, kind)
            lacking = len(part) - len(pairs)
            if lacking > 0:  # DyGLib fills up with random pairs
                ends = np.stack([generator.choice(sources, lacking), generator.choice(destinations, lacking)], axis=1)
                pairs = np.concatenate([ends, pairs])
            else:
                pairs = pairs[generator.choice(len(pairs), len(part), replace=False)]
            found_sources[here], found[here] = pairs[:, 0], pairs[:, 1]
    return FalsePairs(found_sources, found, np.ones(len(rows), bool))


def _earlier_pairs(links: Links, part: np.ndarray, kind: str) -> np.ndarray:
    """(n, 2): the distinct pairs up to the batch's first moment but those of the batch; inductive: and of training."""
    graph, width = links.graph, np.int64(links.graph.size + 1)
    key = graph.sources.astype(np.int64) * width + graph.destinations
    first, last = graph.times[part[0]], graph.times[part[-1]]
    until = np.searchsorted(graph.times, first, side="right")
    batch = key[np.searchsorted(graph.times, first) : np.searchsorted(graph.times, last, side="right")]
    left = np.setdiff1d(key[:until], batch)
    if kind == "inductive":
        left = np.setdiff1d(left, key[: links.rows.train[-1] + 1])
    return np.stack([left // width, left % width], axis=1)


def _by_id(links: Links, ends: np.ndarray) -> np.ndarray:
    """The distinct nodes in the order of their own ids, whole numbers as numbers."""
    nodes = np.unique(ends)
    ids = links.graph.ids(nodes)
    return nodes[
        sorted(range(len(nodes)), key=lambda n: (len(str(ids[n])), str(ids[n])) if _whole(ids[n]) else (0, str(ids[n])))
    ]


def _whole(own: object) -> bool:
    return str(own).isdigit()
