"""What methods that are trained share: their samples, false partners to learn from, the loss, validation.

A method gives two functions: `collate`, numpy, looks the past up; `score_batch`, torch, says how likely each pair is.
Every sample looks up its own past, so that batches may be in any order, shared out, and restarted.

Shapes: B interactions of a batch, K false partners of each, Q queries, C candidates.
"""

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from tenfold.errors import DataError
from tenfold.metrics.temporal import rank_figures
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.evaluation import rank, tested
from tenfold.tasks.link_prediction.negatives import candidates, uniforms
from tenfold.tasks.link_prediction.options import LinkLoss, Protocol
from tenfold.tasks.link_prediction.task import LinkPrediction
from tenfold.training import Draw, Loss, Stage, schedule

SPARE = 4  # draws of a false partner, of which the first that is none of the true ones counts
PAIRS_AT_ONCE = 4_096  # scored together

EPS = 1e-6  # of Adam: smaller gradients are rounding, which is another in each batch


class BothWays(NamedTuple):
    """Batches of `loss.symmetric`: B x (1 + K) pairs of a source and its destinations, B K x 1 of false sources."""

    destinations: Any
    sources: Any


class LinkSamples:
    """Interactions to learn from, each with false destinations; a batch is what the method's `collate` makes of it."""

    def __init__(self, system: "TrainedLinks", links: Links, rows: np.ndarray) -> None:
        self.system, self.links, self.rows, self.loss = system, links, rows, system.options.loss
        self.true = links.same_moment(rows)
        if len(links.training_destinations) < 2:
            raise DataError(
                f"{links.graph.report.source} trains on one destination only: there is no false partner to learn from; "
                "give interactions with several"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, draw: Draw) -> Any:
        rows = self.rows[draw.indices]
        queries = self.links.queries(rows)
        true = self.links.graph.destinations[rows].astype(np.int64)
        asked = np.concatenate([true[:, None], self._false(draw, rows, queries, true)], axis=1)
        batch = self.system.collate(self.links, queries, asked)
        if not self.loss.symmetric:
            return batch
        count = self.loss.negatives
        others = queries.take(np.repeat(np.arange(len(rows)), count))._replace(sources=self._false_sources(draw, rows))
        return BothWays(batch, self.system.collate(self.links, others, np.repeat(true, count)[:, None]))

    def _false_sources(self, draw: Draw, rows: np.ndarray) -> np.ndarray:
        """(B K,): sources of the training part, none of whom meets the destination at that moment."""
        every = np.unique(self.links.graph.sources[self.links.rows.train])
        if len(every) < 2:
            raise DataError(
                f"{self.links.graph.report.source} trains on one source only: there is no false one to learn from; "
                "set loss.symmetric=false"
            )
        u = uniforms(draw.seed * 1_000_003 + draw.epoch + 11, rows, self.loss.negatives * SPARE)
        drawn = every[(u * len(every)).astype(np.int64)].reshape(len(rows), self.loss.negatives, SPARE)
        graph = self.links.graph
        index = self.links.index
        first, last = index.cuts(graph.times[rows]), np.searchsorted(graph.times, graph.times[rows], side="right")
        wrong = np.stack([
            np.isin(drawn[n], graph.sources[a:b][graph.destinations[a:b] == graph.destinations[row]])
            for n, (row, a, b) in enumerate(zip(rows, first, last, strict=True))
        ])  # fmt: skip
        return np.take_along_axis(drawn, wrong.argmin(2)[:, :, None], axis=2).ravel().astype(graph.sources.dtype)

    def _false(self, draw: Draw, rows: np.ndarray, queries: Queries, true: np.ndarray) -> np.ndarray:
        """(B, K): random destinations of the training part and, of a share of them, earlier partners of the source."""
        count, seed = self.loss.negatives, draw.seed * 1_000_003 + draw.epoch
        every = self.links.training_destinations
        u = uniforms(seed, rows, count * SPARE)
        drawn = every[(u * len(every)).astype(np.int64)].reshape(len(rows), count, SPARE)
        wrong = drawn == true[:, None, None]
        for n in np.flatnonzero(np.isin(draw.indices, self.true[:, 0])):
            own = self.true[self.true[:, 0] == draw.indices[n], 1]
            wrong[n] |= np.isin(drawn[n], own)
        found = np.take_along_axis(drawn, wrong.argmin(2)[:, :, None], axis=2)[:, :, 0].astype(np.int64)
        known = round(self.loss.historical * count)
        if known:
            earlier = self._earlier(seed, rows, queries, true, known)
            found[:, :known] = np.where(earlier > 0, earlier, found[:, :known])
        return found

    def _earlier(self, seed: int, rows: np.ndarray, queries: Queries, true: np.ndarray, count: int) -> np.ndarray:
        """(B, count): partners out of the source's past, and every second one a partner of such a partner, who is as
        near and as wrong; 0 where the draw hit none, or the true one."""
        found = self._drawn(
            uniforms(seed + 7, rows, count), np.repeat(queries.sources[:, None], count, 1), queries.cuts
        )
        found[:, 1::2] = self._drawn(uniforms(seed + 8, rows, count)[:, 1::2], found[:, 1::2], queries.cuts)
        allowed = np.zeros(self.links.graph.size + 1, bool)
        allowed[self.links.training_destinations] = True
        return np.where((found != true[:, None]) & (found != queries.sources[:, None]) & allowed[found], found, 0)

    def _drawn(self, u: np.ndarray, nodes: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        """u, nodes (B, n): a partner of each node out of its past, as often as they met; 0 where there is none."""
        index, asked = self.links.index, nodes.ravel()
        first = index.begin[asked]
        ends = zip(first, index.end[asked], np.repeat(cuts, nodes.shape[1]), strict=True)
        inside = np.array([np.searchsorted(index.events[f:e], cut, side="right") for f, e, cut in ends], np.int64)
        place = np.minimum(first + (u.ravel() * inside).astype(np.int64), max(len(index.partners) - 1, 0))
        return np.where(inside > 0, index.partners[place], 0).astype(np.int64).reshape(nodes.shape)


class TrainedLinks(LinkPrediction):
    """A method gives `build`, `collate` and `score_batch`; its options have the groups `loss` and `training`."""

    @abstractmethod
    def collate(self, links: Links, queries: Queries, candidates: np.ndarray) -> Any:
        """candidates (Q, C), 0 is none -> what `score_batch` takes: tensors on the CPU."""

    @abstractmethod
    def score_batch(self, batch: Any) -> Tensor:
        """-> (Q, C)"""

    def loss(self, batch: Any) -> Loss:
        """The true destination stands first."""
        if not isinstance(batch, BothWays):
            return contrast(self.score_batch(batch), self.options.loss)
        scores = self.score_batch(batch.destinations)
        others = self.score_batch(batch.sources).view(len(scores), -1)
        there, weight = contrast(scores, self.options.loss)
        back, _ = contrast(torch.cat([scores[:, :1], others], dim=1), self.options.loss)
        return (there + back) / 2, weight

    def stages(self, prepared: Links) -> Iterator[Stage]:
        training = self.options.training
        yield Stage(
            name="links",
            network=self.network,
            loss=self.loss,
            data=LinkSamples(self, prepared, prepared.rows.train),
            batch_size=training.batch_size,
            validate=partial(self._validate, prepared) if len(prepared.rows.validation) else None,
            optimizer=partial(Adam, lr=training.lr, eps=EPS),
            schedule=schedule(training.schedule, training.warmup),
            clip=training.clip,
        )

    def _validate(self, prepared: Links) -> dict[str, float]:
        """MRR on the validation part, or as many of it, among random destinations and earlier partners."""
        how = Protocol(most=self.options.training.validated)
        rows = tested(prepared, "validation", how)
        queries = prepared.queries(rows)
        if len(prepared.destinations) < 2:
            return {}
        asked = candidates(prepared, rows, queries.cuts, how.random, how.historical, how.draw)
        ranks = rank(self, prepared, rows, queries, asked)
        found = rank_figures(ranks.above, ranks.tied, (10,))
        return {name: float(found[name].mean()) for name in ("mrr", "hit@10")}

    @torch.no_grad()
    def scores(self, links: Links, queries: Queries, candidates: np.ndarray) -> np.ndarray:
        """A few queries at a time, so that memory does not grow with their number."""
        was_training = self.network.training
        self.network.eval()
        asked = np.broadcast_to(candidates, (len(queries.sources), candidates.shape[-1]))
        found = np.empty(asked.shape)
        wide = min(asked.shape[1], PAIRS_AT_ONCE)
        step = max(1, PAIRS_AT_ONCE // wide)
        for first in range(0, len(asked), step):
            some = queries.take(slice(first, first + step))
            for left in range(0, asked.shape[1], wide):
                part = asked[first : first + step, left : left + wide]
                batch = moved(self.collate(links, some, part), self.device)
                found[first : first + step, left : left + wide] = self.score_batch(batch).double().cpu().numpy()
        self.network.train(was_training)
        return found


def contrast(scores: Tensor, how: LinkLoss) -> Loss:
    """scores (Q, 1 + K), the true one first -> the sum over queries and how many they are.

    infonce: -log softmax of the true one (TCL's bound of the mutual information, van den Oord et al. 2018).  bce: each
    pair by itself, the false ones weighing as much as the true one together.
    """
    weight = torch.tensor(float(len(scores)), device=scores.device)
    if how.name == "infonce":
        return -F.log_softmax(scores.float(), dim=1)[:, 0].sum(), weight
    true, false = F.softplus(-scores[:, 0].float()), F.softplus(scores[:, 1:].float())
    return (true + false.mean(1)).sum(), weight


def moved(batch: Any, device: torch.device) -> Any:
    """A tensor, None, or a named tuple of these or of named tuples."""
    if batch is None or isinstance(batch, Tensor):
        return None if batch is None else batch.to(device)
    return type(batch)(*(moved(each, device) for each in batch))
