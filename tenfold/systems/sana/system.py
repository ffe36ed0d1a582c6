"""SANA as a system: a sketch is learned, then editing; a table's skeleton is written, then edited into a text."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from tenfold.errors import OptionError
from tenfold.metrics.texts import bag_f1, bleu
from tenfold.options import parse
from tenfold.systems.sana.crossfit import crossfitted
from tenfold.systems.sana.decoding import Draft, Step, begin, collapsed, refine, resolved
from tenfold.systems.sana.distil import distilled
from tenfold.systems.sana.editor import Editor
from tenfold.systems.sana.learning import EditBatch, EditPairs, edit_loss
from tenfold.systems.sana.options import EditOptions, Options, PredictOptions, Protocol, SketchOptions
from tenfold.systems.sana.skeleton import Sketcher, hand_on, tidied
from tenfold.systems.sana.starts import Start, foreign, kept_together, wanted_places, with_wanted, without_keys
from tenfold.tasks.table_text.encoding import PAD, Numbers, Table, TableBatch, sources_of
from tenfold.tasks.table_text.evaluation import LOWER_IS_BETTER
from tenfold.tasks.table_text.options import NetworkOptions, SearchOptions, TextOptions, Training
from tenfold.tasks.table_text.prepared import Prepared
from tenfold.tasks.table_text.task import Given, TableText, Written
from tenfold.tasks.table_text.training import Pair, PairBatch, Pairs, bounded, optimizer
from tenfold.training import Loss, Losses, Stage

TABLES_AT_ONCE = 64
PENALTIES = (0.0, 1.0, 2.0, 3.0, 4.0)  # the validation part chooses


class Sketch(NamedTuple):
    """A skeleton: its tokens, and the number of the cell that each comes from."""

    tokens: list[str]
    cells: list[int]


class Edited(NamedTuple):
    """One kind of edit of one round, of one text: its tokens and which of them must stay."""

    round: int
    kind: str
    tokens: list[str]
    locked: list[bool]


class Networks(nn.ModuleDict):
    """Both stages, and the penalties that the validation part has chosen: of a skeleton's end, and of "nothing is
    missing" in a text."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__(parts)
        for stage in ("sketch", "edit"):
            self.register_buffer(f"{stage}_penalty", torch.zeros(()))


