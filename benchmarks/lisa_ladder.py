"""Where memories stop: a ladder of made tasks between claim C9 (one question about a history) and a shop.

A sequence of 512 events is noise and visits. A visit is two events: a cue, which names one of the groups of items, and
an item of that group: the sequence's own favourite there, or else another. Each rung has one difficulty more than the
one before:

    near       one group of four items; its favourite in four visits of five; visits follow each other closely
    groups     eight groups
    far        a visit to a group comes 50 events after the one before at the earliest, so that a window of 50 knows
               nothing of favourites, and nobody can tell them but by counting what came after a cue long ago
    items      sixteen items in a group
    noise      the favourite in two visits of five, else what is popular (favourites are too)
    catalogue  forty groups: 640 items, and fewer visits to each

What is tested: whether the favourite comes first (hit rate at 1 among all items) after a cue that ends a sequence not
trained on, one question a sequence. The observer counts visits, knows the rules and says what is likeliest; `popular`
says the group's most popular item. A share is (arm - popular) / (observer - popular). The full softmax, D = 32, one
layer, one seed; the best epoch of the validation part is tested. All arms train for the same processor time: as many
steps as fit into it by the median of 30 that are tried first, so that a busy machine does not decide. The learning rate
is 0.01: of 0.003 and 0.01 LISA's validation figure was better at it on `far` (20 to 30 s), LRURec's alike; SASRec
learned `near` no better at 0.002 and 0.0005.

Arms: LISA without counts, which looks at all events alike (lambda = 0); the same with the last 50 events one by one
(`recent`), and with a candidate's own count, by its codewords (`codewords`) or by a sketch of joint codes (`joint`);
SASRec with the last 50 events; LRURec.

What an arm found waits in benchmarks/quick/lisa_ladder until all are measured, so that an interrupted run goes on.

    python -m benchmarks.lisa_ladder [--only near|groups|far|items|noise|catalogue] [--seconds 30]
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from tenfold import SASRec
from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.splits import Split
from tenfold.options import parse
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.system import LISA
from tenfold.tasks.next_item import NextItem
from tenfold.tasks.next_item.baselines.lrurec import LRURec
from tenfold.version import code_commit

LENGTH, WINDOW, NOISE = 512, 50, 10  # events of a sequence, between visits to a group; items of noise
BUSY = 0.6  # share of the events that begin a visit where one is due
SEQUENCES, VALIDATED, TESTED = 1_500, 200, 600
SECONDS, TRIED = 30.0, 30
KEPT = harness.ROOT / "benchmarks" / "quick" / "lisa_ladder"


@dataclass(frozen=True)
class Rung:
    groups: int = 1
    items: int = 4  # of a group
    own: float = 0.8  # share of visits to the favourite
    skew: float = 0.0  # exponent of the items' popularity
    gap: int = WINDOW  # events after a visit before the next one to its group

    @property
    def popularity(self) -> np.ndarray:
        """Of a group's items, (K,)."""
        rank = np.arange(1.0, self.items + 1)
        return rank**-self.skew / (rank**-self.skew).sum()


RUNGS = {"near": Rung(gap=0)}
for _name, _change in {
    "groups": {"groups": 8},
    "far": {"gap": WINDOW},
    "items": {"items": 16},
    "noise": {"own": 0.4, "skew": 1.0},
    "catalogue": {"groups": 40},
}.items():
    RUNGS[_name] = replace(list(RUNGS.values())[-1], **_change)  # type: ignore[arg-type]


@dataclass
class Drawn:
    split: Split
    hits: dict[str, np.ndarray]  # of rules, by tested sequence


def draw(rung: Rung, sequences: int, validated: int, tested: int, seed: int = 0) -> Drawn:
    """Items 1 .. G K are the groups', then come the cues, then noise. Split 'loo', cut by sequence: of those that are
    validated and tested the last event is held out, and is the favourite."""
    rng = np.random.default_rng([seed, 41])
    total, groups, k = sequences + validated + tested, rung.groups, rung.items
    favourite = rng.choice(k, size=(total, groups), p=rung.popularity)
    first_noise = groups * (k + 1) + 1
    rows = rng.integers(first_noise, first_noise + NOISE, size=(total, LENGTH))
    counts = np.zeros((total, groups, k))
    begins, chosen = rng.random((total, LENGTH)) < BUSY, rng.random((total, LENGTH))
    is_own = rng.random((total, LENGTH)) < rung.own
    any_item = rng.choice(k, size=(total, LENGTH), p=rung.popularity)
    asked, every, last = rng.integers(groups, size=total), np.arange(groups), LENGTH - 2  # where each sequence asks
    for n in range(total):
        due, place = rng.integers(0, max(rung.gap, 1), groups), 0
        while place < last + 1:
            late = place >= last - rung.gap
            open_to = np.flatnonzero((due <= place) & ~(late & (every == asked[n])))
            if place == last or (len(open_to) and begins[n, place] and place < last - 1):
                group = int(asked[n] if place == last else open_to[int(chosen[n, place] * len(open_to))])
                item = favourite[n, group] if is_own[n, place] or place == last else any_item[n, place]
                rows[n, place : place + 2] = groups * k + group + 1, group * k + item + 1
                counts[n, group, item] += place < last
                due[group] = place + 2 + rung.gap
                place += 1
            place += 1
    held = np.arange(total) >= sequences
    events = Events.from_histories(rows.tolist())
    end = events.offsets[1:]
    train_end, valid_end = end - held, end.copy()
    valid_end[sequences + validated :] -= 1
    told = slice(sequences + validated, total)
    right = favourite[np.arange(total), asked][told]
    # P(counts | favourite) has, for each visit, own + (1 - own) p of the favourite and (1 - own) p of any other
    p, other = rung.popularity, (1 - rung.own) * rung.popularity
    seen = counts[np.arange(total), asked][told]
    posterior = np.log(p) + seen * np.log((rung.own + other) / other)
    posterior = np.exp(posterior - posterior.max(1, keepdims=True))
    expected = rung.own * posterior / posterior.sum(1, keepdims=True) + other
    hits = {"observer": expected.argmax(1) == right, "popular": right == 0}
    return Drawn(Split(events, "loo", train_end, valid_end), {name: hit.astype(float) for name, hit in hits.items()})


