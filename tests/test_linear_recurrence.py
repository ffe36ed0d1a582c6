"""The linear recurrence against its definition, and LRURec's unit against the paper's. All sizes differ."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.ops.linear_recurrence import linear_recurrence, linear_recurrence_reference
from tenfold.tasks.next_item.baselines.lrurec import LinearRecurrentUnit, LRURec, RecurrentNetwork

B, D = 3, 5
LENGTHS = [1, 2, 3, 4, 5, 9, 10, 16, 17, 33]  # squares and their neighbours: chunks are about as long as many


def draw(length, *, least=0.8, most=0.99, channels=D, batch=B, dtype=torch.complex128):
    """x, a and a state; the factors lie on a ring."""
    torch.manual_seed(length)
    a = torch.polar(
        torch.empty(channels, dtype=dtype.to_real()).uniform_(least, most),
        torch.rand(channels, dtype=dtype.to_real()) * 6.28,
    )
    x, state = torch.randn(batch, length, channels, dtype=dtype), torch.randn(batch, channels, dtype=dtype)
    return [each.requires_grad_() for each in (x, a, state)]


def scattered(length, batch=B):
    """Padding anywhere; one row begins with it, one ends with it."""
    keep = torch.rand(batch, length, generator=torch.Generator().manual_seed(4)) < 0.6
    keep[0, : length // 2], keep[1, -length // 3 :] = False, False
    return keep


def gradients(outputs, inputs):
    """Of a function that is no function of |h| alone: a wrong conjugate must show."""
    weight = torch.randn(D, dtype=torch.complex128, generator=torch.Generator().manual_seed(5))
    total = sum((o * weight).real.square().sum() + (o * weight).imag.sum() for o in outputs)
    return torch.autograd.grad(total, inputs)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded anywhere"])
@pytest.mark.parametrize("begun", [False, True], ids=["from nothing", "from a state"])
def test_outputs_and_gradients_equal_the_reference(length, padded, begun):
    x, a, state = draw(length)
    keep, before = scattered(length) if padded else None, state if begun else None
    fast, slow = (f(x, a, keep=keep, state=before) for f in (linear_recurrence, linear_recurrence_reference))
    assert_close(fast, slow)
    inputs = [x, a, state] if begun else [x, a]
    for part in (slice(0, 2), slice(0, 1), slice(1, 2)):  # both, h alone, the state alone
        again = [f(x, a, keep=keep, state=before)[part] for f in (linear_recurrence, linear_recurrence_reference)]
        assert_close(*(gradients(each, inputs) for each in again))


def test_torch_finds_the_same_gradients():
    x, a, state = draw(10)
    keep = scattered(10)
    assert torch.autograd.gradcheck(
        lambda *inputs: linear_recurrence(*inputs[:2], keep=keep, state=inputs[2]), (x, a, state)
    )


@pytest.mark.parametrize("cuts", [[13], [4, 8], list(range(1, 21))], ids=["two parts", "uneven", "event by event"])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded anywhere"])
def test_a_stream_equals_one_call(cuts, padded):
    x, a, state = draw(21)
    keep, outputs, last = scattered(21) if padded else torch.ones(B, 21, dtype=torch.bool), [], state
    for part, kept in zip(x.tensor_split(cuts, 1), keep.tensor_split(cuts, 1), strict=True):
        h, last = linear_recurrence(part, a, keep=kept, state=last)
        outputs.append(h)
    stream, whole = (torch.cat(outputs, 1), last), linear_recurrence(x, a, keep=keep, state=state)
    assert_close(stream, whole)
    assert_close(*(gradients(each, [x, a, state]) for each in (stream, whole)))


def test_padding_is_skipped():
    x, a, state = draw(17)
    keep = scattered(17)
    h, last = linear_recurrence(x, a, keep=keep, state=state)
    for user in range(B):
        alone, end = linear_recurrence(x[user, keep[user]].unsqueeze(0), a, state=state[user : user + 1])
        assert_close(h[user, keep[user]], alone[0])
        assert_close(last[user], end[0])
    assert_close(h[0, : 17 // 2], state[0].expand(17 // 2, -1))  # nothing has happened yet


def test_a_long_memory_is_exact_in_single_precision():
    x, a, _ = draw(5000, least=0.9999, most=0.999999, channels=7, batch=2, dtype=torch.complex64)
    exact = [each.detach().to(torch.complex128).requires_grad_() for each in (x, a)]
    fast, slow = linear_recurrence(x, a), linear_recurrence_reference(*exact)
    scale = slow[0].detach().abs().amax().item()
    assert_close(fast[0], slow[0].to(torch.complex64), rtol=0, atol=3e-6 * scale)
    found, expected = (torch.autograd.grad(h.real.sum(), each) for (h, _), each in ((fast, (x, a)), (slow, exact)))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other.to(torch.complex64), rtol=0, atol=1e-5 * other.abs().amax().item())


def test_shapes_that_disagree_are_named():
    x, a, state = draw(4)
    with pytest.raises(ShapeError, match=r"found x \(3, 4, 5\) of torch.complex128, a \(4,\) of torch.complex128"):
        linear_recurrence(x, a[1:])
    with pytest.raises(ShapeError, match=r"complex and of one dtype; found x \(3, 4, 5\) of torch.float64"):
        linear_recurrence(x.real, a)
    with pytest.raises(ShapeError, match=r"L >= 1"):
        linear_recurrence(x[:, :0], a)
    with pytest.raises(ShapeError, match=r"keep \(B, L\) = \(3, 4\) of bool; found \(3, 4, 1\)"):
        linear_recurrence(x, a, keep=scattered(4).unsqueeze(-1))
    with pytest.raises(ShapeError, match=r"state must be \(B, D\) = \(3, 5\); found \(2, 5\)"):
        linear_recurrence(x, a, state=state[1:])


# The unit and the network of LRURec.

L, DIM = 11, 6


def unit(**ring):
    torch.manual_seed(1)
    return LinearRecurrentUnit(DIM, **{"r_min": 0.8, "r_max": 0.99, **ring}).double()


def sequence():
    torch.manual_seed(2)
    return torch.randn(B, L, DIM, dtype=torch.double, requires_grad=True)


def test_the_unit_equals_the_papers_in_complex_numbers():
    """y = Re(C h), h_l = lambda h_{l-1} + gamma (B x_l) with complex B and C, as in the public code's LRULayer."""
    layer, x = unit(), sequence()
    decay = torch.exp(torch.complex(-layer.nu_log.exp(), layer.theta_log.exp()))
    real, imaginary = layer.inner.weight[::2], layer.inner.weight[1::2]
    bias = torch.complex(layer.inner.bias[::2], layer.inner.bias[1::2])
    inner = (x.to(torch.complex128) @ torch.complex(real, imaginary).T + bias) * layer.gamma_log.exp()
    h = torch.stack([sum(decay ** (end - j) * inner[:, j] for j in range(end + 1)) for end in range(L)], 1)
    outer = torch.complex(layer.outer.weight[:, ::2], -layer.outer.weight[:, 1::2])
    assert_close(layer(x)[0], (h @ outer.T).real + layer.outer.bias)


