"""LISA on MovieLens-1M beside the transformer it stands for, all trained for the same time; a run of an hour.

Windows of 300 events and D = 128 as in the authors' configurations; one layer, one head, the full softmax, split loo.
The validation event chooses the epoch; seen items are left out of the ranking. Sampled figures are among 100 items, as
the paper's. How many epochs each had is printed: whose epochs are shorter has more.

    python -m benchmarks.lisa_ml1m [--seconds 1100]
"""

import argparse

from benchmarks import harness
from tenfold.budget import Budget
from tenfold.data.events import read_events
from tenfold.options import parse
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.system import LISA
from tenfold.tasks.next_item import NextItem
from tenfold.tasks.next_item.baselines.transformer import Transformer

SHARED = {"dim": 128, "layers": 1, "dropout": 0.2, "loss.name": "softmax", "training.length": 300}
FIGURES = ("hr@10", "ndcg@10")


def arms() -> dict[str, NextItem]:
    lisa: dict[str, NextItem] = {
        preset: LISA(parse(Options, {"preset": preset} | SHARED)) for preset in ("base", "mini")
    }
    return {"transformer": Transformer(**{"attention": "softmax", "heads": 1, "expansion": 1} | SHARED)} | lisa


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1100, help="of training for each arm")
    parser.add_argument("--quick", action="store_true", help="two seconds an arm: only to see that it runs")
    asked = parser.parse_args()
    events = read_events(harness.data("seqrec/ml-100k.inter.gz" if asked.quick else "seqrec/ml-1m.txt.gz"))
    seconds = 2.0 if asked.quick else asked.seconds
    figures = {"seconds_of_training": seconds}
    for name, arm in arms().items():
        fitted = arm.fit(events, split="loo", budget=Budget(max_epochs=10_000, max_seconds=seconds, progress="lines"))
        history = fitted.history["next_item"]
        unseen, sampled = fitted.evaluate(events, exclude_seen=True), fitted.evaluate(events, sampled=100)
        found = {"epochs": float(len(history)), "best_epoch": max(history, key=lambda e: e["ndcg@10"])["epoch"]}
        found |= {f"validation_{figure}": max(e[figure] for e in history) for figure in FIGURES}
        found |= {figure: unseen[figure] for figure in FIGURES}
        found |= {f"{figure}(sampled-100)": sampled[f"{figure}(sampled-100)"] for figure in FIGURES}
        figures |= {f"{name}_{figure}": value for figure, value in found.items()}
        print(f"{name}: {found}", flush=True)
    for name in ("base", "mini"):
        for figure in (*FIGURES, "hr@10(sampled-100)"):
            figures[f"{name}_over_transformer_{figure}"] = (
                figures[f"{name}_{figure}"] / figures[f"transformer_{figure}"]
            )
    harness.report("lisa_ml1m", figures)


if __name__ == "__main__":
    main()
