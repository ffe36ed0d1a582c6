"""Attentions that LISA was compared with in its paper and that nobody would choose today: for the claims alone.

LSH attention (Reformer, Kitaev et al. 2020, arXiv 2001.04451) and the latent interests of LightSANs (Fan et al., SIGIR
2021, arXiv 2105.04790). Both are plain and eager, and both are called as nn/attention.py says.

Shapes: B batch, L length, d width, H heads, D = d / H, K latent interests, R rounds of hashing, C events of a chunk.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.heads import Heads
from tenfold.tasks.next_item.baselines.transformer import Transformer

Sums = tuple[Tensor, Tensor, Tensor]


class LatentInterests(Heads):
    """Each event reads K averages of its past, not the past itself: LightSANs, section 3.2.

    With w_jk = exp(x_j theta_k), the keys and values of event t are sum_{j<=t} w_jk (k_j, v_j) / sum_{j<=t} w_jk. The
    paper averages the whole sequence, which only its last event may see; a running average gives that for every event
    at once. In one layer this is the paper's model, trained on each prefix; above the first it is not (there the paper
    lets an event of the history see later ones).
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, *, interests: int = 8) -> None:
        super().__init__(dim, heads, dropout)
        self.theta = nn.Linear(dim, interests, bias=False)

    def forward(self, x: Tensor, keep: Tensor | None = None, state: Sums | None = None) -> tuple[Tensor, Sums]:
        q, k, v = self.split(x, keep)
        weight = torch.exp(15 * torch.tanh(self.theta(x) / 15))  # bounded, for sums without a largest term
        if keep is not None:
            weight = weight * keep.unsqueeze(-1)
        mass = weight.cumsum(1)  # (B, L, K)
        key, value = (torch.einsum("blk,bhld->bhlkd", weight, each).cumsum(2) for each in (k, v))
        if state is not None:
            mass, key, value = mass + state[0], key + state[1], value + state[2]
        after = mass[:, -1:], key[:, :, -1:], value[:, :, -1:]
        each = mass.clamp(min=torch.finfo(mass.dtype).tiny)[:, None, :, :, None]
        score = torch.einsum("bhld,bhlkd->bhlk", q, key / each) * q.shape[-1] ** -0.5
        y = torch.einsum("bhlk,bhlkd->bhld", self.drop(score.softmax(-1)), value / each)
        return self.merge(y), after


class LshAttention(Heads):
    """Softmax attention within buckets of similar events: Reformer, section 2.

    Queries are keys too, of length one as keys. In each round events are sorted by bucket, then by time, and each sees
    the earlier ones of its bucket in its own chunk and the one before; itself only where there is nothing else. Rounds
    are joined by the mass of their weights. Where chunks begin depends on later events: what is seen is always earlier,
    but which of the earlier ones may change. The state is all events so far.
    """

    planes: Tensor

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, *, chunk: int = 16, rounds: int = 4) -> None:
        super().__init__(dim, heads, dropout)
        self.chunk, self.rounds = chunk, rounds
        self.register_buffer("planes", torch.randn(rounds, dim // heads, 64))  # 128 half-spaces at most

    def forward(
        self, x: Tensor, keep: Tensor | None = None, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        length = x.shape[1]
        keep = x.new_ones(x.shape[:2], dtype=torch.bool) if keep is None else keep
        if state is not None:
            x, keep = torch.cat((state[0], x), 1), torch.cat((state[1], keep), 1)
        q, _, v = self.split(x, keep)
        rounds = [self._round(q, v, keep, planes) for planes in self.planes]
        share = torch.stack([mass for _, mass in rounds]).softmax(0)  # (R, B, H, L)
        y = (torch.stack([read for read, _ in rounds]) * share.unsqueeze(-1)).sum(0)
        return self.merge(y[:, :, -length:]), (x, keep)

    def _round(self, q: Tensor, v: Tensor, keep: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """What each event reads (B, H, L, D), and the logarithm of the mass of its weights (B, H, L)."""
        length, chunk = q.shape[2], self.chunk
        half = max(1, length // chunk // 2)
        turned = q.detach() @ planes[:, :half]
        bucket = torch.cat((turned, -turned), -1).argmax(-1)  # (B, H, L)
        bucket = bucket.masked_fill(~keep.unsqueeze(1), 2 * half)
        place = torch.arange(length, device=q.device).expand_as(bucket)
        order = (bucket * length + place).argsort(-1)
        missing = -length % chunk
        order = torch.cat((order, order[..., :1].expand(*order.shape[:2], missing)), -1)
        there = torch.arange(length + missing, device=q.device) < length

        def in_chunks(each: Tensor) -> Tensor:
            rows = each.gather(2, order.unsqueeze(-1).expand(-1, -1, -1, each.shape[-1]))
            return rows.unflatten(2, (-1, chunk))  # (B, H, L / C, C, ...)

        def with_before(each: Tensor) -> Tensor:
            before = torch.cat((torch.zeros_like(each[:, :, :1]), each[:, :, :-1]), 2)
            return torch.cat((before, each), 3)

        queries, values = in_chunks(q), with_before(in_chunks(v))
        keys = with_before(F.normalize(queries, dim=-1))
        own = in_chunks(torch.stack((place, bucket, keep.unsqueeze(1).expand_as(bucket)), -1))
        own = torch.cat((own, there.unflatten(0, (-1, chunk)).expand(own.shape[:4]).unsqueeze(-1)), -1)
        seen = with_before(own)
        when, where, real, exists = (seen[..., i].unsqueeze(-2) for i in range(4))
        my_when, my_where = own[..., 0].unsqueeze(-1), own[..., 1].unsqueeze(-1)
        score = queries @ keys.mT * q.shape[-1] ** -0.5  # (B, H, L / C, C, 2 C)
        hidden = (when > my_when) | (where != my_where) | (real == 0) | (exists == 0)
        score = score.masked_fill(hidden, -1e9).masked_fill((when == my_when) & (exists == 1), -1e5)
        mass = score.logsumexp(-1)
        read = self.drop((score - mass.unsqueeze(-1)).exp()) @ values
        back = order[..., :length].argsort(-1)
        mass = mass.flatten(2)[..., :length].gather(2, back)
        return read.flatten(2, 3)[:, :, :length].gather(2, back.unsqueeze(-1).expand_as(q)), mass


class LSH(Transformer):
    """The task's transformer with LSH attention; it is in no table of names."""

    def attention(self) -> nn.Module:
        return LshAttention(self.options.dim, self.options.heads, self.options.dropout)


class LightSANs(Transformer):
    """The same with latent interests."""

    def attention(self) -> nn.Module:
        return LatentInterests(self.options.dim, self.options.heads, self.options.dropout)
