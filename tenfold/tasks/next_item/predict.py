"""Recommendations file to file: users in, their lists out, in order. Rows of histories go through in bounded
memory; an event log is read whole.

In: rows of `user` and `history` (a list of item ids) as Parquet or JSONL, gzipped or not, or an event log in any format
that `fit` reads, whose users' events are their histories. Out: rows of `user`, `items`, `scores`, `skipped` (unknown
events of the history), `by_popularity` (no event of it was known) and, with a file of titles, `titles`, as Parquet,
JSONL or CSV, by the ending of the name.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tenfold.data import columns
from tenfold.data.answers import answer_writer
from tenfold.data.attributes import read_attributes
from tenfold.data.batches import Source, of_one_kind
from tenfold.data.containers import whole_file
from tenfold.data.events import Events, ReadReport, read_events
from tenfold.data.options import ReadOptions
from tenfold.data.sources import source_of, told
from tenfold.data.tables import ParquetFile
from tenfold.data.text_sources import JsonLines
from tenfold.errors import DataError, UnknownIdError
from tenfold.metrics.ranking import list_length
from tenfold.system import PredictionSummary
from tenfold.tasks.next_item.answers import OnUnseen, Recommender

USERS_AT_ONCE = 8_192  # answered and written together
JSON_AT_ONCE = 1 << 22  # bytes read together
TABLES = ("csv", "tsv", "jsonl", "parquet", "recbole")  # layouts whose columns have names

Packed = tuple[list[Any], Any, np.ndarray]  # users, items of all their histories, offsets


class Users(NamedTuple):
    """Some users and their histories, packed: user u has numbers[offsets[u] : offsets[u + 1]]."""

    ids: Sequence[Any]
    numbers: np.ndarray
    offsets: np.ndarray
    times: np.ndarray | None = None  # of the events


def predict(
    system: Recommender,
    source: Path,
    output: Path,
    *,
    k: int | None,
    users: Path | None,
    exclude_seen: bool,
    on_unseen: OnUnseen,
    read_options: ReadOptions,
) -> PredictionSummary:
    """The arguments are those of `NextItem.predict`."""
    k = list_length(k, len(system.vocabularies["items"]))
    answered, by_popularity, notes = 0, 0, list[str]()
    nobody = "there is nobody to recommend to: the input holds no user; give one with at least one row"
    with answer_writer(output, pictures=False, nothing=nobody) as write:
        catalogue = _catalogue(system, read_options, notes)
        for some in _histories(system, source, replace(read_options, items=""), users, notes):
            _refuse(system, some, source, on_unseen)
            answers = _answers(system, some, k, exclude_seen, catalogue)
            by_popularity += answers["by_popularity"].true_count
            write(answers)
            answered += len(some.ids)
    if by_popularity:
        notes.append(f"{by_popularity:,} of {answered:,} users have no item that the system knows: popularity answered")
    found = PredictionSummary(answered)
    found.notes = notes
    return found


def _catalogue(system: Recommender, read_options: ReadOptions, notes: list[str]) -> dict[str, pa.Array]:
    """What is said of item v, at v - 1: its id, and its title where there is a file of them."""
    ids = system.vocabularies["items"]
    found = {"items": ids.series.to_arrow()}
    if read_options.items:
        frame, remarks = read_attributes(read_options, ids)
        notes += remarks
        if "title" not in frame.columns:
            raise DataError(f"{read_options.items} has no column of titles; found {', '.join(frame.columns)}")
        found["titles"] = frame["title"].to_arrow()
    return found


def _histories(
    system: Recommender, source: Path, read_options: ReadOptions, users: Path | None, notes: list[str]
) -> Iterator[Users]:
    """What a person must know of the reading is added to `notes`."""
    rows = _rows_of_histories(source, read_options) if users is None else None
    if rows is not None:
        packed = _parquet_rows(rows, notes) if isinstance(rows, ParquetFile) else _json_rows(rows, notes)
        for own, items, offsets in packed:
            yield Users(own, system.vocabularies["items"].numbers(items), offsets)
        return
    events = read_events(source, read_options)
    notes += events.report.sentences()
    ids = _chosen(events, users, source, read_options, notes) if users else np.arange(len(events))
    of_ours = np.concatenate([[0], system.vocabularies["items"].numbers(events.catalogue.series)]).astype(np.int32)
    for first in range(0, len(ids), USERS_AT_ONCE):
        some = ids[first : first + USERS_AT_ONCE]
        places = np.concatenate([np.arange(events.offsets[u], events.offsets[u + 1]) for u in some])
        offsets = _offsets((events.offsets[some + 1] - events.offsets[some]).tolist())
        clock = None if events.times is None else events.times[places]
        yield Users(events.users.ids(some + 1), of_ours[events.items[places]], offsets, clock)


def _chosen(events: Events, users: Path, log: Path, read_options: ReadOptions, notes: list[str]) -> np.ndarray:
    """The places of the users that the file asks for. Raises DataError, UnknownIdError."""
    source = _table(users, read_options)
    asked, places = list[Any](), list[int]()
    for batch in source.batches(["user"]):
        ids = columns.own_ids(batch.frame["user"], source.name)
        none = ids.is_null().to_numpy()
        shown = columns.values_at(batch.frame["user"], np.flatnonzero(none))
        wrong = zip(batch.places[none], shown, strict=True)
        source.bad.add([(int(place), f"the user is {own!r}, expected text or a whole number") for place, own in wrong])
        asked += ids.drop_nulls().to_list()
        places += batch.places[~none].tolist()
    notes += _left_out(source, len(asked))
    numbers = events.users.numbers(asked)
    if (numbers == 0).any():
        first = int(np.flatnonzero(numbers == 0)[0])
        raise UnknownIdError(
            f"{users}, {source.place} {places[first]}: there is no user {asked[first]!r} in {log}; "
            f"{events.users.nearest(asked[first])}"
        )
    return numbers.astype(np.int64) - 1


def _table(path: Path, read_options: ReadOptions) -> Source:
    """A file of users: Parquet, JSONL, CSV or TSV. Raises DataError."""
    layout: Any = told(path, read_options.encoding)
    if not whole_file(path).stat().st_size:
        raise DataError(f"{path} is empty; give a file with a column 'user' and a row for each user")
    layout = layout if layout in TABLES else "csv"  # one column has no separator that would tell
    source = source_of(
        path, ReadOptions(format=layout, encoding=read_options.encoding, on_bad_rows=read_options.on_bad_rows)
    )
    if "user" not in source.columns:
        raise DataError(f"{path} has no column 'user'; found {', '.join(source.columns)}; rename the column of users")
    return source


def _left_out(source: Source, rows: int) -> list[str]:
    bad = source.bad
    report = ReadReport(source.name, source.place, rows=rows + bad.count, bad=bad.count, first_bad=tuple(bad.first))
    return report.sentences()


def _rows_of_histories(path: Path, read_options: ReadOptions) -> ParquetFile | JsonLines | None:
    """The file where it is rows of user and history, told by its column names."""
    try:
        layout = told(path, read_options.encoding)
        if layout not in ("parquet", "jsonl"):
            return None
        rows = ParquetFile(path, read_options) if layout == "parquet" else JsonLines(path, read_options, JSON_AT_ONCE)
    except DataError:
        return None  # the reader of events says what is wrong
    return rows if "history" in rows.columns else None


def _parquet_rows(source: ParquetFile, notes: list[str]) -> Iterator[Packed]:
    import polars as pl

    path, names = source.name, source.columns
    kind = source.file.schema_arrow.field("history").type
    if "user" not in names or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise DataError(f"{path} needs a column 'user' and a column 'history' of lists; found {', '.join(names)}")
    first, read = 1, 0
    try:
        for batch in source.file.iter_batches(USERS_AT_ONCE, columns=["user", "history"]):
            users = columns.own_ids(pl.Series("user", pl.from_arrow(batch.column("user"))), path)
            good = users.is_not_null().to_numpy() & batch.column("history").is_valid().to_numpy(zero_copy_only=False)
            wrong = "the row has no user or no history, expected an id and a list of ids, [] for no events"
            source.bad.add([(first + int(place), wrong) for place in np.flatnonzero(~good)])
            first, read = first + len(batch), read + int(good.sum())
            lists = batch.column("history").filter(pa.array(good))
            items = columns.own_ids(pl.Series("history", pl.from_arrow(lists.flatten())), path)
            yield users.filter(pl.Series(good)).to_list(), items, _bounds(lists)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}; write it again") from None
    notes += _left_out(source, read)


def _bounds(lists: Any) -> np.ndarray:
    offsets = lists.offsets.to_numpy()
    return (offsets - offsets[0]).astype(np.int64)


def _json_rows(source: JsonLines, notes: list[str]) -> Iterator[Packed]:
    kinds: dict[str, Any] = {}
    read = 0
    for rows, places in source.rows():
        users = of_one_kind(source, "user", [row.get("user") for row in rows], places, kinds)
        ids = columns.own_ids(users, source.name).to_list()
        histories: list[Any] = [row.get("history") for row in rows]
        good = [own is not None and isinstance(h, list) for own, h in zip(ids, histories, strict=True)]
        source.bad.add([(int(places[n]), _not_as_expected(rows[n])) for n, fits in enumerate(good) if not fits])
        kept = [n for n, fits in enumerate(good) if fits]
        read += len(kept)
        for first in range(0, len(kept), USERS_AT_ONCE):
            some = kept[first : first + USERS_AT_ONCE]
            items = [item for n in some for item in histories[n]]
            yield [ids[n] for n in some], items, _offsets([len(histories[n]) for n in some])
    notes += _left_out(source, read)


def _not_as_expected(row: dict[str, Any]) -> str:
    found = json.dumps({name: row[name] for name in ("user", "history") if name in row}, ensure_ascii=False)
    return f'expected {{"user": ..., "history": [...]}}, an id and a list of ids, found {found[:60]}'


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _refuse(system: Recommender, some: Users, source: Path, on_unseen: OnUnseen) -> None:
    if on_unseen == "refuse" and (some.numbers == 0).any():
        user = int(np.searchsorted(some.offsets, np.flatnonzero(some.numbers == 0)[0], side="right")) - 1
        raise UnknownIdError(
            f"{source}: the history of user {some.ids[user]!r} holds an item that this system does not know; "
            f"leave such items out, or choose --on-unseen skip"
        )


def _answers(
    system: Recommender, some: Users, k: int, exclude_seen: bool, catalogue: dict[str, pa.Array]
) -> pa.RecordBatch:
    histories = [some.numbers[a:b] for a, b in zip(some.offsets[:-1], some.offsets[1:], strict=True)]
    known = [h[h > 0] for h in histories]
    lengths = np.array([len(h) for h in known])
    clocks = None
    if system.uses_times and some.times is not None:
        parts = zip(some.offsets[:-1], some.offsets[1:], histories, strict=True)
        clocks = [some.times[a:b][h > 0] for a, b, h in parts]
    items, scores = system.top_k(known, k=k, exclude_seen=exclude_seen, times=clocks)
    real = np.isfinite(scores)
    offsets = pa.array(_offsets(real.sum(1).tolist()), pa.int32())
    numbers = pa.array(items[real] - 1)
    told = {name: pa.ListArray.from_arrays(offsets, column.take(numbers)) for name, column in catalogue.items()}
    skipped = [len(h) - n for h, n in zip(histories, lengths.tolist(), strict=True)]
    return pa.RecordBatch.from_pydict(
        {
            "user": pa.array(some.ids),
            "items": told.pop("items"),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores[real])),
            "skipped": pa.array(skipped, pa.int32()),
            "by_popularity": pa.array(lengths == 0),
            **told,
        }
    )
