"""One thing seen once, or several in a scene: what it looks like, how it is looked at, and the picture of it.

P: width and height of a picture in pixels; H, W: of a scene.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.catalog import CUT_WORDS, MATERIALS, Catalog
from tenfold.shop.catalog import PATTERNS as CATALOG_PATTERNS
from tenfold.shop.pictures import goods, shading, wear
from tenfold.shop.pictures.outlines import Piece
from tenfold.shop.pictures.surfaces import PATTERNS, TEXTURES, Rgb, inks, print_of
from tenfold.shop.streams import Draws
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, PARTS, STYLES

Bytes = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

SHAPES = {
    "tent": goods.tent, "scarf": wear.scarf, "shirt": wear.shirt, "hoodie": wear.hoodie, "cushion": goods.cushion,
    "mug": goods.mug, "sundress": wear.sundress, "leggings": wear.leggings, "sleeping bag": goods.sleeping_bag,
    "beanie": wear.beanie, "blazer": wear.blazer, "sneakers": wear.sneakers, "rug": goods.rug, "teapot": goods.teapot,
    "sandals": wear.sandals, "running shoes": wear.running_shoes, "lantern": goods.lantern, "coat": wear.coat,
    "briefcase": goods.briefcase, "cap": wear.cap, "lamp": goods.lamp, "apron": wear.apron, "sun hat": wear.sun_hat,
    "sports bag": goods.sports_bag,
}  # fmt: skip
STANDS = {
    "tent", "mug", "sneakers", "teapot", "running shoes", "lantern", "briefcase", "lamp", "sports bag", "beanie", "cap",
    "sun hat",
}  # fmt: skip
ROUND = {"mug": 1.45, "teapot": 1.4, "lantern": 1.2, "lamp": 1.4, "rug": 0.3, "cushion": 1.25, "sleeping bag": 1.3}
LEAN = 0.3  # what stands is turned by so much of a view's angle

BACKGROUNDS = ("studio", "gradient", "horizon", "table", "disc", "window", "tiles")
# Two colours that go together; neither so light that white, nor so dark that black, would be lost on it.
BACKDROPS: tuple[tuple[Rgb, Rgb], ...] = (
    ((0.86, 0.84, 0.80), (0.74, 0.71, 0.66)),
    ((0.80, 0.84, 0.86), (0.66, 0.72, 0.76)),
    ((0.88, 0.80, 0.76), (0.78, 0.66, 0.60)),
    ((0.80, 0.85, 0.78), (0.66, 0.74, 0.64)),
    ((0.84, 0.82, 0.88), (0.70, 0.67, 0.77)),
    ((0.88, 0.84, 0.72), (0.75, 0.64, 0.50)),
    ((0.76, 0.80, 0.78), (0.58, 0.50, 0.42)),
    ((0.72, 0.76, 0.80), (0.58, 0.62, 0.68)),
    ((0.82, 0.78, 0.74), (0.62, 0.52, 0.43)),
    ((0.78, 0.83, 0.84), (0.84, 0.77, 0.68)),
)


class Look(NamedTuple):
    """What all pictures of an item show, in the words of traits.py."""

    category: str
    cut: str
    colour: str
    pattern: str
    material: str
    style: str
    brand: str


class Light(NamedTuple):
    angle: float  # degrees to the right of straight above
    strength: float  # of light against shade
    exposure: float
    warmth: float  # above 0 redder, below 0 bluer


class Background(NamedTuple):
    kind: str  # of BACKGROUNDS
    colours: tuple[Rgb, Rgb]
    horizon: float  # share of the height above the edge of a table or floor
    shift: float  # of its boards, panes and tiles, from 0 to 1


class Pose(NamedTuple):
    angle: float = 0.0  # degrees, clockwise; what stands leans by less
    shear: float = 0.0
    mirror: bool = False


class View(NamedTuple):
    """What differs between two pictures of one item."""

    pose: Pose
    scale: float  # the longer side of the thing over that of the picture
    place: tuple[float, float]  # of the thing in the room left to it, from 0 to 1
    light: Light
    background: Background


class Placed(NamedTuple):
    look: Look
    box: Box  # it is made as large as fits there, in the middle, at the bottom if it stands
    pose: Pose = Pose()


class Drawn(NamedTuple):
    image: Bytes  # (P, P, 3)
    mask: Bytes  # (P, P): 0 background, n the n-th of PARTS[category]


class Scene(NamedTuple):
    image: Bytes  # (H, W, 3)
    parts: Bytes  # (H, W): 0 background, n the n-th of the PARTS of the thing that is there
    things: Bytes  # (H, W): 0 background, n the n-th thing
    boxes: list[
        tuple[int, int, int, int] | None
    ]  # of what is seen of each: left, top, right, bottom; the last two excluded


def look(catalog: Catalog, item: int) -> Look:
    category = int(catalog.category[item])
    return Look(
        category=CATEGORIES[category].name,
        cut=CUT_WORDS[3 * category + int(catalog.cut[item])],
        colour=COLOURS[int(catalog.colour[item])],
        pattern=CATALOG_PATTERNS[int(catalog.pattern[item])],
        material=MATERIALS[int(catalog.material[item])],
        style=STYLES[int(catalog.segment[item]) % len(STYLES)],
        brand=BRANDS[int(catalog.brand[item])].name,
    )


def draw_view(draws: Draws) -> View:
    return View(
        pose=Pose(draws.uniform(-14, 14), draws.uniform(-0.08, 0.08), draws.happens(0.5)),
        scale=draws.uniform(0.72, 0.92),
        place=(draws.uniform(0.2, 0.8), draws.uniform(0.3, 0.8)),
        light=draw_light(draws),
        background=draw_background(draws),
    )


def draw_light(draws: Draws) -> Light:
    angle = draws.uniform(20, 60) * (1 if draws.happens(0.5) else -1)
    return Light(angle, draws.uniform(0.7, 1.15), draws.uniform(0.94, 1.04), draws.uniform(-1, 1))


def draw_background(draws: Draws) -> Background:
    kind, colours = draws.pick(BACKGROUNDS), draws.pick(BACKDROPS)
    return Background(kind, colours, draws.uniform(0.56, 0.74), draws.uniform())


def picture(look: Look, view: View, pixels: int) -> Drawn:
    size = view.scale * pixels
    left, top = ((pixels - size) * share for share in view.place)
    scene = compose(
        [Placed(look, (left, top, left + size, top + size), view.pose)], view.light, view.background, pixels, pixels
    )
    return Drawn(scene.image, scene.parts)


def compose(things: Sequence[Placed], light: Light, background: Background, height: int, width: int) -> Scene:
    """Several things on one background, the later ones in front of the earlier."""
    image = np.empty((height, width, 3), np.uint8)
    part, thing = np.empty((height, width), np.uint8), np.empty((height, width), np.uint8)
    shading.paint(*_pieces(things), _scenery(light, background), image, part, thing)
    return Scene(image, part, thing, [_box(thing == n + 1) for n in range(len(things))])


class _Shape(NamedTuple):
    """The pieces of a category and cut as arrays."""

    points: NDArray[np.float64]
    start: NDArray[np.int64]
    part: NDArray[np.int64]
    surface: NDArray[np.int64]
    raised: NDArray[np.bool_]
    tone: NDArray[np.float64]
    grain: NDArray[np.float64]
    ink: list[str]


@cache
def shape(category: str, cut: str) -> _Shape:
    pieces: list[Piece] = SHAPES[category](cut)
    parts = PARTS[category]
    grain = np.radians([piece.grain for piece in pieces])
    raised = np.array([piece.raised for piece in pieces])
    return _Shape(
        points=np.concatenate([piece.outline for piece in pieces]),
        start=np.cumsum([0, *(len(piece.outline) for piece in pieces)]),
        part=np.array([parts.index(piece.part) + 1 for piece in pieces]),
        surface=raised.cumsum(),
        raised=raised,
        tone=np.array([piece.tone for piece in pieces]),
        grain=np.column_stack([np.cos(grain), np.sin(grain)]),
        ink=[piece.ink for piece in pieces],
    )


@lru_cache(maxsize=4096)
def _inked(
    look: Look,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    filled = inks(look.colour, look.pattern, look.material, look.style)
    chosen = [filled[ink] for ink in shape(look.category, look.cut).ink]
    return (
        np.array([[ink.base, ink.second, ink.third] for ink in chosen]),
        np.array([PATTERNS.index(ink.pattern) for ink in chosen]),
        np.array([TEXTURES.index(ink.finish.texture) for ink in chosen]),
        np.array([ink.finish[1:] for ink in chosen]),
        np.array([ink.shines for ink in chosen]),
    )


def _pieces(things: Sequence[Placed]) -> tuple[shading.Pieces, shading.Things]:
    shapes = [shape(placed.look.category, placed.look.cut) for placed in things]
    counts = [len(s.part) for s in shapes]
    points, back, scale, bounds, feet = [], [], [], [], []
    for placed, s in zip(things, shapes, strict=True):
        there, linear, offset, size = _fit(s, placed)
        points.append(there * shading.SAMPLES)
        inverse = np.linalg.inv(linear)
        back.append(np.column_stack([inverse / shading.SAMPLES, -inverse @ offset]))
        scale.append(size * shading.SAMPLES)
        low, high = s.points.min(0), s.points.max(0)
        bounds.append([*low, *(high - low)])
        base = there[:, 1].max()
        foot = there[there[:, 1] > base - 0.06 * (base - there[:, 1].min())][:, 0]
        feet.append([(foot.min() + foot.max()) / 2, base, (foot.max() - foot.min()) / 2, stands(placed.look)])
    ink = [_inked(placed.look) for placed in things]
    corners = np.cumsum([0, *(len(s.points) for s in shapes)])
    behind = np.cumsum([0, *(int(s.surface[-1]) + 1 for s in shapes)])
    colour, pattern, texture, finish, shines = (np.concatenate(column) for column in zip(*ink, strict=True))
    pieces = shading.Pieces(
        points=np.concatenate(points),
        start=np.concatenate([*(s.start[:-1] + c for s, c in zip(shapes, corners[:-1], strict=True)), corners[-1:]]),
        part=np.concatenate([s.part for s in shapes]),
        thing=np.repeat(np.arange(len(things)), counts),
        surface=np.concatenate([s.surface + b for s, b in zip(shapes, behind[:-1], strict=True)]),
        raised=np.concatenate([s.raised for s in shapes]),
        colour=colour,
        pattern=pattern,
        texture=texture,
        finish=finish,
        tone=np.concatenate([s.tone for s in shapes]),
        shines=shines,
        grain=np.concatenate([s.grain for s in shapes]),
    )
    prints = [print_of(placed.look.brand) for placed in things]
    return pieces, shading.Things(
        back=np.array(back),
        scale=np.array(scale),
        bounds=np.array(bounds),
        print=np.array(prints, np.float64),
        round=np.array([ROUND.get(placed.look.category, 1.0) for placed in things]),
        foot=np.array(feet, np.float64),
    )


def stands(look: Look) -> bool:
    """Whether it stands on its lowest edge; else it hangs or lies and may be turned further."""
    return (look.category in STANDS and (look.category, look.cut) != ("lamp", "pendant")) or look.cut == "wedge"


def leaning(look: Look, pose: Pose) -> float:
    """The degrees by which a thing is really turned."""
    return pose.angle * (LEAN if stands(look) else 1.0)


def _fit(s: _Shape, placed: Placed) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Corners in pixels, the map that took them there (linear, offset) and the pixels in a unit."""
    turn = math.radians(leaning(placed.look, placed.pose))
    c, sn = math.cos(turn), math.sin(turn)
    linear = np.array([[c, -sn], [sn, c]]) @ np.array([[1.0, placed.pose.shear], [0.0, 1.0]])
    if placed.pose.mirror:
        linear = linear @ np.diag([-1.0, 1.0])
    there = s.points @ linear.T
    low, high = there.min(0), there.max(0)
    left, top, right, bottom = placed.box
    size = float(min((right - left) / (high[0] - low[0]), (bottom - top) / (high[1] - low[1])))
    room = np.array([right - left, bottom - top]) - size * (high - low)
    share = np.array([0.5, 1.0 if stands(placed.look) else 0.5])
    offset = np.array([left, top]) + share * room - size * low
    return there * size + offset, linear * size, offset, size


def _scenery(light: Light, background: Background) -> shading.Scenery:
    turn = math.radians(light.angle)
    warm = 0.02 * light.warmth
    tint = [light.exposure * (1 + warm), light.exposure, light.exposure * (1 - warm)]
    return shading.Scenery(
        light=np.array([math.sin(turn), -math.cos(turn), light.strength, *tint]),
        kind=BACKGROUNDS.index(background.kind),
        colours=np.array(background.colours),
        horizon=background.horizon,
        shift=background.shift,
    )


def _box(seen: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
