"""Rivals of LimaRec with several vectors a user: a running mean of items, ComiRec's two, MIND. Memories: memories.py.

All are found by the same table of items, with the task's losses and no places; the next item is scored by the vector
nearest to it (MIND: by all, by nearness), and an answer scores an item by its best vector.

Shapes: B users, L events, d width, K interests, V items (0 is padding).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.attention import fading, half_lives
from tenfold.nn.dropout import Dropout
from tenfold.ops.linear_attention import causal_linear_attention
from tenfold.systems.limarec.options import RivalOptions
from tenfold.tasks.next_item import NextItem, NextItemBatch
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import Training
from tenfold.training import Loss

LARGEST = 20.0  # of a score, so that its exponential can be summed
ROUNDS = 3  # of routing
TINY = RivalOptions(dim=16, interests=3, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))


def items(count: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(count + 1, dim, padding_idx=0)
    nn.init.normal_(table.weight, std=dim**-0.5)
    with torch.no_grad():
        table.weight[0] = 0.0
    return table


class Several(NextItem):
    """A method that gives vectors (B, L, M, d) of a user."""

    options: RivalOptions
    tiny = TINY

    def loss(self, batch: NextItemBatch) -> Loss:
        user, state = self.encode(batch.events)
        f = self.vectors(user)
        near = (f @ self.network.item(batch.next).unsqueeze(-1)).squeeze(-1)  # (B, L, M)
        total, weight = next_item_loss(self.options.loss, self.chosen(f, near), self.item_table(), batch)
        return total + weight * self.penalty(state), weight

    def penalty(self, state: Any) -> Tensor | float:
        """Of a position, added to its loss; state: after the batch's events."""
        return 0.0

    def chosen(self, f: Tensor, near: Tensor) -> Tensor:
        """f (B, L, M, d) and their scores (B, L, M) of the next item -> the vector (B, L, d) that is trained."""
        return f.take_along_dim(near.argmax(-1)[..., None, None], dim=2).squeeze(2)

    def vectors(self, user: Tensor) -> Tensor:
        """What `encode` returns as (..., M, d)."""
        return user

    by_products = True

    def vectors_of(self, user: Tensor) -> Tensor:
        return self.vectors(user)

    def scores(self, user: Tensor) -> Tensor:
        """The best over the vectors: (N, ...) -> (N, V + 1)."""
        return (self.vectors(user) @ self.item_table().T).amax(1)


