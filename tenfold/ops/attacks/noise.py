"""Where attacks start: noise that is a function of (seed, epoch, picture), whatever batch the picture is in."""

import numpy as np
import torch
from numba import njit
from torch import Tensor

from tenfold.splitmix import GOLDEN, mix, to_unit


def noise(seed: int, epoch: int, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """(len(rows), *shape) float32, uniform in [-1, 1); rows: the numbers of the pictures."""
    out = np.empty((len(rows), int(np.prod(shape))), np.float32)
    _fill(np.uint64(seed), np.uint64(epoch), np.asarray(rows, np.uint64), out)
    return torch.from_numpy(out).reshape(len(rows), *shape)


@njit(cache=True, nogil=True)
def _fill(seed, epoch, rows, out):  # type: ignore[no-untyped-def]
    root = mix(mix(seed + GOLDEN) ^ (epoch + GOLDEN))
    for row in range(out.shape[0]):
        key = mix(root ^ (rows[row] + GOLDEN))
        for number in range(out.shape[1]):
            out[row, number] = 2.0 * to_unit(mix(key + np.uint64(number + 1) * GOLDEN)) - 1.0
