"""From questions to tokens: each side's past becomes a short sequence (TCL, sections 3.1 and 3.2).

Token 0 is the query node itself. In a tree each event has two tokens, its source and its destination, who enter
together; in a list of own interactions it has one, the other end. What is padded has event 0.

Shapes: R streams, M events of each at most, S = 1 + 2 M tokens (1 + M in a list), Q queries, C candidates.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.ops import dependency_trees, temporal_sampling
from tenfold.splitmix import GOLDEN, mix
from tenfold.systems.tcl.options import Options
from tenfold.systems.tcl.pairs import pair_numbers
from tenfold.tasks.link_prediction.data import Links, Queries


class Streams(NamedTuple):
    node: Tensor  # (R, S) int64: row of the identity table; 0 is a new node
    number: Tensor  # (R, S) int64: which node it is in this graph; 0 is none
    event: Tensor  # (R, S) int64; 0 for the query token and for padding
    place: Tensor  # (R, S) int64: depth in a tree, place in a list
    side: Tensor  # (R, S) int64: 0 query, 1 source, 2 destination
    gap: Tensor  # (R, S) float32, in units
    keep: Tensor  # (R, S) bool: what is no padding
    reach: Tensor | None = None  # (R, S, S) bool: what each token attends to; None: all that is kept
    kind: Tensor | None = None  # (R, S) int64: of the event
    features: Tensor | None = None  # (R, S, .) float32: of the event
    about: Tensor | None = None  # (R, S, .) float32: features of the node


class TclBatch(NamedTuple):
    sources: Streams
    candidates: Streams
    source_of: Tensor  # (Q, C): a pair's row among the sources' streams
    candidate_of: Tensor  # (Q, C)
    there: Tensor  # (Q, C) bool
    pair: Tensor | None  # (Q, C, PAIR) float32


class Tokens:
    """Looks streams up in a graph: everything but weights."""

    def __init__(self, links: Links, options: Options, unit: float, seed: int = 0) -> None:
        self.links, self.options, self.unit, self.seed = links, options, unit, seed
        self.rows = identity_rows(links, options)
        graph = links.graph
        self.kinds = None if graph.kinds is None else torch.from_numpy(_pad(graph.kinds).astype(np.int64))
        self.features = graph.features  # as they stand in the file, where they are left there
        self.about = None if graph.node_features is None else torch.from_numpy(graph.node_features)

    def streams(self, nodes: np.ndarray, cuts: np.ndarray, times: np.ndarray) -> Streams:
        """nodes, cuts, times (R,): the streams of these nodes at these moments."""
        if self.options.past.kind == "tree":
            return self._trees(nodes, cuts, times)
        return self._lists(nodes, cuts, times)

    def _trees(self, nodes: np.ndarray, cuts: np.ndarray, times: np.ndarray) -> Streams:
        past, index = self.options.past, self.links.index
        roots = dependency_trees.roots(index, nodes, cuts)
        trees = dependency_trees.trees(index, roots, past.depth, past.most)
        events, count = trees.events.astype(np.int64), trees.events.shape[1]
        ends = np.stack([index.sources, index.destinations], axis=1)
        number = np.concatenate([nodes[:, None], _pad(ends)[events].reshape(len(nodes), 2 * count)], axis=1)
        event = np.concatenate([np.zeros((len(nodes), 1), np.int64), np.repeat(events, 2, axis=1)], axis=1)
        depth = np.concatenate([np.zeros((len(nodes), 1), np.int64), np.repeat(trees.depths, 2, axis=1)], axis=1)
        side = np.zeros(event.shape, np.int64)
        side[:, 1::2], side[:, 2::2] = 1, 2
        gap = self._gaps(events, trees.children.astype(np.int64), roots.astype(np.int64), times)
        reach = _token_reach(trees.reach, count) if past.topology else None
        return self._whole(number, event, depth, side, gap, event > 0, reach)

    def _gaps(self, events: np.ndarray, children: np.ndarray, roots: np.ndarray, times: np.ndarray) -> np.ndarray:
        """(R, 1 + 2 M), in the file's time: from the query, or from the interaction that depends on this one. In the
        second way the query token says how long ago the last interaction was, and the others do not see the query."""
        moments = np.concatenate([np.zeros(1, self.links.index.times.dtype), self.links.index.times])
        if self.options.tokens.gaps == "query":
            own = np.where(events > 0, times[:, None] - moments[events], 0)
            first = np.zeros(len(times), own.dtype)
        else:
            own = np.where((events > 0) & (children > 0), moments[children] - moments[events], 0)
            first = np.where(roots > 0, times - moments[roots], 0)
        return np.concatenate([first[:, None], np.repeat(own, 2, axis=1)], axis=1)

    def _lists(self, nodes: np.ndarray, cuts: np.ndarray, times: np.ndarray) -> Streams:
        past, index = self.options.past, self.links.index
        if past.kind == "recent":
            found = temporal_sampling.recent(index, nodes.astype(np.int32), cuts, past.most)
        else:
            draws = temporal_sampling.draws(self.seed, nodes.astype(np.int64) * (len(index) + 1) + cuts, past.most)
            found = temporal_sampling.drawn(index, nodes.astype(np.int32), cuts, draws)
        events = found.events.astype(np.int64)
        gap = np.where(events > 0, times[:, None] - found.times, 0)
        if self.options.tokens.unit == 1.0 and not self.options.tokens.norm:
            gap = times[:, None] - found.times  # DyGLib's padding has time 0: masked, and never read
        zeros = np.zeros((len(nodes), 1), np.int64)
        number = np.concatenate([nodes[:, None], found.partners.astype(np.int64)], axis=1)
        event = np.concatenate([zeros, events], axis=1)
        place = np.tile(np.arange(past.most + 1), (len(nodes), 1))
        from_source = _pad(index.sources)[events] == found.partners
        side = np.concatenate([zeros, np.where(events > 0, np.where(from_source, 1, 2), 0)], axis=1)
        whole_gap = np.concatenate([np.zeros((len(nodes), 1), gap.dtype), gap], axis=1)
        return self._whole(number, event, place, side, whole_gap, event > 0, None)

    def _whole(
        self,
        number: np.ndarray,
        event: np.ndarray,
        place: np.ndarray,
        side: np.ndarray,
        gap: np.ndarray,
        keep: np.ndarray,
        reach: np.ndarray | None,
    ) -> Streams:
        keep[:, 0] = True
        side = np.where(keep, side, 0)
        scaled = (gap.astype(np.float64) / self.unit).astype(np.float32)  # the difference first, then the cast
        columns = [self.rows[number], number, event, place, side]
        node, its_number, its_event, its_place, its_side = (
            torch.from_numpy(np.ascontiguousarray(each)).long() for each in columns
        )
        return Streams(
            node,
            its_number,
            its_event,
            its_place,
            its_side,
            torch.from_numpy(scaled),
            torch.from_numpy(np.ascontiguousarray(keep)),
            reach=None if reach is None else torch.from_numpy(reach),
            kind=None if self.kinds is None else self.kinds[its_event],
            features=None if self.features is None else _of_events(self.features, event),
            about=None if self.about is None else self.about[its_number],
        )

    def batch(self, queries: Queries, candidates: np.ndarray) -> TclBatch:
        """candidates (Q, C), 0 is none. A stream that several pairs need is made once."""
        count = candidates.shape[1]
        nodes = candidates.ravel()
        cuts, times = np.repeat(queries.cuts, count), np.repeat(queries.times, count)
        first, inverse = _unique(nodes, cuts, times)
        one, own = _unique(queries.sources, queries.cuts, queries.times)
        source_of = np.repeat(own[:, None], count, axis=1)
        return TclBatch(
            self.streams(queries.sources[one].astype(np.int64), queries.cuts[one], queries.times[one]),
            self.streams(nodes[first].astype(np.int64), cuts[first], times[first]),
            torch.from_numpy(source_of),
            torch.from_numpy(inverse.reshape(candidates.shape)),
            torch.from_numpy(candidates > 0),
            self.pairs(queries, candidates) if self.options.pair else None,
        )

    def pairs(self, queries: Queries, candidates: np.ndarray) -> Tensor:
        """(Q, C, PAIR) float32: what the past says of each pair."""
        return pair_numbers(self.links, queries, candidates, self.unit, self.half_life)

    @property
    def half_life(self) -> float:
        """Of popularity, in the file's time."""
        times = self.links.index.times
        return self.options.half_life or float(times[-1] - times[0]) / 50


