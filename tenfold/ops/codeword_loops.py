"""The loops of ops/codeword_histogram.py for CPUs, by numba: events one by one, codebook by codebook.

They make weights and their gradients a chunk of events at a time, so that these stay in the processor's caches; torch
multiplies them with the values between two chunks, on its threads. A loop itself runs on one.
What is kept for the backward pass is the histogram at each chunk's start.

Shapes: N sequences, T events of all sequences, C events of a chunk, R rows of codes, B codebooks, W codewords, D width.
Sums may be reordered; NaN and infinity keep their meaning.
"""

import math
from typing import Any, NamedTuple, cast

import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

WEIGHTS = 1 << 17  # of a chunk: half a megabyte in float32
MOST = {4: 84.0, 8: 705.0}  # by bytes: an exponent that leaves room for a sum; only an absent codeword's is so large
LEAST = {4: 1e-30, 8: 1e-290}  # a count below is nothing, as denormal numbers are slow; a sum below has lost its digits

compiled: Any = cast(Any, numba.njit)(
    cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"}
)


@compiled
def _count(own, code, soft, p, row, b, fades, rate, least):  # type: ignore[no-untyped-def]
    """h <- rate h + o, in place: equation 1."""
    zero = own.dtype.type(0)
    if fades:
        for w in range(len(own)):
            faded = own[w] * rate
            own[w] = zero if faded <= least else faded
    if soft:
        for w in range(len(own)):
            own[w] += p[row, b, w]
    else:
        own[code] += own.dtype.type(1)


@compiled
def _log_sum(h, scores):  # type: ignore[no-untyped-def]
    """log sum_w h exp(scores), relative to the largest term that is there."""
    top = -np.inf
    for w in range(len(h)):
        if h[w] > 0:
            top = max(top, scores[w] + math.log(h[w]))
    summed = 0.0
    for w in range(len(h)):
        if h[w] > 0:
            summed += math.exp(scores[w] + math.log(h[w]) - top)
    return top + math.log(summed)


@compiled
def _weigh(own, relative, scores, least, weights):  # type: ignore[no-untyped-def]
    """Equation 2. relative is exp(scores - the largest); where an absent codeword scores far more than all that are
    there, their sum comes out as nothing, and the scores are needed."""
    summed = weights.dtype.type(0)
    for w in range(len(own)):
        weight = own[w] * relative[w]
        weights[w] = weight
        summed += weight
    if summed <= least:
        _weigh_by_logarithms(own, scores, weights)
    else:
        share = 1 / summed
        for w in range(len(own)):
            weights[w] *= share


@compiled
def _weigh_by_logarithms(own, scores, weights):  # type: ignore[no-untyped-def]
    summed = _log_sum(own, scores)
    for w in range(len(own)):
        weights[w] = math.exp(scores[w] + math.log(own[w]) - summed) if own[w] > 0 else 0.0


@compiled
def attend(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, table, relative, soft, p, fades, rates, begins, least, running, after, weights
):
    """Weights (C, B W) of the events first .. stop - 1. running (B, W): the histograms before the first, and then
    after the last; after (N, B, W): those after each sequence."""
    words = running.shape[1]
    for b in range(len(running)):
        own, n = running[b], sequence[max(first - 1, 0)]
        for i in range(first, stop):
            if sequence[i] != n:
                after[n, b] = own
                n = sequence[i]
                own[:] = begins[n, b]
            row, made = rows[i], weights[i - first, b * words : (b + 1) * words]
            if row < 0:
                made[:] = 0
                continue
            code = codes[row, b]
            _count(own, code, soft, p, row, b, fades, rates[b], least)
            _weigh(own, relative[b, code], table[b, code], least, made)
        after[n, b] = own


