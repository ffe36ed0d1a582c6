"""How good texts are: beside their references, beside their tables, and by themselves. All figures are percent."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from tenfold.errors import DataError
from tenfold.metrics import texts as figures
from tenfold.metrics.evaluation import Evaluation, Statistic
from tenfold.metrics.parent import Cooccurrence, Entailment, Overlap, Table, Tokens, parent, parent_t
from tenfold.tasks.table_text.options import Protocol
from tenfold.tasks.table_text.tokens import join_words, without_mark

COMMON = 2_000  # words so frequent in training texts that nobody would call them invented
LOWER_IS_BETTER = ("omission", "unsupported_numbers", "unsupported_words", "repetition")


class Judged(NamedTuple):
    """A text beside what it is measured by, all in the form in which tokens are compared."""

    text: Tokens
    references: Sequence[Tokens]
    table: Table
    subjects: Sequence[int] = ()  # so many of each value's tokens are what a triple is about; none: of no value


def plain(tokens: Tokens) -> list[str]:
    """Without marks of spaces: what a metric's tokens are."""
    return [without_mark(token) for token in tokens]


def plain_table(table: Table) -> list[tuple[list[str], list[str]]]:
    return [(plain(key), plain(value)) for key, value in table]


def judge(
    judged: Sequence[Judged],
    protocol: Protocol,
    *,
    common: Collection[str] = (),
    entailment: Entailment | None = None,
    told: str = "",
    more: dict[str, np.ndarray] | None = None,
) -> Evaluation:
    """common: words that are never called invented.  entailment: of PARENT; none: word overlap.  told: the first part
    of the protocol's sentence.  more: further figures of each text.  Raises DataError, OptionError."""
    if not judged:
        raise DataError("there is no text to measure; give a part with tables that have one")
    said = [plain(one.text) for one in judged]
    meant = [[plain(text) for text in one.references] for one in judged]
    tables = [plain_table(one.table) for one in judged]
    bleu, chrf = (figures.CorpusFigure(name, said, meant) for name in ("bleu", "chrf"))
    lam = "auto" if protocol.lam is None else protocol.lam
    how = {"entailment": entailment or Overlap(), "group_by_key": protocol.group_by_key}
    by_reference = parent(said, meant, tables, lam=lam, **how)  # type: ignore[arg-type]
    by_table = parent_t(said, tables, **how)  # type: ignore[arg-type]
    known = {without_mark(word) for word in common}
    mean_length = [float(np.mean([len(text) for text in each])) for each in meant]
    per_unit = {
        "parent_f": 100 * by_reference.f,
        "parent_precision": 100 * by_reference.precision,
        "parent_recall": 100 * by_reference.recall,
        "parent_t_f": 100 * by_table.f,
        "parent_t_precision": 100 * by_table.precision,
        "parent_t_recall": 100 * by_table.recall,
        "rouge_l": figures.rouge_l(said, meant),
        "rouge_4": figures.rouge_n(said, meant),
        "omission": np.array([figures.omission(s, t) for s, t in zip(said, tables, strict=True)]),
        "unsupported_numbers": np.array([figures.unsupported_numbers(s, t) for s, t in zip(said, tables, strict=True)]),
        "unsupported_words": np.array(
            [figures.unsupported_words(s, t, known) for s, t in zip(said, tables, strict=True)]
        ),
        "repetition": np.array([figures.repetition(s) for s in said]),
        "length": np.array([100 * len(s) / max(m, 1) for s, m in zip(said, mean_length, strict=True)]),
        **(more or {}),
    }
    if protocol.facts:
        per_unit["facts_told"] = np.array([facts_told(one) for one in judged])
    statistics = {"bleu": Statistic(bleu, len(said)), "chrf": Statistic(chrf, len(said))}
    sentence = (
        f"{told}BLEU {bleu.signature}; PARENT lambda {lam}, {protocol.entailment}"
        f"{', equal keys as one value' if protocol.group_by_key else ''}; small letters unless case is kept; percent"
    )
    found = Evaluation.of(per_unit, statistics=statistics, protocol=sentence)
    ordered = Evaluation({name: found[name] for name in ("bleu", "chrf", *per_unit)})
    ordered.per_unit, ordered.statistics = found.per_unit, found.statistics
    ordered.protocol, ordered.notes = found.protocol, found.notes
    return ordered


def facts_told(judged: Judged) -> float:
    """The share of cells that the text tells, by the shop's matcher, which knows the words that a catalogue has for a
    value; where it knows none, the value itself has to be there, whole. Of a triple, what it is about has to be there
    too, and need not stand beside the value."""
    from tenfold.shop.facts import Cell, said

    text, found = join_words(judged.text), []

    def tells(key: str, value: str) -> bool:
        try:
            return said(text, Cell(key, value)) is not None
        except (KeyError, ValueError, IndexError):  # a key of the shop with a value that the shop never has
            return said(text, Cell("brand", value)) is not None  # as it is written

    for (key, value), about in zip(judged.table, judged.subjects or [0] * len(judged.table), strict=True):
        own = tells(join_words(key), join_words(value[about:]))
        found.append(own and (about == 0 or tells("brand", join_words(value[:about]))))
    return 100.0 * float(np.mean(found))


def entailment_of(name: str, tables: Sequence[Table], texts: Sequence[Sequence[Tokens]]) -> Entailment:
    """tables, texts: those trained on."""
    if name == "overlap":
        return Overlap()
    each = [(plain_table(table), plain(text)) for table, own in zip(tables, texts, strict=True) for text in own]
    return Cooccurrence([table for table, _ in each], [text for _, text in each])
