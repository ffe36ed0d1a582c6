"""Every attention layer of the table: streams equal batches, padding changes nothing, the future is not seen.

All sizes differ. Local attention and random features against their definitions; the others' are tested with their ops.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import ATTENTIONS, attention
from tenfold.nn.lisa import LisaAttention
from tenfold.ops import local_attention as local
from tenfold.ops.causal_attention import causal_attention_reference
from tenfold.ops.local_attention import local_attention, local_attention_reference

B, L, DIM, HEADS = 3, 17, 10, 2
SETTINGS = {
    "local": {"window": 5},
    "random-feature": {"features": 7},
    "key-quantised": {"codewords": 6},
    "lisa": {"codewords": 6},
    "lisa+recent": {"codewords": 6, "recent": 4},
}
every_layer = pytest.mark.parametrize("name", ATTENTIONS)


def build(name, **settings):
    torch.manual_seed(1)
    return attention(name, DIM, HEADS, **{**SETTINGS.get(name, {}), **settings}).double()


def events(length=L, batch=B):
    torch.manual_seed(length)
    return torch.randn(batch, length, DIM, dtype=torch.double, requires_grad=True)


def inner(layer):
    """The weights that queries, keys and values come from: LISA projects its codewords, the others their input."""
    return layer.attention.value if isinstance(layer, LisaAttention) else layer.qkv.weight


def scattered(length=L, batch=B):
    """Padding anywhere; each row has its own number of real events."""
    keep = torch.rand(batch, length, generator=torch.Generator().manual_seed(4)) < 0.6
    keep[0, : length // 2], keep[1, -length // 3 :] = False, False
    return keep


def stream(layer, x, keep, cuts, state=None):
    outputs = []
    for part, kept in zip(x.tensor_split(cuts, 1), keep.tensor_split(cuts, 1), strict=True):
        y, state = layer(part, kept, state)
        outputs.append(y)
    return torch.cat(outputs, 1), state


def gradients(y, keep, inputs):
    return torch.autograd.grad((y * keep.unsqueeze(-1)).square().sum(), inputs)


@every_layer
@pytest.mark.parametrize("cuts", [[6], [1, 4, 11], list(range(1, L))], ids=["two parts", "uneven", "event by event"])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded anywhere"])
def test_a_stream_equals_one_call(name, cuts, padded):
    layer, x = build(name), events()
    keep = scattered() if padded else torch.ones(B, L, dtype=torch.bool)
    inputs = [x, *layer.parameters()]
    (whole, state), (parts, last) = layer(x, keep), stream(layer, x, keep, cuts)
    assert_close(parts[keep], whole[keep])
    assert_close(gradients(parts, keep, inputs), gradients(whole, keep, inputs))
    following = events(4)
    assert_close(layer(following, None, last)[0], layer(following, None, state)[0])


@every_layer
@pytest.mark.parametrize("cuts", [[], [5, 9]], ids=["one call", "a stream"])
def test_padding_changes_nothing(name, cuts):
    """Each user alone, without padding, gives what the padded batch gives, gradients and what follows included."""
    layer, x, keep = build(name), events(), scattered()
    y, state = stream(layer, x, keep, cuts)
    weight = torch.randn(B, L, DIM, dtype=torch.double)
    found = torch.autograd.grad((y * weight)[keep].sum(), x)[0]
    assert found[~keep].count_nonzero() == 0
    following, _ = layer(events(3), torch.ones(B, 3, dtype=torch.bool), state)
    for user in range(B):
        alone = x[user, keep[user]].unsqueeze(0)
        expected, own = layer(alone)
        assert_close(y[user, keep[user]], expected[0])
        expected_gradient = torch.autograd.grad((expected[0] * weight[user, keep[user]]).sum(), alone)[0]
        assert_close(found[user, keep[user]], expected_gradient[0])
        assert_close(following[user], layer(events(3)[user : user + 1], None, own)[0][0])


@every_layer
def test_right_padding_needs_no_keep(name):
    layer, x = build(name), events()
    keep = torch.arange(L) < torch.tensor([[L], [L - 1], [4]])
    assert_close(layer(x)[0][keep], layer(x, keep)[0][keep])


@every_layer
def test_a_user_with_nothing_but_padding_is_no_number_problem(name):
    layer, x = build(name), events()
    keep = scattered()
    keep[2] = False
    y, state = layer(x, keep)
    assert y.isfinite().all() and all(g.isfinite().all() for g in gradients(y, keep, [x, *layer.parameters()]))
    fresh = events(2)
    assert_close(layer(fresh, None, state)[0][2], layer(fresh)[0][2])


@every_layer
def test_no_event_sees_the_future(name):
    layer, x = build(name), events()
    later = x.detach().clone()
    later[:, 9:] = 50 * torch.randn(B, L - 9, DIM, dtype=torch.double)
    assert_close(layer(later)[0][:, :9], layer(x)[0][:, :9], rtol=0, atol=1e-12)


@every_layer
def test_every_head_and_projection_matters(name):
    layer, x = build(name), events()
    for gradient in gradients(layer(x)[0], torch.ones(B, L), [x, inner(layer), layer.out.weight]):
        assert (gradient.abs().sum(-1) > 0).all()


@every_layer
def test_dropout_is_for_training_and_repeats_with_the_seed(name):
    layer, plain, x = build(name, dropout=0.4), build(name), events()
    assert_close(layer.eval()(x)[0], plain(x)[0])
    layer.train()
    torch.manual_seed(3)
    first, second = layer(x)[0], layer(x)[0]
    torch.manual_seed(3)
    assert torch.equal(layer(x)[0], first) and not torch.equal(first, second)
    repeated = events(L, 1).expand(4000, -1, -1).detach()  # the mean over masks is near what is without dropout
    one, mean = plain(repeated[:1])[0][0], layer(repeated)[0].detach()
    assert ((mean.mean(0) - one).abs() < 5 * mean.std(0) / 4000**0.5 + 1e-9).all()


@every_layer
def test_half_precision_and_autocast(name):
    layer, x = build(name, dropout=0.1).float(), events().detach().float()
    expected, keep = layer.eval()(x)[0], scattered()
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(layer(x)[0].float(), expected, rtol=0.05, atol=0.05)
        layer.train()
        y, state = layer(x, keep)
        y, _ = layer(x, keep, state)
    y.float().square().sum().backward()
    assert inner(layer).grad.isfinite().all()
    assert layer.bfloat16()(x.bfloat16(), keep)[0].dtype == torch.bfloat16


@every_layer
def test_what_does_not_fit_is_named(name):
    layer = build(name)
    with pytest.raises(ShapeError, match=r"x \(B, L >= 1, d = 10\); found \(3, 17, 9\)"):
        layer(events()[..., :9])
    with pytest.raises(ShapeError, match=r"keep \(B, L\) = \(3, 17\) of bool; found \(3, 17, 1\)"):
        layer(events(), scattered().unsqueeze(-1))
    if isinstance(layer, LisaAttention):  # its heads are codebooks, each as wide as the input
        assert attention(name, DIM, 3)(events().float())[0].shape == (B, L, DIM)
        return
    with pytest.raises(OptionError, match="multiple of its heads; found width 10 and 3 heads"):
        attention(name, DIM, 3)


def test_names_and_settings_that_do_not_exist_are_refused():
    with pytest.raises(OptionError, match="no attention 'sofmax'; did you mean 'softmax'"):
        attention("sofmax", DIM, HEADS)
    with pytest.raises(OptionError, match="window >= 1; found 0"):
        attention("local", DIM, HEADS, window=0)
    with pytest.raises(OptionError, match="features >= 1; found 0"):
        attention("random-feature", DIM, HEADS, features=0)


def test_softmax_attention_equals_its_definition():
    layer, x = build("softmax"), events()
    qkv = layer.qkv(x).view(B, L, 3, HEADS, DIM // HEADS)
    assert_close(layer(x)[0], layer.out(causal_attention_reference(qkv).reshape(B, L, DIM)))
    multi = torch.nn.MultiheadAttention(DIM, HEADS, batch_first=True).double()
    multi.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.out.weight,
            "out_proj.bias": layer.out.bias,
        }
    )
    later = torch.ones(L, L).triu(1).bool()
    assert_close(layer(x)[0], multi(x, x, x, attn_mask=later, need_weights=False)[0])


def test_random_features_are_an_unbiased_estimate_of_the_softmax_kernel():
    """E_w[exp(w q + w k)] = exp(q k + (|q|^2 + |k|^2) / 2), where q k = a cos and |q|^2 = |k|^2 = a."""
    torch.manual_seed(2)
    layer = build("random-feature", features=100_000)
    q, k = (torch.randn(1, HEADS, count, DIM // HEADS, dtype=torch.double) for count in (7, 6))
    with torch.no_grad():
        layer.sharpness.copy_(torch.tensor([[[-1.0]], [[0.5]]]))
        products = (layer.exponents(q).unsqueeze(3) + layer.exponents(k).unsqueeze(2)).exp()  # (1, H, 7, 6, M)
    largest = math.sqrt(DIM // HEADS) / (1 + torch.tensor([1.0, -0.5], dtype=torch.double).exp()).view(HEADS, 1, 1)
    expected = torch.exp(largest * (1 + F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT))
    deviation = products.std(-1) / products.shape[-1] ** 0.5
    assert ((products.mean(-1) - expected).abs() < 4 * deviation).all()
    assert (deviation / expected).median() < 0.02  # near enough to tell a wrong kernel


def test_random_feature_attention_equals_its_definition():
    layer, x = build("random-feature"), events()
    q, k, v = layer.qkv(x).view(B, L, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
    largest = math.sqrt(DIM // HEADS) / (1 + math.exp(2))
    q, k = (F.normalize(each, dim=-1) * math.sqrt(largest) @ layer.directions.T for each in (q, k))
    weights = (q.unsqueeze(3) + k.unsqueeze(2)).exp().sum(-1).tril()  # (B, H, L, L)
    y = (weights / weights.sum(-1, keepdim=True)) @ v
    assert_close(layer(x)[0], layer.out(y.transpose(1, 2).flatten(2)), rtol=1e-4, atol=1e-5)


def test_random_directions_are_orthogonal_with_the_lengths_of_normal_vectors():
    directions = build("random-feature", features=4001).directions
    groups = F.normalize(directions[:4000], dim=1).unflatten(0, (-1, DIM // HEADS))
    assert_close(
        groups @ groups.mT, torch.eye(DIM // HEADS, dtype=torch.double).expand(len(groups), -1, -1), rtol=0, atol=1e-5
    )
    assert abs(directions.square().sum(1).mean().item() - DIM // HEADS) < 5 * math.sqrt(2 * 5 / 4001)


def test_random_features_of_huge_inputs_stay_numbers():
    layer = build("random-feature").float()
    y, _ = layer(1e4 * events().float())
    assert y.isfinite().all()


@pytest.mark.parametrize("window", [1, 2, 5, 18, 40])
@pytest.mark.parametrize("block", [None, 1, 4, 18])
def test_local_attention_equals_its_definition(window, block, monkeypatch):
    monkeypatch.setattr(local, "drop", lambda weights, p: weights)
    torch.manual_seed(window)
    q, k, v = (torch.randn(2, 3, 18, 4, dtype=torch.double, requires_grad=True) for _ in range(3))
    expected = local_attention_reference(q, k, v, window)
    for dropout in (0.0, 0.5):  # torch's attention, and weights written out so that they can be dropped
        y = local_attention(q, k, v, torch.ones(2, 18).bool(), window=window, dropout=dropout, block=block)
        assert_close(y, expected)
        found, wanted = (
            torch.autograd.grad(each.square().sum(), (q, k, v), retain_graph=True) for each in (y, expected)
        )
        assert_close(found, wanted)


def test_local_attention_continues_from_any_number_of_events_before():
    torch.manual_seed(5)
    q, k, v = (torch.randn(2, 3, 18, 4, dtype=torch.double) for _ in range(3))
    expected = local_attention_reference(q, k, v, 6)
    for before in (0, 2, 5, 11):
        y = local_attention(q[:, :, before:], k, v, torch.ones(2, 18).bool(), window=6)
        assert_close(y, expected[:, :, before:])


def test_states_of_constant_size():
    x = events()
    for name in ("linear", "random-feature", "local", "key-quantised"):
        layer = build(name)
        short, long = layer(x[:, :1])[1], layer(x)[1]
        sizes = [[part.shape for part in (each if isinstance(each, tuple) else (each,))] for each in (short, long)]
        assert sizes[0] == sizes[1]
