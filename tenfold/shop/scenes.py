"""Scenes: pictures of two or three items with a caption each, in twins that only what stands where tells apart.

Twins show the same items in the same poses under the same light, and their captions have the same words. So whoever
takes words and things each for themselves can only guess which caption belongs to which picture. A pair is planned in
heights of the picture (`plan`), before anything is drawn: the picture is WIDTH wide and 1 high.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tenfold.shop.catalog import PATTERNS, Catalog, item_ids
from tenfold.shop.options import Options
from tenfold.shop.pictures.picture import (
    Background,
    Box,
    Light,
    Look,
    Placed,
    Pose,
    Scene,
    compose,
    draw_background,
    draw_light,
    leaning,
    look,
    shape,
)
from tenfold.shop.pictures.surfaces import RGB
from tenfold.shop.pictures.table import png
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import CATEGORIES, COLOURS, PAIRS

RELATIONS = {"left of": 0.3, "above": 0.18, "in front of": 0.18, "larger than": 0.18, "same colour as": 0.16}  # shares
SPLIT_SHARES = (0.8, 0.1, 0.1)
WIDTH = 1.5
MARGIN, GAP = 0.04, 0.06  # around things and between them, at the least
LARGER = (1.65, 2.1)  # how many times the longer side of what is larger
COVERED = (0.21, 0.39)  # share of a thing that one in front of it hides
LOWER = (0.08, 0.16)  # how much lower than what it hides a thing stands
TRIES = 40  # to find items for a pair, the second half of them for the plainest relation
FLAT = ("studio", "gradient", "disc", "tiles")  # backgrounds on which nothing has to stand
GRID = 128  # pixels in a height, to measure what is hidden

SHOES = {"sneakers", "running shoes", "sandals"}  # their patterns are seen on small parts only
ALIKE = (  # what a person may take for one another in a small picture
    SHOES,
    {"shirt", "hoodie", "blazer", "coat"},
    {"beanie", "cap", "sun hat"},
    {"lantern", "lamp"},
    {"sundress", "apron"},
    {"apron", "sports bag", "briefcase"},
    {"cushion", "rug"},
    {"sleeping bag", "rug"},
    {"mug", "teapot"},
)
ALIKE_PATTERNS = (
    {"plain", "glazed"},
    {"plain", "herringbone"},
    {"plain", "colour-block"},
    {"camouflage", "colour-block"},
    {"striped", "herringbone"},
    {"glazed", "marbled"},
)
TWO_COLOURED = ("rug", "sandals", "lantern")  # though plain, so that it may be asked what their colour is
APART = 45.0  # between two colours that nobody confuses, in CIELAB

# {a} and {b} change places in the twin's caption.
WAYS = {
    "left of": (
        "{a} is left of {b}.",
        "{a} is to the left of {b}.",
        "{b} is right of {a}.",
        "{b} is to the right of {a}.",
        "To the left of {b} is {a}.",
        "To the right of {a} there is {b}.",
        "{a}, with {b} further to the right.",
    ),
    "above": (
        "{a} is above {b}.",
        "{b} is below {a}.",
        "Above {b} is {a}.",
        "Below {a} there is {b}.",
        "{a}, with {b} underneath.",
    ),
    "in front of": (
        "{a} is in front of {b}.",
        "{b} is behind {a}.",
        "In front of {b} there is {a}.",
        "{b} is partly hidden by {a}.",
        "{a} hides a part of {b}.",
    ),
    "larger than": (
        "{a} is larger than {b}.",
        "{a} is bigger than {b}.",
        "{b} is smaller than {a}.",
        "{a} looks larger than {b}.",
        "{a} beside {b}, which is smaller.",
    ),
}
ALONE = {  # where there is nothing else to be seen
    "left of": ("On the left is {a}, on the right {b}.", "{b} on the right, {a} on the left."),
    "above": ("At the top is {a}, at the bottom {b}.", "{b} at the bottom, {a} at the top."),
    "in front of": ("In front is {a}, behind it {b}.", "{a} in front, {b} behind."),
}
# {c} stands between {a} and {b}.
BETWEEN = (
    "{a} is left of {c} and {b} right of it.",
    "{c} is between {a} on the left and {b} on the right.",
    "From left to right: {a}, {c} and {b}.",
    "From right to left: {b}, {c} and {a}.",
    "{a} on the left, {c} in the middle and {b} on the right.",
)
# Two of a kind, the one at {side} with the colour of {c}; then {c} in the middle, with that of the thing at {side}.
SAME_OF_A_KIND = (
    "{one} on the {side} has the same colour as {c}, unlike {one} on the {other}.",
    "{c} has the same colour as {one} on the {side}, not {one} on the {other}.",
    "It is {one} on the {side}, not {one} on the {other}, that has the same colour as {c}.",
)
SAME_BESIDE = (
    "{c} has the same colour as the thing to its {side}, not the thing to its {other}.",
    "The thing to the {side} of {c} has the same colour, the thing to its {other} does not.",
    "{c} has the colour of what is to its {side} and not of what is to its {other}.",
)

Size = tuple[float, float]  # width and height
Twins = tuple[tuple[list[Box], list[int]], tuple[list[Box], list[int]]]  # of each, boxes and order from the back


class Name(NamedTuple):
    """What a caption calls a thing by."""

    adjectives: str
    category: str

    def phrase(self, article: str, noun: bool = True) -> str:
        pair = self.category in PAIRS
        what = self.category if noun else "ones" if pair else "one"
        words = f"{'pair of ' if pair else ''}{self.adjectives} {what}".replace("  ", " ").strip()
        return f"{'an' if article == 'a' and words[0] in 'aeiou' else article} {words}"


class Layout(NamedTuple):
    """One picture of a pair."""

    caption: str
    boxes: tuple[Box, ...]  # of the outlines of the pair's things, hidden or not
    order: tuple[int, ...]  # of the things, from the back to the front


class Plan(NamedTuple):
    """A pair of twins."""

    relation: str
    split: int
    items: tuple[int, ...]
    poses: tuple[Pose, ...]
    light: Light
    background: Background
    twins: tuple[Layout, Layout]


class Stock(NamedTuple):
    """The items of a split, as columns."""

    row: NDArray[np.int64]
    category: NDArray[np.int64]
    colour: NDArray[np.int64]
    pattern: NDArray[np.int64]


class Told(NamedTuple):
    """What a pair shows and what its captions say."""

    items: list[int]  # the first two change places, or sizes, between twins
    captions: tuple[str, str]
    middle: bool = False  # whether the third stands between them; else anywhere
    sized: bool = False  # whether the first is larger in both


OBJECT = {name: pl.String() for name in ("item", "name", "category", "colour", "pattern")}
BOX = {edge: pl.Int64() for edge in ("x0", "y0", "x1", "y1")}
SCHEMA = pl.Schema(
    {
        "scene": pl.String(),
        "pair": pl.Int64(),
        "image": pl.Binary(),
        "caption": pl.String(),
        "relation": pl.String(),
        "objects": pl.List(pl.Struct({**OBJECT, **BOX})),
        "split": pl.String(),
    }
)


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """Scenes first .. last - 1; those of rows 2 k and 2 k + 1 are twins.

    scene, pair (k), image (PNG, RGB, options.pixels high and 1.5 times as wide), caption, relation (the one in which
    twins differ), objects (from the back to the front: item, name, category, colour, pattern and the box of what is
    seen of it in pixels, x1 and y1 excluded), split (of the scene and of all its items).
    """
    catalog = ground(options).catalog
    ids = item_ids(len(catalog))
    plans = {pair: plan(options, pair) for pair in range(first // 2, (last + 1) // 2)}
    rows = []
    for row in range(first, last):
        pair, which = divmod(row, 2)
        planned = plans[pair]
        scene = paint(options, planned, which)
        objects = []
        for thing, box in zip(planned.twins[which].order, scene.boxes, strict=True):
            assert box is not None  # COVERED leaves more than half of it
            seen = look(catalog, planned.items[thing])
            words = _adjectives(seen.colour, seen.pattern)
            objects.append(
                {"item": ids[planned.items[thing]], "name": f"{words} {seen.category}", "category": seen.category}
                | {"colour": seen.colour, "pattern": seen.pattern}
                | dict(zip(BOX, box, strict=True))
            )
        rows.append(
            (
                f"s{row:06d}", pair, png(scene.image), planned.twins[which].caption, planned.relation, objects,
                SPLITS[planned.split],
            )
        )  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def paint(options: Options, planned: Plan, which: int) -> Scene:
    """The picture of one twin; its things and boxes are in the order of the layout's."""
    catalog, height = ground(options).catalog, options.pixels
    layout = planned.twins[which]
    things = [
        Placed(
            look(catalog, planned.items[thing]),
            tuple(height * edge for edge in layout.boxes[thing]),  # type: ignore[arg-type]
            planned.poses[thing],
        )
        for thing in layout.order
    ]
    return compose(things, planned.light, planned.background, height, int(WIDTH * height))


