"""Where a log comes from: text files, JSON lines, Parquet, frames. Each gives batches of the columns asked for.

The layout is told from the name and, where the name says nothing, from the first lines.
"""

import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tenfold.data import columns
from tenfold.data.options import Reading
from tenfold.data.text_files import (
    CHUNK,
    BadRows,
    Chunk,
    Layout,
    chunks,
    not_utf8,
    opened,
    rows_of,
    table,
)
from tenfold.errors import DataError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".inter": "recbole",
    ".item": "recbole",
}
SEPARATORS = {"csv": ",", "tsv": "\t", "recbole": "\t", "sasrec": " ", "lines": " ", "movielens": "::"}
OTHERS = {"\t": "tabs", ";": "';'", ",": "','", "|": "'|'", "::": "'::'", " ": "spaces"}
MOVIELENS = {3: ["item", "title", "genres"], 4: ["user", "item", "rating", "time"]}
LOOKED_AT = 100  # lines from which a layout without a header is told
ROWS = 1 << 19  # of a frame or a Parquet file at once


class Batch(NamedTuple):
    frame: pl.DataFrame
    places: np.ndarray  # (n,) the line or row of the file that each row is


class Source(ABC):
    """Rows in the order in which they stand."""

    place = "line"
    text = True  # ids come as text and may turn out to be whole numbers

    def __init__(self, name: str, on_bad_rows: str) -> None:
        self.name = name
        self.bad = BadRows(name, self.place, refuse=on_bad_rows == "refuse")
        self.columns: list[str] = []

    @abstractmethod
    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        """The columns wanted; rows that are no rows are handed to `bad`. Raises DataError."""


def source_of(data: Any, reading: Reading) -> Source:
    """Raises DataError."""
    if isinstance(data, str | Path):
        path = Path(data)
        layout = reading.format if reading.format != "auto" else told(path, reading.encoding)
        if layout == "parquet":
            return ParquetFile(path, reading)
        if layout == "jsonl":
            return JsonLines(path, reading)
        return (OneLinePerUser if layout == "lines" else Delimited)(path, reading, layout)
    if isinstance(data, pl.DataFrame):
        return Frame(data, "the polars frame", reading)
    if type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        return PandasFrame(data, reading)
    raise DataError(f"events are read from a path, a pandas or a polars DataFrame; found {type(data).__name__}")


