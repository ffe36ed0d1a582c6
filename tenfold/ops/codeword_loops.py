"""The compiled loops of ops/codeword_histogram.py: which of them, and which thread does what.

`attend` makes what is read, each part a range of events; `differentiate` goes back, each part a range of codebooks.
"""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORTHWHILE = 1 << 16  # weights from which handing some of them to another thread pays
COUNTING = 0.1  # what counting an event costs, of what it costs to count it and read
BLOCK = 64  # events whose weights a thread holds


def threads_for(weights: int, parts: int) -> int:
    return min(torch.get_num_threads(), parts) if weights >= WORTHWHILE else 1


def shares_of_events(events: int, sequences: int, threads: int) -> list[int]:
    """Borders at whole blocks. Who begins inside a sequence has to count what came before: of one sequence the first
    gets more than the last."""
    rest = 1 - COUNTING if sequences == 1 else 1.0
    done = [sum(rest**n for n in range(part)) for part in range(threads + 1)]
    whole_blocks = {round(events * part / done[-1] / BLOCK) * BLOCK for part in done[:-1]}
    return sorted({border for border in whole_blocks if border < events} | {events})


@cache
def compiled_loop(name: str, *, words: int, double: bool, soft: bool, decays: bool, has_p: bool, rates: bool) -> Any:
    """`attend` or `differentiate`, compiled for W codewords and for what it does: a histogram is a vector of W lanes
    (ops/lanes.py).

    codeword_kernels.py as a module of its own: its constants are no arguments, and the next process finds what numba
    keeps on the disk, which it would not for functions made inside another.
    """
    number = np.float64 if double else np.float32
    full_name = f"tenfold.ops.codeword_kernels_{words}_{double:d}{soft:d}{decays:d}{has_p:d}{rates:d}"
    spec = importlib.util.spec_from_file_location(full_name, Path(__file__).with_name("codeword_kernels.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
    constants = {"SOFT": soft, "DECAYS": decays, "HAS_P": has_p, "RATES": rates}
    vars(module).update(BLOCK=BLOCK, W=words, NUMBER=number, **constants)
    spec.loader.exec_module(module)
    return module.shared(vars(module)[name])
