"""Rivals made of SANA's own parts: without the sketch, without the edits, and what one would try first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.systems.sana.distil import distilled, with_skeleton
from tenfold.systems.sana.learning import EditPairs
from tenfold.systems.sana.options import EditOptions, Options, PredictOptions
from tenfold.systems.sana.skeleton import Sketcher, hand_on, tidied
from tenfold.systems.sana.system import SANA, Networks, batches_of
from tenfold.tasks.table_text.baselines.generators import Generator
from tenfold.tasks.table_text.beam import LEAST, Found, Held
from tenfold.tasks.table_text.encoding import (
    EOS,
    PAD,
    Numbers,
    Table,
    sources_of,
)
from tenfold.tasks.table_text.prepared import Prepared
from tenfold.tasks.table_text.task import Written
from tenfold.tasks.table_text.training import Pairs
from tenfold.training import Stage


class Levenshtein(SANA):
    """The edit model alone (Gu et al. 2019): texts begin empty, any token may be taken out in training."""

    penalised, grows = ("edit",), True
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
        pairs, edit, stage = self._pairs(prepared, "train"), self.options.edit, self._stage()
        if edit.distilled:
            pairs = yield from distilled(self, partial(stage, share=0.5), pairs, [[] for _ in pairs], None)
        yield stage(
            name="edit",
            network=self.editor,
            loss=self.loss,
            data=EditPairs(pairs, [[] for _ in pairs], replace(edit, roll_in="uniform"), self.anchor),
            validate=self._validation(prepared, self.validate_text),
        )
        self._choose_penalties(prepared)

    def write(self, tables: Sequence[Table], *, constraint: str = "none", **how: Any) -> list[Written]:
        return super().write(tables, constraint="none", **how)


class SketchWriter(nn.Module):
    """A sketcher, and a generator that reads the skeleton behind the table."""

    def __init__(self, sketch: Sketcher, write: Generator) -> None:
        super().__init__()
        self.sketch, self.write = sketch, write
        self.register_buffer("sketch_penalty", torch.zeros(()))


class SketchAndWrite(SANA):
    """Stage 1 as it is; then a pointer-generator that reads table and skeleton: what the edits are worth."""

    def build(self) -> SketchWriter:  # type: ignore[override]
        words, keys, options = self.sizes["words"], self.sizes["keys"], self.options.network
        return SketchWriter(Sketcher(words, keys, options), Generator(words, keys, options, "also"))

    @property
    def sketcher(self) -> Sketcher:
        return self.network.sketch

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
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
        yield self._stage()(
            name="write",
            network=self.network.write,
            loss=partial(self.network.write.loss, smoothing=self.options.training.smoothing),
            data=Pairs(data),
            validate=self._validation(prepared, self.validate_text),
        )
        self._choose_penalties(prepared)

    @property
    def editor(self) -> Any:
        return self.network.write  # only named as the last stage's network

    def _hand_on(self) -> None:
        hand_on(self.sketcher, self.network.write.encoder, self.network.write.writer)

    penalised, forced, block = ("sketch",), False, 0

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

    def _searched(self, batch: Sequence[Numbers], skeletons: Sequence[Sequence[int]], beam: int | None) -> Found:
        search = replace(self.options.sketch.search, block=self.block, ends="likeliest")
        longest = self.options.text.longest
        rule = (lambda choices: InOrder(skeletons, choices, longest)) if self.forced else None
        return self.network.write.search(batch, search, beam=beam or search.beam, longest=longest, rule=rule)

    def _text(self, table: Table, skeleton: Sequence[int], tokens: Tensor, log_p: Tensor) -> Written:
        real = tokens != PAD
        names = [self.numbering.token(number, table) for number in tokens[real].tolist()]
        own = [self.numbering.token(number, table) for number in skeleton]
        return Written(names, sources_of(names, table), [False] * len(names), log_p[real].exp().tolist(), own)


class ForcedBeam(SketchAndWrite):
    """The same, and the beam is held to the skeleton: no text ends before it has said all of it, in order.

    No three tokens come twice: a text that may not end yet repeats itself.
    """

    forced, block = True, 3


class InOrder(Held):
    """A rule of beam search: EOS comes only behind the whole skeleton, and when there is just room for what is left of
    it, the next token of it comes."""

    def __init__(self, skeletons: Sequence[Sequence[int]], choices: Tensor, longest: int) -> None:
        most = max(map(len, skeletons), default=0)
        self.wanted = torch.full((len(skeletons), most + 1), PAD)
        for row, own in enumerate(skeletons):
            self.wanted[row, : len(own)] = torch.tensor(own, dtype=torch.int64)
        self.wanted, self.choices, self.longest = self.wanted.to(choices.device), choices, longest

    def progress(self, tokens: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        wanted, said = self.wanted[table], torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)
        for place in range(1, tokens.shape[1]):
            said += (wanted.gather(1, said.unsqueeze(1))[:, 0] == tokens[:, place]).long()
        return said, wanted.gather(1, said.unsqueeze(1))[:, 0]

    def __call__(self, tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        said, following = self.progress(tokens, table)
        left = (self.wanted[table] != PAD).sum(1) - said
        choices = self.choices[table]
        log_p = log_p.masked_fill((choices == EOS) & (left > 0).unsqueeze(1), LEAST)
        full = (tokens.shape[1] - 1 + left >= self.longest) & (left > 0)
        return log_p.masked_fill(full.unsqueeze(1) & (choices != following.unsqueeze(1)), LEAST)


__all__ = ["ForcedBeam", "Levenshtein", "Options", "PredictOptions", "SketchAndWrite", "tidied"]
