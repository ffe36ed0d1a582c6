"""Answers written to files, whatever they are: rows with numbers, texts, lists or pictures, in bounded memory.

By the ending of the name: .parquet (a picture is a column of PNG bytes), .jsonl and .csv (no pictures; in a CSV a list
is one cell of JSON). A name without an ending is a folder, with each row's picture as a PNG file and the rest in
metadata.jsonl, as libraries of pictures read it. A file is there when all rows are, or not at all.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.errors import DataError, OptionError
from tenfold.files import replacing, write_whole
from tenfold.splitmix import GOLDEN, mix

ENDINGS = (".parquet", ".jsonl", ".csv")
ROWS_AT_ONCE = 1_024
Write = Callable[[pa.RecordBatch], None]


def answer_seed(seed: int, row: int) -> int:
    """The seed of one answer's random numbers, a function of both alone. row: from 0."""
    with np.errstate(over="ignore"):
        start = mix(np.array([seed], dtype=np.uint64))
        return int(mix(start + np.uint64(row) * GOLDEN)[0])


def write_answers(path: str | Path, answers: Iterable[Mapping[str, Any]]) -> int:
    """Writes rows of one kind, taken a thousand at a time, and returns how many there were.

    Raises DataError where there is none, OptionError for an ending that is not known, OutputError.
    """
    count, rows, schema = 0, iter(answers), None
    with answer_writer(Path(path)) as write:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            batch = pa.RecordBatch.from_pylist([dict(row) for row in some], schema=schema)
            schema = batch.schema
            write(batch)
            count += len(some)
    return count


@contextmanager
def answer_writer(
    path: Path,
    *,
    pictures: bool = True,
    nothing: str = "there is nothing to answer; give a file with one row or more",
) -> Any:
    """In here a function that takes record batches of one schema. pictures: whether these may hold some, and the output
    be a folder. nothing: the sentence where no row came.

    Raises as `write_answers`.
    """
    if path.suffix not in (*ENDINGS, *([""] if pictures else [])):
        folder = ", or into a folder" if pictures else ""
        raise OptionError(
            f"the output is written as {', '.join(ENDINGS)}{folder}; found '{path.name}'; choose one of these"
        )
    came = [0]
    kinds: dict[str, Any] = {".parquet": _parquet, ".jsonl": _json_lines, ".csv": _csv, "": _folder}
    with kinds[path.suffix](path) as write:

        def counted(batch: pa.RecordBatch) -> None:
            came[0] += batch.num_rows
            write(batch)

        yield counted
        if not came[0]:
            raise DataError(nothing)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    writer: pq.ParquetWriter | None = None
    with replacing(path) as beside:

        def write(batch: pa.RecordBatch) -> None:
            nonlocal writer
            writer = writer or pq.ParquetWriter(beside, batch.schema)
            writer.write_batch(batch)

        try:
            yield write
        finally:
            if writer is not None:
                writer.close()


@contextmanager
def _json_lines(path: Path) -> Iterator[Write]:
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        yield lambda batch: file.writelines(_json(row) + "\n" for row in _without_pictures(path, batch).to_pylist())


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        began = False

        def write(batch: pa.RecordBatch) -> None:
            nonlocal began
            if not began:
                writer.writerow(_without_pictures(path, batch).schema.names)
                began = True
            writer.writerows([_cell(value) for value in row.values()] for row in batch.to_pylist())

        yield write


@contextmanager
def _folder(path: Path) -> Iterator[Write]:
    """Pictures first, metadata.jsonl last: where it stands, the folder is whole."""
    with replacing(path / "metadata.jsonl") as beside, beside.open("w", encoding="utf-8") as file:
        count = 0

        def write(batch: pa.RecordBatch) -> None:
            nonlocal count
            pictures = _pictures(batch)
            if not pictures:
                raise OptionError(
                    f"{path} would be a folder of pictures, and these answers hold none; end the name in "
                    f"{', '.join(ENDINGS)}"
                )
            for row in batch.to_pylist():
                count += 1
                named = {"file_name": ""}
                for column in pictures:
                    name = f"{count:06d}.png" if column == pictures[0] else f"{count:06d}_{column}.png"
                    write_whole(path / name, row.pop(column))
                    named["file_name" if column == pictures[0] else f"{column}_file_name"] = name
                file.write(_json(named | row) + "\n")

        yield write


def _pictures(batch: pa.RecordBatch) -> list[str]:
    return [
        field.name for field in batch.schema if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    ]


def _without_pictures(path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
    if found := _pictures(batch):
        raise OptionError(
            f"{path.name} cannot hold pictures ({', '.join(found)}); end the name in .parquet, or name a folder"
        )
    return batch


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
