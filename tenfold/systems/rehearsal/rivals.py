"""What else could keep a stream: rivals whose memory is as many numbers, and two that keep more.

Each is a machine in place of SlotMemory: it has `segment`, `slots`, `start`, `opened`, `slot_keys`, `slot_interest`,
`write` and `scan`.
Items, questions, the reader, the answers, batches and training are those of Rehearsal Memory.

Shapes: B streams, T segments, N items of a segment, K vectors of the memory, d width.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.attention import FullAttention, SoftmaxAttention
from tenfold.nn.slot_memory import Beside, SegmentEncoder
from tenfold.nn.transformer import Transformer, feed_forward
from tenfold.options import parse
from tenfold.systems.rehearsal.model import Found, StreamNetwork
from tenfold.systems.rehearsal.options import Options, PlainOptions, Training
from tenfold.systems.rehearsal.samples import Batch
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.systems.rehearsal.task import StreamQuestions


class Machine(nn.Module, ABC):
    """A memory of K vectors that is written segment by segment."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        """beside: an item begins with its neighbours, where it is encoded by segments (as in SegmentEncoder)."""
        super().__init__()
        o = options
        self.dim, self.slots, self.segment, self.bptt = o.dim, o.slots, o.segment, o.bptt
        self.identity = nn.Parameter(0.5 * torch.randn(o.slots, o.dim))
        self.norm = nn.LayerNorm(o.dim, bias=False)  # its bias would add the same to every score

    def start(self, streams: int) -> Tensor:
        return self.identity.new_zeros(streams, self.slots, self.dim)

    def slot_keys(self, memory: Tensor) -> Tensor:
        return self.norm(memory) + self.identity

    def opened(self, memory: Tensor) -> Tensor:
        """What is read of a memory (B, K, d), of the same shape."""
        return memory

    def slot_interest(self, memory: Tensor) -> Tensor | None:
        """What is added to the score of a vector whatever is asked (B, K), or None."""
        return None

    @abstractmethod
    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        """memory (B, K, d), a segment x (B, N, d), keep (B, N), one True at least in each row that counts. number: of
        the segment in its stream, from 0, one for all or (B,)."""

    def write(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> tuple[Tensor, None]:
        safe = keep | (torch.arange(keep.shape[1], device=keep.device) == 0)  # an empty segment is thrown away below
        return torch.where(keep.any(1)[:, None, None], self.written(memory, x, safe, number), memory), None

    def scan(self, x: Tensor, keep: Tensor, memory: Tensor | None = None, *, first: Any = 0) -> Tensor:
        memory = self.start(len(x)) if memory is None else memory
        found = [memory]
        for t, (part, there) in enumerate(zip(x.unbind(1), keep.unbind(1), strict=True)):
            if self.bptt and t % self.bptt == 0:
                memory = memory.detach()
            memory, _ = self.write(memory, part, there, first + t)
            found.append(memory)
        return torch.stack(found, 1)


class Recurrent(Machine):
    """A GRU (Cho et al. 2014) whose state has K d numbers; the reader sees them as K vectors."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        self.cell = nn.GRU(options.dim, options.slots * options.dim, batch_first=True)

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        y, _ = self.cell(x, memory.flatten(1).unsqueeze(0).contiguous())
        last = keep.sum(1) - 1  # padding is on the right
        return y[torch.arange(len(y), device=y.device), last].unflatten(1, (self.slots, self.dim))


class Tokens(Machine):
    """The Recurrent Memory Transformer (Bulatov et al. 2022): memory tokens stand before the segment in one
    transformer, and what comes out at their places is the memory for the next segment."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        self.beginning = nn.Parameter(0.5 * torch.randn(o.slots, o.dim))
        self.places = nn.Parameter(0.5 * torch.randn(o.segment, o.dim))  # as in SegmentEncoder
        self.beside = Beside(o.dim) if beside else None
        self.blocks = Transformer(
            o.dim, o.layers, attention=lambda: FullAttention(o.dim, o.heads, o.dropout),
            feed_forward=lambda: feed_forward("dense", o.dim, 2 * o.dim, o.dropout, "gelu"), norm="pre",
            dropout=o.dropout,
        )  # fmt: skip

    def start(self, streams: int) -> Tensor:
        return self.beginning.expand(streams, -1, -1)

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        x = x if self.beside is None else self.beside(x, keep)
        both = torch.cat([memory + self.identity, x + self.places[: x.shape[1]]], 1)
        y, _ = self.blocks(both, F.pad(keep, (self.slots, 0), value=True))
        return y[:, : self.slots]


class LinearMemory(Machine):
    """A matrix of K features by d (linear attention; Munkhdalai et al. 2024 with a gate): S = g S + sum_n phi(k_n) v_n.

    phi is a softmax over the K features, so that reading by the shared reader is a product with the matrix."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        self.encoder = SegmentEncoder(o.dim, o.layers, o.heads, o.segment, o.dropout, beside=beside)
        self.feature, self.value = nn.Linear(o.dim, o.slots), nn.Linear(o.dim, o.dim)
        self.fade = nn.Parameter(torch.linspace(1.0, 5.0, o.slots))

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        f = self.encoder(x.unsqueeze(1), keep.unsqueeze(1))[:, 0]
        phi = self.feature(f).softmax(-1) * keep.unsqueeze(-1)
        return memory * self.fade.sigmoid().unsqueeze(-1) + phi.mT @ self.value(f)


