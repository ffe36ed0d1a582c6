"""What a gated cell does once its products are there, and how far a slot moves towards it: one node for gradients.

Two versions: the definition, for autograd, and one whose gradient is written down. A loop over segments makes this step
once for each, on tensors so small that autograd's nodes, and the copies by which it puts parts of a tensor together
again, cost as much as the arithmetic.

Shapes: ... any, d width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError


def gated_mix_reference(new: Tensor, old: Tensor, memory: Tensor, moved: Tensor) -> Tensor:
    """(1 - moved) m + moved (z m + (1 - z) tanh(c + r c')), with r, z, c of `new` and r', z', c' of `old`, both
    (..., 3 d), r = sigmoid(r + r') and z likewise (Cho et al. 2014, as torch has it); memory m (..., d), moved
    (..., 1)."""
    dim = memory.shape[-1]
    r, z = (new[..., : 2 * dim] + old[..., : 2 * dim]).sigmoid().chunk(2, -1)
    candidate = torch.addcmul(new[..., 2 * dim :], r, old[..., 2 * dim :]).tanh()
    return torch.lerp(memory, torch.lerp(candidate, memory, z), moved)


def gated_mix(new: Tensor, old: Tensor, memory: Tensor, moved: Tensor) -> Tensor:
    """The same, all of one dtype; its gradient has no gradient of its own. Raises ShapeError."""
    wide = (*memory.shape[:-1], 3 * memory.shape[-1])
    if new.shape != wide or old.shape != wide or moved.shape != (*memory.shape[:-1], 1):
        raise ShapeError(
            f"a mix of memory (..., d) {tuple(memory.shape)} needs new and old (..., 3 d) and moved (..., 1); found "
            f"{tuple(new.shape)}, {tuple(old.shape)} and {tuple(moved.shape)}"
        )
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return gated_mix_reference(new, old, memory, moved)
    found: Tensor = _GatedMix.apply(new, old, memory, moved)
    return found


class _GatedMix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, new: Tensor, old: Tensor, memory: Tensor, moved: Tensor) -> Tensor:
        dim = memory.shape[-1]
        gates = (new[..., : 2 * dim] + old[..., : 2 * dim]).sigmoid_()
        candidate = torch.addcmul(new[..., 2 * dim :], gates[..., :dim], old[..., 2 * dim :]).tanh_()
        after = torch.lerp(candidate, memory, gates[..., dim:])
        ctx.save_for_backward(old, memory, moved, gates, candidate, after)
        return torch.lerp(memory, after, moved)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        old, memory, moved, gates, candidate, after = ctx.saved_tensors
        dim = memory.shape[-1]
        r, z = gates[..., :dim], gates[..., dim:]
        to_moved = (grad * (after - memory)).sum(-1, keepdim=True)
        to_after = grad * moved
        kept = to_after * z
        inner = (to_after - kept).mul_(1 - candidate.square())  # of what is under tanh
        to_new, to_old = torch.empty_like(old), torch.empty_like(old)
        to_new[..., 2 * dim :] = inner
        torch.mul(inner, r, out=to_old[..., 2 * dim :])
        slope = gates * (1 - gates)
        torch.mul(inner.mul_(old[..., 2 * dim :]), slope[..., :dim], out=to_new[..., :dim])
        torch.mul(to_after.mul_(memory - candidate), slope[..., dim:], out=to_new[..., dim : 2 * dim])
        to_old[..., : 2 * dim] = to_new[..., : 2 * dim]
        return to_new, to_old, kept.add_(grad).sub_(grad * moved), to_moved
