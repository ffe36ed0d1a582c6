"""What a gated cell does elementwise, with a gradient written down, against its definition."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.errors import ShapeError
from tenfold.ops.gated_mix import gated_mix, gated_mix_reference

B, K, D = 2, 3, 5


def draw(dtype=torch.double):
    torch.manual_seed(0)
    new, old, memory = torch.randn(B, K, 3 * D), torch.randn(B, K, 3 * D), torch.randn(B, K, D)
    return [x.to(dtype).requires_grad_() for x in (new, old, memory, torch.rand(B, K, 1))]


def test_output_and_gradients_equal_the_definition():
    inputs = draw()
    fast, slow = gated_mix(*inputs), gated_mix_reference(*inputs)
    assert_close(fast, slow)
    weight = torch.randn(B, K, D, dtype=torch.double)
    assert_close(torch.autograd.grad((fast * weight).sum(), inputs), torch.autograd.grad((slow * weight).sum(), inputs))
    assert torch.autograd.gradcheck(gated_mix, inputs)
    with torch.no_grad():
        assert_close(gated_mix(*inputs), slow)


def test_it_is_torchs_cell_and_what_did_not_move_stays():
    new, old, memory, _ = draw()
    cell = torch.nn.GRUCell(3 * D, D).double()
    with torch.no_grad():  # its input is `new` itself, and its state's products are `old`
        cell.weight_ih.copy_(torch.eye(3 * D))
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
        old = memory @ cell.weight_hh.T
        wanted = cell(new.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        assert_close(gated_mix(new, old, memory, torch.ones(B, K, 1, dtype=torch.double)), wanted)
        assert torch.equal(gated_mix(new, old, memory, torch.zeros(B, K, 1, dtype=torch.double)), memory)


def test_inputs_are_left_as_they_are_and_gradients_may_be_asked_twice():
    inputs = draw(torch.float32)
    before = [x.detach().clone() for x in inputs]
    loss = gated_mix(*inputs).square().sum()
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, torch.autograd.grad(loss, inputs), strict=True))
    assert all(torch.equal(x, was) for x, was in zip(inputs, before, strict=True))


def test_shapes_that_disagree_are_named():
    new, old, memory, moved = draw()
    with pytest.raises(ShapeError, match=r"found \(2, 3, 10\), \(2, 3, 15\) and \(2, 3, 1\)"):
        gated_mix(new[..., :10], old, memory, moved)
    with pytest.raises(ShapeError, match=r"and \(2, 3\)"):
        gated_mix(new, old, memory, moved[..., 0])
