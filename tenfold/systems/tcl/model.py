"""The network of TCL (arXiv 2105.07944): two streams of tokens, attention within each, attention between them.

Sure from the paper: node, depth and time in a token, attention masked by the graph, two streams that exchange keys and
values, an objective that contrasts. Reconstructed: the formulas (README, "Where this differs"). Ours: the layer norm
over a token's parts, the side, the log of a gap, and, under `pair`, what the network is told of the pair.

Shapes: R streams, S tokens of each, d width, H heads, D = d / H, P pairs, Q queries, C candidates.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.dropout import Dropout
from tenfold.nn.linear import Linear
from tenfold.ops.products import affine
from tenfold.ops.ragged import Ragged
from tenfold.systems.tcl.options import Options
from tenfold.systems.tcl.pairs import PAIR
from tenfold.systems.tcl.tokens import Streams, TclBatch

KeysValues = tuple[Tensor, Tensor]  # (R, H, S, D) both


class TimeCode(nn.Module):
    """cos(w D + b), w from 1 down to 1e-9 at first, both trained; beside it, where asked for, log(1 + D)."""

    def __init__(self, dim: int, *, log: bool) -> None:
        super().__init__()
        self.frequency = nn.Parameter(10.0 ** (-9 * torch.arange(dim) / max(dim - 1, 1)))
        self.phase = nn.Parameter(torch.zeros(dim))
        self.log = log

    @property
    def width(self) -> int:
        return len(self.frequency) + self.log

    def forward(self, gap: Tensor) -> Tensor:
        """gap (R, S) float32 -> (R, S, width)"""
        code = torch.cos(gap.unsqueeze(-1) * self.frequency + self.phase)
        return torch.cat([code, gap.clamp(min=0).log1p().unsqueeze(-1)], dim=-1) if self.log else code


class TokenLayer(nn.Module):
    """A token: the sum of what is known of its node, its place, its side, its time and its interaction."""

    def __init__(self, options: Options, sizes: dict[str, int]) -> None:
        super().__init__()
        how, d = options.tokens, options.dim
        self.node_dropout, self.identity = how.node_dropout, how.identity
        rows = how.buckets if how.identity == "hashed" else sizes["entities"] + 1
        self.node = nn.Embedding(rows, d) if how.identity != "none" else None
        partners = sizes.get("partners", 0) if how.identity == "table" else 0
        self.partner = nn.Embedding(partners + 1, d) if partners else None  # row 0 is nobody's: both grow by themselves
        self.depth = nn.Embedding(1 + _places(options), d)
        self.side = nn.Embedding(3, d) if how.side else None
        self.time = TimeCode(how.times or d, log=how.log)
        self.of_time = Linear(self.time.width, d)
        self.of_node = nn.Linear(sizes["about"], d) if sizes.get("about") else None
        self.of_event = nn.Linear(sizes["features"], d) if sizes.get("features") else None
        self.kind = nn.Embedding(sizes["kinds"] + 1, d) if sizes.get("kinds") else None
        self.norm = nn.LayerNorm(d) if how.norm else nn.Identity()

    def forward(self, streams: Streams) -> Tensor:
        """-> (R, S, d)"""
        return self.norm(self.still(streams) + self.of_time(self.time(streams.gap)))

    def still(self, streams: Streams) -> Tensor:
        """(R, S, d): all but the gap's part, before the norm."""
        z = self.depth(streams.place)
        if self.node is not None:
            z = z + F.embedding(self._hidden(streams.node), self.table())
        if self.side is not None:
            z = z + self.side(streams.side)
        if self.of_node is not None and streams.about is not None:
            z = z + self.of_node(streams.about)
        if self.of_event is not None and streams.features is not None:
            z = z + self.of_event(streams.features)
        if self.kind is not None and streams.kind is not None:
            z = z + self.kind(streams.kind)
        return z

    def table(self) -> Tensor:
        """(rows, d): row 0 is a new node."""
        assert self.node is not None
        return self.node.weight if self.partner is None else torch.cat([self.node.weight, self.partner.weight[1:]])

    def _hidden(self, node: Tensor) -> Tensor:
        """In training some nodes of a batch are new ones, wherever they stand."""
        if not self.training or self.node_dropout == 0 or self.identity != "table":
            return node
        rows = self.table().shape[0]
        return node * (torch.rand(rows, device=node.device) >= self.node_dropout)[node]


def _places(options: Options) -> int:
    return options.past.depth if options.past.kind == "tree" else options.past.most


