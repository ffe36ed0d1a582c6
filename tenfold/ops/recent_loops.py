"""Attention to recent events, compiled for CPUs: ops/recent_attention.py defines it.

What is older is read forward by a product of all codewords' weights, a block of queries at once; where a codeword's
scores spread so far that exponentials relative to the largest would vanish, and backward, a histogram is looked at only
where something was counted. Without gradients `attend` does the recent events too.
Gradients are those of T, V and the recent events' mass; where more learns (lambda, a state, soft codes), plain torch
does it. One thread.

Shapes: N sequences, L events, B codebooks, W codewords, D width.
"""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.ops.products import product

BLOCK = 512  # queries whose weights are held at a time
RANGE = 60.0  # of scores in a row of T, up to which one exponential serves whatever is present
MOST = 80.0  # exponent of a codeword's weight over that of all recent events, above which it is cut
SLOW = 1e-6  # what an event leaves of those before it, below which counts are looked at one by one
LEAST = 1e-30  # a count below it is none: denormal numbers are slow
FAST = {"reassoc", "contract", "nsz", "arcp"}


class OlderEvents(torch.autograd.Function):
    """What queries read of older events (N, L, D), the recent ones' share (N, L), the histograms after (N, B, W)."""

    @staticmethod
    def forward(
        ctx: Any, entering: Tensor, enters: Tensor, codes: Tensor, real: Tensor, mass: Tensor, table: Tensor,
        values: Tensor, left: Tensor, state: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """left (B,): what an event leaves of those before it, exp(-lambda)."""
        ctx.save_for_backward(entering, enters, codes, real, mass, table, values, left, state)
        read, share, after = values.new_zeros(*mass.shape, values.shape[-1]), torch.zeros_like(mass), state.clone()
        if spread_little(table, left):
            _by_blocks(entering, enters, codes, real, mass, table, values, left, after, read, share)
        else:
            _read(*_arrays(entering, enters, codes, real, mass, table, values, left, after, read, share))
        ctx.mark_non_differentiable(after)
        return read, share, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dread: Tensor, dshare: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        *given, left, state = ctx.saved_tensors
        mass, table, values = given[-3:]
        grown = torch.zeros_like(mass), torch.zeros_like(table), torch.zeros_like(values)
        _differentiate(*_arrays(*given, left, state.clone(), dread, dshare, *grown))
        return None, None, None, None, *grown, None, None


def spread_little(table: Tensor, left: Tensor) -> bool:
    """Whether weights relative to the largest score of a row of T (B, W, W) lose nothing."""
    return float((table.amax(-1) - table.amin(-1)).max()) < RANGE and float(left.min()) > SLOW


def _by_blocks(
    entering: Tensor, enters: Tensor, codes: Tensor, real: Tensor, mass: Tensor, table: Tensor, values: Tensor,
    left: Tensor, after: Tensor, read: Tensor, share: Tensor,
) -> None:  # fmt: skip
    """What OlderEvents.forward gives, into the last three, by products of a block's weights and the values."""
    top = table.amax(-1)
    most = top.max()
    relative, height = torch.exp(table - top.unsqueeze(-1)), torch.exp((most - top).double())
    given = _arrays(entering, enters, codes, real, mass, relative, height, left, after, share)
    flat, values = read.flatten(0, 1), values.flatten(0, 1)
    weights = values.new_empty(min(BLOCK, len(flat)), len(values))
    for start in range(0, len(flat), BLOCK):
        some = weights[: len(flat) - start]
        _weights(*given, float(most), start, some.numpy())
        flat[start : start + BLOCK] = product(some, values)


def attend(
    query: Tensor, keys: Tensor, values: Tensor, codes: Tensor, there: Tensor, bias: Tensor, table: Tensor,
    coded: Tensor, left: Tensor, state: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """All of attention to recent events without gradients or dropout: `recent_attention`'s arguments, of whose events
    (N, P + L, .) the queries (N, L, D) are the last; coded (B, W, D), T for what is older, left (B,) as above.

    For tables that spread little. Returns y (N, L, D) and the histograms after them.
    """
    window, before = len(bias), there.shape[1] - query.shape[1]
    scores, largest = query.new_empty(*query.shape[:2], window), query.new_empty(query.shape[:2])
    recent = _arrays(query, keys, there, bias.flip(0))
    _score(*recent, query.shape[-1] ** -0.5, before, scores.numpy(), largest.numpy())
    scores.exp_()
    total = scores.sum(-1)
    read, share, after = torch.empty_like(query), torch.zeros_like(largest), state.clone()
    if there.shape[1] > window:
        enters = F.pad(there, (window - before, 0))[:, : query.shape[1]]
        entering = F.pad(codes, (0, 0, window - before, 0))[:, : query.shape[1]]
        mass = largest + total.log()
        _by_blocks(entering, enters, codes[:, before:], there[:, before:], mass, table, coded, left, after, read, share)
    else:
        read.zero_()
        share.fill_(1.0)
    _add(*_arrays(scores, share / total, values), before, read.numpy())
    return read, after


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [x.detach().contiguous().numpy() for x in tensors]


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _count(h, present, known, left, fades, enters, code):  # type: ignore[no-untyped-def]
    """One event later: what there is fades, what enters counts; how many codewords are present."""
    if fades:
        i = 0
        while i < known:
            faded = h[present[i]] * left
            if faded > LEAST:
                h[present[i]] = faded
                i += 1
            else:
                h[present[i]] = 0
                known -= 1
                present[i] = present[known]
    if enters:
        if h[code] == 0:
            present[known] = code
            known += 1
        h[code] += 1
    return known


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _weigh(h, present, known, scores, mass, weights):  # type: ignore[no-untyped-def]
    """The codewords' weights where all recent events together weigh 1; the sum of all."""
    total = 1.0
    for i in range(known):
        exponent = scores[present[i]] - mass
        weights[i] = h[present[i]] * np.exp(exponent if exponent < MOST else MOST)
        total += weights[i]
    return total


@cast(Any, njit)(cache=True, nogil=True)
def _there(h, present):  # type: ignore[no-untyped-def]
    known = 0
    for w in range(len(h)):
        if h[w] != 0:
            present[known] = w
            known += 1
    return known


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _weights(  # type: ignore[no-untyped-def]
    entering, enters, codes, real, mass, relative, height, left, after, share, most, start, weights
):
    """Of the queries from `start` on, sequence by sequence: the weights (C, B W) of all codewords, and share.

    relative (B, W, W) = exp(T - top), where top (B, W) is the largest of each row and most of all; height (B, W) =
    exp(most - top). after: histograms, in place.
    """
    books, words = height.shape
    nothing = after[0, 0, 0] * 0
    for row in range(len(weights)):
        n, t = divmod(start + row, mass.shape[1])
        if not real[n, t]:
            weights[row] = 0
            continue
        recent, alone = np.exp(min(np.float64(mass[n, t]) - most, 600.0)), 0.0
        for b in range(books):
            if enters[n, t]:
                after[n, b, entering[n, t, b]] += 1 / left[b]
            h, w, code = after[n, b], weights[row, b * words : (b + 1) * words], codes[n, t, b]
            scores, by, total = relative[b, code], left[b], nothing
            for i in range(words):
                faded = h[i] * by
                faded = faded if faded > LEAST else nothing
                h[i] = faded
                w[i] = faded * scores[i]
                total += w[i]
            own = recent * height[b, code]  # of all recent events, as `relative` is
            scale = 1 / (own + total)
            alone += own * scale
            scale = nothing + scale
            for i in range(words):
                w[i] *= scale
        share[n, t] = alone / books


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _score(query, keys, there, bias, scale, before, scores, largest):  # type: ignore[no-untyped-def]
    """query (N, L, D), keys (N, P + L, D), bias (w,) the oldest first -> scores (N, L, w) of the last w events, the
    newest last, less the largest of them (N, L). Of a query that is not there only itself."""
    count, length, width = query.shape
    window, nothing = len(bias), query[0, 0, 0] * 0
    for n in range(count):
        for t in range(length):
            first = before + t - window + 1  # where the window begins
            most = np.float64(-np.inf)
            for j in range(window):
                at = first + j
                if j < window - 1 and (at < 0 or not there[n, at]):
                    scores[n, t, j] = -np.inf
                    continue
                inner = nothing
                for d in range(width):
                    inner += query[n, t, d] * keys[n, at, d]
                score = inner * scale + bias[j]
                scores[n, t, j] = score
                most = max(most, score)
            largest[n, t] = most
            for j in range(window):
                scores[n, t, j] -= largest[n, t]


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _add(scores, share, values, before, read):  # type: ignore[no-untyped-def]
    """Adds to read (N, L, D) the recent events' values (N, P + L, D) by their exponentials (N, L, w) times share."""
    count, length, window = scores.shape
    width = values.shape[-1]
    for n in range(count):
        for t in range(length):
            first, by = before + t - window + 1, share[n, t]
            j = max(0, -first)
            while j + 3 < window:
                at = first + j
                a, b = by * scores[n, t, j], by * scores[n, t, j + 1]
                c, e = by * scores[n, t, j + 2], by * scores[n, t, j + 3]
                for d in range(width):
                    read[n, t, d] += (
                        a * values[n, at, d] + b * values[n, at + 1, d] + c * values[n, at + 2, d]
                        + e * values[n, at + 3, d]
                    )  # fmt: skip
                j += 4
            while j < window:
                for d in range(width):
                    read[n, t, d] += by * scores[n, t, j] * values[n, first + j, d]
                j += 1


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _read(entering, enters, codes, real, mass, table, values, left, after, read, share):  # type: ignore[no-untyped-def]
    books, words, width = values.shape
    present, weights = np.empty(words, np.int64), np.empty(words, values.dtype)
    for n in range(len(mass)):
        for b in range(books):
            h = after[n, b]
            known = _there(h, present)
            for t in range(mass.shape[1]):
                if not real[n, t]:
                    continue
                known = _count(h, present, known, left[b], left[b] != 1, enters[n, t], entering[n, t, b])
                total = _weigh(h, present, known, table[b, codes[n, t, b]], mass[n, t], weights)
                share[n, t] += 1 / (total * books)
                y = read[n, t]
                for i in range(known):
                    weight, value = weights[i] / total, values[b, present[i]]
                    for d in range(width):
                        y[d] += weight * value[d]


@cast(Any, njit)(cache=True, nogil=True, fastmath=FAST)
def _differentiate(  # type: ignore[no-untyped-def]
    entering, enters, codes, real, mass, table, values, left, state, dread, dshare, dmass, dtable, dvalues
):
    books, words, width = values.shape
    present, weights = np.empty(words, np.int64), np.ones(words, values.dtype)
    along, zero = np.empty(words, values.dtype), weights[0] * 0
    for n in range(len(mass)):
        for b in range(books):
            h = state[n, b]
            known = _there(h, present)
            for t in range(mass.shape[1]):
                if not real[n, t]:
                    continue
                known = _count(h, present, known, left[b], left[b] != 1, enters[n, t], entering[n, t, b])
                code = codes[n, t, b]
                total = _weigh(h, present, known, table[b, code], mass[n, t], weights)
                dy, of_recent = dread[n, t], dshare[n, t] / books
                mean = of_recent / total
                for i in range(known):
                    weights[i] /= total
                    value, dvalue, inner = values[b, present[i]], dvalues[b, present[i]], zero
                    for d in range(width):
                        inner += value[d] * dy[d]
                        dvalue[d] += weights[i] * dy[d]
                    along[i] = inner
                    mean += weights[i] * inner
                for i in range(known):
                    dtable[b, code, present[i]] += weights[i] * (along[i] - mean)
                dmass[n, t] += (of_recent - mean) / total
