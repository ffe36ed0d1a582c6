"""Rivals of LimaRec that nobody else here needs: a running mean of items, and ComiRec-SA. They are in no table.

ComiRec-SA (Cen et al., KDD 2020, arXiv 2005.09347, section 3.2): K interests, each a softmax over the history of a
small network's score of each event. Ours: read at every position by running sums, where the paper cuts histories and
predicts one item; the task's losses; no positions, whose table the paper ends at 20 to 50 events.

Shapes: B users, L events, d width, K interests.
"""

import torch
from torch import Tensor, nn

from tenfold.nn.attention import fading, half_lives
from tenfold.nn.dropout import Dropout
from tenfold.ops.linear_attention import causal_linear_attention
from tenfold.tasks.next_item import NextItem, NextItemBatch
from tenfold.tasks.next_item.baselines.options import GRU4RecOptions
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.training import Loss

LARGEST = 20.0  # of a score, so that its exponential can be summed


class Sums(nn.Module):
    """K weighted running means of the events' vectors: weights exp(score), or with `scores=False` fading ones alone."""

    def __init__(self, items: int, dim: int, interests: int, dropout: float, *, scores: bool) -> None:
        super().__init__()
        self.item, self.drop = nn.Embedding(items + 1, dim, padding_idx=0), Dropout(dropout)
        nn.init.normal_(self.item.weight, std=dim**-0.5)
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.score = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Tanh(), nn.Linear(4 * dim, interests, bias=False))
        self.left = None if scores else nn.Parameter(half_lives(interests))
        if not scores:
            self.score.requires_grad_(False)

    def forward(self, events: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """events (B, L) -> f (B, L, K, d) and the sums (B, K, 1, d + 1)."""
        x, keep = self.drop(self.item(events)), events != 0
        scores = self.score(x).clamp(-LARGEST, LARGEST).mT  # (B, K, L)
        a = (torch.zeros_like(scores) if self.left is not None else scores).exp() * keep.unsqueeze(1)
        v = x.unsqueeze(1).expand(-1, a.shape[1], -1, -1)
        fade = None if self.left is None else fading(self.left, events.shape, keep, None)
        one = torch.ones_like(a).unsqueeze(-1)
        f, state = causal_linear_attention(one, a.unsqueeze(-1), v, fade=fade, state=state)
        return f.transpose(1, 2), state


class ComiRecSA(NextItem):
    options: GRU4RecOptions
    interests = 4

    def build(self) -> Sums:
        return Sums(self.sizes["items"], self.options.dim, self.interests, self.options.dropout, scores=True)

    @property
    def context(self) -> None:
        return None

    def loss(self, batch: NextItemBatch) -> Loss:
        f, _ = self.network(batch.events)
        near = (f @ self.network.item(batch.next).unsqueeze(-1)).squeeze(-1)  # (B, L, K)
        user = f.take_along_dim(near.argmax(-1)[..., None, None], dim=2).squeeze(2)
        return next_item_loss(self.options.loss, user, self.item_table(), batch)

    def scores(self, user: Tensor) -> Tensor:
        """The best over the interests: (N, K, d) -> (N, V + 1)."""
        return (user @ self.item_table().T).amax(1)


class RunningMean(ComiRecSA):
    """One vector: a mean of the items of the history that fades at a learned pace."""

    interests = 1

    def build(self) -> Sums:
        return Sums(self.sizes["items"], self.options.dim, 1, self.options.dropout, scores=False)
