"""What a claim may expect of figures, and the verdict that their intervals allow.

A verdict comes from a 95 % interval over units and seeds: holds, does not hold or, between the two, inconclusive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from typing import Any, Literal, Protocol

import numpy as np

from tenfold.errors import OptionError
from tenfold.metrics.bootstrap import DRAWS, Interval, quantiles
from tenfold.metrics.evaluation import Figure, Statistic, value_of
from tenfold.metrics.intervals import Sample, difference_interval, interval, ratio_interval, samples

Run = Mapping[str, Any]  # of one seed: by arm or name a figure of each unit (U,), a Statistic, repeats, or a number
Verdict = Literal["holds", "does not hold", "inconclusive", "reported", "not measured"]


@dataclass(frozen=True)
class Finding:
    """The figure that an expectation is about, its interval, and what follows from it."""

    verdict: Verdict
    value: float
    low: float
    high: float
    about: str  # what the figure is
    holds_from: float = -np.inf  # the values for which the expectation holds
    holds_to: float = np.inf
    others: Mapping[str, float] = field(default_factory=dict)  # what is shown beside it
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # of some of these


class Expectation(Protocol):
    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding: ...


def decided(about: str, value: float, low: float, high: float, least: float, most: float) -> Finding:
    """The interval against the values least .. most for which the claim holds."""
    if least <= low and high <= most:
        verdict: Verdict = "holds"
    else:
        verdict = "does not hold" if high < least or low > most else "inconclusive"
    return Finding(verdict, value, low, high, about, least, most)


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """The first arm is at least `times` the second."""

    first: str
    times: float
    second: str

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        return _ratio(runs, self.first, self.second, same_units, self.times, np.inf)


@dataclass(frozen=True, kw_only=True)
class AtMost:
    """The first arm is at most `times` the second: of figures of which less is better."""

    first: str
    times: float
    second: str

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        return _ratio(runs, self.first, self.second, same_units, -np.inf, self.times)


@dataclass(frozen=True, kw_only=True)
class AtLeastBy:
    """The first arm is above the second by at least `points`, in the figure's own unit: 0.05 is five points of a rate.

    Of figures of which less is better, name the rival first: it is above by so much.
    """

    first: str
    points: float
    second: str

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        found = _samples(runs, (self.first, self.second), same_units)
        first, second = found[self.first], found[self.second]
        value = first.value - second.value
        low, high = _ends(first.less(1.0, second), difference_interval(first, second))
        about = f"{self.first} - {self.second}"
        return with_changes(decided(about, value, low, high, self.points, np.inf), others=_means(runs))


@dataclass(frozen=True, kw_only=True)
class Within:
    """The first arm lies within `share` of the second, on either side."""

    first: str
    share: float
    second: str

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        return _ratio(runs, self.first, self.second, same_units, 1 - self.share, 1 + self.share)


def _ratio(runs: Sequence[Run], first: str, second: str, same_units: bool, least: float, most: float) -> Finding:
    means = _means(runs)
    if min(means[first], means[second]) < 0:
        raise OptionError(
            f"{first} has {means[first]:g} and {second} {means[second]:g}: of figures below 0 a ratio says nothing; "
            "claim their difference with AtLeastBy"
        )
    value = means[first] / means[second] if means[second] else np.inf if means[first] else np.nan
    found = _samples(runs, (first, second), same_units)
    if _exact(found[first]) and _exact(found[second]):
        low = high = value  # one number each, such as bytes: there is nothing to draw
    else:
        low, high = ratio_interval(found[first], found[second]) or (0.0, np.inf)
    return with_changes(decided(f"{first} / {second}", value, low, high, least, most), others=means)


def _figure(found: Any) -> Figure:
    return found if isinstance(found, Statistic) else np.ravel(np.asarray(found, dtype=float))


def _means(runs: Sequence[Run]) -> dict[str, float]:
    return {name: float(np.mean([value_of(_figure(run[name])) for run in runs])) for name in runs[0]}


def _samples(runs: Sequence[Run], names: Iterable[str], same_units: bool) -> dict[str, Sample]:
    return samples({name: [_figure(run[name]) for run in runs] for name in names}, same_units=same_units)


def _exact(sample: Sample) -> bool:
    """One number, measured once: it has no interval, and needs none."""
    return len(sample.values) == 1 and sample.units == 1


def _ends(sample: Sample, found: Interval | None) -> Interval:
    """The interval; a number that is exact is its own, and of what has none nothing is known."""
    if found is None:
        return (sample.value, sample.value) if _exact(sample) else (-np.inf, np.inf)
    return found


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A figure that `measure` brings, or an arm's, lies between two bounds, of which one may be left out.

    One number, measured once, is taken as exact; several (repeats, users, seeds) have the interval of their mean. What
    else was measured is shown beside it.
    """

    figure: str
    at_most: float = np.inf
    at_least: float = -np.inf

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        found = _samples(runs, [self.figure], same_units)[self.figure]
        low, high = _ends(found, interval(found))
        others = {name: value for name, value in _means(runs).items() if name != self.figure}
        return with_changes(decided(self.figure, found.value, low, high, self.at_least, self.at_most), others=others)


@dataclass(frozen=True, kw_only=True)
class SlopeAtMost:
    """A cost grows with the size at most as size ** slope: the least-squares slope of log cost over log size.

    `measure` brings, under `figure`, a table (sizes, 1 + repeats): the size, then its cost in each repeat. The interval
    draws repeats of each size; with one repeat the slope is taken as exact.
    """

    figure: str
    slope: float

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        points = np.asarray(runs[0][self.figure], dtype=float)  # `measure` is called once
        sizes, costs = points[:, 0], points[:, 1:]
        value = float(_slope(sizes, np.median(costs, axis=1)))
        low = high = value
        if costs.shape[1] > 1:
            rng = np.random.default_rng(0)
            drawn = rng.integers(costs.shape[1], size=(DRAWS, *costs.shape))
            medians = np.median(np.take_along_axis(costs[None], drawn, axis=2), axis=2)  # (DRAWS, sizes)
            low, high = quantiles(np.array([_slope(sizes, row) for row in medians]))
        return decided(f"slope of {self.figure}", value, low, high, -np.inf, self.slope)


def _slope(sizes: np.ndarray, costs: np.ndarray) -> Any:
    return np.polyfit(np.log(sizes), np.log(costs), 1)[0]


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Nothing is expected: what was measured is told, with its intervals. `figure` is the one that is drawn."""

    figure: str | None = None

    def finding(self, runs: Sequence[Run], *, same_units: bool) -> Finding:
        name = self.figure or next(iter(runs[0]))
        ends = {other: _ends(of, interval(of)) for other, of in _samples(runs, runs[0], same_units).items()}
        means, (low, high) = _means(runs), ends[name]
        told = {other: end for other, end in ends.items() if end[0] < end[1]}
        return Finding("reported", means[name], low, high, name, others=means, intervals=told)
