"""Attention with dropped weights against its definition, and the dropout under it. All sizes differ."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.ops import causal_attention as op
from tenfold.ops.causal_attention import causal_attention, causal_attention_reference
from tenfold.ops.dropout import dropout, kept, levels, lift, splitmix64, splitmix64_reference

B, H, D, BLOCK, P = 5, 2, 3, 4, 0.3


def draw(length, width=D, batch=B):
    torch.manual_seed(length)
    return torch.randn(batch, length, 3, H, width, dtype=torch.double)


def weights(length, seed):
    """What dropout multiplied each weight by, read through values that are the identity."""
    qkv = draw(length, width=length)
    qkv[:, :, 2] = torch.eye(length).unsqueeze(1)
    torch.manual_seed(seed)
    dropped = causal_attention(qkv, dropout=P, block=BLOCK).transpose(1, 2)  # (B, H, L, L)
    whole = causal_attention_reference(qkv).transpose(1, 2)
    return torch.where(whole > 0, dropped / whole, 0.0)


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 18])
def test_output_and_gradients_equal_the_reference_with_the_same_mask(length, monkeypatch):
    monkeypatch.setattr(op, "BLOCK_NUMBERS", 2 * BLOCK * length)  # several parts of the batch, the last one short
    weight = weights(length, seed=7)
    assert_close(weight[weight > 0], torch.full_like(weight[weight > 0], lift(P)))
    qkv, gradient = draw(length).requires_grad_(), torch.randn(B, length, H, D, dtype=torch.double)
    torch.manual_seed(7)
    fast, slow = causal_attention(qkv, dropout=P, block=BLOCK), causal_attention_reference(qkv, weight)
    assert_close(fast, slow)
    assert_close(torch.autograd.grad(fast, qkv, gradient), torch.autograd.grad(slow, qkv, gradient))


def test_weights_are_dropped_independently_with_their_probability():
    weight = weights(40, seed=1)
    causal = torch.ones(40, 40).tril().bool().expand(B, H, 40, 40)
    share = (weight[causal] == 0).double().mean().item()
    deviation = (P * (1 - P) / causal.sum().item()) ** 0.5
    assert abs(share - P) < 4 * deviation
    assert not torch.equal(weight[0, 0], weight[0, 1]) and not torch.equal(weight[0, 0], weight[1, 0])
    assert not torch.equal(weight, weights(40, seed=2)) and torch.equal(weight, weights(40, seed=1))


def test_strided_input_and_half_precision():
    torch.manual_seed(0)
    wide = torch.randn(B, 9, 3, H, 2 * D)
    part = wide[..., :D]
    torch.manual_seed(3)
    expected = causal_attention(part.contiguous(), dropout=P)
    torch.manual_seed(3)
    assert_close(causal_attention(part, dropout=P), expected)
    torch.manual_seed(3)
    half = causal_attention(part.bfloat16(), dropout=P)
    assert half.dtype == torch.bfloat16
    assert_close(half.float(), expected, rtol=0.02, atol=0.02)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"needs qkv \(B, L >= 1, 3, H, D\); found \(5, 4, 2, 2, 3\)"):
        causal_attention(draw(4)[:, :, :2], dropout=P)


def test_the_words_are_splitmix64():
    words = torch.empty(9, dtype=torch.int64).numpy().view("uint64")
    splitmix64(words, words.dtype.type(2**63 + 11))
    assert words.tolist() == splitmix64_reference(2**63 + 11, 9)


@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.97])
def test_dropout_keeps_the_mean_and_scales_what_it_keeps(p):
    torch.manual_seed(5)
    x = torch.full((1234, 57), 3.0, requires_grad=True)
    y = dropout(x, p)
    share = (y == 0).double().mean().item()
    assert abs(share - p) < 4 * (p * (1 - p) / x.numel()) ** 0.5
    assert abs(lift(p) * (1 - p) - 1) < 1e-3
    assert_close(y[y != 0], torch.full_like(y[y != 0], 3.0 * lift(p)))
    y.sum().backward()
    assert_close(x.grad, y.detach() / 3.0)


def test_dropout_repeats_with_the_seed_and_has_no_pattern_along_rows():
    torch.manual_seed(8)
    first, second = kept((333, 64), 0.5), kept((333, 64), 0.5)
    torch.manual_seed(8)
    assert torch.equal(kept((333, 64), 0.5), first) and not torch.equal(first, second)
    signs = first.double() * 2 - 1
    for shift in (1, 4, 64):  # neighbours, words and rows
        correlation = (signs.flatten()[:-shift] * signs.flatten()[shift:]).mean().item()
        assert abs(correlation) < 4 / signs.numel() ** 0.5


def test_dropout_at_its_ends():
    x = torch.randn(3, 5)
    assert dropout(x, 0.4, training=False) is x and dropout(x, 0.0) is x
    assert dropout(x, 1.0).count_nonzero() == 0
    assert levels(1e-9) == 1 and levels(1 - 1e-9) == 2**16 - 1
    with pytest.raises(OptionError, match=r"between 0 and 1; found 1\.5"):
        dropout(x, 1.5)
