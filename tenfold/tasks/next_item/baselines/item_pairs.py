"""Rules that count pairs of items: what followed what (first-order Markov), and what stands beside what (item-kNN).

Pairs are kept as a sparse table by row: only those that occurred take room.
Shapes: B users, L events, V items (0 is padding), P pairs that occurred, K neighbours.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from tenfold.data.splits import Split
from tenfold.errors import ArtifactError
from tenfold.tasks.next_item.baselines.counted import Counted, Counts, whole
from tenfold.tasks.next_item.baselines.lists import Pairs, Said
from tenfold.tasks.next_item.baselines.options import ItemKNNOptions

MOST_ITEMS = 2_000  # of one user that are paired with one another: a crawler's would be all pairs of the catalogue
PAIRS_AT_ONCE = 1 << 24  # events of pairs that are counted together


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

    @classmethod
    def _loaded(cls, folder: Path, weights: str) -> Self:
        """Compiled loops follow the table without looking: one that points beside itself is refused here."""
        system = super()._loaded(folder, weights)
        start, column, value = system.pairs()
        rows = start[0] == 0 and start[-1] == len(column) and (np.diff(start) >= 0).all()
        if not rows or (len(column) and not (column.min() >= 0 and column.max() <= system.sizes["items"])):
            raise ArtifactError(f"{folder} holds a table of pairs that points beside its items; save or copy it again")
        if not np.isfinite(value).all():
            raise ArtifactError(f"{folder} holds counts of pairs that are NaN or infinite; save or copy it again")
        return system

    @abstractmethod
    def weigh(self, prepared: Split) -> scipy.sparse.csr_matrix:
        """(V + 1, V + 1): what an item of the history says of each item."""

    def count(self, prepared: Split) -> None:
        table = self.weigh(prepared)
        self.sizes["pairs"] = table.nnz
        self.network.start = torch.from_numpy(table.indptr.astype(np.int64))
        self.network.column = torch.from_numpy(table.indices.astype(np.int32))
        self.network.value = torch.from_numpy(table.data.astype(np.float32))

    def pairs(self) -> Pairs:
        return Pairs(*(table.cpu().numpy() for table in (self.network.start, self.network.column, self.network.value)))

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

    @property
    def reach(self) -> int:
        return 1

    def said(self, histories: Sequence[np.ndarray]) -> Said:
        items, offsets = whole([h[-1:] for h in histories])
        return Said(items, np.ones(len(items), np.float32), offsets)

    def score_histories(self, events: Tensor) -> Tensor:
        last = events.gather(1, ((events != 0).sum(1, keepdim=True) - 1).clamp(min=0))  # (B, 1)
        return self.sum_of_rows(last, torch.ones_like(last, dtype=self.popular.dtype)) + self.popular


class ItemKNN(ItemPairs):
    """The items nearest to those of the history: cosine of their users, shrunk (Sarwar et al., WWW 2001).

    Ours: the history's items count less the longer ago they were, without which the rule ignores order.
    """

    options: ItemKNNOptions  # type: ignore[assignment]
    fallback = 1e-6
    tiny: ClassVar[Any] = ItemKNNOptions(neighbours=7, shrink=1.0)

    def weigh(self, prepared: Split) -> scipy.sparse.csr_matrix:
        had, size = self._had(prepared), self.sizes["items"] + 1
        had_by, norm = had.T.tocsr(), np.sqrt(np.asarray(had.sum(0)).ravel())
        # Pairs are counted for a few items at a time, of which the nearest are kept: all pairs would fill the memory.
        work = np.cumsum(had_by @ np.diff(had.indptr))  # events that the pairs of items up to this one come from
        near, first = [], 0
        while first < size:
            before = work[first - 1] if first else 0.0
            last = max(first + 1, int(np.searchsorted(work, before + PAIRS_AT_ONCE, "right")))
            near.append(self._nearest(had_by[first:last] @ had, first, norm))
            first = last
        return scipy.sparse.vstack(near, format="csr")

    def _nearest(self, together: scipy.sparse.csr_matrix, first: int, norm: np.ndarray) -> scipy.sparse.csr_matrix:
        """together (n, V + 1): users that items first .. first + n - 1 share with each -> likeness of the nearest."""
        shape, together = together.shape, together.tocoo()
        apart = together.row + first != together.col
        row, column, count = together.row[apart], together.col[apart], together.data[apart]
        likeness = count / (norm[row + first] * norm[column]) * count / (count + self.options.shrink)
        order = np.lexsort((column, -likeness, row))  # the most alike of each row first
        row, column, likeness = row[order], column[order], likeness[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)  # among its row
        near = place < self.options.neighbours
        return scipy.sparse.csr_matrix((likeness[near], (row[near], column[near])), shape)

    def _had(self, prepared: Split) -> scipy.sparse.csr_matrix:
        """(U, V + 1): 1 where a user had an item in training, of which only the latest MOST_ITEMS count."""
        events, width = prepared.events, self.sizes["items"] + 1
        at, lengths = _spans(events.offsets[:-1], prepared.train_end), prepared.train_end - events.offsets[:-1]
        key = np.repeat(np.arange(len(events)), lengths) * width + events.items[at]
        key, place = np.unique(key[::-1], return_index=True)  # the last event of each item that a user had
        user = key // width
        order = np.lexsort((place, -user))[::-1]  # the users in order, and of each the latest item last
        user, key = user[order], key[order]
        recent = np.searchsorted(user, user, "right") - np.arange(len(user)) <= MOST_ITEMS
        ones = np.ones(int(recent.sum()), np.float32)
        return scipy.sparse.csr_matrix((ones, (user[recent], key[recent] % width)), (len(events), width))

    def data_notes(self, dataset: Any, prepared: Split) -> list[str]:
        events, lengths = prepared.events, prepared.train_end - prepared.events.offsets[:-1]
        long = np.flatnonzero(lengths > MOST_ITEMS)
        items = (np.unique(events.items[events.offsets[u] : prepared.train_end[u]]).size for u in long)
        found = super().data_notes(dataset, prepared)
        if many := sum(size > MOST_ITEMS for size in items):
            found.append(
                f"{many:,} user{'s' if many > 1 else ''} had more than {MOST_ITEMS:,} items: pairs are counted among "
                f"the latest {MOST_ITEMS:,} of each"
            )
        return found

    @property
    def reach(self) -> int:
        return math.ceil(20 * self.options.half_life)  # older ones weigh less than a millionth

    def said(self, histories: Sequence[np.ndarray]) -> Said:
        items, offsets = whole([h[-self.reach :] for h in histories])
        ago = np.repeat(offsets[1:], np.diff(offsets)) - 1 - np.arange(len(items))
        return Said(items, (0.5 ** (ago / self.options.half_life)).astype(np.float32), offsets)

    def score_histories(self, events: Tensor) -> Tensor:
        count = (events != 0).sum(1)
        recent = self.users_at(events, torch.arange(len(events), device=events.device), (count - 1).clamp(min=0))
        count = (recent != 0).sum(1, keepdim=True)
        ago = (count - 1 - torch.arange(recent.shape[1], device=events.device)).clamp(min=0)
        weight = 0.5 ** (ago.to(self.popular.dtype) / self.options.half_life)
        return self.sum_of_rows(recent, weight) + self.fallback * self.popular


def _spans(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """start[0] .. stop[0] - 1, start[1] .. stop[1] - 1, ... end to end."""
    lengths = stop - start
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(start - before, lengths)
