"""Stage 1: a pointer network writes the skeleton, the table's tokens that the text must say, in its order.

Whatever the weights are, it writes nothing but tokens of the table: a pointer without a generator.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.systems.sana.options import SketchOptions
from tenfold.tasks.table_text.beam import LEAST, Found, beam_search
from tenfold.tasks.table_text.encoding import EOS, TableBatch
from tenfold.tasks.table_text.network import Read, TableEncoder, Writer
from tenfold.tasks.table_text.options import NetworkOptions


class Sketcher(nn.Module):
    def __init__(self, words: int, keys: int, options: NetworkOptions) -> None:
        super().__init__()
        self.encoder, self.writer = TableEncoder(words, keys, options), Writer(words, options, "only")

    def read(self, table: TableBatch) -> Read:
        return self.writer.read(table, self.encoder(table))

    def loss(self, table: TableBatch, skeleton: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """skeleton (B, S) from BOS to EOS."""
        return self.writer.loss(skeleton, self.read(table), smoothing)

    @torch.no_grad()
    def search(
        self,
        table: TableBatch,
        options: SketchOptions,
        *,
        beam: int | None = None,
        answers: int = 1,
        eos_penalty: float = 0.0,
    ) -> Found:
        """beam: in place of the option, as in training: then tokens may come again.  eos_penalty: taken from the score
        of the end, for longer skeletons."""
        read = self.read(table)
        return beam_search(
            self.writer,
            read,
            rule=Longer(read, eos_penalty, AsOften(read) if not options.repeats and beam is None else None),
            beam=max(beam or options.search.beam, answers),
            longest=options.longest,
            length_penalty=options.search.length_penalty,
            block=options.search.block,
            majority=options.search.ends == "majority",
            extra=answers,
        )


@torch.no_grad()
def hand_on(sketcher: Sketcher, encoder: TableEncoder, decoder: Any) -> None:
    """What stage 1 knows of tables, tokens and places, to the network of stage 2, which has the same layers.

    decoder: has `word`, `blocks` and `places`; its layers may see all of a text where stage 1's see the past alone.
    """
    encoder.load_state_dict(sketcher.encoder.state_dict())
    decoder.word.load_state_dict(sketcher.writer.word.state_dict())
    decoder.blocks.load_state_dict(sketcher.writer.blocks.state_dict())
    decoder.places.copy_(sketcher.writer.places)


class Longer:
    """A rule of beam search: the end is less likely than it is; and another rule, where there is one."""

    def __init__(self, read: Read, penalty: float, other: "AsOften | None" = None) -> None:
        self.penalty, self.other = penalty * (read.choices == EOS), other

    def __call__(self, tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        log_p = log_p - self.penalty[table]
        return log_p if self.other is None else self.other(tokens, table, log_p)


class AsOften:
    """A rule of beam search: no token comes more often than the table has it."""

    def __init__(self, read: Read) -> None:
        self.choices = read.choices
        has = (read.column.unsqueeze(2) == torch.arange(read.choices.shape[1], device=read.column.device)).sum(1)
        self.has = has.masked_fill(read.choices == EOS, 1)

    def __call__(self, tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        said = (tokens.unsqueeze(2) == self.choices[table].unsqueeze(1)).sum(1)
        return log_p.masked_fill(said >= self.has[table], LEAST)


def tidied(skeleton: Sequence[int], anchor: int | None) -> list[int]:
    """Without a repeated last token; with the sign that ends it, where there is one."""
    found = list(skeleton)
    while len(found) > 1 and found[-1] == found[-2]:
        found.pop()
    if anchor is not None and found[-1:] != [anchor]:
        found.append(anchor)
    return found
