"""Rivals that write from left to right: plain sequence to sequence, and a pointer-generator (See et al. 2017).

Both read tables as SANA does and are trained in one stage; what they cannot say they leave out.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from tenfold.metrics.texts import bleu
from tenfold.tasks.table_text.beam import Found, Rule, beam_search
from tenfold.tasks.table_text.encoding import INS, PAD, SEP, UNK, Numbers, Table, TableBatch, sources_of
from tenfold.tasks.table_text.network import Copies, TableEncoder, Writer
from tenfold.tasks.table_text.options import (
    GeneratorOptions,
    NetworkOptions,
    SearchOptions,
    TextOptions,
    Training,
)
from tenfold.tasks.table_text.prepared import Prepared
from tenfold.tasks.table_text.task import TableText, Written
from tenfold.tasks.table_text.training import Pair, PairBatch, Pairs, bounded, optimizer
from tenfold.training import Loss, Stage

TABLES_AT_ONCE = 64
RuleOf = Callable[[torch.Tensor], Rule]


class Generator(nn.Module):
    def __init__(self, words: int, keys: int, options: NetworkOptions, copies: Copies) -> None:
        super().__init__()
        self.encoder, self.writer = TableEncoder(words, keys, options), Writer(words, options, copies)

    def loss(self, batch: PairBatch, smoothing: float) -> Loss:
        read = self.writer.read(batch.table, self.encoder(batch.table))
        return self.writer.loss(batch.text, read, smoothing)

    @torch.no_grad()
    def search(
        self, tables: Sequence[Numbers], options: SearchOptions, *, beam: int, longest: int, rule: RuleOf | None = None
    ) -> Found:
        """The best text of each table, of at most `longest` tokens.  beam: in place of the option.  rule: makes a rule
        of beam search of what can be chosen, (B, C)."""
        self.eval()
        batch = TableBatch.of(tables).to(next(self.parameters()).device)
        read = self.writer.read(batch, self.encoder(batch))
        return beam_search(
            self.writer,
            read,
            beam=beam,
            longest=longest,
            length_penalty=options.length_penalty,
            block=options.block,
            never=(INS, SEP) if self.writer.copies == "never" else (INS, SEP, UNK),
            rule=None if rule is None else rule(read.choices),
            majority=options.ends == "majority",
            extra=1,
        )


class PointerGenerator(TableText):
    """P(v) = g P_vocabulary(v) + (1 - g) P_copy(v): words from the vocabulary, or copied from the table."""

    options: GeneratorOptions
    copies: ClassVar[Copies] = "also"
    tiny = GeneratorOptions(
        text=TextOptions(vocabulary=40, longest=24),
        network=NetworkOptions(dim=16, layers=1, heads=2, hidden=16, word_dim=12, key_dim=6, dropout=0.1),
        search=SearchOptions(beam=2),
        training=Training(lr=0.01, batch_size=8, warmup=9, validated=8),
    )

    def build(self) -> Generator:
        return Generator(self.sizes["words"], self.sizes["keys"], self.options.network, self.copies)

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
        training = self.options.training
        yield Stage(
            name="write",
            network=self.network,
            loss=partial(self.network.loss, smoothing=training.smoothing),
            data=Pairs(self.pairs(prepared)),
            batch_size=training.batch_size,
            optimizer=optimizer(training),
            clip=training.clip,
            validate=self.validation(prepared),
        )

    def pairs(self, prepared: Prepared) -> list[Pair]:
        """Each table to train on with each of its texts that is not too long."""
        found = []
        for row in prepared.rows("train"):
            numbers = self.numbering.table(prepared.tables[row])
            texts = (text for text in prepared.texts[row] if len(text) <= self.options.text.longest)
            found += [Pair(numbers, bounded(self.numbering.text(text, numbers))) for text in texts]
        return found

    def validation(self, prepared: Prepared) -> Any:
        rows = [row for row in prepared.parts["validation"].tolist() if prepared.texts[row]]
        rows = rows[: self.options.training.validated]
        tables, texts = [prepared.tables[row] for row in rows], [prepared.texts[row] for row in rows]
        return (lambda: {"bleu": bleu([text.tokens for text in self.write(tables, beam=1)], texts)}) if rows else None

    def write(self, tables: Sequence[Table], *, beam: int | None = None, **how: Any) -> list[Written]:
        search = self.options.search
        numbers = [self.numbering.table(table) for table in tables]
        found: list[Written | None] = [None] * len(tables)
        order = sorted(range(len(tables)), key=lambda row: (numbers[row].rows.shape[1], row))
        for first in range(0, len(order), TABLES_AT_ONCE):
            rows = order[first : first + TABLES_AT_ONCE]
            some, longest = [numbers[row] for row in rows], self.options.text.longest
            best = self.network.search(some, search, beam=beam or search.beam, longest=longest)
            for row, tokens, log_p in zip(rows, best.tokens[:, 0], best.choice_log_p[:, 0], strict=True):
                found[row] = self.written(tables[row], tokens, log_p)
        return [each for each in found if each is not None]

    def written(self, table: Table, tokens: torch.Tensor, log_p: torch.Tensor) -> Written:
        real = tokens != PAD
        names = ["<unk>" if n == UNK else self.numbering.token(n, table) for n in tokens[real].tolist()]
        return Written(names, sources_of(names, table), [False] * len(names), log_p[real].exp().tolist())


class Seq2Seq(PointerGenerator):
    """The same without copying: what has no number cannot be said."""

    copies = "never"
