"""Training windows that tile each user's whole training part: nothing is left out because it is old.

A part of n + 1 events has n inputs, each with the event after it as its target. They are cut into ceil(n / L) windows
of at most L; where the cuts fall moves with (seed, epoch, user), so that an event is seen at many places of a window.
Shapes: W windows, U users, B windows of a batch, L the window's length.
"""

import numpy as np
from numba import njit

from tenfold.data.hashing import below, mixed
from tenfold.data.splits import Split
from tenfold.errors import OptionError


class Windows:
    def __init__(self, split: Split, length: int) -> None:
        """Raises OptionError."""
        if length < 1:
            raise OptionError(f"a training window holds at least one event; found length {length}")
        self.split, self.length = split, length
        self.begin = split.events.offsets[:-1]
        self.inputs = np.maximum(split.train_end - self.begin - 1, 0)  # (U,)
        counts = -(-self.inputs // length)  # (U,)
        self.user = np.repeat(np.arange(len(counts), dtype=np.int64), counts)  # (W,) whose each window is
        self._number = np.arange(len(self.user), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        self._slack = counts * length - self.inputs  # (U,) how much shorter than L all windows of a user are together
        self._drawn: tuple[tuple[int | None, int], tuple[np.ndarray, np.ndarray]] | None = None

    def __len__(self) -> int:
        return len(self.user)

    def draw(self, seed: int | None, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(W,) start and (W,) stop, absolute: a window's inputs are items[start:stop], its targets one further.

        A user's first window is shorter by s, drawn evenly from 0 .. slack, the last by what remains; without a seed
        the first takes it all, and those at the end are full.
        """
        if self._drawn is None or self._drawn[0] != (seed, epoch):
            shift = self._slack if seed is None else _shifts(self._slack, np.uint64(seed), np.uint64(epoch))
            begin = self.begin[self.user]
            cut = self._number * self.length - shift[self.user]
            stop = begin + np.minimum(cut + self.length, self.inputs[self.user])
            self._drawn = (seed, epoch), (begin + np.maximum(cut, 0), stop)
        return self._drawn[1]

    def lengths(self, seed: int | None, epoch: int) -> np.ndarray:
        start, stop = self.draw(seed, epoch)
        return stop - start

    def batch(self, indices: np.ndarray, seed: int | None, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Events and the event after each, both (B, longest of them) int64, with zeros on the right."""
        start, stop = self.draw(seed, epoch)
        return _cut(self.split.events.items, start[indices], stop[indices])

    def along(self, values: np.ndarray, indices: np.ndarray, seed: int | None, epoch: int) -> np.ndarray:
        """What an array (E,) along the events, such as their times, holds of these windows: (B, longest), 0 on the
        right."""
        start, stop = (bounds[indices] for bounds in self.draw(seed, epoch))
        within = np.arange(max(int((stop - start).max(initial=0)), 1))
        real = within < (stop - start)[:, None]
        return np.where(real, values[np.where(real, start[:, None] + within, 0)], np.zeros(1, values.dtype))

    def histories(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The whole training parts of these windows' users, end to end, and their B + 1 offsets."""
        users = self.user[indices]
        begin, counts = self.begin[users], self.inputs[users] + 1
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], counts)
        return self.split.events.items[places], offsets


@njit(cache=True, nogil=True)
def _shifts(slack, seed, epoch):  # type: ignore[no-untyped-def]
    root = mixed(mixed(seed, epoch), 0)
    shift = np.empty(len(slack), np.int64)
    for user in range(len(slack)):
        shift[user] = below(mixed(root, user), slack[user] + 1)
    return shift


@njit(cache=True, nogil=True)
def _cut(items, start, stop):  # type: ignore[no-untyped-def]
    longest = 1
    for row in range(len(start)):
        longest = max(longest, stop[row] - start[row])
    events = np.zeros((len(start), longest), np.int64)
    following = np.zeros((len(start), longest), np.int64)
    for row in range(len(start)):
        for position in range(stop[row] - start[row]):
            events[row, position] = items[start[row] + position]
            following[row, position] = items[start[row] + position + 1]
    return events, following
