"""Full attention and attention to another sequence, by their definitions; decoders step by step equal decoders at
once. All sizes differ."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import FullAttention, SoftmaxAttention
from tenfold.nn.cross_attention import CrossAttention
from tenfold.nn.transformer import Transformer, feed_forward

B, L, N, DIM, HEADS = 3, 7, 5, 12, 4
KEEP_READ = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [1, 0, 0, 0, 0]], dtype=torch.bool)
KEEP = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)


def made(layer):
    torch.manual_seed(3)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return layer.double().eval()


def x(length, batch=B):
    torch.manual_seed(length)
    return torch.randn(batch, length, DIM, dtype=torch.double)


def definition(q, k, v, keep):
    """One event, one head at a time, over those that are kept."""
    y = torch.zeros_like(q)
    width = DIM // HEADS
    for b in range(len(q)):
        kept = keep[b].nonzero()[:, 0]
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            for place in range(q.shape[1]):
                score = torch.tensor([q[b, place, part] @ k[b, j, part] for j in kept], dtype=torch.double)
                weight = (score / width**0.5).softmax(0)
                y[b, place, part] = sum(w * v[b, j, part] for w, j in zip(weight, kept, strict=True))
    return y


def test_full_attention_is_its_definition():
    layer = made(FullAttention(DIM, HEADS))
    q, k, v = torch.nn.functional.linear(x(L), layer.qkv.weight, layer.qkv.bias).chunk(3, -1)
    expected = layer.out(definition(q, k, v, KEEP))
    assert_close(layer(x(L), KEEP)[0][KEEP], expected[KEEP])
    assert_close(layer(x(L))[0], layer.out(definition(q, k, v, torch.ones_like(KEEP))))
    assert layer(x(L), KEEP)[0].isfinite().all()


def test_full_attention_sees_what_comes_later_and_no_padding():
    layer = made(FullAttention(DIM, HEADS))
    later = x(L)
    later[:, -1] += 1
    assert not torch.allclose(layer(later)[0][:, 0], layer(x(L))[0][:, 0])
    filled = x(L).masked_fill(~KEEP.unsqueeze(-1), 9.0)
    assert_close(layer(filled, KEEP)[0][KEEP], layer(x(L), KEEP)[0][KEEP])
    with pytest.raises(ShapeError, match="carries no state"):
        layer(x(L), None, layer)


def test_cross_attention_is_its_definition():
    layer = made(CrossAttention(DIM, HEADS))
    read = x(N)
    q, k, v = layer.query(x(L)), layer.key(read), layer.value(read)
    expected = layer.out(definition(q, k, v, KEEP_READ))
    assert_close(layer(x(L), layer.remember(read, KEEP_READ)), expected)
    weights = layer.weights(x(L), layer.remember(read, KEEP_READ))
    assert weights.shape == (B, HEADS, L, N) and (weights[~KEEP_READ[:, None, None].expand_as(weights)] == 0).all()
    read_out = (weights @ v.unflatten(-1, (HEADS, -1)).transpose(1, 2)).transpose(1, 2).flatten(2)
    assert_close(layer.out(read_out), expected)


def test_a_memory_gives_each_row_as_often_as_asked():
    layer = made(CrossAttention(DIM, HEADS))
    which = torch.tensor([2, 0, 0])
    memory = layer.remember(x(N), KEEP_READ)
    assert_close(layer(x(L)[which], memory.rows(which)), layer(x(L), memory)[which])
    assert memory._replace(keep=None).rows(which).keep is None


def decoder(norm="post"):
    return made(
        Transformer(
            DIM,
            2,
            attention=lambda: SoftmaxAttention(DIM, HEADS),
            feed_forward=lambda: feed_forward("dense", DIM, 2 * DIM),
            cross=lambda: CrossAttention(DIM, HEADS),
            norm=norm,
            last_norm=False,
        )
    )


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_decoder_step_by_step_is_a_decoder_at_once(norm):
    network = decoder(norm)
    memory = network.remember(x(N), KEEP_READ)
    whole, _ = network(x(L), memory=memory)
    state, steps = None, []
    for step in x(L).split(1, dim=1):
        y, state = network(step, None, state, memory)
        steps.append(y)
    assert_close(torch.cat(steps, 1), whole)
    other, _ = network(x(L), memory=network.remember(x(N) + 1, KEEP_READ))
    assert not torch.allclose(other, whole)


def test_a_decoder_block_is_written_out():
    block = decoder().blocks[0]
    memory = block.cross.remember(x(N), KEEP_READ)
    y = block.norm1(x(L) + block.attention(x(L))[0])
    y = block.norm3(y + block.cross(y, memory))
    assert_close(block(x(L), memory=memory)[0], block.norm2(y + block.feed_forward(y)))


def test_wrong_shapes_are_said():
    with pytest.raises(OptionError, match="found width 12 and 5 heads"):
        CrossAttention(DIM, 5)
    with pytest.raises(ShapeError, match=r"so keep is \(3, 5\); found \(3, 7\)"):
        CrossAttention(DIM, HEADS).remember(x(N).float(), KEEP)
