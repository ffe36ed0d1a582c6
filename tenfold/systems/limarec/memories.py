"""Rivals of LimaRec with a small memory that each event changes: like MIMN, like HPMN. Both stream.

Both papers predict clicks, with the item as a query into the memory. Here a user's vectors are the memory's slots, each
through one linear map, and an item is scored by its best slot, so that all items can be ranked.

Shapes: B users, L events, d width, M slots, V items (0 is padding, on the right).
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.dropout import Dropout
from tenfold.nn.periodic import hierarchy, together
from tenfold.systems.limarec.options import HPMNOptions
from tenfold.systems.limarec.rivals import Several, items
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.streams import Recurrent

State = list[Tensor]


class Slots(nn.Module, ABC):
    """Reads the events one by one; a padded one leaves the state as it is, and a state of zeros is none."""

    def __init__(self, count: int, dim: int, slots: int, dropout: float) -> None:
        super().__init__()
        self.item, self.drop, self.slots = items(count, dim), Dropout(dropout), slots
        self.out = nn.Linear(dim, dim)

    def forward(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """events (B, L) -> user vectors (B, L, M d) and the state."""
        read, keep = self.prepared(self.drop(self.item(events))), events != 0
        state = self.blank(read) if state is None else state
        whole, memories = bool(keep.all()), list[Tensor]()
        for place in range(events.shape[1]):
            after = self.step(read[:, place], state)
            if not whole:
                there = keep[:, place]
                after = [
                    torch.where(there.view(-1, *[1] * (new.dim() - 1)), new, old)
                    for new, old in zip(after, state, strict=True)
                ]
            state = after
            memories.append(self.memory(state))
        return self.out(torch.stack(memories, 1)).flatten(2), state

    def prepared(self, x: Tensor) -> Tensor:
        """What of each event can be reckoned before the recurrence: x (B, L, d) -> (B, L, ...)."""
        return x

    @abstractmethod
    def blank(self, x: Tensor) -> State:
        """The state before the first event, of what was prepared, x (B, L, ...)."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> State:
        """The state after one event, x (B, ...)."""

    @abstractmethod
    def memory(self, state: State) -> Tensor:
        """(B, M, d)."""


class TuringMemory(Slots):
    """MIMN's memory (Pi et al., KDD 2019, arXiv 1905.09248, section 3.3), a neural Turing machine with few slots.

    A GRU reads the event and what was read last. Its head gives a key, a strength, an eraser and an addition; slots are
    addressed by likeness to the key, of what they hold and of a learned key each; w are the weights:
    read = w memory,  memory = memory (1 - w eraser) + w addition.
    Not here: its regulariser of utilisation and its induction unit.
    """

    def __init__(self, count: int, dim: int, slots: int, dropout: float) -> None:
        super().__init__(count, dim, slots, dropout)
        self.start, self.keys = (nn.Parameter(torch.randn(slots, dim) * dim**-0.5) for _ in range(2))
        self.of_event, self.of_read = nn.Linear(dim, 3 * dim), nn.Linear(dim, 3 * dim, bias=False)
        self.of_state = nn.Linear(dim, 3 * dim)
        self.head = nn.Linear(dim, 3 * dim + 1)

    def prepared(self, x: Tensor) -> Tensor:
        return self.of_event(x)

    def blank(self, x: Tensor) -> State:
        return [x.new_zeros(len(x), self.slots, self.keys.shape[1]), *(x.new_zeros(2, len(x), self.keys.shape[1]))]

    def step(self, x: Tensor, state: State) -> State:
        written, h, read = state
        dim, memory = h.shape[1], self.start + written
        reset, update, new = (x + self.of_read(read)).split(dim, 1)
        reset_h, update_h, new_h = self.of_state(h).split(dim, 1)
        h = torch.lerp((new + (reset + reset_h).sigmoid() * new_h).tanh(), h, (update + update_h).sigmoid())
        key, eraser, addition, strength = self.head(h).split((dim, dim, dim, 1), 1)
        key = F.normalize(key.tanh(), dim=1).unsqueeze(-1)
        like = F.normalize(self.keys, dim=1) @ key + F.normalize(memory, dim=2) @ key  # (B, M, 1)
        w = ((F.softplus(strength) + 1).unsqueeze(-1) * like).softmax(1)  # 2 (softplus + 1) times the mean of the two
        after = memory * (1 - w * eraser.sigmoid().unsqueeze(1)) + w * addition.tanh().unsqueeze(1)
        return [after - self.start, h, (w * memory).sum(1)]

    def memory(self, state: State) -> Tensor:
        return self.start + state[0]


class Hierarchy(Slots):
    """HPMN's memory (Ren et al., SIGIR 2019, arXiv 1905.00758, section 3.2): M GRUs one above the other.

    The lowest reads every event; each other reads the one below it, every `period` times that this one has changed.
    """

    def __init__(self, count: int, dim: int, slots: int, dropout: float, *, period: int) -> None:
        super().__init__(count, dim, slots, dropout)
        self.cells = nn.ModuleList(nn.GRUCell(dim, dim) for _ in range(slots))
        self.period = period

    def blank(self, x: Tensor) -> State:
        return [x.new_zeros(len(x), self.slots, x.shape[2]), x.new_zeros(len(x), 1)]

    def step(self, x: Tensor, state: State) -> State:
        """The state's second part is how often the highest level's turn has come nearer: events modulo its period."""
        memory, count = state
        count = (count + 1) % self.period ** (self.slots - 1)
        return [torch.stack(hierarchy(self.cells, x, memory.unbind(1), count, self.period), 1), count]

    def memory(self, state: State) -> Tensor:
        return state[0]


class Remembering(Several, Recurrent):
    def vectors(self, user: Tensor) -> Tensor:
        return user.unflatten(-1, (-1, self.options.dim))


class MIMN(Remembering):
    """Like MIMN, with as many slots as `interests`."""

    def build(self) -> TuringMemory:
        o = self.options
        return TuringMemory(self.sizes["items"], o.dim, o.interests, o.dropout)


class HPMN(Remembering):
    """Like HPMN, with as many levels as `interests`, and its penalty on levels that vary together."""

    options: HPMNOptions  # type: ignore[assignment]
    tiny = HPMNOptions(dim=16, interests=3, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    def build(self) -> Hierarchy:
        o = self.options
        return Hierarchy(self.sizes["items"], o.dim, o.interests, o.dropout, period=o.period)

    def penalty(self, state: State) -> Tensor:
        """On levels that vary together."""
        return self.options.covariance * together(state[0])
