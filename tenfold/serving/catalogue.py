"""What a file says of the items that a service answers with: titles, and attributes by which answers are filtered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from tenfold.data.attributes import read_attributes
from tenfold.data.options import ReadOptions
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import OptionError, nearest
from tenfold.options import parse


class Catalogue:
    """frame: a row for each item 1..V, or no column where there is no file. Raises DataError."""

    def __init__(self, path: str, items: Vocabulary) -> None:
        self.items, self.frame, self.path = items, pl.DataFrame(), path
        self.remarks: list[str] = []
        if path:
            self.frame, self.remarks = read_attributes(parse(ReadOptions, {"items": path}), items)
        self.titles = self.frame["title"].to_list() if "title" in self.frame.columns else None
        self._kinds: dict[str, np.ndarray] = {}

    def where(self, wanted: Mapping[str, Sequence[Any]], among: Sequence[Any] | None) -> list[Any]:
        """Ids of the items, of those `among` where it is given, whose every attribute named is one of its values.

        Raises OptionError where there is none.
        """
        fits = np.ones(len(self.items), dtype=bool)
        for name, values in wanted.items():
            column = self._column(name)
            fits &= np.isin(_texts(column), [_text(value) for value in values])
        if among is not None:
            allowed = np.zeros(len(self.items) + 1, dtype=bool)
            allowed[self.items.numbers(list(among))] = True
            fits &= allowed[1:]
        if not fits.any():
            said = " and ".join(f"{name} in {list(values)}" for name, values in wanted.items())
            raise OptionError(f"no item has {said:.200}{'' if among is None else ' among the candidates'}")
        return self.items.ids(np.flatnonzero(fits) + 1)

    def kinds(self, name: str) -> np.ndarray:
        """(V + 1,): the attribute as numbers by the items' numbers; items without one are of one kind."""
        if name not in self._kinds:
            _, kinds = np.unique(_texts(self._column(name)), return_inverse=True)
            self._kinds[name] = np.concatenate([[-1], kinds])
        return self._kinds[name]

    def _column(self, name: str) -> pl.Series:
        if not self.frame.columns:
            raise OptionError("this service knows no attributes of items; start it with --items FILE")
        if name not in self.frame.columns:
            raise OptionError(f"items have no attribute '{name:.50}'; {nearest(name, self.frame.columns)}")
        return self.frame[name]


def _text(value: Any) -> str:
    """7 and 7.0 are one value, as are true and the text that a file has for it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) and not value.is_integer() else str(int(value))
    return "" if value is None else str(value)


def _texts(column: pl.Series) -> np.ndarray:
    return np.array([_text(value) for value in column.to_list()])
