"""What the columns of a table mean: which is the user, the item, the time; which rows to keep; what a time is.

Each function takes a polars column or frame and gives one in which what is wrong is null, with a reason beside it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from tenfold.data.times import Times, iso_seconds
from tenfold.errors import DataError, as_said, nearest

ALIASES: Mapping[
    str, tuple[str, ...]
] = {  # compared without case, spaces, dots and underscores; the first found counts
    "user": (
        *("user", "userid", "uid", "userno", "usernumber", "customer", "customerid", "visitor", "visitorid"),
        *("reviewerid", "account", "accountid", "member", "memberid", "session", "sessionid", "author", "authorid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movie", "movieid", "product", "productid", "parentasin", "asin", "sku", "article"),
        *("articleid", "track", "trackid", "song", "songid", "artist", "artistid", "book", "bookid", "isbn", "page"),
        *("pageid", "video", "videoid", "business", "businessid", "poi", "venue", "venueid", "content", "contentid"),
    ),
    "time": (
        *("time", "timestamp", "ts", "unixtime", "unixtimestamp", "unixreviewtime", "eventtime", "datetime", "date"),
        *("createdat", "created", "reviewtime"),
    ),
    "event": ("eventid",),  # ids of events: one that was there before is a duplicate
    "kind": (  # view, cart, buy ...
        *("event", "eventtype", "eventname", "type", "kind", "action", "actiontype", "behavior", "behaviour"),
        *("behaviortype", "behaviourtype", "interaction", "interactiontype"),
    ),
}
MOST_KINDS = 256  # of events; a column of more is none of kinds
PARTS: Mapping[str, tuple[str, ...]] = {  # what the parts of a split are also called
    "train": ("training",),
    "validation": ("valid", "val", "dev"),
    "test": ("testing",),
}
TITLES = ("title", "movietitle", "itemtitle", "producttitle", "name", "itemname", "productname", "movietitles")
NEEDED = ("user", "item")
LIKENESS = {"time": 0.8}  # that makes a near miss, elsewhere 0.6: 'rate' and 'data' are no misspelt dates
ABOVE = "numbers above 2^63; write them as text"
NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"  # what is written as a whole number is written, and fits 64 bits

Aliases = Mapping[str, tuple[str, ...]]
Comparison = Literal["=", "!=", ">=", "<=", ">", "<"]


def plain(name: str) -> str:
    return re.sub(r"[\s_.\-]", "", name).lower()


def spelled_out(columns: str, known: Iterable[str] | None = None, *, option: str = "columns") -> dict[str, str]:
    """'user=buyer,item=sku' -> {'user': 'buyer', 'item': 'sku'}; only roles that are known. option: what it is called.
    Raises DataError."""
    found = {}
    for part in filter(None, (part.strip() for part in columns.split(","))):
        role, equals, name = part.partition("=")
        if not equals or not (name.strip() or role.strip() in ("event", "kind")):
            raise DataError(
                f"{as_said(option, columns)}: '{part}' names no column; write user=NAME,item=NAME,time=NAME"
            )
        if known is not None and role.strip() not in known:
            raise DataError(
                f"{as_said(option, columns)}: there is no role '{role.strip()}'; {nearest(role.strip(), known)}"
            )
        found[role.strip()] = name.strip()
    return found


def roles(
    source: str,
    names: Sequence[str],
    columns: str,
    aliases: Mapping[str, tuple[str, ...]] = ALIASES,
    needed: Sequence[str] = NEEDED,
    *,
    option: str = "columns",
) -> dict[str, str]:
    """Which column is what: of an event log the user, the item and, where there are any, the time and the event's id.

    aliases: role -> what such a column is usually called.  option: what `columns` is called where it is asked for.
    Raises DataError, also where one that is needed is not found.
    """
    chosen = spelled_out(columns, aliases, option=option)
    none = {role for role, name in chosen.items() if not name}  # 'event=' says that no column is the event's id
    chosen = {role: name for role, name in chosen.items() if name}
    for role, name in chosen.items():
        if name not in names:
            raise DataError(f"{source} has no column '{name}' to be the {role}; {nearest(name, names)}")
    by_plain = {plain(name): name for name in reversed(names)}
    for role, usual in aliases.items():
        free = (by_plain[alias] for alias in usual if alias in by_plain and by_plain[alias] not in chosen.values())
        found = next(free, None)
        if role not in chosen and role not in none and found is not None:
            chosen[role] = found
    for role in needed:
        if role not in chosen:
            raise DataError(_missing(source, names, role, chosen, aliases, needed, option))
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"{source}: {as_said(option, columns)} takes one column for two roles; name one for each")
    return chosen


def doubtful(
    source: str, names: Sequence[str], chosen: Mapping[str, str], columns: str, roles: Iterable[str], aliases: Aliases
) -> list[str]:
    """What a person must know where several columns could have one of the roles and none was named."""
    found, named = list[str](), spelled_out(columns)
    for role in roles:
        others = [name for name in names if plain(name) in aliases[role] and name not in chosen.values()]
        if role in chosen and role not in named and others:
            found.append(
                f"'{chosen[role]}' of {source} is taken for the {role}, though {_listed(others)} could be it too; "
                f"name another one with {as_said('columns', f'{role}=NAME')}"
            )
    return found


def _missing(
    source: str,
    names: Sequence[str],
    role: str,
    chosen: Mapping[str, str],
    aliases: Mapping[str, tuple[str, ...]],
    needed: Sequence[str],
    option: str,
) -> str:
    near = _near_misses(names, chosen, aliases, needed)
    guess = f"did you mean '{near[role]}'? " if role in near else ""
    whole = {**dict.fromkeys(needed, "NAME"), **near, **chosen}
    example = ",".join(f"{r}={whole[r]}" for r in aliases if r in whole)
    todo = f"{guess}say {as_said(option, example)}"
    return f"{source} has no column that is known as the {role}, only {_listed(names)}; {todo}"


def without_time(source: str, names: Sequence[str], chosen: Mapping[str, str], columns: str) -> list[str]:
    """What a person must know where no column is the time, though there are columns that have no role."""
    others = [name for name in names if name not in chosen.values()]
    if "time" in chosen or not others:
        return []
    near = _near_misses(names, chosen, ALIASES, NEEDED).get("time", "NAME")
    example = ",".join(filter(None, [columns.strip().strip(","), f"time={near}"]))
    return [
        f"no column of {source} is known as the time (found {_listed(others)}): rows are taken in the file's order; "
        f"if one of these is the time, name it with {as_said('columns', example)}"
    ]


def _near_misses(
    names: Sequence[str], chosen: Mapping[str, str], aliases: Mapping[str, tuple[str, ...]], needed: Sequence[str]
) -> dict[str, str]:
    """For each role needed that has no column, and the time, the free one whose name is most like a known one."""
    found = dict[str, str]()
    free = [name for name in names if name not in chosen.values() and plain(name) not in TITLES]
    for role in dict.fromkeys([*needed, "time"]):
        if role in chosen or role not in aliases or not free:
            continue
        like = {
            name: max(SequenceMatcher(None, plain(name), alias).ratio() for alias in aliases[role]) for name in free
        }
        best = max(free, key=like.__getitem__)
        if like[best] >= LIKENESS.get(role, 0.6):
            found[role] = best
            free.remove(best)
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(f"'{name}'" for name in names[:20]) + more


# Ids -----------------------------------------------------------------------------------------------------------------


def own_ids(column: pl.Series, source: str) -> pl.Series:
    """The ids, text or Int64; null where there is none or one is no id. Raises DataError."""
    dtype = column.dtype
    if dtype == pl.Binary:  # as some programs write text into Parquet
        column = column.cast(pl.String, strict=False)
        dtype = column.dtype
    if dtype == pl.String or dtype == pl.Categorical or dtype == pl.Enum:
        text = column.cast(pl.String)
        return pl.select(pl.when(text != "").then(text)).to_series()
    if dtype.is_integer():
        try:
            return column.cast(pl.Int64)
        except pl.exceptions.PolarsError:
            raise DataError(f"{source}: column '{column.name}' holds {ABOVE}") from None
    if dtype.is_float() or dtype == pl.Decimal:  # pandas makes floats of whole numbers where one is missing
        whole = column.fill_nan(None) if dtype.is_float() else column
        most = 2**53 if dtype.is_float() else 2**63  # from there on several whole numbers are one float
        wrong = ((whole != whole.floor()) | (whole.abs() >= most)).fill_null(False)
        return pl.select(pl.when(~wrong).then(whole)).to_series().cast(pl.Int64)
    if dtype == pl.Null:
        return column.cast(pl.Int64)
    raise DataError(f"{source}: column '{column.name}' holds {dtype}, and ids must be text or whole numbers")


def kinds(column: pl.Series) -> pl.Series:
    """What happened, as text; null where the row does not say."""
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        return pl.Series(column.name, [None] * len(column), dtype=pl.String)
    text = column.cast(pl.String)
    return pl.select(pl.when(text != "").then(text)).to_series()


def whole_numbers(ids: pl.Series) -> pl.Series:
    """Text ids as Int64 when each of them is a whole number as one writes it: '07' or '1e3' keeps them all text."""
    if len(ids) and ids.dtype == pl.String and ids.str.contains(NUMBER).all():
        return ids.cast(pl.Int64)
    return ids


def checked(
    source: str, frame: pl.DataFrame, places: np.ndarray, roles: Mapping[str, str], clock: Times
) -> tuple[dict[str, pl.Series], np.ndarray, list[tuple[int, str]]]:
    """What the rows (n,) say: ids by role, and the time; (n,) bool, which rows are whole; what is wrong with others.

    places (n,): the line or row of each. Raises DataError where a whole column is wrong.
    """
    read, good, wrong = dict[str, pl.Series](), np.ones(len(frame), bool), list[tuple[int, str]]()
    for role, name in roles.items():
        column = frame[name]
        if role == "time":
            read[role], expected = clock.read(column)
            reason = f"time is {{!r}}, expected {expected}"
        else:
            read[role] = own_ids(column, source)
            reason = f"the {role} is {{!r}}, expected text or a whole number"
        if read[role].null_count():
            gone = read[role].is_null().to_numpy() & good
            rows = np.flatnonzero(gone)
            missing = f"the {role} is missing (column '{name}')"
            wrong += [
                (int(place), reason.format(value) if value.strip() else missing)
                for place, value in zip(places[rows], values_at(column, rows), strict=True)
            ]
            good &= ~gone
    return read, good, wrong


# Rows to keep --------------------------------------------------------------------------------------------------------


class Condition(NamedTuple):
    text: str
    column: str
    sign: Comparison
    value: str

    def of(self, frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """(n,) bool: the row is kept; and bool: the row's value is not empty and cannot be compared."""
        column = frame[self.column]
        number, seconds = _number(self.value), iso_seconds(pl.Series([self.value]))[0]
        if self.sign in ("=", "!="):
            holds = self._equals(column, number, seconds)
            return (holds if self.sign == "=" else ~holds), pl.Series([False]).new_from_index(0, len(frame))
        if number is not None:
            values = _numbers(column)
        else:
            values, number = Times().read(column)[0] if seconds is not None else column, seconds
        compared = {">=": values >= number, "<=": values <= number, ">": values > number, "<": values < number}
        empty = column.is_null() | (_texts(column) == "").fill_null(False)
        return compared[self.sign].fill_null(False), values.is_null() & ~empty

    def _equals(self, column: pl.Series, number: float | None, seconds: float | None) -> pl.Series:
        """(n,) bool: as text, as a truth, as a plain number or as a date. 007 is not 7 and 1E3 is not 1000, for text
        may be an id; 4.0 is 4."""
        holds = _texts(column).fill_null("") == self.value
        truth = TRUTHS.get(self.value.lower())
        if truth is not None and _is_truth(column):
            return holds | (_truths(column) == truth).fill_null(False)
        if number is not None and column.dtype != pl.Boolean:
            values = _numbers(column)
            if column.dtype == pl.String:
                simple = column.str.contains(PLAIN) if re.fullmatch(PLAIN, self.value) else pl.Series([False])
                values = pl.select(pl.when(simple).then(values)).to_series()
            holds = holds | (values == number).fill_null(False)
        if seconds is not None and (column.dtype in (pl.Date, pl.Datetime) or column.dtype == pl.String):
            dated = iso_seconds(column) if column.dtype == pl.String else Times().read(column)[0]
            holds = holds | (dated == seconds).fill_null(False)
        return holds


