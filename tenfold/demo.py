"""The main job: a shop made on the spot, what one would use on it side by side, and one page that explains it.

A room of `systems/` adds its part with a `demo.py` that has `sections(shop, events, *, quick, tell)`.
"""

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tenfold.budget import Budget
from tenfold.compare import compare
from tenfold.comparison import Comparison, machine_told
from tenfold.data.events import Events, read_events
from tenfold.data.splits import split
from tenfold.html import Section, paragraph, write_report
from tenfold.html import table as html_table
from tenfold.options import parse
from tenfold.report import comparison_section
from tenfold.shop import Options, Shop
from tenfold.shop.sheet import pictures_strip
from tenfold.shop.truth import AT
from tenfold.systems import SYSTEMS
from tenfold.tasks.next_item.report import histories_section

BESIDE = {"pictures": 300, "texts": 300, "scenes": 60, "meetings": 2_000, "questions": 200, "labels": 200, "makes": 40}
SHOP: dict[str, Any] = {"items": 600, "users": 600, "events": 60_000} | BESIDE
TINY_SHOP: dict[str, Any] = {"items": 60, "users": 40, "events": 2_000} | {name: 20 for name in BESIDE}
# Given by hand, none tuned: the same width, loss and length for all that train.
TRAINED = "loss.name=softmax,training.batch_size=32,training.lr=0.002"
ARMS = (
    f"SASRec=sasrec:{TRAINED}",
    f"LISA=lisa:preset=mini,{TRAINED}",
    f"linear transformer=transformer:attention=linear,{TRAINED}",
    "item-knn",
    "markov",
    "personal-frequency",
    "repeat-last",
    "popularity",
)


def run(folder: Path, *, quick: bool, tell: Callable[[str], None]) -> Path:
    """Writes the shop, the fitted systems, the comparison and report.html; returns the page's path."""
    began = time.perf_counter()
    sizes = TINY_SHOP if quick else SHOP
    shop = Shop(parse(Options, sizes), processes=1 if quick else os.cpu_count() or 1, progress=False)
    tell(f"shop: {shop.options.items:,} items, {shop.options.users:,} customers, {shop.options.events:,} events")
    shop.write(folder / "shop", force=True)
    events = read_events(folder / "shop" / "events.parquet", items=str(folder / "shop" / "catalog.parquet"))
    sections = [_shop_section(shop, folder / "shop")]
    for part in (_next_items, *_rooms()):
        sections += part(folder, events, quick=quick, tell=tell)
    seconds = time.perf_counter() - began
    page = folder / "report.html"
    write_report(
        page,
        "Tenfold on a shop of its own",
        sections,
        lead="A marketplace drawn from a seed, the recommenders that one would use on it, and what they recommend.",
        about=[f"Made in {seconds:.0f} s on {machine_told()}.", "Again: tenfold demo"],
    )
    tell(f"done in {seconds:.0f} s")
    return page


def _rooms() -> Iterator[Callable[..., list[Section]]]:
    for row in SYSTEMS.values():
        home = row.path.partition(":")[0].rpartition(".")[0]
        if row.path and importlib.util.find_spec(f"{home}.demo") is not None:
            yield importlib.import_module(f"{home}.demo").sections


def _shop_section(shop: Shop, folder: Path) -> Section:
    """Some of what is sold, and how often one could guess a customer's next event."""
    seen = pl.read_parquet(folder / "pictures.parquet").unique("item", maintain_order=True).head(12)
    strip = pictures_strip(seen["image"]) + '<p class="small"><a href="shop/index.html">More of the shop</a></p>'
    some = shop.catalog().sample(6, seed=1).select("title", "category", "brand", "price")
    lines = [[title, category, brand, f"{price:.2f}"] for title, category, brand, price in some.iter_rows()]
    sizes = shop.options
    said = (
        f"{sizes.items:,} items, {sizes.users:,} customers and {sizes.events:,} events, drawn from seed {sizes.seed}: "
        "the same seed gives the same shop. Some of its items:"
    )
    truth = shop.learnable["loo"]
    hits = [[who, *(f"{hit:.3f}" for hit in rates)] for who, rates in [*truth.rules.items(), ("oracle", truth.oracle)]]
    known = (
        "How often a customer's next event is among the first 1, 10 and 20 of a list. The oracle knows what the "
        "simulator knows of the customer, and not the dice; nobody can do better, and who sees only histories stays "
        "below."
    )
    items = html_table(["title", "category", "brand", "price"], lines)
    rates = html_table(["", *(f"hit rate @{k}" for k in AT)], hits, strong=len(hits) - 1)
    return Section("The shop", paragraph(said) + strip + items + paragraph(known) + rates)


def _next_items(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    """What comes next: the recommenders side by side, and what a few customers would get."""
    budget = Budget(max_epochs=1 if quick else 12, max_seconds=25, patience=3, progress="none")  # a page in minutes
    found: Comparison = compare(events, ARMS, budget=budget, keep=True, log=tell)
    found.save(folder)
    for label, system in found.systems.items():
        system.save(folder / "fitted" / label.partition(":")[0].replace(" ", "-"))
    labels = dict.fromkeys(
        [*(row.label for row in found.rows[:2]), *(n for n in found.systems if n.startswith("LISA"))]
    )
    shown = {label.partition(":")[0]: found.systems[label] for label in labels}
    return [
        comparison_section(found, title="What comes next, by eight recommenders"),
        histories_section(split(events, "loo"), shown, k=5),
    ]
