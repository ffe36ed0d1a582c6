"""Tables of facts as they are published: each layout as rows of `table` and `text`.

WikiBio and the parallel files of SANA's authors are several files with one name, WebNLG is XML; WikiTableText, E2E and
the files of PARENT's script have a table a line. ToTTo's rows are JSON whose cells are chosen by place.
"""

import re
import xml.etree.ElementTree as ElementTree
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.data.batches import Batch, Source, nested
from tenfold.data.containers import CutShortError, opened, pieces
from tenfold.data.text_files import chunks, not_utf8
from tenfold.errors import DataError

TOTTO = "highlighted_cells"  # the column by which its rows are known
NONE = ("", "<none>")  # values that say nothing: WikiBio writes the second
E2E_CELL = re.compile(r"\s*([^\[\],]+?)\s*\[([^\]]*)\]\s*(?:,|$)")


class Published(Source):
    """A text file, one table a line."""

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(str(path), on_bad_rows)
        self.path, self.encoding = path, encoding
        self.columns = ["table", "text"]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for rows, places in self.rows():
            columns = [nested(self, name, [row[name] for row in rows], places) for name in wanted]
            yield Batch(pl.DataFrame(columns), places)

    @abstractmethod
    def parsed(self, line: str, number: int) -> dict[str, Any]:
        """A row; number: of the line, from 1. Raises ValueError."""

    def rows(self) -> Iterator[tuple[list[dict[str, Any]], np.ndarray]]:
        for first, lines in self.lines(self.path):
            rows, places, wrong = list[dict[str, Any]](), list[int](), list[tuple[int, str]]()
            for number, raw in enumerate(lines, start=first):
                try:
                    rows.append(self.parsed(raw.decode(), number))
                    places.append(number)
                except UnicodeDecodeError as error:
                    wrong.append((number, not_utf8(raw[error.start])))
                except ValueError as error:
                    wrong.append((number, str(error)))
            self.bad.add(wrong)
            yield rows, np.array(places, dtype=np.int64)

    def lines(self, path: Path) -> Iterator[tuple[int, list[bytes]]]:
        """Lines in UTF-8, many at a time, and the number of the first. Raises DataError."""
        for chunk in chunks(path, self.encoding, self.bad, quotes=False):
            yield chunk.line, chunk.data.split(b"\n")[:-1]


class WikiBio(Published):
    """`field_1:token <tab> field_2:token ...`; the texts stand in a file beside it, one a line, or several with .nb."""

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(path, encoding, on_bad_rows)
        self.texts: list[bytes] | None = None
        summary, sentences, counts = (self._beside(suffix) for suffix in (".summary", ".sent", ".nb"))
        if summary is not None:
            self.texts = self._all(summary)
        elif sentences is not None and counts is not None:
            every, numbers = self._all(sentences), np.array(self._all(counts)).astype(np.int64)
            if numbers.sum() != len(every):
                raise DataError(f"{counts} counts {numbers.sum():,} sentences, and {sentences} has {len(every):,}")
            self.texts = [every[end - n] if n else b"" for end, n in zip(numbers.cumsum(), numbers, strict=True)]
        if self.texts is not None and len(self.texts) != (tables := len(self._all(path))):
            raise DataError(
                f"{path} has {tables:,} tables, and {summary or counts} has {len(self.texts):,} texts; each needs one"
            )

    def _beside(self, suffix: str) -> Path | None:
        start = re.sub(r"\.box(\.gz)?$", "", self.path.name)
        names = (self.path.with_name(start + suffix + end) for end in ("", ".gz"))
        return next((name for name in names if name.is_file()), None)

    def _all(self, path: Path) -> list[bytes]:
        return [line for _, lines in self.lines(path) for line in lines]

    def parsed(self, line: str, number: int) -> dict[str, Any]:
        cells = list[tuple[str, list[str]]]()
        for item in filter(None, line.strip().split("\t")):
            key, colon, token = item.partition(":")
            key = re.sub(r"_\d+$", "", key)
            if not colon or not key:
                raise ValueError(f"{item[:60]!r} is no item of a WikiBio table, such as 'name_1:ada'")
            if token in NONE:
                continue
            if cells and cells[-1][0] == key:
                cells[-1][1].append(token)
            else:
                cells.append((key, [token]))
        text = None if self.texts is None else self.texts[number - 1].decode()
        return {"table": [(key, " ".join(tokens)) for key, tokens in cells], "text": text or None}


