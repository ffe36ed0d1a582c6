"""Dropout whose random bits are counted, not drawn one by one.

On a CPU torch draws a dropout mask in one thread at about 10 ns a number, which was a third of a training step of
SASRec. Here one seed comes from torch's generator (so that a seed set before a step still decides the step), the words
are a hash of (seed, counter) (splitmix.py), and each word serves four numbers: 16 bits each,
so that the probability is a multiple of 2^-16 and what is kept is scaled by exactly that probability.
"""

from typing import Any

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.splitmix import GOLDEN, mix

LEVELS = 1 << 16


def splitmix64_reference(seed: int, count: int) -> list[int]:
    """The first words of the generator, as it is defined."""
    words, full = [], (1 << 64) - 1
    for i in range(count):
        z = (seed + i * 0x9E3779B97F4A7C15) & full
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
        words.append(z ^ (z >> 31))
    return words


@numba.njit(cache=True)
def splitmix64(words: np.ndarray, seed: np.uint64) -> None:
    for i in range(words.size):
        words[i] = mix(seed + np.uint64(i) * GOLDEN)


def levels(p: float) -> int:
    """How many of the 2^16 values of a number's bits drop it: at least one, and never all."""
    if not 0 < p < 1:
        raise OptionError(f"a dropout that drops needs a probability between 0 and 1; found {p}")
    return min(max(round(p * LEVELS), 1), LEVELS - 1)


def lift(p: float) -> float:
    """What is kept is scaled by this, so that the mean stays."""
    return LEVELS / (LEVELS - levels(p))


def kept(shape: tuple[int, ...], p: float) -> Tensor:
    """int16 of this shape on the CPU: 1 where a number is kept, 0 where dropped; one draw of torch's generator."""
    return _marks(_bits(int(np.prod(shape))), p).view(shape)


def _bits(count: int) -> Tensor:
    words = torch.empty((count + 3) // 4, dtype=torch.int64)
    splitmix64(words.numpy().view(np.uint64), np.uint64(torch.empty((), dtype=torch.int64).random_().item()))
    return words.view(torch.int16)[:count]


def _marks(bits: Tensor, p: float) -> Tensor:
    """1 and 0, written over the bits."""
    first_kept = levels(p) - LEVELS // 2  # the bits are read as signed
    return bits.clamp_(first_kept - 1, first_kept).sub_(first_kept - 1)


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """As torch.nn.functional.dropout; on other devices than the CPU it is that."""
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or p == 1:
        return F.dropout(x, p)
    bits = _bits(x.numel()).view(x.shape)
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return x * _marks(bits, p).to(x.dtype).mul_(lift(p))
    found: Tensor = _Dropout.apply(x, bits, p)
    return found


class _Dropout(torch.autograd.Function):
    """In one pass, as its gradient is: made of operations, the mask goes five times through memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: Tensor, p: float) -> Tensor:
        ctx.bits, ctx.p = bits, p
        return _lifted(x, bits, p)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return _Dropout.apply(dy, ctx.bits, ctx.p), None, None  # which can be differentiated again


def _lifted(x: Tensor, bits: Tensor, p: float) -> Tensor:
    x = x.detach().contiguous()
    found = torch.empty_like(x)
    first_kept = np.int16(levels(p) - LEVELS // 2)
    _lift(x.numpy().reshape(-1), bits.numpy().reshape(-1), first_kept, np.float32(lift(p)), found.numpy().reshape(-1))
    return found


@numba.njit(cache=True)
def _lift(x: np.ndarray, bits: np.ndarray, first_kept: np.int16, lift: np.float32, found: np.ndarray) -> None:
    for n in range(x.size):
        found[n] = x[n] * (lift if bits[n] >= first_kept else np.float32(0))
