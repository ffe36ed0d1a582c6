"""FGSM and PGD (Goodfellow et al. 2015; Madry et al. 2018): steps up a loss, back into the ball after each.

`pgd_reference` is the definition, `pgd` what is used: in training every picture takes all steps; in evaluation those
that are fooled drop out, and the picture that fooled is kept. Gradients are of the input only, in float32, whatever
autocast or no_grad is around.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tenfold.ops.attacks.objectives import Objective, best_other, cross_entropy, of_class
from tenfold.ops.attacks.threat import Threat

Model = Callable[[Tensor], Tensor]


def pgd_reference(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, steps: int, step: float, start: Tensor,
    objective: Objective = cross_entropy,
) -> Tensor:  # fmt: skip
    """x^{t+1} = project(x^t + step * ascent(gradient of the loss at x^t)), x^0 = start; the last one."""
    moved = start
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad():
            loss = objective(model(moved), y).sum()
        (gradient,) = torch.autograd.grad(loss, [moved])
        moved = threat.project(moved.detach() + step * threat.ascent(gradient), x)
    return moved.detach()


def pgd(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, steps: int, step: float, start: Tensor | None = None,
    objective: Objective = cross_entropy, stop: bool = False,
) -> Tensor:  # fmt: skip
    """The same, from x itself where no start is given.

    stop: a picture that is fooled drops out of the rest, and what fooled it is returned; so is x where it is wrong as
    it is. y: what the objective takes beside logits; with `stop` it must be classes.
    """
    x = x.float()
    moved = x.clone() if start is None else start.float()
    if not stop:
        for _ in range(steps):
            gradient, _ = input_gradient(model, moved, y, objective)
            moved = threat.project(moved + step * threat.ascent(gradient), x)
        return moved
    # Of a batch, those that still stand: their rows, and what each step needs of them.
    moved, found = moved.clone(), x.clone()  # written into, row by row: the start stays the caller's
    standing = right(logits_of(model, x), y).nonzero().squeeze(1)
    for turn in range(steps + 1):
        if len(standing) == 0:
            break
        here, own, classes = moved[standing], x[standing], y[standing]
        if turn == steps:
            logits = logits_of(model, here)
        else:
            gradient, logits = input_gradient(model, here, classes, objective)
        found[standing] = here
        stands = right(logits, classes)
        if turn < steps:
            moved[standing] = threat.project(here + step * threat.ascent(gradient), own)
        standing = standing[stands]
    return found


def fgsm(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, start: Tensor | None = None,
    objective: Objective = cross_entropy,
) -> Tensor:  # fmt: skip
    """One step as large as the ball; without a random start, unless one is given."""
    return pgd(model, x, y, threat=threat, steps=1, step=threat.eps, start=start, objective=objective)


def input_gradient(model: Model, x: Tensor, y: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """The gradient of the summed loss by x, and the logits (N, K); both without a graph.

    The sum, not the mean, so that a picture's gradient does not depend on how many others there are.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        logits = model(x).float()
        loss = objective(logits, y).sum()
        (gradient,) = torch.autograd.grad(loss, [x])  # here: the way back would else be cast
    return gradient, logits.detach()


def logits_of(model: Model, x: Tensor) -> Tensor:
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        return model(x).float()


def right(logits: Tensor, y: Tensor) -> Tensor:
    """(N,) bool: the class y is above all others; of equal logits none is, and not a number is wrong."""
    return of_class(logits, y) > best_other(logits, y)
