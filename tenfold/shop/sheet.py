"""The shop's contact sheet: some of all that was drawn, on one page that needs nothing but itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image

from tenfold.html import Section, even, gallery, page, paragraph, text, tile

if TYPE_CHECKING:
    from tenfold.shop.shop import Shop

INKS = np.array(
    [(242, 243, 245), (74, 111, 165), (226, 143, 71), (88, 158, 110), (196, 84, 92), (132, 106, 168)], np.uint8
)  # background, first part, second part ...

STYLE = """
.pair,.three{display:grid;grid-template-columns:1fr 1fr;gap:.4rem}
.three{grid-template-columns:1fr 1fr 1fr}
.none{background:#eef0f3;border-radius:6px;min-height:5rem;display:flex;align-items:center;justify-content:center;
color:#6a7480;font-size:.78rem}
.said{font-size:.88rem}
.said table{font-size:.8rem}
.said td{padding:.12rem .5rem .12rem 0}
.said td:first-child{color:#6a7480;white-space:nowrap;min-width:0}
.unsaid td{color:#9aa3ad}
mark{background:#dcebd5;border-radius:3px;padding:0 .1em}
mark.no{background:#f6d5cf}
dl{display:grid;gap:.8rem 1.4rem;grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));margin:0}
dt{font-size:.9rem}
dd{margin:0;color:#1d6b34;font-weight:600;font-size:.9rem}
dd small{color:#6a7480;font-weight:400;margin-left:.6rem}
"""


def contact_sheet(shop: Shop, samples: Mapping[str, pl.DataFrame], summary: Sequence[str]) -> str:
    """HTML, from the first rows of each table."""
    catalog = shop.catalog()
    titles = dict(zip(catalog["item"], catalog["title"], strict=True))
    prices = dict(zip(catalog["item"], catalog["price"], strict=True))
    sections: list[Section] = []
    for name, drawn in SECTIONS.items():
        if name in samples and len(samples[name]):
            sections += drawn(samples[name], titles, prices)
    seed, sizes, *more = summary
    return page("A shop", sections, lead=sizes, about=[*more, seed], style=STYLE)


def _section(title: str, about: str, body: str) -> Section:
    return Section(title, paragraph(about) + body)


def _pictures(pictures: pl.DataFrame, titles: Mapping[str, str], prices: Mapping[str, float]) -> list[Section]:
    sold = pictures.unique("item", maintain_order=True).head(24)
    figures = (
        tile(row["image"], titles[row["item"]], f"{prices[row['item']]:.2f}") for row in sold.iter_rows(named=True)
    )
    often = pictures.filter(pl.len().over("item") > 1).unique("item", maintain_order=True)["item"].head(4)
    views = []
    for item in often:
        for row in islice(pictures.filter(pl.col("item") == item).iter_rows(named=True), 2):
            views.append(tile(row["image"], titles[item], f"light from {row['light']:+.0f}°, {row['background']}"))
            views.append(tile(_coloured(row["mask"]), "its parts", ", ".join(row["parts"])))
    found = [_section("What is sold", "One of each kind.", even(figures))]
    if views:
        about = "An item in two poses, lights and places, each beside the part that every pixel shows."
        found.append(_section("Seen twice", about, even(views)))
    return found


def _scenes(scenes: pl.DataFrame, *_: Any) -> list[Section]:
    pairs = []
    for pair in islice(scenes.partition_by("pair", maintain_order=True), 9):
        two = (tile(row["image"], row["caption"]) for row in pair.iter_rows(named=True))
        pairs.append(f'<div class="pair">{"".join(two)}</div>')
    about = "The same words and the same things; only the relation tells the two apart."
    return [_section("Twins", about, even(pairs, width="18rem"))]


def _makes(makes: pl.DataFrame, *_: Any) -> list[Section]:
    asked = []
    for row in makes.head(9).iter_rows(named=True):
        given = (tile(row["reference"], "reference") if row["reference"] else _nothing("no reference")) + (
            tile(row["given"], "kept") if row["kept"] else _nothing("nothing kept")
        )
        three = f'<div class="three">{given}{tile(row["answer"], "the answer")}</div>'
        asked.append(f'<figure class="tile">{three}<figcaption>{text(row["text"] or "no words")}</figcaption></figure>')
    about = "From words, another picture and what is there already."
    return [_section("Pictures to make", about, even(asked, width="18rem"))]


def _labels(labels: pl.DataFrame, *_: Any) -> list[Section]:
    rows = labels.head(30).sort("label", maintain_order=True).iter_rows(named=True)
    small = gallery(((row["image"], str(row["label"])) for row in rows), width="4.6rem")
    return [_section("Ten classes", "Small pictures for classifiers.", small)]


def _texts(texts: pl.DataFrame, *_: Any) -> list[Section]:
    chosen = texts.sort(pl.col("invented").list.len() == 0).group_by("style", maintain_order=True).head(2)
    articles = []
    for row in chosen.iter_rows(named=True):
        cells = "".join(
            f"<tr{'' if cell['said'] else ' class=unsaid'}><td>{text(cell['attribute'])}</td>"
            f"<td>{text(cell['value'])}</td></tr>"
            for cell in row["table"]
        )
        articles.append(
            f'<article class="said"><h3>{text(row["title"])}</h3><p>{_marked(row)}</p><table>{cells}</table></article>'
        )
    about = (
        "Each text beside its table. What the table says is marked green, what was invented red; grey cells are unsaid."
    )
    return [_section("Said and not said", about, even(articles, width="18rem"))]


def _questions(questions: pl.DataFrame, *_: Any) -> list[Section]:
    rows = questions.unique("kind", maintain_order=True, keep="any").iter_rows(named=True)
    asked = "".join(
        f"<div><dt>{text(row['question'])}</dt><dd>{text(row['answer'])}"
        f"<small>{row['distance']:,} of {row['position']:,} events back</small></dd></div>"
        for row in rows
    )
    return [_section("Asked about customers", "What it takes to answer may be long ago.", f"<dl>{asked}</dl>")]


SECTIONS: dict[str, Callable[..., list[Section]]] = {
    "pictures": _pictures,
    "scenes": _scenes,
    "makes": _makes,
    "texts": _texts,
    "questions": _questions,
    "labels": _labels,
}


def pictures_strip(pictures: Iterable[bytes]) -> str:
    """Pictures in a row, for another page."""
    return gallery(((png, "") for png in pictures), width="4.6rem")


def _nothing(words: str) -> str:
    return f'<div class="none">{text(words)}</div>'


def _coloured(mask: bytes) -> bytes:
    parts = np.asarray(Image.open(io.BytesIO(mask)))
    file = io.BytesIO()
    Image.fromarray(INKS[np.minimum(parts, len(INKS) - 1)]).save(file, "PNG")
    return file.getvalue()


def _marked(row: Mapping[str, Any]) -> str:
    whole, at = row["text"], 0
    said = [(cell["start"], cell["end"], "") for cell in row["table"] if cell["said"]]
    said += [(cell["start"], cell["end"], " class=no") for cell in row["invented"]]
    pieces = []
    for start, end, kind in _apart(sorted(said)):
        pieces += [text(whole[at:start]), f"<mark{kind}>{text(whole[start:end])}</mark>"]
        at = end
    return "".join([*pieces, text(whole[at:])])


def _apart(spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Those that do not overlap one before."""
    free = 0
    for start, end, kind in spans:
        if start >= free:
            yield start, end, kind
            free = end
