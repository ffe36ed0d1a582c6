"""What attention layers share; nn/attention.py says how they are called, and has the table of them.

Shapes: B batch, L length, d width, H heads, D = d / H.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.dropout import Dropout


class Heads(nn.Module):
    """What the layers share: one product for queries, keys and values, split into heads, and the way back."""

    key_bias = True
    biased: Tensor

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise OptionError(f"attention's width must be a multiple of its heads; found width {dim} and {heads} heads")
        self.dim, self.heads, self.drop = dim, heads, Dropout(dropout)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.register_buffer("biased", torch.ones(3, dim), persistent=False)
        # Under a softmax a key's bias adds the same to all scores of a query, and cancels: its gradient is rounding
        # alone, which Adam would turn into full steps, other ones on another number of processes.
        self.biased[1] = float(self.key_bias)

    def project(self, x: Tensor, keep: Tensor | None) -> Tensor:
        """x (B, L, d) -> queries, keys and values (B, L, 3, H, D)."""
        if x.dim() != 3 or x.shape[-1] != self.dim or x.shape[1] == 0:
            raise ShapeError(f"attention needs x (B, L >= 1, d = {self.dim}); found {tuple(x.shape)}")
        if keep is not None and (keep.shape != x.shape[:2] or keep.dtype != torch.bool):
            raise ShapeError(
                f"attention needs keep (B, L) = {tuple(x.shape[:2])} of bool; found {tuple(keep.shape)} of {keep.dtype}"
            )
        bias = self.qkv.bias * self.biased.flatten()
        return F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.heads, -1))

    def split(self, x: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, L, d) -> q, k, v, each (B, H, L, D)."""
        q, k, v = self.project(x, keep).permute(2, 0, 3, 1, 4)
        return q, k, v

    def merge(self, y: Tensor) -> Tensor:
        """y (B, H, L, D) -> (B, L, d)."""
        return self.out(y.transpose(1, 2).flatten(2))