def told(path: Path, encoding: str = "utf-8") -> str:
    """The layout of a file by its name, or by what it begins with. Raises DataError."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".gzip")]
    with opened(path) as file:
        if suffixes and suffixes[-1] in SUFFIXES:
            return SUFFIXES[suffixes[-1]]
        try:
            start = file.read(1 << 16)
        except (OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read: its gzip is damaged or cut short ({error})") from error
    if start.startswith(b"PAR1"):
        return "parquet"
    lines = start.decode(encoding, errors="replace").splitlines()[:LOOKED_AT]
    lines = [line for line in lines if line.strip()]
    first = lines[0] if lines else ""
    if first.lstrip().startswith(("{", "[")):
        return "jsonl"
    if "::" in first:
        return "movielens"
    if re.search(r"\w:(token|float)", first):
        return "recbole"
    for layout in ("csv", "tsv"):
        if SEPARATORS[layout] in first and not (layout == "tsv" and len(first.split()) == 2 and first[0].isdigit()):
            return layout
    return "sasrec" if all(len(line.split()) == 2 for line in lines[:-1] or lines) else "lines"


class Delimited(Source):
    """CSV, TSV, RecBole's atomic files, MovieLens' `::` files and `user item` lines."""

    def __init__(self, path: Path, reading: Reading, layout: str, size: int = CHUNK) -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.layout_name, self.size = path, reading.encoding, layout, size
        self.separator, self.quotes = SEPARATORS[layout], layout in ("csv", "tsv")
        # Until a header is seen, a wrong line is not counted: the reading proper will come to it again.
        first = self._first_rows()
        self.header = layout in ("csv", "tsv", "recbole")
        if layout == "sasrec":
            self.columns = ["user", "item"]
        elif layout == "movielens":
            self.columns = MOVIELENS.get(len(first), [f"column {number}" for number in range(1, len(first) + 1)])
        else:
            self.columns = self._header(first, columns.spelled_out(reading.columns))

    def _chunks(self) -> Iterator[Chunk]:
        return chunks(self.path, self.encoding, self.bad, quotes=self.quotes, size=self.size)

    def _first_rows(self) -> list[str]:
        """The fields of the first line that holds any."""
        bad = BadRows(self.name, "line", refuse=True)
        for chunk in chunks(self.path, self.encoding, bad, quotes=self.quotes, size=1 << 16):
            for place, row in rows_of(chunk, Layout(self.separator, self.quotes, 0)):
                if isinstance(row, str):
                    raise DataError(f"{self.name}, line {place}: {row}")
                return row
        raise DataError(f"{self.name} is empty; give a file with events")

    def _header(self, first: list[str], chosen: dict[str, str]) -> list[str]:
        names = [field.strip() for field in first]
        if self.layout_name == "recbole":
            names = [name.partition(":")[0] for name in names]
        if len(names) == 1:
            self._refuse_separator(names[0])
        if chosen and all(name.isdigit() for name in chosen.values()) and not set(chosen.values()) <= set(names):
            self.header = False  # columns by their place: the file has no header
            return [str(number) for number in range(1, len(names) + 1)]
        if all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
            raise DataError(
                f"{self.name} has no header, its first line is '{self.separator.join(names)[:80]}'; name the columns "
                "by their place, such as columns='user=1,item=2,time=4', or write a header"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{self.name} has two columns of the name '{twice}'; rename one")
        return names

    def _refuse_separator(self, name: str) -> None:
        for other, words in OTHERS.items():
            if other != self.separator and len(name.split(other)) > 1:
                layout = next((key for key, value in SEPARATORS.items() if value == other and key != "lines"), None)
                todo = f"say format={layout}" if layout else "write it again with ',' or hand over a DataFrame"
                raise DataError(
                    f"{self.name} has one column '{name[:80]}': it is separated by {words}, and as {self.layout_name} "
                    f"it should be by {OTHERS[self.separator]}; {todo}"
                )

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        numbers = [self.columns.index(name) for name in wanted]
        layout, header = Layout(self.separator, self.quotes, len(self.columns)), self.header
        for chunk in self._chunks():
            rest = _without_first(chunk, layout) if header else chunk
            header = rest is None  # nothing but blank lines so far
            if rest is None or not rest.data:
                continue
            lines = table(rest, layout, sorted(set(numbers)), self.bad)
            yield Batch(
                lines.frame.select(pl.col(str(n)).alias(w) for n, w in zip(numbers, wanted, strict=True)), lines.places
            )


def _without_first(chunk: Chunk, layout: Layout) -> Chunk | None:
    """What follows the header; a header that is quoted may take several lines."""
    rows = rows_of(chunk, layout)
    first = next(rows, None)
    if first is None:
        return None
    taken = chunk.data.split(b"\n", first[0] - chunk.line + 1)
    header, rest = taken[-2], taken[-1]
    line = first[0] + 1
    while layout.quotes and header.count(b'"') % 2 and rest:
        more, _, rest = rest.partition(b"\n")
        header, line = header + b"\n" + more, line + 1
    return Chunk(rest, line)


class OneLinePerUser(Source):
    """`user item item ...`, white space between them."""

    def __init__(self, path: Path, reading: Reading, layout: str = "lines", size: int = CHUNK) -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.size = path, reading.encoding, size
        self.columns = ["user", "item"]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for chunk in chunks(self.path, self.encoding, self.bad, quotes=False, size=self.size):
            users, items, counts, places = list[str](), list[str](), list[int](), list[int]()
            wrong = list[tuple[int, str]]()
            for place, row in rows_of(chunk, Layout(" ", False, 0)):
                if isinstance(row, str):
                    wrong.append((place, row))
                elif len(row) < 2:
                    wrong.append((place, f"user '{row[0]}' has no item; a line is a user and at least one item"))
                else:
                    users.append(row[0])
                    items += row[1:]
                    counts.append(len(row) - 1)
                    places.append(place)
            self.bad.add(wrong)
            owners = pl.Series(users, dtype=pl.String).gather(np.repeat(np.arange(len(users)), counts))
            found = {"user": owners, "item": pl.Series(items, dtype=pl.String)}
            frame = pl.DataFrame({name: found[name] for name in wanted})
            yield Batch(frame, np.repeat(np.array(places, dtype=np.int64), counts))


class JsonLines(Source):
    """One object a line; numbers stay numbers and text stays text."""

    text = False

    def __init__(self, path: Path, reading: Reading, size: int = CHUNK) -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.size = path, reading.encoding, size
        self.columns = self._names()

    def _names(self) -> list[str]:
        """Of the first rows together: a key may be absent from some."""
        names: dict[str, None] = {}
        bad = BadRows(self.name, "line", refuse=True)
        for chunk in chunks(self.path, self.encoding, bad, quotes=False, size=1 << 16):
            for raw in chunk.data.split(b"\n")[:LOOKED_AT]:
                row = _object(raw)
                names |= dict.fromkeys(row) if isinstance(row, dict) else {}
                if not names and raw.strip().startswith(b"["):
                    raise DataError(f"{self.name} is one JSON array; write one object a line, as JSON Lines")
            if not names and chunk.data.strip():
                raise DataError(
                    f"{self.name}, line {chunk.line}: expected a JSON object a line, such as "
                    f'{{"user": 1, "item": 2}}, found {chunk.data[:60].decode(errors="replace").splitlines()[0]!r}'
                )
            if names:
                return list(names)
        raise DataError(f"{self.name} is empty; give a file with events")

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        kinds: dict[str, Any] = {}
        for chunk in chunks(self.path, self.encoding, self.bad, quotes=False, size=self.size):
            rows, places = self._rows(chunk)
            values = {name: [row.get(name) for row in rows] for name in wanted}
            frame = pl.DataFrame({name: _one_kind(self, name, values[name], places, kinds) for name in wanted})
            yield Batch(frame, places)

    def _rows(self, chunk: Chunk) -> tuple[list[dict[str, Any]], np.ndarray]:
        lines = chunk.data.split(b"\n")[:-1]
        try:  # all at once; a line that holds two objects or none would give another number of rows
            rows = json.loads(b"[" + b",".join(lines) + b"]")
            if len(rows) == len(lines) and set(map(type, rows)) <= {dict}:
                return rows, np.arange(chunk.line, chunk.line + len(lines))
        except ValueError:
            pass  # line by line, to say which
        found, places, wrong = list[dict[str, Any]](), list[int](), list[tuple[int, str]]()
        for place, raw in enumerate(lines, start=chunk.line):
            row = _object(raw)
            if isinstance(row, dict):
                found.append(row)
                places.append(place)
            elif raw.strip():
                wrong.append((place, row or "it is no JSON object"))
        self.bad.add(wrong)
        return found, np.array(places, dtype=np.int64)


def _object(raw: bytes) -> dict[str, Any] | str | None:
    try:
        row = json.loads(raw)
        return row if isinstance(row, dict) else None
    except UnicodeDecodeError as error:
        return not_utf8(raw[error.start])
    except ValueError as error:
        return f"it is no JSON object ({error})"


def _one_kind(source: Source, name: str, values: list[Any], places: np.ndarray, kinds: dict[str, Any]) -> pl.Series:
    """Values as a column; text and numbers together are refused, because 7 and "7" may be two. Raises DataError."""
    found = set(map(type, values)) - {type(None)}
    known: Any = pl.Null
    for kind in found:
        now = pl.String if issubclass(kind, str) else pl.Int64 if kind is int else pl.Float64 if kind is float else kind
        before = kinds.setdefault(name, pl.String if now == pl.String else "number")
        if now not in (pl.String, pl.Int64, pl.Float64) or (before == pl.String) != (now == pl.String):
            row = next(row for row, value in enumerate(values) if type(value) is kind)
            named: dict[Any, str] = {pl.String: "text", pl.Int64: "a number", pl.Float64: "a number"}
            what = named.get(now, kind.__name__)
            rest = "text" if before == pl.String else "numbers"
            end = (
                f"where other rows have {rest}"
                if now in (pl.String, pl.Int64, pl.Float64)
                else "expected text or a number"
            )
            raise DataError(
                f"{source.name}, {source.place} {places[row]}: '{name}' is {what} ({values[row]!r:.60}) {end}; "
                "write all of the column as one kind"
            )
        known = pl.Float64 if pl.Float64 in (known, now) else now
    return pl.Series(name, values, dtype=known, strict=False)


class Frame(Source):
    place = "row"
    text = False

    def __init__(self, frame: pl.DataFrame, name: str, reading: Reading) -> None:
        super().__init__(name, reading.on_bad_rows)
        self.frame, self.columns = frame, frame.columns

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for first in range(0, len(self.frame), ROWS):
            part = self.frame[first : first + ROWS].select(wanted)
            yield Batch(part, np.arange(first + 1, first + 1 + len(part)))


class PandasFrame(Source):
    place = "row"
    text = False

    def __init__(self, frame: Any, reading: Reading) -> None:
        super().__init__("the pandas frame", reading.on_bad_rows)
        self.frame, self.columns = frame, [str(name) for name in frame.columns]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        kinds: dict[str, Any] = {}
        for first in range(0, len(self.frame), ROWS):
            part = self.frame.iloc[first : first + ROWS]
            places = np.arange(first + 1, first + 1 + len(part))
            found = {name: self._column(part.iloc[:, self.columns.index(name)], name, places, kinds) for name in wanted}
            yield Batch(pl.DataFrame(found), places)

    def _column(self, column: Any, name: str, places: np.ndarray, kinds: dict[str, Any]) -> pl.Series:
        if column.dtype != object:
            return pl.Series(name, pl.from_pandas(column.reset_index(drop=True)))
        missing = column.isna().to_numpy()
        values = [None if gone else _plain(value) for value, gone in zip(column.tolist(), missing, strict=True)]
        if any(hasattr(value, "isoformat") for value in values):
            return pl.Series(name, values)
        return _one_kind(self, name, values, places, kinds)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class ParquetFile(Source):
    place = "row"
    text = False

    def __init__(self, path: Path, reading: Reading) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(str(path), reading.on_bad_rows)
        try:
            with opened(path) as file:
                # pyarrow seeks, which gzip can only do from the start; and lets mapped files go when they are read
                content = file.read() if path.suffix == ".gz" else None
            if content is None and path.stat().st_size == 0:
                raise DataError(f"{path} is empty; give a file with events")
            self.file = pq.ParquetFile(io.BytesIO(content) if content is not None else path)
        except (pa.ArrowException, EOFError, OSError) as error:
            raise DataError(
                f"{path} is no whole Parquet file: it was cut short or is another format ({_short(error)})"
            ) from error
        self.columns = self.file.schema_arrow.names

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        import pyarrow as pa

        first = 1
        try:
            for part in self.file.iter_batches(ROWS, columns=list(dict.fromkeys(wanted))):
                frame = pl.DataFrame(pl.from_arrow(part)).select(wanted)
                yield Batch(frame, np.arange(first, first + len(frame)))
                first += len(frame)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.name}, after row {first - 1}: the Parquet is damaged ({_short(error)})") from error


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
