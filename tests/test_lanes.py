"""Each function of ops/lanes.py against numpy, for lanes that fill registers and lanes that do not."""

import numba
import numpy as np
import pytest

from tenfold.ops.lanes import above, load, one_hot, store, total, zeros


@pytest.mark.parametrize("width", [1, 3, 16, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_numpy(width, dtype):
    @numba.njit
    def all_of_them(x, y, found, place, least):
        a, b = load(x, (1, 2), width), load(y, (), width)
        store(found, (0,), a + b)
        store(found, (1,), a - b)
        store(found, (2,), a * b)
        store(found, (3,), a * 2.5)
        store(found, (4,), one_hot(place, a))
        store(found, (5,), above(a, least))
        store(found, (6,), zeros(a))
        found[7, 0] = total(a)

    rng = np.random.default_rng(width)
    x, y = rng.normal(size=(2, 3, width)).astype(dtype), rng.normal(size=width).astype(dtype)
    found = np.full((8, width), np.nan, dtype)
    place, a = width // 2, x[1, 2]
    all_of_them(x, y, found, place, dtype(0.1))
    wanted = [a + y, a - y, a * y, a * dtype(2.5), np.eye(width)[place], np.where(a > 0.1, a, 0), np.zeros(width)]
    np.testing.assert_allclose(found[:7], wanted, rtol=1e-6)
    np.testing.assert_allclose(found[7, 0], a.sum(), rtol=1e-5)


def test_what_is_not_a_number_stays_so():
    @numba.njit
    def kept(x, least):
        store(x, (0,), above(load(x, (0,), 4), least))

    x = np.array([[np.nan, 1, 0.5, -np.inf]], np.float32)
    kept(x, np.float32(0.7))
    np.testing.assert_array_equal(x, [[np.nan, 1, 0, 0]])


def test_a_row_whose_numbers_lie_apart_is_refused():
    @numba.njit
    def first(x):
        return total(load(x, (0,), 4))

    with pytest.raises(numba.TypingError):
        first(np.zeros((4, 4), np.float32).T)
