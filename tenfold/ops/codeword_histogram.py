"""Attention over codewords: softmax attention over quantised events, read from running histograms of their codes.

Wu et al., WWW 2021 (arXiv 2105.14068), sections 3.2 and 3.3. An event is one codeword of each of B codebooks. Per
codebook, with h_t the histogram of the codes so far and c_t the code of event t,

    h_t = exp(-lambda) h_{t-1} + o_t                                       (1)
    alpha_t = h_t exp(T[c_t]) / sum_w h_t exp(T[c_t])                      (2)
    y_t = sum over the codebooks of alpha_t V                              (3)

which equals softmax attention with scores T[c_t, c_t'] - lambda (t - t'), in time L B W and a state of B W numbers.
o_t is the one-hot code; with `p` its gradient goes to p as if it were p (straight-through); soft: o_t is p itself.

Three versions: the definition, with all histograms written out; chunks of plain torch for any device; and compiled
loops for CPUs (ops/codeword_loops.py). The last two hold the histograms of one chunk at a time, and keep for the
backward pass only the codes and, the loops, the histogram at each chunk's border.

Shapes: N sequences, L events, R rows of codes (an item's, or an event's own), B codebooks, W codewords, D width,
C events of a chunk, T events of all sequences.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tenfold.errors import ShapeError
from tenfold.ops.codeword_loops import CodewordAttention, Given, read

MOST_CODEWORDS = 256


def codeword_attention_reference(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    *,
    p: Tensor | None = None,
    soft: bool = False,
    decay: Tensor | None = None,
    state: Tensor | None = None,
    causal: bool = True,
) -> tuple[Tensor, Tensor]:
    """Equations 1 to 3 with the (N, L, B, W) histogram written out; arguments as `codeword_attention`'s."""
    keep, events = rows >= 0, rows.clamp(min=0)
    o = _indicators(events, keep, codes, table, p, soft)  # (N, L, B, W)
    if causal:
        age = keep.cumsum(1).unsqueeze(2) - keep.cumsum(1).unsqueeze(1)  # (N, L, L): real events from one to the other
        weight = torch.exp(-_rates(decay, table)[:, None, None] * age.clamp(min=0).unsqueeze(1)).tril()  # (N, B, L, L)
        h = torch.einsum("nblk,nkbw->nlbw", weight, o)
        if state is not None:
            h = h + torch.exp(-_rates(decay, table)[:, None] * keep.cumsum(1)[..., None, None]) * state.unsqueeze(1)
    else:
        h = (o.sum(1, keepdim=True) + (0 if state is None else state.unsqueeze(1))).expand_as(o)
    return _read(h, codes[events].long(), table, values) * keep.unsqueeze(-1), h[:, -1]


