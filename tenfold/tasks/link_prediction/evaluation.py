"""How well interactions are foretold: one protocol for networks and rules, so that nobody sees another past.

What may be seen is a cut (data.py): everything strictly earlier, or what was before a block. True and false partners
are scored in one pass. Shapes: n interactions, C candidates.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.errors import DataError, OptionError
from tenfold.metrics import temporal
from tenfold.metrics.evaluation import Evaluation, Statistic
from tenfold.registry import load_class
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.negatives import BATCH, candidates, false_pairs
from tenfold.tasks.link_prediction.options import Protocol
from tenfold.tasks.link_prediction.stored import stored

if TYPE_CHECKING:
    from tenfold.tasks.link_prediction.task import LinkPrediction

BUDGET = 50_000_000  # pairs up to which all destinations are ranked
AT_ONCE = 400_000  # pairs that are scored together
RULES = ("recency", "partners-partners", "edgebank", "pair-count", "popular-partner")  # of the report beside a network
KINDS = ("repeat", "new pair", "new node")


@dataclass(frozen=True)
class Ranks:
    above: np.ndarray  # (n,)
    tied: np.ndarray  # (n,)


def measure(system: "LinkPrediction", links: Links, part: str, how: Protocol) -> Evaluation:
    """Raises DataError, OptionError."""
    rows = tested(links, part, how)
    queries = links.queries(rows, how.block)
    asked = _asked(links, rows, queries, how)
    ranks = rank(system, links, rows, queries, asked)
    average = how.ties == "average"
    per_unit = temporal.rank_figures(ranks.above, ranks.tied, average=average, protocol=_words(asked, how))
    statistics = _by_kind(links, rows, per_unit)
    whole: dict[str, float] = {}
    notes = [*links.sentences()]
    for kind in how.pairs:
        found, batches = _curves(system, links, rows, queries, kind, how.draw)
        if not found and not batches:
            notes.append(f"no false pair of kind '{kind}' can be drawn here: nothing is measured against them")
        statistics |= found
        whole |= batches
    if {"ap(random)", "ap(historical)"} <= statistics.keys():
        notes.append(_trap(statistics))
    if how.rules and system.trains:
        notes += _beside(links, rows, queries, asked, average)
    return Evaluation.of(
        per_unit, statistics=statistics, whole=whole, protocol=_told(links, part, how, asked), notes=notes
    )


def figure_names(links: Links, part: str, how: Protocol) -> list[str]:
    """What `measure` will call its figures. Raises DataError, OptionError."""
    rows = tested(links, part, how)
    asked = _asked(links, rows, links.queries(rows, how.block), how)
    words = _words(asked, how)
    nobody = np.zeros(len(rows), np.int64)
    found = temporal.rank_figures(nobody, nobody + 1, average=how.ties == "average", protocol=words)
    names = [*found, *_by_kind(links, rows, found)]
    for kind in how.pairs:
        if false_pairs(links, rows, kind, how.draw).there.any():
            names += [f"ap({kind})", f"auc({kind})"]
    return names


def tested(links: Links, part: str, how: Protocol) -> np.ndarray:
    """The interactions that are measured. Raises DataError, OptionError."""
    if part not in ("test", "validation"):
        raise OptionError(f"part is 'test' or 'validation'; found '{part}'")
    rows = getattr(links.rows, part)
    if not len(rows):
        raise DataError(
            f"{links.graph.report.source}: split '{links.name}' has no {part} part, so that there is nothing to "
            "measure; choose split=time"
        )
    if how.most and len(rows) > how.most:
        rows = rows[np.linspace(0, len(rows) - 1, how.most).astype(np.int64)]
    return rows


def _asked(links: Links, rows: np.ndarray, queries: Queries, how: Protocol) -> np.ndarray:
    """(C,), all destinations, or (n, C), a few of each query's own."""
    every = links.destinations
    if len(every) < 2:
        raise DataError(
            f"{links.graph.report.source} has one destination only: there is nothing to rank; give interactions with "
            "several"
        )
    if how.negatives:
        return stored(links, rows, Path(how.negatives))
    if how.candidates == "all" or (how.candidates == "auto" and len(every) * len(rows) <= BUDGET):
        return every
    return candidates(links, rows, queries.cuts, how.random, how.historical, how.draw)


def _words(asked: np.ndarray, how: Protocol) -> str:
    """What the candidates were, where they are not all."""
    return "" if asked.ndim == 1 else f"{asked.shape[1]} {'stored' if how.negatives else 'sampled'}"


