"""Rows of different lengths without their padding: layers that look at each token by itself have nothing to do with it.

What is packed holds the tokens that are there, one row behind another. Attention wants rows of one length, of each head
by itself: `heads` writes there what was packed and `packed` reads it back, in place of the copies by which heads are
set apart. Each token has one place, so that the gradient of one is the other. Where tokens are many, a few that nobody
reads follow them, so that products are of few sizes (ops/products.py).

Shapes: R rows, S places of each, P tokens that are there and those behind them, H heads, D numbers of a head.
"""

from functools import cache
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

GRAIN, MANY = 128, 2_048  # P is a multiple of GRAIN where it is MANY or more


class Ragged:
    def __init__(self, keep: Tensor) -> None:
        """keep (R, S) bool: which places hold a token; the first of each row does."""
        self.keep = keep
        self.at = _filled(keep.flatten().nonzero().squeeze(1))  # (P,)
        self.sizes = keep.sum(1)  # (R,)
        self.count = int(self.sizes.sum())  # of the tokens that are there
        self.first = self.sizes.cumsum(0) - self.sizes  # (R,): where each row begins in what is packed
        self.places = cache(self._places)

    def flat(self, x: Tensor) -> Tensor:
        """(R, S, ...) -> (P, ...)"""
        return x.flatten(0, 1)[self.at]

    def heads(self, x: Tensor, heads: int, parts: int = 1) -> Tensor:
        """(P, parts H D) -> (parts, R, H, S, D); where there is no token, some token's, which is not to be read."""
        rows, width = self.keep.shape
        shape = (parts, rows, heads, width, x.shape[1] // (parts * heads))
        found: Tensor = _Spread.apply(x, self.places(heads, parts), shape)
        return found

    def packed(self, y: Tensor) -> Tensor:
        """(R, H, S, D) -> (P, H D)"""
        found: Tensor = _Picked.apply(y, self.places(y.shape[1], 1), (len(self.at), y.shape[1] * y.shape[3]))
        return found

    def mean(self, x: Tensor) -> Tensor:
        """(P, d) -> (R, d): over the tokens of each row."""
        rows = self.heads(x, 1)[0, :, 0].masked_fill(~self.keep.unsqueeze(2), 0.0)
        return rows.sum(1) / self.sizes.unsqueeze(1)

    def take(self, rows: Tensor) -> tuple[Self, Tensor]:
        """rows (n,) -> these rows, and where their tokens stand in what was packed."""
        taken = type(self)(self.keep[rows])
        shift = (self.first[rows] - taken.first).repeat_interleave(taken.sizes)
        return taken, _filled(shift + torch.arange(len(shift), device=shift.device))

    def _places(self, heads: int, parts: int) -> "Places":
        rows, width = self.keep.shape
        at = self.at[: self.count]
        token = at // width * (heads * width) + at % width
        part = torch.arange(parts, device=token.device) * (rows * heads * width)
        head = torch.arange(heads, device=token.device) * width
        into = (token[:, None, None] + part[:, None] + head).flatten()
        out_of = into.new_zeros(parts * rows * heads * width)
        out_of[into] = torch.arange(len(into), device=into.device)
        empty = torch.ones_like(out_of, dtype=torch.bool)
        empty[into] = False
        return into, out_of, empty.nonzero().squeeze(1)


# Of each token's parts and heads among (parts R H S); the other way, any where there is none; and where there is none.
Places = tuple[Tensor, Tensor, Tensor]


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Places, shape: tuple[int, ...]) -> Tensor:
        ctx.places, ctx.shape = places, x.shape
        return _spread(x, places, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return _picked(dy, ctx.places, ctx.shape), None, None


class _Picked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, places: Places, shape: tuple[int, ...]) -> Tensor:
        ctx.places, ctx.shape = places, y.shape
        return _picked(y, places, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, None, None]:
        dy = _spread(dx, ctx.places, ctx.shape)
        dy.view(-1, dy.shape[-1]).index_fill_(0, ctx.places[2], 0.0)
        return dy, None, None


def _spread(x: Tensor, places: Places, shape: tuple[int, ...]) -> Tensor:
    """Read, not written to: an index that is written through costs three times as much."""
    return x.reshape(-1, shape[-1]).index_select(0, places[1]).view(shape)


def _picked(y: Tensor, places: Places, shape: tuple[int, ...]) -> Tensor:
    found = y.new_empty(shape)
    pieces = found.view(-1, y.shape[-1])
    torch.index_select(y.reshape(-1, y.shape[-1]), 0, places[0], out=pieces[: len(places[0])])
    pieces[len(places[0]) :] = 0  # so that nothing goes back through those that nobody reads
    return found


def _filled(places: Tensor) -> Tensor:
    spare = -len(places) % GRAIN if len(places) >= MANY else 0
    return torch.cat([places, places.new_zeros(spare)])