def codeword_attention(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    *,
    p: Tensor | None = None,
    soft: bool = False,
    decay: Tensor | None = None,
    state: Tensor | None = None,
    causal: bool = True,
    offsets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """rows (N, L), codes (R, B), table (B, W, W), values (B, W, D) -> y (N, L, D) and the last histograms (N, B, W).

    rows: which row of codes and p each event is, -1 at padding, which may stand anywhere and counts nothing; y is 0
    there. With offsets (N + 1,), rows (T,) holds the sequences end to end, and y is (T, D).
    table: what is exponentiated, its scale included; table[b, c, w] belongs to a query of code c.
    p (R, B, W): the soft codes, for the straight-through gradient; soft: the histogram counts them instead of one-hots.
    decay (B,): lambda of each codebook, an exponent an event; none: every event counts the same.
    state (N, B, W): the histograms of what came before.  causal = False: each event sees the whole sequence.
    Sums are float32 or better, under autocast too. The gradient cannot be differentiated again. Raises ShapeError.
    """
    _check(rows, codes, table, values, p, decay, state, offsets, soft=soft, causal=causal)
    dtype = torch.promote_types(torch.promote_types(table.dtype, values.dtype), torch.float32)
    table, values = table.to(dtype), values.to(dtype)
    p, decay, state = (None if x is None else x.to(dtype) for x in (p, decay, state))
    device = rows.device.type
    with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
        if causal and device == "cpu" and dtype in (torch.float32, torch.float64):
            return _compiled(rows, codes, table, values, p, soft, decay, state, offsets)
        if offsets is None:
            return codeword_attention_chunked(
                rows, codes, table, values, p=p, soft=soft, decay=decay, state=state, causal=causal
            )
        padded, real = _padded(rows, offsets)
        y, state = codeword_attention_chunked(
            padded, codes, table, values, p=p, soft=soft, decay=decay, state=state, causal=causal
        )
        return y[real], state


def _check(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    p: Tensor | None,
    decay: Tensor | None,
    state: Tensor | None,
    offsets: Tensor | None,
    *,
    soft: bool,
    causal: bool,
) -> None:
    books, words = table.shape[0], table.shape[-1]
    if rows.dim() != (2 if offsets is None else 1) or rows.numel() == 0:
        wanted = "rows (N, L >= 1)" if offsets is None else "rows (T >= 1,) with offsets (N + 1,)"
        raise ShapeError(f"codeword attention needs {wanted}; found rows {tuple(rows.shape)}")
    shapes: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "table": (table, (books, words, words)),
        "values": (values, (books, words, values.shape[-1])),
    }
    shapes["codes"] = (codes, (len(codes), books))
    if p is not None:
        shapes["p"] = (p, (len(codes), books, words))
    if decay is not None:
        shapes["decay"] = (decay, (books,))
    if state is not None:
        shapes["state"] = (state, (len(rows) if offsets is None else len(offsets) - 1, books, words))
    for name, (tensor, wanted_shape) in shapes.items():
        if tuple(tensor.shape) != wanted_shape:
            raise ShapeError(f"codeword attention needs {name} {wanted_shape}; found {tuple(tensor.shape)}")
    if words > MOST_CODEWORDS:
        raise ShapeError(f"codeword attention takes at most {MOST_CODEWORDS} codewords, a byte's; found {words}")
    for name, index in {"rows": rows, "codes": codes}.items():
        if index.is_floating_point() or index.dtype == torch.bool:
            raise ShapeError(f"codeword attention needs whole numbers as {name}; found {index.dtype}")
    if rows.device.type == "cpu":  # a graphics card would have to be waited for
        within = {"rows": (rows, len(codes), "rows of codes"), "codes": (codes, words, "codewords")}
        for name, (index, bound, of) in within.items():
            if index.numel() and int(index.max()) >= bound:
                raise ShapeError(f"codeword attention's {name} are below {bound}, the {of}; found {int(index.max())}")
        if codes.dtype.is_signed and codes.numel() and int(codes.min()) < 0:
            raise ShapeError(f"codeword attention's codes are 0 or more; found {int(codes.min())}")
        if offsets is not None and not (offsets[0] == 0 and offsets[-1] == len(rows) and (offsets.diff() >= 0).all()):
            found = offsets.tolist()[:9]
            raise ShapeError(f"codeword attention's offsets go from 0 up to the {len(rows)} rows; found {found}")
    if soft and p is None:
        raise ShapeError("codeword attention counts soft codes where soft=True, and needs p (R, B, W); found none")
    if not causal and decay is not None:
        raise ShapeError("codeword attention that sees the whole sequence has no decay; leave decay out")


# Any device.


def codeword_attention_chunked(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    *,
    p: Tensor | None = None,
    soft: bool = False,
    decay: Tensor | None = None,
    state: Tensor | None = None,
    causal: bool = True,
    chunk: int = 128,
) -> tuple[Tensor, Tensor]:
    """The same in plain torch, chunk by chunk; each chunk is computed again in the backward pass."""
    state = table.new_zeros(len(rows), *table.shape[:2]) if state is None else state
    parts = rows.split(chunk, dim=1)
    if not causal:
        for part in parts:
            state = state + _again(_total, part, codes, table, p, soft)
    reads = []
    for part in parts:
        y, after = _again(_chunk, part, codes, table, values, p, soft, decay, state, causal)
        state = after if causal else state
        reads.append(y)
    return torch.cat(reads, 1), state


def _again(function: Callable[..., Any], *arguments: Any) -> Any:
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _total(rows: Tensor, codes: Tensor, table: Tensor, p: Tensor | None, soft: bool) -> Tensor:
    return _indicators(rows.clamp(min=0), rows >= 0, codes, table, p, soft).sum(1)