class Block(nn.Module):
    """Attention and a feed-forward layer, each followed by a norm; keys and values may be another stream's."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = Linear(dim, dim), Linear(dim, dim, bias=False), Linear(dim, dim)
        self.out = Linear(dim, dim)  # a key's bias would be the same for all keys, and change nothing
        self.inner, self.outer = Linear(dim, 4 * dim), Linear(4 * dim, dim)
        self.norm1, self.norm2, self.drop = nn.LayerNorm(dim), nn.LayerNorm(dim), Dropout(dropout)

    def keys_values(self, x: Tensor) -> KeysValues:
        """(R, S, d) -> (R, H, S, D) both"""
        return self.split(self.key(x)), self.split(self.value(x))

    def split(self, x: Tensor) -> Tensor:
        """(R, S, d) -> (R, H, S, D)"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(
        self, x: Tensor, keys_values: KeysValues, mask: Tensor, same: Tensor | None = None, token: Tensor | None = None
    ) -> Tensor:
        """x (R, T, d), mask (R, T or 1, S) bool -> (R, T, d).

        same (R, S) bool marks keys that are the partner's own: `token` (2, H, D) is added to their keys and values.
        """
        y = self.mix(self.split(self.query(x)), keys_values, mask, same, token)
        return self.close(x, y.transpose(1, 2).flatten(2))

    def mix(
        self, q: Tensor, keys_values: KeysValues, mask: Tensor, same: Tensor | None = None, token: Tensor | None = None
    ) -> Tensor:
        """q (R, H, T, D) -> (R, H, T, D): what is read; as `forward`."""
        key, value = keys_values
        weights = q @ key.mT  # (R, H, T, S)
        if same is not None and token is not None:
            weights = weights + (q * token[0].unsqueeze(1)).sum(-1, keepdim=True) * same[:, None, None, :]
        weights = weights / math.sqrt(q.shape[-1])
        weights = weights.masked_fill(~mask.unsqueeze(1), torch.finfo(weights.dtype).min).softmax(-1)
        if not self.training:
            self.weights = weights.detach()  # for pictures and explanations
        weights = self.drop(weights)
        y = weights @ value
        if same is not None and token is not None:
            y = y + (weights * same[:, None, None, :]).sum(-1, keepdim=True) * token[1].unsqueeze(1)
        return y

    def joined(self, *layers: nn.Linear) -> tuple[Tensor, Tensor]:
        """Weight and bias of one product in place of several of the same tokens."""
        none = torch.zeros_like(self.value.get_parameter("bias"))
        biases: list[Tensor] = [none if layer.bias is None else layer.bias for layer in layers]
        weights: list[Tensor] = [layer.weight for layer in layers]
        return torch.cat(weights), torch.cat(biases)

    def close(self, x: Tensor, y: Tensor) -> Tensor:
        """What follows attention, which read y for the tokens x (..., d)."""
        x = self.norm1(x + self.drop(self.out(y)))
        return self.norm2(x + self.drop(self.outer(self.drop(self.inner.rectified(x)))))

    weights: Tensor | None = None


