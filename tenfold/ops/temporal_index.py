"""A stream of interactions so that each node's past is found at once, and grows by an event at constant cost.

Two tables hold it (TCL, arXiv 2105.07944; the dependency graph of Chang et al., CIKM 2020):

* a node's entries, oldest first: each event stands with both its ends (time-CSR); a self loop stands there twice;
* `previous` (E + 1, 2): the last event of the source, and of the destination, of a strictly earlier time than an event.
  Row 0 is (0, 0), so that chasing these pointers ends by itself.

Events are numbered 1..E in order of time, equal times in the given order; 0 is none. What a query may see is a cut: the
number of events before it. `cuts` turns moments into cuts, so that all else compares whole numbers, and ties are exact.

Shapes: E events, N nodes numbered from 1, Q queries.
"""

from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import DataError, ShapeError
from tenfold.ops import temporal_loops as loops

SPARE = 1.5  # by how much arrays that are full grow


class Packed(NamedTuple):
    """The same as tensors on a device, entries node by node without gaps."""

    offsets: Tensor  # (N + 2,): where each node's entries begin
    partners: Tensor  # (1 + 2 E,) int32; entry 0 is none
    events: Tensor  # (1 + 2 E,) int32
    key: Tensor  # (1 + 2 E,) int64, ascending: node * (E + 1) + event
    times: Tensor  # (1 + E,), by the number of the event
    previous: Tensor  # (E + 1, 2) int32

    def to(self, device: torch.device | str) -> "Packed":
        return Packed(*(x.to(device) for x in self))


class TemporalIndex:
    """Use `sources`, `destinations`, `times` and `previous` as they are; they may be longer than E inside."""

    def __init__(self, sources: np.ndarray, destinations: np.ndarray, times: np.ndarray, nodes: int) -> None:
        """sources, destinations (E,) in 1..nodes; times (E,) float64 or int64, ascending.

        Raises ShapeError, DataError.
        """
        _check(sources, destinations, times, nodes)
        self.count, self.nodes = len(times), nodes
        self._sources = np.ascontiguousarray(sources, np.int32)
        self._destinations = np.ascontiguousarray(destinations, np.int32)
        self._times = np.ascontiguousarray(times)
        self.begin, self.end, self._tie = (np.zeros(nodes + 1, np.int64) for _ in range(3))
        self.partners, self.events = (np.empty(2 * self.count, np.int32) for _ in range(2))
        self._previous = np.zeros((self.count + 1, 2), np.int32)
        columns = (self._sources, self._destinations, self._times)
        loops.build(*columns, self.begin, self.end, self._tie, self.partners, self.events, self._previous)
        self._room, self._used = self.end.copy(), 2 * self.count

    def __len__(self) -> int:
        return self.count

    @property
    def sources(self) -> np.ndarray:
        return self._sources[: self.count]

    @property
    def destinations(self) -> np.ndarray:
        return self._destinations[: self.count]

    @property
    def times(self) -> np.ndarray:
        return self._times[: self.count]

    @property
    def previous(self) -> np.ndarray:
        return self._previous[: self.count + 1]

    def cuts(self, moments: np.ndarray) -> np.ndarray:
        """(Q,) -> (Q,) int64: how many events are strictly earlier than each moment."""
        moments = np.ascontiguousarray(moments)
        found = np.empty(len(moments), np.int64)
        loops.cuts(self._times, self.count, moments, found)
        return found

    def degrees(self) -> np.ndarray:
        """(N + 1,): entries of each node."""
        return (self.end - self.begin)[: self.nodes + 1]

    def append(self, sources: np.ndarray, destinations: np.ndarray, times: np.ndarray) -> Self:
        """Events that are not earlier than the last one; nodes above N are new. Raises ShapeError, DataError.

        Costs an event the same however many there are: arrays grow by a share, and a node whose room is full moves into
        twice as much.
        """
        nodes = max(self.nodes, int(np.max(sources, initial=0)), int(np.max(destinations, initial=0)))
        _check(sources, destinations, times, nodes)
        if len(times) and self.count and times[0] < self._times[self.count - 1]:
            raise DataError(
                f"an event at {times[0]} cannot follow one at {self._times[self.count - 1]}: a stream goes on in time"
            )
        first, total = self.count, self.count + len(times)
        self._sources, self._destinations = (
            _with(self._sources, sources, first),
            _with(self._destinations, destinations, first),
        )
        self._times = _with(self._times, times, first)
        self._previous = _longer(self._previous, total + 1)
        if nodes > self.nodes:
            self.begin, self.end = _longer(self.begin, nodes + 1), _longer(self.end, nodes + 1)
            self._tie, self._room = _longer(self._tie, nodes + 1), _longer(self._room, nodes + 1)
            for column in (self.begin, self.end, self._tie, self._room):
                column[self.nodes + 1 :] = 0
            self.nodes = nodes
        done, columns = first, (self._sources, self._destinations, self._times)
        while done < total:
            tables = (self.begin, self.end, self._room, self._tie, self.partners, self.events, self._previous)
            done, self._used = loops.append(done, total, *columns, *tables, self._used)
            if done < total:
                wanted = self._used + 2 * int(self.degrees().max(initial=0)) + 64
                self.partners, self.events = _longer(self.partners, wanted), _longer(self.events, wanted)
        self.count = total
        vars(self).pop("packed", None)
        return self

    @cached_property
    def packed(self) -> Packed:
        """For the vectorised versions and for other devices; made anew after `append`."""
        node = np.repeat(np.arange(self.nodes + 1), self.degrees())
        offsets = np.concatenate([[0], np.cumsum(self.degrees())])
        place = np.arange(len(node)) - offsets[node] + self.begin[node]
        events = self.events[place]
        key = node * np.int64(self.count + 1) + events

        def padded(column: np.ndarray) -> Tensor:
            return torch.from_numpy(np.concatenate([np.zeros(1, column.dtype), column]))

        return Packed(
            torch.from_numpy(offsets + 1),
            padded(self.partners[place]),
            padded(events),
            padded(key),
            padded(self.times),
            torch.from_numpy(self.previous),
        )


def _check(sources: np.ndarray, destinations: np.ndarray, times: np.ndarray, nodes: int) -> None:
    if not (sources.shape == destinations.shape == times.shape == (len(times),)):
        raise ShapeError(
            f"sources, destinations and times are one number an event each; found shapes {sources.shape}, "
            f"{destinations.shape} and {times.shape}"
        )
    if times.dtype not in (np.float64, np.int64):
        raise ShapeError(f"times are float64 or int64, which hold a day of milliseconds exactly; found {times.dtype}")
    for ends in (sources, destinations):
        if len(ends) and (ends.min() < 1 or ends.max() > nodes):
            raise DataError(f"nodes are numbered 1..{nodes}; found {ends.min()} .. {ends.max()}")
    back = times[1:] < times[:-1]
    if back.any():
        row = int(back.argmax()) + 1
        raise DataError(f"event {row + 1} at {times[row]} is earlier than the one before it, at {times[row - 1]}")
    if len(times) and not np.isfinite(times[[0, -1]]).all():
        raise DataError("times are finite numbers; found NaN or infinity")


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    """The array with room for `length` rows at least."""
    if len(array) >= length:
        return array
    grown = np.empty((max(length, int(SPARE * len(array)) + 16), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _with(array: np.ndarray, more: np.ndarray, first: int) -> np.ndarray:
    array = _longer(array, first + len(more))
    array[first : first + len(more)] = more
    return array
