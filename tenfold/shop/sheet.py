"""The shop's contact sheet: some of all that was drawn, on one page that needs nothing but itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image

if TYPE_CHECKING:
    from tenfold.shop.shop import Shop

INKS = np.array(
    [(242, 243, 245), (74, 111, 165), (226, 143, 71), (88, 158, 110), (196, 84, 92), (132, 106, 168)], np.uint8
)  # background, first part, second part ...

STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#f6f5f2;color:#26231e;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,section{max-width:70rem;margin:0 auto;padding:1.2rem 1.5rem}
header{padding-top:2.6rem}
h1{font-size:2.1rem;margin:0 0 .6rem;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:0 0 .3rem}
header p,section>p{margin:0 0 .9rem;max-width:50rem;color:#5d574c}
header p{margin:0 0 .15rem;font-size:.93rem}
img{display:block;width:100%;border-radius:6px}
.grid{display:grid;gap:.9rem;grid-template-columns:repeat(auto-fill,minmax(7.2rem,1fr))}
.small{grid-template-columns:repeat(10,1fr);gap:.5rem}
.wide{grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.3rem}
figure{margin:0}
figcaption{font-size:.8rem;line-height:1.35;margin-top:.35rem;color:#3b362d}
figcaption small{display:block;color:#857d6e}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:.5rem}
.three{display:grid;grid-template-columns:1fr 1fr 1fr;gap:.4rem}
.none{background:#ece9e2;border-radius:6px;min-height:5rem;display:flex;align-items:center;justify-content:center;
color:#9a9182;font-size:.78rem}
article{background:#fff;border:1px solid #e6e1d6;border-radius:8px;padding:.9rem 1rem;font-size:.88rem}
article h3{font-size:.95rem;margin:0 0 .35rem}
article p{margin:0 0 .6rem}
mark{background:#dcebd5;border-radius:3px;padding:0 .1em}
mark.no{background:#f6d5cf}
table{border-collapse:collapse;width:100%;font-size:.8rem}
td{padding:.12rem .5rem .12rem 0;vertical-align:top;border-top:1px solid #f0ece3}
td:first-child{color:#857d6e;white-space:nowrap}
.unsaid td{color:#b3aa99}
dl{display:grid;gap:.8rem 1.4rem;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));margin:0}
dt{font-size:.9rem}
dd{margin:0;color:#2f6b45;font-weight:600;font-size:.9rem}
dd small{color:#857d6e;font-weight:400;margin-left:.6rem}
footer{height:2.5rem}
"""


def contact_sheet(shop: Shop, samples: Mapping[str, pl.DataFrame], summary: Sequence[str]) -> str:
    """HTML, from the first rows of each table."""
    catalog = shop.catalog()
    titles = dict(zip(catalog["item"], catalog["title"], strict=True))
    prices = dict(zip(catalog["item"], catalog["price"], strict=True))
    body = []
    for name, section in SECTIONS.items():
        if name in samples and len(samples[name]):
            body.append(section(samples[name], titles, prices))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>A shop</title><style>{STYLE}</style><header><h1>A shop</h1>"
        + "".join(f"<p>{escape(line)}</p>" for line in summary)
        + f"</header>{''.join(body)}<footer></footer></html>"
    )


def _pictures(pictures: pl.DataFrame, titles: Mapping[str, str], prices: Mapping[str, float]) -> str:
    sold = pictures.unique("item", maintain_order=True).head(24)
    figures = (
        _figure(row["image"], escape(titles[row["item"]]), f"{prices[row['item']]:.2f}")
        for row in sold.iter_rows(named=True)
    )
    often = pictures.filter(pl.len().over("item") > 1).unique("item", maintain_order=True)["item"].head(4)
    views = []
    for item in often:
        for row in islice(pictures.filter(pl.col("item") == item).iter_rows(named=True), 2):
            parts = ", ".join(row["parts"])
            said = f"light from {row['light']:+.0f}°, {row['background']}"
            views.append(_figure(row["image"], escape(titles[item]), said))
            views.append(_figure(_coloured(row["mask"]), "its parts", escape(parts)))
    seen = _section(
        "Seen twice", "An item in two poses, lights and places, each beside the part that every pixel shows.", views
    )
    return _section("What is sold", "One of each kind.", figures) + (seen if views else "")


def _scenes(scenes: pl.DataFrame, *_: Any) -> str:
    pairs = []
    for pair in islice(scenes.partition_by("pair", maintain_order=True), 9):
        two = [_figure(row["image"], escape(row["caption"])) for row in pair.iter_rows(named=True)]
        pairs.append(f'<div class="pair">{"".join(two)}</div>')
    return _section(
        "Twins", "The same words and the same things; only the relation tells the two apart.", pairs, "wide"
    )


