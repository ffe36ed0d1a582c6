"""Recommendations file to file: the 6,040 users of MovieLens-1M, SASRec of d = 64, ten items each.

Ours from the log to a Parquet file, RecTools from the same log to a CSV file with the same network; the model is loaded
before. Then `tenfold predict` on files of histories of 8 and of 24 times the users, as processes of their own: what
they hold in memory must not grow with the number of users.
"""

import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks import harness, peers
from benchmarks.rivals import sides
from tenfold import SASRec


def histories(log: Path, times: int, target: Path) -> int:
    """Rows of user and history, the log's users so many times over; returns their number."""
    events = pl.read_csv(log, separator=" ", has_header=False, new_columns=["user", "item"])
    users = events.group_by("user", maintain_order=True).agg(pl.col("item").alias("history"))
    pl.concat([users] * times).write_parquet(target)
    return len(users) * times


def peak_gib(artifact: Path, log: Path, times: int, folder: Path) -> float:
    source, target = folder / f"users_{times}.parquet", folder / f"answers_{times}.parquet"
    histories(log, times, source)
    tenfold = Path(sys.executable).with_name("tenfold")
    return harness.child([tenfold, "predict", artifact, "--input", source, "--output", target]).peak_gib


def measure(folder: Path, quick: bool) -> dict[str, float]:
    log = sides.log_for_all(harness.data("seqrec/ml-1m.txt.gz"), folder)
    system = SASRec(**{"dim": 64, "heads": 1, "layers": 2, "expansion": 1, "loss.name": "bce"})
    system.fit(log, split="none", max_epochs=1)  # what it learned does not matter to the clock
    system.save(folder / "sasrec")
    ours, theirs, recommend = list[float](), list[float](), list[float]()
    for _ in range(1 if quick else 3):
        for _ in range(2):
            started = time.perf_counter()
            users = system.predict(log, folder / "answers.parquet", k=10)
            ours.append(users / (time.perf_counter() - started))
        if peers.RECTOOLS.present:
            words = ["--dim", 64, "--warm-up", 1, "--batches", 1, "--recommend", 2, "--output", folder / "answers.csv"]
            found = sides.rectools(log, *words)
            theirs += [users / seconds for seconds in found["file_to_file_s"]]
            recommend += [users / seconds for seconds in found["recommend_s"]]
    figures = {"users_per_s": harness.median(ours)}
    if theirs:
        figures["speedup_vs_rectools"] = figures["users_per_s"] / harness.median(theirs)
        figures["rectools_users_per_s"] = harness.median(theirs)
        figures["rectools_recommend_users_per_s"] = harness.median(recommend)
    if not quick:
        few, many = (peak_gib(folder / "sasrec", log, times, folder) for times in (8, 24))
        figures |= {"peak_gib_48k_users": few, "peak_gib_145k_users": many, "memory_ratio_145k_to_48k": many / few}
    return figures


def main() -> None:
    quick = harness.arguments(__doc__).quick
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), quick)
    notes = ["`rectools_recommend_users_per_s` is its recommend() alone, without files.", *sides.absent()]
    harness.report("predict", figures, notes=notes)


if __name__ == "__main__":
    main()
