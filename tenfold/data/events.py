"""Event logs: who met which item, in which order. Read from any of the usual files and packed end to end.

Shapes: E events, U users, V items. Items and users are numbered in the order in which the file first names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from tenfold.data import columns, packing
from tenfold.data.attributes import read_attributes
from tenfold.data.batches import Batch, Source, nothing_left
from tenfold.data.options import Reading
from tenfold.data.sources import source_of
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError
from tenfold.files import digest
from tenfold.options import parse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ReadReport:
    """What was found in a file and what was done about it."""

    source: str = ""
    place: str = "row"
    columns: dict[str, str] = field(default_factory=dict)  # role -> the file's own name
    rows: int = 0  # that were rows at all, wrong ones included
    bad: int = 0
    first_bad: tuple[tuple[int, str], ...] = ()
    left_out: int = 0  # by `where`
    duplicates: int = 0  # left out
    equal: int = 0  # equal (user, item, time), kept
    out_of_order: int = 0  # events earlier than one before them of the same user
    dropped: int = 0  # events of users or items with too few
    remarks: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """For a person; nothing when there is nothing to say."""
        found = []
        if self.bad:
            shown = "; ".join(f"{self.place} {place}: {why}" for place, why in self.first_bad)
            more = f"; and {self.bad - len(self.first_bad):,} more" if self.bad > len(self.first_bad) else ""
            found.append(f"{self.bad:,} of {self.rows:,} rows of {self.source} are wrong and left out ({shown}{more})")
        if self.left_out:
            found.append(f"{self.left_out:,} of {self.rows:,} rows are left out by where")
        if self.out_of_order:
            found.append(
                f"{self.source} is not in order of time ({self.out_of_order:,} events are earlier than one before them "
                "of the same user): it was sorted, equal times in the file's order"
            )
        if self.duplicates:
            found.append(f"{self.duplicates:,} duplicates are left out")
        if self.equal:
            found.append(
                f"{self.equal:,} events equal an earlier one in user, item and time; they are kept without deduplicate"
            )
        if self.dropped:
            found.append(f"{self.dropped:,} events of users or items with too few events are left out")
        return [*found, *self.remarks]


@dataclass(frozen=True, eq=False)
class Events:
    """User u has items[offsets[u] : offsets[u + 1]], in order of time; items count from 1, and 0 is an unknown one."""

    items: np.ndarray  # (E,) int32
    offsets: np.ndarray  # (U + 1,) int64
    times: (
        np.ndarray | None
    )  # (E,) float64: the file's own numbers, or seconds since 1970; None where only order is known
    users: Vocabulary
    catalogue: Vocabulary
    report: ReadReport = field(default_factory=ReadReport)
    attributes: pl.DataFrame | None = None  # (V rows) of the items 1..V, with a column `title` where there is one

    @classmethod
    def from_histories(
        cls,
        histories: Sequence[Sequence[Any]],
        *,
        users: Sequence[Any] | None = None,
        times: Sequence[Sequence[float]] | None = None,
        titles: dict[Any, str] | None = None,
    ) -> Self:
        """Lists of item ids, one for each user; users are numbered from 1 where they have no ids. Raises DataError."""
        try:
            flat = pl.Series([item for history in histories for item in history], strict=True)
        except (TypeError, pl.exceptions.PolarsError) as error:
            raise DataError(f"histories hold ids of one kind, text or whole numbers: {error}") from error
        catalogue = Vocabulary(flat.unique(maintain_order=True))
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64)
        names = Vocabulary(pl.Series(users if users is not None else range(1, len(histories) + 1)))
        if times is not None:
            check_times(histories, times)
        clock = None if times is None else np.array([t for history in times for t in history], dtype=np.float64)
        items = catalogue.numbers(flat)
        if clock is not None:
            packing.sort_each(items, clock, offsets)
        frame = None
        if titles is not None:
            frame = pl.DataFrame({"title": pl.Series([titles.get(own) for own in catalogue.series], dtype=pl.String)})
        return cls(items, offsets, clock, names, catalogue, ReadReport(source="histories", rows=len(flat)), frame)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def history(self, user: int) -> np.ndarray:
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @cached_property
    def fingerprint(self) -> str:
        """Of ids, items, order and times; whatever file they stood in."""
        clock = b"" if self.times is None else packing.raw(self.times)
        return digest(
            self.users.fingerprint.encode(),
            self.catalogue.fingerprint.encode(),
            packing.raw(self.items),
            packing.raw(self.offsets),
            clock,
        )

    def title(self, number: int) -> str:
        """What a person knows the item by: its title, or its id where there is none."""
        if self.attributes is not None and "title" in self.attributes.columns:
            title = self.attributes["title"][int(number) - 1]
            if title is not None:
                return str(title)
        return str(self.catalogue.ids([number])[0])

    def recoded(self, catalogue: Vocabulary) -> Self:
        """The same log in another vocabulary's numbers; events whose item is not in it stay in place as number 0."""
        new = np.concatenate([[0], catalogue.numbers(self.catalogue.series)]).astype(np.int32)
        frame = self.attributes
        if frame is not None:
            where = pl.DataFrame({"number": pl.Series(new[1:]), "row": pl.Series(range(len(new) - 1), dtype=pl.UInt32)})
            numbers = pl.DataFrame({"number": np.arange(1, len(catalogue) + 1, dtype=np.int32)})
            rows = numbers.join(where, on="number", how="left", maintain_order="left")["row"]
            frame = frame.select(pl.all().gather(rows))
        return replace(self, items=new[self.items], catalogue=catalogue, attributes=frame)


