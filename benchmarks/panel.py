"""Next-item methods with their options as they come, on logs that differ in size, density and length of history.

For each set and arm: NDCG@10 on the part that was asked for, the mean over seeds, as a share of the best arm's on that
set; then each arm's median share and its worst. Beside it NDCG@10 with what a user had before left out of the ranking,
of the same fits: where no item comes again, a method that knows what was had is ahead without it. The validation part
chooses options and defaults; the test part is for one look at the end (--part test). A public set whose file is not
here is left out, and named.

    python -m benchmarks.panel [--arm sasrec --arm lisa:dropout=0.5 ...] [--set ml-100k ...] [--seeds 3] [--part test]
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import harness
from tenfold.arms import parse_arms
from tenfold.budget import Budget
from tenfold.data.events import Events, read_events
from tenfold.shop import Shop

ARMS = ("sasrec", "gru4rec", "lrurec", "transformer", "lisa", "limarec", "item-knn", "markov", "personal-frequency",
        "repeat-last", "popularity")  # fmt: skip
LONG = {"seed": 3, "users": 300, "items": 2_000, "events": 300_000, "interests": 40, "rest": 40.0}


BEAUTY = "seqrec/beauty.txt.gz"


class Log(NamedTuple):
    make: Callable[[], Events]
    file: str = ""  # of public data, without which it cannot be made


def public(path: str) -> Log:
    return Log(lambda: read_events(harness.data(path)), path)


def shop(**sizes: Any) -> Log:
    return Log(lambda: read_events(Shop(**{"seed": 1} | sizes).events()))


def few_users() -> Events:
    """A thousand users of Beauty, whole: small, and most items are met once or twice."""
    events = read_events(harness.data(BEAUTY))
    return of_users(events, np.random.default_rng(0).permutation(len(events))[:1_000])


def last_five() -> Events:
    """The last five events of 12,000 users of Beauty: 20,000 items and more."""
    events = read_events(harness.data(BEAUTY))
    return of_users(events, np.random.default_rng(1).permutation(len(events))[:12_000], last=5)


def of_users(events: Events, users: np.ndarray, last: int | None = None) -> Events:
    histories = [events.history(int(user)) for user in users]
    return Events.from_histories([(own if last is None else own[-last:]).tolist() for own in histories])


SETS: dict[str, Log] = {
    "ml-100k": public("seqrec/ml-100k.inter.gz"),
    "wikipedia-edits": public("seqrec/wikipedia-edits.txt.gz"),
    "beauty, 1,000 users": Log(few_users, BEAUTY),
    "beauty, last five": Log(last_five, BEAUTY),
    "shop, small": shop(users=600, items=600, events=60_000),
    "shop, middle": shop(users=2_000, items=2_000, events=200_000),
    "shop, large": shop(users=8_000, items=8_000, events=600_000),
    "shop, long": shop(**LONG),
    "ml-1m": public("seqrec/ml-1m.txt.gz"),
    "beauty": public(BEAUTY),
}


class Measured(NamedTuple):
    """NDCG@10 of an arm, seed by seed."""

    whole: list[float]
    unseen: list[float]  # what the user had before left out


def measured(name: str, arms: list[str], part: str, seeds: int, limits: dict[str, Any]) -> dict[str, Measured]:
    """What counts and draws nothing is measured once."""
    events, found = SETS[name].make(), dict[str, Measured]()
    for arm in parse_arms(arms):
        own = found.setdefault(arm.label, Measured([], []))
        for seed in range(seeds if arm.kind.trains else 1):
            fitted = arm.system().fit(events, budget=Budget(seed=seed, progress="none", **limits))
            for each, exclude_seen in zip(own, (False, True), strict=True):
                each.append(fitted.evaluate(events, part=part, exclude_seen=exclude_seen)["ndcg@10"])
        whole, unseen = (", ".join(f"{figure:.4f}" for figure in each) for each in own)
        print(f"{name}, {arm.label}: {whole}; seen left out: {unseen}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", action="append", help="as `tenfold compare` takes it; repeat")
    parser.add_argument("--set", action="append", dest="sets", choices=list(SETS), help="repeat; all unless given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--max-seconds", type=float, help="of each training; the default budget unless given")
    parser.add_argument("--quick", action="store_true", help="rules and one epoch of two methods, on two small sets")
    asked = parser.parse_args()
    limits: dict[str, Any] = {} if asked.max_seconds is None else {"max_seconds": asked.max_seconds}
    sets, arms = asked.sets or list(SETS), asked.arm or list(ARMS)
    if asked.quick:
        sets, arms, asked.seeds = ["shop, small"], ["sasrec", "lisa", "markov", "popularity"], 1
        limits = {"max_epochs": 1}
    absent = [name for name in sets if SETS[name].file and not harness.is_here(SETS[name].file)]
    shares: dict[str, list[float]] = {}
    figures: dict[str, Any] = {}
    for name in [each for each in sets if each not in absent]:
        found = measured(name, arms, asked.part, asked.seeds, limits)
        means = {arm: statistics.fmean(each.whole) for arm, each in found.items()}
        for arm, mean in means.items():
            figures[f"{name}: {arm}"] = mean
            figures[f"{name}, seen left out: {arm}"] = statistics.fmean(found[arm].unseen)
            shares.setdefault(arm, []).append(mean / max(means.values()))
    for arm, each in shares.items():
        figures |= {f"share of the best, median: {arm}": statistics.median(each), f"worst: {arm}": min(each)}
    notes = [f"NDCG@10 of the {asked.part} part; what trains: {asked.seeds} seeds.", *(f"Absent: {n}." for n in absent)]
    harness.report("panel", figures, notes=notes)


if __name__ == "__main__":
    main()
