"""Random numbers without a generator's state: a hash (splitmix.py) of what the number is for.

They depend on their keys only: not on the batch, the process, the order, or how many were drawn before.
"""

import numpy as np
from numba import njit

from tenfold.splitmix import GOLDEN, mix


@njit(cache=True, nogil=True, inline="always")
def mixed(key, value):  # type: ignore[no-untyped-def]
    """A new key from a key and a whole number."""
    return mix((np.uint64(key) ^ (np.uint64(value) * GOLDEN)) + GOLDEN)


@njit(cache=True, nogil=True, inline="always")
def below(key, count):  # type: ignore[no-untyped-def]
    """0 .. count - 1 from a key's first 53 bits: uneven by less than count / 2^53."""
    return np.int64(np.float64(key >> np.uint64(11)) * 2.0**-53 * count)
