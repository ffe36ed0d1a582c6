"""The compiled loops themselves. codeword_loops.py loads this file once for each W and for what the loops do: it puts
the constants below into the module before its code runs.

Events go in blocks, whose weights stay in the processor's caches: as soon as a block's are made, they are multiplied.
A part of `attend` is a range of events, a part of `differentiate` a range of codebooks, so that no thread waits for
another. In a block they go codebook by codebook, and what is carried from event to event stays in registers.
Sums may be reordered; NaN and infinity keep their meaning.
Shapes: N sequences, T events of all sequences, C events of a block, R rows of codes, B codebooks, W codewords, D width.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

from tenfold.ops import lanes, threads, tiles
from tenfold.ops.lanes import above, load, one_hot, stamp, store, total, zeros
from tenfold.ops.threads import array_at, take_part
from tenfold.ops.tiles import BYTES, ROWS, add_transposed, packed, times, whole

BLOCK: int = globals().get("BLOCK", 64)  # events
W: int = globals().get("W", 16)  # codewords
NUMBER: Any = globals().get("NUMBER", np.float32)  # what all is counted in
SOFT: bool = globals().get("SOFT", False)  # histograms of soft codes
DECAYS: bool = globals().get("DECAYS", False)  # histograms that fade
HAS_P: bool = globals().get("HAS_P", False)  # a gradient to the soft codes
RATES: bool = globals().get("RATES", False)  # a gradient to the rates of fading


STAMP = stamp(lanes.__file__, threads.__file__, tiles.__file__)
HOW: Any = {"cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """As numba finds it on the disk."""
    function.__qualname__ += f"_{BLOCK}_{W}_{NUMBER is np.float64:d}{SOFT:d}{DECAYS:d}{HAS_P:d}{RATES:d}_{STAMP}"
    return function


def compiled(function: Callable[..., Any]) -> Any:
    return cast(Any, numba.njit)(**HOW)(named(function))


def shared(function: Callable[..., Any]) -> Any:
    """A loop, compiled at once, as ops/threads.py shares it out."""
    return numba.cfunc(numba.types.void(numba.types.voidptr), **HOW)(named(function))


@compiled
def smallest(like):  # type: ignore[no-untyped-def]
    """A sum below this has lost its digits; a count below this is nothing, since denormal numbers are slow."""
    return like.dtype.type(1e-30) if like.itemsize == 4 else like.dtype.type(1e-290)


@compiled
def count(h, base, recent, code, soft_codes, row, b, rate, least):  # type: ignore[no-untyped-def]
    """h <- rate h + o. One-hots are whole numbers and lose nothing to rounding. Fractions do: those of a block are
    summed apart, so that a sum of n of them is rounded n / BLOCK times."""
    if SOFT:
        base = above(base * rate, least)
        recent = recent * rate + load(soft_codes, (row, b), W)
        h = base + recent
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
        h, base, recent = count(h, base, recent, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
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
            h, base, recent = count(h, base, recent, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
            store(running, (b,), h)
            careful(running[b], table[b, code], weights[i, b])


@compiled
def look_up(codes, rows, b, local):  # type: ignore[no-untyped-def]
    """The codes of these rows, -1 for none: read in order, the loops that use them need not wait for them."""
    for i in range(len(rows)):
        local[i] = np.int16(codes[rows[i], b]) if rows[i] >= 0 else np.int16(-1)


@compiled
def sequence_of(event, offsets):  # type: ignore[no-untyped-def]
    """By halving: the last that begins at the event or before it, and so no empty one."""
    least, most = 0, len(offsets) - 1
    while most - least > 1:
        middle = (least + most) // 2
        if offsets[middle] <= event:
            least = middle
        else:
            most = middle
    return least


@compiled
def copy(source, into):  # type: ignore[no-untyped-def]
    """(B, W), row by row: what numba makes of a slice takes longer to compile than all the rest."""
    for b in range(len(into)):
        store(into, (b,), load(source, (b,), W))


@compiled
def pass_over(rows, begin, stop, codes, soft_codes, rates, running):  # type: ignore[no-untyped-def]
    """The histograms after the events begin .. stop of one sequence, block by block as they are when it is read."""
    least, local = smallest(running), np.empty(BLOCK, np.int16)
    for first in range(begin // BLOCK * BLOCK, stop, BLOCK):
        part = rows[max(first, begin) : min(first + BLOCK, stop)]
        for b in range(len(running)):
            look_up(codes, part, b, local)
            h = load(running, (b,), W)
            base, recent = h, zeros(h)
            for i in range(len(part)):
                code = np.int64(local[i])
                if code >= 0:
                    row = part[i] if SOFT else 0
                    h, base, recent = count(h, base, recent, code, soft_codes, row, b, rates[b], least)
            store(running, (b,), h)


@compiled
def attend_to(  # type: ignore[no-untyped-def]
    events, rows, offsets, codes, table, relative, values, soft_codes, rates, begins, after, borders, y
):
    """y of the events events[0] .. events[1] - 1, where a block begins; the histograms at each of their blocks' start,
    and after each sequence that ends among them."""
    books, least, panels = borders.shape[1], smallest(values), packed(values)
    weights = np.zeros((BLOCK, books + 1, W), values.dtype)  # apart by more than a power of two, which caches dislike
    flat, local, n = weights.reshape(BLOCK, -1), np.empty(BLOCK, np.int16), sequence_of(events[0], offsets)
    running = np.empty((books, W), values.dtype)
    copy(begins[n], running)
    pass_over(rows, offsets[n], events[0], codes, soft_codes, rates, running)
    for first in range(events[0], events[1], BLOCK):
        if offsets[n + 1] <= first:
            copy(running, after[n])
            n = sequence_of(first, offsets)
            copy(begins[n], running)
        copy(running, borders[first // BLOCK])
        part, k = rows[first : min(first + BLOCK, events[1])], n
        for b in range(books):
            look_up(codes, part, b, local)
            k, i = n, 0
            while i < len(part):
                if offsets[k + 1] <= first + i:
                    store(after, (k, b), load(running, (b,), W))
                    while offsets[k + 1] <= first + i:
                        k += 1
                    store(running, (b,), load(begins, (k, b), W))
                stop, start = min(len(part), offsets[k + 1] - first), load(running, (b,), W)
                found = stretch(local, part, i, stop, b, relative, soft_codes, rates[b], running, weights)
                if found <= least:
                    store(running, (b,), start)
                    carefully(local, part, i, stop, b, table, soft_codes, rates[b], running, weights)
                i = stop
        n = k
        times(flat, len(part), panels, y, first)
    if offsets[n + 1] <= events[1]:
        copy(running, after[n])


@compiled
def recount(  # type: ignore[no-untyped-def]
    local, rows, first, offsets, n, b, relative, begins, soft_codes, rate, border, scratch, inverses
):
    """The histograms of a block once more, scratch (C + 1, W) from its second row on, and one over each sum."""
    least, one = smallest(scratch), scratch.dtype.type(1)
    smallest_sum, h = one, load(border, (b,), W)
    base, recent = h, zeros(h)
    store(scratch, (0,), h)
    for i in range(len(rows)):
        while offsets[n + 1] <= first + i:
            n += 1
            h = load(begins, (n, b), W)
            base, recent = h, zeros(h)
        code = np.int64(local[i])
        if code >= 0:
            h, base, recent = count(h, base, recent, code, soft_codes, rows[i] if SOFT else 0, b, rate, least)
            summed = total(h * load(relative, (b, code), W))
            smallest_sum = min(smallest_sum, summed)
            inverses[i] = one / summed
        store(scratch, (i + 1,), h)
    return smallest_sum


@compiled
def backwards(  # type: ignore[no-untyped-def]
    local, rows, begin, stop, b, at, relative, before, rate, scratch, inverses, dweights, gradient, dtable, dp, weights
):
    """Events stop - 1 .. begin of one sequence and codebook. With e_w = exp(T_w) / sum(h exp(T)) and g = d alpha:

    dh_w = e_w (g_w - sum(alpha g)), dT_w = h_w dh_w, and what reaches o_t is dh_t and all that later events add.
    The codebook is b of all, and `at` of those whose weights these are.
    """
    later, drate = load(gradient, (b,), W), 0.0
    for i in range(stop - 1, begin - 1, -1):
        code = np.int64(local[i])
        if code < 0:
            store(weights, (i, at), zeros(later))
            continue
        h, g = load(scratch, (i + 1,), W), load(dweights, (i, at), W)
        e = load(relative, (b, code), W) * inverses[i]
        alpha = h * e
        store(weights, (i, at), alpha)
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
    local, rows, begin, stop, b, at, table, before, rate, scratch, dweights, gradient, dtable, dp, weights
):
    """The same where a sum came out as nothing. Only an absent codeword's gradient is ever as large as `most`."""
    most, drate, later = 84.0 if weights.itemsize == 4 else 705.0, 0.0, gradient[b]
    for i in range(stop - 1, begin - 1, -1):
        alpha, code = weights[i, at], np.int64(local[i])
        if code < 0:
            alpha[:] = 0
            continue
        h, g = scratch[i + 1], dweights[i, at]
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
def padded(dy, first, rows, buffer):  # type: ignore[no-untyped-def]
    """dy[first : first + rows] with as many rows and columns as `buffer`: itself where that needs no copy."""
    if dy.shape[1] == buffer.shape[1] and rows == len(buffer):
        return dy[first : first + rows]
    for i in range(rows):
        for d in range(dy.shape[1]):
            buffer[i, d] = dy[first + i, d]
    return buffer


