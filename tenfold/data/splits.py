"""Where each user's training ends, and the validation: five ways to cut a log.

A user's events stay in order of time, so each part of each user is one stretch. Shapes: U users, V items, Q queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from tenfold.data.events import Events
from tenfold.data.packing import raw
from tenfold.errors import DataError, OptionError, as_said, nearest
from tenfold.files import digest

SplitName = Literal["loo", "stream", "time", "spans", "none"]
Part = Literal["validation", "test"]
SPANS = 6  # after the first half of the time
Ends = tuple[np.ndarray, np.ndarray]


class Queries(NamedTuple):
    """What is asked: after items[offsets[user] : position], is it items[position]? The history may be empty."""

    user: np.ndarray  # (Q,) int64
    position: np.ndarray  # (Q,) int64, absolute


@dataclass(frozen=True, eq=False)
class Split:
    """User u trains on [offsets[u], train_end[u]), validates on [train_end[u], valid_end[u]), tests on what follows."""

    events: Events
    name: str
    train_end: np.ndarray  # (U,) int64, absolute
    valid_end: np.ndarray  # (U,) int64, absolute

    def queries(self, part: Part) -> Queries:
        """User after user, each in order of time."""
        if part not in ("validation", "test"):
            raise OptionError(f"there is no part '{part}' of a split; {nearest(part, ('validation', 'test'))}")
        test = part == "test"
        begin = self.valid_end if test else self.train_end
        counts = (self.events.offsets[1:] if test else self.valid_end) - begin
        user = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        within = np.arange(len(user), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        return Queries(user, begin[user] + within)

    def trained(self) -> np.ndarray:
        """(E,) bool: the event is in a training part."""
        # +1 where a user's training begins, -1 where it ends; a part that is empty, or an end that is the next
        # user's beginning, cancels out
        change = np.zeros(len(self.events.items) + 1, dtype=np.int8)
        offsets = self.events.offsets
        some = self.train_end > offsets[:-1]
        np.add.at(change, offsets[:-1][some], 1)
        np.add.at(change, self.train_end[some], -1)
        return np.cumsum(change[:-1], dtype=np.int8).astype(bool)

    def train_counts(self) -> np.ndarray:
        """(V + 1,) int64: how often each item is in training; 0 for number 0."""
        counts = np.bincount(self.events.items[self.trained()], minlength=len(self.events.catalogue) + 1)
        counts[0] = 0
        return counts.astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        parts = self.events.fingerprint.encode(), self.name.encode(), raw(self.train_end), raw(self.valid_end)
        return digest(*parts)

    def sentences(self) -> list[str]:
        """For a person; nothing when there is nothing to say."""
        if self.name == "none":
            return []
        begin, end = self.events.offsets[:-1], self.events.offsets[1:]
        tested, trained = self.valid_end < end, self.train_end > begin
        if self.name in ("time", "spans"):
            both = int((tested & trained).sum())
            return [
                f"split '{self.name}': {int(tested.sum()):,} of {len(end):,} users have events in the test part, and "
                f"{both:,} of these also in training"
            ]
        untested = int((~tested).sum())
        if not untested:
            return []
        return [f"split '{self.name}': {untested:,} of {len(end):,} users have too few events to test, and only train"]


def split(events: Events, name: str) -> Split:
    """loo: the last event is the test, the one before it the validation; users with fewer than three only train.
    stream: per user the first 80 %, the next 10 %, the last 10 %; users with a single event only train.
    time: two cuts for all, at the events that stand 80 % and 90 % into the log; equal times are not cut apart.
    spans: the first half of the time trains, the first of six equal spans after it validates, the others are tested
    (after IMSR: Wang and Shen, ICDE 2023); each event is known to the next answer, as in stream.
    none: everything trains.  Raises DataError, OptionError.
    """
    if name not in SPLITS:
        raise OptionError(f"there is no split '{name}'; {nearest(name, SPLITS)}")
    train_end, valid_end = SPLITS[name](events)
    if not (train_end > events.offsets[:-1]).any():
        raise DataError(f"split '{name}' leaves nothing to train on; choose another split, or give more events")
    return Split(events, name, train_end, valid_end)


def _loo(events: Events) -> Ends:
    end = events.offsets[1:]
    enough = np.diff(events.offsets) >= 3
    return end - 2 * enough, end - enough


def _stream(events: Events) -> Ends:
    begin, lengths = events.offsets[:-1], np.diff(events.offsets)
    first = np.minimum(lengths, 1)  # a single event is not a test without history, but the user's beginning
    return begin + np.maximum(8 * lengths // 10, first), begin + np.maximum(9 * lengths // 10, first)


def _time(events: Events) -> Ends:
    _check_times(events, "time")
    assert events.times is not None
    count = len(events.times)
    places = [8 * count // 10, 9 * count // 10]
    cuts = np.partition(events.times, places)[places]
    train_end, valid_end = (_before(events, cut) for cut in cuts)
    return train_end, valid_end


def spans(events: Events) -> np.ndarray:
    """(SPANS + 1,): where each span after the first half of the time begins, and the last one ends."""
    assert events.times is not None
    first, last = float(events.times.min()), float(events.times.max())
    return np.linspace(first + (last - first) / 2, last, SPANS + 1)


def _spans(events: Events) -> Ends:
    _check_times(events, "spans")
    half, validated, *_ = spans(events)
    return _before(events, half), _before(events, validated)


def _check_times(events: Events, name: str) -> None:
    if events.times is None:
        raise DataError(
            f"split '{name}' needs times, and these events have only an order; name the column with "
            f"{as_said('columns', 'time=NAME')}, or choose loo or stream"
        )


def _before(events: Events, cut: float) -> np.ndarray:
    """(U,) absolute: where each user's events at or after the cut begin."""
    assert events.times is not None
    before = np.zeros(len(events.times) + 1, dtype=np.int64)
    np.cumsum(events.times < cut, out=before[1:])
    return events.offsets[:-1] + np.diff(before[events.offsets])


def _none(events: Events) -> Ends:
    return events.offsets[1:].copy(), events.offsets[1:].copy()


SPLITS: dict[str, Callable[[Events], Ends]] = {
    "loo": _loo, "stream": _stream, "time": _time, "spans": _spans, "none": _none
}  # fmt: skip