def _makes(makes: pl.DataFrame, *_: Any) -> str:
    asked = []
    for row in makes.head(9).iter_rows(named=True):
        given = (_figure(row["reference"], "", "reference") if row["reference"] else _nothing("no reference")) + (
            _figure(row["given"], "", "kept") if row["kept"] else _nothing("nothing kept")
        )
        text = escape(row["text"]) if row["text"] else "no words"
        three = f'<div class="three">{given}{_figure(row["answer"], "", "the answer")}</div>'
        asked.append(f"<figure>{three}<figcaption>{text}</figcaption></figure>")
    return _section("Pictures to make", "From words, another picture and what is there already.", asked, "wide")


def _labels(labels: pl.DataFrame, *_: Any) -> str:
    rows = labels.head(30).sort("label", maintain_order=True).iter_rows(named=True)
    return _section(
        "Ten classes", "Small pictures for classifiers.", (_figure(r["image"], r["label"]) for r in rows), "small"
    )


def _texts(texts: pl.DataFrame, *_: Any) -> str:
    chosen = texts.sort(pl.col("invented").list.len() == 0).group_by("style", maintain_order=True).head(2)
    articles = []
    for row in chosen.iter_rows(named=True):
        cells = "".join(
            f"<tr{'' if cell['said'] else ' class=unsaid'}><td>{escape(cell['attribute'])}</td>"
            f"<td>{escape(cell['value'])}</td></tr>"
            for cell in row["table"]
        )
        articles.append(
            f"<article><h3>{escape(row['title'])}</h3><p>{_marked(row)}</p><table>{cells}</table></article>"
        )
    about = (
        "Each text beside its table. What the table says is marked green, what was invented red; grey cells are unsaid."
    )
    return _section("Said and not said", about, articles, "wide")


def _questions(questions: pl.DataFrame, *_: Any) -> str:
    rows = questions.unique("kind", maintain_order=True, keep="any").iter_rows(named=True)
    asked = "".join(
        f"<div><dt>{escape(row['question'])}</dt><dd>{escape(row['answer'])}"
        f"<small>{row['distance']:,} of {row['position']:,} events back</small></dd></div>"
        for row in rows
    )
    about = "What it takes to answer may be long ago."
    return f"<section><h2>Asked about customers</h2><p>{about}</p><dl>{asked}</dl></section>"


SECTIONS: dict[str, Callable[..., str]] = {
    "pictures": _pictures,
    "scenes": _scenes,
    "makes": _makes,
    "texts": _texts,
    "questions": _questions,
    "labels": _labels,
}


def _section(title: str, about: str, figures: Iterable[str], kind: str = "") -> str:
    return f'<section><h2>{title}</h2><p>{about}</p><div class="grid {kind}">{"".join(figures)}</div></section>'


def _figure(png: bytes, caption: str, small: str = "") -> str:
    below = caption + (f"<small>{small}</small>" if small else "")
    return f'<figure><img alt="" src="{_address(png)}"><figcaption>{below}</figcaption></figure>'


def pictures_strip(pictures: Iterable[bytes]) -> str:
    """Pictures in a row, for another page."""
    images = "".join(f'<img alt="" src="{_address(png)}" style="width:4.6rem;min-width:0">' for png in pictures)
    return f'<div style="display:flex;flex-wrap:wrap;gap:.4rem;margin:0 0 .6rem">{images}</div>'


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _nothing(words: str) -> str:
    return f'<div class="none">{words}</div>'


def _coloured(mask: bytes) -> bytes:
    parts = np.asarray(Image.open(io.BytesIO(mask)))
    file = io.BytesIO()
    Image.fromarray(INKS[np.minimum(parts, len(INKS) - 1)]).save(file, "PNG")
    return file.getvalue()


def _marked(row: Mapping[str, Any]) -> str:
    text, at = row["text"], 0
    said = [(cell["start"], cell["end"], "") for cell in row["table"] if cell["said"]]
    said += [(cell["start"], cell["end"], " class=no") for cell in row["invented"]]
    pieces = []
    for start, end, kind in _apart(sorted(said)):
        pieces += [escape(text[at:start]), f"<mark{kind}>{escape(text[start:end])}</mark>"]
        at = end
    return "".join([*pieces, escape(text[at:])])


def _apart(spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Those that do not overlap one before."""
    free = 0
    for start, end, kind in spans:
        if start >= free:
            yield start, end, kind
            free = end
