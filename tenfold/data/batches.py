"""What every kind of file and frame gives: batches of columns, the line of each row, and wrong rows, counted."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tenfold.errors import DataError


class BadRows:
    """Rows that are wrong: the first is refused, or they are counted and the first few told."""

    SHOWN = 5

    def __init__(self, source: str, place: str, refuse: bool) -> None:
        self.source, self.place, self.refuse = source, place, refuse
        self.count, self.first = 0, list[tuple[int, str]]()

    def add(self, found: list[tuple[int, str]]) -> None:
        """Raises DataError."""
        if found and self.refuse:
            place, why = min(found)
            raise DataError(
                f"{self.source}, {self.place} {place}: {why}; mend it, or leave such rows out and count them with "
                "on_bad_rows=report"
            )
        self.count += len(found)
        self.first += sorted(found)[: self.SHOWN - len(self.first)]


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


def of_one_kind(source: Source, name: str, values: list[Any], places: np.ndarray, kinds: dict[str, Any]) -> pl.Series:
    """Values as a column; text and numbers together are refused, because 7 and "7" may be two. Raises DataError."""
    found = [kind for kind in dict.fromkeys(map(type, values)) if kind is not type(None)]  # as they come
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
