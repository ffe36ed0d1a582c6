"""Matrix products by the quickest of the libraries that torch brings.

On a CPU torch multiplies float32 matrices through MKL; oneDNN, which torch brings too and uses for convolutions, was
twice as fast on an AMD EPYC with AVX-512; other processors were not measured. torch offers it for matrices only inside;
where that is missing, or does not do what is asked, MKL goes on.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (N, K) @ weight (M, K).T -> (N, M), with its gradient, which cannot be differentiated again."""
    if x.device.type != "cpu" or x.dtype != weight.dtype or torch.is_autocast_enabled("cpu"):
        return x @ weight.T
    return _Linear.apply(x, weight)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dx = product(dy, weight) if ctx.needs_input_grad[0] else None
        return dx, product(dy.T, x) if ctx.needs_input_grad[1] else None


@cache
def _through_onednn() -> Any:
    """x (N, K), w (M, K), ... -> x @ w.T; none where this torch has no such function."""
    try:
        function = torch.ops.mkldnn._linear_pointwise
        x, w = torch.eye(2, 3), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        return function if torch.equal(function(x, w, None, "none", [], ""), x @ w.T) else None
    except (AttributeError, RuntimeError, TypeError):
        return None
