"""The data on which the contract's tests fit a system, by its task. The first system of a new task adds a line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from another_task import Scales, weighings
from conftest import ring_walks

from tenfold.systems import load_class, rows
from tenfold.tasks.next_item.task import NextItem

BATCHES = 8  # of one epoch of `data` with the options `tiny`


class Small(NamedTuple):
    """Made anew by each call, the same each time; fitted in a second. Equal sizes are equal data."""

    data: Callable[[], Any]
    less: Callable[[], Any]  # another data set of the kind
    newer: Callable[[], Any]  # has all ids of `data`, and more of them
    alone: Callable[[], Any]  # of one user, picture, pair ...: there is no interval
    answer: Callable[[Any], Any]  # what a fitted system says to one question
    change: Mapping[str, Any] = {"dim": 8}  # an option that gives the weights of `tiny` another shape
    between: tuple[float, float] = (0.0, 1.0)  # what figures may be
    skipped: Sequence[str] = ()  # splits for which `data` lack something, such as times


TASKS = {
    NextItem: Small(
        data=ring_walks,
        less=lambda: ring_walks(users=20),
        newer=lambda: ring_walks(users=70, rings=6),
        alone=lambda: ring_walks(users=1),
        answer=lambda system: system.recommend(["r0i1", "r0i2"]),
        skipped=["time"],
    ),
    Scales: Small(
        data=weighings,
        less=lambda: weighings(40),
        newer=lambda: weighings(120, scales=9),
        alone=lambda: weighings(5, scales=2),
        answer=lambda system: system.weigh(weighings(9)).tolist(),
        between=(0.0, 10.0),  # the median error is in grams
    ),
}
# What can be fitted, and a system of another task, so that no test of the contract takes one task for all.
CLASSES = {name: load_class(name) for name in rows()} | {"another-task": Scales}


def small(cls: type) -> Small:
    for base in cls.__mro__:
        if base in TASKS:
            return TASKS[base]
    raise LookupError(f"tests/small.py has no small data for the task of {cls.__name__}; add them to TASKS")
