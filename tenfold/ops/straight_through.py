"""A choice that learns: forward the chosen codeword, backward as if the soft choice had been mixed.

r = o C with o = onehot(code) + p - stopgrad(p): the gradient of o reaches p (Bengio et al. 2013, arXiv 1308.3432; the
softmax version that LISA uses: Wu et al. 2021, section 3.1). The definition forms o (R, W) twice; here forward is a row
lookup, and backward one product.

Shapes: R rows, W codewords, D width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.ops.products import product


def straight_through_reference(p: Tensor, code: Tensor, codewords: Tensor) -> Tensor:
    """p (R, W), code (R,), codewords (W, D) -> r (R, D)."""
    o = F.one_hot(code.long(), p.shape[1]).to(p.dtype) + p - p.detach()
    return o @ codewords


def straight_through(p: Tensor, code: Tensor, codewords: Tensor) -> Tensor:
    return _StraightThrough.apply(p, code, codewords)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, code: Tensor, codewords: Tensor) -> Tensor:
        ctx.save_for_backward(code, codewords)
        return codewords[code]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        code, codewords = ctx.saved_tensors
        dp = product(gradient, codewords.T) if ctx.needs_input_grad[0] else None
        dcodewords = torch.zeros_like(codewords).index_add_(0, code, gradient) if ctx.needs_input_grad[2] else None
        return dp, None, dcodewords
