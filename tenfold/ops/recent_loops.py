"""The part of attention to recent events that reads older ones, compiled for CPUs: ops/recent_attention.py defines it.

A histogram is looked at only where something was counted, so that an event costs what lies behind it, at most B W D.
Gradients are those of T, V and the recent events' mass; where more learns (lambda, a state, soft codes), plain torch
does it. One thread.

Shapes: N sequences, L events, B codebooks, W codewords, D width.
"""

from typing import Any, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST = 80.0  # exponent of a codeword's weight over that of all recent events, above which it is cut
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
