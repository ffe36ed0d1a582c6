"""Tables and texts as numbers: one numbering for both, in which unknown tokens of a table are told by their place.

Numbers 1 to 5 are BOS, EOS, UNK, INS (a place that is to be filled) and SEP (between phrases); words follow; 0 is
padding. A token of a table that has no number is -(j + 1), j its first place in the table: wherever it comes, in table,
skeleton or text, it is the same, so that it can be copied exactly and vocabularies can grow. What has no number and is
not in the table is UNK. The names of the special numbers hold a space, and so no token of anybody can be one.

Shapes: N tokens of a table and its end, M tokens of a text.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from tenfold.data.fact_tables import FactTable
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError
from tenfold.tasks.table_text.options import TextOptions
from tenfold.tasks.table_text.skeletons import gold_skeleton, phrased_skeleton, says_nothing
from tenfold.tasks.table_text.tokens import clean, join_words, split_spaces, split_words

PAD, BOS, EOS, UNK, INS, SEP = range(6)
SPECIAL = (" bos", " eos", " unk", " ins", " sep")
KEY_END, KEY_UNKNOWN = 1, 2
SPECIAL_KEYS = (" end", " unknown")
FARTHEST = 35  # places within a value are told apart up to here


class Cell(NamedTuple):
    key: str
    value: str
    key_tokens: tuple[str, ...]
    tokens: tuple[str, ...]  # of the value, in the form in which they are compared
    written: tuple[str, ...]  # the same as the table writes them
    subject: int = 0  # so many of the tokens are what a triple is about, and stand before its value


@dataclass(frozen=True)
class Table:
    """A table whose cells are split into tokens; cells without a value are none."""

    id: str
    cells: tuple[Cell, ...]

    @cached_property
    def tokens(self) -> list[str]:
        return [token for cell in self.cells for token in cell.tokens]

    @cached_property
    def written(self) -> list[str]:
        return [token for cell in self.cells for token in cell.written]

    @cached_property
    def owner(self) -> list[int]:
        """The number of the cell that each token stands in."""
        return [number for number, cell in enumerate(self.cells) for _ in cell.tokens]

    @cached_property
    def in_value(self) -> list[bool]:
        """Whether each token is of its cell's value, and not of what a triple is about."""
        return [place >= cell.subject for cell in self.cells for place in range(len(cell.tokens))]

    @cached_property
    def pieces(self) -> list[int]:
        """The number of what each token stands together with: its cell's value, or what a triple is about. Between
        these two a text says what the triple tells of them."""
        return [2 * cell + of_value for cell, of_value in zip(self.owner, self.in_value, strict=True)]

    @property
    def records(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """As metrics take them."""
        return [(cell.key_tokens, cell.tokens) for cell in self.cells]

    @property
    def subjects(self) -> list[int]:
        """How many tokens of each record's value are what a triple is about."""
        return [cell.subject for cell in self.cells]

    def skeleton_of(self, text: Sequence[str], *, phrases: bool = False) -> list[str]:
        """phrases: with the stop words within what is copied word for word."""
        if phrases:
            apart = [part for c in self.cells for part in (c.tokens[: c.subject], c.tokens[c.subject :]) if part]
            return phrased_skeleton(apart, text)
        return gold_skeleton(set(self.tokens), text)


class Splitter:
    """How tables and texts become tokens."""

    def __init__(self, options: TextOptions) -> None:
        self.options = options

    def written(self, text: str) -> list[str]:
        return split_words(text) if self.options.tokens == "words" else split_spaces(text)

    def compared(self, tokens: Iterable[str]) -> list[str]:
        """In the form in which tokens are compared and numbered."""
        return [token.lower() for token in tokens] if self.options.case == "restore" else list(tokens)

    def text(self, text: str) -> list[str]:
        return self.compared(self.written(text))

    def join(self, tokens: Sequence[str]) -> str:
        return join_words(tokens) if self.options.tokens == "words" else " ".join(tokens)

    def table(self, table: FactTable, name: str) -> Table:
        """name: by which a person finds it. Of a triple, subject and value are said. Raises DataError."""
        cells, left = list[Cell](), self.options.longest_table
        for cell in table.cells:
            value = clean(cell.value if cell.subject is None else f"{cell.subject} {cell.value}")
            written = tuple(self.written(value))
            subject = 0 if cell.subject is None else len(self.written(clean(cell.subject)))
            if not written or len(written) > left:
                if written and not cells:
                    raise DataError(
                        f"{name}: its first value has {len(written):,} tokens, expected at most {left:,}; shorten it, "
                        "or set text.longest_table higher"
                    )
                continue
            left -= len(written)
            key = clean(cell.attribute)
            cells.append(Cell(key, value, tuple(self.text(key)), tuple(self.compared(written)), written, subject))
        if not cells:
            raise DataError(f"{name} has no value; give each table one cell or more")
        return Table(name, tuple(cells))


class Numbering:
    """The numbers of tokens and keys."""

    def __init__(self, words: Vocabulary, keys: Vocabulary) -> None:
        self.words, self.keys = words, keys
        self.of_word = {word: number for number, word in enumerate(words.series.to_list(), start=1)}
        self.of_key = {key: number for number, key in enumerate(keys.series.to_list(), start=1)}
        self.word = ["", *words.series.to_list()]

    @cached_property
    def says_nothing(self) -> Tensor:
        """(V + 1,) bool: stop words and signs, and what is no word."""
        return torch.tensor([not word or says_nothing(word) for word in self.word])

    def table(self, table: Table) -> "Numbers":
        unknown: dict[str, int] = {}
        for place, token in enumerate(table.tokens):
            if token not in self.of_word:
                unknown.setdefault(token, -(place + 1))
        words = [self.of_word.get(token) or unknown[token] for token in table.tokens]
        keys = [self.of_key.get(cell.key.lower(), KEY_UNKNOWN) for cell in table.cells for _ in cell.tokens]
        starts = [min(i + 1, FARTHEST) for cell in table.cells for i in range(len(cell.tokens))]
        ends = [min(len(cell.tokens) - i, FARTHEST) for cell in table.cells for i in range(len(cell.tokens))]
        rows = np.array([[*words, EOS], [*keys, KEY_END], [*starts, 0], [*ends, 0]], dtype=np.int64)
        return Numbers(rows, unknown)

    def text(self, tokens: Sequence[str], numbers: "Numbers") -> list[int]:
        return [self.of_word.get(token) or numbers.unknown.get(token, UNK) for token in tokens]

    def token(self, number: int, table: Table) -> str:
        return table.tokens[-number - 1] if number < 0 else self.word[number]


class Numbers(NamedTuple):
    """A table as numbers."""

    rows: np.ndarray  # (4, N): tokens, keys, places from the value's start and from its end; the last column is EOS
    unknown: dict[str, int]  # its tokens that have no number of their own


class TableBatch(NamedTuple):
    """Tables padded on the right, each (B, N) int64."""

    words: Tensor
    keys: Tensor
    starts: Tensor
    ends: Tensor

    @property
    def keep(self) -> Tensor:
        return self.words != PAD

    @classmethod
    def of(cls, tables: Sequence[Numbers]) -> "TableBatch":
        longest = max(table.rows.shape[1] for table in tables)
        filled = np.zeros((4, len(tables), longest), dtype=np.int64)
        for row, table in enumerate(tables):
            filled[:, row, : table.rows.shape[1]] = table.rows
        return cls(*torch.from_numpy(filled))

    def to(self, device: torch.device) -> "TableBatch":
        return TableBatch(*(each.to(device) for each in self))


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """(B, longest) int64, 0 on the right."""
    filled = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
    for number, row in enumerate(rows):
        filled[number, : len(row)] = row
    return torch.from_numpy(filled)


def learned_words(texts: Iterable[Sequence[str]], most: int) -> Vocabulary:
    """The special numbers, then the most frequent tokens of texts, equal ones in the order of the alphabet."""
    count = Counter(token for text in texts for token in text)
    found = sorted(count, key=lambda token: (-count[token], token))[:most]
    return Vocabulary(pl.Series([*SPECIAL, *found], dtype=pl.String))


def learned_keys(tables: Iterable[Table], most: int) -> Vocabulary:
    count = Counter(cell.key.lower() for table in tables for cell in table.cells)
    found = sorted(count, key=lambda key: (-count[key], key))[:most]
    return Vocabulary(pl.Series([*SPECIAL_KEYS, *found], dtype=pl.String))


def sources_of(tokens: Sequence[str], table: Table) -> list[int]:
    """The place in the table that each token of a text was copied from, -1 where it was not.

    Where several are equal: the one behind the token before, else the first. A word that says nothing (of, the) comes
    from the table only where it goes on with a value.
    """
    where: dict[str, list[int]] = {}
    for place, token in enumerate(table.tokens):
        where.setdefault(token, []).append(place)
    found, before = list[int](), -2
    for token in tokens:
        choices = where.get(token, [])
        follows = before + 1 in choices and table.owner[before + 1] == table.owner[max(before, 0)]
        before = before + 1 if follows else (choices[0] if choices and not says_nothing(token) else -1)
        found.append(before)
        before = before if before >= 0 else -2
    return found
