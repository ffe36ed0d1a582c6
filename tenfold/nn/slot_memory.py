"""A memory of K slots that a stream is written into, segment by segment (Zhang et al. 2021, the memory machine).

A segment of N items is encoded by itself, so that all segments of a stream are encoded at once; what follows one after
another is small: each slot attends over the segment's items, and a gated cell mixes what it read into the slot. Nothing
that is asked later has a part in it, and what is kept has one size whatever was seen.

Shapes: B streams, T segments, N items of a segment, K slots, d width, H heads, D = d / H.
"""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import FullAttention
from tenfold.nn.transformer import Positions, Transformer, feed_forward
from tenfold.ops.gated_mix import gated_mix

Score = Literal["dot", "additive"]
Gate = Literal["shared", "per_slot"]
SHARP = 2.0  # spread of the scores by which slots compete, at the start,
MILD = 0.5  # and where the oldest slots are ahead, by
AHEAD = 8.0
NOBODY = 0.0  # the score of nobody, for whom an item is not written, at the start
NEVER = -1e9  # a score of what is not there: finite, so that a segment without items has no NaN in its gradient
WON = -4.0  # keep bias where slots compete: what is not won is kept anyway, and what is won should be written
RECENT = -0.3  # what a doubling of its age takes off the score by which a slot is read, at the start
OLDEST = 16.0  # log2 of the age from which on slots are equally old; those that were never written begin with it


class Writes(NamedTuple):
    """What one segment did: for looking at, never for an answer."""

    attention: Tensor  # (B, K, N) how much of what a slot read each item was, the mean over heads
    keep: Tensor  # (B, K) how much of its old content each slot kept, the mean over its numbers


class Contest(NamedTuple):
    """What slots compete for in a segment, as far as it needs no memory; for all segments at once, or for one."""

    keys: Tensor  # (..., N, d)
    values: Tensor  # (..., N, 3 d) as the shared cell reads them, without its bias; (..., N, d) of cells of each slot
    ahead: Tensor | None  # (..., N) by how much the slot whose turn it is leads
    nobody: Tensor  # (..., 1, N) the score of nobody
    bias: Tensor | None  # (3 d,), or (d,), of what is read of values


class Won(NamedTuple):
    """A segment that slots competed for."""

    content: Tensor  # (B, K, d) after it
    age: Tensor | None  # (B, K)
    items: Tensor  # (B, K, N) what the slots read of the items
    keep: Tensor  # (B, K, 1) how much of a slot stays whatever its gate says
    new: Tensor  # (B, K, 3 d) what the cell read
    old: Tensor  # (B, K, 3 d) and what it had
    written: Tensor  # (B, K or 1) which slots are written


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
        look = mask.device.type == "cpu" and not torch.compiler.is_compiling()
        whole = None if look and bool(mask.all()) else mask
        return self.blocks(placed, whole)[0].unflatten(0, x.shape[:2])


def older(age: Tensor, items: Tensor | int) -> Tensor:
    """Ages as log2(1 + items since), when so many more items have come."""
    return torch.log2(age.exp2() + items)


def ages_of(keep: Tensor) -> Tensor:
    """log2(1 + items that follow it) of each item of a segment, keep (..., N) -> (..., N) of float32."""
    places = keep.sum(-1, keepdim=True) - torch.arange(keep.shape[-1], device=keep.device)
    return places.clamp(min=1).float().log2()


@torch.no_grad()
def turns(age: Tensor, items: int) -> Tensor:
    """Whose turn it is: ages of slots (B, K) -> (B, K, N), 1 where item n, from 0, meets the slot that is the n-th of
    the longest unwritten ones, else 0. Ages that are less than a 64th of a doubling apart are equal, and the first slot
    of these comes first: a turn must not hang on rounding."""
    slots = torch.arange(age.shape[1], device=age.device)
    order = ((64 * age).round() * len(slots) - slots).argsort(1, descending=True)
    turn = order[:, torch.arange(items, device=age.device) % len(slots)]
    return (turn.unsqueeze(1) == slots.unsqueeze(1)).to(age)


