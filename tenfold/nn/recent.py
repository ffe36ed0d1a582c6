"""The exact part of LISA's attention to a recent past: queries, keys and values of the last w events, one head.

ops/recent_attention.py has the definition. `RecentEvents` is held by LISA's network, which reads from a catalogue that
is encoded already, and by `LisaAttention` (nn/lisa.py), which stands in any transformer.

Shapes: N sequences, L events, w recent ones, B codebooks, W codewords, D width.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.nn.dropout import Dropout
from tenfold.ops.products import linear
from tenfold.ops.recent_attention import Recent, joint, recent_attention, when_older


class Ring(NamedTuple):
    """What a stream keeps: the last w events, the newest last, and the histograms of all older ones (N, B, W)."""

    events: Recent
    histogram: Tensor


def check_recent(recent: int, length: int) -> None:
    """Raises OptionError where training never sees an event that is no longer recent."""
    if recent > length:
        raise OptionError(
            f"recent = {recent} is above training.length = {length}: windows of that length hold no event that is "
            "older; give a smaller recent, or longer windows"
        )


class RecentEvents(nn.Module):
    """x (N, L, D) and the codes of each event -> y (N, L, D), by one softmax over recent events and older codewords."""

    def __init__(self, dim: int, window: int, dropout: float = 0.0, *, decay: float = 0.0) -> None:
        """decay: by how much less an event counts, at the start, for each one after it: LISA's lambda."""
        super().__init__()
        if window < 1:
            raise OptionError(f"attention to recent events needs one or more of them; found recent = {window}")
        self.window, self.drop = window, Dropout(dropout)
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
        self.bias = nn.Parameter(-decay * torch.arange(float(window)))  # of an event so far behind

    def of(self, x: Tensor, codes: Tensor, there: Tensor, p: Tensor | None = None) -> Recent:
        """Events x (N, L, D), codes (N, L, B), soft ones p (N, L, B, W) where these learn; `there` (N, L) are real."""
        return Recent(linear(x, self.key.weight), linear(x, self.value.weight), codes, there, p)

    def forward(
        self, x: Tensor, events: Recent, tables: Any, decay: Tensor | None, state: Ring | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (N, L, D), and events made of it by `of`; padding may stand anywhere. tables: nn.lisa's.

        Returns y (N, L, D), not to be read at padding, and the histograms after it.
        """
        keep, order = events.there, None
        if bool((keep[:, 1:] > keep[:, :-1]).any()):
            order = real_first(keep)
            x, events = rows(x, order), events.each(partial(rows, order=order))
        y, histogram = recent_attention(
            linear(x, self.query.weight), events if state is None else joined(state.events, events), self.bias,
            tables.scores, tables.values, decay=decay, state=None if state is None else state.histogram,
            dropout=self.drop.p if self.training else 0.0,
        )  # fmt: skip
        return y if order is None else rows(y, order.argsort(1)), histogram

    def after(self, events: Recent, before: Recent | None = None) -> Recent:
        """The last w of what came before (N, w, ...) and of events (N, L, ...), those that are not there left out."""
        if before is None:
            before = events.each(lambda x: x.new_zeros(len(x), self.window, *x.shape[2:]))
        order, keep = real_first(events.there), events.there
        return joined(before, events, lambda old, new: last(old, rows(new, order), keep))

    def scores(self, x: Tensor, events: Recent) -> tuple[Tensor, Tensor]:
        """Of the last event x (N, D) to the w of a ring (N, w), and the logarithm of the sum of their exponentials."""
        scores = (events.keys @ self.query(x).unsqueeze(-1))[..., 0] * x.shape[-1] ** -0.5 + self.bias.flip(0)
        scores = scores.masked_fill(~events.there, -torch.inf)
        return scores, scores.logsumexp(-1)

    def read(self, x: Tensor, ring: Ring, codes: Tensor, tables: Any, decay: Tensor | None) -> Tensor:
        """The last event x (N, D) with its codes (N, B), which is the ring's last -> y (N, D)."""
        scores, mass = self.scores(x, ring.events)
        recent = ((scores - mass.unsqueeze(-1)).exp().unsqueeze(1) @ ring.events.values)[:, 0]
        old, share = joint(
            ring.histogram.unsqueeze(1),
            codes.unsqueeze(1),
            mass.unsqueeze(1),
            when_older(tables.scores, decay, self.window),
            tables.values,
        )
        return old[:, 0] + share * recent


def real_first(keep: Tensor) -> Tensor:
    """keep (N, L) -> the places (N, L) of the real ones in their order, then of the others."""
    if not bool((keep[:, 1:] > keep[:, :-1]).any()):
        return torch.arange(keep.shape[1], device=keep.device).expand_as(keep)
    return (~keep).to(torch.uint8).argsort(dim=1, stable=True)


def last(old: Tensor, new: Tensor, keep: Tensor) -> Tensor:
    """The last w of old (N, w, ...) and of as many of new (N, L, ...), real ones first, as keep (N, L) counts."""
    place = keep.sum(1, keepdim=True) + torch.arange(old.shape[1], device=keep.device)
    return rows(torch.cat((old, new), 1), place)


def joined(before: Recent, after: Recent, how: Callable[[Tensor, Tensor], Tensor] | None = None) -> Recent:
    """One after the other, or however two tensors of one kind are to be joined; soft codes where both have them."""
    how = how or (lambda old, new: torch.cat((old, new), 1))
    pairs = zip(before, after, strict=True)
    return Recent(*(None if old is None or new is None else how(old, new) for old, new in pairs))  # type: ignore[arg-type]


def rows(x: Tensor, order: Tensor) -> Tensor:
    """x (N, L, ...) at the places order (N, K) -> (N, K, ...)."""
    return x.gather(1, order.view(*order.shape, *[1] * (x.dim() - 2)).expand(*order.shape, *x.shape[2:]))
