"""splitmix64 (Steele, Lea and Flood, OOPSLA 2014), read at any place: its n-th value is mix(seed + n GOLDEN).

So a random number is a function of what it is for, not of the numbers drawn before. It passes BigCrush as a counter's
hash. Inside compiled loops `mix` takes a uint64; outside them an array of uint64 as well.
"""

import numpy as np
from numba.extending import register_jitable

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S11, S27, S30, S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


@register_jitable  # type: ignore[untyped-decorator]
def mix(x):  # type: ignore[no-untyped-def]
    """The finaliser: a bijection of 64 bits that hides all structure of its input."""
    x = (x ^ (x >> S30)) * FIRST
    x = (x ^ (x >> S27)) * SECOND
    return x ^ (x >> S31)


@register_jitable  # type: ignore[untyped-decorator]
def to_unit(word):  # type: ignore[no-untyped-def]
    """A number in [0, 1) from a word's first 53 bits."""
    return (word >> S11) * 2.0**-53
