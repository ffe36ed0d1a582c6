"""A memory of K slots that a stream is written into, segment by segment (Zhang et al. 2021, the memory machine).

A segment of N items is encoded by itself, so that all segments of a stream are encoded at once; what follows one after
another is small: each slot attends over the segment's items, and a gated cell mixes what it read into the slot. Nothing
that is asked later has a part in it, and what is kept has one size whatever was seen.

Shapes: B streams, T segments, N items of a segment, K slots, d width, H heads, D = d / H.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import FullAttention
from tenfold.nn.transformer import Positions, Transformer, feed_forward

Score = Literal["dot", "additive"]
Gate = Literal["shared", "per_slot"]
SHARP = 2.0  # spread of the scores by which slots compete, at the start
NOBODY = 0.0  # the score of nobody, for whom an item is not written, at the start
NEVER = -1e9  # a score of what is not there: finite, so that a segment without items has no NaN in its gradient


class Writes(NamedTuple):
    """What one segment did: for looking at, never for an answer."""

    attention: Tensor  # (B, K, N) how much of what a slot read each item was, the mean over heads
    keep: Tensor  # (B, K) how much of its old content each slot kept, the mean over its numbers


class Beside(nn.Module):
    """x_n + A x_(n-1) + B x_(n+1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.before, self.behind = (nn.Linear(dim, dim, bias=False) for _ in range(2))

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """x (B, N, d), keep (B, N) -> (B, N, d); what is not there is beside nothing."""
        there = x * keep.unsqueeze(-1)
        return x + self.before(F.pad(there, (0, 0, 1, -1))) + self.behind(F.pad(there, (0, 0, -1, 1)))


class SegmentEncoder(nn.Module):
    """A bidirectional transformer over one segment, whose places count from the segment's first item.

    beside: an item begins with what stands before and behind it, so that what belongs together need not be found by
    attention first.
    """

    def __init__(self, dim: int, layers: int, heads: int, segment: int, dropout: float, *, beside: bool = True) -> None:
        super().__init__()
        self.beside = Beside(dim) if beside else None
        self.positions = Positions(segment, dim)
        # Items are vectors of normal numbers: places of a fiftieth of that would have to be learned before anything
        # that stands beside something.
        nn.init.normal_(self.positions.table, std=0.5)
        self.blocks = Transformer(
            dim,
            layers,
            attention=lambda: FullAttention(dim, heads, dropout),
            feed_forward=lambda: feed_forward("dense", dim, 2 * dim, dropout, "gelu"),
            norm="pre",
            dropout=dropout,
        )

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """x (B, T, N, d), keep (B, T, N) -> (B, T, N, d)."""
        flat, mask = x.flatten(0, 1), keep.flatten(0, 1)
        if self.beside is not None:
            flat = self.beside(flat, mask)
        placed = flat + self.positions.table[: flat.shape[1]]
        # Without a mask the fused attention is faster; a graphics card would have to be waited for to know.
        whole = None if mask.device.type == "cpu" and bool(mask.all()) else mask
        return self.blocks(placed, whole)[0].unflatten(0, x.shape[:2])


class GatedCell(nn.Module):
    """The GRU's cell as torch has it, for all slots at once: z keeps, r lets the old content into the new.

    m' = z m + (1 - z) tanh(W_c l + r (U_c m + b_u) + b_c). With `per_slot` each slot has weights of its own.
    """

    def __init__(self, dim: int, slots: int, *, gate: Gate, bias: bool) -> None:
        super().__init__()
        own = slots if gate == "per_slot" else 1
        self.read = nn.Parameter(torch.empty(own, dim, 3 * dim))  # W: r, z, c, side by side
        self.old = nn.Parameter(torch.empty(own, dim, 3 * dim))  # U
        self.read_bias, self.old_bias = (nn.Parameter(torch.zeros(own, 1, 3 * dim)) if bias else None for _ in range(2))
        for weight in (self.read, self.old):
            nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5)

    @torch.no_grad()
    def keep_for(self, bias: Tensor) -> None:
        """The bias (d,) of z, from which training starts. Raises OptionError where the cell has none."""
        if self.read_bias is None:
            raise OptionError("this cell has no biases, and so no keep bias; leave `strict` out")
        dim = len(bias)
        self.read_bias[..., dim : 2 * dim] = bias

    def forward(self, read: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """read l and memory m (B, K, d) -> m' (B, K, d) and z (B, K, d)."""
        # What is kept stays as exact as it was: products may come in a lower precision.
        new = _times(read, self.read, self.read_bias).to(memory.dtype)
        old = _times(memory, self.old, self.old_bias).to(memory.dtype)
        dim = memory.shape[-1]
        (gates, c), (gates_old, c_old) = (each.split([2 * dim, dim], -1) for each in (new, old))
        r, z = (gates + gates_old).sigmoid().chunk(2, -1)
        candidate = torch.addcmul(c, r, c_old).tanh()
        return torch.lerp(candidate, memory, z), z


def _times(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (B, K, d) by one matrix for all slots, or by each slot's own: one product either way."""
    if len(weight) == 1:
        return F.linear(x, weight[0].T, None if bias is None else bias[0, 0])
    y = torch.bmm(x.transpose(0, 1), weight)
    return (y if bias is None else y + bias).transpose(0, 1)


class SlotMemory(nn.Module):
    """The machine. `scan` reads whole streams, `step` one segment.

    competition (ours): an item is shared out among the slots and nobody, p = softmax over K slots and nobody of
    2 <a_k + W_q LayerNorm(m_k), W_k f_n> / sqrt(d), by addresses a_k that are far apart from the start; a slot reads
    what it won, one item after another, each written over p of what came before it in the segment, and moves by
    1 - prod_n (1 - p_kn) of what its cell says, so that one that wins nothing stays what it was.  Without it every slot
    reads a mean of all items in every segment, as the paper has it: what matters is then written into all slots.
    score, gate: how slots attend, and whether they share a cell.  keep_bias: of z at the start; None is 0 where slots
    compete, for what is not won is kept anyway; without competition it spreads over a slot's numbers as log u, u
    uniform between 1.5 and `horizon` segments (chrono initialisation, Tallec and Ollivier 2018), so that some hold long
    and others write fast.  Ours, because with one cell and equal beginnings slots are equal for ever: each slot has an
    identity, added to its content wherever it is asked (and asks, without competition), and learns its start.
    strict: as the one public code has it, from zero, without identities and biases: its slots never differ.
    Variants: self_keys (without competition: a slot may also attend to itself), sparse_write (only so many slots take
    part in a segment), periods (slot k is written every 2^(k mod periods) segments), beside (items begin with their
    neighbours).  Heads are of the slots' attention without competition; where slots compete, an item has one winner.
    recompute: segments whose activations are not kept but computed again in the backward pass (0: all are kept).  bptt:
    segments after which no gradient goes further back (0: none is cut).
    """

    def __init__(
        self,
        dim: int,
        slots: int,
        segment: int,
        *,
        layers: int = 2,
        encoder_heads: int = 4,
        heads: int = 4,
        score: Score = "dot",
        gate: Gate = "shared",
        keep_bias: float | None = None,
        horizon: float = 16.0,
        strict: bool = False,
        self_keys: bool = False,
        competition: bool = True,
        beside: bool = True,
        sparse_write: int = 0,
        periods: int = 1,
        dropout: float = 0.0,
        bptt: int = 0,
        recompute: int = 0,
    ) -> None:
        super().__init__()
        if slots < 1 or segment < 1:
            raise OptionError(f"a memory has one slot or more and reads segments of one item or more; found {slots} "
                              f"slots and segments of {segment}")  # fmt: skip
        if dim % heads or dim % encoder_heads:
            raise OptionError(
                f"width must be a multiple of heads; found width {dim}, {heads} and {encoder_heads} heads"
            )
        if sparse_write > slots:
            raise OptionError(
                f"no more than all slots can be written; found sparse_write {sparse_write}, {slots} slots"
            )
        if self_keys and competition and not strict:
            raise OptionError(
                "a slot's own content is no item that slots compete for; self_keys is for competition=false"
            )
        self.dim, self.slots, self.segment = dim, slots, segment
        self.competition = competition and not strict
        self.heads = 1 if self.competition else heads
        self.bptt, self.recompute = bptt, recompute
        self.self_keys, self.sparse_write, self.periods = self_keys, sparse_write, periods
        self.encoder = SegmentEncoder(dim, layers, encoder_heads, segment, dropout, beside=beside and not strict)
        self.norm, self.query = nn.LayerNorm(dim), nn.Linear(dim, dim, bias=False)
        self.key, self.value = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=not strict)
        width = dim // self.heads
        self.additive = nn.Parameter(torch.randn(self.heads, width) * width**-0.5) if score == "additive" else None
        self.cell = GatedCell(dim, slots, gate=gate, bias=not strict)
        spread = 0.0 if strict else 0.5
        self.beginning = nn.Parameter(spread * torch.randn(slots, dim), requires_grad=not strict)
        self.identity = nn.Parameter(spread * torch.randn(slots, dim), requires_grad=not strict)
        if self.competition:
            self._set_addresses()
            keep_bias = keep_bias or 0.0
        if not strict:
            self.set_horizon(horizon) if keep_bias is None else self.cell.keep_for(torch.full((dim,), keep_bias))

    def _set_addresses(self) -> None:
        """Addresses at right angles to each other (as far as there are as many), and keys as long as items, so that
        from the first step on items have winners."""
        corners = nn.init.orthogonal_(torch.empty(self.slots, self.dim))
        self.address = nn.Parameter(self.dim**0.5 * F.normalize(corners, dim=1))
        self.nobody, self.nobody_bias = nn.Parameter(torch.zeros(self.dim)), nn.Parameter(torch.tensor(NOBODY))
        nn.init.orthogonal_(self.key.weight)

    def set_horizon(self, segments: float) -> None:
        """Start the keep gates for streams of about so many segments."""
        u = torch.empty(self.dim).uniform_(1.5, max(3.0, segments))
        self.cell.keep_for(u.log().clamp(0.5, 4.0))

    def start(self, streams: int) -> Tensor:
        """M_0, (B, K, d)."""
        return self.beginning.expand(streams, -1, -1)

    def opened(self, memory: Tensor) -> Tensor:
        """What is read of a memory: all of it, as it is."""
        return memory

    def slot_keys(self, memory: Tensor) -> Tensor:
        """What a slot is found by: its content, normalised, and its identity. (B, K, d)."""
        return self.norm(memory) + self.identity

    def read_segments(self, x: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Items x (B, T, N, d), keep (B, T, N) -> keys and values, each (B, T, N, d): all that needs no memory."""
        if x.shape[:-1] != keep.shape or x.shape[-1] != self.dim or x.shape[2] > self.segment:
            raise ShapeError(
                f"segments are (B, T, N <= {self.segment}, {self.dim}) with keep (B, T, N); found {tuple(x.shape)} and "
                f"{tuple(keep.shape)}"
            )
        f = self.encoder(x, keep)
        return self.key(f), self.value(f)

    def step(
        self, memory: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None, number: Tensor | int = 0
    ) -> tuple[Tensor, Writes]:
        """One segment: memory (B, K, d), keys and values (B, N, d), keep (B, N) -> the memory after it.

        number: of the segment in its stream, from 0, one for all or (B,); `periods` looks at it. Where keep has no True
        the memory stays what it was; None: all items are real.
        """
        after, items, z, written = self._stepped(memory, keys, values, keep, number)
        with torch.no_grad():
            kept = torch.where(written, z.mean(-1), torch.ones_like(z[..., 0]))
            return after, Writes(items.mean(1) * written.unsqueeze(-1), kept)

    def _stepped(
        self, memory: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None, number: Tensor | int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> the memory after it, attention to items (B, H, K, N), z (B, K, d), and which slots (B, K or 1) are
        written."""
        alpha, mass = self._won(memory, keys, keep) if self.competition else self._attention(memory, keys, keep)
        items = alpha[..., : keys.shape[1]]
        if self.competition:
            items, strength = _one_after_another(items)
            items = items / (strength + 1e-3)
        read = items @ self._heads(values)
        if self.self_keys:
            read = read + alpha[..., keys.shape[1] :] * self._heads(self.value(memory))
        after, z = self.cell(self.out(read.transpose(1, 2).flatten(2)), memory)
        everything = torch.ones(len(memory), 1, dtype=torch.bool, device=memory.device)
        written = everything if keep is None else keep.any(1).view(-1, 1)
        if self.competition:
            moved = strength[:, 0]
            after, z = torch.lerp(memory, after, moved), 1 - moved * (1 - z)
        if self.sparse_write:
            written = written & (mass >= mass.topk(self.sparse_write, dim=1).values[:, -1:])
        if self.periods > 1:
            place = torch.as_tensor(number, device=memory.device).view(-1, 1)
            written = written & (place % (2 ** (torch.arange(self.slots, device=memory.device) % self.periods)) == 0)
        if written is not everything:
            after = torch.where(written.unsqueeze(-1), after, memory)
        return after, items, z, written

    def write(self, memory: Tensor, x: Tensor, keep: Tensor, number: Tensor | int = 0) -> tuple[Tensor, Writes]:
        """One segment from its items: x (B, N, d), keep (B, N) -> the memory after it."""
        keys, values = self.read_segments(x.unsqueeze(1), keep.unsqueeze(1))
        return self.step(memory, keys[:, 0], values[:, 0], keep, number)

    def _won(self, memory: Tensor, keys: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """p (B, 1, K, N), what each slot won of each item, and of all of them, (B, K)."""
        q = self.address + self.query(self.norm(memory))
        scores = SHARP * self._scores(self._heads(q), self._heads(keys))
        nobody = (keys @ self.nobody + self.nobody_bias)[:, None, None]
        p = torch.cat([scores, nobody], 2).float().softmax(2)[:, :, :-1]
        if keep is not None:
            p = p * keep[:, None, None]
        return p.to(memory), p.sum(-1)[:, 0]

    def _attention(self, memory: Tensor, keys: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """alpha (B, H, K, N), and one more column with self_keys; each slot's interest in the segment, (B, K)."""
        q, k = self._heads(self.query(self.slot_keys(memory))), self._heads(keys)
        scores = self._scores(q, k).float()
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, None], NEVER)
        if self.self_keys:
            own = self._heads(self.key(memory))
            itself = self._scores(q.unsqueeze(3), own.unsqueeze(3)).squeeze(-1)  # (B, H, K, 1): of each slot alone
            scores = torch.cat([scores, itself], -1)
        return scores.softmax(-1).to(memory), scores[..., : keys.shape[1]].logsumexp(-1).mean(1)

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, ..., K, D), k (B, H, ..., N, D) -> (B, H, ..., K, N)."""
        if self.additive is None:
            return q @ k.mT * (self.dim // self.heads) ** -0.5
        mixed = (q.unsqueeze(-2) + k.unsqueeze(-3)).tanh()  # (B, H, ..., K, N, D)
        return (mixed * self.additive.view(self.heads, *[1] * (mixed.dim() - 3), -1)).sum(-1)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def scan(self, x: Tensor, keep: Tensor, memory: Tensor | None = None, *, first: Tensor | int = 0) -> Tensor:
        """Whole streams: x (B, T, N, d), keep (B, T, N) -> the memory before each segment and after the last,
        (B, T + 1, K, d).  first: number of the first segment.
        """
        memory = self.start(len(x)) if memory is None else memory
        found = [memory.unsqueeze(1)]
        span = self.recompute or max(x.shape[1], 1)
        for begin in range(0, x.shape[1], span):
            part = slice(begin, begin + span)
            arguments = (memory, x[:, part], keep[:, part], first + begin)
            if self.recompute and torch.is_grad_enabled():
                memories = checkpoint(self._segments, *arguments, use_reentrant=False)
            else:
                memories = self._segments(*arguments)
            found.append(memories)
            memory = memories[:, -1]
        return torch.cat(found, 1)

    def _segments(self, memory: Tensor, x: Tensor, keep: Tensor, first: Any) -> Tensor:
        # unbind, because the gradient of x[:, t] is as large as x: T of them would be T^2.
        keys, values = (each.unbind(1) for each in self.read_segments(x, keep))
        whole = keep.device.type == "cpu" and bool(keep.all())
        there = [None] * x.shape[1] if whole else keep.unbind(1)
        found = []
        for t in range(x.shape[1]):
            if self.bptt and isinstance(first, int) and (first + t) % self.bptt == 0:
                memory = memory.detach()
            memory = self._stepped(memory, keys[t], values[t], there[t], first + t)[0]
            found.append(memory)
        return torch.stack(found, 1)


def _one_after_another(p: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of each item's share p (..., N) in a slot when the later ones have been written over it,
    w_n = p_n prod_(m > n) (1 - p_m), and the sum of it (..., 1), which is 1 - prod (1 - p)."""
    left = torch.log1p(-p.float().clamp(max=1 - 1e-6))
    later = left.sum(-1, keepdim=True) - left.cumsum(-1)
    w = p * later.exp().to(p)
    return w, w.sum(-1, keepdim=True)


def step_reference(machine: SlotMemory, memory: Tensor, keys: Tensor, values: Tensor, keep: Sequence[bool]) -> Tensor:
    """`step` of one stream as it is written down, slot by slot and head by head. memory (K, d), keys (N, d)."""
    rows, where = [], [n for n, real in enumerate(keep) if real]
    if not where:
        return memory
    for k in range(machine.slots):
        strength: Tensor | float = 1.0
        if machine.competition:
            shares = [_share_reference(machine, memory, keys[n])[k] for n in where]
            read, strength = torch.zeros_like(values[0]), torch.zeros(())
            for n, share in zip(where, shares, strict=True):
                read, strength = (1 - share) * read + share * values[n], (1 - share) * strength + share
            read = read / (strength + 1e-3)
        else:
            read = _read_reference(machine, memory[k], machine.identity[k], keys[where], values[where])
        after = _cell_reference(machine.cell, k, machine.out(read), memory[k])
        rows.append(memory[k] + strength * (after - memory[k]))
    return torch.stack(rows)


def _share_reference(machine: SlotMemory, memory: Tensor, key: Tensor) -> Tensor:
    """(K + 1,) of one item, the last is nobody's."""
    asked = [machine.address[k] + machine.query(machine.norm(memory[k])) for k in range(machine.slots)]
    if machine.additive is None:
        scores = [SHARP * (q @ key) / math.sqrt(machine.dim) for q in asked]
    else:
        scores = [SHARP * machine.additive[0] @ torch.tanh(q + key) for q in asked]
    nobody = machine.nobody @ key + machine.nobody_bias
    return torch.stack([*scores, nobody]).softmax(0)


def _read_reference(machine: SlotMemory, slot: Tensor, identity: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    query, width, read = machine.query(machine.norm(slot) + identity), machine.dim // machine.heads, []
    for h in range(machine.heads):
        part = slice(h * width, (h + 1) * width)
        if machine.additive is None:
            scores = torch.stack([query[part] @ key[part] / math.sqrt(width) for key in keys])
        else:
            scores = torch.stack([machine.additive[h] @ torch.tanh(query[part] + key[part]) for key in keys])
        read.append(scores.softmax(0) @ values[:, part])
    return torch.cat(read)


def _cell_reference(cell: GatedCell, k: int, read: Tensor, slot: Tensor) -> Tensor:
    own = k if len(cell.read) > 1 else 0
    new, old = read @ cell.read[own], slot @ cell.old[own]
    if cell.read_bias is not None and cell.old_bias is not None:
        new, old = new + cell.read_bias[own, 0], old + cell.old_bias[own, 0]
    (r, z, c), (r_old, z_old, c_old) = new.chunk(3), old.chunk(3)
    z = torch.sigmoid(z + z_old)
    return z * slot + (1 - z) * torch.tanh(c + torch.sigmoid(r + r_old) * c_old)


@torch.no_grad()
def apart_after(machine: SlotMemory, segments: int, *, seed: int = 0) -> float:
    """How far two memories still are from each other that began apart and read the same `segments` (norm of the
    difference, over all slots): how much of what is old can be told at all."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, machine.slots, machine.dim)
    memory = torch.randn(shape, generator=generator)
    items = torch.randn(1, segments, machine.segment, machine.dim, generator=generator).expand(2, -1, -1, -1)
    last = machine.scan(items, torch.ones(items.shape[:3], dtype=torch.bool), memory)[:, -1]
    return float((last[0] - last[1]).norm())
