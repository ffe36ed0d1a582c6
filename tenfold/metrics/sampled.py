"""The sampled protocol: the target ranked among a few items that the user never touched, the same for every system.

Its figures do not order systems as the full ranking does (Krichene and Rendle, KDD 2020): always name the protocol.

Shapes: B queries of a chunk, V items (column 0 of scores is padding), n negatives, U users.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.metrics.ranking import check_scores, without_misses
from tenfold.splitmix import GOLDEN, mix, to_unit


def check_sampled(sampled: int, ks: Sequence[int], items: int | None = None) -> None:
    """Raises OptionError: there are no more items than there are, and a list of all that is ranked is always right."""
    if sampled < 0:
        raise OptionError(f"sampled = {sampled}: give 0 to rank among the whole catalogue, or a number such as 100")
    if items is not None and sampled >= items > 0:
        raise OptionError(
            f"sampled = {sampled} is not less than the catalogue of {items} items; give 0 to rank among all of them"
        )
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
    items: np.ndarray,
    offsets: np.ndarray,
    users: np.ndarray,
    catalogue: int,
    n: int = 100,
    seed: int = 0,
    *,
    user_keys: np.ndarray | None = None,
    item_keys: np.ndarray | None = None,
) -> np.ndarray:
    """(len(users), n): for each user n different items of 1 .. catalogue, drawn evenly from those not in any part of
    the user's history, which is items[offsets[u] : offsets[u + 1]].

    user_keys, item_keys: 64 bits of each user's and each item's own id, as `keys_of` gives them; without them users and
    items are told apart by their numbers.  A function of seed and keys alone: neither the other users asked for nor the
    order of users and items in the file change anything.  Who has fewer than n items left gets all of them, and zeros,
    which `sampled_ranks` does not count.
    """
    users, asked_for = np.unique(np.asarray(users, dtype=np.int64), return_inverse=True)
    by_key = np.arange(1, catalogue + 1) if item_keys is None else np.argsort(item_keys, kind="stable") + 1
    place = np.zeros(catalogue + 1, dtype=np.int64)  # of each item in that order, from 1; 0, an unknown item, is none
    place[by_key] = np.arange(1, catalogue + 1)
    touched, counts = _touched(place[items], offsets, users)
    starts = np.concatenate([[0], np.cumsum(counts)])
    left = catalogue - counts  # items that are free, by row
    keys = users.astype(np.uint64) if user_keys is None else user_keys[users]
    r = np.stack([_different(seed, key, n, free) for key, free in zip(keys, left.tolist(), strict=True)])  # (U, n)

    # The r-th free item (r from 0) is r + 1 plus the touched items before it: those whose t_j - j - 1 is at most r,
    # where t_j is the user's j-th touched item in order. One search serves all users, each in a range of its own.
    width = np.int64(catalogue + 1)
    row = np.repeat(np.arange(len(users)), counts)
    before = touched - (np.arange(len(touched)) - starts[row]) - 1 + row * width
    asked = np.maximum(r, 0) + np.arange(len(users))[:, None] * width
    passed = np.searchsorted(before, asked.ravel(), side="right").reshape(asked.shape) - starts[:-1, None]
    chosen = np.minimum(np.maximum(r, 0) + passed, catalogue - 1)  # of those without an item left nothing is taken
    return np.where(r >= 0, by_key[chosen], 0)[asked_for]


def keys_of(ids: Iterable[Any]) -> np.ndarray:
    """(n,) uint64: 64 bits of each id, the same on every machine and in every version."""
    digests = b"".join(blake2b(str(own).encode("utf-8", "surrogatepass"), digest_size=8).digest() for own in ids)
    return np.frombuffer(digests, dtype="<u8")


def _different(seed: int, key: np.uint64, n: int, free: int) -> np.ndarray:
    """(n,) different numbers of 0 .. free - 1, in an order of their own; -1 where there are no more."""
    if free <= 2 * n:  # few to choose from: all of them, shuffled
        order = np.argsort(_uniform(seed, key, free), kind="stable")[:n]
        return np.concatenate([order, np.full(n - len(order), -1)])
    drawn = 2 * n
    while True:  # the first n that differ, of a stream of numbers
        found = np.floor(_uniform(seed, key, drawn) * free).astype(np.int64)
        first = np.sort(np.unique(found, return_index=True)[1])
        if len(first) >= n:
            return found[first[:n]]
        drawn *= 2


def _touched(items: np.ndarray, offsets: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct items of each user, packed and in order, and how many; number 0, an unknown item, is none."""
    lengths = offsets[users + 1] - offsets[users]
    row = np.repeat(np.arange(len(users)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    item = items[offsets[users][row] + place].astype(np.int64)
    width = int(item.max(initial=0)) + 1
    pairs = np.unique((row * width + item)[item != 0])
    return pairs % width, np.bincount(pairs // width, minlength=len(users))


def _uniform(seed: int, key: np.uint64, n: int) -> np.ndarray:
    """(n,) numbers in [0, 1) by the hash of splitmix.py of (seed, user, place)."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2 ** 64 is meant
        stream = mix(mix(np.full(1, seed, dtype=np.uint64)) + np.uint64(key) * GOLDEN)
        return to_unit(mix(stream + np.arange(1, n + 1, dtype=np.uint64) * GOLDEN))
