"""What reads a table, and what writes token by token: copying from the table, from a vocabulary, or from both.

Shapes: B tables, N tokens of a table and its end, L tokens of a text, d width, V words, C choices of the next token.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.attention import FullAttention, SoftmaxAttention
from tenfold.nn.cross_attention import CrossAttention, Memory
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Transformer, feed_forward
from tenfold.tasks.table_text.encoding import FARTHEST, PAD, UNK, TableBatch
from tenfold.tasks.table_text.options import NetworkOptions

MOST_PLACES = 1_025
PLACE_DIM = 5
Copies = Literal["only", "also", "never"]


def encoder_blocks(options: NetworkOptions) -> Transformer:
    return Transformer(
        options.dim,
        options.layers,
        attention=lambda: FullAttention(options.dim, options.heads),
        feed_forward=lambda: feed_forward("dense", options.dim, options.hidden, options.dropout),
        norm=options.norm,
        last_norm=options.norm == "pre",
        dropout=options.dropout,
    )


def decoder_blocks(options: NetworkOptions, *, causal: bool) -> Transformer:
    return Transformer(
        options.dim,
        options.layers,
        attention=lambda: (SoftmaxAttention if causal else FullAttention)(options.dim, options.heads),
        feed_forward=lambda: feed_forward("dense", options.dim, options.hidden, options.dropout),
        cross=lambda: CrossAttention(options.dim, options.heads),
        norm=options.norm,
        last_norm=options.norm == "pre",
        dropout=options.dropout,
    )


def embedding(rows: int, width: int) -> nn.Embedding:
    """Rows 1 to `rows`, and 0 for padding."""
    table = nn.Embedding(rows + 1, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=width**-0.5)
    with torch.no_grad():
        table.weight[PAD] = 0
    return table


def places(width: int) -> nn.Parameter:
    """Learned, from the waves of Vaswani et al. (2017) on. From small noise on, the many INS of a text would be alike
    for hundreds of steps, and the edits learn no more than how often each token comes."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(MOST_PLACES).unsqueeze(1) * rate
    return nn.Parameter(torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :width])


def known(words: Tensor) -> Tensor:
    """Tokens that are told by their place in the table have UNK's row."""
    return words.clamp(min=0) + (words < 0) * UNK


class TableEncoder(nn.Module):
    """Token, key and place within the value, joined to one vector a token, then transformer blocks over all of them."""

    def __init__(self, words: int, keys: int, options: NetworkOptions) -> None:
        super().__init__()
        self.word, self.key = embedding(words, options.word_dim), embedding(keys, options.key_dim)
        self.start, self.end = embedding(FARTHEST, PLACE_DIM), embedding(FARTHEST, PLACE_DIM)
        self.join = nn.Linear(options.word_dim + options.key_dim + 2 * PLACE_DIM, options.dim)
        self.places, self.drop, self.scale = places(options.dim), Dropout(options.dropout), options.dim**0.5
        self.blocks = encoder_blocks(options)

    def forward(self, table: TableBatch) -> Tensor:
        """(B, N, d)"""
        x = [self.word(known(table.words)), self.start(table.starts), self.end(table.ends), self.key(table.keys)]
        x = self.scale * self.join(torch.cat(x, -1)) + self.places[: table.words.shape[1]]
        return self.blocks(self.drop(x), table.keep)[0]


class Read(NamedTuple):
    """A batch of tables as a decoder reads them; made once, whatever is then written."""

    memory: list[Memory]
    pointed: Tensor | None  # (B, N, d / 2): what the pointer compares with
    column: Tensor  # (B, N): the choice that each token of the table is; -1 at padding
    choices: Tensor  # (B, C): the token that each choice is; 0 where there is none

    def rows(self, which: Tensor) -> "Read":
        pointed = None if self.pointed is None else self.pointed[which]
        return Read([each.rows(which) for each in self.memory], pointed, self.column[which], self.choices[which])


