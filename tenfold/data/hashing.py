"""Random numbers without a generator's state: a hash of what the number is for.

splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014), which passes BigCrush as a counter's hash. The numbers
depend on their keys only: not on the batch, the process, the order, or how many were drawn before.
"""

import numpy as np
from numba import njit

STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


@njit(cache=True, nogil=True, inline="always")
def mixed(key, value):  # type: ignore[no-untyped-def]
    """A new key from a key and a whole number."""
    x = (np.uint64(key) ^ (np.uint64(value) * STEP)) + STEP
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def below(key, count):  # type: ignore[no-untyped-def]
    """0 .. count - 1 from a key's first 53 bits: uneven by less than count / 2^53."""
    return np.int64(np.float64(key >> np.uint64(11)) * 2.0**-53 * count)
