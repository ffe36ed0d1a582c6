"""How the shop's loops are compiled: once, and kept for the next process, as long as no source file has changed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from numba import njit

_HERE = Path(__file__).parent


def _forget_stale() -> None:
    """numba looks at a function's own file only; what it inlined from another would stay as it was."""
    with suppress(OSError):  # a folder that cannot be written to holds no cache of ours
        changed = max(path.stat().st_mtime for path in _HERE.glob("*.py"))
        for index in (_HERE / "__pycache__").glob("*.nbi"):
            if index.stat().st_mtime < changed:
                index.unlink(missing_ok=True)


_forget_stale()


def loop(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls."""
    return _compile(function)


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call: without a way in from Python it takes half the time."""
    return _compile(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compile(function: Callable[..., Any], **how: bool) -> Any:
    compiler = cast(Any, njit)
    try:
        return compiler(cache=True, error_model="numpy", **how)(function)
    except RuntimeError:  # there is nowhere to keep it
        return compiler(error_model="numpy", **how)(function)