class WikiTableText(Published):
    """`count <tab> attributes <tab> values <tab> text`, `_||_` between cells and `_$$_` between words of one phrase.

    A column `phrases` has the phrases of the text: values that it says word for word, of two words or more.
    """

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(path, encoding, on_bad_rows)
        self.columns = ["table", "text", "phrases"]

    def parsed(self, line: str, number: int) -> dict[str, Any]:
        fields = line.split("\t")
        if len(fields) != 4:
            raise ValueError(f"{len(fields)} fields, expected 4: a count, attributes, values and the text")
        phrases = [token.replace("_$$_", " ") for token in fields[3].split(" ") if "_$$_" in token]
        attributes, values, text = (field.replace("_$$_", " ") for field in fields[1:])
        names, cells = attributes.split("_||_"), values.split("_||_")
        if len(names) != len(cells):
            raise ValueError(f"{len(names)} attributes and {len(cells)} values; each attribute needs one")
        return {"table": list(zip(names, cells, strict=True)), "text": text, "phrases": phrases}


class ParentFile(Published):
    """`key|||value <tab> key|||value`, or `head|||relation|||tail`, as the script of PARENT takes tables: no texts."""

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(path, encoding, on_bad_rows)
        self.columns = ["table"]

    def parsed(self, line: str, number: int) -> dict[str, Any]:
        cells = [tuple(part.strip() for part in item.split("|||")) for item in line.split("\t") if item.strip()]
        wrong = next((cell for cell in cells if len(cell) not in (2, 3)), None)
        if wrong is not None or not cells:
            found = "nothing" if wrong is None else f"{'|||'.join(wrong)!r:.60}"
            raise ValueError(f"{found} is no record of a table, such as 'name|||ada' or 'ada|||born in|||london'")
        return {"table": cells}


class E2E(Published):
    """`name[x], area[y]`, a table a line, and perhaps a tab and the text behind it."""

    def parsed(self, line: str, number: int) -> dict[str, Any]:
        table, _, text = line.partition("\t")
        return {"table": meaning_representation(table), "text": text.strip() or None}


class Parallel(Published):
    """The authors' `NAME.value`, with `NAME.field`, `NAME.lpos`, `NAME.rpos` and perhaps `NAME.tgt` beside it.

    One table a line, a word for each token of its values in each file; a record begins where lpos is 1.
    """

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(path, encoding, on_bad_rows)
        start = re.sub(r"\.value(\.gz)?$", "", path.name)
        self.columns, self.beside = ["table"], dict[str, list[bytes]]()
        for part in ("value", "field", "lpos", "rpos", "tgt"):
            names = (path.with_name(f"{start}.{part}{end}") for end in ("", ".gz"))
            found = next((name for name in names if name.is_file()), None)
            if found is None and part == "tgt":
                continue
            if found is None:
                raise DataError(f"{path} needs {start}.{part} beside it; put all of the authors' files into one folder")
            self.beside[part] = [line for _, lines in self.lines(found) for line in lines]
            if len(self.beside[part]) != len(self.beside["value"]):
                raise DataError(
                    f"{found} has {len(self.beside[part]):,} lines, and {path} {len(self.beside['value']):,}; each "
                    "table needs one"
                )
        if "tgt" in self.beside:
            self.columns.append("text")

    def parsed(self, line: str, number: int) -> dict[str, Any]:
        streams = [
            line.split(),
            *(self.beside[part][number - 1].decode().split() for part in ("field", "lpos", "rpos")),
        ]
        if len({len(stream) for stream in streams}) > 1:
            counts = ", ".join(str(len(each)) for each in streams)
            raise ValueError(f"{counts} words of value, field, lpos and rpos; expected as many of each")
        cells = list[tuple[str, list[str]]]()
        for token, key, place in zip(*streams[:3], strict=True):
            if place == "1" or not cells:
                cells.append((key, []))
            cells[-1][1].append(token)
        row: dict[str, Any] = {"table": [(key, " ".join(tokens)) for key, tokens in cells]}
        if "tgt" in self.beside:
            row["text"] = self.beside["tgt"][number - 1].decode() or None
        return row


class WebNlg(Source):
    """WebNLG's XML, a file or a folder of them: the modified triples of each entry, and its texts."""

    place = "entry"
    AT_ONCE = 1_024

    def __init__(self, path: Path, encoding: str, on_bad_rows: str) -> None:
        super().__init__(str(path), on_bad_rows)
        self.path, self.columns = path, ["table", "text", "id", "category"]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for rows, places in self.rows():
            columns = [nested(self, name, [row[name] for row in rows], places) for name in wanted]
            yield Batch(pl.DataFrame(columns), places)

    def rows(self) -> Iterator[tuple[list[dict[str, Any]], np.ndarray]]:
        rows, places, wrong = list[dict[str, Any]](), list[int](), list[tuple[int, str]]()
        for number, entry in enumerate(self._entries(), start=1):
            try:
                rows.append(self._row(entry))
                places.append(number)
            except ValueError as error:
                wrong.append((number, str(error)))
            if len(rows) >= self.AT_ONCE:
                yield rows, np.array(places, dtype=np.int64)
                rows, places = [], []
        self.bad.add(wrong)
        yield rows, np.array(places, dtype=np.int64)

    def _entries(self) -> Iterator[ElementTree.Element]:
        """Raises DataError."""
        files = sorted(self.path.rglob("*.xml")) if self.path.is_dir() else [self.path]
        for path in files:
            try:
                with opened(path) as file:
                    for _, element in ElementTree.iterparse(file):
                        if element.tag == "entry":
                            yield element
                            element.clear()
            except ElementTree.ParseError as error:
                raise DataError(f"{path} is no XML as WebNLG has it: {error}") from None

    @staticmethod
    def _row(entry: ElementTree.Element) -> dict[str, Any]:
        """Raises ValueError."""
        triples = [[part.strip() for part in (each.text or "").split("|")] for each in entry.iter("mtriple")]
        wrong = next((triple for triple in triples if len(triple) != 3), None)
        if wrong is not None or not triples:
            raise ValueError(
                f"{' | '.join(wrong or []) or 'nothing'!r:.60} is no triple, such as 'Ada | bornIn | London'"
            )
        told = [text for each in entry.iter("lex") if (text := (each.text or "").strip())]
        number = "/".join(str(entry.get(name)) for name in ("category", "size", "eid") if entry.get(name))
        return {"table": triples, "text": told, "id": number, "category": entry.get("category")}


