"""What things are made of: sixteen colours and their companions, patterns, materials, and which of these look alike.

A brand shows in how large its patterns are and whether its stripes stand up, a style in the second colour and the
trimmings.
"""

from typing import NamedTuple

from tenfold.shop.traits import BRANDS, Category

Rgb = tuple[float, float, float]

RGB: dict[str, Rgb] = {
    "black": (0.10, 0.10, 0.11), "white": (0.97, 0.97, 0.97), "grey": (0.53, 0.54, 0.56), "navy": (0.11, 0.19, 0.45),
    "red": (0.84, 0.11, 0.16), "rust": (0.62, 0.28, 0.13), "mustard": (0.86, 0.66, 0.13), "olive": (0.42, 0.45, 0.19),
    "teal": (0.05, 0.49, 0.49), "sky blue": (0.47, 0.74, 0.93), "cream": (0.98, 0.91, 0.70),
    "sand": (0.79, 0.65, 0.46), "pink": (0.96, 0.56, 0.70), "plum": (0.44, 0.15, 0.40), "orange": (0.97, 0.50, 0.10),
    "lime": (0.67, 0.85, 0.20),
}  # fmt: skip
DARK = {"black", "grey", "navy", "red", "rust", "olive", "teal", "plum"}  # with these a light companion goes
CHARCOAL, IVORY = (0.20, 0.20, 0.22), (0.96, 0.94, 0.88)
SILVER, GOLD, CORD, WOOD, GLOW = (0.76, 0.78, 0.81), (0.84, 0.68, 0.34), (0.80, 0.70, 0.54), (0.62, 0.44, 0.28), (
    1.0, 0.90, 0.62)  # fmt: skip


class Style(NamedTuple):
    with_dark: Rgb  # second colour beside a dark one
    with_light: Rgb
    sole: Rgb
    metal: Rgb


STYLES = {
    "classic": Style((0.95, 0.92, 0.84), (0.17, 0.23, 0.42), (0.94, 0.93, 0.90), GOLD),
    "minimal": Style((0.82, 0.83, 0.85), (0.52, 0.53, 0.56), (0.96, 0.96, 0.96), SILVER),
    "rustic": Style((0.90, 0.82, 0.66), (0.42, 0.28, 0.18), (0.72, 0.54, 0.36), GOLD),
    "retro": Style((0.97, 0.82, 0.46), (0.13, 0.42, 0.45), (0.93, 0.88, 0.76), GOLD),
    "urban": Style((0.93, 0.94, 0.96), (0.15, 0.15, 0.17), (0.24, 0.24, 0.26), SILVER),
    "bright": Style((1.0, 0.95, 0.55), (0.98, 0.98, 0.98), (0.98, 0.98, 0.98), SILVER),
}

# Numbers that shading.py knows them by.
PATTERNS = (
    "plain", "striped", "checked", "herringbone", "floral", "dotted", "colour-block", "camouflage", "glazed", "marbled",
)  # fmt: skip
TEXTURES = (
    "smooth", "weave", "twill", "ribs", "knit", "mottle", "sheen", "crinkle", "quilt", "holes", "specks",
    "plait", "slats", "bumps", "reflection",
)  # fmt: skip


class Finish(NamedTuple):
    """How a material takes the light; lengths are hundredths of a thing's box."""

    texture: str = "smooth"
    length: float = 4.0
    depth: float = 0.0  # by how much the texture darkens and lightens
    gloss: float = 0.0
    sharpness: float = 12.0  # of the highlight
    halo: float = 0.0  # a lighter rim, as of fluff