def check_times(histories: Sequence[Sequence[Any]], times: Sequence[Sequence[float] | np.ndarray]) -> None:
    """Raises DataError where not each event has a time."""
    if len(times) != len(histories):
        raise DataError(f"there are {len(histories)} histories and {len(times)} lists of times; give each one")
    for row, (history, own) in enumerate(zip(histories, times, strict=True)):
        if len(history) != len(own):
            raise DataError(f"history {row} has {len(history)} events and {len(own)} times; give each event one")


def seconds(times: Sequence[float]) -> np.ndarray:
    """Times of events as float64. Raises DataError."""
    try:
        return np.asarray(times, dtype=np.float64)
    except (TypeError, ValueError):
        odd = next(time for time in times if not isinstance(time, int | float))
        raise DataError(f"an event's time is a number of seconds; found {odd!r}") from None


def refuse_reading(reading: Reading | None) -> None:
    """Events that are there already are not read: nothing is left to choose. Raises OptionError."""
    for name in reading.chosen() if reading else ():
        raise OptionError(f"{name} says how a file is read, and these events were read before; give it to read_events")


def read_events(
    data: "str | Path | pd.DataFrame | pl.DataFrame | Events", reading: Reading | None = None, **reading_fields: Any
) -> Events:
    """Raises DataError with the file and the line of what is wrong, OptionError."""
    if reading is None or reading_fields:
        from dataclasses import asdict

        reading = parse(Reading, {**(asdict(reading) if reading else {}), **reading_fields})
    if isinstance(data, Events):
        refuse_reading(reading)
        return data
    source = source_of(data, reading)
    arrivals = _Arrivals(source, reading)
    for batch in source.batches(arrivals.wanted):
        arrivals.take(batch)
    return _packed(arrivals, reading)


