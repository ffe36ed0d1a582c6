"""False partners that stand in a file, so that figures of different people are of the same questions.

A file holds, for each interaction that is measured, its source, destination and time, and a list of partners that were
not met: .npz of the arrays source, destination, time (n,) and negatives (n, C); Parquet or lines of JSON with columns
of these names; or TGB's .pkl, {(source, destination, time): partners}, by a reader that runs no code. Ids are those of
the interactions' own file.

Shapes: n interactions that are measured, C false partners at most.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.data.graphs import NEEDED
from tenfold.data.picture_arrays import OnlyArrays
from tenfold.errors import DataError
from tenfold.tasks.link_prediction.data import Links

NEGATIVES = "negatives"


def stored(links: Links, rows: np.ndarray, path: Path) -> np.ndarray:
    """(n, C) int64, 0 where an interaction has fewer. Raises DataError."""
    frame, graph = _read(path), links.graph
    numbers = [graph.source_numbers(frame["source"]), graph.destination_numbers(frame["destination"])]
    keys = zip(*(column.tolist() for column in numbers), frame["time"].to_list(), strict=True)
    held = {key: place for place, key in enumerate(keys)}
    wanted = zip(
        graph.sources[rows].tolist(), graph.destinations[rows].tolist(), graph.times[rows].tolist(), strict=True
    )
    places = [held.get(pair) for pair in wanted]
    if None in places:
        n = rows[places.index(None)]
        source, destination = graph.ids([graph.sources[n], graph.destinations[n]])
        raise DataError(
            f"{path} has no false partners for {places.count(None):,} of the {len(rows):,} interactions that are "
            f"measured, the first of them {source} -> {destination} at {graph.times[n]}; give a file of this split and "
            "part, with the ids and times of the interactions"
        )
    lists = frame[NEGATIVES].gather([place for place in places if place is not None])
    flat = lists.explode(empty_as_null=False)
    found = graph.destination_numbers(flat).astype(np.int64)
    if (found == 0).any():
        unknown = flat[int(np.flatnonzero(found == 0)[0])]
        raise DataError(f"{path} names the partner {unknown!r}, who is no destination in {graph.report.source}")
    counts = lists.list.len().to_numpy()
    there = np.arange(counts.max(initial=1)) < counts[:, None]
    every = np.zeros(there.shape, np.int64)
    every[there] = found
    return every


def _read(path: Path) -> pl.DataFrame:
    """Columns source, destination, time and negatives, a list. Raises DataError."""
    try:
        frame = _frame(path)
    except DataError:
        raise
    except Exception as error:  # as the damage has it
        raise DataError(f"{path} cannot be read as false partners: {str(error)[:120]}") from error
    lacking = [name for name in (*NEEDED, NEGATIVES) if name not in frame.columns]
    if lacking or not isinstance(frame.schema.get(NEGATIVES), pl.List | pl.Array):
        raise DataError(
            f"{path} holds {', '.join(frame.columns) or 'nothing'}; expected source, destination, time and negatives, "
            "a list of partners for each"
        )
    negatives = frame[NEGATIVES]
    return frame.with_columns(negatives.cast(pl.List(negatives.dtype.inner)))  # type: ignore[attr-defined]


def _frame(path: Path) -> pl.DataFrame:
    kind = path.suffix.lower()
    if kind == ".npz":
        with np.load(path, allow_pickle=False) as held:
            return pl.DataFrame({name: held[name] for name in (*NEEDED, NEGATIVES) if name in held})
    if kind == ".parquet":
        return pl.read_parquet(path)
    if kind in (".jsonl", ".ndjson"):
        return pl.read_ndjson(path)
    if kind == ".pkl":
        return _of_tgb(OnlyArrays(io.BytesIO(path.read_bytes())).load(), path)
    raise DataError(f"{path}: false partners are read from .npz, .parquet, .jsonl and TGB's .pkl; found '{kind}'")


def _of_tgb(held: Any, path: Path) -> pl.DataFrame:
    if not isinstance(held, dict) or not all(isinstance(key, tuple) and len(key) == 3 for key in held):
        raise DataError(f"{path} is no file of TGB's: expected {{(source, destination, time): partners}}")
    columns: Sequence[Any] = [[_plain(key[at]) for key in held] for at in range(3)]
    lists = pl.Series([np.asarray(each).tolist() for each in held.values()], dtype=pl.List(pl.Int64))
    return pl.DataFrame(dict(zip(NEEDED, columns, strict=True)) | {NEGATIVES: lists})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
