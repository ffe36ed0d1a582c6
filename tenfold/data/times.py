"""Times of events: numbers as the file has them, or date-times as seconds since 1970."""

from datetime import datetime
from typing import Literal

import polars as pl

from tenfold.errors import DataError, OptionError, as_said


class Times:
    """Numbers stay what they are; date-times in ISO 8601 become seconds since 1970. A log holds one or the other: what
    most of the first rows are, so that one wrong time among them does not make the others wrong.

    format: how times in text are written, as strptime takes it. Raises OptionError where it is no such format.
    """

    def __init__(self, format: str = "") -> None:
        self.kind: Literal["number", "date"] | None = None
        self.format = format
        self.strange = False  # whether there are dates that are not written as ISO 8601 has them
        if format:
            self._check_format()

    def read(self, column: pl.Series) -> tuple[pl.Series, str]:
        """Float64, null where there is no time to be read; and what was expected."""
        if column.dtype in (pl.Categorical, pl.Enum, pl.Binary):
            column = column.cast(pl.String, strict=False)
        if column.dtype.is_numeric():
            seconds, kind = column.cast(pl.Float64), "number"
        elif column.dtype in (pl.Datetime, pl.Date):
            seconds, kind = column.cast(pl.Datetime("us")).dt.timestamp("us").cast(pl.Float64) / 1e6, "date"
        elif column.dtype == pl.String:
            seconds, kind = self._parse(column)
        elif column.dtype == pl.Null:
            return column.cast(pl.Float64), "a time"
        else:
            raise DataError(f"times must be numbers or date-times, found {column.dtype}")
        if self.kind is None and seconds.null_count() < len(seconds):
            self.kind = kind  # type: ignore[assignment]
        if kind != self.kind:
            seconds = pl.Series([None] * len(column), dtype=pl.Float64)
        finite = seconds.is_finite()
        if column.dtype == pl.String and seconds.null_count() > column.null_count():
            rest = column.filter(seconds.is_null()).drop_nulls().head(100)
            self.strange = bool(rest.str.contains(r"\d[/.]\d").any())
        return pl.select(pl.when(finite).then(seconds)).to_series(), self.expected

    @property
    def expected(self) -> str:
        if self.format:
            return f"a time as '{self.format}' writes it"
        before = {"number": " as in other rows", "date": " as in other rows", None: ""}[self.kind]
        what = {"number": "a number", "date": "a date-time", None: "a number or a date-time"}[self.kind]
        example = "978300760" if self.kind != "date" else "2024-05-31T17:20:00"
        other = f"; say how times are written, such as {as_said('time_format', '%d/%m/%Y')}" if self.strange else ""
        return f"{what}{before}, such as {example}{other}"

    def _parse(self, column: pl.Series) -> tuple[pl.Series, str]:
        if self.format:
            return self._formatted(column), "date"
        if self.kind == "date":
            return iso_seconds(column), "date"
        numbers = column.cast(pl.Float64, strict=False)
        if self.kind == "number" or numbers.null_count() == column.null_count():
            return numbers, "number"
        dates = iso_seconds(column)
        here = column.drop_nulls().head(1)  # decides where there are as many of both
        more = len(numbers) - numbers.null_count() - (len(dates) - dates.null_count())
        dated = more < 0 or (more == 0 and iso_seconds(here).null_count() < len(here))
        return (dates, "date") if dated else (numbers, "number")

    def _check_format(self) -> None:
        """Raises OptionError where a moment that was written so cannot be read again."""
        moment = pl.Series([datetime(2024, 5, 31, 17, 20)], dtype=pl.Datetime("us", "UTC"))
        try:
            wrong = self._formatted(moment.dt.strftime(self.format)).null_count() > 0
        except pl.exceptions.PolarsError:
            wrong = True
        if wrong:
            raise OptionError(
                f"{as_said('time_format', self.format)} is no format from which a moment can be read; write such as "
                "'%d/%m/%Y %H:%M'"
            )

    def _formatted(self, column: pl.Series) -> pl.Series:
        zone = "UTC" if "%z" in self.format else None
        found = column.str.strip_chars().str.strptime(pl.Datetime("us", zone), self.format, strict=False)
        return (found.dt.timestamp("us") / 1e6).cast(pl.Float64)


def iso_seconds(column: pl.Series) -> pl.Series:
    """ISO 8601 -> seconds since 1970 (UTC): '2024-05-31', '2024-05-31 17:20', '2024-05-31T17:20:00.5Z', '...+02:00',
    '...+0200', '...+02' and the basic form '20240531T172000Z'."""
    text = pl.col("time").str.strip_chars()
    text = text.str.replace(r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?", "${1}-${2}-${3}T${4}:${5}:${6}")
    text = text.str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T").str.replace(r"( UTC| GMT|[Zz])$", "+00:00")
    text = text.str.replace(r"^(\d{4}-\d\d-\d\d)$", "${1}T00:00:00").str.replace(r"(:\d\d),(\d+)", "${1}.${2}")
    text = text.str.replace(r"^(\S+T\d\d:\d\d):?($|[ +-])", "${1}:00${2}")
    text = text.str.replace(r"(T\d\d:\d\d:\S*?) ?([+-]\d\d)$", "${1}${2}:00")
    text = text.str.replace(r"(T\d\d:\d\d:\S*?) ?([+-]\d\d):?(\d\d)$", "${1}${2}:${3}")
    # a date also ends in -dd-dd or -dd:dd once replaced: only what stands behind a T is an offset
    text = pl.when(text.str.contains(r"T.*[+-]\d\d:\d\d$")).then(text).otherwise(text + "+00:00")
    parsed = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False)
    return column.rename("time").to_frame().select((parsed.dt.timestamp("us") / 1e6).cast(pl.Float64)).to_series()
