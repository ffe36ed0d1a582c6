"""LimaRec's network: causal linear self-attention over the events, then K interests read from running sums.

Symbols of the paper (arXiv 2105.14060): h_l output of the attention blocks, mu_k interest query, W~_K and W~_V its
projections, f_l^(k) interest k after event l. From its formulas: attention as a recurrence on sums, and the interests.
Reconstructed after the sister paper LISA: one block, post-norm, a feed-forward of 4 d. Ours, and off in
`preset=faithful`: sums that fade, weights exp(mu k), the short-term vector, time codes.

Shapes: B users, L events, d width, H heads, D = d / H, K interests, M vectors of a user (K, and one more for the
short-term slot), V items (0 is padding), R rows of W counters.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.attention import FEATURE_MAPS, LinearAttention, fading, half_lives
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Block, DenseFeedForward
from tenfold.ops.linear_attention import EPS, causal_linear_attention
from tenfold.systems.limarec.options import Options
from tenfold.tasks.next_item.counts import item_counts

GAP_CODES = 34  # floor(log2(1 + seconds)) up to 32, and one for a time that is not known
LARGEST = 20.0  # of an exponent of weights=exp: sums of e^20 stay exact enough, and nothing overflows


class State(NamedTuple):
    """What is kept of B users; its size does not depend on how much they did."""

    sums: tuple[Tensor, ...]  # of each block's attention, (B, H, D, D + 1), the denominator's in the last column
    interests: Tensor  # (B, K, 1, d + 1), likewise
    last: Tensor  # (B, d), the short-term vector; (B, 0) where there is none
    counters: Tensor  # (B, R, W), the sketch of single items; (B, 0) where there is none
    time: Tensor  # (B,) float64 of the last event; NaN where it has none

    def detached(self) -> "State":
        return State(tuple(s.detach() for s in self.sums), *(x.detach() for x in self[1:]))

    def of(self, rows: Tensor) -> "State":
        return State(tuple(s[rows] for s in self.sums), *(x[rows] for x in self[1:]))


class Weights(NamedTuple):
    """Of the events in the interests: a (B, K, L), 0 at padding, and the logarithm of what each event leaves of those
    before it, (B, K, L); None where nothing fades."""

    a: Tensor
    fade: Tensor | None

    def at_the_end(self) -> Tensor:
        """(B, K, L): each event's share of each interest after the last."""
        a = self.a
        if self.fade is not None:
            passed = self.fade.cumsum(-1)
            a = a * (passed[..., -1:] - passed).exp()
        return a / a.sum(-1, keepdim=True).clamp(min=1e-30)


class Interests(nn.Module):
    """f_l^(k) = sum_{j<=l} a_kj v_j / sum_{j<=l} a_kj   with   a_kj = phi(mu_k) phi(W~_K h_j),   v_j = W~_V h_j.

    mu_k belongs to no user, so a_kj is one number and an interest is a running weighted mean: causal linear attention
    with keys one number wide and the constant query 1. A user's state is therefore K (d + 1) numbers, not d (d + 1).
    """

    def __init__(self, dim: int, interests: int, *, feature_map: str, weights: str, decay: bool) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.randn(interests, dim))
        self.key, self.value = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.phi, self.weights = FEATURE_MAPS[feature_map], weights
        self.left = nn.Parameter(half_lives(interests)) if decay else None

    def weigh(self, h: Tensor) -> Tensor:
        """h (B, L, d) -> a (B, K, L), positive, in float32 or better."""
        exact = torch.promote_types(h.dtype, torch.float32)
        k = self.key(h).to(exact)
        with torch.autocast(h.device.type, enabled=False):
            mu = self.mu.to(exact)
            if self.weights == "exp":
                a = (LARGEST * torch.tanh(k @ mu.T / (math.sqrt(mu.shape[1]) * LARGEST))).exp()
            else:
                a = self.phi(k) @ self.phi(mu).T
        return a.mT

    def forward(
        self, h: Tensor, keep: Tensor | None, state: Tensor | None, steps: Tensor | None
    ) -> tuple[Tensor, Tensor, Weights]:
        """h (B, L, d) -> f (B, L, K, d), sums (B, K, 1, d + 1), the events' weights."""
        a, fade = self._weighed(h, keep, steps)
        v = self.value(h).unsqueeze(1).expand(-1, len(self.mu), -1, -1)  # (B, K, L, d)
        one = a.new_ones(()).expand(a.shape).unsqueeze(-1)
        f, state = causal_linear_attention(one, a.unsqueeze(-1), v, fade=fade, state=state)
        return f.transpose(1, 2), state, Weights(a, fade)

    def _weighed(self, h: Tensor, keep: Tensor | None, steps: Tensor | None) -> tuple[Tensor, Tensor | None]:
        a = self.weigh(h)
        if keep is not None:
            a = a * keep.unsqueeze(1)
        return a, None if self.left is None else fading(self.left, h.shape[:2], keep, steps)

    def carried(self, h: Tensor, keep: Tensor | None, state: Tensor | None, steps: Tensor | None) -> Tensor:
        """The sums alone, after all events: one product, and nothing of size (B, K, L, d)."""
        a, fade = self._weighed(h, keep, steps)
        if fade is not None:
            passed = fade.cumsum(-1)
            a = a * (passed[..., -1:] - passed).exp()
            if state is not None:
                state = state * passed[..., -1].exp()[..., None, None]
        v1 = F.pad(self.value(h).to(a.dtype), (0, 1), value=1.0)  # (B, L, d + 1)
        sums = (a @ v1).unsqueeze(2)
        return sums if state is None else state + sums


def vectors_in(options: Options) -> int:
    """M: the interests, and one more for the short-term slot."""
    return options.interests + (options.interest.short_term == "slot")


class LimaRecNetwork(nn.Module):
    """Events -> interests. Called on a whole history or, with the state it returned, on what came since."""

    keys: Tensor

    def __init__(self, items: int, options: Options) -> None:
        super().__init__()
        dim, memory, interest = options.dim, options.memory, options.interest
        self.by_time, self.time_unit, self.feature_map = memory.decay == "time", memory.time_unit, memory.feature_map
        self.item = nn.Embedding(items + 1, dim, padding_idx=0)
        nn.init.normal_(self.item.weight, std=0.02)
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.gap = nn.Embedding(GAP_CODES, dim) if memory.gap_codes else None
        if self.gap is not None:
            nn.init.normal_(self.gap.weight, std=0.02)
        self.drop, self.scale = Dropout(options.dropout), math.sqrt(dim)
        fades = memory.decay != "none"
        self.blocks = nn.ModuleList(
            Block(
                dim,
                attention=LinearAttention(dim, options.heads, feature_map=memory.feature_map, decay=fades),
                feed_forward=DenseFeedForward(dim, options.expansion * dim, options.dropout),
                norm="post",
                dropout=options.dropout,
            )
            for _ in range(options.layers)
        )
        self.interests = Interests(
            dim, options.interests, feature_map=memory.feature_map, weights=interest.weights, decay=fades
        )
        self.latest = nn.Linear(dim, dim, bias=False) if interest.short_term != "none" else None
        self.gate = nn.Linear(2 * dim, 1) if interest.short_term == "gate" else None
        self.counts, keys = item_counts(dim, items, options.counts, vectors_in(options))
        self.register_buffer("keys", keys, persistent=False)

    def forward(
        self, events: Tensor, state: State | None = None, times: Tensor | None = None
    ) -> tuple[Tensor, State, Weights]:
        """events (B, L), 0 at padding, which may stand anywhere; times (B, L) float64, NaN where there is none.

        Returns f (B, L, M, d), with R W counters behind each where a candidate is counted too (M = 1), the state after
        these events, and their weights in the interests.
        """
        h, sums, real, keep, steps, time = self._read(events, state, times)
        f, read, weights = self.interests(h, keep, None if state is None else state.interests, steps)
        last = h.new_zeros(len(h), 0)
        if self.latest is not None:
            short = self.latest(h)  # (B, L, d)
            f, last = self.joined(f, short), _last(short, real, state)
        counters = h.new_zeros(len(h), 0)
        if self.counts is not None:
            every = self.counts.running(self.keys[events], real, None if state is None else state.counters, h)
            f, counters = torch.cat((f, every.flatten(2).unsqueeze(2)), -1), every[:, -1]
        return f, State(sums, read, last, counters, time), weights

    def carried(self, events: Tensor, state: State | None = None, times: Tensor | None = None) -> State:
        """The state after these events, without the vectors after each of them."""
        h, sums, real, keep, steps, time = self._read(events, state, times)
        read = self.interests.carried(h, keep, None if state is None else state.interests, steps)
        last = h.new_zeros(len(h), 0) if self.latest is None else self.latest(_last(h, real, None))
        if self.latest is not None and state is not None:
            last = torch.where(real.any(1, keepdim=True), last, state.last)
        counters = h.new_zeros(len(h), 0)
        if self.counts is not None:
            counters = self.counts.after(self.keys[events], real, None if state is None else state.counters, h)
        return State(sums, read, last, counters, time)

    def _read(self, events: Tensor, state: State | None, times: Tensor | None) -> Any:
        """The last block's output h (B, L, d) and the blocks' sums; which events are real, which of them layers have to
        be told of, how often each fades what is before it, and the latest time."""
        real = events != 0
        # In training padding is on the right, and a row that has ended is not carried on: nobody has to be told of it.
        keep = None if self.training else real
        x = self.item(events) * self.scale
        steps, time = None, self._time(events, state, times)
        if times is not None and (self.by_time or self.gap is not None):
            gaps = self._gaps(times, real, state)
            if self.gap is not None:
                x = x + self.gap(_codes(gaps))
            if self.by_time:
                steps = torch.where(gaps.isnan(), 1.0, gaps / self.time_unit).to(x.dtype)
        elif self.gap is not None:
            x = x + self.gap.weight[-1]
        h, sums = self.drop(x), list[Tensor]()
        for number, block in enumerate(self.blocks):
            h, after = block(h, keep, None if state is None else state.sums[number], steps=steps)
            sums.append(after)
        return h, tuple(sums), real, keep, steps, time

    def joined(self, f: Tensor, short: Tensor) -> Tensor:
        """Interests (..., K, d) and the short-term vector (..., d) -> the user's vectors (..., M, d)."""
        if self.gate is None:
            return torch.cat([f, short.unsqueeze(-2)], dim=-2)
        of_f, of_short = self.gate.weight.split(f.shape[-1], dim=1)
        share = (f @ of_f.T + (short @ of_short.T + self.gate.bias).unsqueeze(-2)).sigmoid()  # (..., K, 1)
        return torch.lerp(short.unsqueeze(-2), f, share)

    def after(self, state: State) -> Tensor:
        """The user's vectors (B, M, d) that the last event left, from the state alone."""
        sums = state.interests[:, :, 0]  # (B, K, d + 1)
        f = sums[..., :-1] / (sums[..., -1:] + EPS)
        f = f if self.latest is None else self.joined(f, state.last)
        return f if self.counts is None else torch.cat((f, state.counters.flatten(1).unsqueeze(1)), -1)

    def shapes(self) -> list[tuple[int, ...]]:
        """Of a user's numbers: each block's sums, the interests', the short-term vector, the counters."""
        attention: LinearAttention = self.blocks[0].attention  # type: ignore[assignment]
        width = attention.dim // attention.heads
        sums = [(attention.heads, width, width + 1)] * len(self.blocks)
        counters = (0,) if self.counts is None else (self.counts.rows, self.counts.width)
        short = attention.dim if self.latest else 0
        return [*sums, (len(self.interests.mu), 1, attention.dim + 1), (short,), counters]

    def numbers(self, state: State) -> Tensor:
        """A state without its time as (B, size) float32."""
        return torch.cat([x.flatten(1) for x in (*state.sums, *state[1:-1])], dim=1).float()

    def state(self, numbers: Tensor, time: Tensor) -> State:
        """The other way."""
        shapes = self.shapes()
        parts = numbers.split([math.prod(shape) for shape in shapes], dim=1)
        *sums, interests, last, counters = (x.unflatten(1, shape) for x, shape in zip(parts, shapes, strict=True))
        return State(tuple(sums), interests, last, counters, time)

    @staticmethod
    def _time(events: Tensor, state: State | None, times: Tensor | None) -> Tensor:
        """(B,): of the latest event so far."""
        if times is None:
            before = torch.full((len(events),), torch.nan, dtype=torch.float64, device=events.device)
            return before if state is None else state.time
        known = times.masked_fill((events == 0) | times.isnan(), -torch.inf).amax(1)
        if state is not None:
            known = torch.fmax(known, state.time)
        return torch.where(known == -torch.inf, torch.nan, known)

    @staticmethod
    def _gaps(times: Tensor, keep: Tensor, state: State | None) -> Tensor:
        """(B, L) float64: time since the latest event before, 0 for a late one; NaN where one of the two is unknown."""
        known = times.masked_fill(~keep | times.isnan(), -torch.inf)
        first = torch.full_like(known[:, :1], -torch.inf)
        if state is not None:
            first = torch.where(state.time.isnan(), -torch.inf, state.time).unsqueeze(1)
        before = torch.cat([first, known], dim=1).cummax(1).values[:, :-1]
        gaps = (times - before).clamp(min=0)
        return torch.where(keep & (before > -torch.inf), gaps, torch.nan)


def _codes(gaps: Tensor) -> Tensor:
    codes = gaps.nan_to_num(nan=0.0).log1p().div(math.log(2)).long().clamp(max=GAP_CODES - 2)
    return torch.where(gaps.isnan(), GAP_CODES - 1, codes)


def _last(short: Tensor, keep: Tensor, state: State | None) -> Tensor:
    """(B, d): that of the last real event, or of the state where there is none."""
    place = torch.arange(1, keep.shape[1] + 1, device=keep.device)
    last = (place * keep).amax(1)  # (B,), 0: none
    found = short[torch.arange(len(short), device=short.device), (last - 1).clamp(min=0)]
    before = torch.zeros_like(found) if state is None else state.last
    return torch.where(last.unsqueeze(1) > 0, found, before)
