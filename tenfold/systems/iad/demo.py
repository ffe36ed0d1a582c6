"""IAD's part of the report: labels of the shop's clothes under attack, by a plain classifier, AT and IAD."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.labelled_pictures import LabelledPictures, read_labelled
from tenfold.html import Section, paragraph, picture, table
from tenfold.shop.labels import draw
from tenfold.shop.options import Options as ShopOptions
from tenfold.systems.iad.system import IAD
from tenfold.tasks.classification import pictures
from tenfold.tasks.classification.attack_report import trust_in_teacher
from tenfold.tasks.classification.baselines.trained import AT, Plain
from tenfold.tasks.classification.task import Classifier

LABELS, SIZE, EPOCHS = 1_200, 16, 5
SMALL = {"model.width": 16, "attack.steps": 2, "training.batch_size": 50, "training.watched": 60}
CURVE = (0, 1, 2, 4, 6, 8, 12, 16)  # 255ths


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    rows = 400 if quick else LABELS
    data = read_labelled(draw(ShopOptions(labels=rows), 0, rows), size=SIZE)
    budget = Budget(max_epochs=1 if quick else EPOCHS, progress="none")
    fitted: dict[str, Classifier] = {
        "plain": Plain(**SMALL).fit(data, budget=budget),
        "AT": AT(**SMALL).fit(data, budget=budget),
        "IAD": IAD(**SMALL, **{"teacher.width": 24, "trust.beta": 0.5}).fit(data, budget=budget),
    }
    tell(f"classifiers of {len(data):,} labels: {', '.join(fitted)}")
    for name, system in fitted.items():
        system.save(folder / "fitted" / name)
    return [_figures(fitted, data), _flips(fitted, data)]


def _figures(fitted: dict[str, Classifier], data: LabelledPictures) -> Section:
    """How right each stays, and over which budgets."""
    found = {name: system.evaluate(data, attacks=("pgd",), steps=10) for name, system in fitted.items()}
    rows = []
    for name, figures in found.items():
        low, high = figures.intervals["robust"]
        robust = f"{figures['robust']:.1%} [{low:.1%}, {high:.1%}]"
        rows.append([name, f"{figures['natural']:.1%}", robust, f"{figures['worst_class']:.1%}"])
    tested = next(iter(fitted.values())).tested(data, None, "test")
    x, y, budgets = tested.x(), tested.y(), [level / 255 for level in CURVE]
    curves = {
        name: pictures.accuracy_over_budgets(s.model, x, y, budgets, "linf", steps=10) for name, s in fitted.items()
    }
    said = (
        f"Labels of clothes, {SIZE} x {SIZE}, in ten classes; {len(tested)} tested. An attacker may move each pixel "
        "by 8 of 255 levels. A plainly trained network falls; one trained on attacked pictures (AT) stands more; IAD "
        "has a teacher besides, and trusts it only where it gives the right class. All have the same small network."
    )
    shown = table(["trained", "right", "right under attack [95 %]", "in its worst class"], rows)
    curve = pictures.curve(budgets, curves, 8 / 255, "linf")
    points = {name: (figures["natural"], figures["robust"]) for name, figures in found.items()}
    drawn = picture(curve, "right under attack, over budgets")
    drawn += picture(pictures.natural_and_robust(points), "right as they are, and under attack")
    return Section("IAD: classifiers under attack", paragraph(said) + shown + drawn)


def _flips(fitted: dict[str, Classifier], data: LabelledPictures) -> Section:
    """Labels that fool the plain network and not IAD, and what the teacher was worth."""
    _, plain = fitted["plain"].attacked(data, attacks=("pgd",), steps=10, keep=True)
    _, robust = fitted["IAD"].attacked(data, attacks=("pgd",), steps=10, keep=True)
    tested = fitted["IAD"].tested(data, None, "test")
    rows = np.flatnonzero(plain.natural & ~plain.right["pgd"] & robust.robust)[: pictures.SHOWN]
    apart = len(rows) > 0
    rows = rows if apart else np.arange(min(len(tested), pictures.SHOWN))
    names = np.array(tested.names())
    truth, after = names[tested.labels[rows] - 1], names[plain.fooled_into["pgd"][rows]]
    sheet = pictures.sheet(
        tested.x(rows).numpy(), plain.pictures["pgd"][rows], [*names[plain.answers[rows]]], [*after], [*truth], 8 / 255
    )
    said = "What the plain network calls these labels, before and after a change that nobody would notice."
    if apart:
        said += " Attacked just as hard, IAD still names all of these rightly."
    parts = paragraph(said) + picture(sheet, "labels as they are, changed, and the difference")
    teacher = pictures.teacher_over_epochs(fitted["IAD"].history["student"])
    if teacher is not None:
        parts += paragraph("What IAD's teacher was worth on the student's attacked labels, epoch by epoch:")
        parts += picture(teacher, "the teacher's accuracy, and the cases")
        parts += paragraph("How far it is trusted with each attacked label that was not trained on (1: wholly):")
        alpha = trust_in_teacher(fitted["IAD"], torch.from_numpy(robust.pictures["pgd"]), tested.y())
        parts += "" if alpha is None else picture(pictures.trust_histogram(alpha), "trust")
    return Section("IAD: what flips", parts)
