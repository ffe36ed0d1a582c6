"""A claim: what a paper says, how it is measured here, and the verdict that the figures allow.

A verdict comes from a 95 % interval: holds, does not hold, or, between the two, not shown at this size. A claim either
fits arms, each within the same budget on the same data for several seeds, or brings its figures by its own `measure`.
"""

import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tenfold.budget import Budget
from tenfold.compare import BLUE, GREY, machine, save_figure, whisker
from tenfold.errors import OptionError, nearest
from tenfold.files import check_writable, write_whole
from tenfold.metrics.bootstrap import DRAWS, Figures, mean_interval, quantiles, ratio_interval
from tenfold.registry import SYSTEMS, load_class, rows
from tenfold.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from tenfold.system import System

Size = Literal["cpu", "gpu", "quick"]
Verdict = Literal["holds", "does not hold", "not shown at this size", "reported", "not measured"]
SIZES: tuple[Size, ...] = ("cpu", "gpu", "quick")


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


class Expectation(Protocol):
    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding: ...


def decided(about: str, value: float, low: float, high: float, least: float, most: float) -> Finding:
    """The interval against the values least .. most for which the claim holds."""
    if least <= low and high <= most:
        verdict: Verdict = "holds"
    else:
        verdict = "does not hold" if high < least or low > most else "not shown at this size"
    return Finding(verdict, value, low, high, about, least, most)


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """The first arm is at least `times` the second."""

    first: str
    times: float
    second: str

    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding:
        return _ratio(runs, self.first, self.second, same_users, self.times, np.inf)


@dataclass(frozen=True, kw_only=True)
class Within:
    """The first arm lies within `share` of the second, on either side."""

    first: str
    share: float
    second: str

    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding:
        return _ratio(runs, self.first, self.second, same_users, 1 - self.share, 1 + self.share)


def _ratio(runs: Sequence[Figures], first: str, second: str, same_users: bool, least: float, most: float) -> Finding:
    means = {name: float(np.mean([np.mean(run[name]) for run in runs])) for name in runs[0]}
    if min(means[first], means[second]) < 0:
        raise OptionError(
            f"{first} has {means[first]:g} and {second} {means[second]:g}: of figures below 0 a ratio says nothing; "
            "let the claim's measure bring their difference, and bound it"
        )
    value = means[first] / means[second] if means[second] else np.inf if means[first] else np.nan
    if all(np.ndim(run[name]) == 0 for run in runs for name in (first, second)):
        low = high = value  # one number each, such as bytes: there is nothing to draw
    else:
        low, high = ratio_interval(runs, first, second, same_users=same_users)
    return with_changes(decided(f"{first} / {second}", value, low, high, least, most), others=means)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A figure that `measure` brings lies between two bounds, of which one may be left out.

    One number is taken as exact; several (repeats, users) have the interval of their mean.
    """

    figure: str
    at_most: float = np.inf
    at_least: float = -np.inf

    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding:
        measured = [np.ravel(run[self.figure]) for run in runs]
        # the same users with several seeds are not so many more users
        values = (np.mean(measured, axis=0) if same_users else np.concatenate(measured)).astype(float)
        value = float(values.mean())
        low, high = (value, value) if len(values) == 1 else mean_interval(values)
        return decided(self.figure, value, low, high, self.at_least, self.at_most)


@dataclass(frozen=True, kw_only=True)
class SlopeAtMost:
    """A cost grows with the size at most as size ** slope: the least-squares slope of log cost over log size.

    `measure` brings, under `figure`, a table (sizes, 1 + repeats): the size, then its cost in each repeat. The interval
    draws repeats of each size; with one repeat the slope is taken as exact.
    """

    figure: str
    slope: float

    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding:
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
    """Nothing is expected: the means of what was measured are told. `figure` is the one that is drawn."""

    figure: str | None = None

    def finding(self, runs: Sequence[Figures], *, same_users: bool) -> Finding:
        name = self.figure or next(iter(runs[0]))
        found = Bound(figure=name).finding(runs, same_users=same_users)
        means = {other: float(np.mean([np.mean(run[other]) for run in runs])) for other in runs[0]}
        return with_changes(found, verdict="reported", others=means)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`says` what the paper says, `source` where. With arms: `data(size, seed)` reads or draws what they are fitted on,
    `budget(size)` what each may cost, and the expectation compares their `metric`. Without: `measure(size)` brings the
    figures that the expectation names: numbers, or arrays of repeats.
    """

    name: str  # C1
    says: str
    source: str
    expect: Expectation
    measure: Callable[[Size], Figures | Mapping[str, Any]] | None = None
    data: Callable[[Size, int], Any] | None = None
    arms: "Callable[[Size], Mapping[str, System]] | None" = None  # unfitted
    budget: Callable[[Size], Budget] | None = None
    metric: str = "ndcg@10"
    seeds: Mapping[Size, int] = field(default_factory=lambda: {"cpu": 5, "gpu": 5, "quick": 2})
    split: str | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)  # what `evaluate` takes, e.g. exclude_seen
    note: str = ""  # a deviation that a reader must know of

    def __post_init__(self) -> None:
        fits = [self.data, self.arms, self.budget]
        if (self.measure is None) != all(part is not None for part in fits) or (self.measure and any(fits)):
            raise OptionError(f"claim {self.name} needs either `measure`, or `data`, `arms` and `budget` together")