def plan(options: Options, pair: int) -> Plan:
    """A pair of twins: a function of the seed, the catalogue and the pair's number alone."""
    catalog, stocks = ground(options).catalog, _stocks(options)
    draws = Draws(options.seed, Kind.SCENE, pair)
    split = draws.pick(range(len(SPLITS)), SPLIT_SHARES)
    if len(stocks[split].row) < 2:  # a small shop
        split = max(range(len(SPLITS)), key=lambda each: len(stocks[each].row))
    light, background = draw_light(draws), draw_background(draws)
    relation = draws.pick(list(RELATIONS), list(RELATIONS.values()))
    stock, twins = stocks[split], None
    for attempt in range(TRIES):
        relation = "left of" if attempt >= TRIES // 2 else relation
        told = _told(draws, relation, stock, catalog)
        if told is not None:
            poses, twins = _twins(draws, relation, told, catalog)
        if twins is not None:
            break
    if told is None or twins is None:
        told = _by_size(draws, stock, catalog)
        poses, twins = _twins(draws, relation, told, catalog)
        assert twins is not None
    if relation == "above":
        background = background._replace(kind=draws.pick(FLAT))
    layouts = [
        Layout(caption, tuple(boxes), tuple(order))
        for caption, (boxes, order) in zip(told.captions, twins, strict=True)
    ]
    one, other = layouts if draws.happens(0.5) else layouts[::-1]
    return Plan(relation, split, tuple(told.items), tuple(poses), light, background, (one, other))