@compiled
def differentiate(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, table, relative, soft, p, fades, rates, begins, least, most, border, dweights,
    dafter, later, dstate, dtable, has_p, dp, drates, weights,
):  # fmt: skip
    """The events stop - 1 .. first, given the gradient of their weights (C, B W). With e_w = exp(T_w) / sum(h exp(T))
    and g = d alpha,

        dh_w = e_w (g_w - sum(alpha g)),  dT_w = h_w dh_w,

    and what reaches o_t is dh_t and all that later events add. Makes the weights once more.
    border (B, W): the histograms before the first; later (B, W): the gradient of those after the last, and then of
    those before the first.
    """
    books, words = border.shape
    histograms, inverses = np.empty((stop - first + 1, words), border.dtype), np.empty(stop - first, border.dtype)
    for b in range(books):
        _recount(
            first, stop, rows, sequence, codes, relative, soft, p, fades, rates, begins, least, border, b, histograms,
            inverses,
        )  # fmt: skip
        own, rate, n = later[b], later.dtype.type(rates[b]), sequence[min(stop, len(sequence) - 1)]
        for i in range(stop - 1, first - 1, -1):
            if sequence[i] != n:
                dstate[n, b] = own
                n = sequence[i]
                own[:] = dafter[n, b]
            row, j = rows[i], i - first
            made, g = weights[j, b * words : (b + 1) * words], dweights[j, b * words : (b + 1) * words]
            if row < 0:
                made[:] = 0
                continue
            code, h = codes[row, b], histograms[j + 1]
            if inverses[j] == 0:
                _add_by_logarithms(h, table[b, code], g, most, made, own, dtable[b, code])
            else:
                _add(h, relative[b, code], inverses[j], g, made, own, dtable[b, code])
            if has_p:
                reached = dp[row, b]
                for w in range(words):
                    reached[w] += own[w]
            if fades:
                begun = i == 0 or sequence[i - 1] != n
                drates[b] += _fade(own, begins[n, b] if begun else histograms[j], rate)
        dstate[n, b] = own


@compiled
def _recount(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, relative, soft, p, fades, rates, begins, least, border, b, histograms, inverses
):
    """The histograms of a chunk (C + 1, W), from its second row on those after each event; and one over each sum, 0
    where it vanishes."""
    histograms[0] = border[b]
    n = sequence[max(first - 1, 0)]
    for i in range(first, stop):
        j, row = i - first, rows[i]
        own = histograms[j + 1]
        if sequence[i] != n:
            n = sequence[i]
            own[:] = begins[n, b]
        else:
            own[:] = histograms[j]
        if row >= 0:
            code = codes[row, b]
            _count(own, code, soft, p, row, b, fades, rates[b], least)
            score, summed = relative[b, code], inverses.dtype.type(0)
            for w in range(len(own)):
                summed += own[w] * score[w]
            inverses[j] = inverses.dtype.type(0) if summed <= least else 1 / summed


@compiled
def _add(h, relative, inverse, g, weights, later, dscores):  # type: ignore[no-untyped-def]
    mean = weights.dtype.type(0)
    for w in range(len(h)):
        weight = h[w] * relative[w] * inverse
        weights[w] = weight
        mean += weight * g[w]
    for w in range(len(h)):
        dh = relative[w] * inverse * (g[w] - mean)
        dscores[w] += h[w] * dh
        later[w] += dh


@compiled
def _add_by_logarithms(h, scores, g, most, weights, later, dscores):  # type: ignore[no-untyped-def]
    _weigh_by_logarithms(h, scores, weights)
    log_sum, mean = _log_sum(h, scores), 0.0
    for w in range(len(h)):
        mean += weights[w] * g[w]
    for w in range(len(h)):
        dh = math.exp(min(scores[w] - log_sum, most)) * (g[w] - mean)
        dscores[w] += h[w] * dh
        later[w] += dh


@compiled
def _fade(later, before, rate):  # type: ignore[no-untyped-def]
    """From the histogram after an event to the one before it; what reaches the rate."""
    reached = later.dtype.type(0)
    for w in range(len(later)):
        reached += later[w] * before[w]
        later[w] *= rate
    return reached


