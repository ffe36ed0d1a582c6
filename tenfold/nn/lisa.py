"""LISA attention: linear in time, its state a histogram of codewords. Wu et al., WWW 2021 (arXiv 2105.14068).

`CodewordAttention` reads from events that are encoded already: systems/lisa encodes its catalogue once for all events.
`LisaAttention` encodes its own input, and so stands in any transformer here in place of softmax attention.

Shapes: N sequences, L events, R rows of codes, B codebooks, W codewords, D width.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.codebooks import Codebooks, Encoded, Start
from tenfold.nn.dropout import Dropout
from tenfold.nn.recent import RecentEvents, Ring
from tenfold.ops.codeword_histogram import codeword_attention


class Tables(NamedTuple):
    """What depends on the codewords alone: once a step in training, once and for all after it."""

    scores: Tensor  # T (B, W, W), its scale 1 / sqrt(D) included
    values: Tensor  # (B, W, D)


class CodewordAttention(nn.Module):
    """Section 3.2: each codebook is a head whose queries, keys and values are its own codewords, projected.

    decay: lambda, an exponent an event.  long_decay: that of every second codebook instead.  learn_decay: one for each
    codebook, starting there, at 1e-6 or more.  shared: one projection for all codebooks.  learn_counts = False: no
    gradient reaches the codes through histograms.
    """

    rate: Tensor

    def __init__(
        self,
        dim: int,
        books: int,
        *,
        decay: float = 0.0,
        long_decay: float | None = None,
        learn_decay: bool = False,
        shared: bool = False,
        learn_counts: bool = True,
        start: str = "slice",
    ) -> None:
        super().__init__()
        for each in (decay, 0.0 if long_decay is None else long_decay):
            if not each >= 0:
                raise OptionError(f"the decay lambda must be at least 0; found {each}")
        self.learn_counts, self.learn_decay, self.decays = (
            learn_counts,
            learn_decay,
            max(decay, long_decay or 0.0) > 0 or learn_decay,
        )
        self.query, self.key, self.value = (
            nn.Parameter(torch.empty(1 if shared else books, dim, dim)) for _ in range(3)
        )
        for weight in (self.query, self.key, self.value):
            if start == "official":
                nn.init.xavier_uniform_(weight if len(weight) > 1 else weight[0])
            else:
                nn.init.uniform_(weight, -((3 / dim) ** 0.5), (3 / dim) ** 0.5)  # Xavier for each codebook
        rate = torch.full((books,), float(decay))
        if long_decay is not None:
            rate[1::2] = long_decay
        if learn_decay:
            rate = rate.clamp(min=1e-6)
            rate = rate + torch.log(-torch.expm1(-rate))  # softplus gives it back, at any size
            self.rate = nn.Parameter(rate)
        else:
            self.register_buffer("rate", rate)

    def tables(self, codewords: Tensor) -> Tables:
        """codewords (B, W, D)."""
        scores = (codewords @ self.query) @ (codewords @ self.key).mT
        return Tables(scores * codewords.shape[-1] ** -0.5, codewords @ self.value)

    @property
    def decay(self) -> Tensor | None:
        """lambda of each codebook (B,); None where every event counts the same."""
        if not self.decays:
            return None
        return F.softplus(self.rate) if self.learn_decay else self.rate

    def forward(
        self, rows: Tensor, encoded: Encoded, tables: Tables, state: Tensor | None = None, *, soft: bool = False
    ) -> tuple[Tensor, Tensor]:
        """rows (N, L) of `encoded`, -1 at padding -> y (N, L, D), and the histograms after them (N, B, W)."""
        p = encoded.p if soft or self.learn_counts else None
        return codeword_attention(
            rows, encoded.codes, tables.scores, tables.values, p=p, soft=soft, decay=self.decay, state=state
        )

    def read(self, h: Tensor, codes: Tensor, tables: Tables) -> Tensor:
        """Histograms h (N, B, W) and the last event's codes (N, B) -> y (N, D): equations 2 and 3 at one place."""
        return self.weights(h, codes, tables).flatten(1) @ tables.values.flatten(0, 1)

    def weights(self, h: Tensor, codes: Tensor, tables: Tables) -> Tensor:
        """Equation 2: alpha (N, B, W)."""
        scores = tables.scores[torch.arange(len(tables.scores), device=h.device), codes.long()]
        return (scores + h.log()).softmax(-1)


class LisaAttention(nn.Module):
    """Any block's attention: x is quantised by codebooks of the layer's own, and attended to over their codewords.

    Called as all layers of nn/attention.py. The state is the histogram, (N, B, W) whatever the length of the stream.
    The codebooks act as heads: `heads` is how many there are, W codewords in each. Ours: an outer projection, and
    dropout on what was read, as the other layers have them.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float = 0.0, *, codewords: int = 16, temperature: float = 0.7,
        residual: bool = True, soft: bool = False, start: Start = "slice", recent: int | None = None, **attention: Any,
    ) -> None:  # fmt: skip
        """recent: the last so many events are attended to as they are, older ones by their codewords, under one
        softmax; the state then holds the former as well (ops/recent_attention.py).  attention: what CodewordAttention
        takes: decay, long_decay, learn_decay, shared, learn_counts."""
        super().__init__()
        self.dim, self.soft = dim, soft
        self.codebooks = Codebooks(
            dim, heads, codewords, temperature=temperature, soft=soft, residual=residual, start=start
        )
        self.attention = CodewordAttention(dim, heads, start=start, **attention)
        self.out, self.drop = nn.Linear(dim, dim), Dropout(dropout)
        if recent is not None and soft:
            raise OptionError("attention to recent events counts older ones by hard codes; leave soft or recent out")
        self.recent = None if recent is None else RecentEvents(dim, recent, dropout, decay=attention.get("decay", 0.0))

    def forward(self, x: Tensor, keep: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        if x.dim() != 3 or x.shape[-1] != self.dim or x.shape[1] == 0:
            raise ShapeError(f"attention needs x (B, L >= 1, d = {self.dim}); found {tuple(x.shape)}")
        encoded = self.codebooks(x.flatten(0, 1))
        rows = torch.arange(x.shape[0] * x.shape[1], device=x.device).view(x.shape[:2])
        if keep is not None:
            if keep.shape != x.shape[:2] or keep.dtype != torch.bool:
                raise ShapeError(
                    f"attention needs keep (B, L) = {tuple(x.shape[:2])} of bool; "
                    f"found {tuple(keep.shape)} of {keep.dtype}"
                )
            rows = rows.masked_fill(~keep, -1)
        tables = self.attention.tables(self.codebooks.codewords)
        if self.recent is not None:
            keep = torch.ones_like(rows, dtype=torch.bool) if keep is None else keep
            p = encoded.p if self.attention.learn_counts else None
            p = None if p is None else p.unflatten(0, x.shape[:2])
            events = self.recent.of(x, encoded.codes.view(*x.shape[:2], -1), keep, p)
            y, histogram = self.recent(x, events, tables, self.attention.decay, state)
            after = Ring(self.recent.after(events, None if state is None else state.events), histogram)
            return self.out(self.drop(y.to(x.dtype))), after
        y, state = self.attention(rows, encoded, tables, state, soft=self.soft)
        return self.out(self.drop(y.to(x.dtype))), state
