"""How often a candidate itself came: counters that fade, under hashed keys, and the least of an item's (count-min).

Cormode and Muthukrishnan, J. Algorithms 2005. Each of R rows has W counters; an event adds one to a counter of each row
(its key there), and all fade by exp(-lambda) with each event. The least of an item's R counters is its count and what
came under the same keys, never less than its count. `joint_keys` hashes all codes of an item together.

Shapes: N sequences, L events, R rows, W counters of each, V items, P positions, B codebooks.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor

from tenfold.splitmix import GOLDEN, mix

FADED = 1e-30  # what is less counts nothing, before it is a denormal number and slow


def joint_keys(codes: Tensor, rows: int, width: int) -> Tensor:
    """codes (V, B) bytes -> keys (V, R) int64 below W: in each row of another hash of all B together (Zobrist's)."""
    books = codes.shape[1]
    drawn = mix(GOLDEN * np.arange(1, rows * books * 256 + 1, dtype=np.uint64)).reshape(rows, books, 256)
    table = torch.from_numpy((drawn >> np.uint64(1)).astype(np.int64)).to(codes.device)
    keys = torch.zeros(len(codes), rows, dtype=torch.int64, device=codes.device)
    for book, code in enumerate(codes.long().unbind(1)):
        keys ^= table[:, book, code].T
    return keys % width


def item_keys(items: int, rows: int, width: int) -> Tensor:
    """Keys (V + 1, R) int64 below W of the items 0 (padding) to V: in each row another hash of an item's number."""
    numbers = np.arange(1, rows * (items + 1) + 1, dtype=np.uint64).reshape(rows, items + 1)
    return torch.from_numpy((mix(GOLDEN * numbers) % np.uint64(width)).astype(np.int64).T.copy())


def running_counts(keys: Tensor, real: Tensor, before: Tensor, fade: Tensor) -> Tensor:
    """keys (N, L, R), real (N, L): padding counts nothing and fades nothing; before (N, R, W) the counters so far; fade
    (R,) = exp(-lambda) -> the counters after each event (N, L, R, W). No gradient."""
    before, fade = before.detach(), fade.detach().to(before.dtype)
    if before.device.type != "cpu":
        return running_counts_reference(keys, real, before, fade)
    counts = before.new_empty(*keys.shape, before.shape[-1])
    _count(*(x.contiguous().numpy() for x in (keys, real, before, fade, counts)))
    return counts


def counts_after(keys: Tensor, real: Tensor, before: Tensor, fade: Tensor) -> Tensor:
    """The counters (N, R, W) after the last event: `running_counts` without those in between, from the last event
    back, so that an event costs R additions and not R W products."""
    before, fade = before.detach(), fade.detach().to(before.dtype)
    if before.device.type != "cpu":
        return running_counts_reference(keys, real, before, fade)[:, -1]
    counts = before * fade[:, None] ** real.sum(1)[:, None, None]
    counts = counts.masked_fill_(counts <= FADED, 0).contiguous()
    _add(*(x.contiguous().numpy() for x in (keys, real, fade)), counts.numpy())
    return counts


def running_counts_reference(keys: Tensor, real: Tensor, before: Tensor, fade: Tensor) -> Tensor:
    """The same, written event by event in torch."""
    counts, every = before, []
    for key, there in zip(keys.unbind(1), real.unbind(1), strict=True):
        after = counts * fade[:, None]
        after = after.scatter_add(-1, key.unsqueeze(-1), torch.ones_like(after[..., :1]))
        counts = torch.where(there[:, None, None], after, counts)
        every.append(counts)
    return torch.stack(every, 1)


class Keyed(NamedTuple):
    """V items in order of their first row's keys, so that those of one key lie together. Unsigned: loops over places
    that could count from an array's end are slower."""

    items: np.ndarray  # (V,) uint32, those of key 0 first
    begins: np.ndarray  # (W + 1,) uint64, where each key's items begin
    others: np.ndarray  # (R - 1, V) uint32, their other rows' keys; (1, V) those of the first where it is alone


def keyed(keys: Tensor, width: int) -> Keyed:
    """Of keys (V, R) below W on the CPU."""
    first = keys[:, 0].numpy()
    begins = np.concatenate([[0], np.bincount(first, minlength=width).cumsum()]).astype(np.uint64)
    order = first.argsort(kind="stable")
    others = keys.numpy()[order, 1:] if keys.shape[1] > 1 else first[order, None]
    return Keyed(order.astype(np.uint32), begins, others.T.astype(np.uint32, order="C"))


def least(counts: Tensor, keys: Tensor, of: Keyed | None = None) -> Tensor:
    """counters (P, R, W), keys (V, R) -> (P, V): the least of each item's. No gradient.

    of: `keyed` of these keys, where they are asked for again and again."""
    counts = counts.detach()
    if counts.device.type != "cpu":
        return least_reference(counts, keys)
    found = counts.new_zeros(len(counts), len(keys))
    add_least(found, counts, of or keyed(keys, counts.shape[-1]), counts.new_ones(len(counts)))
    return found


def add_least(answers: Tensor, counts: Tensor, of: Keyed, gate: Tensor) -> None:
    """answers (P, V) += gate (P,) times the least of each item's counters (P, R, W), in place, on the CPU."""
    counted = counts.detach().contiguous().numpy()
    _add_least(counted, *of, gate.detach().contiguous().numpy(), answers.detach().numpy())


def dot_least(weights: Tensor, counts: Tensor, of: Keyed) -> Tensor:
    """(P,): the sum over items of weights (P, V) times the least of each item's counters (P, R, W), on the CPU."""
    found = weights.new_zeros(len(weights))
    _dot_least(counts.detach().contiguous().numpy(), *of, weights.detach().numpy(), found.numpy())
    return found


def least_reference(counts: Tensor, keys: Tensor) -> Tensor:
    """The same, written in torch."""
    found = counts[:, 0].index_select(1, keys[:, 0])
    for row in range(1, keys.shape[1]):
        found = torch.minimum(found, counts[:, row].index_select(1, keys[:, row]))
    return found


class Least:
    """The least of items' counters beside answers (linear_cross_entropy.py): counters (N, R, W), keys (V, R)."""

    def __init__(self, counts: Tensor, keys: Tensor) -> None:
        self.counts, self.keys = counts.detach(), keys
        self.keyed = keyed(keys, counts.shape[-1]) if counts.device.type == "cpu" else None

    def add(self, answers: Tensor, rows: slice, gate: Tensor) -> None:
        """answers (C, V) += gate (C,) times the counts of these rows, in place."""
        if self.keyed is None:
            answers.addcmul_(gate[:, None], least_reference(self.counts[rows], self.keys))
        else:
            add_least(answers, self.counts[rows], self.keyed, gate)

    def dot(self, weights: Tensor, rows: slice) -> Tensor:
        """(C,): the sums over items of weights (C, V) times the counts of these rows."""
        if self.keyed is None:
            return (weights * least_reference(self.counts[rows], self.keys)).sum(1)
        return dot_least(weights, self.counts[rows], self.keyed)


def least_of(counts: Tensor, keys: Tensor) -> Tensor:
    """counters (N, L, R, W), keys of candidates (N, L, K, R), or of those that sequences or events share (1 in place of
    N or L) -> (N, L, K)."""
    if len(keys) == keys.shape[1] == 1 and keys.shape[2] > 1:
        return least(counts.flatten(0, 1), keys[0, 0]).unflatten(0, counts.shape[:2])
    return counts.gather(-1, keys.mT.expand(*counts.shape[:3], -1)).amin(2)


@cast(Any, njit)(cache=True, nogil=True)
def _count(keys, real, before, fade, counts):  # type: ignore[no-untyped-def]
    for n in range(keys.shape[0]):
        for event in range(keys.shape[1]):
            for row in range(keys.shape[2]):
                old = before[n, row] if event == 0 else counts[n, event - 1, row]
                new = counts[n, event, row]
                if real[n, event]:
                    by = fade[row]
                    for w in range(len(new)):
                        faded = old[w] * by
                        new[w] = faded if faded > FADED else 0
                    new[keys[n, event, row]] += 1
                else:
                    new[:] = old


# A user had few items: most counters are 0, and so is the count of each item under one of these. Of the others the
# second row leaves few, so that rows after it are seldom read.


@cast(Any, njit)(cache=True, nogil=True)
def _add_least(counts, items, begins, others, gate, answers):  # type: ignore[no-untyped-def]
    second, other = min(1, counts.shape[1] - 1), others[0]
    for p in range(len(counts)):
        row, by, own, next_own = answers[p], gate[p], counts[p, 0], counts[p, second]
        for w in range(len(own)):
            if own[w] > 0:
                for place in range(begins[w], begins[w + 1]):
                    count = min(own[w], next_own[other[place]])
                    if count > 0:
                        for r in range(1, len(others)):
                            count = min(count, counts[p, r + 1, others[r, place]])
                        row[items[place]] += by * count


@cast(Any, njit)(cache=True, nogil=True)
def _dot_least(counts, items, begins, others, weights, found):  # type: ignore[no-untyped-def]
    second, other = min(1, counts.shape[1] - 1), others[0]
    for p in range(len(counts)):
        row, own, next_own, total = weights[p], counts[p, 0], counts[p, second], 0.0
        for w in range(len(own)):
            if own[w] > 0:
                for place in range(begins[w], begins[w + 1]):
                    count = min(own[w], next_own[other[place]])
                    if count > 0:
                        for r in range(1, len(others)):
                            count = min(count, counts[p, r + 1, others[r, place]])
                        total += row[items[place]] * count
        found[p] = total


@cast(Any, njit)(cache=True, nogil=True)
def _add(keys, real, fade, counts):  # type: ignore[no-untyped-def]
    for n in range(keys.shape[0]):
        for row in range(keys.shape[2]):
            weight = 1.0
            for event in range(keys.shape[1] - 1, -1, -1):
                if real[n, event] and weight > FADED:
                    counts[n, row, keys[n, event, row]] += weight
                    weight *= fade[row]
