"""What datasets of every kind have in common: a fingerprint, what a person must know of the reading, and ids that can
be numbered as an older vocabulary numbers them.

Events, temporal graphs, pictures, tables of facts and questions are each a `Dataset`; a room whose data are of another
kind derives its own from it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said, nearest
from tenfold.files import digest


@dataclass(frozen=True)
class ReadReport:
    """What was found in a file and what was done about it."""

    source: str = ""
    place: str = "row"
    columns: dict[str, str] = field(default_factory=dict)  # role -> the file's own name
    rows: int = 0  # that were rows at all, wrong ones included
    bad: int = 0
    first_bad: tuple[tuple[int, str], ...] = ()
    left_out: int = 0  # by `where`
    duplicates: int = 0  # left out
    equal: int = 0  # equal (user, item, time), kept
    out_of_order: int = 0  # events earlier than one before them of the same user
    dropped: int = 0  # events of users or items with too few
    remarks: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """For a person; nothing when there is nothing to say."""
        found = []
        if self.bad:
            shown = "; ".join(f"{self.place} {place}: {why}" for place, why in self.first_bad)
            more = f"; and {self.bad - len(self.first_bad):,} more" if self.bad > len(self.first_bad) else ""
            found.append(f"{self.bad:,} of {self.rows:,} rows of {self.source} are wrong and left out ({shown}{more})")
        if self.left_out:
            found.append(f"{self.left_out:,} of {self.rows:,} rows are left out by where")
        if self.out_of_order:
            early = f"{self.out_of_order:,} events are earlier than one before them"
            if self.out_of_order == 1:
                early = "1 event is earlier than one before it"
            found.append(
                f"{self.source} is not in order of time ({early} of the same user): it was sorted, equal times in the "
                "file's order"
            )
        if self.duplicates:
            several = "1 duplicate is" if self.duplicates == 1 else f"{self.duplicates:,} duplicates are"
            found.append(f"{several} left out")
        if self.equal:
            many, end = f"{self.equal:,} events equal", f"are kept; {as_said('deduplicate', 'true')} leaves them out"
            if self.equal == 1:
                many, end = "1 event equals", f"is kept; {as_said('deduplicate', 'true')} leaves it out"
            found.append(f"{many} an earlier one in user, item and time and {end}")
        if self.dropped:
            found.append(f"{self.dropped:,} events of users or items with too few events are left out")
        return [*found, *self.remarks]


class Dataset(ABC):
    """Data of any kind as they were read; never changed, only taken from."""

    report: ReadReport

    @abstractmethod
    def __len__(self) -> int:
        """How many users, interactions, pictures, tables or questions there are."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """16 hex digits of what the data say; the same whatever file they stood in."""

    @property
    @abstractmethod
    def vocabularies(self) -> dict[str, Vocabulary]:
        """The ids that the data number, under the names that `recoded` takes."""

    @abstractmethod
    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same data in the numbers of other vocabularies, as those of a fitted system; an id that they do not hold
        becomes 0. Those not given stay as they are. Raises DataError for a name that the data do not number."""

    def sentences(self) -> list[str]:
        """What a person must know of how the data were read; nothing when there is nothing to say."""
        return self.report.sentences()


class Table(Dataset):
    """A dataset of rows in a frame: its fingerprint is that of the frame and of what belongs to it."""

    frame: pl.DataFrame

    def contents_of_fingerprint(self) -> Iterable[bytes]:
        """What the rows hold beside the frame."""
        return ()

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        return digest(frame_bytes(self.frame), *self.contents_of_fingerprint())


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """Names, types and values of a frame, the same for equal frames whatever made them."""
    schema = repr([(name, str(dtype)) for name, dtype in frame.schema.items()])
    try:
        return (schema + frame.write_ndjson()).encode()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # a column of Python objects
        return (schema + repr(frame.to_dicts())).encode()


def check_names(data: Dataset, vocabularies: Mapping[str, Vocabulary]) -> None:
    """Raises DataError for a vocabulary of what the data do not number."""
    for name in vocabularies:
        if name not in data.vocabularies:
            raise DataError(f"there are no {name} in {data.report.source}; {nearest(name, data.vocabularies)}")


def renumbering(old: Vocabulary, new: Vocabulary) -> np.ndarray:
    """(len(old) + 1,) int32: the number in `new` of each number in `old`, 0 where it is unknown there."""
    return np.concatenate([[0], new.numbers(old.series)]).astype(np.int32)
