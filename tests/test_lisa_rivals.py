"""The attentions that stand in LISA's claims alone, against what their papers write."""

import polars as pl
import pytest
import torch

from tenfold.systems.lisa.rivals import LSH, LatentInterests, LightSANs, LshAttention


def test_latent_interests_are_the_papers_for_each_prefix():
    torch.manual_seed(0)
    layer, x = LatentInterests(12, 2).eval(), torch.randn(3, 9, 12)
    with torch.no_grad():
        y, _ = layer(x)
        for t in range(1, 10):
            q, k, v = layer.split(x[:, :t], None)
            weight = (15 * torch.tanh(layer.theta(x[:, :t]) / 15)).softmax(1)  # (B, t, K)
            key, value = (torch.einsum("blk,bhld->bhkd", weight, each) for each in (k, v))
            read = (q[:, :, -1:] @ key.mT * 6**-0.5).softmax(-1) @ value
            torch.testing.assert_close(y[:, t - 1], layer.merge(read)[:, 0])


@pytest.mark.parametrize("layer", [LatentInterests(8, 2), LshAttention(8, 2, chunk=4)])
def test_goes_on_from_a_state_and_passes_over_padding(layer):
    torch.manual_seed(1)
    x = torch.randn(2, 30, 8)
    keep = torch.rand(2, 30) > 0.3
    keep[:, 0] = True
    layer.eval()
    with torch.no_grad():
        whole, _ = layer(x, keep)
        _, state = layer(x[:, :20], keep[:, :20])
        rest, _ = layer(x[:, 20:], keep[:, 20:], state)
    torch.testing.assert_close(rest[keep[:, 20:]], whole[:, 20:][keep[:, 20:]])


def test_lsh_of_one_chunk_is_attention_to_earlier_events_of_the_bucket():
    torch.manual_seed(2)
    layer, x = LshAttention(8, 1, chunk=40, rounds=1).eval(), torch.randn(2, 30, 8)
    with torch.no_grad():
        y, _ = layer(x)
        q, _, v = (each[:, 0] for each in layer.split(x, None))
        side = (q @ layer.planes[0, :, :1]).squeeze(-1) >= 0  # two buckets: one plane
        score = q @ torch.nn.functional.normalize(q, dim=-1).mT * 8**-0.5
        may = (side.unsqueeze(1) == side.unsqueeze(2)).tril(-1)
        score = score.masked_fill(~may, -torch.inf)
        alone = ~may.any(-1)
        score[alone] = torch.where(torch.eye(30).bool(), 0.0, -torch.inf).expand(2, 30, 30)[alone]
        wanted = layer.merge((score.softmax(-1) @ v).unsqueeze(1))
    torch.testing.assert_close(y, wanted)


def test_lsh_never_reads_a_later_event():
    torch.manual_seed(3)
    layer, x = LshAttention(8, 2, chunk=4), torch.randn(1, 50, 8, requires_grad=True)
    y, _ = layer(x)
    gradient = torch.autograd.grad(y[0, 20:30].sum(), x)[0][0]
    assert gradient[30:].abs().max() == 0
    assert gradient[:20].abs().max() > 0


@pytest.mark.parametrize("kind", [LSH, LightSANs])
def test_is_fitted_like_any_other(kind):
    table = [(user, (user + step) % 5, step) for user in range(20) for step in range(12)]
    rows = pl.DataFrame(table, schema=["user", "item", "time"], orient="row")
    arm = kind(dim=8, heads=2, **{"training.length": 10, "training.lr": 0.03, "training.batch_size": 4})
    figures = arm.clone().fit(rows, max_epochs=30, progress="none").evaluate(rows, ks=(1,))
    assert figures["hr@1"] > 0.6
