"""Memory that a step has freed is there for the next one, and can be given back."""

import sys

import pytest
from conftest import subprocess_of

FAULTS = """
import resource
import numpy as np
from tenfold.ops.heap import give_back_freed_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [np.ones(size, np.uint8) for size in (40 << 20, 3 << 20, 50 << 20)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
keep_freed_memory()
faults()
kept = faults()
give_back_freed_memory()
print(usual, kept, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's heap can be told")
def test_freed_memory_is_kept_and_given_back():
    code, output = subprocess_of("-c", FAULTS)
    usual, kept, again = map(int, output.split()[-3:])
    assert code == 0 and kept * 20 < usual and kept * 2 < again, output
