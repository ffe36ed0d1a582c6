"""Logs in text: delimited columns, a line for each user, JSON lines."""

import ast
import codecs
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.data import columns
from tenfold.data.batches import BadRows, Batch, Source, nested, of_one_kind
from tenfold.data.containers import CutShortError, opened, pieces
from tenfold.data.layouts import (
    COMMENTS,
    LOOKED_AT,
    LOOKED_INTO,
    SEPARATORS,
    beginning,
    comment_lines,
    is_header,
    names_in_comment,
    separator_line,
)
from tenfold.data.options import ReadOptions
from tenfold.data.text_files import CHUNK, Chunk, Layout, chunks, not_utf8, rows_of, table
from tenfold.errors import DataError, as_said

OTHERS = {"\t": "tabs", ";": "';'", ",": "','", "|": "'|'", "::": "'::'", " ": "spaces"}
MOVIELENS = {3: ["item", "title", "genres"], 4: ["user", "item", "rating", "time"]}


class Delimited(Source):
    """CSV, TSV, RecBole's atomic files, MovieLens' `::` files, `user item` lines and columns between spaces."""

    def __init__(self, path: Path, reading: ReadOptions, layout: str, size: int = CHUNK, separator: str = "") -> None:
        super().__init__(str(path), reading.on_bad_rows)
        self.path, self.encoding, self.layout_name, self.size = path, reading.encoding, layout, size
        self.separator = separator or SEPARATORS[layout]
        self.quotes = layout in ("csv", "tsv") and reading.quote != "none" and self.separator != " "
        self.alone = self.separator == "\t" and reading.quote == "auto"
        self.comment, self.skip, names = reading.comment, 0, list[str]()
        comments = [] if reading.comment else self._comments()
        # Until a header is seen, a wrong line is not counted: the reading proper will come to it again.
        self.skip = len(comments) + bool(separator and separator_line(beginning(path)))
        first, *rest = self._first_rows()
        self.header = layout in ("csv", "tsv", "recbole", "spaces")
        if comments:
            names = names_in_comment(comments[-1], len(first), self.separator)
            self._tell_comments(comments, names)
        if layout in ("sasrec", "movielens"):
            usual = {2: ["user", "item"]} if layout == "sasrec" else MOVIELENS
            self.columns = usual.get(len(first), [f"column {number}" for number in range(1, len(first) + 1)])
            if layout == "sasrec" and len(first) != 2:
                self.columns = ["user", "item"]
            chosen = [name for name in columns.spelled_out(reading.columns).values() if name]
            if chosen and not set(chosen) <= set(self.columns) and _are_places(chosen, first):
                self.columns = [str(number) for number in range(1, len(first) + 1)]
            elif chosen and set(chosen) <= set(names):
                self.columns = names
            self._look_for_header(first, rest)
        elif names:
            self.columns, self.header = names, False
        else:
            self.columns = self._header(
                first, rest, {role: name for role, name in columns.spelled_out(reading.columns).items() if name}
            )

    def _comments(self) -> list[str]:
        """The lines before the first row that are comments."""
        with opened(self.path) as file:
            try:
                start = next(pieces(self.path, file, LOOKED_INTO), b"")
            except CutShortError:
                start = b""
        if not start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(tuple(mark.encode() for mark in COMMENTS)):
            return []
        lines = [line for line in re.split(r"\r\n|\n|\r", start.decode("utf-8-sig", errors="replace")) if line.strip()]
        return lines[: comment_lines(lines[: LOOKED_AT + 1])]

    def _tell_comments(self, comments: list[str], names: list[str]) -> None:
        count, end = len(comments), ""
        if names:
            end = f", and the last names the columns: {', '.join(names)}"[:200]
        first = comments[0].strip()[0]
        told = f"the line before the first row of {self.name} begins with '{first}': it is a comment"
        if count > 1:
            told = f"{count} lines before the first row of {self.name} begin with '{first}': they are comments"
        self.remarks.append(told + end)

    def _chunks(self) -> Iterator[Chunk]:
        return chunks(
            self.path, self.encoding, self.bad,
            quotes=self.quotes, size=self.size, comment=self.comment, skip=self.skip,
        )  # fmt: skip

    def _first_rows(self) -> list[list[str]]:
        """The fields of the first lines that hold any; of those after the first only what can be read."""
        bad, found = BadRows(self.name, "line", refuse=True), list[list[str]]()
        every = chunks(
            self.path, self.encoding, bad, quotes=self.quotes, size=1 << 16, comment=self.comment, skip=self.skip
        )
        for chunk in every:
            for place, row in rows_of(chunk, Layout(self.separator, self.quotes, 0, self.alone)):
                if isinstance(row, list):
                    found.append(row)
                elif not found:
                    raise DataError(f"{self.name}, line {place}: {row}")
                if len(found) > LOOKED_AT:
                    return found
            if found:
                return found
        raise DataError(f"{self.name} is empty; give a file with events")

    def _look_for_header(self, first: list[str], rest: list[list[str]]) -> None:
        """Of a layout that has none: a first line that names columns is left out, and that is said."""
        self.header = is_header(first, rest)
        if self.header:
            shown = self.separator.join(first)[:80]
            self.remarks.append(f"the first line of {self.name}, '{shown}', is taken for a header and not for a row")

    def _header(self, first: list[str], rest: list[list[str]], chosen: dict[str, str]) -> list[str]:
        names = [field.strip() for field in first]
        if self.layout_name == "recbole":
            names = [name.partition(":")[0] for name in names]
        if len(names) == 1:
            self._refuse_separator(names[0])
        if chosen and _are_places(list(chosen.values()), names):
            self._look_for_header(names, rest)
            return [str(number) for number in range(1, len(names) + 1)]
        named = bool(chosen) and set(chosen.values()) <= set(names)
        if not named and all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
            raise DataError(
                f"{self.name} has no header, its first line is '{self.separator.join(names)[:80]}'; name the columns "
                f"by their place, such as {as_said('columns', 'user=1,item=2,time=4')}, or write a header"
            )
        if rest and all(len(row) > len(names) and not any(map(str.strip, row[len(names) :])) for row in rest):
            names += [""] * (min(map(len, rest)) - len(names))  # the rows end with separators, the header does not
        names = [name or f"column {number}" for number, name in enumerate(names, start=1)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{self.name} has two columns of the name '{twice}'; rename one")
        return names

    def _refuse_separator(self, name: str) -> None:
        for other, words in OTHERS.items():
            if other != self.separator and len(name.split(other)) > 1:
                layout = next((key for key, value in SEPARATORS.items() if value == other and key != "lines"), None)
                todo = f"say {as_said('format', layout)}" if layout else f"say {as_said('separator', other)}"
                todo = f"say {as_said('separator', 'space')}" if other == " " else todo
                raise DataError(
                    f"{self.name} has one column '{name[:80]}': it is separated by {words}, and as {self.layout_name} "
                    f"it should be by {OTHERS.get(self.separator, repr(self.separator))}; {todo}"
                )

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        numbers = [self.columns.index(name) for name in wanted]
        layout = Layout(self.separator, self.quotes, len(self.columns), self.alone)
        header, spaced = self.header, [self.separator.encode() + b" ", b" " + self.separator.encode(), b"\n ", b" \n"]
        for chunk in self._chunks():
            rest = _without_first(chunk, layout) if header else chunk
            header = rest is None  # nothing but blank lines so far
            if rest is None or not rest.data:
                continue
            lines = table(rest, layout, sorted(set(numbers)), self.bad)
            frame = lines.frame.select(pl.col(str(n)).alias(w) for n, w in zip(numbers, wanted, strict=True))
            if b" " in rest.data and any(space in rest.data for space in spaced):
                stripped = frame.select(pl.all().str.strip_chars())  # ' 10' is 10, whatever stands round it
                frame = stripped.select(pl.when(pl.all() != "").then(pl.all()))
            yield Batch(frame, lines.places)


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
        self.path, self.encoding, self.size, self.comment = path, reading.encoding, size, reading.comment
        self.columns = ["user", "item"]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for chunk in chunks(self.path, self.encoding, self.bad, quotes=False, size=self.size, comment=self.comment):
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
            halves = b"\\ud" in chunk.data or b"\\uD" in chunk.data  # half a character may be written so
            if not halves and len(rows) == len(lines) and set(map(type, rows)) <= {dict}:
                return rows, np.arange(chunk.line, chunk.line + len(lines))
        except (ValueError, RecursionError):
            pass  # line by line, to say which
        found, places, wrong = list[dict[str, Any]](), list[int](), list[tuple[int, str]]()
        for place, raw in enumerate(lines, start=chunk.line):
            row = _object(raw)
            if isinstance(row, dict):
                if b"\\u" in raw and not _whole_text(row):
                    wrong.append(
                        (place, "it holds half of a character that takes two (a lone surrogate such as \\ud83d)")
                    )
                    continue
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
    except RecursionError:
        return "its brackets are too deep"
    except ValueError as error:
        row = _literal(raw)
        return f"it is no JSON object ({error})" if row is None else row


def _literal(raw: bytes) -> dict[str, Any] | None:
    """The object of a line as Python writes it, {u'user': 'a', 'good': True}: some public sets have such lines."""
    if not raw.strip().startswith(b"{") or len(raw) > 1 << 20:
        return None
    try:
        row = ast.literal_eval(raw.decode().strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return row if isinstance(row, dict) and all(isinstance(name, str) for name in row) else None


def _whole_text(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
        return True
    except UnicodeEncodeError:
        return False