@lru_cache(maxsize=2)
def _stocks(options: Options) -> list[Stock]:
    catalog = ground(options).catalog
    rows = [np.flatnonzero(catalog.split == split) for split in range(len(SPLITS))]
    return [Stock(r, catalog.category[r], catalog.colour[r], catalog.pattern[r]) for r in rows]


# What is shown and said


def _told(draws: Draws, relation: str, stock: Stock, catalog: Catalog) -> Told | None:
    """None where the items drawn first have no company for it."""
    first = draws.below(len(stock.row))
    if relation == "same colour as":
        same = _same_of_a_kind if draws.happens(0.5) else _same_beside
        return same(draws, stock, catalog, first)
    if draws.happens(0.5):
        shoes = CATEGORIES[stock.category[first]].name in SHOES
        naming = draws.pick(("colour", "both", "pattern"), (0.5, 0.25, 0.0 if shoes else 0.25))
        apart = PATTERNS_APART[stock.pattern[first]][stock.pattern]
        if naming != "pattern":
            apart = COLOURS_APART[stock.colour[first]][stock.colour]
        second = _one_of(draws, (stock.category == stock.category[first]) & apart)
    else:
        naming = draws.pick(("", "colour", "both"), (0.5, 0.25, 0.25))
        second = _one_of(draws, _unlike(stock, first))
    if second is None:
        return None
    rows = [first, second]
    third = _one_of(draws, _unlike(stock, first) & _unlike(stock, second)) if draws.happens(0.45) else None
    middle = False
    ways: tuple[str, ...] = WAYS[relation]
    if third is not None:
        rows.append(third)
        middle = relation == "left of" and draws.happens(0.6)
        ways = BETWEEN if middle else ways
    else:
        ways = (*ways, *ALONE.get(relation, ()))
    items = [int(stock.row[row]) for row in rows]
    names = [_name(catalog, item, naming) for item in items[:2]]
    if third is not None:
        names.append(_name(catalog, items[2], naming if naming != "pattern" else ""))
    return Told(items, _captions(draws, draws.pick(ways), names), middle)


