"""Where states are kept: bytes under keys of bytes, always many at once. None stands for no record, going in and out.

A store in LMDB is a file of its own, lmdb_store.py, and so is one in Redis, redis_store.py.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

Change = Callable[[list[bytes | None]], Sequence[bytes | None]]


class Store(ABC):
    @abstractmethod
    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values in the order of the keys, all of one moment."""

    @abstractmethod
    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        """All of them or, where this raises, none."""

    @abstractmethod
    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Keys that are not there are passed over."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """In the order of their bytes. What others write or delete meanwhile may or may not be seen."""

    @abstractmethod
    def close(self) -> None: ...

    def change_many(self, keys: Sequence[bytes], change: Change) -> None:
        """Read, change and write as one: no other process comes between, and where `change` raises nothing is written.

        change: the values in the order of the keys, each key once, to as many new ones. It may be called again with
        newer values, so it must do nothing but reckon; and it must not use this store.
        """
        if len(set(keys)) < len(keys):
            raise ValueError("change_many needs each key once: gather the events of a user before")
        self._change(keys, change)

    @abstractmethod
    def _change(self, keys: Sequence[bytes], change: Change) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return self.keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MemoryStore(Store):
    """Lives and dies with the process; its threads may share it."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.lock = threading.RLock()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self.lock:
            return [self.values.get(key) for key in keys]

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        with self.lock:
            self.values.update(values)

    def _change(self, keys: Sequence[bytes], change: Change) -> None:
        with self.lock:
            pairs = list(zip(keys, change(self.get_many(keys)), strict=True))
            self.put_many({key: value for key, value in pairs if value is not None})
            self.delete_many([key for key, value in pairs if value is None])

    def delete_many(self, keys: Sequence[bytes]) -> None:
        with self.lock:
            for key in keys:
                self.values.pop(key, None)

    def __len__(self) -> int:
        return len(self.values)

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        with self.lock:
            return iter(sorted(key for key in self.values if key.startswith(prefix)))

    def close(self) -> None:
        """Nothing is let go: who holds the store may go on."""
