"""Evaluating on MovieLens-1M: full ranks of 6,040 held-out events among 3,416 items by a SASRec of d = 64.

Beside it RecTools' `recommend(k=10)` for the same users and its own SASRec of the same size: the step that its users
need before any metric. Both in memory, the log read before the clock starts; ours computes the metrics and their
intervals as well. The sides take turns, medians are reported.
"""

import tempfile
import time
from pathlib import Path

from benchmarks import harness, peers
from benchmarks.rivals import sides
from tenfold import SASRec
from tenfold.data.events import read_events
from tenfold.data.splits import split


def main() -> None:
    quick = harness.arguments(__doc__).quick
    source = harness.data("seqrec/ml-1m.txt.gz")
    events = split(read_events(source), "loo")
    # What it learned does not matter to the clock: one epoch, no validation.
    system = SASRec(**{"dim": 64, "heads": 1, "layers": 2, "expansion": 1, "loss.name": "bce"})
    system.fit(events.events, split="none", max_epochs=1)
    seconds, theirs = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        log = sides.log_for_all(source, Path(folder))
        for _ in range(1 if quick else 3):
            for _ in range(2):
                started = time.perf_counter()
                _ = system.evaluate(events, split="loo").intervals  # drawn when they are asked for
                seconds.append(time.perf_counter() - started)
            if peers.RECTOOLS.present:
                words = ["--dim", 64, "--warm-up", 1, "--batches", 1, "--recommend", 2]
                theirs += sides.rectools(log, *words)["recommend_s"]
    figures, intervals = {"seconds": harness.median(seconds)}, {"seconds": harness.interval(seconds)}
    if theirs:
        figures["ratio_vs_rectools"] = figures["seconds"] / harness.median(theirs)
        figures["rectools_recommend_s"] = harness.median(theirs)
        intervals["rectools_recommend_s"] = harness.interval(theirs)
        intervals["ratio_vs_rectools"] = harness.interval(harness.ratios(seconds, theirs))
    harness.report("evaluation", figures, notes=sides.absent(), intervals=intervals)


if __name__ == "__main__":
    main()