def _same_of_a_kind(draws: Draws, stock: Stock, catalog: Catalog, first: int) -> Told | None:
    plain = _one_coloured(stock)
    other = _one_of(
        draws, plain & (stock.category == stock.category[first]) & COLOURS_APART[stock.colour[first]][stock.colour]
    )
    third = _one_of(draws, plain & _unlike(stock, first) & (stock.colour == stock.colour[first]))
    if not plain[first] or other is None or third is None:
        return None
    return _same(draws, [int(stock.row[row]) for row in (first, other, third)], catalog, SAME_OF_A_KIND)


def _same_beside(draws: Draws, stock: Stock, catalog: Catalog, first: int) -> Told | None:
    plain = _one_coloured(stock)
    third = _one_of(draws, plain & _unlike(stock, first) & (stock.colour == stock.colour[first]))
    if not plain[first] or third is None:
        return None
    apart = COLOURS_APART[stock.colour[first]][stock.colour]
    other = _one_of(draws, plain & _unlike(stock, first) & _unlike(stock, third) & apart)
    if other is None:
        return None
    items = [int(stock.row[row]) for row in (first, other, third)]
    return _same(draws, items, catalog, SAME_BESIDE)._replace(middle=True)


def _same(draws: Draws, items: list[int], catalog: Catalog, ways: Sequence[str]) -> Told:
    """The first stands on the left in one twin and on the right in the other."""
    way = draws.pick(ways)
    one, third = (_name(catalog, items[n], "").phrase("the") for n in (0, 2))
    sides = ("left", "right"), ("right", "left")
    says = [_sentence(way.format(one=one, c=third, side=side, other=other)) for side, other in sides]
    return Told(items, (says[0], says[1]))


def _by_size(draws: Draws, stock: Stock, catalog: Catalog) -> Told:
    """The same thing twice, large and small: what even one item is enough for."""
    item = int(stock.row[draws.below(len(stock.row))])
    names = [_name(catalog, item, "")._replace(adjectives=word) for word in ("larger", "smaller")]
    ways = [*WAYS["left of"], *ALONE["left of"]]
    return Told([item, item], _captions(draws, draws.pick(ways), names, article="the"), sized=True)


def _captions(draws: Draws, way: str, names: list[Name], article: str = "") -> tuple[str, str]:
    """The way with the names filled in, then with the first two exchanged. Both have the same words."""
    article = article or draws.pick(("the", "a"))
    a, b = names[:2]
    short = a.category == b.category and "{c}" not in way and draws.happens(0.6)
    says = []
    for one, other in ((a, b), (b, a)):
        called = {"a": one.phrase(article), "b": other.phrase(article)}
        if short:  # the second to be named is "the blue one"
            second, name = ("b", other) if way.index("{a}") < way.index("{b}") else ("a", one)
            called[second] = name.phrase(article, noun=False)
        if len(names) == 3:
            called["c"] = names[2].phrase(article)
        says.append(_sentence(way.format(**called)))
    return says[0], says[1]


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _name(catalog: Catalog, item: int, naming: str) -> Name:
    """By its category and, as naming says, its colour, its pattern or both."""
    seen = look(catalog, item)
    words = {"": "", "colour": seen.colour, "pattern": seen.pattern, "both": _adjectives(seen.colour, seen.pattern)}
    return Name(words[naming], seen.category)


def _adjectives(colour: str, pattern: str) -> str:
    return colour if pattern == "plain" else f"{colour} {pattern}"


def _one_of(draws: Draws, which: NDArray[np.bool_]) -> int | None:
    rows = np.flatnonzero(which)
    return int(rows[draws.below(len(rows))]) if len(rows) else None


def _unlike(stock: Stock, row: int) -> NDArray[np.bool_]:
    return ~KINDS_ALIKE[stock.category[row]][stock.category]


def _one_coloured(stock: Stock) -> NDArray[np.bool_]:
    several = [row for row, category in enumerate(CATEGORIES) if category.name in TWO_COLOURED]
    return (stock.pattern == PATTERNS.index("plain")) & ~np.isin(stock.category, several)


def _alike(words: Sequence[str], groups: Sequence[set[str]]) -> NDArray[np.bool_]:
    return np.array([[one == other or any({one, other} <= g for g in groups) for other in words] for one in words])


def _lab(rgb: tuple[float, float, float]) -> NDArray[np.float64]:
    """CIELAB of an sRGB colour in daylight."""
    c = np.array(rgb)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


