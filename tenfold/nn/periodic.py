"""The memory of HPMN: recurrent networks one above the other, of growing periods (Ren et al., SIGIR 2019, arXiv
1905.00758, section 3.2).

Shapes: B users or streams, M levels, w width of a level's state.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def hierarchy(
    cells: Iterable[nn.Module], x: Tensor, levels: Sequence[Tensor], count: Tensor | int, period: int
) -> list[Tensor]:
    """One event. The lowest of the M cells reads it; each other reads the one below it, every `period` times that this
    one has changed, and is left alone else.

    x (B, .) what the lowest cell reads; levels: M states (B, w); count: events so far, this one included, (B, 1), or
    one number for all -> the states after it.
    """
    below, after = x, list[Tensor]()
    for level, (cell, state) in enumerate(zip(cells, levels, strict=True)):
        turn = count % period**level == 0
        if isinstance(turn, bool):
            below = cell(below, state) if turn else state
        else:
            below = torch.where(turn, cell(below, state), state) if level else cell(below, state)
        after.append(below)
    return after


def together(memory: Tensor) -> Tensor:
    """|C - diag C| of the levels' covariance (B, M, M), averaged over the users: levels that vary together say the
    same. memory (B, M, w)."""
    memory = memory - memory.mean(2, keepdim=True)
    c = memory @ memory.mT / memory.shape[2]
    c = c - torch.diag_embed(c.diagonal(dim1=1, dim2=2))
    return c.square().sum((1, 2)).clamp(min=1e-12).sqrt().mean()
