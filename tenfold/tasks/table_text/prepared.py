"""A dataset of tables and texts, split into tokens and cut into parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from tenfold.data import columns as known
from tenfold.data.fact_tables import FactTables
from tenfold.errors import DataError, as_said
from tenfold.files import digest
from tenfold.tasks.table_text.encoding import Splitter, Table

PARTS = ("train", "validation", "test")
TENTHS = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}


@dataclass
class Prepared:
    """tables[i] has texts[i], each a list of tokens as they are compared; parts: rows by name."""

    tables: list[Table]
    texts: list[list[list[str]]]
    parts: dict[str, np.ndarray]
    fingerprint: str
    notes: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in self.parts.items())
        return [f"{len(self.tables):,} tables with {sum(map(len, self.texts)):,} texts: {sizes}", *self.notes]

    def rows(self, part: str) -> list[int]:
        """Raises DataError for a part that there is not."""
        if part not in self.parts or not len(self.parts[part]):
            raise DataError(f"there is no table in the part '{part}'; there are {', '.join(self.parts)}")
        return self.parts[part].tolist()


def prepare(dataset: FactTables, split: str, splitter: Splitter) -> Prepared:
    """Tables without a value are left out and counted; more than one in a hundred are refused. Raises DataError."""
    name = dataset.roles.get("id")
    names = [f"table {i + 1}" for i in range(len(dataset))] if name is None else map(str, dataset.frame[name].to_list())
    tables, texts, rows, empty, first = list[Table](), list[list[list[str]]](), list[int](), 0, ""
    for row, (table, own) in enumerate(zip(dataset, names, strict=True)):
        try:
            tables.append(splitter.table(table, own))
        except DataError as error:
            empty, first = empty + 1, first or str(error)
            continue
        texts.append([tokens for text in table.texts if (tokens := splitter.text(text))])
        rows.append(row)
    if empty > 0.01 * len(dataset):
        raise DataError(
            f"{dataset.report.source}: {empty:,} of {len(dataset):,} tables cannot be used; the first: {first}"
        )
    parts = _parts(dataset, np.array(rows, dtype=np.int64), tables, split)
    found = Prepared(tables, texts, parts, digest(dataset.fingerprint.encode(), split.encode()))
    if empty:
        found.notes.append(f"{empty:,} tables are left out; the first: {first}")
    silent = sum(not texts[row] for row in parts["train"].tolist())
    if silent:
        found.notes.append(f"{silent:,} tables to train on have no text and are left out of training")
    return found


def _parts(dataset: FactTables, rows: np.ndarray, tables: Sequence[Table], split: str) -> dict[str, np.ndarray]:
    """given: as the file says; tables: eight, one and one tenth of them, by content; none: all are trained on."""
    every = np.arange(len(rows))
    column = dataset.roles.get("split")
    if split == "none":
        return {name: every for name in PARTS}
    if split == "given" or (split == "auto" and column is not None):
        if column is None:
            raise DataError(
                f"{dataset.report.source} has no column of a split; name it with {as_said('columns', 'split=NAME')}, "
                "or use split=tables"
            )
        of = dataset.frame[column]
        places = {row: place for place, row in enumerate(rows.tolist())}
        return {
            name: np.array(
                [places[i] for i in known.part(dataset.report.source, of, name) if i in places], dtype=np.int64
            )
            for name in PARTS
        }
    key = ["\n".join(f"{cell.key}\t{cell.value}" for cell in table.cells) for table in tables]
    tenth = np.array([crc32(each.encode()) % 10 for each in key], dtype=np.int64)
    return {name: every[np.isin(tenth, list(TENTHS[name]))] for name in PARTS}
