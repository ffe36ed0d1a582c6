"""Systems of interactions as a service: what happens comes in, who is met next goes out.

POST /interactions  one or a list of them, in order of time; the next answers know
POST /links         whom a node interacts with next
POST /score         how likely pairs are at a moment
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tenfold.errors import DataError, OptionError, OutputError
from tenfold.serving.next_item import CLOSED, MOST, Id
from tenfold.serving.options import ServeOptions
from tenfold.serving.service import Endpoint, Refused, Service
from tenfold.tasks.link_prediction.task import LinkPrediction

Clock = Annotated[float, Field(allow_inf_nan=False, strict=True, description="as the fitted interactions have it")]
COLUMNS = ("source", "destination", "time")


@with_config(CLOSED)
class Interaction(TypedDict):
    source: Id
    destination: Id
    time: Clock


@with_config(CLOSED)
class Question(TypedDict):
    node: Id
    at: NotRequired[Annotated[Clock | None, Field(description="none: after all that is known")]]
    k: NotRequired[Annotated[int, Field(strict=True, ge=1, le=MOST)]]
    candidates: NotRequired[Annotated[list[Id], Field(max_length=100_000)]]
    exclude_seen: NotRequired[bool]
    evidence: NotRequired[Annotated[int, Field(strict=True, ge=0, le=100)]]
    shortlist: NotRequired[Annotated[int, Field(strict=True, ge=0)]]


class Because(TypedDict):
    source: Id
    destination: Id
    time: float
    weight: float


class Found(TypedDict):
    node: Id
    score: float
    evidence: list[Because]


class Answer(TypedDict):
    links: list[Found]
    cold: Annotated[bool, Field(description="the node had no past: only what is known of the others answered")]
    model: str


class Taken(TypedDict):
    taken: int
    interactions: int


class Scores(TypedDict):
    scores: list[float]
    model: str


class LinkService(Service):
    """Answers over a past that grows. With `states`, a folder, what came is in a file before it is answered, and a
    service that begins again there goes on from it."""

    def __init__(self, system: LinkPrediction, options: ServeOptions, *, states: Any = None) -> None:
        """states: a folder, or None or 'memory'. Raises DataError, OptionError, OutputError."""
        if "://" in str(states):
            raise OptionError(f"what comes is kept in a folder of this machine; found --states {states}, give a folder")
        self.system, self.options = system, options
        self.model = system.fingerprint()
        self.broken = ""
        self.counted = {"taken": 0, "answers": 0, "answers_cold": 0}
        kept = states not in (None, "memory")
        self.journal = Journal(Path(states), self.model, self._observe) if kept else None

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        late = {
            422: "an interaction is earlier than the last one that is known, or no interaction",
            507: "what came cannot be kept: a full disk",
        }
        return [
            Endpoint(
                method="POST", path="/interactions", summary="what happened, in order of time; the next answers know",
                takes=TypeAdapter(Interaction | Annotated[list[Interaction], Field(min_length=1, max_length=MOST)]),
                gives=TypeAdapter(Taken), answer=self._each(self._take), refusals=late,
            ),
            Endpoint(
                method="POST", path="/links", summary="whom a node interacts with next, and why",
                takes=TypeAdapter(Question), gives=TypeAdapter(Answer), answer=self._each(self._links),
            ),
            Endpoint(
                method="POST", path="/score", summary="how likely pairs are at their moments; more is likelier",
                takes=TypeAdapter(Annotated[list[Interaction], Field(min_length=1, max_length=MOST)]),
                gives=TypeAdapter(Scores), answer=self._each(self._score),
            ),
        ]  # fmt: skip

    @staticmethod
    def _each(answer: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
        """In order: an interaction that waits before a question is known to it."""

        def answers(requests: Sequence[Any]) -> list[Any]:
            found: list[Any] = []
            for request in requests:
                try:
                    found.append(answer(request))
                except DataError as error:
                    found.append(Refused(422, str(error)))
            return found

        return answers

    def facts(self) -> dict[str, Any]:
        known = {"system": type(self.system).__name__, "model": self.model, "interactions": len(self.system.past.graph)}
        return known | self.counted

    def ready(self) -> str | None:
        return self.broken or None

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()

    def _take(self, request: Any) -> dict[str, Any]:
        rows = [tuple(each[name] for name in COLUMNS) for each in (request if isinstance(request, list) else [request])]
        if self.broken:
            raise Refused(507, self.broken)
        self._observe(rows)
        if self.journal is not None:
            try:
                self.journal.write(rows)
            except OutputError as error:  # it is known here, and would not be after a new start
                self.broken = f"{error}; nothing more is taken: make room, and start the service again"
                raise Refused(507, self.broken) from None
        self.counted["taken"] += len(rows)
        return {"taken": len(rows), "interactions": len(self.system.past.graph)}

    def _observe(self, rows: list[tuple[Any, ...]]) -> None:
        """Raises DataError."""
        for place, (vocabulary, what) in enumerate(self._sides()):
            of_text = isinstance(vocabulary.ids([1])[0], str)
            if wrong := [row[place] for row in rows if isinstance(row[place], str) != of_text]:
                kind = "texts" if of_text else "whole numbers"
                raise DataError(f"{what}s are {kind} here; found {wrong[0]!r:.100}")
        self.system.observe(rows)

    def _sides(self) -> list[tuple[Any, str]]:
        known = self.system.vocabularies
        return [(known["entities"], "source"), (known.get("partners", known["entities"]), "destination")]

    def _links(self, request: Mapping[str, Any]) -> dict[str, Any]:
        how = {name: value for name, value in request.items() if name != "node"}
        found = self.system.predict_links(request["node"], **how)
        self.counted["answers"] += 1
        self.counted["answers_cold"] += found.cold
        links = [
            {"node": each.node, "score": each.score, "evidence": [why._asdict() for why in each.evidence]}
            for each in found
        ]
        return {"links": links, "cold": found.cold, "model": self.model}

    def _score(self, request: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        scores = self.system.score([(each["source"], each["destination"], each["time"]) for each in request])
        return {"scores": scores.tolist(), "model": self.model}


class Journal:
    """What a service was told, a line of JSON for each request, of one model: a file that only grows."""

    def __init__(self, folder: Path, model: str, observe: Callable[[list[tuple[Any, ...]]], None]) -> None:
        """What the file holds is observed again; a last line that was cut short was never answered, and goes.

        Raises DataError where a line is none of its own, OutputError.
        """
        self.path = folder / f"interactions-{model}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("ab+")
            self.file.seek(0)
            whole = 0
            for number, line in enumerate(self.file, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                observe(self._rows(line, number))
            self.file.truncate(whole)
        except OSError as error:
            raise OutputError(f"what comes cannot be kept in {self.path}: {error.strerror}") from None

    def _rows(self, line: bytes, number: int) -> list[tuple[Any, ...]]:
        try:
            rows = [(source, destination, float(at)) for source, destination, at in json.loads(line)]
            if not rows:
                raise ValueError(line)
        except (ValueError, TypeError):
            raise DataError(
                f"{self.path}, line {number}, is no list of [source, destination, time]; move the file away to begin "
                "anew"
            ) from None
        return rows

    def write(self, rows: list[tuple[Any, ...]]) -> None:
        """On the disk when it returns. Raises OutputError."""
        try:
            self.file.write(json.dumps(rows, ensure_ascii=False).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise OutputError(f"what came cannot be kept in {self.path}: {error.strerror}") from None

    def close(self) -> None:
        self.file.close()
