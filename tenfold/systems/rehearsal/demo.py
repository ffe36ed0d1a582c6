"""Rehearsal Memory's part of the report: a shop's questions about what customers did, from a memory of one size."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
from tenfold.systems.rehearsal.lengthen import keyed_streams
from tenfold.systems.rehearsal.pictures import by_age, writing
from tenfold.systems.rehearsal.readers import read_streams
from tenfold.systems.rehearsal.rivals import LastItems
from tenfold.systems.rehearsal.system import Rehearsal

SMALL = {"dim": 32, "hops": 1, "dropout": 0.0, "training.lr": 0.005}
MEMORY = {"memory.slots": 8, "memory.layers": 1, "memory.heads": 2, "rehearsal.sampler": "uniform",
          "rehearsal.recollection": 0.1, "rehearsal.familiarity": 0.05, "rehearsal.fragments": 2}  # fmt: skip
WINDOW = {"slots": 8, "layers": 1, "heads": 2}
QUESTIONS = 1_000  # the shop's folder has too few to learn from
KEYED: dict[str, Any] = {
    "segments": 8,
    "segment": 4,
    "facts": 2,
    "keys": 8,
    "values": 8,
    "queries": 2,
    "background": 20,
    "held": 0.1,
}


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    return [_shop(folder, events, quick, tell), *_keyed(folder, quick, tell)]


# The shop's questions -------------------------------------------------------------------------------------------------


def _shop(folder: Path, events: Events, quick: bool, tell: Callable[[str], None]) -> Section:
    data = questions_of(folder / "shop", events, None if quick else QUESTIONS)
    budget = Budget(max_epochs=1 if quick else 100, max_seconds=3, progress="none")
    system = Rehearsal(**SMALL, **MEMORY, **{"memory.segment": 16}).fit(data, split="given", budget=budget)
    window = LastItems(**SMALL, **WINDOW, segment=16).fit(data, split="given", budget=budget)
    tell(
        f"Rehearsal Memory: {len(system.history['rehearsal'])} epochs on {len(data.questions):,} questions of the shop"
    )
    found: dict[str, Mapping[str, float]] = {
        "memory": system.evaluate(data, by="kind"),
        "the last 8 events": window.evaluate(data, by="kind"),
        "the commonest answer": commonest(data),
    }
    names = ["accuracy", *sorted(name for name in found["memory"] if name != "accuracy")]
    rows = [
        ["all" if name == "accuracy" else name[9:-1], *(f"{one.get(name, np.nan):.3f}" for one in found.values())]
        for name in names
    ]
    asked = len(cut(data, "given").part("test").questions)
    said = (
        f"Customers' events, {data.lengths.mean():,.0f} each on average, were read once into a memory of "
        f"{system.capacity_report().bytes:,} bytes, and {asked:,} questions came when they were gone: how many, which "
        "first, what colour. Shares of right answers in the test part. A few seconds on a thousand questions are not "
        "enough to learn to count: look at this as what training begins with, and at the next table for what it is."
    )
    return Section("Rehearsal Memory: a shop's questions", paragraph(said) + table(["kind", *found], rows))


def questions_of(shop: Path, events: Events, count: int | None) -> Streams:
    """The questions of the shop's folder, or `count` of the same shop, drawn again from its options."""
    if count is None:
        return read_streams(events, questions=read_questions(shop / "questions.jsonl"))
    chosen = json.loads((shop / "shop.json").read_text(encoding="utf-8"))["options"] | {"questions": count}
    drawn = Shop(parse(ShopOptions, chosen), progress=False).questions()
    return read_streams(events, questions=read_questions(drawn))


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


# Drawn streams, with a known place for what matters -----------------------------------------------------------------


def _keyed(folder: Path, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    data = keyed_streams(100 if quick else 6_000, **KEYED)
    budget = Budget(max_epochs=1 if quick else 20, max_seconds=10, progress="none")
    system = Rehearsal(**SMALL, **MEMORY, **{"memory.segment": 4, "rehearsal.length": 4})
    system.fit(data, split="given", budget=budget)
    window = LastItems(**SMALL, **WINDOW, segment=4)
    window.fit(data, split="given", budget=Budget(max_epochs=1 if quick else 20, max_seconds=3, progress="none"))
    system.save(folder / "fitted" / "Rehearsal")
    arms = {"memory": system, "the last 8 words": window}
    found = {name: arm.evaluate(data, by="age") for name, arm in arms.items()}
    right = found["memory"]["accuracy"]
    tell(f"Rehearsal Memory on drawn streams: {right:.0%} right, {found['the last 8 words']['accuracy']:.0%} from the "
         "last 8 words")  # fmt: skip
    said = (
        "Streams of 32 words, two of them keys with a value behind them; a key is asked when all was read. Chance is "
        "one in eight. Those were seconds of training, and what is old is learned last. The memory has "
        f"{system.capacity_report().bytes:,} bytes whatever the length; `tenfold claims rehearsal` trains longer."
    )
    drawn = picture(by_age(found, chance=1 / KEYED["values"]), "share of right answers by where the evidence stands")
    return [
        Section("Rehearsal Memory: what is kept, by how old it is", paragraph(said) + drawn),
        _writing(cut(data, "given").part("test"), system),
    ]


def _writing(data: Streams, system: Rehearsal) -> Section:
    question = data.questions.filter(pl.col("stream") == 0)
    words = np.array(["", *data.words.series.to_list()], dtype=object)
    items = [str(words[n]) for n in data.items.words[: int(data.offsets[1])]]
    marked = sorted({place for places in question["evidence"].to_list() for place in places})
    drawn = picture(writing(system, items, marked), "what each slot is written from, and how much of it is kept")
    said = (
        "What went where while one of these streams was read. Arrows are the keys and values that are asked about. "
        "Above, a dark column is a word that slots took in; below, a light one is a segment in which they gave up old "
        "content. Slots compete for words, and one that wins nothing keeps what it holds: what is forgotten is what "
        "another fact of the same slot was written over."
    )
    return Section("Rehearsal Memory: what is written, and what is kept", paragraph(said) + drawn)
