"""Causal softmax attention over quantised keys: linear in L, because all keys of one codeword weigh the same.

Transformer-VQ (Lingle, ICLR 2024, arXiv 2309.16354), section 3. The definition, and a version in chunks: inside a chunk
it is ordinary attention; of all events before it a table has for each codeword how many keys it has and the sum of
their values. Weights are taken relative to each query's largest score, so that nothing overflows; a codeword without
keys has none.

Gradients are those of the definition. The paper's code lets only queries of a key's own and the next block reach the
key; here all do (ours): on the way back a second table has, for each codeword, which queries looked at it and what they
wanted of its values: S D (E + 1) numbers, in passing.

Shapes: B batch, H heads, L length, D width of keys, E width of values, S codewords, C chunk, G = B H.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError

CHUNK, SHORT = 64, 256  # a short history is quickest in one chunk: it needs no table

State = tuple[Tensor, Tensor]  # table (B, H, S, E + 1) and thread (B, H, S, D or 0, E + 1)


def nearest_codewords(k: Tensor, codebook: Tensor) -> Tensor:
    """k (B, H, L, D), codebook (H, S, D) -> the numbers (B, H, L) of the codewords with the least |k - c|^2."""
    return (k @ codebook.mT - codebook.square().sum(-1).unsqueeze(1) / 2).argmax(-1)


def codewords(codebook: Tensor, code: Tensor) -> Tensor:
    """codebook (H, S, D) at code (B, H, L) -> (B, H, L, D)."""
    return codebook[torch.arange(len(codebook), device=code.device).unsqueeze(1), code]


def key_quantised_attention_reference(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None) -> Tensor:
    """o_l = sum_{j<=l} softmax_j(q_l k_j) v_j over the kept j, and l: for keys that are codewords already."""
    place = torch.arange(q.shape[2], device=q.device)
    sees = place <= place.unsqueeze(1)  # (L, L)
    if keep is not None:
        sees = (sees & keep[:, None, None]) | (place == place.unsqueeze(1))
    return (q @ k.mT).masked_fill(~sees, -torch.inf).softmax(-1) @ v


def key_quantised_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    codebook: Tensor,
    code: Tensor,
    *,
    keep: Tensor | None = None,
    state: State | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, State]:
    """The same in time and memory linear in L.

    q, k: (B, H, L, D), scaled by whoever calls; k holds the codewords at code (B, H, L) of the codebook (H, S, D).
    v: (B, H, L, E).  keep: (B, L) bool; a key that is not kept is seen by none but its own event.
    state: of all events before these the table, for each codeword the sum of its values and their number, and a thread:
    zeros that take no memory, along which the gradient of these events' scores goes back to those events' keys (where
    none is recorded it has no numbers at all).
    Returns o (B, H, L, E) in v's dtype and the state after these events, in float32 or better (under autocast too).
    Gradients go to q, k, v and the state; the codebook has its own through k. They cannot be differentiated again.
    Raises ShapeError.
    """
    _check(q, k, v, codebook, code, keep, state)
    recorded = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    exact, (batch, heads) = torch.promote_types(v.dtype, torch.float32), q.shape[:2]
    with torch.autocast(q.device.type, enabled=False):
        o, *after = _KeyQuantisedAttention.apply(
            *(x.to(torch.promote_types(x.dtype, exact)).flatten(0, 1) for x in (q, k, v)),
            codebook.detach().to(exact).expand(batch, -1, -1, -1).flatten(0, 1),
            code.flatten(0, 1),
            None if keep is None else keep.repeat_interleave(heads, 0),
            *((None, None) if state is None else (part.to(exact).flatten(0, 1) for part in state)),
            chunk or (q.shape[2] if q.shape[2] <= SHORT else CHUNK),
            q.shape[3] if recorded else 0,
        )
    table, thread = (x.unflatten(0, (batch, heads)) for x in after)
    return o.unflatten(0, (batch, heads)).to(v.dtype), (table, thread)


class _KeyQuantisedAttention(torch.autograd.Function):
    """All in (G, ., .). Between the ways there and back only the tables are kept, the weights are computed twice."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        codebook: Tensor,
        code: Tensor,
        keep: Tensor | None,
        table: Tensor | None,
        thread: Tensor | None,
        chunk: int,
        width: int,
    ) -> tuple[Tensor, ...]:
        row = code + codebook.shape[1] * torch.arange(len(code), device=code.device).unsqueeze(1)  # in tables (G S, .)
        v1 = F.pad(v, (0, 1), value=1.0)  # a column of ones: numerator and denominator come from one product
        counted = v1 if keep is None else v1 * keep.unsqueeze(-1)
        outputs, normalisers, tables = [], [], []
        for start in range(0, q.shape[1], chunk):
            at = slice(start, start + chunk)
            kept = keep if keep is None else keep[:, at]
            scores, _, values = _seen(q[:, at], k[:, at], v1[:, at], codebook, table, kept)
            top = scores.amax(-1, keepdim=True)
            y1 = (scores - top).exp_() @ values  # (G, C, E + 1)
            outputs.append(y1[..., :-1] / y1[..., -1:])
            normalisers.append(top + y1[..., -1:].log())
            tables.append(table)
            before = v1.new_zeros(len(v1), codebook.shape[1], v1.shape[-1]) if table is None else table
            table = before.flatten(0, 1).index_add(0, row[:, at].flatten(), counted[:, at].flatten(0, 1))
            table = table.view_as(before)
        assert table is not None  # L >= 1
        o, normaliser = torch.cat(outputs, 1), torch.cat(normalisers, 1)
        ctx.chunk = chunk
        ctx.save_for_backward(q, k, v1, codebook, row, keep, o, normaliser, *tables)
        ctx.set_materialize_grads(False)
        return o, table, v1.new_zeros(1).expand(*codebook.shape[:2], width, v1.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, do: Tensor | None, wanted: Tensor | None, looked: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """With w the weights and u = (do, -do o): the gradient of a score is w (u v1), that of a value w u.

        Of later events, `wanted` (G, S, E + 1) has for each codeword the sum of w u, `looked` that of w q u. They come
        along the state from later calls, and go along it to earlier ones.
        """
        q, k, v1, codebook, row, keep, o, normaliser, *tables = ctx.saved_tensors
        do = torch.zeros_like(o) if do is None else do
        u = torch.cat((do, -(do * o).sum(-1, keepdim=True)), -1)  # (G, L, E + 1)
        wanted = torch.zeros_like(v1[:, :1]).expand(*codebook.shape[:2], -1) if wanted is None else wanted
        looked = None if looked is None else looked.flatten(2).clone()  # (G, S, D (E + 1))
        dq, dk, dv1 = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v1)
        with torch.autocast(q.device.type, enabled=False):
            for index in reversed(range(len(tables))):
                at, table = slice(index * ctx.chunk, (index + 1) * ctx.chunk), tables[index]
                qs, v1s, us, rows = (x[:, at] for x in (q, v1, u, row))
                kept = keep if keep is None else keep[:, at]
                scores, keys, values = _seen(qs, k[:, at], v1s, codebook, table, kept)
                weights, own = scores.sub_(normaliser[:, at]).exp_(), qs.shape[1]
                scores = weights * (us @ values.mT)  # their gradient
                dq[:, at] = scores @ keys
                dk[:, at] = scores[..., :own].mT @ qs
                d_values = weights.mT @ us  # (G, C + S, E + 1)
                counted = 1.0 if kept is None else kept.unsqueeze(-1)
                dv1[:, at] = d_values[:, :own] + wanted.flatten(0, 1)[rows] * counted
                if looked is not None:
                    of_key = looked.flatten(0, 1)[rows].unflatten(-1, (q.shape[-1], -1))  # (G, C, D, E + 1)
                    dk[:, at] += (of_key @ v1s.unsqueeze(-1)).squeeze(-1) * counted
                if table is not None:
                    wanted = wanted + d_values[:, own:]
                    far, looks = weights[..., own:].mT, (qs.unsqueeze(-1) * us.unsqueeze(-2)).flatten(2)
                    looked = far @ looks if looked is None else looked.baddbmm_(far, looks)
        thread = None if looked is None else looked.unflatten(-1, (q.shape[-1], -1))
        along = (wanted if ctx.needs_input_grad[6] else None, thread if ctx.needs_input_grad[7] else None)
        return dq, dk, dv1[..., :-1], None, None, None, *along, None, None


