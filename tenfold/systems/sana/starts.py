"""What a text begins with: stage 1's skeleton, what the user wants in it, and which tokens stay together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tenfold.errors import OptionError
from tenfold.tasks.table_text.encoding import Numbers, Table


@dataclass
class Start:
    """Tokens as numbers, and the phrase that each belongs to; 0: none."""

    tokens: list[int]
    phrases: list[int]


def without_keys(table: Table, keys: Sequence[str]) -> Table:
    """Raises OptionError where nothing is left."""
    out = {key.lower() for key in keys}
    cells = tuple(cell for cell in table.cells if cell.key.lower() not in out)
    if not cells:
        raise OptionError(f"{table.id}: leave_out={', '.join(keys)} leaves no cell; name fewer keys")
    return replace(table, cells=cells) if len(cells) < len(table.cells) else table


def wanted_places(table: Table, wanted: Sequence[str], split: Callable[[str], list[str]]) -> list[list[int]]:
    """The places in the table of each value that must be in the text. wanted: keys, or words of the table. Raises
    OptionError."""
    found = list[list[int]]()
    for one in wanted:
        cells = [number for number, cell in enumerate(table.cells) if cell.key.lower() == one.strip().lower()]
        if cells:
            values = [place for place, of_value in enumerate(table.in_value) if of_value]  # not what a triple is about
            found += [[place for place in values if table.owner[place] == cell] for cell in cells]
            continue
        own = split(one)
        first = next((i for i in range(len(table.tokens)) if own and table.tokens[i : i + len(own)] == own), None)
        if first is None:
            keys = ", ".join(dict.fromkeys(cell.key for cell in table.cells))
            raise OptionError(
                f"{table.id}: must_include has '{one}', which is neither a key nor in a value of the table; its keys "
                f"are {keys}"
            )
        found.append(list(range(first, first + len(own))))
    return found


def with_wanted(start: Start, places: Sequence[Sequence[int]], numbers: Numbers, anchor: int | None) -> Start:
    """Each wanted value, whole, where the skeleton already tells of it, else in the order of the table."""
    row = numbers.rows[0].tolist()
    longer_first = sorted(places, key=len, reverse=True)  # the shorter may stand within them
    for number, own in enumerate(longer_first, start=max(start.phrases, default=0) + 1):
        value = [row[place] for place in own]
        at = _whole(start, value)
        if at is not None and start.phrases[at]:
            continue  # within a value that is kept together already
        if at is None:
            at = next((i for i, token in enumerate(start.tokens) if token in value and not start.phrases[i]), None)
            if at is None:
                at = _by_order(start, row, own[0], anchor)
            else:  # what the skeleton says of it is replaced by all of it
                end = at
                while end < len(start.tokens) and start.tokens[end] in value and not start.phrases[end]:
                    end += 1
                start = Start(start.tokens[:at] + start.tokens[end:], start.phrases[:at] + start.phrases[end:])
            tokens, phrases = start.tokens, start.phrases
            start = Start([*tokens[:at], *value, *tokens[at:]], [*phrases[:at], *[0] * len(value), *phrases[at:]])
        start.phrases[at : at + len(value)] = [number] * len(value)
    return start


def kept_together(start: Start, numbers: Numbers, pieces: Sequence[int]) -> Start:
    """What stands together in a piece of a cell, and in the skeleton, stays together: phrases with numbers below 0.

    pieces: of each token of the table (Table.pieces).
    """
    row, phrases = numbers.rows[0].tolist(), list(start.phrases)
    neighbours = {(row[i], row[i + 1]) for i in range(len(pieces) - 1) if pieces[i] == pieces[i + 1]}
    for i, pair in enumerate(pairwise(start.tokens)):
        if pair in neighbours and phrases[i] <= 0 and phrases[i + 1] == 0:
            phrases[i] = phrases[i] or min(0, *phrases) - 1
            phrases[i + 1] = phrases[i]
    return Start(start.tokens, phrases)


def _whole(start: Start, value: Sequence[int]) -> int | None:
    """Where the value stands within one phrase, or where there is none."""
    tokens, phrases, count = start.tokens, start.phrases, len(value)
    for i in range(len(tokens) - count + 1):
        if list(tokens[i : i + count]) == list(value) and len(set(phrases[i : i + count])) == 1:
            return i
    return None


def _by_order(start: Start, row: Sequence[int], place: int, anchor: int | None) -> int:
    """Before the first token that the table has later; a last sign stays the last."""
    later = set(row[place + 1 :]) - set(row[:place])
    for i, token in enumerate(start.tokens):
        if token in later and token != anchor:
            return (
                i if not i or start.phrases[i] == 0 or start.phrases[i] != start.phrases[i - 1] else len(start.tokens)
            )
    last = len(start.tokens)
    return last - 1 if anchor is not None and start.tokens[-1:] == [anchor] else last


def foreign(tokens: Sequence[str], table: Table) -> list[str]:
    """Those of a user's skeleton that the table does not have."""
    own = set(table.tokens)
    return [token for token in tokens if token not in own]
