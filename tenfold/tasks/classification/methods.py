"""What each method learns from a batch: which passes it asks for, and its loss of them (losses.py)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

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
        return losses.ard(natural, attacked, p.teacher_natural, p.y, weight=self.weight, tau=self.tau, smoothing=self.smoothing)  # fmt: skip


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


@dataclass
class Mtard:
    """The two teachers' weights follow how far each one's loss has come down: the one that lags gets more."""

    rate: float = 0.025
    raises: ClassVar[Raises] = "labels"
    first: Tensor = field(default_factory=lambda: torch.zeros(2))  # the losses of the first batch
    weight: Tensor = field(default_factory=lambda: torch.full((), 0.5))  # of the robust teacher

    def objective(self, p: Passes) -> Tensor:
        attacked = p.student_attacked
        robust, standard = losses.mtard(p.student_natural, attacked, p.teacher_attacked, p.second_natural)
        return self.weight * robust + (1 - self.weight) * standard


@dataclass
class Iad:
    """IAD-I on ARD, IAD-II on AKD2 (arXiv 2106.04928). `alpha` of a batch is kept, for the tally."""

    base: str = "ard"
    beta: float = 0.1
    gamma: float = 1.0
    begin: float = 0.3
    gated: bool = False  # the teacher's term is weighed by alpha
    detach: bool = False
    weight: float = 1.0
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
                gated=self.gated, smoothing=self.smoothing,
            )  # fmt: skip
        return losses.iad2(
            natural, attacked, p.teacher_attacked, p.second_attacked, p.y, alpha, robust_weight=self.robust_weight,
            standard_weight=self.standard_weight, gamma=self.gamma, tau=self.tau, gated=self.gated,
            smoothing=self.smoothing,
        )  # fmt: skip

    def _own(self, p: Passes) -> Tensor:
        """S(x), the target of introspection. Detached, its pass keeps nothing for a gradient."""
        if not self.detach or (self.base == "ard" and self.weight < 1):
            return p.student_natural.detach() if self.detach else p.student_natural
        with torch.no_grad():
            return p.student_natural

    def _base(self) -> Ard | Akd2:
        if self.base == "ard":
            return Ard(self.weight, self.tau, self.smoothing)
        return Akd2(self.robust_weight, self.standard_weight, self.tau, self.smoothing)
