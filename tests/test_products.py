import pytest
import torch

from tenfold.ops import products
from tenfold.ops.products import WORTHWHILE, affine, linear, product


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_equals_the_plain_product(turned, dtype):
    torch.manual_seed(0)
    a, b = (torch.randn(x, y, dtype=torch.float64) for x, y in ((300, 100), (100, 90)))
    assert a.numel() * b.shape[1] > WORTHWHILE
    given = [x.T.to(dtype).contiguous().T if turn else x.to(dtype) for x, turn in zip((a, b), turned, strict=True)]
    found = product(*given)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), a @ b, rtol=0, atol={torch.bfloat16: 0.5}.get(dtype, 2e-5))


def test_goes_on_where_torch_does_not_offer_the_quick_one(monkeypatch):
    monkeypatch.setattr(products, "_through_onednn", lambda: None)
    a, b = torch.randn(300, 100), torch.randn(100, 90)
    torch.testing.assert_close(product(a, b), a @ b)


def test_a_function_that_answers_something_else_is_not_used(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", lambda x, w, *rest: x @ w.T + 1, raising=False)
    products._through_onednn.cache_clear()
    try:
        assert products._through_onednn() is None
    finally:
        products._through_onednn.cache_clear()


def test_a_linear_map_and_its_gradients():
    torch.manual_seed(0)
    x, weight = torch.randn(300, 100, requires_grad=True), torch.randn(90, 100, requires_grad=True)
    wanted = torch.randn(300, 90)
    found, expected = linear(x, weight), x @ weight.T
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    gradients = (torch.autograd.grad((y * wanted).sum(), (x, weight)) for y in (found, expected))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-4)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("inner, outer", [(96, 120), (120, 96)])
def test_an_affine_map_and_its_gradients(relu, biased, inner, outer):
    """Against float64, for more axes than two; without a gradient it is the same."""
    torch.manual_seed(0)
    x, weight = torch.randn(8, 100, inner, requires_grad=True), torch.randn(outer, inner, requires_grad=True)
    bias = torch.randn(outer, requires_grad=True) if biased else None
    given = [each for each in (x, weight, bias) if each is not None]
    wanted = torch.randn(8, 100, outer)
    found = affine(x, weight, bias, relu=relu)
    expected = torch.nn.functional.linear(*(each.double() for each in given))
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=3e-5)
    assert found.grad_fn.name() == "ViewBackward0" or products._through_onednn() is None
    mine, theirs = (torch.autograd.grad((y * wanted).sum(), given) for y in (found, expected))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
    with torch.no_grad():
        assert torch.equal(affine(x, weight, bias, relu=relu), found)
    (alone,) = torch.autograd.grad((affine(x.detach(), weight, bias, relu=relu) * wanted).sum(), weight)
    assert torch.equal(alone, mine[1])


def test_an_affine_map_where_nothing_is_gained():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 5, dtype=torch.float64), torch.randn(4, 5).double(), torch.randn(4).double()
    torch.testing.assert_close(affine(x, weight, bias, relu=True), (x @ weight.T + bias).relu())
    assert affine(torch.zeros(0, 5), torch.randn(4, 5)).shape == (0, 4)
