"""Per-user state: a user's id becomes a key, a state a record of fixed size, and a store keeps records by key.

A batch of events is `store.change_many([key_of(user) ...], step)`, where `step` reads the records with `unpack_many`,
moves them on by the model and gives back what `pack_many` makes of them.
"""

from tenfold.streaming.ids import Id, id_of, key_of
from tenfold.streaming.lmdb_store import LmdbStore
from tenfold.streaming.records import Record, blank, hash_of, pack, pack_many, unpack, unpack_many
from tenfold.streaming.stores import Change, MemoryStore, Store, open_store

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
