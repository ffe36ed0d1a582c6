"""The data on which the contract's tests fit a system, by its task. The first system of a new task adds a line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from another_task import Scales, weighings
from conftest import ring_walks
from small_streams import meetings
from small_tables import people, person

from tenfold.data.labelled_pictures import LabelledPictures
from tenfold.data.vocabulary import Vocabulary
from tenfold.systems import load_class, rows
from tenfold.systems.rehearsal.task import StreamQuestions
from tenfold.tasks.classification.task import Classifier
from tenfold.tasks.link_prediction.task import LinkPrediction
from tenfold.tasks.next_item.task import NextItem
from tenfold.tasks.table_text.task import TableText

BATCHES = 8  # of one epoch of `data` with the options `tiny`


def blobs(train=64, others=20, classes=4):
    """Grey pictures of 4 x 4 with noise, bright where their class is; 64 are trained on: eight batches of 8."""
    rng, size = np.random.default_rng(train + classes), train + 2 * others
    labels = np.arange(size) % classes
    pixels = rng.integers(0, 120, (size, 4, 4, 1))
    for row, label in enumerate(labels):
        pixels[row, label % 4 // 2 * 2 : label % 4 // 2 * 2 + 2, label % 2 * 2 : label % 2 * 2 + 2] += 100
    parts = np.repeat([0, 1, 2], [train, others, others]).astype(np.uint8)
    names = Vocabulary(pl.Series([f"place {number}" for number in range(classes)]))
    return LabelledPictures(pixels.astype(np.uint8), (labels + 1).astype(np.int32), names, parts)


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
    protocol: Mapping[str, Any] = {}  # how `evaluate` measures, where its defaults take long


def keyed(count: int, values: int = 3) -> Any:
    from tenfold.systems.rehearsal.lengthen import keyed_streams

    return keyed_streams(count, segments=3, segment=4, facts=2, keys=4 + 2 * (values - 2), values=values, background=8)


TASKS = {
    NextItem: Small(
        data=ring_walks,
        less=lambda: ring_walks(users=20),
        newer=lambda: ring_walks(users=70, rings=6),
        alone=lambda: ring_walks(users=1),
        answer=lambda system: system.recommend(["r0i1", "r0i2"]),
        skipped=["time", "spans"],
    ),
    Classifier: Small(
        data=blobs,
        less=lambda: blobs(train=40),
        newer=lambda: blobs(train=64, classes=6),
        alone=lambda: blobs(train=16, others=1),
        answer=lambda system: system.classify(blobs().pixels[70], flips=False),
        change={"model.width": 7},
        protocol={"steps": 2, "apgd_steps": 3},
    ),
    LinkPrediction: Small(
        data=meetings,
        less=lambda: meetings(60),
        newer=lambda: meetings(130, people=15),
        alone=lambda: meetings(7),
        answer=lambda system: system.predict_links("p1", k=3),
        between=(0.0, 20.0),  # the mean rank is a figure too
    ),
    TableText: Small(
        data=people,
        less=lambda: people(20, 4, 4),
        newer=lambda: people(72, more_keys=True),
        alone=lambda: people(9, 1, 1),
        answer=lambda system: system.describe(person(3)[0]).text,
        change={"network.dim": 8},
        between=(0.0, 1000.0),  # percent; a text may be much longer than its reference
    ),
    StreamQuestions: Small(
        data=lambda: keyed(80),
        less=lambda: keyed(40),
        newer=lambda: keyed(100, values=4),
        alone=lambda: keyed(3),
        answer=lambda system: system.probabilities(keyed(5)).tolist(),
        skipped=["given"],
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


# Rivals of one frame, a loss each: `make check` leaves the contract of most to `make test`.
ALIKE = {
    "trades",
    "mart",
    "rslad",
    "adaad",
    "adaiad",
    "akd2",
    "stream-gru",
    "associative",
    "last-items",
    "full-attention",
    "compressive-transformer",
    "neural-computer",
    "periodic-memory",
    "seq2seq",
    "forced-beam",
    "comirec-sa",
    "mind",
    "hpmn",
    "running-mean",
}


def small(cls: type) -> Small:
    for base in cls.__mro__:
        if base in TASKS:
            return TASKS[base]
    raise LookupError(f"tests/small.py has no small data for the task of {cls.__name__}; add them to TASKS")