@compiled
def differentiate_some(  # type: ignore[no-untyped-def]
    books, rows, offsets, codes, table, relative, values, soft_codes, rates, begins, borders, dy, dafter,
    dtable, dvalues, dp, drates, dstate,
):  # fmt: skip
    """All gradients of the codebooks books[0] .. books[1] - 1, block by block from the last event to the first."""
    own, columns, dtype, least = slice(books[0] * W, books[1] * W), values.shape[1], values.dtype, smallest(values)
    width = BYTES // values.itemsize
    panels = packed(values[own].T)  # (D, W of these books)
    shared = books[1] - books[0] + (max(width, ROWS) + W - 1) // W + 1  # columns for whole tiles
    dweights, weights = np.zeros((BLOCK, shared, W), dtype), np.zeros((BLOCK, shared, W), dtype)
    dflat, flat = dweights.reshape(BLOCK, -1), weights.reshape(BLOCK, -1)
    buffer = np.zeros((BLOCK, whole(columns, width)), dtype)
    sums = np.zeros((whole((books[1] - books[0]) * W, ROWS), buffer.shape[1]), dtype)
    local, scratch, inverses = np.empty(BLOCK, np.int16), np.empty((BLOCK + 1, W), dtype), np.empty(BLOCK, dtype)
    last = len(dstate) - 1
    gradient = np.empty((len(table), W), dtype)  # what later events add to h_t
    copy(dafter[last], gradient)
    for block in range(len(borders) - 1, -1, -1):
        first = block * BLOCK
        part, n, k = rows[first : first + BLOCK], sequence_of(first, offsets), last
        dy_part = padded(dy, first, len(part), buffer)
        times(dy_part, len(part), panels, dflat, 0)
        for b in range(books[0], books[1]):
            look_up(codes, part, b, local)
            found = recount(
                local, part, first, offsets, n, b, relative, begins, soft_codes, rates[b], borders[block], scratch,
                inverses,
            )  # fmt: skip
            k, stop, at = last, len(part), b - books[0]
            while stop > 0:
                while offsets[k] >= first + stop:
                    store(dstate, (k, b), load(gradient, (b,), W))
                    k -= 1
                    store(gradient, (b,), load(dafter, (k, b), W))
                begin = max(0, offsets[k] - first)
                before = load(begins, (k, b), W) if offsets[k] >= first else load(scratch, (0,), W)
                if found > least:
                    drates[b] += backwards(
                        local, part, begin, stop, b, at, relative, before, rates[b], scratch, inverses, dweights,
                        gradient, dtable, dp, weights,
                    )  # fmt: skip
                else:
                    drates[b] += backwards_carefully(
                        local, part, begin, stop, b, at, table, before, rates[b], scratch, dweights, gradient, dtable,
                        dp, weights,
                    )  # fmt: skip
                stop = begin
        last = k
        add_transposed(flat, dy_part, len(part), sums)
    for j in range(own.start, own.stop):
        for d in range(columns):
            dvalues[j, d] = sums[j - own.start, d]
    for b in range(books[0], books[1]):
        for k in range(last, -1, -1):  # before `last` there are none but empty sequences
            store(dstate, (k, b), load(gradient, (b,), W) if k == last else load(dafter, (k, b), W))


