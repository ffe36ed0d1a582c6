"""One question's two dependency trees over time, with what the attention between the streams lay on."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.ops import dependency_trees
from tenfold.tasks.link_prediction.data import Links, Queries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.systems.tcl.system import TCL

BLUE, ORANGE, GREY = "#2f6fb3", "#c8622d", "#8a8f98"
LARGEST = 700  # area of the dot of an interaction with all the attention


def trees(system: "TCL", source: Any, destination: Any, at: float | None = None) -> "Figure":
    """Interactions as dots at their time, on the row of their depth, with arrows from what they depend on.

    Above the line the source's tree, below it the candidate's. A dot's size is its share of the attention.
    """
    from matplotlib.figure import Figure

    links = system.past
    queries = system._queries([source], None if at is None else [at], "cold")
    number = int(links.graph.destination_numbers([destination])[0])
    weights = system.attention(links, queries, number) if system.options.co_blocks else {}
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    now = float(queries.times[0])
    first = now
    for node, name, sign, color in ((int(queries.sources[0]), source, 1, BLUE), (number, destination, -1, ORANGE)):
        first = min(first, _tree(axes, system, links, queries, node, sign, color, weights))
        axes.plot([now], [0.35 * sign], marker="s", color=color, markersize=9)
        axes.annotate(f"{name}", (now, 0.35 * sign), xytext=(8, -3), textcoords="offset points", color=color)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.axvline(now, color="black", linewidth=0.6, linestyle=":")
    depth = system.options.past.depth
    axes.set_yticks(
        [*range(-depth, 0), *range(1, depth + 1)], [str(abs(n)) for n in [*range(-depth, 0), *range(1, depth + 1)]]
    )
    span = max(now - first, 1e-9)
    axes.set(xlim=(first - 0.12 * span, now + 0.18 * span), ylim=(-depth - 0.7, depth + 0.7))
    axes.set(xlabel="time before the question", ylabel="depth", title=f"Why {source} would meet {destination}")
    ticks = np.linspace(first, now, 5)
    axes.set_xticks(ticks, [told(now - tick) for tick in ticks])
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _tree(
    axes: Any,
    system: "TCL",
    links: Links,
    queries: Queries,
    node: int,
    sign: int,
    color: str,
    weights: dict[int, float],
) -> float:
    """Draws one tree; returns the time of its first interaction."""
    index, past, now = links.index, system.options.past, float(queries.times[0])
    roots = dependency_trees.roots(index, np.array([node], np.int64), queries.cuts)
    found = dependency_trees.trees(index, roots, past.depth, past.most)
    place = {0: (now, 0.35 * sign)}
    for event, depth in zip(found.events[0].tolist(), found.depths[0].tolist(), strict=True):
        if event:
            place[event] = float(index.times[event - 1]), float(sign * depth)
    for event, child in zip(found.events[0].tolist(), found.children[0].tolist(), strict=True):
        if not event:
            continue
        x, y = place[event]
        axes.annotate("", (x, y), place[child], arrowprops={"arrowstyle": "->", "color": GREY, "linewidth": 0.8})
        axes.scatter([x], [y], s=30 + LARGEST * weights.get(event, 0.0), color=color, alpha=0.75, zorder=3)
        one, other = links.graph.ids([index.sources[event - 1], index.destinations[event - 1]])
        axes.annotate(
            f"{one} → {other}", (x, y), xytext=(0, 9 * sign - 3), textcoords="offset points", fontsize=7, ha="center"
        )
    return min(x for x, _ in place.values())


def told(gap: float) -> str:
    """Seconds in words: 3 d, 5 h."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if gap >= size:
            return f"{gap / size:.0f} {unit}"
    return f"{gap:.0f} s"
