"""All candidates of a question, without reading every tree anew.

With `tokens.gaps=child` no token but the query's own knows the moment of the question, and under the topology mask none
but the query attends to it. So what a tree's interactions say, their keys and values in every block, stays until the
node's next interaction: from question to question only the trees that grew are read again, and of each stream one row,
the query token's, is computed. Trees that some questions ahead will need are read together, as those questions' own
are: a few at a time they would cost as much as all rows that are computed. Equal to scoring each pair in full but for
rounding.

Shapes: n candidates, S = 2 M event tokens of each, H heads, D = d / H, Q questions, R trees.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.ops import dependency_trees
from tenfold.ops.one_query_attention import attend
from tenfold.ops.products import affine
from tenfold.systems.tcl.model import Block, KeysValues, TclNetwork, mean, seen
from tenfold.systems.tcl.options import Options
from tenfold.systems.tcl.tokens import Streams, Tokens
from tenfold.tasks.link_prediction.data import Queries
from tenfold.tasks.link_prediction.trained import moved

AHEAD = 64  # questions whose own trees, and those of the candidates that grow before them, are read together
TREES = 2_048  # that are read together, at most
TOGETHER = 8  # questions that are scored together, so that a candidate's tree comes from memory once for them
ROWS = 4_096  # pairs that are scored together on a CPU: what is between two layers stays in its caches
ROWS_ELSEWHERE = 65_536


def fits(options: Options) -> bool:
    """Whether a network of these options can be ranked so."""
    return (
        options.past.kind == "tree"
        and options.past.topology
        and options.tokens.gaps == "child"
        and options.layout == "stacked"
        and not options.share_blocks
        and options.co_blocks == 1
    )


class Trees(NamedTuple):
    """What trees say, whoever asks and whenever."""

    keys_values: list[KeysValues]  # of each block, the one between the streams last: (R, H, S, D) both
    size: Tensor  # (R,): tokens of events, which come first
    number: Tensor  # (R, S): which nodes
    total: Tensor  # (R, d): the sum of the event tokens after the blocks within the stream
    still: Tensor  # (R, d): the query token without its gap

    def tensors(self) -> list[Tensor]:
        return [*(each for pair in self.keys_values for each in pair), *self[1:]]


Affine = tuple[Tensor, Tensor]  # weight (out, in), bias (out,)


class Layers(NamedTuple):
    """The network's products, as few as can be: several of the same rows are one, two behind one another too."""

    within: list[Affine]  # query, key and value of each block within a stream
    between: Affine  # of the block between them
    output: Affine | None  # of what is read from a stream into what is predicted, as far as its hidden units

    @classmethod
    def of(cls, network: TclNetwork) -> "Layers":
        *within, between = (block.joined(block.query, block.key, block.value) for _, block in network.steps)
        if network.score == "mlp":
            return cls(within, between, None)
        weight, bias = (network.predict[0].get_parameter(name) for name in ("weight", "bias"))
        return cls(within, between, (weight @ network.output.weight, weight @ network.output.bias + bias))


