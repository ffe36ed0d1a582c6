"""How a text is written by rounds of edits: whole batches at once, without a loop over tokens.

A round deletes, makes room, and fills what is new. What must stay is marked once and the mark goes with its token: no
deletion touches it, insertions only move it, so that all of it is in the text, in its order, whatever the weights are.
(The authors look for the skeleton anew in each round, from the right; with repeated tokens their marks may move.)

Shapes: B texts, L tokens of a text with BOS and EOS, N tokens of a table.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tenfold.nn.cross_attention import Memory
from tenfold.systems.sana.editor import NEVER_WRITTEN, Editor
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, PAD, UNK

Kind = Literal["start", "deleted", "made room", "filled"]


class Draft(NamedTuple):
    """Texts on the way, each (B, L); PAD on the right."""

    text: Tensor
    locked: Tensor  # bool: what no deletion touches
    # number of the phrase that a token belongs to; between two of one phrase nothing is inserted; 0: none; above 0: one
    # that the user asked for, below: one of the table
    phrase: Tensor
    log_p: Tensor  # of each token when it was written; 0 of what was given

    @property
    def real(self) -> Tensor:
        return self.text != PAD

    def rows(self, which: Tensor) -> "Draft":
        return Draft(*(each[which] for each in self))

    def cut(self) -> "Draft":
        """Without columns of padding alone."""
        longest = max(int(self.real.sum(1).max()), 2) if len(self.text) else 2
        return Draft(*(each[:, :longest] for each in self))


class Step(NamedTuple):
    """What a person may look at: the texts after one kind of edit of one round, of all rows of the batch."""

    round: int
    kind: Kind
    text: Tensor
    locked: Tensor


class Refined(NamedTuple):
    draft: Draft
    rounds: Tensor  # (B,): how many were made, the last of which may have changed nothing
    steps: list[Step]


def begin(starts: Sequence[Sequence[int]], phrases: Sequence[Sequence[int]] | None, *, locked: bool) -> Draft:
    """starts: tokens that the texts begin with; phrases: the phrase of each, 0 for none."""
    longest = max(map(len, starts), default=0) + 2
    text, phrase = torch.full((2, len(starts), longest), PAD)
    for row, start in enumerate(starts):
        text[row, : len(start) + 2] = torch.tensor([BOS, *start, EOS])
        if phrases is not None:
            phrase[row, 1 : len(start) + 1] = torch.tensor(phrases[row], dtype=torch.int64)
    inner = (text != PAD) & (text != BOS) & (text != EOS)
    return Draft(text, inner if locked else torch.zeros_like(inner), phrase, torch.zeros(text.shape))


@torch.no_grad()
def refine(
    editor: Editor,
    memory: Sequence[Memory],
    draft: Draft,
    *,
    longest: int,
    most_rounds: int,
    surely: float = 0.5,
    eos_penalty: float = 0.0,
    penalised: int = 1,
    passes: int = 1,
    again: Tensor | None = None,
    unknown: Tensor | None = None,
    traced: bool = False,
) -> Refined:
    """Rounds of edits until none changes a text, at most `most_rounds`.

    memory: of the same rows.  longest: tokens of a text, BOS and EOS included.  surely: a token is deleted where it is
    wrong with more than this probability.  eos_penalty: taken from the score of "nothing is missing" in the first
    `penalised` rounds, for longer texts.  passes: as of `filled`.  again (V + 1,) bool: what may be written although
    the locked tokens have it already; none: anything.  unknown (B, N): the table's tokens without a number, else 0; UNK
    may be written where there is one to put in its place.
    """
    never = torch.zeros(editor.word.num_embeddings, dtype=torch.bool, device=draft.text.device)
    never[list(NEVER_WRITTEN)] = True
    rounds = torch.zeros(len(draft.text), dtype=torch.int64, device=draft.text.device)
    steps = [Step(0, "start", draft.text, draft.locked)] if traced else []
    active = torch.arange(len(draft.text), device=draft.text.device)
    now, own, whole = draft, list(memory), draft

    def keep(kind: Kind, number: int, changed: Draft) -> None:
        if traced:
            every = put(whole, active, changed)
            steps.append(Step(number, kind, every.text, every.locked))

    for number in range(1, most_rounds + 1):
        before = now.text
        if not _nothing_to_delete(now):
            wrong = editor.deletions(editor.states(now.text, own)).float().softmax(-1)[..., 1]
            now = deleted(now, wrong > surely)
            keep("deleted", number, now)
        scores = editor.rooms(editor.states(now.text, own)).float().log_softmax(-1)
        if number <= penalised:
            scores[..., 0] -= eos_penalty
        now = with_room(now, *scores.max(-1)[::-1], longest)
        if bool((now.text == INS).any()):
            keep("made room", number, now)
            now = filled(editor, own, now, never, None if unknown is None else unknown[active], passes, again)
            keep("filled", number, now)
        rounds[active] = number
        going = ~_same(before, now.text)
        if not bool(going.all()):
            whole = put(whole, active, now)
            active, now, own = active[going], now.rows(going).cut(), [each.rows(going) for each in own]
        if not len(active):
            break
    whole = put(whole, active, now) if len(active) else whole
    return Refined(whole.cut(), rounds, steps)


def _nothing_to_delete(draft: Draft) -> bool:
    """Whether all that is there must stay: as at the beginning, under hard constraints."""
    free = draft.real & ~draft.locked & (draft.text != BOS) & (draft.text != EOS)
    return not bool(free.any())


def _same(one: Tensor, two: Tensor) -> Tensor:
    """(B,) whether two texts are equal, whatever their padding."""
    more = max(one.shape[1], two.shape[1])
    one, two = (torch.nn.functional.pad(each, (0, more - each.shape[1])) for each in (one, two))
    return (one == two).all(1)


def put(whole: Draft, rows: Tensor, part: Draft) -> Draft:
    """`whole` with these rows replaced."""
    more = max(whole.text.shape[1], part.text.shape[1])
    found = []
    for every, own in zip(whole, part, strict=True):
        every = torch.nn.functional.pad(every, (0, more - every.shape[1]))
        own = torch.nn.functional.pad(own, (0, more - own.shape[1]))
        found.append(every.index_copy(0, rows, own))
    return Draft(*found)


def deleted(draft: Draft, gone: Tensor) -> Draft:
    """Without the tokens that are to go, but for what is locked and both ends. gone (B, L) bool."""
    keep = draft.real & (~gone | draft.locked | (draft.text == BOS) | (draft.text == EOS))
    order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)  # what stays first, in its order
    left = torch.arange(keep.shape[1], device=keep.device) < keep.sum(1, keepdim=True)
    return Draft(*(each.gather(1, order) * left for each in draft)).cut()


def with_room(draft: Draft, counts: Tensor, log_p: Tensor, longest: int) -> Draft:
    """With INS in the gaps: counts (B, L - 1) of them, log_p how sure each count is.

    A text that would be longer than `longest` gets those of which the network is surest.
    """
    real = draft.real
    gap = real[:, 1:]  # the gap before each token but the first
    same = (draft.phrase[:, 1:] == draft.phrase[:, :-1]) & (draft.phrase[:, 1:] != 0)
    counts = counts.masked_fill(~gap | same, 0)
    room = (longest - real.sum(1, keepdim=True)).clamp(min=0)
    order = log_p.masked_fill(~gap, float("-inf")).argsort(dim=1, descending=True, stable=True)
    sorted_counts = counts.gather(1, order)
    before = sorted_counts.cumsum(1) - sorted_counts
    counts = torch.zeros_like(counts).scatter(1, order, (room - before).clamp(min=0).minimum(sorted_counts))
    shift = torch.nn.functional.pad(counts.cumsum(1), (1, 0))
    place = torch.arange(real.shape[1], device=real.device) + shift  # (B, L): where each token goes
    length = real.sum(1) + counts.sum(1)
    width = int(length.max())
    place = place.masked_fill(~real, width)  # padding goes into a column that is cut off
    column = torch.arange(width, device=real.device)
    text = draft.text.new_full((len(real), width + 1), INS).scatter(1, place, draft.text)[:, :width]

    def moved(each: Tensor) -> Tensor:
        return each.new_zeros(len(real), width + 1).scatter(1, place, each)[:, :width]

    text = text.masked_fill(column >= length.unsqueeze(1), PAD)
    return Draft(text, moved(draft.locked), moved(draft.phrase), moved(draft.log_p))


def filled(
    editor: Editor,
    memory: Sequence[Memory],
    draft: Draft,
    never: Tensor,
    unknown: Tensor | None,
    passes: int = 1,
    again: Tensor | None = None,
) -> Draft:
    """Every INS replaced by the likeliest token that may be written.

    passes: in each, of the left ones those that are surest, ceil(left / passes left) of them; the next pass sees them.
    """
    for left in range(passes, 0, -1):
        if left < passes and not bool((draft.text == INS).any()):
            break
        draft = _filled(editor, memory, draft, never, unknown, left, again)
    return draft


def _filled(
    editor: Editor,
    memory: Sequence[Memory],
    draft: Draft,
    never: Tensor,
    unknown: Tensor | None,
    left: int,
    again: Tensor | None,
) -> Draft:
    """The surest of them: one in `left` of a text's, rounded up."""
    where = draft.text == INS
    scores = editor.words(editor.states(draft.text, memory)[where]).float().masked_fill(never, float("-inf"))
    if again is not None:
        said = torch.zeros(len(where), len(never), dtype=torch.bool, device=where.device)
        said.scatter_(1, draft.text.clamp(min=0) * draft.locked, True)  # padding stands for all others
        scores = scores.masked_fill((said & ~again)[where.nonzero()[:, 0]], float("-inf"))
    if unknown is not None:
        free = unknown if again is None else unsaid(unknown, draft)
        allowed = free.any(1).unsqueeze(1).expand_as(where)[where]
        scores[:, UNK] = scores[:, UNK].masked_fill(~allowed, float("-inf"))
    log_p, token = scores.log_softmax(-1).max(-1)
    text, sure = draft.text.clone(), draft.log_p.clone()
    text[where], sure[where] = token, log_p
    if left > 1:  # the others stay open
        rank = sure.masked_fill(~where, float("-inf")).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        later = where & (rank >= -(-where.sum(1, keepdim=True) // left))
        text, sure = torch.where(later, draft.text, text), torch.where(later, draft.log_p, sure)
    return draft._replace(text=text, log_p=sure)


def unsaid(unknown: Tensor, draft: Draft) -> Tensor:
    """(B, N): which of a table's tokens without a number (0: none) the locked ones of its text do not have yet."""
    said = (unknown.unsqueeze(2) == (draft.text * draft.locked).unsqueeze(1)).any(2)
    return (unknown < 0) & ~said


@torch.no_grad()
def resolved(
    editor: Editor, memory: Sequence[Memory], draft: Draft, words: Tensor, again: Tensor | None = None
) -> Draft:
    """Each UNK replaced by the token of the table without a number that the last block looks at most.

    words (B, N): the table. Equal tokens are one number (encoding.py), and their shares add up.
    """
    where = draft.text == UNK
    rows = where.any(1).nonzero()[:, 0]
    if not len(rows):
        return draft
    looks = editor.looks(draft.text[rows], [each.rows(rows) for each in memory])  # (R, L, N)
    own = words[rows]
    looks = looks.masked_fill((own >= 0).unsqueeze(1), 0.0)
    if again is not None:  # what is said already is said again only where there is nothing else
        said = (own < 0) & ~unsaid(own.clamp(max=0), draft.rows(rows))
        looks = torch.where(said.unsqueeze(1), looks * 1e-6, looks)
    same = (own.unsqueeze(2) == own.unsqueeze(1)).to(looks.dtype)  # (R, N, N)
    best = (looks @ same).argmax(-1)  # (R, L)
    token = own.gather(1, best)
    text = draft.text.clone()
    text[rows] = torch.where(where[rows] & (token < 0), token, text[rows])
    return draft._replace(text=text)


def collapsed(draft: Draft) -> Draft:
    """Of equal neighbours one is left, unless both must stay."""
    same = torch.zeros_like(draft.locked)
    same[:, 1:] = (draft.text[:, 1:] == draft.text[:, :-1]) & draft.real[:, 1:]
    follows = torch.nn.functional.pad(same[:, 1:], (0, 1))  # an equal token comes after
    locked_after = torch.nn.functional.pad(draft.locked[:, 1:], (0, 1))
    return deleted(draft, (same & ~draft.locked) | (follows & locked_after & ~draft.locked))
