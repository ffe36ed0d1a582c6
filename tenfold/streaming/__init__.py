"""Per-user state: a user's id becomes a key, a state a record of fixed size, and a store keeps records by key.

A batch of events is `store.change_many([key_of(user) ...], step)`, where `step` reads the records with `unpack_many`,
moves them on by the model and gives back what `pack_many` makes of them.
"""

from pathlib import Path

from tenfold.errors import OptionError
from tenfold.streaming.ids import Id, id_of, key_of
from tenfold.streaming.lmdb_store import LmdbStore
from tenfold.streaming.records import Record, blank, hash_of, pack, pack_many, unpack, unpack_many
from tenfold.streaming.stores import Change, MemoryStore, Store

__all__ = [
    "Change",
    "Id",
    "LmdbStore",
    "MemoryStore",
    "Record",
    "Store",
    "blank",
    "hash_of",
    "id_of",
    "key_of",
    "open_store",
    "pack",
    "pack_many",
    "unpack",
    "unpack_many",
]


def open_store(where: str | Path | Store | None) -> Store:
    """None or "memory", a folder, redis://HOST:PORT/DB?prefix=NAME&ttl=SECONDS, or a store, which is given back.

    Raises OptionError, OutputError, StateError.
    """
    if isinstance(where, Store):
        return where
    if where is None or where == "memory":
        return MemoryStore()
    if isinstance(where, str) and "://" in where:
        from tenfold.streaming.redis_store import RedisStore

        if where.partition("://")[0] not in ("redis", "rediss"):
            raise OptionError(f"states cannot be kept at {where}; name a folder, redis://HOST:PORT/DB, or 'memory'")
        return RedisStore(where)
    return LmdbStore(where)