class Window(Machine):
    """The last K items, and nothing else, as most services have it; a transformer reads them when a question comes."""

    def __init__(self, options: PlainOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        self.encoder = SegmentEncoder(o.dim, o.layers, o.heads, o.slots, o.dropout, beside=beside)

    def opened(self, memory: Tensor) -> Tensor:
        there = memory.abs().sum(-1) > 0  # what was not seen yet is nothing
        return self.encoder(memory.unsqueeze(1), there.unsqueeze(1))[:, 0] * there.unsqueeze(-1)

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        both, count = torch.cat([memory, x], 1), keep.sum(1, keepdim=True)
        place = count + torch.arange(self.slots, device=x.device)
        return both.gather(1, place.unsqueeze(-1).expand(-1, -1, self.dim))


class PlainReader(StreamQuestions):
    """What the rivals have in common."""

    options: PlainOptions
    machine: type[Machine]
    tiny = PlainOptions(dim=16, hops=1, dropout=0.1, slots=4, segment=4, layers=1, heads=2,
                        training=Training(batch_size=8, lr=0.01))  # fmt: skip

    def memory_machine(self) -> Machine:
        return self.machine(self.options, beside=self.one_word)


class StreamGRU(PlainReader):
    options: PlainOptions
    machine = Recurrent


class MemoryTokens(PlainReader):
    options: PlainOptions
    machine = Tokens


class Associative(PlainReader):
    options: PlainOptions
    machine = LinearMemory


class LastItems(PlainReader):
    options: PlainOptions
    machine = Window


class WholeStream(StreamNetwork):
    """Keeps all items: a causal transformer reads them, each beside the one before it, and the question attends to
    every one of them, told how long ago it was (as one of 16 codes, by doubling)."""

    def __init__(self, options: PlainOptions, **sizes: Any) -> None:
        super().__init__(nn.Identity(), **sizes)  # there is no memory beside the items
        o = options
        self.norm, self.age = nn.LayerNorm(o.dim, bias=False), nn.Embedding(16, o.dim)
        # Causal attention alone has no order: which item follows which would have to be guessed.
        self.before = nn.Linear(o.dim, o.dim, bias=False)
        self.blocks = Transformer(
            o.dim, o.layers, attention=lambda: SoftmaxAttention(o.dim, o.heads, o.dropout),
            feed_forward=lambda: feed_forward("dense", o.dim, 2 * o.dim, o.dropout, "gelu"), norm="pre",
            dropout=o.dropout,
        )  # fmt: skip

    def forward(self, batch: Batch) -> Found:
        x = self.items(batch.words)
        there = torch.arange(x.shape[1], device=x.device)
        read, _ = self.blocks(x + self.before(F.pad(x, (0, 0, 1, -1))), there < batch.length.unsqueeze(1))
        age = batch.time.unsqueeze(1) - there
        memory, q = read[batch.stream], self.question(batch.asked)
        keys = self.norm(memory) + self.age((age.clamp(min=1).float().log2()).long().clamp(max=15))
        c, last, alpha = self.reader(q, memory, keys, age > 0)
        return Found(self.head(q, c, last), alpha)


class FullAttentionReader(PlainReader):
    """A reference, not a rival: its memory grows with the stream."""

    options: PlainOptions

    def stream_network(self) -> WholeStream:
        o = self.options
        return WholeStream(o, dim=o.dim, words=self.sizes["words"], answers=self.sizes["answers"], hops=o.hops,
                           dropout=o.dropout, standard=self.standard)  # fmt: skip


class RehearsedTokens(Rehearsal):
    """Memory tokens that rehearse: the Recurrent Memory Transformer, trained as Rehearsal Memory is. Of the options of
    the memory, those of slots, segments, layers, heads and `bptt` count."""

    options: Options
    tiny = parse(Options, {"dim": 16, "hops": 1, "memory.slots": 4, "memory.segment": 4, "memory.layers": 1,
                           "memory.heads": 2, "rehearsal.fragments": 2, "rehearsal.length": 4, "rehearsal.negatives": 8,
                           "rehearsal.recollection": 1.0, "rehearsal.familiarity": 0.5, "rehearsal.sampler": "uniform",
                           "training.batch_size": 8, "training.lr": 0.01})  # fmt: skip

    def memory_machine(self) -> Machine:  # type: ignore[override]
        o, m = self.options, self.options.memory
        plain = PlainOptions(dim=o.dim, hops=o.hops, dropout=o.dropout, slots=m.slots, segment=m.segment,
                             layers=m.layers, heads=m.heads, bptt=m.bptt)  # fmt: skip
        return Tokens(plain, beside=self.one_word if m.beside is None else m.beside)


class SlotMemoryOnly(Rehearsal):
    """Rehearsal Memory without rehearsal: the same machine, reader and training on questions."""

    options: Options
    tiny = parse(Options, {"dim": 16, "hops": 1, "memory.slots": 4, "memory.segment": 4, "memory.layers": 1,
                           "memory.heads": 2, "training.batch_size": 8, "training.lr": 0.01})  # fmt: skip

    @property
    def rehearses(self) -> bool:
        return False


__all__ = [
    "Associative",
    "FullAttentionReader",
    "LastItems",
    "MemoryTokens",
    "RehearsedTokens",
    "SlotMemoryOnly",
    "StreamGRU",
]
