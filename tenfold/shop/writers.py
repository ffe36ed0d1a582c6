"""How a shop's tables are put on the disk, part by part: Parquet, JSON Lines, or a folder of pictures.

Each yields what writes some rows; what stands there at the end is whole, or nothing is there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from tenfold.errors import OutputError
from tenfold.files import replacing, writing

Write = Callable[[pl.DataFrame], None]


@contextmanager
def parquet(path: Path) -> Iterator[Write]:
    """Raises OutputError."""
    with replacing(path) as beside, beside.open("wb") as file:
        writer: pq.ParquetWriter | None = None

        def write(rows: pl.DataFrame) -> None:
            nonlocal writer
            table = rows.to_arrow()
            if writer is None:
                writer = pq.ParquetWriter(file, table.schema, compression="zstd", store_schema=False)
            writer.write_table(table)

        yield write
        if writer is not None:
            writer.close()


@contextmanager
def lines(path: Path) -> Iterator[Write]:
    """Raises OutputError."""
    with replacing(path) as beside, beside.open("wb") as file:
        yield lambda rows: rows.write_ndjson(file)


@contextmanager
def files(folder: Path, pictures: tuple[str, ...]) -> Iterator[Write]:
    """000012.png, its other pictures such as 000012-mask.png, and metadata.jsonl, which names them: `file_name` is the
    column image or answer, `mask_file_name` and the like the others. Raises OutputError."""
    if folder.exists():
        raise OutputError(f"{folder} is there already and is no shop's; move it away, or write the shop elsewhere")
    with replacing(folder / "metadata.jsonl") as beside, beside.open("wb") as file:
        written = 0

        def write(rows: pl.DataFrame) -> None:
            nonlocal written
            named = rows.drop(pictures)
            for column in pictures:
                ending = "" if column == pictures[0] else f"-{column}"
                names = [
                    None if png is None else f"{row:06d}{ending}.png" for row, png in enumerate(rows[column], written)
                ]
                for name, png in zip(names, rows[column], strict=True):
                    if name is not None:
                        with writing(folder / name):
                            (folder / name).write_bytes(png)
                role = "file_name" if column in ("image", "answer") else f"{column}_file_name"
                named = named.with_columns(pl.Series(role, names, dtype=pl.String))
            named.write_ndjson(file)
            written += len(rows)

        yield write