class _Arrivals:
    """Rows as they come: checked, and kept as numbers."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self.source, self.strict_order = source, reading.require_sorted
        self.roles = columns.roles(source.name, source.columns, reading.columns)
        self.where = columns.conditions(source.name, reading.where, source.columns)
        self.wanted = list(dict.fromkeys([*self.roles.values(), *(condition.column for condition in self.where)]))
        self.numberings = {role: packing.Numbering() for role in self.roles if role != "time"}
        self.clock = columns.Times()
        self.latest = np.full(1, -np.inf)
        self.parts: dict[str, list[np.ndarray]] = {role: [] for role in ("user", "item", "time")}
        self.wrong = 0  # of those that came; others were no rows and never came
        self.rows = self.left_out = self.duplicates = self.out_of_order = 0

    def take(self, batch: Batch) -> None:
        """Raises DataError."""
        frame, places, wrong = batch.frame, batch.places, list[tuple[int, str]]()
        self.rows += len(frame)
        if self.where:
            keep, unclear = columns.chosen(self.where, frame, places)
            wrong += unclear
            self.left_out += int((~keep).sum()) - len(unclear)
            frame, places = frame.filter(pl.Series(keep)), places[keep]
        read, good, more = columns.checked(self.source.name, frame, places, self.roles, self.clock)
        wrong += more
        self.wrong += len(wrong)
        self.source.bad.add(wrong)
        if not good.all():
            read = {role: values.filter(pl.Series(good)) for role, values in read.items()}
            places = places[good]
        self._keep(read, places)

    def _keep(self, read: dict[str, pl.Series], places: np.ndarray) -> None:
        if not len(places):
            return
        if "event" in read:
            _, first = self.numberings["event"].add(read.pop("event"))
            self.duplicates += len(places) - len(first)
            read, places = {role: values.gather(first) for role, values in read.items()}, places[first]
        users, _ = self.numberings["user"].add(read["user"])
        items, _ = self.numberings["item"].add(read["item"])
        self.parts["user"].append(users)
        self.parts["item"].append(items)
        if "time" in read:
            times = read["time"].to_numpy()
            self.parts["time"].append(times)
            self._check_order(users, times, places)

    def _check_order(self, users: np.ndarray, times: np.ndarray, places: np.ndarray) -> None:
        count = self.numberings["user"].count
        if count >= len(self.latest):
            grown = np.full(2 * count + 1, -np.inf)
            grown[: len(self.latest)] = self.latest
            self.latest = grown
        earlier, first = packing.out_of_order(users, times, self.latest)
        if earlier and self.strict_order:
            raise DataError(
                f"{self.source.name}, {self.source.place} {places[first]}: this event is earlier than one before it of "
                "the same user; sort the file by time, or do without require_sorted"
            )
        self.out_of_order += earlier

    def ids(self, role: str) -> pl.Series:
        found = self.numberings[role].ids()
        return columns.whole_numbers(found) if self.source.text else found

    def whole(self, role: str) -> np.ndarray:
        """The parts end to end; they are let go."""
        parts, self.parts[role] = self.parts[role], []
        return np.concatenate(parts)


def _packed(arrivals: _Arrivals, reading: Reading) -> Events:
    source, bad = arrivals.source, arrivals.source.bad
    if not arrivals.parts["user"]:
        raise DataError(nothing_left(source, arrivals.rows, arrivals.left_out, "events"))
    users = arrivals.whole("user")
    offsets = packing.offsets_of(users, arrivals.numberings["user"].count)
    items = packing.packed(users, arrivals.whole("item"), offsets)
    times = packing.packed(users, arrivals.whole("time"), offsets) if arrivals.parts["time"] else None
    del users
    if arrivals.out_of_order and times is not None:
        packing.sort_each(items, times, offsets)
    names, catalogue = arrivals.ids("user"), arrivals.ids("item")

    duplicates, equal = arrivals.duplicates, 0
    if reading.deduplicate or times is not None:
        again = packing.repeats(items, np.empty(0) if times is None else times, offsets, len(catalogue))
        found = int(again.sum())
        duplicates, equal = (duplicates + found, 0) if reading.deduplicate else (duplicates, found)
    keep = ~again if reading.deduplicate else None
    if keep is not None and found:
        items, offsets, times, names = _only(keep, items, offsets, times, names)
    dropped = 0
    if reading.min_user_events > 1 or reading.min_item_events > 1:
        keep = packing.core(items, offsets, len(catalogue), reading.min_user_events, reading.min_item_events)
        dropped = int((~keep).sum())
        if dropped == len(keep):
            raise DataError(
                f"{source.name}: no user has {reading.min_user_events} events of items that have "
                f"{reading.min_item_events}; lower min_user_events or min_item_events"
            )
        items, offsets, times, names = _only(keep, items, offsets, times, names)
        items, left = packing.renumbered(items, len(catalogue))
        catalogue = catalogue.gather(left - 1)
    vocabulary = Vocabulary(catalogue)
    attributes, remarks = read_attributes(reading, vocabulary) if reading.items else (None, ())
    untimed = columns.without_time(source.name, source.columns, arrivals.roles, reading.columns)
    report = ReadReport(
        source=source.name,
        place=source.place,
        columns=arrivals.roles,
        rows=arrivals.rows + bad.count - arrivals.wrong,
        bad=bad.count,
        first_bad=tuple(bad.first),
        left_out=arrivals.left_out,
        duplicates=duplicates,
        equal=equal,
        out_of_order=arrivals.out_of_order,
        dropped=dropped,
        remarks=(*untimed, *remarks),
    )
    return Events(items, offsets, times, Vocabulary(names), vocabulary, report, attributes)


def _only(
    keep: np.ndarray, items: np.ndarray, offsets: np.ndarray, times: np.ndarray | None, names: pl.Series
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, pl.Series]:
    offsets, stays = packing.kept(offsets, keep)
    return items[keep], offsets, None if times is None else times[keep], names.filter(pl.Series(stays))