@dataclass(frozen=True)
class Result:
    """A claim, measured at a size."""

    claim: Claim
    size: Size
    finding: Finding | None
    seeds: int
    seconds: float
    problem: str = ""  # why it could not be measured
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))

    @property
    def counts(self) -> bool:
        return self.size != "quick"

    @property
    def verdict(self) -> str:
        found = self.finding.verdict if self.finding else "not measured"
        return found if self.counts or not self.finding else f"({found}; quick, does not count)"

    def to_dict(self) -> dict[str, Any]:
        claim = {"name": self.claim.name, "says": self.claim.says, "source": self.claim.source, "note": self.claim.note}
        found = {name: _finite(value) for name, value in vars(self.finding).items()} if self.finding else {}
        return (
            claim
            | {"verdict": "not measured"}
            | found
            | {
                "expected": repr(self.claim.expect),
                "counts": self.counts,
                "seeds": self.seeds,
                "seconds": round(self.seconds, 1),
                "date": self.date,
                "problem": self.problem,
            }
        )


def _finite(value: Any) -> Any:
    """JSON knows no infinity: what has no bound is null."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


class Measurements:
    """Measures claims; an arm that two of them share is fitted once."""

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        self.tell = tell
        self._fitted: dict[Any, System] = {}
        self._figures: dict[Any, dict[str, np.ndarray]] = {}

    def measure(self, claim: Claim, size: Size) -> Result:
        """What cannot be measured is a result as well: the others are not lost by it."""
        start = time.perf_counter()
        seeds = claim.seeds.get(size, 1) if claim.measure is None else 1
        try:
            runs, same = ([claim.measure(size)], True) if claim.measure else self._runs(claim, size, seeds)
            finding = claim.expect.finding(runs, same_users=same)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            return Result(claim, size, None, seeds, time.perf_counter() - start, problem)
        return Result(claim, size, finding, seeds, time.perf_counter() - start)

    def _runs(self, claim: Claim, size: Size, seeds: int) -> tuple[list[Figures], bool]:
        assert claim.data and claim.arms and claim.budget  # Claim sees to it
        runs: list[Figures] = []
        datasets = set()
        for seed in range(seeds):
            budget, arms = with_changes(claim.budget(size), seed=seed), claim.arms(size)
            dataset = next(iter(arms.values())).read(claim.data(size, seed))
            datasets.add(dataset.fingerprint)
            run = {}
            for name, arm in arms.items():
                figures = self.figures(arm, dataset, claim.split, budget, claim.protocol)
                if claim.metric not in figures:
                    raise OptionError(f"there is no figure '{claim.metric}'; {nearest(claim.metric, figures)}")
                run[name] = figures[claim.metric]
                told = f"{claim.metric} {run[name].mean():.4f}"
                self.tell(f"{claim.name}, seed {seed + 1} of {seeds}, {name}: {told}")
            runs.append(run)
        return runs, len(datasets) == 1

    def figures(
        self, arm: "System", dataset: Any, split: str | None, budget: Budget, protocol: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Of each user, of the test part."""
        fit = (type(arm), repr(arm.options), dataset.fingerprint, split or arm.splits[0], budget)
        if fit not in self._fitted:
            self._fitted[fit] = arm.clone().fit(dataset, split=split, budget=budget)
        key = (fit, repr(sorted(protocol.items())))
        if key not in self._figures:
            self._figures[key] = self._fitted[fit].evaluate(dataset, part="test", **protocol).per_unit
        return self._figures[key]


def claims_of(name: str) -> Sequence[Claim]:
    """The claims of a system, from its room's claims.py. Raises OptionError."""
    load_class(name)  # refuses a name that is in no table
    room = rows()[name].path.partition(":")[0].rpartition(".")[0]
    if importlib.util.find_spec(f"{room}.claims") is None:
        known = ", ".join(other for other, row in SYSTEMS.items() if row.path)
        raise OptionError(
            f"'{name}' makes no claims; {f'there are those of {known}' if known else 'no system does yet'}"
        )
    return importlib.import_module(f"{room}.claims").CLAIMS


def chosen(claims: Sequence[Claim], only: Sequence[str]) -> list[Claim]:
    """Those named, or whose name goes on from there in a word of its own: C7 is also 'C7 Base'. Raises OptionError."""
    known = [claim.name for claim in claims]
    for name in only:
        if not any(_begins(each, name) for each in known):
            raise OptionError(f"there is no claim '{name}'; {nearest(name, known)}")
    return [claim for claim in claims if not only or any(_begins(claim.name, name) for name in only)]


def _begins(name: str, words: str) -> bool:
    return f"{name} ".startswith(f"{words} ")


