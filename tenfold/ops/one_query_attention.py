"""Attention of one query to a short row of keys, for many rows at once: ranking's inner step.

As a product of matrices each row would be one of 1 x S, and as elementwise operations it writes and reads three arrays
of the size of all keys. The compiled loops read each key and value once, some rows at a time, whose logits stay in the
nearest cache; `reference` is the definition, and what other devices than the CPU run. Places in arrays are unsigned:
a signed one might count from the end, and the compiler would look at each number by itself.

Shapes: n rows, H heads, S keys of each, D numbers of a head.
"""

import math

import numpy as np
import torch
from torch import Tensor

from tenfold.ops.temporal_loops import any_order, loop, without_nan

ROWS = 64  # at a time
LEAST = np.float32(-87)  # below it e^x is 0: it would be smaller than the smallest number but for denormal ones
LOG2_E, ROUND = np.float32(1 / math.log(2)), np.float32(3 << 22)  # what is added leaves no place behind the point
LOG_2 = np.float32(0.693359375)  # log(2) in few bits: k times it is exact
REST = np.float32(math.log(2) - 0.693359375)
# of e^x between -log(2) / 2 and log(2) / 2, highest power first (Moshier's Cephes, expf)
P5, P4, P3, P2, P1, P0 = map(np.float32, (1.9875691e-4, 1.3981999e-3, 8.3334519e-3, 4.1665796e-2, 1.6666666e-1, 0.5))


def attend(
    query: Tensor,
    own: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    counts: Tensor,
    rows: Tensor,
    same: Tensor | None = None,
    token: Tensor | None = None,
) -> Tensor:
    """query (n, H, D); own: a key and a value (n, H, D) that are always there; keys, values (R, H, S, D), the first
    `counts` (R,) int64 of each row, of which `rows` (n,) int64 says which one is each query's -> (n, H, D).

    same (n, 1 + S) bool, the own key's first: to these keys and values `token` (2, H, D) is added. No gradient.
    """
    if query.device.type != "cpu" or query.dtype != torch.float32:
        return reference(query, own, keys, values, counts, rows, same, token)
    heads, count, width = keys.shape[1:]
    found = np.empty((len(query), heads, width), np.float32)
    if same is None or token is None:
        same, token = torch.zeros(0, dtype=torch.bool), query.new_zeros(2, heads, width)
    given = (keys, values, counts, rows, same, token)
    arrays = (each.detach().contiguous().numpy().reshape(-1) for each in given)
    asked = [_apart(each.detach()) for each in (query, *own)]
    steps = np.array([step for _, step in asked], np.uint64)
    _attend(*(array for array, _ in asked), steps, *arrays, heads, count, width, found.reshape(-1))
    return torch.from_numpy(found)


def _apart(x: Tensor) -> tuple[np.ndarray, int]:
    """(n, H, D), whose rows may lie apart, as one array of numbers, and how far from one row to the next."""
    n, heads, width = x.shape
    if n == 0 or x.stride()[1:] != (width, 1):
        x = x.contiguous()
    step = x.stride(0) if n > 1 else heads * width
    return x.as_strided((max(n - 1, 0) * step + heads * width if n else 0,), (1,)).numpy(), step


def reference(
    query: Tensor,
    own: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    counts: Tensor,
    rows: Tensor,
    same: Tensor | None = None,
    token: Tensor | None = None,
) -> Tensor:
    every = [torch.cat([first.unsqueeze(2), rest[rows]], 2) for first, rest in zip(own, (keys, values), strict=True)]
    if same is not None and token is not None:
        marked = same[:, None, :, None]
        every = [all_ + marked * added[:, None, :] for all_, added in zip(every, token, strict=True)]
    logits = (every[0] * query.unsqueeze(2)).sum(-1) / math.sqrt(query.shape[-1])
    kept = (torch.arange(1 + keys.shape[2], device=keys.device) <= counts[rows].unsqueeze(1)).unsqueeze(1)
    weights = logits.masked_fill(~kept, torch.finfo(logits.dtype).min).softmax(-1)
    return (weights.unsqueeze(-1) * every[1]).sum(2)


