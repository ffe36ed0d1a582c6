"""LISA's attention over codewords beside softmax attention: time and memory over the length of a history.

Batch 1, one head of width 64, 8 codebooks of 16 codewords, the codes given. Rivals: torch's fused attention (sdpa), the
same written out with its L x L map (materialised), and the one product (L x BW) (BW x D) that no version can leave out:
torch's, and, as own_product, the quicker one through oneDNN that LISA itself uses.
Forward and backward: all gradients on both sides; LISA's are those of values, tables and soft codes (straight-through).
The sides take turns; the quickest run of each counts. Memory: bytes kept for the backward pass, without the inputs.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import harness
from tenfold.ops.codeword_histogram import codeword_attention, codeword_attention_reference
from tenfold.ops.products import product
from tenfold.systems.lisa.claims import bytes_kept, core_inputs

WIDTH = 64
FORWARD = (1024, 4096, 16384, 32768, 65536)
LONGEST_RIVAL = 16384  # beyond, softmax attention takes minutes
Side = Callable[[], Any]


def best(sides: dict[str, Side], runs: int) -> dict[str, float]:
    """Seconds of each side's quickest turn. A turn is one run that does not count (what the side before left in the
    caches is nobody's cost), and then as many as fill 20 ms."""
    found = dict.fromkeys(sides, float("inf"))
    for _ in range(runs):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            repeats = max(1, int(0.02 / (time.perf_counter() - started)))
            started = time.perf_counter()
            for _ in range(repeats):
                side()
            found[name] = min(found[name], (time.perf_counter() - started) / repeats)
    return found


def materialised(q: Tensor, k: Tensor, v: Tensor, later: Tensor) -> Tensor:
    return (q @ k.mT * WIDTH**-0.5).masked_fill_(later, -torch.inf).softmax(-1) @ v


def forward(length: int, runs: int) -> dict[str, float]:
    given = core_inputs(length, learns=False)
    flat = given["values"].flatten(0, 1)
    weights = torch.rand(length, len(flat))
    sides: dict[str, Side] = {
        "lisa": lambda: codeword_attention(**given),
        "product": lambda: weights @ flat,
        "own_product": lambda: product(weights, flat),
    }
    if length <= LONGEST_RIVAL:
        q, k, v = torch.randn(3, 1, 1, length, WIDTH)
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        sides["sdpa"] = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        sides["materialised"] = lambda: materialised(q, k, v, later)
    with torch.no_grad():
        return best(sides, runs)


def backward(length: int, runs: int) -> dict[str, float]:
    given = core_inputs(length, learns=True)
    learned = [given[name] for name in ("table", "values", "p")]
    q, k, v = (x.requires_grad_() for x in torch.randn(3, 1, 1, length, WIDTH))
    gradient = torch.randn(1, length, WIDTH)

    def lisa() -> None:
        torch.autograd.grad(codeword_attention(**given)[0], learned, gradient)

    def sdpa() -> None:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        torch.autograd.grad(y, (q, k, v), gradient.unsqueeze(0))

    return best({"lisa": lisa, "sdpa": sdpa}, runs)


def slope(costs: dict[int, float]) -> float:
    """Of log cost over log length, by least squares."""
    return float(np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)[0])


def main() -> None:
    quick = harness.arguments(__doc__).quick
    lengths, runs = (FORWARD[:2], 3) if quick else (FORWARD, 9)
    timed = {length: forward(length, runs if length < LONGEST_RIVAL else max(runs // 2, 3)) for length in lengths}
    figures: dict[str, float] = {}
    for length in lengths:
        short = f"{length // 1024}k"
        if "sdpa" in timed[length]:
            figures[f"sdpa_speedup_{short}"] = timed[length]["sdpa"] / timed[length]["lisa"]
            figures[f"materialised_speedup_{short}"] = timed[length]["materialised"] / timed[length]["lisa"]
        figures[f"times_the_matmul_{short}"] = timed[length]["lisa"] / timed[length]["product"]
        figures[f"times_its_own_product_{short}"] = timed[length]["lisa"] / timed[length]["own_product"]
        figures |= {f"{side}_ms_{short}": seconds * 1e3 for side, seconds in timed[length].items()}
    figures["time_slope"] = slope(
        {length: timed[length]["lisa"] for length in lengths if length >= 4096}
        | ({1024: timed[1024]["lisa"]} if quick else {})
    )
    for length in (2048,) if quick else (2048, 8192):
        found = backward(length, 3 if quick else 5)
        short = f"{length // 1024}k"
        figures[f"backward_speedup_{short}"] = found["sdpa"] / found["lisa"]
        figures |= {f"backward_{side}_ms_{short}": seconds * 1e3 for side, seconds in found.items()}
    sizes = {length: float(bytes_kept(length)) for length in lengths}
    figures["memory_slope"] = slope(sizes)
    figures["memory_share_of_the_definition_1k"] = sizes[1024] / bytes_kept(1024, codeword_attention_reference)
    figures["memory_bytes_an_event"] = sizes[max(sizes)] / max(sizes)
    harness.report("lisa_attention", figures)


if __name__ == "__main__":
    main()
