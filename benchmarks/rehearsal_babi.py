"""Rehearsal Memory on bAbI, one system a task, one core: as it is, and among sentences of a book.

as_is: tasks 1, 6, 11, 12 and 15 of en-10k with the options as they come. A tenth of the training stories says which
epoch is kept; the test part is looked at once. Streams of five to fourteen sentences are one or two segments: they show
that the reader works, not what the memory holds.
long: task 1 at 128 words. Training streams are the training file's stories among the first 80 % of a book's sentences,
asked at every question; tested on the fixed streams of `long_babi_test`, whose book is the other fifth. The same
network that keeps all of the stream stands beside it.
Seconds are the processor's, of one thread.
"""

import argparse
import gzip
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import harness
from tenfold.systems.rehearsal.data import Streams
from tenfold.systems.rehearsal.options import ReadOptions
from tenfold.systems.rehearsal.readers import read_streams
from tenfold.systems.rehearsal.rivals import FullAttentionReader
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.systems.rehearsal.task import StreamQuestions

TASKS = ("qa1", "qa6", "qa11", "qa12", "qa15")
BOOK = 4_530  # sentences of the book for training; the others are those of the test streams
EPOCHS, PATIENCE, SEEDS = {"as_is": 12, "long": 8}, 4, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one task, one epoch of few stories")
    parser.add_argument("--only", choices=("as_is", "long"), help="one part of it")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part, measure in (("as_is", as_is), ("long", long_babi)):
            if asked.only in (None, part):
                figures |= measure(Path(folder), asked.quick)
    notes = ["The machine was shared.", f"At most {EPOCHS['as_is']} epochs as it is, {EPOCHS['long']} for long bAbI."]
    harness.report("rehearsal_babi", figures, notes=notes)


def as_is(folder: Path, quick: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    for task in TASKS[-1:] if quick else TASKS:
        data = read_streams(files_of(task, folder))
        errors, seconds = [], []
        for seed in range(1 if quick else SEEDS):
            train = named(data, f"{task}/train/19") if quick else data
            system, spent = fitted(Rehearsal(), train, 1 if quick else EPOCHS["as_is"], seed)
            errors.append(100 - 100 * system.evaluate(data, split="given")["accuracy"])
            seconds.append(spent)
        found |= {f"{task}_error_worst": max(errors), f"{task}_error_median": harness.median(errors),
                  f"{task}_seconds": max(seconds)}  # fmt: skip
    return found


def long_babi(folder: Path, quick: bool, words: int = 128) -> dict[str, float]:
    book = folder / "book.txt"
    sentences = gzip.decompress(harness.data("rehearsal/book_sentences.txt.gz").read_bytes()).decode().splitlines()
    book.write_text("\n".join(sentences[:BOOK]))
    train = read_streams(files_of("qa1", folder, "train"), ReadOptions(lengthen=words, background=str(book)))
    tests = read_streams(harness.data("rehearsal/long_babi_test.jsonl.gz"))
    test = named(tests, f"qa1-{words}-")
    found: dict[str, float] = {}
    for name, system in (("memory", Rehearsal()), ("all_kept", FullAttentionReader())):
        one, spent = fitted(system, named(train, "qa1/train/19") if quick else train, 1 if quick else EPOCHS["long"], 0)
        found[f"qa1_{words}_{name}"] = 100 * one.evaluate(test, split="none")["accuracy"]
        found[f"qa1_{words}_{name}_seconds"] = spent
    return found


def files_of(task: str, folder: Path, part: str = "") -> Path:
    """A folder that holds a task's files of en-10k alone, or one of them."""
    found = folder / f"{task}{part}"
    found.mkdir(exist_ok=True)
    with tarfile.open(harness.data("rehearsal/babi_dev.tar.gz")) as archive:
        for member in archive:
            name = Path(member.name).name
            if "en-10k" in member.name and name.startswith(f"{task}_") and name.endswith(f"{part}.txt"):
                (found / name).write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    return found


def named(data: Streams, start: str) -> Streams:
    """The streams whose id begins so, and what is asked of them."""
    return data.take(np.array([own.startswith(start) for own in data.ids]), np.ones(len(data.questions), bool))


def fitted(system: StreamQuestions, data: Streams, epochs: int, seed: int) -> tuple[StreamQuestions, float]:
    """And the processor's seconds that it took. Of the epochs, the best on a tenth of the training streams is kept."""
    began = time.process_time()
    system.fit(data, split="given", max_epochs=epochs, patience=PATIENCE, seed=seed, threads=1, progress="none")
    return system, time.process_time() - began


if __name__ == "__main__":
    main()
