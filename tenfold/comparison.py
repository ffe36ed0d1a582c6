"""What a comparison found: a row for each arm, as a table, a plot and JSON, and what may be said of them."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arms import Cost
from tenfold.budget import Budget, epochs_of, spelled, totals_spelled
from tenfold.files import save_figure, write_whole
from tenfold.metrics.bootstrap import Interval
from tenfold.tune import Tuned
from tenfold.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from tenfold.system import System

BLUE, GREY = "#1f5fa8", "#5b6470"
WIDE = 144  # columns of a terminal that hold all of a comparison
SEEDS_FOR_VERDICTS = 3
FEW_SEEDS = "With fewer than three seeds it can be said that these fits differ, not that a method is better: --seeds 3."


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


@dataclass(frozen=True)
class Comparison:
    rows: list[Row]  # the best by `metric` first
    metric: str
    reference: str
    protocol: str
    split: str
    seeds: int
    count: int  # of what `units` names
    units: str
    trials: int
    budget: Budget
    notes: list[str]
    data: str  # fingerprint
    direction: int = 1  # -1 where less of the watched figure is better
    stages: int = 1
    patience: int | None = None  # of the arms, where the budget says no number of epochs
    systems: "dict[str, System]" = field(default_factory=dict, repr=False)  # by label, fitted; with `keep` alone

    def verdict(self, row: Row) -> str:
        """What the paired interval of the watched figure allows to say against the reference; one unit has none.

        Of one or two trainings only that these fits differ: the next seed may turn it round.
        """
        if row.label == self.reference:
            return "reference"
        if self.metric not in row.differences:
            return ""
        _, low, high = row.differences[self.metric]
        if low <= 0 <= high:
            return "no difference shown"
        if self.seeds < SEEDS_FOR_VERDICTS:
            return "these fits differ"
        return "better" if (low > 0) == (self.direction > 0) else "worse"

    def table(self, width: int | None = None) -> "Table":
        """For a terminal: what was measured, with 95 % intervals, and what it cost; less where it is narrow."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.heading()), title_justify="left", caption=Text(self.explanation()))
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
            cells += [signed(row.differences.get(self.metric)), self.verdict(row)]
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

    def explanation(self) -> str:
        """How the table is to be read."""
        budget, searched = self.budget, f"{self.trials} trials each, chosen on the validation part"
        last = budget.seed + self.seeds - 1
        seeds = f"seed {budget.seed}" if self.seeds == 1 else f"seeds {budget.seed} to {last}, figures are their means"
        spent = "in each stage " if self.stages > 1 else ""
        epochs = epochs_of(budget.max_epochs, budget.patience, own=self.patience)
        spent += spelled(*epochs, least=budget.patience is None) + totals_spelled(budget)
        over = f"{self.units}, the same for all arms" + (", and over seeds" if self.seeds > 1 else "")
        lines = [
            f"Each arm: {spent}, {seeds}; {searched if self.trials else 'options as given, none tuned'}.",
            f"Intervals: 95 %, over {over}; differences are to '{self.reference}'.",
            *([] if self.seeds >= SEEDS_FOR_VERDICTS else [FEW_SEEDS]),
            *([] if self.direction > 0 else [f"Less {self.metric} is better."]),
            f"Fit: wall clock {'of the fit shown' if self.seeds == 1 else 'of a fit, the mean over seeds'}. Memory: "
            f"growth of this process's resident memory while fitting. Answers: seconds to answer for all {self.units}.",
        ]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """All of it but the fitted systems, for JSON."""
        rows = []
        for row in self.rows:
            plain_row = {name: value for name, value in vars(row).items() if name != "tuned"}
            tuned = {"tuned": row.tuned.to_dict()} if row.tuned else {}
            rows.append(plain_row | {"cost": asdict(row.cost), "verdict": self.verdict(row)} | tuned)
        about: dict[str, Any] = {
            "metric": self.metric,
            "less_is_better": self.direction < 0,
            "reference": self.reference,
            "protocol": self.protocol,
            "split": self.split,
        }
        about |= {
            "seeds": self.seeds,
            "count": self.count,
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
        few = "" if self.seeds >= SEEDS_FOR_VERDICTS else ", of these fits"
        right.set_title(f"difference to {self.reference}, paired{few}", loc="left", fontsize=10, parse_math=False)
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


def whisker(axes: Any, place: float, value: float, interval: Interval | None, color: str) -> None:
    """A dot at `value` and, behind it, its interval."""
    if interval is not None:
        axes.plot(interval, (place, place), color=color, linewidth=2, solid_capstyle="butt")
    axes.plot([value], [place], "o", color=color, markersize=6)


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
