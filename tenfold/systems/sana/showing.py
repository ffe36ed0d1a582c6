"""How a text came about, for people: in the terminal and as a page."""

from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from tenfold.tasks.table_text.task import Description
from tenfold.tasks.table_text.tokens import without_mark


class Shown(NamedTuple):
    """A token of one step: given, new, or about to be deleted by the next step."""

    token: str
    locked: bool
    new: bool
    goes: bool


def steps_of(trace: tuple[Any, ...]) -> Iterator[tuple[str, list[Shown]]]:
    """Each kind of edit of each round, with what it added, and what the next one takes away."""
    before: list[str] = []
    for place, step in enumerate(trace):
        after = trace[place + 1] if place + 1 < len(trace) else None
        new = _not_in(step.tokens, before) if step.kind == "filled" else [False] * len(step.tokens)
        goes = (
            _not_in(step.tokens, after.tokens)
            if after is not None and after.kind == "deleted"
            else [False] * len(step.tokens)
        )
        if step.kind in ("start", "filled") or (step.kind == "deleted" and step.tokens != before):
            rows = zip(step.tokens, step.locked, new, goes, strict=True)
            yield (
                f"round {step.round}: {step.kind}" if step.round else "skeleton",
                [Shown(without_mark(token), *rest) for token, *rest in rows],
            )
        if step.kind != "made room":
            before = step.tokens


def _not_in(tokens: list[str], others: list[str]) -> list[bool]:
    """Which tokens a longest common subsequence with `others` leaves out."""
    from tenfold.ops.edits import edits_reference

    numbers: dict[str, int] = {}
    one, two = ([numbers.setdefault(t, len(numbers) + 1) for t in each] for each in (tokens, others))
    return edits_reference(one, two)[0]


def terminal_of(text: Description) -> Group:
    """Locked tokens bold, new ones green, what goes struck out."""
    table = RichTable("key", "value", "said")
    for key, value, share in text.coverage:
        table.add_row(key, value, Text(f"{share:.0%}", style="" if share == 1 else "yellow" if share else "red"))
    parts: list[Any] = [Text(text.text, style="bold"), *(Text(f"or: {other}") for other in text.others), table]
    for name, tokens in steps_of(text.trace):
        line = Text(f"{name:>18}  ", style="dim")
        for shown in tokens:
            style = "strike red" if shown.goes else "bold" if shown.locked else "green" if shown.new else "default"
            line.append(shown.token, style=style)
            line.append(" ")
        parts.append(line)
    parts.append(Text(f"{text.rounds} rounds, least certain token {text.confidence:.2f}", style="dim"))
    return Group(*parts)


MARKED = (  # what a part of a page needs
    ".said ins{color:#17692d;text-decoration:none;background:#e4f3e7}.said del{color:#a2231d}"
    ".said b{background:#fff3c4}"
    ".said .bar{display:inline-block;height:.7rem;background:#3b6ea5}.said .none{color:#777}"
    ".said td,.said th{padding:.1rem .8rem;text-align:left}"
)
STYLE = f"body{{font:16px/1.6 system-ui;max-width:50rem;margin:2rem auto}}small{{color:#666}}{MARKED}"


def page_of(text: Description) -> str:
    """A whole page: text with sources, coverage by cell, rounds."""
    head = f"<!doctype html><meta charset=utf-8><title>{escape(text.text[:60])}</title><style>{STYLE}</style>"
    return head + part_of(text)


def part_of(text: Description) -> str:
    """The same as a part of a page."""
    words = " ".join(
        f'<span title="{escape(text.coverage[cell][0])}"><b>{escape(without_mark(token))}</b></span>'
        if cell is not None
        else f'<span class="none">{escape(without_mark(token))}</span>'
        for token, cell in zip(text.tokens, text.cells, strict=True)
    )
    rows = "".join(
        f"<tr><td>{escape(key)}<td>{escape(value)}<td><span class=bar style='width:{60 * share:.0f}px'></span> "
        f"{share:.0%}"
        for key, value, share in text.coverage
    )
    lines = "".join(f"<p><small>{escape(name)}</small><br>{_line(tokens)}" for name, tokens in steps_of(text.trace))
    table = f"<table><tr><th>key<th>value<th>said{rows}</table>"
    return f"<div class=said><h3>{escape(text.text)}</h3><p>{words}{table}{lines}</div>"


def _line(tokens: list[Shown]) -> str:
    found = []
    for shown in tokens:
        word = escape(shown.token)
        tag = "del" if shown.goes else "b" if shown.locked else "ins" if shown.new else ""
        found.append(f"<{tag}>{word}</{tag}>" if tag else word)
    return " ".join(found)
