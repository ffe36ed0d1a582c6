"""LISA's network: a catalogue encoded once, attention over its codewords, one block, and what items are found by.

Wu et al., WWW 2021 (arXiv 2105.14068), section 3. One layer, as in the authors' code:

    x_hat, codes <- encode(sqrt(D) E[item])        y <- codeword attention (ops/codeword_histogram.py)
    g = LN(dropout(x_hat + P[place]) + dropout(y))   z = LN(g + FFN(g))      score(item) = z . target(item)

Shapes: N users, L events, D width, V items (0 is padding), B codebooks, W codewords.
"""

import math
from typing import Any, NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.nn.codebooks import Codebooks, CodesInTurns, Encoded
from tenfold.nn.dropout import Dropout
from tenfold.nn.lisa import CodewordAttention, LisaAttention, Tables
from tenfold.nn.recent import RecentEvents, Ring, check_recent, last, real_first, rows
from tenfold.nn.transformer import Block, DenseFeedForward, Positions
from tenfold.ops.straight_through import decode
from tenfold.systems.lisa.counts import CodeCounts
from tenfold.systems.lisa.options import Options

# Standard deviation of items at the start, at most, where they are coded by the nearest codeword. Xavier's grows as the
# catalogue shrinks (0.14 for forty items): scores then begin in the tens, and the first epochs unlearn them.
SMALL = 0.01
# Codes are made anew in so many steps where that is left open. Codes up to 8 steps old had 1.01 and 0.96 of the NDCG@10
# on catalogues of 600 and 1,682 items (validation parts, two seeds), where there is little time to be saved; on 25,910
# 0.93 (one seed, mean of epochs 4 to 12) in half of the time.
MOST_STEPS, ITEMS_A_STEP = 4, 3_000


class Catalogue(NamedTuple):
    """The items, or some of them, encoded: in training once a step, afterwards once and for all."""

    vectors: Tensor  # sqrt(D) E (V + 1, D)
    history: Encoded  # as events of a history
    tables: Tables
    targets: Tensor  # (V + 1, D), what a user vector is multiplied with
    target_codes: Tensor | None = None  # (V + 1, B) of these, where they are sums of codewords
    keys: Tensor | None = None  # (V + 1, R), where an item's own count stands


def recent_events(options: Options) -> int:
    """w; 0: none is attended to by itself. Raises OptionError."""
    recent = options.attention.recent
    if recent is None:
        return 0
    if options.soft:
        raise OptionError(
            f"soft codes are counted of all events; found attention.recent = {recent}, which goes with hard ones"
        )
    check_recent(recent, options.training.length)
    return recent


class State(NamedTuple):
    """All that is kept of a user: constant in size, whatever was seen."""

    seen: Tensor  # (N,) events so far
    last: Tensor  # (N,) the last one's item, 0 before the first
    histogram: Tensor  # (N, B, W)
    upper: list[Any]  # of the blocks above the first
    ring: Tensor | None = None  # (N, w) items of the recent events, the newest last, 0 before the first
    joint: Tensor | None = None  # (N, R, W), the sketch


def _set_apart(books: Codebooks, x: Tensor, found: Encoded) -> Encoded:
    """Row 0 is padding, which nobody finds."""
    codes = torch.cat([found.codes[:1], books.apart(x[1:], found.codes[1:])])
    return found if torch.equal(codes, found.codes) else Encoded(decode(x, codes, books.codewords), codes, None)


