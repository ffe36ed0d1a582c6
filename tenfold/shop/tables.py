"""What a shop holds beside its catalogue and events: a table for each kind of thing, drawn shard by shard.

A kind is a module with `draw(options, first, last)`: the rows first .. last - 1 of its table, whatever else is drawn.
"""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import Any, NamedTuple

import polars as pl
from PIL import Image

from tenfold.files import digest
from tenfold.shop.options import Options

WHOLE = 1 << 40  # rows of a shard where each row depends on those before it


class Table(NamedTuple):
    name: str  # of the option that counts its rows, too
    module: str
    shard: int  # rows worth sending to a process, whatever their number: a table's digest is made shard by shard
    pictures: tuple[str, ...]  # columns of PNG
    about: str  # one file of the folder, in Markdown: what a row is, what can be learned from it


TABLES = {
    table.name: table
    for table in (
        Table(
            "pictures", "tenfold.shop.pictures.table", 100, ("image", "mask"),
            "pictures of items, in Parquet with PNG bytes (`image`), and for each the part that every pixel shows "
            "(`mask`: 0 is background, n the n-th of `parts`). Pictures of one item differ in pose, light and "
            "background. Category and colour can be read from a picture; of the material only what does not look "
            "like another.",
        ),
        Table(
            "texts", "tenfold.shop.texts", 500, (),
            "descriptions of items in three styles, each beside its table of facts. Of every cell it is marked whether "
            "the text says it, and where; `invented` lists what a text says and the table does not have. Numbers, "
            "units and names can only be copied.",
        ),
        Table(
            "scenes", "tenfold.shop.scenes", 50, ("image",),
            "pictures of two or three items, with captions and boxes. They come in twins (`pair`): the words of the "
            "captions are the same, and so are the things; where they stand, or which is the larger, is not.",
        ),
        Table(
            "meetings", "tenfold.shop.meetings", WHOLE, (),
            "who gave something or wrote to whom, and when, in the order of time. Whom one meets next is mostly one "
            "whom the person met last had met before.",
        ),
        Table(
            "questions", "tenfold.shop.questions", 500, (),
            "questions about what a customer did, with answers. `position` counts the events of the customer in "
            "`events.parquet` that had happened, `evidence` names those (from 0) that the answer rests on. Hats are "
            "beanies, caps and sun hats, shoes are sneakers, sandals and running shoes, bags are briefcases and sports "
            "bags, lights are lanterns and lamps, tops are shirts and hoodies; months are the calendar's; how often "
            "something was done counts events. A far answer that the last tenth of the events would give by chance is "
            "avoided where another can be found.",
        ),
        Table(
            "labels", "tenfold.shop.labels", 500, ("image",),
            "small pictures in ten classes for classifiers, drawn apart from the catalogue. A plainly trained network "
            "leans on fine threads and edges and is right, until somebody changes each pixel a little; outlines say "
            "less, and withstand it.",
        ),
        Table(
            "makes", "tenfold.shop.makes", 50, ("reference", "given", "answer"),
            "pictures to make: asked for in words (`text`), by another picture (`reference`) and by blocks that are "
            "there already (`kept`, `given`), with the one right `answer`.",
        ),
    )
}  # fmt: skip


def draw_table(table: Table, options: Options, pool: ProcessPoolExecutor | None = None) -> Iterator[pl.DataFrame]:
    """A table's shards, in order."""
    return _in_shards(_draw, table, options, pool)


def draw_with_digests(
    table: Table, options: Options, pool: ProcessPoolExecutor | None = None
) -> Iterator[tuple[pl.DataFrame, str]]:
    """The same, and with each shard what stands for its values: made where it was drawn."""
    return _in_shards(_draw_with_digest, table, options, pool)


def _in_shards(draw: Callable[..., Any], table: Table, options: Options, pool: ProcessPoolExecutor | None) -> Any:
    count = getattr(options, table.name)
    firsts = range(0, count, table.shard)
    lasts = [min(first + table.shard, count) for first in firsts]
    run = pool.map if pool is not None and len(firsts) > 1 else map
    return run(draw, (table.name,) * len(firsts), (options,) * len(firsts), firsts, lasts)


def _draw(name: str, options: Options, first: int, last: int) -> pl.DataFrame:
    draw: Callable[[Options, int, int], pl.DataFrame] = import_module(TABLES[name].module).draw
    return draw(options, first, last)


def _draw_with_digest(name: str, options: Options, first: int, last: int) -> tuple[pl.DataFrame, str]:
    rows = _draw(name, options, first, last)
    return rows, values_digest(rows, TABLES[name].pictures)


def values_digest(rows: pl.DataFrame, pictures: tuple[str, ...]) -> str:
    """What stands for the values: pictures by their pixels, whatever file they are packed in."""
    plain = rows.drop(pictures).write_ndjson().encode()
    pixels = (Image.open(io.BytesIO(one)).tobytes() for name in pictures for one in rows[name] if one is not None)
    return digest(plain, *pixels)
