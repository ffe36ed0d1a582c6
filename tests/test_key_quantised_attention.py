"""Key-quantised attention against its definition; the layer's pulls; a transformer of it keeps the systems' contract.

All sizes differ, so that a sum over the wrong axis cannot pass.
"""

import signal

import pytest
import torch
import torch.nn.functional as F
from conftest import ring_walks
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.attention import attention
from tenfold.ops import key_quantised_attention as ops
from tenfold.ops.key_quantised_attention import (
    codewords,
    key_quantised_attention,
    key_quantised_attention_reference,
    nearest_codewords,
)
from tenfold.options import flat, parse
from tenfold.tasks.next_item.baselines.transformer import Options, Transformer
from tenfold.training import Budget

B, H, D, E, S, CHUNK = 2, 3, 5, 7, 6, 4


def draw(length):
    """q, k, v, codebook, code; the last codeword is never used."""
    torch.manual_seed(length)
    q, v, codebook = torch.randn(B, H, length, D), torch.randn(B, H, length, E), torch.randn(H, S, D)
    code = torch.randint(S - 1, (B, H, length))
    q, v, codebook = q.double().requires_grad_(), v.double().requires_grad_(), codebook.double()
    return q, codewords(codebook, code).requires_grad_(), v, codebook, code


def scattered(length):
    """Padding anywhere; one row begins with it, one ends with it."""
    keep = torch.rand(B, length, generator=torch.Generator().manual_seed(4)) < 0.6
    keep[0, : length // 2], keep[1, -length // 3 :] = False, False
    return keep


def gradients(o, inputs):
    return torch.autograd.grad((o * o.cos()).sum(), inputs)


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 33])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded anywhere"])
def test_output_and_gradients_equal_the_reference(length, padded):
    q, k, v, codebook, code = draw(length)
    keep = scattered(length) if padded else None
    fast, _ = key_quantised_attention(q, k, v, codebook, code, keep=keep, chunk=CHUNK)
    slow = key_quantised_attention_reference(q, k, v, keep)
    assert_close(fast, slow)
    assert_close(gradients(fast, (q, k, v)), gradients(slow, (q, k, v)))


def test_long_histories_go_in_chunks_without_being_told(monkeypatch):
    q, k, v, codebook, code = draw(33)
    monkeypatch.setattr(ops, "SHORT", 32)
    monkeypatch.setattr(ops, "CHUNK", 10)
    seen, sizes = ops._seen, []
    monkeypatch.setattr(ops, "_seen", lambda q, *rest: sizes.append(q.shape[1]) or seen(q, *rest))
    fast, slow = key_quantised_attention(q, k, v, codebook, code)[0], key_quantised_attention_reference(q, k, v)
    assert_close(fast, slow)
    assert sizes == [10, 10, 10, 3]
    assert_close(gradients(fast, (q, k, v)), gradients(slow, (q, k, v)))


@pytest.mark.parametrize("cuts", [[13], [4, 8], list(range(1, 21))], ids=["two parts", "at chunks", "event by event"])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded anywhere"])
def test_a_stream_equals_one_call(cuts, padded):
    """Also what goes back to keys of before, of whose state nothing but a thread is kept."""
    q, k, v, codebook, code = draw(21)
    keep, state, outputs = scattered(21) if padded else torch.ones(B, 21, dtype=torch.bool), None, []
    parts = zip(*(x.tensor_split(cuts, 2) for x in (q, k, v, code)), keep.tensor_split(cuts, 1), strict=True)
    for *qkv, number, kept in parts:
        o, state = key_quantised_attention(*qkv, codebook, number, keep=kept, state=state, chunk=CHUNK)
        outputs.append(o)
    stream, (whole, last) = (
        torch.cat(outputs, 2),
        key_quantised_attention(q, k, v, codebook, code, keep=keep, chunk=CHUNK),
    )
    assert_close((stream, state), (whole, last))
    assert_close(*(torch.autograd.grad(table.sin().sum(), v, retain_graph=True) for table, _ in (state, last)))
    assert_close(gradients(stream, (q, k, v)), gradients(whole, (q, k, v)))


