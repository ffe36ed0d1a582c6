"""Training SASRec on MovieLens-1M beside the public PyTorch code and RecTools: events of real users per second.

Same layers (2 blocks, 1 head, histories of 200), dropouts, batch and loss: one negative with BCE at d = 50, and the
full softmax at d = 64. A real event is a target that is no padding. Each turn is a process of its own, the sides take
turns, and a side's figure is the median of its turns; intervals are those of a t over the turns. The rivals are timed
over batches after 8 others, ours over a whole epoch after another, without validations and set-up. Ours trains on
whole histories, cut into windows; theirs on each user's last 200 events, all batches padded to 200.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import harness, peers
from benchmarks.rivals import sides

Turn = Callable[[], dict[str, Any]]


def events_per_second(turns: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Of each side in each round, the sides taking turns."""
    found: dict[str, list[float]] = {side: [] for side in turns}
    for _ in range(rounds):
        for side, turn in turns.items():
            timed = turn()
            found[side].append(timed["events"] / timed["seconds"])
    return found


def bce(log: Path, quick: bool) -> dict[str, Turn]:
    batches = ["--batches", 6 if quick else 48]
    turns: dict[str, Turn] = {"ours": lambda: sides.ours(log, "--epochs", 1 if quick else 2)}
    if peers.SASREC.present:
        turns["public"] = lambda: sides.public(log, *batches)
    if peers.RECTOOLS.present:
        turns["rectools"] = lambda: sides.rectools(log, *batches)
    return turns


def softmax(log: Path) -> dict[str, Turn]:
    turns: dict[str, Turn] = {"ours": lambda: sides.ours(log, "--loss", "softmax", "--dim", 64)}
    if peers.RECTOOLS.present:
        # its batches are all of one shape: half an epoch of random users has an epoch's rate
        turns["rectools"] = lambda: sides.rectools(log, "--loss", "softmax", "--dim", 64, "--batches", 24)
    return turns


def main() -> None:
    quick = harness.arguments(__doc__).quick
    source, figures = harness.data("seqrec/ml-1m.txt.gz"), dict[str, float]()
    repeats: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = sides.log_for_all(source, Path(folder))
        rates = events_per_second(bce(log, quick), rounds=1 if quick else 3)
        wide = {} if quick else events_per_second(softmax(log), rounds=2)
    for start, found in (("", rates), ("softmax_", wide)):
        for side in found.keys() & {"public", "rectools"}:
            name = f"{start}speedup_vs_{side}"
            figures[name] = harness.median(found["ours"]) / harness.median(found[side])
            repeats[name] = harness.ratios(found["ours"], found[side])
        repeats |= {f"{start}events_per_s_{side}": each for side, each in found.items()}
        figures |= {f"{start}events_per_s_{side}": harness.median(each) for side, each in found.items()}
    intervals = {name: harness.interval(each) for name, each in repeats.items()}
    harness.report("sasrec_training", figures, notes=sides.absent(), intervals=intervals)


if __name__ == "__main__":
    main()
