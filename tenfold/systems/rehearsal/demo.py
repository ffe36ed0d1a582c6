"""Rehearsal Memory's part of the report: a shop's questions about what customers did, from a memory of one size."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.questions import read_questions
from tenfold.html import Section, paragraph, picture, table
from tenfold.options import parse
from tenfold.shop import Options as ShopOptions
from tenfold.shop import Shop
from tenfold.systems.rehearsal.data import Streams, cut
from tenfold.systems.rehearsal.pictures import writing
from tenfold.systems.rehearsal.readers import read_streams
from tenfold.systems.rehearsal.rivals import LastItems
from tenfold.systems.rehearsal.system import Rehearsal

SMALL = {"dim": 48, "memory.slots": 8, "memory.segment": 8, "memory.layers": 1, "memory.heads": 2, "dropout": 0.0,
         "rehearsal.sampler": "uniform", "rehearsal.recollection": 0.1, "rehearsal.familiarity": 0.05,
         "rehearsal.fragments": 2, "training.lr": 0.003}  # fmt: skip
QUESTIONS = 3_000
SHOWN = 48  # items of the stream whose writing is drawn


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    data = questions_of(folder, events, 100 if quick else QUESTIONS)
    budget = Budget(max_epochs=1 if quick else 100, max_seconds=9, progress="none")
    slots = {"dim": 48, "slots": 8, "segment": 8, "layers": 1, "heads": 2, "dropout": 0.0, "training.lr": 0.003}
    system = Rehearsal(**SMALL).fit(data, split="given", budget=budget)
    window = LastItems(**slots).fit(data, split="given", budget=budget)
    system.save(folder / "fitted" / "Rehearsal")
    tell(f"Rehearsal Memory: {len(system.history['rehearsal'])} epochs on {len(data.questions):,} questions")
    arms = {"Rehearsal Memory": system, "the last 8 events": window}
    found: dict[str, Mapping[str, float]] = {name: arm.evaluate(data, by="kind") for name, arm in arms.items()}
    found["the commonest answer of its kind"] = commonest(data)
    return [_answers(data, system, found), _writing(data, system)]


def questions_of(folder: Path, events: Events, count: int) -> Streams:
    """Of this shop's customers: more than the shop's folder holds, drawn from the same seed."""
    log = pl.read_parquet(folder / "shop" / "questions.parquet") if count <= 100 else None
    if log is None:
        chosen = {"items": len(events.catalogue), "users": len(events), "events": len(events.items), "questions": count}
        log = Shop(parse(ShopOptions, chosen), progress=False).questions()
    return read_streams(events, questions=read_questions(log))


def commonest(data: Streams) -> dict[str, float]:
    """What the most frequent answer of each kind in the training part gets in the test part."""
    parts = cut(data, "given")
    train, test = (parts.part(name).questions for name in ("train", "test"))
    guess = {kind: rows["answer"].mode().sort()[0] for (kind,), rows in train.group_by("kind")}
    right = np.array([guess.get(row["kind"]) == row["answer"] for row in test.iter_rows(named=True)])
    kinds = test["kind"].to_numpy()
    return {"accuracy": float(right.mean())} | {
        f"accuracy[{kind}]": float(right[kinds == kind].mean()) for kind in set(kinds)
    }


def _answers(data: Streams, system: Rehearsal, found: Mapping[str, Mapping[str, float]]) -> Section:
    names = ["accuracy", *sorted(name for name in found["Rehearsal Memory"] if name != "accuracy")]
    rows = [
        [
            ("all" if name == "accuracy" else name[9:-1]),
            *(f"{one.get(name, float('nan')):.3f}" for one in found.values()),
        ]
        for name in names
    ]
    said = (
        f"Each customer's events were read once, {data.lengths.mean():,.0f} of them on average, into a memory of "
        f"{system.capacity_report().bytes:,} bytes; then they were thrown away, and questions came about "
        "all of them. "
        "Right answers in the test part, by kind of question. These are seconds of training: learning to keep what "
        "will be asked takes longer."
    )
    return Section(
        "Rehearsal Memory: questions about what is no longer there", paragraph(said) + table(["kind", *found], rows)
    )


def _writing(data: Streams, system: Rehearsal) -> Section:
    question = data.questions.filter(pl.col("evidence").list.max() < SHOWN).row(0, named=True)
    first = int(data.offsets[question["stream"]])
    stop = min(first + min(SHOWN, question["time"]), int(data.offsets[question["stream"] + 1]))
    words = np.array(["", *data.words.series.to_list()], dtype=object)
    items = [" ".join(words[data.items.table(np.array([row]))[0]]) for row in range(first, stop)]
    drawn = picture(
        writing(system, items, question["evidence"]), "write attention by slot and item, keep gate by segment"
    )
    said = (
        f"What went where while one customer's first {len(items)} events were read. Arrows are the events that decide "
        f'"{question["question"]}" ({question["answer"]}).'
    )
    return Section("Rehearsal Memory: what is written, and what is kept", paragraph(said) + drawn)
