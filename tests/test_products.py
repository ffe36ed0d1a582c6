import pytest
import torch

from tenfold.ops import products
from tenfold.ops.products import WORTHWHILE, linear, product


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
