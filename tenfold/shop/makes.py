"""Pictures to make: each is asked for in words, by another picture, by blocks that are there already, or by several.

What a row gives leaves one right answer:
- words alone name category, cut, colour, pattern, material and brand; the view is STANDARD, as in all rows without
  blocks;
- a reference is a picture of the same thing but for its colour, and in some rows its pattern or its material; what
  differs is what the words name, so that neither is enough. Where more than the colour differs they name the brand
  too, because a plain thing does not show how large its brand's stripes are;
- blocks beside words or beside a reference are one side of the answer, with at least half of the thing: they tell the
  view, and the rest of what they show. The words leave the colour out, and a reference has another one;
- where all three are given, the blocks are the answer's rim and show no more than its background: the rest of the view
  is STANDARD, only smaller (RIMMED), and the thing follows from words and reference.
Materials that look alike (surfaces.py) can be told apart by words alone; the picture is the same one.
"""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenfold.shop.catalog import Catalog, item_ids, pick
from tenfold.shop.options import Options
from tenfold.shop.pictures.picture import (
    BACKDROPS,
    Background,
    Light,
    Look,
    Pose,
    View,
    draw_background,
    draw_view,
    look,
    picture,
)
from tenfold.shop.pictures.table import png
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS, shares
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import CATEGORIES, COLOURS, PAIRS

