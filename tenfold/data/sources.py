"""Where a log comes from: which kind of file or frame it is, told by its name or by what it begins with."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from tenfold.data.batches import Source
from tenfold.data.options import ReadOptions
from tenfold.data.tables import Frame, PandasFrame, ParquetFile
from tenfold.data.text_files import CutShortError, opened, pieces
from tenfold.data.text_sources import LOOKED_AT, SEPARATORS, Delimited, JsonLines, OneLinePerUser
from tenfold.errors import DataError
from tenfold.options import parse

LOOKED_INTO = 1 << 16  # bytes by which a file without a telling name is told
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


def source_of(data: Any, reading: ReadOptions) -> Source:
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
    raise DataError(f"data is read from a path, a pandas or a polars DataFrame; found {type(data).__name__}")


def table_of(data: Any, holds: str, *, encoding: str, format: str, on_bad_rows: str, columns: str = "") -> Source:
    """The same for what is no event log; `holds` says what its rows are. Raises DataError, OptionError."""
    if isinstance(data, str | Path):
        # what cannot be decompressed is told by the reading proper
        with suppress(CutShortError), opened(Path(data)) as file:
            if not next(pieces(Path(data), file, LOOKED_INTO), b"").strip():
                raise DataError(f"{data} is empty; give a file with {holds}")
    values = {"columns": columns, "encoding": encoding, "format": format, "on_bad_rows": on_bad_rows}
    return source_of(data, parse(ReadOptions, values))


def told(path: Path, encoding: str = "utf-8") -> str:
    """The layout of a file by its name, or by what it begins with. Raises DataError."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".gzip")]
    with opened(path) as file:
        if suffixes and suffixes[-1] in SUFFIXES:
            return SUFFIXES[suffixes[-1]]
        try:
            start = next(pieces(path, file, LOOKED_INTO), b"")  # of a gzip that is cut short, what can be had
        except CutShortError as error:
            raise DataError(f"{path} cannot be read as gzip: {error}") from error
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
