"""Rules that count pairs of items: what followed what (first-order Markov), and what stands beside what (item-kNN).

Pairs are kept as a sparse table by row: only those that occurred take room.
Shapes: B users, L events, V items (0 is padding), P pairs that occurred, K neighbours.
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from tenfold.data.splits import Split
from tenfold.tasks.next_item.baselines.counted import Counted, Counts
from tenfold.tasks.next_item.baselines.options import ItemKNNOptions


class ItemPairs(Counted):
    """`weigh` gives the table; a user's scores are the sum of the rows of some of the user's items."""

    def build(self) -> nn.Module:
        pairs = self.sizes.get("pairs", 0)  # known only when they were counted
        return Counts(
            popular=torch.zeros(self.sizes["items"] + 1),
            start=torch.zeros(self.sizes["items"] + 2, dtype=torch.long),  # row i has value[start[i] : start[i + 1]]
            column=torch.zeros(pairs, dtype=torch.int32),
            value=torch.zeros(pairs),
        )

    @abstractmethod
    def weigh(self, prepared: Split) -> scipy.sparse.csr_matrix:
        """(V + 1, V + 1): what an item of the history says of each item."""

    def count(self, prepared: Split) -> None:
        table = self.weigh(prepared)
        self.sizes["pairs"] = table.nnz
        self.network.start = torch.from_numpy(table.indptr.astype(np.int64))
        self.network.column = torch.from_numpy(table.indices.astype(np.int32))
        self.network.value = torch.from_numpy(table.data.astype(np.float32))

    def sum_of_rows(self, items: Tensor, weight: Tensor) -> Tensor:
        """items, weight (B, L) -> (B, V + 1); items 0 add nothing."""
        start, users = self.network.start, torch.arange(len(items), device=items.device)
        length = (start[items + 1] - start[items]) * (items != 0)  # (B, L)
        of = torch.repeat_interleave(torch.arange(items.numel(), device=items.device), length.flatten())
        before = length.flatten().cumsum(0) - length.flatten()
        where = start[items].flatten()[of] + torch.arange(len(of), device=items.device) - before[of]
        row = users[:, None].expand(items.shape).flatten()[of]
        flat = row * len(self.popular) + self.network.column[where]
        values = self.network.value[where] * weight.flatten()[of]
        total = values.new_zeros(len(items) * len(self.popular)).index_add_(0, flat, values)
        return total.unflatten(0, (len(items), -1))


class FirstOrderMarkov(ItemPairs):
    """The items that most often came right after the user's last one."""

    def weigh(self, prepared: Split) -> scipy.sparse.csr_matrix:
        items, size = prepared.events.items, self.sizes["items"] + 1
        within = np.zeros(len(items), dtype=bool)  # whether an event and the next are in one user's training part
        for_users = _spans(
            prepared.events.offsets[:-1], np.maximum(prepared.train_end - 1, prepared.events.offsets[:-1])
        )
        within[for_users] = True
        at = np.flatnonzero(within)
        pairs = scipy.sparse.coo_matrix((np.ones(len(at), np.float32), (items[at], items[at + 1])), (size, size))
        return pairs.tocsr()  # equal pairs are added up

    def score_histories(self, events: Tensor) -> Tensor:
        last = events.gather(1, ((events != 0).sum(1, keepdim=True) - 1).clamp(min=0))  # (B, 1)
        return self.sum_of_rows(last, torch.ones_like(last, dtype=self.popular.dtype)) + self.popular


class ItemKNN(ItemPairs):
    """The items nearest to those of the history: cosine of their users, shrunk (Sarwar et al., WWW 2001).

    Ours: the history's items count less the longer ago they were, without which the rule ignores order.
    """

    options: ItemKNNOptions  # type: ignore[assignment]
    tiny: ClassVar[Any] = ItemKNNOptions(neighbours=7, shrink=1.0)

    def weigh(self, prepared: Split) -> scipy.sparse.csr_matrix:
        events, size = prepared.events, self.sizes["items"] + 1
        at = _spans(events.offsets[:-1], prepared.train_end)
        lengths = prepared.train_end - events.offsets[:-1]
        user = np.repeat(np.arange(len(events)), lengths)
        had = scipy.sparse.csr_matrix((np.ones(len(at), np.float32), (user, events.items[at])), (len(events), size))
        had.data[:] = 1.0  # who had it, not how often
        together = (had.T @ had).tocoo()
        norm = np.sqrt(np.asarray(had.sum(0)).ravel())
        apart = together.row != together.col
        row, column, count = together.row[apart], together.col[apart], together.data[apart]
        likeness = count / (norm[row] * norm[column]) * count / (count + self.options.shrink)
        order = np.lexsort((column, -likeness, row))  # the most alike of each row first
        row, column, likeness = row[order], column[order], likeness[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)  # among its row
        near = place < self.options.neighbours
        return scipy.sparse.csr_matrix((likeness[near], (row[near], column[near])), (size, size))

    def score_histories(self, events: Tensor) -> Tensor:
        count = (events != 0).sum(1, keepdim=True)
        ago = (count - 1 - torch.arange(events.shape[1], device=events.device)).clamp(min=0)
        weight = 0.5 ** (ago.to(self.popular.dtype) / self.options.half_life)
        recent = min(events.shape[1], math.ceil(20 * self.options.half_life))  # older ones weigh less than a millionth
        first = (count - recent).clamp(min=0) + torch.arange(recent, device=events.device)
        first = first.clamp(max=events.shape[1] - 1)
        once = (torch.arange(recent, device=events.device) < count).to(weight.dtype)
        near = self.sum_of_rows(events.gather(1, first), weight.gather(1, first) * once)
        return near + 1e-6 * self.popular


def _spans(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """start[0] .. stop[0] - 1, start[1] .. stop[1] - 1, ... end to end."""
    lengths = stop - start
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(start - before, lengths)
