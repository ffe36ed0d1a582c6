"""ReadOptions an event log: 10 million rows of CSV with text ids, read, checked, numbered and packed by user.

Each reading is a process of its own, so that its time and its largest memory are its own: from the file's name to the
packed arrays, imports apart. Beside ours: what one writes with pandas (read_csv, factorize, a stable sort) and with
polars (read_csv, categories, a sort), which check nothing.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness

EVENTS = 10_000_000
USERS, ITEMS = 200_000, 100_000
REPEATS = 3


def write_log(path: Path, events: int) -> None:
    """In order of time, users mixed; some users and items have far more events than others."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    users = (USERS * rng.random(events) ** 2).astype(np.int64)
    items = (ITEMS * rng.random(events) ** 3).astype(np.int64)
    times = 1_600_000_000 + np.sort(rng.integers(0, 50_000_000, events))
    frame = pl.DataFrame({"u": users, "i": items, "time": times})
    frame.select(pl.format("user_{}", "u").alias("user"), pl.format("item_{}", "i").alias("item"), "time").write_csv(
        path
    )


def ours(path: str) -> list[int]:
    from tenfold.data.events import read_events

    started = time.perf_counter()
    events = read_events(path)
    print(json.dumps({"seconds": time.perf_counter() - started}))
    return [len(events), len(events.catalogue), len(events.items)]


def with_pandas(path: str) -> list[int]:
    import pandas as pd

    started = time.perf_counter()
    frame = pd.read_csv(path)
    users, _ = pd.factorize(frame["user"])
    items, item_ids = pd.factorize(frame["item"])
    packed = pd.DataFrame({"user": users, "item": items, "time": frame["time"]})
    packed = packed.sort_values(["user", "time"], kind="stable")
    offsets = packed.groupby("user").size().cumsum().to_numpy()
    print(json.dumps({"seconds": time.perf_counter() - started}))
    return [len(offsets), len(item_ids), len(packed)]


def with_polars(path: str) -> list[int]:
    import polars as pl

    started = time.perf_counter()
    frame = pl.read_csv(path, schema_overrides={"user": pl.Categorical, "item": pl.Categorical})
    frame = frame.with_columns(pl.col("user", "item").to_physical()).sort("user", "time", maintain_order=True)
    offsets = frame.group_by("user", maintain_order=True).len()["len"].cum_sum().to_numpy()
    print(json.dumps({"seconds": time.perf_counter() - started}))
    return [len(offsets), frame["item"].n_unique(), len(frame)]


READERS = {"tenfold": ours, "pandas": with_pandas, "polars": with_polars}


def main() -> None:
    quick = harness.arguments(__doc__).quick
    events, repeats = (EVENTS // 10, 1) if quick else (EVENTS, REPEATS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        write_log(path, events)
        harness.child(
            [sys.executable, "-m", "benchmarks.event_reader", "tenfold", path]
        )  # compiles, and warms the file
        found: dict[str, list[harness.Child]] = {name: [] for name in READERS}
        for _ in range(repeats):  # in turns, so that a busy moment meets all of them
            for name in READERS:
                found[name].append(harness.child([sys.executable, "-m", "benchmarks.event_reader", name, path]))
        size = path.stat().st_size
    seconds = {name: harness.median(run.json["seconds"] for run in runs) for name, runs in found.items()}
    peak = {name: max(run.peak_gib for run in runs) for name, runs in found.items()}
    figures = {
        "seconds_per_10m": seconds["tenfold"] * EVENTS / events,
        "peak_gib": peak["tenfold"],
        "events": events,
        "file_mb": size / 1e6,
        "million_events_per_second": events / seconds["tenfold"] / 1e6,
    }
    for name in ("pandas", "polars"):
        figures |= {f"{name}_seconds_per_10m": seconds[name] * EVENTS / events, f"{name}_peak_gib": peak[name]}
        figures |= {f"times_faster_than_{name}": seconds[name] / seconds["tenfold"]}
    harness.report(
        "event_reader", figures, notes=[f"Median of {repeats} runs, in turns; memory is the largest of them."]
    )


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in READERS:
        sizes = READERS[sys.argv[1]](sys.argv[2])
        if min(sizes) < 1:
            raise SystemExit("nothing was read")
    else:
        main()
