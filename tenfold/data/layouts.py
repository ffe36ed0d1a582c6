"""Which layout a file has: told by its name and its first lines, and believed only where it can be no other."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tenfold.data import columns
from tenfold.data.containers import ENDINGS, CutShortError, opened, packed_in, pieces
from tenfold.data.options import ReadOptions
from tenfold.data.text_files import check_encoding
from tenfold.errors import DataError, OptionError, as_said

LOOKED_INTO = 1 << 16  # bytes by which a layout is told
LOOKED_AT = 100  # lines of them
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
SEPARATORS = {"csv": ",", "tsv": "\t", "recbole": "\t", "sasrec": " ", "lines": " ", "spaces": " ", "movielens": "::"}
TRIED = (",", "\t", ";", "|")  # where nothing says which separator it is
NAMED = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " ", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|"}
COMMENTS = ("#", "%")  # lines before the first row that begin so are no rows
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
VALUE = rf"\s*({NUMBER}|\d{{4}}-\d\d-\d\d.*)?\s*"  # a number, a date, or nothing
HINT = '"?sep=([,;|\t])"?'
KNOWN = frozenset(alias for names in columns.ALIASES.values() for alias in names)


class Told(NamedTuple):
    layout: str
    separator: str = ""  # where it is another than the layout's own


def told(path: Path, encoding: str = "utf-8") -> str:
    """The layout of a file by its name, or by what it begins with. Raises DataError."""
    return look(path, ReadOptions(encoding=encoding)).layout


def look(path: Path, reading: ReadOptions) -> Told:
    """Raises DataError where the layout cannot be told, OptionError for a separator that can be none."""
    separator = separator_of(reading.separator)
    if reading.format != "auto":
        return Told(reading.format, separator)
    start = beginning(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in ENDINGS]
    named = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if start.startswith(b"PAR1") or named == "parquet":
        return Told("parquet")
    if start.startswith(b"%%MatrixMarket"):
        raise DataError(f"{path} is a Matrix Market file; read it with scipy.io.mmread and hand over a DataFrame")
    if separator:
        return Told("spaces" if separator == " " else "csv", separator)
    if named in ("jsonl", "recbole"):
        return Told(named)
    check_encoding(path, start, reading.encoding)
    lines = first_lines(start, reading)
    first = lines[0] if lines else ""
    if hint := separator_line(start):
        return Told("csv", hint)
    if named:
        own = SEPARATORS[named]
        other = "" if not lines or own in first else _separator(lines)
        return Told(named, other) if other else Told(named)
    if first.lstrip().startswith(("{", "[")):
        return Told("jsonl")
    if "::" in first:
        return Told("movielens")
    if re.search(r"\w:(token|float)", first):
        return Told("recbole")
    rows = [line.split("\t") for line in lines]
    if rows and all(len(row) == 2 for row in rows):
        return Told("tsv") if is_header(rows[0], rows[1:]) else Told("sasrec", "\t")
    if any(len(line.split()) != 2 or "," in line for line in lines) or not lines:
        found = _separator(lines)
        if found:
            return Told({",": "csv", "\t": "tsv"}.get(found, "csv"), found)
    return _between_spaces(path, [line.split() for line in lines], reading)


def separator_of(text: str) -> str:
    """Raises OptionError."""
    separator = NAMED.get(text, text)
    if '"' in separator or "\n" in separator or "\r" in separator or len(separator) > 8:
        raise OptionError(
            f"{as_said('separator', text)} cannot stand between columns; give such as ';', '|', 'tab' or 'space'"
        )
    return separator


def separator_line(start: bytes) -> str:
    """The separator that a first line says for programs of tables, 'sep=;', which is no row; "" where none does."""
    found = re.match(rb"(?:\xef\xbb\xbf)?" + HINT.encode() + rb"\r?\n", start)
    return found[1].decode() if found else ""


def beginning(path: Path) -> bytes:
    """The first bytes of the content; of a packed file that is cut short, what can be had. Raises DataError."""
    with opened(path) as file:
        try:
            return next(pieces(path, file, LOOKED_INTO), b"")
        except CutShortError as error:
            raise DataError(f"{path} cannot be read as {packed_in(path)}: {error}") from error


def first_lines(start: bytes, reading: ReadOptions) -> list[str]:
    """Lines that are neither blank nor comments before the first row; of the last, that may be cut, nothing."""
    try:
        text = start.decode(reading.encoding, errors="replace").removeprefix("\ufeff")
    except LookupError:
        text = start.decode("utf-8", errors="replace")  # the reading proper says that there is no such encoding
    lines = re.split(r"\r\n|\n|\r", text)
    if len(start) >= LOOKED_INTO and len(lines) > 1:
        lines.pop()
    lines = [line for line in lines if line.strip()][: LOOKED_AT + 1]
    if lines and re.fullmatch(HINT, lines[0].strip()):
        lines = lines[1:]
    if reading.comment:
        return [line for line in lines if not line.lstrip().startswith(reading.comment)]
    return lines[comment_lines(lines) :]


def comment_lines(lines: Sequence[str]) -> int:
    """How many lines before the first row begin with # or %: none where all do, or where they are as rows are."""
    count = next((n for n, line in enumerate(lines) if not line.lstrip().startswith(COMMENTS)), 0)
    if count > 1:
        for separator in (*TRIED, "::"):
            widths = {len(fields_of(line, separator)) for line in lines[: count + 1]}
            if len(widths) == 1 and widths != {1}:
                return 0
    return count


