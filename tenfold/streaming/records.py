"""One user's state as bytes, all records of a model equally long: a header, the state in float32, a checksum.

    bytes   0 .. 19   what all records of a model share: magic, format, type and model's fingerprint, count of numbers
           20 .. 39   item number of the last event, events so far, latest time of an event in seconds
           40 .. 551  hashes of the last 64 event ids, the newest last, 0 where there were fewer
          552 ..      the state, flattened; then four bytes of checksum

Format 1, which had no hashes, is still read; what is written is format 2.

A service handles batches: `unpack_many` gives a structured array, a row for each user, whose fields `item`, `events`,
`time`, `ids` (n, 64) and `state` (n, size) may be written to in place, and `pack_many` turns it back.
"""

import math
import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeGuard
from zlib import crc32

import numpy as np

from tenfold.errors import StateError
from tenfold.streaming.ids import Id, key_of

MAGIC, FLOAT32 = b"10fs", b"f4"
FORMAT = 2  # raised when an older Tenfold could no longer read what is written
IDS = 64  # event ids remembered of a user: a repeat among them changes nothing
BARE = 40  # bytes before the ids; in format 1 the state begins there
HEAD = struct.Struct("<4sH2s8sI")
WHOLE = 0x2144DF1C  # the CRC-32 of anything that is followed by its own CRC-32
AFRESH = "begin an empty store and replay the events into it"


class Record(NamedTuple):
    """events: how many so far. item, time: the last one's, 0 and None where there is none. state: (size,) float32.

    fingerprint: the model's, 16 hex digits.  ids: (64,) uint64, as `hash_of` gives them; None: no event had an id.
    """

    state: np.ndarray
    events: int
    item: int
    time: float | None
    fingerprint: str
    ids: np.ndarray | None = None


def hash_of(event: Id) -> int:
    """64 bits of an event's id, never 0. Raises DataError for what can be no id."""
    return int.from_bytes(blake2b(key_of(event), digest_size=8).digest(), "little") or 1


def pack(record: Record) -> bytes:
    """A state of more dimensions is flattened."""
    state = np.ravel(record.state)
    rows = blank(1, fingerprint=record.fingerprint, size=len(state))
    rows["state"], rows["events"], rows["item"] = state, record.events, record.item
    rows["time"] = math.nan if record.time is None else record.time
    if record.ids is not None:
        rows["ids"] = record.ids
    return pack_many(rows)[0]


def unpack(value: bytes, *, fingerprint: str, size: int) -> Record:
    """Raises StateError where this is not a whole record of that model."""
    row = unpack_many([value], fingerprint=fingerprint, size=size)[0]
    time = None if math.isnan(row["time"]) else float(row["time"])
    ids = row["ids"] if row["ids"].any() else None
    return Record(row["state"], int(row["events"]), int(row["item"]), time, fingerprint, ids)


def blank(n: int, *, fingerprint: str, size: int) -> np.ndarray:
    """(n,) rows of users without an event: a state of zeros, no time."""
    rows = np.zeros(n, _layout(size))
    rows["head"], rows["time"] = np.void(_head(fingerprint, size)), np.nan
    return rows


def pack_many(rows: np.ndarray) -> list[bytes]:
    flat, step = rows.tobytes(), rows.itemsize
    bodies = (flat[start : start + step - 4] for start in range(0, len(flat), step))
    return [body + crc32(body).to_bytes(4, "little") for body in bodies]


def unpack_many(values: Sequence[bytes | None], *, fingerprint: str, size: int, users: Sequence[Id] = ()) -> np.ndarray:
    """(n,) rows in the order of `values`; None, a user without a record, gives a blank row.

    users: whose records they are, to be named where one cannot be read. Raises StateError.
    """
    head, length = _head(fingerprint, size), _layout(size).itemsize
    older = _head(fingerprint, size, 1)
    empty = pack_many(blank(1, fingerprint=fingerprint, size=size))[0]
    found = [empty if value is None else value for value in values]
    for place, value in enumerate(found):
        if value.startswith(older) and len(value) == length - 8 * IDS and crc32(value) == WHOLE:
            found[place] = head + value[HEAD.size : BARE] + bytes(8 * IDS) + value[BARE:]
        elif len(value) != length or not value.startswith(head) or crc32(value) != WHOLE:
            whose = f"the state of user {users[place]!r}" if len(users) else "a user's state"
            raise StateError(f"{whose} {_fault(value, fingerprint, size)}")
    return np.frombuffer(bytearray().join(found), _layout(size))


def is_of(value: bytes, fingerprint: str, size: int) -> bool:
    """Whether a record's header is that of this model, whatever the rest holds."""
    return value.startswith((_head(fingerprint, size), _head(fingerprint, size, 1)))


def is_whole(value: bytes | None) -> TypeGuard[bytes]:
    """Whether it is some model's record, as it was written."""
    return value is not None and len(value) > HEAD.size and value.startswith(MAGIC) and crc32(value) == WHOLE


def model_of(value: bytes) -> str:
    """The fingerprint in a whole record's header."""
    return HEAD.unpack_from(value)[3].hex()


def _layout(size: int) -> np.dtype:
    fields = [("head", f"V{HEAD.size}"), ("item", "<i4"), ("events", "<i8"), ("time", "<f8")]
    return np.dtype([*fields, ("ids", "<u8", (IDS,)), ("state", "<f4", (size,)), ("checksum", "<u4")])


def _head(fingerprint: str, size: int, form: int = FORMAT) -> bytes:
    if len(fingerprint) != 16:
        raise ValueError(f"a model's fingerprint has 16 hex digits, as files.digest gives them; found {fingerprint!r}")
    return HEAD.pack(MAGIC, form, FLOAT32, bytes.fromhex(fingerprint), size)


def _fault(value: bytes, fingerprint: str, size: int) -> str:
    """The end of a sentence: why this is not a whole record of the model."""
    if not value.startswith(MAGIC):
        return "is no record of Tenfold's; name the folder of a store that holds states only"
    length = _layout(size).itemsize
    if len(value) < HEAD.size:
        return f"is cut short: it has {len(value)} bytes of {length}; delete it and replay this user's events"
    _, form, kind, model, numbers = HEAD.unpack_from(value)
    if form not in (1, FORMAT):
        return f"was written in format {form}, this Tenfold reads formats 1 and {FORMAT}; use that Tenfold, or {AFRESH}"
    length -= 8 * IDS if form == 1 else 0
    if model.hex() != fingerprint:
        return f"belongs to model {model.hex()}, this is model {fingerprint}; load that model, or {AFRESH}"
    if (kind, numbers) != (FLOAT32, size):
        found = f"{numbers} numbers of type {kind.decode('latin-1')}"
        return f"holds {found}, expected {size} of type {FLOAT32.decode()}; load the model that wrote it, or {AFRESH}"
    if len(value) < length:
        return f"is cut short: it has {len(value)} bytes of {length}; delete it and replay this user's events"
    return "is damaged: its bytes do not fit their length and checksum; delete it and replay this user's events"
