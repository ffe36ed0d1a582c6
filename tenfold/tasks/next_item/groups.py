"""Figures of events in groups: by how much the user did before, by how long ago the user last met their kind, by time.

Shapes: Q queries, E events of the log.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from tenfold.data import splits
from tenfold.data.events import Events
from tenfold.data.splits import Queries
from tenfold.errors import OptionError, nearest

HISTORY = (50, 200, 500, 1_000)  # events before
GAP = (1, 5, 20, 100)  # events since one of the same kind; 1 is the event just before


def sentences(events: Events, queries: Queries, by: str, gap_of: str, figures: Mapping[str, Tensor]) -> Iterator[str]:
    """A line for each group that has an event, with the means over its events. by: 'history', 'gap' or 'span'.

    Raises OptionError where items have no attribute `gap_of`, or events no times.
    """
    if by == "span":
        yield from _spans(events, queries, figures)
        return
    if by == "history":
        count, edges, what = queries.position - events.offsets[queries.user], HISTORY, "events before"
    else:
        kinds = _kinds(events, gap_of)
        count, edges = gaps(events, kinds, queries), GAP
        what = f"events since one of the same {gap_of}"
        of_none = kinds[queries.position] < 0
        if of_none.any():
            yield _line(f"no {gap_of} known", of_none, figures)
        fresh = ~of_none & (count == 0)
        if fresh.any():
            yield _line(f"the first of its {gap_of}", fresh, figures)
        count = np.where(of_none | fresh, -1, count)
    low = 0 if by == "history" else 1
    for high in (*edges, None):
        mine = (count >= low) & (count <= high if high is not None else True)
        if mine.any():
            group = f"right after one of the same {gap_of}" if high == low else f"{_range(low, high)} {what}"
            yield _line(group, mine, figures)
        low = 0 if high is None else high + 1


def _spans(events: Events, queries: Queries, figures: Mapping[str, Tensor]) -> Iterator[str]:
    if events.times is None:
        raise OptionError("figures by span need the events' times; name their column, --columns time=NAME")
    begin = splits.spans(events)
    of = np.clip(np.searchsorted(begin, events.times[queries.position], side="right"), 0, splits.SPANS)
    for span in range(splits.SPANS + 1):
        if (of == span).any():
            name = f"span {span} of {splits.SPANS}" if span else "the first half of the time"
            yield _line(name, of == span, figures)


def gaps(events: Events, kinds: np.ndarray, queries: Queries) -> np.ndarray:
    """(Q,): how many events back the user's last event of the same kind is, 1 for the one just before; 0 for none.
    kinds (E,) from 0, -1 for an event of no kind."""
    user = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
    order = np.lexsort((kinds, user))  # stable: each user's events of a kind stand together, in their order
    alike = (np.diff(user[order]) == 0) & (np.diff(kinds[order]) == 0) & (kinds[order][1:] >= 0)
    gap = np.zeros(len(kinds), dtype=np.int64)
    gap[order[1:][alike]] = np.diff(order)[alike]
    return gap[queries.position]


def _kinds(events: Events, name: str) -> np.ndarray:
    """(E,): the attribute of each event's item as a number from 0, -1 where it is not known."""
    if events.attributes is None:
        raise OptionError("figures by gap need the items' attributes; give the file of items, --items FILE")
    columns: Sequence[str] = events.attributes.columns
    if name not in columns:
        raise OptionError(f"items have no attribute '{name}'; {nearest(name, columns)}")
    values = events.attributes[name].to_list()
    place = {value: number for number, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    return np.array([-1, *(-1 if value is None else place[value] for value in values)])[events.items]


def _range(low: int, high: int | None) -> str:
    if high is None:
        return f"{low:,} or more"
    return f"{low:,} to {high:,}" if low else f"up to {high:,}"


def _line(group: str, mine: np.ndarray, figures: Mapping[str, Tensor]) -> str:
    means = {name: float(values.numpy()[mine].mean()) for name, values in figures.items()}
    told = ", ".join(f"{name} {value:.4f}" for name, value in means.items() if not name.startswith("recall"))
    return f"{group}: {told} ({int(mine.sum()):,} events)"
