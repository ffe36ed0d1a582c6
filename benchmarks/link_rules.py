"""Rules without training on public logs of interactions: what any network has to be compared with.

Mean reciprocal rank of the true destination among all destinations, test part after 85 % of the time, ties by the
middle rank. `strict` sees everything earlier, `blocks` what was before a block of 200, as the public benchmark (TGB)
has it: there EdgeBank has 0.495 and, with a window, 0.571 on Wikipedia. `edgebank_ap` is DyGLib's average precision
against its own random pairs and its own split, in per cent (published: 76.20 on UCI and 90.37 on Wikipedia).
"""

import math
from typing import Any

from benchmarks import harness
from tenfold.data.graphs import read_interactions
from tenfold.registry import load_class
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
        for rule, (name, options) in RULES.items():
            fitted = load_class(name)(**options).fit(graph)
            for words, block in (("strict", 0), ("blocks", 200)):
                found = fitted.evaluate(graph, block=block, ties="average", pairs=(), most=300 if quick else 0)
                figures[f"{log}_{words}_{rule}"] = found["mrr(average rank)"]
        if not quick:
            figures[f"{log}_edgebank_ap"] = 100 * edgebank_as_dyglib(graph)
    harness.report("link_rules", figures)


if __name__ == "__main__":
    main()
