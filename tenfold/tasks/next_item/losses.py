"""The losses of next-item recommendation, each over all positions that have a next event.

bce with one negative: SASRec (Kang and McAuley 2018). gbce: gSASRec (Petrov and Macdonald 2023, arXiv 2308.07192),
equation 9 and section 5. Sampled softmax and gbce share a window's k negatives among its positions: one product in
place of a gather of (B, L, k, d); a whole batch may share them, so that a large catalogue is looked at in few rows. A
negative that happens to be the position's own next item does not count.

Shapes: B windows, L events, d width, V items (row 0 of a table is padding), k negatives, N positions with a next event.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.ops.linear_cross_entropy import linear_cross_entropy
from tenfold.tasks.next_item.events import NextItemBatch, only_real
from tenfold.tasks.next_item.options import LossOptions
from tenfold.training import Loss


def next_item_loss(
    options: LossOptions, user: Tensor, table: Tensor, batch: NextItemBatch, *, items: int | None = None
) -> Loss:
    """user (B, L, d), table (V + 1, d) -> the sum over the N positions, and N.

    items: V, where the table and the batch's numbers are those of some items only (events.distinct).
    """
    real = batch.next != 0  # (B, L)
    weight = real.sum()
    if options.name == "softmax":
        return linear_cross_entropy(user[real], table, batch.next[real], first=1), weight
    if options.name == "bce":
        h, positive, negative = user[real], batch.next[real], batch.negatives[real]  # (N, d), (N,), (N, k)
        s_pos = (h * F.embedding(positive, table)).sum(-1)  # (N,)
        s_neg = torch.einsum("nd,nkd->nk", h, F.embedding(negative, table))  # (N, k)
        return _bce(s_pos, s_neg), weight
    user, batch = only_real(user, batch)
    s_pos = (user * F.embedding(batch.next, table)).sum(-1)  # (B, L)
    s_neg = user @ F.embedding(batch.negatives, table).mT  # (B, L, k); of one row of negatives alike
    return loss_of_scores(options, s_pos, s_neg, batch, items=items or len(table) - 1)


def loss_of_scores(options: LossOptions, s_pos: Tensor, s_neg: Tensor, batch: NextItemBatch, *, items: int) -> Loss:
    """The losses with negatives, from the scores of the next items (B, L) and of the negatives (B, L, k)."""
    real = batch.next != 0  # (B, L)
    weight = real.sum()
    if options.name == "bce":
        return _bce(s_pos[real], s_neg[real]), weight
    is_next = batch.negatives.unsqueeze(1) == batch.next.unsqueeze(-1)  # (B, L, k)
    s_neg = s_neg.masked_fill(is_next, -torch.inf)
    if options.name == "sampled_softmax":
        every = torch.cat([s_pos.unsqueeze(-1), s_neg], dim=-1)  # (B, L, 1 + k)
        return ((every.logsumexp(-1) - s_pos) * real).sum(), weight
    alpha = min(batch.negatives.shape[-1] / max(items - 1, 1), 1.0)  # sampling rate k / (V - 1)
    beta = alpha * (options.calibration * (1 - 1 / alpha) + 1 / alpha)
    # -log sigma(s_pos)^beta = beta softplus(-s_pos): no inverse of the sigmoid, no clamp, float32 is enough.
    return ((beta * F.softplus(-s_pos) + F.softplus(s_neg).sum(-1)) * real).sum(), weight


def _bce(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    return F.softplus(-s_pos).sum() + F.softplus(s_neg).mean(-1).sum()