def test_what_goes_back_along_a_thread_is_left_as_it_is():
    """Two go on from one state; what they bring is added up, also for whoever asks for the thread's own gradient."""
    q, k, v, codebook, code = draw(21)
    begun, state = key_quantised_attention(*(x[:, :, :13] for x in (q, k, v)), codebook, code[:, :, :13], chunk=CHUNK)
    ends = [
        key_quantised_attention(*(x[:, :, a:b] for x in (q, k, v)), codebook, code[:, :, a:b], state=state)[0]
        for a, b in ((13, 18), (18, 21))
    ]
    total = begun.sin().sum() + sum(o.sin().sum() for o in ends)
    both = torch.autograd.grad(total, (state[1], k), retain_graph=True)
    assert_close(both, tuple(torch.autograd.grad(total, x, retain_graph=True)[0] for x in (state[1], k)))
    assert both[0].abs().sum() > 0


def test_the_state_is_the_sums_and_counts_of_each_codeword():
    q, k, v, codebook, code = draw(13)
    keep = scattered(13)
    _, (table, thread) = key_quantised_attention(q, k, v, codebook, code, keep=keep, chunk=CHUNK)
    expected = torch.zeros(B, H, S, E + 1, dtype=torch.double)
    for b, h, place in torch.cartesian_prod(*map(torch.arange, code.shape)):
        if keep[b, place]:
            expected[b, h, code[b, h, place]] += F.pad(v[b, h, place].detach(), (0, 1), value=1.0)
    assert_close(table, expected)
    assert table[:, :, -1].count_nonzero() == 0
    assert thread.count_nonzero() == 0 and thread.untyped_storage().nbytes() == 8
    with torch.no_grad():
        assert key_quantised_attention(q, k, v, codebook, code)[1][1].numel() == 0


def test_torch_finds_the_same_gradients_of_a_state():
    q, k, v, codebook, code = draw(9)
    table = torch.rand(B, H, S, E + 1, dtype=torch.double) + 1
    thread = torch.zeros(B, H, S, 0, E + 1, dtype=torch.double)

    def run(q, v, table):
        o, (after, _) = key_quantised_attention(q, k.detach(), v, codebook, code, state=(table, thread), chunk=CHUNK)
        return o, after

    assert torch.autograd.gradcheck(run, (q, v, table.requires_grad_()))


def test_a_codeword_without_keys_has_no_weight():
    q, k, v, codebook, code = draw(21)
    expected, _ = key_quantised_attention(q, k, v, codebook, code, chunk=CHUNK)
    codebook[:, -1] = 1e6 * q.detach().mean((0, 2))
    assert torch.equal(key_quantised_attention(q, k, v, codebook, code, chunk=CHUNK)[0], expected)


@pytest.mark.parametrize("size", [1e-3, 300.0])
def test_scores_of_any_size_are_safe_in_single_precision(size):
    q, k, v, codebook, code = draw(33)
    exact = key_quantised_attention_reference((size * q.float()).double(), k.float().double(), v.float().double())
    found, _ = key_quantised_attention(size * q.float(), k.float(), v.float(), codebook.float(), code, chunk=CHUNK)
    assert_close(found, exact.float(), rtol=1e-3, atol=1e-3)
    assert all(g.isfinite().all() for g in gradients(found, (q, k, v)))


def test_half_precision_keeps_counting():
    one, code = torch.ones(1, 1, 3000, 1, dtype=torch.bfloat16), torch.zeros(1, 1, 3000, dtype=torch.long)
    o, (table, _) = key_quantised_attention(one, one, one, one[0, :, :1], code)
    assert o.dtype == torch.bfloat16 and table.flatten().tolist() == [3000, 3000]