def _chunk(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    p: Tensor | None,
    soft: bool,
    decay: Tensor | None,
    state: Tensor,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    """One chunk's y (N, C, D), and the histograms after it."""
    keep, events = rows >= 0, rows.clamp(min=0)
    if causal:
        o = _indicators(events, keep, codes, table, p, soft)
        count = keep.cumsum(1)  # (N, C)
        if decay is None:
            h = o.cumsum(1) + state.unsqueeze(1)
        else:
            age = (count.unsqueeze(2) - count.unsqueeze(1)).unsqueeze(1)  # (N, 1, C, C)
            weight = torch.exp(-decay[:, None, None] * age.clamp(min=0)).tril()  # (N, B, C, C)
            h = (weight @ o.transpose(1, 2)).transpose(1, 2)  # (N, C, B, W)
            h = h + torch.exp(-decay[:, None] * count[..., None, None]) * state.unsqueeze(1)
    else:
        h = state.unsqueeze(1).expand(-1, rows.shape[1], -1, -1)
    return _read(h, codes[events].long(), table, values) * keep.unsqueeze(-1), h[:, -1]


def _indicators(events: Tensor, keep: Tensor, codes: Tensor, table: Tensor, p: Tensor | None, soft: bool) -> Tensor:
    """o (N, L, B, W)."""
    if soft and p is not None:
        o = p[events]
    else:
        o = torch.zeros(*events.shape, *table.shape[:2], dtype=table.dtype, device=table.device)
        o = o.scatter(-1, codes[events].long().unsqueeze(-1), 1.0)
        if p is not None:
            o = o + (p - p.detach())[events]
    return o * keep[..., None, None]


def _read(h: Tensor, code: Tensor, table: Tensor, values: Tensor) -> Tensor:
    """h (N, L, B, W), code (N, L, B) -> y (N, L, D): equations 2 and 3.

    What is subtracted before the exponential cancels. It is the largest score among the codewords that are there: one
    that is absent, and far larger, would make all the others 0.
    """
    scores = table[torch.arange(len(table), device=table.device), code]  # (N, L, B, W)
    top = (scores + h.log()).amax(-1, keepdim=True).detach()
    s = h * torch.exp((scores - top.clamp(min=torch.finfo(h.dtype).min)).clamp(max=_most(h.dtype)))
    alpha = s / s.sum(-1, keepdim=True).clamp(min=torch.finfo(h.dtype).tiny)
    return torch.einsum("nlbw,bwd->nld", alpha, values)


def _most(dtype: torch.dtype) -> float:
    """The largest exponent that leaves room for a sum: only an absent codeword's gradient is ever so large."""
    return math.log(torch.finfo(dtype).max) - 4


def _rates(decay: Tensor | None, table: Tensor) -> Tensor:
    return table.new_zeros(len(table)) if decay is None else decay


def _padded(rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Sequences end to end -> (N, L) with -1 on the right, and where the real ones are."""
    lengths = offsets.diff()
    real = torch.arange(max(int(lengths.max()), 1), device=rows.device) < lengths.unsqueeze(1)
    return rows.new_full(real.shape, -1).masked_scatter(real, rows), real


# CPUs.


def _compiled(
    rows: Tensor,
    codes: Tensor,
    table: Tensor,
    values: Tensor,
    p: Tensor | None,
    soft: bool,
    decay: Tensor | None,
    state: Tensor | None,
    offsets: Tensor | None,
) -> tuple[Tensor, Tensor]:
    if offsets is None:
        sequence = torch.arange(rows.numel()) // rows.shape[1]
    else:
        sequence = torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff())
    if state is None:
        state = table.new_zeros(len(rows) if offsets is None else len(offsets) - 1, *table.shape[:2])
    rate = None if decay is None else torch.exp(-decay)
    given = Given(rows.flatten().long(), sequence, codes.to(torch.uint8), table, values, p, rate, state, soft)
    learned = (table, values, p, rate, state)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in learned):
        y, state = CodewordAttention.apply(*given)
    else:
        y, state, _ = read(given)
    return y.unflatten(0, rows.shape), state
