"""Titles and attributes of items, from a file of their own, joined to the catalogue by id."""

from pathlib import Path

import numpy as np
import polars as pl

from tenfold.data import columns
from tenfold.data.options import ReadOptions
from tenfold.data.sources import source_of
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, nearest
from tenfold.options import parse

IDS = (*columns.ALIASES["item"], "id")


def read_attributes(reading: ReadOptions, catalogue: Vocabulary) -> tuple[pl.DataFrame, list[str]]:
    """A row for each item 1..V, with a column `title` where there is one; and remarks. Raises DataError."""
    own = parse(ReadOptions, {"encoding": reading.encoding, "on_bad_rows": reading.on_bad_rows})
    path = Path(reading.items)
    source = source_of(path, own)
    key = _key(source.name, source.columns, columns.spelled_out(reading.columns).get("item"))
    frames = [batch.frame for batch in source.batches(source.columns)]
    frame = pl.concat(frames, how="vertical_relaxed") if frames else pl.DataFrame(schema=dict.fromkeys(source.columns))
    ids = columns.own_ids(frame[key], source.name)
    frame = frame.with_columns(pl.Series("tenfold number", catalogue.numbers(ids)))
    known = frame.filter(pl.col("tenfold number") > 0)
    first = known.unique("tenfold number", keep="first", maintain_order=True)
    numbers = pl.DataFrame({"tenfold number": np.arange(1, len(catalogue) + 1, dtype=np.int32)})
    joined = numbers.join(first, on="tenfold number", how="left", maintain_order="left").drop("tenfold number", key)
    if not len(first):
        raise DataError(
            f"{path} describes none of the {len(catalogue):,} items: its column '{key}' holds such as "
            f"{columns.values_at(frame[key], np.arange(min(1, len(frame))))}, and the events {catalogue.ids([1])}"
        )
    remarks = []
    if missing := len(catalogue) - len(first):
        remarks.append(f"{missing:,} of {len(catalogue):,} items are not described in {path}")
    if repeated := len(known) - len(first):
        remarks.append(f"{repeated:,} rows of {path} describe an item again; the first counts")
    if source.bad.count:
        remarks.append(f"{source.bad.count:,} rows of {path} are wrong and left out")
    return typed(_titled(joined), source.text), remarks


def _key(source: str, names: list[str], chosen: str | None) -> str:
    if chosen in names:
        return str(chosen)
    by_plain = {columns.plain(name): name for name in reversed(names)}
    found = next((by_plain[alias] for alias in IDS if alias in by_plain), None)
    if found is None:
        raise DataError(f"{source} has no column of item ids, only {', '.join(names)}; {nearest('item', names)}")
    return found


def _titled(frame: pl.DataFrame) -> pl.DataFrame:
    by_plain = {columns.plain(name): name for name in reversed(frame.columns)}
    found = next((by_plain[alias] for alias in columns.TITLES if alias in by_plain), None)
    return frame if found is None else frame.rename({found: "title"}).with_columns(pl.col("title").cast(pl.String))


def typed(frame: pl.DataFrame, text: bool) -> pl.DataFrame:
    """Columns of a text file in which every value is a number become numbers; titles stay text."""
    if not text:
        return frame
    found = []
    for column in frame.iter_columns():
        number = None
        if column.name != "title" and column.null_count() < len(column):
            number = column.cast(pl.Float64, strict=False)
            whole = columns.whole_numbers(column.drop_nulls()).dtype == pl.Int64
            zeros = column.str.contains(r"^-?0\d").any()
            number = None if zeros or number.null_count() > column.null_count() else number
            number = number.cast(pl.Int64) if number is not None and whole else number
        found.append(column if number is None else number)
    return pl.DataFrame(found)