class Sums(nn.Module):
    """K weighted running means of the events' vectors: weights exp(score), or with `scores=False` fading ones alone."""

    def __init__(self, count: int, dim: int, interests: int, dropout: float, *, scores: bool) -> None:
        super().__init__()
        self.item, self.drop, self.interests = items(count, dim), Dropout(dropout), interests
        self.score, self.left = None, None
        if scores:
            self.score = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Tanh(), nn.Linear(4 * dim, interests, bias=False))
        else:
            self.left = nn.Parameter(half_lives(interests))

    def forward(self, events: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """events (B, L) -> f (B, L, K, d) and the sums (B, K, 1, d + 1)."""
        x, keep = self.drop(self.item(events)), events != 0
        if self.score is None:
            a = keep.unsqueeze(1).expand(-1, self.interests, -1).to(x)
        else:
            a = self.score(x).clamp(-LARGEST, LARGEST).mT.exp() * keep.unsqueeze(1)  # (B, K, L)
        v = x.unsqueeze(1).expand(-1, a.shape[1], -1, -1)
        fade = None if self.left is None else fading(self.left, events.shape, keep, None)
        one = torch.ones_like(a).unsqueeze(-1)
        f, state = causal_linear_attention(one, a.unsqueeze(-1), v, fade=fade, state=state)
        return f.transpose(1, 2), state


class ComiRecSA(Several):
    """Cen et al., KDD 2020 (arXiv 2005.09347), section 3.2: each interest is a softmax, over the history, of a small
    network's score of each event.

    Ours: read at every position by running sums, where the paper cuts histories and predicts one item.
    """

    def build(self) -> Sums:
        return Sums(self.sizes["items"], self.options.dim, self.options.interests, self.options.dropout, scores=True)

    @property
    def context(self) -> None:
        return None


class RunningMean(ComiRecSA):
    """One vector: a mean of the items of the history that fades at a learned pace."""

    def build(self) -> Sums:
        return Sums(self.sizes["items"], self.options.dim, 1, self.options.dropout, scores=False)


class Capsules(nn.Module):
    """Dynamic routing (ComiRec, section 3.1; MIND, Li et al. 2019, arXiv 1904.08030, section 3.3), at every position.

    Of the events up to a position each offers K votes v_kj; w = softmax over k of b, z_k = squash(sum_j w_kj v_kj),
    b_kj += z_k v_kj, three times, with gradients through the last alone.  ComiRec-DR: b starts at 0 and each interest
    has votes of its own.  MIND: one map gives the votes of all, and b starts at normal numbers that are never trained.
    Ours: these belong to the item, so that they are the same in training and in answers.
    """

    start: Tensor

    def __init__(self, count: int, dim: int, interests: int, dropout: float, *, shared: bool) -> None:
        super().__init__()
        self.item, self.drop, self.interests, self.shared = items(count, dim), Dropout(dropout), interests, shared
        self.vote = nn.Linear(dim, dim if shared else interests * dim, bias=False)
        self.register_buffer("start", torch.randn(count + 1, interests) if shared else torch.zeros(1, interests))
        self.after = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim)) if shared else None

    def forward(self, events: Tensor, state: None = None) -> tuple[Tensor, None]:
        """events (B, L) -> f (B, L, K, d); a position costs as much as there are events before it."""
        votes = self.vote(self.drop(self.item(events))).unflatten(-1, (-1, self.item.embedding_dim))
        votes = votes.transpose(1, 2)  # (B, K or 1, L, d)
        length = events.shape[1]
        seen = torch.ones(length, length, dtype=torch.bool, device=events.device).tril() & (events != 0).unsqueeze(1)
        start = self.start[events if self.shared else events.new_zeros(())]  # (B, L, K) or (K,)
        b = start.expand(*events.shape, self.interests).mT.unsqueeze(2)  # (B, K, 1, L): of the events j
        with torch.no_grad():
            for _ in range(ROUNDS - 1):
                b = b + self._read(b, votes, seen) @ votes.mT  # (B, K, L, L)
        f = self._read(b, votes, seen).transpose(1, 2)
        return (f if self.after is None else self.after(f)), None

    @staticmethod
    def _read(b: Tensor, votes: Tensor, seen: Tensor) -> Tensor:
        """Logits b (B, K, L or 1, L) -> capsules (B, K, L, d), each squashed to a length below 1."""
        z = (b.softmax(1) * seen.unsqueeze(1)) @ votes
        size = z.square().sum(-1, keepdim=True)
        return size / (1 + size) * z / (size + 1e-9).sqrt()


class ComiRecDR(Several):
    """ComiRec with dynamic routing over the last events. Ours: no votes that differ by place; every position learns."""

    def build(self) -> Capsules:
        o = self.options
        return Capsules(self.sizes["items"], o.dim, o.interests, o.dropout, shared=False)


class MIND(Several):
    """Like MIND: behaviour-to-interest routing, two layers after it, and label-aware attention in training.

    Ours: K does not depend on the length of a history, and there are no features of users.
    """

    def build(self) -> Capsules:
        o = self.options
        return Capsules(self.sizes["items"], o.dim, o.interests, o.dropout, shared=True)

    def chosen(self, f: Tensor, near: Tensor) -> Tensor:
        """Label-aware attention with the power 1."""
        return (F.softmax(near, -1).unsqueeze(-1) * f).sum(-2)
