"""Rehearsal Memory on bAbI, one system a task, one core: as it is, and among sentences of a book.

qa1, qa2, qa5, qa6, qa7, qa11, qa12, qa14, qa15: these tasks of en-10k with the options as they come, task 1 with three
seeds. A tenth of the training stories says which epoch is kept; the test part is looked at once. Most of these streams
have five to fourteen sentences, one or two segments: they show that the reader works, not what the memory holds.
qa1_128, qa6_128, qa1_512, qa6_512, qa1_2048: these tasks at so many words, one seed. Training streams are the training
file's stories among the first 80 % of a book's sentences, asked at every question; tested on the fixed streams of
`long_babi_test`, whose book is the other fifth. A network that keeps all of the stream stands beside it; `oldest` are
the questions whose first evidence lies in the oldest quarter of the stream.
Seconds are the processor's, of one thread.
"""

import argparse
import time

from benchmarks import harness
from tenfold.systems.rehearsal import babi
from tenfold.systems.rehearsal.data import Streams
from tenfold.systems.rehearsal.rivals import FullAttentionReader
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.systems.rehearsal.task import StreamQuestions

EPOCHS = {128: 6, 512: 2, 2_048: 1}  # by the words of a stream
SEEDS = {"qa1": 3}  # of the others one
PARTS = ("qa1", "qa2", "qa5", "qa6", "qa7", "qa11", "qa12", "qa14", "qa15", "qa1_128", "qa6_128", "qa1_512", "qa6_512",
         "qa1_2048")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one task each, one epoch of few stories")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    for name in ("babi_dev.tar.gz", "book_sentences.txt.gz", "long_babi_test.jsonl.gz"):
        harness.data(f"rehearsal/{name}")
    chosen = (asked.only,) if asked.only else ("qa15", "qa1_128") if asked.quick else PARTS
    for part in chosen:
        task, _, words = part.partition("_")
        figures |= long_babi(task, int(words), asked.quick) if words else as_is(task, asked.quick)
    notes = [
        "The machine was shared.",
        f"At most {babi.EPOCHS} epochs as it is, {EPOCHS[128]}, {EPOCHS[512]} and {EPOCHS[2_048]} of streams of 128, "
        "512 and 2,048 words.",
    ]
    harness.report("rehearsal_babi", figures, notes=notes)


def as_is(task: str, quick: bool) -> dict[str, float]:
    data = babi.as_it_is(task)
    errors, seconds = [], []
    for seed in range(1 if quick else SEEDS.get(task, 1)):
        train = babi.few(data) if quick else data
        system, spent = fitted(Rehearsal(), train, 1 if quick else babi.EPOCHS, seed)
        errors.append(100 - 100 * system.evaluate(data, split="given")["accuracy"])
        seconds.append(spent)
        print(f"{task}, seed {seed}: {errors[-1]:.2f} % wrong, {spent:.0f} s", flush=True)
    return {f"{task}_error_worst": max(errors), f"{task}_error_median": harness.median(errors),
            f"{task}_seconds": max(seconds)}  # fmt: skip


def long_babi(task: str, words: int, quick: bool) -> dict[str, float]:
    train, tests = babi.long_training(task, words), babi.long_tests(task, words)
    if quick:
        train = babi.few(train)
    found: dict[str, float] = {}
    for name, system in (("memory", Rehearsal()), ("all_kept", FullAttentionReader())):
        one, spent = fitted(system, train, 1 if quick else EPOCHS[words], 0)
        right = one.evaluate(tests, split="none", by="age")
        found |= {f"{task}_{words}_{name}": 100 * right["accuracy"],
                  f"{task}_{words}_{name}_oldest": 100 * right["accuracy[oldest quarter]"],
                  f"{task}_{words}_{name}_seconds": spent}  # fmt: skip
        print({key: round(value, 1) for key, value in found.items() if f"{words}_{name}" in key}, flush=True)
    return found


def fitted(system: StreamQuestions, data: Streams, epochs: int, seed: int) -> tuple[StreamQuestions, float]:
    """And the processor's seconds that it took. Of the epochs, the best on a tenth of the training streams is kept."""
    began = time.process_time()
    system.fit(data, split="given", budget=babi.budget(epochs, seed))
    return system, time.process_time() - began


if __name__ == "__main__":
    main()
