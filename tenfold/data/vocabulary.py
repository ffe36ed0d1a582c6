"""The user's own ids and the numbers that stand for them: 1..n in order of appearance, 0 for padding and the unknown.

Ids are text or whole numbers and stay what they are: "007" is not 7.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import polars as pl

from tenfold.errors import DataError, nearest
from tenfold.files import digest

MANY = 4096  # from so many ids on a join is faster than a dictionary
NEAR = 10_000  # ids looked through for a near miss: enough to catch a typing error, few enough to answer at once

Id = str | int


FEW = 100  # ids that are read one by one


class Vocabulary:
    def __init__(self, ids: pl.Series) -> None:
        """ids: unique, text or whole numbers. Raises DataError."""
        if not ids.dtype.is_integer() and ids.dtype != pl.String:
            raise DataError(f"ids must be text or whole numbers, found {ids.dtype}")
        try:
            self.series = (ids.cast(pl.Int64) if ids.dtype.is_integer() else ids).rename("id")
        except pl.exceptions.PolarsError:
            raise DataError("ids are numbers above 2^63; write them as text") from None
        if self.series.null_count() or self.series.n_unique() != len(self.series):
            raise DataError("the ids of a vocabulary must be unique and none may be empty")

    def __len__(self) -> int:
        return len(self.series)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.kind == other.kind and self.series.equals(other.series)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids, {self.kind})"

    @property
    def kind(self) -> Literal["text", "integer"]:
        return "text" if self.series.dtype == pl.String else "integer"

    @cached_property
    def fingerprint(self) -> str:
        return digest(self.to_bytes())

    @cached_property
    def _numbers(self) -> dict[Id, int]:
        return {own: number for number, own in enumerate(self.series.to_list(), start=1)}

    def numbers(self, ids: Sequence[Any] | pl.Series) -> np.ndarray:
        """(n,) int32; 0 where an id is unknown. "7" finds the whole number 7, and 7 finds the text "7"."""
        if isinstance(ids, pl.Series) or len(ids) > MANY:
            try:
                return self._joined(
                    ids if isinstance(ids, pl.Series) else pl.Series(self._own(ids), dtype=self.series.dtype)
                )
            except UnicodeEncodeError:
                pass  # half a character is in nobody's vocabulary: one by one
        known = self._numbers
        return np.array([known.get(own, 0) if own is not None else 0 for own in self._own(ids)], dtype=np.int32)

    def _joined(self, ids: pl.Series) -> np.ndarray:
        if self.kind == "text":
            asked = ids.cast(pl.String)
        else:
            # "07" and "+7" are other ids than 7, though a cast would not think so
            text = ids.cast(pl.String)
            asked = text.cast(pl.Int64, strict=False)
            asked = pl.select(pl.when(asked.cast(pl.String) == text).then(asked)).to_series()
        known = pl.DataFrame({"id": self.series, "number": np.arange(1, len(self) + 1, dtype=np.int32)})
        found = asked.rename("id").to_frame().join(known, on="id", how="left", maintain_order="left")
        return found["number"].fill_null(0).to_numpy().astype(np.int32)

    def _own(self, ids: Iterable[Any]) -> list[Any]:
        """Ids in the vocabulary's own type; None where that is impossible."""
        return [_text(own) for own in ids] if self.kind == "text" else [_whole(own) for own in ids]

    def ids(self, numbers: Sequence[int] | np.ndarray) -> list[Any]:
        """The own ids that numbers 1..n stand for. Raises DataError."""
        asked = np.asarray(numbers, dtype=np.int64)
        if len(asked) and (asked.min() < 1 or asked.max() > len(self)):
            raise DataError(f"ids are numbered from 1 to {len(self)}, found {int(asked.min())} .. {int(asked.max())}")
        if len(asked) <= FEW:  # an answer's: to set a query up would cost more than all of them
            return [self.series.item(number - 1) for number in asked.tolist()]
        return self.series.gather(asked - 1).to_list()

    def extended(self, other: "Vocabulary") -> Self:
        """These ids under their numbers, then the new ones of `other`. Text and whole numbers together become text."""
        mine, more = self.series, other.series
        if self.kind != other.kind:
            mine, more = mine.cast(pl.String), more.cast(pl.String)
        return type(self)(pl.concat([mine, more.filter(~more.is_in(mine.implode()))]))

    def nearest(self, own: Any) -> str:
        """The end of a sentence that refuses an unknown id."""
        if self.kind == "integer":
            return f"ids here are whole numbers from {self.series.min()!s} to {self.series.max()!s}"
        if len(self) <= 20:
            return nearest(str(own), self.series.to_list())
        # difflib over a large catalogue takes seconds: first those of like length and beginning, then no more than NEAR
        alike = self.series.str.len_chars().cast(pl.Int64).is_between(len(str(own)) - 2, len(str(own)) + 2)
        first = self.series.str.starts_with(str(own)[:1])
        close = pl.concat([self.series.filter(alike & first), self.series.filter(alike & ~first)])[:NEAR]
        end = nearest(str(own), close.to_list()) if len(close) else ""
        return end if end.startswith("did you") else f"ids here look like '{self.series[0]}'"

    def to_bytes(self) -> bytes:
        whole = {"kind": self.kind, "ids": self.series.to_list()}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises DataError."""
        try:
            whole = json.loads(content)
            kind = {"text": pl.String, "integer": pl.Int64}[whole["kind"]]
            return cls(pl.Series(whole["ids"], dtype=kind, strict=True))
        except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise DataError(f"this is no vocabulary as Tenfold writes it: {error}") from error


def _text(own: Any) -> str | None:
    if isinstance(own, str):
        return own
    whole = _whole(own)
    return None if whole is None else str(whole)


def _whole(own: Any) -> int | None:
    if isinstance(own, str):
        try:
            whole = int(own)
        except ValueError:
            return None
        return whole if str(whole) == own and -(2**63) <= whole < 2**63 else None
    if isinstance(own, bool) or not isinstance(own, int | np.integer | float | np.floating):
        return None
    if isinstance(own, float | np.floating) and not float(own).is_integer():
        return None
    whole = int(own)
    return whole if -(2**63) <= whole < 2**63 else None  # others are in no vocabulary
