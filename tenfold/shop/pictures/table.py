"""The table of pictures: a row for each, with what was drawn, where each part is, and how it was looked at."""

import io

import numpy as np
import polars as pl
from PIL import Image

from tenfold.shop.catalog import MATERIALS, item_ids, pick
from tenfold.shop.options import Options
from tenfold.shop.pictures.picture import Bytes, draw_view, leaning, look, picture
from tenfold.shop.pictures.surfaces import best_guess
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS, shares
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import CATEGORIES, PARTS

OF_AN_ITEM = 4096  # rows of the stream that an item has


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """Pictures first .. last - 1, item by item.

    picture, item, image (PNG, RGB), mask (PNG, greyscale: 0 background, n the n-th of `parts`), parts (largest first;
    one that the item's cut lacks, or that is hidden, has no pixel), angle (degrees, clockwise), mirrored, scale (the
    thing's longer side over the picture's), light (degrees to the right of straight above), background, split.
    """
    catalog = ground(options).catalog
    owner, number = (column[first:last] for column in shares(options.pictures, options.items))
    looks = [look(catalog, item) for item in owner.tolist()]
    views = [draw_view(Draws(options.seed, Kind.PICTURE, row)) for row in (owner * OF_AN_ITEM + number).tolist()]
    drawn = [picture(seen, view, options.pixels) for seen, view in zip(looks, views, strict=True)]
    items = item_ids(options.items).gather(owner)
    return pl.DataFrame(
        {
            "picture": [f"{item}-{n}" for item, n in zip(items, number, strict=True)],
            "item": items,
            "image": pl.Series([png(d.image) for d in drawn], dtype=pl.Binary),
            "mask": pl.Series([png(d.mask) for d in drawn], dtype=pl.Binary),
            "parts": pl.Series([list(PARTS[seen.category]) for seen in looks], dtype=pl.List(pl.String)),
            "angle": pl.Series(
                [round(leaning(seen, view.pose), 1) for seen, view in zip(looks, views, strict=True)], dtype=pl.Float64
            ),
            "mirrored": pl.Series([view.pose.mirror for view in views], dtype=pl.Boolean),
            "scale": pl.Series([round(view.scale, 3) for view in views], dtype=pl.Float64),
            "light": pl.Series([round(view.light.angle, 1) for view in views], dtype=pl.Float64),
            "background": pl.Series([view.background.kind for view in views], dtype=pl.String),
            "split": pick(SPLITS, catalog.split[owner]),
        }
    )


def material_known(options: Options) -> float:
    """Of the test items' materials, the share that one names rightly who tells apart all that can be told apart, and
    says the most usual of those that look alike; of all items where none is for tests."""
    catalog = ground(options).catalog
    tested = catalog.split == SPLITS.index("test")
    which = np.flatnonzero(tested) if tested.any() else np.arange(len(catalog))
    kinds = zip(catalog.category[which].tolist(), catalog.material[which].tolist(), strict=True)
    right = [best_guess(CATEGORIES[kind], MATERIALS[made]) == MATERIALS[made] for kind, made in kinds]
    return sum(right) / len(right)


def png(pixels: Bytes) -> bytes:
    """(H, W) greyscale or (H, W, 3) colours as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