@loop
def _attend(  # type: ignore[no-untyped-def]
    query, own_key, own_value, steps, keys, values, counts, row_of, same, token, heads, count, width, found
):
    n = len(row_of)
    room = min(n, ROWS) * heads * (1 + count)
    weights, powers = np.empty(room, np.float32), np.empty(room, np.int32)
    shape = np.uint64(heads), np.uint64(count), np.uint64(width)
    for first in range(0, n, ROWS):
        rows = np.uint64(first), np.uint64(min(first + ROWS, n))
        used = _logits(query, own_key, steps, keys, counts, row_of, same, token, rows, shape, weights)
        _exponentials(weights, powers, used)
        _means(weights, own_value, steps[2], values, counts, row_of, same, token, rows, shape, found)


@any_order
def _logits(query, own_key, steps, keys, counts, row_of, same, token, rows, shape, out):  # type: ignore[no-untyped-def]
    """Of some rows, of each head the own key's and those of all that are there, one behind another, less the largest of
    them. Returns how many these are."""
    (first, last), (heads, count, width) = rows, shape
    at, one = np.uint64(0), np.uint64(1)
    scale = np.float32(1 / np.sqrt(np.float64(width)))
    for n in range(first, last):
        row = np.uint64(n)
        k, marks = np.uint64(row_of[row]), row * (one + count)
        there = np.uint64(counts[k])
        for head in range(heads):
            h = np.uint64(head)
            asked, own, key = row * steps[0] + h * width, row * steps[1] + h * width, (k * heads + h) * count * width
            x = np.float32(0)
            for d in range(width):
                x += query[asked + d] * own_key[own + d]
            out[at] = x * scale
            for place in range(there):
                x = np.float32(0)
                for d in range(width):
                    x += query[asked + d] * keys[key + d]
                key += width
                out[at + one + np.uint64(place)] = x * scale
            if len(same) > 0:
                more = np.float32(0)
                for d in range(width):
                    more += query[asked + d] * token[h * width + d]
                for s in range(one + there):
                    out[at + s] += more * scale if same[marks + s] else np.float32(0)
            largest = _largest(out, at, one + there)
            for s in range(one + there):
                out[at + s] -= largest
            at += one + there
    return np.int64(at)


@without_nan
def _largest(x, first, count):  # type: ignore[no-untyped-def]
    """Of numbers of which none is NaN; where one is, it is NaN yet when another has been taken from it."""
    found = x[first]
    for n in range(count):
        found = max(found, x[first + n])
    return found


@loop
def _exponentials(x, powers, count):  # type: ignore[no-untyped-def]
    """e^x of the first `count` numbers, none above 0, in place, to a part in 10 million. NaN stays."""
    for n in range(count):
        y = LEAST if x[n] < LEAST else x[n]
        k = (y * LOG2_E + ROUND) - ROUND
        r = (y - k * LOG_2) - k * REST
        p = ((((P5 * r + P4) * r + P3) * r + P2) * r + P1) * r + P0
        powers[n] = (np.int32(k) + np.int32(127)) << np.int32(23)
        x[n] = np.float32(0) if x[n] < LEAST else p * r * r + r + np.float32(1)
    two_to_k = powers.view(np.float32)
    for n in range(count):
        x[n] *= two_to_k[n]


@any_order
def _means(weights, own_value, step, values, counts, row_of, same, token, rows, shape, found):  # type: ignore[no-untyped-def]
    """found (n, H, D) of some rows: their values' means by these weights, which need not add up to 1."""
    (first, last), (heads, count, width) = rows, shape
    at, one = np.uint64(0), np.uint64(1)
    mean = np.empty(width, np.float32)
    for n in range(first, last):
        row = np.uint64(n)
        k, marks = np.uint64(row_of[row]), row * (one + count)
        there = np.uint64(counts[k])
        for head in range(heads):
            h = np.uint64(head)
            value, into, own = (k * heads + h) * count * width, (row * heads + h) * width, row * step + h * width
            w = weights[at]
            total = w
            for d in range(width):
                mean[d] = w * own_value[own + d]
            for s in range(there):
                w = weights[at + one + s]
                total += w
                for d in range(width):
                    mean[d] += w * values[value + d]
                value += width
            if len(same) > 0:
                shared = np.float32(0)
                for s in range(one + there):
                    shared += weights[at + s] if same[marks + s] else np.float32(0)
                for d in range(width):
                    mean[d] += shared * token[(heads + h) * width + d]
            for d in range(width):
                found[into + d] = mean[d] / total
            at += one + there
