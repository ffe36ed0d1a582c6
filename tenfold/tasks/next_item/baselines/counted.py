"""Rules that count where others train: what they share, and the three that need a line of scores each.

Every rule falls back on popularity where it has nothing to say, scaled to stay below what it does say.
Shapes: B users, L events, V items (0 is padding).
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tenfold.data.splits import Split
from tenfold.tasks.next_item.baselines.options import NoOptions as Options
from tenfold.tasks.next_item.task import NextItem, State
from tenfold.training import Stage


class Counts(nn.Module):
    """Tables of counts; they are filled by counting, and saved and loaded as a network's weights are."""

    def __init__(self, **tables: Tensor) -> None:
        super().__init__()
        for name, table in tables.items():
            self.register_buffer(name, table)


class Counted(NextItem):
    """A rule gives `score_histories` and, where it counts more than each item's events, `build` and `count`."""

    options: Options
    tiny: ClassVar[Any] = Options()
    trains = False
    causal = False

    @abstractmethod
    def score_histories(self, events: Tensor) -> Tensor:
        """events (B, L), padded with 0 on the right -> (B, V + 1)."""

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
        return rows[row] * (torch.arange(rows.shape[1], device=rows.device) <= column[:, None])

    def scores(self, user: Tensor) -> Tensor:
        return self.score_histories(user)

    def item_totals(self, events: Tensor, weight: Tensor) -> Tensor:
        """weight (B, L), summed by the item of its event -> (B, V + 1); padding's column is 0."""
        totals = weight.new_zeros(len(events), self.sizes["items"] + 1).scatter_add_(1, events, weight)
        totals[:, 0] = 0.0
        return totals


class Popularity(Counted):
    """The items with the most training events, for everybody."""

    def score_histories(self, events: Tensor) -> Tensor:
        return self.popular.expand(len(events), -1).clone()


class RepeatLast(Counted):
    """The items of the history, the latest first."""

    def score_histories(self, events: Tensor) -> Tensor:
        place = torch.arange(1, events.shape[1] + 1, dtype=self.popular.dtype, device=events.device)
        latest = place.new_zeros(len(events), len(self.popular))
        latest.scatter_reduce_(1, events, place.expand(events.shape), "amax")
        return latest + self.popular


class PersonalFrequency(Counted):
    """The items that the user had most often."""

    def score_histories(self, events: Tensor) -> Tensor:
        return self.item_totals(events, torch.ones_like(events, dtype=self.popular.dtype)) + self.popular
