"""Logs that are tables already: polars and pandas frames, Parquet files. Their rows have numbers, from 1."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.data.batches import Batch, Source, nested, of_one_kind
from tenfold.data.containers import CutShortError, is_packed, opened, pieces, whole_file
from tenfold.data.options import ReadOptions
from tenfold.errors import DataError

ROWS = 1 << 19  # of a frame or a Parquet file at once


class Frame(Source):
    place = "row"
    text = False

    def __init__(self, frame: pl.DataFrame, name: str, reading: ReadOptions) -> None:
        super().__init__(name, reading.on_bad_rows)
        self.frame, self.columns = frame, frame.columns

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        for first in range(0, len(self.frame), ROWS):
            part = self.frame[first : first + ROWS].select(wanted)
            yield Batch(part, np.arange(first + 1, first + 1 + len(part)))


class PandasFrame(Source):
    place = "row"
    text = False

    def __init__(self, frame: Any, reading: ReadOptions) -> None:
        super().__init__("the pandas frame", reading.on_bad_rows)
        self.frame, self.columns = frame, [str(name) for name in frame.columns]

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        kinds: dict[str, Any] = {}
        for first in range(0, len(self.frame), ROWS):
            part = self.frame.iloc[first : first + ROWS]
            places = np.arange(first + 1, first + 1 + len(part))
            found = {name: self._column(part.iloc[:, self.columns.index(name)], name, places, kinds) for name in wanted}
            yield Batch(pl.DataFrame(found), places)

    def whole(self) -> tuple[pl.DataFrame, np.ndarray]:
        places = np.arange(1, len(self.frame) + 1)
        found = [self._whole(self.frame.iloc[:, n], name, places) for n, name in enumerate(self.columns)]
        return pl.DataFrame(found), places

    def rows(self) -> Iterator[tuple[list[dict[str, Any]], np.ndarray]]:
        frame, places = self.whole()
        yield frame.to_dicts(), places

    def _whole(self, column: Any, name: str, places: np.ndarray) -> pl.Series:
        if column.dtype != object:
            return self._column(column, name, places, {})
        scalar = [not isinstance(value, list | tuple | dict | np.ndarray) for value in column]
        gone = column.isna().to_numpy() & np.array(scalar, bool)
        values = [None if no else _plain(value) for value, no in zip(column.tolist(), gone, strict=True)]
        return nested(self, name, values, places)

    def _column(self, column: Any, name: str, places: np.ndarray, kinds: dict[str, Any]) -> pl.Series:
        if column.dtype != object:
            return pl.Series(name, pl.from_pandas(column.reset_index(drop=True)))
        missing = column.isna().to_numpy()
        values = [None if gone else _plain(value) for value, gone in zip(column.tolist(), missing, strict=True)]
        if any(hasattr(value, "isoformat") for value in values):
            return pl.Series(name, values)
        return of_one_kind(self, name, values, places, kinds)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class ParquetFile(Source):
    place = "row"
    text = False

    def __init__(self, path: Path, reading: ReadOptions) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(str(path), reading.on_bad_rows)
        try:
            content, lies = None, whole_file(path)
            if is_packed(path):
                # pyarrow seeks, which a packed file can only do from the start
                with opened(path) as file:
                    content = b"".join(pieces(path, file, 1 << 24))
            elif lies.stat().st_size == 0:
                raise DataError(f"{path} is empty; give a file with events")
            self.file = pq.ParquetFile(io.BytesIO(content) if content is not None else lies)
        except (pa.ArrowException, CutShortError, OSError) as error:
            raise DataError(
                f"{path} is no whole Parquet file: it was cut short or is another format ({_short(error)})"
            ) from error
        self.columns = self.file.schema_arrow.names

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        import pyarrow as pa

        first = 1
        try:
            for part in self.file.iter_batches(ROWS, columns=list(dict.fromkeys(wanted))):
                frame = pl.DataFrame(pl.from_arrow(part)).select(wanted)
                yield Batch(frame, np.arange(first, first + len(frame)))
                first += len(frame)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.name}, after row {first - 1}: the Parquet is damaged ({_short(error)})") from error


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
