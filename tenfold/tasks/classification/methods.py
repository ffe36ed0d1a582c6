"""What each method learns from a batch: which passes it asks for, and its loss of them (losses.py)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tenfold.tasks.classification import losses
from tenfold.tasks.classification.lesson import Passes, Raises


@dataclass
class Standard:
    """Labels of natural pictures (ST)."""

    smoothing: float = 0.0
    raises: ClassVar[Raises] = "nothing"

    def objective(self, p: Passes) -> Tensor:
        return losses.ce(p.student_natural, p.y, self.smoothing)


@dataclass
class Adversarial:
    """Labels of attacked pictures (PGD-AT; Madry et al., ICLR 2018)."""

    smoothing: float = 0.0
    raises: ClassVar[Raises] = "labels"

    def objective(self, p: Passes) -> Tensor:
        return losses.ce(p.student_attacked, p.y, self.smoothing)


@dataclass
class Trades:
    weight: float = 6.0
    smoothing: float = 0.0
    raises: ClassVar[Raises] = "itself"

    def objective(self, p: Passes) -> Tensor:
        return losses.trades(p.student_natural, p.student_attacked, p.y, weight=self.weight, smoothing=self.smoothing)


@dataclass
class Mart:
    weight: float = 5.0
    raises: ClassVar[Raises] = "labels"

    def objective(self, p: Passes) -> Tensor:
        return losses.mart(p.student_natural, p.student_attacked, p.y, weight=self.weight)


@dataclass
class Ard:
    weight: float = 1.0
    tau: float = 1.0
    smoothing: float = 0.0
    raises: ClassVar[Raises] = "labels"

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        natural = p.student_natural if self.weight < 1 else None
        return losses.ard(
            natural, attacked, p.teacher_natural, p.y, weight=self.weight, tau=self.tau, smoothing=self.smoothing
        )


@dataclass
class Akd2:
    robust_weight: float = 0.5
    standard_weight: float = 0.25
    tau: float = 1.0
    smoothing: float = 0.0
    raises: ClassVar[Raises] = "labels"

    def objective(self, p: Passes) -> Tensor:
        return losses.akd2(
            p.student_attacked, p.teacher_attacked, p.second_attacked, p.y, robust_weight=self.robust_weight,
            standard_weight=self.standard_weight, tau=self.tau, smoothing=self.smoothing,
        )  # fmt: skip


@dataclass
class Rslad:
    raises: ClassVar[Raises] = "teacher"

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        return losses.rslad(p.student_natural, attacked, p.teacher_natural)


@dataclass
class AdaAd:
    weight: float = 1.0
    raises: ClassVar[Raises] = "teacher there"

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        if self.weight == 1:
            return losses.adaad(None, attacked, None, p.teacher_attacked, weight=1.0)
        return losses.adaad(p.student_natural, attacked, p.teacher_natural, p.teacher_attacked, weight=self.weight)


@dataclass
class AdaIad:
    beta: float = 0.1
    gamma: float = 1.0
    begin: float = 0.3
    raises: ClassVar[Raises] = "teacher there"

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        if p.share < self.begin or self.beta == 0:
            return losses.adaad(None, attacked, None, p.teacher_attacked, weight=1.0)
        alpha = losses.trust(p.teacher_attacked, p.y, self.beta)
        return losses.adaiad(p.student_natural, attacked, p.teacher_attacked, alpha, gamma=self.gamma)


class Mtard(nn.Module):
    """The two teachers' weights follow how far each one's loss has come down: the one that lags gets more. What that
    takes is in buffers, so that a run that goes on goes on with it."""

    raises: ClassVar[Raises] = "labels"
    first: Tensor
    share: Tensor

    def __init__(self, rate: float = 0.025) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("first", torch.zeros(2))  # the losses of the first batch, robust and standard
        self.register_buffer("share", torch.full((), 0.5))  # of the robust teacher

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        robust, standard = losses.mtard(p.student_natural, attacked, p.teacher_attacked, p.second_natural)
        share = self.share.clone()
        if self.training:
            self._follow(torch.stack((robust.detach().mean(), standard.detach().mean())))
        return share * robust + (1 - share) * standard

    @torch.no_grad()
    def _follow(self, now: Tensor) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(now)
            now = now / torch.distributed.get_world_size()
        self.first.copy_(torch.where(self.first > 0, self.first, now))
        left = now / self.first.clamp(min=1e-12)
        self.share.lerp_((left[0] / left.sum().clamp(min=1e-12)).to(self.share), self.rate)


@dataclass
class Iad:
    """IAD-I on ARD, IAD-II on AKD2 (arXiv 2106.04928). `alpha` of a batch is kept, for the tally."""

    base: str = "ard"
    beta: float = 0.1
    gamma: float = 1.0
    begin: float = 0.3
    gated: bool = False  # the teacher's term is weighed by alpha
    detach: bool = False
    weight: float = 1.0  # of ARD's teacher beside labels
    robust_weight: float = 0.5
    standard_weight: float = 0.25
    tau: float = 1.0
    smoothing: float = 0.0
    raises: ClassVar[Raises] = "labels"

    def objective(self, p: Passes) -> Tensor:
        if p.share < self.begin or self.beta == 0:
            return self._base().objective(p)
        attacked = p.student_attacked
        alpha = losses.trust(p.teacher_attacked, p.y, self.beta)
        p.alpha = alpha
        natural = self._own(p)
        if self.base == "ard":
            return losses.iad1(
                natural, attacked, p.teacher_natural, p.y, alpha, weight=self.weight, gamma=self.gamma, tau=self.tau,
                gated=self.gated, detach=self.detach, smoothing=self.smoothing,
            )  # fmt: skip
        return losses.iad2(
            natural, attacked, p.teacher_attacked, p.second_attacked, p.y, alpha, robust_weight=self.robust_weight,
            standard_weight=self.standard_weight, gamma=self.gamma, tau=self.tau, gated=self.gated, detach=self.detach,
            smoothing=self.smoothing,
        )  # fmt: skip

    def _own(self, p: Passes) -> Tensor:
        """S(x). Where no gradient goes into it, its pass keeps nothing for one."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not (self.detach and self.weight == 1)):
            return p.student_natural

    def _base(self) -> Ard | Akd2:
        if self.base == "ard":
            return Ard(self.weight, self.tau, self.smoothing)
        return Akd2(self.robust_weight, self.standard_weight, self.tau, self.smoothing)
