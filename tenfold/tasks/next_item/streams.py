"""Methods whose network carries a state of one size: a record holds its numbers end to end, and the user vector that
the last event left. LimaRec and LISA, whose states say more, have their own.

Shapes: N users, L events, S numbers of a record, d width of a user vector.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.tasks.next_item.answers import State
from tenfold.tasks.next_item.counts import ItemCounts
from tenfold.tasks.next_item.task import NextItem


class Recurrent(NextItem):
    """The network is called as `user, state = network(events, state)`; a state is tensors in tuples and lists, each
    with one row for each user (or None in a tensor's place), and all zeros is the same as none.

    A network with `counts` and `keys` (counts.py) has counters behind its user vectors and as the last part of its
    state; candidates are then scored by their own count too."""

    streams: bool = True  # False where these options make a state that grows

    @property
    def context(self) -> int | None:
        """All events, however old: a stream has no window."""
        return None if self.streams else super().context

    @property
    def state_size(self) -> int:  # type: ignore[override]
        if not self.streams:
            return 0
        user, state = self._like
        return self._width(user) + sum(leaf[0].numel() for leaf in leaves(state))

    @property
    def counts(self) -> ItemCounts | None:
        return getattr(self.network, "counts", None)

    def _width(self, user: Tensor) -> int:
        """Numbers of a user vector that stand in a record by themselves: its counters are in the state."""
        return user.shape[-1] - (0 if self.counts is None else self.counts.rows * self.counts.width)

    def scores(self, user: Tensor) -> Tensor:
        if self.counts is None:
            return super().scores(user)
        return self.counts.scores(user, self.item_table(), self.network.keys)

    @property
    def by_products(self) -> bool:
        return type(self).scores is Recurrent.scores

    def beside_products(self, user: Tensor) -> Tensor | None:
        return None if self.counts is None else self.counts.readout(user, self.network.keys)

    def vectors_of(self, user: Tensor) -> Tensor:
        return super().vectors_of(user if self.counts is None else user[..., : self.counts.dim])

    @property
    def _like(self) -> tuple[Tensor, State]:
        """A user vector and a state of one user, for their shapes."""
        network, training = self.network, self.network.training
        with torch.no_grad():
            found = network.eval()(torch.ones(1, 1, dtype=torch.long, device=self.device))
        network.train(training)
        return found

    @torch.no_grad()
    def advance(self, states: np.ndarray, rows: np.ndarray, times: np.ndarray | None = None) -> None:
        numbers = torch.from_numpy(states["state"].copy()).to(self.device)
        like, shaped = self._like
        width = self._width(like)
        events = torch.from_numpy(rows).to(self.device)
        user, state = self.network(events, filled(shaped, numbers[:, width:]))
        count = (events != 0).sum(1)  # padding is on the right
        last = user[torch.arange(len(user), device=self.device), (count - 1).clamp(min=0), :width]
        last = torch.where(count.unsqueeze(1) > 0, last, numbers[:, :width])
        parts = (leaf.reshape(len(leaf), -1).to(last.dtype) for leaf in leaves(state))
        found = torch.cat([last, *parts], dim=1)
        states["state"] = found.float().cpu().numpy()

    def users_after(self, states: np.ndarray) -> Tensor:
        user, kept = self._like[0], states["state"]
        width = self._width(user)
        counters = user.shape[-1] - width  # which are the last of what is kept
        found = np.concatenate([kept[:, :width], kept[:, kept.shape[1] - counters :]], axis=1)
        return torch.from_numpy(found).to(self.device)


def leaves(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for part in state:
            yield from leaves(part)


def filled(like: State, numbers: Tensor) -> State:
    """A state shaped as `like`, but with N users, from their numbers (N, S), in the order of `leaves`."""
    place = 0

    def take(part: State) -> Any:
        nonlocal place
        if part is None:
            return None
        if not isinstance(part, Tensor):
            return getattr(part, "_make", type(part))(map(take, part))
        size = part[0].numel()
        found = numbers[:, place : place + size].reshape(len(numbers), *part.shape[1:]).to(part.dtype)
        place += size
        return found

    return take(like)
