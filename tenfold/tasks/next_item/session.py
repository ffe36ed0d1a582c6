"""A system open over a store of states: users are updated event by event, and answered at a cost that never grows.

    session = system.open("runs/states")
    session.update("u7", "i42", time=1_700_000_000)
    session.recommend("u7", k=10)

The store holds one record a user (streaming/records.py), written before `update` returns. Events count in the order in
which they arrive. Several processes may share a store of LMDB.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from tenfold.data.events import seconds
from tenfold.data.packing import alike
from tenfold.errors import DataError, StateError
from tenfold.streaming import Store, id_of, key_of, open_store, pack_many, unpack_many
from tenfold.streaming.ids import Id

if TYPE_CHECKING:
    from tenfold.tasks.next_item.task import NextItem, OnUnseen, Recommendations

CELLS = 1 << 22  # users x events handed over at a time


class Session:
    """Raises DataError for an id that can be none, StateError for a state of another model, OutputError."""

    def __init__(self, system: "NextItem", where: str | Path | Store | None = None) -> None:
        self.system, self.store = system, open_store(where)
        self._network, self._fingerprint, self._size = system.network, system.fingerprint(), system.state_size

    def update(self, user: Id, item: Any, time: float | None = None, *, on_unseen: "OnUnseen" = "skip") -> bool:
        """One event; False where the item is unknown, which changes nothing unless on_unseen refuses it."""
        return self.update_many([user], [item], None if time is None else [time], on_unseen=on_unseen) == 1

    def update_many(
        self,
        users: Sequence[Id],
        items: Sequence[Any],
        times: Sequence[float] | None = None,
        *,
        on_unseen: "OnUnseen" = "skip",
    ) -> int:
        """Events of any users, in the order in which they happened, as one transaction; how many items were known."""
        if len(users) != len(items) or (times is not None and len(times) != len(items)):
            raise DataError(
                f"an event is a user, an item and, if there are times, a time; found {len(users)} users, "
                f"{len(items)} items{'' if times is None else f' and {len(times)} times'}"
            )
        clock = None if times is None else seconds(times)
        numbers = self.system.item_numbers(items, on_unseen).astype(np.int64)
        known = np.flatnonzero(numbers)
        if not len(known):
            return 0
        place: dict[bytes, int] = {}  # of each user among those that change
        of_event = np.array([place.setdefault(key_of(users[int(e)]), len(place)) for e in known])
        keys = list(place)
        order = np.argsort(of_event, kind="stable")  # a user's events stay in their order
        counts = np.bincount(of_event, minlength=len(keys))
        events, ends = numbers[known][order], np.cumsum(counts)
        when = np.full(len(known), np.nan) if clock is None else clock[known][order]
        last = known[order[ends - 1]]  # each user's last event

        def change(values: list[bytes | None]) -> list[bytes]:
            states = self._read(values, [id_of(key) for key in keys])
            for some in alike(counts, CELLS):
                rows = np.zeros((len(some), int(counts[some].max())), dtype=np.int64)
                there = np.arange(rows.shape[1]) < counts[some, None]
                rows[there] = np.concatenate([events[ends[u] - counts[u] : ends[u]] for u in some])
                changed, more = states[some], dict[str, np.ndarray]()
                if self.system.uses_times:
                    more["times"] = np.where(there, 0.0, np.nan)
                    more["times"][there] = np.concatenate([when[ends[u] - counts[u] : ends[u]] for u in some])
                self.system.advance(changed, rows, **more)
                states[some] = changed
            states["events"] += counts
            states["item"] = numbers[last]
            states["time"] = np.nan if clock is None else clock[last]
            return pack_many(states)

        self.store.change_many(keys, change)
        return len(known)

    def recommend(self, user: Id, **how: Any) -> "Recommendations":
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
    ) -> "list[Recommendations]":
        """k: 10 unless given, or all items there are. exclude, candidates: item ids never and only to be recommended.
        What was seen is not kept: exclude it."""
        k = self.system.check_k(k)
        states = self._read(self.store.get_many([key_of(user) for user in users]), users)
        scores = self.system.scores(self.system.users_after(states))
        new = torch.from_numpy(states["events"] == 0)
        if bool(new.any()):
            scores[new.to(scores.device)] = self.system.popularity().to(scores)
        return self.system.best(scores, k=k, exclude=exclude, candidates=candidates, by_popularity=new.numpy())

    def _read(self, values: list[bytes | None], users: Sequence[Id]) -> np.ndarray:
        if self.system.network is not self._network:
            raise StateError("the system was fitted again since these states were opened; open them anew, and replay")
        return unpack_many(values, fingerprint=self._fingerprint, size=self._size, users=users)

    def forget(self, *users: Id) -> None:
        self.store.delete_many([key_of(user) for user in users])

    def __contains__(self, user: Id) -> bool:
        return self.store.get_many([key_of(user)])[0] is not None

    def __len__(self) -> int:
        """How many users there are."""
        return len(self.store)

    def __iter__(self) -> Iterator[Id]:
        return map(id_of, self.store)

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
