"""A training step of TCL, beside the public code's: 200 interactions of CollegeMsg, d = 64, one thread, steps in turns.

The public side is DyGLib's TCL (a checkout in $TENFOLD_PEERS/yule-BUAA+DyGLib) as its training script calls it: its
sampler, a pass over the true pairs and one over as many random ones, the merge layer, binary cross-entropy, Adam. Its
features of nodes and interactions are zeros, as they are for this log, and it multiplies them; ours has none.
`dyglib` is our `preset=dyglib` of the same shapes: two layers, 20 neighbours, one random partner, times in 100 cosines.
`paper` and `best` are the presets as they come, with five false partners each; their ratios are of other networks, and
say what a step costs. Seconds are the processor's, which others on the machine move less than the clock's.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.rivals import dyglib
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.systems.tcl.system import TCL
from tenfold.tasks.link_prediction.trained import LinkSamples
from tenfold.training import Draw

DIM, BATCH, K = 64, 200, 20


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    torch.manual_seed(0)
    graph = read_interactions(harness.data("tcl/CollegeMsg.txt.gz"), bipartite=False)
    sides = {
        "dyglib": ours(graph, preset="dyglib", dim=DIM),
        "paper": ours(graph, preset="paper", dim=DIM),
        "best": ours(graph, dim=DIM),
    }
    notes = []
    rival = public(graph)
    if rival is None:
        notes.append("DyGLib is not here: python -m benchmarks.peers says how it is had.")
    else:
        sides["public"] = rival
    took: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1 + (3 if quick else 15)):
        for name, step in sides.items():
            started = time.process_time()
            step()
            if turn:
                took[name].append(time.process_time() - started)
    figures: dict[str, Any] = {f"{name}_ms": 1e3 * harness.median(own) for name, own in took.items()}
    if rival is not None:
        figures |= {
            f"{name}_speedup_vs_public": harness.median(harness.ratios(took["public"], took[name]))
            for name in ("dyglib", "paper", "best")
        }
    harness.report("tcl_training", figures, notes=notes)


def ours(graph: TemporalGraph, **chosen: Any) -> Callable[[], None]:
    """A step as training takes it: draw, look up, forward, backward, clip, Adam."""
    system = TCL(**chosen)
    system.vocabularies = system.learn_vocabularies(graph)
    links = system.prepare(graph, "time")
    system.sizes, system.statistics = system.infer_sizes(links), system.training_statistics(links)
    system._network = system.build().train()
    samples = LinkSamples(system, links, links.rows.train)
    optimizer = torch.optim.Adam(system.network.parameters(), lr=system.options.training.lr)
    draws = np.random.default_rng(0)

    def step() -> None:
        batch = samples.batch(Draw(0, 0, np.sort(draws.choice(len(samples), BATCH, replace=False))))
        total, weight = system.loss(batch)
        optimizer.zero_grad()
        (total / weight).backward()
        if system.options.training.clip is not None:
            torch.nn.utils.clip_grad_norm_(system.network.parameters(), system.options.training.clip)
        optimizer.step()

    return step


def public(graph: TemporalGraph) -> Callable[[], None] | None:
    sampler = dyglib.recent_neighbours(graph)
    if sampler is None:
        return None
    from models import TCL as models  # noqa: N811
    from models.modules import MergeLayer

    nodes, edges = np.zeros((graph.size + 1, DIM)), np.zeros((len(graph) + 1, DIM))
    backbone = models.TCL(nodes, edges, sampler, time_feat_dim=100, num_depths=K + 1, dropout=0.1)
    model = torch.nn.Sequential(backbone, MergeLayer(DIM, DIM, DIM, 1)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    columns = (graph.sources.astype(np.int64), graph.destinations.astype(np.int64), graph.times)
    train, draws = graph.split().train, np.random.default_rng(0)
    every = np.unique(columns[1][train])

    def step() -> None:
        rows = np.sort(draws.choice(train, BATCH, replace=False))
        sources, true, times = (column[rows] for column in columns)
        scores = []
        for destinations in (true, draws.choice(every, BATCH)):
            both = backbone.compute_src_dst_node_temporal_embeddings(sources, destinations, times, num_neighbors=K)
            scores.append(model[1](*both).squeeze(1).sigmoid())
        labels = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(torch.cat(scores), labels).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
