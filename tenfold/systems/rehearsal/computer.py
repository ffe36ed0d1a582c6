"""A compact differentiable neural computer (Graves et al., Nature 2016) as a rival whose memory has K d numbers.

Everything that it carries from item to item lies in these numbers: a controller's state in the first vector; in each
other one a location: its word, its usage, how much it was written last and how much each head read of it, and with
temporal links its precedence and the links to all locations. So a word has less than d numbers.

Shapes: B streams, N items of a segment, n = K - 1 locations, W numbers of a word, R read heads, d width.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.nn.slot_memory import SegmentEncoder
from tenfold.systems.rehearsal.options import ComputerOptions, Training
from tenfold.systems.rehearsal.rivals import Machine, PlainReader

EQUAL = 1024  # usages that are alike when so many parts of 1 are counted are equal: the first location is taken


class Locations(NamedTuple):
    """What the locations hold (Methods, table 1)."""

    words: Tensor  # (B, n, W)
    usage: Tensor  # (B, n)
    wrote: Tensor  # (B, n) the last write weights
    read: Tensor  # (B, n, R) the last read weights
    precedence: Tensor | None = None  # (B, n)
    links: Tensor | None = None  # (B, n, n): [i, j], how much i was written right after j


def by_content(words: Tensor, keys: Tensor, strength: Tensor) -> Tensor:
    """softmax over locations of strength x cosine: words (B, n, W), keys (B, R, W), strength (B, R) -> (B, n, R)."""
    like = F.normalize(words, dim=-1, eps=1e-4) @ F.normalize(keys, dim=-1, eps=1e-4).mT
    return (like * strength.unsqueeze(1)).softmax(1)


def usage_after(usage: Tensor, wrote: Tensor, read: Tensor, free: Tensor) -> Tensor:
    """(u + w - u w) prod_r (1 - f_r w_r): what was written is in use, what was read and is set free no longer.
    usage, wrote (B, n), read (B, n, R), free (B, R) -> (B, n)."""
    return (usage + wrote - usage * wrote) * (1 - free.unsqueeze(1) * read).prod(-1)


def allocation(usage: Tensor) -> Tensor:
    """a[phi_j] = (1 - u[phi_j]) prod_(i < j) u[phi_i], phi the locations by their usage (B, n), the least used first.

    Which of two that are hardly used at all comes first must not hang on rounding: see EQUAL."""
    order = (usage * EQUAL).round().argsort(dim=1, stable=True)
    sorted_usage = usage.gather(1, order)
    before = F.pad(sorted_usage, (1, -1), value=1.0).cumprod(1)
    return torch.zeros_like(usage).scatter(1, order, (1 - sorted_usage) * before)


def linked(links: Tensor, precedence: Tensor, wrote: Tensor) -> tuple[Tensor, Tensor]:
    """Links L[i, j] = (1 - w_i - w_j) L[i, j] + w_i p_j, none to itself, and precedence p = (1 - sum w) p + w."""
    column, row = wrote.unsqueeze(2), wrote.unsqueeze(1)
    after = (1 - column - row) * links + column * precedence.unsqueeze(1)
    after = after * (1 - torch.eye(wrote.shape[1], device=wrote.device))
    return after, (1 - wrote.sum(1, keepdim=True)) * precedence + wrote


class Computer(Machine):
    """Items are encoded by segments, as for the other rivals, and then written one by one."""

    def __init__(self, options: ComputerOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        self.locations, self.reads, self.links = o.slots - 1, o.reads, o.links
        self.word = o.dim - 2 - o.reads - (o.slots if o.links else 0)
        if self.locations < 1 or self.word < 1:
            raise OptionError(
                f"a computer of {o.slots} slots of {o.dim} numbers has no room: it needs 2 slots, and a word beside "
                f"{o.dim - self.word} numbers of a location; found {self.word} for it"
            )
        self.encoder = SegmentEncoder(o.dim, o.layers, o.heads, o.segment, o.dropout, beside=beside)
        modes = 3 if o.links else 0
        # Of the controller: what an item, and what was read and remembered, say for its gates and for the interface.
        self.sizes = [self.word, 1, self.word, self.word, 1, 1, o.reads * self.word, o.reads, o.reads, o.reads * modes]
        self.of_item = nn.Linear(o.dim, 3 * o.dim + sum(self.sizes))
        self.of_read = nn.Linear(o.reads * self.word, 3 * o.dim, bias=False)
        self.of_state = nn.Linear(o.dim, 3 * o.dim)
        self.interface = nn.Linear(o.dim, sum(self.sizes), bias=False)

    def unpacked(self, memory: Tensor) -> tuple[Tensor, Locations]:
        """memory (B, K, d) -> the controller's state (B, d) and the locations."""
        parts = [self.word, 1, 1, self.reads, *([1, self.locations] if self.links else [])]
        words, usage, wrote, read, *more = memory[:, 1:].split(parts, -1)
        linked_by = (more[0].squeeze(-1), more[1]) if self.links else ()
        return memory[:, 0], Locations(words, usage.squeeze(-1), wrote.squeeze(-1), read, *linked_by)

    def packed(self, state: Tensor, at: Locations) -> Tensor:
        """The other way."""
        more = [] if at.precedence is None or at.links is None else [at.precedence.unsqueeze(-1), at.links]
        rows = torch.cat([at.words, at.usage.unsqueeze(-1), at.wrote.unsqueeze(-1), at.read, *more], -1)
        return torch.cat([state.unsqueeze(1), rows], 1)

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        told = self.of_item(self.encoder(x.unsqueeze(1), keep.unsqueeze(1))[:, 0]).unbind(1)
        state, at = self.unpacked(memory)
        whole = keep.device.type == "cpu" and bool(keep.all())  # a graphics card would have to be waited for
        for item, real in zip(told, keep.unbind(1), strict=True):
            after = self.step(item, state, at)
            if not whole:
                after = (_where(real, after[0], state), Locations(*map(_where, [real] * len(at), after[1], at)))
            state, at = after
        return self.packed(state, at)

    def step(self, item: Tensor, state: Tensor, at: Locations) -> tuple[Tensor, Locations]:
        """One item (B, 3 d + interface), as `of_item` has it."""
        dim = state.shape[1]
        was_read = (at.words.mT @ at.read).flatten(1)  # (B, W R)
        gates, own = item.split([3 * dim, item.shape[1] - 3 * dim], 1)
        reset, update, new = (gates + self.of_read(was_read)).split(dim, 1)
        reset_h, update_h, new_h = self.of_state(state).split(dim, 1)
        state = torch.lerp((new + (reset + reset_h).sigmoid() * new_h).tanh(), state, (update + update_h).sigmoid())
        return state, self.addressed(own + self.interface(state), at)

    def addressed(self, interface: Tensor, at: Locations) -> Locations:
        """What the interface (B, sum of `sizes`) does to the locations: it writes, then it reads."""
        key, strength, erase, word, allocate, write, keys, strengths, free, modes = interface.split(self.sizes, 1)
        usage = usage_after(at.usage, at.wrote, at.read, free.sigmoid())
        content = by_content(at.words, key.unsqueeze(1), 1 + F.softplus(strength)).squeeze(-1)
        w = write.sigmoid() * torch.lerp(content, allocation(usage), allocate.sigmoid())
        words = at.words * (1 - w.unsqueeze(-1) * erase.sigmoid().unsqueeze(1)) + w.unsqueeze(-1) * word.unsqueeze(1)
        read = by_content(words, keys.unflatten(1, (self.reads, -1)), 1 + F.softplus(strengths))
        if at.links is None or at.precedence is None:
            return Locations(words, usage, w, read)
        links, precedence = linked(at.links, at.precedence, w)
        mode = modes.unflatten(1, (3, self.reads)).softmax(1).unsqueeze(2)  # (B, 3, 1, R)
        read = mode[:, 0] * (links.mT @ at.read) + mode[:, 1] * read + mode[:, 2] * (links @ at.read)
        return Locations(words, usage, w, read, precedence, links)


def _where(real: Tensor, new: Any, old: Any) -> Any:
    return None if new is None else torch.where(real.view(-1, *[1] * (new.dim() - 1)), new, old)


class NeuralComputer(PlainReader):
    options: ComputerOptions
    machine = Computer
    tiny = ComputerOptions(dim=16, hops=1, dropout=0.1, slots=4, segment=4, layers=1, heads=2,
                           training=Training(batch_size=8, lr=0.01))  # fmt: skip


__all__ = ["NeuralComputer"]