class Writer(nn.Module):
    """Writes from left to right. It copies only (SANA's skeletons), also (pointer-generator) or never (plain).

    only: P(v) = sum of attention a_i over the table's tokens i that are v (a from width d / 2).
    also: P(v) = g P_vocabulary(v) + (1 - g) P_copy(v), g from state, what is read, and last token (See et al. 2017).
    """

    def __init__(self, words: int, options: NetworkOptions, copies: Copies) -> None:
        super().__init__()
        self.copies, self.words = copies, words
        self.word, self.scale = embedding(words, options.dim), options.dim**0.5
        self.places, self.drop = places(options.dim), Dropout(options.dropout)
        self.blocks = decoder_blocks(options, causal=True)
        if copies != "never":
            self.query = nn.Linear(options.dim, options.dim // 2)
            # A bias here would add the same to all scores of a query, and cancel (nn/heads.py): there is none.
            self.point = nn.Linear(options.dim, options.dim // 2, bias=False)
        if copies == "also":
            self.gate = nn.Linear(3 * options.dim, 1)

    def read(self, table: TableBatch, encoded: Tensor) -> Read:
        column, choices = table_types(table.words) if self.copies == "only" else self._extended(table.words)
        pointed = None
        if self.copies == "only":
            pointed = self.point(encoded)
        elif self.copies == "also":  # what is copied is also what the gate looks at
            pointed = torch.cat((self.point(encoded), encoded), -1)
        return Read(self.blocks.remember(encoded, table.keep), pointed, column, choices)

    def _extended(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Choices are the vocabulary's rows and behind them the places of the table that have a token without a row."""
        count, rows = self.words + 1, len(words)
        column = torch.where(words < 0, self.words - words, words).masked_fill(words == PAD, -1)
        if self.copies == "never":
            choices = torch.arange(count, device=words.device).expand(rows, -1)
            return known(words).masked_fill(words == PAD, -1), choices
        behind = -1 - torch.arange(words.shape[1], device=words.device)
        choices = torch.cat((torch.arange(count, device=words.device), behind)).expand(rows, -1)
        return column, choices

    def forward(self, tokens: Tensor, read: Read, state: Any = None) -> tuple[Tensor, Any]:
        """tokens (B, L), the next ones after those of `state` -> log P of each choice (B, L, C) and the state after."""
        blocks, offset = state or (None, 0)
        e = self.scale * self.word(known(tokens))
        x = self.drop(e + self.places[offset : offset + tokens.shape[1]])
        r, blocks = self.blocks(x, None, blocks, read.memory)
        with torch.autocast(r.device.type, enabled=False):
            return self._choose(r.float(), e.float(), read), (blocks, offset + tokens.shape[1])

    def columns(self, targets: Tensor, read: Read) -> Tensor:
        """The choice that each target (B, L) is; -1 where it is none, as at padding."""
        if self.copies == "only":
            same = targets.unsqueeze(2) == read.choices.unsqueeze(1)
            return same.int().argmax(-1).masked_fill(~same.any(-1) | (targets == PAD), -1)
        own = known(targets) if self.copies == "never" else torch.where(targets < 0, self.words - targets, targets)
        return own.masked_fill(targets == PAD, -1)

    def loss(self, tokens: Tensor, read: Read, smoothing: float) -> tuple[Tensor, Tensor]:
        """Of texts (B, L) from BOS to EOS: label-smoothed negative log likelihood, summed, and the number of targets.

        What is smoothed over are the choices that there are: a table's own types, or the vocabulary.
        """
        log_p, _ = self(tokens[:, :-1], read)
        targets = tokens[:, 1:]
        real = targets != PAD
        nll = -log_p.gather(-1, self.columns(targets, read).clamp(min=0).unsqueeze(-1))[..., 0]
        there = (read.choices != PAD).unsqueeze(1)
        spread = -(log_p * there).sum(-1) / there.sum(-1)
        loss = (1 - smoothing) * nll + smoothing * spread
        return (loss * real).sum(), real.sum().to(loss.dtype)

    def _choose(self, r: Tensor, e: Tensor, read: Read) -> Tensor:
        if self.copies == "never":
            return F.linear(r, self.word.weight).index_fill(-1, r.new_zeros(1, dtype=torch.long), -1e4).log_softmax(-1)
        assert read.pointed is not None
        width = self.query.out_features
        query, padding = self.query(r), read.column < 0
        scores = query @ read.pointed[..., :width].float().mT / math.sqrt(width)
        a = scores.masked_fill(padding.unsqueeze(1), float("-inf")).softmax(-1)  # (B, L, N)
        where = read.column.clamp(min=0).unsqueeze(1).expand_as(a)
        copied = a.new_zeros(*a.shape[:2], read.choices.shape[1]).scatter_add(-1, where, a)
        if self.copies == "only":
            return copied.clamp(min=1e-10).log()
        context = a @ read.pointed[..., width:].float()
        g = self.gate(torch.cat((r, context, e), -1)).sigmoid()
        own = F.linear(r, self.word.weight).index_fill(-1, r.new_zeros(1, dtype=torch.long), -1e4).softmax(-1)
        more = copied.shape[-1] - own.shape[-1]
        return (g * F.pad(own, (0, more)) + (1 - g) * copied).clamp(min=1e-10).log()


def table_types(words: Tensor) -> tuple[Tensor, Tensor]:
    """The different tokens of each table, in the order in which they first come: column (B, N), choices (B, C)."""
    same = words.unsqueeze(2) == words.unsqueeze(1)  # (B, N, N)
    first = same.int().argmax(-1)  # the first place of each token
    new = (first == torch.arange(words.shape[1], device=words.device)) & (words != PAD)
    number = new.long().cumsum(1) - 1  # of the type that first comes at this place
    column = number.gather(1, first).masked_fill(words == PAD, -1)
    choices = words.new_zeros(len(words), int(new.sum(1).max()))
    rows = torch.arange(len(words), device=words.device).unsqueeze(1).expand_as(words)[new]
    choices[rows, column[new]] = words[new]
    return column, choices
