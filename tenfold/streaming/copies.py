"""All states of a store as one file, and back: to keep a copy, to move to another kind of store, to look at.

A Parquet file with a row for each user: `user` and `type` (text or integer), `record`, as streaming/records.py lays it
out, and `seen`, what was had and shown, as streaming/seen.py does; null where the store keeps none. Records name the
model whose they are, so a copy can be read by that model only.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.errors import DataError, StateError
from tenfold.files import replacing
from tenfold.streaming.ids import id_of, key_of
from tenfold.streaming.records import is_whole, model_of
from tenfold.streaming.seen import is_whole as is_whole_seen
from tenfold.streaming.seen import key_of_seen
from tenfold.streaming.stores import Store

SCHEMA = pa.schema([("user", pa.string()), ("type", pa.string()), ("record", pa.binary()), ("seen", pa.binary())])
AT_ONCE = 2_000  # users held at a time
KINDS = {"i": "integer", "t": "text"}

Rows = dict[bytes, bytes]  # keys and records, and what was seen under keys of its own


def export_states(store: Store, path: str | Path) -> int:
    """Every user of the store into a file, which is there whole or not at all; how many there were.

    While others write to the store, each user is as at some moment of the copying. Raises OutputError; StateError for a
    damaged record, whose user it names.
    """
    users = 0
    with replacing(Path(path)) as beside, pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:
        for kind in KINDS:
            keys = iter(store.keys(kind.encode()))
            while some := list(islice(keys, AT_ONCE)):
                values = store.get_many([*some, *map(key_of_seen, some)])
                records, seen = values[: len(some)], values[len(some) :]
                rows = [row for row in zip(some, records, seen, strict=True) if row[1] is not None]  # forgotten since
                for key, record, _ in rows:
                    if not is_whole(record):
                        raise StateError(
                            f"the state of user {id_of(key)!r} is damaged; forget this user, or replay the events, and "
                            "export again"
                        )
                ids = [f"{id_of(key)}" for key, _, _ in rows]
                columns = [ids, [KINDS[kind]] * len(ids), [row[1] for row in rows], [row[2] for row in rows]]
                writer.write_table(pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA))
                users += len(ids)
    return users


def import_states(store: Store, path: str | Path, *, replace: bool = False) -> int:
    """What `export_states` wrote, into a store; how many users. The whole file is looked through before the first is
    written.

    replace: users whom the store holds already get the file's state; otherwise they are a refusal. Raises DataError for
    what is no such file, StateError for a damaged record or one of another model than the rest.
    """
    model, users = _model_of(store), 0
    for rows in _read(path):
        for key, record in rows.items():
            if key[:1] not in (b"i", b"t"):
                continue
            users, found = users + 1, model_of(record)
            model = model or found
            if found != model:
                raise StateError(
                    f"{path}: the state of user {id_of(key)!r} belongs to model {found}, others to model {model}; "
                    "nothing was written; import into an empty store, states of one model at a time"
                )
        if not replace:
            there = [key for key, value in zip(rows, store.get_many(list(rows)), strict=True) if value is not None]
            if there:
                raise StateError(
                    f"the store holds user {id_of(there[0][:1].lower() + there[0][1:])!r} already; nothing was "
                    "written; import into an empty store, or say that states are to be replaced"
                )
    for rows in _read(path):
        store.put_many(rows)
    return users


def _model_of(store: Store) -> str | None:
    """That of the store's first whole record."""
    some = [key for kind in KINDS for key in islice(store.keys(kind.encode()), 8)]
    return next((model_of(value) for value in store.get_many(some) if is_whole(value)), None)


def _read(path: str | Path) -> Iterator[Rows]:
    """Some users at a time, each looked at. Raises DataError, StateError."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}; give a file that the export wrote") from None
    with file:
        if file.schema_arrow.names != SCHEMA.names:
            raise DataError(
                f"{path} holds no states: its columns are {', '.join(file.schema_arrow.names)}, expected "
                f"{', '.join(SCHEMA.names)}; give a file that the export wrote"
            )
        place = 0
        for batch in file.iter_batches(AT_ONCE):
            rows: Rows = {}
            for row in batch.to_pylist():
                place += 1
                key = _key(row, path, place)
                if not is_whole(row["record"]):
                    raise StateError(f"{path}, row {place}: the state of user {row['user']!r} is damaged; export again")
                rows[key] = row["record"]
                if row["seen"] is not None:
                    if not is_whole_seen(row["seen"]):
                        raise StateError(f"{path}, row {place}: what user {row['user']!r} had is damaged; export again")
                    rows[key_of_seen(key)] = row["seen"]
            yield rows


def _key(row: dict[str, object], path: str | Path, place: int) -> bytes:
    user, kind = row["user"], row["type"]
    try:
        if isinstance(user, str) and kind in KINDS.values():
            return key_of(int(user) if kind == "integer" else user)
    except ValueError:
        pass
    raise DataError(
        f"{path}, row {place}: found user {user!r:.60} of type {kind!r:.20}, expected an id and 'text' or 'integer'"
    )
