"""Dropout whose random bits are counted, not drawn one by one.

On a CPU torch draws a dropout mask in one thread at about 10 ns a number, which was a third of a training step of
SASRec. Here one seed comes from torch's generator (so that a seed set before a step still decides the step), the words
are a hash of (seed, counter) (splitmix.py), and each word serves four numbers: 16 bits each,
so that the probability is a multiple of 2^-16 and what is kept is scaled by exactly that probability.
"""

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
    count = int(np.prod(shape))
    words = torch.empty((count + 3) // 4, dtype=torch.int64)
    splitmix64(words.numpy().view(np.uint64), np.uint64(torch.empty((), dtype=torch.int64).random_().item()))
    bits = words.view(torch.int16)[:count]
    first_kept = levels(p) - LEVELS // 2  # the bits are read as signed
    return bits.clamp_(first_kept - 1, first_kept).sub_(first_kept - 1).view(shape)


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """As torch.nn.functional.dropout; on other devices than the CPU it is that."""
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or p == 1:
        return F.dropout(x, p)
    return x * kept(x.shape, p).to(x.dtype).mul_(lift(p))
