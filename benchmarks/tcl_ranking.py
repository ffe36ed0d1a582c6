"""TCL ranks all destinations: CollegeMsg's test part over 1,862 of them, everything strictly earlier being seen.

d = 32, trees of depth 3, one block within a stream and one between, random weights, `preset=paper`. What is kept of
the candidates' trees from question to question (gaps counted from the next interaction) is beside scoring each pair in
full, which is measured on a few questions. `largest_difference` is between the two.
"""

import time

import numpy as np
import torch

from benchmarks import harness
from tenfold.data.graphs import read_interactions
from tenfold.systems.tcl.system import TCL


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.manual_seed(0)
    graph = read_interactions(harness.data("tcl/CollegeMsg.txt.gz"), bipartite=False)
    system = TCL(preset="paper")
    system.vocabularies = system.learn_vocabularies(graph)
    links = system.prepare(graph, "time")
    system.sizes, system.statistics = system.infer_sizes(links), system.training_statistics(links)
    system._network = system.build().eval()
    rows = links.rows.test[:100] if quick else links.rows.test
    queries = links.queries(rows)
    system.scores(links, queries.take(slice(0, 2)), links.destinations)  # compiled from here on
    started = time.perf_counter()
    found = system.scores(links, queries, links.destinations)
    seconds = time.perf_counter() - started
    some = queries.take(slice(0, 2 if quick else 6))
    each = np.tile(links.destinations.astype(np.int64), (len(some.sources), 1))
    started = time.perf_counter()
    expected = system.scores(links, some, each)
    in_full = (time.perf_counter() - started) / len(each)
    figures = {
        "questions": len(rows),
        "seconds": seconds,
        "ms_a_question": 1e3 * seconds / len(rows),
        "ms_a_question_in_full": 1e3 * in_full,
        "speedup_vs_pairs": in_full / (seconds / len(rows)),
        "largest_difference": float(np.abs(expected - found[: len(each)]).max()),
    }
    harness.report("tcl_ranking", figures)


if __name__ == "__main__":
    main()
