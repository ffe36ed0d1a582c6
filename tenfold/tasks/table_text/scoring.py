"""Texts of any system, in a file, measured as the task measures its own."""

from pathlib import Path
from typing import Literal, cast

from tenfold.data.fact_tables import read_fact_tables
from tenfold.data.sources import table_of
from tenfold.errors import DataError, OptionError, nearest
from tenfold.system import Evaluation
from tenfold.tasks.table_text.encoding import Splitter, learned_words
from tenfold.tasks.table_text.evaluation import COMMON, Judged, entailment_of, judge
from tenfold.tasks.table_text.options import Protocol, TextOptions

ALSO = ("prediction", "text", "output", "generated", "answer")  # what a column of texts is also called


def score_file(file: Path, data: Path | None, *, column: str, tokens: str, case: str, protocol: Protocol) -> Evaluation:
    """file: rows with a text each; data: tables with references, in the same order, else the file has them too.

    Raises DataError, OptionError.
    """
    if tokens not in ("words", "spaces") or case not in ("lower", "keep"):
        raise OptionError(f"tokens is words or spaces, and case lower or keep; found {tokens} and {case}")
    splitter = Splitter(
        TextOptions(
            tokens=cast(Literal["words", "spaces"], tokens), case="restore" if case == "lower" else "keep",
            longest_table=1_000_000,
        )
    )  # fmt: skip
    texts = _texts(file, column, alone=data is None)
    tables = read_fact_tables(data or file)
    if len(texts) != len(tables):
        raise DataError(
            f"{file} has {len(texts):,} texts, and {data or file} {len(tables):,} tables; each table needs its own"
        )
    judged, silent = list[Judged](), 0
    for number, (text, table) in enumerate(zip(texts, tables, strict=True), start=1):
        references = [splitter.text(each) for each in table.texts if each.strip()]
        if not references:
            silent += 1
            continue
        own = splitter.table(table, f"{data or file}, table {number}")
        judged.append(Judged(splitter.text(text), references, own.records, own.subjects))
    judged = judged[: protocol.at_most]
    entailment = None
    if protocol.entailment == "cooccurrence":
        entailment = entailment_of("cooccurrence", [one.table for one in judged], [one.references for one in judged])
    found = judge(judged, protocol, common=_common(judged), entailment=entailment, told=f"{len(judged):,} texts; ")
    if silent:
        found.notes.append(f"{silent:,} tables have no reference and are left out")
    return found


def _texts(file: Path, column: str, *, alone: bool) -> list[str]:
    """Raises DataError."""
    if file.suffix == ".txt":
        return file.read_text(encoding="utf-8").splitlines()
    source = table_of(file, "texts", encoding="utf-8", format="auto", on_bad_rows="refuse")
    names = [column, *([] if alone else ALSO)]  # beside references `text` is not what was written
    name = next((name for name in names if name in source.columns), None)
    if name is None:
        raise DataError(f"{file} has no column '{column}'; {nearest(column, source.columns)}; name it with --column")
    return ["" if row[name] is None else str(row[name]) for rows, _ in source.rows() for row in rows]


def _common(judged: list[Judged]) -> list[str]:
    """The words of references that come most often: nobody would call them invented."""
    return learned_words((text for one in judged for text in one.references), COMMON).series.slice(5).to_list()
