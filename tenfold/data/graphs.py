"""Temporal graphs: who met whom, and when. Read from any file that event logs are read from, and as public ones are.

Shapes: E interactions, N entities, d features of an interaction. Entities are numbered from 1 in the order in which the
file first names them; 0 is unknown.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl

from tenfold.data import columns as known
from tenfold.data import packing
from tenfold.data.batches import Batch, Source, nothing_left
from tenfold.data.dataset import Dataset, ReadReport, check_names, renumbering
from tenfold.data.layouts import SEPARATORS, beginning, fields_of, first_lines, header_in_comment, look
from tenfold.data.options import ReadOptions
from tenfold.data.sources import table_of
from tenfold.data.text_sources import Delimited
from tenfold.data.times import Times
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said, nearest
from tenfold.files import digest
from tenfold.options import parse

if TYPE_CHECKING:
    import pandas as pd

ROLES = {
    "source": ("source", "src", "sourceid", "from", "fromid", "fromnodeid", "sender", *known.ALIASES["user"], "u"),
    "destination": (
        *(
            "destination",
            "dst",
            "dest",
            "destinationid",
            "partner",
            "partnerid",
            "target",
            "targetid",
            "to",
            "toid",
            "tonodeid",
        ),
        *("receiver", "recipient", *known.ALIASES["item"], "v", "i"),
    ),
    "time": (*known.ALIASES["time"], "t", "day"),
    "kind": ("kind", "event", "eventtype", "type", "action", "relation", "edgetype"),
    "split": ("split", "part", "subset"),
}
NEEDED = ("source", "destination", "time")
FEATURE = r"(features?|feats?|f)[_ ]?\d*"  # what columns of features are called
IN_ORDER = "source=1,destination=2,time=3"  # columns of a file without a header that are separated by spaces
TEMPORAL_DATA = ("src", "dst", "t", "msg")  # what PyTorch Geometric's TemporalData holds
SHARES = (0.7, 0.15)  # of the time, for training and for validation
AT_ONCE = 100_000  # rows of a file of features that are looked at together


class Rows(NamedTuple):
    """Which interactions belong to which part of a split; each in order of time."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class TemporalGraph(Dataset):
    """Interactions in order of time; equal times in the order of the file, equal rows as often as they are there."""

    sources: np.ndarray  # (E,) int32
    destinations: np.ndarray  # (E,) int32; in a bipartite graph numbered on behind the sources
    times: np.ndarray  # (E,) float64: the file's own numbers, or seconds since 1970
    entities: Vocabulary  # the sources' ids, and the destinations' where both are of one kind
    partners: Vocabulary | None = (
        None  # the destinations' ids in a bipartite graph: its numbers begin at len(entities) + 1
    )
    features: np.ndarray | None = None  # (E, d) float32
    kinds: np.ndarray | None = None  # (E,) int32 from 1; 0 where the file says none
    kind_names: Vocabulary | None = None
    parts: pl.Series | None = None  # (E,) the file's split column
    report: ReadReport = field(default_factory=ReadReport)
    node_features: np.ndarray | None = None  # (N + 1, d) float32; row 0 is nobody's

    def __len__(self) -> int:
        return len(self.times)

    @property
    def bipartite(self) -> bool:
        return self.partners is not None

    @property
    def size(self) -> int:
        """N."""
        return len(self.entities) + (0 if self.partners is None else len(self.partners))

    def ids(self, numbers: Sequence[int] | np.ndarray) -> list[Any]:
        """The file's own ids of entities 1..N. Raises DataError."""
        asked, first = np.asarray(numbers, dtype=np.int64), len(self.entities)
        if self.partners is None:
            return self.entities.ids(asked)
        if len(asked) and (asked.min() < 1 or asked.max() > self.size):
            raise DataError(f"entities are numbered from 1 to {self.size}, found {asked.min()} .. {asked.max()}")
        one, two = iter(self.entities.ids(asked[asked <= first])), iter(self.partners.ids(asked[asked > first] - first))
        return [next(one) if number <= first else next(two) for number in asked]

    def source_numbers(self, ids: Sequence[Any] | pl.Series) -> np.ndarray:
        """(n,) int32, 0 where an id is unknown."""
        return self.entities.numbers(ids)

    def destination_numbers(self, ids: Sequence[Any] | pl.Series) -> np.ndarray:
        """(n,) int32, 0 where an id is unknown."""
        if self.partners is None:
            return self.entities.numbers(ids)
        found = self.partners.numbers(ids)
        return np.where(found > 0, found + len(self.entities), 0).astype(np.int32)

    def split(self, shares: tuple[float, float] | None = None) -> Rows:
        """By the file's column where it has one and no shares are given; else by time, for training the first 70 % of
        the interactions and for validation the next 15 %. Interactions of one moment stay together.

        shares: of training and validation. Raises DataError where a part would be empty.
        """
        if self.parts is not None and shares is None:
            return Rows(*(known.part(self.report.source, self.parts, name) for name in Rows._fields))
        train, validation = shares or SHARES
        if not 0 < train < train + validation < 1 or not len(self):
            raise DataError(
                f"shares={shares} of {len(self):,} interactions: expected two above 0 whose sum is below 1, such as "
                "(0.7, 0.15), and something to be split"
            )
        cuts = np.quantile(self.times, [train, round(train + validation, 9)])  # 0.1 + 0.7 is less than 0.8
        ends = np.searchsorted(self.times, cuts, side="right")  # a moment that is cut stays in the earlier part
        rows = Rows(*np.split(np.arange(len(self)), ends))
        for name, part in zip(Rows._fields, rows, strict=True):
            if not len(part):
                raise DataError(
                    f"{self.report.source}: of {len(self):,} interactions none is left for {name} when they are cut at "
                    f"the times {cuts[0]:g} and {cuts[1]:g}; give more interactions, or other shares"
                )
        return rows

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        """These interactions, by number, ascending, or by a bool for each; entities keep their numbers."""
        index = known.index(rows, len(self))

        def of(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[index]

        parts = None if self.parts is None else self.parts.gather(index)
        arrays = {"sources": self.sources[index], "destinations": self.destinations[index], "times": self.times[index]}
        return replace(self, **arrays, features=of(self.features), kinds=of(self.kinds), parts=parts)

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        every = {"entities": self.entities, "partners": self.partners, "kinds": self.kind_names}
        return {name: vocabulary for name, vocabulary in every.items() if vocabulary is not None}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same interactions in other vocabularies' numbers; those of an unknown entity stay in place as number 0.

        Raises DataError where one of the two numberings is of a bipartite graph and the other is not.
        """
        check_names(self, vocabularies)
        entities = vocabularies.get("entities", self.entities)
        of_sources = renumbering(self.entities, entities)
        partners, of_destinations = self.partners, of_sources
        if self.partners is not None:
            partners = vocabularies.get("partners", self.partners)
            own = renumbering(self.partners, partners)[1:]
            shifted = np.where(own > 0, own + len(entities), 0)
            of_destinations = np.concatenate([np.zeros(len(self.entities) + 1, np.int32), shifted]).astype(np.int32)
        kinds, kind_names = self.kinds, self.kind_names
        if kinds is not None and kind_names is not None and "kinds" in vocabularies:
            kinds = renumbering(kind_names, vocabularies["kinds"])[kinds]
            kind_names = vocabularies["kinds"]
        arrays = {"sources": of_sources[self.sources], "destinations": of_destinations[self.destinations]}
        about = self.node_features
        if about is not None:
            moved = np.zeros(
                (len(entities) + (len(partners) if partners is not None else 0) + 1, about.shape[1]), np.float32
            )
            new = (
                of_sources
                if self.partners is None
                else np.concatenate([of_sources, of_destinations[len(of_sources) :]])
            )
            moved[new[1:]] = about[1:]
            moved[0] = 0
            arrays["node_features"] = moved
        return replace(self, **arrays, entities=entities, partners=partners, kinds=kinds, kind_names=kind_names)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of ids, interactions, features, kinds, times and parts; whatever file they stood in."""
        ids = (self.entities, self.partners, self.kind_names)
        arrays = [self.sources, self.destinations, self.times, self.features, self.kinds]
        if self.node_features is not None:
            arrays.append(self.node_features)
        names: list[str] = []
        if self.parts is not None:
            words, numbers = np.unique(self.parts.cast(pl.String).fill_null("").to_numpy(), return_inverse=True)
            names = words.tolist()
            arrays.append(numbers.astype(np.int32))
        return digest(
            *(b"" if known is None else known.fingerprint.encode() for known in ids),
            *(b"" if array is None else packing.raw(array) for array in arrays),
            repr(names).encode(),
        )


def read_interactions(
    data: "str | Path | pd.DataFrame | pl.DataFrame",
    *,
    columns: str = "",
    features: Iterable[str] | None = None,
    bipartite: bool | None = None,
    where: Iterable[str] = (),
    encoding: str = "utf-8",
    format: str = "auto",
    separator: str = "",
    quote: str = "auto",
    time_format: str = "",
    on_bad_rows: str = "refuse",
    edge_features: str | Path | None = None,
    node_features: str | Path | None = None,
    require_sorted: bool = False,
) -> TemporalGraph:
    """Interactions from any file or frame that event logs are read from; also `source destination time` lines without a
    header (SNAP), the public CSVs of JODIE (whose header is shorter than their rows), DyGLib and TGB, and an object of
    PyTorch Geometric's `TemporalData`.

    columns: 'source=NAME,destination=NAME,time=NAME,kind=NAME,split=NAME' where names do not say it themselves.
    features: columns of numbers, or lists of them; by default those called feature..., feat... or f0, f1 ...
    bipartite: sources and destinations are two sets of ids, so that user 5 is not item 5; by default they are if the
    destination's column is called as items are.  edge_features: a .npy file of one row for each interaction of the
    file, or one more, whose first is padding; of float32 and in order of time it stays on the disk.  node_features: one
    of a row for each node, by its id, a whole number.  require_sorted: refuse what is not in order of time.  separator,
    quote, time_format: as `ReadOptions` of event logs.
    Raises DataError with the line of what is wrong, OptionError.
    """
    if all(hasattr(data, name) for name in TEMPORAL_DATA):
        data = _frame_of(data)
    told_apart = {"encoding": encoding, "format": format, "on_bad_rows": on_bad_rows}
    source, columns = _source(data, columns, {**told_apart, "separator": separator, "quote": quote})
    arrivals = _Arrivals(source, columns, features, bipartite, where, time_format)
    for batch in source.batches(arrivals.wanted):
        arrivals.take(batch)
    graph, order = arrivals.graph(require_sorted=require_sorted)
    if edge_features is not None:
        graph = replace(graph, features=_edge_rows(Path(edge_features), graph, order))
    if node_features is not None:
        graph = replace(graph, node_features=_node_rows(Path(node_features), graph))
    return graph


def _frame_of(data: Any) -> pl.DataFrame:
    """Of a TemporalData: sources, destinations and times, and its messages as features. Raises DataError."""
    columns = {name: np.asarray(getattr(data, own)) for name, own in zip(NEEDED, TEMPORAL_DATA, strict=False)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"this TemporalData is of unequal lengths, {lengths}; give each interaction all three")
    messages = None if data.msg is None else np.asarray(data.msg, np.float32)
    if messages is None or messages.size == 0:
        return pl.DataFrame(columns)
    if len(messages) != lengths["time"]:
        raise DataError(f"this TemporalData has {len(messages):,} messages of {lengths['time']:,} interactions")
    flat = messages.reshape(len(messages), -1)
    return pl.DataFrame(columns | {"features": list(flat)}, schema_overrides={"features": pl.List(pl.Float32)})


def _numbers_in(path: Path) -> np.ndarray:
    """(n, d), read when it is looked at; what is written into it stays here. Raises DataError."""
    try:
        found = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no .npy file of numbers: {error}") from None
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise DataError(f"{path} holds {found.dtype} of shape {found.shape}; expected a row of numbers for each")
    for first in range(0, len(found), AT_ONCE):
        wrong = ~np.isfinite(found[first : first + AT_ONCE]).all(1)
        if wrong.any():
            row = first + int(wrong.argmax())
            raise DataError(f"{path}, row {row}: a feature is NaN or infinite; give numbers")
    return found


def _edge_rows(path: Path, graph: TemporalGraph, order: np.ndarray | None) -> np.ndarray:
    """(E, d) float32. The file itself, read as it is needed, where that is float32 and in order of time."""
    found = _numbers_in(path)
    if len(found) not in (len(graph), len(graph) + 1) or graph.report.bad or graph.report.left_out:
        raise DataError(
            f"{path} has {len(found):,} rows and {graph.report.source} {len(graph):,} interactions that are read; give "
            "one row for each row of the file, and read all of them"
        )
    found = found[len(found) - len(graph) :]
    return np.asarray(found if order is None else found[order], np.float32)


def _node_rows(path: Path, graph: TemporalGraph) -> np.ndarray:
    found, ids = _numbers_in(path), graph.ids(np.arange(1, graph.size + 1))
    rows = np.array([int(own) if str(own).isdigit() else -1 for own in ids])
    if (rows < 0).any() or rows.max(initial=0) >= len(found):
        wrong = ids[int(np.flatnonzero((rows < 0) | (rows >= len(found)))[0])]
        raise DataError(
            f"{path} has rows 0 .. {len(found) - 1}, and no row for the node {wrong!r}; ids are row numbers"
        )
    return np.concatenate([np.zeros((1, found.shape[1])), found[rows]]).astype(np.float32)


def _source(data: Any, columns: str, told_apart: dict[str, str]) -> tuple[Source, str]:
    """The rows, and which columns are what as far as that is known. Raises DataError, OptionError."""
    layout, first = "", list[list[str]]()
    if isinstance(data, str | Path):
        # lines between spaces, which are a user's items in an event log, are here one interaction each
        reading = parse(ReadOptions, {**told_apart, "columns": columns or IN_ORDER})
        layout, separator = look(Path(data), reading)
        layout = "spaces" if layout in ("lines", "sasrec") else layout
        if layout in ("csv", "tsv", "spaces"):
            start, between = beginning(Path(data)), separator or SEPARATORS[layout]
            with suppress(csv.Error):
                first = [fields_of(line, between) for line in first_lines(start, reading)[:2]]
                if named := header_in_comment(start, between):
                    first = [named, *first[:1]]
    if first and not columns and all(_is_number(name) for name in first[0]):
        if layout != "spaces":
            raise DataError(
                f"{data} has no header, its first line is '{','.join(first[0])[:80]}'; name the columns by their "
                f"place, such as {as_said('columns', IN_ORDER)}, or write a header"
            )
        columns = IN_ORDER
    if first and layout == "spaces":
        reading = parse(ReadOptions, {**told_apart, "format": "auto", "columns": columns})
        return Delimited(Path(data), reading, "spaces"), columns
    source = table_of(data, "interactions", columns=columns, **told_apart)
    if len(first) > 1 and len(first[1]) > len(first[0]) and "feature" in first[0][-1]:  # JODIE
        names = source.columns[:-1]
        source.columns = [*names, *(f"feature {n}" for n in range(1, len(first[1]) - len(names) + 1))]
    return source, columns


def _is_number(text: str) -> bool:
    try:
        float(text)
        return True
    except ValueError:
        return False


class _Arrivals:
    """Rows as they come: checked, and kept as numbers."""

    def __init__(
        self,
        source: Source,
        columns: str,
        features: Iterable[str] | None,
        bipartite: bool | None,
        where: Iterable[str],
        time_format: str = "",
    ) -> None:
        self.source, self.clock, self.told = source, Times(time_format), bipartite is not None
        self.roles = known.roles(source.name, source.columns, columns, ROLES, NEEDED)
        self.needed = {role: self.roles[role] for role in NEEDED}
        self.where = known.conditions(source.name, where, source.columns)
        usual = [name for name in source.columns if re.fullmatch(FEATURE, name.lower())]
        self.features = (
            [name for name in usual if name not in self.roles.values()] if features is None else list(features)
        )
        for name in self.features:
            if name not in source.columns:
                raise DataError(f"{source.name} has no column '{name}' of features; {nearest(name, source.columns)}")
        if bipartite is None:
            bipartite = known.plain(self.roles["destination"]) in known.ALIASES["item"]
        self.entities = packing.Numbering()
        self.partners = packing.Numbering() if bipartite else self.entities
        self.kinds = packing.Numbering()
        others = [*self.roles.values(), *self.features, *(condition.column for condition in self.where)]
        self.wanted = list(dict.fromkeys(others))
        self.parts: dict[str, list[Any]] = {}
        self.width = -1  # of features, once it is known
        self.rows = self.wrong = self.left_out = 0

    def take(self, batch: Batch) -> None:
        """Raises DataError."""
        frame, places = batch.frame, batch.places
        self.rows += len(frame)
        keep, wrong = known.chosen(self.where, frame, places)
        self.left_out += int((~keep).sum()) - len(wrong)
        frame, places = frame.filter(pl.Series(keep)), places[keep]
        read, good, more = known.checked(self.source.name, frame, places, self.needed, self.clock)
        features, whole, strange = self._features(frame, places, good)
        good &= whole
        wrong += [*more, *strange]
        self.wrong += len(wrong)
        self.source.bad.add(wrong)
        mask = pl.Series(good)
        read, frame = {role: column.filter(mask) for role, column in read.items()}, frame.filter(mask)
        if not len(frame):
            return
        self._number(read["source"], read["destination"])
        self._keep("time", read["time"].to_numpy())
        if features is not None:
            self._keep("features", features[good])
        if "kind" in self.roles:
            self._keep("kind", self._kinds(frame[self.roles["kind"]]))
        if "split" in self.roles:
            self._keep("split", frame[self.roles["split"]].cast(pl.String))

    def _keep(self, what: str, values: Any) -> None:
        self.parts.setdefault(what, []).append(values)

    def _number(self, sources: pl.Series, destinations: pl.Series) -> None:
        if self.partners is not self.entities:
            self._keep("source", self.entities.add(sources)[0])
            self._keep("destination", self.partners.add(destinations)[0])
            return
        if sources.dtype != destinations.dtype:
            raise DataError(
                f"{self.source.name}: '{self.roles['source']}' holds {sources.dtype} and '{self.roles['destination']}' "
                f"{destinations.dtype}; write both as one kind, or say bipartite=True if they are two sets of ids"
            )
        both = pl.concat([sources.rename("id"), destinations.rename("id")])
        turns = np.arange(len(both)).reshape(2, -1).T.ravel()  # row by row, so that numbers follow the file
        numbers = self.entities.add(both.gather(turns))[0]
        self._keep("source", numbers[::2])
        self._keep("destination", numbers[1::2])

    def _kinds(self, column: pl.Series) -> np.ndarray:
        own = known.own_ids(column, self.source.name)
        there = own.is_not_null().to_numpy()
        found = np.zeros(len(own), np.int32)
        found[there] = self.kinds.add(own.drop_nulls())[0]
        return found

    def _features(
        self, frame: pl.DataFrame, places: np.ndarray, good: np.ndarray
    ) -> tuple[np.ndarray | None, np.ndarray, list[tuple[int, str]]]:
        """(n, d) float32; (n,) bool, which rows have them all as numbers; and what is wrong with others."""
        if not self.features:
            return None, np.ones(len(frame), bool), []
        found, wrong, whole = list[np.ndarray](), list[tuple[int, str]](), np.ones(len(frame), bool)
        for name in self.features:
            column = frame[name]
            if isinstance(column.dtype, pl.List | pl.Array):
                lists = column.cast(pl.List(pl.Float64))
                lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
                if self.width < 0 and (good & whole).any():
                    self.width = int(lengths[np.flatnonzero(good & whole)[0]])
                fits = lengths == self.width
                wrong += [
                    (int(places[row]), f"'{name}' holds {lengths[row]} features, and the first row {self.width}")
                    for row in np.flatnonzero(~fits & good & whole)
                ]
                values = np.full((len(frame), max(self.width, 0)), np.nan)
                values[fits] = lists.filter(pl.Series(fits)).explode().to_numpy().reshape(-1, max(self.width, 0))
            else:
                values, fits = column.cast(pl.Float64, strict=False).to_numpy()[:, None], np.ones(len(frame), bool)
            finite = np.isfinite(values).all(1)
            rows = np.flatnonzero(fits & ~finite & good & whole)
            wrong += [
                (int(place), f"'{name}' is {value!r}, expected a number")
                for place, value in zip(places[rows], known.values_at(column, rows), strict=True)
            ]
            whole &= fits & finite
            found.append(values)
        return np.concatenate(found, axis=1).astype(np.float32), whole, wrong

    def graph(self, *, require_sorted: bool = False) -> tuple[TemporalGraph, np.ndarray | None]:
        """In order of time, and the order that the rows had to be put in. Raises DataError."""
        source, bad = self.source, self.source.bad
        if "time" not in self.parts:
            raise DataError(nothing_left(source, self.rows, self.left_out, "interactions"))
        times = np.concatenate(self.parts["time"])
        late = int((times < np.maximum.accumulate(times)).sum())
        order = np.argsort(times, kind="stable")
        if late and require_sorted:
            first = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
            raise DataError(
                f"{source.name}, interaction {first + 1}: it is at {times[first]:.15g} and the one before it at "
                f"{times[first - 1]:.15g}; sort the file by time, or do without require_sorted"
            )

        def whole(what: str) -> np.ndarray | None:
            return np.concatenate(self.parts.pop(what))[order] if what in self.parts else None

        sources, destinations = whole("source"), whole("destination")
        assert sources is not None and destinations is not None
        partners, remarks = None, list[str]()
        if late:
            remarks.append(
                f"{source.name} is not in order of time ({late:,} interactions are earlier than one before them): it "
                "was sorted, equal times in the file's order"
            )
        if self.partners is not self.entities:
            partners = self._vocabulary(self.partners)
            destinations = destinations + np.int32(self.entities.count)
        elif not self.told and not np.isin(sources, destinations).any():
            remarks.append(
                f"nobody of {source.name} is both '{self.roles['source']}' and '{self.roles['destination']}'; if these "
                "are two sets of ids, say bipartite=True"
            )
        report = ReadReport(
            source=source.name,
            place=source.place,
            columns=self.roles,
            rows=self.rows + bad.count - self.wrong,
            bad=bad.count,
            first_bad=tuple(bad.first),
            left_out=self.left_out,
            remarks=(*source.told(), *remarks),
        )
        graph = TemporalGraph(
            sources,
            destinations,
            times[order],
            self._vocabulary(self.entities),
            partners,
            whole("features"),
            whole("kind"),
            self._vocabulary(self.kinds) if "kind" in self.roles else None,
            pl.concat(self.parts["split"]).gather(order) if "split" in self.parts else None,
            report,
        )
        return graph, order if late else None

    def _vocabulary(self, numbering: packing.Numbering) -> Vocabulary:
        ids = numbering.ids()
        return Vocabulary(known.whole_numbers(ids) if self.source.text else ids)
