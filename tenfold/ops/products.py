"""Matrix products by the quickest of the libraries that torch brings.

On a CPU torch multiplies float32 matrices through MKL; oneDNN, which torch brings too and uses for convolutions, was
twice as fast on an AMD EPYC with AVX-512; other processors were not measured. torch offers it for matrices only inside;
where that is missing, or does not do what is asked, MKL goes on.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

GRAIN = 16  # rows: oneDNN makes a program for each number of rows, in 3 ms, and where every batch has another, waits
WORTHWHILE = 1 << 21  # multiplications of a product below which a call's own 10 microseconds outweigh the gain


def product(a: Tensor, b: Tensor) -> Tensor:
    """a (N, K) @ b (K, M) -> (N, M), without a gradient.

    Quickest where a row of a is contiguous; a tall a.T is copied first: (b.T @ a).T does without.
    """
    if a.device.type == "cpu" and a.dtype == b.dtype == torch.float32 and a.numel() * b.shape[1] >= WORTHWHILE:
        found = _through_onednn()
        if found is not None:
            return found(a, b.T, None, "none", [], "")
    return a @ b


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """x (..., K) @ weight (M, K).T + bias (M,) -> (..., M), with its gradient, which cannot be differentiated again.

    relu: what is below 0 becomes 0.  As torch.nn.functional.linear where nothing is to be gained, and where the number
    of rows is no multiple of GRAIN.
    """
    rows = x.numel() // max(x.shape[-1], 1)
    quick = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if quick and rows % GRAIN == 0 and rows * weight.numel() >= WORTHWHILE // 2 and _through_onednn() is not None:
        flat = x.reshape(rows, x.shape[-1])
        if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
            return _Affine.apply(flat, weight, bias, relu).view(*x.shape[:-1], len(weight))
        return _affine(flat, weight, bias, relu).view(*x.shape[:-1], len(weight))
    return _by_torch(x, weight, bias, relu)


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    if x.dtype == torch.float32 and x.numel() * len(weight) >= WORTHWHILE // 2:
        found = _through_onednn()
        if found is not None:
            return found(x, weight, bias, "relu" if relu else "none", [], "")
    return _by_torch(x, weight, bias, relu)


def _by_torch(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    y = F.linear(x, weight, bias)
    return F.relu(y) if relu else y


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        y = _affine(x, weight, bias, relu)
        ctx.save_for_backward(x, weight, y if relu else None)
        ctx.biased = bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, y = ctx.saved_tensors
        if y is not None:
            dy = torch.ops.aten.threshold_backward(dy, y, 0)
        dx = product(dy, weight) if ctx.needs_input_grad[0] else None
        dw = None
        if ctx.needs_input_grad[1]:  # the wider of the two is the one that stays as it lies
            dw = product(dy.T, x) if len(weight) <= weight.shape[1] else product(x.T, dy).T
        return dx, dw, dy.sum(0) if ctx.biased and ctx.needs_input_grad[2] else None, None


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., K) @ weight (M, K).T -> (..., M), with its gradient, which cannot be differentiated again.

    Of any number of rows: for what has the same number in each batch.
    """
    if x.device.type != "cpu" or x.dtype != weight.dtype or torch.is_autocast_enabled("cpu"):
        return x @ weight.T
    return _Affine.apply(x.flatten(0, -2), weight, None, False).unflatten(0, x.shape[:-1])


@cache
def _through_onednn() -> Any:
    """x (N, K), w (M, K), ... -> x @ w.T; none where this torch has no such function."""
    try:
        function = torch.ops.mkldnn._linear_pointwise
        x, w = torch.eye(2, 3), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        return function if torch.equal(function(x, w, None, "none", [], ""), x @ w.T) else None
    except (AttributeError, RuntimeError, TypeError):
        return None
