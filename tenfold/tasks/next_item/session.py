"""A system open over a store of states: users are updated event by event, and answered at a cost that never grows.

    session = system.open("runs/states")
    session.update("u7", "i42", time=1_700_000_000, id="order-123")
    session.recommend("u7", k=10)

The store holds one record a user (streaming/records.py), written before `update` returns. Events count in the order in
which they arrive; what becomes of a late one is said by `late`. An event with an id that was among the user's last 64
changes nothing: what was sent twice counts once. Several processes may share a store of LMDB or Redis.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
import torch

from tenfold.data.packing import alike
from tenfold.data.sequences import ids_of, seconds
from tenfold.errors import DataError, OptionError, StateError
from tenfold.streaming import Store, hash_of, id_of, key_of, open_store, pack_many, unpack_many
from tenfold.streaming.ids import Id
from tenfold.streaming.records import IDS, is_of, is_whole
from tenfold.streaming.seen import Seen, key_of_seen, key_of_state, latest, pack_seen, unpack_seen
from tenfold.tasks.next_item.answers import OnUnseen, Recommendations, Recommender
from tenfold.tasks.next_item.diversity import CANDIDATES, diversified
from tenfold.tasks.next_item.retrieval import MOST_LEFT_OUT, Kind, retrieval_of

CELLS = 1 << 22  # users x events handed over at a time
USERS = (b"i", b"t")  # the beginnings of users' keys (streaming/ids.py)
LOOKED_AT = 8  # records of each, at opening
Late = Literal["append", "ignore", "refuse"]


APPLIED, UNKNOWN, REPEATED, LATE = range(4)
OUTCOMES = ("applied", "unknown", "repeated", "late")


class Applied(int):
    """How many events changed a state; `outcomes` (E,) says of each what became of it, as a place in OUTCOMES."""

    outcomes: np.ndarray

    @classmethod
    def of(cls, outcomes: np.ndarray) -> "Applied":
        found = cls((outcomes == APPLIED).sum())
        found.outcomes = outcomes
        return found

    @property
    def unknown(self) -> int:
        """Events of items that the system does not know."""
        return int((self.outcomes == UNKNOWN).sum())

    @property
    def repeated(self) -> int:
        """Events that were sent before."""
        return int((self.outcomes == REPEATED).sum())

    @property
    def late(self) -> int:
        """Late events that were left out."""
        return int((self.outcomes == LATE).sum())


class Grouped(NamedTuple):
    """Events (E,) by user, each user's in their order; users (U,) with at least one."""

    keys: list[bytes]
    counts: np.ndarray  # (U,)
    places: np.ndarray  # (E,), of each event as they came
    items: np.ndarray  # (E,)
    times: np.ndarray  # (E,), NaN for none
    ids: np.ndarray | None  # (E,) uint64

    def padded(self, some: np.ndarray, values: np.ndarray, fill: float) -> np.ndarray:
        """values (E,) of some users, a row for each, filled up on the right."""
        counts, ends = self.counts[some], np.cumsum(self.counts)[some]
        rows = np.full((len(some), int(counts.max())), fill, values.dtype)
        there = np.arange(rows.shape[1]) < counts[:, None]
        first = np.repeat(ends - counts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        rows[there] = values[first + np.arange(counts.sum())]
        return rows


class Session:
    """Raises DataError for an id that can be none, StateError for a state of another model, OutputError."""

    def __init__(
        self,
        system: Recommender,
        where: str | Path | Store | None = None,
        *,
        late: Late = "append",
        keep_seen: int = 0,
        keep_shown: int = 0,
        retrieval: Kind = "auto",
    ) -> None:
        """late: an event that is older than the user's latest is taken as if it came now ('append'), left out and
        counted ('ignore'), or refused, with all that came with it ('refuse').  keep_seen, keep_shown: how many of the
        latest distinct items that a user had, and was shown, are kept for `exclude_seen`; 0: none.  retrieval: how the
        best items are found: 'none' scores all, an index of faiss is 'exact', 'ivf' or 'hnsw' (retrieval.py); 'auto'
        takes one for large catalogues.
        """
        if late not in get_args(Late):
            raise OptionError(f"late is 'append', 'ignore' or 'refuse'; found {late!r}")
        if min(keep_seen, keep_shown) < 0:
            raise OptionError(f"what is kept is a number of items, 0 or more; found {min(keep_seen, keep_shown)}")
        self.retrieval = retrieval_of(system, retrieval)
        self.system, self.store = system, open_store(where)
        self.late, self.keep_seen, self.keep_shown = late, keep_seen, keep_shown
        self._network, self._fingerprint, self._size = system.network, system.fingerprint(), system.state_size
        try:
            self._refuse_another_models()
        except BaseException:
            if self.store is not where:  # who gave a store keeps it
                self.store.close()
            raise

    def _refuse_another_models(self) -> None:
        """New users must not be written among another model's states: a look at the first few tells. Raises StateError.

        One that is damaged is left to be named when its user comes.
        """
        some = [key for kind in USERS for key in islice(self.store.keys(kind), LOOKED_AT)]
        whole = [(key, value) for key, value in zip(some, self.store.get_many(some), strict=True) if is_whole(value)]
        if whole and not any(is_of(value, self._fingerprint, self._size) for _, value in whole):
            (key, value), *_ = whole
            unpack_many([value], fingerprint=self._fingerprint, size=self._size, users=[id_of(key)])

    # Events.

    def update(
        self, user: Id, item: Any, time: float | None = None, *, id: Id | None = None, on_unseen: OnUnseen = "skip"
    ) -> bool:
        """One event; False where the item is unknown (refused where on_unseen says so) or the event is late and left
        out. One that was sent before is done: True."""
        times, ids = None if time is None else [time], None if id is None else [id]
        applied = self.update_many([user], [item], times, ids=ids, on_unseen=on_unseen)
        return applied + applied.repeated == 1

    def update_many(
        self,
        users: Sequence[Id],
        items: Sequence[Any],
        times: Sequence[float] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        on_unseen: OnUnseen = "skip",
    ) -> Applied:
        """Events of any users, in the order in which they happened, as one transaction: all are in the store when
        this returns, or none. ids: of the events; None for one that has none."""
        users, items = ids_of(users, "users"), ids_of(items)
        times = None if times is None else ids_of(times, "times")
        ids = None if ids is None else ids_of(ids, "ids")
        for name, given in (("times", times), ("ids", ids)):
            if len(users) != len(items) or (given is not None and len(given) != len(items)):
                raise DataError(
                    "an event is a user, an item and, if there are times or ids, one of them; "
                    f"found {len(users)} users, "
                    f"{len(items)} items{'' if given is None else f' and {len(given)} {name}'}"
                )
        clock = None if times is None else seconds(times)
        numbers = self.system.item_numbers(items, on_unseen).astype(np.int64)
        known = np.flatnonzero(numbers)
        hashes = None
        if ids is not None:
            named = [ids[int(e)] for e in known]
            hashes = np.array([0 if own is None else hash_of(own) for own in named], np.uint64)
        keys = [key_of(users[int(e)]) for e in known]
        outcomes = np.full(len(numbers), UNKNOWN, np.int8)
        outcomes[known] = self.apply(keys, numbers[known], None if clock is None else clock[known], hashes).outcomes
        return Applied.of(outcomes)

    def apply(
        self,
        keys: Sequence[bytes],
        items: np.ndarray,
        times: np.ndarray | None = None,
        ids: np.ndarray | None = None,
    ) -> Applied:
        """The same for users' keys (E), numbers of known items (E,), times and hashes of ids (0: none), as arrays."""
        outcomes = np.zeros(len(items), np.int8)
        if len(items):
            grouped = _grouped(keys, items, times, ids)

            def change(values: list[bytes | None]) -> list[bytes | None]:
                users = len(grouped.keys)
                states, kept = self._advanced(values[:users], grouped, outcomes)
                seen = self._with_had(values[users:], grouped.keys, kept)
                return [*states, *seen]

            more = [key_of_seen(key) for key in grouped.keys] if self.keep_seen else []
            self.store.change_many([*grouped.keys, *more], change)
        return Applied.of(outcomes)

    def _advanced(
        self, values: list[bytes | None], grouped: Grouped, outcomes: np.ndarray
    ) -> tuple[list[bytes | None], list[np.ndarray]]:
        """The records after these events, and each user's events that counted, in order; outcomes (E,) are written."""
        states = self._read(values, [id_of(key) for key in grouped.keys])
        outcomes[:] = APPLIED
        kept: list[np.ndarray] = [np.zeros(0, np.int64)] * len(states)
        for some in alike(grouped.counts, CELLS if grouped.ids is None else CELLS // IDS):
            rows, times = grouped.padded(some, grouped.items, 0), grouped.padded(some, grouped.times, np.nan)
            changed = states[some]
            ids = None if grouped.ids is None else grouped.padded(some, grouped.ids, 0)
            if ids is not None:
                again = _repeated(changed["ids"], ids)
                outcomes[grouped.padded(some, grouped.places, 0)[again]] = REPEATED
                rows[again] = 0
            if self.late != "append":
                late = _late(changed["time"], times, rows != 0)
                if late.any() and self.late == "refuse":
                    whose = id_of(grouped.keys[some[int(np.nonzero(late)[0][0])]])
                    raise DataError(
                        f"an event of user {whose!r} is older than the latest one in this user's state; nothing was "
                        "applied; send events in order, or open the states with late='append' or late='ignore'"
                    )
                outcomes[grouped.padded(some, grouped.places, 0)[late]] = LATE
                rows[late] = 0
            rows, times, ids = _moved_up(rows, times, ids)
            self._move_on(changed, rows, times, ids)
            states[some] = changed
            if self.keep_seen:
                for place, row in zip(some, rows, strict=True):
                    kept[place] = row[row > 0]
        return [*pack_many(states)], kept

    def _move_on(self, states: np.ndarray, rows: np.ndarray, times: np.ndarray, ids: np.ndarray | None) -> None:
        """states (N,) after the events rows (N, L), 0 on the right."""
        self.system.advance(states, rows, **({"times": times} if self.system.uses_times else {}))
        count = (rows != 0).sum(1)
        states["events"] += count
        some = np.flatnonzero(count)
        states["item"][some] = rows[some, count[some] - 1]
        states["time"] = np.fmax(states["time"], np.fmax.reduce(times, axis=1))
        if ids is not None:  # only those that have one; the newest are last
            order = np.argsort(ids != 0, axis=1, kind="stable")
            named = np.concatenate([states["ids"], np.take_along_axis(ids, order, 1)], axis=1)
            new = (ids != 0).sum(1)
            # the last 64 of what was there and the `new` last of what came
            place = np.arange(IDS) + new[:, None]
            place = np.where(place < IDS, place, place - new[:, None] + ids.shape[1])
            states["ids"] = np.take_along_axis(named, place, 1)

    def _with_had(self, values: list[bytes | None], keys: list[bytes], kept: list[np.ndarray]) -> list[bytes]:
        after = []
        for value, key, items in zip(
            values, keys if self.keep_seen else [], kept if self.keep_seen else [], strict=True
        ):
            seen = self._unpacked(value, id_of(key))
            seen = seen._replace(had=latest(seen.had, items.tolist(), self.keep_seen))
            after.append(pack_seen(seen, self._fingerprint))
        return after

    def _unpacked(self, value: bytes | None, user: object) -> Seen:
        return unpack_seen(value, self._fingerprint, len(self.system.vocabularies["items"]), user)

    # Answers.

    def recommend(self, user: Id, **how: Any) -> Recommendations:
        """What comes next for this user; arguments as `recommend_many`'s. Without a known event popularity answers."""
        return self.recommend_many([user], **how)[0]

    @torch.no_grad()
    def recommend_many(
        self,
        users: Sequence[Id],
        *,
        k: int | None = None,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        explain: bool = False,
        diversity: float = 0.0,
        kinds: np.ndarray | None = None,
    ) -> list[Recommendations]:
        """k: 10 unless given, or all items there are.  exclude, candidates: item ids never and only to be recommended.
        exclude_seen: nothing that the user had, or was shown, as far as this session keeps it. Raises OptionError where
        it keeps neither.  explain: the answers' `interests` say which of a user's vectors found each item.
        diversity, kinds: from 0, the best by their scores, to 1, items of as many kinds as there are (diversity.py).
        """
        if not 0 <= diversity <= 1:
            raise OptionError(f"diversity is a number from 0 to 1; found {diversity}")
        k, users = self.system.check_k(k), ids_of(users, "users")
        keys = [key_of(user) for user in users]
        if exclude_seen and not (self.keep_seen or self.keep_shown):
            raise OptionError("these states hold nothing of what was seen; open them with keep_seen=1000, and replay")
        most = min(CANDIDATES * k, len(self.system.vocabularies["items"])) if diversity else k
        found = self._ranked(keys, users, most, exclude, candidates, exclude_seen, explain or bool(diversity))
        if diversity:
            found = diversified(found, k, diversity, kinds)
        if self.keep_shown:
            self._note_shown(keys, found)
        return found

    def _ranked(
        self, keys: list[bytes], users: Sequence[Id], k: int, exclude: Sequence[Any], candidates: Sequence[Any] | None,
        exclude_seen: bool, explain: bool,
    ) -> list[Recommendations]:  # fmt: skip
        beside = [key_of_seen(key) for key in keys] if exclude_seen else []
        values = self.store.get_many([*keys, *beside])
        states = self._read(values[: len(keys)], users)
        seen = [
            np.concatenate(self._unpacked(value, user)).astype(np.int64)
            for value, user in zip(values[len(keys) :], users if exclude_seen else [], strict=True)
        ]
        vectors, new = self.system.users_after(states), states["events"] == 0
        most = len(exclude) + max(map(len, seen), default=0)
        if self.retrieval is None or candidates is not None or most > MOST_LEFT_OUT:
            found = self._of_all(vectors, new, seen, k, exclude, candidates)
        else:
            found = self._indexed(vectors, new, seen, k, exclude)
        if explain:
            items = np.zeros((len(found), k), np.int64)
            for place, answer in enumerate(found):
                items[place, : len(answer)] = answer.numbers
            interests = self.system.interests_of(vectors, items)
            for row, answer in enumerate(found):
                answer.interests = None if interests is None else interests[row, : len(answer)]
        return found

    def _of_all(
        self, vectors: torch.Tensor, new: np.ndarray, seen: list[np.ndarray], k: int, exclude: Sequence[Any],
        candidates: Sequence[Any] | None,
    ) -> list[Recommendations]:  # fmt: skip
        scores = self.system.scores(vectors)
        if new.any():
            scores[torch.from_numpy(new).to(scores.device)] = self.system.popularity().to(scores)
        for row, items in enumerate(seen):
            scores[row, torch.from_numpy(items).to(scores.device)] = -torch.inf
        return self.system.best(scores, k=k, exclude=exclude, candidates=candidates, by_popularity=new)

    def _indexed(
        self, vectors: torch.Tensor, new: np.ndarray, seen: list[np.ndarray], k: int, exclude: Sequence[Any]
    ) -> list[Recommendations]:
        """The same by the index; by all scores as ever who has no known event, and who would get a shorter list because
        the index looks at too few items."""
        assert self.retrieval is not None
        barred = self.system.item_numbers(exclude)
        numbers, scores = self.retrieval.best(vectors, k, barred=barred, seen=seen)
        found = self.system.named(numbers, scores)
        rows = np.flatnonzero(new | (numbers == 0).any(1))
        if len(rows):
            some, own = vectors[torch.from_numpy(rows).to(vectors.device)], [seen[row] for row in rows] if seen else []
            for row, answer in zip(rows, self._of_all(some, new[rows], own, k, exclude, None), strict=True):
                found[row] = answer
        return found

    def _note_shown(self, keys: list[bytes], found: list[Recommendations]) -> None:
        shown = dict[bytes, list[int]]()
        for key, answer in zip(keys, found, strict=True):
            shown.setdefault(key_of_seen(key), []).extend(answer.numbers.tolist())

        def change(values: list[bytes | None]) -> list[bytes]:
            after = []
            for value, (key, items) in zip(values, shown.items(), strict=True):
                seen = self._unpacked(value, id_of(key_of_state(key)))
                after.append(
                    pack_seen(seen._replace(shown=latest(seen.shown, items, self.keep_shown)), self._fingerprint)
                )
            return after

        self.store.change_many(list(shown), change)

    def states(self, users: Sequence[Id]) -> np.ndarray:
        """The records (N,) of these users, as streaming/records.py lays them out; a blank one for who has none."""
        return self._read(self.store.get_many([key_of(user) for user in users]), users)

    def _read(self, values: list[bytes | None], users: Sequence[Id]) -> np.ndarray:
        if self.system.network is not self._network:
            raise StateError("the system was fitted again since these states were opened; open them anew, and replay")
        states = unpack_many(values, fingerprint=self._fingerprint, size=self._size, users=users)
        wrong = ~np.isfinite(states["state"]).all(1)
        if wrong.any():
            raise StateError(
                f"the state of user {users[int(wrong.argmax())]!r} holds values that are NaN or infinite; "
                "forget this user, and replay the events"
            )
        return states

    # Users.

    def forget(self, *users: Id) -> None:
        keys = [key_of(user) for user in users]
        self.store.delete_many([*keys, *map(key_of_seen, keys)])

    def __contains__(self, user: Id) -> bool:
        return self.store.get_many([key_of(user)])[0] is not None

    def __len__(self) -> int:
        """How many users there are."""
        beside = any(next(iter(self.store.keys(prefix)), None) is not None for prefix in (b"I", b"T"))
        return sum(1 for _ in self) if beside else len(self.store)

    def __iter__(self) -> Iterator[Id]:
        for prefix in (b"i", b"t"):
            yield from map(id_of, self.store.keys(prefix))

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _grouped(keys: Sequence[bytes], items: np.ndarray, times: np.ndarray | None, ids: np.ndarray | None) -> Grouped:
    place: dict[bytes, int] = {}
    of_event = np.array([place.setdefault(key, len(place)) for key in keys])
    order = np.argsort(of_event, kind="stable")  # a user's events stay in their order
    when = np.full(len(items), np.nan) if times is None else times[order]
    own = None if ids is None else ids[order]
    return Grouped(list(place), np.bincount(of_event, minlength=len(place)), order, items[order], when, own)


def _repeated(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(N, L): which events have an id that stands in known (N, 64), or before them in their row."""
    again = (ids[:, :, None] == known[:, None, :]).any(2)
    order = np.argsort(ids, axis=1, kind="stable")
    ordered = np.take_along_axis(ids, order, 1)
    same = np.zeros_like(again)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    np.put_along_axis(again, order, np.take_along_axis(again, order, 1) | same, 1)
    return again & (ids != 0)


def _late(latest_time: np.ndarray, times: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(N, L): which events are older than one before them; what has no time is never late."""
    clock = np.where(real & ~np.isnan(times), times, -np.inf)
    before = np.concatenate([np.nan_to_num(latest_time, nan=-np.inf)[:, None], clock], axis=1)
    before = np.maximum.accumulate(before, axis=1)[:, :-1]
    return real & (times < before)


def _moved_up(
    rows: np.ndarray, times: np.ndarray, ids: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """What counts to the left, in its order; the rest is blank."""
    gone = rows == 0
    if not (gone[:, :-1] & ~gone[:, 1:]).any():
        return rows, np.where(gone, np.nan, times), None if ids is None else np.where(gone, 0, ids)
    order = np.argsort(gone, axis=1, kind="stable")
    rows, times = np.take_along_axis(rows, order, 1), np.take_along_axis(np.where(gone, np.nan, times), order, 1)
    return rows, times, None if ids is None else np.take_along_axis(np.where(gone, 0, ids), order, 1)
