"""Cross entropy over a catalogue in which each item is scored by the best of a row's K vectors.

The definition, and a version that goes over the rows in chunks and takes the gradients at once, as
ops/linear_cross_entropy.py does for one vector: no tensor of N x K x V is ever held. The target's own score comes from
outside, because which vector answers for it is the method's choice.

Shapes: N rows, K vectors of a row, d width, V classes, C rows of a chunk.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError
from tenfold.ops.products import product

CHUNK_NUMBERS = 1 << 21  # scores held at a time


def interest_cross_entropy_reference(
    f: Tensor, own: Tensor, table: Tensor, target: Tensor, *, first: int = 0
) -> Tensor:
    """sum_n -log softmax(s_n)[target_n] with s_ni = max_k f_nk e_i, and own_n in the target's place; classes from
    `first` on."""
    scores = torch.einsum("nkd,vd->nkv", f, table[first:]).amax(1)
    place = F.one_hot(target - first, len(table) - first).bool()
    return (torch.where(place, own.unsqueeze(1), scores).logsumexp(1) - own).sum()


def interest_cross_entropy(f: Tensor, own: Tensor, table: Tensor, target: Tensor, *, first: int = 0) -> Tensor:
    """The same in memory that does not grow with N K V. f (N, K, d), own (N,), table (V, d), target (N,) >= first.

    Sums are float32 or better. Raises ShapeError.
    """
    n, _, width = f.shape if f.dim() == 3 else (0, 0, 0)
    if f.dim() != 3 or table.dim() != 2 or table.shape[1] != width or own.shape != (n,) or target.shape != (n,):
        raise ShapeError(
            f"interest cross entropy needs f (N, K, d), own (N,), table (V, d), target (N,); found f {tuple(f.shape)}, "
            f"own {tuple(own.shape)}, table {tuple(table.shape)}, target {tuple(target.shape)}"
        )
    with torch.autocast(f.device.type, enabled=False):
        return _InterestCrossEntropy.apply(f, own, table, target, first)


class _InterestCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: Tensor, own: Tensor, table: Tensor, target: Tensor, first: int) -> Tensor:
        exact = torch.promote_types(f.dtype, torch.float32)
        classes, places, mine = table[first:].to(exact), (target - first).unsqueeze(1), own.to(exact)
        total = torch.zeros((), dtype=exact, device=f.device)
        f_gradient, own_gradient = torch.zeros_like(f, dtype=exact), torch.zeros_like(mine)
        table_gradient = torch.zeros(table.shape, dtype=exact, device=f.device)
        chunk = max(8, CHUNK_NUMBERS // (len(table) * f.shape[1]))
        for start in range(0, len(f), chunk):
            part, place = f[start : start + chunk].to(exact), places[start : start + chunk]
            count, vectors, width = part.shape
            z, best = product(part.reshape(-1, width), classes.T).view(count, vectors, -1).max(1)  # (C, V)
            z.scatter_(1, place, mine[start : start + chunk].unsqueeze(1))
            total += (z.logsumexp(1) - mine[start : start + chunk]).sum()
            p = z.softmax(1)
            own_gradient[start : start + chunk] = p.gather(1, place).squeeze(1) - 1
            p.scatter_(1, place, 0.0)  # the target's share went to `own`
            routed = (
                p.new_zeros(count, vectors, p.shape[1]).scatter_(1, best.unsqueeze(1), p.unsqueeze(1)).flatten(0, 1)
            )
            f_gradient[start : start + chunk] = product(routed, classes).view_as(part)
            table_gradient[first:] += product(routed.T, part.reshape(-1, width))
        ctx.save_for_backward(f_gradient.to(f.dtype), own_gradient.to(own.dtype), table_gradient.to(table.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        f_gradient, own_gradient, table_gradient = ctx.saved_tensors
        return f_gradient * scale, own_gradient * scale, table_gradient * scale, None, None
