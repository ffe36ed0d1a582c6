"""Square (Andriushchenko et al., ECCV 2020): random squares, kept where the margin falls. It sees logits only.

Without gradients it cannot be fooled by a model that hides them: where it is stronger than attacks that see everything,
their figures are not to be believed.
"""

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.ops.attacks.noise import noise
from tenfold.ops.attacks.objectives import margin
from tenfold.ops.attacks.pgd import Model, logits_of, right
from tenfold.ops.attacks.threat import Threat

FIRST_SHARE = 0.8  # of a picture that the first squares cover
SHRINKS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # after so many of 10,000 queries the share halves


def square(
    model: Model, x: Tensor, y: Tensor, *, threat: Threat, queries: int = 1000, seed: int = 0,
    rows: np.ndarray | None = None,
) -> Tensor:  # fmt: skip
    """x~ of the pictures that it fools, the worst it found of the others. rows: the numbers of the pictures, which
    decide their draws. Raises OptionError for another norm than linf."""
    if threat.norm != "linf":
        raise OptionError("the attack 'square' is written for the norm linf; leave it out, or measure linf")
    rows = np.arange(len(x)) if rows is None else rows
    x, channels, (height, width) = x.float(), x.shape[1], x.shape[2:]
    standing = right(logits_of(model, x), y).nonzero().squeeze(1)
    best = x.clone()
    if len(standing) == 0:
        return best
    stripes = noise(seed, 100, rows[standing.cpu().numpy()], (channels, 1, width)).to(x.device).sign()
    best[standing] = (x[standing] + threat.eps * stripes).clamp(0, 1)
    logits = logits_of(model, best[standing])
    high = _margin(logits, y[standing])
    generator = np.random.default_rng(seed)  # where the squares lie: the same for all pictures
    keep = right(logits, y[standing])
    standing, high = standing[keep], high[keep]
    for query in range(1, queries):
        if len(standing) == 0:
            break
        side = _side(query, queries, height, width)
        top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
        signs = noise(seed, 100 + query, rows[standing.cpu().numpy()], (channels, 1, 1)).to(x.device).sign()
        moved, own = best[standing].clone(), x[standing]
        moved[:, :, top : top + side, left : left + side] += 2 * threat.eps * signs
        moved = threat.project(moved, own)
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