PUBLISHED: dict[str, type[Source]] = {
    "wikibio": WikiBio,
    "wikitabletext": WikiTableText,
    "webnlg": WebNlg,
    "e2e": E2E,
    "parent": ParentFile,
    "parallel": Parallel,
}
ENDINGS = {r"\.box(\.gz)?$": "wikibio", r"\.xml(\.gz)?$": "webnlg", r"\.value(\.gz)?$": "parallel"}


def published_as(path: Path, format: str) -> type[Any] | None:
    """The layout of this name, or by the file's name and first line where format is auto; none: a file of rows."""
    if format != "auto":
        return PUBLISHED.get(format)
    for ending, name in ENDINGS.items():
        if re.search(ending, path.name):
            return PUBLISHED[name]
    if path.is_dir():
        return WebNlg if next(path.rglob("*.xml"), None) is not None else None
    if not path.is_file():
        return None  # whoever reads it says so
    with suppress(CutShortError), opened(path) as file:
        first = next(pieces(path, file, 1 << 16), b"").partition(b"\n")[0]
        if b"_||_" in first:
            return WikiTableText
        if b"|||" in first and not first.lstrip().startswith((b"{", b"[")):
            return ParentFile
        if re.match(rb"\s*[\w ]+\[[^\]]*\]\s*(,|\t|$)", first):
            return E2E
    return None


def meaning_representation(text: str) -> list[tuple[str, str]]:
    """E2E's 'name[Blue Spice], area[riverside]' as cells. Raises ValueError."""
    cells, end = list[tuple[str, str]](), 0
    for match in E2E_CELL.finditer(text):
        if match.start() != end:
            break
        cells.append((match.group(1), match.group(2)))
        end = match.end()
    if not cells or end != len(text):
        raise ValueError(f"the table is {text[:60]!r}, expected cells such as 'name[Blue Spice], area[riverside]'")
    return cells


def totto_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ToTTo as a table: its titles, and highlighted cells under their columns' headers. Raises ValueError."""
    grid, chosen = row.get("table"), row.get(TOTTO)
    if not isinstance(grid, list) or not isinstance(chosen, list):
        raise ValueError(
            "a row of ToTTo has 'table', a list of rows of cells, and 'highlighted_cells', a list of places"
        )
    cells = [(name, str(row[field])) for name, field in TOTTO_TITLES if row.get(field)]
    for place in chosen:
        try:
            across, down = place
            value = str(grid[across][down]["value"])
        except (TypeError, ValueError, IndexError, KeyError):
            raise ValueError(f"the highlighted cell {place!r:.30} is no place of the table, such as [2, 0]") from None
        cells.append((_header(grid, across, down), value))
    texts = [each.get("final_sentence") for each in row.get("sentence_annotations") or []]
    others = {name: value for name, value in row.items() if name in ("example_id", "id", "split")}
    return {"table": cells, "text": [text for text in texts if text], "id": row.get("example_id"), **others}


TOTTO_TITLES = (("page title", "table_page_title"), ("section title", "table_section_title"))


def _header(grid: Sequence[Any], across: int, down: int) -> str:
    """The nearest header above the cell that stands over its column, else the row's own header."""

    def begins(row: Sequence[Any], number: int) -> int:
        return sum(int(cell.get("column_span", 1)) for cell in row[:number])

    column = begins(grid[across], down)
    for row in reversed(grid[:across]):
        for number, cell in enumerate(row):
            first = begins(row, number)
            if (
                first <= column < first + int(cell.get("column_span", 1))
                and cell.get("is_header")
                and cell.get("value")
            ):
                return str(cell["value"])
    own = [str(cell["value"]) for cell in grid[across][:down] if cell.get("is_header") and cell.get("value")]
    return own[0] if own else "cell"