def test_factors_start_on_the_ring_and_keep_the_size_of_their_input():
    torch.manual_seed(3)
    layer = LinearRecurrentUnit(4000, r_min=0.3, r_max=0.9)
    radius2 = (-2 * layer.nu_log.exp()).exp()
    assert 0.09 <= radius2.min() < 0.092 and 0.808 < radius2.max() <= 0.81 + 1e-6
    assert abs(radius2.mean().item() - 0.45) < 5 * 0.72 / (12 * 8000) ** 0.5  # uniform in the square
    assert abs(layer.theta_log.exp().mean().item() - torch.pi) < 5 * 2 * torch.pi / (12 * 8000) ** 0.5
    assert_close(layer.gamma_log.exp().square(), 1 - radius2)


@pytest.mark.parametrize("cuts", [[4], list(range(1, L))], ids=["two parts", "event by event"])
def test_the_unit_carries_its_state(cuts):
    layer, x, keep, outputs, state = unit(), sequence(), scattered(L), [], None
    for part, kept in zip(x.tensor_split(cuts, 1), keep.tensor_split(cuts, 1), strict=True):
        y, state = layer(part, kept, state)
        outputs.append(y)
    whole, last = layer(x, keep)
    assert_close((torch.cat(outputs, 1)[keep], state), (whole[keep], last))
    assert state.shape == (B, 2 * DIM, 2) and not state.is_complex()
    stream = torch.cat(outputs, 1)
    inputs = [x, *layer.parameters()]
    assert_close(*(torch.autograd.grad(y[keep].pow(3).sum(), inputs) for y in (stream, whole)))


