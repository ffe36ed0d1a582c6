"""APGD (Croce and Hein, ICML 2020, section 3): PGD with momentum and a step that halves itself, no step to choose.

`aa_lite` is APGD on cross-entropy and then, on what stands, targeted APGD on the difference of logits ratio: the first
two parts of AutoAttack's four. It is not AutoAttack and is never called so; the other two change figures little.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from tenfold.ops.attacks.noise import noise
from tenfold.ops.attacks.objectives import Objective, cross_entropy, targeted_dlr
from tenfold.ops.attacks.pgd import Model, input_gradient, logits_of, right
from tenfold.ops.attacks.threat import Threat

MOMENTUM = 0.75  # of the new step; the rest is the last one's
OFTEN = 0.75  # share of steps that must have raised the loss, else the step is halved


@dataclass
class Climb:
    """What is known of each picture that still stands, n of them: where it is, where it was best, how it came there."""

    rows: Tensor  # (n,) which of the batch
    x: Tensor  # (n, C, H, W), as they were
    y: Tensor
    target: Tensor  # (n,) the class to be led to, where the objective asks for one
    here: Tensor
    before: Tensor
    gradient: Tensor
    logits: Tensor
    loss: Tensor  # (n,) here
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    at_check: Tensor  # the best loss when the step was last looked at
    step: Tensor
    halved: Tensor  # then
    rises: Tensor  # steps since then that raised the loss

    def keep(self, stands: Tensor) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name)[stands])


def checkpoints(steps: int) -> list[int]:
    """After which steps the step size is looked at: gaps shrink from 22 % of all steps to 6 %, by 3 % each."""
    gap, shortest, less = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    found, at = list[int](), 0
    while at + gap <= steps:
        at += gap
        found.append(at)
        gap = max(gap - less, shortest)
    return found


def apgd(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, start: Tensor, steps: int = 100,
    objective: Objective = cross_entropy, target: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """x~ of the pictures that it fools, x of the others; pictures drop out as soon as they are fooled.

    start: noise (N, C, H, W) in [-1, 1]. target: classes (N,) to lead to; the objective is then `targeted_dlr`.
    """
    x = x.float()
    found = x.clone()
    standing = right(logits_of(model, x), y).nonzero().squeeze(1)
    if len(standing) == 0:
        return found
    climb = _begin(model, x, y, threat, start, objective, target, standing)
    looks, last = checkpoints(steps), 0
    for turn in range(steps + 1):
        stands = right(climb.logits, climb.y)
        if not stands.all():
            found[climb.rows[~stands]] = climb.here[~stands]
            climb.keep(stands)
        if turn == steps or len(climb.rows) == 0:
            break
        if turn in looks:
            _look(climb, turn - last)
            last = turn
        _step(climb, model, threat, objective, target is not None, MOMENTUM if turn else 1.0)
    return found


def _begin(
    model: Model, x: Tensor, y: Tensor, threat: Threat, start: Tensor, objective: Objective, target: Tensor | None,
    rows: Tensor,
) -> Climb:  # fmt: skip
    own, classes = x[rows], y[rows]
    led = classes if target is None else target[rows]
    here = threat.edge(own, start[rows].to(own))
    gradient, logits, loss = _slope(model, here, classes, led, objective, target is not None)
    step, rises = torch.full_like(loss, 2 * threat.eps), torch.zeros_like(loss)
    halved = torch.ones_like(loss, dtype=torch.bool)
    return Climb(
        rows, own, classes, led, here, here, gradient, logits, loss, here, gradient, loss, loss, step, halved, rises
    )


def _slope(
    model: Model, x: Tensor, y: Tensor, target: Tensor, objective: Objective, targeted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    losses = list[Tensor]()

    def loss_of(logits: Tensor, y: Tensor) -> Tensor:
        losses.append(targeted_dlr(logits, y, target) if targeted else objective(logits, y))
        return losses[-1]

    gradient, logits = input_gradient(model, x, y, loss_of)
    return gradient, logits, losses[-1].detach()


def _look(climb: Climb, since: int) -> None:
    """Halves the step of those that rose too seldom, or found nothing better with a step that was not halved; they go
    back to where they were best."""
    few = (climb.rises <= OFTEN * since) | (~climb.halved & (climb.at_check >= climb.best_loss))
    climb.halved, climb.at_check = few, climb.best_loss
    climb.step = torch.where(few, climb.step / 2, climb.step)
    climb.rises = torch.zeros_like(climb.rises)
    wide = _wide(few, climb.x)
    climb.here = torch.where(wide, climb.best, climb.here)
    climb.gradient = torch.where(wide, climb.best_gradient, climb.gradient)


def _step(climb: Climb, model: Model, threat: Threat, objective: Objective, targeted: bool, share: float) -> None:
    here = climb.here
    moved = threat.project(here + _wide(climb.step, here) * threat.ascent(climb.gradient), climb.x)
    moved = threat.project(here + share * (moved - here) + (1 - share) * (here - climb.before), climb.x)
    gradient, logits, loss = _slope(model, moved, climb.y, climb.target, objective, targeted)
    climb.rises = climb.rises + (loss > climb.loss)
    climb.before, climb.here, climb.gradient, climb.logits, climb.loss = here, moved, gradient, logits, loss
    better = loss > climb.best_loss
    climb.best_loss = torch.where(better, loss, climb.best_loss)
    wide = _wide(better, here)
    climb.best, climb.best_gradient = (
        torch.where(wide, moved, climb.best),
        torch.where(wide, gradient, climb.best_gradient),
    )


def _wide(each: Tensor, like: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return each.reshape(-1, *[1] * (like.ndim - 1))


def apgd_targeted(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, steps: int = 100, targets: int = 9, seed: int = 0,
    rows: np.ndarray | None = None,
) -> Tensor:  # fmt: skip
    """Towards each of the `targets` classes that the model finds likeliest after the right one, as far as there are
    any, on the pictures that stand. rows: the numbers of the pictures, which decide where they start."""
    rows = np.arange(len(x)) if rows is None else rows
    found = x.float().clone()
    logits = logits_of(model, found)
    standing = right(logits, y).nonzero().squeeze(1)
    order = logits.scatter(1, y.unsqueeze(1), float("-inf")).argsort(1, descending=True)
    for number in range(min(targets, logits.shape[1] - 1)):
        if len(standing) == 0:
            break
        start = noise(seed, 2 + number, rows[standing.cpu().numpy()], tuple(x.shape[1:])).to(x.device)
        own, classes, led = found[standing], y[standing], order[standing, number]
        found[standing] = apgd(model, own, classes, threat=threat, steps=steps, start=start, target=led)
        standing = standing[right(logits_of(model, found[standing]), classes)]
    return found


def aa_lite(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, steps: int = 100, targets: int = 9, seed: int = 0,
    rows: np.ndarray | None = None,
) -> Tensor:  # fmt: skip
    """APGD on cross-entropy, then targeted APGD on what stands. See `apgd_targeted`."""
    rows = np.arange(len(x)) if rows is None else rows
    start = noise(seed, 1, rows, tuple(x.shape[1:])).to(x.device)
    found = apgd(model, x, y, threat=threat, steps=steps, start=start)
    return apgd_targeted(model, found, y, threat=threat, steps=steps, targets=targets, seed=seed, rows=rows)
