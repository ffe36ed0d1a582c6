"""Event logs: who met which item, in which order. Read from any of the usual files and packed end to end.

Shapes: E events, U users, V items. Items and users are numbered in the order in which the file first names them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from tenfold.data import columns, packing
from tenfold.data.attributes import read_attributes
from tenfold.data.batches import Batch, Source, nothing_left
from tenfold.data.dataset import Dataset, ReadReport, check_names, renumbering
from tenfold.data.options import ReadOptions
from tenfold.data.sequences import histories_of, ids_of, seconds
from tenfold.data.sources import source_of
from tenfold.data.times import Times
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError, as_said
from tenfold.files import digest
from tenfold.options import parse

if TYPE_CHECKING:
    import pandas as pd


LITTLE = 4  # rows from which on ids that repeat in most of them are not believed to be ids


@dataclass(frozen=True, eq=False)
class Events(Dataset):
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
    kinds: np.ndarray | None = None  # (E,) int32 from 1: view, cart, buy ...; 0 where the file says none
    kind_names: Vocabulary | None = None

    @classmethod
    def from_histories(
        cls,
        histories: Sequence[Sequence[Any]],
        *,
        users: Sequence[Any] | None = None,
        times: Sequence[Sequence[float]] | None = None,
        titles: dict[Any, str] | None = None,
        kinds: Sequence[Sequence[str | None]] | None = None,
    ) -> Self:
        """Lists of item ids, one for each user; users are numbered from 1 where they have no ids. times, kinds: of each
        event. Raises DataError."""
        histories, several = histories_of(histories, "histories")
        if not several and histories[0]:
            raise DataError(f"histories are lists of ids, one for each user; found {histories[0][0]!r} among them")
        histories = histories if several else []
        flat = _one_kind("histories", [item for history in histories for item in history])
        catalogue = Vocabulary(flat.unique(maintain_order=True))
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64)
        names = Vocabulary(
            _one_kind("users", range(1, len(histories) + 1) if users is None else ids_of(users, "users"))
        )
        if len(names) != len(histories):
            raise DataError(f"there are {len(histories)} histories and {len(names)} users; give each history one")
        moments = None if times is None else [seconds(own) for own in ids_of(times, "times")]
        if moments is not None:
            check_times(histories, moments)
        of_kind, kind_names = None, None
        if kinds is not None:
            check_times(histories, kinds, "kinds")
            names_of = pl.Series([kind for history in kinds for kind in history], dtype=pl.String)
            kind_names = Vocabulary(names_of.drop_nulls().unique(maintain_order=True))
            of_kind = kind_names.numbers(names_of)
        clock = None if moments is None else np.concatenate([*moments, np.empty(0)])
        if clock is not None and not np.isfinite(clock).all():
            user = int(np.searchsorted(offsets, np.flatnonzero(~np.isfinite(clock))[0], side="right")) - 1
            raise DataError(f"history {user} has an event without a time (NaN, None or infinite); give each event one")
        items = catalogue.numbers(flat)
        if clock is not None:
            if of_kind is not None:
                packing.sort_each(of_kind, clock.copy(), offsets)
            packing.sort_each(items, clock, offsets)
        frame = None
        if titles is not None:
            frame = pl.DataFrame({"title": pl.Series([titles.get(own) for own in catalogue.series], dtype=pl.String)})
        report = ReadReport(source="histories", rows=len(flat))
        return cls(items, offsets, clock, names, catalogue, report, frame, of_kind, kind_names)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def history(self, user: int) -> np.ndarray:
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Users are in no system's vocabulary: their ids are the log's own."""
        return {"items": self.catalogue} | ({} if self.kind_names is None else {"kinds": self.kind_names})

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of ids, items, order, times and kinds; whatever file they stood in."""
        clock = b"" if self.times is None else packing.raw(self.times)
        kinds: list[bytes | memoryview] = []
        if self.kinds is not None and self.kind_names is not None:
            kinds = [self.kind_names.fingerprint.encode(), packing.raw(self.kinds)]
        return digest(
            self.users.fingerprint.encode(),
            self.catalogue.fingerprint.encode(),
            packing.raw(self.items),
            packing.raw(self.offsets),
            clock,
            *kinds,
        )

    def title(self, number: int) -> str:
        """What a person knows the item by: its title, or its id where there is none."""
        if self.attributes is not None and "title" in self.attributes.columns:
            title = self.attributes["title"][int(number) - 1]
            if title is not None:
                return str(title)
        return str(self.catalogue.ids([number])[0])

    def recoded(self, vocabularies: Mapping[str, Vocabulary] | Vocabulary) -> Self:
        """The same log in other vocabularies' numbers, `items` and `kinds`; events whose item is not in them stay in
        place as number 0. A vocabulary alone is that of the items. Raises DataError."""
        if isinstance(vocabularies, Vocabulary):
            vocabularies = {"items": vocabularies}
        check_names(self, vocabularies)
        if "kinds" in vocabularies and self.kinds is not None and self.kind_names is not None:
            kinds = renumbering(self.kind_names, vocabularies["kinds"])[self.kinds]
            return replace(self, kinds=kinds, kind_names=vocabularies["kinds"]).recoded(
                {name: known for name, known in vocabularies.items() if name != "kinds"}
            )
        if "items" not in vocabularies:
            return self
        catalogue = vocabularies["items"]
        new = renumbering(self.catalogue, catalogue)
        frame = self.attributes
        if frame is not None:
            where = pl.DataFrame({"number": pl.Series(new[1:]), "row": pl.Series(range(len(new) - 1), dtype=pl.UInt32)})
            numbers = pl.DataFrame({"number": np.arange(1, len(catalogue) + 1, dtype=np.int32)})
            rows = numbers.join(where, on="number", how="left", maintain_order="left")["row"]
            frame = frame.select(pl.all().gather(rows))
        return replace(self, items=new[self.items], catalogue=catalogue, attributes=frame)


def _one_kind(what: str, ids: Any) -> pl.Series:
    """Raises DataError."""
    try:
        return pl.Series(ids, strict=True)
    except (TypeError, OverflowError, UnicodeEncodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{what} hold ids of one kind, text or whole numbers: {error}") from error


def check_times(
    histories: Sequence[Sequence[Any]], values: Sequence[Sequence[Any] | np.ndarray], named: str = "times"
) -> None:
    """Raises DataError where not each event has a time, or what else is `named`."""
    if len(values) != len(histories):
        raise DataError(f"there are {len(histories)} histories and {len(values)} lists of {named}; give each one")
    for row, (history, own) in enumerate(zip(histories, values, strict=True)):
        if len(history) != len(own):
            raise DataError(f"history {row} has {len(history)} events and {len(own)} {named}; give each event one")


def refuse_reading(reading: ReadOptions | None) -> None:
    """Events that are there already are not read: nothing is left to choose. Raises OptionError."""
    for name in reading.chosen() if reading else ():
        raise OptionError(f"{name} says how a file is read, and these events were read before; give it to read_events")


def read_events(
    data: "str | Path | pd.DataFrame | pl.DataFrame | Events", reading: ReadOptions | None = None, **reading_fields: Any
) -> Events:
    """Raises DataError with the file and the line of what is wrong, OptionError."""
    if reading is None or reading_fields:
        from dataclasses import asdict

        reading = parse(ReadOptions, {**(asdict(reading) if reading else {}), **reading_fields})
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

    def __init__(self, source: Source, reading: ReadOptions) -> None:
        self.source, self.strict_order = source, reading.require_sorted
        self.roles = columns.roles(source.name, source.columns, reading.columns)
        self.where = columns.conditions(source.name, reading.where, source.columns)
        compared = [condition.column for condition in self.where]
        source.loose = {name for role, name in self.roles.items() if role == "kind"} | set(compared)
        source.loose -= {name for role, name in self.roles.items() if role != "kind"}
        source.clocks = {self.roles["time"]} if "time" in self.roles else set()
        self.wanted = list(dict.fromkeys([*self.roles.values(), *compared]))
        self.numberings = {role: packing.Numbering() for role in self.roles if role != "time"}
        self.kind_is_chosen = "kind" in columns.spelled_out(reading.columns)
        self.clock = Times(reading.time_format)
        self.latest = np.full(1, -np.inf)
        self.parts: dict[str, list[np.ndarray]] = {role: [] for role in ("user", "item", "time", "kind")}
        self.remarks = columns.doubtful(
            source.name, source.columns, self.roles, reading.columns, ("user", "item", "time"), columns.ALIASES
        )
        self.id_is_chosen = "event" in columns.spelled_out(reading.columns)
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
        needed = {role: name for role, name in self.roles.items() if role != "kind"}
        read, good, more = columns.checked(self.source.name, frame, places, needed, self.clock)
        if "kind" in self.roles:
            read["kind"] = columns.kinds(frame[self.roles["kind"]])
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
            again = len(places) - len(first)
            if not self.parts["user"] and not self.id_is_chosen and 2 * again > len(places) > LITTLE:
                name = self.roles.pop("event")
                self.remarks.append(
                    f"'{name}' of {self.source.name} is not taken for the events' own id, for it repeats in {again:,} "
                    f"of the first {len(places):,} rows; if it is, say {as_said('columns', f'event={name}')}"
                )
            else:
                self.duplicates += again
                read, places = {role: values.gather(first) for role, values in read.items()}, places[first]
        users, _ = self.numberings["user"].add(read["user"])
        items, _ = self.numberings["item"].add(read["item"])
        self.parts["user"].append(users)
        self.parts["item"].append(items)
        if "kind" in read:
            self._keep_kinds(read["kind"])
        if "time" in read:
            times = read["time"].to_numpy()
            self.parts["time"].append(times)
            self._check_order(users, times, places)

    def _keep_kinds(self, kinds: pl.Series) -> None:
        """Raises DataError where a column that was named as the kind is none."""
        there = kinds.is_not_null().to_numpy()
        found = np.zeros(len(kinds), np.int32)
        found[there] = self.numberings["kind"].add(kinds.drop_nulls())[0]
        self.parts["kind"].append(found)
        if self.numberings["kind"].count > columns.MOST_KINDS:
            name = self.roles.pop("kind")
            what = f"column '{name}' of {self.source.name} holds more than {columns.MOST_KINDS} kinds of events"
            if self.kind_is_chosen:
                raise DataError(f"{what}; name another one with {as_said('columns', 'kind=NAME')}, or none")
            self.remarks.append(f"{what}: it is not taken for the kind")
            self.parts["kind"] = []

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


def _packed(arrivals: _Arrivals, reading: ReadOptions) -> Events:
    source, bad = arrivals.source, arrivals.source.bad
    if not arrivals.parts["user"]:
        raise DataError(nothing_left(source, arrivals.rows, arrivals.left_out, "events"))
    users = arrivals.whole("user")
    offsets = packing.offsets_of(users, arrivals.numberings["user"].count)
    items = packing.packed(users, arrivals.whole("item"), offsets)
    times = packing.packed(users, arrivals.whole("time"), offsets) if arrivals.parts["time"] else None
    kinds = packing.packed(users, arrivals.whole("kind"), offsets) if arrivals.parts["kind"] else None
    kind_names = None if kinds is None else Vocabulary(arrivals.numberings["kind"].ids())
    del users
    if arrivals.out_of_order and times is not None:
        if kinds is not None:  # the sort is stable: both move alike
            packing.sort_each(kinds, times.copy(), offsets)
        packing.sort_each(items, times, offsets)
    names, catalogue = arrivals.ids("user"), arrivals.ids("item")

    duplicates, equal = arrivals.duplicates, 0
    if reading.deduplicate or times is not None:
        same, count = packing.together(items, len(catalogue), kinds, 0 if kind_names is None else len(kind_names))
        again = packing.repeats(same, np.empty(0) if times is None else times, offsets, count)
        found = int(again.sum())
        duplicates, equal = (duplicates + found, 0) if reading.deduplicate else (duplicates, found)
    keep = ~again if reading.deduplicate else None
    if keep is not None and found:
        kinds = None if kinds is None else kinds[keep]
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
        kinds = None if kinds is None else kinds[keep]
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
        remarks=(*source.told(), *untimed, *arrivals.remarks, *remarks),
    )
    return Events(items, offsets, times, Vocabulary(names), vocabulary, report, attributes, kinds, kind_names)


def _only(
    keep: np.ndarray, items: np.ndarray, offsets: np.ndarray, times: np.ndarray | None, names: pl.Series
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, pl.Series]:
    offsets, stays = packing.kept(offsets, keep)
    return items[keep], offsets, None if times is None else times[keep], names.filter(pl.Series(stays))
