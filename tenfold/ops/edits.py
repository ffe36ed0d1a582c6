"""The fewest deletions and insertions that turn one sequence into another, for whole batches; nothing is replaced.

The expert of the Levenshtein Transformer (Gu et al., NeurIPS 2019, arXiv 1905.11006): tokens of x in the longest
common subsequence are kept, the others deleted, and what y has beside them is inserted. Of several longest ones it is
that of the authors' code, which aligns to the leftmost places. The definition stands beside loops that are compiled for
the CPU, and beside steps over whole batches for a graphics card.

Shapes: B batch, N length of x, M length of y. Tokens are numbers, 0 is padding, on the right, and equals nothing.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor

from tenfold.errors import ShapeError


class Edits(NamedTuple):
    deleted: Tensor  # (B, N) bool: which of x must go
    found: (
        Tensor  # (B, M) bool: which of y are there already, as the kept ones of x in their order; the rest is inserted
    )


def edits_reference(x: list[int], y: list[int]) -> tuple[list[bool], list[bool]]:
    """Edits of one pair without padding, by the table of longest common subsequences and the way back through it."""
    longest = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            same = longest[i - 1][j - 1] + 1 if x[i - 1] == y[j - 1] else 0
            longest[i][j] = max(same, longest[i - 1][j], longest[i][j - 1])
    deleted, found = [False] * len(x), [False] * len(y)
    i, j = len(x), len(y)
    while i or j:
        if j and longest[i][j] == longest[i][j - 1]:
            j -= 1
        elif i and longest[i][j] == longest[i - 1][j]:
            i -= 1
            deleted[i] = True
        else:
            i, j = i - 1, j - 1
            found[j] = True
    return deleted, found


def edits(x: Tensor, y: Tensor) -> Edits:
    """x (B, N), y (B, M), both of int64. Raises ShapeError."""
    if x.dim() != 2 or y.dim() != 2 or len(x) != len(y) or x.dtype != torch.int64 or y.dtype != torch.int64:
        raise ShapeError(
            f"edits are of x (B, N) and y (B, M) of int64; found {tuple(x.shape)} of {x.dtype} and {tuple(y.shape)} of "
            f"{y.dtype}"
        )
    if x.device.type != "cpu":
        return edits_in_steps(x, y)
    deleted, found = np.zeros(x.shape, np.bool_), np.zeros(y.shape, np.bool_)
    _edits(x.detach().contiguous().numpy(), y.detach().contiguous().numpy(), deleted, found)
    return Edits(torch.from_numpy(deleted), torch.from_numpy(found))


def edits_in_steps(x: Tensor, y: Tensor) -> Edits:
    """The same by operations over the whole batch: M steps for the table, N + M for the way back."""
    (batch, n), m = x.shape, y.shape[1]
    longest = torch.zeros(batch, n + 1, m + 1, dtype=torch.int16, device=x.device)
    for column in range(m):
        same = (x == y[:, column : column + 1]) & (x != 0)
        before = longest[:, :, column]
        here = torch.maximum(before[:, 1:], (before[:, :-1] + 1) * same)
        longest[:, 1:, column + 1] = here.cummax(1).values
    row = torch.arange(batch, device=x.device)
    i, j = (x != 0).sum(1), (y != 0).sum(1)
    deleted, found = torch.zeros_like(x, dtype=torch.bool), torch.zeros_like(y, dtype=torch.bool)
    for _ in range(n + m):
        value, left, above = longest[row, i, j], (j - 1).clamp(min=0), (i - 1).clamp(min=0)
        insert = (j > 0) & (longest[row, i, left] == value)
        delete = ~insert & (i > 0) & (longest[row, above, j] == value)
        keep = ~insert & ~delete & (i > 0) & (j > 0)
        deleted[row, above] |= delete
        found[row, left] |= keep
        i, j = i - (delete | keep).long(), j - (insert | keep).long()
    return Edits(deleted, found)


def gap_counts(kept: Tensor, real: Tensor) -> Tensor:
    """How many tokens are missing in each gap between those that are kept.

    kept (B, M) bool: which of y are there, the first and the last of each row among them; real (B, M): what is no
    padding. Returns (B, K - 1), K the largest number of kept ones: of the gap behind the k-th, 0 behind the last.
    """
    which = kept.long().cumsum(1) - 1  # the kept token before each place, or at it
    counts = torch.zeros(len(kept), int(kept.sum(1).max()), dtype=torch.int64, device=kept.device)
    counts.scatter_add_(1, which.clamp(min=0), (real & ~kept).long())
    return counts[:, :-1]


def embedded_reference(z: list[int], y: list[int]) -> list[bool]:
    """Which places of y hold z, one token after the other from the right. Raises ShapeError where z is not in y."""
    found, left = [False] * len(y), len(z)
    for place in reversed(range(len(y))):
        if left and z[left - 1] == y[place]:
            left -= 1
            found[place] = True
    if left:
        raise ShapeError(f"{z} is no subsequence of {y}")
    return found


def embedded(z: Tensor, y: Tensor) -> Tensor:
    """The same for batches: z (B, N) and y (B, M), padded on the right -> (B, M) bool. Raises ShapeError."""
    left = (z != 0).sum(1)
    if z.device.type == "cpu":
        found = np.zeros(y.shape, np.bool_)
        missing = _embedded(z.contiguous().numpy(), y.contiguous().numpy(), found)
        if missing >= 0:
            raise ShapeError(f"row {missing}: {z[missing].tolist()} is no subsequence of {y[missing].tolist()}")
        return torch.from_numpy(found)
    at = torch.zeros_like(y, dtype=torch.bool)
    padded = torch.cat((torch.zeros_like(z[:, :1]), z), 1)  # z's k-th token at k, nothing at 0
    for place in reversed(range(y.shape[1])):
        hit = (padded.gather(1, left.unsqueeze(1))[:, 0] == y[:, place]) & (left > 0)
        at[:, place] = hit
        left = left - hit.long()
    if bool(left.any()):
        missing = int(left.nonzero()[0])
        raise ShapeError(f"row {missing}: {z[missing].tolist()} is no subsequence of {y[missing].tolist()}")
    return at


def _compiled(function: Any) -> Any:
    return cast(Any, njit)(cache=True, nogil=True)(function)


@_compiled
def _length(row):  # type: ignore[no-untyped-def]
    for place in range(len(row)):
        if row[place] == 0:
            return place
    return len(row)


@_compiled
def _edits(x, y, deleted, found):  # type: ignore[no-untyped-def]
    longest = np.zeros((x.shape[1] + 1, y.shape[1] + 1), np.int32)
    for b in range(len(x)):
        n, m = _length(x[b]), _length(y[b])
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                same = longest[i - 1, j - 1] + 1 if x[b, i - 1] == y[b, j - 1] else 0
                longest[i, j] = max(same, longest[i - 1, j], longest[i, j - 1])
        i, j = n, m
        while i > 0 or j > 0:
            if j > 0 and longest[i, j] == longest[i, j - 1]:
                j -= 1
            elif i > 0 and longest[i, j] == longest[i - 1, j]:
                i -= 1
                deleted[b, i] = True
            else:
                i, j = i - 1, j - 1
                found[b, j] = True


@_compiled
def _embedded(z, y, found):  # type: ignore[no-untyped-def]
    """Returns the first row whose z is not in its y, or -1."""
    for b in range(len(z)):
        left = _length(z[b])
        for place in range(_length(y[b]) - 1, -1, -1):
            if left > 0 and z[b, left - 1] == y[b, place]:
                left -= 1
                found[b, place] = True
        if left > 0:
            return b
    return -1
