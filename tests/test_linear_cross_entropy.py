"""Cross entropy without the logits, against its definition. All sizes differ."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.errors import ShapeError
from tenfold.ops.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_reference

V, D = 13, 5


def draw(rows, dtype=torch.double):
    torch.manual_seed(rows)
    h, table = torch.randn(rows, D, dtype=dtype), torch.randn(V, D, dtype=dtype)
    return h.requires_grad_(), table.requires_grad_(), torch.randint(0, V, (rows,))


@pytest.mark.parametrize("rows", [1, 6, 7, 8, 21, 50])
@pytest.mark.parametrize("first", [0, 1, 4])
@pytest.mark.parametrize("chunk", [None, 7])
def test_loss_and_gradients_equal_the_reference(rows, first, chunk):
    h, table, target = draw(rows)
    target[-1] = V - 1
    fast = linear_cross_entropy(h, table, target, first=first, chunk=chunk)
    slow = linear_cross_entropy_reference(h, table, target, first=first)
    assert_close(fast, slow)
    found, expected = (torch.autograd.grad(3.7 * each.square(), (h, table)) for each in (fast, slow))
    assert_close(found, expected)
    assert found[1][:first].count_nonzero() == 0 and found[0][target < first].count_nonzero() == 0


def test_gradients_by_finite_differences():
    h, table, target = draw(9)
    assert torch.autograd.gradcheck(lambda *x: linear_cross_entropy(*x, target, first=1, chunk=4), (h, table))


@pytest.mark.parametrize("learns", ["h", "table", "neither"])
def test_only_what_learns_has_a_gradient(learns):
    h, table, target = draw(11)
    h.requires_grad_(learns == "h")
    table.requires_grad_(learns == "table")
    loss = linear_cross_entropy(h, table, target)
    assert loss.requires_grad == (learns != "neither")
    if learns != "neither":
        loss.backward()
        whole = dict(zip(("h", "table"), draw(11), strict=False))
        linear_cross_entropy_reference(**whole, target=target).backward()
        for name, given in (("h", h), ("table", table)):
            assert (given.grad is not None) == (name == learns)
            if name == learns:
                assert_close(given.grad, whole[name].grad)
    with torch.no_grad():
        assert_close(linear_cross_entropy(h, table, target), loss.detach())


def test_backward_twice_gives_the_same_twice():
    h, table, target = draw(11)
    loss = linear_cross_entropy(h, table, target, chunk=4)
    first = torch.autograd.grad(loss, (h, table), retain_graph=True)
    assert_close(torch.autograd.grad(loss, (h, table)), first, rtol=0, atol=0)


def test_repeats_bit_for_bit():
    results = []
    for _ in range(2):
        h, table, target = draw(50, torch.float32)
        linear_cross_entropy(h, table, target, chunk=8).backward()
        results.append((h.grad, table.grad))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_logits_that_exp_cannot_hold():
    h, table, target = draw(10, torch.float32)
    h, table = (h * 40).detach().requires_grad_(), (table * 40).detach().requires_grad_()
    loss = linear_cross_entropy(h, table, target, chunk=3)
    assert loss.isfinite() and (h.detach() @ table.detach().T).max() > 100
    assert_close(loss, linear_cross_entropy_reference(h.double(), table.double(), target).float())
    loss.backward()
    assert h.grad.isfinite().all() and table.grad.isfinite().all()


def test_half_precision_sums_in_float32():
    """The mean loss of many equal rows: a bfloat16 sum stops growing long before."""
    h, table = torch.zeros(5000, D, dtype=torch.bfloat16), torch.zeros(V, D, dtype=torch.bfloat16)
    loss = linear_cross_entropy(h, table, torch.zeros(5000, dtype=torch.int64))
    assert loss.dtype == torch.float32
    assert_close(loss / 5000, torch.tensor(float(V)).log())


def test_autocast():
    h, table, target = draw(300, torch.float32)
    expected = linear_cross_entropy_reference(h, table, target, first=1)
    wanted = torch.autograd.grad(expected, (h, table))
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(h, table, target, first=1, chunk=16)
    found = torch.autograd.grad(loss, (h, table))
    assert loss.dtype == torch.float32 and [each.dtype for each in found] == [torch.float32, torch.float32]
    assert_close(loss, expected, rtol=0.01, atol=0)
    assert_close(found, wanted, rtol=0.05, atol=0.1)
    assert (found[0] - wanted[0]).abs().max() > 1e-4  # the products were in bfloat16


def test_no_rows_or_only_padding_is_zero():
    h, table, _ = draw(4)
    for part, target in ((h[:0], torch.zeros(0, dtype=torch.int64)), (h, torch.zeros(4, dtype=torch.int64))):
        loss = linear_cross_entropy(part, table, target, first=1)
        assert loss.item() == 0.0
        assert torch.autograd.grad(loss, table)[0].count_nonzero() == 0


def test_what_does_not_fit_is_named():
    h, table, target = draw(6)
    with pytest.raises(ShapeError, match=r"found h \(6, 5\), table \(13, 4\), target \(6,\)"):
        linear_cross_entropy(h, table[:, :4], target)
    with pytest.raises(ShapeError, match=r"target \(5,\)"):
        linear_cross_entropy(h, table, target[:5])
    with pytest.raises(ShapeError, match="one of the table's 13; found 13"):
        linear_cross_entropy(h, table, target, first=13)
