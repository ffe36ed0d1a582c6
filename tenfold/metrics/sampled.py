"""The sampled protocol: the target ranked among a few items that the user never touched, the same for every system.

Its figures do not order systems as the full ranking does (Krichene and Rendle, KDD 2020): always name the protocol.

Shapes: B queries of a chunk, V items (column 0 of scores is padding), n negatives, U users.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.metrics.ranking import check_scores, without_misses
from tenfold.splitmix import GOLDEN, mix, to_unit


def check_sampled(sampled: int, ks: Sequence[int]) -> None:
    """Raises OptionError: a list that holds all that is ranked is always right."""
    if sampled < 0:
        raise OptionError(f"sampled = {sampled}: give 0 to rank among the whole catalogue, or a number such as 100")
    if sampled and max(ks) > sampled:
        raise OptionError(f"k = {max(ks)} is larger than sampled = {sampled}; give a k of at most {sampled}")


def sampled_ranks(scores: Tensor, target: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """scores (B, V + 1), target (B,), negatives (B, n) -> above (B,), tied (B,), as `ranks` gives them.

    A negative 0 is none.  Raises ShapeError, TrainingError.
    """
    check_scores(scores, target)
    positive, against = scores.gather(1, target[:, None]), scores.gather(1, negatives)
    keep = negatives != 0
    above, tied = ((against > positive) & keep).sum(1), ((against == positive) & keep).sum(1) + 1
    return without_misses(above, tied, target)


def draw_sampled_negatives(
    items: np.ndarray, offsets: np.ndarray, users: np.ndarray, catalogue: int, n: int = 100, seed: int = 0
) -> np.ndarray:
    """(len(users), n): for each user n items of 1 .. catalogue, drawn evenly, with replacement, from those not in any
    part of the user's history, which is items[offsets[u] : offsets[u + 1]].

    A function of (seed, user) alone: the other users asked for, and their order, change nothing; a user asked for twice
    gets the same twice. One who touched the whole catalogue gets zeros, which `sampled_ranks` does not count.
    """
    users, asked_for = np.unique(np.asarray(users, dtype=np.int64), return_inverse=True)
    touched, counts = _touched(items, offsets, users)
    starts = np.concatenate([[0], np.cumsum(counts)])
    left = catalogue - counts  # items that are free, by row

    # The r-th free item (r from 0) is r + 1 plus the touched items before it: those whose t_j - j - 1 is at most r,
    # where t_j is the user's j-th touched item in order. One search serves all users, each in a range of its own.
    width = np.int64(catalogue + 1)
    row = np.repeat(np.arange(len(users)), counts)
    before = touched - (np.arange(len(touched)) - starts[row]) - 1 + row * width
    r = np.floor(_uniform(seed, users, n) * left[:, None]).astype(np.int64)  # (U, n)
    asked = r + np.arange(len(users))[:, None] * width
    passed = np.searchsorted(before, asked.ravel(), side="right").reshape(asked.shape) - starts[:-1, None]
    return np.where(left[:, None] > 0, r + 1 + passed, 0)[asked_for]


def _touched(items: np.ndarray, offsets: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct items of each user, packed and in order, and how many; number 0, an unknown item, is none."""
    lengths = offsets[users + 1] - offsets[users]
    row = np.repeat(np.arange(len(users)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    item = items[offsets[users][row] + place].astype(np.int64)
    width = int(item.max(initial=0)) + 1
    pairs = np.unique((row * width + item)[item != 0])
    return pairs % width, np.bincount(pairs // width, minlength=len(users))


def _uniform(seed: int, users: np.ndarray, n: int) -> np.ndarray:
    """(U, n) numbers in [0, 1) by the hash of splitmix.py of (seed, user, place)."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2 ** 64 is meant
        stream = mix(mix(np.full(1, seed, dtype=np.uint64)) + users.astype(np.uint64) * GOLDEN)
        return to_unit(mix(stream[:, None] + np.arange(1, n + 1, dtype=np.uint64) * GOLDEN))
