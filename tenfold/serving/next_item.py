"""Next-item systems as a service: any that streams takes events and answers for users; any answers for a history.

POST /events     one event or a list of them; answered when they are in the store
POST /recommend  for a user whose events came, or for a history that comes along
POST /similar    items like an item
GET /users/{id}, DELETE /users/{id}
POST /reload     another model, where a log of all events is kept
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tenfold.errors import OptionError, TenfoldError
from tenfold.serving.catalogue import Catalogue
from tenfold.serving.options import ServeOptions
from tenfold.serving.reload import KeptLog, Reload, send
from tenfold.serving.service import Endpoint, Refused, Service
from tenfold.tasks.next_item.answers import Recommendations
from tenfold.tasks.next_item.diversity import CANDIDATES, diversified
from tenfold.tasks.next_item.session import OUTCOMES, Session
from tenfold.tasks.next_item.task import NextItem

Text = Annotated[str, StringConstraints(min_length=1, max_length=510, strict=True)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**64)]
Id = Text | Whole
Value = Annotated[str | int | float | bool | None, Field(union_mode="smart")]
Clock = Annotated[
    float, Field(ge=0, allow_inf_nan=False, strict=True, description="seconds, as the fitted log has them")
]
CLOSED = ConfigDict(extra="forbid")
MOST = 1_000  # events of a request, items of a list


@with_config(CLOSED)
class Event(TypedDict):
    user: Id
    item: Id
    time: NotRequired[Clock | None]
    id: NotRequired[Annotated[Id | None, Field(description="an event that comes again with its id counts once")]]


@with_config(CLOSED)
class Question(TypedDict):
    """One of `user` and `history`."""

    user: NotRequired[Id]
    history: NotRequired[Annotated[list[Id], Field(max_length=100_000)]]
    times: NotRequired[list[Clock]]
    k: NotRequired[Annotated[int, Field(strict=True, ge=1, le=MOST)]]
    exclude: NotRequired[list[Id]]
    candidates: NotRequired[list[Id]]
    exclude_seen: NotRequired[bool]
    where: NotRequired[
        Annotated[dict[str, list[Value]], Field(description="only items whose attribute is one of these values")]
    ]
    diversity: NotRequired[Annotated[float, Field(ge=0, le=1, strict=True, description="0: by score alone")]]
    diverse_by: NotRequired[Annotated[str, Field(description="an attribute; without it the interest that found each")]]


@with_config(CLOSED)
class Likeness(TypedDict):
    item: Id
    k: NotRequired[Annotated[int, Field(strict=True, ge=1, le=MOST)]]


class Outcome(TypedDict):
    applied: int
    unknown: int
    repeated: int
    late: int


class Found(TypedDict):
    item: Id
    score: float
    title: NotRequired[str | None]
    interest: NotRequired[int]


class Answer(TypedDict):
    items: list[Found]
    by_popularity: bool
    model: str


class Person(TypedDict):
    user: Id
    events: int
    last_item: Id | None
    time: float | None
    bytes: int
    model: str


class Deleted(TypedDict):
    user: Id
    deleted: bool


@with_config(CLOSED)
class Reloading(TypedDict):
    model: Annotated[str, Field(min_length=1, description="folder of a fitted system")]
    states: NotRequired[Annotated[str, Field(min_length=1, description="an empty place for its states; memory")]]


class Reloaded(TypedDict):
    model: Annotated[str, Field(description="that answers")]
    next: Annotated[str | None, Field(description="how far another is; null: none is on its way")]


KIND = {"type": "'text' (as it comes) or 'integer': how the id in the path is meant"}


class NextItemService(Service):
    """Recommendations that follow each event: send events, ask for what comes next."""

    takes = frozenset({"items", "keep_log"})

    def __init__(self, system: NextItem, options: ServeOptions, *, states: Any = None, **session: Any) -> None:
        """states: where they are kept, as `NextItem.open` takes it, and session what it takes beside. Raises DataError
        for a file of items that cannot be read."""
        self.options, self.how = options, session
        # /recommend has a thread of its own. Who needs both takes them in this order.
        self.changing, self.reading = threading.RLock(), threading.Lock()
        self.session: Session | None = system.open(states, **session) if system.state_size else None
        if self.session is None and states is not None:
            raise OptionError(
                f"a {type(system).__name__} keeps no states; leave --states out, and send histories to /recommend"
            )
        if options.keep_log and self.session is None:
            raise OptionError(f"a {type(system).__name__} keeps no states; leave --keep-log out")
        self._serve(system, Catalogue(options.items, system.vocabularies["items"]))
        index = None if self.session is None else self.session.retrieval
        self.remarks = [*self.catalogue.remarks, *([] if index is None else [f"the best items are found by {index}"])]
        self.kept = KeptLog(options.keep_log) if options.keep_log else None
        self.reload: Reload | None = None
        if self.kept is not None and not self.kept.size and next(iter(self.session or ()), None) is not None:
            raise OptionError(
                f"the states hold users, and {options.keep_log} no event: another model could not be given theirs; "
                "write the log that made these states there, a line of JSON for each event, or begin with empty states"
            )
        self.counted = dict.fromkeys((*OUTCOMES, "answers", "answers_by_popularity"), 0)

    def _serve(self, system: NextItem, catalogue: Catalogue) -> None:
        self.system, self.catalogue, self.model = system, catalogue, system.fingerprint()
        self.ids = system.vocabularies["items"].ids(np.arange(1, len(system.vocabularies["items"]) + 1))

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        recommend = Endpoint(
            method="POST", path="/recommend", summary="what comes next for a user or after a history",
            takes=TypeAdapter(Question), gives=TypeAdapter(Answer), answer=self.recommend, apart=True,
            refusals={409: "the user's state cannot be read: it is damaged, or another model's"},
        )  # fmt: skip
        similar = Endpoint(
            method="POST", path="/similar", summary="items like an item", takes=TypeAdapter(Likeness),
            gives=TypeAdapter(Answer), answer=self._each(self._similar), refusals={404: "there is no such item"},
        )  # fmt: skip
        if self.session is None:
            return [recommend, similar]
        reload = [] if self.kept is None else self._reload()
        return [self._events(), recommend, similar, *self._users(), *reload]

    def _events(self) -> Endpoint:
        return Endpoint(
            method="POST", path="/events", summary="events of users; answered when all are in the store",
            takes=TypeAdapter(Event | Annotated[list[Event], Field(min_length=1, max_length=MOST)]),
            gives=TypeAdapter(Outcome), answer=self.events,
            refusals={409: "a user's state cannot be read", 507: "the store takes no more: a full disk"},
        )  # fmt: skip

    def _users(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path="/users/{id}", summary="what is kept of a user", takes=None, query=KIND,
                gives=TypeAdapter(Person), answer=self._each(self._person),
                refusals={404: "nothing is kept of this user", 409: "the user's state cannot be read"},
            ),
            Endpoint(
                method="DELETE", path="/users/{id}", summary="forgets a user: the state, and what was seen", takes=None,
                query=KIND, gives=TypeAdapter(Deleted), answer=self._each(self._delete),
            ),
        ]  # fmt: skip

    def _reload(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path="/reload", summary="another model: it reads the kept log, and then answers",
                takes=TypeAdapter(Reloading), gives=TypeAdapter(Reloaded), answer=self._each(self._begin),
                refusals={409: "another model reads the log already, or this one cannot be taken"},
            ),
            Endpoint(
                method="GET", path="/reload", summary="which model answers, and how far another is", takes=None,
                gives=TypeAdapter(Reloaded), answer=self._each(lambda request: self._how_far()),
            ),
        ]  # fmt: skip

    def _each(self, answer: Any) -> Any:
        def answers(requests: Sequence[Any]) -> list[Any]:
            found: list[Any] = []
            with self.changing:
                self._exchange()
                for request in requests:
                    try:
                        found.append(answer(request))
                    except Refused as refused:
                        found.append(refused)
            return found

        return answers

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {"system": type(self.system).__name__, "model": self.model, "items": len(self.ids)}
        if self.session is not None:
            found |= {"state_bytes": 4 * self.system.state_size}
        return found | self.counted

    def close(self) -> None:
        if self.reload is not None:
            self.reload.stop()
        if self.session is not None:
            self.session.close()
        if self.kept is not None:
            self.kept.close()

    # Events.

    def events(self, requests: Sequence[Any]) -> list[Any]:
        """All that wait are one transaction."""
        with self.changing:
            self._exchange()
            return self._written(requests)

    def _written(self, requests: Sequence[Any]) -> list[Any]:
        assert self.session is not None
        sizes, events = list[int](), list[Any]()
        latest = time.time() + self.options.max_ahead
        for request in requests:
            some = request if isinstance(request, list) else [request]
            sizes.append(len(some))
            events += some
            for event in some:
                if (event.get("time") or 0) > latest:
                    raise Refused(
                        422, f"the time {event['time']} of user {event['user']!r} lies more than "
                        f"{self.options.max_ahead:g} s ahead of the clock; send seconds since 1970",
                    )  # fmt: skip
        outcomes = send(self.session, events)
        if self.kept is not None:
            self.kept.append(events)
        answers, place = list[Any](), 0
        for size in sizes:
            codes = outcomes[place : place + size]
            answers.append({name: int((codes == code).sum()) for code, name in enumerate(OUTCOMES)})
            place += size
        for name in OUTCOMES:
            self.counted[name] += sum(answer[name] for answer in answers)
        return answers

    # Answers.

    def recommend(self, requests: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Those that ask alike are answered together."""
        self._exchange()
        with self.reading:
            return self._answered(requests)

    def _answered(self, requests: Sequence[Mapping[str, Any]]) -> list[Any]:
        alike: dict[Any, list[int]] = {}
        answers: list[Any] = [None] * len(requests)
        for place, request in enumerate(requests):
            if ("user" in request) == ("history" in request):
                answers[place] = Refused(422, "a question names a 'user' or brings a 'history', and not both")
            elif "user" in request and self.session is None:
                answers[place] = Refused(422, f"a {type(self.system).__name__} keeps no states; send a 'history'")
            else:
                key = (
                    "user" in request, request.get("exclude_seen", False), tuple(request.get("exclude", ())),
                    None if request.get("candidates") is None else tuple(request["candidates"]), "times" in request,
                    tuple((name, tuple(values)) for name, values in sorted(request.get("where", {}).items())),
                    request.get("diversity", 0.0), request.get("diverse_by"),
                )  # fmt: skip
                alike.setdefault(key, []).append(place)
        for key, places in alike.items():
            ks = [min(requests[place].get("k", 10), len(self.ids)) for place in places]
            found = self._together(key, [requests[place] for place in places], max(ks))
            for place, k, one in zip(places, ks, found, strict=True):
                answers[place] = self._told(one, k)
                self.counted["answers"] += 1
                self.counted["answers_by_popularity"] += one.by_popularity
        return answers

    def _together(self, key: Any, requests: Sequence[Mapping[str, Any]], k: int) -> list[Recommendations]:
        of_user, exclude_seen, exclude, candidates, timed, where, diversity, diverse_by = key
        if where:
            candidates = self.catalogue.where(dict(where), candidates)
        kinds = self.catalogue.kinds(diverse_by) if diverse_by is not None else None
        how: dict[str, Any] = {"exclude": exclude, "candidates": candidates, "exclude_seen": exclude_seen}
        if of_user:
            assert self.session is not None
            how |= {"diversity": diversity, "kinds": kinds}
            return self.session.recommend_many([request["user"] for request in requests], k=k, explain=True, **how)
        if diversity and kinds is None:
            raise Refused(422, "diversity of an answer for a 'history' needs 'diverse_by', an attribute of the items")
        times = [np.asarray(request["times"], np.float64) for request in requests] if timed else None
        most = min(CANDIDATES * k, len(self.ids)) if diversity else k
        found = self.system.recommend_batch([request["history"] for request in requests], times=times, k=most, **how)
        return diversified(found, k, diversity, kinds) if diversity else found

    def _told(self, answer: Recommendations, k: int) -> dict[str, Any]:
        items: list[dict[str, Any]] = [{"item": each.item, "score": each.score} for each in answer[:k]]
        if self.catalogue.titles is not None:
            for item, number in zip(items, answer.numbers, strict=False):
                item["title"] = self.catalogue.titles[number - 1]
        if answer.interests is not None and not answer.by_popularity:
            for item, interest in zip(items, answer.interests, strict=False):
                item["interest"] = int(interest)
        return {"items": items, "by_popularity": answer.by_popularity, "model": self.model}

    def _similar(self, request: Mapping[str, Any]) -> dict[str, Any]:
        k = min(request.get("k", 10), max(len(self.ids) - 1, 1))
        return self._told(self.system.similar(request["item"], k), k)

    # Users.

    def _user(self, request: Mapping[str, str]) -> Any:
        own, kind = request["id"], request.get("type", "text")
        if kind not in ("text", "integer") or (kind == "integer" and not own.removeprefix("-").isdecimal()):
            raise Refused(422, f"an id is of type 'text' or 'integer'; found {own!r:.60} of type {kind!r:.20}")
        return int(own) if kind == "integer" else own

    def _person(self, request: Mapping[str, str]) -> dict[str, Any]:
        assert self.session is not None
        user = self._user(request)
        if user not in self.session:
            raise Refused(404, f"nothing is kept of user {user!r:.100}")
        row = self.session.states([user])[0]
        item = self.ids[row["item"] - 1] if row["item"] else None
        return {
            "user": user, "events": int(row["events"]), "last_item": item,
            "time": None if np.isnan(row["time"]) else float(row["time"]), "bytes": row.itemsize, "model": self.model,
        }  # fmt: skip

    def _delete(self, request: Mapping[str, str]) -> dict[str, Any]:
        assert self.session is not None
        user = self._user(request)
        there = user in self.session
        self.session.forget(user)
        if self.kept is not None:
            self.kept.append([{"forget": user}])
        return {"user": user, "deleted": there}

    # Another model.

    def _begin(self, request: Mapping[str, str]) -> dict[str, Any]:
        from tenfold.systems import load

        assert self.kept is not None
        if self.reload is not None and not self.reload.problem:
            raise Refused(409, "another model reads the log already; GET /reload says how far it is")
        system = load(request["model"])
        if not isinstance(system, NextItem) or not system.state_size:
            raise Refused(409, f"a {type(system).__name__} keeps no states of users; name the folder of one that does")
        if system.fingerprint() == self.model:
            raise Refused(409, f"{request['model']} is the model {self.model} that answers already")
        self.catalogue_to_come = Catalogue(self.options.items, system.vocabularies["items"])
        self.reload = Reload(self.kept, system, request.get("states", "memory"), self.how)
        return self._how_far()

    def _exchange(self) -> None:
        """Between two requests: the new model, where it has read nearly all, reads the rest and takes over."""
        if self.reload is None or not self.reload.ready:
            return
        with self.changing, self.reading:  # no event comes to the log meanwhile, and nobody reads the old states
            if self.reload is None or not self.reload.ready:  # another thread was quicker
                return
            new, self.reload = self.reload, None
            try:
                session = new.finish()
            except TenfoldError as error:  # the old model goes on
                new.problem, self.reload = str(error), new
                return
            assert self.session is not None
            self.session.close()
            self.session = session
            self._serve(new.system, self.catalogue_to_come)

    def _how_far(self) -> dict[str, Any]:
        return {"model": self.model, "next": None if self.reload is None else self.reload.said}
