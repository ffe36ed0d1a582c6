"""bAbI as this room's claims and benchmarks have it: a task of en-10k as it is, or among sentences of a book."""

from itertools import islice

import numpy as np

from tenfold.budget import Budget
from tenfold.data import public
from tenfold.data.dataset import ReadReport
from tenfold.systems.rehearsal.data import Streams
from tenfold.systems.rehearsal.lengthen import lengthen
from tenfold.systems.rehearsal.readers import babi_files, babi_stories, read_streams, read_text, split_sentences

BOOK = 4_530  # sentences of the book to train among; the others are those of the test streams
EPOCHS, PATIENCE = 40, 8  # of a task as it is, at most


def as_it_is(task: str) -> Streams:
    """Both parts of a task, qa1 and so on, as split "given" takes them. Raises DataError where it is not here."""
    return Streams.of(babi_stories(_files(task)), ReadReport(source=f"bAbI, {task}"))


def long_training(task: str, words: int, most: int | None = None) -> Streams:
    """A stream of so many words for each training question, or the first `most` of them, among the first 80 % of the
    book. Raises DataError."""
    lines = read_text(public.files("pride-and-prejudice")["sentences"]).splitlines()
    stories = babi_stories({key: file for key, file in _files(task).items() if key[1] == "train"})
    long = lengthen(stories, split_sentences("\n\n".join(lines[:BOOK])), words)
    return Streams.of(islice(long, most), ReadReport(source=f"long bAbI, {task}"))


def long_tests(task: str, words: int) -> Streams:
    """200 fixed test streams among the other 20 %: of qa1, qa2 and qa6 with 128, 512 and 2,048 words."""
    return named(read_streams(public.files("long-babi")["questions"]), f"{task}-{words}-")


def few(data: Streams) -> Streams:
    """About a tenth of the training stories, those whose number begins with 19, for a smoke run."""
    return data.take(np.array(["/train/19" in own for own in data.ids]), np.ones(len(data.questions), bool))


def named(data: Streams, start: str) -> Streams:
    """The streams whose id begins so, and what is asked of them."""
    return data.take(np.array([own.startswith(start) for own in data.ids]), np.ones(len(data.questions), bool))


def budget(epochs: int, seed: int = 0) -> Budget:
    """Of these epochs the best on a tenth of the training streams is kept."""
    return Budget(max_epochs=epochs, patience=PATIENCE, seed=seed, threads=1, progress="none")


def _files(task: str) -> dict[tuple[str, str], tuple[str, bytes]]:
    files, _ = babi_files(public.files("babi")["archive"])
    return {key: file for key, file in files.items() if key[0] == task}
