"""Whether histories longer than a transformer's window pay: LISA that sees all of them beside SASRec at 50 and at 200.

Every arm trains for the same time, with the full softmax, and the best epoch of the validation part is tested. Batches
and learning rates were tried on the shop for 200 s, 1e-3 with 8,192 events a batch and 2e-3 with 2,048: of SASRec at 50
events the validation part sees no difference, at 200 it prefers the second; of LISA it prefers 4e-3 with 8,192, tried
too. On MovieLens-1M LISA was tried at 1e-3 and 4e-3, SASRec as on the shop.

shop: customers with thousands of events and forty interests at a time, each of which rests for long, so that two in
five events are about an item last met 200 to 2,000 events ago; split stream, a customer's last tenth. movies:
MovieLens-1M by length of history, split loo, seen items left out. LISA trains on windows of 2,048 events.

recent: a shop of the same kind with 300,000 events and 150 s of training, SASRec at 50 beside LISA's default coding
with the last 50 events attended to one by one (`recent`) and with all by their codewords (`codes`).

counts: on that shop, 150 s each, SASRec at 50, `codes`, and `codes` with a candidate's own count, by its codewords and
by a sketch of joint codes that fades as slowly.

seeds: on that shop, 150 s each, three seeds, SASRec at 50 and at 200 beside LISA with counts of joint codes; its share
of each one's NDCG@10 has an interval over seeds and users, and is of the test part, which chose nothing.

defaults: MovieLens-1M as above, LISA and SASRec with their options as they come, which see all events and the last 200,
and SASRec with the last 50; NDCG@10 with seen items left out, and with all items ranked (`whole`).

    python -m benchmarks.long_histories [--shop-seconds 600] [--movie-seconds 300] [--only PART]
"""

import argparse
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.shop import Observer
from tenfold import SASRec
from tenfold.budget import Budget
from tenfold.data.events import Events, read_events
from tenfold.metrics.bootstrap import Interval
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.intervals import ratio_interval, samples
from tenfold.options import parse
from tenfold.shop import Shop
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.system import LISA
from tenfold.tasks.next_item import NextItem

LONG = 2_048
BORDERS = (0, 50, 200, 500, 1_000, 100_000)  # lengths of histories that are told apart
SHOP = {"seed": 3, "users": 300, "items": 2_000, "events": 900_000, "interests": 40, "rest": 40.0}
RECENT_SHOP, RECENT_SECONDS = SHOP | {"events": 300_000}, 150.0
QUICK_SHOP = {"seed": 3, "users": 20, "items": 100, "events": 4_000, "interests": 10, "rest": 40.0}
# What both sides have alike. LISA's lambdas are learned, half of them from a recent, half from a long memory on.
SHARED: dict[str, Any] = {"dim": 64, "dropout": 0.2, "expansion": 1, "loss.name": "softmax"}


