"""Stage 2: one decoder that sees the whole text, and three heads that edit it: delete, make room, fill in.

Levenshtein Transformer (Gu et al., NeurIPS 2019, arXiv 1905.11006) over a table's encoder, as SANA has it.

Shapes: B texts, L tokens of a text with BOS and EOS, N tokens of a table, d width, V words, G counts that a gap may
get.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.cross_attention import Memory
from tenfold.nn.dropout import Dropout
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, PAD, SEP, TableBatch
from tenfold.tasks.table_text.network import TableEncoder, decoder_blocks, embedding, known, places
from tenfold.tasks.table_text.options import NetworkOptions

MOST_IN_A_GAP = 256  # classes: 0 to 255 new tokens
NEVER_WRITTEN = (PAD, BOS, EOS, INS, SEP)


class Editor(nn.Module):
    def __init__(self, words: int, keys: int, options: NetworkOptions) -> None:
        super().__init__()
        self.encoder = TableEncoder(words, keys, options)
        self.word, self.scale = embedding(words, options.dim), options.dim**0.5
        self.places, self.drop = places(options.dim), Dropout(options.dropout)
        self.blocks = decoder_blocks(options, causal=False)
        self.deletion = nn.Linear(options.dim, 2, bias=False)
        self.room = nn.Linear(2 * options.dim, MOST_IN_A_GAP, bias=False)

    def read(self, table: TableBatch) -> list[Memory]:
        return self.blocks.remember(self.encoder(table), table.keep)

    def states(self, text: Tensor, memory: Sequence[Memory]) -> Tensor:
        """text (B, L), padded on the right -> (B, L, d)."""
        x = self.scale * self.word(known(text)) + self.places[: text.shape[1]]
        return self.blocks(self.drop(x), text != PAD, None, memory)[0]

    def deletions(self, states: Tensor) -> Tensor:
        """Of each token: keep it or delete it, (B, L, 2)."""
        return self.deletion(states)

    def rooms(self, states: Tensor) -> Tensor:
        """Of each gap between neighbours: how many tokens are missing, (B, L - 1, G)."""
        return self.room(torch.cat((states[:, :-1], states[:, 1:]), -1))

    def words(self, states: Tensor) -> Tensor:
        """Which token belongs at each place, (..., V + 1); tied with the embedding."""
        return F.linear(states, self.word.weight)

    def looks(self, text: Tensor, memory: Sequence[Memory]) -> Tensor:
        """How much the last block looks at each token of the table, mean over its heads, (B, L, N)."""
        x = self.scale * self.word(known(text)) + self.places[: text.shape[1]]
        x, keep, blocks = self.drop(x), text != PAD, list(self.blocks.blocks)
        for block, own in zip(blocks[:-1], memory, strict=False):
            x, _ = block(x, keep, None, own)
        last: Any = blocks[-1]
        x = x + last.drop(last.attention(last.norm1(x) if last.pre else x, keep)[0])
        return last.cross.weights(last.norm3(x) if last.pre else last.norm1(x), memory[-1]).mean(1)
