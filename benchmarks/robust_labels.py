"""Classifiers of the shop's labels under attack: which training is the default, and the methods beside each other.

`--only choice` trains AT with each of some optimisers, learning rates and shifts of pictures, on labels and on
scikit-learn's digits, and looks at the validation part alone: its accuracy under pgd-10 (8/255) after the best epoch.
`--only table` trains methods as they come, with one network, batches, epochs and attack (two steps); the teacher,
AT of four times the size, is trained once a seed and shared, and so is IAD-II's second one, trained plainly. Students
are measured on the test part by pgd-10 and AA-lite (15 steps, towards two classes); nothing is chosen there.
Differences to AT are paired, by picture and by seed.

Fitted classifiers wait in benchmarks/quick/robust_labels until all are measured, so that an interrupted run goes on.
"""

import argparse
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from tenfold.budget import Budget
from tenfold.data.labelled_pictures import LabelledPictures, read_labelled
from tenfold.metrics.bootstrap import Interval
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.intervals import difference_interval, samples
from tenfold.shop.labels import draw
from tenfold.shop.options import Options
from tenfold.systems.iad.claims import digits
from tenfold.systems.iad.system import IAD
from tenfold.tasks.classification.baselines.trained import ARD, AT, RSLAD, TRADES, Plain
from tenfold.tasks.classification.task import Classifier
from tenfold.version import code_commit

SIZE, WATCHED, TESTED = 16, 100, 300
COST = {"choice": (2, 6, 1_500), "table": (5, 5, 1_000)}  # seeds, epochs, training pictures
SMALL = {"model.width": 16, "attack.steps": 2, "training.watched": WATCHED}
LARGE = {**SMALL, "model.width": 34}  # 90,000 numbers beside the student's 20,000
CHOICES: dict[str, dict[str, Any]] = {
    "adam_0.003": {"training.lr": 0.003},
    "adam_0.01": {"training.lr": 0.01},
    "adam_0.03": {"training.lr": 0.03},
    "adam_0.01_shifted": {"training.lr": 0.01, "training.crop": 2},
    "sgd_0.1": {"training.optimizer": "sgd", "training.lr": 0.1, "training.weight_decay": 5e-4},
}
TAUGHT: dict[str, Callable[[dict[str, Any]], Classifier]] = {
    "plain": lambda one: Plain(**SMALL),
    "at": lambda one: AT(**SMALL),
    "trades": lambda one: TRADES(**SMALL),
    "ard": lambda one: ARD(**SMALL, **one),
    "rslad": lambda one: RSLAD(**SMALL, **one),
    "iad1": lambda one: IAD(**SMALL, **one),
    "iad2": lambda one: IAD(base="akd2", **SMALL, **one),
}
ATTACKS: dict[str, Any] = {"attacks": ("pgd", "aa-lite"), "steps": 10, "apgd_steps": 15, "targets": 2}
KEPT = harness.ROOT / "benchmarks" / "quick" / "robust_labels"


def labels(trained: int) -> LabelledPictures:
    """Of one shop, the same for all seeds. trained: pictures to learn from."""
    data = read_labelled(draw(Options(labels=3_000), 0, 3_000), size=SIZE)
    assert data.parts is not None
    parts = (np.flatnonzero(data.parts == part) for part in range(3))
    return data.take(
        np.concatenate([rows[:most] for rows, most in zip(parts, (trained, WATCHED, TESTED), strict=True)])
    )


def fitted(system: Classifier, data: LabelledPictures, budget: Budget) -> tuple[Classifier, Path]:
    """And the folder that it waits in. Fitted once: by its options, data, budget and the code's commit."""
    key = repr((type(system).__name__, system.options, data.fingerprint, asdict(budget), code_commit()))
    folder = KEPT / sha256(key.encode()).hexdigest()[:20]
    if not (folder / "config.json").exists():
        system.fit(data, budget=budget).save(folder)
        print(f"{type(system).__name__}, seed {budget.seed}: fitted", flush=True)
    return type(system).load(folder), folder


def choice(seeds: int, epochs: int, trained: int) -> dict[str, float]:
    """Accuracy on the validation part, as pictures are and under pgd-10, at the epoch with the best of the latter."""
    found: dict[str, float] = {}
    for told, data in (("labels", labels(trained)), ("digits", digits("cpu", 0))):
        for name, options in CHOICES.items():
            runs = []
            for seed in range(seeds):
                budget = Budget(max_epochs=epochs, seed=seed, progress="none", threads=1)
                system, _ = fitted(AT(**SMALL | options), data, budget)
                runs.append(max((epoch["pgd"], epoch["natural"]) for epoch in system.history["student"]))
            found[f"{told}_{name}_pgd"], found[f"{told}_{name}_natural"] = map(float, np.mean(runs, 0))
    return found


def table(seeds: int, epochs: int, trained: int) -> tuple[dict[str, float], dict[str, Interval | None]]:
    """Figures of the test part by method, means over seeds; and intervals of the differences to AT."""
    data = labels(trained)
    measured: dict[str, list[Evaluation]] = {name: [] for name in (*TAUGHT, "teacher")}
    for seed in range(seeds):
        budget = Budget(max_epochs=epochs, seed=seed, progress="none", threads=1)
        teacher, robust = fitted(AT(**LARGE), data, budget)
        _, standard = fitted(Plain(**LARGE), data, budget)
        systems: dict[str, Classifier] = {"teacher": teacher}
        for name, make in TAUGHT.items():
            one = {"teacher.path": str(robust)} | ({"second.path": str(standard)} if name == "iad2" else {})
            systems[name], _ = fitted(make(one), data, budget)
        for name, system in systems.items():
            measured[name].append(system.evaluate(data, **ATTACKS))
    return figures_of(measured)


def figures_of(measured: Mapping[str, list[Evaluation]]) -> tuple[dict[str, float], dict[str, Interval | None]]:
    figures: dict[str, float] = {}
    ends: dict[str, Interval | None] = {}
    robust = samples({name: [run.measured["robust"] for run in runs] for name, runs in measured.items()})
    for name, runs in measured.items():
        for figure in ("natural", "pgd", "robust", "worst_class"):
            figures[f"{name}_{figure}"] = float(np.mean([run[figure] for run in runs]))
        if name not in ("at", "teacher"):
            figures[f"{name}_over_at"] = robust[name].value - robust["at"].value
            ends[f"{name}_over_at"] = difference_interval(robust[name], robust["at"])
    return figures, ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("choice", "table"), help="one part; default: both")
    parser.add_argument("--quick", action="store_true", help="one epoch, one seed: only to see that it runs")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, float] = {"size": SIZE}
    ends: dict[str, Interval | None] = {}
    for part, cost in COST.items():
        if asked.only in (None, part):
            seeds, epochs, trained = (1, 1, 200) if asked.quick else cost
            figures |= {f"{part}_seeds": seeds, f"{part}_epochs": epochs, f"{part}_pictures": trained}
            if part == "choice":
                figures |= choice(seeds, epochs, trained)
            else:
                found, ends = table(seeds, epochs, trained)
                figures |= found
    shutil.rmtree(KEPT, ignore_errors=True)
    notes = ["The validation part decides `choice`; `table` is of the test part, of which nothing was chosen."]
    harness.report("robust_labels", figures, intervals=ends, notes=notes)


if __name__ == "__main__":
    main()
