"""PARENT of 10,000 pairs of WikiTableText, beside its definition in plain Python and other implementations.

Predictions are the training texts with a tenth of the tokens gone and a tenth replaced, so that all parts of the figure
have work. Rivals are timed on the first pairs and counted per pair; largest differences are over these pairs.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.peers import KAIJU, SANA
from benchmarks.rivals.parent_peers import google_functions, kaiju_functions
from tenfold.data.fact_tables import read_fact_tables
from tenfold.metrics.parent import parent, parent_reference, parent_t

PAIRS = 10_000
Pairs = tuple[list[list[str]], list[list[list[str]]], list[list[tuple[list[str], list[str]]]]]


def pairs() -> Pairs:
    rows = read_fact_tables(harness.data("sana/wikitabletext/MSRA_NLC.Table2Text.train.gz"))
    rng = random.Random(1)
    tables = [[(cell.attribute.split(), cell.value.split()) for cell in row.cells] for row in rows]
    meant = [row.texts[0].split() for row in rows]
    words = [token for text in meant for token in text]
    said = [[rng.choice(words) if rng.random() < 0.1 else t for t in text if rng.random() < 0.9] for text in meant]
    return said, [[text] for text in meant], tables


def best(run: Callable[[], Any], runs: int) -> float:
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    quick = harness.arguments(__doc__).quick
    said, meant, tables = pairs()
    count, runs = (300, 2) if quick else (1_000, 5)
    some = slice(0, count)
    parent(said[:10], meant[:10], tables[:10])  # compiled by now
    ours = parent(said[some], meant[some], tables[some], lam=0.5)
    seconds = best(lambda: parent(said, meant, tables, lam=0.5), runs)

    def definition() -> list[tuple[float, float, float]]:
        return [
            parent_reference(s, m[0], t, lam=0.5) for s, m, t in zip(said[some], meant[some], tables[some], strict=True)
        ]

    per_pair = seconds / PAIRS
    figures = {"seconds_per_10k": seconds, "parent_t_seconds_per_10k": best(lambda: parent_t(said, tables), runs)}
    figures["speedup_vs_definition"] = best(definition, 1) / count / per_pair
    figures["largest_difference_to_definition"] = float(np.abs(np.array(definition()).T - np.array(ours)).max())
    notes = []
    if SANA.present:
        theirs = google_functions()["parent"]
        figures["speedup_vs_reference"] = (
            best(lambda: theirs(said[some], meant[some], tables[some]), 2) / count / per_pair
        )
        figures["largest_difference_to_reference"] = abs(
            theirs(said[some], meant[some], tables[some])[2] - ours.f.mean()
        )
    else:
        notes.append(f"speedup_vs_reference left out: {SANA.had}")
    if KAIJU.present:
        one = kaiju_functions()["parent_instance_level"]
        packages = list(zip(said[some], meant[some], tables[some], strict=True))
        figures["speedup_vs_kaiju_one_process"] = best(lambda: [one(each) for each in packages], 2) / count / per_pair
    else:
        notes.append(f"speedup_vs_kaiju_one_process left out: {KAIJU.had}")
    harness.report("parent", figures, notes=notes)


if __name__ == "__main__":
    main()
