"""A store in LMDB: a folder on a local disk that all processes of a machine may share.

A write is a transaction that one process at a time holds; what dies in it, also by kill -9, leaves nothing of it. The
map, LMDB's limit to its file, doubles when it is full. Not for network file systems.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

from tenfold.errors import StateError
from tenfold.files import writing
from tenfold.streaming.stores import Change, Store

T = TypeVar("T")
FIRST_MAP = 1 << 24  # bytes; the file looks as long as the map, but takes of the disk only what it holds
AT_ONCE = 1000  # keys read in one transaction: while one is open, LMDB uses no page again
INSTEAD = "put a copy of it back, or begin in a new folder and replay the events"


class LmdbStore(Store):
    def __init__(self, folder: str | Path, *, sync: bool = True, _map_size: int = FIRST_MAP) -> None:
        """sync: what was written is on the disk before the call returns; without it, when the store is closed.

        A killed process loses nothing either way; a machine that stops may, without sync, lose the store.
        Raises OutputError, StateError.
        """
        self.folder, self.sync = Path(folder), sync
        self._file = self.folder / "data.mdb"
        self._closed, self._process, self._gate = False, os.getpid(), _Gate()
        with writing(self.folder), self._in_words():
            self.folder.mkdir(parents=True, exist_ok=True)
            names = {path.name for path in self.folder.iterdir()}
            if "data.mdb" not in names and names - {"lock.mdb"}:
                raise StateError(f"{folder} is not empty and holds no states; choose a new or an empty folder")
            self._environment = self._open(_map_size)
            self._environment.reader_check()  # lets go of what killed processes were reading
            counted = (self._environment.info()["last_pgno"] + 1) * self._environment.stat()["psize"]
            found = self._file.stat().st_size
        if found < counted:  # to read past its end would kill the process (SIGBUS)
            self._environment.close()
            raise StateError(f"{self._file} is cut short: it has {found:,} bytes of {counted:,}; {INSTEAD}")

    def _open(self, least: int) -> Any:
        import lmdb  # not on top: whoever keeps states elsewhere needs no LMDB

        while True:
            size = max(least, self._file.stat().st_size if self._file.exists() else 0)  # `_lengthen` made it the map's
            with suppress(lmdb.MapResizedError):  # another process had it grow just now
                return lmdb.open(str(self.folder), map_size=size, sync=self.sync, readahead=False)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._transact(lambda transaction: [transaction.get(key) for key in keys])

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        self._transact(lambda transaction: transaction.cursor().putmulti(values.items()), write=True)

    def delete_many(self, keys: Sequence[bytes]) -> None:
        self._transact(lambda transaction: [transaction.delete(key) for key in keys], write=True)

    def _change(self, keys: Sequence[bytes], change: Change) -> None:
        def work(transaction: Any) -> None:
            for key, value in zip(keys, change([transaction.get(key) for key in keys]), strict=True):
                if value is None:
                    transaction.delete(key)
                else:
                    transaction.put(key, value)

        self._transact(work, write=True)

    def __len__(self) -> int:
        return self._transact(lambda transaction: transaction.stat()["entries"])

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        start = prefix
        while some := self._transact(partial(_some_keys, start, prefix)):
            yield from some
            start = some[-1] + b"\0"  # the next key that could be

    def close(self) -> None:
        with self._in_words(), self._gate.alone():
            if not self._closed and not self.sync:
                self._environment.sync(True)
            self._closed = True
            self._environment.close()

    def _transact(self, work: Callable[[Any], T], *, write: bool = False) -> T:
        """`work` is called again when the map had to grow first."""
        import lmdb

        if self._closed:
            raise StateError(f"{self.folder} was closed; open it again")
        if os.getpid() != self._process:
            raise StateError(f"{self.folder} was opened before this process was forked; close it here and open it")
        while True:
            try:
                with self._in_words(), self._gate.passing(), self._environment.begin(write=write) as transaction:
                    if write:
                        self._lengthen()
                    return work(transaction)
            except lmdb.MapFullError:
                with self._in_words(), self._gate.alone():
                    self._environment.reader_check()
                    self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.MapResizedError:
                with self._in_words(), self._gate.alone():
                    self._environment.set_mapsize(0)  # as large as another process has made it

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """In here what LMDB refuses becomes one sentence, but for a map that must grow."""
        import lmdb

        try:
            yield
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError) as error:
            raise StateError(f"{self._file} is damaged, or is not LMDB's ({error}); {INSTEAD}") from error
        except lmdb.Error as error:
            if "already open" in str(error):
                raise StateError(
                    f"{self.folder} is open in this process already; use that store, or close it"
                ) from error
            code = next((code for code in errno.errorcode if str(error).endswith(os.strerror(code))), None)
            if code is None:
                raise StateError(f"{self.folder} cannot be used: LMDB says '{error}'") from error
            with writing(self.folder):  # LMDB calls it an input/output error when a write stops half-way: a full disk
                raise OSError(errno.ENOSPC if code == errno.EIO else code, os.strerror(code)) from error

    def _lengthen(self) -> None:
        """The file to the map's length, in a write transaction, so that a shorter one is known to have been cut.

        Without it LMDB leaves the file short when the last pages come free in the transaction that took them.
        """
        with writing(self._file):
            if self._file.stat().st_size < (length := self._environment.info()["map_size"]):
                os.truncate(self._file, length)


class _Gate:
    """Many may pass at a time, or one be alone: the map must not change while a transaction is open."""

    def __init__(self) -> None:
        self.inside, self.left = 0, threading.Condition()

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self.left:
            self.inside += 1
        try:
            yield
        finally:
            with self.left:
                self.inside -= 1
                self.left.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self.left:
            self.left.wait_for(lambda: self.inside == 0)
            yield


def _some_keys(start: bytes, prefix: bytes, transaction: Any) -> list[bytes]:
    cursor = transaction.cursor()
    if not cursor.set_range(start):
        return []
    return list(islice(takewhile(lambda key: key.startswith(prefix), cursor.iternext(values=False)), AT_ONCE))
