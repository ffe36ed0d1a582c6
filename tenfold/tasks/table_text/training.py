"""What all networks of the task are trained on: tables with their texts as numbers, and steps of Adam."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.optim import AdamW, Optimizer

from tenfold.tasks.table_text.encoding import BOS, EOS, Numbers, TableBatch, padded
from tenfold.tasks.table_text.options import Training
from tenfold.training import Draw


class Pair(NamedTuple):
    """A table and one of its texts."""

    table: Numbers
    text: list[int]  # from BOS to EOS


class PairBatch(NamedTuple):
    table: TableBatch
    text: Tensor  # (B, M)


class Pairs:
    """Batches hold texts of about one length."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        return np.array([len(pair.text) + pair.table.rows.shape[1] for pair in self.pairs])

    def batch(self, draw: Draw) -> PairBatch:
        chosen = [self.pairs[i] for i in draw.indices]
        return PairBatch(TableBatch.of([pair.table for pair in chosen]), padded([pair.text for pair in chosen]))


def bounded(text: Sequence[int]) -> list[int]:
    return [BOS, *text, EOS]


class WarmedUp(AdamW):
    """AdamW whose step size goes up for `warmup` steps, and then falls with the root of their number.

    The count of steps is the optimizer's own, so that it is in every checkpoint. Its epsilon, 1e-6, is that of RoBERTa:
    with the authors' 1e-8 a gradient that is rounding alone becomes a step.
    """

    def __init__(self, parameters: Any, training: Training) -> None:
        parameters = list(parameters)
        super().__init__(
            parameters,
            fused=all(each.device.type == "cpu" for each in parameters),  # one pass over the weights, not eight
            lr=training.lr,
            betas=(0.9, 0.98),
            eps=1e-6,
            weight_decay=training.weight_decay,
        )
        self.largest, self.warmup = training.lr, training.warmup

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            group["done"] = group.get("done", 0) + 1
            group["lr"] = self.largest * min(group["done"] / self.warmup, (self.warmup / group["done"]) ** 0.5)
        return super().step(closure)


def optimizer(training: Training) -> Callable[[Any], Optimizer]:
    return partial(WarmedUp, training=training)
