"""Another model in a running service: every event is kept in a log, from which the new model's states are made.

States belong to the model that made them, so a new model has to read the events again. It does so beside the service,
in a thread of its own, from the log's beginning to where the log stands by then; what came meanwhile is read between
two requests, and from then on the new model answers. Nothing acknowledged is lost: an event is in a state and then in
the log, on the disk, before it is answered. One that is sent again, with its id, stands in the log twice and counts
once. Who was forgotten is forgotten there too, by a line of its own; the events before it stay in the file.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tenfold.errors import OptionError, StateError, TenfoldError
from tenfold.files import writing
from tenfold.tasks.next_item.session import Session
from tenfold.tasks.next_item.task import NextItem

AT_ONCE = 1 << 20  # bytes of the log read together
NEAR = 1 << 16  # bytes that may be left to read between two requests


class KeptLog:
    """Lines of JSON in a file that one service holds, appended and on the disk when `append` returns.

    Raises OptionError where another process holds it, OutputError where it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("ab+")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise OptionError(f"{self.path} is kept by another service; give each one a log of its own") from None
        self.size = self._whole()
        with writing(self.path):
            self.file.truncate(self.size)

    def _whole(self) -> int:
        """Bytes up to the last whole line: what follows was never acknowledged."""
        end = self.file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - AT_ONCE)
            self.file.seek(begin)
            found = self.file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
        return 0

    def append(self, events: Sequence[Mapping[str, Any]]) -> None:
        lines = b"".join(orjson.dumps(event) + b"\n" for event in events)
        try:
            with writing(self.path):
                self.file.write(lines)
                self.file.flush()
                os.fsync(self.file.fileno())
        except TenfoldError:
            os.ftruncate(self.file.fileno(), self.size)
            self.file.close()  # what it still holds would be written later
            self.file = self.path.open("ab+")
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise
        self.size += len(lines)

    def read(self, begin: int) -> Iterator[tuple[list[Any], int]]:
        """The events from a place on, some at a time, each with the place behind them; as far as it goes by now."""
        with self.path.open("rb") as file:
            while begin < (end := self.size):
                file.seek(begin)
                part = file.read(min(AT_ONCE, end - begin))
                part += file.readline() if len(part) == AT_ONCE else b""
                begin += len(part)
                yield [orjson.loads(line) for line in part.splitlines()], begin

    def close(self) -> None:
        self.file.close()


def send(session: Session, events: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Events as a service gets them, one transaction; what became of each, as places in OUTCOMES."""
    clock = [np.nan if event.get("time") is None else event["time"] for event in events]
    ids = [event.get("id") for event in events]
    return session.update_many(
        [event["user"] for event in events], [event["item"] for event in events],
        clock if not all(np.isnan(clock)) else None, ids=ids if any(own is not None for own in ids) else None,
    ).outcomes  # fmt: skip


class Reload:
    """A new model that reads the log. `said` tells how far it is; `session` is there when little is left to read."""

    def __init__(self, log: KeptLog, system: NextItem, states: Any, how: Mapping[str, Any]) -> None:
        """Raises OptionError where the states' place is not empty, StateError, OutputError."""
        self.log, self.system, self.place, self.problem = log, system, 0, ""
        session = system.open(states, **how)
        if next(iter(session), None) is not None:
            session.close()
            raise OptionError(f"{states} holds users already; name an empty place for the new model's states")
        self._session, self._near, self._stopped = session, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, name="reload", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while self.log.size - self.place > NEAR and not self._stopped.is_set():
                self._some()
        except Exception as error:  # told to whoever asks, and the old model goes on
            self.problem = f"{type(error).__name__}: {error}"
            self._session.close()
            return
        self._near.set()

    def _some(self) -> None:
        for lines, behind in self.log.read(self.place):
            for forgotten, some in groupby(lines, lambda line: "forget" in line):
                if forgotten:
                    self._session.forget(*(line["forget"] for line in some))
                else:
                    send(self._session, list(some))
            self.place = behind
            if self._stopped.is_set():
                return

    @property
    def said(self) -> str:
        if self.problem:
            return f"failed: {self.problem}"
        return f"reads the log: {self.place:,} of {self.log.size:,} bytes"

    @property
    def ready(self) -> bool:
        return self._near.is_set() and not self.problem

    def finish(self) -> Session:
        """The session after all that the log holds. Called between two requests, so that nothing is added meanwhile."""
        self._some()
        if self.place != self.log.size:
            raise StateError(f"{self.log.path} could be read only to byte {self.place:,} of {self.log.size:,}")
        return self._session

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        if not self.problem:
            self._session.close()
