"""What comes next, from the memory machine: a user's state has one size, and is kept by any store of `streaming/`.

Events are read in segments. Those of the segment that is not full yet are attended to as they are, with the memory of
all segments before it; a full segment is written into the memory, as in `nn/slot_memory.py`.

Shapes: B users, L events, N events of a segment, T segments, K slots, d width, F fragments of Nf events.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.data.splits import Split
from tenfold.nn.attention import SoftmaxAttention
from tenfold.nn.cross_attention import CrossAttention
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Transformer, feed_forward
from tenfold.systems.rehearsal.model import Rehearser
from tenfold.systems.rehearsal.options import MemoryOptions, NextOptions, RehearsalOptions
from tenfold.systems.rehearsal.samples import uniforms
from tenfold.systems.rehearsal.system import slot_memory
from tenfold.tasks.next_item.counts import item_counts
from tenfold.tasks.next_item.events import NextItemBatch, NextItemSamples
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.streams import Recurrent
from tenfold.training import Draw, Losses, Stage

# M - M_0 (B, K, d), the numbers of pending events (B, N - 1) as floats, 0 for none, and counters (B, R, W) if there are
State = tuple[Tensor, ...]


class MemoryRecommender(nn.Module):
    keys: Tensor

    def __init__(self, items: int, options: NextOptions) -> None:
        super().__init__()
        o = options
        self.item, self.drop = nn.Embedding(items + 1, o.dim, padding_idx=0), Dropout(o.dropout)
        nn.init.normal_(self.item.weight, std=o.dim**-0.5)
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.machine = slot_memory(o.dim, o.memory, o.dropout)
        if self.machine.age is not None:  # the decoder finds slots by their keys alone
            self.machine.recent.requires_grad_(False)
        self.places = nn.Parameter(0.5 * torch.randn(o.memory.segment, o.dim))
        self.decoder = Transformer(
            o.dim, o.memory.layers, attention=lambda: SoftmaxAttention(o.dim, o.memory.heads, o.dropout),
            feed_forward=lambda: feed_forward("dense", o.dim, 2 * o.dim, o.dropout, "gelu"),
            cross=lambda: CrossAttention(o.dim, o.memory.heads, o.dropout), norm="pre", dropout=o.dropout,
        )  # fmt: skip
        self.out = nn.Linear(o.dim, o.dim)
        self.counts, keys = item_counts(o.dim, items, o.counts)
        self.register_buffer("keys", keys, persistent=False)

    def embedded(self, numbers: Tensor) -> Tensor:
        """(...) -> (..., d), of about normal numbers, as the machine expects; the table itself is for scores."""
        return self.item(numbers) * self.item.weight.shape[1] ** 0.5

    def forward(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """events (B, L), padded with 0 on the right -> user vectors (B, L, d), with R W counters behind each where a
        candidate is counted too, and the state after them."""
        size, rows = self.machine.segment, torch.arange(len(events), device=events.device).unsqueeze(1)
        memory, joined, waiting = self.joined(events, state)
        total = (joined != 0).sum(1)
        x = self.drop(self.embedded(joined)).unflatten(1, (-1, size))  # (B, T, N, d)
        full = torch.arange(1, x.shape[1] + 1, device=x.device) * size <= total.unsqueeze(1)
        states = self.machine.scan(x, full.unsqueeze(-1).expand(-1, -1, size), memory)
        # What is written comes from whole segments; what is answered sees a segment's events up to its own only.
        before = self.decoder.remember(self.machine.slot_keys(states[:, :-1]).flatten(0, 1))
        y, _ = self.decoder((x + self.places).flatten(0, 1), None, None, before)
        user = self.out(y).view(len(events), -1, y.shape[-1])
        own = waiting.unsqueeze(1) + torch.arange(events.shape[1], device=events.device)
        done = total // size
        left = (done * size).unsqueeze(1) + torch.arange(size - 1, device=events.device)
        pending = F.pad(joined, (0, size))[rows, left].float()
        user, memory = user[rows, own], states[rows[:, 0], done] - self.machine.start(len(events))
        if self.counts is None:
            return user, (memory, pending)
        every = self.counts.running(self.keys[events], events != 0, None if state is None else state[2], user)
        return torch.cat((user, every.flatten(2)), -1), (memory, pending, every[:, -1])

    def joined(self, events: Tensor, state: State | None) -> tuple[Tensor, Tensor, Tensor]:
        """The memory before, events after those that were pending, (B, T N), and how many these are, (B,)."""
        size, memory = self.machine.segment, self.machine.start(len(events))
        waiting = events.new_zeros(len(events))
        if state is not None:
            pending = state[1].round().long()
            memory, waiting = memory + state[0], (pending != 0).sum(1)
            place = torch.arange(events.shape[1] + size - 1, device=events.device).unsqueeze(0)
            new = place - waiting.unsqueeze(1)
            old = F.pad(pending, (0, events.shape[1]))
            rows = torch.arange(len(events), device=events.device).unsqueeze(1)
            come = F.pad(events, (0, size))[rows, new.clamp(min=0)]
            events = torch.where(new < 0, old, come)
        return memory, F.pad(events, (0, -events.shape[1] % size)), waiting


class Rehearsed(NamedTuple):
    """A batch, and which of its events are restored from the memory."""

    windows: NextItemBatch
    place: Tensor  # (B, F, Nf) in the window
    real: Tensor  # (B, F, Nf) bool
    masked: Tensor  # (B, F, Nf) bool


class RehearsedWindows:
    """Training windows with fragments that are drawn uniformly, a function of (seed, epoch, window)."""

    def __init__(self, windows: NextItemSamples, fragments: int, length: int, masked: float) -> None:
        self.windows, self.fragments, self.length, self.masked = windows, fragments, length, masked

    def __len__(self) -> int:
        return len(self.windows)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        return self.windows.lengths(seed, epoch)

    def batch(self, draw: Draw) -> Rehearsed:
        windows = self.windows.batch(draw)
        count = (windows.events != 0).sum(1).numpy()[:, None]  # (B, 1)
        begin = np.floor(uniforms(draw, 7, self.fragments) * (np.maximum(count - self.length, 0) + 1)).astype(np.int64)
        place = begin[..., None] + np.arange(self.length)
        real = place < count[..., None]
        order = uniforms(draw, 8, self.fragments, self.length) + 2.0 * ~real
        rank = np.argsort(np.argsort(order, -1), -1)
        masked = real & (rank < np.maximum(np.round(self.masked * real.sum(-1, keepdims=True)), 1))
        return Rehearsed(windows, *map(torch.from_numpy, (np.where(real, place, 0), real, masked)))


class RehearsalNext(Recurrent):
    """Next items by Rehearsal Memory. A record holds K d + N - 1 + d numbers, whatever the user did, and the counters
    of `counts`."""

    options: NextOptions
    tiny = NextOptions(dim=16, dropout=0.1, memory=MemoryOptions(slots=4, segment=4, layers=1, heads=2), fragments=2,
                       length=4, training=Training(length=20, batch_size=8, lr=0.01))  # fmt: skip

    def build(self) -> MemoryRecommender:
        o = self.options
        network = MemoryRecommender(self.sizes["items"], o)
        if o.recollection > 0:
            own = RehearsalOptions(fragments=o.fragments, length=o.length, masked=o.masked)
            network.rehearser = Rehearser(o.dim, o.memory.heads, o.dropout, own, familiar=False)
        return network

    def stages(self, prepared: Split) -> Iterator[Stage]:
        o = self.options
        for stage in super().stages(prepared):
            # The decoder's gradients are small: with Adam's own eps their rounding would become steps.
            stage.optimizer = partial(stage.optimizer, eps=1e-6)  # type: ignore[call-arg]
            if o.recollection > 0:
                assert isinstance(stage.data, NextItemSamples)
                stage.data = RehearsedWindows(stage.data, o.fragments, o.length, o.masked)
            yield stage

    def events_of(self, batch: NextItemBatch | Rehearsed) -> int:
        return super().events_of(_windows(batch))

    def loss(self, batch: NextItemBatch | Rehearsed) -> Losses:  # type: ignore[override]
        windows = _windows(batch)
        user, (memory, *_) = self.encode(windows.events)
        if self.counts is None:
            found = {"next": next_item_loss(self.options.loss, user, self.item_table(), windows)}
        else:
            given = user, self.item_table(), self.network.keys, windows
            found = {"next": self.counts.loss(self.options.loss, *given, items=self.sizes["items"])}
        if isinstance(batch, Rehearsed):
            total, count = self.recollection(batch, memory)
            found["recollection"] = (self.options.recollection * total, count)
        return found

    def recollection(self, batch: Rehearsed, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of -log of the masked events' shares among all items, told from the memory (B, K, d) after the whole
        segments of a window, and how many were masked. What lies in the window's last segment is not asked for."""
        network = self.network
        numbers = batch.windows.events
        written = (numbers != 0).sum(1) // network.machine.segment * network.machine.segment
        masked = batch.masked & (batch.place < written[:, None, None])
        rows = torch.arange(len(numbers), device=numbers.device).view(-1, 1, 1)
        own = numbers[rows, batch.place]
        x = torch.where(masked.unsqueeze(-1), network.rehearser.mask, network.embedded(own))
        keys = network.machine.slot_keys(network.machine.start(len(numbers)) + memory)
        u = network.rehearser.restore(network.rehearser.decode(x, batch.real, keys)[:, :, 1:][masked])
        scores = (u @ network.item.weight.T).float()[:, 1:]
        return F.cross_entropy(scores, own[masked] - 1, reduction="sum"), masked.sum()


def _windows(batch: NextItemBatch | Rehearsed) -> NextItemBatch:
    return batch.windows if isinstance(batch, Rehearsed) else batch
