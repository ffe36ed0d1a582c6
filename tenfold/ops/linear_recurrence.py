"""A diagonal linear recurrence, h_l = a h_{l-1} + x_l with complex a: each channel remembers at its own pace.

Orvieto et al., ICML 2023 (arXiv 2303.06349), section 3: the core of a linear recurrent unit. The definition, and a
version that walks through about sqrt(L) chunks side by side, then from chunk to chunk: 2 sqrt(L) steps on whole slices,
on any device, whose work is linear in L. No power of a goes beyond a chunk's length and none is divided by, so it is no
less exact than the definition, however near to 1 |a| is.

Shapes: B batch, L length, D channels, C length of a chunk, N = L / C chunks.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError


def linear_recurrence_reference(
    x: Tensor, a: Tensor, *, keep: Tensor | None = None, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """h_l = a h_{l-1} + x_l where l is kept, else h_l = h_{l-1}; the state is the h of before, at first 0."""
    h, every = torch.zeros_like(x[:, 0]) if state is None else state, []
    for place in range(x.shape[1]):
        after = a * h + x[:, place]
        h = after if keep is None else torch.where(keep[:, place, None], after, h)
        every.append(h)
    return torch.stack(every, 1), h


def linear_recurrence(
    x: Tensor, a: Tensor, *, keep: Tensor | None = None, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same, quickly.

    x: (B, L, D) and a: (D,), both complex, |a| <= 1.  keep: (B, L) bool, False where an event is padding.
    state: (B, D), h after the events before these.
    Returns h (B, L, D) and the state after these events. Gradients go to x, a and the state; they cannot be
    differentiated again.  Raises ShapeError.
    """
    _check(x, a, keep, state)
    h = _LinearRecurrence.apply(x, a, keep, torch.zeros_like(x[:, 0]) if state is None else state)
    return h, h[:, -1]


class _LinearRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, keep: Tensor | None, state: Tensor) -> Tensor:
        h = _walk(x if keep is None else x * keep.unsqueeze(-1), a, keep, state)
        ctx.save_for_backward(a, keep, state, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        """The same recurrence, from the last event to the first: dh_l gets conj(a) dh_{l+1}, where l + 1 is kept."""
        a, keep, state, h = ctx.saved_tensors
        before = torch.cat((state.unsqueeze(1), h[:, :-1]), 1)
        conj = a.conj().resolve_conj()
        steps = None if keep is None else keep.flip(1).roll(1, 1)
        dx = _walk(dh.flip(1), conj, steps, torch.zeros_like(state)).flip(1)
        first = dx[:, 0]
        d_state = first * conj if keep is None else torch.where(keep[:, :1], first * conj, first)
        if keep is not None:
            dx = dx * keep.unsqueeze(-1)
        return dx, (dx * before.conj()).sum((0, 1)), None, d_state


def _walk(x: Tensor, a: Tensor, steps: Tensor | None, state: Tensor) -> Tensor:
    """h_l = a h_{l-1} + x_l where l steps, else h_{l-1} + x_l; a fresh tensor."""
    batch, length, channels = x.shape
    size = math.isqrt(length - 1) + 1  # C
    count = -(-length // size)
    h = x.new_empty(batch, count, size, channels)  # what stands past the end is never read
    h.flatten(1, 2)[:, :length] = x
    if steps is None:
        factor, powers = a, a.expand(size, -1).cumprod(0)  # (D,), (C, D): a^1 ... a^C
    else:
        steps = F.pad(steps, (0, count * size - length)).unflatten(1, (count, size))  # (B, N, C)
        factor = torch.where(steps.unsqueeze(-1), a, torch.ones_like(a))  # (B, N, C, D)
        powers = factor.cumprod(2)
    for place in range(1, size):
        h[:, :, place].addcmul_(h[:, :, place - 1], factor if steps is None else factor[:, :, place])
    for chunk in range(count):
        h[:, chunk].addcmul_(powers if steps is None else powers[:, chunk], state.unsqueeze(1))
        state = h[:, chunk, -1]
    return h.flatten(1, 2)[:, :length]


def _check(x: Tensor, a: Tensor, keep: Tensor | None, state: Tensor | None) -> None:
    if x.dim() != 3 or x.shape[1] == 0 or a.shape != x.shape[2:] or not (x.is_complex() and x.dtype == a.dtype):
        raise ShapeError(
            f"a linear recurrence needs x (B, L >= 1, D) and a (D,), complex and of one dtype; "
            f"found x {tuple(x.shape)} of {x.dtype}, a {tuple(a.shape)} of {a.dtype}"
        )
    if keep is not None and (keep.shape != x.shape[:2] or keep.dtype != torch.bool):
        raise ShapeError(
            f"a linear recurrence needs keep (B, L) = {tuple(x.shape[:2])} of bool; "
            f"found {tuple(keep.shape)} of {keep.dtype}"
        )
    expected = (len(x), x.shape[2])
    if state is not None and state.shape != expected:
        raise ShapeError(f"a linear recurrence's state must be (B, D) = {expected}; found {tuple(state.shape)}")
