"""Cross entropy by the best of several vectors, against its definition. All sizes differ."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.errors import ShapeError
from tenfold.ops import interest_cross_entropy as module
from tenfold.ops.interest_cross_entropy import interest_cross_entropy, interest_cross_entropy_reference

N, K, D, V, FIRST = 37, 3, 5, 11, 2


def draw(dtype=torch.double):
    torch.manual_seed(0)
    f, own, table = torch.randn(N, K, D, dtype=dtype), torch.randn(N, dtype=dtype), torch.randn(V, D, dtype=dtype)
    return [x.requires_grad_() for x in (f, own, table)], torch.randint(FIRST, V, (N,))


@pytest.mark.parametrize("numbers", [1, 300, 1 << 21])
def test_value_and_gradients_equal_the_reference(numbers, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_NUMBERS", numbers)
    inputs, target = draw()
    slow = interest_cross_entropy_reference(*inputs, target, first=FIRST)
    fast = interest_cross_entropy(*inputs, target, first=FIRST)
    assert_close(fast, slow)
    assert_close(torch.autograd.grad(3 * fast, inputs), torch.autograd.grad(3 * slow, inputs))


def test_half_precision_sums_in_float32():
    inputs, target = draw()
    half = [x.detach().bfloat16().requires_grad_() for x in inputs]
    found = interest_cross_entropy(*half, target, first=FIRST)
    assert found.dtype == torch.float32
    assert_close(found, interest_cross_entropy_reference(*(x.float() for x in half), target, first=FIRST))
    assert all(g.dtype == torch.bfloat16 for g in torch.autograd.grad(found, half))


def test_shapes_that_disagree_are_named():
    (f, own, table), target = draw()
    with pytest.raises(ShapeError, match=r"found f \(37, 3, 5\), own \(36,\), table \(11, 5\), target \(37,\)"):
        interest_cross_entropy(f, own[1:], table, target)
