"""Training on a catalogue of 23,700 items with few events each: LISA beside SASRec with the same loss, in turns.

lisa: LISA as it comes; base: preset=base, which is of the same size and has the paper's coding.

31,000 users with about nine events, batches of 128 windows of at most 50 events, d = 64, one block. The loss is the
full softmax, sampled softmax with 256 negatives of each window, or with 1,024 that a batch shares: LISA encodes the
items that a loss looks at, which in the first two cases are about all. An epoch's seconds are those of 25 steps, times
the steps of an epoch; nothing is validated. They are timed after the first 60, which are slower: LISA's codewords start
by k-means, and its codes are made anew more often than later. Lower ratios are better: 1 is as fast as SASRec.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import harness
from tenfold import LISA, SASRec
from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.options import parse
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item import NextItem
from tenfold.training import Stage

USERS, ITEMS, EVENTS = 31_000, 23_700, 287_000
BEFORE = 60  # steps
LOSSES: dict[str, dict[str, Any]] = {
    "softmax": {"loss.name": "softmax"},
    "by_window": {"loss.name": "sampled_softmax", "loss.negatives": 256},
    "by_batch": {"loss.name": "sampled_softmax", "loss.share_negatives": True},
}
SHARED: dict[str, Any] = {"dim": 64, "layers": 1, "expansion": 1, "training.length": 50, "training.batch_size": 128}


def sparse_log() -> Events:
    """Popularity falls as one over the square root of the rank; only the amount of work depends on it."""
    rng = np.random.default_rng(0)
    lengths = 3 + rng.geometric(1 / (EVENTS / USERS - 3), USERS)
    share = 1 / np.sqrt(np.arange(1, ITEMS + 1))
    items = np.concatenate(
        [rng.permutation(ITEMS), rng.choice(ITEMS, max(lengths.sum() - ITEMS, 0), p=share / share.sum())]
    )
    items = rng.permutation(items)[: lengths.sum()]
    return Events.from_histories([part.tolist() for part in np.split(items, np.cumsum(lengths)[:-1])])


def seconds_of_an_epoch(system: NextItem, events: Events, steps: int) -> float:
    """From so many steps."""
    system, began = system.clone(), list[float]()
    stages = system.stages

    def watched(loss: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(batch: Any) -> Any:
            began.append(time.perf_counter())
            return loss(batch)

        return timed

    def timed_stages(prepared: Any) -> Iterator[Stage]:
        for stage in stages(prepared):
            stage.loss = watched(stage.loss)
            yield stage

    system.stages = timed_stages  # type: ignore[method-assign]
    budget = Budget(max_epochs=1, max_steps=BEFORE + steps + 1, progress="none", accelerator="cpu")
    system.fit(events, split="none", budget=budget)
    of_an_epoch = -(-len(events) // SHARED["training.batch_size"])  # every user has one window
    return (began[-1] - began[BEFORE]) / steps * of_an_epoch


def main() -> None:
    quick = harness.arguments(__doc__).quick
    events, figures = sparse_log(), dict[str, float]()
    repeats: dict[str, list[float]] = {}
    for loss, own in LOSSES.items():
        sides: dict[str, NextItem] = {
            "sasrec": SASRec(**SHARED | own),
            "lisa": LISA(parse(Options, SHARED | own)),
            "base": LISA(parse(Options, SHARED | own | {"preset": "base"})),
        }
        taken: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(2 if quick else 4):
            for side, system in sides.items():
                seconds = seconds_of_an_epoch(system, events, 5 if quick else 25)
                if turn:  # the first one pays for what is compiled
                    taken[side].append(seconds)
        figures |= {f"{loss}_epoch_s_{side}": harness.median(each) for side, each in taken.items()}
        for side in ("lisa", "base"):
            name = f"{loss}_{side}_over_sasrec"
            figures[name] = figures[f"{loss}_epoch_s_{side}"] / figures[f"{loss}_epoch_s_sasrec"]
            repeats[name] = harness.ratios(taken[side], taken["sasrec"])
    intervals = {name: harness.interval(each) for name, each in repeats.items() if len(each) > 1}
    harness.report("large_catalogue", figures, intervals=intervals)


if __name__ == "__main__":
    main()
