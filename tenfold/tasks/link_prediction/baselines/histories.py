"""Networks of other papers that read each node's own last interactions: one sampler, one trainer, one loss for all.

Each is small and keeps what the paper is about: attention over neighbours (TGAT), mixing without attention
(GraphMixer), co-occurrence of both lists in one transformer (DyGFormer), a recurrent memory (TGN), a recurrent state
that is projected in time (JODIE). Memories are computed from the last interactions when they are asked for, in place of
being replayed: what is older than these is forgotten.

Shapes: R nodes at their moments, K interactions of each, d width, Q queries, C candidates, P = Q C pairs.
"""

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.dropout import Dropout
from tenfold.ops import temporal_sampling
from tenfold.tasks.link_prediction.baselines.options import HistoryOptions
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.options import LinkLoss, Training
from tenfold.tasks.link_prediction.trained import TrainedLinks

TINY = HistoryOptions(dim=16, recent=4, loss=LinkLoss(negatives=2),
                      training=Training(batch_size=8, lr=0.01, validated=40))  # fmt: skip


class Histories(NamedTuple):
    node: Tensor  # (R,) rows of the identity tables, 0 for a node that was not trained on
    partner: Tensor  # (R, K)
    gap: Tensor  # (R, K) float32, log(1 + the time to the question, in median gaps)
    keep: Tensor  # (R, K) bool


class HistoryBatch(NamedTuple):
    sources: Histories
    candidates: Histories
    source_of: Tensor  # (Q, C)
    there: Tensor  # (Q, C) bool
    shared: Tensor  # (P, 2, K, 2): how often each partner stands in the source's list, and in the candidate's


class HistoryNetwork(nn.Module):
    """What all of them know of a node's list. A subclass gives `forward`."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__()
        d = options.dim
        self.node = nn.Embedding(sizes["entities"] + 1, d)
        partners = sizes.get("partners", 0)
        self.partner = nn.Embedding(partners + 1, d) if partners else None
        self.frequency = nn.Parameter(2.0 ** torch.linspace(3, -5, d))
        self.time, self.drop = nn.Linear(d, d), Dropout(options.dropout)

    def table(self) -> Tensor:
        return self.node.weight if self.partner is None else torch.cat([self.node.weight, self.partner.weight[1:]])

    def tokens(self, histories: Histories) -> Tensor:
        """(R, K, d): whom, and how long ago."""
        code = self.time(torch.cos(histories.gap.unsqueeze(-1) * self.frequency))
        return (F.embedding(histories.partner, self.table()) + code) * histories.keep.unsqueeze(-1)


class TwoTowers(HistoryNetwork):
    """Each node by itself, then a product. A subclass gives `encode`."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        self.out, self.close = nn.Linear(2 * options.dim, options.dim), nn.Linear(options.dim, options.dim)

    @abstractmethod
    def encode(self, histories: Histories) -> Tensor:
        """(R, d)"""

    def represent(self, histories: Histories) -> Tensor:
        own = F.embedding(histories.node, self.table())
        return self.close(F.gelu(self.out(torch.cat([own, self.encode(histories)], dim=1))))

    def forward(self, batch: HistoryBatch) -> Tensor:
        u, v = self.represent(batch.sources)[batch.source_of.flatten()], self.represent(batch.candidates)
        return ((u * v).sum(1) / u.shape[1] ** 0.5).view(batch.there.shape).masked_fill(~batch.there, 0.0)


class Attending(TwoTowers):
    """TGAT: the node attends to its interactions (Xu et al., ICLR 2020)."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        d = options.dim
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d, bias=False), nn.Linear(d, d)

    def encode(self, histories: Histories) -> Tensor:
        z = self.tokens(histories)
        q = self.query(F.embedding(histories.node, self.table())).unsqueeze(1)
        weights = (q @ self.key(z).mT).squeeze(1) / z.shape[-1] ** 0.5
        none = ~histories.keep.any(1, keepdim=True)
        weights = weights.masked_fill(~histories.keep & ~none, torch.finfo(weights.dtype).min).softmax(-1)
        return (self.drop(weights).unsqueeze(-1) * self.value(z)).sum(1) * ~none


class Mixing(TwoTowers):
    """GraphMixer: a mixer over the list, a fixed code of time, no attention (Cong et al., ICLR 2023)."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        d, k = options.dim, options.recent
        self.frequency.requires_grad_(False)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.over_places = nn.Sequential(nn.Linear(k, 2 * k), nn.GELU(), Dropout(options.dropout), nn.Linear(2 * k, k))
        self.over_width = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), Dropout(options.dropout), nn.Linear(4 * d, d))

    def encode(self, histories: Histories) -> Tensor:
        z = self.tokens(histories)
        z = z + self.over_places(self.norm1(z).mT).mT
        z = (z + self.over_width(self.norm2(z))) * histories.keep.unsqueeze(-1)
        return z.sum(1) / histories.keep.sum(1, keepdim=True).clamp(min=1)


