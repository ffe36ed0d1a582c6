"""Beam search over the choices of a writer: a few texts are followed at once, the best finished ones are returned.

A text's answer depends on its own beams only, so that batches of any size and order give the same.

Shapes: B tables, K beams, C choices, L tokens so far.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tenfold.tasks.table_text.encoding import BOS, EOS, PAD
from tenfold.tasks.table_text.network import Read, Writer

LEAST = -1e9  # log probability of what must not come


class Found(NamedTuple):
    """The best texts of each table, best first."""

    tokens: Tensor  # (B, K, L) without BOS and EOS, padded on the right
    scores: Tensor  # (B, K): log probability over length to the power of the penalty; -inf where there is no such text
    choice_log_p: Tensor  # (B, K, L): log probability of each token


Rule = Callable[[Tensor, Tensor, Tensor], Tensor]  # beams' tokens (R, L), their tables (R,), log P (R, C) -> log P


class Held(ABC):
    """A rule that wants tokens in an order. Half of the beam, rounded down, goes to the texts that have said most of
    them: a beam of the likeliest alone is filled by texts that put off what is wanted, and never end (banks of Post and
    Vilar 2018, arXiv 1804.06609, here two)."""

    @abstractmethod
    def __call__(self, tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        """As `Rule`."""

    @abstractmethod
    def progress(self, tokens: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Of beams' tokens (R, L) and their tables (R,): how many were said (R,), and which is next (R,), else PAD."""


def beam_search(
    writer: Writer,
    read: Read,
    *,
    beam: int,
    longest: int,
    length_penalty: float = 1.0,
    block: int = 0,
    never: tuple[int, ...] = (),
    rule: Rule | None = None,
    majority: bool = False,
    extra: int | None = None,
) -> Found:
    """longest: tokens of a text without EOS.  block: n-grams of so many tokens come once.  never: tokens that are not
    written.  rule: changes the log probabilities of each step.  majority: a text ends only where that is likelier than
    all that it could go on with together.  extra: how many of the best are returned, else all."""
    search = _Search(writer, read, beam, longest, length_penalty, block, never, rule, majority)
    with torch.no_grad():
        for _ in range(longest + 1):
            if search.step():
                break
    return search.found(extra or beam)


