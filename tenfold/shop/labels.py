"""Small pictures in ten classes, on which a plainly trained network is right and not robust.

Two things tell what a picture shows. The silhouette has strong contrast but not always an answer: a long shirt is cut
like a short coat, a closed sandal like a low sneaker, and a few things are cut like another class altogether. The cloth
nearly always has one: each class has threads of a thickness and direction of their own, which a camera just resolves,
and which are lighter and darker by WEAVE of 255 levels only. A network that is trained to be right leans on threads and
fine edges, and is wrong as soon as somebody changes each pixel by 8 levels; one that is trained against such changes
learns to leave the threads alone and has the silhouette, with the errors that come of it.
"""

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tenfold.shop.options import Options
from tenfold.shop.splits import BLOCK, SPLITS
from tenfold.shop.streams import Draws, Kind, uniforms

PIXELS = 32
FINER = 4  # drawn so many times as large, then averaged
WEAVE = (5.5, 7.5)  # levels by which threads are lighter or darker, at the least and at the most
BORROWED = 0.03  # share of things that are cut like another class
UNUSUAL = 0.03  # share of things that are made of another class's cloth
THREADS = 2.2, 3.0  # how far apart they lie, in pixels
GRAIN = 2.0  # levels, at the most, of the sensor's noise

Point = tuple[float, float]
Floats = NDArray[np.float64]

COLOURS = (
    (38, 40, 46), (235, 233, 228), (140, 143, 148), (38, 54, 98), (190, 46, 50), (168, 84, 48), (214, 166, 54),
    (106, 112, 62), (32, 124, 126), (120, 178, 220), (232, 216, 180), (206, 182, 140), (226, 136, 160), (104, 48, 92),
    (232, 126, 46), (152, 196, 70),
)  # fmt: skip


class Sketch:
    """A thing as it is drawn: places from -1 to 1 in its own frame, the tone of a part 1 for the thing's own colour."""

    def __init__(self, draws: Draws, colour: Sequence[float], ground: Sequence[float]) -> None:
        size = PIXELS * FINER
        self._image = Image.new("RGB", (size, size), tuple(map(round, ground)))
        self._mask = Image.new("L", (size, size))
        self._pens = ImageDraw.Draw(self._image), ImageDraw.Draw(self._mask)
        self._colour = colour
        self.angle = math.radians(draws.uniform(-9, 9))
        scale = draws.uniform(0.74, 0.94) * size / 2
        self._turn = scale * math.cos(self.angle), scale * math.sin(self.angle)
        self._mirror = -1 if draws.happens(0.5) else 1
        self._centre = size * draws.uniform(0.44, 0.56), size * draws.uniform(0.44, 0.56)

    def fill(self, points: Sequence[Point], tone: float = 1.0, *, round_off: bool = True) -> None:
        self._draw("polygon", self._placed(_rounded(points) if round_off else points), tone)

    def line(self, points: Sequence[Point], width: float, tone: float = 1.0) -> None:
        thick = max(1, round(width * math.hypot(*self._turn)))
        self._draw("line", self._placed(points), tone, width=thick, joint="curve")

    def finished(self) -> tuple[Floats, Floats]:
        """The picture (32, 32, 3) in levels, and how much of each pixel (32, 32, 1) the thing covers."""
        picture = np.asarray(self._image.reduce(FINER), np.float64)
        return picture, np.asarray(self._mask.reduce(FINER), np.float64)[..., None] / 255

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        cos, sin = self._turn
        x0, y0 = self._centre
        return [(x0 + cos * x * self._mirror - sin * y, y0 + sin * x * self._mirror + cos * y) for x, y in points]

    def _draw(self, what: str, points: list[Point], tone: float, **how: object) -> None:
        colour = tuple(min(255, round(level * tone)) for level in self._colour)
        for pen, ink in zip(self._pens, (colour, 255), strict=True):
            getattr(pen, what)(points, fill=ink, **how)


