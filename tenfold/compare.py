"""Arms side by side: one data set, one split, one budget, the same number of trials, and intervals over the same users.

What is compared is the test part; a search (`trials`) chooses on the validation part. One table, one plot, one JSON.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arms import Arm, Cost, fit_measured, parse_arms, plain
from tenfold.budget import Budget
from tenfold.errors import DataError, OptionError, nearest
from tenfold.files import replacing, write_whole
from tenfold.metrics.bootstrap import Interval, quantiles, resampled_means
from tenfold.tune import Tuned, check_measurable, tune, watched
from tenfold.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from tenfold.system import Evaluation, System

BLUE, GREY = "#1f5fa8", "#5b6470"
WIDE = 144  # columns of a terminal that hold all of a comparison


@dataclass(frozen=True)
class Row:
    """One arm, measured. differences: of its mean to the reference arm's, by figure, with its paired interval."""

    label: str
    system: str
    options: dict[str, Any]
    figures: dict[str, float]
    intervals: dict[str, Interval]
    differences: dict[str, tuple[float, float, float]]
    cost: Cost
    evaluate_seconds: float
    parameters: int
    tuned: Tuned | None = None

    def better_or_worse(self, metric: str, reference: str) -> str:
        """What the paired interval allows to say against the reference; one user has none."""
        if self.label == reference:
            return "reference"
        if metric not in self.differences:
            return ""
        _, low, high = self.differences[metric]
        return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    rows: list[Row]  # the best by `metric` first
    metric: str
    reference: str
    protocol: str
    split: str
    users: int  # or whatever `units` names
    units: str
    trials: int
    budget: Budget
    notes: list[str]
    data: str  # fingerprint
    systems: "dict[str, System]" = field(repr=False)  # fitted, by label

    def table(self, width: int | None = None) -> "Table":
        """For a terminal: what was measured, with 95 % intervals, and what it cost; less where it is narrow."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.heading()), title_justify="left", caption=Text(self.reading()))
        table.caption_justify = "left"
        narrow = width is not None and width < WIDE
        others = self.others()
        table.add_column("arm", overflow="fold")
        columns = [f"{self.metric} [95 %]", f"to {self.reference} [95 %]", "", "fit"]
        columns += [] if narrow else ["memory", "answers", *others]
        for name in columns:
            table.add_column(Text(name), justify="right", overflow="fold")
        for row in self.rows:
            cells = [row.label, with_interval(row.figures[self.metric], row.intervals.get(self.metric))]
            cells += [signed(row.differences.get(self.metric)), row.better_or_worse(self.metric, self.reference)]
            cells += [f"{row.cost.seconds:.1f} s"]
            if narrow:  # an interval stands under its figure
                cells[1:3] = (cell.replace(" [", "\n[") for cell in cells[1:3])
            else:
                cells += [mebibytes(row.cost.peak_mib), f"{row.evaluate_seconds:.1f} s"]
                cells += [f"{row.figures[name]:.4f}" if name in row.figures else "-" for name in others]
            table.add_row(*map(Text, cells), style="bold" if row.label == self.reference else None)
        return table

    def others(self) -> list[str]:
        """Of any arm, beside the watched one. Of one item that is right, recall is the hit rate: not twice."""
        figures = dict.fromkeys(name for row in self.rows for name in row.figures)
        return [n for n in figures if n != self.metric and n.replace("recall", "hr", 1) not in figures.keys() - {n}]

    def heading(self) -> str:
        return f"{len(self.rows)} arms; {self.protocol}"

    def reading(self) -> str:
        """How the table is to be read."""
        budget, searched = self.budget, f"{self.trials} trials each, chosen on the validation part"
        staged = max((len(system.history) for system in self.systems.values()), default=1) > 1
        spent = f"at most {budget.max_epochs} epoch{'s' if budget.max_epochs > 1 else ''}"
        spent += " in each stage" if staged else ""
        spent += f", patience {budget.patience}" if budget.patience else ""
        lines = [
            f"Each arm: {spent}, seed {budget.seed}; {searched if self.trials else 'options as given, none tuned'}.",
            f"Intervals: bootstrap over {self.units}, the same for all arms; differences are to '{self.reference}'.",
            "Fit: wall clock of the fit shown. Memory: growth of this process's resident memory while fitting. "
            f"Answers: seconds to answer for all {self.units}.",
        ]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """All of it but the fitted systems, for JSON."""
        rows = []
        for row in self.rows:
            plain_row = {name: value for name, value in vars(row).items() if name != "tuned"}
            tuned = {"tuned": row.tuned.to_dict()} if row.tuned else {}
            rows.append(
                plain_row
                | {"cost": asdict(row.cost), "verdict": row.better_or_worse(self.metric, self.reference)}
                | tuned
            )
        about: dict[str, Any] = {
            "metric": self.metric,
            "reference": self.reference,
            "protocol": self.protocol,
            "split": self.split,
        }
        about |= {
            "users": self.users,
            "units": self.units,
            "trials": self.trials,
            "budget": asdict(self.budget),
            "data": self.data,
        }
        return about | {"arms": rows, "notes": self.notes, "version": VERSION, "machine": machine()}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, default=str)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Dots and whiskers: the watched figure of each arm and, beside it, its paired difference to the reference.

        With a path it is written there too, as the suffix says (.png, .svg, .pdf).  Raises OutputError.
        """
        from matplotlib.figure import Figure  # not pyplot: no window, no state

        figure = Figure(figsize=(9, 1.5 + 0.42 * len(self.rows)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        places = np.arange(len(self.rows))[::-1]
        for place, row in zip(places, self.rows, strict=True):
            color = BLUE if row.label == self.reference else GREY
            whisker(left, place, row.figures[self.metric], row.intervals.get(self.metric), color)
            if self.metric in row.differences:
                difference, low, high = row.differences[self.metric]
                whisker(right, place, difference, (low, high), color)
        left.set_yticks(places, [row.label for row in self.rows], parse_math=False)
        left.set_ylim(-0.6, len(self.rows) - 0.4)
        left.set_title(f"{self.metric}, 95 % intervals", loc="left", fontsize=10)
        right.axvline(0, color=BLUE, linewidth=1)
        right.set_title(f"difference to {self.reference}, paired", loc="left", fontsize=10, parse_math=False)
        for axes in (left, right):
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color="#e3e6ea")
            axes.set_axisbelow(True)
        if path is not None:
            save_figure(figure, Path(path))
        return figure

    def save(self, folder: str | Path) -> None:
        """comparison.json and comparison.png. Raises OutputError."""
        write_whole(Path(folder) / "comparison.json", self.to_json().encode())
        self.plot(Path(folder) / "comparison.png")


@dataclass(frozen=True)
class _Measured:
    arm: Arm
    system: "System"
    cost: Cost
    evaluate_seconds: float
    evaluation: "Evaluation"
    tuned: Tuned | None


def compare(
    data: Any,
    arms: "Sequence[str | System | Arm] | Mapping[str, str | System | Arm]",
    *,
    split: str | None = None,
    budget: Budget | None = None,
    trials: int = 0,
    metric: str | None = None,
    against: str = "best",
    read_options: Any = None,
    inputs: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    **protocol: Any,
) -> Comparison:
    """Fit every arm on the same training part within the same budget, and measure it on the same test part.

    data: what `fit` takes.  arms: as in `parse_arms`.  trials: with n > 0 every arm is searched with n trials first.
    metric: the watched figure.  against: 'best', or the label of the arm that differences are to.  tell: called with a
    line after each arm.  protocol: what `evaluate` takes, e.g. exclude_seen=True.  Raises OptionError, DataError.
    """
    chosen, budget = parse_arms(arms), budget or Budget()
    if against != "best" and against not in (labels := [arm.label for arm in chosen]):
        raise OptionError(f"there is no arm '{against}' to compare with; {nearest(against, labels)}")
    if trials < 0:
        raise OptionError(f"trials = {trials}: give 0 for no search, or the number of trials of each arm")
    for arm in chosen:
        arm.kind.as_protocol(protocol)
        if (arm.kind.protocol, arm.kind.units) != (chosen[0].kind.protocol, chosen[0].kind.units):
            raise OptionError(f"arms '{chosen[0].label}' and '{arm.label}' are of two tasks; compare systems of one")
    split = split or chosen[0].kind.splits[0]
    for arm in chosen:
        if split not in arm.kind.splits:
            raise OptionError(f"arm '{arm.label}' knows the splits {', '.join(arm.kind.splits)}; found '{split}'")
    dataset = chosen[0].system().read(data, read_options, **(inputs or {}))
    check_measurable(chosen[0], dataset, metric, split=split, **protocol)
    done: list[_Measured] = []
    for number, arm in enumerate(chosen, start=1):
        one = _measure(arm, dataset, split, budget, trials, metric, tell, protocol)
        metric = watched(one.evaluation, metric)
        done.append(one)
        tell(
            f"{number} of {len(chosen)}, {arm.label}: {metric} {one.evaluation[metric]:.4f}, "
            f"fitted in {one.cost.seconds:.1f} s"
        )
    assert metric is not None  # there is at least one arm
    return _compared(done, metric, against, split, budget, trials, dataset.fingerprint)


def _measure(
    arm: Arm,
    dataset: Any,
    split: str,
    budget: Budget,
    trials: int,
    metric: str | None,
    tell: Callable[[str], None],
    protocol: Mapping[str, Any],
) -> _Measured:
    if trials:
        tuned = tune(arm, dataset, trials=trials, split=split, budget=budget, metric=metric, tell=tell, **protocol)
        system, cost = tuned.system, tuned.cost
    else:
        tuned, system = None, arm.system()
        cost = fit_measured(system, dataset, split=split, budget=budget)
    start = time.perf_counter()
    evaluation = system.evaluate(dataset, split=split, part="test", **protocol)
    seconds = time.perf_counter() - start
    return _Measured(arm, system, cost, seconds, evaluation, tuned)


def _compared(
    done: list[_Measured], metric: str, against: str, split: str, budget: Budget, trials: int, data: str
) -> Comparison:
    units = done[0].arm.kind.units
    for one in done:
        found, first = (each.evaluation.per_unit.get(metric, ()) for each in (one, done[0]))
        if len(found) == 0 or len(found) != len(first):
            raise DataError(
                f"arms '{done[0].arm.label}' and '{one.arm.label}' do not have the figure {metric} for the same "
                f"{units}; compare systems of one task"
            )
    count = len(done[0].evaluation.per_unit[metric])  # a figure of other units has no pairs with the watched one
    names = [
        name
        for name in done[0].evaluation.per_unit
        if all(len(one.evaluation.per_unit.get(name, ())) == count for one in done)
    ]
    table = np.stack([[one.evaluation.per_unit[name] for name in names] for one in done])  # (arms, figures, users)
    means, users = table.mean(-1), table.shape[-1]
    order = sorted(range(len(done)), key=lambda i: (-means[i, names.index(metric)], i))
    best = order[0] if against == "best" else [one.arm.label for one in done].index(against)
    notes = _notes(done)
    if users > 1:
        drawn = resampled_means(table.reshape(-1, users).T).reshape(-1, *means.shape)  # (draws, arms, figures)
    else:
        drawn = None
        notes.append(f"Of {units} only one was tested: there are no intervals.")
    rows = []
    for i in order:
        one, intervals, differences = done[i], {}, {}
        for j, name in enumerate(names):
            if drawn is not None:
                intervals[name] = quantiles(drawn[:, i, j])
                if i != best:
                    apart = quantiles(drawn[:, i, j] - drawn[:, best, j])
                    differences[name] = (float(means[i, j] - means[best, j]), *apart)
        figures = {name: float(means[i, j]) for j, name in enumerate(names)}
        figures |= {name: value for name, value in one.evaluation.items() if name not in one.evaluation.per_unit}
        size = sum(weight.numel() for weight in one.system.network.parameters())
        rows.append(
            Row(
                *(one.arm.label, one.arm.kind.__name__, plain(one.system.options), figures, intervals, differences),
                *(one.cost, one.evaluate_seconds, size, one.tuned),
            )
        )
    systems = {one.arm.label: one.system for one in done}
    label, protocol = done[best].arm.label, done[0].evaluation.protocol
    return Comparison(rows, metric, label, protocol, split, users, units, trials, budget, notes, data, systems)


def _notes(done: list[_Measured]) -> list[str]:
    """What is to be known: of all arms first, then of single ones, by their label."""
    notes = {one.arm.label: one.evaluation.notes for one in done}
    common = [note for note in done[0].evaluation.notes if all(note in told for told in notes.values())]
    return common + [f"{label}: {note}" for label, told in notes.items() for note in told if note not in common]


def whisker(axes: Any, place: float, value: float, interval: Interval | None, color: str) -> None:
    """A dot at `value` and, behind it, its interval."""
    if interval is not None:
        axes.plot(interval, (place, place), color=color, linewidth=2, solid_capstyle="butt")
    axes.plot([value], [place], "o", color=color, markersize=6)


def save_figure(figure: "Figure", path: Path) -> None:
    """Whole or not at all; the suffix says the kind. Raises OutputError, OptionError."""
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise OptionError(f"{path} names no kind of picture; end it in .png, .svg or .pdf")
    with replacing(path) as beside:
        figure.savefig(beside, format=kind, dpi=150)


def with_interval(value: float, interval: Interval | None) -> str:
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def signed(difference: tuple[float, float, float] | None) -> str:
    return "" if difference is None else "{:+.4f} [{:+.4f}, {:+.4f}]".format(*difference)


def mebibytes(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} MiB"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    about = {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()}
    return about | {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gpu": card,
    }


def machine_told(about: Mapping[str, Any] | None = None) -> str:
    """The same, for a person; `about` is that of a result that was kept."""
    about = about or machine()
    card = f", {about['gpu']}" if about["gpu"] else ""
    cores = f"{about['cores']} cores, {about['threads']} thread{'s' if about['threads'] != 1 else ''}"
    return f"{about['system']} {about['machine']}, {cores}{card}, Python {about['python']}, torch {about['torch']}"
