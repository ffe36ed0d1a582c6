"""What LISA does, to look at: cost over the length of a history, codewords in use, accuracy over their number."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from tenfold.comparison import BLUE, GREY
from tenfold.nn.codebooks import usage
from tenfold.ops.codeword_histogram import codeword_attention
from tenfold.ops.codeword_loops import WEIGHTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.systems.lisa.system import LISA

WIDTH, BOOKS, WORDS = 64, 8, 16
RED = "#b3452c"
MOST_MATERIALISED = 8192  # events: a map of 256 MB


def cost_over_length(lengths: Sequence[int]) -> "tuple[Figure, float]":
    """Milliseconds, measured now, and megabytes, counted from the shapes, of one forward pass (batch 1, width 64, 8 x
    16 codewords), and how many times LISA's time the fused softmax attention takes at the longest."""
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[int, float, float]]] = {"softmax, written out": [], "softmax, fused": [], "LISA": []}
    for length in lengths:
        torch.manual_seed(0)
        q, k, v = torch.randn(3, 1, 1, length, WIDTH)
        table, values = torch.randn(BOOKS, WORDS, WORDS), torch.randn(BOOKS, WORDS, WIDTH)
        codes, rows = torch.randint(WORDS, (length, BOOKS)).to(torch.uint8), torch.arange(length).unsqueeze(0)
        row = 4e-6 * length * WIDTH  # megabytes of what goes in once, or comes out
        lisa = _seconds(partial(codeword_attention, rows, codes, table, values))
        chunk = 4e-6 * min(WEIGHTS, length * BOOKS * WORDS)  # of weights
        histograms = 4e-6 * -(-length * BOOKS * WORDS // WEIGHTS) * BOOKS * WORDS
        lines["LISA"].append((length, lisa, row + chunk + histograms + 1e-6 * length * BOOKS))
        fused = _seconds(partial(F.scaled_dot_product_attention, q, k, v, is_causal=True))
        lines["softmax, fused"].append((length, fused, 4 * row))
        if length <= MOST_MATERIALISED:
            later = torch.ones(length, length, dtype=torch.bool).triu(1)
            written = _seconds(partial(_written_out, q, k, v, later))
            lines["softmax, written out"].append((length, written, 4 * row + 8e-6 * length**2))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, column, said in zip(
        figure.subplots(1, 2), (1, 2), ("milliseconds", "megabytes held (counted)"), strict=True
    ):
        for (name, points), colour in zip(lines.items(), (GREY, RED, BLUE), strict=True):
            scale = 1e3 if column == 1 else 1.0
            axes.loglog([p[0] for p in points], [scale * p[column] for p in points], "o-", color=colour, label=name)
        axes.set_xticks(list(lengths), [f"{length:,}" for length in lengths])
        axes.minorticks_off()
        axes.set_xlabel("events in the history")
        axes.set_title(said, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure, lines["softmax, fused"][-1][1] / lines["LISA"][-1][1]


def _written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
    return (q @ k.mT).masked_fill_(later, -torch.inf).softmax(-1) @ v


@torch.no_grad()
def _seconds(run: Callable[[], object]) -> float:
    """The quickest of three, after one that does not count."""
    run()
    found = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def codeword_use(system: "LISA") -> "Figure":
    """How many items have each codeword, (B, W), the most used first in each codebook; in effect: the perplexity."""
    from matplotlib.figure import Figure

    words = system.network.codebooks.codewords.shape[1]
    told = usage(system.history_codes(), words)
    figure = Figure(figsize=(9, 0.6 + 0.28 * len(told.counts)), layout="constrained")
    axes = figure.subplots()
    share = -np.sort(-told.counts, axis=1) / told.counts.sum(1, keepdims=True)
    image = axes.imshow(share, aspect="auto", cmap="Blues", vmin=0)
    axes.set_xlabel("codewords, the most used first")
    axes.set_yticks(range(len(share)), [f"book {b + 1}, {p:.1f} in effect" for b, p in enumerate(told.perplexity)])
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="share of the items", pad=0.01)
    return figure
