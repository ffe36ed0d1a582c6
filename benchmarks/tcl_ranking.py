"""TCL ranks all destinations: CollegeMsg's test part, its first 1,000 questions, over 1,862 of them, strictly the past.

d = 32, trees of depth 3, one block within a stream and one between, random weights, `preset=paper`. What is kept of
the candidates' trees from question to question (gaps counted from the next interaction) is beside scoring each pair in
full: in ten turns, 100 questions that way and one of them the other, in seconds of the processor that one thread takes,
which others on the machine move less than the clock's. `largest_difference` is between the two.
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
    torch.set_num_threads(1)
    graph = read_interactions(harness.data("tcl/CollegeMsg.txt.gz"), bipartite=False)
    system = TCL(preset="paper")
    system.vocabularies = system.learn_vocabularies(graph)
    links = system.prepare(graph, "time")
    system.sizes, system.statistics = system.infer_sizes(links), system.training_statistics(links)
    system._network = system.build().eval()
    rows = links.rows.test[: 100 if quick else 1_000]
    queries = links.queries(rows)
    system.scores(links, queries.take(slice(0, 2)), links.destinations)  # compiled from here on
    kept, in_full, differences = [], [], []
    for part in np.array_split(np.arange(len(rows)), 2 if quick else 10):  # in turns, the trees read anew in each
        some = queries.take(part)
        started = time.process_time()
        found = system.scores(links, some, links.destinations)
        kept.append((time.process_time() - started) / len(part))
        one = some.take(slice(0, 1))
        started = time.process_time()
        expected = system.scores(links, one, links.destinations.astype(np.int64)[None])
        in_full.append(time.process_time() - started)
        differences.append(float(np.abs(expected - found[:1]).max()))
    ratios = harness.ratios(in_full, kept)
    figures = {
        "questions": len(rows),
        "ms_a_question": 1e3 * harness.median(kept),
        "ms_a_question_in_full": 1e3 * harness.median(in_full),
        "speedup_vs_pairs": harness.median(ratios),
        "largest_difference": max(differences),
    }
    harness.report("tcl_ranking", figures, intervals={"speedup_vs_pairs": harness.interval(ratios)})


if __name__ == "__main__":
    main()