NAMED = 8  # the next part, parts, T, N, R, rows of soft codes, B, D; then come addresses


@compiled
def read_by_both(n):  # type: ignore[no-untyped-def]
    """rows, offsets, codes, table, relative, values, soft codes, rates and begins."""
    events, sequences, known, soft, books, width = n[2], n[3], n[4], n[5], n[6], n[7]
    at = n[NAMED:]
    return (
        array_at(at[0], (events,), np.int64),
        array_at(at[1], (sequences + 1,), np.int64),
        array_at(at[2], (known, books), np.uint8),
        array_at(at[3], (books, W, W), NUMBER),
        array_at(at[4], (books, W, W), NUMBER),
        array_at(at[5], (books * W, width), NUMBER),
        array_at(at[6], (soft, books, W), NUMBER),
        array_at(at[7], (books,), NUMBER),
        array_at(at[8], (sequences, books, W), NUMBER),
    )


def attend(given):  # type: ignore[no-untyped-def]
    """Behind what both read: after (N, B, W), borders (blocks, B, W), y (T, D), and where each part begins and ends."""
    n = numba.carray(given, (NAMED + 12,), np.int64)
    events, sequences, books, width = n[2], n[3], n[6], n[7]
    at = n[NAMED + 9 :]
    after = array_at(at[0], (sequences, books, W), NUMBER)
    borders = array_at(at[1], ((events + BLOCK - 1) // BLOCK, books, W), NUMBER)
    y = array_at(at[2], (events, width), NUMBER)
    shares = numba.carray(given, (NAMED + 12 + n[1] + 1,), np.int64)[NAMED + 12 :]
    part = take_part(n)
    while part < n[1]:
        attend_to((shares[part], shares[part + 1]), *read_by_both(n), after, borders, y)
        part = take_part(n)


def differentiate(given):  # type: ignore[no-untyped-def]
    """Behind what both read: the rows of dp; borders, dy (T, D), dafter; then dtable, dvalues, dp, drates, dstate."""
    n = numba.carray(given, (NAMED + 18,), np.int64)
    events, sequences, books, width = n[2], n[3], n[6], n[7]
    at = n[NAMED + 9 :]
    borders = array_at(at[1], ((events + BLOCK - 1) // BLOCK, books, W), NUMBER)
    dy = array_at(at[2], (events, width), NUMBER)
    dafter = array_at(at[3], (sequences, books, W), NUMBER)
    dtable = array_at(at[4], (books, W, W), NUMBER)
    dvalues = array_at(at[5], (books * W, width), NUMBER)
    dp = array_at(at[6], (at[0], books, W), NUMBER)
    drates = array_at(at[7], (books,), np.float64)
    dstate = array_at(at[8], (sequences, books, W), NUMBER)
    part = take_part(n)
    while part < n[1]:
        own = books * part // n[1], books * (part + 1) // n[1]
        differentiate_some(own, *read_by_both(n), borders, dy, dafter, dtable, dvalues, dp, drates, dstate)
        part = take_part(n)
