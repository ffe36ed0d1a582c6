"""A choice that learns: forward the chosen codeword, backward as if the soft choice had been mixed, or as if nothing
had been chosen.

r = o C with o = onehot(code) + p - stopgrad(p): the gradient of o reaches p (Bengio et al. 2013, arXiv 1308.3432; the
softmax version that LISA uses: Wu et al. 2021, section 3.1). The definition forms o (R, W) twice; here forward is a row
lookup, and backward one product.

`decode` is van den Oord et al.'s (2017, arXiv 1711.00937, section 3.2): the gradient of a sum of codewords goes to what
was encoded as it is, and to each codeword of the sum.

Shapes: R rows, B codebooks, W codewords, D width.
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


def decode_reference(x: Tensor, codes: Tensor, codewords: Tensor) -> Tensor:
    """x (R, D), codes (R, B), codewords (B, W, D) -> sum_b codewords[b, codes[:, b]] + x - stopgrad(x), (R, D)."""
    chosen = torch.stack([words[code.long()] for words, code in zip(codewords, codes.T, strict=True)])
    return chosen.sum(0) + x - x.detach()


def decode(x: Tensor, codes: Tensor, codewords: Tensor) -> Tensor:
    return _Decoded.apply(x, codes, codewords)


class _Decoded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, codewords: Tensor) -> Tensor:
        books, words = codewords.shape[:2]
        flat = codes.long() + words * torch.arange(books, device=codes.device)  # of all codebooks one after another
        ctx.save_for_backward(flat)
        ctx.shape = codewords.shape
        return F.embedding_bag(flat, codewords.flatten(0, 1), mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (flat,) = ctx.saved_tensors
        if not ctx.needs_input_grad[2]:
            return gradient, None, None
        books, words, dim = ctx.shape
        dcodewords = gradient.new_zeros(books * words, dim)
        for code in flat.T:
            dcodewords.index_add_(0, code, gradient)
        return gradient, None, dcodewords.view(books, words, dim)
