"""The task of table-to-text systems: from the user's file to tokens and numbers, from what was written back to texts.

A system of the task says how tables are written (`write`); reading, measuring, files and explanations are here.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np

from tenfold.data.answers import write_answers
from tenfold.data.fact_tables import Cell as Fact
from tenfold.data.fact_tables import FactTable, FactTables, plain_name, read_fact_tables, read_in_parts
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, DataError, OptionError, as_said
from tenfold.metrics.parent import table_recall
from tenfold.options import parse
from tenfold.system import Answer, Evaluation, PredictionSummary, System
from tenfold.tasks.table_text.encoding import Numbering, Splitter, Table, learned_keys, learned_words
from tenfold.tasks.table_text.evaluation import (
    COMMON,
    LOWER_IS_BETTER,
    Judged,
    entailment_of,
    judge,
    plain,
    plain_table,
)
from tenfold.tasks.table_text.options import PredictOptions, Protocol, ReadOptions
from tenfold.tasks.table_text.prepared import Prepared, prepare
from tenfold.tasks.table_text.tokens import Casing

Given = Mapping[str, Any] | Sequence[Sequence[str]] | FactTable  # a table as people write it


class Written(NamedTuple):
    """What a system wrote of a table: tokens in the form in which they are compared."""

    tokens: list[str]
    sources: list[int]  # the place in the table that each token was copied from, -1 where it was not
    fixed: list[bool]  # tokens that were to be in the text, as they are
    confidence: list[float]  # probability of each token when it was written
    skeleton: list[str] = []  # noqa: RUF012 - never changed
    rounds: int = 0  # of edits
    trace: tuple[Any, ...] = ()  # what happened in them, where it was asked for
    others: tuple["Written", ...] = ()  # further texts of the same table, where they were asked for


@dataclass(frozen=True)
class Description:
    """A text, and where it comes from."""

    text: str
    tokens: list[str]  # as written
    cells: list[int | None]  # of each token: the number of the cell that it was copied from
    coverage: list[tuple[str, str, float]]  # of each cell: key, value, the share of it that the text says
    confidence: float  # the least certain token's probability
    skeleton: list[str] = field(default_factory=list)
    rounds: int = 0
    trace: tuple[Any, ...] = ()
    others: tuple[str, ...] = ()  # further texts of the same table


class TableText(System):
    splits, units = ("auto", "given", "tables", "none"), "tables"
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    lower_is_better: ClassVar[tuple[str, ...]] = LOWER_IS_BETTER
    shown: ClassVar[tuple[str, ...]] = ("id", "text")
    casing = Casing({}, begins=False)
    _asked_split = "auto"

    @abstractmethod
    def write(self, tables: Sequence[Table], **how: Any) -> list[Written]:
        """A text for each table; how: what the class's `predict_options` have beside the task's. Raises OptionError."""

    # Reading.

    @cached_property
    def splitter(self) -> Splitter:
        return Splitter(self.options.text)

    @property
    def numbering(self) -> Numbering:
        known = vars(self).get("_numbering")
        if known is None or known[0] is not self.vocabularies["words"]:
            known = self.vocabularies["words"], Numbering(self.vocabularies["words"], self.vocabularies["keys"])
            vars(self)["_numbering"] = known
        return known[1]

    def read(self, data: Any, read_options: ReadOptions | None = None, **inputs: Any) -> FactTables:
        if isinstance(data, FactTables):
            return data
        return read_fact_tables(data, **asdict(read_options or ReadOptions()))

    def fit(self, data: Any, *, split: str | None = None, **how: Any) -> Self:
        self._asked_split = split or self.splits[0]  # vocabularies are those of the part that is trained on
        return super().fit(data, split=split, **how)

    def prepare(self, dataset: FactTables, split: str) -> Prepared:
        known = _PREPARED.setdefault(dataset, {})
        key = split, self.options.text
        if key not in known:
            known[key] = prepare(dataset, split, self.splitter)
        return known[key]

    def learn_vocabularies(self, dataset: FactTables) -> dict[str, Vocabulary]:
        prepared, text = self.prepare(dataset, self._asked_split), self.options.text
        rows = prepared.rows("train")
        self.casing = Casing.of(self._written_texts(dataset, prepared))
        return {
            "words": learned_words((each for row in rows for each in prepared.texts[row]), text.vocabulary),
            "keys": learned_keys((prepared.tables[row] for row in rows), text.keys),
        }

    def _written_texts(self, dataset: FactTables, prepared: Prepared) -> Iterator[list[str]]:
        if self.options.text.case == "restore":
            trained = set(prepared.rows("train"))
            for place, table in enumerate(dataset):
                if place in trained:
                    yield from map(self.splitter.written, table.texts)

    def infer_sizes(self, prepared: Prepared) -> dict[str, int]:
        if not any(prepared.texts[row] for row in prepared.rows("train")):
            raise DataError(f"no table to train on has a text; name the column with {as_said('columns', 'text=NAME')}")
        return super().infer_sizes(prepared)

    def data_notes(self, dataset: FactTables, prepared: Prepared) -> list[str]:
        return [*dataset.sentences(), *prepared.sentences()]

    def extra_files(self) -> dict[str, bytes]:
        return {"casing.json": self.casing.to_bytes()}

    def load_extra_files(self, files: Mapping[str, bytes]) -> None:
        rest = {name: content for name, content in files.items() if name != "casing.json"}
        if "casing.json" not in files:
            raise ArtifactError(f"the artifact of this {type(self).__name__} lacks its capitals; save it again")
        self.casing = Casing.from_bytes(files["casing.json"])
        super().load_extra_files(rest)

    # Measuring.

    def evaluate(
        self,
        data: Any,
        *,
        split: str | None = None,
        part: str = "test",
        read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
        **protocol: Any,
    ) -> Evaluation:
        _ = self.network
        self.check_inputs(inputs or {})
        asked = parse(self.protocol, protocol)
        prepared = self.prepare(self.read(data, read_options), split or self.fitted["split"])
        rows = [row for row in prepared.rows(part) if prepared.texts[row]][: asked.at_most]
        if not rows:
            raise DataError(f"no table of the part '{part}' has a text to compare with; name the column of texts")
        tables = [prepared.tables[row] for row in rows]
        written = self.measured(tables, [prepared.texts[row] for row in rows], asked)
        judged = [
            Judged(text.tokens, prepared.texts[row], table.records, table.subjects)
            for text, row, table in zip(written, rows, tables, strict=True)
        ]
        own = prepared.rows("train") if asked.entailment == "cooccurrence" else []
        entailment = entailment_of(
            asked.entailment, [prepared.tables[i].records for i in own], [prepared.texts[i] for i in own]
        )
        return judge(
            judged,
            asked,
            common=self.common_words,
            entailment=entailment,
            told=f"{len(rows):,} tables of the part {part}; ",
            more=self.more_figures(written, tables, [prepared.texts[row] for row in rows]),
        )

    def measured(self, tables: Sequence[Table], texts: Sequence[Sequence[list[str]]], asked: Any) -> list[Written]:
        """What `evaluate` measures. texts: the references; asked: of the class `protocol`."""
        return self.write(tables)

    def more_figures(
        self, written: Sequence[Written], tables: Sequence[Table], texts: Sequence[Sequence[list[str]]]
    ) -> dict[str, np.ndarray]:
        """Figures of each text that only this method has."""
        return {}

    @property
    def common_words(self) -> list[str]:
        words = self.vocabularies["words"].series
        return words.slice(5, COMMON).to_list()

    # Answering.

    def table_of(self, given: Given, name: str = "the table") -> Table:
        """A table as people write it: {'name': 'Ada'}, {'team': ['A', 'B']}, [['name', 'Ada']], or triples as
        read_fact_tables has them, [['Ada', 'birthPlace', 'Turin']]. Raises DataError."""
        if isinstance(given, FactTable):
            return self.splitter.table(given, name)
        if isinstance(given, Mapping):
            pairs = [
                (key, one) for key, value in given.items() for one in (value if isinstance(value, list) else [value])
            ]
        else:
            pairs = [tuple(pair) for pair in given]  # type: ignore[misc]
        if not all(len(pair) in (2, 3) for pair in pairs):
            raise DataError(
                f"{name} is {given!r:.60}; give {{'name': 'Ada'}} or [['name', 'Ada']], or triples such as "
                "[['Ada', 'birthPlace', 'Turin']]"
            )
        cells = []
        for pair in pairs:
            if pair[-1] is None:
                continue
            if len(pair) == 3:
                subject, key, value = (plain_name(str(part)) for part in pair)
                cells.append(Fact(key, value, subject, None, None, None))
            else:
                cells.append(Fact(str(pair[0]), str(pair[1]), None, None, None, None))
        return self.splitter.table(FactTable(tuple(cells), (), None, (), {}), name)

    def describe(self, table: Given, **how: Any) -> Description:
        """A text for one table, with where each token comes from. how: as `write`. Raises DataError, OptionError."""
        _ = self.network
        own = self.table_of(table)
        return self.explained(own, self.write([own], **how)[0])

    def explained(self, table: Table, written: Written) -> Description:
        shown = self.shown_tokens(table, written)
        recall = table_recall(plain(written.tokens), plain_table(table.records))
        return Description(
            text=self.splitter.join(shown),
            tokens=shown,
            cells=[table.owner[place] if place >= 0 else None for place in written.sources],
            coverage=[(c.key, c.value, float(share)) for c, share in zip(table.cells, recall, strict=True)],
            confidence=min(written.confidence, default=1.0),
            skeleton=list(written.skeleton),
            rounds=written.rounds,
            trace=written.trace,
            others=tuple(self.splitter.join(self.shown_tokens(table, each)) for each in written.others),
        )

    def shown_tokens(self, table: Table, written: Written) -> list[str]:
        """The tokens with their capitals."""
        if self.options.text.case == "keep":
            return list(written.tokens)
        copied = [table.written[place] if place >= 0 else None for place in written.sources]
        return self.casing.restored(written.tokens, copied, written.fixed)

    def predict(
        self,
        data: str | Path,
        output: str | Path,
        *_: Any,
        read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
        batch_size: int = 64,
        explain: bool = False,
        **how: Any,
    ) -> PredictionSummary:
        _fitted = self.network
        self.check_inputs(inputs or {})
        notes: list[str] = []

        def answers() -> Iterator[dict[str, Any]]:
            number = 0
            for some in read_in_parts(data, **asdict(read_options or ReadOptions())):
                own = some.roles.get("id")
                ids = some.frame[own].to_list() if own else range(number + 1, number + 1 + len(some))
                tables = [self.splitter.table(one, f"{data}, table {i}") for one, i in zip(some, ids, strict=True)]
                number += len(some)
                for first in range(0, len(tables), batch_size):
                    part = slice(first, first + batch_size)
                    for table, own_id, text in zip(
                        tables[part], ids[part], self.write(tables[part], **how), strict=True
                    ):
                        yield {"id": own_id, **self.row(self.explained(table, text), explain)}
                notes[:] = some.sentences()

        done = PredictionSummary(write_answers(output, answers()))
        done.notes = notes
        return done

    @staticmethod
    def row(text: Description, explain: bool) -> dict[str, Any]:
        several = {"others": list(text.others)} if text.others else {}
        if not explain:
            return {"text": text.text, **several}
        said = [{"key": key, "value": value, "said": round(share, 3)} for key, value, share in text.coverage]
        return {
            "text": text.text,
            "skeleton": " ".join(text.skeleton),
            "confidence": round(text.confidence, 4),
            "rounds": text.rounds,
            "tokens": [{"token": token, "cell": cell} for token, cell in zip(text.tokens, text.cells, strict=True)],
            "coverage": said,
            **several,
        }

    def answer(self, question: str, batch_size: int = 64, explain: bool = False, **how: Any) -> Answer:
        """One table as 'name=Ada; born=1815'."""
        text = self.describe(cells_of_words(question), **how)
        rows = [[key, value, f"{share:.0%}"] for key, value, share in text.coverage]
        return Answer(("key", "value", "said"), rows, (text.text,))


_PREPARED: "WeakKeyDictionary[FactTables, dict[Any, Prepared]]" = WeakKeyDictionary()


def cells_of_words(words: str) -> list[tuple[str, str]]:
    """'name=Ada; born=1815' -> cells. Raises OptionError."""
    pairs = [part.partition("=") for part in words.split(";") if part.strip()]
    if not pairs or not all(equals and key.strip() for key, equals, _ in pairs):
        raise OptionError(f"'{words}' is no table; write key=value, and ; between cells: 'name=Ada; born=1815'")
    return [(key.strip(), value.strip()) for key, _, value in pairs]
