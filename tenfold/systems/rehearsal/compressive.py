"""The compressive transformer (Rae et al., ICLR 2020, arXiv 1911.05507) as a rival whose memory has K d numbers.

Shapes: B streams, T segments, N items of a segment, C compressed and R recent vectors of the memory, K = C + R, c items
that become one compressed vector, G = ceil(N / c), d width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from tenfold.errors import OptionError
from tenfold.nn.cross_attention import CrossAttention
from tenfold.nn.dropout import Dropout
from tenfold.nn.slot_memory import Beside
from tenfold.nn.transformer import feed_forward
from tenfold.systems.rehearsal.options import CompressiveOptions, Training
from tenfold.systems.rehearsal.rivals import Machine, PlainReader
from tenfold.systems.rehearsal.samples import Batch
from tenfold.systems.rehearsal.task import answer_loss
from tenfold.training import Loss, Losses


class Looking(CrossAttention):
    """Attention of x (B, N, d) to what is read (B, M, d), of which keep (B, M) says what there is."""

    def forward(self, x: Tensor, read: Tensor, keep: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, self.remember(read, keep))


class MemoryBlock(nn.Module):
    """x + attention of the segment to the memory and itself, then x + feed-forward, norms before."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Looking(dim, heads, dropout)
        self.feed_forward = feed_forward("dense", dim, 2 * dim, dropout, "gelu")
        self.norm1, self.norm2, self.drop = nn.LayerNorm(dim), nn.LayerNorm(dim), Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor, keep: Tensor) -> Tensor:
        """x (B, N, d), memory (B, K, d), keep (B, K + N) -> (B, N, d)."""
        read = self.norm1(torch.cat([memory, x], 1))
        x = x + self.drop(self.attention(read[:, memory.shape[1] :], read, keep))
        return x + self.feed_forward(self.norm2(x))

    def looked_up(self, x: Tensor, read: Tensor, keep: Tensor) -> Tensor:
        """What the segment's items find in something else, read (B, M, d), keep (B, M); no weight learns from it."""
        weights = [
            {name: weight.detach() for name, weight in part.named_parameters()} for part in (self.norm1, self.attention)
        ]
        asked, told = (functional_call(self.norm1, weights[0], (each,)) for each in (x, read))
        found: Tensor = functional_call(self.attention, weights[1], (asked, told, keep))
        return found


