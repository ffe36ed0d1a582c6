"""Pages of HTML that need nothing else, to be read on a phone or a screen: what they are made of, whatever they tell.

A part of a page is a `Section`: a title and HTML, made with the functions here, which escape what users' files hold.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.files import write_whole
from tenfold.html_style import STYLE
from tenfold.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Section:
    """`html` stands as it is: make it with this file's functions, or escape what comes from outside."""

    title: str
    html: str


def page(title: str, sections: Sequence[Section], *, lead: str = "", about: Sequence[str] = (), style: str = "") -> str:
    """lead: a sentence under the title. about: lines of small print, such as the command and the machine. style: CSS of
    what only this page has."""
    links = "".join(f'<a href="#s{n}">{text(section.title)}</a>' for n, section in enumerate(sections, 1))
    body = "".join(
        f'<section id="s{n}"><h2>{text(section.title)}</h2>{section.html}</section>'
        for n, section in enumerate(sections, 1)
    )
    small = "".join(f"<p>{text(line)}</p>" for line in [*about, f"Made by Tenfold {VERSION}."])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}{style}</style></head><body>"
        f'<header><h1>{text(title)}</h1><p class="lead">{text(lead)}</p>'
        f"{f'<nav>{links}</nav>' if len(sections) > 1 else ''}</header>"
        f"<main>{body}</main><footer>{small}</footer></body></html>\n"
    )


def write_report(
    path: str | Path, title: str, sections: Sequence[Section], *, lead: str = "", about: Sequence[str] = ()
) -> None:
    """Raises OutputError."""
    write_whole(Path(path), page(title, sections, lead=lead, about=about).encode())


# What sections are made of.


def text(value: Any) -> str:
    """Anything, as text that no browser takes for markup."""
    return escape(str(value), quote=True)


def _breakable(label: str) -> str:
    """An arm's label breaks after its commas and colons before it breaks in a word."""
    return text(label).replace(":", ":<wbr>").replace(",", ",<wbr>")


def paragraph(value: str, *, small: bool = False) -> str:
    return f"<p{' class=small' if small else ''}>{text(value)}</p>"


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, strong: int | None = None) -> str:
    """A cell (value, note) has its note in small print below; a column of numbers stands on the right.

    `strong` is the row that stands out.
    """
    lines = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
    sides = [_side(str(line[n][0]) for line in lines) for n in range(len(headers))]
    head = "".join(f"<th{side}>{text(header)}</th>" for side, header in zip(sides, headers, strict=True))
    body = []
    for n, line in enumerate(lines):
        cells = (f"<td{side}>{_cell(value, note)}</td>" for side, (value, note) in zip(sides, line, strict=True))
        body.append(f"<tr{' class=strong' if n == strong else ''}>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _side(cells: Iterable[str]) -> str:
    return " class=number" if all(cell[:1] in "+-0123456789" for cell in cells) else ""


def _cell(value: Any, note: str) -> str:
    return _breakable(str(value)) + (f"<small>{text(note)}</small>" if note else "")


def picture(figure: "Figure", told: str) -> str:
    """A matplotlib figure, drawn into the page; `told` is what it shows, in words."""
    import matplotlib

    buffer = io.StringIO()
    # A salt of its own makes the same figure the same bytes; text as text stays sharp and can be searched.
    with matplotlib.rc_context({"svg.hashsalt": "tenfold", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _shown(buffer.getvalue().encode(), "svg+xml", told)


def png(content: bytes, told: str) -> str:
    """A picture that is one already."""
    return _shown(content, "png", told)


def _shown(content: bytes, kind: str, told: str) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return f'<figure class="scroll"><img src="{source}" alt="{text(told)}"></figure>'


def whiskers(lines: Sequence[tuple[str, float, tuple[float, float] | None, str]], *, strong: int | None = None) -> str:
    """Dots with their intervals on one scale that holds 0: (name, value, interval, what is said beside)."""
    ends = [end for _, value, interval, _ in lines for end in (value, *(interval or ()))]
    first = 1.04 * min(0.0, *ends)
    scale = 100 / max(1e-12, 1.04 * max(0.0, *ends) - first)
    found = []
    for n, (name, value, interval, said) in enumerate(lines):
        low, high = interval or (value, value)
        bar = f'<i class="bar" style="left:{(low - first) * scale:.2f}%;width:{(high - low) * scale:.2f}%"></i>'
        dot = f'<i class="dot" style="left:{(value - first) * scale:.2f}%"></i>'
        told = f"{value:.3f}" + (f", between {low:.3f} and {high:.3f}" if interval else "")
        found.append(
            f'<div class="whisker{" strong" if n == strong else ""}"><span class="name">{_breakable(name)}</span>'
            f'<span class="track" role="img" aria-label="{text(told)}">{bar}{dot}</span>'
            f'<span class="value">{value:.3f}<small>{text(said)}</small></span></div>'
        )
    return f'<div class="whiskers">{"".join(found)}</div>'


def tile(content: bytes, said: str, small: str = "") -> str:
    """A PNG picture with what is said below it, and what is said smaller."""
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    below = text(said) + (f"<small>{text(small)}</small>" if small else "")
    return f'<figure class="tile"><img alt="{text(said)}" src="{source}"><figcaption>{below}</figcaption></figure>'


def even(cells: Iterable[str], *, width: str = "7rem") -> str:
    """HTML side by side in even rows; `width` is that of one, in CSS."""
    return f'<div class="gallery" style="--tile:{width}">{"".join(cells)}</div>'


def gallery(pictures: Iterable[tuple[bytes, str]], *, width: str = "7rem") -> str:
    """PNG pictures in even rows, each with what is said below it."""
    return even((tile(content, said) for content, said in pictures), width=width)


def curve(
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    told: str,
    log_x: bool = False,
    bounds: "tuple[float, float] | None" = None,
) -> str:
    """Lines (name, x, y) in one chart, drawn into the page; told: what it shows, in words."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, places, values in lines:
        axes.plot(places, values, marker="o", markersize=4, linewidth=1.8, label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if log_x:
        axes.set_xscale("log")
    if bounds is not None:
        axes.set_ylim(*bounds)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e6ea")
    axes.set_axisbelow(True)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9)
    return picture(figure, told)
