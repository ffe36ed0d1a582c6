"""Rehearsal Memory on bAbI, one system a task, one core: as it is, and among sentences of a book.

qa1, qa5, qa6, qa7, qa11, qa12, qa14, qa15: these tasks of en-10k with the options as they come, task 1 with three
seeds. A tenth of the training stories says which epoch is kept; the test part is looked at once. Streams of five to
fourteen sentences are one or two segments: they show that the reader works, not what the memory holds.
qa1_128, qa6_128, qa1_512, qa6_512: these tasks at so many words, one seed. Training streams are the training file's
stories among the first 80 % of a book's sentences, asked at every question; tested on the fixed streams of
`long_babi_test`, whose book is the other fifth. A network that keeps all of the stream stands beside it; `oldest` are
the questions whose first evidence lies in the oldest quarter of the stream.
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

BOOK = 4_530  # sentences of the book for training; the others are those of the test streams
EPOCHS, PATIENCE = {"as_is": 40, 128: 6, 512: 2}, 8
SEEDS = {"qa1": 3}  # of the others one
PARTS = ("qa1", "qa5", "qa6", "qa7", "qa11", "qa12", "qa14", "qa15", "qa1_128", "qa6_128", "qa1_512", "qa6_512")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one task each, one epoch of few stories")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    chosen = (asked.only,) if asked.only else ("qa15", "qa1_128") if asked.quick else PARTS
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen:
            task, _, words = part.partition("_")
            where = Path(folder)
            figures |= long_babi(where, task, int(words), asked.quick) if words else as_is(where, task, asked.quick)
    notes = [
        "The machine was shared.",
        f"At most {EPOCHS['as_is']} epochs as it is, {EPOCHS[128]} and {EPOCHS[512]} of streams of 128 and 512 words.",
    ]
    harness.report("rehearsal_babi", figures, notes=notes)


def as_is(folder: Path, task: str, quick: bool) -> dict[str, float]:
    data = read_streams(files_of(task, folder))
    errors, seconds = [], []
    for seed in range(1 if quick else SEEDS.get(task, 1)):
        train = named(data, f"{task}/train/19") if quick else data
        system, spent = fitted(Rehearsal(), train, 1 if quick else EPOCHS["as_is"], seed)
        errors.append(100 - 100 * system.evaluate(data, split="given")["accuracy"])
        seconds.append(spent)
        print(f"{task}, seed {seed}: {errors[-1]:.2f} % wrong, {spent:.0f} s", flush=True)
    return {f"{task}_error_worst": max(errors), f"{task}_error_median": harness.median(errors),
            f"{task}_seconds": max(seconds)}  # fmt: skip


def long_babi(folder: Path, task: str, words: int, quick: bool) -> dict[str, float]:
    book = folder / "book.txt"
    sentences = gzip.decompress(harness.data("rehearsal/book_sentences.txt.gz").read_bytes()).decode().splitlines()
    book.write_text("\n".join(sentences[:BOOK]))
    tests = read_streams(harness.data("rehearsal/long_babi_test.jsonl.gz"))
    train = read_streams(files_of(task, folder, "train"), ReadOptions(lengthen=words, background=str(book)))
    if quick:
        train = named(train, f"{task}/train/19")
    found: dict[str, float] = {}
    for name, system in (("memory", Rehearsal()), ("all_kept", FullAttentionReader())):
        one, spent = fitted(system, train, 1 if quick else EPOCHS[words], 0)
        right = one.evaluate(named(tests, f"{task}-{words}-"), split="none", by="age")
        found |= {f"{task}_{words}_{name}": 100 * right["accuracy"],
                  f"{task}_{words}_{name}_oldest": 100 * right["accuracy[oldest quarter]"],
                  f"{task}_{words}_{name}_seconds": spent}  # fmt: skip
        print({key: round(value, 1) for key, value in found.items() if f"{words}_{name}" in key}, flush=True)
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
