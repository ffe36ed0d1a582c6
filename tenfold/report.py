"""Sections of a page that know comparisons and claims; what pages are made of is in `html.py`, and comes along here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenfold.html import (
    Section,
    curve,
    gallery,
    page,
    paragraph,
    picture,
    png,
    table,
    text,
    whiskers,
    write_report,
)

if TYPE_CHECKING:
    from tenfold.claims import Result
    from tenfold.comparison import Comparison, Row

__all__ = [
    "Section", "claims_section", "comparison_section", "curve", "gallery", "page", "paragraph", "picture", "png",
    "table", "text", "whiskers", "write_report",
]  # fmt: skip


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
