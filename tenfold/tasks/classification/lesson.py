"""One network taught by one method: the attack on it, the passes through it and its teachers, the loss.

A `Method` reads what it needs of a `Passes`: each pass is made when it is first asked for, and once. So a loss reads
like its paper, and costs no pass that it does not use. Passes through the student are in training mode, x~ before x (as
released); the attack's are in eval mode, batch norm folded, weights at rest; teachers in eval mode, without gradient.

Shapes: B pictures of a batch, (B, C, H, W) in [0, 1]; K classes.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.data.labelled_pictures import LabelledPictures, PictureBatch
from tenfold.ops.attacks import Folded, Objective, Threat, cross_entropy, divergence, input_gradient, noise, pgd, right
from tenfold.tasks.classification.options import ThreatOptions
from tenfold.training import Loss

Raises = Literal["nothing", "labels", "itself", "teacher", "teacher there"]  # what the attack of a method raises
NEAR = 1e-3  # standard deviation of the noise from which attacks on a KL start (TRADES)
AT_ONCE = 256  # pictures that are validated together


class Method(Protocol):
    """What is learned from a batch."""

    raises: ClassVar[Raises]

    def objective(self, p: "Passes") -> Tensor:
        """(B,) the loss of each picture."""
        ...


class Arena:
    """Where a network is attacked: a folded copy that follows it, and its teachers' folded copies.

    Made on the first batch, when all are where they are trained.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module | None, second: nn.Module | None) -> None:
        self.student = Folded(student)
        self.teacher = None if teacher is None else Folded(teacher)
        self.second = None if second is None else Folded(second)


class Passes:
    """What a method may ask of one batch."""

    def __init__(self, lesson: "Lesson", batch: PictureBatch, weights: Mapping[str, Tensor] | None = None) -> None:
        """weights: of the student, where these are to be others than its own."""
        self.lesson, self.x, self.y, self.noise, self.epoch = lesson, batch.x, batch.y, batch.noise, batch.epoch
        self.weights = weights
        self.alpha: Tensor | None = None  # trust in the teacher, where the method has one

    @property
    def share(self) -> float:
        """Of the epochs that are done."""
        return self.epoch / max(self.lesson.epochs, 1)

    @cached_property
    def attacked(self) -> Tensor:
        """x~, on which the student as it stands errs most, as far as the method's attack finds it."""
        return self.lesson.attack(self)

    @cached_property
    def student_attacked(self) -> Tensor:
        """S(x~)"""
        return self._student(self.attacked)

    @cached_property
    def student_natural(self) -> Tensor:
        """S(x)"""
        return self._student(self.x)

    def _student(self, x: Tensor) -> Tensor:
        network = self.lesson.network
        if self.weights is None:
            return network(x).float()
        return torch.func.functional_call(network, dict(self.weights), (x,)).float()

    @cached_property
    def teacher_natural(self) -> Tensor:
        """T(x)"""
        return self._at_rest(self.lesson.arena.teacher, self.x)

    @cached_property
    def teacher_attacked(self) -> Tensor:
        """T(x~)"""
        return self._at_rest(self.lesson.arena.teacher, self.attacked)

    @cached_property
    def second_natural(self) -> Tensor:
        """T_st(x)"""
        return self._at_rest(self.lesson.arena.second, self.x)

    @cached_property
    def second_attacked(self) -> Tensor:
        """T_st(x~)"""
        return self._at_rest(self.lesson.arena.second, self.attacked)

    @staticmethod
    def _at_rest(network: Folded | None, x: Tensor) -> Tensor:
        assert network is not None, "the method asks a teacher that it has not"
        with torch.no_grad():
            return network(x).float()