def _seen(
    q: Tensor, k: Tensor, v1: Tensor, codebook: Tensor, table: Tensor | None, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a chunk's queries: their scores (G, C, C + S), and keys and values of the chunk and of the table behind it."""
    hidden = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool, device=q.device).triu(1)
    if keep is not None:
        hidden = hidden | (~keep.unsqueeze(1) & ~torch.eye(q.shape[1], dtype=torch.bool, device=q.device))
    scores = (q @ k.mT).masked_fill_(hidden, -torch.inf)
    if table is None:
        return scores, k, v1
    empty = (table[..., -1] == 0).unsqueeze(1)  # (G, 1, S)
    scores = torch.cat((scores, (q @ codebook.mT).masked_fill_(empty, -torch.inf)), -1)
    return scores, torch.cat((k, codebook), 1), torch.cat((v1, table), 1)


def _check(
    q: Tensor, k: Tensor, v: Tensor, codebook: Tensor, code: Tensor, keep: Tensor | None, state: State | None
) -> None:
    if q.dim() != 4 or q.shape != k.shape or k.shape[:3] != v.shape[:3] or q.shape[2] == 0:
        raise ShapeError(
            f"key-quantised attention needs q and k of one shape (B, H, L >= 1, D) and v (B, H, L, E); "
            f"found q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
        )
    heads, width = q.shape[1], q.shape[-1]
    if codebook.dim() != 3 or codebook.shape[::2] != (heads, width) or code.shape != q.shape[:3]:
        raise ShapeError(
            f"key-quantised attention needs a codebook (H, S, D) = ({heads}, S, {width}) and code (B, H, L) = "
            f"{tuple(q.shape[:3])}; found codebook {tuple(codebook.shape)}, code {tuple(code.shape)}"
        )
    if keep is not None and (keep.shape != (len(q), q.shape[2]) or keep.dtype != torch.bool):
        raise ShapeError(
            f"key-quantised attention needs keep (B, L) = {(len(q), q.shape[2])} of bool; "
            f"found {tuple(keep.shape)} of {keep.dtype}"
        )
    expected = (*q.shape[:2], codebook.shape[1], v.shape[-1] + 1)
    if state is not None and state[0].shape != expected:
        raise ShapeError(
            f"key-quantised attention's table must be (B, H, S, E + 1) = {expected}; found {tuple(state[0].shape)}"
        )