class SANA(TableText):
    options: Options
    predict_options, protocol = PredictOptions, Protocol
    lower_is_better = (*LOWER_IS_BETTER, "rounds")
    # stages whose end is too early after training, in the order in which it is mended
    penalised: ClassVar[tuple[str, ...]] = ("edit", "sketch")
    grows = False  # texts that begin with nothing need more than a round's insertions
    tiny = Options(
        text=TextOptions(vocabulary=40, longest=24),
        network=NetworkOptions(dim=16, layers=1, heads=2, hidden=16, word_dim=12, key_dim=6, dropout=0.1),
        sketch=SketchOptions(search=SearchOptions(beam=2, block=3), longest=8),
        edit=EditOptions(most_rounds=3),
        training=Training(lr=0.005, batch_size=8, warmup=9, validated=8),
    )

    def build(self) -> Networks:
        words, keys, options = self.sizes["words"], self.sizes["keys"], self.options.network
        return Networks({"sketch": Sketcher(words, keys, options), "editor": Editor(words, keys, options)})

    @property
    def sketcher(self) -> Sketcher:
        return self.network["sketch"]

    @property
    def editor(self) -> Editor:
        return self.network["editor"]

    @property
    def anchor(self) -> int | None:
        """The number of the sign that ends each text."""
        return self.numbering.of_word.get(self.options.sketch.end_anchor)

    # Learning.

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
        pairs, skeletons = self._pairs(prepared, "train"), self._gold(prepared, "train")
        sketches = [Pair(pair.table, bounded(each)) for pair, each in zip(pairs, skeletons, strict=True) if each]
        stage, edit = self._stage(), self.options.edit
        share = self.options.sketch.share / (self.options.sketch.crossfit + 1)
        folded = yield from crossfitted(self, partial(stage, share=share), pairs, skeletons)
        if sketches:
            yield stage(
                name="sketch",
                share=share,
                network=self.sketcher,
                loss=partial(self.sketch_loss, self.sketcher),
                data=Pairs(sketches),
                validate=self._validation(prepared, self.validate_sketch),
            )
        written = folded or self.sketched(self.sketcher, [pair.table for pair in pairs], beam=1)
        if edit.distilled:
            rest = partial(stage, share=(1 - self.options.sketch.share) / 2)
            pairs = yield from distilled(self, rest, pairs, written, self.sketcher)
        if edit.from_sketch and self.begins:
            self._hand_on()
        yield stage(
            name="edit",
            network=self.editor,
            loss=self.loss,
            data=EditPairs(pairs, written, edit, self.anchor),
            validate=self._validation(prepared, self.validate_text),
        )
        self._choose_penalties(prepared)

    def _stage(self) -> Any:
        """Makes a stage of training of a name, a network, a loss and data."""
        training = self.options.training
        return partial(Stage, batch_size=training.batch_size, optimizer=optimizer(training), clip=training.clip)

    def _hand_on(self) -> None:
        hand_on(self.sketcher, self.editor.encoder, self.editor)

    def _choose_penalties(self, prepared: Prepared) -> None:
        """Texts that are too short, because most gaps lack nothing or skeletons end early, are made longer."""
        tables, texts = self._validated(prepared)
        for stage in self.penalised if tables else ():
            if getattr(self.options, stage).eos_penalty is None:
                found = {}
                for value in PENALTIES:
                    self.network.get_buffer(f"{stage}_penalty").fill_(value)
                    found[value] = bleu([text.tokens for text in self.write(tables)], texts)
                best = max(found, key=found.__getitem__)
                self.network.get_buffer(f"{stage}_penalty").fill_(best)

    def _penalty(self, stage: str) -> float:
        asked = getattr(self.options, stage).eos_penalty
        return float(self.network.get_buffer(f"{stage}_penalty")) if asked is None else asked

    def training_statistics(self, prepared: Prepared, older: Any = None) -> dict[str, torch.Tensor]:
        self.begins = older is None  # else the edits' network has weights of its own already
        return super().training_statistics(prepared, older)

    def sketch_loss(self, sketcher: Sketcher, batch: PairBatch) -> Loss:
        return sketcher.loss(batch.table, batch.text, self.options.training.smoothing)

    def loss(self, batch: EditBatch) -> Losses:
        return edit_loss(self.editor, batch, self.options.edit, self.options.training.smoothing)

    def _pairs(self, prepared: Prepared, part: str) -> list[Pair]:
        """Each table with each of its texts that is not too long."""
        numbers = {row: self.numbering.table(prepared.tables[row]) for row in prepared.rows(part)}
        return [
            Pair(numbers[row], bounded(self.numbering.text(text, numbers[row])))
            for row in prepared.rows(part)
            for text in prepared.texts[row]
            if len(text) <= self.options.text.longest
        ]

    def _gold(self, prepared: Prepared, part: str) -> list[list[int]]:
        """The skeleton of each pair of `_pairs`."""
        found = []
        for row in prepared.rows(part):
            table = prepared.tables[row]
            numbers = self.numbering.table(table)
            for text in prepared.texts[row]:
                if len(text) <= self.options.text.longest:
                    gold = self.gold_skeleton(table, text)
                    found.append(self.numbering.text(gold, numbers)[: self.options.sketch.longest])
        return found

    def sketched(self, sketcher: Sketcher, tables: Sequence[Numbers], beam: int | None = None) -> list[list[int]]:
        """The best skeleton of each table; tables of about one length are written together."""
        sketcher.eval()
        found: list[list[int]] = [[] for _ in tables]
        for rows in batches_of([table.rows.shape[1] for table in tables]):
            batch = TableBatch.of([tables[i] for i in rows]).to(self.device)
            best = sketcher.search(batch, self.options.sketch, beam=beam, eos_penalty=self._penalty("sketch"))
            tokens = best.tokens[:, 0].tolist()
            for row, own in zip(rows, tokens, strict=True):
                found[row] = tidied([token for token in own if token != PAD], self.anchor)
        return found

    # Validation.

    def _validated(self, prepared: Prepared) -> tuple[list[Table], list[list[list[str]]]]:
        """Tables of the validation part that have texts, no more than are asked for; and these."""
        rows = [row for row in prepared.parts["validation"].tolist() if prepared.texts[row]]
        rows = rows[: self.options.training.validated]
        return [prepared.tables[row] for row in rows], [prepared.texts[row] for row in rows]

    def _validation(self, prepared: Prepared, figure: Any) -> Any:
        tables, texts = self._validated(prepared)
        return partial(figure, tables, texts) if tables else None

    def validate_sketch(self, tables: list[Table], texts: list[list[list[str]]]) -> dict[str, float]:
        numbers = [self.numbering.table(table) for table in tables]
        written = [
            [self.numbering.token(token, table) for token in own]
            for own, table in zip(self.sketched(self.sketcher, numbers, beam=1), tables, strict=True)
        ]
        return {"skeleton_f1": self.skeleton_f1(written, tables, texts).mean()}

    def validate_text(self, tables: list[Table], texts: list[list[list[str]]]) -> dict[str, float]:
        written = self.write(tables, beam=1)
        rounds = float(np.mean([text.rounds for text in written]))
        return {"bleu": bleu([text.tokens for text in written], texts), "rounds": rounds}

    def gold_skeleton(self, table: Table, text: Sequence[str]) -> list[str]:
        return table.skeleton_of(text, phrases=self.options.sketch.phrases)

    def skeleton_f1(
        self,
        written: Sequence[Sequence[str]],
        tables: Sequence[Table],
        texts: Sequence[Sequence[list[str]]],
    ) -> np.ndarray:
        """(N,): of each skeleton beside that of its table's text, the best over the texts."""
        each = [
            max(float(bag_f1([own], [self.gold_skeleton(table, text)])[0, 2]) for text in several)
            for own, table, several in zip(written, tables, texts, strict=True)
        ]
        return np.array(each)

    def measured(self, tables: Sequence[Table], texts: Sequence[Sequence[list[str]]], asked: Protocol) -> list[Written]:
        longest, skeletons = self.options.sketch.longest, None
        if asked.skeletons == "gold":
            skeletons = [self.gold_skeleton(table, own[0])[:longest] for table, own in zip(tables, texts, strict=True)]
        elif asked.skeletons == "cells":
            skeletons = [table.tokens[: self.options.text.longest] for table in tables]
        return self.write(tables, skeletons=skeletons, constraint=asked.constraint)

    def more_figures(
        self, written: Sequence[Written], tables: Sequence[Table], texts: Sequence[Sequence[list[str]]]
    ) -> dict[str, np.ndarray]:
        f1 = self.skeleton_f1([text.skeleton for text in written], tables, texts)
        return {"skeleton_f1": f1, "rounds": np.array([float(text.rounds) for text in written])}

    # Answering.

    def sketch(self, tables: Sequence[Given]) -> list[Sketch]:
        """The skeleton of each table, and where its tokens come from. Raises DataError."""
        found = []
        for table in [self.table_of(given) for given in tables]:
            numbers = self.numbering.table(table)
            tokens = [self.numbering.token(t, table) for t in self.sketched(self.sketcher, [numbers])[0]]
            found.append(Sketch(tokens, [table.owner[place] for place in sources_of(tokens, table) if place >= 0]))
        return found

    def refine(self, tables: Sequence[Given], skeletons: Sequence[Sequence[str]], **how: Any) -> list[str]:
        """A text for each table from a given list of tokens. how: as `write`. Raises OptionError, DataError."""
        own = [self.table_of(table) for table in tables]
        if len(own) != len(skeletons):
            raise OptionError(f"there are {len(own):,} tables and {len(skeletons):,} skeletons; each needs its own")
        written = self.write(own, skeletons=[self.splitter.compared(each) for each in skeletons], **how)
        return [self.explained(table, text).text for table, text in zip(own, written, strict=True)]

    def write(
        self,
        tables: Sequence[Table],
        *,
        skeletons: Sequence[Sequence[str]] | None = None,
        traced: bool = False,
        beam: int | None = None,
        **how: Any,
    ) -> list[Written]:
        """skeletons: of the tables, as tokens, in place of stage 1's.  traced: with what happened in each round.
        beam: of stage 1, in place of the option.
        how: fields of PredictOptions. Raises OptionError."""
        asked = parse(PredictOptions, how)
        short = [without_keys(table, asked.leave_out) for table in tables]
        numbers = [self.numbering.table(table) for table in short]
        starts = self._starts(short, numbers, skeletons, asked, beam)
        flat = [(row, start) for row, several in enumerate(starts) for start in several]
        written: list[list[Written]] = [[] for _ in tables]
        found: dict[int, Written] = {}
        for rows in batches_of([len(start.tokens) + numbers[row].rows.shape[1] for row, start in flat]):
            own = [flat[i] for i in rows]
            texts = self._refined([short[r] for r, _ in own], [numbers[r] for r, _ in own], own, asked, traced)
            found |= dict(zip(rows, texts, strict=True))
        for place, (row, _) in enumerate(flat):
            written[row].append(self._with_sources(found[place], tables[row]))
        return [several[0]._replace(others=tuple(several[1:])) for several in written]

    def _with_sources(self, text: Written, table: Table) -> Written:
        return text._replace(sources=sources_of(text.tokens, table))

    def _starts(
        self, tables: Sequence[Table], numbers: Sequence[Numbers], given: Any, asked: PredictOptions, beam: int | None
    ) -> list[list[Start]]:
        """What each table's texts begin with. Raises OptionError."""
        if given is not None:
            for table, tokens in zip(tables, given, strict=True):
                if wrong := foreign(tokens, table):
                    raise OptionError(f"{table.id}: the skeleton has {', '.join(wrong)}, which the table does not have")
            found = [[self.numbering.text(tokens, n)] for tokens, n in zip(given, numbers, strict=True)]
        elif asked.constraint == "none" and not asked.must_include:
            found = [[[]] for _ in tables]
        elif asked.answers > 1:
            found = self._several(numbers, asked.answers)
        else:
            found = [[each] for each in self.sketched(self.sketcher, numbers, beam)]
        most = self.options.text.longest
        starts = []
        for table, own, several in zip(tables, numbers, found, strict=True):
            places = wanted_places(table, asked.must_include, self.splitter.text)
            each = [with_wanted(Start(tokens, [0] * len(tokens)), places, own, self.anchor) for tokens in several]
            if self.options.edit.together:
                each = [kept_together(start, own, table.pieces) for start in each]
            for start in each:
                if len(start.tokens) > most:
                    raise OptionError(
                        f"{table.id}: what the text must hold has {len(start.tokens):,} tokens, and a text at most "
                        f"{most:,}; ask for less, or fit with a higher text.longest"
                    )
            starts.append(each)
        return starts

    def _several(self, numbers: Sequence[Numbers], answers: int) -> list[list[list[int]]]:
        """Different skeletons of each table, the best first."""
        found = []
        for table in numbers:
            batch = TableBatch.of([table]).to(self.device)
            best = self.sketcher.search(
                batch, self.options.sketch, answers=answers, eos_penalty=self._penalty("sketch")
            )
            rows = [tidied([t for t in row if t != PAD], self.anchor) for row in best.tokens[0].tolist()]
            distinct = list(dict.fromkeys(map(tuple, rows)))
            found.append([list(row) for row in distinct])
        return found

    @torch.no_grad()
    def _refined(
        self,
        tables: Sequence[Table],
        numbers: Sequence[Numbers],
        starts: Sequence[tuple[int, Start]],
        asked: PredictOptions,
        traced: bool,
    ) -> list[Written]:
        batch, edit = TableBatch.of(numbers).to(self.device), self.options.edit
        self.editor.eval()
        memory = self.editor.read(batch)
        own = [start for _, start in starts]
        hard = asked.constraint == "hard" or bool(asked.must_include)
        draft = begin([start.tokens for start in own], [start.phrases for start in own], locked=hard)
        if asked.constraint != "hard" and asked.must_include:  # what the user wants stays, the rest may go
            draft = draft._replace(locked=draft.locked & (draft.phrase > 0))
        again = None if edit.repeats else self.numbering.says_nothing.to(self.device)
        done = refine(
            self.editor,
            memory,
            Draft(*(each.to(self.device) for each in draft)),
            longest=self.options.text.longest + 2,
            most_rounds=edit.most_rounds,
            eos_penalty=self._penalty("edit"),
            surely=edit.surely,
            penalised=edit.most_rounds if self.grows else 1,
            passes=edit.passes,
            again=again,
            unknown=batch.words.clamp(max=0),
            traced=traced,
        )
        last = resolved(self.editor, memory, done.draft, batch.words, again)
        last = collapsed(last) if edit.collapse else last
        return [self._written(row, table, last, done, own[row]) for row, table in enumerate(tables)]

    def _written(self, row: int, table: Table, last: Draft, done: Any, start: Start) -> Written:
        def tokens(numbers: torch.Tensor) -> list[str]:
            return [self.numbering.token(int(each), table) for each in numbers]

        text, length = last.text[row], int((last.text[row] != PAD).sum())
        inner = slice(1, length - 1)
        trace = tuple(self._edited(row, table, step) for step in done.steps)
        return Written(
            tokens=tokens(text[inner]),
            sources=[],
            fixed=(last.phrase[row, inner] > 0).tolist(),
            confidence=last.log_p[row, inner].exp().tolist(),
            skeleton=[self.numbering.token(each, table) for each in start.tokens],
            rounds=int(done.rounds[row]),
            trace=trace,
        )

    def _edited(self, row: int, table: Table, step: Step) -> Edited:
        length = int((step.text[row] != PAD).sum())
        inner = slice(1, length - 1)
        names = [self.numbering.token(int(each), table) for each in step.text[row, inner]]
        return Edited(
            step.round, step.kind, [name if name != " ins" else "_" for name in names], step.locked[row, inner].tolist()
        )


def batches_of(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of about one length, so many at a time."""
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    for first in range(0, len(order), TABLES_AT_ONCE):
        yield order[first : first + TABLES_AT_ONCE]
