"""How right a classifier stays: every attack of a protocol on every picture, and what must be known of the figures.

Attacks are run in float32 on a folded copy. Each picture's noise is a function of (seed, its row), so figures do not
depend on how many are attacked together; and pictures that fell are kept where a caller asks for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.data.labelled_pictures import LabelledPictures
from tenfold.errors import OptionError
from tenfold.files import write_whole
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.robustness import natural_robust_mean, stronger_without_gradients, worst_case, worst_class
from tenfold.ops import attacks
from tenfold.ops.attacks import Folded, Threat, check_threat, masking, right
from tenfold.tasks.classification.options import Protocol

AT_ONCE = 128  # pictures
LOOKED_AT = 64  # pictures by which masking is told
MORE_STEPS, STILL_FALLS = 5, 0.02  # times the steps; a fall of so much says that the steps were too few
KAPPA = 50.0  # of cw


class Chunks:
    """Parts of an attack that are done, in a folder: an attack that was interrupted goes on from there.

    key: of all that decides what they hold; parts of another key are not read.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def get(self, name: str, first: int) -> dict[str, np.ndarray] | None:
        try:
            with np.load(self._path(name, first), allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, BadZipFile):  # not there, or cut short
            return None

    def put(self, name: str, first: int, done: dict[str, np.ndarray]) -> None:
        buffer = BytesIO()
        np.savez(buffer, **done)  # type: ignore[arg-type]
        write_whole(self._path(name, first), buffer.getvalue())

    def clear(self) -> None:
        for path in self.folder.glob("*.npz"):
            path.unlink()
        self.folder.rmdir()

    def _path(self, name: str, first: int) -> Path:
        return self.folder / f"{self.key}-{name}-{first}.npz"


@dataclass(frozen=True)
class Attacked:
    """What attacks made of pictures: `right` by attack, and, where wanted, the pictures themselves."""

    natural: np.ndarray  # (N,) bool
    answers: np.ndarray  # (N,) the class that is answered to the picture as it is
    right: dict[str, np.ndarray]  # (N,) bool by attack
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # (N, C, H, W) float32 by attack
    fooled_into: dict[str, np.ndarray] = field(default_factory=dict)  # (N,) the class answered then

    @property
    def robust(self) -> np.ndarray:
        return worst_case(self.natural, self.right)


def attack_once(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    name: str,
    threat: Threat,
    protocol: Protocol,
    rows: np.ndarray,
) -> Tensor:
    """x~ of one attack of the protocol. rows: the pictures' numbers, for their noise."""
    seed, shape = protocol.attack_seed, tuple(x.shape[1:])
    step = threat.eps * (0.25 if protocol.steps >= 8 else 2.5 / protocol.steps)
    start = threat.start(x, attacks.noise(seed, 0, rows, shape).to(x.device))
    if name == "fgsm":
        return attacks.fgsm(model, x, y, threat=threat)
    if name in ("pgd", "cw", "dlr"):
        raised = {"pgd": attacks.cross_entropy, "cw": attacks.margin, "dlr": attacks.dlr}[name]
        return attacks.pgd(
            model, x, y, threat=threat, steps=protocol.steps, step=step, start=start, objective=raised, stop=True
        )
    if name == "apgd":
        noise = attacks.noise(seed, 1, rows, shape).to(x.device)
        return attacks.apgd(model, x, y, threat=threat, steps=protocol.apgd_steps, start=noise)
    if name == "aa-lite":
        return attacks.aa_lite(
            model, x, y, threat=threat, steps=protocol.apgd_steps, targets=protocol.targets, seed=seed, rows=rows
        )
    if name == "autoattack":
        return autoattack(model, x, y, threat, seed)
    return attacks.square(model, x, y, threat=threat, queries=protocol.queries, seed=seed, rows=rows)


def autoattack(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, threat: Threat, seed: int) -> Tensor:
    """The whole of it, in its standard version, by pyautoattack: APGD on two losses, FAB and Square. Raises OptionError
    where that is not installed, and for fewer than the four classes that its losses need."""
    try:
        import pyautoattack  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise OptionError(
            "the attack 'autoattack' needs pyautoattack, which is not installed: pip install pyautoattack; 'aa-lite' "
            "needs nothing and has the two parts of it that see most"
        ) from None
    with torch.no_grad():
        classes = model(x[:1]).shape[1]
    if classes < 4:
        raise OptionError(f"the attack 'autoattack' needs four classes, and there are {classes}; take 'aa-lite'")
    norm: Any = {"linf": "Linf", "l2": "L2"}[threat.norm]
    attack: Any = pyautoattack.AutoAttack(
        model, device=x.device, eps=threat.eps, norm=norm, version="standard", seed=seed
    )
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
    with torch.random.fork_rng(), torch.enable_grad():
        moved, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
    return threat.project(moved, x)  # it exceeds its budget by rounding


def attack_all(
    network: nn.Module, data: LabelledPictures, threat: Threat, protocol: Protocol, *, keep: bool = False,
    chunks: Chunks | None = None,
) -> Attacked:  # fmt: skip
    """All attacks of the protocol on all pictures. keep: the changed pictures are kept, as are the answers to them.
    chunks: where parts that are done are kept, so that an interrupted attack goes on."""
    model, device = Folded(network), next(network.parameters()).device
    parts: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in ("natural", *(protocol.attacks or ()))}
    for first in range(0, len(data), AT_ONCE):
        rows = np.arange(first, min(first + AT_ONCE, len(data)))
        x, y = data.x(rows).to(device), data.y(rows).to(device)
        for name in parts:
            done = chunks.get(name, first) if chunks is not None else None
            if done is None:
                moved = x if name == "natural" else attack_once(model, x, y, name, threat, protocol, rows)
                done = _answered(network, moved, y, keep=keep and name != "natural")
                if chunks is not None:
                    chunks.put(name, first, done)
            parts[name].append(done)
    joined = {
        name: {key: np.concatenate([part[key] for part in each]) for key in each[0]} for name, each in parts.items()
    }
    natural = joined.pop("natural")
    return Attacked(
        natural["right"], natural["answer"], {name: each["right"] for name, each in joined.items()},
        {name: each["x"] for name, each in joined.items() if "x" in each},
        {name: each["answer"] for name, each in joined.items()},
    )  # fmt: skip