def run_claims(
    name: str,
    *,
    size: Size = "cpu",
    only: Sequence[str] = (),
    quick: bool = False,
    output: str | Path | None = None,
    claims: Sequence[Claim] | None = None,
    tell: Callable[[str], None] = print,
) -> list[Result]:
    """Measure the claims of a system and print what was found.

    quick: a smoke run, whose verdicts do not count.  output: folder of claims_NAME_SIZE.json, written after each claim,
    and of the plot, .png; what that file holds of claims that are not measured now, by the same version, on the same
    machine, stays there.  claims: instead of those of the system's room.  tell: called with each line of progress.
    Raises OptionError, OutputError.
    """
    from rich.console import Console

    if size not in SIZES:
        raise OptionError(f"there is no size '{size}'; {nearest(size, SIZES)}")
    asked: Size = "quick" if quick else size
    every = claims_of(name) if claims is None else claims
    wanted, measurements, results = chosen(every, only), Measurements(tell), list[Result]()
    stem = f"claims_{name}_{asked}"
    if output is not None:
        check_writable(Path(output))
    before = _before(Path(output) / f"{stem}.json", every) if output is not None else {}
    for claim in wanted:
        tell(f"{claim.name}: {claim.says} ({claim.source})")
        results.append(measurements.measure(claim, asked))
        tell(f"{claim.name}: {results[-1].verdict}, {results[-1].seconds:.0f} s")
        if output is not None:
            write_whole(Path(output) / f"{stem}.json", to_json(name, results, before, every).encode())
    if output is not None:
        save_figure(plot(results), Path(output) / f"{stem}.png")
    Console(width=None if sys.stdout.isatty() else 200).print(table(results))
    return results


def _before(path: Path, claims: Sequence[Claim]) -> dict[str, Any]:
    """What an earlier call measured of these claims, by name: nothing where the version or the machine was another."""
    try:
        found = json.loads(path.read_text())
        if found["version"] != VERSION or found["machine"] != machine():
            return {}
        wanted = {claim.name: (claim.says, repr(claim.expect)) for claim in claims}
        kept = {one["name"]: one for one in found["claims"]}
        return {name: one for name, one in kept.items() if wanted.get(name) == (one["says"], one["expected"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def to_json(
    name: str, results: Sequence[Result], before: Mapping[str, Any] | None = None, claims: Sequence[Claim] = ()
) -> str:
    """before: what was measured earlier, which this adds to, in the order of `claims`."""
    about = {"system": name, "size": results[0].size if results else None, "version": VERSION, "machine": machine()}
    found = dict(before or {}) | {result.claim.name: result.to_dict() for result in results}
    order = [claim.name for claim in claims if claim.name in found] or list(found)
    return json.dumps(about | {"claims": [found[each] for each in order]}, indent=1, default=str)


def listed(claims: Sequence[Claim]) -> "Table":
    """What is claimed, unmeasured."""
    return _table(["claim", "says", "source", "expected"], [[c.name, c.says, c.source, repr(c.expect)] for c in claims])


def table(results: Sequence[Result]) -> "Table":
    """What was found."""
    lines = []
    for result in results:
        found = result.finding
        shown = "" if found is None else f"{found.about} {found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
        others = "" if found is None else ", ".join(f"{name} {value:.4g}" for name, value in found.others.items())
        says = f"{result.claim.says} ({result.claim.source})"
        verdict = f"{result.verdict}{f': {result.problem}' if result.problem else ''}"
        lines.append([result.claim.name, says, shown, others, verdict, f"{result.seeds}", f"{result.seconds:.0f} s"])
    return _table(["claim", "says", "found [95 %]", "means", "verdict", "seeds", "took"], lines)


def _table(headers: list[str], lines: list[list[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    found = Table()
    for header in headers:
        found.add_column(header, overflow="fold")
    for line in lines:
        found.add_row(*map(Text, line))
    return found


def plot(results: Sequence[Result]) -> "Figure":
    """One row for each claim, with a scale of its own: the interval, and shaded where the claim holds."""
    from matplotlib.figure import Figure

    shown = [(result, result.finding) for result in results if result.finding and np.isfinite(result.finding.value)]
    figure = Figure(figsize=(9, 0.6 + 0.95 * max(len(shown), 1)), layout="constrained")
    rows = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    if not shown:
        rows[0].set_axis_off()
        rows[0].text(0, 0.5, "no claim was measured")
    for axes, (result, found) in zip(rows, shown, strict=False):
        ends = [found.value, found.low, found.high, found.holds_from, found.holds_to]
        finite = [x for x in ends if np.isfinite(x)]
        margin = 0.12 * (max(finite) - min(finite)) or 0.1 * abs(found.value) or 0.1
        left, right = min(finite) - margin, max(finite) + margin
        if np.isfinite([found.holds_from, found.holds_to]).any():
            axes.axvspan(max(found.holds_from, left), min(found.holds_to, right), color="#dff0e2")
        low, high = max(found.low, left), min(found.high, right)
        whisker(axes, 0, found.value, (low, high), BLUE if found.verdict in ("holds", "reported") else GREY)
        axes.set_xlim(left, right)
        axes.set_ylim(-1, 1)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        title = f"{result.claim.name}  {found.about}: {result.verdict}"
        axes.set_title(title, loc="left", fontsize=9, parse_math=False)
    return figure
