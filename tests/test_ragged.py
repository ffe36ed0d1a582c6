"""Rows without their padding, against padded ones; and dropout in one pass, against the mask that it stands for."""

import pytest
import torch
from torch.testing import assert_close

from tenfold.ops import ragged as module
from tenfold.ops.dropout import dropout, kept, lift
from tenfold.ops.ragged import Ragged

R, S, H, D, PARTS = 7, 5, 2, 3, 4


@pytest.fixture(params=["few", "many"])
def keep(request, monkeypatch):
    """Many: some that nobody reads follow the tokens."""
    monkeypatch.setattr(module, "MANY", 1_000 if request.param == "few" else 1)
    torch.manual_seed(0)
    found = torch.rand(R, S) > 0.4
    found[:, 0], found[3, 1:], found[4] = True, False, True
    return found


def test_heads_are_set_apart_and_packed_again(keep):
    torch.manual_seed(1)
    ragged, padded = Ragged(keep), torch.randn(R, S, PARTS * H * D, requires_grad=True)
    there = keep[None, :, None, :, None]
    spread = ragged.heads(ragged.flat(padded), H, PARTS)
    expected = padded.unflatten(2, (PARTS, H, D)).permute(2, 0, 3, 1, 4)
    assert_close(spread * there, expected * there)
    weight = torch.randn(PARTS, R, H, S, D) * there  # what is not there is not read
    again = ragged.packed(spread[1] * 2)
    assert_close(again[: ragged.count], 2 * padded.unflatten(2, (PARTS, H * D))[:, :, 1][keep])
    seen = torch.randn(ragged.count, H * D)

    def lost(each, packed):
        return (each * weight).sum() + (packed * seen).sum()

    mine = torch.autograd.grad(lost(spread, again[: ragged.count]), padded)[0]
    flat = 2 * padded.unflatten(2, (PARTS, H * D))[:, :, 1][keep]
    assert_close(mine, torch.autograd.grad(lost(expected, flat), padded)[0])


def test_nothing_goes_back_to_places_without_a_token(keep):
    ragged, y = Ragged(keep), torch.randn(R, H, S, D, requires_grad=True)
    (dy,) = torch.autograd.grad(ragged.packed(y)[: ragged.count].sum(), y)
    assert_close(dy, keep[:, None, :, None].expand(R, H, S, D).float())


def test_means_first_tokens_and_chosen_rows(keep):
    torch.manual_seed(2)
    ragged, padded = Ragged(keep), torch.randn(R, S, H * D)
    x = ragged.flat(padded)
    assert_close(ragged.mean(x), torch.stack([row[own].mean(0) for row, own in zip(padded, keep, strict=True)]))
    assert torch.equal(x[ragged.first], padded[:, 0])
    rows = torch.tensor([4, 0, 4, 3])
    taken, places = ragged.take(rows)
    assert torch.equal(taken.keep, keep[rows]) and len(places) == len(taken.at)
    assert torch.equal(x[places][: taken.count], padded[rows][keep[rows]])


def test_products_of_many_tokens_are_of_few_sizes():
    keep = torch.ones(300, 7, dtype=torch.bool)
    keep[:50, 6] = False
    ragged = Ragged(keep)
    assert ragged.count == 2_050 and len(ragged.at) == 2_176 and len(ragged.take(torch.arange(299))[1]) == 2_043


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_is_its_mask_bit_for_bit(dtype):
    x = torch.randn(13, 5, 3, dtype=dtype).transpose(0, 2).requires_grad_()
    torch.manual_seed(3)
    mask = kept(x.shape, 0.3).to(dtype) * lift(0.3)
    torch.manual_seed(3)
    y = dropout(x, 0.3)
    assert torch.equal(y, x * mask) and 0 < (mask == 0).sum() < mask.numel()
    (dx,) = torch.autograd.grad(y.square().sum(), x)
    assert torch.equal(dx, 2 * y.detach() * mask)
    assert dropout(torch.zeros(0, 4), 0.3).shape == (0, 4)