BLOCKS = 8  # in a row, and rows
GREY = 128  # of blocks that are not given
OF_AN_ITEM = 4096  # rows of the stream that an item has
STANDARD = View(Pose(), 0.84, (0.5, 0.5), Light(-35.0, 0.95, 1.0, 0.0), Background("studio", BACKDROPS[0], 0.65, 0.0))
RIMMED = STANDARD._replace(scale=0.72)  # leaves the outer blocks free
CONTROLS = {  # how often each is asked for
    ("text",): 0.2,
    ("text", "reference"): 0.3,
    ("text", "kept"): 0.2,
    ("reference", "kept"): 0.15,
    ("text", "reference", "kept"): 0.15,
}
NAMED = ("cut", "colour", "pattern", "material")  # what words may name beside category and brand
RIM = tuple(n for n in range(BLOCKS * BLOCKS) if {n // BLOCKS, n % BLOCKS} & {0, BLOCKS - 1})  # the outer blocks
BY_KIND = {category.name: category for category in CATEGORIES}
REQUESTS = ("{}, please", "show me {}", "draw {}", "a picture of {}", "I would like to see {}")
CHANGES = ("the same, but {}", "like this one, only {}", "this, but {}", "take this one and make it {}")
COMPLETIONS = ("complete this: {}", "here is a part of it: {}", "finish {}", "the rest of {}, please")


class Make(NamedTuple):
    """What is asked for, before anything is drawn."""

    controls: tuple[str, ...]
    text: str | None
    named: tuple[str, ...]  # what the words say of the look
    wanted: Look
    reference: Look | None
    view: View
    seen_from: View  # the reference's view
    kept: tuple[int, ...]  # blocks, row by row


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """Pictures to make first .. last - 1, item by item.

    make, item, text (none where there are no words), reference (PNG, or none), kept (numbers of given blocks, row by
    row of an 8 x 8 grid), given (PNG: the answer, grey where it is not given; none without blocks), answer (PNG),
    controls (which of text, reference and kept there are), named (what the words say), wanted (the look of the answer),
    split.
    """
    catalog = ground(options).catalog
    owner, number = (column[first:last] for column in shares(options.makes, options.items))
    items = item_ids(options.items).gather(owner)
    asked = [plan(options, catalog, *row) for row in zip(owner.tolist(), number.tolist(), strict=True)]
    answers = [picture(make.wanted, make.view, options.pixels).image for make in asked]
    references = [
        None if make.reference is None else png(picture(make.reference, make.seen_from, options.pixels).image)
        for make in asked
    ]
    given = [png(only(answer, make.kept)) if make.kept else None for make, answer in zip(asked, answers, strict=True)]
    return pl.DataFrame(
        {
            "make": [f"{item.replace('i', 'm')}-{n}" for item, n in zip(items, number, strict=True)],
            "item": items,
            "text": pl.Series([make.text for make in asked], dtype=pl.String),
            "reference": pl.Series(references, dtype=pl.Binary),
            "kept": pl.Series([list(make.kept) for make in asked], dtype=pl.List(pl.Int64)),
            "given": pl.Series(given, dtype=pl.Binary),
            "answer": pl.Series([png(answer) for answer in answers], dtype=pl.Binary),
            "controls": pl.Series([list(make.controls) for make in asked], dtype=pl.List(pl.String)),
            "named": pl.Series([list(make.named) for make in asked], dtype=pl.List(pl.String)),
            "wanted": pl.Series([make.wanted._asdict() for make in asked], dtype=_LOOK),
            "split": pick(SPLITS, catalog.split[owner]),
        }
    )


_LOOK = pl.Struct({name: pl.String for name in Look._fields})


def plan(options: Options, catalog: Catalog, item: int, number: int) -> Make:
    draws = Draws(options.seed, Kind.MAKE, item * OF_AN_ITEM + number)
    wanted = look(catalog, item)
    controls = draws.pick(list(CONTROLS), list(CONTROLS.values()))
    everything = len(controls) == 3
    if everything:
        view, kept = RIMMED._replace(background=draw_background(draws)), RIM
    elif "kept" in controls:
        view = draw_view(draws)
        kept = _half(draws, picture(wanted, view, 4 * BLOCKS).mask > 0)
    else:
        view, kept = STANDARD, ()
    reference: Look | None = None
    differs: tuple[str, ...] = ("colour",)
    if "reference" in controls:
        if "text" in controls:
            differs = draws.pick((("colour",), ("colour", "pattern"), ("colour", "material")), (0.5, 0.25, 0.25))
        reference = _otherwise(draws, wanted, differs)
        differs = tuple(name for name in differs if getattr(reference, name) != getattr(wanted, name))
    text, named = None, tuple[str, ...]()
    if "text" in controls:
        if reference is not None:
            named = differs if differs == ("colour",) else (*differs, "brand")
            text = draws.pick(CHANGES).format(_changed(wanted, named))
        else:
            named = tuple(name for name in NAMED if name != "colour" or not kept)
            asking = COMPLETIONS if kept else REQUESTS
            text = draws.pick(asking).format(described(wanted, named))
            named = (*named, "category", "brand")
    return Make(
        controls=controls,
        text=text,
        named=named,
        wanted=wanted,
        reference=reference,
        view=view,
        seen_from=draw_view(draws),
        kept=kept,
    )


def _half(draws: Draws, thing: NDArray[np.bool_]) -> tuple[int, ...]:
    """The blocks on one side of a cut through the middle of the thing, and those cut: left, right, above or below.

    thing: (P, P), whatever the size of the picture to be drawn, so that the blocks are the same at any size.
    """
    grid = np.arange(BLOCKS * BLOCKS).reshape(BLOCKS, BLOCKS)
    side = draws.below(4)
    if side < 2:
        grid, thing = grid.T, thing.T  # left and right are above and below of what is turned
    middle = int(np.median(np.nonzero(thing)[0])) * BLOCKS // len(thing)
    half = grid[: middle + 1] if side % 2 == 0 else grid[middle:]
    return tuple(np.sort(half, axis=None).tolist())


def _otherwise(draws: Draws, wanted: Look, differs: tuple[str, ...]) -> Look:
    """The same thing with other words for some of its looks; a category that has one word only keeps it."""
    kind = BY_KIND[wanted.category]
    words = {"colour": COLOURS, "pattern": kind.patterns, "material": kind.materials}
    others: dict[str, Any] = {}
    for name in differs:
        left = [word for word in words[name] if word != getattr(wanted, name)]
        if left:
            others[name] = draws.pick(left)
    return wanted._replace(**others)


def described(wanted: Look, named: tuple[str, ...]) -> str:
    """A long-sleeved striped cotton shirt by Norvane, with as much of it as is to be named."""
    words = [getattr(wanted, name) for name in NAMED if name in named]
    phrase = f"{' '.join(words)} {wanted.category}"
    if wanted.category in PAIRS:
        return f"a pair of {phrase} by {wanted.brand}"
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase} by {wanted.brand}"


def _changed(wanted: Look, named: tuple[str, ...]) -> str:
    """in navy; in striped navy, by Norvane; in navy wool, by Norvane"""
    words = " ".join(getattr(wanted, name) for name in ("pattern", "colour", "material") if name in named)
    return f"in {words}, by {wanted.brand}" if "brand" in named else f"in {words}"


def only(image: NDArray[np.uint8], kept: tuple[int, ...]) -> NDArray[np.uint8]:
    """image (P, P, 3) with grey wherever no block is kept."""
    size = len(image) // BLOCKS
    given = np.isin(np.arange(BLOCKS * BLOCKS), kept).reshape(BLOCKS, BLOCKS)
    pixels = given.repeat(size, 0).repeat(size, 1)[..., None]
    return np.where(pixels, image, np.uint8(GREY))
