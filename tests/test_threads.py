"""A loop shared out: every part is done once, through OpenMP and without it."""

import numba
import numpy as np
import pytest
import torch
from conftest import subprocess_of

from tenfold.ops import threads
from tenfold.ops.threads import addresses, array_at, share_out, take_part


@numba.cfunc(numba.types.void(numba.types.voidptr))
def count_parts(given):
    n = numba.carray(given, (3,), np.int64)
    done = array_at(n[2], (n[1],), np.float32)
    part = take_part(n)
    while part < n[1]:
        done[part] += 1
        part = take_part(n)


@pytest.mark.parametrize("parts", [1, 2, 7, 100_000])
@pytest.mark.parametrize("openmp", [True, False])
def test_every_part_is_done_once(parts, openmp, monkeypatch):
    if not openmp:
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    elif threads._openmp() is None:
        pytest.skip("this torch does not run on a library of OpenMP that is known here")
    monkeypatch.setattr(threads, "MOST_HELPERS", 3)
    done = torch.zeros(parts)
    for _ in range(20):
        share_out(count_parts, parts, *addresses(done))
    assert (done == 20).all()


FORKED = """
import os, torch
from test_threads import count_parts
from tenfold.ops.threads import addresses, share_out
done = torch.zeros(2)
share_out(count_parts, 2, *addresses(done))
child = os.fork()
share_out(count_parts, 2, *addresses(done))
assert (done == 2).all()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""


def test_a_forked_child_does_not_wait_for_threads_that_it_has_not():
    code, told = subprocess_of("-c", FORKED)
    assert code == 0, told


def test_what_has_gaps_has_no_address():
    with pytest.raises(AssertionError):
        addresses(torch.zeros(4, 4)[:, :2])
