"""The loops of ops/codeword_histogram.py for CPUs, by numba: events one by one, codebook by codebook.

They make weights and their gradients a chunk of events at a time, so that these stay in the processor's caches; torch
multiplies them with the values between two chunks, on its threads. A loop itself runs on one. Arrays are taken flat, by
places without a sign: a view of a row costs two atomic instructions, and a sign keeps wide instructions away.
Counting stands in both loops: one function for it, inlined too, made the forward pass of 16 codewords take 1.7 times as
long.
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

from tenfold.ops.products import product

WEIGHTS = 1 << 18  # of a chunk: a megabyte in float32
MOST = {4: 84.0, 8: 705.0}  # by bytes: an exponent that leaves room for a sum; only an absent codeword's is so large
LEAST = {4: 1e-30, 8: 1e-290}  # a count below is nothing, as denormal numbers are slow; a sum below has lost its digits

compiled: Any = cast(Any, numba.njit)(
    cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"}
)


@compiled
def attend(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, table, relative, soft, p, fades, rates, begins, least, running, after, weights
):
    """Weights (C, B W) of the events first .. stop - 1, by equations 1 and 2. running (B, W): the histograms before the
    first, and then after the last; after (N, B, W): those after each sequence."""
    books, words = np.uint64(running.shape[0]), np.uint64(running.shape[1])
    width, zero, one = books * words, running.dtype.type(0), running.dtype.type(1)
    h, made, scores, soft_codes = running.reshape(-1), weights.reshape(-1), relative.reshape(-1), p.reshape(-1)
    begun, ended = begins.reshape(-1), after.reshape(-1)
    for b in range(books):
        own, rate, n = b * words, rates[b], np.uint64(sequence[max(first - 1, 0)])
        for i in range(first, stop):
            if np.uint64(sequence[i]) != n:
                _copy(h, own, ended, n * width + own, words)
                n = np.uint64(sequence[i])
                _copy(begun, n * width + own, h, own, words)
            at = np.uint64(i - first) * width + own
            if rows[i] < 0:
                for w in range(words):
                    made[at + w] = 0
                continue
            row = np.uint64(rows[i])
            code = np.uint64(codes[row, b])
            if fades:
                for w in range(words):
                    faded = h[own + w] * rate
                    h[own + w] = zero if faded <= least else faded
            if soft:
                for w in range(words):
                    h[own + w] += soft_codes[row * width + own + w]
            else:
                for w in range(words):  # a number written alone, and then read with others, would be waited for
                    h[own + w] += one if w == code else zero
            score, total = (own + code) * words, weights.dtype.type(0)
            for w in range(words):
                weight = weights.dtype.type(h[own + w] * scores[score + w])
                made[at + w] = weight
                total += weight
            if total <= least:
                _weigh_by_logarithms(h, own, table[b, code], made, at)
            else:
                share = weights.dtype.type(1) / total
                for w in range(words):
                    made[at + w] *= share
        _copy(h, own, ended, n * width + own, words)


@compiled
def differentiate(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, table, relative, soft, p, fades, rates, begins, least, most, border, dweights,
    dafter, running, dstate, dtable, has_p, dp, drates, weights,
):  # fmt: skip
    """The events stop - 1 .. first, given the gradient of their weights (C, B W). With e_w = exp(T_w) / sum(h exp(T))
    and g = d alpha,

        dh_w = e_w (g_w - sum(alpha g)),  dT_w = h_w dh_w,

    and what reaches o_t is dh_t and all that later events add. Makes the weights once more.
    border (B, W): the histograms before the first; running (B, W): the gradient of those after the last, and then of
    those before the first.
    """
    books, words = np.uint64(border.shape[0]), np.uint64(border.shape[1])
    width, zero = books * words, weights.dtype.type(0)
    later, made, g, scores = running.reshape(-1), weights.reshape(-1), dweights.reshape(-1), relative.reshape(-1)
    begun, dended, dbegun = begins.reshape(-1), dafter.reshape(-1), dstate.reshape(-1)
    dscores, dcodes = dtable.reshape(-1), dp.reshape(-1)
    h = np.empty(np.uint64(stop - first + 1) * words, border.dtype)
    inverses = np.empty(stop - first, weights.dtype)
    for b in range(books):
        _recount(
            first, stop, rows, sequence, codes, relative, soft, p, fades, rates, begins, least, border, b, h, inverses
        )
        own, rate, n = b * words, rates[b], np.uint64(sequence[min(stop, len(sequence) - 1)])
        for i in np.arange(stop - 1, first - 1, -1):  # of a range, LLVM's check that no arrays overlap always fails
            if np.uint64(sequence[i]) != n:
                _copy(later, own, dbegun, n * width + own, words)
                n = np.uint64(sequence[i])
                _copy(dended, n * width + own, later, own, words)
            j = np.uint64(i - first)
            before, now, at = j * words, (j + np.uint64(1)) * words, j * width + own
            if rows[i] < 0:
                for w in range(words):
                    made[at + w] = 0
                continue
            row = np.uint64(rows[i])
            code, inverse = np.uint64(codes[row, b]), inverses[j]
            score = (own + code) * words
            if inverse == 0:
                _differentiate_by_logarithms(h, now, table[b, code], g, most, made, at, later, own, dscores, score)
            else:
                mean = zero
                for w in range(words):
                    weight = weights.dtype.type(h[now + w] * scores[score + w]) * inverse
                    made[at + w] = weight
                    mean += weight * g[at + w]
                for w in range(words):
                    dh = scores[score + w] * inverse * (g[at + w] - mean)
                    dscores[score + w] += h[now + w] * dh
                    later[own + w] += dh
            if has_p:
                for w in range(words):
                    dcodes[row * width + own + w] += later[own + w]
            if fades:
                reached = zero
                if i == 0 or np.uint64(sequence[i - 1]) != n:
                    for w in range(words):
                        reached += later[own + w] * weights.dtype.type(begun[n * width + own + w])
                else:
                    for w in range(words):
                        reached += later[own + w] * weights.dtype.type(h[before + w])
                drates[b] += reached
                for w in range(words):
                    later[own + w] *= rate
        _copy(later, own, dbegun, n * width + own, words)


@compiled
def _recount(  # type: ignore[no-untyped-def]
    first, stop, rows, sequence, codes, relative, soft, p, fades, rates, begins, least, border, b, h, inverses
):
    """h (C + 1, W, flat): the histograms of codebook b before a chunk, and then after each event; and one over each sum
    of weights, 0 where it vanishes."""
    words, width = np.uint64(border.shape[1]), np.uint64(border.size)
    scores, soft_codes, begun = relative.reshape(-1), p.reshape(-1), begins.reshape(-1)
    own, rate, n = b * words, rates[b], np.uint64(sequence[max(first - 1, 0)])
    zero, one = border.dtype.type(0), border.dtype.type(1)
    _copy(border.reshape(-1), own, h, np.uint64(0), words)
    for i in range(first, stop):
        j = np.uint64(i - first)
        before, now = j * words, (j + np.uint64(1)) * words
        if np.uint64(sequence[i]) != n:
            n, before = np.uint64(sequence[i]), now
            _copy(begun, n * width + own, h, now, words)
        if rows[i] < 0 or not fades:
            _copy(h, before, h, now, words)
        else:
            for w in range(words):
                faded = h[before + w] * rate
                h[now + w] = zero if faded <= least else faded
        if rows[i] < 0:
            continue
        row = np.uint64(rows[i])
        code = np.uint64(codes[row, b])
        if soft:
            for w in range(words):
                h[now + w] += soft_codes[row * width + own + w]
        else:
            for w in range(words):
                h[now + w] += one if w == code else zero
        score, total = (own + code) * words, inverses.dtype.type(0)
        for w in range(words):
            total += inverses.dtype.type(h[now + w] * scores[score + w])
        inverses[j] = 0 if total <= least else inverses.dtype.type(1) / total


@compiled
def _copy(source, first, target, at, length):  # type: ignore[no-untyped-def]
    for w in range(length):
        target[at + w] = source[first + w]


@compiled
def _log_sum(h, own, scores):  # type: ignore[no-untyped-def]
    """log sum_w h exp(scores), relative to the largest term that is there."""
    top, summed = -np.inf, 0.0
    for w in range(len(scores)):
        if h[own + np.uint64(w)] > 0:
            top = max(top, scores[w] + math.log(h[own + np.uint64(w)]))
    for w in range(len(scores)):
        if h[own + np.uint64(w)] > 0:
            summed += math.exp(scores[w] + math.log(h[own + np.uint64(w)]) - top)
    return top + math.log(summed)


@compiled
def _weigh_by_logarithms(h, own, scores, weights, at):  # type: ignore[no-untyped-def]
    """Equation 2 where an absent codeword scores far more than all that are there: the sum of products is nothing."""
    summed = _log_sum(h, own, scores)
    for w in range(len(scores)):
        count = h[own + np.uint64(w)]
        weights[at + np.uint64(w)] = math.exp(scores[w] + math.log(count) - summed) if count > 0 else 0.0


@compiled
def _differentiate_by_logarithms(  # type: ignore[no-untyped-def]
    h, now, scores, g, most, weights, at, later, own, dscores, score
):
    _weigh_by_logarithms(h, now, scores, weights, at)
    log_sum, mean = _log_sum(h, now, scores), 0.0
    for w in range(np.uint64(len(scores))):
        mean += weights[at + w] * g[at + w]
    for w in range(np.uint64(len(scores))):
        dh = math.exp(min(scores[w] - log_sum, most)) * (g[at + w] - mean)
        dscores[score + w] += h[now + w] * dh
        later[own + w] += dh


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
        fades = self.rate is not None
        least = begins.new_tensor(LEAST[self.values.element_size()]).numpy()[()]  # a float64 would make all sums such
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
    *_, begins, _ = arrays
    running, after = begins[given.sequence[0]].copy(), begins.copy()
    y = values.new_empty(len(given.rows), values.shape[1])
    borders = np.empty((len(chunks), *running.shape), begins.dtype)
    for (first, stop), border in zip(chunks, borders, strict=True):
        border[:] = running
        attend(first, stop, *arrays, running, after, weights.numpy())
        y[first:stop] = product(weights[: stop - first], values)
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
        dtable, dvalues = table.new_zeros(table.shape), values.new_zeros(values.T.shape)
        dp, drates = table.new_zeros(ctx.rows_of_p or 0, *given.state.shape[1:]), np.zeros(len(table))
        dafter_, most = _array(dafter), MOST[table.element_size()]
        later, dstate = dafter_[given.sequence[-1]].copy(), dafter_.copy()
        for (first, stop), border in reversed([*zip(given.chunks(), borders.numpy(), strict=True)]):
            some, dy_some = weights[: stop - first], dy[first:stop]
            differentiate(
                first, stop, *arrays, most, border, _array(product(dy_some, values.T)), dafter_, later, dstate,
                dtable.numpy(), has_p, dp.numpy(), drates, weights.numpy(),
            )  # fmt: skip
            dvalues += product(dy_some.T, some)
        return (
            None, None, None, dtable, dvalues.T.contiguous().view_as(given.values),
            dp if has_p else None,
            torch.from_numpy(drates).to(table.dtype) if ctx.needs_input_grad[6] else None,
            torch.from_numpy(dstate) if ctx.needs_input_grad[7] else None,
            None,
        )  # fmt: skip