class PairScore(nn.Module):
    """What the past says of a pair, as a part of its score: a weight for each number, and a small network beside it.

    The weights begin as `first_weights` finds them (pairs.py), the network beside them at 0. No bias: all candidates
    would share it.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.straight = nn.Linear(PAIR, 1, bias=False)
        self.bent = nn.Sequential(nn.Linear(PAIR, hidden), nn.GELU(), nn.Linear(hidden, 1, bias=False))
        for first in (self.straight, self.bent[2]):
            nn.init.zeros_(first.get_parameter("weight"))

    def forward(self, pair: Tensor) -> Tensor:
        """(..., PAIR) -> (...)"""
        return (self.straight(pair) + self.bent(pair)).squeeze(-1)


class TclNetwork(nn.Module):
    """Scores of pairs. What the graph knows of events (features, kinds) is given with each batch's tokens."""

    def __init__(self, options: Options, sizes: dict[str, int]) -> None:
        super().__init__()
        d, o = options.dim, options
        self.tokens = TokenLayer(o, sizes)
        self.other_tokens = self.tokens if o.share_streams else TokenLayer(o, sizes)
        made = {"self": o.self_blocks, "co": 0 if o.share_blocks else o.co_blocks}
        self.self_blocks = nn.ModuleList(Block(d, o.heads, o.dropout) for _ in range(made["self"]))
        self.co_blocks = nn.ModuleList(Block(d, o.heads, o.dropout) for _ in range(made["co"]))
        co = self.self_blocks if o.share_blocks else self.co_blocks
        each: list[tuple[str, Any]] = []  # kind and block
        if o.layout == "interleaved":
            for n in range(max(o.self_blocks, o.co_blocks)):
                each += [("self", self.self_blocks[n])] if n < o.self_blocks else []
                each += [("co", co[n])] if n < o.co_blocks else []
        else:
            each = [("self", b) for b in self.self_blocks] + [("co", co[n]) for n in range(o.co_blocks)]
        self.steps: list[tuple[str, Any]] = each
        self.mean = o.readout == "query+mean"
        self.output = Linear(2 * d if self.mean else d, d)
        self.score = o.score
        if o.score == "mlp":
            self.first, self.last = Linear(2 * d, d), nn.Linear(d, 1)
        else:
            self.predict = nn.Sequential(Linear(d, d), nn.ReLU(), Linear(d, d))
            self.log_temperature = nn.Parameter(torch.zeros(()))
            self.bilinear = nn.Linear(d, d, bias=False) if o.score == "bilinear" else None
        self.of_pair = PairScore(2 * d) if o.pair else None
        # what marks a token as the other stream's own node; not the paper's
        self.same = nn.Parameter(torch.zeros(2, o.heads, d // o.heads)) if o.pair and o.co_blocks else None
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def forward(self, batch: TclBatch) -> Tensor:
        """-> scores (Q, C), 0 where there is no candidate."""
        u, v = _Side.of(batch.sources, self.tokens), _Side.of(batch.candidates, self.other_tokens)
        steps = list(self.steps)
        while steps and steps[0][0] == "self":
            block = steps.pop(0)[1]
            only = not steps and not self.mean  # nothing but the query token is read of the last block
            u, v = u.within(block, only), v.within(block, only)
        one, two = batch.source_of.flatten(), batch.candidate_of.flatten()
        h_u, h_v = self._between(steps, batch, u, v, one, two) if steps else (u.first[one], v.first[two])
        if self.mean:
            h_u, h_v = torch.cat([h_u, u.mean[one]], dim=1), torch.cat([h_v, v.mean[two]], dim=1)
        scores = self.similarity(self.output(h_u), self.output(h_v)).view(batch.there.shape)
        if self.of_pair is not None and batch.pair is not None:
            scores = scores + self.of_pair(batch.pair)
        return scores.masked_fill(~batch.there, 0.0)

    def _between(
        self, steps: list[tuple[str, Block]], batch: TclBatch, u: "_Side", v: "_Side", one: Tensor, two: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The query tokens of both streams of each pair (P, d)."""
        keep_u, keep_v = batch.sources.keep[one], batch.candidates.keep[two]
        same_u = same_v = None
        if self.same is not None:
            same_v = (batch.candidates.number[two] == batch.sources.number[one, :1]) & keep_v  # (P, S)
            same_u = (batch.sources.number[one] == batch.candidates.number[two, :1]) & keep_u
        apart = False  # whether u and v are pairs' already
        for at, (kind, block) in enumerate(steps):
            last = at == len(steps) - 1
            if kind == "self":
                u, v = u.within(block, last), v.within(block, last)
                continue
            kv_u, kv_v = u.keys_values(block), v.keys_values(block)
            if not apart:
                kv_u, kv_v = kv_u[:, one], kv_v[:, two]
                u, v = (u.queries(one), v.queries(two)) if last else (u.take(one), v.take(two))
            elif last:
                u, v = u.queries(None), v.queries(None)
            apart = True
            old = v  # both read the other's old values
            u = u.across(block, kv_v, keep_v.unsqueeze(1), same_v, self.same)
            self.looks = [block.weights]
            v = old.across(block, kv_u, keep_u.unsqueeze(1), same_u, self.same)
            self.looks.append(block.weights)
        return u.first, v.first

    looks: Sequence[Tensor | None] = ()

    def looked_at(self) -> list[Tensor]:
        """Of the first pair that was scored last, not in training: the attention (S,) of the source's query token on
        the candidate's tokens, and the other way round; means over heads."""
        return [each[0, :, 0].mean(0) for each in self.looks if each is not None]

    def alone(self, streams: Streams, layer: TokenLayer) -> Tensor:
        """(R, d): streams read out without a partner.  layer: of their side, `tokens` or `other_tokens`."""
        x = layer(streams)
        for kind, block in self.steps:
            if kind == "self":
                x = _within(block, x, streams, False)
        found = torch.cat([x[:, 0], mean(x, streams.keep)], dim=1) if self.mean else x[:, 0]
        return self.output(found)

    def similarity(self, h_u: Tensor, h_v: Tensor) -> Tensor:
        """(P, d) both -> (P,)"""
        if self.score == "mlp":
            return self.last(F.relu(self.first(torch.cat([h_u, h_v], dim=1)))).squeeze(1)
        return self.likeness(self.predict(h_u), self.predict(h_v))

    def likeness(self, z_u: Tensor, z_v: Tensor) -> Tensor:
        """What is predicted of either side (P, d) -> (P,)"""
        if self.bilinear is not None:
            z_u = self.bilinear(z_u)
        temperature = self.log_temperature.exp().clamp(0.05, 10)
        return (z_u * z_v).sum(1) / (math.sqrt(z_u.shape[1]) * temperature)


def _within(block: Block, x: Tensor, streams: Streams, only: bool) -> Tensor:
    """Attention of a stream to itself; `only` for the query token alone."""
    mask = seen(streams)
    if only:
        return block(x[:, :1], block.keys_values(x), mask[:, :1])
    return block(x, block.keys_values(x), mask)


def seen(streams: Streams) -> Tensor:
    """(R, S or 1, S) bool: what each token of a stream attends to."""
    keep = streams.keep.unsqueeze(1)
    return keep if streams.reach is None else streams.reach & keep


def mean(x: Tensor, keep: Tensor) -> Tensor:
    """(R, S, d) -> (R, d): over the tokens that are there."""
    weight = keep.to(x.dtype).unsqueeze(-1)
    return (x * weight).sum(1) / weight.sum(1)


class _Side(NamedTuple):
    """Streams of one side between two blocks, without their padding."""

    x: Tensor  # (P, d): all tokens; (R, d): the query tokens alone, where `ragged` is none
    ragged: Ragged | None
    mask: Tensor | None = None  # (R, S or 1, S) bool: what each token attends to within the stream

    @classmethod
    def of(cls, streams: Streams, layer: TokenLayer) -> "_Side":
        ragged = Ragged(streams.keep)
        each: Any = [None if column is None else ragged.flat(column) for column in streams._replace(reach=None)]
        return cls(layer(Streams(*each)), ragged, seen(streams))

    @property
    def first(self) -> Tensor:
        """(R, d): the query tokens."""
        return self.x if self.ragged is None else self.x[self.ragged.first]

    @property
    def mean(self) -> Tensor:
        """(R, d): of all tokens of each stream."""
        assert self.ragged is not None
        return self.ragged.mean(self.x)

    def within(self, block: Block, only: bool) -> "_Side":
        """After attention to itself; `only` of the query token."""
        assert self.ragged is not None and self.mask is not None
        if only:
            x, both = self.first, self.keys_values(block)
            y = block.mix(_one(block.query(x), block.heads), (both[0], both[1]), self.mask[:, :1])
            return _Side(block.close(x, y.flatten(1)), None)
        three = affine(self.x, *block.joined(block.query, block.key, block.value))
        q, key, value = self.ragged.heads(three, block.heads, 3)
        return self._replace(x=block.close(self.x, self.ragged.packed(block.mix(q, (key, value), self.mask))))

    def keys_values(self, block: Block) -> Tensor:
        """(2, R, H, S, D)"""
        assert self.ragged is not None
        return self.ragged.heads(affine(self.x, *block.joined(block.key, block.value)), block.heads, 2)

    def across(self, block: Block, other: Tensor, mask: Tensor, same: Tensor | None, token: Tensor | None) -> "_Side":
        """After attention to the other side's keys and values (2, R, H, S, D)."""
        q, both = block.query(self.x), (other[0], other[1])
        if self.ragged is None:
            y = block.mix(_one(q, block.heads), both, mask, same, token).flatten(1)
        else:
            heads = self.ragged.heads(q, block.heads)[0]
            y = self.ragged.packed(block.mix(heads, both, mask, same, token))
        return self._replace(x=block.close(self.x, y))

    def take(self, rows: Tensor) -> "_Side":
        assert self.ragged is not None and self.mask is not None
        ragged, places = self.ragged.take(rows)
        return _Side(self.x[places], ragged, self.mask[rows])

    def queries(self, rows: Tensor | None) -> "_Side":
        """The query tokens alone."""
        return _Side(self.first if rows is None else self.first[rows], None)


def _one(q: Tensor, heads: int) -> Tensor:
    """(R, d) -> (R, H, 1, D)"""
    return q.unflatten(1, (heads, 1, -1))
