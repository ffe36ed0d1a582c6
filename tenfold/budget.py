"""What a run may cost. Apart from `training.py`, so that the command line can explain it without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from tenfold.errors import OptionError, nearest
from tenfold.options import option, options

EPOCHS = 20  # of a stage, where nobody says how many
MOST_EPOCHS = 200  # of a stage that goes on until its validations are no better
TOTALS = ("max_seconds", "max_steps", "max_units")  # of the whole fit, shared out to its stages
EACH = ("max_epochs", "patience")  # the same for each stage, unless it has limits of its own


@options
class Budget:
    """What a run may cost, and how it is watched; a method and its baselines get the same one.

    Seconds, steps and units are totals of the whole fit, shared out to its stages; epochs and patience hold for each
    stage. A stage by name may have less: stage=("teacher.max_epochs=5",).
    """

    max_epochs: Annotated[
        int | None,
        option(
            f"passes over the data, in each stage; none: {EPOCHS}, or as the task has it: next items go on until 10 "
            f"validations are no better, at most {MOST_EPOCHS} epochs",
            gt=0,
        ),
    ] = None
    max_seconds: Annotated[float | None, option("seconds of training, all stages together", gt=0)] = None
    max_steps: Annotated[int | None, option("steps of the optimizer, all stages together", gt=0)] = None
    max_units: Annotated[
        int | None, option("training units (events of next-item methods, else samples), all stages together", gt=0)
    ] = None
    stage: Annotated[
        tuple[str, ...], option("limits of one stage, as NAME.LIMIT=VALUE, such as teacher.max_epochs=5; repeat")
    ] = ()
    seed: Annotated[int, option("seed of all random numbers", ge=0, lt=2**32)] = 0
    patience: Annotated[int | None, option("validations without a better figure before a stage stops", gt=0)] = None
    validate_every: Annotated[float, option("epochs between two validations; 0.25 is four times in an epoch", gt=0)] = (
        1.0
    )
    accumulate: Annotated[int, option("batches whose gradients are added up for one step", gt=0)] = 1
    accelerator: Annotated[Literal["auto", "cpu", "cuda", "mps"], option("device to train on")] = "auto"
    precision: Annotated[Literal["32-true", "bf16-mixed", "16-mixed"], option("number format of the arithmetic")] = (
        "32-true"
    )
    threads: Annotated[int | None, option("CPU threads; none: as many as there are idle cores", gt=0)] = None
    workers: Annotated[int, option("processes that prepare batches; 0: the training process does", ge=0)] = 0
    keep_memory: Annotated[bool, option("keep memory that a step freed for the next one, which is faster")] = True
    save_seconds: Annotated[
        float, option("seconds between two checkpoints: at most so much work is lost when a run is killed", ge=0)
    ] = 300.0
    progress: Annotated[
        Literal["auto", "bar", "lines", "none"],
        option("how progress is shown; auto: a bar in a terminal, lines elsewhere"),
    ] = "auto"
    loggers: Annotated[
        tuple[str, ...], option("logger, as NAME or NAME:KEY=VALUE,...: csv, tensorboard, wandb, mlflow ...; repeat")
    ] = ()
    callbacks: Annotated[
        tuple[str, ...], option("callback of Lightning by its name, or module:Class; arguments as for --logger; repeat")
    ] = ()


def spelled(max_epochs: int, patience: int | None, *, least: bool = False) -> str:
    """How long a stage may train, in words. least: patience may be more, as in a stage of few batches."""
    epochs = f"at most {max_epochs:,} epoch{'s' if max_epochs > 1 else ''}"
    end = "1 validation is" if patience == 1 else f"{patience} validations are"
    return epochs if patience is None else f"{epochs}, until {'at least ' if least else ''}{end} no better"


def totals_spelled(budget: Budget) -> str:
    """What a whole fit may cost beside that, in words; '' where there is no such limit."""
    units = {"max_seconds": "s", "max_steps": "steps", "max_units": "units"}  # as options say what a task's unit is
    given = [(getattr(budget, name), unit) for name, unit in units.items()]
    return "".join(f", at most {value:,.10g} {unit}" for value, unit in given if value is not None)


class Limits(NamedTuple):
    """What one stage may cost; None is no limit."""

    max_epochs: int
    patience: int | None
    max_seconds: float | None
    max_steps: float | None
    max_units: float | None

    def reached(self, spent: Mapping[str, float]) -> str:
        """The first total that is used up, or ''."""
        for name in TOTALS:
            limit = getattr(self, name)
            if limit is not None and spent[name] >= limit:
                return name
        return ""


@dataclass
class Spending:
    """A fit's budget as its stages come: a stage gets its share of each total, and what those before it left over."""

    budget: Budget
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0.0))
    granted: float = 0.0  # the sum of the shares so far
    seen: list[str] = field(default_factory=list)

    def limits(self, name: str, share: float, patience: int | None = None) -> Limits:
        """Of the stage that comes now. share: of the totals, 0 < share <= 1; patience: its own, which holds where no
        epochs are given. Raises OptionError."""
        self.seen.append(name)
        self.granted = min(1.0, self.granted + share)
        own = stage_limits(self.budget).get(name, {})
        found: dict[str, Any] = {each: own.get(each, getattr(self.budget, each)) for each in EACH}
        found["max_epochs"], found["patience"] = epochs_of(found["max_epochs"], found["patience"], own=patience)
        for total in TOTALS:
            whole = getattr(self.budget, total)
            rest = None if whole is None else max(0.0, self.granted * whole - self.spent[total])
            limit = own.get(total)
            found[total] = (
                min(limit, rest) if limit is not None and rest is not None else rest if limit is None else limit
            )
        return Limits(**found)

    def book(self, spent: Mapping[str, float]) -> None:
        """What a stage has cost."""
        for name in TOTALS:
            self.spent[name] += spent[name]

    def unused(self) -> list[str]:
        """Stages that were given limits and did not come."""
        return [name for name in stage_limits(self.budget) if name not in self.seen]


def epochs_of(max_epochs: int | None, patience: int | None, *, own: int | None) -> tuple[int, int | None]:
    """A stage's epochs and patience, where no epochs are asked for; own: its patience then, if it has one."""
    if max_epochs is not None:
        return max_epochs, patience
    return (EPOCHS, patience) if own is None else (MOST_EPOCHS, patience or own)


def stage_limits(budget: Budget) -> dict[str, dict[str, float]]:
    """('teacher.max_epochs=5',) -> {'teacher': {'max_epochs': 5}}. Raises OptionError."""
    found: dict[str, dict[str, float]] = {}
    for text in budget.stage:
        left, equals, value = text.partition("=")
        name, dot, limit = left.strip().rpartition(".")
        if not equals or not dot or not name:
            raise OptionError(f"stage = '{text}' limits nothing; write NAME.LIMIT=VALUE, such as teacher.max_epochs=5")
        if limit not in (*EACH, *TOTALS):
            raise OptionError(f"stage = '{text}': there is no limit '{limit}'; {nearest(limit, (*EACH, *TOTALS))}")
        try:
            number = float(value) if limit == "max_seconds" else int(value)
        except ValueError:
            number = 0
        if not number > 0:
            raise OptionError(f"stage = '{text}': found {value.strip()!r}, expected a number above 0")
        found.setdefault(name, {})[limit] = number
    return found
