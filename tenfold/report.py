"""The page that shows what was done: one HTML file that needs nothing else, to be read on a phone or a screen.

A room adds a `Section`: a title and HTML, made with the functions here, which escape whatever the user's files hold.
"""

import base64
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.files import write_whole
from tenfold.report_style import STYLE
from tenfold.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.claims import Result
    from tenfold.comparison import Comparison, Row
    from tenfold.data.events import Events
    from tenfold.data.splits import Split
    from tenfold.system import System

DETAILS = ("category", "genres", "brand", "colour", "price")  # attributes told beside a title, where an item has them
LATEST = 8  # events of a history that are shown


@dataclass(frozen=True)
class Section:
    """`html` stands as it is: make it with this file's functions, or escape what comes from outside."""

    title: str
    html: str


def page(title: str, sections: Sequence[Section], *, lead: str = "", about: Sequence[str] = ()) -> str:
    """lead: a sentence under the title. about: lines of small print, such as the command and the machine."""
    links = "".join(f'<a href="#s{n}">{text(section.title)}</a>' for n, section in enumerate(sections, 1))
    body = "".join(
        f'<section id="s{n}"><h2>{text(section.title)}</h2>{section.html}</section>'
        for n, section in enumerate(sections, 1)
    )
    small = "".join(f"<p>{text(line)}</p>" for line in [*about, f"Made by Tenfold {VERSION}."])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body>"
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


# The sections that are made here.


def comparison_section(comparison: "Comparison", *, title: str = "The comparison") -> Section:
    """What was compared and how, a plot of the watched figure, and the table."""
    metric, rows = comparison.metric, comparison.rows
    strong = next(n for n, row in enumerate(rows) if row.label == comparison.reference)
    lines = [(row.label, row.figures[metric], row.intervals.get(metric), _against(row, comparison)) for row in rows]
    others = comparison.others()
    headers = ["", metric, f"to {comparison.reference}", *others, "fit", "memory"]
    cells: list[list[Any]] = []
    for row in rows:
        memory = "-" if row.cost.peak_mib is None else f"{row.cost.peak_mib:.0f} MiB"
        own: list[Any] = [(f"{row.figures[metric]:.3f}", _between(row.intervals.get(metric), "{:.3f} to {:.3f}"))]
        difference = row.differences.get(metric)
        apart = "" if difference is None else f"{difference[0]:+.3f}"
        own.append((apart, _between(difference and difference[1:], "{:+.3f} to {:+.3f}")))
        own += [f"{row.figures[name]:.3f}" if name in row.figures else "-" for name in others]
        own += [f"{row.cost.seconds:.1f} s", memory]
        cells.append([row.label, *own])
    best = rows[0]
    first = "highest" if comparison.direction > 0 else "lowest"
    said = f"{best.label} has the {first} {metric}, {best.figures[metric]:.3f}."
    if metric.startswith("ndcg"):
        said += " 1 would mean that the item that came next always stood first in the list."
    said += f" Measured on {comparison.protocol}. Bars and small print are 95 % intervals over {comparison.units}"
    said += "." if comparison.seeds == 1 else f" and {comparison.seeds} trainings."
    notes = "".join(paragraph(line, small=True) for line in comparison.explanation().split("\n"))
    drawn = whiskers(lines, strong=strong)
    folded = f"<details><summary>How to read this, and what it rests on</summary>{notes}</details>"
    return Section(title, paragraph(said) + drawn + table(headers, cells, strong=strong) + folded)


def _between(interval: tuple[float, float] | None, form: str) -> str:
    return "" if interval is None else form.format(*interval)


def _against(row: "Row", comparison: "Comparison") -> str:
    said = comparison.verdict(row)
    return f"{said} than {comparison.reference}" if said in ("better", "worse") else said


