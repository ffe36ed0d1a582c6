"""Rules without training on public logs of interactions: what any network has to be compared with.

Mean reciprocal rank of the true destination among all destinations, test part after 85 % of the time, ties by the
middle rank. `strict` sees everything earlier, `blocks` what was before a block of 200, as the public benchmark (TGB)
has it: there EdgeBank has 0.495 and, with a window, 0.571 on Wikipedia. `edgebank_ap` is DyGLib's average precision
against its own random pairs and its own split, in per cent (published: 76.20 on UCI and 90.37 on Wikipedia).
"""

import math
from typing import Any

import numpy as np

from benchmarks import harness
from tenfold.data.graphs import read_interactions
from tenfold.metrics import temporal
from tenfold.ops.pair_facts import facts
from tenfold.registry import load_class
from tenfold.tasks.link_prediction.baselines.rules import popularity
from tenfold.tasks.link_prediction.data import Links
from tenfold.tasks.link_prediction.evaluation import tested
from tenfold.tasks.link_prediction.options import Protocol
from tenfold.tasks.link_prediction.public import edgebank_as_dyglib

HALF_LIFE = 3 * 86_400 * math.log(2)  # weights that fade by e in three days
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "recency": ("recency", {"half_life": HALF_LIFE}),
    "recency_directed": ("recency", {"both": False, "half_life": HALF_LIFE}),
    "edgebank": ("edgebank", {}),
    "edgebank_window": ("edgebank", {"memory": "window"}),
    "pair_count": ("pair-count", {}),
    "popular": ("popular-partner", {"half_life": HALF_LIFE}),
    "partners": ("partners-partners", {"half_life": HALF_LIFE}),
}
LOGS = {"collegemsg": ("tcl/CollegeMsg.txt.gz", False), "wikipedia": ("tcl/wikipedia_edges.txt.gz", True)}


def main() -> None:
    quick = harness.arguments(__doc__).quick
    figures: dict[str, float] = {}
    for log, (path, two_sides) in LOGS.items():
        graph = read_interactions(harness.data(path), bipartite=two_sides)
        rules = {rule: load_class(name)(**options).fit(graph) for rule, (name, options) in RULES.items()}
        links = next(iter(rules.values())).prepare(graph, "time")
        for words, block in (("strict", 0), ("blocks", 200)):
            found = reciprocal_ranks(links, rules, block, 300 if quick else 0)
            figures |= {f"{log}_{words}_{rule}": float(each.mean()) for rule, each in found.items()}
        if not quick:
            figures[f"{log}_edgebank_ap"] = 100 * edgebank_as_dyglib(graph)
    harness.report("link_rules", figures)


def reciprocal_ranks(links: Links, rules: dict[str, Any], block: int, most: int) -> dict[str, np.ndarray]:
    """By rule, of each interaction of the test part: as `evaluate` has them, the facts being looked up once for all."""
    rows = tested(links, "test", Protocol(most=most))
    queries, every = links.queries(rows, block), links.destinations
    place = np.searchsorted(every, links.graph.destinations[rows])
    there = np.ones((len(rows), len(every)), bool)
    there[np.arange(len(rows)), place] = False
    for n, destination in links.same_moment(rows).tolist():
        there[n, np.searchsorted(every, destination)] = False
    found = {rule: np.empty(len(rows)) for rule in rules}
    for first in range(0, len(rows), 200):
        part = slice(first, first + 200)
        some = queries.take(part)
        known = facts(links.index, some.sources, some.cuts, every, links.fading(HALF_LIFE))
        popular = popularity(links, some, known, HALF_LIFE)
        for rule, method in rules.items():
            scores = np.asarray(method.order(links, some, known, popular), np.float64)
            own = scores[np.arange(len(scores)), place[part]]
            above, tied = temporal.places(own, scores, there[part])
            found[rule][part] = temporal.rank_figures(above, tied, average=True)["mrr(average rank)"]
    return found


if __name__ == "__main__":
    main()
