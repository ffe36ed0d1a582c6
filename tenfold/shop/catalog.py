"""The catalogue: each item's attributes, drawn from (seed, row) alone, and what they say: title, price, season.

Attributes depend on each other as in life: a brand has a style and a palette, a category its materials and patterns,
a price follows from all of them with noise. Popularity has a long tail, and a third of the items arrive later.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenfold.shop.options import Options
from tenfold.shop.splits import SPLITS, splits
from tenfold.shop.streams import Kind, normals, uniforms
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, CUTS, MATERIAL_PRICES, PALETTES, SEASONS, STYLES, THEMES

START = datetime(2024, 1, 1)
MONTHS = 24
MONTH = 2_629_800  # seconds: a twelfth of 365.25 days

MATERIALS = tuple(sorted({material for category in CATEGORIES for material in category.materials}))
PATTERNS = tuple(sorted({pattern for category in CATEGORIES for pattern in category.patterns}))
CUT_WORDS = tuple(cut for category in CATEGORIES for cut in CUTS[category.name])
BRANDS_OF_A_STYLE = len(BRANDS) // len(STYLES)

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Catalog:
    """Columns of numbers into the words of traits.py, a row an item."""

    category: Numbers
    segment: Numbers  # theme * styles + style
    brand: Numbers
    colour: Numbers
    pattern: Numbers
    material: Numbers
    season: Numbers
    price: Floats
    tier: Numbers  # 0 cheap, 1 middling, 2 dear, for its category
    cut: Numbers  # one of its category's three
    split: Numbers  # of splits.SPLITS
    popularity: Floats
    arrived: Numbers  # the month from which on it is sold
    segments: int  # how many there may be; a small shop has nothing in some

    def __len__(self) -> int:
        return len(self.category)

    def theme(self) -> Numbers:
        return self.segment // len(STYLES)

    def style(self) -> Numbers:
        return self.segment % len(STYLES)

    def frame(self) -> pl.DataFrame:
        """As a person reads it: own ids, words, a title."""
        words: dict[str, Any] = {
            "category": pick([c.name for c in CATEGORIES], self.category),
            "theme": pick(THEMES, self.theme()),
            "colour": pick(COLOURS, self.colour),
            "pattern": pick(PATTERNS, self.pattern),
            "material": pick(MATERIALS, self.material),
            "brand": pick([b.name for b in BRANDS], self.brand),
            "style": pick(STYLES, self.style()),
            "cut": pick(CUT_WORDS, 3 * self.category + self.cut),
            "season": pick(SEASONS, self.season),
            "price": self.price,
            "arrived": pick([(START + timedelta(seconds=m * MONTH)).date() for m in range(MONTHS)], self.arrived),
            "split": pick(SPLITS, self.split),
        }
        frame = pl.DataFrame({"item": item_ids(len(self))} | words)
        pattern = pl.when(pl.col("pattern") == "plain").then(pl.lit("")).otherwise(pl.col("pattern") + " ")
        title = pl.concat_str(
            pl.col("colour") + " ", pattern, pl.col("material") + " ", pl.col("category") + " by ", pl.col("brand")
        )
        capital = title.str.slice(0, 1).str.to_uppercase() + title.str.slice(1)
        return frame.insert_column(1, frame.select(capital.alias("title")).to_series())


def item_ids(count: int) -> pl.Series:
    return pl.Series("item", [f"i{row:05d}" for row in range(count)], pl.String)


def user_ids(count: int) -> pl.Series:
    return pl.Series("user", [f"u{row:05d}" for row in range(count)], pl.String)


def pick(words: Any, numbers: Numbers) -> pl.Series:
    """words[numbers]"""
    return pl.Series(list(words)).gather(numbers)


def draw_catalog(options: Options) -> Catalog:
    count, kinds = options.items, options.categories
    u = uniforms(options.seed, Kind.ITEM, 0, count, 11)
    category, style = _kind_and_style(options, u)
    brand = style * BRANDS_OF_A_STYLE + choose(u[:, 2], np.array([0.4, 0.3, 0.2, 0.1]))
    palettes, leanings = _brands(options.seed)
    colour = palettes[brand, choose(u[:, 3], np.array([0.45, 0.25, 0.15, 0.1, 0.05]))]

    patterns, materials = _table("patterns", PATTERNS), _table("materials", MATERIALS)
    likely = np.array([0.5, 0.2, 0.2, 0.1]) * leanings[brand]  # (items, 4)
    pattern = patterns[category, choose(u[:, 4], likely)]
    usual = np.array([0.45, 0.3, 0.15, 0.1]) * (materials[category] >= 0)
    material = materials[category, choose(u[:, 5], usual)]

    season = np.array([SEASONS.index(c.season) for c in CATEGORIES])[category]
    season = np.where(u[:, 1] < 0.75, season, 0)  # some of everything is for all year
    base = np.array([c.price for c in CATEGORIES])[category]
    relative = np.array([b.price for b in BRANDS])[brand]
    relative = relative * np.array([MATERIAL_PRICES.get(m, 1.0) for m in MATERIALS])[material]
    relative = relative * np.exp(0.2 * normals(u[:, 6], u[:, 7]))
    themes = min(kinds, len(THEMES))
    segment = category % len(THEMES) * len(STYLES) + style
    return Catalog(
        category=category,
        segment=segment,
        brand=brand,
        colour=colour,
        pattern=pattern,
        material=material,
        season=season,
        price=np.maximum(np.round(base * relative), 2.0) - 0.05,
        tier=np.digitize(relative, [0.85, 1.4]),
        cut=choose(uniforms(options.seed, Kind.CUT, 0, count, 1)[:, 0], np.array([0.45, 0.33, 0.22])),
        split=splits(options.seed, Kind.ITEM_SPLIT, count),
        popularity=np.exp(1.4 * normals(u[:, 8], u[:, 9])),
        arrived=_arrivals(u[:, 10], segment),
        segments=themes * len(STYLES),
    )


def _kind_and_style(options: Options, u: Floats) -> tuple[Numbers, Numbers]:
    """The first rows are one of each category; after them each block of rows has one item of each segment."""
    count, kinds = options.items, options.categories
    themes = min(kinds, len(THEMES))
    segments = themes * len(STYLES)
    category, style = np.empty(count, np.int64), np.empty(count, np.int64)
    category[:kinds] = np.arange(kinds)
    style[:kinds] = (u[:kinds, 0] * len(STYLES)).astype(np.int64)
    if count > kinds:
        blocks = -(-(count - kinds) // segments)
        shelves = uniforms(options.seed, Kind.SHELF, 0, blocks, segments).argsort(1, kind="stable").ravel()
        theme, style[kinds:] = np.divmod(shelves[: count - kinds], len(STYLES))
        choices = -(-(kinds - theme) // len(THEMES))  # categories of the theme: theme, theme + 8, theme + 16
        weights = np.array([0.45, 0.33, 0.22]) * (np.arange(3) < choices[:, None])
        category[kinds:] = theme + len(THEMES) * choose(u[kinds:, 0], weights)
    return category, style


def _arrivals(u: Floats, segment: Numbers) -> Numbers:
    """A third arrive in the course of time; the first of a segment is always there, so that no shelf is bare."""
    late = 1 + np.floor((u - 0.67) / 0.33 * (MONTHS - 4)).astype(np.int64)
    arrived = np.where(u < 0.67, 0, late)
    arrived[np.unique(segment, return_index=True)[1]] = 0
    return arrived


def _brands(seed: int) -> tuple[Numbers, Floats]:
    """Five colours of each brand, most of them its style's, and how it leans to the four patterns of a category."""
    u = uniforms(seed, Kind.BRAND, 0, len(BRANDS), 11)
    palettes = np.empty((len(BRANDS), 5), np.int64)
    for row, brand in enumerate(BRANDS):
        own = [COLOURS.index(colour) for colour in PALETTES[brand.style]]
        others = [colour for colour in range(len(COLOURS)) if colour not in own]
        palettes[row, :4] = np.array(own)[u[row, :6].argsort(kind="stable")[:4]]
        palettes[row, 4] = others[int(u[row, 6] * len(others))]
    return palettes, 0.3 + 1.7 * u[:, 7:11]


def _table(attribute: str, words: tuple[str, ...]) -> Numbers:
    """Numbers of what each category may have, (categories, 4), -1 where it has fewer."""
    table = np.full((len(CATEGORIES), 4), -1)
    for row, category in enumerate(CATEGORIES):
        for column, word in enumerate(getattr(category, attribute)):
            table[row, column] = words.index(word)
    return table


def choose(u: Floats, weights: Floats) -> Numbers:
    """One column for each u, by weight; weights are (columns,) or (rows, columns)."""
    weights = np.atleast_2d(weights)
    limits = weights.cumsum(1)
    return np.asarray((u[:, None] * limits[:, -1:] >= limits[:, :-1]).sum(1))
