"""The compiled loops themselves. codeword_loops.py loads this file once for each W and for what the loops do: it puts
the constants below into the module before its code runs.

Sums may be reordered; NaN and infinity keep their meaning. `running` and `gradient` (B, W) are carried from chunk to
chunk; the loops go codebook by codebook, so that what is carried stays in registers.
Shapes: N sequences, C events of a chunk, R rows of codes, B codebooks, W codewords.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

from tenfold.ops.lanes import above, load, one_hot, store, total, zeros

W: int = globals().get("W", 16)  # codewords
SOFT: bool = globals().get("SOFT", False)  # histograms of soft codes
DECAYS: bool = globals().get("DECAYS", False)  # histograms that fade
HAS_P: bool = globals().get("HAS_P", False)  # a gradient to the soft codes
RATES: bool = globals().get("RATES", False)  # a gradient to the rates of fading


def compiled(function: Callable[..., Any]) -> Any:
    function.__qualname__ += f"_{W}_{SOFT:d}{DECAYS:d}{HAS_P:d}{RATES:d}"  # numba's name for it on the disk
    return cast(Any, numba.njit)(
        nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}
    )(function)


@compiled
def smallest(like):  # type: ignore[no-untyped-def]
    """A sum below this has lost its digits; a count below this is nothing, since denormal numbers are slow."""
    return like.dtype.type(1e-30) if like.itemsize == 4 else like.dtype.type(1e-290)


@compiled
def count(h, base, recent, turn, code, soft_codes, row, b, rate, least):  # type: ignore[no-untyped-def]
    """h <- rate h + o. One-hots are whole numbers and lose nothing to rounding. Fractions do: the recent ones are
    summed apart, so that a sum of n of them is rounded n / 64 times."""
    if SOFT:
        base = above(base * rate, least)
        recent = recent * rate + load(soft_codes, (row, b), W)
        h = base + recent
        if turn % 64 == 63:
            base, recent = h, zeros(h)
    else:
        if DECAYS:
            h = above(h * rate, least)
        h = h + one_hot(code, h)
    return h, base, recent


@compiled
def log_sum(h, scores):  # type: ignore[no-untyped-def]
    """log sum_w h exp(scores), the careful way: relative to the largest term that is there."""
    top = -np.inf
    for w in range(W):
        if h[w] > 0:
            top = max(top, scores[w] + math.log(h[w]))
    summed = 0.0
    for w in range(W):
        if h[w] > 0:
            summed += math.exp(scores[w] + math.log(h[w]) - top)
    return top + math.log(summed)


@compiled
def careful(h, scores, alpha):  # type: ignore[no-untyped-def]
    summed = log_sum(h, scores)
    for w in range(W):
        alpha[w] = math.exp(scores[w] + math.log(h[w]) - summed) if h[w] > 0 else 0.0
    return summed


@compiled
def stretch(local, rows, begin, stop, b, relative, soft_codes, rate, running, weights):  # type: ignore[no-untyped-def]
    """Equations 1 and 2 for events begin .. stop of one sequence and codebook; the smallest sum among them."""
    least, one = smallest(weights), weights.dtype.type(1)
    smallest_sum, h = one, load(running, (b,), W)
    base, recent = h, zeros(h)
    for i in range(begin, stop):
        code = np.int64(local[i])
        if code < 0:
            store(weights, (i, b), zeros(h))
            continue
        h, base, recent = count(h, base, recent, i, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
        s = h * load(relative, (b, code), W)
        summed = total(s)
        smallest_sum = min(smallest_sum, summed)
        store(weights, (i, b), s * (one / summed))
    store(running, (b,), h)
    return smallest_sum


@compiled
def carefully(local, rows, begin, stop, b, table, soft_codes, rate, running, weights):  # type: ignore[no-untyped-def]
    """The same where a sum came out as nothing: an absent codeword scores far more than all that are there."""
    least, h = smallest(weights), load(running, (b,), W)
    base, recent = h, zeros(h)
    for i in range(begin, stop):
        code = np.int64(local[i])
        if code >= 0:
            h, base, recent = count(h, base, recent, i, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
            store(running, (b,), h)
            careful(running[b], table[b, code], weights[i, b])


@compiled
def look_up(codes, rows, b, local):  # type: ignore[no-untyped-def]
    """The codes of these rows, -1 for none: read in order, the loops that use them need not wait for them."""
    for i in range(len(rows)):
        local[i] = np.int16(codes[rows[i], b]) if rows[i] >= 0 else np.int16(-1)


@compiled
def weigh(  # type: ignore[no-untyped-def]
    books, rows, first, ends, sequence, codes, table, relative, soft_codes, rates, begins, running, after, weights
):
    """The weights of the events first .. first + C of all sequences, in the codebooks books[0] .. books[1] - 1;
    returns the sequence that the last is of."""
    n, size, least = sequence, len(rows), smallest(weights)
    local = np.empty(size, np.int16)
    for b in range(books[0], books[1]):
        n, i = sequence, 0
        look_up(codes, rows, b, local)
        while i < size:
            while ends[n + 1] <= first + i:
                store(after, (n, b), load(running, (b,), W))
                n += 1
                store(running, (b,), load(begins, (n, b), W))
            stop, start = min(size, ends[n + 1] - first), load(running, (b,), W)
            found = stretch(local, rows, i, stop, b, relative, soft_codes, rates[b], running, weights)
            if found <= least:
                store(running, (b,), start)
                carefully(local, rows, i, stop, b, table, soft_codes, rates[b], running, weights)
            i = stop
    return n


@compiled
def recount(  # type: ignore[no-untyped-def]
    local, rows, first, ends, n, b, relative, begins, soft_codes, rate, border, scratch, inverses
):
    """The histograms of a chunk once more, scratch (C + 1, W) from its second row on, and one over each sum."""
    least, one = smallest(scratch), scratch.dtype.type(1)
    smallest_sum, h = one, load(border, (b,), W)
    base, recent = h, zeros(h)
    store(scratch, (0,), h)
    for i in range(len(local)):
        while ends[n + 1] <= first + i:
            n += 1
            h = load(begins, (n, b), W)
            base, recent = h, zeros(h)
        code = np.int64(local[i])
        if code >= 0:
            h, base, recent = count(h, base, recent, i, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
            summed = total(h * load(relative, (b, code), W))
            smallest_sum = min(smallest_sum, summed)
            inverses[i] = one / summed
        store(scratch, (i + 1,), h)
    return smallest_sum


@compiled
def backwards(  # type: ignore[no-untyped-def]
    local, rows, begin, stop, b, relative, before, rate, scratch, inverses, dweights, gradient, dtable, dp, weights
):
    """Events stop - 1 .. begin of one sequence and codebook. With e_w = exp(T_w) / sum(h exp(T)) and g = d alpha:

    dh_w = e_w (g_w - sum(alpha g)), dT_w = h_w dh_w, and what reaches o_t is dh_t and all that later events add.
    """
    later, drate = load(gradient, (b,), W), 0.0
    for i in range(stop - 1, begin - 1, -1):
        code = np.int64(local[i])
        if code < 0:
            store(weights, (i, b), zeros(later))
            continue
        h, g = load(scratch, (i + 1,), W), load(dweights, (i, b), W)
        e = load(relative, (b, code), W) * inverses[i]
        alpha = h * e
        store(weights, (i, b), alpha)
        dh = e * (g - total(alpha * g))
        store(dtable, (b, code), load(dtable, (b, code), W) + h * dh)
        later = later + dh
        if HAS_P:
            store(dp, (rows[i], b), load(dp, (rows[i], b), W) + later)
        if RATES:
            drate += total(later * (before if i == begin else load(scratch, (i,), W)))
        if DECAYS:
            later = later * rate
    store(gradient, (b,), later)
    return drate


@compiled
def backwards_carefully(  # type: ignore[no-untyped-def]
    local, rows, begin, stop, b, table, before, rate, scratch, dweights, gradient, dtable, dp, weights
):
    """The same where a sum came out as nothing. Only an absent codeword's gradient is ever as large as `most`."""
    most, drate, later = 84.0 if weights.itemsize == 4 else 705.0, 0.0, gradient[b]
    for i in range(stop - 1, begin - 1, -1):
        alpha, code = weights[i, b], np.int64(local[i])
        if code < 0:
            alpha[:] = 0
            continue
        h, g = scratch[i + 1], dweights[i, b]
        log_total, mean = careful(h, table[b, code], alpha), weights.dtype.type(0)
        for w in range(W):
            mean += alpha[w] * g[w]
        for w in range(W):
            dh = math.exp(min(table[b, code, w] - log_total, most)) * (g[w] - mean)
            dtable[b, code, w] += h[w] * dh
            later[w] += dh
            if HAS_P:
                dp[rows[i], b, w] += later[w]
        if DECAYS:
            kept = load(gradient, (b,), W)
            if RATES:
                drate += total(kept * (before if i == begin else load(scratch, (i,), W)))
            store(gradient, (b,), kept * rate)
    return drate


