"""What an attack raises: functions of logits (N, K) and y (N,), one number for each picture.

cross_entropy: Madry et al. 2018. margin: Carlini and Wagner 2017, as raised inside a ball by its users. dlr and
targeted_dlr: Croce and Hein 2020, section 4; they do not vanish where logits are large. divergence: TRADES (student
against its own answer), RSLAD (against the teacher's). All in float32 or better.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Objective = Callable[[Tensor, Tensor], Tensor]
TINY = 1e-12


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor, kappa: float = 50.0) -> Tensor:
    """How far the best wrong class is above the right one, at most kappa."""
    return (best_other(logits, y) - of_class(logits, y)).clamp(max=kappa)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Difference of logits ratio. With two classes, where no third logit is, the margin."""
    if logits.shape[1] < 3:
        return margin(logits, y)
    top = logits.topk(3, 1).values
    return (best_other(logits, y) - of_class(logits, y)) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The same towards one class (N,). With fewer than four classes, their plain difference."""
    towards = of_class(logits, target) - of_class(logits, y)
    if logits.shape[1] < 4:
        return towards
    top = logits.topk(4, 1).values
    return towards / (top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + TINY)


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(q || softmax(logits)); target (N, K): the log-probabilities of q."""
    return F.kl_div(F.log_softmax(logits, 1), target, reduction="none", log_target=True).sum(1)


def of_class(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y.unsqueeze(1)).squeeze(1)


def best_other(logits: Tensor, y: Tensor) -> Tensor:
    """(N,) the largest logit of a class that is not y."""
    own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, y.unsqueeze(1), True)
    return logits.masked_fill(own, float("-inf")).amax(1)


OBJECTIVES: dict[str, Objective] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}
