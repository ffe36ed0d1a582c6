"""SANA's part of the report: items of the shop described from their tables, beside a pointer-generator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.fact_tables import FactTables, read_fact_tables
from tenfold.report import Section, paragraph, table
from tenfold.shop import Options as ShopOptions
from tenfold.shop import Shop
from tenfold.shop.facts import Cell as Fact
from tenfold.shop.facts import clash, said
from tenfold.systems.sana.showing import MARKED, part_of
from tenfold.systems.sana.system import SANA
from tenfold.tasks.table_text.baselines.generators import PointerGenerator
from tenfold.tasks.table_text.task import TableText

TEXTS = 4_500  # the demo's own shop has too few; of these some 400 are terse and short
WORDS, CELLS = 16, 6  # of a text, and of its table: seconds of training teach no more
NETWORK = {
    "network.dim": 64,
    "network.hidden": 128,
    "network.layers": 1,
    "text.vocabulary": 800,
    "training.lr": 0.003,
    "training.batch_size": 16,
}
SHOWN = 4
MEASURED = 60


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    data = short_texts(600 if quick else TEXTS)
    budget = Budget(max_epochs=20, max_seconds=1.0 if quick else 12.0, progress="none")
    small = {"network.dim": 16, "network.heads": 2, "network.hidden": 16} if quick else NETWORK
    chosen = {**small, "training.validated": 8}
    systems: dict[str, TableText] = {"SANA": SANA(**chosen), "pointer-generator": PointerGenerator(**chosen)}
    for name, system in systems.items():
        system.fit(data, budget=budget)
        tell(f"{name} on {len(data):,} texts of the shop, short ones: {sum(map(len, system.history.values()))} epochs")
    systems["SANA"].save(folder / "fitted" / "SANA")
    return [_described(systems, data), _counted(systems, data, MEASURED if not quick else 10)]


def shop_texts(count: int, *, invented: float = 0.1, seed: int = 1) -> FactTables:
    """Texts of a shop of their own; a share of them tells a fact that their table does not have."""
    shop = Shop(ShopOptions(items=max(count // 2, 20), users=20, events=200, texts=count, invented=invented, seed=seed))
    return read_fact_tables(shop.texts())


def short_texts(count: int, *, seed: int = 1) -> FactTables:
    """Of so many texts the terse ones of at most WORDS words; of their tables what they say, and up to CELLS cells."""
    shop = Shop(ShopOptions(items=max(count // 8, 20), users=20, events=200, texts=count, invented=0.1, seed=seed))
    drawn = shop.texts()
    short = drawn.filter((pl.col("style") == "terse") & (pl.col("text").str.split(" ").list.len() <= WORDS))
    rows = short.to_dicts()
    for row in rows:
        told = sum(cell["said"] for cell in row["table"])
        row["table"] = sorted(row["table"], key=lambda cell: not cell["said"])[: max(CELLS, told)]
    return read_fact_tables(pl.DataFrame(rows, schema=short.schema))


def facts_told(system: TableText, data: FactTables, count: int) -> dict[str, np.ndarray]:
    """(N,) each, by the shop's own matcher: how many of a table's facts its text tells, in percent, and how many that
    the table does not have.

    A fact that the table lacks is looked for among all facts of the other tested tables with its attribute, where the
    text tells none of the table's own with that attribute. Words that say a fact of the table say no other: "40 cm"
    of a table's length is not an invented width.
    """
    tested = data.split("test").take(np.arange(min(count, len(data.split("test")))))
    tables = [system.splitter.table(one, f"table {i}") for i, one in enumerate(tested, start=1)]
    written = [system.explained(table, text).text for table, text in zip(tables, system.write(tables), strict=True)]
    known: dict[str, set[str]] = {}
    for one in tested:
        for cell in one.cells:
            known.setdefault(cell.attribute, set()).add(cell.value)
    told, foreign = np.zeros(len(written)), np.zeros(len(written))
    for row, (one, text) in enumerate(zip(tested, written, strict=True)):
        own = {(cell.attribute, cell.value) for cell in one.cells}
        there = {pair for pair in own if said(text, Fact(*pair)) is not None}
        told[row] = 100 * len(there) / len(own)
        for attribute in known.keys() - {attribute for attribute, _ in there}:
            found = (Fact(attribute, value) for value in sorted(known[attribute]) if (attribute, value) not in own)
            foreign[row] += any(
                said(text, fact) is not None and not any(clash(fact, Fact(*pair)) for pair in there) for fact in found
            )
    return {"facts told": told, "facts invented a text": foreign}


def _described(systems: dict[str, TableText], data: FactTables) -> Section:
    tested = data.split("test")
    parts = [f"<style>{MARKED}</style>"]
    said_of = (
        "Tables of items that no system saw. A shaded word was copied from the table, a grey one not; the bars say "
        "how much of each cell the text says. Below, the rounds of edits: the skeleton's words stay, new ones green. "
        "Tables are cut to what is short to say, and some seconds of training teach fragments; the room's page says "
        "what more gives."
    )
    for row in different_tables(tested)[:SHOWN]:
        own = systems["SANA"].table_of(tested[row])
        text = systems["SANA"].explained(own, systems["SANA"].write([own], traced=True)[0])
        other = systems["pointer-generator"].describe(tested[row]).text
        parts.append(
            part_of(text) + paragraph(f"Pointer-generator: {other}") + paragraph(f"Seller: {tested[row].texts[0]}")
        )
    return Section("SANA: tables of the shop in words", paragraph(said_of) + "".join(parts))


def different_tables(data: FactTables) -> list[int]:
    """A place of each table: several texts may tell of one."""
    return list(
        {tuple((cell.attribute, cell.value) for cell in one.cells): row for row, one in enumerate(data)}.values()
    )


def _counted(systems: dict[str, TableText], data: FactTables, count: int) -> Section:
    rows: list[list[Any]] = []
    for name, system in systems.items():
        told = {figure: each.mean() for figure, each in facts_told(system, data, count).items()}
        found = {**told, **system.evaluate(data, at_most=count)}
        names = ("facts told", "facts invented a text", "bleu", "parent_f", "parent_t_recall")
        rows.append([name, *(f"{found[each]:.2f}" for each in names)])
    how = (
        f"{count} tables of the test part; both were trained for about as long. Facts are found by the shop's own "
        "matcher, which knows that a hooded top is a hoodie."
    )
    header = ["", "facts told, %", "facts invented a text", "BLEU", "PARENT F", "PARENT-T recall"]
    return Section("SANA: what is told, and what is invented", paragraph(how) + table(header, rows))
