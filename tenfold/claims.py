"""A claim: what a paper says, how it is measured here, and the verdict that the figures allow.

A claim either fits arms, each within the same budget on the same data for several seeds, or brings its figures by its
own `measure`. What it may expect is in expectations.py. Of arms with fewer than three seeds there is no verdict.
"""

import importlib
import importlib.util
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tenfold.budget import Budget
from tenfold.comparison import BLUE, GREY, SEEDS_FOR_VERDICTS, machine, whisker
from tenfold.deprecated import old_arguments
from tenfold.errors import OptionError, nearest
from tenfold.expectations import (
    AtLeast,
    AtLeastBy,
    AtMost,
    Bound,
    Expectation,
    Finding,
    Reported,
    Run,
    SlopeAtMost,
    Within,
)
from tenfold.files import check_writable, save_figure, write_whole
from tenfold.metrics.evaluation import value_of
from tenfold.registry import SYSTEMS, load_class, rows
from tenfold.version import VERSION, code_commit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from tenfold.system import Evaluation, System

__all__ = [
    "AtLeast",
    "AtLeastBy",
    "AtMost",
    "Bound",
    "Claim",
    "Finding",
    "Reported",
    "SlopeAtMost",
    "Within",
    "claims_of",
    "run_claims",
]
Size = Literal["cpu", "gpu", "quick"]
SIZES: tuple[Size, ...] = ("cpu", "gpu", "quick")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`says` what the paper says, `source` where. With arms: `data(size, seed)` reads or draws what they are fitted on,
    `budget(size)` what each may cost, and the expectation compares their `metric`. Without: `measure(size)` brings the
    figures that the expectation names: numbers, or arrays of repeats; or a list of such, one for each seed, of the same
    units or, with same_units=False, of each seed's own.
    """

    name: str  # C1
    says: str
    source: str
    expect: Expectation
    measure: Callable[[Size], Run | list[Run]] | None = None
    data: Callable[[Size, int], Any] | None = None
    arms: "Callable[[Size], Mapping[str, System]] | None" = None  # unfitted
    budget: Callable[[Size], Budget] | None = None
    metric: str = "ndcg@10"
    seeds: Mapping[Size, int] = field(default_factory=lambda: {"cpu": 5, "gpu": 5, "quick": 2})
    split: str | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)  # what `evaluate` takes, e.g. exclude_seen
    same_units: bool = True  # of the seeds that `measure` brings
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
    trace: str = ""  # where that happened
    commit: str = field(default_factory=code_commit)
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
        found = _finite(dict(vars(self.finding))) if self.finding else {}
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
                "traceback": self.trace,
                "commit": self.commit,
            }
        )


def _finite(value: Any) -> Any:
    """JSON knows no infinity: what has no bound is null."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


class Measurements:
    """Measures claims; an arm that two of them share is fitted once. Fitted systems wait on disk: one is in memory."""

    def __init__(self, log: Callable[[str], None] = lambda line: None) -> None:
        self.log = log
        self._folder = tempfile.TemporaryDirectory(prefix="tenfold-claims-")
        self._fitted: dict[Any, Path] = {}
        self._evaluations: dict[Any, Evaluation] = {}

    def measure(self, claim: Claim, size: Size) -> Result:
        """What cannot be measured is a result as well: the others are not lost by it."""
        start = time.perf_counter()
        seeds, trained = (claim.seeds.get(size, 1), True) if claim.measure is None else (1, False)
        try:
            if claim.measure is None:
                runs, same = self._runs(claim, size, seeds)
            else:
                own = claim.measure(size)
                trained, same = isinstance(own, list), claim.same_units
                runs = own if isinstance(own, list) else [own]
                seeds = len(runs)
            finding = claim.expect.finding(runs, same_units=same)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            return Result(claim, size, None, seeds, time.perf_counter() - start, problem, traceback.format_exc())
        if trained and seeds < SEEDS_FOR_VERDICTS and finding.verdict in ("holds", "does not hold"):
            finding = with_changes(finding, verdict="inconclusive")
        return Result(claim, size, finding, seeds, time.perf_counter() - start)

    def _runs(self, claim: Claim, size: Size, seeds: int) -> tuple[list[Run], bool]:
        assert claim.data and claim.arms and claim.budget  # Claim sees to it
        runs: list[Run] = []
        datasets = set()
        for seed in range(seeds):
            budget, arms = with_changes(claim.budget(size), seed=seed), claim.arms(size)
            dataset = next(iter(arms.values())).read(claim.data(size, seed))
            datasets.add(dataset.fingerprint)
            run = {}
            for name, arm in arms.items():
                measured = self.evaluation(arm, dataset, claim.split, budget, claim.protocol).measured
                if claim.metric not in measured:
                    raise OptionError(f"there is no figure '{claim.metric}'; {nearest(claim.metric, measured)}")
                run[name] = measured[claim.metric]
                told = f"{claim.metric} {value_of(run[name]):.4f}"
                self.log(f"{claim.name}, seed {seed + 1} of {seeds}, {name}: {told}")
            runs.append(run)
        return runs, len(datasets) == 1

    def evaluation(
        self, arm: "System", dataset: Any, split: str | None, budget: Budget, protocol: Mapping[str, Any]
    ) -> "Evaluation":
        """Of the test part."""
        fit = (type(arm), repr(arm.options), dataset.fingerprint, split or arm.splits[0], budget)
        key = (fit, repr(sorted(protocol.items())))
        if key not in self._evaluations:
            if fit in self._fitted:
                system = type(arm).load(self._fitted[fit])
            else:
                system = arm.clone().fit(dataset, split=split, budget=budget)
                self._fitted[fit] = Path(self._folder.name) / f"{len(self._fitted)}"
                system.save(self._fitted[fit])
            self._evaluations[key] = system.evaluate(dataset, part="test", **protocol)
        return self._evaluations[key]


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


