"""What `tenfold attack` writes: figures with intervals, per class; the changed pictures; what one looks at.

Files of the folder: attack.json, adversarial.npz, sheet.png, budgets.png, classes.png, surface.png; teacher.png where
the classifier had a teacher, and trust.png where that was trained with it. Parts that are done wait in `parts`, so that
an interrupted attack goes on.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold import artifact
from tenfold.data.labelled_pictures import LabelledPictures
from tenfold.files import digest, save_figure, write_whole
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.robustness import class_shares, never_rises
from tenfold.ops.attacks import Folded, Threat
from tenfold.options import parse
from tenfold.system import System
from tenfold.tasks.classification import pictures
from tenfold.tasks.classification.evaluation import AT_ONCE, Attacked, Chunks
from tenfold.tasks.classification.losses import trust
from tenfold.tasks.classification.options import Protocol

CURVE = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)  # budgets, in times of the one asked for
CURVE_PICTURES, SURFACE_PICTURES = 256, 32


class AttackReport(NamedTuple):
    evaluation: Evaluation
    attacked: Attacked
    tested: LabelledPictures
    per_class: dict[str, np.ndarray]  # natural and robust, (K,)
    files: list[Path]


def attack_report(
    system: Any, data: Any, folder: Path, *, split: str | None = None, part: str = "test", read_options: Any = None,
    log: Callable[[str], None] = lambda line: None, **protocol: Any,
) -> AttackReport:  # fmt: skip
    """Attacks a fitted classifier and writes the folder. Raises DataError, OptionError, OutputError."""
    asked = parse(Protocol, {k: v for k, v in protocol.items() if v is not None})
    chunks = Chunks(folder / "parts", _key(system, asked, data, split, part))
    how = {"split": split, "part": part, "read_options": read_options}
    evaluation, found = system.attacked(data, keep=True, chunks=chunks, **how, **protocol)
    tested = system.tested(data, split, part, read_options)
    tested = tested.take(np.arange(len(found.natural)))
    threat = Threat(asked.eps or system.options.attack.eps, asked.norm or system.options.attack.norm)
    labels = tested.labels.astype(np.int64) - 1
    per_class = {
        "natural": class_shares(found.natural, labels, len(tested.classes)),
        "robust": class_shares(found.robust, labels, len(tested.classes)),
    }
    log(f"attacked {len(tested):,} pictures; drawing")
    changed = strongest(found, tested)
    files = [
        *_arrays(folder, tested, found, changed),
        *_pictures(system, folder, tested, found, changed, threat, per_class),
    ]
    files.append(_figures(folder, evaluation, tested, per_class))
    chunks.clear()
    return AttackReport(evaluation, found, tested, per_class, files)


def _key(system: System, asked: Protocol, data: Any, split: str | None, part: str) -> str:
    weights = artifact.pack(artifact.own_weights(system.network))
    where = data if isinstance(data, str | Path) else data.fingerprint
    return digest(weights, repr((sorted(asdict(asked).items(), key=str), str(where), split, part)).encode())


def strongest(found: Attacked, tested: LabelledPictures) -> dict[str, np.ndarray]:
    """Of each picture the first attack that fools it, what it made of it, and what is answered then; of a picture that
    stands, the last attack's."""
    names = list(found.right)
    count = len(found.natural)
    which = np.full(count, len(names) - 1)
    for number in reversed(range(len(names))):
        which[~found.right[names[number]]] = number
    rows = np.arange(count)
    x = np.stack([found.pictures[name] for name in names])[which, rows] if names else tested.x().numpy()
    answers = np.stack([found.fooled_into[name] for name in names])[which, rows] if names else found.answers
    return {"x": x, "answer": answers, "attack": np.array([*names, "none"])[which]}


def _arrays(folder: Path, tested: LabelledPictures, found: Attacked, changed: Mapping[str, np.ndarray]) -> list[Path]:
    """adversarial.npz: pictures as they were (uint8, H, W, C) and changed (float32, C, H, W, pixels in [0, 1])."""
    buffer = BytesIO()
    np.savez_compressed(
        buffer, x=tested.pixels, y=tested.labels.astype(np.int64) - 1, attacked=changed["x"].astype(np.float32),
        answer=found.answers, answer_attacked=changed["answer"], attack=changed["attack"], robust=found.robust,
        classes=np.array(tested.names()),
    )  # fmt: skip
    path = folder / "adversarial.npz"
    write_whole(path, buffer.getvalue())
    return [path]


def _pictures(
    system: Any, folder: Path, tested: LabelledPictures, found: Attacked, changed: Mapping[str, np.ndarray],
    threat: Threat, per_class: dict[str, np.ndarray],
) -> list[Path]:  # fmt: skip
    names = np.array(tested.names())
    fooled = np.flatnonzero(found.natural & ~found.robust)[: pictures.SHOWN]
    rows = fooled if len(fooled) else np.arange(min(len(tested), pictures.SHOWN))
    truth = names[tested.labels[rows] - 1]
    drawn: dict[str, Any] = {
        "sheet": pictures.sheet(
            tested.x(rows).numpy(), changed["x"][rows], [*names[found.answers[rows]]],
            [*names[changed["answer"][rows]]], [*truth], threat.eps,
        ),
        "classes": pictures.classes(per_class, tested.names()),
    }  # fmt: skip
    some = tested.take(np.arange(min(len(tested), CURVE_PICTURES)))
    x, y = some.x().to(system.device), some.y().to(system.device)
    budgets = [times * threat.eps for times in CURVE if times * threat.eps < 1]
    shares = pictures.accuracy_over_budgets(system.model, x, y, budgets, threat.norm)
    drawn["budgets"] = pictures.curve(budgets, {type(system).__name__: shares}, threat.eps, threat.norm)
    if not never_rises(shares, slack=0.02):
        drawn["budgets"].suptitle("accuracy rises with the budget: the attack is held up", fontsize=9)
    few = slice(0, SURFACE_PICTURES)
    values = pictures.loss_surface(Folded(system.model), x[few], y[few], threat.eps)
    drawn["surface"] = pictures.surface(values, threat.eps)
    teacher = pictures.teacher_over_epochs(system.history.get("student", []))
    if teacher is not None:
        drawn["teacher"] = teacher
    alpha = trust_in_teacher(system, torch.from_numpy(changed["x"]).float(), tested.y())
    if alpha is not None:
        drawn["trust"] = pictures.trust_histogram(alpha)
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


@torch.no_grad()
def trust_in_teacher(system: Any, x: Tensor, y: Tensor) -> np.ndarray | None:
    """alpha (N,) of attacked pictures x (N, C, H, W), by the teacher that was trained with the classifier; None where
    the method knows no trust, or its teacher was given from elsewhere."""
    if "teacher" not in system.network or not hasattr(system.options, "trust"):
        return None
    teacher, device = system.network["teacher"].eval(), system.device
    logits = torch.cat([teacher(part.to(device)).float().cpu() for part in x.split(AT_ONCE)])
    return trust(logits, y, system.options.trust.beta).numpy()


def _figures(folder: Path, evaluation: Evaluation, tested: LabelledPictures, per_class: dict[str, np.ndarray]) -> Path:
    told = {
        "figures": dict(evaluation),
        "intervals": evaluation.intervals,
        "per_class": {
            name: dict(zip(tested.names(), map(_number, each), strict=True)) for name, each in per_class.items()
        },
        "pictures": len(tested),
        "protocol": evaluation.protocol,
        "notes": evaluation.notes,
    }
    path = folder / "attack.json"
    write_whole(path, json.dumps(told, indent=1).encode())
    return path


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
