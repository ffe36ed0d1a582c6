"""LISA's item table as codes: bytes on the disk against the table's own, 4 V D, at a million items of D = 128.

Base has one set of 8 x 128 codewords, Mini one of 8 x 16 for histories and one of 8 x 128 for what is found. A system
with random weights is exported; `ratio` is 4 V D over the files of packed codes and of codebooks, `served_mb` all files
that serving needs, popularity and ids (ten random digits) included. From `break_even_items` on, codes and codebooks are
smaller than the table. `differing_codes` counts codes that are not, read back, what they were. Beside it the time of
one answer, k = 10 after 50 events, and what the full system takes for it; the two take turns.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import torch

from benchmarks import harness
from tenfold import LISA
from tenfold.data.vocabulary import Vocabulary
from tenfold.systems.lisa.compact import Compact
from tenfold.systems.lisa.export import export
from tenfold.systems.lisa.packing import break_even_items, table_bytes
from tenfold.tasks.next_item import NextItem

DIM, BOOKS, WORDS, TARGET_WORDS = 128, 8, {"base": 128, "mini": 16}, {"base": None, "mini": 128}
S = TypeVar("S", bound=NextItem)


def untrained(system: S, items: int) -> S:
    """The system with random weights, as if fitted to items whose ids are ten digits: sizes and clocks need no more."""
    torch.manual_seed(0)
    drawn = np.random.default_rng(0).choice(10**10, items, replace=False)
    ids = pl.Series(drawn).cast(pl.String).str.zfill(10)
    system.sizes, system.vocabularies = {"items": items}, {"items": Vocabulary(ids)}
    system.statistics = {"item_counts": torch.randint(1, 1000, (items + 1,))}
    system._network = system.build().eval()
    return system


def answers(systems: Sequence[NextItem], history: list[Any], runs: int) -> list[float]:
    """The median milliseconds of one answer of each system; the first of each, which prepares, does not count."""
    taken: list[list[float]] = [[] for _ in systems]
    for run in range(runs + 1):
        for system, mine in zip(systems, taken, strict=True):
            started = time.perf_counter()
            system.recommend(history, k=10)
            if run:
                mine.append(1e3 * (time.perf_counter() - started))
    return [harness.median(mine) for mine in taken]


@torch.no_grad()
def measure(preset: str, items: int, runs: int, folder: Path) -> dict[str, float]:
    sizes = DIM, BOOKS, WORDS[preset], TARGET_WORDS[preset]
    system = untrained(LISA(preset=preset, dim=DIM), items)
    with torch.no_grad():
        system.network.item.weight.normal_(std=DIM**-0.5)  # large beside the codewords: almost all codes differ
    exported, compact = export(system, folder).sizes, Compact.load(folder)
    raw, _ = table_bytes(items, *sizes)
    packed = sum(exported.get(name, 0) for name in ("history_codes", "target_codes", "codebooks"))
    found, kept = compact.network.catalogue().history.codes, system.network.catalogue().history.codes
    differing = int((found[1:] != kept[1:]).sum() + (compact.target_codes() != system.target_codes()).sum())
    history = system.vocabularies["items"].ids(np.random.default_rng(0).integers(1, items + 1, 50))
    full_ms, ms = answers([system, compact], history, runs)
    return {
        f"{preset}_ratio": raw / packed,
        "break_even_items" if preset == "base" else f"{preset}_break_even_items": break_even_items(*sizes) or 0,
        f"{preset}_served_mb": sum(exported.values()) / 1e6,
        f"{preset}_ids_and_counts_mb": exported["items"] / 1e6,
        f"{preset}_differing_codes": differing,
        f"{preset}_answer_ms": ms,
        f"{preset}_answer_speedup": full_ms / ms,
    }


def main() -> None:
    quick = harness.arguments(__doc__).quick
    items, runs = (50_000, 3) if quick else (1_000_000, 20)
    figures: dict[str, float] = {}
    for preset in WORDS:
        with tempfile.TemporaryDirectory() as folder:
            figures |= measure(preset, items, runs, Path(folder))
    note = f"{items:,} random items of D = {DIM}: a table of {4e-6 * items * DIM:,.1f} MB in float32."
    harness.report("lisa_table", figures, notes=[note])


if __name__ == "__main__":
    main()
