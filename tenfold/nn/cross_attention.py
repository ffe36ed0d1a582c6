"""Attention of one sequence to another one: a decoder's to what an encoder has read.

What is read does not change while a text is written, so its keys and values are made once and kept (`remember`); every
step, pass or beam that follows reads the same `Memory`.

Shapes: B batch, L length, N length of what is read, d width, H heads, D = d / H.
"""

from typing import NamedTuple, Self

import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.dropout import Dropout


class Memory(NamedTuple):
    """Keys and values of what is read, for one layer."""

    k: Tensor  # (B, H, N, D)
    v: Tensor  # (B, H, N, D)
    keep: Tensor | None  # (B, N) bool, False at padding; None: there is none. A row has one True at least.

    def rows(self, which: Tensor) -> Self:
        """Those of the batch at places `which` (K,): without finished texts, or each as often as it has beams."""
        keep = None if self.keep is None else self.keep[which]
        return type(self)(self.k[which], self.v[which], keep)


class CrossAttention(nn.Module):
    """o_l = sum_n softmax_n(q_l k_n / sqrt(D)) v_n, with dropout on the weights."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise OptionError(f"attention's width must be a multiple of its heads; found width {dim} and {heads} heads")
        self.heads, self.drop = heads, Dropout(dropout)
        # A key's bias adds the same to all scores of a query, and cancels (nn/heads.py): there is none.
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def remember(self, read: Tensor, keep: Tensor | None = None) -> Memory:
        """read (B, N, d), keep (B, N) bool or None. Raises ShapeError."""
        if keep is not None and keep.shape != read.shape[:2]:
            raise ShapeError(
                f"what is read is {tuple(read.shape)}, so keep is {tuple(read.shape[:2])}; found {tuple(keep.shape)}"
            )
        return Memory(self._split(self.key(read)), self._split(self.value(read)), keep)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """x (B, L, d) -> (B, L, d)."""
        mask = None if memory.keep is None else memory.keep[:, None, None]
        dropout = self.drop.p if self.training else 0.0
        y = F.scaled_dot_product_attention(
            self._split(self.query(x)), memory.k, memory.v, attn_mask=mask, dropout_p=dropout
        )
        return self.out(y.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, memory: Memory) -> Tensor:
        """How much each place of x looks at each of what is read, (B, H, L, N); it sums to 1."""
        q = self._split(self.query(x))
        scores = q @ memory.k.mT * q.shape[-1] ** -0.5
        if memory.keep is not None:
            scores = scores.masked_fill(~memory.keep[:, None, None], float("-inf"))
        return scores.softmax(-1)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