def _rounded(points: Sequence[Point]) -> list[Point]:
    """The polygon with its corners cut twice, off long sides by no more than 0.1 (after Chaikin)."""
    corners = list(points)
    for most in (0.1, 0.03):
        sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
        corners = []
        for (x, y), (to_x, to_y) in sides:
            cut = min(0.25, most / max(math.hypot(to_x - x, to_y - y), 1e-6))
            corners += [(x + (to_x - x) * share, y + (to_y - y) * share) for share in (cut, 1 - cut)]
    return corners


def _arc(x: float, y: float, wide: float, high: float, begin: float, end: float) -> list[Point]:
    """Points of an ellipse from one angle to another, in degrees clockwise from the right."""
    angles = [math.radians(begin + (end - begin) * step / 12) for step in range(13)]
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


def _both(right: Sequence[Point]) -> list[Point]:
    """A symmetric outline from its right half, from top to bottom."""
    return [*right, *((-x, y) for x, y in reversed(right))]


def _garment(
    draws: Draws, sketch: Sketch, *, top: float, hem: float, waist: float, flare: float, sleeve: float, wide: float
) -> float:
    """A body with two sleeves; `sleeve` is their length, 0 for none. Returns how wide the shoulders are."""
    shoulder = draws.uniform(0.40, 0.48)
    if sleeve > 0:
        out = draws.uniform(0.18, 0.34)  # how far a sleeve stands off
        for side in (-1, 1):
            tip = side * (shoulder + out * sleeve + 0.1), top + 0.1 + 1.05 * sleeve
            cuff = tip[0] - side * wide, tip[1] + 0.03
            inner = side * (shoulder - 0.1), top + 0.48
            sketch.fill([(side * shoulder * 0.8, top), (side * (shoulder + 0.07), top + 0.1), tip, cuff, inner], 0.86)
    sketch.fill(
        _both(
            [
                (0.16, top - 0.04),
                (shoulder * 0.8, top),
                (shoulder + 0.02, top + 0.14),
                (waist, top + 0.62),
                (waist + flare, hem),
            ]
        )
    )
    return shoulder


def _shirt(draws: Draws, sketch: Sketch) -> None:
    top, hem = -0.72, draws.uniform(0.45, 0.85)
    sleeve = draws.uniform(0.25, 0.5) if draws.happens(0.6) else draws.uniform(0.8, 1.1)
    _garment(
        draws,
        sketch,
        top=top,
        hem=hem,
        waist=draws.uniform(0.38, 0.46),
        flare=draws.uniform(0, 0.07),
        sleeve=sleeve,
        wide=0.2,
    )
    depth = draws.uniform(0.12, 0.3)
    sketch.fill([(-0.17, top - 0.06), (0.17, top - 0.06), (0, top + depth)], 0.55)
    if draws.happens(0.5):
        sketch.line([(0, top + depth), (0, hem - 0.03)], 0.04, 0.75)


def _hoodie(draws: Draws, sketch: Sketch) -> None:
    top, hem = -0.58, draws.uniform(0.5, 0.8)
    _garment(
        draws,
        sketch,
        top=top,
        hem=hem,
        waist=draws.uniform(0.42, 0.5),
        flare=draws.uniform(-0.04, 0.03),
        sleeve=draws.uniform(0.85, 1.1),
        wide=0.24,
    )
    high = draws.uniform(0.16, 0.36)
    sketch.fill(_both([(0.1, top - high), (0.28, top - high * 0.6), (0.34, top + 0.1), (0.1, top + 0.22)]), 0.88)
    sketch.fill(_both([(0.06, top - high * 0.6), (0.17, top - 0.02), (0.08, top + 0.12)]), 0.5)
    if draws.happens(0.7):
        y = hem - 0.45
        sketch.fill(_both([(0.16, y), (0.28, y + 0.28)]), 0.8, round_off=False)