PLAIN = r"^-?(0|[1-9]\d*)(\.\d+)?$"  # a number that is nothing but a number
TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "t": True, "f": False}


def _is_truth(column: pl.Series) -> bool:
    """Whether the column says yes or no: booleans, or words for them and nothing else."""
    if column.dtype == pl.Boolean:
        return True
    words = set(_texts(column).drop_nulls().str.to_lowercase().unique().head(9).to_list()) - {""}
    return bool(words) and words <= TRUTHS.keys()


def _truths(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    return _texts(column).str.to_lowercase().replace_strict(TRUTHS, default=None, return_dtype=pl.Boolean)


def chosen(
    where: Iterable[Condition], frame: pl.DataFrame, places: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """(n,) bool: all conditions hold; and the places and reasons of rows of which that cannot be said."""
    keep, wrong = np.ones(len(frame), bool), list[tuple[int, str]]()
    for condition in where:
        holds, unclear = (found.to_numpy() for found in condition.of(frame))
        rows = np.flatnonzero(unclear & keep)
        why = f"'{condition.column}' is {{!r}}, which cannot be compared in where '{condition.text}'"
        shown = values_at(frame[condition.column], rows)
        wrong += [(int(p), why.format(value)) for p, value in zip(places[rows], shown, strict=True)]
        keep &= holds & ~unclear
    return keep, wrong


def part(source: str, column: pl.Series, name: str) -> np.ndarray:
    """The rows of one part of a split: 'validation' also finds 'val', 'valid' and 'dev'. Raises DataError."""
    found = column.cast(pl.String)
    for known in (name, *next((names for names in ((p, *PARTS[p]) for p in PARTS) if name in names), ())):
        if (found == known).any():
            return np.flatnonzero((found == known).fill_null(False).to_numpy())
    names = sorted(found.drop_nulls().unique().to_list())
    raise DataError(f"{source} has no part '{name}' in its column '{column.name}'; {nearest(name, names)}")


def index(rows: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """(n,) int64: these of `count` rows, by number (from the end if negative) or by a bool for each. IndexError."""
    return np.arange(count)[rows if len(rows) else slice(0)]


def conditions(source: str, where: Iterable[str], names: Sequence[str]) -> list[Condition]:
    """Raises DataError."""
    found = []
    for text in filter(str.strip, where):  # an empty one is none, so that what was said before can be dropped
        match = re.fullmatch(r"\s*(.+?)\s*(==|!=|>=|<=|=|>|<)\s*(.*?)\s*", text)
        if not match:
            raise DataError(f"where '{text}' compares nothing; write such as event=buy, rating>=4 or device!=bot")
        column, sign, value = match.groups()
        if column not in names:
            raise DataError(
                f"where '{text}': {source} has no column '{column}'; {nearest(column, names).rstrip('?')}; or say "
                f"{as_said('where', '')} to take all rows"
            )
        sign = "=" if sign == "==" else sign
        if sign not in ("=", "!=") and _number(value) is None and iso_seconds(pl.Series([value]))[0] is None:
            raise DataError(f"where '{text}': {sign} compares numbers or dates, and '{value}' is neither; use = or !=")
        found.append(Condition(text, column, sign, value))  # type: ignore[arg-type]
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _texts(column: pl.Series) -> pl.Series:
    return column.cast(pl.String)


def _numbers(column: pl.Series) -> pl.Series:
    return column.cast(pl.Float64, strict=False)


def values_at(column: pl.Series, rows: np.ndarray) -> list[str]:
    """What stands in these rows, as a message shows it."""
    return ["" if value is None else str(value)[:60] for value in column.gather(rows).to_list()]
