"""Arms side by side: one data set, one split, one budget, as many trials and seeds, intervals over the same users.

What is compared is the test part. The validation part chooses: among the trials of a search, and which arm the
differences are to. One table, one plot, one JSON.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arms import Arm, Cost, fit_measured, parse_arms, plain
from tenfold.budget import Budget
from tenfold.comparison import Comparison, Row
from tenfold.deprecated import old_arguments
from tenfold.errors import DataError, OptionError, nearest
from tenfold.metrics.bootstrap import Interval
from tenfold.metrics.evaluation import units_of
from tenfold.metrics.intervals import difference_interval, interval, samples
from tenfold.tune import Tuned, check_measurable, tune, watched

if TYPE_CHECKING:
    from tenfold.system import Evaluation, System


@dataclass
class _Measured:
    """An arm, fitted and measured once for each seed."""

    arm: Arm
    tuned: Tuned | None = None
    system: "System | None" = None  # of the first seed, where it is kept
    options: Any = None
    parameters: int = 0
    stages: int = 0
    costs: list[Cost] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of answering
    evaluations: "list[Evaluation]" = field(default_factory=list)
    validations: list[float] = field(default_factory=list)  # the watched figure of the validation part

    def again(self) -> None:
        """The first seed's once more."""
        self.costs += self.costs[:1]
        self.seconds += self.seconds[:1]
        self.evaluations += self.evaluations[:1]
        self.validations += self.validations[:1]

    def figure(self, name: str) -> float:
        return float(np.mean([evaluation[name] for evaluation in self.evaluations]))


@dataclass(frozen=True)
class _How:
    """What is the same for all arms."""

    split: str
    budget: Budget
    seeds: int
    trials: int
    against: str
    keep: bool
    log: Callable[[str], None]
    protocol: Mapping[str, Any]


@old_arguments(reading="read_options", tell="log")
def compare(
    data: Any,
    arms: "Sequence[str | System | Arm] | Mapping[str, str | System | Arm]",
    *,
    split: str | None = None,
    budget: Budget | None = None,
    seeds: int = 1,
    trials: int = 0,
    metric: str | None = None,
    against: str = "best",
    keep: bool = False,
    read_options: Any = None,
    inputs: Mapping[str, Any] | None = None,
    log: Callable[[str], None] = lambda line: None,
    **protocol: Any,
) -> Comparison:
    """Fit every arm on the same training part within the same budget, and measure it on the same test part.

    data: what `fit` takes.  arms: as in `parse_arms`.  seeds: trainings of each arm, from the budget's seed on; with
    fewer than three it is not said that a method is better.  trials: with n > 0 every arm is searched with n trials
    first.  metric: the watched figure.  against: the label of the arm that differences are to, or 'best' for the one
    that is best on the validation part.  keep: whether `systems` of the comparison holds the fitted ones of the first
    seed; else none outlives its measurement.  log: called with a line after each arm.  protocol: what `evaluate`
    takes, e.g. exclude_seen=True.  Raises OptionError, DataError.
    """
    chosen, budget = parse_arms(arms), budget or Budget()
    split = split or chosen[0].kind.splits[0]
    how = _How(split, budget, seeds, trials, against, keep, log, protocol)
    _check(chosen, how)
    dataset = chosen[0].system().read(data, read_options, **(inputs or {}))
    check_measurable(chosen[0], dataset, metric, split=split, **protocol)
    done: list[_Measured] = []
    for number, arm in enumerate(chosen, start=1):
        one, metric = _measure(arm, dataset, metric, how, alone=len(chosen) == 1)
        done.append(one)
        seconds = sum(cost.seconds for cost in one.costs)
        log(f"{number} of {len(chosen)}, {arm.label}: {metric} {one.figure(metric):.4f}, fitted in {seconds:.1f} s")
    assert metric is not None  # there is at least one arm
    return _compared(done, metric, how, dataset.fingerprint)


def _check(arms: list[Arm], how: _How) -> None:
    """What cannot be compared, before anything is read. Raises OptionError."""
    if how.against != "best" and how.against not in (labels := [arm.label for arm in arms]):
        raise OptionError(f"there is no arm '{how.against}' to compare with; {nearest(how.against, labels)}")
    if how.trials < 0:
        raise OptionError(f"trials = {how.trials}: give 0 for no search, or the number of trials of each arm")
    if how.seeds < 1:
        raise OptionError(f"seeds = {how.seeds}: give the number of trainings of each arm, 1 or more")
    first = arms[0]
    for arm in arms:
        arm.kind.as_protocol(how.protocol)
        if (arm.kind.protocol, arm.kind.units) != (first.kind.protocol, first.kind.units):
            raise OptionError(f"arms '{first.label}' and '{arm.label}' are of two tasks; compare systems of one")
        if how.split not in arm.kind.splits:
            raise OptionError(f"arm '{arm.label}' knows the splits {', '.join(arm.kind.splits)}; found '{how.split}'")


