"""Logs in text: delimited columns, a line for each user, JSON lines."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.data import columns
from tenfold.data.batches import BadRows, Batch, Source, nested, of_one_kind
from tenfold.data.options import ReadOptions
from tenfold.data.text_files import CHUNK, Chunk, Layout, chunks, not_utf8, rows_of, table
from tenfold.errors import DataError

SEPARATORS = {"csv": ",", "tsv": "\t", "recbole": "\t", "sasrec": " ", "lines": " ", "spaces": " ", "movielens": "::"}
OTHERS = {"\t": "tabs", ";": "';'", ",": "','", "|": "'|'", "::": "'::'", " ": "spaces"}
MOVIELENS = {3: ["item", "title", "genres"], 4: ["user", "item", "rating", "time"]}
LOOKED_AT = 100  # lines from which a layout without a header is told


class Delimited(Source):
    """CSV, TSV, RecBole's atomic files, MovieLens' `::` files and `user item` lines."""

    def __init__(self, path: Path, reading: ReadOptions, layout: str, size: int = CHUNK) -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.layout_name, self.size = path, reading.encoding, layout, size
        self.separator, self.quotes = SEPARATORS[layout], layout in ("csv", "tsv")
        # Until a header is seen, a wrong line is not counted: the reading proper will come to it again.
        first = self._first_rows()
        self.header = layout in ("csv", "tsv", "recbole", "spaces")
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
        if chosen and _are_places(list(chosen.values()), names):
            self.header = False
            return [str(number) for number in range(1, len(names) + 1)]
        named = bool(chosen) and set(chosen.values()) <= set(names)
        if not named and all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
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


def _are_places(chosen: Sequence[str], first: Sequence[str]) -> bool:
    """Whether columns chosen by numbers are meant by their place, from 1 on, and the file has no header.

    Numbers are names where the first line is what a data frame without names writes above its rows, 0, 1, 2, ..., or
    where they are in the first line and cannot all be places.
    """
    if not all(name.isdigit() for name in chosen):
        return False
    if not set(chosen) <= set(first):
        return True
    numbered = list(first) == [str(number) for number in range(len(first))]
    return not numbered and all(1 <= int(name) <= len(first) for name in chosen)


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

    def __init__(self, path: Path, reading: ReadOptions, layout: str = "lines", size: int = CHUNK) -> None:
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

    def __init__(self, path: Path, reading: ReadOptions, size: int = CHUNK) -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.size = path, reading.encoding, size
        self.columns = self._names()

    def _names(self) -> list[str]:
        """Of the first rows together: a key may be absent from some."""
        names: dict[str, None] = {}
        bad = BadRows(self.name, "line", refuse=True)
        for chunk in chunks(self.path, self.encoding, bad, quotes=False, size=1 << 16):
            lines = [(n, raw) for n, raw in enumerate(chunk.data.split(b"\n"), chunk.line) if raw.strip()][:LOOKED_AT]
            for _, raw in lines:
                row = _object(raw)
                names |= dict.fromkeys(row) if isinstance(row, dict) else {}
                if not names and raw.strip().startswith(b"["):
                    raise DataError(f"{self.name} is one JSON array; write one object a line, as JSON Lines")
            if lines and not names:
                raise DataError(f"{self.name}, line {lines[0][0]}: {_no_object(lines[0][1])}")
            if names:
                return list(names)
        raise DataError(f"{self.name} is empty; give a file with events")

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        kinds: dict[str, Any] = {}
        for rows, places in self.rows():
            values = {name: [row.get(name) for row in rows] for name in wanted}
            frame = pl.DataFrame({name: of_one_kind(self, name, values[name], places, kinds) for name in wanted})
            yield Batch(frame, places)

    def whole(self) -> tuple[pl.DataFrame, np.ndarray]:
        parts = list(self.rows())
        rows = [row for part, _ in parts for row in part]
        places = np.concatenate([lines for _, lines in parts])
        names = dict.fromkeys(name for row in rows for name in row)  # some may come late
        return pl.DataFrame([nested(self, name, [row.get(name) for row in rows], places) for name in names]), places

    def rows(self) -> Iterator[tuple[list[dict[str, Any]], np.ndarray]]:
        for chunk in chunks(self.path, self.encoding, self.bad, quotes=False, size=self.size):
            yield self._rows(chunk)

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


def _no_object(raw: bytes) -> str:
    try:
        found = raw.decode()
    except UnicodeDecodeError as error:
        return not_utf8(raw[error.start])
    return f'expected a JSON object a line, such as {{"user": 1, "item": 2}}, found {found[:60]!r}'


def _object(raw: bytes) -> dict[str, Any] | str | None:
    try:
        row = json.loads(raw)
        return row if isinstance(row, dict) else None
    except UnicodeDecodeError as error:
        return not_utf8(raw[error.start])
    except ValueError as error:
        return f"it is no JSON object ({error})"
