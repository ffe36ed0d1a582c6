"""Text files as tables, some megabytes at a time: bytes, whole lines, columns of text.

Nearly every stretch of a file is as it should be and goes to polars whole. A stretch in which anything is odd (fields
too many or too few, quotes, blank lines, bytes that are not in the encoding) is read again by `careful`, line by line,
which says what is wrong and where. The two agree wherever both can read; the tests hold them to it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit

from tenfold.data.batches import BadRows
from tenfold.data.containers import CutShortError, opened, packed_in, pieces
from tenfold.errors import DataError, as_said, nearest

CHUNK = 1 << 24  # bytes read at once
QUOTED = 100  # lines that one quoted field may hold, and newlines tried for the end of a chunk
BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "iso-8859-15", "ascii", "shift-jis", "gb18030", "big5", "koi8-r")


class Layout(NamedTuple):
    """How fields are told apart. A separator of more than one character never stands inside a quoted field."""

    separator: str  # " " means any white space
    quotes: bool
    width: int
    alone: bool = False  # a line that has all fields without quotes is a row: none of its quotes goes on in the next


class Chunk(NamedTuple):
    """Whole lines in UTF-8, each ended by a newline."""

    data: bytes
    line: int  # the number of the first


class Lines(NamedTuple):
    """Fields as text, and the line on which each row begins."""

    frame: pl.DataFrame
    places: np.ndarray


# Bytes to whole lines ------------------------------------------------------------------------------------------------


def chunks(
    path: Path, encoding: str, bad: BadRows, *, quotes: bool, size: int = CHUNK, comment: str = "", skip: int = 0
) -> Iterator[Chunk]:
    """comment: lines that begin so are taken as blank; skip: so many lines at the beginning that are not. Raises
    DataError."""
    rest, line, first, alone = b"", 1, True, False
    try:
        for data in _decoded(path, encoding, size):
            if first:
                data, first = data.removeprefix(codecs.BOM_UTF8), False
                alone = b"\r" in data and b"\n" not in data  # lines end with CR, as old programs write them
            rest += data.replace(b"\r", b"\n") if alone else data
            if b"\r" in data and not alone:
                rest = re.sub(rb"\r+\n", b"\n", rest)
            end = _end(rest, quotes)
            while skip and (begin := rest.find(b"\n", 0, end) + 1):
                skip -= bool(rest[:begin].strip())
                rest, line, end = rest[begin:], line + 1, end - begin
            if end > 0:
                yield _chunk(rest[:end], line, comment)
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
    except CutShortError as error:
        last = line + rest.count(b"\n")
        bad.add([(last, f"from here on the {packed_in(path)} cannot be read, {error}")])
        rest = rest[: rest.rfind(b"\n") + 1]  # half a line is not a row
    except UnicodeError as error:
        last, why = line + rest.count(b"\n"), str(error)
        if isinstance(error, UnicodeDecodeError):
            last, why = last + error.object[: error.start].count(b"\n"), error.reason
        raise DataError(
            f"{path}, line {last}: the bytes are not {encoding} ({why}); "
            f"say what the file is written in with {as_said('encoding', 'NAME')}, such as utf-8 or latin-1"
        ) from error
    if rest and not skip:
        yield _chunk(rest.removesuffix(b"\r").removesuffix(b"\n") + b"\n", line, comment)


def _chunk(data: bytes, line: int, comment: str) -> Chunk:
    if comment and comment.encode() in data:
        data = re.sub(rb"(?m)^[ \t]*" + re.escape(comment.encode()) + rb".*$", b"", data)
    return Chunk(data, line)


def _end(data: bytes, quotes: bool) -> int:
    """Behind the last newline that is not inside quotes; 0 for none."""
    last = data.rfind(b"\n")
    if quotes and b'"' in data:
        end = last
        for _ in range(QUOTED):
            if end < 0 or data.count(b'"', 0, end) % 2 == 0:
                return end + 1
            end = data.rfind(b"\n", 0, end)
    return last + 1  # also when a quote is never closed: `careful` will name its line


def _decoded(path: Path, encoding: str, size: int) -> Iterator[bytes]:
    """UTF-8. Bytes that are not, in a file that should be, are passed on: they make one line bad, not the file."""
    name = _known(encoding)
    decoder = codecs.getincrementaldecoder(name)()
    with opened(path) as file:
        start = True
        for data in pieces(path, file, size):
            if start:
                check_encoding(path, data, name)
                start = False
            yield data if name in ("utf-8", "ascii") else decoder.decode(data).encode()
        if name not in ("utf-8", "ascii"):
            yield decoder.decode(b"", final=True).encode()


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(name)().decode(b"")
        return name
    except (LookupError, TypeError):
        raise DataError(f"there is no encoding '{encoding}'; {nearest(encoding, ENCODINGS)}") from None


def check_encoding(path: Path, data: bytes, encoding: str) -> None:
    """Raises DataError where the beginning of a file is in UTF-16 or UTF-32 and that was not said."""
    name = _known(encoding)
    if not name.startswith(("utf-16", "utf-32")):
        found = next((other for bom, other in BOMS.items() if data.startswith(bom)), None)
        start = data[:1024]
        if found is None and start.count(0) * 4 > len(start):
            found = "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"
        if found:
            raise DataError(f"{path} is written in {found}, not in {name}; say {as_said('encoding', found)}")


# Lines to fields -----------------------------------------------------------------------------------------------------


def table(chunk: Chunk, layout: Layout, wanted: list[int], bad: BadRows) -> Lines:
    """The fields of the columns wanted, by number; empty ones are null. Raises DataError."""
    return quick(chunk, layout, wanted) or careful(chunk, layout, wanted, bad)


def quick(chunk: Chunk, layout: Layout, wanted: list[int]) -> Lines | None:
    """None when anything in the chunk is not plain."""
    data, separator = chunk.data, layout.separator
    quoted = layout.quotes and b'"' in data
    if quoted and (layout.alone or b'" ' in data or b' "' in data) and re.search(_opening(separator), data):
        return None  # a quote that may go on, or one with spaces round it: which polars would read otherwise
    quoted = quoted and not layout.alone
    if len(separator.encode()) > 1:
        if b"\x1f" in data:
            return None
        data, separator = data.replace(separator.encode(), b"\x1f"), "\x1f"
    lines = _rows(np.frombuffer(data, np.uint8), ord(separator), -1 if quoted else layout.width - 1)
    if lines < 0:
        return None
    names = [f"column_{number}" for number in range(1, layout.width + 1)]
    # the last column is read as well where there are quotes: it is empty where a row is short
    read = sorted({*wanted, layout.width - 1}) if quoted else sorted(wanted)
    try:
        frame = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            separator=separator,
            quote_char='"' if layout.quotes and not layout.alone else None,
            schema=dict.fromkeys(names, pl.String),
            columns=[names[number] for number in read],
        )
    except pl.exceptions.PolarsError:
        return None
    if len(frame) != lines or (quoted and (frame[names[-1]].null_count() or layout.width < 2)):
        return None
    frame = frame.select(pl.col(names[number]).alias(str(number)) for number in wanted)
    if quoted:  # an empty field is null, with quotes round it or without
        frame = frame.select(pl.when(pl.all() != "").then(pl.all()))
    return Lines(frame, np.arange(chunk.line, chunk.line + lines))


def _opening(separator: str) -> bytes:
    """A quote at the beginning of a field, or one with a space beside it."""
    return rb"(?m)(^|" + re.escape(separator.encode()) + rb')[ ]*"'


@njit(cache=True, nogil=True)
def _rows(data, separator, between):  # type: ignore[no-untyped-def]
    """How many lines there are; -1 when one is blank, holds a NUL or has not `between` separators (-1: as it likes)."""
    lines, found, length = 0, 0, 0
    for byte in data:
        if byte == 10:
            if length == 0 or (between >= 0 and found != between):
                return -1
            lines += 1
            found = length = 0
        elif byte == 0:
            return -1
        else:
            length += 1
            found += byte == separator
    return lines


def careful(chunk: Chunk, layout: Layout, wanted: list[int], bad: BadRows) -> Lines:
    """The same line by line; what is wrong is handed to `bad`. Raises DataError."""
    fields: list[list[str | None]] = [[] for _ in wanted]
    places, wrong = list[int](), list[tuple[int, str]]()
    for place, row in rows_of(chunk, layout, bad.doubts):
        if isinstance(row, str):
            wrong.append((place, row))
            continue
        while len(row) > layout.width and not row[-1].strip():
            row.pop()  # separators at the end of the line
        if len(row) != layout.width:
            wrong.append((place, f"{_count(len(row), 'field')} where the other rows have {layout.width}"))
        else:
            places.append(place)
            for column, number in zip(fields, wanted, strict=True):
                column.append(row[number] or None)
    bad.add(wrong)
    frame = pl.DataFrame(
        {str(number): column for number, column in zip(wanted, fields, strict=True)},
        schema={str(number): pl.String for number in wanted},
    )
    return Lines(frame, np.array(places, dtype=np.int64))


def rows_of(chunk: Chunk, layout: Layout, doubts: list[int] | None = None) -> Iterator[tuple[int, list[str] | str]]:
    """The line on which a row begins, and its fields or what is wrong with it. Blank lines are no rows. To `doubts`
    the line is added of each row that holds, between quotes, lines that would be whole rows by themselves."""
    lines = chunk.data.split(b"\n")[:-1]
    number = 0
    while number < len(lines):
        place, raw = chunk.line + number, lines[number]
        number += 1
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            yield (
                place,
                not_utf8(raw[error.start]),
            )
            continue
        if not text.strip():
            continue
        if "\0" in text:
            yield place, "a NUL byte stands in it"
        elif layout.separator == " ":
            yield place, text.split()
        elif layout.quotes and '"' in text:
            taken, row = _quoted(lines[number - 1 : number - 1 + QUOTED], layout)
            if doubts is not None and taken > 1 and _like_rows(lines[number : number - 1 + taken], layout):
                doubts.append(place)
            number += taken - 1
            yield place, row
        else:
            yield place, text.split(layout.separator)


def not_utf8(byte: int) -> str:
    todo = f"if the file is in another encoding, say so, as {as_said('encoding', 'latin-1')}"
    return f"byte 0x{byte:02x} is not UTF-8; {todo}"


def _quoted(lines: list[bytes], layout: Layout) -> tuple[int, list[str] | str]:
    """How many lines the row takes that begins with the first, and its fields or what is wrong with it."""
    text, why = "", ""
    for taken, line in enumerate(lines, start=1):
        text += line.decode(errors="replace") + "\n"
        try:
            row = _fields(text[:-1], layout.separator)
        except csv.Error as error:
            why = str(error)
            row = []
        plain = text[:-1].split(layout.separator) if layout.alone and taken == 1 else []
        if plain and len(row) != layout.width and (not layout.width or len(plain) == layout.width):
            return 1, row or plain
        if row:
            return taken, row
        if "unexpected end" not in why:
            break
    end = f"if quotes are no quotes in this file, say {as_said('quote', 'none')}"
    if "unexpected end" in why:
        return 1, f"a quote is opened and never closed; {end}"
    return 1, f"its quotes do not fit: {why}; {end}"


def _fields(text: str, separator: str) -> list[str]:
    """Raises csv.Error."""
    if len(separator) > 1:  # which never stands between quotes
        reader = csv.reader(io.StringIO(text.replace(separator, "\x1f"), newline=""), delimiter="\x1f", strict=True)
        return next(reader)
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True))


def _like_rows(lines: list[bytes], layout: Layout) -> bool:
    return any(line.count(layout.separator.encode()) >= layout.width - 1 > 0 for line in lines)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
