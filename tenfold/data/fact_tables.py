"""Tables of facts and the texts that say them: each row is a small table, and what was written of it.

Read from JSON Lines, Parquet, CSV and frames, and as others publish them (published_tables.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl

from tenfold.data import columns as known
from tenfold.data.batches import Source, nested, nothing_left
from tenfold.data.dataset import ReadReport, Table, check_names
from tenfold.data.published_tables import NONE, PUBLISHED, TOTTO, meaning_representation, published_as, totto_row
from tenfold.data.sources import table_of
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError, as_said

if TYPE_CHECKING:
    import pandas as pd

ROLES = {
    "table": ("table", "facts", "triples", "data", "mr"),
    "text": ("text", "texts", "references", "sentence", "description", "summary", "ref"),
    "title": ("title",),
    "id": ("id", "textid", "tableid", "eid"),
    "invented": ("invented",),
    "split": ("split", "part", "subset"),
}
CELL = pl.Struct(
    {
        "attribute": pl.String,
        "value": pl.String,
        "subject": pl.String,
        "said": pl.Boolean,
        "start": pl.Int64,
        "end": pl.Int64,
    }
)
SCHEMA = {"table": pl.List(CELL), "texts": pl.List(pl.String), "invented": pl.List(CELL)}


class Cell(NamedTuple):
    """A fact. What the file does not say is None."""

    attribute: str
    value: str
    subject: str | None  # of whom it is said, where a table has several
    said: bool | None  # whether the text says it
    start: int | None  # the characters of the text that say it, text[start:end]
    end: int | None


class FactTable(NamedTuple):
    cells: tuple[Cell, ...]
    texts: tuple[str, ...]  # that say it, each in its own way; none where only the table is known
    title: str | None
    invented: tuple[Cell, ...]  # facts in the text that the table does not hold
    columns: dict[str, Any]  # what else the file says of it


@dataclass(frozen=True, eq=False)
class FactTables(Table):
    """Row i is a table and its texts."""

    frame: pl.DataFrame  # columns table, texts, invented, and the file's others under their own names
    roles: dict[str, str]  # title, id, split, as far as there are any -> the file's own column
    report: ReadReport
    numbered: Vocabulary | None = None  # names of attributes, where they were numbered before; else the tables' own

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, row: int) -> FactTable:
        """Raises IndexError."""
        found = self.frame.row(range(len(self))[row], named=True)
        cells, texts, invented = (found.pop(name) for name in SCHEMA)
        title = found[self.roles["title"]] if "title" in self.roles else None
        return FactTable(
            tuple(Cell(**cell) for cell in cells),
            tuple(texts),
            None if title is None else str(title),
            tuple(Cell(**cell) for cell in invented),
            found,
        )

    def __iter__(self) -> Iterator[FactTable]:
        return (self[row] for row in range(len(self)))

    @cached_property
    def attributes(self) -> Vocabulary:
        """The names of attributes, in the order in which the tables first have them."""
        if self.numbered is not None:
            return self.numbered
        cells = self.frame["table"].explode().drop_nulls()
        return Vocabulary(cells.struct.field("attribute").unique(maintain_order=True))

    def split(self, name: str) -> Self:
        """Those of one part of the split: 'train', 'validation' (or as the file calls it), 'test'. Raises DataError."""
        if "split" not in self.roles:
            raise DataError(
                f"{self.report.source} has no column of a split; name it with {as_said('columns', 'split=NAME')}"
            )
        return self.take(known.part(self.report.source, self.frame[self.roles["split"]], name))

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        return replace(self, frame=self.frame[known.index(rows, len(self))])

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"attributes": self.attributes}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same tables, whose `attribute_numbers` are those of other `attributes`; 0 where these lack a name."""
        check_names(self, vocabularies)
        return replace(self, numbered=vocabularies.get("attributes", self.numbered))

    def attribute_numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """(C,) int32 numbers of the attributes of all cells, table after table, and where each begins, (N + 1,)."""
        counts = self.frame["table"].list.len().fill_null(0).to_numpy().astype(np.int64)
        cells = self.frame.filter(pl.Series(counts > 0))["table"].explode()
        names = cells.struct.field("attribute") if len(cells) else pl.Series([], dtype=pl.String)
        return self.attributes.numbers(names), np.concatenate([[0], np.cumsum(counts)])

    def contents_of_fingerprint(self) -> Iterator[bytes]:
        yield repr(sorted(self.roles.items())).encode()
        yield b"" if self.numbered is None else self.numbered.to_bytes()