def _measure(arm: Arm, dataset: Any, metric: str | None, how: _How, *, alone: bool) -> tuple[_Measured, str]:
    """Each seed's system is dropped when it is measured: of many arms with many seeds one is in memory at a time."""
    one, split, budget = _Measured(arm), how.split, how.budget
    for seed in range(how.seeds):
        limits = with_changes(budget, seed=budget.seed + seed)
        if seed and not arm.kind.trains:  # it would only count again, to the same figures
            one.again()
            continue
        if how.trials and not seed:
            search: dict[str, Any] = {"trials": how.trials, "split": split, "budget": limits, "metric": metric}
            tuned = tune(arm, dataset, **search, log=how.log, **how.protocol)
            system, cost = tuned.system, tuned.cost
            one.tuned = with_changes(tuned, system=arm.system(tuned.best))  # the search's, without its weights
        else:
            system = arm.system(one.options)
            cost = fit_measured(system, dataset, split=split, budget=limits)
        start = time.perf_counter()
        evaluation = system.evaluate(dataset, split=split, part="test", **how.protocol)
        one.seconds.append(time.perf_counter() - start)
        metric = watched(evaluation, metric)
        if how.against == "best" and not alone:
            one.validations += _validated(system, dataset, metric, how)
        one.costs.append(cost)
        one.evaluations.append(evaluation)
        if not seed:
            one.options, one.stages = system.options, len(system.history)
            one.parameters = sum(weight.numel() for weight in system.network.parameters())
            one.system = system if how.keep else None
    assert metric is not None  # there is at least one seed
    return one, metric


def _validated(system: "System", dataset: Any, metric: str, how: _How) -> list[float]:
    """The watched figure of the validation part; none where the split leaves no such part."""
    try:
        return [system.evaluate(dataset, split=how.split, part="validation", **how.protocol)[metric]]
    except (DataError, KeyError):
        return []


def _compared(done: list[_Measured], metric: str, how: _How, data: str) -> Comparison:
    kind, notes = done[0].arm.kind, _notes(done)
    sign = kind.direction(metric)
    order = sorted(range(len(done)), key=lambda i: (-sign * done[i].figure(metric), i))
    best = _reference(done, metric, how, notes)
    names, count = _paired(done, metric)
    if metric not in names:
        notes.append(
            f"{metric} is a figure of all {kind.units} together that cannot be had of some of them: no interval."
        )
    elif count == 1:
        notes.append(f"Of {kind.units} only one was tested: there are no intervals.")
    intervals: list[dict[str, Interval]] = [{} for _ in done]
    differences: list[dict[str, tuple[float, float, float]]] = [{} for _ in done]
    for name in names:
        drawn = samples({i: [found.measured[name] for found in one.evaluations] for i, one in enumerate(done)})
        for i, sample in drawn.items():
            own, apart = interval(sample), difference_interval(sample, drawn[best])
            if own is not None:
                intervals[i][name] = own
            if apart is not None and i != best:
                differences[i][name] = (sample.value - drawn[best].value, *apart)
    rows = [_row(done[i], intervals[i], differences[i]) for i in order]
    return Comparison(
        rows=rows,
        metric=metric,
        reference=done[best].arm.label,
        protocol=done[0].evaluations[0].protocol,
        split=how.split,
        seeds=how.seeds,
        count=count,
        units=kind.units,
        trials=how.trials,
        budget=how.budget,
        notes=notes,
        data=data,
        direction=sign,
        stages=max(one.stages for one in done),
        patience=kind.patience,
        systems={one.arm.label: one.system for one in done if one.system is not None},
    )


def _row(one: _Measured, intervals: dict[str, Interval], differences: dict[str, tuple[float, float, float]]) -> Row:
    """Its figures are means over the seeds, so are its seconds; its memory is the most of them."""
    known = [name for name in one.evaluations[0] if all(name in found for found in one.evaluations)]
    memory = [cost.peak_mib for cost in one.costs if cost.peak_mib is not None]
    card = [cost.gpu_mib for cost in one.costs if cost.gpu_mib is not None]
    seconds = float(np.mean([cost.seconds for cost in one.costs]))
    return Row(
        label=one.arm.label,
        system=one.arm.kind.__name__,
        options=plain(one.options),
        figures={name: one.figure(name) for name in known},
        intervals=intervals,
        differences=differences,
        cost=Cost(seconds, max(memory, default=None), max(card, default=None)),
        evaluate_seconds=float(np.mean(one.seconds)),
        parameters=one.parameters,
        tuned=one.tuned,
    )


def _reference(done: list[_Measured], metric: str, how: _How, notes: list[str]) -> int:
    """Which arm differences are to. Never chosen by the test part: what is best there by luck would make all others
    look worse than they are."""
    if how.against != "best":
        return [one.arm.label for one in done].index(how.against)
    if len(done) > 1 and not all(one.validations for one in done):
        notes.append("There is no validation part to choose by: differences are to the first arm.")
        return 0
    sign = done[0].arm.kind.direction(metric)
    return max(range(len(done)), key=lambda i: (sign * float(np.mean(done[i].validations or [0.0])), -i))


def _paired(done: list[_Measured], metric: str) -> tuple[list[str], int]:
    """The figures that all arms have of as many units as the watched one, and how many these are. Raises DataError."""
    evaluations = [found for one in done for found in one.evaluations]
    figures = [found.measured for found in evaluations]
    units = {units_of(found[metric]) if metric in found else 0 for found in figures}
    if any(metric not in found for found in evaluations) or len(units) > 1:
        raise DataError(
            f"the arms do not have the figure {metric} for the same {done[0].arm.kind.units}; "
            "compare systems of one task"
        )
    count = units.pop() or max(map(units_of, figures[0].values()), default=0)
    return [n for n in figures[0] if all(n in found and units_of(found[n]) == count for found in figures)], count


def _notes(done: list[_Measured]) -> list[str]:
    """What is to be known: of all arms first, then of single ones, by their label."""
    notes = {one.arm.label: one.evaluations[0].notes for one in done}
    common = [note for note in done[0].evaluations[0].notes if all(note in told for told in notes.values())]
    return common + [f"{label}: {note}" for label, told in notes.items() for note in told if note not in common]
