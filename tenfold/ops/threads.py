"""How many threads are worth having now."""

import os
import time


def unused_cores() -> int:
    """Cores that no other program keeps busy now, at least 1: two threads that wait for one another on a core that
    somebody else uses are slower than one. Linux tells how many threads want to run; elsewhere all cores count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanting = []
    try:
        for _ in range(5):
            with open("/proc/loadavg") as file:
                wanting.append(int(file.read().split()[3].partition("/")[0]) - 1)  # this thread is one
            time.sleep(0.01)
    except (OSError, ValueError, IndexError):
        return cores
    return max(1, cores - min(wanting))