def arms(quick: bool, windows: int, lr: float) -> dict[str, NextItem]:
    """windows: in a batch of LISA's; lr: its learning rate."""

    def lisa(preset: str) -> LISA:
        long = {"training.length": 64 if quick else LONG, "training.batch_size": windows, "positions": False}
        long |= {"training.lr": lr}
        decay = {"attention.decay": 0.3, "attention.long_decay": 1 / LONG, "attention.learn_decay": True}
        return LISA(parse(Options, {"preset": preset} | SHARED | long | decay))

    def sasrec(length: int) -> SASRec:
        events = {"training.length": length, "training.batch_size": 2_048 // length, "training.lr": 2e-3}
        return SASRec(**SHARED | {"layers": 1} | events)

    return {"sasrec_50": sasrec(50), "sasrec_200": sasrec(200), "base": lisa("base"), "mini": lisa("mini")}


def trained(
    arm: NextItem, events: Events, split: str, seconds: float, seed: int = 0
) -> tuple[NextItem, dict[str, float]]:
    budget = Budget(max_epochs=10_000, max_seconds=seconds, progress="none", seed=seed)
    fitted = arm.clone().fit(events, split=split, budget=budget)
    history = fitted.history["next_item"]
    return fitted, {"epochs": float(len(history)), "validation_ndcg@10": max(e["ndcg@10"] for e in history)}


def shop(seconds: float, quick: bool) -> dict[str, float]:
    drawn = Shop(**QUICK_SHOP if quick else SHOP)
    events = read_events(drawn.events())
    truth = drawn.learnable["stream"]
    figures = {"shop_oracle_hr@10": truth.oracle[1]}
    figures |= {f"shop_{rule.replace(' ', '_')}_hr@10": hits[1] for rule, hits in truth.rules.items()}
    observer = Observer(drawn)  # which counts: what there is to be had from a window, and from all events
    windows = {"50": 50, "200": 200, "all": None}
    figures |= {f"shop_observer_{name}_hr@10": float(observer.hits(seen).mean()) for name, seen in windows.items()}
    for name, arm in arms(quick, windows=4, lr=4e-3).items():
        fitted, found = trained(arm, events, "stream", seconds)
        tested = fitted.evaluate(events)
        found |= {figure: tested[figure] for figure in ("hr@10", "ndcg@10")}
        found["ndcg@10_half_interval"] = float(np.ptp(tested.intervals["ndcg@10"])) / 2
        figures |= {f"shop_{name}_{figure}": value for figure, value in found.items()}
        print(f"shop, {name}: {found}", flush=True)
    return figures


def recent(part: str, seconds: float, quick: bool) -> dict[str, float]:
    events = read_events(Shop(**QUICK_SHOP if quick else RECENT_SHOP).events())
    long = {"training.length": 64 if quick else LONG, "training.batch_size": 4, "training.lr": 4e-3, "positions": False}
    decay = {"attention.decay": 1 / LONG, "counts.of": "none"}
    asked: dict[str, dict[str, Any]] = {"recent": {"attention.recent": 20 if quick else 50}}
    if part == "counts":
        asked = {of: {"counts.of": of, "counts.decay": 1 / LONG} for of in ("codewords", "joint")}
    coded = {name: LISA(parse(Options, SHARED | long | decay | more)) for name, more in (asked | {"codes": {}}).items()}
    figures: dict[str, float] = {}
    for name, arm in {"sasrec_50": arms(quick, 4, 4e-3)["sasrec_50"], **coded}.items():
        fitted, found = trained(arm, events, "stream", seconds)
        found |= {figure: fitted.evaluate(events)[figure] for figure in ("hr@10", "ndcg@10")}
        figures |= {f"{part}_{name}_{figure}": value for figure, value in found.items()}
        print(f"{part}, {name}: {found}", flush=True)
    return figures


def seeds(seconds: float, quick: bool) -> tuple[dict[str, float], dict[str, Interval | None]]:
    events = read_events(Shop(**QUICK_SHOP if quick else RECENT_SHOP).events())
    counted = {
        "training.length": 64 if quick else LONG, "training.batch_size": 4, "training.lr": 4e-3, "positions": False,
        "attention.decay": 1 / LONG, "counts.of": "joint", "counts.decay": 1 / LONG,
    }  # fmt: skip
    both = {f"sasrec_{last}": arms(quick, 4, 4e-3)[f"sasrec_{last}"] for last in (50, 200)}
    tested: dict[str, list[Evaluation]] = {name: [] for name in (*both, "counted")}
    for seed in range(1 if quick else 3):
        for name, arm in (both | {"counted": LISA(parse(Options, SHARED | counted))}).items():
            fitted, found = trained(arm, events, "stream", seconds, seed)
            tested[name].append(fitted.evaluate(events))
            print(f"seed {seed}, {name}: {found}, {tested[name][-1]['ndcg@10']:.4f}", flush=True)
    drawn = samples({name: [one.measured["ndcg@10"] for one in of] for name, of in tested.items()})
    figures = {f"seeds_{name}_ndcg@10": float(one.value) for name, one in drawn.items()}
    ends: dict[str, Interval | None] = {}
    for name in both:
        figures[f"seeds_counted_over_{name}"] = float(drawn["counted"].value / drawn[name].value)
        ends[f"seeds_counted_over_{name}"] = ratio_interval(drawn["counted"], drawn[name])
    return figures, ends


def movies(seconds: float, quick: bool) -> dict[str, float]:
    return by_length("movies", arms(quick, windows=32, lr=1e-3), seconds, quick)  # most histories are short


def defaults(seconds: float, quick: bool) -> dict[str, float]:
    sides = {"sasrec_50": SASRec(**{"training.length": 50}), "sasrec_200": SASRec(), "lisa": LISA()}
    return by_length("defaults", sides, seconds, quick)


def by_length(part: str, sides: Mapping[str, NextItem], seconds: float, quick: bool) -> dict[str, float]:
    events = read_events(harness.data("seqrec/ml-100k.inter.gz" if quick else "seqrec/ml-1m.txt.gz"))
    lengths = np.diff(events.offsets)
    lengths = lengths[lengths >= 3] - 1  # split loo: what comes before the test event
    figures: dict[str, float] = {}
    for name, arm in sides.items():
        fitted, found = trained(arm, events, "loo", seconds)
        tested = fitted.evaluate(events, exclude_seen=True)
        per_user = tested.per_unit["ndcg@10"]
        assert len(per_user) == len(lengths)
        found["ndcg@10"] = tested["ndcg@10"]
        if part == "defaults":
            found["whole_ndcg@10"] = fitted.evaluate(events)["ndcg@10"]
        for low, high in pairwise(BORDERS):
            there = (lengths > low) & (lengths <= high)
            if there.any():
                figures[f"{part}_users_{low}_to_{high}"] = float(there.sum())
                found[f"ndcg@10_{low}_to_{high}"] = float(per_user[there].mean())
        figures |= {f"{part}_{name}_{figure}": value for figure, value in found.items()}
        print(f"{part}, {name}: {found}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shop-seconds", type=float, default=600)
    parser.add_argument("--movie-seconds", type=float, default=300)
    parser.add_argument("--only", choices=("shop", "movies", "recent", "counts", "seeds", "defaults"))
    parser.add_argument("--quick", action="store_true", help="two seconds an arm: only to see that it runs")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    if asked.only in ("recent", "counts"):
        seconds = 2.0 if asked.quick else RECENT_SECONDS
        found = recent(asked.only, seconds, asked.quick)
        harness.report("long_histories", {f"{asked.only}_seconds_of_training": seconds} | found)
        return
    if asked.only == "seeds":
        seconds = 2.0 if asked.quick else RECENT_SECONDS
        found, ends = seeds(seconds, asked.quick)
        harness.report("long_histories", {"seeds_seconds_of_training": seconds} | found, intervals=ends)
        return
    if asked.only == "defaults":
        seconds = 2.0 if asked.quick else asked.movie_seconds
        figures = {"defaults_seconds_of_training": seconds} | defaults(seconds, asked.quick)
        harness.report("long_histories", figures)
        return
    if asked.only != "movies":
        seconds = 2.0 if asked.quick else asked.shop_seconds
        figures |= {"shop_seconds_of_training": seconds} | shop(seconds, asked.quick)
    if asked.only != "shop":
        seconds = 2.0 if asked.quick else asked.movie_seconds
        figures |= {"movies_seconds_of_training": seconds} | movies(seconds, asked.quick)
    harness.report("long_histories", figures)


if __name__ == "__main__":
    main()
