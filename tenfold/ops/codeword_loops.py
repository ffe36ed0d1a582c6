"""The compiled loops of ops/codeword_histogram.py: which of them, and by how many threads.

`weigh` makes a chunk's weights, `differentiate` goes the chunk backwards; both leave the products to torch.
"""

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch

WORTHWHILE = 1 << 17  # weights of a chunk from which handing codebooks to other threads pays
_helpers: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.clear)  # a child has none of its parent's threads


def by_codebooks(loop: Any, books: int, weights: int, *arguments: Any) -> Any:
    """A loop over all codebooks, shared out among as many threads as torch uses; what it returns is the same of all."""
    threads = min(torch.get_num_threads(), books) if weights >= WORTHWHILE else 1
    borders = [books * part // threads for part in range(threads + 1)]
    first, *others = pairwise(borders)
    if others and threads not in _helpers:
        _helpers[threads] = ThreadPoolExecutor(threads - 1, "codebooks")
    waiting = [_helpers[threads].submit(loop, part, *arguments) for part in others]
    found = loop(first, *arguments)
    for each in waiting:
        each.result()
    return found


class Loops(NamedTuple):
    weigh: Any
    differentiate: Any


@cache
def compiled_loops(words: int, soft: bool, decays: bool, has_p: bool, rates: bool) -> Loops:
    """The two loops, compiled for W codewords and for what they do: a histogram is a vector of W lanes (ops/lanes.py).

    codeword_kernels.py as a module of its own: its constants are no arguments, and the next process finds what numba
    keeps on the disk, which it would not for functions made inside another.
    """
    name = f"tenfold.ops.codeword_kernels_{words}_{soft:d}{decays:d}{has_p:d}{rates:d}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("codeword_kernels.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    vars(module).update(W=words, SOFT=soft, DECAYS=decays, HAS_P=has_p, RATES=rates)
    spec.loader.exec_module(module)
    return Loops(module.weigh, module.differentiate)