SHARED: dict[str, Any] = {"dim": 32, "dropout": 0.0, "loss.name": "softmax", "training.lr": 1e-2}


def lisa(**more: Any) -> LISA:
    long = {"training.length": LENGTH, "training.batch_size": 4, "positions": False, "attention.decay": 0.0}
    long |= {"counts.of": "none"}
    return LISA(parse(Options, SHARED | {"expansion": 1} | long | more))


ARMS: dict[str, Callable[[], NextItem]] = {
    "lisa": lisa,
    "recent": lambda: lisa(**{"attention.recent": WINDOW}),
    "codewords": lambda: lisa(**{"counts.of": "codewords"}),
    "joint": lambda: lisa(**{"counts.of": "joint", "counts.decay": 0.0}),
    "sasrec_50": lambda: SASRec(
        **SHARED | {"layers": 1, "heads": 1, "expansion": 1, "training.length": WINDOW, "training.batch_size": 40}
    ),
    "lrurec": lambda: LRURec(**SHARED | {"layers": 1, "training.length": LENGTH, "training.batch_size": 4}),
}


def step_seconds(arm: str, split: Split) -> float:
    """Of the processor, the median of some steps."""
    system, began = ARMS[arm](), list[float]()
    loss = system.loss

    def clocked(batch: Any) -> Any:
        began.append(time.process_time())
        return loss(batch)

    system.loss = clocked  # type: ignore[method-assign]
    system.fit(split, split="loo", budget=Budget(max_steps=TRIED, progress="none", threads=1))
    return float(np.median(np.diff(began)[3:]))


def measured(rung: str, arm: str, drawn: Drawn, seconds: float) -> dict[str, float]:
    """Steps, the validation figure and the hit rate on the test part; measured once, by what it is made of."""
    system = ARMS[arm]()
    key = repr((RUNGS[rung], arm, system.options, drawn.split.events.fingerprint, seconds, code_commit()))
    file = KEPT / rung / f"{sha256(key.encode()).hexdigest()[:20]}.json"
    if not file.exists():
        steps = max(1, int(seconds / step_seconds(arm, drawn.split)))
        budget = Budget(max_epochs=10_000, max_steps=steps, progress="none", threads=1)
        system.fit(drawn.split, split="loo", budget=budget)
        history = system.history["next_item"]
        found = {
            "steps": float(steps),
            "validation_ndcg@10": max(epoch["ndcg@10"] for epoch in history),
            "hr@1": system.evaluate(drawn.split, ks=[1])["hr@1"],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
        print(f"{rung}, {arm}: {found}", flush=True)
    return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps, few sequences: only to see that it runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of training, each arm on each rung")
    parser.add_argument("--only", choices=RUNGS, help="one rung; default: all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seconds, sizes = (0.1, (40, 10, 20)) if asked.quick else (asked.seconds, (SEQUENCES, VALIDATED, TESTED))
    figures: dict[str, float] = {"seconds_of_training": seconds}
    for rung in [asked.only] if asked.only else RUNGS:
        drawn = draw(RUNGS[rung], *sizes)
        rules = {name: float(hit.mean()) for name, hit in drawn.hits.items()}
        figures |= {f"{rung}_{name}_hr@1": hit for name, hit in rules.items()}
        for arm in ARMS:
            found = measured(rung, arm, drawn, seconds)
            found["share"] = (found["hr@1"] - rules["popular"]) / max(rules["observer"] - rules["popular"], 1e-9)
            figures |= {f"{rung}_{arm}_{name}": value for name, value in found.items()}
    for rung in [asked.only] if asked.only else RUNGS:
        shutil.rmtree(KEPT / rung, ignore_errors=True)
    harness.report("lisa_ladder", figures)


if __name__ == "__main__":
    main()