# Materials of one line look alike: no picture tells them apart.
LOOK_ALIKE: dict[tuple[str, ...], Finish] = {
    ("cotton", "linen", "viscose"): Finish(),
    ("nylon", "polyester"): Finish("crinkle", 17, 0.26, 0.25, 12),
    ("wool", "acrylic"): Finish("knit", 7.5, 0.24),
    ("porcelain", "enamel"): Finish(gloss=0.85, sharpness=26),
    ("canvas",): Finish("weave", 6.5, 0.28),
    ("denim",): Finish("twill", 6.0, 0.32),
    ("corduroy",): Finish("ribs", 6.5, 0.45),
    ("cashmere",): Finish("mottle", 16, 0.05, halo=0.80),
    ("fleece",): Finish("mottle", 7.5, 0.40, halo=0.20),
    ("velvet",): Finish("sheen", 40, 0.24, halo=0.70),
    ("silk",): Finish("sheen", 16, 0.38, 0.40, 12),
    ("down",): Finish("quilt", 13, 0.60, 0.15),
    ("elastane",): Finish("reflection", 15, 0.26, 0.60, 8),
    ("leather",): Finish(gloss=0.70, sharpness=11, halo=-0.35),
    ("mesh",): Finish("holes", 6.5, 0.48),
    ("rubber",): Finish("ribs", 9.0, 0.40, 0.16, 5),
    ("cork",): Finish("specks", 4.6, -0.48),
    ("straw",): Finish("plait", 7.0, 0.34),
    ("jute",): Finish("weave", 12.0, 0.42),
    ("bamboo",): Finish("slats", 9.0, 0.42),
    ("stoneware",): Finish("specks", 4.6, -0.36, 0.12, 8),
    ("cast iron",): Finish("bumps", 9.0, 0.40, 0.05, 8),
    ("steel",): Finish("reflection", 26, 0.28, 0.45, 30),
    ("brass",): Finish("reflection", 26, 0.28, 0.45, 30),  # its trimmings are golden
    ("glass",): Finish(gloss=0.95, sharpness=60, halo=0.55),
}
FINISHES = {material: finish for alike, finish in LOOK_ALIKE.items() for material in alike}
MATT, POLISHED = Finish(), Finish(gloss=0.8, sharpness=24)


class Ink(NamedTuple):
    """What one piece of a thing is filled with."""

    base: Rgb
    second: Rgb
    third: Rgb
    pattern: str
    finish: Finish
    shines: bool = False  # of itself, whatever the light


def companion(colour: str, style: str) -> Rgb:
    """The second colour of patterns and trimmings: far enough in lightness that a pattern is seen."""
    chosen = STYLES[style].with_dark if colour in DARK else STYLES[style].with_light
    if sum(abs(a - b) for a, b in zip(chosen, RGB[colour], strict=True)) < 0.7:
        return IVORY if colour in DARK or colour == "orange" else CHARCOAL
    return chosen


def inks(colour: str, pattern: str, material: str, style: str) -> dict[str, Ink]:
    """What the words of outlines.Piece.ink stand for on a thing."""
    base, second, finish = RGB[colour], companion(colour, style), FINISHES[material]
    if finish.texture == "specks" and colour in DARK:
        finish = finish._replace(depth=-finish.depth)  # light specks
    third = mixed(second, (0.98, 0.72, 0.20), 0.6)
    metal = {"brass": GOLD, "steel": SILVER, "glass": CHARCOAL}.get(material, STYLES[style].metal)

    def ink(rgb: Rgb, finish: Finish = MATT, shines: bool = False) -> Ink:
        return Ink(rgb, second, third, "plain", finish, shines)

    return {
        "cloth": Ink(base, second, third, pattern, finish),
        "solid": ink(base, finish),
        "lining": ink(mixed(base, (0.05, 0.04, 0.06), 0.55)),
        "trim": ink(second),
        "sole": ink(STYLES[style].sole),
        "metal": ink(metal, POLISHED),
        "cord": ink(CORD),
        "wood": ink(WOOD),
        "footbed": ink(
            {"rubber": (0.27, 0.27, 0.29), "cork": (0.80, 0.64, 0.45)}.get(material, (0.56, 0.36, 0.21)), finish
        ),
        "glow": ink(mixed(GLOW, base, 0.15), shines=True),
        "flame": ink((1.0, 0.58, 0.16), shines=True),
        "dark": ink((0.16, 0.15, 0.16)),
        "pale": ink((0.97, 0.96, 0.94)),
    }


def best_guess(category: Category, material: str) -> str:
    """What one says who knows the category, sees the material and knows how usual each of those that look alike is."""
    return next(known for known in category.materials if FINISHES[known] is FINISHES[material])


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    r, g, b = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return r, g, b


def print_of(brand: str) -> tuple[float, bool]:
    """How large a brand's patterns are (1 is usual), and whether its stripes stand up."""
    number = next(row for row, known in enumerate(BRANDS) if known.name == brand)
    return (0.85, 1.0, 1.2)[number % 3], number % 4 == 1
