"""Attacks beside torchattacks, foolbox and ART, on one small network trained against them, and the pair of AutoAttack.

PGD-20 at 8/255 with steps of 2/255 on labels of the shop, batch 100: all libraries attack the same pictures with the
same weights. Shares are of pictures that stay right; `alike` is the share of pictures on which two libraries agree, all
started at the picture itself. The time of ours is that of the definition's job (every picture takes all steps) and, as
evaluation does it, with those that are fooled dropping out; libraries take turns, the better of two turns counts, in
seconds of the processor, which others on the machine move less than the clock's.
AA-lite, AutoAttack's own APGD pair (100 steps and nine targets each) and Square see the first 120 pictures.
"""

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import harness, peers
from tenfold.budget import Budget
from tenfold.data.labelled_pictures import read_labelled
from tenfold.ops import attacks
from tenfold.ops.attacks import Folded, Threat, right
from tenfold.shop.labels import CLASSES, draw
from tenfold.shop.options import Options
from tenfold.tasks.classification.baselines.trained import AT

EPS, STEP, STEPS, BATCH = 8 / 255, 2 / 255, 20, 100
STRONG = 120  # pictures that the attacks of hundreds of steps see


def network_and_pictures(quick: bool) -> tuple[nn.Module, Tensor, Tensor]:
    """A network that stands half of the attacks, and 500 pictures that it was not trained on."""
    rows = 600 if quick else 2_000
    data = read_labelled(draw(Options(labels=rows), 0, rows))
    budget = Budget(max_epochs=1 if quick else 4, progress="none")
    system = AT(**{"attack.steps": 2, "training.batch_size": BATCH}).fit(data, budget=budget)
    part = read_labelled(draw(Options(labels=5_000), 4_000, 4_000 + (200 if quick else 500)))
    return system.model.eval(), part.x(), part.y()


def in_batches(attack: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([attack(*both) for both in zip(x.split(BATCH), y.split(BATCH), strict=True)])


def rivals(network: nn.Module) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """PGD-20 of each library that is here, from the picture itself."""
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    if peers.TORCHATTACKS.present:
        import torchattacks  # type: ignore[import-not-found, import-untyped, unused-ignore]

        found["torchattacks"] = torchattacks.PGD(network, eps=EPS, alpha=STEP, steps=STEPS, random_start=False)
    if peers.FOOLBOX.present:
        import foolbox  # type: ignore[import-not-found, import-untyped, unused-ignore]

        model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
        pgd = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False)
        found["foolbox"] = lambda x, y: pgd(model, x, y, epsilons=EPS)[1]
    if peers.ART.present:
        from art.attacks.evasion import ProjectedGradientDescent  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from art.estimators.classification import PyTorchClassifier  # type: ignore[import-not-found, import-untyped, unused-ignore]

        classifier = PyTorchClassifier(
            network, nn.CrossEntropyLoss(), (3, 32, 32), len(CLASSES), clip_values=(0, 1), device_type="cpu"
        )
        descent = ProjectedGradientDescent(
            classifier, eps=EPS, eps_step=STEP, max_iter=STEPS, batch_size=BATCH, verbose=False
        )
        found["art"] = lambda x, y: torch.from_numpy(descent.generate(x.numpy(), np.eye(len(CLASSES))[y.numpy()]))
    return found


def apgd_pair_of_autoattack(network: nn.Module, x: Tensor, y: Tensor) -> float:
    import pyautoattack  # type: ignore[import-not-found, import-untyped, unused-ignore]

    attack = pyautoattack.AutoAttack(
        network, attacks=["apgd-ce", "apgd-t"], device="cpu", eps=EPS, norm="Linf", version="custom", seed=0
    )
    with contextlib.redirect_stdout(io.StringIO()):
        moved: Any = attack.run_standard_evaluation(x, y, batch_size=BATCH)
    return standing(network, moved[0] if isinstance(moved, tuple) else moved, y)


@torch.no_grad()
def standing(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return float(right(network(x), y).float().mean())


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    network, x, y = network_and_pictures(quick)
    threat, model, rows = Threat(EPS), Folded(network), np.arange(len(x))
    how: dict[str, Any] = {"threat": threat, "steps": STEPS, "step": STEP}
    ours: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "ours": lambda x, y: attacks.pgd(model, x, y, **how),
        "dropping": lambda x, y: attacks.pgd(model, x, y, stop=True, **how),
    }
    sides = ours | rivals(network)
    figures: dict[str, float] = {"natural": standing(network, x, y)}
    seconds, moved = dict.fromkeys(sides, float("inf")), dict[str, Tensor]()
    for _ in range(1 if quick else 2):
        for name, attack in sides.items():
            began = time.process_time()
            moved[name] = in_batches(attack, x, y)
            seconds[name] = min(seconds[name], time.process_time() - began)
    for name, found in moved.items():
        figures[f"pgd_{name}"] = standing(network, found, y)
        figures[f"pgd_{name}_s"] = seconds[name]
        if name not in ours:
            with torch.no_grad():
                same = right(network(found), y) == right(network(moved["ours"]), y)
            figures[f"alike_{name}"] = float(same.float().mean())
            figures[f"speedup_over_{name}"] = seconds[name] / seconds["ours"]
    figures["budget_exceeded_by"] = float((threat.size(moved["dropping"] - x) - EPS).max())
    x, y, rows = x[:STRONG], y[:STRONG], rows[:STRONG]
    figures["pgd_of_these"] = standing(network, moved["ours"][:STRONG], y)
    lite = attacks.aa_lite(model, x, y, threat=threat, steps=20 if quick else 100)
    figures["aa_lite"] = standing(network, lite, y)
    square = attacks.square(model, x, y, threat=threat, queries=50 if quick else 500, rows=rows)
    figures["square"] = standing(network, square, y)
    notes = [f"{len(moved['ours'])} pictures; {len(sides) - len(ours)} rivals are here."]
    if peers.PYAUTOATTACK.present and not quick:
        figures["autoattack_apgd_pair"] = apgd_pair_of_autoattack(network, x, y)
    else:
        notes.append("The APGD pair of AutoAttack was not run.")
    harness.report("attacks", figures, notes=notes)


if __name__ == "__main__":
    main()
