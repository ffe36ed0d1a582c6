"""Sequences of ids and times as callers have them: lists, tuples, numpy arrays, Series and columns of any library.
Which index a Series has, and whether it was cut out of a frame, says nothing."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from tenfold.errors import DataError, OptionError

PLAIN = {str, int, float, type(None)}


def ids_of(values: Any, what: str = "items", error: type[DataError] | type[OptionError] = DataError) -> list[Any]:
    """A list of ids. Raises `error` for one text, whose letters would be taken for ids, and for what is no sequence."""
    if isinstance(values, str | bytes):
        raise error(f"{what} are given as a list of ids; found the text {values!r}: write [{values!r}]")
    if isinstance(values, list):
        return values
    if isinstance(values, Mapping) or hasattr(values, "columns"):
        raise error(f"{what} are given as a list of ids; found a {type(values).__name__}: give one column of it")
    for method in ("tolist", "to_list", "to_pylist"):  # of numpy and pandas, of polars, of Arrow
        if hasattr(values, method):
            found = getattr(values, method)()
            if not isinstance(found, list):
                break  # an array of no dimension
            return found
    try:
        return list(values)
    except TypeError:
        raise error(f"{what} are given as a list of ids; found {values!r}: write [{values!r}]") from None


def histories_of(
    values: Any, what: str = "items", error: type[DataError] | type[OptionError] = DataError
) -> tuple[list[list[Any]], bool]:
    """Lists of ids, and whether there were several: one list is one history, a list of lists, a Series of lists or an
    array of two dimensions are several. Raises `error` where some are lists and others are not."""
    outer = ids_of(values, what, error)
    if set(map(type, outer)) <= PLAIN:  # which costs nothing, as most histories are
        return [outer], False
    nested = [is_sequence(value) for value in outer]
    if not any(nested):
        return [outer], False
    if not all(nested):
        odd = outer[nested.index(False)]
        raise error(f"{what} are one list of ids, or a list of such lists; found lists and {odd!r} in one")
    return [ids_of(value, what, error) for value in outer], True


def is_sequence(value: Any) -> bool:
    """Whether the value holds ids and is none itself."""
    if isinstance(value, str | bytes) or value is None:
        return False
    return isinstance(value, list | tuple | range | set) or (
        any(hasattr(value, method) for method in ("tolist", "to_list", "to_pylist")) and np.ndim(value) > 0
    )


def seconds(times: Any) -> np.ndarray:
    """Times of events as float64, date-times as seconds since 1970 (UTC); NaN for none. Raises DataError."""
    own = ids_of(times, "times")
    try:
        return np.array([_second(time) for time in own], dtype=np.float64)
    except (TypeError, ValueError):
        odd = next(time for time in own if not _is_time(time))
        raise DataError(f"an event's time is a number of seconds or a date-time; found {odd!r}") from None


def _second(time: Any) -> float:
    """Raises TypeError, ValueError."""
    if isinstance(time, int | float):
        return float(time)
    if time is None or time != time:  # NaT is not itself
        return float("nan")
    if isinstance(time, np.datetime64):
        return float(time.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    if isinstance(time, date):
        return datetime(time.year, time.month, time.day, tzinfo=UTC).timestamp()
    if isinstance(time, str | bytes):
        raise TypeError
    return float(time)


def _is_time(time: Any) -> bool:
    try:
        _second(time)
        return True
    except (TypeError, ValueError):
        return False