def test_autocast_does_not_round():
    q, k, v, codebook, code = draw(33)
    inputs = [x.detach().float().requires_grad_() for x in (q, k, v)]
    plain, (table, _) = key_quantised_attention(*inputs, codebook.float(), code, chunk=CHUNK)
    expected = gradients(plain, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found, (rounded, _) = key_quantised_attention(*inputs, codebook.float(), code, chunk=CHUNK)
        assert_close((found, rounded), (plain, table))
        assert_close(gradients(found, inputs), expected)


def test_the_nearest_codeword_is_the_nearest():
    torch.manual_seed(8)
    k, codebook = torch.randn(B, H, 11, D), 3 * torch.randn(H, S, D)  # of lengths that differ
    distance = (k.unsqueeze(3) - codebook.unsqueeze(1)).norm(dim=-1)
    code = nearest_codewords(k, codebook)
    assert torch.equal(code, distance.argmin(-1)) and len(code.unique()) > 2
    assert_close((k - codewords(codebook, code)).norm(dim=-1), distance.amin(-1))


def test_shapes_that_disagree_are_named():
    q, k, v, codebook, code = draw(4)
    with pytest.raises(ShapeError, match=r"found q \(2, 3, 4, 5\), k \(2, 3, 3, 5\), v \(2, 3, 4, 7\)"):
        key_quantised_attention(q, k[:, :, 1:], v, codebook, code)
    with pytest.raises(ShapeError, match=r"a codebook \(H, S, D\) = \(3, S, 5\) .* found codebook \(2, 6, 5\)"):
        key_quantised_attention(q, k, v, codebook[1:], code)
    with pytest.raises(ShapeError, match=r"code \(B, H, L\) = \(2, 3, 4\); .* code \(2, 3, 3\)"):
        key_quantised_attention(q, k, v, codebook, code[..., 1:])
    with pytest.raises(ShapeError, match=r"keep \(B, L\) = \(2, 4\) of bool; found \(2, 4\) of torch.float32"):
        key_quantised_attention(q, k, v, codebook, code, keep=torch.ones(2, 4))
    state = torch.zeros(B, H, S, E), torch.zeros(B, H, S, 0, E)
    with pytest.raises(ShapeError, match=r"table must be \(B, H, S, E \+ 1\) = \(2, 3, 6, 8\); found \(2, 3, 6, 7\)"):
        key_quantised_attention(q, k, v, codebook, code, state=state)


# The layer.

L, DIM, HEADS = 19, 10, 2


def build(**settings):
    torch.manual_seed(1)
    return attention("key-quantised", DIM, HEADS, **{"codewords": S, **settings}).double()


def events(length=L, batch=3):
    torch.manual_seed(length)
    return torch.randn(batch, length, DIM, dtype=torch.double, requires_grad=True)


def by_hand(layer, x):
    """y, keys and their codewords, as the paper's equations have it: tau^-1/2 (norm(q), norm(k)) with tau = sqrt(D)."""
    q, k, v = (layer.qkv(x)).view(*x.shape[:2], 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
    q, k = (
        (each - each.mean(-1, keepdim=True)) / (each.var(-1, correction=0, keepdim=True) + 1e-5).sqrt() * 5**-0.25
        for each in (q, k)
    )
    nearest = codewords(layer.codebook, (k.unsqueeze(3) - layer.codebook.unsqueeze(1)).norm(dim=-1).argmin(-1))
    straight = k + (nearest - k).detach()
    return layer.out(key_quantised_attention_reference(q, straight, v).transpose(1, 2).flatten(2)), k, nearest, straight


def test_the_layer_equals_the_papers_and_its_gradient_goes_straight_through():
    layer, x = build(commitment=0.0), events()
    y, (expected, *_) = layer(x)[0], by_hand(layer, x)
    assert_close(y, expected)
    inputs = [x, layer.qkv.weight, layer.qkv.bias, layer.out.weight]
    assert_close(gradients(y, inputs), gradients(expected, inputs))


def test_keys_and_codewords_are_pulled_together_in_proportion_to_the_gradient():
    layer, x = build(commitment=0.3), events()
    y, k, nearest, straight = by_hand(layer, x)
    g = torch.autograd.grad((y * y.cos()).sum(), straight, retain_graph=True)[0]
    pull = g.norm(dim=-1, keepdim=True) * (k - nearest).detach()
    found = gradients(layer(x)[0], [layer.qkv.weight, layer.codebook])
    plain = torch.autograd.grad((y * y.cos()).sum(), layer.qkv.weight, retain_graph=True)[0]
    moved = torch.autograd.grad(k, layer.qkv.weight, 0.3 * pull, retain_graph=True)[0]
    assert_close(found[0], plain + moved)
    assert moved.norm() > 0.01 * plain.norm()
    assert_close(found[1], torch.autograd.grad(nearest, layer.codebook, -pull)[0])


def test_an_event_that_nothing_depends_on_pulls_nowhere():
    """As padding in training, of which nobody is told; how much of it there is differs between processes."""
    layer, x = build(), events()
    longer = torch.cat((x, torch.randn(3, 5, DIM, dtype=torch.double)), 1)
    inputs = list(layer.parameters())
    assert_close(gradients(layer(longer)[0][:, :L], inputs), gradients(layer(x)[0], inputs))


def test_pulls_add_up_over_the_parts_of_a_batch_and_scale_with_the_loss():
    layer, x = build(), events()
    inputs = list(layer.parameters())
    whole = gradients(layer(x)[0], inputs)
    parts = [gradients(layer(part)[0], inputs) for part in (x[:1], x[1:])]
    assert_close(tuple(map(torch.add, *parts)), whole)
    y, _ = layer(x)
    assert_close(torch.autograd.grad(1024 * (y * y.cos()).sum(), inputs), tuple(1024 * g for g in whole))


def test_codewords_learn_where_keys_are():
    layer, x = build(), events()
    optimiser, errors = torch.optim.Adam([layer.codebook], lr=0.02), []
    for _ in range(60):
        _, k, nearest, _ = by_hand(layer, x)
        errors.append((k - nearest).square().mean().item())
        optimiser.zero_grad()
        layer(x)[0].square().sum().backward()
        optimiser.step()
    assert errors[-1] < 0.5 * errors[0]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(OptionError, match="codewords >= 1; found 0"):
        build(codewords=0)
    with pytest.raises(OptionError, match=r"commitment >= 0; found -0\.5"):
        build(commitment=-0.5)


# A system of it.

TINY = {"attention": "key-quantised", "codewords": 9}
FIT_ONE = f"""
import sys
from fit_one import fit
from tenfold.tasks.next_item.baselines.transformer import Transformer
Transformer.tiny = Transformer(Transformer.tiny).set_params(**{TINY!r}).options
fit("transformer", *sys.argv[1:])
"""


def fitted(run=None, *, resume=False, epochs=2):
    options = parse(Options, {**flat(vars(Transformer.tiny)), **TINY, "dropout": 0.0})
    return Transformer(options).fit(
        ring_walks(), budget=Budget(max_epochs=epochs, accelerator="cpu"), run=run, resume=resume
    )


def weights(system):
    return torch.cat([w.flatten().double() for w in system.network.state_dict().values()])


@pytest.fixture(scope="module")
def whole():
    return fitted()


def test_the_system_learns_and_is_loaded_as_it_was_saved(whole, tmp_path):
    first, second = (block.attention.codebook for block in whole.network.blocks.blocks)
    assert first.shape == second.shape == (2, 9, 8)
    longer = fitted(epochs=6)
    assert longer.history["next_item"][-1]["loss"] < 0.7 * longer.history["next_item"][0]["loss"]
    whole.save(tmp_path)
    loaded = Transformer.load(tmp_path)
    assert torch.equal(weights(loaded), weights(whole))
    assert loaded.recommend(["r0i1", "r0i2"]) == whole.recommend(["r0i1", "r0i2"])
    assert torch.equal(weights(fitted()), weights(whole))


def test_a_killed_system_goes_on_bit_for_bit(whole, tmp_path, fit_apart):
    codes, output = fit_apart(tmp_path / "run", tmp_path / "out", 13, program=FIT_ONE)
    assert codes == [-signal.SIGKILL], output[-3000:]
    assert torch.equal(weights(fitted(tmp_path / "run", resume=True)), weights(whole))


def test_two_processes_equal_one(whole, tmp_path, fit_apart):
    codes, output = fit_apart(tmp_path / "run", tmp_path / "out", processes=2, program=FIT_ONE)
    assert codes == [0, 0], output[-3000:]
    assert_close(weights(Transformer.load(tmp_path / "out")), weights(whole), rtol=1e-5, atol=1e-6)
