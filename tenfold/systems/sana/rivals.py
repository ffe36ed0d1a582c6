"""Rivals made of SANA's own parts: without the sketch, without the edits, and what one would try first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.systems.sana.learning import EditPairs
from tenfold.systems.sana.options import EditOptions, Options, PredictOptions
from tenfold.systems.sana.skeleton import Sketcher, hand_on, tidied
from tenfold.systems.sana.system import SANA, Networks, batches_of
from tenfold.tasks.table_text.baselines.generators import Generator
from tenfold.tasks.table_text.beam import LEAST, beam_search
from tenfold.tasks.table_text.encoding import (
    EOS,
    INS,
    KEY_UNKNOWN,
    PAD,
    SEP,
    UNK,
    Numbers,
    Table,
    TableBatch,
    sources_of,
)
from tenfold.tasks.table_text.prepared import Prepared
from tenfold.tasks.table_text.task import Written
from tenfold.tasks.table_text.training import Pairs, optimizer
from tenfold.training import Stage


class Levenshtein(SANA):
    """The edit model alone (Gu et al. 2019): texts begin empty, any token may be taken out in training."""

    grows = True
    # After a second of training nothing seems to be missing in an empty text: the penalty makes it write one.
    tiny = replace(
        SANA.tiny,
        edit=EditOptions(most_rounds=3, roll_in="uniform", eos_penalty=2.0, passes=1),
        training=replace(SANA.tiny.training, lr=0.01),
    )

    def build(self) -> Networks:
        network = super().build()
        del network["sketch"]
        return network

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
        training, pairs = self.options.training, self._pairs(prepared, "train")
        edit = replace(self.options.edit, roll_in="uniform")
        yield Stage(
            name="edit",
            network=self.editor,
            loss=self.loss,
            data=EditPairs(pairs, [[] for _ in pairs], edit, self.anchor),
            batch_size=training.batch_size,
            optimizer=optimizer(training),
            clip=training.clip,
            validate=self._validation(prepared, self.validate_text),
        )
        self._choose_penalty(prepared)

    def write(self, tables: Sequence[Table], *, constraint: str = "none", **how: Any) -> list[Written]:
        return super().write(tables, constraint="none", **how)


class SketchWriter(nn.Module):
    """A sketcher, and a generator that reads the skeleton behind the table."""

    def __init__(self, sketch: Sketcher, write: Generator) -> None:
        super().__init__()
        self.sketch, self.write = sketch, write


class SketchAndWrite(SANA):
    """Stage 1 as it is; then a pointer-generator that reads table and skeleton: what the edits are worth."""

    def build(self) -> SketchWriter:  # type: ignore[override]
        words, keys, options = self.sizes["words"], self.sizes["keys"], self.options.network
        return SketchWriter(Sketcher(words, keys, options), Generator(words, keys, options, "also"))

    @property
    def sketcher(self) -> Sketcher:
        return self.network.sketch

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
        training = self.options.training
        stages = super().stages(prepared)
        for stage in stages:
            if stage.name == "edit":
                break
            yield stage
        pairs: EditPairs = stage.data  # type: ignore[assignment]
        data = [
            pair._replace(table=with_skeleton(pair.table, own))
            for pair, own in zip(pairs.pairs, pairs.skeletons, strict=True)
        ]
        yield Stage(
            name="write",
            network=self.network.write,
            loss=partial(self.network.write.loss, smoothing=training.smoothing),
            data=Pairs(data),
            batch_size=training.batch_size,
            optimizer=optimizer(training),
            clip=training.clip,
            validate=self._validation(prepared, self.validate_text),
        )

    @property
    def editor(self) -> Any:
        return self.network.write  # only named as the last stage's network

    def _hand_on(self) -> None:
        hand_on(self.sketcher, self.network.write.encoder, self.network.write.writer)

    forced = False

    def measured(self, tables: Sequence[Table], texts: Sequence[Sequence[list[str]]], asked: Any) -> list[Written]:
        return self.write(tables)

    def write(self, tables: Sequence[Table], *, beam: int | None = None, **how: Any) -> list[Written]:
        numbers = [self.numbering.table(table) for table in tables]
        skeletons = self.sketched(self.sketcher, numbers, beam)
        found: list[Written | None] = [None] * len(tables)
        for rows in batches_of([each.rows.shape[1] for each in numbers]):
            batch = [with_skeleton(numbers[row], skeletons[row]) for row in rows]
            best = self._searched(batch, [skeletons[row] for row in rows], beam)
            for row, tokens, log_p in zip(rows, best.tokens[:, 0], best.choice_log_p[:, 0], strict=True):
                found[row] = self._text(tables[row], skeletons[row], tokens, log_p)
        return [each for each in found if each is not None]

    @torch.no_grad()
    def _searched(self, batch: Sequence[Numbers], skeletons: Sequence[Sequence[int]], beam: int | None) -> Any:
        network, search = self.network.write, self.options.sketch.search
        network.eval()
        tables = TableBatch.of(batch).to(self.device)
        read = network.writer.read(tables, network.encoder(tables))
        return beam_search(
            network.writer,
            read,
            beam=beam or search.beam,
            longest=self.options.text.longest,
            length_penalty=search.length_penalty,
            never=(INS, SEP, UNK),
            rule=InOrder(skeletons, read.choices, self.options.text.longest) if self.forced else None,
            extra=1,
        )

    def _text(self, table: Table, skeleton: Sequence[int], tokens: Tensor, log_p: Tensor) -> Written:
        real = tokens != PAD
        names = [self.numbering.token(number, table) for number in tokens[real].tolist()]
        own = [self.numbering.token(number, table) for number in skeleton]
        return Written(names, sources_of(names, table), [False] * len(names), log_p[real].exp().tolist(), own)


class ForcedBeam(SketchAndWrite):
    """The same, and the beam is held to the skeleton: no text ends before it has said all of it, in order."""

    forced = True


class InOrder:
    """A rule of beam search: EOS comes only behind the whole skeleton, and when there is just room for what is left of
    it, the next token of it comes."""

    def __init__(self, skeletons: Sequence[Sequence[int]], choices: Tensor, longest: int) -> None:
        most = max(map(len, skeletons), default=0)
        self.wanted = torch.full((len(skeletons), most + 1), PAD)
        for row, own in enumerate(skeletons):
            self.wanted[row, : len(own)] = torch.tensor(own, dtype=torch.int64)
        self.wanted, self.choices, self.longest = self.wanted.to(choices.device), choices, longest

    def __call__(self, tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        wanted, said = self.wanted[table], torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)
        for place in range(1, tokens.shape[1]):  # how much of it each beam has said
            said += (wanted.gather(1, said.unsqueeze(1))[:, 0] == tokens[:, place]).long()
        left = (wanted != PAD).sum(1) - said
        choices = self.choices[table]
        log_p = log_p.masked_fill((choices == EOS) & (left > 0).unsqueeze(1), LEAST)
        following = wanted.gather(1, said.unsqueeze(1))
        full = (tokens.shape[1] - 1 + left >= self.longest) & (left > 0)
        return log_p.masked_fill(full.unsqueeze(1) & (choices != following), LEAST)


def with_skeleton(table: Numbers, skeleton: Sequence[int]) -> Numbers:
    """The table with the skeleton as one more value behind its end, under a key of its own."""
    count = len(skeleton)
    places = [min(i + 1, 35) for i in range(count)]
    more = torch.tensor([list(skeleton), [KEY_UNKNOWN] * count, places, places[::-1]], dtype=torch.int64).numpy()
    import numpy as np

    return table._replace(rows=np.concatenate((table.rows, more.reshape(4, count)), axis=1))


__all__ = ["ForcedBeam", "Levenshtein", "Options", "PredictOptions", "SketchAndWrite", "tidied"]
