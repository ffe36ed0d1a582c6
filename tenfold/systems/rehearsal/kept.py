"""Rivals that keep items themselves: a random sample of them in as many numbers as the memory, or all of them, of which
a question fetches a few segments.

Shapes: B streams, L items, T segments, N items of a segment, K vectors of the memory, d width, Q questions, F segments
that are fetched.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.slot_memory import OLDEST, AgeCode, SegmentEncoder, ages_of, older
from tenfold.systems.rehearsal.model import Found, StreamNetwork
from tenfold.systems.rehearsal.options import PlainOptions
from tenfold.systems.rehearsal.rivals import Machine, PlainReader
from tenfold.systems.rehearsal.samples import Batch


class Reservoir(Machine):
    """K of all items that came, each with the same chance (Vitter 1985, algorithm R), as their segment's encoder left
    them, and how old each is: K (d + 1) numbers."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        self.encoder = SegmentEncoder(o.dim, o.layers, o.heads, o.segment, o.dropout, beside=beside)
        self.age = AgeCode(o.dim)

    def start(self, streams: int) -> Tensor:
        return F.pad(super().start(streams), (0, 1), value=OLDEST)

    def slot_keys(self, memory: Tensor) -> Tensor:
        return super().slot_keys(memory[..., : self.dim]) + self.age(memory[..., self.dim])

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        f = self.encoder(x.unsqueeze(1), keep.unsqueeze(1))[:, 0]
        first = torch.as_tensor(number, device=x.device).view(-1, 1) * self.segment
        slot = reservoir_slots(first + torch.arange(x.shape[1], device=x.device), self.slots)  # (B or 1, N)
        slot = torch.where(keep, slot, self.slots)
        taken = slot.unsqueeze(1) == torch.arange(self.slots, device=x.device).view(1, -1, 1)  # (B, K, N)
        last = (taken * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(-1)  # of those for one slot; 0: none
        place = (last - 1).clamp(min=0)
        came = torch.cat([f, ages_of(keep).unsqueeze(-1)], -1)
        new = came.gather(1, place.unsqueeze(-1).expand(-1, -1, came.shape[-1]))
        old = older(memory[..., self.dim], keep.sum(-1, keepdim=True)).unsqueeze(-1)
        return torch.where(last.unsqueeze(-1) > 0, new, torch.cat([memory[..., : self.dim], old], -1))


def reservoir_slots(place: Tensor, slots: int) -> Tensor:
    """Which slot the item number `place` (from 0) takes, `slots` or more for none: the first ones fill the slots, and
    item n goes to a random one of n + 1. The draw is a hash of n, so that any chunking gives the same sample."""
    x = place + 1
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    share = ((x >> 16) ^ x).double() / 2**32
    return torch.where(place < slots, place, (share * (place + 1)).long())


class ReservoirItems(PlainReader):
    options: PlainOptions
    machine = Reservoir


class SearchedStream(StreamNetwork):
    """Keeps all segments. A question fetches those whose mean is most like it, as many as hold about K items, two at
    least, and reads their items, told how old each is."""

    def __init__(self, options: PlainOptions, *, beside: bool, **sizes: Any) -> None:
        super().__init__(nn.Identity(), **sizes)  # there is no memory beside the segments
        o = options
        self.segment, self.fetched = o.segment, max(2, o.slots // o.segment)  # one would have no share to learn
        self.encoder = SegmentEncoder(o.dim, o.layers, o.heads, o.segment, o.dropout, beside=beside)
        self.norm, self.age = nn.LayerNorm(o.dim, bias=False), AgeCode(o.dim)
        self.like = nn.Linear(o.dim, o.dim, bias=False)

    def forward(self, batch: Batch) -> Found:
        x, size = self.items(batch.words), self.segment
        x = F.pad(x, (0, 0, 0, -x.shape[1] % size))
        there = torch.arange(x.shape[1], device=x.device) < batch.length.unsqueeze(1)
        whole = self.encoder(x.unflatten(1, (-1, size)), there.unflatten(1, (-1, size)))  # (B, T, N, d)
        done = batch.time // size  # (Q,) segments that are full when the question comes
        latest = (done * size).unsqueeze(1) + torch.arange(size, device=x.device)
        keep = latest < batch.time.unsqueeze(1)
        own = x[batch.stream.unsqueeze(1), latest.clamp(max=x.shape[1] - 1)]
        some = keep | (torch.arange(size, device=x.device) == 0)  # of nothing there is no attention; not fetched below
        part = self.encoder(own.unsqueeze(1), some.unsqueeze(1))[:, 0]  # (Q, N, d)
        q = self.question(batch.asked)
        scores, which = self._most_alike(q, whole, part, batch.stream, done, keep)
        fetched = torch.where(
            (which == whole.shape[1]).view(*which.shape, 1, 1), part.unsqueeze(1),
            whole[batch.stream.unsqueeze(1), which.clamp(max=whole.shape[1] - 1)],
        )  # fmt: skip
        begin = torch.where(which == whole.shape[1], done.unsqueeze(1), which) * size
        since = batch.time.view(-1, 1, 1) - begin.unsqueeze(2) - torch.arange(size, device=x.device)  # (Q, F, N)
        real = (since > 0) & (scores > -1e8).unsqueeze(2)
        memory = (fetched * scores.softmax(1).unsqueeze(2).unsqueeze(3) * which.shape[1]).flatten(1, 2)
        keys = self.norm(fetched.flatten(1, 2)) + self.age(since.flatten(1).clamp(min=1).float().log2())
        c, last, alpha = self.reader(q, memory, keys, real.flatten(1))
        return Found(self.head(q, c, last), alpha)

    def _most_alike(
        self, q: Tensor, whole: Tensor, part: Tensor, stream: Tensor, done: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores and numbers (Q, F) of the segments that are fetched; T is the one that is not full yet."""
        asked = self.like(q) * q.shape[-1] ** -0.5
        mean = (part * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)
        old = (whole.mean(2)[stream] @ asked.unsqueeze(-1)).squeeze(-1)
        seen = torch.arange(whole.shape[1], device=q.device) < done.unsqueeze(1)
        old = old.masked_fill(~seen, -1e9)
        new = (mean * asked).sum(-1).masked_fill(~keep.any(1), -1e9)
        scores = torch.cat([old, new.unsqueeze(1)], 1)
        best = scores.topk(min(self.fetched, scores.shape[1]), dim=1)
        return best.values, best.indices


class SegmentSearch(PlainReader):
    """A reference, not a rival: what it keeps grows with the stream."""

    options: PlainOptions

    def stream_network(self) -> SearchedStream:
        o = self.options
        sizes = {"words": self.sizes["words"], "answers": self.sizes["answers"], "standard": self.standard}
        return SearchedStream(o, beside=self.one_word, dim=o.dim, hops=o.hops, dropout=o.dropout, **sizes)


__all__ = ["ReservoirItems", "SegmentSearch"]
