"""What is trained, in which order, within which budget. How is in `lightning_adapter`, and only there."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Sampler

from tenfold.budget import Budget
from tenfold.errors import OptionError

__all__ = ["Budget", "Draw", "EpochBatches", "Loss", "Losses", "Samples", "Stage", "schedule"]

Loss = tuple[Tensor, Tensor]  # the sum over a batch, and the weight by which to divide it
Losses = Loss | dict[str, Loss]  # several by name, each with a weight of its own: they are added, and shown apart
TOLD = ("epoch", "loss", "seconds")  # what each record of a history has, validated or not
POOL = 16  # batches among which samples are sorted by length: enough to save padding, few enough to stay mixed


class Draw(NamedTuple):
    """Which samples make a batch. Whatever is random in them is a function of (seed, epoch, sample)."""

    seed: int
    epoch: int
    indices: np.ndarray
    batch: int = 0  # of the epoch: what all its samples share may be a function of it, in all processes alike


class Samples(Protocol):
    """Data that makes its batches itself, e.g. to draw negatives or to pad. A plain sequence of samples does as well.

    With a method `lengths(seed, epoch)`, one number for each sample, batches hold samples of about one length.
    """

    def __len__(self) -> int: ...

    def batch(self, draw: Draw) -> Any: ...


@dataclass(kw_only=True)
class Stage:
    """One network to train with one loss. A system has one stage, or several that follow each other."""

    name: str
    network: nn.Module
    loss: Callable[[Any], Losses]
    data: Samples | Sequence[Any]
    batch_size: int  # over all processes
    frozen: Sequence[nn.Module] = ()  # used by the loss, not trained
    validate: Callable[[], dict[str, float]] | None = None  # after each epoch; the best by its first figure is kept
    optimizer: Callable[[Any], Optimizer] = field(default=Adam)
    schedule: Callable[[float], float] | None = None  # share of the stage's steps done -> factor of the learning rate
    clip: float | None = None  # norm to which a step's gradients are cut down
    ema_decay: float = 0.0  # of an exponential moving average of the weights, which is validated and kept; 0: none
    share: float = 1.0  # of the fit's totals (seconds, steps, units); what stages before it left over comes to it
    patience: int | None = None  # validations no better after which it stops, where no epochs are given
    units: Callable[[Any], int] | None = None  # of a batch: its events, tokens; without it, the samples are counted
    # Filled by training:
    history: list[dict[str, float]] = field(default_factory=list)  # what each epoch, or part of one, brought
    spent: dict[str, float] = field(default_factory=dict)  # seconds, steps and units, by the names of Budget's totals
    last: dict[str, Tensor] | None = None  # the last weights, where others were the best

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"stage '{self.name}' has share {self.share}; a share is above 0 and at most 1")


def validated(record: Mapping[str, float]) -> dict[str, float]:
    """Of an epoch's record in a history: what the validation found, the watched figure first; nothing without one."""
    return {name: value for name, value in record.items() if name not in TOLD and "/" not in name}


def ended(history: Sequence[Mapping[str, float]]) -> str:
    """How a stage's training ended and, where it was validated, which epoch's weights it kept."""
    if not history:
        return "0 epochs"
    last, kept = history[-1], ""
    if watched := next(iter(validated(last)), None):
        best = max(history, key=lambda record: float(np.nan_to_num(record.get(watched, np.nan), nan=-np.inf)))
        kept = f"; kept: epoch {best['epoch']:.3g}, {watched} {best[watched]:.4g}"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in last.items() if name not in ("epoch", "seconds"))
    return f"{last['epoch']:.3g} epochs in {last['seconds']:.1f} s{kept}; the last: {figures}"


def schedule(name: Literal["constant", "cosine"], warmup: float) -> Callable[[float], float] | None:
    """A Stage's `schedule`: up from 0 in the first `warmup` of the steps, then level, or down to 0 by half a cosine."""
    if name == "constant" and warmup == 0:
        return None

    def factor(done: float) -> float:
        if done < warmup:
            return done / warmup
        return 1.0 if name == "constant" else 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (1 - warmup))

    return factor


class EpochBatches(Sampler[Draw]):
    """Batches as a function of (seed, epoch), of equal sizes but for one; a process takes its part of each of them.

    One process or several, uninterrupted or resumed in the middle of an epoch: the same batches in the same order.
    With `lengths`, samples are sorted by length within pools of batches, and the batches mixed again.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        lengths: Callable[[int, int], np.ndarray] | None = None,
    ) -> None:
        if size == 0:
            raise OptionError("there is nothing to train on; give data with at least one training sample")
        self.size, self.batches, self.seed, self.lengths = size, -(-size // batch_size), seed, lengths
        self.rank, self.processes = rank, processes
        if size // self.batches < processes:
            raise OptionError(
                f"{processes} processes cannot share batches of {size // self.batches}; "
                f"found batch_size {batch_size} and {size} samples; choose larger batches or fewer processes"
            )
        self.where: Callable[[], tuple[int, int]] = lambda: (0, 0)  # epoch, and batches of it that are done

    def __iter__(self) -> Iterator[Draw]:
        epoch, done = self.where()
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        order = torch.randperm(self.size, generator=generator)
        batches = list(order.tensor_split(self.batches))
        if self.lengths is not None:
            lengths = torch.from_numpy(np.ascontiguousarray(self.lengths(self.seed, epoch)))
            for first in range(0, self.batches, POOL):
                sizes = [len(batch) for batch in batches[first : first + POOL]]
                pool = torch.cat(batches[first : first + POOL])
                pool = pool[lengths[pool].argsort(stable=True)]  # equal lengths stay in random order
                batches[first : first + POOL] = list(pool.split(sizes))
            batches = [batches[i] for i in torch.randperm(self.batches, generator=generator)]
        for number in range(done, self.batches):
            yield Draw(self.seed, epoch, batches[number][self.rank :: self.processes].numpy(), number)

    def __len__(self) -> int:
        return self.batches
