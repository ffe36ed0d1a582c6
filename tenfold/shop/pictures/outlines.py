"""How a thing is drawn: pieces of filled outlines, from the rear to the front, each belonging to a part of the thing.

Outlines are closed polygons in a box of 100 x 100, y downwards, upright as the thing hangs or stands.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]  # (points, 2)

STEPS = 8  # straight pieces of a curve
_COMMAND = re.compile(r"([MLQC])([^MLQC]*)")


class Piece(NamedTuple):
    """One filled outline. Ink is what it is made of, see surfaces.inks; tone darkens (below 1) or lightens it."""

    part: str
    outline: Outline
    ink: str = "cloth"
    tone: float = 1.0
    raised: bool = True  # a surface of its own, with rounded edges and a shadow; else it lies on the one before
    grain: float = 0.0  # degrees by which its cloth is turned


def path(words: str) -> Outline:
    """The points of a path in SVG's absolute commands M, L, Q and C."""
    points: list[NDArray[np.float64]] = []
    for command, numbers in _COMMAND.findall(words):
        given = np.array([float(n) for n in re.findall(r"-?[\d.]+", numbers)]).reshape(-1, 2)
        if command in "ML":
            points.extend(given)
            continue
        degree = {"Q": 2, "C": 3}[command]
        for control in given.reshape(-1, degree, 2):
            a, t = points[-1], np.linspace(0, 1, STEPS + 1)[1:, None]
            if degree == 2:
                b, c = control
                points.extend((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
            else:
                b, c, d = control
                points.extend((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d)
    return np.array(points)


def mirrored(outline: Outline) -> Outline:
    return np.column_stack([100 - outline[:, 0], outline[:, 1]])


def whole(words: str) -> Outline:
    """A symmetric outline from its right half, which begins and ends on the axis x = 50."""
    right = path(words)
    return np.concatenate([right, mirrored(right)[::-1]])


def moved(outline: Outline, x: float, y: float) -> Outline:
    return outline + np.array([x, y])


def both(outline: Outline) -> tuple[Outline, Outline]:
    return outline, mirrored(outline)


def ellipse(x: float, y: float, rx: float, ry: float) -> Outline:
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    return np.column_stack([x + rx * np.cos(angle), y + ry * np.sin(angle)])


def stroke(words: str, width: float, end: float | None = None) -> Outline:
    """A line along a path, as wide as told at its beginning and at its end, with rounded ends."""
    line = path(words)
    line = line[np.r_[True, np.abs(np.diff(line, axis=0)).sum(1) > 1e-9]]
    ahead = np.diff(line, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    along = np.concatenate([ahead[:1], ahead[:-1] + ahead[1:], ahead[-1:]])
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    radius = np.linspace(width, width if end is None else end, len(line))[:, None] / 2
    turn = np.linspace(0, np.pi, 7)[1:-1]

    def cap(place: int, sign: int) -> Outline:
        return line[place] + radius[place] * sign * (
            np.cos(turn)[:, None] * across[place] + np.sin(turn)[:, None] * along[place]
        )

    return np.concatenate([line + radius * across, cap(-1, 1), (line - radius * across)[::-1], cap(0, -1)])


def pair(part: str, outline: Outline, ink: str = "cloth", tone: float = 1.0, grain: float = 0.0) -> list[Piece]:
    """What is there on the right and on the left."""
    return [Piece(part, outline, ink, tone, True, grain), Piece(part, mirrored(outline), ink, tone, True, -grain)]


def marks(part: str, *outlines: Outline, ink: str = "cloth", tone: float = 1.0) -> list[Piece]:
    """What lies flat on the surface before it: seams, folds, buttons' holes."""
    return [Piece(part, outline, ink, tone, False) for outline in outlines]
