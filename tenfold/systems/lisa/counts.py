"""What a candidate's own count adds to its score: gate(z) log(1 + count), where the gate is linear in the user vector.

The histograms tell how often each codeword of each codebook came, not which came together. `codewords`: a candidate's
count is the least of its codewords' counts, which the state has already. `joint`: beside the histograms a sketch counts
all codes of an event together (ops/item_counts.py). Neither is in the paper. Codes learn nothing through counts.

Shapes: N users, L events, D width, V items (0 is padding), R rows of W counters, P positions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.ops.item_counts import joint_keys, least, least_of, running_counts
from tenfold.ops.linear_cross_entropy import linear_cross_entropy
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.events import NextItemBatch
from tenfold.tasks.next_item.losses import loss_of_scores
from tenfold.tasks.next_item.options import LossOptions
from tenfold.training import Loss


def joint_counters(options: Options) -> int:
    """How many numbers of a user's state the sketch is."""
    return options.counts.rows * options.counts.width if options.counts.of == "joint" else 0


class ItemCounts(nn.Module):
    """User vectors are z (D,) and R W counters end to end."""

    fade: Tensor

    def __init__(self, options: Options) -> None:
        """Raises OptionError."""
        super().__init__()
        o, books = options.counts, options.codebooks
        if o.of == "codewords" and options.soft:
            raise OptionError("soft codes have no counts of single codewords; found counts.of=codewords; take joint")
        self.dim, self.joint = options.dim, o.of == "joint"
        self.rows, self.width = (o.rows, o.width) if self.joint else (books.books, books.words)
        self.gate = nn.Linear(options.dim, 1)
        nn.init.zeros_(self.gate.weight)  # a network starts as it is without counts
        nn.init.zeros_(self.gate.bias)
        self.register_buffer("fade", torch.full((self.rows,), math.exp(-o.decay)), persistent=False)

    def keys(self, codes: Tensor) -> Tensor:
        """codes (V + 1, B) -> (V + 1, R) int64."""
        return joint_keys(codes, self.rows, self.width) if self.joint else codes.long()

    def running(self, keys: Tensor, real: Tensor, before: Tensor | None, decay: Tensor | None, like: Tensor) -> Tensor:
        """keys (N, L, R), real (N, L), the counters before (N, R, W), lambda of the histograms -> (N, L, R, W)."""
        fade = self.fade if self.joint else torch.exp(-(torch.zeros_like(self.fade) if decay is None else decay))
        if before is None:
            before = like.new_zeros(len(keys), self.rows, self.width, dtype=torch.promote_types(like.dtype, fade.dtype))
        return running_counts(keys, real, before, fade)

    def split(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """user (..., D + R W) -> z (..., D), logarithms of the counters (..., R, W)."""
        return user[..., : self.dim], user[..., self.dim :].detach().log1p().unflatten(-1, (self.rows, self.width))

    def readout(self, user: Tensor, keys: Tensor) -> Tensor:
        """What is added to the scores of user (P, D + R W): (P, V + 1)."""
        z, counts = self.split(user)
        return self.gate(z) * least(counts, keys)

    def loss(
        self, options: LossOptions, user: Tensor, table: Tensor, keys: Tensor, batch: NextItemBatch, *, items: int
    ) -> Loss:
        """`next_item_loss` of user (N, L, D + R W), table (V + 1, D), keys (V + 1, R)."""
        if options.name == "softmax":
            real = batch.next != 0
            rows = user[real]
            z = rows[:, : self.dim]
            total = linear_cross_entropy(
                z, table, batch.next[real], first=1, gate=self.gate(z)[:, 0],
                beside=lambda part: least(self.split(rows[part])[1], keys[1:]),
            )  # fmt: skip
            return total, real.sum()
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