class Lesson:
    """A stage's loss and validation."""

    def __init__(
        self, network: nn.Module, method: Method, threat: ThreatOptions, *, epochs: int, validation: LabelledPictures,
        teacher: nn.Module | None = None, second: nn.Module | None = None, awp: float = 0.0, watched: int = 512,
        seed: int = 0,
    ) -> None:  # fmt: skip
        """epochs: of the stage, by which warm-ups count. watched: validation pictures that are attacked."""
        self.network, self.method, self.options, self.epochs = network, method, threat, epochs
        self.teachers, self.awp = (teacher, second), awp
        self.threat, self.seed = Threat(threat.eps, threat.norm), seed
        self.validation = validation.take(np.arange(min(len(validation), watched)))
        self._arena: Arena | None = None
        self.tally: dict[str, Tensor] = {}  # sums over the pictures of the epoch so far, on the device

    @property
    def arena(self) -> Arena:
        if self._arena is None:
            self._arena = Arena(self.network, *self.teachers)
        return self._arena

    @property
    def step(self) -> float:
        """Size of an attack's step: a quarter of the ball, or more where so few steps would not reach its border."""
        return self.options.step or self.threat.eps * max(0.25, 1.25 / self.options.steps)

    # Training.

    def loss(self, batch: PictureBatch) -> Loss:
        self.arena.student.refresh()
        passes = Passes(self, batch)
        if self.awp:
            passes = self._against_weights(batch, passes)
        each = self.method.objective(passes)
        self._count(passes)
        return each.sum(), torch.tensor(float(len(each)), device=each.device)

    def attack(self, p: Passes) -> Tensor:
        """x~ of a batch, by what the method's attack raises. Without gradient."""
        goes, target = self.arena.student, p.y
        objective: Objective = cross_entropy
        model: Callable[[Tensor], Tensor] = goes if self.options.bn == "eval" else self.network
        if self.method.raises in ("itself", "teacher"):
            asked = goes if self.method.raises == "itself" else self.arena.teacher
            target, objective = F.log_softmax(Passes._at_rest(asked, p.x), 1), divergence
        start = self.threat.start(p.x, p.noise)
        if self.method.raises in ("itself", "teacher", "teacher there"):
            start = (p.x + NEAR * p.noise * 3**0.5).clamp(0, 1)  # of the deviation that the papers' normal noise has
        if self.method.raises == "teacher there":
            return self._away_from_teacher(model, p.x, start)
        return pgd(
            model,
            p.x,
            target,
            threat=self.threat,
            steps=self.options.steps,
            step=self.step,
            start=start,
            objective=objective,
        )

    def _away_from_teacher(self, model: Callable[[Tensor], Tensor], x: Tensor, moved: Tensor) -> Tensor:
        """AdaAD's: raises KL(T(x~) || S(x~)), with the gradient through the teacher too."""
        teacher = self.arena.teacher
        assert teacher is not None

        def both(z: Tensor) -> Tensor:
            return torch.cat((model(z), teacher(z)), 1)

        def apart(logits: Tensor, _: Tensor) -> Tensor:
            own, theirs = logits.chunk(2, 1)
            return divergence(own, F.log_softmax(theirs, 1))

        for _ in range(self.options.steps):
            gradient, _ = input_gradient(both, moved, moved, apart)
            moved = self.threat.project(moved + self.step * self.threat.ascent(gradient), x)
        return moved

    def _against_weights(self, batch: PictureBatch, plain: Passes) -> Passes:
        """The same batch seen by weights that are worse for it: each weight matrix moved up the loss by `awp` of its
        own length (AWP: Wu et al., NeurIPS 2020, equation 8). Gradients go to the weights themselves."""
        kept = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        named = [(name, weight) for name, weight in self.network.named_parameters() if weight.ndim > 1]
        slopes = torch.autograd.grad(self.method.objective(plain).mean(), [weight for _, weight in named])
        weights: dict[str, Tensor] = dict(self.network.named_parameters())
        for (name, weight), slope in zip(named, slopes, strict=True):
            away = self.awp * weight.detach().norm() / slope.norm().clamp(min=1e-12) * slope
            weights[name] = weight + away
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                buffer.copy_(kept[name])
        worse = Passes(self, batch, weights)
        for name in ("attacked", "teacher_natural", "teacher_attacked", "second_natural", "second_attacked"):
            if name in plain.__dict__:
                worse.__dict__[name] = plain.__dict__[name]
        return worse

    # What an epoch brought.

    @torch.no_grad()
    def _count(self, p: Passes) -> None:
        """Adds up, on the device, what a person wants to see of the teacher: nothing here waits for it."""
        if self.teachers[0] is None or self.method.raises == "nothing":
            return
        natural, attacked = right(p.teacher_natural, p.y), right(p.teacher_attacked, p.y)
        told = {
            "pictures": torch.ones_like(p.y, dtype=torch.float32),
            "teacher_natural": natural,
            "teacher_attacked": attacked,
            "right_on_both": natural & attacked,
            "right_on_natural_only": natural & ~attacked,
            "right_on_attacked_only": ~natural & attacked,
            "right_on_none": ~natural & ~attacked,
            "student_attacked": right(p.student_attacked.detach(), p.y),
        }
        if p.alpha is not None:
            told["trust"] = p.alpha
        for name, each in told.items():
            self.tally[name] = self.tally.get(name, 0.0) + each.double().sum()

    def validate(self) -> dict[str, float]:
        """The watched figure first: accuracy under the attack of training (natural, where there is none), then the
        other; and what the epoch's training pictures showed of the teacher."""
        folded = self.arena.student
        folded.refresh()
        data, device = self.validation, next(self.network.parameters()).device
        sums = np.zeros(2)
        for first in range(0, len(data), AT_ONCE):
            rows = np.arange(first, min(first + AT_ONCE, len(data)))
            x, y = data.x(rows).to(device), data.y(rows).to(device)
            with torch.no_grad():
                sums[0] += float(right(folded(x), y).sum())
            if self.method.raises != "nothing":
                start = self.threat.start(x, noise(self.seed, 1 << 20, rows, data.shape).to(device))
                worse = pgd(
                    folded, x, y, threat=self.threat, steps=10, step=self.threat.eps / 4, start=start, stop=True
                )
                with torch.no_grad():
                    sums[1] += float(right(folded(worse), y).sum())
        natural, robust = sums / len(data)
        figures = {"natural": natural} if self.method.raises == "nothing" else {"pgd": robust, "natural": natural}
        return figures | self._told()

    def _told(self) -> dict[str, float]:
        """Means over the epoch, of all processes."""
        if not self.tally:
            return {}
        names = sorted(self.tally)
        sums = torch.stack([self.tally[name] for name in names])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        found = dict(zip(names, sums.tolist(), strict=True))
        self.tally = {}
        pictures = found.pop("pictures")
        return {name: value / pictures for name, value in found.items()} | {"pictures": pictures}
