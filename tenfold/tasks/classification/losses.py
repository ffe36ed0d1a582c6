"""The losses of all methods, as plain functions of logits: each gives a number for each picture, (N,).

Read the arguments as the papers are read: s is the student and t its teacher, `natural` are its answers to pictures as
they are, S(x), `attacked` those to the student's attacked ones, S(x~). All logits are (N, K), y is (N,).
Every KL is a sum over classes, and its first argument is the target q.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.ops.attacks.objectives import best_other, of_class


def ce(logits: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    return F.cross_entropy(logits, y, reduction="none", label_smoothing=smoothing)


def kl(target: Tensor, logits: Tensor, tau: float = 1.0) -> Tensor:
    """KL(softmax(target / tau) || softmax(logits / tau)): of logits both; gradients go into both."""
    q, p = F.log_softmax(target / tau, 1), F.log_softmax(logits / tau, 1)
    return F.kl_div(p, q, reduction="none", log_target=True).sum(1)


def trust(teacher: Tensor, y: Tensor, beta: float) -> Tensor:
    """alpha: the teacher's probability of the right class, to the power beta; 1 for beta = 0. Without a gradient."""
    if beta == 0:
        return torch.ones_like(teacher[:, 0]).detach()
    wide = teacher.detach().to(torch.promote_types(teacher.dtype, torch.float32))  # a half would underflow
    return (beta * of_class(F.log_softmax(wide, 1), y)).exp()


# Without a teacher ----------------------------------------------------------------------------------------------------


def trades(natural: Tensor, attacked: Tensor, y: Tensor, *, weight: float, smoothing: float = 0.0) -> Tensor:
    """Zhang et al. 2019 (arXiv 1901.08573), equation 5."""
    return ce(natural, y, smoothing) + weight * kl(natural, attacked)


def mart(natural: Tensor, attacked: Tensor, y: Tensor, *, weight: float) -> Tensor:
    """Wang et al. 2020, equation 11: cross-entropy boosted by the best wrong class, and more consistency where the
    natural picture is not yet right."""
    probabilities = F.softmax(attacked, 1)
    wrong = best_other(probabilities, y)
    boosted = ce(attacked, y) - torch.log(1.0001 - wrong + 1e-12)
    unsure = 1 - of_class(F.softmax(natural, 1), y)
    return boosted + weight * kl(natural, attacked) * unsure


# With a teacher -------------------------------------------------------------------------------------------------------


def ard(
    natural: Tensor | None, attacked: Tensor, t_natural: Tensor, y: Tensor, *, weight: float = 1.0, tau: float = 1.0,
    smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Goldblum et al. 2020 (arXiv 1905.09747). With weight 1 labels do not count, and S(x) is not asked for."""
    return weight * tau * tau * kl(t_natural, attacked, tau) + of_labels(natural, y, 1 - weight, smoothing)


def of_labels(natural: Tensor | None, y: Tensor, weight: float, smoothing: float = 0.0) -> Tensor | float:
    if weight == 0:
        return 0.0
    assert natural is not None
    return weight * ce(natural, y, smoothing)


def akd2(
    attacked: Tensor, t_attacked: Tensor, standard_attacked: Tensor, y: Tensor, *, robust_weight: float,
    standard_weight: float, tau: float = 1.0, smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Chen et al. 2021: labels, a robust and a standard teacher, all on the attacked picture."""
    labels = (1 - robust_weight - standard_weight) * ce(attacked, y, smoothing)
    taught = robust_weight * tau * tau * kl(t_attacked, attacked, tau)
    return labels + taught + standard_weight * tau * tau * kl(standard_attacked, attacked, tau)


def rslad(natural: Tensor, attacked: Tensor, t_natural: Tensor) -> Tensor:
    """Zi et al. 2021 (arXiv 2108.07969): soft labels in both places."""
    return 5 / 6 * kl(t_natural, attacked) + 1 / 6 * kl(t_natural, natural)


def adaad(
    natural: Tensor | None, attacked: Tensor, t_natural: Tensor | None, t_attacked: Tensor, *, weight: float
) -> Tensor:
    """Huang et al. 2023: the attack follows the teacher; with weight 1 only attacked pictures count."""
    found = weight * kl(t_attacked, attacked)
    if weight < 1:
        assert natural is not None and t_natural is not None
        found = found + (1 - weight) * kl(t_natural, natural)
    return found


def mtard(natural: Tensor, attacked: Tensor, t_attacked: Tensor, standard_natural: Tensor) -> tuple[Tensor, Tensor]:
    """Zhao et al. 2022: what the robust teacher says of attacked pictures, and the standard one of natural ones. How
    the two are weighed changes while training."""
    return kl(t_attacked, attacked), kl(standard_natural, natural)


# IAD: Zhu et al. 2022 (arXiv 2106.04928) ------------------------------------------------------------------------------


def introspection(natural: Tensor, attacked: Tensor, alpha: Tensor) -> Tensor:
    """What the student's own answer to the natural picture adds where the teacher is not trusted."""
    return (1 - alpha) * kl(natural, attacked)


def iad1(
    natural: Tensor, attacked: Tensor, t_natural: Tensor, y: Tensor, alpha: Tensor, *, weight: float = 1.0,
    gamma: float = 1.0, tau: float = 1.0, gated: bool = False, detach: bool = False, smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """IAD-I, on ARD. gated: the teacher's term is weighed by alpha, as the abstract says; the released code does not.
    detach: introspection looks at S(x) without a gradient into it; the released code has one."""
    own = natural.detach() if detach else natural
    taught = tau * tau * kl(t_natural, attacked, tau)
    taught = (alpha * taught if gated else taught) + gamma * introspection(own, attacked, alpha)
    return weight * taught + of_labels(natural, y, 1 - weight, smoothing)


def iad2(
    natural: Tensor, attacked: Tensor, t_attacked: Tensor, standard_attacked: Tensor, y: Tensor, alpha: Tensor, *,
    robust_weight: float, standard_weight: float, gamma: float = 1.0, tau: float = 1.0, gated: bool = True,
    detach: bool = False, smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """IAD-II, on AKD2; the standard teacher is never weighed by alpha."""
    own = natural.detach() if detach else natural
    labels = (1 - robust_weight - standard_weight) * ce(attacked, y, smoothing)
    taught = kl(t_attacked, attacked, tau)
    taught = (alpha * taught if gated else taught) + gamma * introspection(own, attacked, alpha)
    return (
        labels + robust_weight * tau * tau * taught + standard_weight * tau * tau * kl(standard_attacked, attacked, tau)
    )


def adaiad(natural: Tensor, attacked: Tensor, t_attacked: Tensor, alpha: Tensor, *, gamma: float = 1.0) -> Tensor:
    """AdaIAD of Huang et al. 2023."""
    return kl(t_attacked, attacked) + gamma * introspection(natural, attacked, alpha)
