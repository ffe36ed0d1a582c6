"""Which of LISA's presets that need no item table is the default: Base or Mini, by MovieLens-100K's validation part.

Both are trained for the same time, several seeds each, and the best validation NDCG@10 of each run counts (split
stream; nothing is measured on the test part).

    python -m benchmarks.lisa_preset [--seconds 80] [--seeds 3]
"""

import argparse

import numpy as np

from benchmarks import harness
from tenfold.budget import Budget
from tenfold.data.events import read_events
from tenfold.systems.lisa.claims import MOVIES, lisa

PRESETS = ("base", "mini")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=80)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two seconds each, once: only to see that it runs")
    asked = parser.parse_args()
    seconds, seeds = (2.0, 1) if asked.quick else (asked.seconds, asked.seeds)
    events = read_events(harness.data("seqrec/ml-100k.inter.gz"))
    found: dict[str, list[tuple[float, float]]] = {preset: [] for preset in PRESETS}
    for seed in range(seeds):
        for preset in PRESETS:
            budget = Budget(max_epochs=10_000, max_seconds=seconds, seed=seed, progress="none")
            history = lisa(preset, MOVIES).fit(events, split="stream", budget=budget).history["next_item"]
            found[preset].append((max(epoch["ndcg@10"] for epoch in history), len(history)))
    figures: dict[str, float] = {"seconds_of_training": seconds, "seeds": float(seeds)}
    for preset, runs in found.items():
        best = [figure for figure, _ in runs]
        figures[f"{preset}_validation_ndcg@10"] = float(np.mean(best))
        figures[f"{preset}_least"], figures[f"{preset}_most"] = min(best), max(best)
        figures[f"{preset}_epochs"] = float(np.mean([epochs for _, epochs in runs]))
    harness.report("lisa_preset", figures)


if __name__ == "__main__":
    main()