class AgeCode(nn.Module):
    """How long ago a slot was written, as a vector: two learned ones for each doubling, and between them a mixture."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.5 * torch.randn(2 * int(OLDEST) + 1, dim))

    def forward(self, age: Tensor) -> Tensor:
        """log2(1 + items) (...) -> (..., d)."""
        place = 2 * age.clamp(max=OLDEST).unsqueeze(-1)
        near = (1 - (place - torch.arange(len(self.table), device=age.device)).abs()).clamp(min=0)
        return near.to(self.table.dtype) @ self.table


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
        new, old = self.of_read(read).to(memory.dtype), self.of_memory(memory)
        return gated_mix(new, old, memory, torch.ones_like(memory[..., :1])), self.kept(new, old)

    def of_read(self, read: Tensor) -> Tensor:
        """W l + b (B, K, 3 d) of what is read."""
        return _times(read, self.read, self.read_bias)

    def of_memory(self, memory: Tensor) -> Tensor:
        """U m + b (B, K, 3 d), as exact as the memory: products may come in a lower precision."""
        return _times(memory, self.old, self.old_bias).to(memory.dtype)

    @staticmethod
    def kept(new: Tensor, old: Tensor) -> Tensor:
        """z (B, K, d) of what `of_read` and `of_memory` give."""
        dim = new.shape[-1] // 3
        return (new + old)[..., dim : 2 * dim].sigmoid()


def _times(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (B, K, d) by one matrix for all slots, or by each slot's own: one product either way."""
    if len(weight) == 1:
        return F.linear(x, weight[0].T, None if bias is None else bias[0, 0])
    y = torch.bmm(x.transpose(0, 1), weight)
    return (y if bias is None else y + bias).transpose(0, 1)


def _refuse_misfits(dim: int, slots: int, segment: int, heads: tuple[int, int], sparse_write: int) -> None:
    if slots < 1 or segment < 1:
        raise OptionError(f"a memory has one slot or more and reads segments of one item or more; found {slots} "
                          f"slots and segments of {segment}")  # fmt: skip
    if any(dim % count for count in heads):
        raise OptionError(f"width must be a multiple of heads; found width {dim}, {heads[0]} and {heads[1]} heads")
    if sparse_write > slots:
        raise OptionError(f"no more than all slots can be written; found sparse_write {sparse_write}, {slots} slots")