class LisaNetwork(nn.Module):
    steps: Tensor

    def __init__(self, items: int, options: Options) -> None:
        super().__init__()
        o, books, dim = options, options.codebooks, options.dim
        self.item = nn.Embedding(items + 1, dim, padding_idx=0)  # E
        xavier = (2 / (items + 1 + dim)) ** 0.5
        nn.init.normal_(self.item.weight, std=xavier if books.coding == "bilinear" else min(xavier, SMALL))
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.soft, self.targets_are, self.scale = o.soft, o.targets, math.sqrt(dim)

        def codebooks(words: int, soft: bool) -> Codebooks:
            return Codebooks(
                dim, books.books, words, temperature=books.temperature, soft=soft, residual=books.residual,
                start=books.start, coding=books.coding,
            )  # fmt: skip

        self.distinct = books.distinct
        self.codebooks = codebooks(books.words, o.soft)
        self.target_codebooks = codebooks(books.target_words, False) if o.targets == "own" else None
        every = min(MOST_STEPS, 1 + items // ITEMS_A_STEP) if books.refresh is None else books.refresh

        def kept_codes(of: Codebooks | None) -> CodesInTurns | None:
            hard = of is not None and books.coding == "nearest" and not of.soft
            return CodesInTurns(items + 1, books.books, every) if hard and every > 1 else None

        self.codes, self.target_codes = kept_codes(self.codebooks), kept_codes(self.target_codebooks)
        self.attention = CodewordAttention(
            dim, books.books, decay=o.attention.decay, long_decay=o.attention.long_decay,
            learn_decay=o.attention.learn_decay, shared=o.attention.shared, learn_counts=books.learn_counts,
            start=books.start,
        )  # fmt: skip
        window = recent_events(o)
        self.recent = RecentEvents(dim, window, o.dropout, decay=o.attention.decay) if window else None
        self.counts = None if o.counts.of == "none" else CodeCounts(o, items)
        self.position = Positions(o.training.length, dim) if o.positions else None
        self.drop, self.norm1, self.norm2 = Dropout(o.dropout), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.feed_forward = DenseFeedForward(dim, o.expansion * dim, o.dropout)
        self.upper = nn.ModuleList(
            Block(
                dim, attention=LisaAttention(dim, books.books, o.dropout, codewords=books.words,
                temperature=books.temperature, residual=books.residual, soft=o.soft, start=books.start,
                decay=o.attention.decay, long_decay=o.attention.long_decay, learn_decay=o.attention.learn_decay,
                shared=o.attention.shared, learn_counts=books.learn_counts, recent=window or None),
                feed_forward=DenseFeedForward(dim, o.expansion * dim, o.dropout), norm="post",
            )
            for _ in range(o.layers - 1)
        )  # fmt: skip
        self.revive_every, self.from_items = books.revive, books.start == "kmeans"
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # of training, where codewords are tended
        self._kept: Catalogue | None = None

    # The catalogue.

    def reset_dead_codes(self) -> None:
        """Called once a training step: at the first, codewords may start from the items; now and then those that no
        item uses are seeded anew."""
        if not (self.from_items or self.revive_every):
            return
        begins, revives = self.from_items and int(self.steps) == 0, False
        self.steps += 1
        if self.revive_every:
            revives = int(self.steps) % self.revive_every == 0
        for books in (self.codebooks, self.target_codebooks) if begins or revives else ():
            if books is None:
                continue
            x = self.item.weight[1:].detach() * self.scale
            if begins:
                books.start_from(x)
            if revives:
                books.revive(x)

    def catalogue(self, items: Tensor | None = None) -> Catalogue:
        """Of all items, or of those numbered `items` (U,), whose first is 0: rows then stand for these.

        Outside training that of all items is made once, and again when the weights may have changed.
        """
        apart = self.distinct and items is None and not self.training
        if items is None and not self.training and not torch.is_grad_enabled():
            self._kept = self._kept or self._encode(None, apart=apart)
            return self._kept
        return self._encode(items, apart=apart)

    def _encode(self, items: Tensor | None, *, apart: bool = False) -> Catalogue:
        """items: as of `catalogue`.  apart: items that are found by equal codes get others; nothing learns by that."""
        x = (self.item.weight if items is None else self.item(items)) * self.scale
        history = self.codebooks(x, given=self._codes(self.codebooks, self.codes, items))
        if apart and self.targets_are == "same" and not self.soft:
            history = _set_apart(self.codebooks, x, history)
        targets, codes = (history.vectors, None if self.soft else history.codes)
        if self.target_codebooks is not None:
            given = self._codes(self.target_codebooks, self.target_codes, items)
            found = self.target_codebooks(x, vectors_only=True, given=given)
            found = _set_apart(self.target_codebooks, x, found) if apart else found
            targets, codes = found.vectors, found.codes
        elif self.targets_are == "items":
            targets, codes = x, None
        keys = None if self.counts is None else self.counts.keys(history.codes, items)
        return Catalogue(x, history, self.attention.tables(self.codebooks.codewords), targets, codes, keys)

    def _codes(self, books: Codebooks, in_turns: CodesInTurns | None, items: Tensor | None) -> Tensor | None:
        """Codes (U, B) that may be some steps old; none outside training."""
        if in_turns is None or not self.training or not torch.is_grad_enabled():
            return None
        return cast(Tensor, in_turns(books, self.item.weight, self.scale, items))

    def train(self, mode: bool = True) -> Self:
        self._kept = None
        return super().train(mode)

    def _apply(self, *arguments: Any, **more: Any) -> Self:
        self._kept = None
        return super()._apply(*arguments, **more)

    def load_state_dict(self, *arguments: Any, **more: Any) -> Any:
        self._kept = None
        return super().load_state_dict(*arguments, **more)

    # Users.

    def forward(
        self, events: Tensor, state: State | None = None, catalogue: Catalogue | None = None
    ) -> tuple[Tensor, State]:
        """events (N, L), rows of the catalogue -> user vectors z (N, L, D), with counters behind them where a candidate
        is counted too (counts.py), and the state after them."""
        catalogue = self.catalogue() if catalogue is None else catalogue
        real, x = events != 0, F.embedding(events, catalogue.history.vectors)  # x_hat
        y, histogram, ring = self._attend(events, x, catalogue, state)
        count = None if state is None else state.seen
        if self.position is not None:
            x, count = self.position(x, real, count)
        else:
            count = real.sum(1) + (0 if count is None else count)
        z = self._block(x, y)
        upper: list[Any] = []
        for block, before in zip(self.upper, state.upper if state else [None] * len(self.upper), strict=True):
            z, after = block(z, real, before)
            upper.append(after)
        place = (real * torch.arange(1, events.shape[1] + 1, device=events.device)).amax(1) - 1  # -1: all padding
        newest = events.gather(1, place.clamp(min=0).unsqueeze(1)).squeeze(1)
        if state is not None:
            newest = torch.where(place >= 0, newest, state.last)
        if self.counts is None or catalogue.keys is None:
            return z, State(count, newest, histogram, upper, ring)
        before = None if state is None else self._counters(state, catalogue)
        fade = self.counts.fading(self.attention.decay)
        counters = self.counts.running(catalogue.keys[events], real, before, z, fade)
        joint = counters[:, -1] if self.counts.sketched else None
        return torch.cat((z, counters.flatten(2)), -1), State(count, newest, histogram, upper, ring, joint)

    def _counters(self, state: State, catalogue: Catalogue) -> Tensor:
        """(N, R, W) of all events: the sketch, or the histograms with the events that are not in them yet."""
        assert self.counts is not None and catalogue.keys is not None
        if self.counts.sketched or state.ring is None or self.recent is None:
            return cast(Tensor, state.joint if self.counts.sketched else state.histogram)
        there, keys = state.ring != 0, catalogue.keys[state.ring]
        fade = self.counts.fading(self.attention.decay)
        return self.counts.running(keys, there, state.histogram, state.histogram, fade)[:, -1]

    def _attend(
        self, events: Tensor, x: Tensor, catalogue: Catalogue, state: State | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the events (N, L), x (N, L, D), read; the histograms and the ring after them."""
        real, histogram = events != 0, None if state is None else state.histogram
        if self.recent is None:
            counted = events.masked_fill(~real, -1)
            return *self.attention(counted, catalogue.history, catalogue.tables, histogram, soft=self.soft), None
        p = catalogue.history.p if self.attention.learn_counts and torch.is_grad_enabled() else None
        # Items learn by what follows them and by being found, not by being looked at: as keys and values of fifty
        # places they all went one way, and learning stood still for the first epochs (docs/log.md).
        seen = self.recent.of(x.detach(), catalogue.history.codes[events], real, None if p is None else p[events])
        before = None if state is None else self._ring(state, catalogue)
        y, histogram = self.recent(x, seen, catalogue.tables, self.attention.decay, before)
        old = events.new_zeros(len(events), self.recent.window) if state is None else state.ring
        return y, histogram, last(cast(Tensor, old), rows(events, real_first(real)), real)

    def _ring(self, state: State, catalogue: Catalogue) -> Ring:
        """The ring's events, as the catalogue has them."""
        assert self.recent is not None and state.ring is not None
        x, there = F.embedding(state.ring, catalogue.history.vectors), state.ring != 0
        return Ring(self.recent.of(x, catalogue.history.codes[state.ring], there), state.histogram)

    def _block(self, x: Tensor, y: Tensor) -> Tensor:
        g = self.norm1(self.drop(x) + self.drop(y))
        return self.norm2(g + self.feed_forward(g))

    def at(self, state: State) -> Tensor:
        """The user vectors (N, D) after the last events of a one-layer state: what `forward` gave there."""
        catalogue = self.catalogue()
        codes, x = catalogue.history.codes[state.last], catalogue.history.vectors[state.last]
        if self.recent is None:
            y = self.attention.read(state.histogram, codes, catalogue.tables)
        else:
            y = self.recent.read(x, self._ring(state, catalogue), codes, catalogue.tables, self.attention.decay)
        if self.position is not None:
            x = x + self.position.table[(state.seen - 1).clamp(0, len(self.position.table) - 1)]
        z = self._block(x, y)
        return z if self.counts is None else torch.cat((z, self._counters(state, catalogue).flatten(1)), -1)
