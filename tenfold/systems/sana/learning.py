"""What stage 2 learns from: texts with tokens taken out, what is missing in them, and the network's own mistakes.

Dual policy (Gu et al. 2019, section 4): insertions are learned on the expert's text without some tokens,
deletions on what the network itself has filled in there. SANA's own is what is taken out: rarely the skeleton.

Shapes: B texts, M tokens of a text with BOS and EOS, I of what is left of it.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.ops.edits import edits, embedded, gap_counts
from tenfold.systems.sana.editor import MOST_IN_A_GAP, Editor
from tenfold.systems.sana.options import EditOptions
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, PAD, UNK, TableBatch, padded
from tenfold.tasks.table_text.network import known
from tenfold.tasks.table_text.training import Pair
from tenfold.training import Draw, Losses

ALL = 1 - 1e-6  # of what may be taken out; 1 would be one token too many
RollIn = Literal["skeleton", "uniform"]


class EditBatch(NamedTuple):
    table: TableBatch
    text: Tensor  # (B, M): the whole text
    left: Tensor  # (B, I): without what was taken out
    missing: Tensor  # (B, I - 1): how many tokens are missing behind each
    holes: Tensor  # (B, M): the text with INS for what was taken out


class EditPairs:
    """Tables, texts, and the skeletons that stage 1 wrote of these tables; what is taken out depends on (seed, epoch,
    sample) alone."""

    def __init__(
        self, pairs: Sequence[Pair], skeletons: Sequence[Sequence[int]], options: EditOptions, end: int | None
    ):
        """end: the sign that ends each text and is not taken out, where there is one."""
        self.pairs, self.skeletons, self.options, self.end = pairs, skeletons, options, end

    def __len__(self) -> int:
        return len(self.pairs)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        return np.array([len(pair.text) + pair.table.rows.shape[1] for pair in self.pairs])

    def batch(self, draw: Draw) -> EditBatch:
        chosen = [self.pairs[i] for i in draw.indices]
        text = padded([pair.text for pair in chosen])
        skeleton = padded([[BOS, *self.skeletons[i], EOS] for i in draw.indices])
        noise = [np.random.default_rng((draw.seed, draw.epoch, int(i))) for i in draw.indices]
        much = torch.tensor([rng.random() for rng in noise])
        drawn = torch.zeros(len(chosen), 2, text.shape[1])
        for row, (pair, rng) in enumerate(zip(chosen, noise, strict=True)):  # no more than the text itself is long
            drawn[row, :, : len(pair.text)] = torch.from_numpy(rng.random((2, len(pair.text)))).float()
        if self.options.roll_in == "uniform":
            gone = taken_out_uniformly(text, much, drawn[:, 0])
        else:
            whole = torch.tensor([rng.random() < self.options.from_skeleton for rng in noise])
            safe = protected(text, skeleton) & (whole.unsqueeze(1) | (drawn[:, 1] < self.options.protect))
            much = torch.where(whole, ALL, much)
            gone = taken_out(text, safe, much, drawn[:, 0], self.end)
        return edit_batch(TableBatch.of([pair.table for pair in chosen]), text, gone)


def edit_batch(table: TableBatch, text: Tensor, gone: Tensor) -> EditBatch:
    real = text != PAD
    kept = real & ~gone
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    longest = int(kept.sum(1).max())
    left = (text * kept).gather(1, order)[:, :longest]
    missing = gap_counts(kept, real).clamp(max=MOST_IN_A_GAP - 1)
    return EditBatch(table, text, left, missing, text.masked_fill(gone, INS))


def protected(text: Tensor, skeleton: Tensor) -> Tensor:
    """(B, M): where the text has the skeleton, from the right, but for what the text lacks. Both have the ends."""
    wrong = edits(skeleton, text).deleted
    keep = (skeleton != PAD) & ~wrong
    order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)
    return embedded((skeleton * keep).gather(1, order), text)


def taken_out(text: Tensor, safe: Tensor, much: Tensor, priority: Tensor, end: int | None) -> Tensor:
    """(B, M): floor(c u) + 1 of the c tokens that are not safe; where all are, one that is. u = much, in [0, 1).

    Which ones: those of the smallest priority. Ends are never taken out, nor a last sign `end`.
    """
    inner = (text != PAD) & (text != BOS) & (text != EOS)
    if end is not None:
        last = inner.sum(1, keepdim=True)  # BOS is at 0, so the last inner token is here
        place = torch.arange(text.shape[1], device=text.device)
        inner = inner & ~((place == last) & (text == end))
    free = inner & ~safe
    free = torch.where(free.any(1, keepdim=True), free, inner)
    only_safe = ~(inner & ~safe).any(1)
    count = (free.sum(1) * much).long() + 1
    count = torch.where(only_safe, torch.ones_like(count), count)
    return _smallest(priority, free, count)


def taken_out_uniformly(text: Tensor, much: Tensor, priority: Tensor) -> Tensor:
    """(B, M): all but floor(u c) of the c inner tokens, as the Levenshtein Transformer does."""
    inner = (text != PAD) & (text != BOS) & (text != EOS)
    count = inner.sum(1)
    return _smallest(priority, inner, count - (count * much).long())


def _smallest(priority: Tensor, among: Tensor, count: Tensor) -> Tensor:
    order = priority.masked_fill(~among, float("inf")).argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return among & (rank < count.unsqueeze(1))


def edit_loss(editor: Editor, batch: EditBatch, options: EditOptions, smoothing: float) -> Losses:
    """Three losses, each with a weight of its own: room (over gaps), words (over what is missing), deletions (over
    tokens, the ends among them)."""
    memory = editor.read(batch.table)
    count, width = len(batch.text), max(batch.left.shape[1], batch.holes.shape[1])
    both = torch.cat([F.pad(each, (0, width - each.shape[1])) for each in (batch.left, batch.holes)])
    states = editor.states(both, [each.rows(torch.arange(count, device=both.device).repeat(2)) for each in memory])
    rooms = editor.rooms(states[:count, : batch.left.shape[1]]).float()
    gaps = batch.left[:, 1:] != PAD
    room = _smoothed(rooms[gaps], batch.missing[gaps], options.room_smoothing)
    hole = batch.holes == INS
    scores = editor.words(states[count:, : batch.holes.shape[1]][hole]).float()[:, 1:]  # padding is no token
    target = batch.text[hole]
    sayable = target != UNK  # what neither vocabulary nor table has cannot be written
    word = _smoothed(scores[sayable], known(target[sayable]) - 1, smoothing)
    with torch.no_grad():
        drawn = scores.softmax(-1).multinomial(1)[:, 0] if options.sampled else scores.argmax(-1)
        drawn = torch.where((drawn + 1 == UNK) & (target < 0), target, drawn + 1)  # UNK is right for such a token
        guess = batch.holes.masked_scatter(hole, drawn)
        wrong = edits(guess, batch.text).deleted
    real = guess != PAD
    deletion = _smoothed(editor.deletions(editor.states(guess, memory)).float()[real], wrong[real].long(), 0.0)
    return {"room": room, "words": word, "deletions": deletion}


def _smoothed(scores: Tensor, target: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """(1 - e) NLL - e mean of log p, summed, and the number of targets."""
    log_p = scores.log_softmax(-1)
    nll = -log_p.gather(-1, target.unsqueeze(-1))[..., 0]
    if smoothing:
        nll = (1 - smoothing) * nll - smoothing * log_p.mean(-1)
    return nll.sum(), torch.tensor(float(len(target)), device=scores.device)
