"""A store in Redis: one for many machines, each of which may serve.

A batch is read in one round trip, and changed in two: WATCH and the values, then MULTI, the new values and EXEC; where
another process came between, both again. Keys are PREFIX{S}KEY, S one of 256 shards by the key's hash: in a cluster the
braces put a shard's keys into one slot, a state beside what was seen. A client of clusters, which would take each
shard's users as a batch of their own, is not built.

What survives a fault is Redis's own choice: with `appendfsync always` no acknowledged event is lost; with `everysec`,
the usual setting, a machine that stops may lose a second; without a file, all of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from zlib import crc32

from tenfold.errors import OptionError, StateError
from tenfold.streaming.stores import Change, Store

SHARDS = 256
AT_ONCE = 1000  # keys asked for in one step of a scan
TRIES = 1000  # of a change that others keep coming before


class RedisStore(Store):
    def __init__(self, url: str) -> None:
        """url: redis://HOST:PORT/DB or rediss://, and after a ? what is ours: prefix=NAME for the keys (tenfold unless
        given), ttl=SECONDS after which a record that nobody changes is gone.

        Raises OptionError, StateError.
        """
        try:
            import redis
        except ModuleNotFoundError:
            raise OptionError(f"{url} needs redis; install it with: pip install 'tenfold[serve]'") from None
        parts = urlsplit(url)
        own = dict(parse_qsl(parts.query))
        self.where = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        self.prefix = own.pop("prefix", "tenfold").encode()
        ttl = own.pop("ttl", None)
        if own or (ttl is not None and not (ttl.isdecimal() and int(ttl) > 0)) or b"{" in self.prefix:
            raise OptionError(
                f"{url}: after the ? stand prefix=NAME, without braces, and ttl=SECONDS, a whole number above 0; "
                f"found {parts.query}"
            )
        self.ttl, self.closed = None if ttl is None else int(ttl), False
        plain = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        self._errors = redis.RedisError
        self._between = redis.WatchError
        with self._in_words():
            self.client: Any = redis.Redis.from_url(plain)
            self.client.ping()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        if self.closed:
            raise StateError(f"the store at {self.where} was closed; open it again")
        try:
            yield
        except self._between:
            raise
        except self._errors as error:
            raise StateError(
                f"Redis at {self.where} does not answer as it should ({str(error).splitlines()[0][:200]}); nothing of "
                "this batch counts as done"
            ) from error

    def _name(self, key: bytes) -> bytes:
        return b"%b{%02x}%b" % (self.prefix, crc32(key[1:]) % SHARDS, key)  # without its letter: see streaming/seen.py

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._in_words():
            return self.client.mget([self._name(key) for key in keys]) if keys else []

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        with self._in_words(), self.client.pipeline(transaction=True) as pipe:
            self._write(pipe, values)
            pipe.execute()

    def _write(self, pipe: Any, values: Mapping[bytes, Any]) -> None:
        """None, no record, is deleted."""
        there = {self._name(key): value for key, value in values.items() if value is not None}
        if gone := [self._name(key) for key, value in values.items() if value is None]:
            pipe.delete(*gone)
        if self.ttl is None and there:
            pipe.mset(there)
        for name, value in there.items() if self.ttl is not None else ():
            pipe.set(name, value, ex=self.ttl)

    def delete_many(self, keys: Sequence[bytes]) -> None:
        with self._in_words():
            if keys:
                self.client.delete(*map(self._name, keys))

    def _change(self, keys: Sequence[bytes], change: Change) -> None:
        if not keys:
            change([])
            return
        names = [self._name(key) for key in keys]
        with self._in_words(), self.client.pipeline(transaction=True) as pipe:
            for _ in range(TRIES):
                pipe.watch(*names)
                after = change(pipe.mget(names))
                pipe.multi()
                self._write(pipe, dict(zip(keys, after, strict=True)))
                try:
                    pipe.execute()
                except self._between:
                    continue
                return
        raise StateError(f"others changed the same users at {self.where} {TRIES:,} times in between; try again")

    def __len__(self) -> int:
        return len(set(self._scan(b"")))

    def _scan(self, prefix: bytes) -> Iterator[bytes]:
        mine = self.prefix + b"{"
        pattern = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in mine)
        with self._in_words():
            for name in self.client.scan_iter(match=pattern + b"*", count=AT_ONCE):
                key = name[len(mine) + 3 :]
                if key.startswith(prefix):
                    yield key

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Redis has no order: all keys are gathered, and sorted, before the first is given."""
        yield from sorted(set(self._scan(prefix)))

    def close(self) -> None:
        if not self.closed:
            self.client.close()
        self.closed = True
