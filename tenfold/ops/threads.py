"""Compiled loops on the threads that torch has already.

torch's operations run on OpenMP's threads, which wait for the next operation by turning in place, milliseconds long: a
pool of our own would find every core taken. So a loop is handed to the same threads, through the entry that compilers
call for OpenMP (GOMP_parallel; GNU's, LLVM's and Intel's library have it); a call takes about a microsecond. Where
torch has none of these libraries, threads of Python's do the same.

A loop is a numba.cfunc that gets one address, of whole numbers: the next part, how many parts, and whatever it needs,
arrays as their addresses. It takes parts until there are none: how many threads come is nobody's business.
"""

import ctypes
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.core import types
from torch import Tensor

from tenfold.ops.lanes import typed

MOST_HELPERS = 15
_helpers: dict[int, ThreadPoolExecutor] = {}


def _in_child() -> None:
    """A forked child has none of its parent's threads, and GNU's OpenMP would wait for them for ever."""
    _helpers.clear()
    _openmp.cache_clear()
    _forked.append(True)


_forked: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def addresses(*tensors: Tensor) -> list[int]:
    """Of tensors without gaps. Whoever calls has them under a name until the loop is done: an address keeps nothing."""
    assert all(x.is_contiguous() and x.device.type == "cpu" for x in tensors)
    return [x.data_ptr() for x in tensors]


def share_out(loop: Any, parts: int, *needed: int) -> None:
    """Runs `loop`, a cfunc, until all parts are done; `needed` comes behind the first two numbers.

    One part is done by who calls. For several all of torch's threads come, however few the parts: a smaller team would
    be torn down, and built again for torch's next operation.
    """
    given = np.array([0, parts, *needed], np.int64)
    address = given.ctypes.data
    parallel = _openmp() if parts > 1 else None
    if parallel is not None:
        parallel(loop.address, address, max(torch.get_num_threads(), 2), 0)
        return
    helpers = min(parts - 1, MOST_HELPERS)
    if helpers and helpers not in _helpers:
        _helpers[helpers] = ThreadPoolExecutor(helpers, "parts")
    waiting = [_helpers[helpers].submit(loop.ctypes, address) for _ in range(helpers)]
    try:
        loop.ctypes(address)
    finally:  # nobody may still be writing when what is written to is given back
        wait(waiting)


@cache
def _openmp() -> Any:
    """GOMP_parallel(function, its argument, threads, 0) of the library that torch runs on; none where there is none."""
    if _forked:
        return None
    with suppress(OSError):  # no /proc but on Linux
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text(errors="replace").splitlines()}
        found = sorted(path for path in loaded if Path(path).name.startswith(("libgomp", "libomp", "libiomp")))
        of_torch = [path for path in found if "/torch/" in path] or found
        if len(of_torch) == 1:
            with suppress(AttributeError):
                parallel = ctypes.CDLL(of_torch[0]).GOMP_parallel
                parallel.argtypes, parallel.restype = [ctypes.c_void_p] * 2 + [ctypes.c_uint] * 2, None
                return parallel
    return None


@typed
def take_part(typing_context, given):  # type: ignore[no-untyped-def]
    """The next part's number, which no other thread gets."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        numbers = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", numbers, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(given), code


@typed
def _pointer_to(typing_context, address):  # type: ignore[no-untyped-def]
    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), code


@cast(Any, numba.njit)(inline="always")
def array_at(address, shape, dtype):  # type: ignore[no-untyped-def]
    """The array that begins at an address and lies there without gaps."""
    return numba.carray(_pointer_to(address), shape, dtype)


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
