"""Causal attention within a window: an event sees itself and the W - 1 events before it, whatever lies further back.

The definition, and a version in blocks whose time and memory are L W. Both are about events without gaps between them;
nn/attention.py takes care of padding. Shapes: B batch, H heads, L length, D width of a head, W window, P events carried
from before, C events of a block, N blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.ops.dropout import dropout as drop


def local_attention_reference(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """o_l = sum_{l-W<j<=l} softmax_j(q_l k_j / sqrt(D)) v_j for q, k, v (B, H, L, D)."""
    place = torch.arange(q.shape[2], device=q.device)
    back = place.unsqueeze(1) - place  # how far j lies behind l
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill((back < 0) | (back >= window), -torch.inf)
    return scores.softmax(-1) @ v


def local_attention(
    q: Tensor, k: Tensor, v: Tensor, keep: Tensor, *, window: int, dropout: float = 0.0, block: int | None = None
) -> Tensor:
    """The same for q (B, H, L, D) whose k, v (B, H, P + L, D) begin with P events of before; keep (B, P + L) bool.

    Keys that are not kept are seen by none but, where there is nothing else, by the event that stands there.
    """
    (batch, heads, length, width), before = q.shape, k.shape[2] - q.shape[2]
    window = min(window, k.shape[2])  # there is no more to see
    block = min(block or max(window, 32), length)
    count = -(-length // block)
    reach = window - 1 + block  # keys that a block sees
    ahead, behind = window - 1 - before, count * block - length
    k, v = (F.pad(x, (0, 0, ahead, behind)).unfold(2, reach, block) for x in (k, v))  # (B, H, N, D, reach); < 0 cuts
    kept = F.pad(keep, (ahead, behind)).unfold(1, reach, block)  # (B, N, reach)
    query, key = torch.arange(block, device=q.device).unsqueeze(1), torch.arange(reach, device=q.device)
    band = (key >= query) & (key < query + window)  # (C, reach): key j of a block stands W - 1 before query j
    sees = (band & kept.unsqueeze(2)) | (key == query + window - 1)  # (B, N, C, reach)
    q = F.pad(q, (0, 0, 0, behind)).unflatten(2, (count, block))
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q, k.mT, v.mT))  # (B N, H, ., D)
    sees = sees.flatten(0, 1).unsqueeze(1)
    if dropout:
        weights = (q @ k.mT * width**-0.5).masked_fill(~sees, -torch.inf).softmax(-1)
        o = drop(weights, dropout) @ v
    else:
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=sees)
    return o.unflatten(0, (batch, count)).transpose(1, 2).reshape(batch, heads, count * block, width)[:, :, :length]
