"""What `evaluate` gives: figures by name, and what it takes to say how sure they are.

A figure is a mean over units (users, pictures, pairs), a statistic of the whole set that can be computed again of
resampled units (an area under a curve, corpus BLEU), or neither (the share of a catalogue that is shown to anybody).
The first two have intervals, and can be compared between arms.

Shapes: U units, D draws.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tenfold.deprecated import old_attribute
from tenfold.errors import DataError
from tenfold.metrics.bootstrap import Interval, interval_of, resampled_means

STATISTIC_DRAWS = 1_000  # each computes the statistic again
MANY, DRAWS_OF_MANY = 10_000, 200  # units from which on fewer draws do: there they scatter as a normal distribution
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Statistic:
    """A figure of the whole set, which can be had again of resampled units.

    compute: weights (U,), how often each unit is drawn (all ones: the figure itself) -> the figure; NaN where these
    units have none (an area under a curve without a positive). It holds what it needs of the units and not the system:
    a comparison keeps it when the network is gone.  units: U.
    """

    compute: Callable[[np.ndarray], float]
    units: int

    @property
    def value(self) -> float:
        return float(self.compute(np.ones(self.units)))


Figure = np.ndarray | Statistic  # (U,): the figure is their mean


def units_of(figure: Figure) -> int:
    return figure.units if isinstance(figure, Statistic) else len(figure)


def value_of(figure: Figure) -> float:
    return figure.value if isinstance(figure, Statistic) else float(np.mean(figure))


def draws_of(figures: Mapping[Key, Figure]) -> dict[Key, np.ndarray]:
    """(D,) of each: units drawn with replacement, the same ones for figures of one kind with equally many units.

    A figure that is no number for some unit has draws that are none either. Raises DataError where there is one unit.
    """
    found: dict[Key, np.ndarray] = {}
    statistics = {name: one for name, one in figures.items() if isinstance(one, Statistic)}
    for units in dict.fromkeys(one.units for one in statistics.values()):
        alike = {name: one for name, one in statistics.items() if one.units == units}
        drawn = [[float(one.compute(weights)) for one in alike.values()] for weights in _drawn_units(units)]
        found |= zip(alike, np.array(drawn).T, strict=True)
    means = {name: np.asarray(one, float) for name, one in figures.items() if not isinstance(one, Statistic)}
    for units in dict.fromkeys(map(len, means.values())):
        sized = {name: values for name, values in means.items() if len(values) == units}
        whole = [name for name, values in sized.items() if np.isfinite(values).all()]
        table = resampled_means(np.stack([sized[name] for name in whole], axis=1)) if whole else np.zeros((1, 0))
        found |= {name: np.full(1, np.nan) for name in sized}
        found |= {name: table[:, column] for column, name in enumerate(whole)}
    return {name: found[name] for name in figures}


def _drawn_units(units: int) -> Iterator[np.ndarray]:
    """Weights (U,), draw by draw: how often each unit is drawn with replacement. The same ones for equal U."""
    rng = np.random.default_rng(0)
    for _ in range(STATISTIC_DRAWS if units <= MANY else DRAWS_OF_MANY):
        yield np.bincount(rng.integers(units, size=units), minlength=units).astype(np.float64)


class Evaluation(dict[str, float]):
    """Figures by name; beside them the protocol in a sentence, and what a reader must know (`notes`).

    per_unit: figures (U,) whose mean is the figure of that name, in an order that is the same for all systems on the
    same data.  statistics: figures of the whole set.  Both have 95 % intervals; other figures have none.
    """

    def __init__(self, figures: Mapping[str, float]) -> None:
        super().__init__(figures)
        self.protocol = ""
        self.notes: list[str] = []
        self.per_unit: dict[str, np.ndarray] = {}
        self.statistics: dict[str, Statistic] = {}
        self._intervals: dict[str, Interval] | None = None

    @classmethod
    def of(
        cls,
        per_unit: Mapping[str, np.ndarray],
        *,
        statistics: Mapping[str, Statistic] | None = None,
        whole: Mapping[str, float] | None = None,
        protocol: str,
        notes: Sequence[str] = (),
    ) -> "Evaluation":
        """The means of `per_unit`, the values of `statistics`, and `whole` as it is. Raises DataError."""
        statistics, whole = statistics or {}, whole or {}
        for name, values in per_unit.items():
            if np.ndim(values) != 1 or len(values) == 0:
                raise DataError(
                    f"the figure {name} needs one number for each unit that was tested; found {np.shape(values)}"
                )
        twice = [name for name in per_unit if name in statistics or name in whole] + [
            n for n in statistics if n in whole
        ]
        if twice:
            raise ValueError(f"two figures are called '{twice[0]}'")
        measured: dict[str, Figure] = {**per_unit, **statistics}
        found = cls({name: value_of(figure) for name, figure in measured.items()} | dict(whole))
        found.per_unit, found.statistics = dict(per_unit), dict(statistics)
        found.protocol, found.notes = protocol, list(notes)
        return found

    @property
    def measured(self) -> dict[str, Figure]:
        """The figures that units can be drawn for, in the order of the evaluation."""
        known: dict[str, Figure] = {**self.per_unit, **self.statistics}
        return {name: known[name] for name in [*(n for n in self if n in known), *(n for n in known if n not in self)]}

    @property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals by bootstrap over units, by figure: none of a single unit. Drawn when first asked for."""
        if self._intervals is None:
            several = {name: figure for name, figure in self.measured.items() if units_of(figure) > 1}
            self._intervals = {
                name: interval_of(draws[np.isfinite(draws)], self[name], units_of(several[name]))
                for name, draws in draws_of(several).items()
                if _enough(draws)
            }
        return self._intervals

    @intervals.setter
    def intervals(self, intervals: Mapping[str, Interval]) -> None:
        self._intervals = dict(intervals)

    by_user = old_attribute("by_user", "per_unit")


def _enough(draws: np.ndarray) -> bool:
    """A statistic that most draws do not have has no interval."""
    return bool(np.isfinite(draws).mean() > 0.5)


def base_name(figure: str) -> str:
    """A figure's name without list length, protocol or part: 'hr' of 'hr@10(sampled-100)', 'ece' of 'ece(attacked)'."""
    return re.split(r"\s*[@(]", figure, maxsplit=1)[0]