def _coat(draws: Draws, sketch: Sketch) -> None:
    top, hem = -0.8, draws.uniform(0.62, 1.0)
    shoulder = _garment(
        draws,
        sketch,
        top=top,
        hem=hem,
        waist=draws.uniform(0.38, 0.46),
        flare=draws.uniform(0.02, 0.16),
        sleeve=draws.uniform(0.95, 1.2),
        wide=0.22,
    )
    deep = draws.uniform(0.3, 0.6)
    sketch.fill([(-0.2, top - 0.05), (0.2, top - 0.05), (0.02, top + deep)], 0.55)
    for side in (-1, 1):
        sketch.fill([(side * 0.2, top - 0.05), (side * 0.3, top + 0.2), (side * 0.02, top + deep)], 1.18)
    sketch.line([(0.03, top + deep), (0.03, hem - 0.03)], 0.05, 0.68)
    if draws.happens(0.5):
        sketch.line([(-shoulder + 0.02, 0.05), (shoulder - 0.02, 0.05)], 0.1, 0.7)


def _sundress(draws: Draws, sketch: Sketch) -> None:
    top, hem = -0.62, draws.uniform(0.6, 0.95)
    _garment(
        draws,
        sketch,
        top=top,
        hem=hem,
        waist=draws.uniform(0.24, 0.36),
        flare=draws.uniform(0.12, 0.42),
        sleeve=draws.uniform(0.15, 0.35) if draws.happens(0.35) else 0,
        wide=0.18,
    )
    for side in (-1, 1):
        sketch.line([(side * 0.24, top + 0.06), (side * draws.uniform(0.16, 0.26), -0.92)], 0.07, 0.9)
    sketch.fill([(-0.16, top - 0.06), (0.16, top - 0.06), (0, top + draws.uniform(0.05, 0.25))], 0.6)
    sketch.line([(-0.28, -0.02), (0.28, -0.02)], 0.06, 0.78)


def _shoe(draws: Draws, sketch: Sketch, ankle: float, sole: float) -> None:
    heel = draws.uniform(0, 0.12)
    sketch.fill([(-0.85, 0.34), (-0.82, -ankle), (-0.3, -ankle), (-0.12, -0.02), (0.5, 0.1), (0.88, 0.24), (0.9, 0.36)])
    sketch.fill(
        [(-0.9, 0.3), (0.92, 0.3), (0.9, 0.34 + sole), (-0.88, 0.34 + sole + heel)],
        draws.uniform(1.3, 1.7) if draws.happens(0.6) else 0.6,
    )


def _sneakers(draws: Draws, sketch: Sketch) -> None:
    ankle = draws.uniform(0.1, 0.5)
    _shoe(draws, sketch, ankle, draws.uniform(0.1, 0.2))
    sketch.fill([(-0.78, -ankle), (-0.34, -ankle), (-0.4, -ankle + 0.1), (-0.72, -ankle + 0.1)], 0.5)
    for step in range(3):
        x = -0.22 + 0.19 * step
        sketch.line([(x, -0.02 + 0.04 * step), (x - 0.1, 0.16)], 0.07, 1.35)


def _sandals(draws: Draws, sketch: Sketch) -> None:
    if draws.happens(0.3):  # a closed one
        _shoe(draws, sketch, draws.uniform(0.0, 0.25), draws.uniform(0.08, 0.16))
        gap = draws.uniform(0.12, 0.3)
        sketch.fill([(-0.42, 0.24), (-0.36, 0.0), (-0.36 + gap, 0.04), (-0.3 + gap, 0.24)], 0.4)
        return
    thick = draws.uniform(0.1, 0.24)
    sketch.fill([(-0.9, 0.3), (0.3, 0.36), (0.92, 0.3), (0.9, 0.4 + thick), (-0.9, 0.42 + thick)], 0.7)
    width = draws.uniform(0.12, 0.26)
    for x, high in ((0.45, draws.uniform(0.2, 0.35)), (-0.1, draws.uniform(0.3, 0.5))):
        sketch.line(_arc(x, 0.36, 0.28, high, 180, 360), width)
    if draws.happens(0.7):
        sketch.line([(-0.84, 0.36), (-0.8, -0.16), (-0.42, -0.2), (-0.3, 0.3)], 0.11)


