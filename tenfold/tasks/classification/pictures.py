"""Pictures of a classifier under attack: what changed, how accuracy falls with the budget, what the teacher was worth.

All are matplotlib figures that are drawn without a window. Shapes: N pictures (N, C, H, W) in [0, 1], K classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.ops import attacks
from tenfold.ops.attacks import Folded, Threat, right

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED, GREY, GREEN, LIGHT = "#2b6cb0", "#c53030", "#8a94a0", "#2f855a", "#c6cdd5"
SHOWN = 8  # pictures of a sheet
GRID = 15  # points along each direction of a loss surface


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure  # not pyplot: no window, no state

    return Figure(figsize=(width, height), layout="constrained")


def sheet(
    natural: np.ndarray,
    attacked: np.ndarray,
    before: Sequence[str],
    after: Sequence[str],
    truth: Sequence[str],
    eps: float,
) -> "Figure":
    """A column for each picture: as it is, changed, and the difference magnified until the budget is black or white."""
    count = min(len(natural), SHOWN)
    figure = _figure(1.15 * max(count, 2) + 0.9, 4.3)
    axes = figure.subplots(3, max(count, 1), squeeze=False)
    for column in range(count):
        change = (attacked[column] - natural[column]) / (2 * eps) + 0.5
        for row, picture in enumerate((natural[column], attacked[column], change)):
            own = axes[row, column]
            own.imshow(_shown(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            own.set_xticks([])
            own.set_yticks([])
        axes[0, column].set_title(before[column], fontsize=9, parse_math=False)
        fooled = after[column] != truth[column]
        axes[1, column].set_title(after[column], fontsize=9, color=RED if fooled else "black", parse_math=False)
    for row, told in enumerate(("as it is", "changed", f"the difference,\n{1 / (2 * eps):.0f} times")):
        axes[row, 0].set_ylabel(told, fontsize=9)
    return figure


def _shown(picture: np.ndarray) -> np.ndarray:
    """(C, H, W) -> (H, W, 3), or (H, W) where it is grey."""
    placed = np.clip(picture.transpose(1, 2, 0), 0, 1)
    return placed[..., 0] if placed.shape[2] == 1 else placed


# Over budgets ---------------------------------------------------------------------------------------------------------


def accuracy_over_budgets(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    budgets: Sequence[float],
    norm: attacks.Norm,
    *,
    steps: int = 20,
    seed: int = 0,
) -> list[float]:
    """Robust accuracy under pgd at each budget; 0 is natural accuracy. It never rises where attacks work."""
    model, found = Folded(network), []
    rows = np.arange(len(x))
    for eps in budgets:
        moved = x
        if eps > 0:
            threat = Threat(eps, norm)
            start = threat.start(x, attacks.noise(seed, 0, rows, tuple(x.shape[1:])).to(x))
            moved = attacks.pgd(model, x, y, threat=threat, steps=steps, step=eps / 4, start=start, stop=True)
        with torch.no_grad():
            found.append(float(right(network(moved).float(), y).float().mean()))
    return found


def curve(budgets: Sequence[float], found: Mapping[str, Sequence[float]], eps: float, norm: str) -> "Figure":
    figure = _figure(6, 3.4)
    axes = figure.subplots()
    scale = 255 if norm == "linf" else 1
    for (name, shares), color in zip(found.items(), (BLUE, RED, GREEN, GREY) * 4, strict=False):
        axes.plot(np.asarray(budgets) * scale, shares, "o-", color=color, markersize=4, label=name)
    axes.axvline(eps * scale, color=GREY, linewidth=1, linestyle=":")
    axes.set_xlabel("budget, in 255ths of a pixel's range" if norm == "linf" else "budget, Euclidean")
    axes.set_ylabel("right under pgd")
    axes.set_ylim(0, 1)
    _plain(axes)
    if len(found) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


# The teacher over epochs ----------------------------------------------------------------------------------------------


def teacher_over_epochs(history: Sequence[Mapping[str, float]], drops: Sequence[int] = ()) -> "Figure | None":
    """Left the teacher's accuracy on pictures and on the student's attacks of them (figure 1a of IAD), right the cases:
    trusted, half trusted, not trusted. None where the history knows of no teacher. drops: epochs at which the step size
    falls."""
    told = [epoch for epoch in history if "teacher_attacked" in epoch]
    if not told:
        return None
    figure = _figure(9.5, 3.3)
    left, middle = figure.subplots(1, 2)
    epochs = [epoch["epoch"] for epoch in told]
    for name, label, color in (
        ("teacher_natural", "teacher, pictures as they are", GREY),
        ("teacher_attacked", "teacher, the student's attacks", BLUE),
        ("student_attacked", "student, the same", RED),
    ):
        left.plot(epochs, [epoch[name] for epoch in told], color=color, label=label)
    if "trust" in told[-1]:
        trusting = [epoch for epoch in told if "trust" in epoch]
        left.plot(
            [e["epoch"] for e in trusting],
            [e["trust"] for e in trusting],
            color=GREEN,
            linestyle="--",
            label="mean trust",
        )
    left.set_title("right, on training pictures", loc="left", fontsize=10)
    cells = ("right_on_both", "right_on_natural_only", "right_on_attacked_only", "right_on_none")
    parts = [[epoch[cell] for epoch in told] for cell in cells]
    names = ("right on both", "only on the picture", "only on the attack", "on neither")
    middle.stackplot(epochs, parts, labels=names, colors=(BLUE, "#90cdf4", GREEN, RED))
    middle.set_title("the teacher, by picture", loc="left", fontsize=10)
    for axes in (left, middle):
        for drop in drops:
            axes.axvline(drop, color=GREY, linewidth=1, linestyle=":")
        axes.set_ylim(0, 1)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain(axes)
        axes.legend(framealpha=0.85, edgecolor="white", fontsize=8, loc="best" if axes is left else "lower left")
    return figure


def trust_histogram(trust: np.ndarray) -> "Figure":
    """How trust is spread over pictures (N,)."""
    figure = _figure(4.6, 3)
    axes = figure.subplots()
    axes.hist(trust, bins=40, range=(0, 1), color=BLUE)
    axes.set_xlabel("trust in the teacher, alpha")
    axes.set_ylabel("pictures")
    _plain(axes)
    return figure


# Several classifiers --------------------------------------------------------------------------------------------------


def natural_and_robust(points: Mapping[str, tuple[float, float]]) -> "Figure":
    """Natural against robust accuracy, with lines of equal harmonic mean (NRR)."""
    figure = _figure(5.2, 4)
    axes = figure.subplots()
    natural = np.linspace(0.01, 1, 200)
    for level in np.arange(0.1, 1.0, 0.1):
        robust = level * natural / np.maximum(2 * natural - level, 1e-9)
        shown = (2 * natural > level) & (robust <= 1)
        axes.plot(natural[shown], robust[shown], color=LIGHT, linewidth=0.8, zorder=0)
        axes.annotate(f"{level:.1f}", (1, level / (2 - level)), color=GREY, fontsize=8, xytext=(3, -3),
                      textcoords="offset points", annotation_clip=True)  # fmt: skip
    for (name, (x, y)), color in zip(points.items(), (BLUE, RED, GREEN, GREY, "black", "#b7791f") * 4, strict=False):
        axes.plot([x], [y], "o", color=color)
        axes.annotate(name, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_xlim(max(0, min(x for x, _ in points.values()) - 0.1), 1)
    axes.set_ylim(0, min(1, max(y for _, y in points.values()) + 0.15))
    axes.set_xlabel("right as it is")
    axes.set_ylabel("right under attack")
    axes.set_title("lines: of equal harmonic mean (nrr)", loc="right", fontsize=8, color=GREY)
    _plain(axes)
    return figure


# Masking --------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def loss_surface(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, eps: float, seed: int = 0) -> np.ndarray:
    """(GRID, GRID) mean cross-entropy at x + a sign(gradient) + b random signs, a and b from -2 eps to 2 eps. A model
    that hides its gradients has a surface that is rugged, or flat along the gradient and not beside it."""
    gradient, _ = attacks.input_gradient(model, x, y, attacks.cross_entropy)
    along, beside = gradient.sign(), attacks.noise(seed, 7, np.arange(len(x)), tuple(x.shape[1:])).to(x).sign()
    reach = np.linspace(-2 * eps, 2 * eps, GRID)
    return np.array(
        [[float(F.cross_entropy(model(x + a * along + b * beside).float(), y)) for b in reach] for a in reach]
    )


def surface(values: np.ndarray, eps: float) -> "Figure":
    figure = _figure(4.6, 3.6)
    axes = figure.subplots()
    reach = np.linspace(-2 * eps, 2 * eps, len(values)) * 255
    shown = axes.contourf(reach, reach, values.T, levels=20, cmap="viridis")
    axes.set_xlabel("along the sign of the gradient, /255")
    axes.set_ylabel("along random signs, /255")
    figure.colorbar(shown, ax=axes, label="cross-entropy")
    return figure


def classes(shares: Mapping[str, np.ndarray], names: Sequence[str]) -> "Figure":
    """Bars of each class: shares (K,) by name."""
    figure = _figure(max(5.0, 0.55 * len(names) + 1.5), 3.2)
    axes = figure.subplots()
    places, width = np.arange(len(names)), 0.8 / len(shares)
    for number, (name, values) in enumerate(shares.items()):
        axes.bar(places + (number + 0.5) * width - 0.4, values, width, label=name, color=(GREY, BLUE, RED)[number % 3])
    axes.set_xticks(places, names, rotation=30, ha="right", fontsize=8, parse_math=False)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)
    return figure


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea")
    axes.set_axisbelow(True)
