"""Where a log comes from: which kind of file or frame it is, told by its name or by what it begins with."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from tenfold.data.batches import Source
from tenfold.data.containers import CutShortError, opened, pieces
from tenfold.data.layouts import LOOKED_INTO, look, told
from tenfold.data.options import ReadOptions
from tenfold.data.tables import Frame, PandasFrame, ParquetFile
from tenfold.data.text_sources import Delimited, JsonLines, OneLinePerUser
from tenfold.errors import DataError
from tenfold.options import parse

__all__ = ["source_of", "table_of", "told"]


def source_of(data: Any, reading: ReadOptions) -> Source:
    """Raises DataError."""
    if isinstance(data, str | Path):
        path = Path(data)
        layout, separator = look(path, reading)
        if layout == "parquet":
            return ParquetFile(path, reading)
        if layout == "jsonl":
            return JsonLines(path, reading)
        if layout == "lines":
            return OneLinePerUser(path, reading, layout)
        return Delimited(path, reading, layout, separator=separator)
    if type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        return PandasFrame(data, reading)
    return Frame(*_frame(data), reading)


def _frame(data: Any) -> tuple[pl.DataFrame, str]:
    """Tables of any library that are frames already, and what they are called. Raises DataError."""
    kind = type(data).__module__.partition(".")[0]
    try:
        if isinstance(data, pl.DataFrame):
            return data, "the polars frame"
        if isinstance(data, pl.LazyFrame):
            return data.collect(), "the polars LazyFrame"
        if kind == "pyarrow" and hasattr(data, "schema") and hasattr(data, "num_columns"):
            return pl.DataFrame(pl.from_arrow(data)), "the Arrow table"
        if isinstance(data, Mapping):
            return pl.DataFrame(dict(data), strict=True), "the dict of columns"
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"the {type(data).__name__} is no table: {str(error).splitlines()[0][:200]}") from error
    raise DataError(
        "data is read from a path, a pandas or polars frame, an Arrow table or a dict of columns; found "
        f"{type(data).__name__}"
    )


def table_of(
    data: Any,
    holds: str,
    *,
    encoding: str,
    format: str,
    on_bad_rows: str,
    columns: str = "",
    separator: str = "",
    quote: str = "auto",
) -> Source:
    """The same for what is no event log; `holds` says what its rows are. Raises DataError, OptionError."""
    if isinstance(data, str | Path):
        # what cannot be decompressed is told by the reading proper
        with suppress(CutShortError), opened(Path(data)) as file:
            if not next(pieces(Path(data), file, LOOKED_INTO), b"").strip():
                raise DataError(f"{data} is empty; give a file with {holds}")
    values = {"columns": columns, "encoding": encoding, "format": format, "on_bad_rows": on_bad_rows}
    return source_of(data, parse(ReadOptions, values | {"separator": separator, "quote": quote}))
