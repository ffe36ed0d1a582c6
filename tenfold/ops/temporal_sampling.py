"""A node's past at a moment: its most recent events, or some of them drawn evenly or the newer ones more often.

What the public sampler of DyGLib returns: partners, events, times, each (Q, k), the oldest first, padded with 0 on the
left where the past is shorter; drawn ones with replacement. Three versions of each: the definition, one of a few torch
operations that runs on any device, and a compiled loop. Times are never float32, in which a day of seconds since 1970
has steps of two minutes.

Shapes: Q queries, k neighbours.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.ops import temporal_loops as loops
from tenfold.ops.temporal_index import Packed, TemporalIndex
from tenfold.splitmix import GOLDEN, mix, to_unit


class Neighbours(NamedTuple):
    """Arrays or tensors (Q, k): partner and event are int32 and 0 for none, times as the index has them."""

    partners: np.ndarray
    events: np.ndarray
    times: np.ndarray


class NeighbourTensors(NamedTuple):
    partners: Tensor
    events: Tensor
    times: Tensor


def draws(seed: int, queries: np.ndarray, k: int) -> np.ndarray:
    """(Q,) whole numbers that name the queries -> (Q, k) in [0, 1), each row ascending: a function of (seed, query)."""
    with np.errstate(over="ignore"):
        key = mix(np.asarray(queries).astype(np.uint64) * GOLDEN + mix(np.uint64(seed) + GOLDEN))
        words = mix(key[:, None] + np.arange(1, k + 1, dtype=np.uint64) * GOLDEN)
    return np.sort(to_unit(words), axis=1)


# The definition ------------------------------------------------------------------------------------------------------


def recent_reference(index: TemporalIndex, nodes: np.ndarray, cuts: np.ndarray, k: int) -> Neighbours:
    """The last k entries of each node among the first `cut` events."""
    found = Neighbours(np.zeros((len(nodes), k), np.int32), np.zeros((len(nodes), k), np.int32),
                       np.zeros((len(nodes), k), index.times.dtype))  # fmt: skip
    for q, past in enumerate(map(lambda n, c: _past(index, n, c), nodes, cuts)):
        for j, (partner, event, time) in enumerate(reversed(past[-k:]), start=1):
            found.partners[q, -j], found.events[q, -j], found.times[q, -j] = partner, event, time
    return found


def drawn_reference(
    index: TemporalIndex, nodes: np.ndarray, cuts: np.ndarray, draws: np.ndarray, rate: float = 0.0
) -> Neighbours:
    """Entry i of the past has weight exp(-rate (t_newest - t_i)); draw u chooses the first whose share of the sum,
    with those before it, is above u."""
    shape = draws.shape
    found = Neighbours(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, index.times.dtype))
    for q in range(len(nodes)):
        past = _past(index, nodes[q], cuts[q])
        if not past:
            continue
        weights = [np.exp(-rate * float(past[-1][2] - time)) for _, _, time in past]
        sums = np.cumsum(weights)
        for j, u in enumerate(draws[q]):
            chosen = min(int((sums <= u * sums[-1]).sum()), len(past) - 1)
            found.partners[q, j], found.events[q, j], found.times[q, j] = past[chosen]
    return found


def _past(index: TemporalIndex, node: int, cut: int) -> list[tuple[int, int, float]]:
    """(partner, event, time) of each entry, oldest first."""
    found = []
    for e in range(int(cut)):
        for own, other in ((index.sources, index.destinations), (index.destinations, index.sources)):
            if own[e] == node:
                found.append((int(other[e]), e + 1, index.times[e]))
    return found


# The same in torch ---------------------------------------------------------------------------------------------------


def recent_vectorised(packed: Packed, nodes: Tensor, cuts: Tensor, k: int) -> NeighbourTensors:
    """One search for all queries: entries are in order of (node, event), as one number."""
    place = _stops(packed, nodes, cuts).unsqueeze(1) + torch.arange(-k, 0, device=nodes.device)
    return _at(packed, torch.where(place >= packed.offsets[nodes].unsqueeze(1), place, 0))


def uniform_vectorised(packed: Packed, nodes: Tensor, cuts: Tensor, draws: Tensor) -> NeighbourTensors:
    first, stop = packed.offsets[nodes].unsqueeze(1), _stops(packed, nodes, cuts).unsqueeze(1)
    return _at(packed, torch.where(stop > first, first + (draws * (stop - first)).long(), 0))


def _stops(packed: Packed, nodes: Tensor, cuts: Tensor) -> Tensor:
    return torch.searchsorted(packed.key, nodes.long() * len(packed.times) + cuts, right=True)


def _at(packed: Packed, place: Tensor) -> NeighbourTensors:
    """The entries at places (Q, k), of which 0 holds none."""
    flat = place.flatten()
    events = packed.events.index_select(0, flat)
    found = packed.partners.index_select(0, flat), events, packed.times.index_select(0, events)
    return NeighbourTensors(*(x.view(place.shape) for x in found))


# Compiled ------------------------------------------------------------------------------------------------------------


def recent(
    index: TemporalIndex, nodes: np.ndarray, cuts: np.ndarray, k: int, out: Neighbours | None = None
) -> Neighbours:
    """The last k entries of each node among the first `cut` events.  out: written to, in place of new arrays."""
    found = out or _empty(index, (len(nodes), k))
    loops.recent(nodes, cuts, index.begin, index.end, index.partners, index.events, index.times, *found)
    return found


def drawn(
    index: TemporalIndex, nodes: np.ndarray, cuts: np.ndarray, draws: np.ndarray, rate: float = 0.0
) -> Neighbours:
    """As many as draws (Q, k) has, its rows ascending; rate 0 draws evenly, above it the newer ones more often."""
    found = _empty(index, draws.shape)
    loops.drawn(nodes, cuts, draws, rate, index.begin, index.end, index.partners, index.events, index.times, *found)
    return found


def _empty(index: TemporalIndex, shape: tuple[int, ...]) -> Neighbours:
    return Neighbours(np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape, index.times.dtype))
