"""Rules that count where others train: what they share, and the three that need a line of scores each.

Every rule falls back on popularity where it has nothing to say, scaled to stay below what it does say.
Shapes: B users, L events, V items (0 is padding).
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.data.splits import Split
from tenfold.tasks.next_item.answers import State
from tenfold.tasks.next_item.baselines.lists import Pairs, Said, first_k, spread, tally
from tenfold.tasks.next_item.baselines.options import NoOptions as Options
from tenfold.tasks.next_item.task import NextItem
from tenfold.training import Stage


class Counts(nn.Module):
    """Tables of counts; they are filled by counting, and saved and loaded as a network's weights are."""

    def __init__(self, **tables: Tensor) -> None:
        super().__init__()
        for name, table in tables.items():
            self.register_buffer(name, table)


class Counted(NextItem):
    """A rule gives `score_histories` and `said` and, where it counts more than items' events, `build` and `count`."""

    options: Options
    tiny: ClassVar[Any] = Options()
    trains = False
    causal = True  # what `users_at` reads ends with the event
    fallback: ClassVar[float] = 1.0  # what `popular` counts beside what the rule says

    @abstractmethod
    def score_histories(self, events: Tensor) -> Tensor:
        """events (B, L), padded with 0 on the right -> (B, V + 1)."""

    def said(self, histories: Sequence[np.ndarray]) -> Said | None:
        """The same, user by user, as the few items that the rule says something of, `pairs` apart; None where a rule
        has only its scores, which are then made for all items."""
        return None

    def item_totals(self, events: Tensor, weight: Tensor) -> Tensor:
        """weight (B, L), summed by the item of its event -> (B, V + 1); padding's column is 0."""
        totals = weight.new_zeros(len(events), self.sizes["items"] + 1).scatter_add_(1, events, weight)
        totals[:, 0] = 0.0
        return totals

    @property
    def reach(self) -> int | None:
        """How many events back the rule looks; None for all."""
        return None

    def count(self, prepared: Split) -> None:
        """Fill the network's tables from the training part, beyond `popular`, which is there."""

    def build(self) -> nn.Module:
        return Counts(popular=torch.zeros(self.sizes["items"] + 1))

    @property
    def context(self) -> int | None:
        return None

    @property
    def popular(self) -> Tensor:
        """(V + 1,), each below 1: how popular an item is, for where the rule itself says nothing."""
        return self.network.popular

    def stages(self, prepared: Split) -> Iterator[Stage]:
        counts = self.statistics["item_counts"].float()
        self.network.popular.copy_(counts / (counts.max() + 1))
        self.count(prepared)
        yield from ()

    def encode(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The user vector of a rule is the history up to the event, (B, L, L), later events as padding."""
        history = events if state is None else torch.cat([state, events], dim=1)
        length, new = history.shape[1], events.shape[1]
        until = torch.arange(length - new, length, device=events.device)[:, None]
        return history[:, None, :] * (torch.arange(length, device=events.device) <= until), history

    def users_at(self, rows: Tensor, row: Tensor, column: Tensor, times: Tensor | None = None) -> Tensor:
        """The latest events that the rule looks at, padded with 0 on the right: (N, min(L, reach))."""
        width = rows.shape[1] if self.reach is None else min(rows.shape[1], self.reach)
        first = (column + 1 - width).clamp(min=0)[:, None]
        at = first + torch.arange(width, device=rows.device)
        return rows[row[:, None], at.clamp(max=rows.shape[1] - 1)] * (at <= column[:, None])

    def scores(self, user: Tensor) -> Tensor:
        return self.score_histories(user)

    def scores_at(
        self, rows: Tensor, row: Tensor, column: Tensor, at_once: int, times: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Histories are made for a part of the queries at a time: those of one long history would fill the memory."""
        if type(self).said is Counted.said:
            yield from super().scores_at(rows, row, column, at_once, times)
            return
        popular = self.fallback * self.popular
        out, table = torch.empty(min(at_once, len(row)), len(popular)), self.pairs()
        for some, at in zip(row.split(at_once), column.split(at_once), strict=True):
            users = self.users_at(rows, some, at).cpu().numpy()
            found, said = out[: len(users)], cast(Said, self.said([user[user > 0] for user in users]))
            spread(tuple(said), tuple(table), popular.cpu().numpy(), found.numpy())
            yield found.to(rows.device)

    def top_k(
        self,
        histories: Sequence[np.ndarray],
        *,
        k: int,
        exclude: np.ndarray | None = None,
        candidates: np.ndarray | None = None,
        exclude_seen: bool = False,
        times: Sequence[np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `NextItem.top_k`, without a score for each item of the catalogue."""
        if type(self).said is Counted.said:
            return super().top_k(
                histories, k=k, exclude=exclude, candidates=candidates, exclude_seen=exclude_seen, times=times
            )
        self.check_k(k)
        popular = (self.fallback * self.popular).cpu().numpy()
        order = np.argsort(-popular[1:], kind="stable") + 1
        barred = np.full(len(popular), candidates is not None)
        barred[[] if candidates is None else candidates] = False
        barred[[0] if exclude is None else [0, *exclude]] = True
        lengths = np.array([len(h) for h in histories], dtype=np.int64)
        seen = [h.astype(np.int64) for h in histories] if exclude_seen else [np.zeros(0, np.int64)]
        seen_offsets = ends(lengths if exclude_seen else np.zeros_like(lengths))
        said, whole = cast(Said, self.said(histories)), np.concatenate(seen) if seen else np.zeros(0, np.int64)
        items, scores = first_k(tuple(said), tuple(self.pairs()), popular, order, barred, whole, seen_offsets, k)
        if (nobody := lengths == 0).any():  # their scores are popularity's own
            counts = np.append(self.popularity().cpu().numpy(), 0.0)[items[nobody]]
            scores[nobody] = np.where(np.isfinite(scores[nobody]), counts, -np.inf)
        return items, scores

    def pairs(self) -> Pairs:
        """What an item of a history says of others; without rows, of itself."""
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


class Tallied(Counted):
    """A rule by a total of each item over the whole history."""

    latest: ClassVar[bool]  # the place of an item's last event, counted from 1; else how many it has

    def scores_at(
        self, rows: Tensor, row: Tensor, column: Tensor, at_once: int, times: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Totals run along a history, so that a hundred thousand events of one user cost no square of it."""
        where = rows.cpu().numpy(), row.cpu().numpy(), column.cpu().numpy()
        popular = self.popular.cpu().numpy()
        total, place, out = np.zeros_like(popular), np.full(2, -1), torch.empty(min(at_once, len(row)), len(popular))
        for some, at in zip(*(np.split(x, range(at_once, len(x), at_once)) for x in where[1:]), strict=True):
            found = out[: len(some)]
            tally(where[0], some, at, self.latest, total, place, popular, found.numpy())
            yield found.to(rows.device)

    def score_histories(self, events: Tensor) -> Tensor:
        count = (events != 0).sum(1)
        row = torch.arange(len(events), device=events.device)
        return next(self.scores_at(events, row, (count - 1).clamp(min=0), max(len(events), 1)))


class Popularity(Counted):
    """The items with the most training events, for everybody."""

    @property
    def reach(self) -> int:
        return 1

    def score_histories(self, events: Tensor) -> Tensor:
        return self.popular.expand(len(events), -1).clone()

    def said(self, histories: Sequence[np.ndarray]) -> Said:
        return Said(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(len(histories) + 1, np.int64))


class RepeatLast(Tallied):
    """The items of the history, the latest first."""

    latest = True

    def said(self, histories: Sequence[np.ndarray]) -> Said:
        items, offsets = whole(histories)
        places = np.arange(len(items)) - np.repeat(offsets[:-1], np.diff(offsets)) + 1
        return Said(items, places.astype(np.float32), offsets, most=True)


class PersonalFrequency(Tallied):
    """The items that the user had most often."""

    latest = False

    def said(self, histories: Sequence[np.ndarray]) -> Said:
        items, offsets = whole(histories)
        return Said(items, np.ones(len(items), np.float32), offsets)


def whole(histories: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All events, end to end, and the offsets of the users."""
    items = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
    return items, ends(np.array([len(h) for h in histories], dtype=np.int64))


def ends(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