def names_in_comment(line: str, width: int, separator: str) -> list[str]:
    """The names of the columns where a comment before the first row is a header: '# FromNodeId <tab> ToNodeId'."""
    names = [name.strip() for name in fields_of(line.lstrip().lstrip("#%").strip(), separator)]
    if len(names) != width or width < 2 or len(set(names)) < width or any(re.fullmatch(NUMBER, n) for n in names):
        return []
    return names if separator != " " or any(columns.plain(name) in KNOWN for name in names) else []


def header_in_comment(start: bytes, separator: str) -> list[str]:
    """The names of the columns where the last comment before the first row is a header."""
    text = start.decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()][: LOOKED_AT + 1]
    count = comment_lines(lines)
    return names_in_comment(lines[count - 1], len(fields_of(lines[count], separator)), separator) if count else []


def fields_of(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    if len(separator) > 1 or '"' not in line:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _separator(lines: Sequence[str]) -> str:
    """What separates the columns of most lines into as many as the first has; "" where nothing does."""
    for separator in TRIED:
        widths = [len(fields_of(line, separator)) for line in lines]
        if widths and widths[0] > 1 and 2 * widths.count(widths[0]) > len(widths):
            return separator
    return ""


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names columns: no value is among it, and columns are known by two of the names, or hold
    only numbers and dates below."""
    if any(not name.strip() or re.fullmatch(VALUE, name) for name in first):
        return False
    if sum(columns.plain(name) in KNOWN for name in first) >= 2:
        return True
    below = [row for row in rows if len(row) == len(first)]
    return bool(below) and any(all(re.fullmatch(VALUE, row[n]) for row in below) for n in range(len(first)))


def _between_spaces(path: Path, rows: list[list[str]], reading: ReadOptions) -> Told:
    """Raises DataError."""
    if not rows:
        return Told("sasrec")  # it is empty, which the reading says
    places = [place for place in columns.spelled_out(reading.columns).values() if place]
    if (places and all(place.isdigit() for place in places)) or is_header(rows[0], rows[1:]):
        return Told("spaces")
    widths = {len(row) for row in rows}
    if widths == {2}:
        return Told("sasrec")
    if widths == {1}:
        return Told("csv")  # one column has no separator that would tell
    items = [item for row in rows for item in row[1:]]
    whole = [item.removeprefix("-").isdigit() for item in items]
    alone = len({row[0] for row in rows}) == len(rows)  # each user once
    if len(widths) > 1 and alone and items and (all(whole) or not any(whole)):
        return Told("lines")
    shown = " ".join(next((row for row in rows if len(row) > 2), rows[0]))[:60]
    raise DataError(
        f"{path} has lines such as '{shown}', and nothing says what stands in them: name the columns by their place, "
        f"such as {as_said('columns', 'user=1,item=2,time=4')}, or say "
        f"{as_said('format', 'lines')} if each line is a user and all their items"
    )
