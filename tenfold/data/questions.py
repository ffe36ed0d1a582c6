"""Questions about what users did, or about any long stream: the answer, whose it is, when it is asked, the evidence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl

from tenfold.data import columns as known
from tenfold.data.batches import Source, nothing_left
from tenfold.data.dataset import ReadReport, Table, check_names
from tenfold.data.events import Events
from tenfold.data.sources import table_of
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said

if TYPE_CHECKING:
    import pandas as pd

ROLES = {
    "id": ("questionid", "qid", "id"),
    "user": known.ALIASES["user"],
    "position": ("position",),
    "kind": ("kind", "task", "type", "questiontype"),
    "question": ("question", "query"),
    "answer": ("answer", "label", "target"),
    "options": ("options", "choices", "candidates"),
    "evidence": ("evidence", "support", "supporting"),
    "distance": ("distance",),
    "split": ("split", "part", "subset"),
}
NEEDED = ("question", "answer")
TEXTS, NUMBERS, LISTS = ("kind", "question", "answer", "split"), ("position", "distance"), ("options", "evidence")


class Question(NamedTuple):
    """What the file does not say is None, or empty where there may be several."""

    id: Any
    user: Any  # the user's own id
    position: int | None  # how many events had been seen when it is asked; None for all
    kind: str | None
    question: str
    answer: str | None  # None where answers need not be there
    options: tuple[str, ...]  # among which the answer is, where there is a choice
    evidence: tuple[int, ...]  # events that decide the answer, from 0
    distance: int | None  # from the first of these to where it is asked
    split: str | None


@dataclass(frozen=True, eq=False)
class Questions(Table):
    """Q questions."""

    frame: pl.DataFrame  # (Q rows) a column for each of Question's fields that the file has, then the file's others
    places: np.ndarray  # (Q,) the line or row of each
    report: ReadReport
    numbered: Vocabulary | None = None  # answers, where they were numbered before; else the questions' own

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, row: int) -> Question:
        """Raises IndexError."""
        found = self.frame.row(range(len(self))[row], named=True)
        values = {name: found.get(name) for name in Question._fields}
        return Question(**values | {name: tuple(values[name] or ()) for name in LISTS})

    def __iter__(self) -> Iterator[Question]:
        return (self[row] for row in range(len(self)))

    @cached_property
    def answers(self) -> Vocabulary:
        """All answers, sorted."""
        if self.numbered is not None:
            return self.numbered
        return Vocabulary(self.frame["answer"].unique().sort())

    def split(self, name: str) -> Self:
        """Those of one part of the split: 'train', 'validation' (or as the file calls it), 'test'. Raises DataError."""
        return self.take(known.part(self.report.source, self._column("split"), name))

    def kind(self, name: str) -> Self:
        """Those of one kind. Raises DataError."""
        return self.take(known.part(self.report.source, self._column("kind"), name))

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        index = known.index(rows, len(self))
        return replace(self, frame=self.frame[index], places=self.places[index])

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"answers": self.answers}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same questions, whose `answer_numbers` are those of other `answers`; 0 for one that these do not hold."""
        check_names(self, vocabularies)
        return replace(self, numbered=vocabularies.get("answers", self.numbered))

    def answer_numbers(self) -> np.ndarray:
        """(Q,) int32."""
        return self.answers.numbers(self.frame["answer"])

    def contents_of_fingerprint(self) -> Iterable[bytes]:
        yield b"" if self.numbered is None else self.numbered.to_bytes()

    def asked_of(self, events: Events, *, option: str = "columns") -> tuple[np.ndarray, np.ndarray]:
        """Whose history each question is about (Q,), as rows of `events`, and how many events of it had been seen (Q,).

        option: what names their columns, for what is said of one that is missing.
        Raises DataError where a user is not in the log, or a question or its evidence lies beyond the user's history.
        """
        ids = self._column("user", option)
        users = events.users.numbers(ids).astype(np.int64) - 1
        if (users < 0).any():
            row = int(np.flatnonzero(users < 0)[0])
            raise DataError(
                f"{self.place_of(row)}: there is no user {ids[row]!r} in {events.report.source}; "
                f"{events.users.nearest(ids[row])}; mend the question, or give the log that it is about"
            )
        lengths = np.diff(events.offsets)[users]
        seen = lengths
        if "position" in self.frame.columns:
            seen = self.frame["position"].fill_null(pl.Series(lengths)).to_numpy().astype(np.int64)
        beyond = seen > lengths
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            raise DataError(
                f"{self.place_of(row)}: it is asked after {seen[row]} events, and user {ids[row]!r} has "
                f"{lengths[row]} in {events.report.source}; expected no more than that, so give the whole log, or "
                "mend the position"
            )
        if "evidence" in self.frame.columns:
            last = self.frame["evidence"].list.max().fill_null(-1).to_numpy()
            if (last >= seen).any():
                row = int(np.flatnonzero(last >= seen)[0])
                raise DataError(
                    f"{self.place_of(row)}: its evidence is event {last[row]} from 0, and {seen[row]} had been seen; "
                    "expected one of these, so mend it, or leave it out"
                )
        return users, seen

    def _column(self, name: str, option: str = "columns") -> pl.Series:
        if name not in self.frame.columns:
            raise DataError(
                f"{self.report.source} has no column of the {name}; name it with {as_said(option, f'{name}=NAME')}"
            )
        return self.frame[name]

    def place_of(self, row: int) -> str:
        """The file and the line or row where a question stands, for what is said of it."""
        return f"{self.report.source}, {self.report.place} {self.places[row]}"