def read_fact_tables(
    data: "str | Path | pd.DataFrame | pl.DataFrame",
    *,
    columns: str = "",
    encoding: str = "utf-8",
    format: str = "auto",
    on_bad_rows: str = "refuse",
) -> FactTables:
    """Tables with their texts. A row's table may be

    - a list of objects with `attribute` and `value`, and perhaps `said`, `start` and `end`; or of [attribute, value];
    - an object attribute -> value, or attribute -> list of values;
    - a list of triples [subject, attribute, value], as WebNLG has them: names without a space have underscores for
      spaces, and quotes around a value are none of it;
    - text such as 'name[Blue Spice], area[riverside]', as E2E has it;
    - where no column is a table: all columns but the text, title, id and split, one attribute each.

    Texts are text or lists of text. WikiBio's `NAME.box` is read with the `NAME.summary`, or `NAME.sent` and `NAME.nb`,
    beside it, SANA's `NAME.value` with the files beside it, WebNLG's XML as a file or a folder; WikiTableText, E2E and
    the tables of PARENT's script are known by their first line, ToTTo by its columns. Empty values are left out.
    format: one of these layouts, wikibio, parallel, webnlg, wikitabletext, e2e or parent, or one of `read_events`.
    columns: 'table=NAME,text=NAME,title=NAME,id=NAME,invented=NAME,split=NAME' where names do not say it themselves.
    Raises DataError with the line of what is wrong, OptionError.
    """
    source, roles = _opened(data, columns, encoding, format, on_bad_rows)
    found = _Tables(source)
    for rows, places in source.rows():
        found.take(rows, places, roles)
    return found.tables(roles)


def read_in_parts(
    data: "str | Path | pd.DataFrame | pl.DataFrame",
    *,
    columns: str = "",
    encoding: str = "utf-8",
    format: str = "auto",
    on_bad_rows: str = "refuse",
) -> Iterator[FactTables]:
    """The same tables, many at a time and in their order, so that a file of any size fits. Raises as the other one."""
    source, roles = _opened(data, columns, encoding, format, on_bad_rows)
    came = 0
    for rows, places in source.rows():
        found = _Tables(source)
        found.take(rows, places, roles)
        came += found.rows
        if found.rows:
            yield found.tables(roles)
    if not came:
        raise DataError(nothing_left(source, came, 0, "tables"))


def _opened(data: Any, columns: str, encoding: str, format: str, on_bad_rows: str) -> tuple[Source, dict[str, str]]:
    """Raises DataError, OptionError."""
    published = published_as(Path(data), format) if isinstance(data, str | Path) else None
    if published is not None:
        source: Source = published(Path(str(data)), encoding, on_bad_rows)
    elif format in PUBLISHED:
        raise OptionError(f"{as_said('format', format)} is read from a path; found {type(data).__name__}")
    else:
        source = table_of(data, "tables", encoding=encoding, format=format, on_bad_rows=on_bad_rows)
    if TOTTO in source.columns:
        return source, {name: name for name in ("table", "text", "id")}
    if TOTTO in source.columns:
        return source, {name: name for name in ("table", "text", "id")}
    return source, known.roles(source.name, source.columns, columns, ROLES, ())


class _Tables:
    """Rows as they come: checked, and kept as columns."""

    def __init__(self, source: Source) -> None:
        self.source, self.parts, self.rows = source, list[pl.DataFrame](), 0

    def take(self, rows: Sequence[Mapping[str, Any]], places: np.ndarray, roles: Mapping[str, str]) -> None:
        """Raises DataError."""
        taken, lines, wrong = list[tuple[Any, ...]](), list[int](), list[tuple[int, str]]()
        others, self.rows = list[Mapping[str, Any]](), self.rows + len(rows)
        for row, place in zip(rows, places, strict=True):
            try:
                if TOTTO in row:
                    row = totto_row(row)
                texts = _texts(row.get(roles["text"])) if "text" in roles else []
                length = len(texts[0]) if len(texts) == 1 else None
                if "table" in roles:
                    cells = _cells(row.get(roles["table"]), length)
                else:
                    own = {name: value for name, value in row.items() if name not in roles.values()}
                    cells = _cells(own, length)
                invented = row.get(roles["invented"]) if "invented" in roles else None
                taken.append((cells, texts, [] if invented is None else _cells(invented, length)))
                lines.append(int(place))
                others.append(row)
            except ValueError as error:
                wrong.append((int(place), str(error)))
        self.rows -= len(wrong)
        self.source.bad.add(wrong)
        frame = pl.DataFrame(taken, schema=SCHEMA, orient="row")
        used = {*SCHEMA, *(roles[role] for role in ("table", "text", "invented") if role in roles)}
        names = dict.fromkeys(name for row in others for name in row if name not in used)
        if "table" not in roles:  # the others are the cells
            names = dict.fromkeys(name for name in names if name in roles.values())
        places = np.array(lines, dtype=np.int64)
        self.parts.append(
            frame.hstack([nested(self.source, name, [row.get(name) for row in others], places) for name in names])
        )

    def tables(self, roles: dict[str, str]) -> FactTables:
        """Raises DataError."""
        bad = self.source.bad
        frame = pl.concat(self.parts, how="diagonal_relaxed") if self.parts else pl.DataFrame(schema=SCHEMA)
        if not len(frame):
            raise DataError(nothing_left(self.source, self.rows, 0, "tables"))
        rows = self.rows + bad.count
        report = ReadReport(
            source=self.source.name,
            place=self.source.place,
            rows=rows,
            bad=bad.count,
            first_bad=tuple(bad.first),
            remarks=tuple(self.source.told()),
        )
        kept = {
            role: name for role, name in roles.items() if role in ("title", "id", "split") and name in frame.columns
        }
        return FactTables(frame, kept, report)