def _cap(draws: Draws, sketch: Sketch) -> None:
    high, wide = draws.uniform(0.55, 0.8), draws.uniform(0.55, 0.66)
    peak = draws.uniform(0.12, 0.5)
    sketch.fill(
        [(-wide + 0.1, 0.22), (wide - 0.1, 0.12), (wide + peak, 0.3), (wide + peak - 0.06, 0.42), (0, 0.38)], 0.7
    )
    sketch.fill([*_arc(0, 0.24, wide, high, 180, 360), (wide * 0.6, 0.32), (-wide * 0.6, 0.32)], round_off=False)
    sketch.line([(0, 0.24 - high), (0.1, 0.26)], 0.04, 0.78)
    sketch.line([(-wide + 0.02, 0.27), (wide - 0.04, 0.27)], draws.uniform(0.05, 0.1), 0.8)


def _beanie(draws: Draws, sketch: Sketch) -> None:
    high, wide = draws.uniform(0.65, 0.95), draws.uniform(0.5, 0.64)
    sketch.fill([*_arc(0, 0.28, wide, high, 180, 360)], round_off=False)
    cuff = draws.uniform(0.12, 0.34)
    sketch.fill(
        [(-wide - 0.04, 0.22), (wide + 0.04, 0.22), (wide + 0.04, 0.26 + cuff), (-wide - 0.04, 0.26 + cuff)], 0.82
    )
    if draws.happens(0.4):
        size = draws.uniform(0.1, 0.2)
        sketch.fill(_arc(0, 0.28 - high - size * 0.5, size, size, 0, 360), 1.15, round_off=False)


def _bag(draws: Draws, sketch: Sketch) -> None:
    wide, high = draws.uniform(0.55, 0.88), draws.uniform(0.34, 0.5)
    y, low = draws.uniform(-0.1, 0.06), 0.6
    reach = draws.uniform(0.25, 0.6)
    sketch.line(_arc(0, y + 0.08, wide * draws.uniform(0.4, 0.6), reach, 180, 360), 0.09, 0.7)
    sketch.fill([(-wide, y), (wide, y), (wide + 0.04, low), (-wide - 0.04, low)])
    for side in (-1, 1):
        sketch.line([(side * wide * 0.5, y), (side * wide * 0.5, low)], 0.08, 0.74)
    if draws.happens(0.6):
        sketch.fill([(-0.2, low - high * 0.7), (0.2, low - high * 0.7), (0.2, low - 0.08), (-0.2, low - 0.08)], 0.86)
    sketch.line([(-wide + 0.08, y + 0.08), (wide - 0.08, y + 0.08)], 0.04, 0.6)


def _briefcase(draws: Draws, sketch: Sketch) -> None:
    wide, y, low = draws.uniform(0.6, 0.86), draws.uniform(-0.34, -0.08), draws.uniform(0.55, 0.68)
    grip = draws.uniform(0.2, 0.3)
    sketch.line([(-grip, y), (-grip * 0.9, y - 0.2), (grip * 0.9, y - 0.2), (grip, y)], 0.09, 0.7)
    sketch.fill([(-wide, y), (wide, y), (wide, low), (-wide, low)])
    flap = y + (low - y) * draws.uniform(0.3, 0.6)
    sketch.fill([(-wide, y), (wide, y), (wide * 0.94, flap), (-wide * 0.94, flap)], 0.86)
    for x in (-0.5, 0.5) if draws.happens(0.5) else (0,):
        sketch.line([(x * wide, flap - 0.08), (x * wide, flap + 0.1)], 0.12, 1.4)


DRAWN: dict[str, Callable[[Draws, Sketch], None]] = {
    "shirt": _shirt,
    "hoodie": _hoodie,
    "coat": _coat,
    "sundress": _sundress,
    "sneakers": _sneakers,
    "sandals": _sandals,
    "cap": _cap,
    "beanie": _beanie,
    "sports bag": _bag,
    "briefcase": _briefcase,
}
CLASSES = tuple(DRAWN)

