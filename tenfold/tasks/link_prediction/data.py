"""Interactions cut in time, with the tables by which everybody's past is found.

Numbers of nodes are those of `System.vocabularies`, those that it does not know behind them: they have a past too.
Shapes: E interactions, N nodes, Q queries.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np

from tenfold.data.graphs import Rows, TemporalGraph
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError
from tenfold.files import digest
from tenfold.ops.pair_facts import fading_counts
from tenfold.ops.temporal_index import TemporalIndex

NEW_SHARE, NEW_SEED = 0.1, 2020  # of the nodes that split 'inductive' keeps out of training, as DyGLib


class Queries(NamedTuple):
    """Who is asked for a partner, when, and what is known by then."""

    sources: np.ndarray  # (Q,) int32, 0: a node without a past
    times: np.ndarray  # (Q,)
    cuts: np.ndarray  # (Q,) int64: the interactions before the query that it sees

    def take(self, rows: np.ndarray | slice) -> "Queries":
        return Queries(*(column[rows] for column in self))


@dataclass(frozen=True, eq=False)
class Links:
    """`graph`, numbered; `rows`, which interactions belong to which part; `name`, the split."""

    graph: TemporalGraph
    rows: Rows
    name: str
    known: int  # sources, or nodes of both sides, that the vocabularies hold
    known_partners: int = 0

    @classmethod
    def of(
        cls, graph: TemporalGraph, name: str, vocabularies: Mapping[str, Vocabulary], sizes: Mapping[str, int]
    ) -> Self:
        """sizes: how many ids of the vocabularies had a part in the fit, where it is known.

        Raises DataError where a part would be empty, or a graph has two sides and the vocabularies one.
        """
        if (graph.partners is None) != ("partners" not in vocabularies):
            mine, theirs = ("one kind", "two sides") if graph.partners is None else ("two sides", "one kind")
            raise DataError(
                f"{graph.report.source} is of {mine}, and the system was fitted on {theirs}; say sides=one or sides=two"
            )
        more = {
            side: vocabularies[side].extended(own)
            for side, own in graph.vocabularies.items()
            if side in ("entities", "partners")
        }
        if any(vocabulary.fingerprint != graph.vocabularies[side].fingerprint for side, vocabulary in more.items()):
            graph = graph.recoded(more)
        known = {side: sizes.get(side, len(vocabularies[side])) for side in more}
        return cls(graph, _rows(graph, name), name, known["entities"], known.get("partners", 0))

    @cached_property
    def index(self) -> TemporalIndex:
        return TemporalIndex(self.graph.sources, self.graph.destinations, self.graph.times, self.graph.size)

    @cached_property
    def fingerprint(self) -> str:
        return digest(self.graph.fingerprint.encode(), self.name.encode(), *(rows.tobytes() for rows in self.rows))

    @cached_property
    def destinations(self) -> np.ndarray:
        """(C,): all nodes that are a destination of any interaction."""
        return np.unique(self.graph.destinations)

    @cached_property
    def met(self) -> np.ndarray:
        """(N + 1,) bool: nodes with an interaction in the training part."""
        found = np.zeros(self.graph.size + 1, bool)
        found[self.graph.sources[self.rows.train]] = True
        found[self.graph.destinations[self.rows.train]] = True
        return found

    @cached_property
    def training_destinations(self) -> np.ndarray:
        return np.unique(self.graph.destinations[self.rows.train])

    def fading(self, half_life: float) -> tuple[np.ndarray, np.ndarray]:
        return _fading(self.index, len(self.index), half_life)

    def queries(self, rows: np.ndarray, block: int = 0) -> Queries:
        """What interactions ask: strictly what is earlier, or, in blocks of them, what was before the block."""
        times = self.graph.times[rows]
        cuts = self.index.cuts(times)
        if block:
            first = rows[np.arange(len(rows)) // block * block]
            cuts = first.astype(np.int64)
        return Queries(self.graph.sources[rows], times, cuts)

    def same_moment(self, rows: np.ndarray) -> np.ndarray:
        """(n, 2): which of `rows`, and a destination that its source has at the same moment."""
        graph, index = self.graph, self.index
        first, last = index.cuts(graph.times[rows]), np.searchsorted(graph.times, graph.times[rows], side="right")
        found = [
            np.stack([np.full(len(each), n), each], axis=1)
            for n in np.flatnonzero(last - first > 1)
            for each in [
                graph.destinations[first[n] : last[n]][graph.sources[first[n] : last[n]] == graph.sources[rows[n]]]
            ]
        ]
        return np.concatenate(found) if found else np.zeros((0, 2), np.int64)

    def sentences(self) -> list[str]:
        """How it was cut."""
        train, validation, test = (len(part) for part in self.rows)
        found = [*self.graph.sentences()]
        if self.name == "none":
            return [*found, f"all {train:,} interactions are trained on"]
        part = self.rows.test
        new = ~(self.met[self.graph.sources[part]] & self.met[self.graph.destinations[part]])
        repeated = self.repeats(part)
        found.append(
            f"{train:,} interactions for training, {validation:,} for validation, {test:,} for testing; of these "
            f"{repeated.mean():.0%} repeat an earlier pair and {new.mean():.0%} touch a node that was not trained on"
        )
        loops, equal = self._oddities()
        if loops or equal:
            found.append(f"{loops:,} interactions of a node with itself and {equal:,} equal rows are kept")
        return found

    def repeats(self, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the pair, in this direction, had an earlier interaction."""
        key = self.graph.sources.astype(np.int64) * (self.graph.size + 1) + self.graph.destinations
        _, first, pair = np.unique(key, return_index=True, return_inverse=True)
        return self.graph.times[first[pair[rows]]] < self.graph.times[rows]

    def _oddities(self) -> tuple[int, int]:
        graph = self.graph
        loops = int((graph.sources == graph.destinations).sum()) if graph.partners is None else 0
        key = np.stack([graph.sources, graph.destinations, graph.times], axis=1)
        return loops, len(key) - len(np.unique(key, axis=0))


