"""The compiled loops of ops/codeword_histogram.py, where the equations and the plain versions stand.

`weigh` makes a chunk's weights, `differentiate` goes the chunk backwards; both leave the products to torch.

Shapes: N sequences, C events of a chunk, R rows of codes, B codebooks, W codewords.
"""

import math
from functools import cache
from typing import Any, NamedTuple, cast

import numba
import numpy as np


class Loops(NamedTuple):
    weigh: Any
    differentiate: Any


@cache
def compiled_loops(words: int, soft: bool, decays: bool, has_p: bool) -> Loops:
    """The two loops, compiled for W codewords and for what they do: a known W makes the inner loops a few wide
    instructions, ten times as fast.

    Sums may be reordered; NaN and infinity keep their meaning. `running` and `gradient` (B, W) are carried from chunk
    to chunk; the loops go codebook by codebook, so that what is carried stays in the first cache.
    """
    W = words  # noqa: N806
    compiled = cast(Any, numba.njit)(
        nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}
    )

    @compiled
    def smallest(like):  # type: ignore[no-untyped-def]
        """A sum below this has lost its digits; a count below this is nothing, since denormal numbers are slow."""
        return like.dtype.type(1e-30) if like.itemsize == 4 else like.dtype.type(1e-290)

    @compiled
    def count(h, base, recent, turn, code, own, rate, least):  # type: ignore[no-untyped-def]
        """h <- rate h + o. One-hots are whole numbers and lose nothing to rounding. Fractions do: the recent ones are
        summed apart, so that a sum of n of them is rounded n / 64 times."""
        if soft:
            for w in range(W):
                b = base[w] * rate
                r = recent[w] * rate + own[w]
                base[w] = b if b > least else 0
                recent[w] = r
                h[w] = base[w] + r
            if turn % 64 == 63:
                base[:] = h
                recent[:] = 0
        else:
            if decays:
                for w in range(W):
                    v = h[w] * rate
                    h[w] = v if v > least else 0
            h[code] += 1

    @compiled
    def log_sum(h, scores):  # type: ignore[no-untyped-def]
        """log sum_w h exp(scores), the careful way: relative to the largest term that is there."""
        top = -np.inf
        for w in range(W):
            if h[w] > 0:
                top = max(top, scores[w] + math.log(h[w]))
        total = 0.0
        for w in range(W):
            if h[w] > 0:
                total += math.exp(scores[w] + math.log(h[w]) - top)
        return top + math.log(total)

    @compiled
    def careful(h, scores, alpha):  # type: ignore[no-untyped-def]
        total = log_sum(h, scores)
        for w in range(W):
            alpha[w] = math.exp(scores[w] + math.log(h[w]) - total) if h[w] > 0 else 0.0
        return total

    @compiled
    def stretch(local, rows, begin, stop, b, relative, soft_codes, rate, h, base, recent, weights):  # type: ignore[no-untyped-def]
        """Equations 1 and 2 for events begin .. stop of one sequence and codebook; the smallest sum among them."""
        least, smallest_sum = smallest(weights), weights.dtype.type(1)
        for i in range(begin, stop):
            alpha, code = weights[i, b], np.int64(local[i])
            if code < 0:
                alpha[:] = 0
                continue
            count(h, base, recent, i, code, soft_codes[rows[i] if soft else 0, b], rate, least)
            e, total = relative[code], weights.dtype.type(0)
            for w in range(W):
                v = h[w] * e[w]
                alpha[w] = v
                total += v
            smallest_sum = min(smallest_sum, total)
            inverse = weights.dtype.type(1) / total
            for w in range(W):
                alpha[w] *= inverse
        return smallest_sum

    @compiled
    def carefully(local, rows, begin, stop, b, table, soft_codes, rate, h, base, recent, weights):  # type: ignore[no-untyped-def]
        """The same where a sum came out as nothing: an absent codeword scores far more than all that are there."""
        least = smallest(weights)
        for i in range(begin, stop):
            code = np.int64(local[i])
            if code >= 0:
                count(h, base, recent, i, code, soft_codes[rows[i] if soft else 0, b], rate, least)
                careful(h, table[b, code], weights[i, b])

    @compiled
    def look_up(codes, rows, b, local):  # type: ignore[no-untyped-def]
        """The codes of these rows, -1 for none: read in order, the loops that use them need not wait for them."""
        for i in range(len(rows)):
            local[i] = np.int16(codes[rows[i], b]) if rows[i] >= 0 else np.int16(-1)

    @compiled
    def weigh(  # type: ignore[no-untyped-def]
        rows, first, ends, sequence, codes, table, relative, soft_codes, rates, begins, running, after, weights
    ):
        """The weights of the events first .. first + C of all sequences; returns the sequence that the last is of."""
        n, size, least = sequence, len(rows), smallest(weights)
        local = np.empty(size, np.int16)
        base, recent, start = (np.empty(W, weights.dtype), np.empty(W, weights.dtype), np.empty(W, weights.dtype))
        for b in range(codes.shape[1]):
            h, n, i = running[b], sequence, 0
            look_up(codes, rows, b, local)
            while i < size:
                while ends[n + 1] <= first + i:
                    after[n, b] = h
                    n += 1
                    h[:] = begins[n, b]
                stop = min(size, ends[n + 1] - first)
                base[:], recent[:], start[:] = h, 0, h
                found = stretch(local, rows, i, stop, b, relative[b], soft_codes, rates[b], h, base, recent, weights)
                if found <= least:
                    base[:], recent[:], h[:] = start, 0, start
                    carefully(local, rows, i, stop, b, table, soft_codes, rates[b], h, base, recent, weights)
                i = stop
        return n

    @compiled
    def recount(  # type: ignore[no-untyped-def]
        local, rows, first, ends, n, b, relative, begins, soft_codes, rate, base, recent, scratch, inverses
    ):
        """The histograms of a chunk once more, scratch (C + 1, W) from its second row on, and one over each sum."""
        least, smallest_sum = smallest(scratch), scratch.dtype.type(1)
        base[:], recent[:] = scratch[0], 0
        for i in range(len(local)):
            h = scratch[i + 1]
            for w in range(W):
                h[w] = scratch[i, w]
            while ends[n + 1] <= first + i:
                n += 1
                h[:] = begins[n, b]
                base[:], recent[:] = h, 0
            code = np.int64(local[i])
            if code >= 0:
                count(h, base, recent, i, code, soft_codes[rows[i] if soft else 0, b], rate, least)
                e, total = relative[code], scratch.dtype.type(0)
                for w in range(W):
                    total += h[w] * e[w]
                smallest_sum = min(smallest_sum, total)
                inverses[i] = scratch.dtype.type(1) / total
        return smallest_sum

    @compiled
    def backwards(  # type: ignore[no-untyped-def]
        local, rows, begin, stop, b, relative, before, rate, scratch, inverses, dweights, later, dtable, dp, weights
    ):
        """Events stop - 1 .. begin of one sequence and codebook. With e_w = exp(T_w) / sum(h exp(T)) and g = d alpha:

        dh_w = e_w (g_w - sum(alpha g)), dT_w = h_w dh_w, and what reaches o_t is dh_t and all that later events add.
        """
        dh, drate = np.empty(W, weights.dtype), 0.0
        for i in range(stop - 1, begin - 1, -1):
            alpha, code = weights[i, b], np.int64(local[i])
            if code < 0:
                alpha[:] = 0
                continue
            h, g, e, inverse = scratch[i + 1], dweights[i, b], relative[code], inverses[i]
            mean = weights.dtype.type(0)
            for w in range(W):
                mean += h[w] * e[w] * g[w]
            mean *= inverse
            for w in range(W):
                alpha[w] = h[w] * e[w] * inverse
            for w in range(W):
                dh[w] = e[w] * inverse * (g[w] - mean)
            t = dtable[code]
            for w in range(W):
                t[w] += h[w] * dh[w]
            for w in range(W):
                later[w] += dh[w]
            if has_p:
                d = dp[rows[i], b]
                for w in range(W):
                    d[w] += later[w]
            if decays:
                drate += fade(later, before if i == begin else scratch[i], rate)
        return drate

    @compiled
    def fade(later, before, rate):  # type: ignore[no-untyped-def]
        """What reaches the histogram before, later (W,) <- rate later, and the gradient of the rate."""
        dot = later.dtype.type(0)
        for w in range(W):
            dot += later[w] * before[w]
        for w in range(W):
            later[w] *= rate
        return dot

    @compiled
    def backwards_carefully(  # type: ignore[no-untyped-def]
        local, rows, begin, stop, b, table, before, rate, scratch, dweights, later, dtable, dp, weights
    ):
        """The same where a sum came out as nothing. Only an absent codeword's gradient is ever as large as `most`."""
        most, drate = 84.0 if weights.itemsize == 4 else 705.0, 0.0
        for i in range(stop - 1, begin - 1, -1):
            alpha, code = weights[i, b], np.int64(local[i])
            if code < 0:
                alpha[:] = 0
                continue
            h, g = scratch[i + 1], dweights[i, b]
            log_total, mean = careful(h, table[code], alpha), weights.dtype.type(0)
            for w in range(W):
                mean += alpha[w] * g[w]
            for w in range(W):
                dh = math.exp(min(table[code, w] - log_total, most)) * (g[w] - mean)
                dtable[code, w] += h[w] * dh
                later[w] += dh
                if has_p:
                    dp[rows[i], b, w] += later[w]
            if decays:
                drate += fade(later, before if i == begin else scratch[i], rate)
        return drate

    @compiled
    def differentiate(  # type: ignore[no-untyped-def]
        rows, first, ends, sequence, last, codes, table, relative, soft_codes, rates, begins, border, dweights,
        gradient, dafter, dtable, dp, drates, dstate, weights,
    ):  # fmt: skip
        """A chunk backwards, whose first event is of `sequence` and whose last is of `last`; returns where it began."""
        size, least, k = len(rows), smallest(weights), last
        local, scratch, inverses = (
            np.empty(size, np.int16),
            np.empty((size + 1, W), border.dtype),
            np.empty(size, border.dtype),
        )
        base, recent = np.empty(W, border.dtype), np.empty(W, border.dtype)
        for b in range(codes.shape[1]):
            look_up(codes, rows, b, local)
            scratch[0] = border[b]
            found = recount(
                local, rows, first, ends, sequence, b, relative[b], begins, soft_codes, rates[b], base, recent, scratch,
                inverses,
            )  # fmt: skip
            k, stop, later = last, size, gradient[b]  # what later events add to h_t
            while stop > 0:
                while ends[k] >= first + stop:
                    dstate[k, b] = later
                    k -= 1
                    later[:] = dafter[k, b]
                begin = max(0, ends[k] - first)
                before = begins[k, b] if ends[k] >= first else scratch[0]
                if found > least:
                    drates[b] += backwards(
                        local, rows, begin, stop, b, relative[b], before, rates[b], scratch, inverses, dweights, later,
                        dtable[b], dp, weights,
                    )  # fmt: skip
                else:
                    drates[b] += backwards_carefully(
                        local, rows, begin, stop, b, table[b], before, rates[b], scratch, dweights, later, dtable[b],
                        dp, weights,
                    )  # fmt: skip
                stop = begin
        return k

    return Loops(weigh, differentiate)
