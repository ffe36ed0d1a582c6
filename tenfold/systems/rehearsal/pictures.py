"""What a memory does, to look at: what is written where, what is kept, and what is right by the age of the evidence."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tenfold.comparison import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.systems.rehearsal.system import Rehearsal


@torch.no_grad()
def writing(system: "Rehearsal", items: Sequence[str], marked: Sequence[int] = ()) -> "Figure":
    """How much of each item went to each slot, with the items in `marked` under arrows; and below, what share of its
    old content each slot kept in each segment."""
    from matplotlib.figure import Figure

    machine, network = system.streams.machine, system.streams
    words = system.item_tensor(items)
    x, memory, size = network.items(words.unsqueeze(0)), machine.start(1), machine.segment
    attention, kept = [], []
    for begin in range(0, len(items), size):
        part = x[:, begin : begin + size]
        keep = torch.ones(1, part.shape[1], dtype=torch.bool, device=part.device)
        memory, writes = machine.write(memory, part, keep, begin // size)
        attention.append(writes.attention[0] * (1 - writes.keep[0].unsqueeze(1)))
        kept.append(writes.keep[0])
    shares, gates = torch.cat(attention, 1).cpu().numpy(), torch.stack(kept, 1).cpu().numpy()
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 2])
    _map(figure, above, shares, (-0.5, len(items) - 0.5), "what is written: share of an item in a slot")
    if len(marked):
        above.set_title(above.get_title(loc="left"), loc="left", fontsize=10, pad=16)  # arrows stand between
    for place in marked:
        above.annotate(
            "", (place, -0.5), (place, -0.5 - 0.12 * len(shares)), arrowprops={"arrowstyle": "->", "color": "black"}
        )
    _map(
        figure, below, gates, (-0.5, gates.shape[1] - 0.5), "what is kept: share of a slot's old content", low=0, high=1
    )
    above.set_xlabel("item")
    below.set_xlabel("segment")
    return figure


def _map(
    figure: "Figure", axes: Any, values: np.ndarray, ends: tuple[float, float], said: str, **limits: float
) -> None:
    shown = axes.imshow(values, aspect="auto", cmap="Blues", interpolation="nearest", vmin=limits.get("low", 0.0),
                        vmax=limits.get("high"), extent=(*ends, len(values) - 0.5, -0.5))  # fmt: skip
    figure.colorbar(shown, ax=axes, pad=0.01)
    axes.set_ylabel("slot")
    axes.set_title(said, loc="left", fontsize=10)


def by_age(found: Mapping[str, Mapping[str, float]], chance: float | None = None) -> "Figure":
    """Accuracy by the quarter in which the evidence lies, a line for each system. found: what `evaluate(by="age")`
    gives, by label."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    quarters = ["newest quarter", "second quarter", "third quarter", "oldest quarter"]
    styles = ["-", "--", ":", "-."]
    for number, (label, figures) in enumerate(found.items()):
        values = [figures.get(f"accuracy[{quarter}]", np.nan) for quarter in quarters]
        axes.plot(quarters, values, "o", linestyle=styles[number % 4], color=BLUE if number == 0 else GREY, label=label)
    if chance is not None:
        axes.axhline(chance, color="black", linewidth=0.7, linestyle=":")
        axes.annotate("chance", (3, chance), xytext=(-2, -10), textcoords="offset points", fontsize=8, ha="right")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("accuracy")
    axes.set_title("by where the evidence stands in the stream", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