class SlotMemory(nn.Module):
    """The machine. `scan` reads whole streams, `step` one segment.

    competition (ours): an item is shared out among the slots and nobody, p = softmax over K slots and nobody of
    2 <a_k + W_q LayerNorm(m_k), W_k f_n> / sqrt(d) (1/2 of it, not 2, with oldest_first), by addresses a_k that are far
    apart from the start; a slot reads what it won, one item after another, each written over p of what came before it
    in the segment, and moves by 1 - prod_n (1 - p_kn) of what its cell says, so that one that wins nothing stays what
    it was.  Without it every slot reads a mean of all items in every segment, as the paper has it: what matters is then
    written into all slots.
    score, gate: how slots attend, and whether they share a cell.  keep_bias: of z at the start; None is -4 where slots
    compete, for what is not won is kept anyway; without competition it spreads over a slot's numbers as log u, u
    uniform between 1.5 and `horizon` segments (chrono initialisation, Tallec and Ollivier 2018), so that some hold long
    and others write fast.  Ours, because with one cell and equal beginnings slots are equal for ever: each slot has an
    identity, added to its content wherever it is asked (and asks, without competition), and learns its start.
    strict: as the one public code has it, from zero, without identities and biases: its slots never differ.
    oldest_first (ours, with competition and ages): item n of a segment meets the slot that is the n-th of those that
    were written longest ago, and that slot is ahead in the competition, by 8 at the start, and by w f_n more as is
    learned. So a memory that learned nothing holds the last K items, each by itself; what to throw away, and what to
    write over what, is learned from there. (Santoro et al. 2016 write the least recently used place, too.)
    ages (ours): beside its d numbers a slot has one more, log2(1 + items since it was written), which mixes as its
    content does; whoever reads a slot is told it. A memory is then (B, K, d + 1), else (B, K, d).
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
        ages: bool = True,
        oldest_first: bool = True,
        sparse_write: int = 0,
        periods: int = 1,
        dropout: float = 0.0,
        bptt: int = 0,
        recompute: int = 0,
    ) -> None:
        super().__init__()
        _refuse_misfits(dim, slots, segment, (heads, encoder_heads), sparse_write)
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
        self.age = AgeCode(dim) if ages and not strict else None
        if self.age is not None:
            self.recent = nn.Parameter(torch.tensor(RECENT))
        spread = 0.0 if strict else 0.5
        self.beginning = nn.Parameter(spread * torch.randn(slots, dim), requires_grad=not strict)
        self.identity = nn.Parameter(spread * torch.randn(slots, dim), requires_grad=not strict)
        self.oldest_first = oldest_first and self.competition and self.age is not None
        self.sharp = MILD if self.oldest_first else SHARP
        if self.competition:
            self._set_addresses()
            keep_bias = WON if keep_bias is None else keep_bias
        if not strict:
            self.set_horizon(horizon) if keep_bias is None else self.cell.keep_for(torch.full((dim,), keep_bias))

    def _set_addresses(self) -> None:
        """Addresses at right angles to each other (as far as there are as many), and keys as long as items, so that
        from the first step on items have winners."""
        corners = nn.init.orthogonal_(torch.empty(self.slots, self.dim))
        self.address = nn.Parameter(self.dim**0.5 * F.normalize(corners, dim=1))
        self.nobody, self.nobody_bias = nn.Parameter(torch.zeros(self.dim)), nn.Parameter(torch.tensor(NOBODY))
        # What is written is the item itself at first, turned: after three products with torch's own weights, each of
        # which makes a vector smaller, a slot would hold four parts of its beginning to one of the item.
        for layer in (self.key, self.value, self.out):
            nn.init.orthogonal_(layer.weight)
        with torch.no_grad():
            self.out.bias.zero_()
            for own in self.cell.read:
                own[:, 2 * self.dim :] = nn.init.orthogonal_(torch.empty(self.dim, self.dim))
        if self.oldest_first:
            self.fresh, self.fresh_bias = nn.Parameter(torch.zeros(self.dim)), nn.Parameter(torch.tensor(AHEAD))

    def set_horizon(self, segments: float) -> None:
        """Start the keep gates for streams of about so many segments."""
        u = torch.empty(self.dim).uniform_(1.5, max(3.0, segments))
        self.cell.keep_for(u.log().clamp(0.5, 4.0))

    @property
    def width(self) -> int:
        """Numbers of a slot: d, and its age."""
        return self.dim + (self.age is not None)

    def start(self, streams: int) -> Tensor:
        """M_0, (B, K, width)."""
        first = self.beginning if self.age is None else F.pad(self.beginning, (0, 1), value=OLDEST)
        return first.expand(streams, -1, -1)

    def opened(self, memory: Tensor) -> Tensor:
        """What is read of a memory: all of it, as it is."""
        return memory

    def slot_keys(self, memory: Tensor) -> Tensor:
        """What a slot is found by: its content, normalised, its identity, and how long ago it was written.
        (B, K, width) -> (B, K, d)."""
        keys = self.norm(memory[..., : self.dim]) + self.identity
        return keys if self.age is None else keys + self.age(memory[..., self.dim])

    def slot_interest(self, memory: Tensor) -> Tensor | None:
        """What is added to the score of a slot whatever is asked, (B, K): at the start what is old is read less, and
        what was never written hardly at all. None without ages."""
        return None if self.age is None else self.recent * memory[..., self.dim]

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
        """One segment: memory (B, K, width), keys and values (B, N, d), keep (B, N) -> the memory after it.

        number: of the segment in its stream, from 0, one for all or (B,); `periods` looks at it. Where keep has no True
        the memory stays what it was; None: all items are real. A slot that is not written grows older.
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
        whole, memory = memory, memory[..., : self.dim]
        age = None if self.age is None else whole[..., self.dim]
        if self.competition:
            won = self._won_by(memory, age, self._contest(keys, values), keep, number)
            after, age, items, written = won.content, won.age, won.items.unsqueeze(1), won.written
            z = won.keep + (1 - won.keep) * self.cell.kept(won.new, won.old)
        else:
            alpha, mass = self._attention(memory, keys, keep)
            items = alpha[..., : keys.shape[1]]
            read = items @ self._heads(values)
            if self.self_keys:
                read = read + alpha[..., keys.shape[1] :] * self._heads(self.value(memory))
            after, z = self.cell(self.out(read.transpose(1, 2).flatten(2)), memory)
            after, age, written = self._put(memory, age, after, items.mean(1), mass.unsqueeze(-1), keep, number)
        return after if age is None else torch.cat([after, age.unsqueeze(-1)], -1), items, z, written

    def _contest(self, keys: Tensor, values: Tensor) -> Contest:
        """keys and values (..., N, d)."""
        weight: Tensor = self.out.weight.T
        bias: Tensor | None = self.out.bias
        if len(self.cell.read) == 1:  # two products in one, and out of the loop over segments
            own = self.cell.read_bias
            weight = weight @ self.cell.read[0]
            if bias is not None:
                bias = bias @ self.cell.read[0]
            if own is not None:
                bias = own[0, 0] if bias is None else bias + own[0, 0]
        ahead = keys @ self.fresh + self.fresh_bias if self.oldest_first else None
        return Contest(keys, values @ weight, ahead, (keys @ self.nobody + self.nobody_bias).unsqueeze(-2), bias)

    def _won_by(
        self, memory: Tensor, age: Tensor | None, one: Contest, keep: Tensor | None, number: Tensor | int
    ) -> Won:
        """memory (B, K, d), age (B, K)."""
        p = self._shares(memory, age, one, keep)
        share, strength = _one_after_another(p)
        items = share / (strength + 1e-3)
        new, old = items @ one.values, self.cell.of_memory(memory)
        if one.bias is not None:
            new = new + one.bias
        new = (self.cell.of_read(new) if len(self.cell.read) > 1 else new).to(memory.dtype)
        after, age, written = self._put(memory, age, gated_mix(new, old, memory, strength), share, p, keep, number)
        return Won(after, age, items, 1 - strength, new, old, written)

    def _put(
        self, memory: Tensor, age: Tensor | None, after: Tensor, share: Tensor, mass: Tensor, keep: Tensor | None,
        number: Tensor | int,
    ) -> tuple[Tensor, Tensor | None, Tensor]:  # fmt: skip
        """Content and ages of slots, of which those that are written come from `after`; share (B, K, N) of items, mass
        (B, K, .): whose sum says how much a slot wanted. And which these are, (B, K or 1)."""
        everything = torch.ones(memory.shape[0], 1, dtype=torch.bool, device=memory.device)
        written = everything if keep is None else keep.any(1).view(-1, 1)
        if self.sparse_write:
            mass = mass.sum(-1)
            written = written & (mass >= mass.topk(self.sparse_write, dim=1).values[:, -1:])
        if self.periods > 1:
            place = torch.as_tensor(number, device=memory.device).view(-1, 1)
            written = written & (place % (2 ** (torch.arange(self.slots, device=memory.device) % self.periods)) == 0)
        if written is not everything:
            after = torch.where(written.unsqueeze(-1), after, memory)
        if age is not None:
            age = self._aged(age, share, keep, None if written is everything else written)
        return after, age, written

    def _aged(self, age: Tensor, share: Tensor, keep: Tensor | None, written: Tensor | None) -> Tensor:
        """Ages (B, K) after a segment of which slots took the shares (B, K, N). written: which were; None: all."""
        count = share.shape[-1]
        if keep is None:
            since, old = torch.arange(count, 0, -1, device=age.device).float().log2(), older(age, count)
        else:
            since, old = ages_of(keep).unsqueeze(-2), older(age, keep.sum(-1, keepdim=True))
        new = torch.addcmul((share * since).sum(-1), 1 - share.sum(-1), old)
        new = new if written is None else torch.where(written, new, old)
        return new if keep is None else torch.where(keep.any(-1, keepdim=True), new, age)  # exactly, if nothing came

    def write(self, memory: Tensor, x: Tensor, keep: Tensor, number: Tensor | int = 0) -> tuple[Tensor, Writes]:
        """One segment from its items: x (B, N, d), keep (B, N) -> the memory after it."""
        keys, values = self.read_segments(x.unsqueeze(1), keep.unsqueeze(1))
        return self.step(memory, keys[:, 0], values[:, 0], keep, number)

    def _shares(self, memory: Tensor, age: Tensor | None, one: Contest, keep: Tensor | None) -> Tensor:
        """p (B, K, N), what each slot won of each item. age (B, K): of slots, where the oldest come first."""
        q = self.address + self.query(self.norm(memory))
        if self.additive is None:
            scores = q @ one.keys.mT * (self.sharp * self.dim**-0.5)
        else:
            scores = self.sharp * self._scores(self._heads(q), self._heads(one.keys)).squeeze(1)
        if one.ahead is not None and age is not None:
            scores = scores + turns(age, one.keys.shape[1]) * one.ahead.unsqueeze(1)
        p = torch.cat([scores, one.nobody], 1).float().softmax(1)[:, :-1]
        return (p if keep is None else p * keep.unsqueeze(1)).to(memory)

    def _attention(self, memory: Tensor, keys: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """alpha (B, H, K, N), and one more column with self_keys; each slot's interest in the segment, (B, K)."""
        q, k = self._heads(self.query(self.norm(memory) + self.identity)), self._heads(keys)
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
        (B, T + 1, K, width).  first: number of the first segment.
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
        whole = keep.device.type == "cpu" and bool(keep.all())
        there = [None] * x.shape[1] if whole else keep.unbind(1)
        keys, values = self.read_segments(x, keep)
        found = list[Tensor]()
        if not self.competition:
            for t, (key, value) in enumerate(zip(keys.unbind(1), values.unbind(1), strict=True)):
                memory = self._stepped(self._cut(memory, first, t), key, value, there[t], first + t)[0]
                found.append(memory)
            return torch.stack(found, 1)
        # What needs no memory is reckoned for all segments at once; content and ages go apart, as cutting them out of
        # each memory would write a gradient of its whole size for each.
        age = None if self.age is None else memory[..., self.dim]
        memory, ages = memory[..., : self.dim], list[Tensor]()
        every = self._contest(keys, values)
        ahead = None if every.ahead is None else every.ahead.unbind(1)
        parts = zip(every.keys.unbind(1), every.values.unbind(1), every.nobody.unbind(1), strict=True)
        for t, (key, value, nobody) in enumerate(parts):
            one = Contest(key, value, None if ahead is None else ahead[t], nobody, every.bias)
            memory, age = self._cut(memory, first, t), None if age is None else self._cut(age, first, t)
            memory, age, *_ = self._won_by(memory, age, one, there[t], first + t)
            found.append(memory)
            ages += [] if age is None else [age]
        content = torch.stack(found, 1)
        return torch.cat([content, torch.stack(ages, 1).unsqueeze(-1)], -1) if ages else content

    def _cut(self, memory: Tensor, first: Any, t: int) -> Tensor:
        """Without a way back for gradients, where `bptt` ends them."""
        ends = self.bptt and isinstance(first, int) and (first + t) % self.bptt == 0
        return memory.detach() if ends else memory


def _one_after_another(p: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of each item's share p (..., N) in a slot when the later ones have been written over it,
    w_n = p_n prod_(m > n) (1 - p_m), and the sum of it (..., 1), which is 1 - prod (1 - p)."""
    left = torch.log1p(-p.float().clamp(max=1 - 1e-6))
    later = left.sum(-1, keepdim=True) - left.cumsum(-1)
    w = p * later.exp().to(p)
    return w, w.sum(-1, keepdim=True)
