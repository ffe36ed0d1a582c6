"""What a user had and what was shown, as a second record of bounded size: the latest distinct items, oldest first.

    bytes   0 .. 15  magic, format, padding, the model's fingerprint
           16 .. 23  how many were had, how many were shown; then these numbers, four bytes each, and a checksum

It stands beside the state, under the user's key with its letter in upper case, so that both change as one.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import numpy as np

from tenfold.errors import StateError

HEAD = struct.Struct("<4sH2x8sII")
MAGIC, FORMAT = b"10fh", 1
NONE = np.zeros(0, np.int32)


class Seen(NamedTuple):
    had: np.ndarray  # (n,) int32
    shown: np.ndarray  # (m,) int32


def key_of_seen(key: bytes) -> bytes:
    return key[:1].upper() + key[1:]


def key_of_state(seen: bytes) -> bytes:
    """The other way."""
    return seen[:1].lower() + seen[1:]


def pack_seen(seen: Seen, fingerprint: str) -> bytes:
    head = HEAD.pack(MAGIC, FORMAT, bytes.fromhex(fingerprint), len(seen.had), len(seen.shown))
    body = head + seen.had.astype("<i4").tobytes() + seen.shown.astype("<i4").tobytes()
    return body + crc32(body).to_bytes(4, "little")


def is_whole(value: bytes) -> bool:
    """Whether it is some model's record, as it was written."""
    long = len(value) >= HEAD.size + 4
    return long and value.startswith(MAGIC) and crc32(value[:-4]).to_bytes(4, "little") == value[-4:]


def unpack_seen(value: bytes | None, fingerprint: str, items: int, user: object = None) -> Seen:
    """items: V of the model. None, no record, is nothing seen. Raises StateError for what is no record of it."""
    if value is None:
        return Seen(NONE, NONE)
    if not is_whole(value):
        raise StateError(f"what user {user!r} had is damaged; delete it and replay this user's events")
    _, _, model, had, shown = HEAD.unpack_from(value)
    if model.hex() != fingerprint:
        raise StateError(f"what user {user!r} had belongs to model {model.hex()}, this is model {fingerprint}")
    numbers = np.frombuffer(value[HEAD.size : -4 - (len(value) - 4 - HEAD.size) % 4], "<i4")
    if len(numbers) != had + shown or (len(numbers) and not 1 <= numbers.min() <= numbers.max() <= items):
        raise StateError(
            f"what user {user!r} had names no items of this model; delete it and replay this user's events"
        )
    return Seen(numbers[:had], numbers[had : had + shown])


def latest(before: np.ndarray, came: Iterable[int], most: int) -> np.ndarray:
    """The latest distinct numbers, oldest first, at most so many."""
    order = dict.fromkeys(reversed([*before.tolist(), *came]))  # the newest place of each counts
    return np.array(list(order)[:most][::-1], np.int32)
