"""Products of ops/tiles.py against numpy, at sizes that fill tiles and sizes that do not."""

import numpy as np
import pytest

from tenfold.ops.tiles import BYTES, ROWS, add_transposed, packed, times, whole


def matrices(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (3, 5, 7), (16, 20, 64), (17, 3, 65)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_times_a_packed_matrix(rows, inner, columns, dtype):
    a, matrix = matrices(dtype, (whole(rows, ROWS), inner + 2), (columns, inner))
    y = np.full((rows + 3, columns), np.nan, dtype)
    times(a, rows, packed(matrix.T), y, 2)
    np.testing.assert_allclose(y[2:-1], a[:rows, :inner] @ matrix.T, rtol=1e-4, atol=1e-5)
    assert np.isnan(y[:2]).all() and np.isnan(y[-1]).all()


def test_where_the_matrix_ends_a_wider_answer_gets_zeros_up_to_the_tile():
    a, matrix = matrices(np.float32, (ROWS, 5), (5, 3))
    width = BYTES // 4
    y = np.full((ROWS, width + 4), np.nan, np.float32)
    times(a, ROWS, packed(matrix), y, 0)
    np.testing.assert_allclose(y[:, :3], a @ matrix, rtol=1e-4, atol=1e-5)
    assert (y[:, 3:width] == 0).all() and np.isnan(y[:, width:]).all()


@pytest.mark.parametrize(("count", "tiles"), [(1, (1, 1)), (13, (2, 3))])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_outer_products(count, tiles, dtype):
    j, m = tiles[0] * ROWS, tiles[1] * BYTES // np.dtype(dtype).itemsize
    a, b, before = matrices(dtype, (count + 1, j + 5), (count + 1, m + 3), (j, m))
    sums = before.copy()
    add_transposed(a, b, count, sums)
    np.testing.assert_allclose(sums, before + a[:count, :j].T @ b[:count, :m], rtol=1e-4, atol=1e-5)