def read_questions(
    data: "str | Path | pd.DataFrame | pl.DataFrame",
    *,
    columns: str = "",
    events: Events | None = None,
    encoding: str = "utf-8",
    format: str = "auto",
    on_bad_rows: str = "refuse",
    answers: bool = True,
    option: str = "columns",
) -> Questions:
    """Questions and answers from JSON Lines, Parquet, CSV or a frame; all else that Question has is optional.

    columns: 'question=NAME,answer=NAME,user=NAME,...' where names do not say it themselves; option: what that is called
    where it is asked for.  events: the log that they are about, against which users, positions and evidence are
    checked.  answers: whether each question must have one, as those that are only to be answered need not.
    Raises DataError with the line of what is wrong, OptionError.
    """
    needed = NEEDED if answers else ("question",)
    source = table_of(data, "questions", encoding=encoding, format=format, on_bad_rows=on_bad_rows)
    frame, places = source.whole()
    roles = known.roles(source.name, frame.columns or source.columns, columns, ROLES, needed, option=option)
    rows = len(frame) + source.bad.count
    found = {role: _column(source, frame[name], role, places, needed, option) for role, name in roles.items()}
    wrong = dict[int, str]()
    for role, (_, reasons) in found.items():
        for row, why in reasons.items():
            wrong.setdefault(row, f"the {role} {why}")
    read = {role: column for role, (column, _) in found.items()}
    for row, why in _contradictions(read, len(frame)).items():
        wrong.setdefault(row, why)
    source.bad.add([(int(places[row]), why) for row, why in wrong.items()])
    others = [column for column in frame.iter_columns() if column.name not in {*roles.values(), *Question._fields}]
    whole = pl.DataFrame([*(read[name].rename(name) for name in Question._fields if name in read), *others])
    good = np.ones(len(frame), bool)
    good[list(wrong)] = False
    whole, places = whole.filter(pl.Series(good)), places[good]
    if not len(whole):
        raise DataError(nothing_left(source, rows, 0, "questions"))
    bad = source.bad
    report = ReadReport(
        source=source.name,
        place=source.place,
        columns=roles,
        rows=rows,
        bad=bad.count,
        first_bad=tuple(bad.first),
        remarks=tuple(source.told()),
    )
    questions = Questions(whole, places, report)
    if events is not None:
        questions.asked_of(events)
    return questions


