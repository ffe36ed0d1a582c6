"""What decides how hard a stream of interactions is to foretell: repeats, surprises, new nodes, ties, bursts.

And the two pictures of it, TEA (new and repeated pairs over time) and TET (each pair's first and last time), after
Poursafaei et al., NeurIPS 2022.

Shapes: E interactions, N nodes, P pairs.
"""

from typing import TYPE_CHECKING

import numpy as np

from tenfold.tasks.link_prediction.data import Links

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLOTS = 40  # of time, in the pictures
MOST_PAIRS = 20_000  # points of a picture


def statistics(links: Links) -> dict[str, float]:
    """Shares lie in 0 .. 1; burstiness in -1 (a clock) .. 1, 0 for a Poisson stream (Goh and Barabasi 2008)."""
    graph, index = links.graph, links.index
    every, test = np.arange(len(graph)), links.rows.test
    degrees = index.degrees()[1:]
    moments = np.concatenate([np.zeros(1, index.times.dtype), index.times])
    gaps = (moments[1:, None] - moments[index.previous[1:]])[index.previous[1:] > 0].astype(np.float64)
    gaps = gaps if len(gaps) else np.zeros(1)
    trained = links.rows.train
    width = np.int64(graph.size + 1)
    key = graph.sources.astype(np.int64) * width + graph.destinations
    new = ~(links.met[graph.sources[test]] & links.met[graph.destinations[test]])
    return {
        "interactions": len(graph),
        "nodes": graph.size,
        "sources": len(np.unique(graph.sources)),
        "destinations": len(links.destinations),
        "pairs": len(np.unique(key)),
        "self loops": int((graph.sources == graph.destinations).sum()),
        "repeat share": float(links.repeats(every).mean()),
        "repeat share, test": float(links.repeats(test).mean()),
        "surprise share, test": float(1 - np.isin(key[test], key[trained]).mean()),
        "new-node share, test": float(new.mean()),
        "tied moments": float(1 - len(np.unique(graph.times)) / len(graph)),
        "median degree": float(np.median(degrees)),
        "largest degree": int(degrees.max()),
        "median gap of a node": float(np.median(gaps)),
        "burstiness": float((gaps.std() - gaps.mean()) / max(gaps.std() + gaps.mean(), 1e-300)),
    }


def pictures(links: Links) -> "Figure":
    """TEA on the left, TET on the right; the lines are where validation and test begin."""
    from matplotlib.figure import Figure

    graph = links.graph
    times = graph.times.astype(np.float64)
    scale = (times - times[0]) / max(times[-1] - times[0], 1e-300)
    begins = [scale[part[0]] for part in (links.rows.validation, links.rows.test) if len(part)]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    repeats = links.repeats(np.arange(len(graph)))
    edges = np.linspace(0, 1, SLOTS + 1)
    counts = [np.histogram(scale[chosen], edges)[0] for chosen in (repeats, ~repeats)]
    left.bar(edges[:-1], counts[0], 1 / SLOTS, align="edge", color="#8a8f98", label="repeated pairs")
    left.bar(edges[:-1], counts[1], 1 / SLOTS, counts[0], align="edge", color="#2f6fb3", label="new pairs")
    left.set(xlabel="share of the time", ylabel="interactions", title="New and repeated pairs (TEA)", xlim=(0, 1))
    left.legend(frameon=False, loc="upper right")
    key = graph.sources.astype(np.int64) * (graph.size + 1) + graph.destinations
    _, first = np.unique(key, return_index=True)
    _, last = np.unique(key[::-1], return_index=True)
    one, other = scale[first], scale[len(key) - 1 - last]
    shown = slice(None, None, max(1, len(one) // MOST_PAIRS))
    right.plot(one[shown], other[shown], ".", markersize=2, alpha=0.4, color="#2f6fb3")
    right.set(xlabel="first time of a pair", ylabel="last time", title="Pairs by first and last time (TET)",
              xlim=(0, 1), ylim=(0, 1.02))  # fmt: skip
    for begin in begins:
        left.axvline(begin, color="black", linewidth=0.8, linestyle=":")
        right.axvline(begin, color="black", linewidth=0.8, linestyle=":")
        right.axhline(begin, color="black", linewidth=0.8, linestyle=":")
    return figure
