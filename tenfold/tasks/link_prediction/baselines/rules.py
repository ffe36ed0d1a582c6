"""Rules that order partners by what the past says of the pair, without training.

Each is one line over `ops/pair_facts`: the same compiled pass serves all of them, and the report beside every network.
EdgeBank: Poursafaei et al., NeurIPS 2022; popularity with decay: PopTrack (Daza et al. 2023).
Shapes: Q queries, C candidates, F facts.
"""

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.ops.pair_facts import Fact, facts
from tenfold.ops.temporal_index import TemporalIndex
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.options import EdgeBankOptions, RecencyOptions, RuleOptions
from tenfold.tasks.link_prediction.task import LinkPrediction
from tenfold.training import Stage

SPANS = 50  # half-lives in the time of the stream, where none is given


class Rule(LinkPrediction):
    options: Any
    tiny: ClassVar[Any] = RuleOptions()
    trains = False

    def build(self) -> nn.Module:
        return nn.Module()  # there is nothing to learn

    def stages(self, prepared: Links) -> Iterator[Stage]:
        yield from ()

    def scores(self, links: Links, queries: Queries, candidates: np.ndarray) -> np.ndarray:
        half_life = half_life_of(links, getattr(self.options, "half_life", 0.0))
        found = facts(links.index, queries.sources, queries.cuts, candidates, links.fading(half_life))
        return self.order(links, queries, found, popularity(links, queries, found, half_life))

    @abstractmethod
    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        """facts (Q, C, F), popularity (Q, C) in (0, 1) -> scores (Q, C)."""


class EdgeBank(Rule):
    """1 for pairs, in this direction, that are known; 0 for all others."""

    options: EdgeBankOptions
    tiny = EdgeBankOptions()

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        sent, last = facts[..., Fact.SENT], facts[..., Fact.LAST_SENT].astype(np.int64)
        if self.options.memory == "all":
            return (sent > 0).astype(np.float64)
        if self.options.memory == "threshold":
            pairs = _pairs(links.index)[0][queries.cuts]
            return (sent >= np.maximum(queries.cuts / np.maximum(pairs, 1), 1)[:, None]).astype(np.float64)
        times = np.concatenate([[-np.inf], links.index.times])
        return ((sent > 0) & (times[last] >= self._window(links, queries)[:, None])).astype(np.float64)

    def _window(self, links: Links, queries: Queries) -> np.ndarray:
        """(Q,): the time from which on a pair is known."""
        if self.options.memory == "repeat-window":
            newest = links.index.times[np.maximum(queries.cuts - 1, 0)]
            return newest - _pairs(links.index)[1][queries.cuts]
        return queries.times - float(self.statistics["window"])

    def training_statistics(self, prepared: Links, older: Any = None) -> dict[str, Tensor]:
        """window: how long the newest part of what precedes the test part is, as TGB has it."""
        before = np.sort(np.concatenate(prepared.rows[:2]))
        times = prepared.graph.times[before]
        window = times[-1] - np.quantile(times, 1 - self.options.window)
        return super().training_statistics(prepared, older) | {
            "window": torch.tensor(float(window), dtype=torch.float64)
        }


class LatestPartner(Rule):
    """Who was met last comes first; who never was, by popularity."""

    options: RecencyOptions
    tiny = RecencyOptions()

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        last = facts[..., Fact.LAST_SENT]
        if self.options.both:
            last = np.maximum(last, facts[..., Fact.LAST_RECEIVED])
        return np.where(last > 0, 1 + last, popularity)


class PopularPartner(Rule):
    """Who was a destination most often of late, for everybody."""

    options: RuleOptions

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        return popularity


class PairCount(Rule):
    """How often the source met the candidate."""

    options: RuleOptions

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        return facts[..., Fact.SENT]


class CommonPartners(Rule):
    """Adamic and Adar (2003) over the last partners of both; then by popularity."""

    options: RuleOptions

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        common = facts[..., Fact.ADAMIC_ADAR]
        return np.where(common > 0, 1 + common, popularity)


class PartnersPartners(Rule):
    """Whom the last partner met last, then whom the one before did; then by popularity."""

    options: RuleOptions

    def order(self, links: Links, queries: Queries, facts: np.ndarray, popularity: np.ndarray) -> np.ndarray:
        first, second = facts[..., Fact.BY_LAST], facts[..., Fact.BY_SECOND]
        other = np.where(second > 0, 1 + 1 / np.maximum(second, 1), popularity)
        return np.where(first > 0, 2 + 1 / np.maximum(first, 1), other)


def half_life_of(links: Links, given: float) -> float:
    times = links.index.times
    return given or float(times[-1] - times[0]) / SPANS


def popularity(links: Links, queries: Queries, facts: np.ndarray, half_life: float) -> np.ndarray:
    """In (0, 1), in the order of the fading counts at the moment of the query, and comparable between queries."""
    rate = np.log(2.0) / half_life if half_life > 0 else 0.0
    faded = rate * (queries.times - float(links.index.times[0]) if len(links.index) else queries.times)
    log = facts[..., Fact.POPULARITY] - faded[:, None]
    return 0.5 + 0.5 * log / (1 + np.abs(log))


@lru_cache(maxsize=4)
def _pairs(index: TemporalIndex) -> tuple[np.ndarray, np.ndarray]:
    """(E + 1,) both: of the first e interactions, how many pairs they are, and the mean over pairs of a pair's mean
    time between two of its interactions, 0 where it has one."""
    key = index.sources.astype(np.int64) * (index.nodes + 1) + index.destinations
    order = np.argsort(key, kind="stable")
    new = np.diff(key[order], prepend=-1) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    times, number = index.times[order].astype(np.float64), np.arange(len(order)) - first  # 0 for the first of a pair
    mean = np.where(number > 0, (times - times[first]) / np.maximum(number, 1), 0.0)
    before = np.where(number > 1, np.concatenate([[0.0], mean[:-1]]), 0.0)
    change, begins = np.empty(len(order)), np.empty(len(order))
    change[order], begins[order] = mean - before, new
    pairs = np.concatenate([[0], begins.cumsum()])
    return pairs, np.concatenate([[0.0], change.cumsum()]) / np.maximum(pairs, 1)
