"""Rivals that only count: all cells in order, and the text of the most alike table with its values replaced."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from tenfold.errors import ArtifactError
from tenfold.tasks.table_text.encoding import Table, sources_of
from tenfold.tasks.table_text.options import RuleOptions, TemplateOptions
from tenfold.tasks.table_text.prepared import Prepared
from tenfold.tasks.table_text.task import TableText, Written
from tenfold.training import Stage

KEPT = "templates.json"


class Rule(TableText):
    options: RuleOptions
    tiny = RuleOptions()
    trains = False

    def build(self) -> nn.Module:
        return nn.Module()

    def stages(self, prepared: Prepared) -> Iterator[Stage]:
        yield from ()


def from_table(tokens: Sequence[str], table: Table) -> Written:
    """A text that no network wrote."""
    return Written(list(tokens), sources_of(tokens, table), [False] * len(tokens), [1.0] * len(tokens))


class AllCells(Rule):
    """The tokens of all values in the order of the table: nothing is left out, and nothing is told."""

    def write(self, tables: Sequence[Table], **how: Any) -> list[Written]:
        return [from_table(table.tokens, table) for table in tables]


class Template(NamedTuple):
    """A training text in which values stand for their cell: token, or number of the cell; ~number stands for what a
    triple is about."""

    keys: tuple[str, ...]
    parts: tuple[str | int, ...]
    length: int  # of the text, in tokens

    @property
    def share(self) -> float:
        """Of the text that is replaced, in tokens."""
        return 1 - sum(isinstance(part, str) for part in self.parts) / max(self.length, 1)

    @property
    def slots(self) -> int:
        return sum(isinstance(part, int) for part in self.parts)


class NearestTemplate(Rule):
    """The text of the training table with the same keys, else the most in common, its values replaced by the new ones.

    Of several the one of which the largest share is replaced, or (prefer=cells) the most cells; of these the first. A
    cell that the new table lacks says nothing.
    """

    options: TemplateOptions
    tiny = TemplateOptions()
    templates: Sequence[Template] = ()

    def training_statistics(self, prepared: Prepared, older: Any = None) -> dict[str, Any]:
        self.templates = [
            template(prepared.tables[row], text, longest_first=self.options.prefer == "share")
            for row in prepared.rows("train")
            for text in prepared.texts[row]
        ]
        return {}

    def write(self, tables: Sequence[Table], **how: Any) -> list[Written]:
        best = self._best
        return [from_table(filled(self._nearest(table, best), table), table) for table in tables]

    @property
    def _best(self) -> dict[frozenset[str], Template]:
        """The best template of each set of keys."""
        found: dict[frozenset[str], Template] = {}
        for one in self.templates:
            keys = frozenset(one.keys)
            if keys not in found or self._rank(one) > self._rank(found[keys]):
                found[keys] = one
        return found

    def _rank(self, one: Template) -> tuple[float, float]:
        return (one.share, 0) if self.options.prefer == "share" else (one.slots, -one.length)

    def _nearest(self, table: Table, best: Mapping[frozenset[str], Template]) -> Template:
        own = frozenset(cell.key for cell in table.cells)
        if own in best:
            return best[own]
        return max(best.items(), key=lambda one: (len(own & one[0]) / len(own | one[0]), self._rank(one[1])))[1]

    def extra_files(self) -> dict[str, bytes]:
        rows = [[list(one.keys), list(one.parts), one.length] for one in self.templates]
        return super().extra_files() | {KEPT: json.dumps(rows, ensure_ascii=False).encode()}

    def load_extra_files(self, files: Mapping[str, bytes]) -> None:
        if KEPT not in files:
            raise ArtifactError("the artifact of this NearestTemplate lacks its templates; save it again")
        self.templates = [Template(tuple(keys), tuple(parts), n) for keys, parts, n in json.loads(files[KEPT])]
        super().load_extra_files({name: content for name, content in files.items() if name != KEPT})


def template(table: Table, text: Sequence[str], *, longest_first: bool = True) -> Template:
    """Longer values first, so that none is replaced inside another; or in the order of the table."""
    parts: list[str | int] = list(text)
    pieces = [(~n, cell.tokens[: cell.subject]) for n, cell in enumerate(table.cells) if cell.subject]
    pieces += [(n, cell.tokens[cell.subject :]) for n, cell in enumerate(table.cells)]
    for number, piece in sorted(pieces, key=lambda pair: -len(pair[1])) if longest_first else pieces:
        length = len(piece)
        start = next((i for i in range(len(parts) - length + 1) if tuple(parts[i : i + length]) == piece), None)
        if start is not None:
            parts[start : start + length] = [number]
    return Template(tuple(cell.key for cell in table.cells), tuple(parts), len(text))


def filled(one: Template, table: Table) -> list[str]:
    """A key that comes several times stands for its cells in their order."""
    places = defaultdict[str, list[int]](list)
    for number, cell in enumerate(table.cells):
        places[cell.key].append(number)
    tokens = list[str]()
    for part in one.parts:
        if isinstance(part, str):
            tokens.append(part)
            continue
        number = max(part, ~part)
        key = one.keys[number]
        nth = one.keys[:number].count(key)
        if places[key]:
            cell = table.cells[places[key][min(nth, len(places[key]) - 1)]]
            tokens += cell.tokens[cell.subject :] if part >= 0 else cell.tokens[: cell.subject]
    return tokens
