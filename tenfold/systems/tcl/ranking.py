"""All candidates of a question, without reading every tree anew.

With `tokens.gaps=child` no token but the query's own knows the moment of the question, and under the topology mask none
but the query attends to it. So what a tree's interactions say, their keys and values in every block, stays until the
node's next interaction: from question to question only the trees that grew are read again, and of each stream one row,
the query token's, is computed. Equal to scoring each pair in full but for rounding.

Shapes: n candidates, S = 2 M event tokens of each, H heads, D = d / H, Q questions.
"""

import numpy as np
import torch
from torch import Tensor

from tenfold.ops import dependency_trees
from tenfold.ops.one_query_attention import attend
from tenfold.systems.tcl.model import Block, TclNetwork
from tenfold.systems.tcl.options import Options
from tenfold.systems.tcl.tokens import Streams, Tokens
from tenfold.tasks.link_prediction.data import Queries
from tenfold.tasks.link_prediction.trained import moved


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


class Candidates:
    """What is kept of n candidates between questions; `at` brings it to a moment."""

    def __init__(self, network: TclNetwork, tokens: Tokens, nodes: np.ndarray) -> None:
        self.network, self.tokens, self.nodes = network, tokens, nodes.astype(np.int64)
        self.blocks: list[Block] = [block for kind, block in network.steps if kind == "self"]
        self.co: Block = network.steps[-1][1]
        n, width, d = len(nodes), 2 * tokens.options.past.most, network.output.out_features
        heads = tokens.options.heads
        self.roots = np.full(n, -1, np.int32)
        self.device = network.output.weight.device
        made = [torch.zeros(n, heads, width, d // heads, device=self.device) for _ in range(2 * len(self.blocks) + 2)]
        self.kept = [(made[2 * at], made[2 * at + 1]) for at in range(len(self.blocks) + 1)]
        self.there = torch.zeros(n, width, dtype=torch.bool, device=self.device)
        self.number = torch.zeros(n, width, dtype=torch.long, device=self.device)
        self.total = torch.zeros(n, d, device=self.device)  # of the event tokens after the blocks within the stream
        self.still = torch.zeros(n, d, device=self.device)  # the query token without its gap
        self.last = torch.zeros(n, dtype=torch.float64)  # moment of the root

    def at(self, cut: int, moment: float) -> tuple[Tensor, Tensor, Tensor]:
        """The query tokens (n, d) after the blocks within the stream, and their keys and values (n, H, D) for the other
        stream."""
        cuts = np.full(len(self.nodes), cut, np.int64)
        roots = dependency_trees.roots(self.tokens.links.index, self.nodes, cuts)
        grown = np.flatnonzero(roots != self.roots)
        if len(grown):
            self._read(grown, cuts[grown], roots)
        gap = torch.from_numpy(np.where(roots > 0, moment - self.last.numpy(), 0.0) / self.tokens.unit)
        layer = self.network.other_tokens
        time = layer.of_time(layer.time(gap.float().to(self.device)))
        x = layer.norm(self.still + time)
        for block, (keys, values) in zip(self.blocks, self.kept, strict=False):
            own = block.key(x).unflatten(1, (block.heads, -1)), block.value(x).unflatten(1, (block.heads, -1))
            q = block.query(x).unflatten(1, (block.heads, -1))  # (n, H, D)
            y = attend(q, own, keys, values, self.there)
            x = block.close(x, y.flatten(1))
        return x, self.co.key(x).unflatten(1, (self.co.heads, -1)), self.co.value(x).unflatten(1, (self.co.heads, -1))

    def _read(self, rows: np.ndarray, cuts: np.ndarray, roots: np.ndarray) -> None:
        """Trees that grew, from their tokens to their keys and values."""
        index, network = self.tokens.links.index, self.network
        moments = np.where(roots[rows] > 0, index.times[np.maximum(roots[rows] - 1, 0)], 0)
        streams = self.tokens.streams(self.nodes[rows], cuts, moments)  # asked at the root's moment: a gap of 0
        streams = moved(streams, self.device)
        layer, at = network.other_tokens, torch.from_numpy(rows).to(self.device)
        width = streams.event.shape[1] - 1
        self.still[at] = layer.still(streams)[:, 0]
        mask = streams.keep.unsqueeze(1) if streams.reach is None else streams.reach & streams.keep.unsqueeze(1)
        x = layer(streams)
        for keep, place in ((self.there, streams.keep[:, 1:]), (self.number, streams.number[:, 1:])):
            keep[at] = 0
            keep[at, :width] = place
        for block, (keys, values) in zip(self.blocks, self.kept, strict=False):
            key, value = block.keys_values(x)
            _put(keys, at, key[:, :, 1:])
            _put(values, at, value[:, :, 1:])
            x = block(x, (key, value), mask)
        key, value = self.co.keys_values(x[:, 1:])
        _put(self.kept[-1][0], at, key)
        _put(self.kept[-1][1], at, value)
        self.total[at] = (x[:, 1:] * streams.keep[:, 1:].unsqueeze(-1)).sum(1)
        self.last[torch.from_numpy(rows)] = torch.from_numpy(moments.astype(np.float64))
        self.roots[rows] = roots[rows]


def _put(kept: Tensor, rows: Tensor, values: Tensor) -> None:
    kept[rows] = 0.0
    kept[rows, :, : values.shape[2]] = values


@torch.no_grad()
def score_all(network: TclNetwork, tokens: Tokens, queries: Queries, nodes: np.ndarray) -> np.ndarray:
    """(Q, n): questions in order of time are fastest."""
    kept, co = Candidates(network, tokens, nodes), network.steps[-1][1]
    found = np.empty((len(queries.sources), len(nodes)))
    for q in range(len(queries.sources)):
        one = queries.take(slice(q, q + 1))
        streams = tokens.streams(one.sources.astype(np.int64), one.cuts, one.times)
        streams = moved(streams, kept.device)
        u = network.tokens(streams)
        for kind, block in network.steps:
            if kind == "self":
                mask = streams.keep.unsqueeze(1) if streams.reach is None else streams.reach & streams.keep.unsqueeze(1)
                u = block(u, block.keys_values(u), mask)
        v, v_key, v_value = kept.at(int(one.cuts[0]), float(one.times[0]))
        h_u, h_v = _between(network, co, kept, streams, u, v, v_key, v_value)
        if network.mean:
            size = kept.there.sum(1, keepdim=True) + 1
            mean_u = (u * streams.keep.unsqueeze(-1)).sum(1) / streams.keep.sum(1, keepdim=True)
            h_u = torch.cat([h_u, mean_u.expand(len(h_u), -1)], dim=1)
            h_v = torch.cat([h_v, (kept.total + v) / size], dim=1)
        scores = network.similarity(network.output(h_u), network.output(h_v))
        if network.of_pair is not None:
            pair = tokens.pairs(one, nodes[None]).to(kept.device)
            scores = scores + network.of_pair(pair[0])
        found[q] = scores.double().cpu().numpy()
    return found


def _between(
    network: TclNetwork,
    co: Block,
    kept: Candidates,
    streams: Streams,
    u: Tensor,
    v: Tensor,
    v_key: Tensor,
    v_value: Tensor,
) -> tuple[Tensor, Tensor]:
    """u (1, T, d), v (n, d) and its keys and values (n, H, D) -> the query tokens of both streams (n, d) each."""
    heads = co.heads
    q_u = co.query(u[:, 0]).unflatten(1, (heads, -1))[0]  # (H, D)
    q_v = co.query(v).unflatten(1, (heads, -1))  # (n, H, D)
    same_v = same_u = token = None
    if network.same is not None:
        own, token, u_node = torch.from_numpy(kept.nodes).to(kept.device), network.same, streams.number[0, 0]
        same_v = torch.cat([own.unsqueeze(1) == u_node, (kept.number == u_node) & kept.there], dim=1)
        same_u = (streams.number == own.unsqueeze(1)) & streams.keep  # (n, T)
    y_u = attend(q_u.unsqueeze(0), (v_key, v_value), *kept.kept[-1], kept.there, same_v, token)  # (n, H, D)
    own_u, rest = [(x[:, :, 0], x[:, :, 1:]) for x in co.keys_values(u)], streams.keep[:, 1:]
    y_v = attend(q_v, (own_u[0][0], own_u[1][0]), own_u[0][1], own_u[1][1], rest, same_u, token)
    return co.close(u[:, 0].expand(len(v), -1), y_u.flatten(1)), co.close(v, y_v.flatten(1))
