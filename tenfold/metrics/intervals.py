"""Intervals over units and over trainings: how far a figure could lie with other users, and with other seeds.

A figure of one method differs between seeds, and a figure of some users between users; an interval that knows of one of
the two alone is too narrow. With S seeds on the same U units a figure f[s, u] is taken as

    f[s, u] = mean + seed[s] + unit[u] + rest[s, u],

whose variances are estimated apart (random effects of two crossed factors). The mean over both is off by

    a + b:  a = the variance between the seeds' means / S, known with S - 1 degrees of freedom; holds rest / (S U) too,
            b = the variance between units' means / U, less what of it is `rest`: known well.

z^2 (a + b) would be the squared half-width if `a` were known; (t^2 - z^2) a is added for what `a` may be, less where b
is most of it: times (a / (a + b)) ^ SHARE. With SHARE = 0.8 coverage lies between 93.2 and 97 % for any a / b and any
number of seeds from two on, and is 95 % at both ends. (SHARE = 0 gives up to 98.7 %; the degrees of freedom after
Satterthwaite, which forget that they are estimated, give 87 % with two seeds.) tests/test_intervals.py simulates it.

Shapes: S seeds, U units, D draws.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tenfold.metrics.bootstrap import Interval, Z, interval_of, t_quantile
from tenfold.metrics.evaluation import Figure, draws_of, units_of, value_of

SHARE = 0.8
FAR = 1e9  # times the ratio that was found: beyond it a ratio counts as unbounded
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Sample:
    """A figure, once for each seed.

    values: (S,).  draws: (D, S), the figures of units drawn with replacement, the same units for all seeds; None where
    each seed has units of its own (its values differ by them already), or where there is only one unit.
    """

    values: np.ndarray
    draws: np.ndarray | None
    units: int

    @property
    def value(self) -> float:
        return float(self.values.mean())

    def less(self, times: float, other: "Sample") -> "Sample":
        """This figure less `times` the other's: pairs, seed by seed and draw by draw."""
        own, others = self._drawn(), other._drawn()
        drawn = None if own is None or others is None else own - times * others
        return Sample(self.values - times * other.values, drawn, max(self.units, other.units))

    def _drawn(self) -> np.ndarray | None:
        """A number that was measured once is the same in all draws."""
        return self.values[None] if self.units == 1 and len(self.values) == 1 else self.draws


def samples(figures: Mapping[Key, Sequence[Figure]], *, same_units: bool = True) -> dict[Key, Sample]:
    """Of each key's figures, one for each seed. same_units: all seeds were measured on the same units."""
    values = {key: np.array([value_of(one) for one in of]) for key, of in figures.items()}
    units = {key: min(map(units_of, of)) for key, of in figures.items()}
    drawn: dict[tuple[Key, int], np.ndarray] = {}
    if any(len(of) == 1 for of in figures.values()) or same_units:
        drawn = draws_of({(key, s): one for key, of in figures.items() if units[key] > 1 for s, one in enumerate(of)})
    return {
        key: Sample(
            values[key],
            np.stack([drawn[key, s] for s in range(len(of))], axis=1) if (key, 0) in drawn else None,
            units[key],
        )
        for key, of in figures.items()
    }


def interval(sample: Sample) -> Interval | None:
    """95 % interval of the mean over seeds and units: of one seed, over units alone, for this training.

    None where nothing can be said: of one unit, or of a statistic that most draws do not have.
    """
    seeds, value = len(sample.values), sample.value
    if sample.draws is None or sample.units == 1:
        return _of_seeds(sample.values) if seeds > 1 and sample.units > 1 else None
    draws = sample.draws[np.isfinite(sample.draws).all(1)]
    if len(draws) <= 0.5 * len(sample.draws):
        return None
    means = draws.mean(1)
    low, high = interval_of(means, value, sample.units)
    if seeds == 1:
        return low, high
    between = float(sample.values.var(ddof=1)) / seeds
    rest = (draws - draws.mean(0)) - (means - means.mean())[:, None]
    noise = float(rest.var(0).sum()) / (seeds - 1) / seeds
    spread = float(means.var())
    pure = max(spread - noise, 0.0)
    share = between / (between + pure) if between else 0.0
    added = (between * (Z**2 + (t_quantile(seeds - 1) ** 2 - Z**2) * share**SHARE)) ** 0.5
    kept = (pure / spread) ** 0.5 if spread else 0.0
    below, above = (float(np.hypot(kept * side, added)) for side in (value - low, high - value))
    return value - below, value + above


def _of_seeds(values: np.ndarray) -> Interval:
    """By t, of values (S,) that are independent in all: each seed drew data of its own."""
    half = float(t_quantile(len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def difference_interval(first: Sample, second: Sample) -> Interval | None:
    """95 % interval of first - second, paired."""
    return interval(first.less(1.0, second))


def ratio_interval(first: Sample, second: Sample) -> Interval | None:
    """95 % interval of first / second, neither below 0: the ratios r for which first - r * second may be 0 (Fieller).

    So it holds as often as an interval of a difference does, and a second figure that may be 0 leaves it unbounded.
    """
    whole = interval(first.less(0.0, second))
    if whole is None or interval(second.less(0.0, first)) is None:
        return None

    def end(times: float, side: int) -> float:
        found = interval(first.less(times, second))
        return found[side] if found is not None else np.nan

    start = first.value / second.value if second.value > 0 else 1.0
    low = 0.0 if whole[0] <= 0 else _crossing(lambda times: end(times, 0), 0.0, start or 1.0)
    high = _crossing(lambda times: end(times, 1), start if second.value > 0 else 0.0, start or 1.0)
    return low, high


def _crossing(end: Callable[[float], float], inside: float, step: float) -> float:
    """The first r from `inside` on at which `end` falls below 0; infinity where it does not."""
    outside = inside + step
    while not end(outside) < 0:
        inside, outside = outside, outside * 2
        if outside > FAR * step:
            return np.inf
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if end(middle) < 0 else (middle, outside)
    return (inside + outside) / 2
