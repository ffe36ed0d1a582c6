"""A fit beside a busy neighbour: SASRec (d = 32) on a shop of 60,000 events, one epoch, with the threads that it takes.

Alone; beside one process that keeps a core busy; and so with as many threads as there are cores, which wait for one
another. Each fit is a process of its own, in turns, the clock's seconds of `fit`, the median counts. `slowdown`: beside
the neighbour by alone, with threads chosen by the load; `slowdown_all_cores`: with a thread for each core.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import harness

BUSY = "while True: pass"
SETTLE = 5.0  # seconds that a neighbour works before: a load is what was measured lately


@contextmanager
def neighbour(there: bool) -> Iterator[None]:
    if not there:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            time.sleep(SETTLE)
            yield
        finally:
            process.kill()


def fit(threads: int | None) -> None:
    from tenfold import SASRec
    from tenfold.data.events import read_events
    from tenfold.shop import Shop

    events = read_events(Shop(seed=1, users=600, items=600, events=60_000).events())
    system = SASRec(dim=32)
    system.fit(events, max_epochs=1, max_steps=1, progress="none", threads=threads)  # compiles
    started = time.perf_counter()
    SASRec(dim=32).fit(events, max_epochs=1, progress="none", threads=threads)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def main() -> None:
    turns = 1 if harness.arguments(__doc__).quick else 3
    cores = len(os.sched_getaffinity(0))
    ways = {"alone": (False, None), "beside": (True, None), "all_cores_beside": (True, cores)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, (busy, threads) in ways.items():
            with neighbour(busy):
                command = [sys.executable, "-m", "benchmarks.threads", "fit", str(threads or 0)]
                seconds[name].append(harness.child(command).json["seconds"])
    took = {name: harness.median(found) for name, found in seconds.items()}
    figures = {f"{name}_s": value for name, value in took.items()}
    figures["slowdown"] = took["beside"] / took["alone"]
    figures["slowdown_all_cores"] = took["all_cores_beside"] / took["alone"]
    harness.report("threads", figures, notes=[f"{cores} cores; median of {turns} turns."])


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        fit(int(sys.argv[2]) or None)
    else:
        main()