def _column(
    source: Source, column: pl.Series, role: str, places: np.ndarray, needed: Sequence[str], option: str
) -> tuple[pl.Series, dict[int, str]]:
    """The column in the role's own type; and what is wrong in which row. Raises DataError where all of it is."""
    if role in ("id", "user"):
        read = known.own_ids(column, source.name)
        return (known.whole_numbers(read) if source.text else read), {}
    if role in TEXTS:
        if column.dtype.is_nested():
            raise DataError(
                f"{source.name}: the {role} ('{column.name}') holds {column.dtype}, expected text; write one text a "
                f"row, or name another column with {as_said(option, f'{role}=NAME')}"
            )
        text = column.cast(pl.String)
        blank = text.is_null() | (text.str.strip_chars() == "").fill_null(True)
        if role == "answer" and role not in needed:
            return pl.select(pl.when(~blank).then(text)).to_series(), {}
        return text, dict.fromkeys(np.flatnonzero(blank.to_numpy()).tolist(), "is missing") if role in needed else {}
    if role in NUMBERS:
        if column.dtype.is_nested():
            raise DataError(
                f"{source.name}: the {role} ('{column.name}') holds {column.dtype}, expected numbers; write one a row, "
                f"or name another column with {as_said(option, f'{role}=NAME')}"
            )
        number = column.cast(pl.Float64, strict=False)
        whole = (number >= 0) & (number == number.floor()) & number.is_finite()
        unclear = (column.is_not_null() & ~whole.fill_null(False)).to_numpy()
        rows = np.flatnonzero(unclear)
        shown = known.values_at(column, rows)
        reasons = {int(r): f"is {v!r}, expected a whole number from 0" for r, v in zip(rows, shown, strict=True)}
        return pl.select(pl.when(pl.Series(~unclear)).then(number)).to_series().cast(pl.Int64), reasons
    if role == "evidence" and column.dtype == pl.String:  # a text file has no lists: '3 17', '[3, 17]'
        column = column.str.extract_all(r"-?\d+")
    if not isinstance(column.dtype, pl.List | pl.Array) and column.dtype != pl.Null:
        raise DataError(
            f"{source.name}: the {role} ('{column.name}') holds {column.dtype}, expected lists; write JSON Lines"
        )
    inner, expected = (pl.String, "text") if role == "options" else (pl.Int64, "places of events")
    # a cast to whole numbers would cut off what stands behind the point
    if role == "options" or column.dtype not in (pl.List(pl.Float64), pl.List(pl.Float32)):
        with suppress(pl.exceptions.PolarsError):
            return column.cast(pl.List(inner)), {}
    raise DataError(
        f"{source.name}: the {role} ('{column.name}') holds {column.dtype}, expected lists of {expected}; write "
        + ("lists of texts" if role == "options" else "lists of whole numbers, from 0")
    )


def _contradictions(read: dict[str, pl.Series], rows: int) -> dict[int, str]:
    """What two columns say against each other, by row."""
    found = dict[int, str]()
    if "options" in read and "answer" in read:
        frame = pl.DataFrame({"options": read["options"], "answer": read["answer"]})
        asked = pl.col("answer").is_null() | (pl.col("options").list.len() == 0)
        among = frame.select(pl.col("options").list.contains(pl.col("answer")) | asked)
        for row in np.flatnonzero(~among.to_series().fill_null(True).to_numpy()).tolist():
            those = ", ".join(map(repr, read["options"][row].to_list()[:5]))
            found[row] = f"the answer {read['answer'][row]!r} is none of its options, {those}"
    if "evidence" in read:
        first = read["evidence"].list.min().fill_null(0).to_numpy()
        for row in np.flatnonzero(first < 0).tolist():
            found.setdefault(row, f"its evidence is event {first[row]}, and events count from 0")
    return found