class _Search:
    def __init__(
        self,
        writer: Writer,
        read: Read,
        beam: int,
        longest: int,
        penalty: float,
        block: int,
        never: tuple[int, ...],
        rule: Rule | None,
        majority: bool,
    ) -> None:
        tables, device = len(read.choices), read.choices.device
        self.writer, self.beam, self.longest, self.penalty, self.block, self.rule, self.majority = (
            writer, beam, longest, penalty, block, rule, majority,
        )  # fmt: skip
        self.table = torch.arange(tables, device=device).repeat_interleave(beam)  # (B K,)
        self.read, self.state = read.rows(self.table), None
        self.tokens = torch.full((tables * beam, 1), BOS, device=device)
        self.log_p = torch.zeros(tables * beam, 0, device=device)
        self.score = torch.full((tables, beam), LEAST, device=device)
        self.score[:, 0] = 0.0  # all beams begin alike: only one counts
        self.ended: Tensor = torch.full((tables, beam), float("-inf"), device=device)
        self.ended_tokens = torch.zeros(tables, beam, longest, dtype=torch.int64, device=device)
        self.ended_log_p = torch.zeros(tables, beam, longest, device=device)
        self.done = torch.zeros(tables, dtype=torch.bool, device=device)
        forbidden = self.read.choices == PAD
        for token in never:
            forbidden |= self.read.choices == token
        self.forbidden = forbidden

    def step(self) -> bool:
        """Whether all tables are done."""
        tables, beam = self.score.shape
        log_p, self.state = self.writer(self.tokens[:, -1:], self.read, self.state)
        log_p = log_p[:, -1].masked_fill(self.forbidden, LEAST)
        if self.block:
            log_p = self._without_repeats(log_p)
        if self.rule is not None:
            log_p = self.rule(self.tokens, self.table, log_p)
        written = self.tokens.shape[1] - 1
        if written == self.longest:  # only the end is left
            log_p = log_p.masked_fill(self.read.choices != EOS, LEAST)
        elif self.majority:
            log_p = by_majority(log_p, self.read.choices == EOS)
        choices = log_p.shape[1]
        total = (self.score.reshape(-1, 1) + log_p).view(tables, beam * choices)
        score, where = total.topk(min(2 * beam, beam * choices), dim=1)  # enough, if half of them end
        progress = self.rule.progress(self.tokens, self.table) if isinstance(self.rule, Held) else None
        if progress is not None:
            score, where = self._with_wanted(progress[1], total, score, where)
        source = where // choices + self.table.view(tables, beam)[:, :1] * beam  # (B, 2K) rows
        token = self.read.choices[source, where % choices]
        ends = (token == EOS) & (score > LEAST / 2)
        self._end(score.masked_fill(~ends, float("-inf")), source, written)
        score = score.masked_fill(token == EOS, LEAST)
        if progress is None:
            self.score, best = score.topk(beam, dim=1)
        else:
            self.score, best = self._ahead(*progress, score, source, token)
        rows, token = source.gather(1, best).flatten(), token.gather(1, best).flatten()
        each = log_p[rows, (where % choices).gather(1, best).flatten()]
        self.tokens = torch.cat((self.tokens[rows], token.unsqueeze(1)), 1)
        self.log_p = torch.cat((self.log_p[rows], each.unsqueeze(1)), 1)
        self.state = _rows(self.state, rows)
        self.done |= (self.ended > float("-inf")).all(1) | self._decided()
        return written == self.longest or bool(self.done.all())

    def _with_wanted(self, wanted: Tensor, total: Tensor, score: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """The candidates (B, 2K) and those of each beam that say what is next (B, K)."""
        tables, beam = self.score.shape
        says = ((self.read.choices == wanted.unsqueeze(1)) & (wanted != PAD).unsqueeze(1)).view(tables, -1)
        says = says.scatter(1, where, False)  # those are candidates already
        more, place = total.masked_fill(~says, 2 * LEAST).topk(beam, dim=1)
        return torch.cat((score, more), 1), torch.cat((where, place), 1)

    def _ahead(
        self, said: Tensor, wanted: Tensor, score: Tensor, source: Tensor, token: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of candidates (B, C) the K to go on with: the likeliest, and of the others those that said most, of as many
        the likelier."""
        beam = self.score.shape[1]
        first, at = score.topk(beam - beam // 2, dim=1)
        left = score.scatter(1, at, 2 * LEAST)
        most = (said[source] + (token == wanted[source])).masked_fill(left <= LEAST / 2, -1)
        place = left.argsort(1, descending=True).argsort(1)
        behind = (most - place / (2 * left.shape[1])).topk(beam // 2, dim=1).indices
        return torch.cat((first, left.gather(1, behind)), 1), torch.cat((at, behind), 1)

    def _end(self, score: Tensor, source: Tensor, written: int) -> None:
        """Texts that end here, among the best so far; a table that is done takes no more, however long others take."""
        score = (score / max(written + 1, 1) ** self.penalty).masked_fill(self.done.unsqueeze(1), float("-inf"))
        both, best = torch.cat((self.ended, score), 1).topk(self.ended.shape[1], dim=1)
        new_tokens = self.ended_tokens.new_zeros(*score.shape, self.longest)
        new_tokens[..., :written] = self.tokens[source][..., 1:]
        new_log_p = self.ended_log_p.new_zeros(*score.shape, self.longest)
        new_log_p[..., :written] = self.log_p[source]
        index = best.unsqueeze(-1).expand(-1, -1, self.longest)
        self.ended = both
        self.ended_tokens = torch.cat((self.ended_tokens, new_tokens), 1).gather(1, index)
        self.ended_log_p = torch.cat((self.ended_log_p, new_log_p), 1).gather(1, index)

    def _decided(self) -> Tensor:
        """(B,) whether no text that goes on can still be better than the best one that ended, however it goes on."""
        length = self.longest + 1 if self.penalty > 0 else 1
        return self.ended.amax(1) >= self.score.amax(1) / length**self.penalty

    def _without_repeats(self, log_p: Tensor) -> Tensor:
        """What would complete an n-gram for the second time is not chosen."""
        length, block = self.tokens.shape[1], self.block
        if length < block + 1:  # BOS is no part of any
            return log_p
        grams = self.tokens[:, 1:].unfold(1, block, 1) if length > block else None
        if grams is None:
            return log_p
        last = self.tokens[:, -(block - 1) :] if block > 1 else self.tokens[:, :0]
        repeated = (grams[..., :-1] == last.unsqueeze(1)).all(-1)  # (R, grams)
        token = grams[..., -1].masked_fill(~repeated, PAD)
        banned = (token.unsqueeze(2) == self.read.choices.unsqueeze(1)) & repeated.unsqueeze(2)
        return log_p.masked_fill(banned.any(1), LEAST)

    def found(self, count: int) -> Found:
        longest = int((self.ended_tokens != PAD).sum(-1).max()) if self.ended_tokens.numel() else 0
        some = slice(0, count)
        return Found(self.ended_tokens[:, some, :longest], self.ended[:, some], self.ended_log_p[:, some, :longest])


def by_majority(log_p: Tensor, end: Tensor) -> Tensor:
    """Without the end where all others together are likelier. Where a text can go on in several ways each has a part of
    what speaks for going on, and the end all of what speaks for it: it would come too early."""
    ends = log_p.masked_fill(~end, LEAST).amax(1)
    goes_on = log_p.masked_fill(end, LEAST).logsumexp(1)
    return log_p.masked_fill(end & (ends < goes_on).unsqueeze(1), LEAST)


def _rows(state: Any, which: Tensor) -> Any:
    """The state of other beams: every tensor's rows."""
    if isinstance(state, Tensor):
        return state[which]
    if isinstance(state, tuple | list):
        return type(state)(_rows(each, which) for each in state)
    return state
