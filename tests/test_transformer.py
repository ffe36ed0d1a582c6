"""Blocks, positions and the whole transformer: norms before and after, states, padding. All sizes differ."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from tenfold.errors import OptionError
from tenfold.nn.attention import ATTENTIONS, attention
from tenfold.nn.cross_attention import CrossAttention
from tenfold.nn.transformer import FEED_FORWARDS, Block, Positions, Transformer, feed_forward

B, L, DIM, HEADS, HIDDEN, LAYERS = 3, 11, 10, 2, 14, 4


def build(name="softmax", norm="post", dropout=0.0):
    torch.manual_seed(1)
    return Transformer(
        DIM,
        LAYERS,
        attention=lambda: attention(name, DIM, HEADS, dropout),
        feed_forward=lambda: feed_forward("dense", DIM, HIDDEN, dropout),
        norm=norm,
        dropout=dropout,
    ).double()


def events():
    torch.manual_seed(2)
    return torch.randn(B, L, DIM, dtype=torch.double, requires_grad=True)


def scattered():
    keep = torch.rand(B, L, generator=torch.Generator().manual_seed(3)) < 0.6
    keep[0, :4] = False
    return keep


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_network_equals_torchs_own(norm):
    network, x = build(norm=norm).eval(), events()
    later = torch.ones(L, L).triu(1).bool()
    y = x
    for block in network.blocks:
        own = torch.nn.TransformerEncoderLayer(DIM, HEADS, HIDDEN, 0.0, batch_first=True, norm_first=norm == "pre")
        own.double().load_state_dict(
            {
                "self_attn.in_proj_weight": block.attention.qkv.weight,
                "self_attn.in_proj_bias": block.attention.qkv.bias,
                "self_attn.out_proj.weight": block.attention.out.weight,
                "self_attn.out_proj.bias": block.attention.out.bias,
                "linear1.weight": block.feed_forward.inner.weight,
                "linear1.bias": block.feed_forward.inner.bias,
                "linear2.weight": block.feed_forward.outer.weight,
                "linear2.bias": block.feed_forward.outer.bias,
                "norm1.weight": block.norm1.weight,
                "norm1.bias": block.norm1.bias,
                "norm2.weight": block.norm2.weight,
                "norm2.bias": block.norm2.bias,
            }
        )
        y = own(y, src_mask=later)
    expected = F.layer_norm(y, (DIM,))
    found, _ = network(x)
    assert_close(found, expected)
    assert_close(torch.autograd.grad(found.pow(3).sum(), x), torch.autograd.grad(expected.pow(3).sum(), x))


@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("cuts", [[4], list(range(1, L))], ids=["two parts", "event by event"])
def test_a_stream_equals_one_call(name, norm, cuts):
    network, table, x, keep = build(name, norm), Positions(8, DIM).double(), events(), scattered()
    whole, states = network(table(x, keep)[0], keep)
    parts, state, count = [], None, None
    for part, kept in zip(x.tensor_split(cuts, 1), keep.tensor_split(cuts, 1), strict=True):
        placed, count = table(part, kept, count)
        y, state = network(placed, kept, state)
        parts.append(y)
    parts = torch.cat(parts, 1)
    assert len(states) == len(state) == LAYERS
    assert_close(parts[keep], whole[keep])
    inputs = [x, table.table, *network.parameters()]
    assert_close(*(torch.autograd.grad(y[keep].pow(3).sum(), inputs) for y in (parts, whole)))


def test_positions_count_real_events_and_stay_on_the_last_row():
    table = Positions(3, DIM)
    keep = torch.tensor([[False, True, False, True, True, True], [True, True, True, True, True, False]])
    x, count = table(torch.zeros(2, 6, DIM), keep)
    rows = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 1, 2, 2, 2, 2]])
    assert_close(x[keep], table.table[rows][keep])
    assert count.tolist() == [4, 5]
    assert_close(table(torch.zeros(2, 1, DIM), None, torch.tensor([1, 7]))[0][:, 0], table.table[[1, 2]])
    assert table(torch.zeros(2, 1, DIM), None, torch.tensor([1, 7]))[1].tolist() == [2, 8]


@pytest.mark.parametrize("length", [1, 5, 8, 9, 20])
def test_positions_without_padding_need_no_keep(length):
    table, x = Positions(8, DIM), torch.randn(2, length, DIM)
    assert_close(table(x), table(x, torch.ones(2, length, dtype=torch.bool)))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_dropout_falls_on_attention_and_feed_forward_in_training_alone(norm):
    dropped, plain, x = build(norm=norm, dropout=0.5), build(norm=norm), events()
    assert_close(dropped.eval()(x)[0], plain(x)[0])
    torch.manual_seed(4)
    first = dropped.train()(x)[0]
    torch.manual_seed(4)
    assert torch.equal(dropped(x)[0], first) and not torch.equal(dropped(x)[0], first)
    block = Block(
        DIM, attention=attention("linear", DIM, HEADS), feed_forward=torch.nn.Identity(), norm="pre", dropout=1.0
    )
    x = x.float()
    assert_close(block(x)[0], x + block.norm2(x))  # nothing of the attention is left


def test_the_dense_feed_forward():
    torch.manual_seed(5)
    x = torch.randn(4, 3, DIM)
    for activation, function in {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}.items():
        layer = feed_forward("dense", DIM, HIDDEN, activation=activation)
        before = x.clone()
        assert_close(layer(x), layer.outer(function(layer.inner(x))))
        assert torch.equal(x, before)
    dropping = feed_forward("dense", DIM, HIDDEN, 0.4, activation="gelu")
    x = torch.randn(5000, DIM)
    assert abs((dropping(x) == 0).double().mean().item() - 0.4) < 0.02
    dropping.outer = torch.nn.Identity()  # then the hidden layer's dropout is seen through the output's
    assert abs((dropping(x) == 0).double().mean().item() - 0.64) < 0.02


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_last_block_is_reckoned_for_the_places_that_are_wanted(norm):
    torch.manual_seed(1)
    network = Transformer(
        DIM, LAYERS, attention=lambda: attention("softmax", DIM, HEADS), norm=norm,
        cross=lambda: CrossAttention(DIM, HEADS), feed_forward=lambda: feed_forward("dense", DIM, HIDDEN),
    ).double()  # fmt: skip
    x, places = events(), torch.tensor([[4, 0], [10, 3], [5, 5]])
    memory = network.remember(torch.randn(B, 7, DIM, dtype=torch.double))
    seen = []

    def rows(x):
        seen.append(x.shape)
        return x.take_along_dim(places.unsqueeze(2), 1)

    whole, some = network(x, None, None, memory)[0], network(x, None, None, memory, rows)[0]
    assert_close(some, whole.take_along_dim(places.unsqueeze(2), 1))
    assert seen == [x.shape]  # once, in the last block
    weight = torch.randn_like(some)
    wanted = torch.zeros_like(whole)
    for row in range(B):
        for number, place in enumerate(places[row].tolist()):
            wanted[row, place] += weight[row, number]
    assert_close(torch.autograd.grad((some * weight).sum(), x), torch.autograd.grad((whole * wanted).sum(), x))


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(OptionError, match="no feed-forward layer 'dence'; did you mean 'dense'"):
        feed_forward("dence", DIM, HIDDEN)
    with pytest.raises(OptionError, match="no activation 'rely'; did you mean 'relu'"):
        feed_forward("dense", DIM, HIDDEN, activation="rely")
    with pytest.raises(OptionError, match="'pre' or 'post'; found 'both'"):
        build(norm="both")
    with pytest.raises(OptionError, match=r"between 0 and 1; found 1\.2"):
        build(dropout=1.2)
    assert list(FEED_FORWARDS) == ["dense"]
