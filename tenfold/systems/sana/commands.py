"""The room's verbs: `score` measures the texts of any system, `describe` shows how one text came about."""

from pathlib import Path
from typing import Annotated, Any

import typer


def score(
    file: Annotated[str, typer.Argument(help="texts to measure: JSONL, CSV or Parquet with a column of texts")],
    data: Annotated[
        str | None, typer.Option(help="tables with their references, in the same order; not given: FILE has them too")
    ] = None,
    column: Annotated[str, typer.Option(help="the column of FILE that holds the texts")] = "prediction",
    tokens: Annotated[
        str, typer.Option(help="words: split at words and signs; spaces: as published sets are")
    ] = "words",
    case: Annotated[str, typer.Option(help="lower: small and capital letters are alike; keep: they are not")] = "lower",
    output: Annotated[str | None, typer.Option("--output", "-o", help="a JSON file for all figures")] = None,
    lam: Annotated[
        float | None, typer.Option(help="weight of the table in PARENT's recall; none: by reference")
    ] = None,
    entailment: Annotated[str, typer.Option(help="PARENT's model: overlap or cooccurrence")] = "overlap",
    group_by_key: Annotated[bool, typer.Option(help="the values of equal keys are one, as SANA's authors")] = False,
    facts: Annotated[
        bool, typer.Option(help="also how many cells are told in the shop's words: a hooded top says hoodie")
    ] = False,
) -> None:
    """Measure texts by tables and references: BLEU, chrF, ROUGE, PARENT, PARENT-T, what is left out or invented."""
    import json

    from rich.console import Console
    from rich.table import Table

    from tenfold.files import write_whole
    from tenfold.options import parse
    from tenfold.tasks.table_text.options import Protocol
    from tenfold.tasks.table_text.scoring import score_file

    found = score_file(
        Path(file), Path(data) if data else None, column=column, tokens=tokens, case=case,
        protocol=parse(
            Protocol, {"lam": lam, "entailment": entailment, "group_by_key": group_by_key, "facts": facts}
        ),
    )  # fmt: skip
    table = Table("figure", "value", "95 % interval")
    for name, value in found.items():
        low_high = found.intervals.get(name)
        table.add_row(name, f"{value:.2f}", "" if low_high is None else f"{low_high[0]:.2f} to {low_high[1]:.2f}")
    console = Console()
    console.print(table)
    console.print(found.protocol, markup=False, highlight=False)
    for note in found.notes:
        console.print(note, markup=False, highlight=False)
    if output:
        whole = {"figures": dict(found), "intervals": found.intervals, "protocol": found.protocol}
        write_whole(Path(output), json.dumps(whole, indent=1).encode())


def describe(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system of tables and texts")],
    table: Annotated[str, typer.Argument(help="a table: 'name=Ada; born=1815'")],
    must_include: Annotated[
        list[str] | None, typer.Option(help="a key, or words of a value, that the text holds word for word; repeat")
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="a key that is not told of; repeat")] = None,
    constraint: Annotated[
        str, typer.Option(help="hard: the skeleton stays; soft: it may go; none: there is none")
    ] = "hard",
    answers: Annotated[int, typer.Option(help="texts, from as many skeletons")] = 1,
    html: Annotated[
        str | None, typer.Option(help="a page with the rounds of edits and the source of each token")
    ] = None,
) -> None:
    """Say one table in words: the text, the cell of each word, what was said of each cell, and the rounds of edits."""
    from rich.console import Console

    from tenfold.errors import OptionError
    from tenfold.files import write_whole
    from tenfold.systems import load
    from tenfold.systems.sana.showing import page_of, terminal_of
    from tenfold.tasks.table_text.task import TableText, cells_of_words

    system = load(folder)
    if not isinstance(system, TableText):
        raise OptionError(f"{folder} holds a {type(system).__name__}, which says no tables; give a fitted SANA")
    how: dict[str, Any] = {}
    if type(system).predict_options.__module__.startswith("tenfold.systems.sana"):
        how = {
            "must_include": tuple(must_include or ()), "leave_out": tuple(leave_out or ()),
            "constraint": constraint, "answers": answers, "traced": True,
        }  # fmt: skip
    found = system.describe(cells_of_words(table), **how)
    Console().print(terminal_of(found))
    if html:
        write_whole(Path(html), page_of(found).encode())
