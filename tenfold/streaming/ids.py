"""A user's own id as the key under which the state is kept, and back.

A key is one letter for the type and then bytes whose order is the ids' own: "t" and UTF-8 for text, "i" and nine bytes
for a whole number. So 7 and "7" are two users, "007" is a third, and whole numbers stand before text.
"""

from contextlib import suppress

import numpy as np

from tenfold.errors import DataError, StateError

Id = str | int
LONGEST = 511  # bytes of a key: LMDB's limit, kept by every store, so that states can move from one to another
LEAST, MOST = -(2**63), 2**64 - 1  # whole numbers of 64 bits, signed or not


def key_of(own: Id | np.integer) -> bytes:
    """numpy's text and whole numbers are taken as well. Raises DataError.

    Text longer than a key is refused, not hashed: every key can be turned back, and no two users can share one.
    """
    if isinstance(own, str):
        return b"t" + _utf8(own)
    if not isinstance(own, int | np.integer) or isinstance(own, bool | np.timedelta64):
        raise DataError(f"a user's id must be text or a whole number, found {own!r:.60} ({type(own).__name__})")
    if not LEAST <= int(own) <= MOST:
        raise DataError("a user's id is a whole number of more than 64 bits; give such ids as text")
    return b"i" + (int(own) - LEAST).to_bytes(9, "big")


def id_of(key: bytes) -> Id:
    """The id whose key this is. Raises StateError."""
    with suppress(UnicodeDecodeError, DataError):
        own = key[1:].decode() if key[:1] == b"t" else int.from_bytes(key[1:], "big") + LEAST
        if key_of(own) == key:
            return own
    raise StateError(f"{key!r:.60} is not the key of a user; the store holds something that Tenfold did not write")


def _utf8(own: str) -> bytes:
    if not own:
        raise DataError("a user's id is empty; give each user an id, or leave such events out")
    try:
        text = own.encode()
    except UnicodeEncodeError:
        raise DataError(f"a user's id holds half a character, found {own!a:.60}; give it as valid text") from None
    if len(text) >= LONGEST:
        raise DataError(
            f"a user's id may have {LONGEST - 1} bytes, found {len(text)} ('{own[:20]}...'); give a shorter one, "
            "for example a hash of it"
        )
    return text
