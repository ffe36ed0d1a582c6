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
from tenfold.tasks.link_prediction.negatives import candidates, near_partners, uniforms
from tenfold.tasks.link_prediction.options import LinkLoss, Protocol
from tenfold.tasks.link_prediction.task import LinkPrediction
from tenfold.training import Draw, Loss, Stage, schedule

SPARE = 4  # draws of a false partner, of which the first that is none of the true ones counts
PAIRS_AT_ONCE = 4_096  # scored together

EPS = 1e-6  # of Adam: smaller gradients are rounding, which is another in each batch


class Weighed(NamedTuple):
    """A batch, and what is added to its scores (B, 1 + K) in the loss: how seldom each pair is drawn."""

    batch: Any
    offsets: Tensor


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
        near = near_partners(self.links, queries) if self.loss.historical else np.zeros((len(rows), 1), np.int64)
        asked = np.concatenate([true[:, None], self._false(draw, rows, near, true)], axis=1)
        batch = self.system.collate(self.links, queries, asked)
        if self.loss.historical:
            batch = Weighed(batch, torch.from_numpy(self._offsets(asked, near)))
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

    def _offsets(self, asked: np.ndarray, near: np.ndarray) -> np.ndarray:
        """(B, 1 + K) float32: minus the log of how likely each was to be drawn, up to a number for each row.

        Near ones are drawn far more often than others; without this a network would learn that they are seldom met.
        """
        count, every = self.loss.negatives, len(self.links.training_destinations)
        known = round(self.loss.historical * count)
        random = max(count - known, 0.5) / every  # where all are near: as if every second row had a random one
        there = (near > 0).sum(1)
        more = np.where(there > 0, known / np.maximum(there, 1), 0.0)[:, None]
        is_near = (asked[:, :, None] == near[:, None, :]).any(2)
        return np.where(is_near, -np.log1p(more / random), 0.0).astype(np.float32)

    def _false(self, draw: Draw, rows: np.ndarray, near: np.ndarray, true: np.ndarray) -> np.ndarray:
        """(B, K): random destinations of the training part and, a share of them, out of the near ones (B, .)."""
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
            earlier = self._near(seed, rows, near, true, known)
            for n in np.flatnonzero(np.isin(draw.indices, self.true[:, 0])):
                own = self.true[self.true[:, 0] == draw.indices[n], 1]
                earlier[n][np.isin(earlier[n], own)] = 0
            found[:, :known] = np.where(earlier > 0, earlier, found[:, :known])
        return found

    def _near(self, seed: int, rows: np.ndarray, near: np.ndarray, true: np.ndarray, count: int) -> np.ndarray:
        """(B, count): of the near ones (B, .) at random, 0 where there is none, or the draw hit the true one."""
        there = np.sort(near, axis=1)[:, ::-1]  # those that are there first
        many = (there > 0).sum(1)
        place = (uniforms(seed + 7, rows, count) * many[:, None]).astype(np.int64)
        found = np.take_along_axis(there, np.minimum(place, there.shape[1] - 1), axis=1)
        return np.where(found != true[:, None], found, 0)


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
        ahead, sources = (batch.destinations, batch.sources) if isinstance(batch, BothWays) else (batch, None)
        ahead, offsets = ahead if isinstance(ahead, Weighed) else (ahead, 0.0)
        scores = self.score_batch(ahead)
        there, weight = contrast(scores + offsets, self.options.loss)
        if sources is None:
            return there, weight
        others = self.score_batch(sources).view(len(scores), -1)
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
