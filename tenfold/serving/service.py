"""What a task gives to be served: endpoints, each with the shape of what it takes and of what it answers.

A system names its service (`System.service = "module:Class"`), and `tenfold serve` makes one of the fitted system. The
app (serving/app.py) does what all services share: parsing, tokens, limits, batches, logs, figures, OpenAPI.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An answer that is none: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A path, and what answers the requests that wait for it, all at once and in their order.

    `answer` gets what the requests hold and returns as many answers; one of them may be a Refused in place of one.
    Where it raises, each request is asked again by itself, so that one that is wrong spoils no other.
    """

    method: str
    path: str  # a last part in braces is a parameter: /users/{id}
    summary: str
    takes: TypeAdapter[Any] | None  # of the body; None: the path's parameter and the query, as a dict of texts
    gives: TypeAdapter[Any]
    answer: Callable[[Sequence[Any]], Sequence[Any]]
    query: Mapping[str, str] = field(default_factory=dict)  # names and what they mean, for those without a body
    apart: bool = False  # answered in a thread of its own, while the others' waits for the disk
    refusals: Mapping[int, str] = field(default_factory=dict)  # status and when, beside those that all endpoints have

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Service(ABC):
    """Made of a fitted system and of where its states are; used by one thread at a time, but for endpoints that
    stand `apart`: beside one thread for all others, one answers these."""

    takes: frozenset[str] = (
        frozenset()
    )  # of `items` and `keep_log` of ServeOptions, those that it knows what to do with
    remarks: Sequence[str] = ()  # what is to be told when it starts

    @property
    @abstractmethod
    def endpoints(self) -> Sequence[Endpoint]: ...

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What /health tells: the model, how much it knows."""

    def ready(self) -> str | None:
        """Why it cannot answer now; None where it can."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Lets go of what it holds; called once, when no request is left."""
