"""Key-quantised attention: softmax over keys that are rounded to one of S codewords, in linear time, constant state.

Transformer-VQ (Lingle, ICLR 2024, arXiv 2309.16354). The paper's: queries and keys normalised without gain and scaled
by D^(-1/4), a codebook for each head, the nearest codeword, gradients straight through to the keys, a pull on keys
towards their codewords (commitment).

Ours, so that the layer needs nothing but its input and the gradient that comes back, and two processes learn what one
does: how codewords move to their keys, and how large the pulls are. The paper moves codewords by averages over the
batch at each call, which makes the call count, and weighs the commitment by the number of events, which a layer does
not know: padding is not told to it in training, and other processes have events too. Here both pulls act on the way
back, each in proportion to the gradient g of its key,
    dk = g + commitment |g| (k - c)        dc = sum of |g| (c - k) over its keys,
so that an event that nothing depends on (padding) pulls nowhere, the sums add up over processes, and the scale of the
loss does not matter. A codeword so goes to the mean of its keys, weighted by how much hangs on them.

Shapes: B batch, L length, d width, H heads, D = d / H, S codewords.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.errors import OptionError
from tenfold.nn.heads import Heads
from tenfold.ops.key_quantised_attention import State, codewords, key_quantised_attention, nearest_codewords


class KeyQuantisedAttention(Heads):
    """o_l = sum_{j<=l} softmax_j(q_l c_{z_j}) v_j, z_j the codeword nearest to k_j: ops/key_quantised_attention.py.

    Its state is, for each head and codeword, the sum of its values and their number: S (D + 1) numbers a head.
    Most weights are never formed, so dropout falls on what each event has read.
    Which codeword is nearest is a jump: rounding, as in half precision or on another number of processes, may turn it.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float = 0.0, *, codewords: int = 64, commitment: float = 0.01
    ) -> None:
        super().__init__(dim, heads, dropout)
        if codewords < 1:
            raise OptionError(f"key-quantised attention needs codewords >= 1; found {codewords}")
        if commitment < 0:
            raise OptionError(f"key-quantised attention needs a commitment >= 0; found {commitment}")
        self.commitment = commitment
        self.codebook = nn.Parameter(_normalised(torch.randn(heads, codewords, dim // heads)))

    def forward(self, x: Tensor, keep: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        q, k, v = self.split(x, keep)
        k, code = _Quantised.apply(_normalised(k), self.codebook, self.commitment)
        y, state = key_quantised_attention(_normalised(q), k, v, self.codebook, code, keep=keep, state=state)
        return self.merge(self.drop(y)), state


def _normalised(x: Tensor) -> Tensor:
    """Mean 0 and length D^(1/4): a product of two is one of vectors of length D^(1/2), divided by D^(1/2)."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.layer_norm(exact, x.shape[-1:]) * x.shape[-1] ** -0.25


class _Quantised(torch.autograd.Function):
    """k (B, H, L, D) -> its nearest codewords (B, H, L, D) and their numbers (B, H, L)."""

    @staticmethod
    def forward(ctx: Any, k: Tensor, codebook: Tensor, commitment: float) -> tuple[Tensor, Tensor]:
        with torch.autocast(k.device.type, enabled=False):
            codebook = codebook.to(k.dtype)
            code = nearest_codewords(k, codebook)
            nearest = codewords(codebook, code)
        ctx.commitment, ctx.size = commitment, codebook.shape
        ctx.save_for_backward(k - nearest, code)
        ctx.mark_non_differentiable(code)
        return nearest, code

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor, Tensor, None]:
        away, code = ctx.saved_tensors
        pull = gradient.norm(dim=-1, keepdim=True) * away
        place = code + ctx.size[1] * torch.arange(ctx.size[0], device=code.device).unsqueeze(1)
        moves = pull.new_zeros(ctx.size).flatten(0, 1)
        moves.index_add_(0, place.flatten(), pull.flatten(0, 2), alpha=-1)
        return gradient + ctx.commitment * pull, moves.view(ctx.size), None