@lru_cache(maxsize=4)
def _fading(index: TemporalIndex, count: int, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    return fading_counts(index, half_life)


def _rows(graph: TemporalGraph, name: str) -> Rows:
    """Raises DataError."""
    if name == "none":
        nothing = np.zeros(0, np.int64)
        return Rows(np.arange(len(graph)), nothing, nothing)
    rows = graph.split()
    if name == "time":
        return rows
    later = np.concatenate([rows.validation, rows.test])
    new = np.zeros(graph.size + 1, bool)
    candidates = _in_public_order(graph, later)
    count = int(NEW_SHARE * graph.size)
    new[random.Random(NEW_SEED).sample(candidates, min(count, len(candidates)))] = True
    kept = ~(new[graph.sources[rows.train]] | new[graph.destinations[rows.train]])
    if not kept.any():
        raise DataError(
            f"{graph.report.source}: no interaction is left for training without {count} new nodes; choose split=time"
        )
    return Rows(rows.train[kept], rows.validation, rows.test)


def _in_public_order(graph: TemporalGraph, rows: np.ndarray) -> list[int]:
    """The nodes of these interactions in the order in which DyGLib draws from them: that of a set of whole numbers, so
    that its draw is ours where ids are its ids; other ids in their own order."""
    sources, destinations = graph.sources[rows], graph.destinations[rows]
    ids = dict(zip(range(1, graph.size + 1), graph.ids(np.arange(1, graph.size + 1)), strict=True))
    if not all(isinstance(own, int) for own in ids.values()) or len(set(ids.values())) < graph.size:
        return sorted(set(sources.tolist()) | set(destinations.tolist()), key=lambda node: (str(ids[node]), node))
    node_of = {own: node for node, own in reversed(ids.items())}
    own_ids = {ids[node] for node in sources.tolist()}.union({ids[node] for node in destinations.tolist()})
    return [node_of[own] for own in own_ids]