class Remembering(TwoTowers):
    """TGN: a memory that each interaction updates (GRU), then attention to the list (Rossi et al., 2020)."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        self.cell = nn.GRUCell(options.dim, options.dim)
        self.read = nn.Linear(options.dim, options.dim)

    def encode(self, histories: Histories) -> Tensor:
        z = self.tokens(histories)
        memory = z.new_zeros(len(z), z.shape[-1])
        for place in range(z.shape[1]):  # the oldest first
            memory = torch.where(histories.keep[:, place, None], self.cell(z[:, place], memory), memory)
        weights = (self.read(memory).unsqueeze(1) * z).sum(-1).masked_fill(~histories.keep, -1e9).softmax(-1)
        return memory + (weights.unsqueeze(-1) * z).sum(1)


class Projecting(TwoTowers):
    """JODIE: a recurrent state, drifting with the time since the last interaction (Kumar et al., KDD 2019)."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        self.cell = nn.RNNCell(options.dim, options.dim)
        self.drift = nn.Parameter(torch.zeros(options.dim))

    def encode(self, histories: Histories) -> Tensor:
        z = self.tokens(histories)
        state = z.new_zeros(len(z), z.shape[-1])
        for place in range(z.shape[1]):
            state = torch.where(histories.keep[:, place, None], self.cell(z[:, place], state), state)
        return state * (1 + histories.gap[:, -1:] * self.drift)


class CoOccurring(HistoryNetwork):
    """DyGFormer: both lists in one transformer, each partner with how often it stands in either (Yu et al., 2023)."""

    def __init__(self, sizes: dict[str, int], options: HistoryOptions) -> None:
        super().__init__(sizes, options)
        d = options.dim
        self.count = nn.Sequential(nn.Linear(2, d), nn.GELU(), nn.Linear(d, d))
        self.side = nn.Embedding(2, d)
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d, bias=False), nn.Linear(d, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.widen = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), Dropout(options.dropout), nn.Linear(4 * d, d))
        self.out, self.close = nn.Linear(2 * d, d), nn.Linear(d, d)

    def forward(self, batch: HistoryBatch) -> Tensor:
        one = batch.source_of.flatten()
        lists = [self.tokens(batch.sources)[one], self.tokens(batch.candidates)]
        keep = torch.cat([batch.sources.keep[one], batch.candidates.keep], dim=1)  # (P, 2 K)
        x = torch.cat([z + self.count(batch.shared[:, n]) + self.side.weight[n] for n, z in enumerate(lists)], dim=1)
        weights = self.query(self.norm1(x)) @ self.key(self.norm1(x)).mT / x.shape[-1] ** 0.5
        weights = weights.masked_fill(~keep.unsqueeze(1), -1e9).softmax(-1)
        x = x + self.drop(weights) @ self.value(self.norm1(x))
        x = x + self.widen(self.norm2(x))
        half = x.shape[1] // 2
        means = [
            (x[:, part] * keep[:, part, None]).sum(1) / keep[:, part].sum(1, keepdim=True).clamp(min=1)
            for part in (slice(0, half), slice(half, None))
        ]
        nodes = F.embedding(batch.sources.node[one], self.table()), F.embedding(batch.candidates.node, self.table())
        u, v = (self.close(F.gelu(self.out(torch.cat(pair, dim=1)))) for pair in zip(nodes, means, strict=True))
        return ((u * v).sum(1) / u.shape[1] ** 0.5).view(batch.there.shape).masked_fill(~batch.there, 0.0)


class HistoryMethod(TrainedLinks):
    """What a batch holds is the same for all of them."""

    options: HistoryOptions
    tiny = TINY
    network_class: type[HistoryNetwork]

    def build(self) -> HistoryNetwork:
        return self.network_class(self.sizes, self.options)

    def collate(self, links: Links, queries: Queries, candidates: np.ndarray) -> HistoryBatch:
        count = candidates.shape[1]
        cuts, times = np.repeat(queries.cuts, count), np.repeat(queries.times, count)
        sources, mine = self._histories(links, queries.sources.astype(np.int64), queries.cuts, queries.times)
        others, theirs = self._histories(links, candidates.ravel().astype(np.int64), cuts, times)
        source_of = np.repeat(np.arange(len(candidates))[:, None], count, axis=1)
        pair = mine[source_of.ravel()]  # (P, K)
        inside = [
            _counts(own, other) for own, other in ((pair, pair), (pair, theirs), (theirs, pair), (theirs, theirs))
        ]
        shared = np.stack([np.stack(inside[:2], -1), np.stack(inside[2:], -1)], axis=1)
        return HistoryBatch(
            sources,
            others,
            torch.from_numpy(source_of),
            torch.from_numpy(candidates > 0),
            torch.from_numpy(np.log1p(shared).astype(np.float32)),
        )

    def _histories(
        self, links: Links, nodes: np.ndarray, cuts: np.ndarray, times: np.ndarray
    ) -> tuple[Histories, np.ndarray]:
        """And whom the lists name, (R, K), by their numbers in the graph."""
        found = temporal_sampling.recent(links.index, nodes, cuts, self.options.recent)
        keep, rows = found.events > 0, links.identity()
        gap = np.where(keep, times[:, None] - found.times, 0) / links.median_gap
        numbers = [rows[nodes], rows[found.partners], np.log1p(np.maximum(gap, 0)).astype(np.float32), keep]
        return Histories(*map(torch.from_numpy, numbers)), found.partners

    def score_batch(self, batch: HistoryBatch) -> Tensor:
        return self.network(batch)


def _counts(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P, K) both -> (P, K): how often each partner of the first list stands in the second."""
    return ((one[:, :, None] == other[:, None, :]) & (one[:, :, None] > 0)).sum(2)


class TGAT(HistoryMethod):
    network_class = Attending


class GraphMixer(HistoryMethod):
    network_class = Mixing


class TGN(HistoryMethod):
    network_class = Remembering


class JODIE(HistoryMethod):
    network_class = Projecting


class DyGFormer(HistoryMethod):
    network_class = CoOccurring
