"""Next-item methods with their options as they come, on logs that differ in size, density and length of history.

For each set and arm: NDCG@10 on the part that was asked for, the mean over seeds, as a share of the best arm's on that
set; then each arm's median share and its worst. Beside it NDCG@10 with what a user had before left out of the ranking,
of the same fits: where no item comes again, a method that knows what was had is ahead without it. The validation part
chooses options and defaults; the test part is for one look at the end. A public set whose file is not here is left out,
and named.

    python -m benchmarks.panel [--arm sasrec --arm lisa:dropout=0.5 ...] [--set ml-100k ...] [--seeds 3] [--part test]

--only SET measures one set's test part with popularity, item-knn, SASRec and LISA, with intervals over users and seeds
of LISA's share of SASRec's and popularity's figures. Small sets train until ten validations are no better; on the
larger ones training ends after 200 s. Of Beauty's users each seed draws another thousand.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import harness
from tenfold.arms import parse_arms
from tenfold.budget import Budget
from tenfold.data.events import Events, read_events
from tenfold.metrics.bootstrap import Interval
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.intervals import ratio_interval, samples
from tenfold.shop import Shop

ARMS = ("sasrec", "gru4rec", "lrurec", "transformer", "lisa", "limarec", "item-knn", "markov", "personal-frequency",
        "repeat-last", "popularity")  # fmt: skip
SHOWN = ("popularity", "item-knn", "sasrec", "lisa")  # of --only
LONG = {"seed": 3, "users": 300, "items": 2_000, "events": 300_000, "interests": 40, "rest": 40.0}


BEAUTY = "seqrec/beauty.txt.gz"


class Log(NamedTuple):
    make: Callable[[int], Events]  # of a seed, where each draws its own
    file: str = ""  # of public data, without which it cannot be made
    drawn: bool = False  # each seed has users of its own
    seconds: float | None = None  # of each training in --only; none: the default budget


def public(path: str, seconds: float | None = None) -> Log:
    return Log(lambda _: read_events(harness.data(path)), path, seconds=seconds)


def shop(seconds: float | None = None, **sizes: Any) -> Log:
    return Log(lambda _: read_events(Shop(**{"seed": 1} | sizes).events()), seconds=seconds)


def few_users(draw: int) -> Events:
    """A thousand users of Beauty, whole: small, and most items are met once or twice."""
    events = read_events(harness.data(BEAUTY))
    users = np.random.default_rng(0).permutation(len(events))
    return of_users(events, users[1_000 * draw : 1_000 * (draw + 1)])


def last_five(_: int) -> Events:
    """The last five events of 12,000 users of Beauty: 20,000 items and more."""
    events = read_events(harness.data(BEAUTY))
    return of_users(events, np.random.default_rng(1).permutation(len(events))[:12_000], last=5)


def of_users(events: Events, users: np.ndarray, last: int | None = None) -> Events:
    histories = [events.history(int(user)) for user in users]
    return Events.from_histories([(own if last is None else own[-last:]).tolist() for own in histories])


LIMIT = 200.0
SETS: dict[str, Log] = {
    "ml-100k": public("seqrec/ml-100k.inter.gz"),
    "wikipedia-edits": public("seqrec/wikipedia-edits.txt.gz"),
    "beauty-1000-users": Log(few_users, BEAUTY, drawn=True),
    "beauty-last-five": Log(last_five, BEAUTY, seconds=LIMIT),
    "shop-small": shop(users=600, items=600, events=60_000),
    "shop-middle": shop(users=2_000, items=2_000, events=200_000, seconds=LIMIT),
    "shop-large": shop(users=8_000, items=8_000, events=600_000, seconds=LIMIT),
    "shop-long": shop(**LONG, seconds=LIMIT),
    "ml-1m": public("seqrec/ml-1m.txt.gz", LIMIT),
    "beauty": public(BEAUTY, LIMIT),
}


class Measured(NamedTuple):
    """Of an arm, seed by seed."""

    whole: list[Evaluation]
    unseen: list[Evaluation]  # what the user had before left out


def mean(evaluations: list[Evaluation]) -> float:
    return statistics.fmean(one["ndcg@10"] for one in evaluations)


def measured(name: str, arms: Sequence[str], part: str, seeds: int, limits: dict[str, Any]) -> dict[str, Measured]:
    """What counts and draws nothing is measured once on each log."""
    log, found = SETS[name], dict[str, Measured]()
    events = [log.make(draw) for draw in range(seeds if log.drawn else 1)]
    for arm in parse_arms(list(arms)):
        own = found.setdefault(arm.label, Measured([], []))
        for seed in range(seeds if arm.kind.trains else len(events)):
            here = events[seed if log.drawn else 0]
            fitted = arm.system().fit(here, budget=Budget(seed=seed, progress="none", **limits))
            for each, exclude_seen in zip(own, (False, True), strict=True):
                each.append(fitted.evaluate(here, part=part, exclude_seen=exclude_seen))
        whole, unseen = (", ".join(f"{one['ndcg@10']:.4f}" for one in each) for each in own)
        print(f"{name}, {arm.label}: {whole}; seen left out: {unseen}", flush=True)
    return found


def one_set(name: str, seeds: int, quick: bool) -> None:
    """--only: its test part, with intervals."""
    log = SETS[name]
    limits: dict[str, Any] = {} if log.seconds is None else {"max_seconds": log.seconds}
    if log.file:
        harness.data(log.file)  # skips where it is not here
    seeds, limits = (2, {"max_epochs": 1}) if quick else (seeds, limits)
    found = measured(name, SHOWN, "test", seeds, limits)
    figures: dict[str, Any] = {}
    intervals: dict[str, Interval | None] = {}
    for kind, of in (("", 0), ("_seen_left_out", 1)):
        sampled = samples(
            {arm: [one.measured["ndcg@10"] for one in each[of]] for arm, each in found.items()},
            same_units=not log.drawn,
        )
        for arm, each in sampled.items():
            figures[f"{name}_{arm}{kind}"] = each.value
        for other in ("sasrec", "popularity"):
            figure = f"{name}_lisa_over_{other}{kind}"
            figures[figure] = sampled["lisa"].value / sampled[other].value
            intervals[figure] = ratio_interval(sampled["lisa"], sampled[other])
    trained = "until ten validations are no better" if log.seconds is None else f"for {log.seconds:.0f} s"
    notes = [f"NDCG@10 of the test part; {seeds} seeds{', each of its own users' if log.drawn else ''}; {trained}."]
    harness.report("panel", figures, notes=notes, intervals=intervals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", action="append", help="as `tenfold compare` takes it; repeat")
    parser.add_argument("--set", action="append", dest="sets", choices=list(SETS), help="repeat; all unless given")
    parser.add_argument("--only", choices=list(SETS), help="one set's test part, with intervals")
    parser.add_argument("--seeds", type=int, help="3 unless given; with --only 10 where each draws users of its own")
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--max-seconds", type=float, help="of each training; the default budget unless given")
    parser.add_argument("--quick", action="store_true", help="rules and one epoch of two methods, on two small sets")
    asked = parser.parse_args()
    if asked.only:
        return one_set(asked.only, asked.seeds or (10 if SETS[asked.only].drawn else 3), asked.quick)
    asked.seeds = asked.seeds or 3
    limits: dict[str, Any] = {} if asked.max_seconds is None else {"max_seconds": asked.max_seconds}
    sets, arms = asked.sets or list(SETS), asked.arm or list(ARMS)
    if asked.quick:
        sets, arms, asked.seeds = ["shop-small"], ["sasrec", "lisa", "markov", "popularity"], 1
        limits = {"max_epochs": 1}
    absent = [name for name in sets if SETS[name].file and not harness.is_here(SETS[name].file)]
    shares: dict[str, list[float]] = {}
    figures: dict[str, Any] = {}
    for name in [each for each in sets if each not in absent]:
        found = measured(name, arms, asked.part, asked.seeds, limits)
        means = {arm: mean(each.whole) for arm, each in found.items()}
        for arm, own in means.items():
            figures[f"{name}: {arm}"] = own
            figures[f"{name}, seen left out: {arm}"] = mean(found[arm].unseen)
            shares.setdefault(arm, []).append(own / max(means.values()))
    for arm, each in shares.items():
        figures |= {f"share of the best, median: {arm}": statistics.median(each), f"worst: {arm}": min(each)}
    notes = [f"NDCG@10 of the {asked.part} part; what trains: {asked.seeds} seeds.", *(f"Absent: {n}." for n in absent)]
    harness.report("panel", figures, notes=notes)


if __name__ == "__main__":
    main()