class Compressed(Machine):
    """The last R items, and C vectors of which each stands for c older ones; what is older than these is gone.

    A segment's items attend to the memory and to each other. What comes out of the last block is what is kept: it knows
    what stood before it, so that more than R + c C items have a part in the memory. A vector of zeros is none.

    The paper keeps such a memory for each layer. Here all layers read one: of as many bytes, a layer's own would hold
    a part of the time. compression: a convolution of c items (as wide, without a bias), their mean, or their maximum.
    """

    def __init__(self, options: CompressiveOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        if not 1 <= o.compressed < o.slots:
            raise OptionError(
                f"of {o.slots} slots 1 to {o.slots - 1} may be compressed ones, the others are the last items; found "
                f"compressed={o.compressed}"
            )
        if o.reconstruction and o.compression != "conv":
            raise OptionError(
                f"pooling learns nothing from reconstruction, which is for compression=conv; found compression="
                f"{o.compression} and reconstruction={o.reconstruction:g}"
            )
        self.old, self.rate, self.compression = o.compressed, o.rate, o.compression
        self.alone = o.reconstruction > 0  # then what compresses learns from reconstruction alone
        self.places = nn.Parameter(0.5 * torch.randn(o.segment, o.dim))  # as in SegmentEncoder
        self.beside = Beside(o.dim) if beside else None
        self.blocks = nn.ModuleList(MemoryBlock(o.dim, o.heads, o.dropout) for _ in range(o.layers))
        self.last = nn.LayerNorm(o.dim)
        if o.compression == "conv":
            # At first about what the mean would be, as large as an item; torch's own start would forget half.
            start = torch.randn(o.dim, o.dim, o.rate) * (0.1 / (o.rate * o.dim) ** 0.5)
            self.kernel = nn.Parameter(start + torch.eye(o.dim).unsqueeze(-1) * o.rate**-0.5)

    def read(self, memory: Tensor, x: Tensor, keep: Tensor) -> tuple[Tensor, list[Tensor]]:
        """memory (B, K, d), x (B, N, d), keep (B, N) -> what is kept of the items, and what enters each block."""
        x = x if self.beside is None else self.beside(x, keep)
        x, entered = x + self.places[: x.shape[1]], list[Tensor]()
        told, both = memory + self.identity, torch.cat([there(memory), keep], 1)
        for block in self.blocks:
            entered.append(x)
            x = block(x, told, both)
        return self.last(x), entered

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        return self.moved(memory, self.read(memory, x, keep)[0], keep.sum(1, keepdim=True))

    def moved(self, memory: Tensor, new: Tensor, count: Tensor) -> Tensor:
        """memory (B, K, d), items (B, N, d) of which count (B, 1) are real -> the memory after them."""
        joined = torch.cat([memory[:, self.old :], new], 1)
        recent = _slice(joined, count, self.slots - self.old)
        gone = joined[:, : new.shape[1]]
        gone = gone * (torch.arange(gone.shape[1], device=gone.device) < count).unsqueeze(-1)
        old = torch.cat([memory[:, : self.old], self.compress(gone)], 1)
        return torch.cat([_slice(old, (count + self.rate - 1) // self.rate, self.old), recent], 1)

    def compress(self, x: Tensor, *, still: bool | None = None) -> Tensor:
        """Items (B, N, d), of which those of zeros are none -> (B, G, d), zeros where a group has none.

        still: whether the convolution's weights are left out of the gradient; None: where it learns otherwise."""
        parts = F.pad(x, (0, 0, 0, -x.shape[1] % self.rate)).unflatten(1, (-1, self.rate))  # (B, G, c, d)
        if self.compression == "conv":
            kernel = self.kernel.detach() if (self.alone if still is None else still) else self.kernel
            return parts.flatten(2) @ kernel.permute(2, 1, 0).flatten(0, 1)
        real = there(parts).unsqueeze(-1)
        if self.compression == "mean":
            return parts.sum(2) / real.sum(2).clamp(min=1)
        highest = parts.masked_fill(~real, float("-inf")).amax(2)
        return highest.masked_fill(~real.any(2), 0.0)

    def reconstruction(self, states: Tensor, x: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """How far what a segment finds in compressed items is from what it finds in these items (section 3.3, attention
        reconstruction): states (B, T + 1, K, d), segments x (B, T, N, d), keep (B, T, N) -> the sum over segments of
        the mean square, and how many segments. All segments at once; only what compresses learns from it."""
        memory, items, real = states[:, :-1].flatten(0, 1).detach(), x.flatten(0, 1).detach(), keep.flatten(0, 1)
        with torch.no_grad():
            new, entered = self.read(memory, items, real)
            gone = torch.cat([memory[:, self.old :], new], 1)[:, : new.shape[1]]
            some = there(gone)
            count = real.any(1) & some.any(1)
        gone, some, real, entered = gone[count], some[count], real[count], [each[count] for each in entered]
        short = self.compress(gone, still=False)
        groups = F.pad(some, (0, -some.shape[1] % self.rate)).unflatten(1, (-1, self.rate)).any(2)
        total = x.new_zeros(())
        for block, h in zip(self.blocks, entered, strict=True):
            found = block.looked_up(h, short, groups)  # type: ignore[operator]
            wanted = block.looked_up(h, gone, some).detach()  # type: ignore[operator]
            total = total + ((found - wanted).square().mean(2) * real).sum() / real.sum().clamp(min=1) * len(h)
        return total, count.sum()


def there(x: Tensor) -> Tensor:
    """Which vectors (..., d) are not of zeros, (...)."""
    return (x != 0).any(-1)


def _slice(x: Tensor, first: Tensor, length: int) -> Tensor:
    """x (B, L, d) from places first (B, 1) on, (B, length, d)."""
    place = first + torch.arange(length, device=x.device)
    return x.gather(1, place.unsqueeze(-1).expand(-1, -1, x.shape[2]))


class CompressiveTransformer(PlainReader):
    options: CompressiveOptions
    machine = Compressed
    tiny = CompressiveOptions(dim=16, hops=1, dropout=0.1, slots=4, segment=4, layers=1, heads=2, compressed=2, rate=2,
                              training=Training(batch_size=8, lr=0.01))  # fmt: skip

    def loss(self, batch: Batch) -> Losses:
        """That of the answers, and with `reconstruction` that of what compresses."""
        weight = self.options.reconstruction
        if not weight:
            return super().loss(batch)
        network = self.streams
        x = network.items(batch.words)
        states = network.read(x, batch.length)
        memory = network.memory_at(states, x, batch.stream, batch.time)
        found: dict[str, Loss] = {"answer": answer_loss(network.answer(batch.asked, memory).scores, batch.answer)}
        size = network.machine.segment
        count = states.shape[1] - 1
        if count:
            segments = x[:, : count * size].unflatten(1, (count, size))
            ends = torch.arange(1, count + 1, device=x.device) * size <= batch.length.unsqueeze(1)
            keep = ends.unsqueeze(-1).expand(-1, -1, size)
            total, parts = network.machine.reconstruction(states, segments, keep)
            found["reconstruction"] = (weight * total, parts)
        return found


__all__ = ["CompressiveTransformer"]