@torch.no_grad()
def _answered(network: nn.Module, x: Tensor, y: Tensor, *, keep: bool) -> dict[str, np.ndarray]:
    """By the network itself, not by its folded copy, which rounds otherwise."""
    logits = network(x).float()
    told = {"right": right(logits, y).cpu().numpy(), "answer": logits.argmax(1).cpu().numpy()}
    return told | ({"x": x.cpu().numpy()} if keep else {})


def evaluate(
    network: nn.Module, data: LabelledPictures, threat: Threat, protocol: Protocol, *, told: str, **how: Any
) -> tuple[Evaluation, Attacked]:
    """Figures by name: robust (right after every attack), natural, each attack, the worst class's robust accuracy, and
    nrr, the harmonic mean of natural and robust accuracy. how: what `attack_all` takes. Raises OptionError."""
    notes = check_threat(threat.eps, threat.norm, threat.eps / 4, protocol.steps)
    found = attack_all(network, data, threat, protocol, **how)
    labels, classes = data.labels.astype(np.int64) - 1, len(data.classes)
    robust = found.robust
    per_unit = {"robust": robust, "natural": found.natural, **found.right}
    statistics = {
        "worst_class": worst_class(robust, labels, classes),
        "nrr": natural_robust_mean(found.natural, robust),
    }
    notes += warnings_of(network, data, threat, protocol, found)
    if not protocol.attacks:
        per_unit, statistics = {"natural": found.natural}, {"worst_class": worst_class(found.natural, labels, classes)}
    how_attacked = ", ".join(attack_told(name, protocol) for name in found.right)
    evaluation = Evaluation.of(
        {name: values.astype(np.float64) for name, values in per_unit.items()},
        statistics=statistics,
        protocol=f"{told}; {threat_told(threat)}; {how_attacked or 'no attack'}",
        notes=notes,
    )
    return evaluation, found


def threat_told(threat: Threat) -> str:
    levels = threat.eps * 255
    size = f"{levels:.3g}/255" if threat.norm == "linf" else f"{threat.eps:.3g}"
    return f"{threat.norm}, eps {size}"


def attack_told(name: str, protocol: Protocol) -> str:
    return {
        "fgsm": "fgsm",
        "apgd": f"apgd of {protocol.apgd_steps} steps",
        "aa-lite": f"aa-lite (apgd, then towards {protocol.targets} classes; {protocol.apgd_steps} steps each)",
        "square": f"square of {protocol.queries} queries",
        "autoattack": "autoattack (standard, by pyautoattack)",
    }.get(name, f"{name}-{protocol.steps}")


def warnings_of(
    network: nn.Module, data: LabelledPictures, threat: Threat, protocol: Protocol, found: Attacked
) -> list[str]:
    """What makes the figures worth less than they look."""
    some = np.arange(min(len(data), LOOKED_AT))
    device = next(network.parameters()).device
    x, y = data.x(some).to(device), data.y(some).to(device)
    notes = [finding.says for finding in masking(network, x, y)]
    apart = stronger_without_gradients(found.right)
    if apart is not None:
        notes.append(
            f"square, which sees no gradients, fools {apart:.1%} of pictures more than all other attacks: the model "
            "hides its gradients, and its other figures are too good"
        )
    if "pgd" in found.right and found.right["pgd"][some].any():
        longer = replace(protocol, steps=protocol.steps * MORE_STEPS)
        moved = attack_once(Folded(network), x, y, "pgd", threat, longer, some)
        with torch.no_grad():
            left = right(network(moved).float(), y).float().mean().item()
        had = float(found.right["pgd"][some].mean())
        if had - left > STILL_FALLS:
            notes.append(
                f"with {longer.steps} steps in place of {protocol.steps} pgd leaves {left:.1%} right, not {had:.1%} (of"
                f" {len(some)} pictures): more steps are needed before its figure can be believed"
            )
    return notes


def smallest_budgets(
    network: nn.Module, x: Tensor, eps: float, norm: attacks.Norm = "linf", *, steps: int = 30, seed: int = 0
) -> list[float | None]:
    """Of each picture (N, C, H, W) the smallest of some budgets at which an attack changes the answer; None: not even
    eight times `eps` does."""
    model = Folded(network)
    with torch.no_grad():
        y = network(x).float().argmax(1)
    found: list[float | None] = [None] * len(x)
    left = np.arange(len(x))
    for times in BUDGETS:
        if len(left) == 0:
            break
        threat = Threat(times * eps, norm)
        own, classes = x[left], y[left]
        start = attacks.noise(seed, 1, left, tuple(x.shape[1:])).to(x.device)
        moved = attacks.apgd(model, own, classes, threat=threat, steps=steps, start=start)
        with torch.no_grad():
            stays = right(network(moved).float(), classes).cpu().numpy()
        for row in left[~stays]:
            found[row] = times * eps
        left = left[stays]
    return found


BUDGETS = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 1, 5 / 4, 3 / 2, 2, 3, 4, 6, 8)