# Cells ---------------------------------------------------------------------------------------------------------------


def _texts(value: Any) -> list[str]:
    """Raises ValueError."""
    if value is None:
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"the text is {_shown(value)}, expected text or a list of texts")
    return list(texts)


def _cells(table: Any, length: int | None) -> list[dict[str, Any]]:
    """The cells in one form; length: of the text that their places refer to, None where there is no one text. Raises
    ValueError."""
    if isinstance(table, str) and "[" in table:
        table = meaning_representation(table)
    if isinstance(table, Mapping):
        pairs = [(name, one) for name, value in table.items() for one in _several(value)]
        return [cell for name, value in pairs if (cell := _cell(name, value)) is not None]
    if not isinstance(table, list | tuple):
        raise ValueError(
            f"the table is {_shown(table)}, expected a list of such as {{'attribute': 'colour', 'value': 'red'}}, or "
            "an object such as {'colour': 'red'}"
        )
    cells = []
    for number, cell in enumerate(table, start=1):
        try:
            found = _listed(cell, length)
        except ValueError as error:
            raise ValueError(f"cell {number} of the table: {error}") from None
        if found is not None:
            cells.append(found)
    return cells


def _listed(cell: Any, length: int | None) -> dict[str, Any] | None:
    """Raises ValueError."""
    if isinstance(cell, list | tuple) and len(cell) in (2, 3):
        if len(cell) == 2:
            return _cell(*cell)
        attribute, value = (plain_name(part) if isinstance(part, str) else part for part in cell[1:])
        return _cell(attribute, value, subject=plain_name(str(cell[0])))
    if not isinstance(cell, Mapping) or "attribute" not in cell or "value" not in cell:
        raise ValueError(f"it is {_shown(cell)}, expected an object with 'attribute' and 'value'")
    found = _cell(cell["attribute"], cell["value"], cell.get("subject"))
    start, end, said = cell.get("start"), cell.get("end"), cell.get("said")
    if found is None or (start, end) in ((None, None), (-1, -1)):
        return found and {**found, "said": said}
    placed = type(start) is int and type(end) is int and 0 <= start < end
    if not placed or (length is not None and end > length):  # type: ignore[operator]
        much = "" if length is None else f" of {length} characters"
        raise ValueError(f"it stands from {start} to {end} of a text{much}, expected 0 <= start < end, or -1 and -1")
    return {**found, "said": said, "start": start, "end": end}


def plain_name(name: str) -> str:
    """A name or literal of a triple as texts have it: Abilene,_Texas -> Abilene, Texas, without quotes around it."""
    bare = name.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    return bare if " " in bare else bare.replace("_", " ").strip()


def _cell(attribute: Any, value: Any, subject: str | None = None) -> dict[str, Any] | None:
    """None where there is no value. Raises ValueError."""
    if not isinstance(attribute, str) or not attribute.strip():
        raise ValueError(f"the attribute is {_shown(attribute)}, expected its name")
    if isinstance(value, Mapping | list | tuple | bytes):
        raise ValueError(f"'{attribute}' is {_shown(value)}, expected text or a number")
    if value is None or value != value or str(value).strip() in NONE:  # NaN is what pandas has for nothing
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"attribute": attribute, "value": text, "subject": subject, "said": None, "start": None, "end": None}


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{str(value)[:60]!r}"
