"""The shop's 20,000 questions, answered from a memory of one size that read each customer's events once.

200 events each on average, as kind, title and month; 1,000 customers, of whom four in five are trained on. Beside the
memory: the observer of the last tenth of the events, who reasons without a mistake about what he has; the commonest
answer of the kind; an attention to all events, which are kept; the solver, who reads a question's fields and all
events. Test part, one seed, one thread; the epoch is chosen on the validation part. `near` are questions whose evidence
all lies in the last tenth of the stream, `far` those of which some lies beyond half of it.
"""

import argparse
import tempfile

import numpy as np
import polars as pl

from benchmarks import harness
from benchmarks.shop_questions import answered, streams
from tenfold.budget import Budget
from tenfold.data.events import read_events
from tenfold.data.questions import read_questions
from tenfold.shop import Shop
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.readers import read_streams
from tenfold.systems.rehearsal.rivals import FullAttentionReader
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.systems.rehearsal.task import StreamQuestions

SECONDS = 300.0
SHARED = {"dim": 64, "training.batch_size": 16, "training.lr": 0.002}
MEMORY = {"memory.slots": 16, "memory.segment": 16, "memory.layers": 1, "memory.heads": 2,
          "rehearsal.sampler": "uniform", "rehearsal.fragments": 2}  # fmt: skip
KEPT = {"slots": 16, "segment": 16, "layers": 1, "heads": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2,000 questions, two seconds of training")
    quick = parser.parse_args().quick
    shop = Shop(questions=2_000 if quick else 20_000, progress=False)
    drawn = shop.questions()
    rules = answered(drawn, streams(shop)).filter(pl.col("split") == "test")
    with tempfile.TemporaryDirectory() as folder:
        shop.catalog().write_parquet(f"{folder}/catalog.parquet")
        events = read_events(shop.events(), None, items=f"{folder}/catalog.parquet")
    data = read_streams(events, questions=read_questions(drawn))
    asked = cut(data, "given").part("test").questions
    rules = asked.select("id").join(rules, left_on="id", right_on="question_id", how="left", maintain_order="left")
    right = {name: rules[name].to_numpy().astype(float) for name in ("observer", "majority", "solved")}
    figures: dict[str, float] = {}
    arms: dict[str, StreamQuestions] = {"memory": Rehearsal(**SHARED, **MEMORY),
                                        "all_kept": FullAttentionReader(**SHARED, **KEPT)}  # fmt: skip
    seconds = 2.0 if quick else SECONDS
    for name, arm in arms.items():
        limit = Budget(max_epochs=1_000, max_seconds=seconds, patience=1_000, progress="none", threads=1)
        arm.fit(data, split="given", budget=limit)
        own = cut(data.recoded(arm.vocabularies), "given").part("test")
        right[name] = arm.right(own, arm.probabilities(own))
        figures[f"{name}_epochs"] = float(len(list(arm.history.values())[-1]))
        print(f"{name}: {right[name].mean():.3f}", [round(e["accuracy"], 3) for e in list(arm.history.values())[-1]],
              flush=True)  # fmt: skip
    back = (rules["distance"] / rules["position"]).to_numpy()
    kinds = asked["kind"].to_numpy()
    groups = {"all": np.ones(len(kinds), bool), "near": back <= 0.1, "far": back > 0.5}
    groups |= {kind: kinds == kind for kind in sorted(set(kinds))}
    for group, where in groups.items():
        figures |= {f"{group}_{name}": 100 * float(found[where].mean()) for name, found in right.items()}
        figures[f"{group}_questions"] = float(where.sum())
    figures["memory_bytes"] = float(arms["memory"].capacity_report().bytes)  # type: ignore[attr-defined]
    notes = ["The machine was shared.", f"{seconds:.0f} seconds of training each."]
    harness.report("rehearsal_shop", figures, notes=notes)


if __name__ == "__main__":
    main()