class Given(NamedTuple):
    """What both loops read: rate is exp(-decay), state the histograms before each sequence."""

    rows: Tensor  # (T,)
    sequence: Tensor  # (T,)
    codes: Tensor  # (R, B)
    table: Tensor  # (B, W, W)
    values: Tensor  # (B, W, D)
    p: Tensor | None  # (R, B, W)
    rate: Tensor | None  # (B,)
    state: Tensor  # (N, B, W)
    soft: bool

    def chunks(self) -> list[tuple[int, int]]:
        events = max(WEIGHTS // self.state[0].numel(), 1)
        return [(first, min(first + events, len(self.rows))) for first in range(0, len(self.rows), events)]

    def arrays(self) -> tuple[Any, ...]:
        """As the loops take them, from rows to least. Fractions are counted in float64: they lose digits by the
        thousand, as whole numbers do not."""
        relative = torch.exp(self.table - self.table.amax(-1, keepdim=True))
        rates = self.table.new_ones(len(self.table)) if self.rate is None else self.rate
        soft_codes = self.table.new_empty(0, 1, 1) if self.p is None or not self.soft else self.p
        begins = self.state.double() if self.soft else self.state
        read = (self.rows, self.sequence, self.codes, self.table, relative)
        least = LEAST[self.values.element_size()]
        fades = self.rate is not None
        return *map(_array, read), self.soft, _array(soft_codes), fades, _array(rates), _array(begins), least

    def room(self) -> Tensor:
        """For the weights of a chunk (C, B W)."""
        first, stop = self.chunks()[0]
        return self.values.new_empty(stop - first, self.state[0].numel())


def _array(x: Tensor) -> np.ndarray:
    return x.detach().contiguous().numpy()


def read(given: Given) -> tuple[Tensor, Tensor, Tensor]:
    """y (T, D), the histograms after each sequence (N, B, W), and those at each chunk's start."""
    values, arrays, weights, chunks = given.values.flatten(0, 1), given.arrays(), given.room(), given.chunks()
    begins = arrays[-2]
    running, after = begins[given.sequence[0]].copy(), begins.copy()
    y, borders = (
        values.new_empty(len(given.rows), values.shape[1]),
        np.empty((len(chunks), *running.shape), begins.dtype),
    )
    for (first, stop), border in zip(chunks, borders, strict=True):
        border[:] = running
        attend(first, stop, *arrays, running, after, weights.numpy())
        torch.mm(weights[: stop - first], values, out=y[first:stop])
    return y, torch.from_numpy(after).to(values.dtype), torch.from_numpy(borders)


class CodewordAttention(torch.autograd.Function):
    """The fields of Given."""

    @staticmethod
    def forward(ctx: Any, *fields: Any) -> tuple[Tensor, Tensor]:
        given = Given(*fields)
        y, after, borders = read(given)
        kept = given if given.soft else given._replace(p=None)
        ctx.save_for_backward(*kept[:-1], borders)  # all but `soft`
        ctx.soft, ctx.rows_of_p = given.soft, None if given.p is None else len(given.p)
        return y, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dafter: Tensor) -> tuple[Tensor | None, ...]:
        *fields, borders = ctx.saved_tensors
        given, has_p = Given._make([*fields, ctx.soft]), ctx.rows_of_p is not None
        table, values, weights, arrays = given.table, given.values.flatten(0, 1), given.room(), given.arrays()
        dtable, dvalues, dweights = torch.zeros_like(table), torch.zeros_like(values), torch.empty_like(weights)
        dp, drates = table.new_zeros(ctx.rows_of_p or 0, *given.state.shape[1:]), np.zeros(len(table))
        dafter_, most = _array(dafter), MOST[table.element_size()]
        later, dstate = dafter_[given.sequence[-1]].copy(), dafter_.copy()
        for (first, stop), border in reversed([*zip(given.chunks(), borders.numpy(), strict=True)]):
            some, dy_some = weights[: stop - first], dy[first:stop]
            torch.mm(dy_some, values.T, out=dweights[: stop - first])
            differentiate(
                first, stop, *arrays, most, border, dweights.numpy(), dafter_, later, dstate, dtable.numpy(), has_p,
                dp.numpy(), drates, weights.numpy(),
            )  # fmt: skip
            dvalues.addmm_(some.T, dy_some)
        return (
            None, None, None, dtable, dvalues.view_as(given.values),
            dp if has_p else None,
            torch.from_numpy(drates).to(table.dtype) if ctx.needs_input_grad[6] else None,
            torch.from_numpy(dstate) if ctx.needs_input_grad[7] else None,
            None,
        )  # fmt: skip