@old_arguments(tell="log")
def run_claims(
    name: str,
    *,
    size: Size = "cpu",
    only: Sequence[str] = (),
    quick: bool = False,
    output: str | Path | None = None,
    claims: Sequence[Claim] | None = None,
    log: Callable[[str], None] = print,
) -> list[Result]:
    """Measure the claims of a system and print what was found.

    quick: a smoke run, whose verdicts do not count.  output: folder of claims_NAME_SIZE.json, written after each claim,
    and of the plot, .png; what that file holds of claims that are not measured now, by the same version, on the same
    machine, stays there, each with its commit, and it is told; so claims may be measured in parts, one after another or
    at the same time.  claims: instead of those of the system's room.  log: called with each line of progress.
    Raises OptionError, OutputError.
    """
    from rich.console import Console

    if size not in SIZES:
        raise OptionError(f"there is no size '{size}'; {nearest(size, SIZES)}")
    asked: Size = "quick" if quick else size
    every = claims_of(name) if claims is None else claims
    wanted, measurements, results = chosen(every, only), Measurements(log), list[Result]()
    code_commit()  # that of the code which runs, whatever is written meanwhile
    path = None if output is None else Path(output) / f"claims_{name}_{asked}.json"
    if path is not None:
        check_writable(path.parent)
        _before(path, every, {claim.name for claim in wanted}, log)
    for claim in wanted:
        log(f"{claim.name}: {claim.says} ({claim.source})")
        results.append(measurements.measure(claim, asked))
        log(f"{claim.name}: {results[-1].verdict}, {results[-1].seconds:.0f} s")
        if results[-1].trace:
            log(results[-1].trace)
        if path is not None:
            _add(path, name, results, every)
    Console(width=None if sys.stdout.isatty() else 200).print(table(results))
    return results


def _add(path: Path, name: str, results: Sequence[Result], claims: Sequence[Claim]) -> None:
    """The file and its plot with these results. It is read again each time: another call may have added to it."""
    before = _before(path, claims, {result.claim.name for result in results}, lambda line: None)
    write_whole(path, to_json(name, results, before, claims).encode())
    found = {claim.name: _result(claim, before[claim.name]) for claim in claims if claim.name in before}
    found |= {result.claim.name: result for result in results}
    order = {claim.name: place for place, claim in enumerate(claims)}
    save_figure(plot(sorted(found.values(), key=lambda each: order[each.claim.name])), path.with_suffix(".png"))


def _result(claim: Claim, written: Mapping[str, Any]) -> Result:
    """What `Result.to_dict` wrote; older files hold neither traceback nor commit."""
    finding = None
    if "about" in written:
        ends = {"holds_from": -np.inf, "holds_to": np.inf, "low": -np.inf, "high": np.inf, "value": np.nan}
        values: dict[str, Any] = {each.name: written.get(each.name) for each in fields(Finding)}
        for name, end in ends.items():
            values[name] = end if values[name] is None else values[name]
        finding = Finding(**values)
    size: Size = "cpu" if written["counts"] else "quick"  # a plot asks only whether it counts
    return Result(
        claim, size, finding, written["seeds"], written["seconds"], written["problem"], written.get("traceback", ""),
        written.get("commit", ""), written["date"],
    )  # fmt: skip


def _before(path: Path, claims: Sequence[Claim], now: set[str], log: Callable[[str], None]) -> dict[str, Any]:
    """What an earlier call measured of claims that are not measured `now`, by name. Nothing of it is kept or left out
    in silence: of another version or machine it is left out, of another commit it is kept, and says so itself."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        kept = {one["name"]: one for one in found["claims"] if one["name"] not in now}
        same = (found["version"], found["machine"]) == (VERSION, machine())
        wanted = {claim.name: (claim.says, repr(claim.expect)) for claim in claims}
        stale = [each for each, one in kept.items() if wanted.get(each) != (one["says"], one["expected"])]
        others = {each: one.get("commit", "") for each, one in kept.items() if each not in stale}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        log(f"{path.name} cannot be read: what it held is left out")
        return {}
    if kept and not same:
        log(f"{path.name} is of another version or machine; left out of it: {', '.join(kept)}")
        return {}
    if stale:
        log(f"{path.name}: claimed otherwise by now, and left out: {', '.join(stale)}")
    older = [f"{each} ({of or 'no commit'})" for each, of in others.items() if of != code_commit()]
    if older:
        log(f"{path.name}: kept as measured at another commit than {code_commit() or 'this'}: {', '.join(older)}")
    notes = {claim.name: claim.note for claim in claims if claim.note}  # what must be known of it today
    return {each: kept[each] | {"note": notes.get(each, kept[each]["note"])} for each in others}


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