@compiled
def differentiate(  # type: ignore[no-untyped-def]
    books, rows, first, ends, sequence, last, codes, table, relative, soft_codes, rates, begins, border, dweights,
    gradient, dafter, dtable, dp, drates, dstate, weights,
):  # fmt: skip
    """A chunk backwards in some codebooks, whose first event is of `sequence` and whose last is of `last`; returns
    where it began."""
    size, least, k = len(rows), smallest(weights), last
    local, scratch, inverses = (
        np.empty(size, np.int16),
        np.empty((size + 1, W), border.dtype),
        np.empty(size, border.dtype),
    )
    for b in range(books[0], books[1]):
        look_up(codes, rows, b, local)
        found = recount(
            local, rows, first, ends, sequence, b, relative, begins, soft_codes, rates[b], border, scratch, inverses
        )
        k, stop = last, size  # gradient: what later events add to h_t
        while stop > 0:
            while ends[k] >= first + stop:
                store(dstate, (k, b), load(gradient, (b,), W))
                k -= 1
                store(gradient, (b,), load(dafter, (k, b), W))
            begin = max(0, ends[k] - first)
            before = load(begins, (k, b), W) if ends[k] >= first else load(scratch, (0,), W)
            if found > least:
                drates[b] += backwards(
                    local, rows, begin, stop, b, relative, before, rates[b], scratch, inverses, dweights, gradient,
                    dtable, dp, weights,
                )  # fmt: skip
            else:
                drates[b] += backwards_carefully(
                    local, rows, begin, stop, b, table, before, rates[b], scratch, dweights, gradient, dtable, dp,
                    weights,
                )  # fmt: skip
            stop = begin
    return k
