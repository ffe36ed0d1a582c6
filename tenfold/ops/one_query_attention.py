"""Attention of one query to a short row of keys, for many rows at once: ranking's inner step.

As a product of matrices each row would be one of 1 x S, and as elementwise operations it writes and reads three arrays
of the size of all keys. The compiled loop reads each key and value once, and only those that are there; `reference` is
the definition, and what other devices than the CPU run.

Shapes: n rows, H heads, S keys of each, D numbers of a head.
"""

import math

import numpy as np
import torch
from torch import Tensor

from tenfold.ops.temporal_loops import loop


def attend(
    query: Tensor,
    own: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    there: Tensor,
    same: Tensor | None = None,
    token: Tensor | None = None,
) -> Tensor:
    """query (n, H, D); own: a key and a value (n, H, D) that are always there; keys and values (n, H, S, D), there (n, S)
    bool -> (n, H, D). The query, and own, keys, values and there together, may be one for all rows, as 1 in place of n.

    same (n, 1 + S) bool, the own key's first: to these keys and values `token` (2, H, D) is added. No gradient.
    """
    if query.device.type != "cpu" or query.dtype != torch.float32:
        return reference(query, own, keys, values, there, same, token)
    found = np.empty((max(len(query), len(keys)), *query.shape[1:]), np.float32)
    marks = np.zeros((0, 0), bool) if same is None else same.numpy()
    added = np.zeros((2, *query.shape[1:]), np.float32) if token is None else token.detach().numpy()
    arrays = (each.detach().contiguous().numpy() for each in (query, *own, keys, values, there))
    _attend(*arrays, marks, added, np.float32(1 / math.sqrt(query.shape[-1])), found)
    return torch.from_numpy(found)


def reference(
    query: Tensor,
    own: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    there: Tensor,
    same: Tensor | None = None,
    token: Tensor | None = None,
) -> Tensor:
    every = [torch.cat([first.unsqueeze(2), rest], dim=2) for first, rest in zip(own, (keys, values), strict=True)]
    if same is not None and token is not None:
        marked = same[:, None, :, None]
        every = [all_ + marked * added[:, None, :] for all_, added in zip(every, token, strict=True)]
    logits = (every[0] * query.unsqueeze(2)).sum(-1) / math.sqrt(query.shape[-1])
    kept = torch.cat([torch.ones_like(there[:, :1]), there], dim=1).unsqueeze(1)
    weights = logits.masked_fill(~kept, torch.finfo(logits.dtype).min).softmax(-1)
    return (weights.unsqueeze(-1) * every[1]).sum(2)


@loop
def _attend(query, own_key, own_value, keys, values, there, same, token, scale, found):  # type: ignore[no-untyped-def]
    _, heads, count, width = keys.shape
    logits, marked = np.empty(1 + count, np.float32), len(same) > 0
    for row in range(len(found)):
        q, k = row if len(query) > 1 else 0, row if len(keys) > 1 else 0
        for h in range(heads):
            more = np.float32(0)
            if marked:
                for d in range(width):
                    more += query[q, h, d] * token[0, h, d]
            x = np.float32(0)
            for d in range(width):
                x += query[q, h, d] * own_key[k, h, d]
            if marked and same[row, 0]:
                x += more
            logits[0] = largest = x * scale
            for s in range(count):
                if there[k, s]:
                    x = np.float32(0)
                    for d in range(width):
                        x += query[q, h, d] * keys[k, h, s, d]
                    if marked and same[row, 1 + s]:
                        x += more
                    logits[1 + s] = x * scale
                    largest = max(largest, x * scale)
            first = np.exp(logits[0] - largest)
            total, shared = first, first if marked and same[row, 0] else np.float32(0)
            for d in range(width):
                found[row, h, d] = first * own_value[k, h, d]
            for s in range(count):
                if there[k, s]:
                    w = np.exp(logits[1 + s] - largest)
                    total += w
                    if marked and same[row, 1 + s]:
                        shared += w
                    for d in range(width):
                        found[row, h, d] += w * values[k, h, s, d]
            for d in range(width):
                found[row, h, d] = (found[row, h, d] + shared * token[1, h, d]) / total
