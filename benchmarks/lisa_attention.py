"""LISA's attention over codewords beside softmax attention: time and memory over the length of a history.

Batch 1, one head of width 64, 8 codebooks of 16 codewords, the codes given. Rivals: torch's fused attention (sdpa), the
same written out with its L x L map (materialised), and the one product (L x BW) (BW x D) that no version can leave out:
torch's, and, as own_product, the quicker one through oneDNN that LISA itself uses.
Forward and backward: all gradients on both sides; LISA's are those of values, tables and soft codes (straight-through).
The sides take turns; the quickest run of each counts. Memory: bytes kept for the backward pass, without the inputs.

recent: what the last 50 events one by one (`attention.recent=50`) cost beside LISA's own attention, forward, of the
network as it comes (8 x 128, D = 64, 3,416 items), of Mini's (8 x 16) and of the attention alone; processor time of
one thread.

    python -m benchmarks.lisa_attention [--only recent]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import harness
from benchmarks.lisa_table import untrained
from tenfold import LISA
from tenfold.ops.codeword_histogram import codeword_attention, codeword_attention_reference
from tenfold.ops.products import product
from tenfold.systems.lisa.claims import bytes_kept, core_inputs
from tenfold.systems.lisa.model import LisaNetwork

WIDTH, ITEMS, RECENT = 64, 3_416, 50
FORWARD = (1024, 4096, 16384, 32768, 65536)
LONGEST_RIVAL = 16384  # beyond, softmax attention takes minutes
Side = Callable[[], Any]


def best(sides: dict[str, Side], runs: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Seconds of each side's quickest turn. A turn is one run that does not count (what the side before left in the
    caches is nobody's cost), and then as many as fill 20 ms."""
    found = dict.fromkeys(sides, float("inf"))
    for _ in range(runs):
        for name, side in sides.items():
            started = clock()
            side()
            repeats = max(1, int(0.02 / (clock() - started)))
            started = clock()
            for _ in range(repeats):
                side()
            found[name] = min(found[name], (clock() - started) / repeats)
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


def recent(lengths: Sequence[int], runs: int) -> dict[str, float]:
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for preset in ("default", "mini"):
        more = {"counts.of": "none"} if preset == "default" else {"preset": preset}
        networks = {
            name: untrained(LISA(**more | window), ITEMS).network.eval()
            for name, window in {"own": {}, "recent": {"attention.recent": RECENT}}.items()
        }
        for length in lengths:
            events, short = torch.randint(1, ITEMS + 1, (1, length)), f"{length // 1024}k"

            def whole(network: LisaNetwork, events: Tensor = events) -> Side:
                return lambda: network(events)

            def attention(network: LisaNetwork, events: Tensor = events) -> Side:
                catalogue = network.catalogue()
                x = F.embedding(events, catalogue.history.vectors)
                return lambda: network._attend(events, x, catalogue, None)

            with torch.no_grad():
                for part, side in {"network": whole, "attention": attention}.items():
                    found = best({name: side(network) for name, network in networks.items()}, runs, time.process_time)
                    figures[f"{preset}_{part}_recent_to_own_{short}"] = found["recent"] / found["own"]
                    figures |= {f"{preset}_{part}_{name}_ms_{short}": 1e3 * took for name, took in found.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: shorter histories, fewer repetitions")
    parser.add_argument("--only", choices=("recent",), help="the recent events instead of what is measured without")
    asked = parser.parse_args()
    quick = asked.quick
    if asked.only:
        harness.report("lisa_attention", recent((1024,) if quick else (1024, 16384), 3 if quick else 15))
        return
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
