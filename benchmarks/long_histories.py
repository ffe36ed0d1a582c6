"""Whether histories longer than a transformer's window pay: LISA that sees all of them beside SASRec at 50 and at 200.

Every arm trains for the same time, with the full softmax, and the best epoch of the validation part is tested. Batches
and learning rates were tried on the shop for 200 s, 1e-3 with 8,192 events a batch and 2e-3 with 2,048: of SASRec at 50
events the validation part sees no difference, at 200 it prefers the second; of LISA it prefers 4e-3 with 8,192, tried
too.

shop: customers with thousands of events and forty interests at a time, each of which rests for long, so that two in
five events are about an item last met 200 to 2,000 events ago; split stream, a customer's last tenth. LISA as it comes,
but for its long windows, beside SASRec, 600 s each, three seeds. Its share of each one's NDCG@10 has an interval over
seeds and users, and is of the test part, which chose nothing.

seeds: a shop of the same kind with 300,000 events, 150 s each, three seeds; LISA trains on windows of 2,048 events, all
of which count, and counts joint codes.

recent: that shop, 150 s of training, SASRec at 50 beside LISA's default coding with the last 50 events attended to one
by one (`recent`) and with all by their codewords (`codes`).

counts: that shop, 150 s each, SASRec at 50, `codes`, and `codes` with a candidate's own count, by its codewords and by
a sketch of joint codes that fades as slowly.

curves: the shop of `shop`, one seed, with methods that train on windows of 2,048 events: SASRec, transformers with
key-quantised attention and with `lisa+recent`, LRURec, 300 s each; SASRec's answers look at 1,025 to 2,048 events, for
a window for each did not come to an end. Of these and of `shop`'s, NDCG@10 of the validation part, the best so far at
some moments.

windows: LISA as it comes on that shop, where it trains on windows of 2,048 events, 600 s, one seed.

defaults: MovieLens-1M by length of history, split loo: LISA and SASRec with their options as they come, which see all
events and the last 200, and SASRec with the last 50, 300 s each; NDCG@10 with seen items left out, and with all items
ranked (`whole`).

    python -m benchmarks.long_histories [--seconds 300] [--only PART]
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
from tenfold.tasks.next_item.baselines.lrurec import LRURec
from tenfold.tasks.next_item.baselines.transformer import Transformer

LONG = 2_048
MOMENTS = (75.0, 150.0, 300.0)  # seconds of training
BORDERS = (0, 50, 200, 500, 1_000, 100_000)  # lengths of histories that are told apart
SHOP = {"seed": 3, "users": 300, "items": 2_000, "events": 900_000, "interests": 40, "rest": 40.0}
SMALLER_SHOP = SHOP | {"events": 300_000}
QUICK_SHOP = {"seed": 3, "users": 20, "items": 100, "events": 4_000, "interests": 10, "rest": 40.0}
SECONDS = {
    "shop": 600.0,
    "windows": 600.0,
    "curves": 300.0,
    "seeds": 150.0,
    "recent": 150.0,
    "counts": 150.0,
    "defaults": 300.0,
}
FIGURES = ("hr@10", "ndcg@10")
# What both sides have alike.
SHARED: dict[str, Any] = {"dim": 64, "dropout": 0.2, "expansion": 1, "loss.name": "softmax"}


def windows(length: int) -> dict[str, Any]:
    return SHARED | {
        "layers": 1, "training.length": length, "training.batch_size": LONG // length, "training.lr": 2e-3
    }  # fmt: skip


def sasrec(length: int) -> SASRec:
    return SASRec(**windows(length))


def lisa(quick: bool, **options: Any) -> LISA:
    """For long histories."""
    long = {"training.length": 64 if quick else LONG, "training.batch_size": 4, "training.lr": 4e-3}
    every = {"positions": False, "attention.decay": 1 / LONG, "counts.decay": 1 / LONG}
    return LISA(parse(Options, SHARED | long | every | options))


def trained(
    arm: NextItem, events: Events, split: str, seconds: float, seed: int = 0
) -> tuple[NextItem, dict[str, float]]:
    budget = Budget(max_epochs=10_000, max_seconds=seconds, progress="none", seed=seed)
    fitted = arm.clone().fit(events, split=split, budget=budget)
    history = fitted.history["next_item"]
    return fitted, {"epochs": float(len(history)), "validation_ndcg@10": max(e["ndcg@10"] for e in history)}


def curve(fitted: NextItem, seconds: float) -> dict[str, float]:
    """The best validation figure so far; 0 before the first."""
    history, found = fitted.history["next_item"], dict[str, float]()
    for moment in (*(moment for moment in MOMENTS if moment < seconds), seconds):
        by_then = [e["ndcg@10"] for e in history if moment == seconds or e["seconds"] <= moment]
        found[f"validation_ndcg@10_{moment:.0f}_s"] = max(by_then, default=0.0)
    return found


def observed(drawn: Shop) -> dict[str, float]:
    """Hit rates at 10: what there is to be had, and what rules have."""
    truth = drawn.learnable["stream"]
    figures = {"shop_oracle_hr@10": truth.oracle[1]}
    figures |= {f"shop_{rule.replace(' ', '_')}_hr@10": hits[1] for rule, hits in truth.rules.items()}
    observer = Observer(drawn)  # which counts, from a window or from all events
    windows = {"50": 50, "200": 200, "all": None}
    return figures | {
        f"shop_observer_{name}_hr@10": float(observer.hits(seen).mean()) for name, seen in windows.items()
    }


def over_seeds(
    part: str, drawn: Shop, sides: Mapping[str, NextItem], seconds: float, seeds: int
) -> tuple[dict[str, float], dict[str, Interval | None]]:
    """The last side's share of the others' NDCG@10 has an interval."""
    events = read_events(drawn.events())
    tested: dict[str, list[Evaluation]] = {name: [] for name in sides}
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for seed in range(seeds):
        for name, arm in sides.items():
            fitted, found = trained(arm, events, "stream", seconds, seed)
            tested[name].append(fitted.evaluate(events))
            curves[name].append(curve(fitted, seconds))
            print(
                f"{part}, seed {seed}, {name}: {found}, {tested[name][-1]['ndcg@10']:.4f}, {curves[name][-1]}",
                flush=True,
            )
    *others, last = sides
    sampled = samples({name: [one.measured["ndcg@10"] for one in of] for name, of in tested.items()})
    figures: dict[str, float] = {}
    for name, of in tested.items():
        figures |= {f"{part}_{name}_{figure}": float(np.mean([one[figure] for one in of])) for figure in FIGURES}
        for moment in curves[name][0]:
            figures[f"{part}_{name}_{moment}"] = float(np.mean([one[moment] for one in curves[name]]))
    ends: dict[str, Interval | None] = {}
    for name in others:
        figures[f"{part}_{last}_over_{name}"] = float(sampled[last].value / sampled[name].value)
        ends[f"{part}_{last}_over_{name}"] = ratio_interval(sampled[last], sampled[name])
    return figures, ends


def shop(seconds: float, quick: bool) -> tuple[dict[str, float], dict[str, Interval | None]]:
    drawn = Shop(**QUICK_SHOP if quick else SHOP)
    short = LISA(long_windows=False)
    sides: dict[str, NextItem] = {"sasrec_50": sasrec(50), "sasrec_200": sasrec(200), "lisa": short}
    figures, ends = over_seeds("shop", drawn, sides, seconds, 1 if quick else 3)
    return observed(drawn) | figures, ends


def seeds(seconds: float, quick: bool) -> tuple[dict[str, float], dict[str, Interval | None]]:
    drawn, counted = Shop(**QUICK_SHOP if quick else SMALLER_SHOP), lisa(quick, **{"counts.of": "joint"})
    sides: dict[str, NextItem] = {"sasrec_50": sasrec(50), "sasrec_200": sasrec(200), "counted": counted}
    return over_seeds("seeds", drawn, sides, seconds, 1 if quick else 3)


def curves(part: str, seconds: float, quick: bool) -> dict[str, float]:
    events, long = read_events(Shop(**QUICK_SHOP if quick else SHOP).events()), windows(64 if quick else LONG)
    recent = {"attention": "lisa+recent", "recent": 20 if quick else 50}
    own = {name: value for name, value in long.items() if name != "expansion"}  # of LRURec, which has it fixed
    sides: dict[str, NextItem] = {
        "sasrec_2048": SASRec(**long), "key_quantised": Transformer(**long | {"attention": "key-quantised"}),
        "lrurec": LRURec(**own), "lisa_recent": Transformer(**long | recent),
    }  # fmt: skip
    figures: dict[str, float] = {}
    for name, arm in (sides if part == "curves" else {"lisa": LISA()}).items():
        fitted, found = trained(arm, events, "stream", seconds)
        tested = fitted.evaluate(events, stride=fitted.options.training.length // 2)
        found |= curve(fitted, seconds) | {figure: tested[figure] for figure in FIGURES}
        figures |= {f"{part}_{name}_{figure}": value for figure, value in found.items()}
        print(f"{part}, {name}: {found}", flush=True)
    return figures


def recent(part: str, seconds: float, quick: bool) -> dict[str, float]:
    events = read_events(Shop(**QUICK_SHOP if quick else SMALLER_SHOP).events())
    asked: dict[str, dict[str, Any]] = {"recent": {"counts.of": "none", "attention.recent": 20 if quick else 50}}
    if part == "counts":
        asked = {of: {"counts.of": of} for of in ("codewords", "joint")}
    sides: dict[str, NextItem] = {"sasrec_50": sasrec(50)}
    sides |= {name: lisa(quick, **more) for name, more in (asked | {"codes": {"counts.of": "none"}}).items()}
    figures: dict[str, float] = {}
    for name, arm in sides.items():
        fitted, found = trained(arm, events, "stream", seconds)
        found |= {figure: fitted.evaluate(events)[figure] for figure in FIGURES}
        figures |= {f"{part}_{name}_{figure}": value for figure, value in found.items()}
        print(f"{part}, {name}: {found}", flush=True)
    return figures


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
    parser.add_argument("--seconds", type=float, help="of each training; a part's own unless given")
    parser.add_argument("--only", choices=tuple(SECONDS))
    parser.add_argument("--quick", action="store_true", help="two seconds an arm: only to see that it runs")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    intervals: dict[str, Interval | None] = {}
    for part in [asked.only] if asked.only else SECONDS:
        seconds = 2.0 if asked.quick else asked.seconds or SECONDS[part]
        figures[f"{part}_seconds_of_training"] = seconds
        if part in ("recent", "counts"):
            figures |= recent(part, seconds, asked.quick)
        elif part in ("curves", "windows"):
            figures |= curves(part, seconds, asked.quick)
        elif part == "defaults":
            figures |= defaults(seconds, asked.quick)
        else:
            found, ends = (shop if part == "shop" else seeds)(seconds, asked.quick)
            figures, intervals = figures | found, intervals | ends
    harness.report("long_histories", figures, intervals=intervals)


if __name__ == "__main__":
    main()