KINDS_ALIKE = _alike([c.name for c in CATEGORIES], ALIKE)
PATTERNS_APART = ~_alike(PATTERNS, ALIKE_PATTERNS)
LAB = np.array([_lab(RGB[colour]) for colour in COLOURS])
COLOURS_APART = np.linalg.norm(LAB[:, None] - LAB, axis=2) > APART


# Where things are


class Outline(NamedTuple):
    """A thing as it is turned, its longer side 1."""

    points: NDArray[np.float64]  # (points, 2), from 0 on
    start: NDArray[np.int64]  # of its pieces' points
    size: Size


def _outline(seen: Look, pose: Pose) -> Outline:
    """As pictures turn a thing: mirrored, sheared, then turned."""
    s = shape(seen.category, seen.cut)
    turn = math.radians(leaning(seen, pose))
    x, y = s.points.T
    x = (-x if pose.mirror else x) + pose.shear * y
    points = np.column_stack([math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y])
    points -= points.min(0)
    points /= points.max()
    width, height = points.max(0).tolist()
    return Outline(points, s.start, (width, height))


def _twins(draws: Draws, relation: str, told: Told, catalog: Catalog) -> tuple[list[Pose], Twins | None]:
    """How the things are turned, and where they are in each twin; None where they cannot be in that relation."""
    looks = [look(catalog, item) for item in told.items]
    poses = [Pose(draws.uniform(-10, 10), draws.uniform(-0.06, 0.06), draws.happens(0.5)) for _ in looks]
    outlines = [_outline(seen, pose) for seen, pose in zip(looks, poses, strict=True)]
    if relation == "above":
        return poses, _above(draws, outlines)
    if relation == "in front of":
        return poses, _in_front(draws, outlines)
    return poses, _side_by_side(draws, outlines, told, larger=relation == "larger than")


def _side_by_side(draws: Draws, outlines: Sequence[Outline], told: Told, larger: bool) -> Twins:
    """In a row. Twins differ in who is the larger, else in who stands left of whom."""
    count = len(outlines)
    lengths = [draws.uniform(0.36, 0.6 if count == 2 else 0.5) for _ in outlines]
    if larger or told.sized:
        lengths[0] = draws.uniform(0.54, 0.68)
        lengths[1] = lengths[0] / draws.uniform(*LARGER)
    exchanged = [lengths[1], lengths[0], *lengths[2:]] if larger else lengths
    places = [0, 1]
    if count == 3:
        places.insert(1 if told.middle else draws.below(3), 2)
    orders = places, places if larger else [{0: 1, 1: 0, 2: 2}[thing] for thing in places]
    gaps = [draws.uniform() for _ in range(count + 1)]
    level = draws.uniform(0.5, 0.85)
    levels = [level + draws.uniform(-0.12, 0.12) for _ in outlines]
    sizes = [_sizes(outlines, each) for each in (lengths, exchanged)]
    room = WIDTH - 2 * MARGIN - (count - 1) * GAP
    fit = min(1.0, *(room / sum(w for w, _ in each) for each in sizes))

    def row(sizes: list[Size], order: list[int]) -> tuple[list[Box], list[int]]:
        boxes: list[Box] = [(0, 0, 0, 0)] * count
        left, spare = MARGIN, room - fit * sum(w for w, _ in sizes)
        for thing, gap in zip(order, gaps, strict=False):
            w, h = (fit * side for side in sizes[thing])
            left += spare * gap / sum(gaps)
            top = MARGIN + levels[thing] * (1 - 2 * MARGIN - h)
            boxes[thing] = (left, top, left + w, top + h)
            left += w + GAP
        return boxes, list(range(count))

    return row(sizes[0], orders[0]), row(sizes[1], orders[1])


