"""What every kind of file and frame gives: batches of columns, the line of each row, and wrong rows, counted."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tenfold.errors import DataError, as_said


class BadRows:
    """Rows that are wrong: the first is refused, or they are counted and the first few told."""

    SHOWN = 5

    def __init__(self, source: str, place: str, refuse: bool) -> None:
        self.source, self.place, self.refuse = source, place, refuse
        self.count, self.first = 0, list[tuple[int, str]]()
        self.doubts = list[int]()  # places of rows that may be several

    def add(self, found: list[tuple[int, str]]) -> None:
        """Raises DataError."""
        if found and self.refuse:
            place, why = min(found)
            raise DataError(
                f"{self.source}, {self.place} {place}: {why}; mend it, or leave such rows out and count them with "
                + as_said("on_bad_rows", "report")
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
        self.remarks = list[str]()  # what a person must know of how the rows were told apart
        self.loose: set[str] = set()  # columns whose values may be of any kinds: they are only compared, or are names
        self.clocks: set[str] = set()  # columns of times: large numbers among them may be rounded

    def told(self) -> list[str]:
        """What a person must know of how the rows were told apart, once they are read."""
        doubts = self.bad.doubts
        if not doubts:
            return self.remarks
        rows = "1 row" if len(doubts) == 1 else f"{len(doubts):,} rows"
        return [
            *self.remarks,
            f"{rows} of {self.name} may be several: between quotes stand lines that look like rows of their own, the "
            f"first time from line {doubts[0]} on; if quotes are no quotes in this file, "
            f"say {as_said('quote', 'none')}",
        ]

    @abstractmethod
    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        """The columns wanted; rows that are no rows are handed to `bad`. Raises DataError."""

    def whole(self) -> tuple[pl.DataFrame, np.ndarray]:
        """All rows and columns at once, nested ones too, and the line or row of each. Raises DataError."""
        parts = list(self.batches(self.columns))
        if not parts:
            return pl.DataFrame(schema=dict.fromkeys(self.columns, pl.Null)), np.empty(0, np.int64)
        frame = pl.concat([part.frame for part in parts], how="vertical_relaxed")
        return frame, np.concatenate([part.places for part in parts])

    def rows(self) -> Iterator[tuple[list[dict[str, Any]], np.ndarray]]:
        """Rows as records, many at a time, and the line or row of each. Raises DataError."""
        for batch in self.batches(self.columns):
            yield batch.frame.to_dicts(), batch.places


def nothing_left(source: Source, rows: int, left_out: int, holds: str) -> str:
    """The sentence for a file of which no row is left. rows: that came, of which left_out were not asked for."""
    if left_out:
        return f"{source.name}: where leaves none of {rows:,} rows; check the values it compares with"
    if source.bad.count:
        place, why = source.bad.first[0]
        return (
            f"{source.name}: all {source.bad.count:,} rows are wrong, the first, {source.place} {place}, because {why}"
        )
    header = "a header and " if source.text else ""
    return f"{source.name} holds {header}no {holds}; give a file with {holds}"


def nested(source: Source, name: str, values: list[Any], places: np.ndarray) -> pl.Series:
    """Values of any one kind as a column, lists and objects among them. Raises DataError."""
    import pyarrow as pa

    if {type(value) for value in values} <= {str, int, float, type(None)}:
        return of_one_kind(source, name, values, places, {})
    try:
        return pl.Series(name, pl.from_arrow(pa.array(values)))
    except (pa.ArrowException, pl.exceptions.PolarsError, OverflowError, UnicodeEncodeError) as error:
        raise DataError(
            f"{source.name}: column '{name}' holds values of several kinds ({str(error).splitlines()[0][:120]}); "
            "write all of the column as one kind"
        ) from error


def _loose(name: str, values: list[Any], found: list[type]) -> pl.Series:
    """Values as they are where all are of one kind, else as JSON writes them, texts without their quotes."""
    if found == [bool] or (found and set(found) <= {int, float} and not any(abs(v) > 2**53 for v in values if v)):
        return pl.Series(name, values, dtype=pl.Boolean if found == [bool] else pl.Float64 if float in found else None)
    text = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    return pl.Series(name, text, dtype=pl.String)


def of_one_kind(source: Source, name: str, values: list[Any], places: np.ndarray, kinds: dict[str, Any]) -> pl.Series:
    """Values as a column; text and numbers together are refused, because 7 and "7" may be two. Raises DataError."""
    found = [kind for kind in dict.fromkeys(map(type, values)) if kind is not type(None)]  # as they come
    if name in source.loose:
        return _loose(name, values, found)
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
    most = 2**63 if known == pl.Int64 else 2**53 if known == pl.Float64 and name not in source.clocks else None
    if most is not None:
        _refuse_large(source, name, values, places, most)
    try:
        return pl.Series(name, values, dtype=known, strict=False)
    except UnicodeEncodeError:
        row = next(row for row, value in enumerate(values) if value and "\ufffd" in _replaced(value))
        raise DataError(
            f"{source.name}, {source.place} {places[row]}: '{name}' holds half of a character (a lone surrogate); "
            "mend it"
        ) from None


def _replaced(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refuse_large(source: "Source", name: str, values: list[Any], places: np.ndarray, most: int) -> None:
    """Whole numbers that 64 bits, or a fraction's 53, cannot tell apart. Raises DataError."""
    for row, value in enumerate(values):
        if type(value) is int and not -most <= value < most:
            why = "numbers above 2^63; write them as text"
            if most < 2**63:
                why = (
                    "and other rows hold fractions such as 1.0, beside which numbers above 2^53 run together; write "
                    "all as text, or all as whole numbers"
                )
            raise DataError(f"{source.name}, {source.place} {places[row]}: '{name}' is {value}, {why}")