def test_the_unit_in_half_precision():
    layer, x = unit().float(), sequence().detach().float()
    expected, _ = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = layer(x)
        assert_close(y.float(), expected, rtol=0.05, atol=0.05)
        y, _ = layer(x, None, state)
    assert state.dtype == torch.float32
    y.float().square().sum().backward()
    assert all(w.grad.isfinite().all() for w in layer.parameters())
    assert layer.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16


def test_a_network_is_the_same_in_a_stream_and_blind_to_padding():
    torch.manual_seed(6)
    network = RecurrentNetwork(9, dim=DIM, layers=3, dropout=0.3, r_min=0.8, r_max=0.99).double().eval()
    history = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 0, 0, 0, 0, 0]])
    whole, last = network(history)
    first, state = network(history[:, :5])
    then, state = network(history[:, 5:], state)
    assert_close(torch.cat((first, then), 1)[history != 0], whole[history != 0])
    assert_close(state, last)
    alone, own = network(history[1:, :3])
    assert_close(whole[1, :3], alone[0])
    following = torch.tensor([[7, 2]])
    assert_close(network(following, [each[1:] for each in last])[0], network(following, own)[0])
    network.train()
    torch.manual_seed(7)
    dropped = network(history)[0]
    assert not torch.equal(dropped, whole) and not torch.equal(dropped, network(history)[0])


def test_the_network_is_built_as_the_public_code_builds_it():
    network = RecurrentNetwork(9, dim=8, layers=2, dropout=0.1, r_min=0.8, r_max=0.99)
    assert [block.pre for block in network.blocks] == [False, False]
    assert network.blocks[0].feed_forward.inner.weight.shape == (32, 8)
    assert isinstance(network.blocks[0].feed_forward.activation, nn.GELU)
    assert network.item.weight[0].count_nonzero() == 0
    for name, weight in network.named_parameters():
        if "norm" not in name and "log" not in name:
            assert weight.abs().max() <= 0.04 and weight.std() > 0.005, name


def test_the_network_equals_its_equations():
    network = RecurrentNetwork(9, dim=8, layers=2, dropout=0.1, r_min=0.8, r_max=0.99).double().eval()
    history = torch.tensor([[3, 1, 4, 1, 5]])
    x = F.layer_norm(network.item.weight[history], (8,))
    for block in network.blocks:
        x = F.layer_norm(x + block.attention(x)[0], (8,))
        x = F.layer_norm(x + block.feed_forward.outer(F.gelu(block.feed_forward.inner(x))), (8,))
    assert_close(network(history)[0], x)


def test_a_ring_that_is_none_is_refused(events):
    with pytest.raises(OptionError, match=r"r_min <= r_max; found r_min 0\.9 and r_max 0\.8"):
        LRURec(LRURec.tiny).set_params(r_min=0.9, r_max=0.8).fit(events, max_epochs=1)