# What else a thing may be cut like: an overshirt is cut like a coat, a shirt dress like a shirt.
LIKE = {
    "shirt": ("coat", "hoodie", "sundress"),
    "hoodie": ("shirt", "coat"),
    "coat": ("hoodie", "shirt"),
    "sundress": ("shirt", "coat"),
    "sneakers": ("sandals",),
    "sandals": ("sneakers",),
    "cap": ("beanie",),
    "beanie": ("cap",),
    "sports bag": ("briefcase",),
    "briefcase": ("sports bag",),
}


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """label_id, image (PNG bytes of 32 x 32 pixels in RGB), label, split: rows first .. last - 1.

    In each block of ten rows every class comes once; which of them is the test's and which is for validation goes
    round, so that every hundred rows have each class ten times, in tests and in validation once.
    """
    block, place = np.divmod(np.arange(first, last), BLOCK)
    start = first // BLOCK
    order = uniforms(options.seed, Kind.LABEL_ORDER, start, -(-last // BLOCK), BLOCK).argsort(1, kind="stable")
    label = order[block - start, place]
    part = np.array([2, 1] + [0] * (BLOCK - 2))[(label + block) % BLOCK]
    return pl.DataFrame(
        {
            "label_id": [f"l{row:06d}" for row in range(first, last)],
            "image": [_png(options.seed, row, int(c)) for row, c in zip(range(first, last), label, strict=True)],
            "label": [CLASSES[c] for c in label],
            "split": [SPLITS[p] for p in part],
        },
        schema={"label_id": pl.String, "image": pl.Binary, "label": pl.String, "split": pl.String},
    )


def _png(seed: int, row: int, label: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_picture(seed, row, label)).save(file, "PNG")
    return file.getvalue()


def _picture(seed: int, row: int, label: int) -> NDArray[np.uint8]:
    """(32, 32, 3)"""
    draws = Draws(seed, Kind.LABEL, row)
    colour = [level + draws.uniform(-12, 12) for level in draws.pick(COLOURS)]
    bright = sum(colour) / 3
    # pale things lie on dark ground and dark ones on pale, as a photographer would have it
    grey = draws.uniform(196, 232) if bright < 140 else draws.uniform(48, 96)
    ground = [grey + draws.uniform(-10, 10) for _ in range(3)]
    sketch = Sketch(draws, colour, ground)
    name = CLASSES[label]
    DRAWN[draws.pick(LIKE[name]) if draws.happens(BORROWED) else name](draws, sketch)
    picture, covered = sketch.finished()

    cloth = (label + 1 + draws.below(len(CLASSES) - 1)) % len(CLASSES) if draws.happens(UNUSUAL) else label
    y, x = np.mgrid[-1 : 1 : PIXELS * 1j, -1 : 1 : PIXELS * 1j]
    light = 1 + draws.uniform(-0.08, 0.08) * x + draws.uniform(-0.1, 0.02) * y
    grain = (uniforms(seed, Kind.LABEL_GRAIN, row, row + 1, PIXELS * PIXELS) * 2 - 1).reshape(PIXELS, PIXELS)
    threads = covered * _weave(draws, cloth, sketch.angle)[..., None]
    picture = picture * light[..., None] + threads + GRAIN * grain[..., None]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _weave(draws: Draws, cloth: int, angle: float) -> Floats:
    """(32, 32) levels: waves of two lengths in five directions, which turn with the thing."""
    length, direction = THREADS[cloth % 2], math.pi * (cloth // 2) / 5 + angle
    y, x = np.mgrid[:PIXELS, :PIXELS]
    along = (math.cos(direction) * x + math.sin(direction) * y) / length
    return draws.uniform(*WEAVE) * np.cos(2 * math.pi * (along + draws.uniform()))
