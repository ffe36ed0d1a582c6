"""LISA's compiled loops beside the plainest that numba can be given: what the cleverness is worth.

The plain loops know hard codes with fading only, one thread, no sequences without events. `loops_`: forward and
backward of the attention alone, plain by ours, of the processor's seconds, in turns; `step_`: of whole training epochs
(fit of drawn histories of that length, 3,000 items, options as they come but for the length and the batch). Both have
the same gradients to rounding.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor

from benchmarks import harness
from tenfold import LISA
from tenfold.data.events import Events
from tenfold.ops import codeword_histogram

BLOCK, LEAST = 64, 1e-30
BOOKS, WIDTH, ITEMS = 8, 64, 3_000
LENGTHS = {300: (32, 64, 16), 2_000: (6, 12, 3), 16_000: (1, 2, 1)}  # sequences of a call; users and batch of a fit
WORDS = {"base": 128, "mini": 16}
plain: Any = cast(Any, njit)(
    cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}, nogil=True
)


@plain
def attend(rows, offsets, codes, relative, values, rates, borders, y):  # type: ignore[no-untyped-def]
    books, words = relative.shape[0], relative.shape[1]
    h, alpha = np.zeros((books, words), values.dtype), np.zeros((BLOCK, books * words), values.dtype)
    zero, one, block = values.dtype.type(0), values.dtype.type(1), 0
    for n in range(len(offsets) - 1):
        h[:] = 0
        for first in range(offsets[n], offsets[n + 1], BLOCK):
            stop = min(first + BLOCK, offsets[n + 1])
            borders[block] = h
            block += 1
            for b in range(books):
                own, rate, at = h[b], rates[b], b * words
                for i in range(first, stop):
                    code, weights, total = codes[rows[i], b], alpha[i - first], zero
                    score = relative[b, code]
                    for w in range(words):
                        faded = own[w] * rate
                        own[w] = faded if faded > LEAST else zero  # denormal numbers are slow
                    own[code] += one
                    for w in range(words):
                        weight = own[w] * score[w]
                        weights[at + w] = weight
                        total += weight
                    share = one / total
                    for w in range(words):
                        weights[at + w] *= share
            y[first:stop] = np.dot(alpha[: stop - first], values)


@plain
def differentiate(  # type: ignore[no-untyped-def]
    rows, offsets, codes, relative, values, rates, borders, dy, dtable, dvalues, dp, drates
):
    books, words = relative.shape[0], relative.shape[1]
    hs, inverses = np.zeros((BLOCK + 1, words), values.dtype), np.zeros(BLOCK, values.dtype)
    alpha, later = np.zeros((BLOCK, books * words), values.dtype), np.zeros((books, words), values.dtype)
    zero, one, block, turned = values.dtype.type(0), values.dtype.type(1), len(borders), np.ascontiguousarray(values.T)
    for n in range(len(offsets) - 2, -1, -1):
        later[:] = 0
        for k in range((offsets[n + 1] - offsets[n] + BLOCK - 1) // BLOCK - 1, -1, -1):
            block -= 1
            first = offsets[n] + k * BLOCK
            stop = min(first + BLOCK, offsets[n + 1])
            d = np.dot(dy[first:stop], turned)
            for b in range(books):
                rate, at, own = rates[b], b * words, later[b]
                hs[0] = borders[block, b]
                for i in range(first, stop):
                    j, total = i - first, zero
                    code = codes[rows[i], b]
                    for w in range(words):
                        faded = hs[j, w] * rate
                        hs[j + 1, w] = faded if faded > LEAST else zero
                    hs[j + 1, code] += one
                    for w in range(words):
                        total += hs[j + 1, w] * relative[b, code, w]
                    inverses[j] = one / total
                for j in range(stop - first - 1, -1, -1):
                    row, mean, fading, inverse = rows[first + j], zero, zero, inverses[j]
                    code = codes[row, b]
                    score, now, before, weights, g = relative[b, code], hs[j + 1], hs[j], alpha[j], d[j]
                    for w in range(words):
                        weight = now[w] * score[w] * inverse
                        weights[at + w] = weight
                        mean += weight * g[at + w]
                    table, soft = dtable[b, code], dp[row, b]
                    for w in range(words):
                        dh = score[w] * inverse * (g[at + w] - mean)
                        table[w] += now[w] * dh
                        reached = own[w] + dh
                        soft[w] += reached
                        fading += reached * before[w]
                        own[w] = reached * rate
                    drates[b] += fading
            dvalues += np.dot(alpha[: stop - first].T, dy[first:stop])


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, codes: Tensor, table: Tensor, values: Tensor, p: Tensor, decay: Tensor,
                offsets: np.ndarray) -> Tensor:  # fmt: skip
        books, words, width = values.shape
        relative = torch.exp(table - table.amax(-1, keepdim=True)).detach().numpy()
        blocks = int((-(-np.diff(offsets) // BLOCK)).sum())
        borders, y = np.empty((blocks, books, words), np.float32), np.empty((len(rows), width), np.float32)
        rates, flat = torch.exp(-decay.detach()).numpy(), values.detach().reshape(books * words, width).numpy()
        ctx.given = rows.numpy(), offsets, codes.numpy(), relative, flat, rates, borders
        attend(*ctx.given, y)
        return torch.from_numpy(y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # type: ignore[override]
        _, _, codes, relative, values, rates, _ = ctx.given
        dtable, dvalues, drates = np.zeros_like(relative), np.zeros_like(values), np.zeros(len(relative))
        dp = np.zeros((len(codes), *relative.shape[:2]), np.float32)
        differentiate(*ctx.given, dy.contiguous().numpy(), dtable, dvalues, dp, drates)
        fading = torch.from_numpy(-drates * rates).float()
        made = torch.from_numpy(dtable), torch.from_numpy(dvalues).view(*relative.shape[:2], -1), torch.from_numpy(dp)
        return None, None, *made, fading, None


OURS: Callable[..., Any] = codeword_histogram._compiled


def plainly(rows: Tensor, codes: Tensor, table: Tensor, values: Tensor, p: Any, soft: bool, decay: Any, state: Any,
            offsets: Any) -> Any:  # fmt: skip
    """In place of the compiled loops, where they learn; validation and answers keep ours."""
    if soft or p is None or decay is None or state is not None or not values.requires_grad:
        return OURS(rows, codes, table, values, p, soft, decay, state, offsets)
    if offsets is not None:
        return Plain.apply(rows, codes, table, values, p, decay, offsets.numpy()), values.new_zeros(0)
    real = rows >= 0
    ends = np.concatenate([[0], np.cumsum(real.sum(1).numpy())])
    y = Plain.apply(rows[real], codes, table, values, p, decay, ends)
    spread = y.new_zeros(*rows.shape, y.shape[-1]).masked_scatter(real.unsqueeze(-1), y)
    return spread, values.new_zeros(0)


def loops(preset: str, length: int, turns: int) -> tuple[float, float]:
    """The ratio, and the largest difference of any gradient or of y, relative to the largest number there."""
    words, sequences = WORDS[preset], LENGTHS[length][0]
    draw = torch.Generator().manual_seed(0)
    rows = torch.randint(0, ITEMS, (sequences, length), generator=draw)
    codes = torch.randint(0, words, (ITEMS, BOOKS), generator=draw).to(torch.uint8)
    made = [0.5 * torch.randn(BOOKS, words, words, generator=draw), torch.randn(BOOKS, words, WIDTH, generator=draw),
            torch.zeros(ITEMS, BOOKS, words), torch.full((BOOKS,), 0.1)]  # fmt: skip
    learned = [x.requires_grad_() for x in made]
    table, values, p, decay = learned
    dy = torch.randn(sequences, length, WIDTH, generator=draw)

    def once(way: Callable[..., Any]) -> tuple[float, list[Tensor]]:
        for x in learned:
            x.grad = None
        started = time.process_time()
        y, _ = way(rows, codes, table, values, p, False, decay, None, None)
        y.backward(dy)
        seconds = time.process_time() - started
        return seconds, [y.detach(), *(cast(Tensor, x.grad).clone() for x in learned)]

    (_, ours), (_, theirs) = once(OURS), once(plainly)  # compiled by now
    apart = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(ours, theirs, strict=True))
    seconds = [(once(OURS)[0], once(plainly)[0]) for _ in range(turns)]
    return statistics.median(b for _, b in seconds) / statistics.median(a for a, _ in seconds), apart


def step(preset: str, length: int, turns: int) -> float:
    _, users, batch = LENGTHS[length]
    draw = np.random.default_rng(0)
    events = Events.from_histories([[f"i{x}" for x in draw.integers(0, ITEMS, length)] for _ in range(users)])

    def once(way: Callable[..., Any]) -> float:
        codeword_histogram._compiled = way
        try:
            options = {"preset": preset, "training.length": length, "training.batch_size": batch}
            started = time.process_time()
            LISA(**options).fit(events, split="none", max_epochs=1, progress="none", seed=0, threads=1)
            return time.process_time() - started
        finally:
            codeword_histogram._compiled = OURS

    once(OURS), once(plainly)
    seconds = [(once(OURS), once(plainly)) for _ in range(turns)]
    return statistics.median(b for _, b in seconds) / statistics.median(a for a, _ in seconds)


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    figures, most = dict[str, float](), 0.0
    for preset in WORDS:
        for length in LENGTHS:
            figures[f"loops_{preset}_{length}_ratio"], apart = loops(preset, length, 2 if quick else 9)
            most = max(most, apart)
            if not quick or length == 300:
                figures[f"step_{preset}_{length}_ratio"] = step(preset, length, 1 if quick else 5)
    harness.report("lisa_plain", figures | {"largest_difference": most}, notes=["One thread on both sides."])


if __name__ == "__main__":
    main()