def histories_section(
    split: "Split",
    systems: "Mapping[str, System]",
    *,
    users: Sequence[int] | None = None,
    k: int = 5,
    exclude_seen: bool = False,
    title: str = "What a few users get",
) -> Section:
    """The ends of some users' histories, what each system recommends to them, and what they did choose next.

    users: rows of the log; without them four of those with a test event are drawn, whatever the systems say to them.
    """
    events = split.events
    queries = split.queries("test")
    first = {
        int(user): int(position) for user, position in zip(queries.user[::-1], queries.position[::-1], strict=True)
    }
    if users is None:
        rng, able = np.random.default_rng(0), np.array(sorted(first))
        users = sorted(rng.choice(able, min(4, len(able)), replace=False).tolist())
        said = "Users drawn at random, whatever the systems say to them."
    else:
        said = "Users that were asked for."
    cards = [_card(events, user, first[user], systems, k, exclude_seen) for user in users]
    left_out = " Items of the history are left out." if exclude_seen else ""
    told = f"{said} Each list is what stood first for the user before the last event was known.{left_out}"
    return Section(title, paragraph(told) + f'<div class="cards">{"".join(cards)}</div>')


def _card(
    events: "Events", user: int, position: int, systems: "Mapping[str, System]", k: int, exclude_seen: bool
) -> str:
    numbers = events.items[events.offsets[user] : position]
    history, target = events.catalogue.ids(numbers[numbers > 0]), int(events.items[position])
    latest = "".join(f"<li>{_item(events, number, times)}</li>" for number, times in _runs(numbers)[-LATEST:])
    columns = []
    for name, system in systems.items():
        verb: Any = system  # the task's systems recommend
        found = verb.recommend(history=history, k=min(k, len(events.catalogue)), exclude_seen=exclude_seen)
        best = events.catalogue.numbers([one.item for one in found])
        rows = (f"<li{_hit(n == target)}>{_item(events, int(n))}</li>" for n in best)
        columns.append(f"<div><h4>{text(name)}</h4><ol>{''.join(rows)}</ol></div>")
    (own,) = events.users.ids([user + 1])
    earlier = f" of {len(numbers):,}"
    return (
        f'<article><h3>{text(own)}</h3><div class="columns"><div><h4>Latest events{earlier}</h4>'
        f'<ul>{latest}</ul><h4>Then came</h4><ul><li class="next">{_item(events, target)}</li></ul></div>'
        f"{''.join(columns)}</div></article>"
    )


def _hit(is_next: bool) -> str:
    return ' class="hit"' if is_next else ""


def _runs(numbers: np.ndarray) -> list[tuple[int, int]]:
    """An item again and again, as viewed and bought, is one line: [4, 4, 7] -> [(4, 2), (7, 1)]."""
    return [(number, len(list(same))) for number, same in itertools.groupby(numbers.tolist())]


def _item(events: "Events", number: int, times: int = 1) -> str:
    """An item by its title, and what else is known of it in small print."""
    if number == 0:
        return "<em>an item that is not known</em>"
    frame, title = events.attributes, events.title(number)
    told = [] if frame is None else [frame[name][number - 1] for name in DETAILS if name in frame.columns]
    plain = (f"{value:g}" if isinstance(value, float) else str(value) for value in told if value is not None)
    news = [value for value in plain if value.lower() not in title.lower()]  # titles often say it all
    small = " · ".join([*news, *([f"{times} times"] if times > 1 else [])])
    return f"{text(title)}{f'<small>{text(small)}</small>' if small else ''}"


def claims_section(results: "Sequence[Result]", *, title: str = "What the paper says, measured") -> Section:
    """Verdicts with their intervals, and the plot of them."""
    from tenfold.claims import plot

    cells = []
    for result in results:
        found = result.finding
        shown = (
            result.problem if found is None else f"{found.about} {found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"
        )
        cells.append([f"{result.claim.name}: {result.claim.says}", result.claim.source, shown, result.verdict])
    drawn = picture(plot(results), "each claim's figure with its interval; shaded where the claim holds")
    return Section(title, table(["claim", "source", "found [95 %]", "verdict"], cells) + drawn)