def identity_rows(links: Links, options: Options) -> np.ndarray:
    """(N + 1,): the row of the identity table of each node; 0 for nodes that were not trained on."""
    graph = links.graph
    if options.tokens.identity == "none":
        return np.zeros(graph.size + 1, np.int64)
    if options.tokens.identity == "hashed":
        with np.errstate(over="ignore"):
            words = mix(np.arange(graph.size + 1, dtype=np.uint64) * GOLDEN + GOLDEN)
        rows = 1 + (words % np.uint64(options.tokens.buckets - 1)).astype(np.int64)
        return np.where(np.arange(graph.size + 1) > 0, rows, 0)
    return links.identity()


def _of_events(column: np.ndarray, event: np.ndarray) -> Tensor:
    """column (E, d), event (R, S) -> (R, S, d): 0 for event 0."""
    return torch.from_numpy(column[np.maximum(event - 1, 0)] * (event > 0)[..., None]).float()


def _pad(column: np.ndarray) -> np.ndarray:
    """By the number of an event, of which 0 is none."""
    return np.concatenate([np.zeros((1, *column.shape[1:]), column.dtype), column])


def _token_reach(bits: np.ndarray, count: int) -> np.ndarray:
    """(R, M, 2) -> (R, S, S) bool: each token sees itself and both tokens of every event that it depends on; the query
    sees all."""
    rows = len(bits)
    found = np.zeros((rows, 1 + 2 * count, 1 + 2 * count), bool)
    found[:, 0] = True
    seen = (bits[..., None] >> np.arange(count)) & 1  # (R, M, 2, M)
    found[:, 1:, 1:] = np.repeat(seen.reshape(rows, 2 * count, count), 2, axis=2) > 0
    diagonal = np.arange(1 + 2 * count)
    found[:, diagonal, diagonal] = True
    return found


def _unique(nodes: np.ndarray, cuts: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each distinct (node, cut, time) first stands, and which of them each is."""
    order = np.lexsort((times, cuts, nodes))
    new = np.ones(len(order), bool)
    same = [column[order][1:] == column[order][:-1] for column in (nodes, cuts, times)]
    new[1:] = ~(same[0] & same[1] & same[2])
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse
