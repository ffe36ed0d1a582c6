"""Softmax attention to the last w events one by one, and to all older ones by histograms of their codewords.

Per codebook b, with s_tj = q_t k_j / sqrt(D) + bias[t - j] for the last w events (the query's own among them) and T, h
and V those of ops/codeword_histogram.py, where h_t counts the events that lie w or more behind t,

    Z_tb = sum_recent exp(s_tj) + sum_w h_t exp(T[c_t])
    y_t  = sum_b ( sum_recent exp(s_tj) v_j / B  +  sum_w h_t exp(T[c_t]) V ) / Z_tb

which is one softmax over all events. An older event has faded by lambda with each event after it; how recent ones fade
is told by `bias`. While nothing is older, it is softmax attention. The exact part is the same in all codebooks, so that
it is computed once. What is kept of a stream is w events and the histograms. Gradients reach codewords through T and V
and, given p, codes through counts.

On CPUs older events are read by compiled loops (ops/recent_loops.py); else, and where lambda, a state or soft codes
learn, by plain torch, in blocks whose histograms are computed again in the backward pass.

Shapes: N sequences, L events, P carried events (0 or w), B codebooks, W codewords, D width, C events of a block.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tenfold.errors import ShapeError
from tenfold.ops.dropout import dropout as drop
from tenfold.ops.recent_loops import OlderEvents, attend, spread_little

BLOCK = 128  # events whose histograms are held at a time


class Recent(NamedTuple):
    """Keys and values (N, P + L, D), codes (N, P + L, B), and which of them there are (N, P + L) bool."""

    keys: Tensor
    values: Tensor
    codes: Tensor
    there: Tensor
    p: Tensor | None = None  # (N, P + L, B, W): the soft codes that learn through counts (straight-through)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Recent":
        return Recent(*(None if x is None else change(x) for x in self))  # type: ignore[arg-type]


def recent_attention_reference(
    query: Tensor,
    events: Recent,
    bias: Tensor,
    table: Tensor,
    values: Tensor,
    *,
    decay: Tensor | None = None,
) -> Tensor:
    """The definition, of sequences without gaps and without what came before: query (N, L, D) -> y (N, L, D)."""
    window, place = len(bias), torch.arange(query.shape[1], device=query.device)
    back = place.unsqueeze(1) - place  # (L, L): how far j lies behind t
    exact = query @ events.keys.mT * query.shape[-1] ** -0.5 + bias[back.clamp(0, window - 1)]
    y = torch.zeros_like(query)
    for b in range(len(table)):
        codes = events.codes[..., b].long()
        coded = table[b][codes.unsqueeze(2), codes.unsqueeze(1)]  # (N, L, L)
        if decay is not None:
            coded = coded - decay[b] * back
        weights = torch.where(back < window, exact, coded).masked_fill(back < 0, -torch.inf).softmax(-1)
        y = y + weights.masked_fill(back >= window, 0) @ events.values / len(table)
        y = y + weights.masked_fill(back < window, 0) @ values[b][codes]
    return y


def recent_attention(
    query: Tensor,
    events: Recent,
    bias: Tensor,
    table: Tensor,
    values: Tensor,
    *,
    decay: Tensor | None = None,
    state: Tensor | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """query (N, L, D) of the last L of the events -> y (N, L, D) and the histograms after them (N, B, W).

    bias (w,): of events so far behind.  events: the w before the first query, where there are any (P = w; a state needs
    them), then those of the queries; what is not there may stand at the front and at the end only.  table (B, W, W),
    values (B, W, D), decay (B,), state (N, B, W) as in `codeword_attention`.  Raises ShapeError.
    """
    window, length = len(bias), query.shape[1]
    before = events.there.shape[1] - length
    if before not in (0, window) or (state is not None and not before):
        raise ShapeError(
            f"attention to recent events needs {window} events before the first one, or none and no state; "
            f"found {before}"
        )
    table = when_older(table, decay, window)
    kinds = {x.dtype for x in (query, events.keys, events.values, bias, table, values)}
    if not torch.is_grad_enabled() and not dropout and query.device.type == "cpu" and len(kinds) == 1:
        left = _left(table, decay)
        if spread_little(table, left) and query.dtype in (torch.float32, torch.float64):
            carried = table.new_zeros(len(query), *table.shape[:2]) if state is None else state
            given = events.keys, events.values, events.codes, events.there
            return attend(query, *given, bias, table, values, left, carried.to(table.dtype))
    read, mass = _exact(query, events, bias, before, dropout)
    if before:
        carried = table.new_zeros(len(query), *table.shape[:2]) if state is None else state
        old, share, state = _older(events, mass, window, table, values, decay, carried)
        return old + share.unsqueeze(-1) * read, state
    state = table.new_zeros(len(query), *table.shape[:2])
    some = (events.there.sum(1) > window).nonzero()[:, 0]  # sequences in which anything is older
    if not len(some):
        # What has no gradient at all would be missed where several processes share a batch.
        if torch.is_grad_enabled():
            read = read + 0.0 * sum(x.sum() for x in (table, values, events.p) if x is not None)
        return read, state
    parts = events.each(lambda x: x[some])
    old, share, state[some] = _older(parts, mass[some, window:], window, table, values, decay, state[some])
    every, shares = torch.zeros_like(read), torch.ones_like(mass)
    every[some, window:], shares[some, window:] = old, share
    return every + shares.unsqueeze(-1) * read, state


def when_older(table: Tensor, decay: Tensor | None, window: int) -> Tensor:
    """The scores T (B, W, W) of events that faded w times before they were counted."""
    return table if decay is None else table - (decay * window)[:, None, None]


def _left(table: Tensor, decay: Tensor | None) -> Tensor:
    """(B,): what an event leaves of those before it."""
    return table.new_ones(len(table)) if decay is None else torch.exp(-decay).to(table.dtype)


def _older(
    events: Recent, mass: Tensor, window: int, table: Tensor, values: Tensor, decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """For the queries from place w of the events on, mass (N, L): what they read of older events (N, L, D), the recent
    ones' share (N, L), and the histograms after them. The event that enters these at a query stands w places before."""
    real, reads, shares = events.there[:, window:], [], []
    learns = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (decay, state, events.p))
    if mass.device.type == "cpu" and not learns and mass.dtype == table.dtype == values.dtype == state.dtype:
        enters = events.there[:, : mass.shape[1]] & real
        left = _left(table, decay)
        return cast(tuple[Tensor, Tensor, Tensor], OlderEvents.apply(
            events.codes[:, : mass.shape[1]], enters, events.codes[:, window:], real, mass, table, values, left, state
        ))  # fmt: skip
    for start in range(0, mass.shape[1], BLOCK):
        here = slice(start, min(start + BLOCK, mass.shape[1]))
        asking = slice(window + here.start, window + here.stop)
        enters = events.there[:, here] & real[:, here]
        old, share, state = checkpoint(
            _block, events.codes[:, here], enters, events.codes[:, asking], real[:, here], mass[:, here],
            table, values, decay, state, None if events.p is None else events.p[:, here],
            use_reentrant=False, preserve_rng_state=False,
        )  # fmt: skip
        reads.append(old)
        shares.append(share)
    return torch.cat(reads, 1), torch.cat(shares, 1), state


def _exact(query: Tensor, events: Recent, bias: Tensor, before: int, dropout: float) -> tuple[Tensor, Tensor]:
    """What is read of the recent events alone (N, L, D), and the logarithm of its sum of weights (N, L)."""
    length = query.shape[1]
    window = min(len(bias), before + length)
    block = min(max(window, 32), length)
    count = -(-length // block)
    reach = window - 1 + block
    front, behind = window - 1 - before, count * block - length  # before a block's first query stand w - 1 events
    keys, values = (F.pad(x, (0, 0, front, behind)).unfold(1, reach, block) for x in (events.keys, events.values))
    there = F.pad(events.there, (front, behind)).unfold(1, reach, block)  # (N, n, reach)
    row, column = torch.arange(block, device=query.device).unsqueeze(1), torch.arange(reach, device=query.device)
    back = row + window - 1 - column  # (C, reach)
    seen = ((back >= 0) & (back < window) & there.unsqueeze(2)) | (back == 0)
    own = F.pad(query, (0, 0, 0, behind)).unflatten(1, (count, block))
    scores = own @ keys * query.shape[-1] ** -0.5 + bias[back.clamp(0, window - 1)]  # (N, n, C, reach)
    scores = scores.masked_fill(~seen, -torch.inf)
    mass = scores.logsumexp(-1)
    weights = (scores - mass.unsqueeze(-1)).exp()
    read = drop(weights, dropout) @ values.mT if dropout else weights @ values.mT
    return read.flatten(1, 2)[:, :length], mass.flatten(1, 2)[:, :length]


def _block(
    entering: Tensor,
    enters: Tensor,
    codes: Tensor,
    real: Tensor,
    mass: Tensor,
    table: Tensor,
    values: Tensor,
    decay: Tensor | None,
    state: Tensor,
    p: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """entering (N, C, B), p (N, C, B, W), those that enter; codes (N, C, B) of the queries, real (N, C), mass (N, C),
    state before them -> what is read of older events (N, C, D), the recent ones' share (N, C), and the histograms after
    them (N, B, W)."""
    o = table.new_zeros(*entering.shape, table.shape[-1])
    o = o.scatter(-1, entering.long().unsqueeze(-1), 1.0)
    if p is not None:
        o = o + (p - p.detach())
    o = o * enters[..., None, None]
    if decay is None:
        h = o.cumsum(1) + state.unsqueeze(1)
    else:
        count = real.cumsum(1)
        age = (count.unsqueeze(2) - count.unsqueeze(1)).unsqueeze(1)  # (N, 1, C, C)
        weight = torch.exp(-decay[:, None, None] * age.clamp(min=0)).tril()  # (N, B, C, C)
        h = (weight @ o.transpose(1, 2)).transpose(1, 2)
        h = h + torch.exp(-decay[:, None] * count[..., None, None]) * state.unsqueeze(1)
    old, share = joint(h, codes, mass, table, values)
    return old, share, h[:, -1]


def joint(h: Tensor, codes: Tensor, mass: Tensor, table: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Histograms h (N, L, B, W), the queries' codes (N, L, B), the recent events' mass (N, L), a logarithm -> what is
    read of older events (N, L, D), and the share (N, L) that the recent ones have, the mean over the codebooks.

    What is subtracted before the exponential is the largest score there is: see `_read` of ops/codeword_histogram.py.
    """
    scores = table[torch.arange(len(table), device=table.device), codes.long()]  # (N, L, B, W)
    mass = mass[..., None, None]
    top = torch.maximum((scores + h.log()).amax(-1, keepdim=True), mass).detach()
    most = math.log(torch.finfo(h.dtype).max) - 4
    s, recent = h * torch.exp((scores - top).clamp(max=most)), torch.exp(mass - top)
    total = s.sum(-1, keepdim=True) + recent
    return torch.einsum("nlbw,bwd->nld", s / total, values), (recent / total).mean((2, 3))
