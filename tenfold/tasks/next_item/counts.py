"""What a candidate's own count adds to its score: gate(z) log(1 + count), where the gate is linear in the user vector.

Counters that fade (ops/item_counts.py) are a part of a user's state and stand behind the user vector. Which counters an
item has is its method's matter; nothing is learned through counts. In no paper of the ten.

Shapes: N users, L events, D width, V items (0 is padding), R rows of W counters, P positions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.ops.item_counts import Keyed, Least, counts_after, item_keys, keyed, least, least_of, running_counts
from tenfold.ops.linear_cross_entropy import linear_cross_entropy
from tenfold.tasks.next_item.events import NextItemBatch, only_real
from tenfold.tasks.next_item.losses import loss_of_scores
from tenfold.tasks.next_item.options import ItemCountOptions, LossOptions
from tenfold.training import Loss


def item_counts(
    dim: int, items: int, options: ItemCountOptions, vectors: int = 1
) -> tuple["ItemCounts | None", Tensor]:
    """The counters that options ask for of a user of so many vectors, and the items' keys (V + 1, R) in them."""
    if options.of == "none" or (options.of == "auto" and vectors > 1):
        return None, torch.zeros(items + 1, 0, dtype=torch.long)
    counts = ItemCounts(dim, options.rows, options.width, options.decay)
    return counts, item_keys(items, options.rows, options.width)


class ItemCounts(nn.Module):
    """User vectors are z (D,) and R W counters end to end. decay: lambda, by which counters fade with each event."""

    fade: Tensor

    def __init__(self, dim: int, rows: int, width: int, decay: float = 0.0) -> None:
        super().__init__()
        self.dim, self.rows, self.width = dim, rows, width
        self._keyed: tuple[Tensor, Keyed] | None = None
        self.gate = nn.Linear(dim, 1)
        nn.init.zeros_(self.gate.weight)  # a network starts as it is without counts
        nn.init.zeros_(self.gate.bias)
        self.register_buffer("fade", torch.full((rows,), math.exp(-decay)), persistent=False)

    def running(
        self, keys: Tensor, real: Tensor, before: Tensor | None, like: Tensor, fade: Tensor | None = None
    ) -> Tensor:
        """keys (N, L, R), real (N, L), the counters before (N, R, W) or None, factors of fading (R,) where they are not
        its own -> the counters after each event (N, L, R, W)."""
        fade = self.fade if fade is None else fade
        return running_counts(keys, real, self._begun(keys, before, like, fade), fade)

    def after(self, keys: Tensor, real: Tensor, before: Tensor | None, like: Tensor) -> Tensor:
        """The same after the last event alone, (N, R, W)."""
        return counts_after(keys, real, self._begun(keys, before, like, self.fade), self.fade)

    def _begun(self, keys: Tensor, before: Tensor | None, like: Tensor, fade: Tensor) -> Tensor:
        if before is not None:
            return before
        return like.new_zeros(len(keys), self.rows, self.width, dtype=torch.promote_types(like.dtype, fade.dtype))

    def split(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """user (..., D + R W) -> z (..., D), logarithms of the counters (..., R, W)."""
        return user[..., : self.dim], user[..., self.dim :].detach().log1p().unflatten(-1, (self.rows, self.width))

    def readout(self, user: Tensor, keys: Tensor) -> Tensor:
        """What is added to the scores of user (P, D + R W): (P, V + 1)."""
        z, counts = self.split(user)
        if counts.device.type == "cpu" and (self._keyed is None or self._keyed[0] is not keys):
            self._keyed = keys, keyed(keys, self.width)  # for all answers from one catalogue
        return self.gate(z) * least(counts, keys, self._keyed[1] if self._keyed else None)

    def scores(self, user: Tensor, table: Tensor, keys: Tensor) -> Tensor:
        """user (P, D + R W), table (V + 1, D), keys (V + 1, R) -> (P, V + 1)."""
        return self.split(user)[0] @ table.T + self.readout(user, keys)

    def loss(
        self, options: LossOptions, user: Tensor, table: Tensor, keys: Tensor, batch: NextItemBatch, *, items: int
    ) -> Loss:
        """`next_item_loss` of user (N, L, D + R W), table (V + 1, D), keys (V + 1, R)."""
        if options.name == "softmax":
            real = batch.next != 0
            rows = user[real]
            z, counts = self.split(rows)
            total = linear_cross_entropy(
                z, table, batch.next[real], first=1, gate=self.gate(z)[:, 0], beside=Least(counts, keys[1:])
            )
            return total, real.sum()
        user, batch = only_real(user, batch)
        z, counts = self.split(user)
        gate, negatives = self.gate(z), batch.negatives
        s_pos = (z * F.embedding(batch.next, table)).sum(-1, keepdim=True)
        s_pos = s_pos + gate * least_of(counts, keys[batch.next].unsqueeze(2))
        if negatives.dim() == 3:  # each position's
            s_neg = torch.einsum("nld,nlkd->nlk", z, F.embedding(negatives, table))
            found = least_of(counts, keys[negatives])
        else:
            s_neg = z @ F.embedding(negatives, table).mT
            found = least_of(counts, keys[negatives].unsqueeze(1))
        return loss_of_scores(options, s_pos[..., 0], s_neg + gate * found, batch, items=items)
