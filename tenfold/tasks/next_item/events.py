"""What a trained method is fed: windows of events, the event after each, and negatives where its loss wants them.

Shapes: B windows, L events (of the longest window), k negatives. Padding is 0 and on the right.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.data import negatives
from tenfold.data.splits import Split
from tenfold.data.windows import Windows
from tenfold.tasks.next_item.options import LossOptions
from tenfold.training import Draw


class NextItemBatch(NamedTuple):
    events: Tensor  # (B, L)
    next: Tensor  # (B, L), the event after each; 0 where there is none
    negatives: Tensor  # bce: (B, L, k), each position's; softmax: (B, 0); else (B, k), a window's, or (1, k), of all
    times: Tensor | None = None  # (B, L) float64 of the events, as the log counts them, for methods that use times


def distinct(batch: NextItemBatch) -> tuple[Tensor, NextItemBatch]:
    """The items (U,) of a batch, 0 first, and the batch with an item's place among them in place of its number."""
    of_items = batch.events, batch.next, batch.negatives
    every = [batch.events.new_zeros(1), *(part.flatten() for part in of_items)]
    items, places = torch.unique(torch.cat(every), return_inverse=True)
    parts = places[1:].split([part.numel() for part in of_items])
    events, following, negatives = (part.view_as(old) for part, old in zip(parts, of_items, strict=True))
    return items, NextItemBatch(events, following, negatives, batch.times)


def only_real(user: Tensor, batch: NextItemBatch) -> tuple[Tensor, NextItemBatch]:
    """Where all windows share their negatives (1, k): the N positions with a next event alone, as one window; else both
    as they are.  user (B, L, ...) -> (1, N, ...)."""
    if batch.negatives.dim() != 2 or len(batch.negatives) != 1:
        return user, batch
    real = batch.next != 0
    times = None if batch.times is None else batch.times[real].unsqueeze(0)
    events, following = (part[real].unsqueeze(0) for part in (batch.events, batch.next))
    return user[real].unsqueeze(0), NextItemBatch(events, following, batch.negatives, times)


class NextItemSamples:
    """The training windows of a split, made into batches. What is drawn is a function of (seed, epoch, window)."""

    def __init__(self, split: Split, length: int, loss: LossOptions, *, times: bool = False) -> None:
        """times: batches carry those of the events, where the log has any."""
        self.windows, self.items = Windows(split, length), len(split.events.catalogue)
        self.split, self.loss = split, loss
        self.times = split.events.times if times else None

    def __len__(self) -> int:
        return len(self.windows)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        start, stop = self.windows.draw(seed, epoch)
        return stop - start

    def batch(self, draw: Draw) -> NextItemBatch:
        events, following = self.windows.batch(draw.indices, draw.seed, draw.epoch)
        drawn, times = self._negatives(draw, following), None
        if self.times is not None:
            times = torch.from_numpy(self.windows.along(self.times, draw.indices, draw.seed, draw.epoch))
        return NextItemBatch(torch.from_numpy(events), torch.from_numpy(following), torch.from_numpy(drawn), times)

    def _negatives(self, draw: Draw, following: np.ndarray) -> np.ndarray:
        k = self.loss.negatives
        where: dict[str, Any] = {"seed": draw.seed, "epoch": draw.epoch}
        if self.loss.name == "softmax":
            return np.zeros((len(following), 0), dtype=np.int64)
        if self.loss.name == "bce":
            if self.loss.exclude_history:
                where |= {"had": self.windows.histories(draw.indices)}
            return negatives.per_position(following, draw.indices, self.items, k or 1, **where)
        if self.loss.share_negatives:
            return negatives.per_batch(draw.batch, self.items, k or 1_024, **where)
        return negatives.per_sample(draw.indices, self.items, k or 256, **where)
