"""Random search over the ranges that the options themselves name, the same for every system.

The first trial is the defaults; trial i is a function of (seed, i), so that a longer search begins with a shorter one.
Trials are chosen by a figure of the validation part; the test part is never looked at.
"""

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.arms import Arm, Cost, fit_measured, parse_arm, plain
from tenfold.budget import Budget
from tenfold.deprecated import old_arguments
from tenfold.errors import OptionError, TrainingError, nearest
from tenfold.files import write_whole
from tenfold.options import rows

if TYPE_CHECKING:
    from rich.table import Table

    from tenfold.system import System

DRAWS = 100  # tries to draw options that the system accepts together


@dataclass(frozen=True)
class Trial:
    number: int
    values: Mapping[str, Any]  # of the options that are searched
    figure: float | None  # the watched one, of the validation part; None where the trial failed
    cost: Cost | None
    note: str = ""


@dataclass(frozen=True)
class Tuned:
    """What a search found. `system` is the best trial's, fitted."""

    arm: Arm
    metric: str
    seed: int
    best: Any  # the options of the best trial
    chosen: int  # its number
    trials: list[Trial]
    system: "System" = field(repr=False)
    cost: Cost

    def table(self) -> "Table":
        """The trials, the best first."""
        from rich.table import Table
        from rich.text import Text

        title = f"{self.arm.label}: {len(self.trials)} trials, {self.metric} of the validation part"
        table = Table(title=Text(title), title_justify="left")
        names = list(self.trials[0].values)
        for column in ("trial", self.metric, "fit", *names):
            table.add_column(column, justify="right")
        sign = self.arm.kind.direction(self.metric)
        for trial in sorted(self.trials, key=lambda t: (t.figure is None, -sign * (t.figure or 0.0), t.number)):
            figure = trial.note if trial.figure is None else f"{trial.figure:.4f}"
            seconds = "" if trial.cost is None else f"{trial.cost.seconds:.1f} s"
            cells = [f"{trial.number}", figure, seconds, *(f"{trial.values[name]}" for name in names)]
            table.add_row(*map(Text, cells), style="bold" if trial.number == self.chosen else None)
        return table

    def to_dict(self) -> dict[str, Any]:
        about = {"arm": self.arm.label, "system": self.arm.kind.__name__, "given": dict(self.arm.given)}
        found = {"metric": self.metric, "part": "validation", "seed": self.seed, "chosen": self.chosen}
        return about | found | {"best": plain(self.best), "trials": [asdict(trial) for trial in self.trials]}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, default=str)

    def save(self, path: str | Path) -> None:
        """Raises OutputError."""
        write_whole(Path(path), self.to_json().encode())


@old_arguments(reading="read_options", tell="log")
def tune(
    arm: "str | Arm",
    data: Any,
    *,
    trials: int = 16,
    split: str | None = None,
    budget: Budget | None = None,
    metric: str | None = None,
    seed: int = 0,
    read_options: Any = None,
    inputs: Mapping[str, Any] | None = None,
    log: Callable[[str], None] = lambda line: None,
    **protocol: Any,
) -> Tuned:
    """Fit `trials` draws of the arm's options on the training part, each within `budget`, and keep the best.

    metric: the figure of the validation part to choose by.  seed: of the draws; the trainings have the budget's.
    log: called with a line after each trial.  protocol: what `evaluate` takes, e.g. exclude_seen=True.
    Raises OptionError, DataError, TrainingError (when the defaults cannot be fitted).
    """
    arm = parse_arm(arm) if isinstance(arm, str) else arm
    budget = budget or Budget()
    arm.kind.as_protocol(protocol)
    split = split or arm.kind.splits[0]
    dataset = arm.system().read(data, read_options, **(inputs or {}))
    check_measurable(arm, dataset, metric, split=split, **protocol)
    done: list[Trial] = []
    tried: dict[str, Trial] = {}
    best: tuple[float, int, System, Cost] | None = None
    for number, options in enumerate(draws(arm, trials, seed), start=1):
        values = {name: plain(options)[name] for name in searched(arm)}
        same = tried.get(repr(options))
        if same is not None:
            done.append(Trial(number, values, same.figure, same.cost, f"the same as trial {same.number}"))
            continue
        system = arm.system(options)
        try:
            cost = fit_measured(system, dataset, split=split, budget=budget)
            evaluation = system.evaluate(dataset, split=split, part="validation", **protocol)
        except (TrainingError, OptionError) as error:  # a draw may be too much; the defaults may not
            if number == 1:
                raise
            trial = Trial(number, values, None, None, f"failed: {error}")
        else:
            metric = watched(evaluation, metric)
            trial = Trial(number, values, evaluation[metric], cost)
            gain = arm.kind.direction(metric) * evaluation[metric]
            if best is None or gain > best[0] or math.isnan(best[0]):
                best = (gain, number, system, cost)
        tried[repr(options)] = trial
        done.append(trial)
        figure = trial.note if trial.figure is None else f"{metric} {trial.figure:.4f} in {cost.seconds:.1f} s"
        log(f"{arm.label}, trial {number} of {trials}: {figure}")
    assert best is not None and metric is not None  # the first trial raised, or is one
    return Tuned(arm, metric, seed, best[2].options, best[1], done, best[2], best[3])


def searched(arm: Arm) -> list[str]:
    """The options that a search draws: those with a range, unless they were given by hand."""
    own = rows(arm.kind.options_class())
    return [row.name for row in own if row.tune is not None and row.name not in arm.given]


def draws(arm: Arm, trials: int, seed: int) -> list[Any]:
    """Options of each trial, the arm's own first. Raises OptionError."""
    if trials < 1:
        raise OptionError(f"a search of {trials} trials finds nothing; give at least 1")
    if not searched(arm):
        return [arm.options]  # nothing to draw: one trial says it all
    return [arm.options, *(_draw(arm, random.Random(f"{seed} {number}")) for number in range(2, trials + 1))]


def _draw(arm: Arm, rng: random.Random) -> Any:
    for _ in range(DRAWS):
        try:
            return arm.kind.draw_options(rng, arm.given)
        except OptionError as error:  # some options do not go together, e.g. a width and a number of heads
            refused = error
    raise OptionError(f"arm '{arm.label}': {DRAWS} draws gave no options that go together; the last: {refused}")


def check_measurable(arm: Arm, dataset: Any, metric: str | None, **protocol: Any) -> None:
    """What cannot be measured is refused before an hour of fitting, not after it. Raises OptionError."""
    if names := arm.kind.figure_names(dataset, **protocol):
        watched(dict.fromkeys(names), metric)


def watched(evaluation: Mapping[str, Any], metric: str | None) -> str:
    """The figure to choose by: the one asked for or, without one, ndcg where there is one, else the first that units
    can be drawn for, else the first. Raises OptionError."""
    if not evaluation:
        raise OptionError("nothing was measured: the system's evaluation holds no figure to choose by")
    if metric is None:
        drawn = [name for name in getattr(evaluation, "measured", evaluation) if name in evaluation]
        names = drawn or list(evaluation)
        return next((name for name in names if name.startswith("ndcg")), names[0])
    if metric not in evaluation:
        raise OptionError(f"there is no figure '{metric}'; {nearest(metric, evaluation)}")
    return metric
