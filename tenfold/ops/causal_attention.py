"""Causal softmax attention with dropout on its weights, for CPUs, where torch's own has no fast path for it.

The definition, and a version that goes block by block over queries, looks only at the keys that a block may see, and
keeps a block's weights in the cache while they are used. Between forward and backward it keeps one number for each
weight: the weight, negative where it was dropped.

Shapes: B batch, L length, H heads, D width of a head, R queries of a block, E keys that the block sees.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError
from tenfold.ops.dropout import kept, lift

BLOCK = 64  # queries of a block
BLOCK_NUMBERS = 1 << 19  # weights held at a time: 2 MB in float32, about what stays in the caches of two cores


def causal_attention_reference(qkv: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """o_l = sum_{j<=l} weight_lj softmax_j(q_l k_j / sqrt(D)) v_j; weight (B, H, L, L): dropout's factors."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=qkv.device).triu(1)
    return ((scores.masked_fill(later, -math.inf).softmax(-1) * weight) @ v).transpose(1, 2)


def causal_attention(qkv: Tensor, *, dropout: float, block: int = BLOCK) -> Tensor:
    """The same with each weight dropped with this probability; qkv (B, L, 3, H, D) -> o (B, L, H, D).

    The mask comes from torch's generator and depends on the sizes alone. Half precision is computed in float32. The
    gradient cannot be differentiated again. Raises ShapeError.
    """
    if qkv.dim() != 5 or qkv.shape[2] != 3 or qkv.shape[1] == 0:
        raise ShapeError(f"causal attention needs qkv (B, L >= 1, 3, H, D); found {tuple(qkv.shape)}")
    exact = qkv.to(torch.promote_types(qkv.dtype, torch.float32))
    return _CausalAttention.apply(exact, dropout, block).to(qkv.dtype)


def _parts(sizes: torch.Size, block: int) -> Iterator[tuple[slice, int, int, int]]:
    """Which rows of the batch, which head, and from which query to which (none included)."""
    batch, length, _, heads, _ = sizes
    rows = max(1, BLOCK_NUMBERS // (min(block, length) * length))
    for row in range(0, batch, rows):
        for head in range(heads):
            for start in range(0, length, block):
                yield slice(row, min(row + rows, batch)), head, start, min(start + block, length)


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, p: float, block: int) -> Tensor:
        with torch.autocast(qkv.device.type, enabled=False):
            batch, length, _, heads, width = qkv.shape
            o = qkv.new_empty(batch, length, heads, width)
            later = qkv.new_full((block, block), -math.inf).triu(1)
            signed = []
            for rows, head, start, stop in _parts(qkv.shape, block):
                q, k, v = qkv[rows, :stop, :, head].unbind(2)  # views (b, E, D)
                scores = qkv.new_empty(len(q), stop - start, stop)
                torch.baddbmm(scores, q[:, start:], k.mT, beta=0, alpha=width**-0.5, out=scores)  # (b, R, E)
                scores[:, :, start:] += later[: stop - start, : stop - start]
                weights = scores.softmax(-1)
                weights *= kept(tuple(weights.shape), p).mul_(2).sub_(1)  # + kept, - dropped
                torch.clamp(weights, min=0, out=scores)
                o[rows, start:stop, head] = torch.bmm(scores, v)
                signed.append(weights)
            o *= lift(p)
        ctx.p, ctx.block = p, block
        ctx.save_for_backward(qkv, o, *signed)
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """With w the weights, w' the kept ones, lifted: dw = w' (do v) - w (do o); the rest is what a product has."""
        qkv, o, *signed = ctx.saved_tensors
        scale = qkv.shape[-1] ** -0.5
        dqkv = torch.zeros_like(qkv, memory_format=torch.contiguous_format)
        mean = (gradient * o).sum(-1, keepdim=True)  # (B, L, H, 1): do o
        gradient = gradient * lift(ctx.p)
        for (rows, head, start, stop), weights in zip(_parts(qkv.shape, ctx.block), signed, strict=True):
            q, k, v = qkv[rows, :stop, :, head].unbind(2)
            dq, dk, dv = dqkv[rows, :stop, :, head].unbind(2)
            do = gradient[rows, start:stop, head]
            used = weights.clamp(min=0)
            dv += torch.bmm(used.mT, do)
            ds = torch.bmm(do, v.mT).mul_(used)
            ds.addcmul_(torch.abs(weights, out=used), mean[rows, start:stop, head], value=-1)
            dq[:, start:] = torch.bmm(ds, k)
            dk += torch.bmm(ds.mT, q[:, start:])
        dqkv[:, :, :2] *= scale
        return dqkv, None, None
