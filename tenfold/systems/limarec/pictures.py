"""What LimaRec does, to look at: what an event costs over the length of a history, and a customer's interests."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from tenfold.comparison import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.systems.limarec.system import LimaRec

COLOURS = (BLUE, "#b3452c", "#4d8b57", "#8a6bb0", "#c9952b", "#4aa3a2")


@torch.no_grad()
def cost_over_length(system: "LimaRec", rival: torch.nn.Module, lengths: Sequence[int]) -> "tuple[Figure, float]":
    """Milliseconds of one event, measured now: one step on the state that a history of this length left, and a network
    (events -> user vectors) that reads the history again; and how many times the second is the first at the longest."""
    from matplotlib.figure import Figure

    network, items = system.network.eval(), system.sizes["items"]
    event, step, again = torch.ones(1, 1, dtype=torch.long), list[float](), list[float]()
    for length in lengths:
        history = torch.randint(1, items + 1, (1, length))
        _, state, _ = network(history)
        step.append(_milliseconds(lambda state=state: network(event, state)))
        again.append(_milliseconds(lambda history=history: rival(history)))
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(lengths, again, "o-", color=GREY, label="SASRec reads the history again")
    axes.loglog(lengths, step, "o-", color=BLUE, label="LimaRec takes one step")
    axes.set_xticks(list(lengths), [f"{length:,}" for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel("events in the history")
    axes.set_title("milliseconds for one more event", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure, again[-1] / step[-1]


def interests_over_time(share: np.ndarray, kinds: Sequence[str]) -> "Figure":
    """share (K, L): of each event in each interest at the end; kinds (L,): a category of each. One row of bars for each
    interest, the newest event on the right, coloured by category."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    known = [kind for kind, _ in sorted(((k, list(kinds).count(k)) for k in set(kinds)), key=lambda pair: -pair[1])]
    colours = {kind: COLOURS[n] if n < len(COLOURS) else "#c8c8c8" for n, kind in enumerate(known)}
    figure = Figure(figsize=(8.4, 0.9 * len(share) + 1.1), layout="constrained")
    for number, axes in enumerate(figure.subplots(len(share), 1, sharex=True, squeeze=False)[:, 0]):
        ages = np.arange(-share.shape[1], 0)
        axes.bar(ages, 100 * share[number], width=1.0, color=[colours[kind] for kind in kinds])
        axes.set_ylabel(f"interest {number + 1}\n%", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("events ago")
    shown = [Patch(color=colours[kind], label=kind) for kind in known[: len(COLOURS)]]
    if len(known) > len(COLOURS):
        shown.append(Patch(color="#c8c8c8", label="other"))
    figure.legend(handles=shown, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def _milliseconds(call: object) -> float:
    taken = []
    for _ in range(9):
        started = time.perf_counter()
        call()  # type: ignore[operator]
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken[2:]))