def _above(draws: Draws, outlines: Sequence[Outline]) -> Twins:
    """One over the other, and a third beside them."""
    beside, left, right = _beside(draws, outlines)
    sizes = _sizes(outlines[:2], [draws.uniform(0.36, 0.52) for _ in range(2)])
    room = 1 - 2 * MARGIN - GAP
    fit = min(1.0, room / (sizes[0][1] + sizes[1][1]))
    sizes = [(fit * w, fit * h) for w, h in sizes]
    share = draws.uniform(0.15, 0.85)
    lefts = [left + (share + draws.uniform(-0.1, 0.1)) * (right - left - w) for w, _ in sizes]
    gaps = [draws.uniform() for _ in range(3)]
    spare = room - sizes[0][1] - sizes[1][1]

    def column(order: Sequence[int]) -> tuple[list[Box], list[int]]:
        boxes: list[Box] = [(0, 0, 0, 0)] * 2
        top = MARGIN
        for thing, gap in zip(order, gaps, strict=False):
            w, h = sizes[thing]
            top += spare * gap / sum(gaps)
            boxes[thing] = (lefts[thing], top, lefts[thing] + w, top + h)
            top += h + GAP
        return [*boxes, *beside], list(range(len(outlines)))

    return column((0, 1)), column((1, 0))


def _in_front(draws: Draws, outlines: Sequence[Outline]) -> Twins | None:
    """One hides a part of the other and stands lower; a third is beside them. None where these sizes do not do."""
    beside, left, right = _beside(draws, outlines)
    lengths = [draws.uniform(0.42, 0.6) for _ in range(2)]
    (wide, high), (wide_b, high_b) = sizes = _sizes(outlines[:2], lengths)
    lower = draws.uniform(*LOWER)
    base = draws.uniform(max(high, high_b) + lower + MARGIN, 1 - MARGIN)
    a, b = (_mask(outline, length) for outline, length in zip(outlines, lengths, strict=False))
    fits = []
    for step in np.linspace(-wide_b, wide, 33).tolist():
        width = max(wide, step + wide_b) - min(0.0, step)
        b_hidden = _shared(a, b, step, high - lower - high_b) / b.sum()
        a_hidden = _shared(a, b, step, high + lower - high_b) / a.sum()
        if width < right - left and all(COVERED[0] <= hidden <= COVERED[1] for hidden in (a_hidden, b_hidden)):
            fits.append((step, width))
    if not fits:
        return None
    step, width = draws.pick(fits)
    start = left + draws.uniform() * (right - left - width) - min(0.0, step)
    lefts = start, start + step

    def depth(order: tuple[int, int]) -> tuple[list[Box], list[int]]:
        bases = {order[0]: base - lower, order[1]: base}
        boxes: list[Box] = [(lefts[n], bases[n] - sizes[n][1], lefts[n] + sizes[n][0], bases[n]) for n in range(2)]
        return [*boxes, *beside], [*range(2, len(outlines)), *order]

    return depth((1, 0)), depth((0, 1))


def _beside(draws: Draws, outlines: Sequence[Outline]) -> tuple[list[Box], float, float]:
    """The box of the third thing, if there is one, and from where to where the other two may be."""
    left, right = MARGIN, WIDTH - MARGIN
    if len(outlines) == 2:
        return [], left, right
    w, h = _sizes(outlines[2:], [draws.uniform(0.32, 0.42)])[0]
    top = MARGIN + draws.uniform(0.4, 0.9) * (1 - 2 * MARGIN - h)
    if draws.happens(0.5):
        return [(left, top, left + w, top + h)], left + w + 2 * GAP, right
    return [(right - w, top, right, top + h)], left, right - w - 2 * GAP


def _sizes(outlines: Sequence[Outline], lengths: Sequence[float]) -> list[Size]:
    return [(o.size[0] * length, o.size[1] * length) for o, length in zip(outlines, lengths, strict=True)]


def _mask(outline: Outline, length: float) -> NDArray[np.bool_]:
    """What a thing hides, in the grid."""
    width, height = (math.ceil(length * side * GRID) + 1 for side in outline.size)
    image = Image.new("1", (width, height))
    pen = ImageDraw.Draw(image)
    for piece in np.split(outline.points * length * GRID, outline.start[1:-1]):
        pen.polygon(piece.ravel().tolist(), fill=1)
    return np.asarray(image)


def _shared(a: NDArray[np.bool_], b: NDArray[np.bool_], right: float, down: float) -> int:
    """Points of the grid that a has in common with b, which begins so much further right and down."""
    x, y = round(right * GRID), round(down * GRID)
    a = a[max(y, 0) :, max(x, 0) :]
    b = b[max(-y, 0) :, max(-x, 0) :]
    height, width = min(len(a), len(b)), min(a.shape[1], b.shape[1])
    return int((a[:height, :width] & b[:height, :width]).sum())
