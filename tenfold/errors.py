"""The errors a user may see: each is one sentence that says what was found, what was expected and what to do."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_flags: ContextVar[bool] = ContextVar("options are flags", default=False)


@contextmanager
def options_as_flags() -> Iterator[None]:
    """Sentences that are made within say options as the command line has them."""
    token = _flags.set(True)
    try:
        yield
    finally:
        _flags.reset(token)


def as_said(name: str, value: Any) -> str:
    """An option as whoever reads the sentence says it: name=value in Python, --name value on the command line."""
    text = value if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) else repr(value)
    if not _flags.get():
        return f"{name}={text}"
    flag = f"--{name.replace('_', '-')}"
    return flag if text == "true" else f"{flag} {text}"


class TenfoldError(Exception):
    """What the user can mend; the command line prints it without a traceback and exits with 2."""


class ShapeError(TenfoldError, ValueError):
    """Tensors that do not fit together."""


class OptionError(TenfoldError, ValueError):
    """An option that does not exist or has an impossible value."""


class DataError(TenfoldError, ValueError):
    """A file or table that is not what it should be; the message names the file and, where there is one, the line."""


class NotFittedError(TenfoldError, RuntimeError):
    """A verb was called before `fit` or `load`."""


class RunError(TenfoldError, RuntimeError):
    """A run folder that holds another run, or none where one should be resumed."""


class ArtifactError(TenfoldError, RuntimeError):
    """A folder that does not hold a whole fitted system of the class asked for."""


class StateError(TenfoldError, RuntimeError):
    """A user's state that cannot be read or kept: another model's, damaged, or in a folder that holds no store."""


class OutputError(TenfoldError, OSError):
    """Something could not be written: no permission, no room, or a folder where a file should be."""


class UnknownIdError(TenfoldError, KeyError):
    """A user or an item that was not there when the system was fitted."""

    def __str__(self) -> str:  # KeyError would print the sentence in quotes
        return str(self.args[0])


class TrainingError(TenfoldError, RuntimeError):
    """Training that cannot go on, such as a loss that is no number."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses `name`."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1) or [full for full in known if full.endswith(f".{name}")]
    return f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