def rank(system: "LinkPrediction", links: Links, rows: np.ndarray, queries: Queries, asked: np.ndarray) -> Ranks:
    """Where the true destination stands among the candidates, without other true ones of the moment."""
    true = links.graph.destinations[rows].astype(np.int64)
    others = links.same_moment(rows)
    above, tied = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    shared = asked.ndim == 1
    step = max(1, AT_ONCE // asked.shape[-1])
    place = np.full(links.graph.size + 1, -1)
    if shared:
        place[asked] = np.arange(len(asked))
    for first in range(0, len(rows), step):
        part = slice(first, min(first + step, len(rows)))
        some = queries.take(part)
        own = true[part]
        if shared:
            scores = system.scores(links, some, asked)
            there = np.ones(scores.shape, bool)
            there[np.arange(len(own)), place[own]] = False
            positive = scores[np.arange(len(own)), place[own]]
        else:
            each = np.concatenate([own[:, None], asked[part]], axis=1)
            scores = system.scores(links, some, each)
            positive, scores = scores[:, 0], scores[:, 1:]
            there = (asked[part] > 0) & (asked[part] != own[:, None])
        mine = others[(others[:, 0] >= part.start) & (others[:, 0] < part.stop)]
        for n, destination in mine.tolist():
            if shared:
                there[n - first, place[destination]] = False
            else:
                there[n - first] &= asked[n] != destination
        above[part], tied[part] = temporal.places(positive, scores, there)
    return Ranks(above, tied)


def kinds_of(links: Links, rows: np.ndarray) -> np.ndarray:
    """(n,) into KINDS: the pair was there before; it was not; one of the two was not trained on."""
    known = links.met[links.graph.sources[rows]] & links.met[links.graph.destinations[rows]]
    return np.where(links.repeats(rows), 0, np.where(known, 1, 2))


def _weighted(values: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights[chosen].sum())
    return float(weights[chosen] @ values[chosen]) / total if total else float("nan")


def _by_kind(links: Links, rows: np.ndarray, per_unit: dict[str, np.ndarray]) -> dict[str, Statistic]:
    name, values = next(iter(per_unit.items()))
    kinds = kinds_of(links, rows)
    return {
        f"{name}({words})": Statistic(partial(_weighted, values, kinds == number), len(rows))
        for number, words in enumerate(KINDS)
        if (kinds == number).any()
    }


def _curves(
    system: "LinkPrediction", links: Links, rows: np.ndarray, queries: Queries, kind: str, seed: int
) -> tuple[dict[str, Statistic], dict[str, float]]:
    """Average precision and area under the ROC against one false pair for each; as DyGLib, means over batches."""
    false = false_pairs(links, rows, kind, seed)
    true = links.graph.destinations[rows].astype(np.int64)
    if not false.there.any():
        return {}, {}
    same = np.array_equal(false.sources, queries.sources)
    positive, negative = np.empty(len(rows)), np.empty(len(rows))
    for first in range(0, len(rows), 1000):
        part = slice(first, first + 1000)
        some = queries.take(part)
        if same:
            both = system.scores(links, some, np.stack([true[part], false.destinations[part]], axis=1))
            positive[part], negative[part] = both[:, 0], both[:, 1]
        else:
            other = some._replace(sources=false.sources[part].astype(some.sources.dtype))
            positive[part] = system.scores(links, some, true[part, None])[:, 0]
            negative[part] = system.scores(links, other, false.destinations[part, None])[:, 0]
    if kind.startswith("dyglib_"):
        precision, area = temporal.batch_means(positive, negative, BATCH)
        return {}, {f"ap({kind})": precision, f"auc({kind})": area}
    positive, negative, units = positive[false.there], negative[false.there], int(false.there.sum())
    curves = {"ap": temporal.average_precision, "auc": temporal.area_under_roc}
    return {
        f"{name}({kind})": Statistic(partial(curve, positive, negative), units) for name, curve in curves.items()
    }, {}


def _trap(statistics: dict[str, Statistic]) -> str:
    easy, hard = statistics["ap(random)"].value, statistics["ap(historical)"].value
    return (
        f"average precision is {easy:.3f} against random partners and {hard:.3f} against the source's earlier ones: "
        "random partners are mostly strangers, so that the first figure mostly says who was seen before"
    )


def _beside(links: Links, rows: np.ndarray, queries: Queries, asked: np.ndarray, average: bool) -> list[str]:
    """What rules without training have on the same queries and candidates."""
    found = []
    for name in RULES:
        rule: Any = load_class(name)()
        ranks = rank(rule, links, rows, queries, asked)
        figure = next(iter(temporal.rank_figures(ranks.above, ranks.tied, average=average).values()))
        found.append(f"{name} {figure.mean():.3f}")
    return [f"beside it, mrr of rules without training: {', '.join(found)}"]


def _told(links: Links, part: str, how: Protocol, asked: np.ndarray) -> str:
    seen = "everything strictly earlier is seen" if not how.block else f"blocks of {how.block} see what was before them"
    ranked = (
        f"all {len(asked):,} destinations"
        if asked.ndim == 1
        else f"the false partners of {how.negatives}"
        if how.negatives
        else f"{how.random} random destinations and up to {how.historical} earlier partners, seed {how.draw}"
    )
    tied = "a random order of ties" if how.ties == "expectation" else "the middle rank of ties"
    some = f", {how.most:,} of them" if how.most and how.most < len(getattr(links.rows, part)) else ""
    return f"split '{links.name}', {part} part{some}; {seen}; ranked among {ranked}; {tied}"
