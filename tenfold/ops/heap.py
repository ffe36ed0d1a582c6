"""The C library's heap, as training wants it: what a step has freed is kept for the next one.

glibc gives large blocks back to the system when they are freed. The next step takes them again, page by page, and in a
step of a few milliseconds that can cost as much as its products. Elsewhere than in glibc these functions do nothing.
"""

import ctypes
from contextlib import suppress
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's names for them, malloc.h
KEPT = 512 << 20  # bytes free at the heap's end before some go back
OWN_MAPPING = 256 << 20  # bytes from which on a block is mapped by itself, and goes back when it is freed


def keep_freed_memory() -> None:
    """For this process from now on: at most KEPT bytes more are held than are used, apart from gaps."""
    with suppress(OSError, AttributeError):
        libc: Any = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, OWN_MAPPING)
        libc.mallopt(TRIM_THRESHOLD, KEPT)


def give_back_freed_memory() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
