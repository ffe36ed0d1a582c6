"""Square (Andriushchenko et al., ECCV 2020): random squares, kept where the margin falls. It sees logits only.

Without gradients it cannot be fooled by a model that hides them: where it is stronger than attacks that see everything,
their figures are not to be believed. In linf a square moves by the whole budget (algorithm 2); in l2, where the change
has one length, a square takes a share of it from another one (algorithm 3).
"""

import numpy as np
import torch
from torch import Tensor

from tenfold.ops.attacks.noise import noise
from tenfold.ops.attacks.objectives import margin
from tenfold.ops.attacks.pgd import Model, logits_of, right
from tenfold.ops.attacks.threat import TINY, Threat, length

FIRST_SHARE = 0.8  # of a picture that the first squares cover
SHRINKS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # after so many of 10,000 queries the share halves


def square(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, queries: int = 1000, seed: int = 0,
    rows: np.ndarray | None = None,
) -> Tensor:  # fmt: skip
    """x~ of the pictures that it fools, the worst it found of the others. rows: the numbers of the pictures, which
    decide their draws."""
    rows = np.arange(len(x)) if rows is None else rows
    x, channels, (height, width) = x.float(), x.shape[1], x.shape[2:]
    standing = right(logits_of(model, x), y).nonzero().squeeze(1)
    best = x.clone()
    if len(standing) == 0:
        return best
    generator = np.random.default_rng(seed)  # where the squares lie: the same for all pictures
    began = _stripes if threat.norm == "linf" else _tiles
    best[standing] = began(x[standing], threat, seed, rows[standing.cpu().numpy()])
    logits = logits_of(model, best[standing])
    high, keep = _margin(logits, y[standing]), right(logits, y[standing])
    standing, high = standing[keep], high[keep]
    move = _moved_by_budget if threat.norm == "linf" else _moved_by_share
    for query in range(1, queries):
        if len(standing) == 0:
            break
        side = _side(query, queries, height, width)
        signs = noise(seed, 100 + query, rows[standing.cpu().numpy()], (channels, 1, 1)).to(x.device).sign()
        moved = move(best[standing], x[standing], threat, side, signs, generator)
        logits = logits_of(model, moved)
        found = _margin(logits, y[standing])
        better = (found > high) | ~right(logits, y[standing])
        best[standing[better]] = moved[better]
        high = torch.where(better, found, high)
        keep = ~better | right(logits, y[standing])
        standing, high = standing[keep], high[keep]
    return best


def _margin(logits: Tensor, y: Tensor) -> Tensor:
    return margin(logits, y, kappa=float("inf"))


def _side(query: int, queries: int, height: int, width: int) -> int:
    """Of the square, so that it covers the share that is due."""
    due = query / queries * 10_000
    share = FIRST_SHARE / 2 ** sum(due > after for after in SHRINKS)
    return min(max(round((share * height * width) ** 0.5), 1), height, width)


def _place(side: int, x: Tensor, generator: np.random.Generator) -> tuple[slice, slice, slice, slice]:
    top, left = (int(generator.integers(size - side + 1)) for size in x.shape[2:])
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


# In linf --------------------------------------------------------------------------------------------------------------


def _stripes(x: Tensor, threat: Threat, seed: int, rows: np.ndarray) -> Tensor:
    stripes = noise(seed, 100, rows, (x.shape[1], 1, x.shape[3])).to(x.device).sign()
    return (x + threat.eps * stripes).clamp(0, 1)


def _moved_by_budget(
    best: Tensor, x: Tensor, threat: Threat, side: int, signs: Tensor, generator: np.random.Generator
) -> Tensor:
    moved = best.clone()
    moved[_place(side, x, generator)] += 2 * threat.eps * signs
    return threat.project(moved, x)


# In l2 ----------------------------------------------------------------------------------------------------------------


def _tiles(x: Tensor, threat: Threat, seed: int, rows: np.ndarray) -> Tensor:
    """Hills and valleys next to each other, five to a side, as large together as the budget."""
    channels, height, width = x.shape[1:]
    side = max(min(height, width) // 5, 1)
    down, across = height // side, width // side
    signs = noise(seed, 100, rows, (channels, down, across)).to(x.device).sign()
    change = torch.zeros_like(x)
    tiled = signs.repeat_interleave(side, 2).repeat_interleave(side, 3) * _hill(side).to(x).repeat(down, across)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    change[:, :, top : top + down * side, left : left + across * side] = tiled
    return (x + threat.eps * change / length(change).clamp(min=TINY)).clamp(0, 1)


def _moved_by_share(
    best: Tensor, x: Tensor, threat: Threat, side: int, signs: Tensor, generator: np.random.Generator
) -> Tensor:
    """One square gives up its change, another takes that on, with what the budget has left."""
    side = min(max(side + 1 - side % 2, 3), *x.shape[2:])
    change = best - x
    takes, gives = _place(side, x, generator), _place(side, x, generator)
    hill = _hill(side).to(x)
    hill = hill.T if generator.random() > 0.5 else hill
    both = torch.zeros_like(x[:1])
    both[takes] = both[gives] = 1
    left = (threat.eps**2 - length(change) ** 2).clamp(min=0) / x.shape[1]
    own = change[takes]
    new = hill * signs + own / _of_channel(own).clamp(min=TINY)
    new = new / _of_channel(new).clamp(min=TINY) * (left + _of_channel(change * both) ** 2).sqrt()
    change[gives] = 0
    change[takes] = new
    return (x + threat.eps * change / length(change).clamp(min=TINY)).clamp(0, 1)


def _of_channel(change: Tensor) -> Tensor:
    """(n, C, 1, 1) Euclidean lengths."""
    return change.square().sum((2, 3), keepdim=True).sqrt()


def _hill(side: int) -> Tensor:
    """(side, side), of length 1: half of it a hill and half its negative, each highest in its middle."""
    whole = torch.cat((_slope(side // 2, side), -_slope(side - side // 2, side)))
    return whole / whole.norm().clamp(min=TINY)


def _slope(height: int, width: int) -> Tensor:
    """Rectangles in each other around the middle, the n-th adding 1 / n^2; of length 1."""
    found = torch.zeros(height, width)
    top, left = height // 2, width // 2
    for turn in range(max(height // 2, width // 2) + 1):
        across = 2 * turn + 1
        found[max(top - turn, 0) : top - turn + across, max(left - turn, 0) : left - turn + across] += (
            1 / (turn + 1) ** 2
        )
    return found / found.norm().clamp(min=TINY)
