"""Recommendations file to file: users in, their lists out, in order and in bounded memory.

In: rows of `user` and `history` (a list of item ids) as Parquet or JSONL, or an event log in any format that `fit`
reads, whose users' events are their histories. Out: rows of `user`, `items`, `scores`, `skipped` (unknown events of the
history) and `by_popularity` (no event of it was known), as Parquet or JSONL, by the ending of the name.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.data.events import Events, read_events
from tenfold.data.options import Reading
from tenfold.errors import DataError, OptionError, UnknownIdError
from tenfold.files import replacing
from tenfold.metrics.ranking import check_ks

if TYPE_CHECKING:
    from tenfold.tasks.next_item.task import NextItem, OnUnseen

USERS_AT_ONCE = 8_192  # read, answered and written together
EVENTS_AT_ONCE = 32_768  # in one pass through the network
SCORES_AT_ONCE = 4_000_000  # users x items


class Users(NamedTuple):
    """Some users and their histories, packed: user u has numbers[offsets[u] : offsets[u + 1]]."""

    ids: Sequence[Any]
    numbers: np.ndarray
    offsets: np.ndarray


def predict(
    system: "NextItem",
    data: str | Path,
    output: str | Path,
    *,
    k: int = 10,
    users: str | Path | None = None,
    history_from: str | Path | None = None,
    exclude_seen: bool = False,
    on_unseen: "OnUnseen" = "skip",
    reading: Reading | None = None,
) -> int:
    """Returns the number of users answered.

    users: a file with a column `user`; with history_from, an event log, only they are answered, and one that the log
    does not hold is named.  Raises DataError, OptionError, UnknownIdError, OutputError.
    """
    check_ks([k], len(system.vocabularies["items"]))
    source = Path(history_from or data)
    answered = 0
    with _writer(Path(output)) as write:
        for some in _histories(system, source, reading, None if users is None else Path(users)):
            _refuse(system, some, source, on_unseen)
            write(_answers(system, some, k, exclude_seen))
            answered += len(some.ids)
    return answered


def _histories(system: "NextItem", source: Path, reading: Reading | None, users: Path | None) -> Iterator[Users]:
    if users is None and _holds_histories(source):
        yield from _read_histories(system, source)
        return
    events = read_events(source, reading)
    ids = _chosen(events, users, source) if users else np.arange(len(events))
    of_ours = np.concatenate([[0], system.vocabularies["items"].numbers(events.catalogue.series)]).astype(np.int32)
    for first in range(0, len(ids), USERS_AT_ONCE):
        some = ids[first : first + USERS_AT_ONCE]
        parts = [of_ours[events.history(int(u))] for u in some]
        yield Users(events.users.ids(some + 1), np.concatenate(parts), _offsets([len(p) for p in parts]))


def _chosen(events: Events, users: Path, log: Path) -> np.ndarray:
    """The places of the users that the file asks for. Raises DataError, UnknownIdError."""
    table = _table(users)
    if "user" not in table.column_names:
        raise DataError(
            f"{users} has no column 'user'; found {', '.join(table.column_names)}; rename the column of users"
        )
    asked = table["user"].to_pylist()
    numbers = events.users.numbers(asked)
    if (numbers == 0).any():
        row = int(np.flatnonzero(numbers == 0)[0])
        raise UnknownIdError(
            f"{users}, row {row + 1}: there is no user {asked[row]!r} in {log}; {events.users.nearest(asked[row])}"
        )
    return numbers.astype(np.int64) - 1


def _table(path: Path) -> pa.Table:
    """A small table of ids: Parquet, JSONL, or CSV."""
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        import polars as pl

        read = pl.read_ndjson if path.suffix in (".jsonl", ".ndjson") else pl.read_csv
        return read(path).to_arrow()
    except (OSError, pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; give a Parquet, JSONL or CSV file") from None


def _holds_histories(path: Path) -> bool:
    """Whether the file is rows of user and history, told by its column names."""
    if not path.is_file():
        return False  # the reader of events says what is wrong
    try:
        if path.suffix == ".parquet":
            return "history" in pq.read_schema(path).names
        if path.suffix in (".jsonl", ".ndjson"):
            with path.open(encoding="utf-8") as file:
                return "history" in json.loads(file.readline() or "{}")
    except (OSError, ValueError, pa.ArrowException):
        return False
    return False


def _read_histories(system: "NextItem", path: Path) -> Iterator[Users]:
    vocabulary = system.vocabularies["items"]
    for ids, items, offsets in _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path):
        yield Users(ids, vocabulary.numbers(items), offsets)


def _parquet_rows(path: Path) -> Iterator[tuple[list[Any], Any, np.ndarray]]:
    import polars as pl

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        kind = file.schema_arrow.field("history").type
        if "user" not in names or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise DataError(f"{path} needs a column 'user' and a column 'history' of lists; found {', '.join(names)}")
        for batch in file.iter_batches(USERS_AT_ONCE, columns=["user", "history"]):
            lists = batch.column("history")
            if lists.null_count or batch.column("user").null_count:
                raise DataError(f"{path} holds a row without user or history; give every row both, [] for no events")
            yield batch.column("user").to_pylist(), pl.Series(pl.from_arrow(lists.flatten())), _bounds(lists)
    except pa.ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}; write it again") from None


def _bounds(lists: Any) -> np.ndarray:
    offsets = lists.offsets.to_numpy()
    return (offsets - offsets[0]).astype(np.int64)


def _json_rows(path: Path) -> Iterator[tuple[list[Any], Any, np.ndarray]]:
    ids: list[Any] = []
    histories: list[list[Any]] = []

    def packed() -> tuple[list[Any], Any, np.ndarray]:
        return list(ids), [item for h in histories for item in h], _offsets([len(h) for h in histories])

    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                ids.append(row["user"])
                histories.append(list(row["history"]))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f'{path}, line {number}: expected {{"user": ..., "history": [...]}}, found {line.strip()[:60]!r} '
                    f"({type(error).__name__}); mend the line"
                ) from None
            if len(ids) == USERS_AT_ONCE:
                yield packed()
                ids.clear()
                histories.clear()
    if ids:
        yield packed()


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _refuse(system: "NextItem", some: Users, source: Path, on_unseen: "OnUnseen") -> None:
    if on_unseen == "refuse" and (some.numbers == 0).any():
        user = int(np.searchsorted(some.offsets, np.flatnonzero(some.numbers == 0)[0], side="right")) - 1
        raise UnknownIdError(
            f"{source}: the history of user {some.ids[user]!r} holds an item that this system does not know; "
            f"leave such items out, or choose --on-unseen skip"
        )


def _answers(system: "NextItem", some: Users, k: int, exclude_seen: bool) -> pa.RecordBatch:
    histories = [some.numbers[a:b] for a, b in zip(some.offsets[:-1], some.offsets[1:], strict=True)]
    known = [h[h > 0] for h in histories]
    lengths = np.array([len(h) for h in known])
    context = system.context
    read = lengths if context is None else np.minimum(lengths, context)
    items, scores = np.zeros((len(known), k), dtype=np.int64), np.zeros((len(known), k), dtype=np.float32)
    most = max(SCORES_AT_ONCE // (len(system.vocabularies["items"]) + 1), 1)
    order, begin = np.argsort(read, kind="stable"), 0  # users of about one length go through together
    while begin < len(order):
        end = begin + 1
        while end < len(order) and end - begin < most and (end + 1 - begin) * read[order[end]] <= EVENTS_AT_ONCE:
            end += 1
        chosen = order[begin:end]
        items[chosen], scores[chosen] = system.top_k([known[u] for u in chosen], k=k, exclude_seen=exclude_seen)
        begin = end
    real = np.isfinite(scores)
    offsets = pa.array(_offsets(real.sum(1).tolist()), pa.int32())
    catalogue = system.vocabularies["items"].series.to_arrow()
    skipped = [len(h) - n for h, n in zip(histories, lengths.tolist(), strict=True)]
    return pa.RecordBatch.from_pydict(
        {
            "user": pa.array(some.ids),
            "items": pa.ListArray.from_arrays(offsets, catalogue.take(pa.array(items[real] - 1))),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores[real])),
            "skipped": pa.array(skipped, pa.int32()),
            "by_popularity": pa.array(lengths == 0),
        }
    )


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    """A function that takes batches; the file is there when all of them were written, or not at all."""
    if path.suffix not in (".parquet", ".jsonl"):
        raise OptionError(
            f"the output is written as .parquet or .jsonl; found '{path.name}'; choose one of the endings"
        )
    with replacing(path) as beside:
        if path.suffix == ".jsonl":
            with beside.open("w", encoding="utf-8") as file:
                yield lambda batch: _write_json(file, batch)
        else:
            writer: pq.ParquetWriter | None = None

            def write(batch: pa.RecordBatch) -> None:
                nonlocal writer
                writer = writer or pq.ParquetWriter(beside, batch.schema)
                writer.write_batch(batch)

            yield write
            if writer is None:
                raise DataError(
                    "there is nobody to recommend to: the input holds no user; give one with at least one row"
                )
            writer.close()


def _write_json(file: IO[str], batch: pa.RecordBatch) -> None:
    for row in batch.to_pylist():
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