class Candidates:
    """What is kept of n candidates between questions: `look_ahead`, then `rows` of these questions.

    The first n trees are the candidates' own; behind them are those into which some grow before a later question.
    """

    def __init__(self, network: TclNetwork, tokens: Tokens, nodes: np.ndarray) -> None:
        self.network, self.tokens, self.nodes = network, tokens, nodes.astype(np.int64)
        self.blocks: list[Block] = [block for kind, block in network.steps if kind == "self"]
        self.co: Block = network.steps[-1][1]
        self.device = network.output.weight.device
        self.layers = Layers.of(network)
        self.roots = np.full(len(nodes), -1, np.int32)  # of the trees that are kept
        self.kept = self._empty(len(nodes) + TREES)

    def _empty(self, rows: int) -> Trees:
        width, d, heads = 2 * self.tokens.options.past.most, self.network.output.out_features, self.co.heads

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(rows, *shape, dtype=dtype, device=self.device)

        sizes = (heads, width, d // heads)
        keys_values = [(zeros(*sizes), zeros(*sizes)) for _ in range(len(self.blocks) + 1)]
        return Trees(keys_values, zeros(dtype=torch.long), zeros(width, dtype=torch.long), zeros(d), zeros(d))

    def look_ahead(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cuts (Q,), ascending -> of the first of these questions, as many as there is room for: which tree is each
        candidate's (q, n), and its root (q, n). All are read."""
        own = np.arange(len(self.nodes))
        found: list[tuple[np.ndarray, np.ndarray]] = []
        rows, now, used = [np.zeros(0, np.int64)], self.roots, 0
        for cut in cuts.tolist():
            before = now
            now = dependency_trees.roots(self.tokens.links.index, self.nodes, np.full(len(self.nodes), cut))
            grown = np.flatnonzero(now != before)
            if not found:  # these may be all of them
                for first in range(0, len(grown), TREES):
                    part = grown[first : first + TREES]
                    self._put(torch.from_numpy(part), self._read(part, now[part]))
                self.roots, tree = now, own
            elif used + len(grown) <= TREES:
                tree = tree.copy()
                tree[grown] = len(own) + used + np.arange(len(grown))
                rows.append(grown)
                used += len(grown)
            else:
                break
            found.append((tree, now))
        trees, roots = (np.stack(columns) for columns in zip(*found, strict=True))
        if used:
            every = np.concatenate(rows)
            at = len(own) + np.arange(used)
            read = self._read(every, np.concatenate([each[some] for (_, each), some in zip(found, rows, strict=True)]))
            self._put(torch.from_numpy(at), read)
        return trees, roots

    def settle(self, trees: np.ndarray, roots: np.ndarray) -> None:
        """The last question's trees (n,) and roots (n,) are what is kept."""
        grown = np.flatnonzero(trees >= len(self.nodes))
        at, rows = (torch.from_numpy(each).to(self.device) for each in (trees[grown], grown))
        for kept in self.kept.tensors():
            kept[rows] = kept[at]
        self.roots = roots

    def rows(self, trees: np.ndarray, roots: np.ndarray, moments: np.ndarray) -> tuple[Tensor, Tensor]:
        """trees, roots, moments (R,) of pairs -> the trees on the device; the query tokens (R, d) after the blocks
        within the stream."""
        times, layer = self.tokens.links.index.times, self.network.other_tokens
        last = times[np.maximum(roots - 1, 0)] if len(times) else np.zeros(len(roots))
        gap = torch.from_numpy((np.where(roots > 0, moments - last, 0) / self.tokens.unit).astype(np.float32))
        tree = torch.from_numpy(trees).to(self.device)
        x = layer.norm(self.kept.still[tree] + layer.of_time(layer.time(gap.to(self.device))))
        for block, three, (keys, values) in zip(self.blocks, self.layers.within, self.kept.keys_values, strict=False):
            q, *own = _three(three, x, block.heads)
            y = attend(q, (own[0], own[1]), keys, values, self.kept.size, tree)
            x = block.close(x, y.flatten(1))
        return tree, x

    def _read(self, rows: np.ndarray, roots: np.ndarray) -> Trees:
        """Trees of candidates, from their tokens to their keys and values."""
        times, layer = self.tokens.links.index.times, self.network.other_tokens
        moments = np.where(roots > 0, times[np.maximum(roots - 1, 0)], 0) if len(times) else np.zeros(len(roots))
        # just behind the root, and at its moment: a gap of 0
        streams = moved(self.tokens.streams(self.nodes[rows], roots.astype(np.int64), moments), self.device)
        x, found, width = layer(streams), self._empty(len(rows)), streams.event.shape[1] - 1
        found.still[:], found.size[:] = layer.still(streams)[:, 0], streams.keep[:, 1:].sum(1)
        found.number[:, :width] = streams.number[:, 1:]
        for block, (keys, values) in zip(self.blocks, found.keys_values, strict=False):
            key, value = block.keys_values(x)
            keys[:, :, :width], values[:, :, :width] = key[:, :, 1:], value[:, :, 1:]
            x = block(x, (key, value), seen(streams))
        key, value = self.co.keys_values(x[:, 1:])
        found.keys_values[-1][0][:, :, :width], found.keys_values[-1][1][:, :, :width] = key, value
        found.total[:] = (x[:, 1:] * streams.keep[:, 1:].unsqueeze(-1)).sum(1)
        return found

    def _put(self, rows: Tensor, read: Trees) -> None:
        at = rows.to(self.device)
        for kept, new in zip(self.kept.tensors(), read.tensors(), strict=True):
            kept[at] = new


def _three(layer: Affine, x: Tensor, heads: int) -> tuple[Tensor, ...]:
    """(R, d) -> query, key and value, (R, H, D) each"""
    return affine(x, *layer).unflatten(1, (3, heads, -1)).unbind(1)


class Asked(NamedTuple):
    """The questions' own streams after the blocks within them."""

    streams: Streams
    query: Tensor  # (Q, d): the query tokens
    asks: Tensor  # (Q, H, D): what they ask the other stream
    own: KeysValues  # theirs for the other stream: (Q, H, D) both
    rest: KeysValues  # and those of the other tokens: (Q, H, T, D) both
    size: Tensor  # (Q,): how many these are
    mean: Tensor  # (Q, d)

    @classmethod
    def of(cls, network: TclNetwork, tokens: Tokens, queries: Queries, device: torch.device) -> "Asked":
        streams = moved(tokens.streams(queries.sources.astype(np.int64), queries.cuts, queries.times), device)
        u = network.tokens(streams)
        for kind, block in network.steps:
            if kind == "self":
                u = block(u, block.keys_values(u), seen(streams))
        co = network.steps[-1][1]
        keys, values = co.keys_values(u)
        own, rest = (keys[:, :, 0], values[:, :, 0]), (keys[:, :, 1:].contiguous(), values[:, :, 1:].contiguous())
        asks, size = co.query(u[:, 0]).unflatten(1, (co.heads, -1)), streams.keep[:, 1:].sum(1)
        return cls(streams, u[:, 0], asks, own, rest, size, mean(u, streams.keep))


@torch.no_grad()
def score_all(network: TclNetwork, tokens: Tokens, queries: Queries, nodes: np.ndarray) -> np.ndarray:
    """(Q, n): questions in order of time are fastest."""
    kept, first = Candidates(network, tokens, nodes), 0
    found = np.empty((len(queries.sources), len(nodes)))
    while first < len(found):
        trees, roots = kept.look_ahead(queries.cuts[first : first + AHEAD])
        some = queries.take(slice(first, first + len(trees)))
        asked = Asked.of(network, tokens, some, kept.device)
        for at in range(0, len(trees), TOGETHER):
            part = slice(at, min(at + TOGETHER, len(trees)))
            scores = _scores(network, kept, asked, part, some.times, trees, roots)
            if network.of_pair is not None:
                scores = scores + network.of_pair(tokens.pairs(some.take(part), nodes[None]).to(kept.device))
            found[first + part.start : first + part.stop] = scores.double().cpu().numpy()
        kept.settle(trees[-1], roots[-1])
        first += len(trees)
    return found


def _scores(
    network: TclNetwork,
    kept: Candidates,
    asked: Asked,
    part: slice,
    times: np.ndarray,
    trees: np.ndarray,
    roots: np.ndarray,
) -> Tensor:
    """Some of the questions -> (q, n). The pairs of a candidate follow one another: their trees are mostly one."""
    count, n = part.stop - part.start, trees.shape[1]
    scores = torch.empty(count, n, device=kept.device)
    wide = max(1, (ROWS if kept.device.type == "cpu" else ROWS_ELSEWHERE) // count)
    for left in range(0, n, wide):
        columns = slice(left, left + wide)
        here = trees[part, columns].shape[1]
        question = np.tile(np.arange(part.start, part.stop), here)
        tree, v = kept.rows(trees[part, columns].T.ravel(), roots[part, columns].T.ravel(), times[question])
        nodes = torch.from_numpy(np.repeat(kept.nodes[columns], count)).to(kept.device)
        found = _pairs(network, kept, asked, torch.from_numpy(question).to(kept.device), tree, nodes, v)
        scores[:, columns] = found.view(here, count).T
    return scores


def _pairs(
    network: TclNetwork, kept: Candidates, asked: Asked, question: Tensor, tree: Tensor, nodes: Tensor, v: Tensor
) -> Tensor:
    """question, tree, nodes (R,): of each pair; v (R, d): the candidate's query token -> (R,)"""
    co, read, streams = kept.co, kept.kept, asked.streams
    u = asked.query[question]
    q_u, (q_v, *own_v) = asked.asks[question], _three(kept.layers.between, v, co.heads)
    own_u = asked.own[0][question], asked.own[1][question]
    same_v = same_u = None
    if network.same is not None:
        numbers = streams.number[question]  # (R, 1 + T)
        same_v = torch.cat([nodes.unsqueeze(1), read.number[tree]], dim=1) == numbers[:, :1]
        same_u = numbers == nodes.unsqueeze(1)
    y_u = attend(q_u, (own_v[0], own_v[1]), *read.keys_values[-1], read.size, tree, same_v, network.same)  # (R, H, D)
    y_v = attend(q_v, own_u, *asked.rest, asked.size, question, same_u, network.same)
    h = co.close(torch.cat([u, v]), torch.cat([y_u, y_v]).flatten(1))  # both sides
    if network.mean:
        mean_v = (read.total[tree] + v) / (read.size[tree] + 1).unsqueeze(1)
        h = torch.cat([h, torch.cat([asked.mean[question], mean_v])], dim=1)
    if kept.layers.output is None:
        return network.similarity(*network.output(h).chunk(2))
    return network.likeness(*network.predict[2](affine(h, *kept.layers.output, relu=True)).chunk(2))
