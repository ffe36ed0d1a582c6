"""The tables of names: systems, baselines, tasks and commands of rooms. A row here makes a new one known.

Command line, contract tests, comparisons and the README's table are made from these rows. Nothing is imported here:
what a row names is loaded when it is asked for, so that this module stands on a low floor.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tenfold.errors import OptionError, nearest

if TYPE_CHECKING:
    from tenfold.system import System


class Row(NamedTuple):
    """A system or a baseline. Paths are 'module:Class'."""

    path: str  # empty where the room is not built yet
    gives: str  # what a user gets, in one sentence
    paper: str  # arXiv number, or where the rule comes from
    extra: str | None = None  # what `pip install tenfold[...]` must have brought
    exported: str = ""  # the class that answers from what the system's `export` wrote
    options: str = ""  # the class of its options, in a module that imports no torch: help answers at once
    task: str = ""  # a row of TASKS; a baseline's is the table it stands in


class Task(NamedTuple):
    """What systems of one kind have in common, as far as help and flags need it. Paths name modules without torch."""

    gives: str  # what is answered, in a few words
    data: str  # what DATA is
    read: str  # class of options: how its files are read
    protocol: str  # class of options: how `evaluate` measures
    predict: str  # class of options: how `predict` answers
    splits: tuple[str, ...]
    units: str  # what figures are averaged over
    inputs: Mapping[str, str] = {}  # further files beside DATA, by flag: what each is
    question: tuple[str, str] = ("", "")  # a flag of `predict` that asks one question in the terminal, and its help


class Command(NamedTuple):
    """A verb of a room: a function with the signature that typer reads, in a module that imports no torch."""

    path: str
    help: str


SYSTEMS = {
    "lisa": Row("tenfold.systems.lisa.system:LISA",
                "next-item recommendation over very long histories, attention in linear time", "2105.14068",
                exported="tenfold.systems.lisa.compact:Compact",
                options="tenfold.systems.lisa.options:Options", task="next_item"),
    "limarec": Row("tenfold.systems.limarec.system:LimaRec",
                   "a recommender that is updated per event, online, at constant cost per user", "2105.14060",
                   options="tenfold.systems.limarec.options:Options", task="next_item"),
    "rehearsal": Row("tenfold.systems.rehearsal.system:Rehearsal",
                     "answers about a stream that is far too long to keep, from a fixed-size memory", "2106.01096",
                     options="tenfold.systems.rehearsal.options:Options", task="stream_questions"),
    "tcl": Row("tenfold.systems.tcl.system:TCL",
               "who will interact with what next, on a graph that grows in continuous time", "2105.07944",
               options="tenfold.systems.tcl.options:Options", task="link_prediction"),
    "sana": Row("tenfold.systems.sana.system:SANA",
                "faithful text from a table of facts, with nothing left out and nothing invented", "2105.14778",
                extra="text", options="tenfold.systems.sana.options:Options", task="table_text"),
    "m6t": Row("", "a transformer with far more parameters at the same cost per token", "2105.15082"),
    "ufcbert": Row("", "pictures from any mix of text, reference pictures and preserved blocks", "2105.14211"),
    "lowrankgan": Row("", "edits of one region of a generated picture that leave the rest alone", "2106.04488"),
    "iais": Row("", "search for pictures by text and text by pictures, with relations understood", "2105.13868"),
    "iad": Row("tenfold.systems.iad.system:IAD",
               "a small classifier that stays right under attack, taught by a teacher it trusts where it should",
               "2106.04928", options="tenfold.systems.iad.options:Options", task="classification"),
}  # fmt: skip

_BASELINES = "tenfold.tasks.next_item.baselines"


_RULES = "tenfold.tasks.link_prediction.baselines.rules"
_LINKS = "tenfold.tasks.link_prediction.options"


def _history(cls: str, gives: str, paper: str) -> Row:
    home = "tenfold.tasks.link_prediction.baselines"
    return Row(f"{home}.histories:{cls}", gives, paper, options=f"{home}.options:HistoryOptions")


def _rule(cls: str, gives: str, paper: str, options: str = "RuleOptions") -> Row:
    return Row(f"{_RULES}:{cls}", gives, paper, options=f"{_LINKS}:{options}")


def _baseline(module_and_class: str, gives: str, paper: str, options: str = "NoOptions") -> Row:
    return Row(f"{_BASELINES}.{module_and_class}", gives, paper, options=f"{_BASELINES}.options:{options}")


_RIVALS = "tenfold.tasks.classification.baselines"


def _rival(cls: str, gives: str, paper: str, options: str) -> Row:
    return Row(f"{_RIVALS}.trained:{cls}", gives, paper, options=f"{_RIVALS}.options:{options}")


_TABLES = "tenfold.tasks.table_text"
_SANA = "tenfold.systems.sana"


def _writer(module_and_class: str, gives: str, paper: str, options: str) -> Row:
    return Row(f"{_TABLES}.{module_and_class}", gives, paper, extra="text", options=f"{_TABLES}.options:{options}")


def _edits(cls: str, gives: str, paper: str) -> Row:
    """A rival made of SANA's parts stands in its room."""
    return Row(f"{_SANA}.rivals:{cls}", gives, paper, extra="text", options=f"{_SANA}.options:Options")


def _several(module_class: str, gives: str, paper: str, options: str = "RivalOptions") -> Row:
    """A rival of LimaRec stands in its room."""
    home = "tenfold.systems.limarec"
    return Row(f"{home}.{module_class}", gives, paper, options=f"{home}.options:{options}")


def _reader(module_class: str, gives: str, paper: str, options: str = "PlainOptions") -> Row:
    home = "tenfold.systems.rehearsal"
    path = module_class if ":" in module_class else f"rivals:{module_class}"
    return Row(f"{home}.{path}", gives, paper, options=f"{home}.options:{options}")


BASELINES = {
    "next_item": {
        "sasrec": _baseline("sasrec:SASRec", "next items by self-attention over the last events", "1808.09781",
                            "SASRecOptions"),
        "gru4rec": _baseline("gru4rec:GRU4Rec", "next items from a recurrent network", "1511.06939", "GRU4RecOptions"),
        "lrurec": _baseline("lrurec:LRURec", "next items from a linear recurrence", "2310.02367", "LRURecOptions"),
        "transformer": _baseline("transformer:Transformer", "next items by any attention", "2006.16236",
                                 "TransformerOptions"),
        "item-knn": _baseline("item_pairs:ItemKNN", "items whose users also had the history's items",
                              "Sarwar et al. 2001", "ItemKNNOptions"),
        "markov": _baseline("item_pairs:FirstOrderMarkov", "items that came right after the last one", "-"),
        "personal-frequency": _baseline("counted:PersonalFrequency", "the items that the user had most often", "-"),
        "repeat-last": _baseline("counted:RepeatLast", "the user's latest items again", "-"),
        "rehearsal-next": Row("tenfold.systems.rehearsal.next_items:RehearsalNext",
                              "next items from Rehearsal Memory's state of one size", "2106.01096",
                              options="tenfold.systems.rehearsal.options:NextOptions"),
        "comirec-sa": _several("rivals:ComiRecSA", "next items from several weighted means of a history",
                               "2005.09347"),
        "comirec-dr": _several("rivals:ComiRecDR", "next items from several vectors found by dynamic routing",
                               "2005.09347"),
        "mind": _several("rivals:MIND", "next items from routed vectors and label-aware attention", "1904.08030"),
        "mimn": _several("memories:MIMN", "next items from the slots of a neural Turing machine", "1905.09248"),
        "hpmn": _several("memories:HPMN", "next items from recurrent networks of growing periods", "1905.00758",
                         "HPMNOptions"),
        "running-mean": _several("rivals:RunningMean", "next items from one mean that fades", "-"),
        "popularity": _baseline("counted:Popularity", "the most popular items, for everybody", "-"),
    },
    "classification": {
        "at": _rival("AT", "a classifier trained on attacked pictures", "1706.06083", "PlainOptions"),
        "trades": _rival("TRADES", "a classifier that answers a picture and its attack alike", "1901.08573",
                         "ConsistencyOptions"),
        "mart": _rival("MART", "the same, most where it errs", "Wang et al. 2020", "ConsistencyOptions"),
        "ard": _rival("ARD", "a classifier that a robust teacher taught", "1905.09747", "ArdOptions"),
        "rslad": _rival("RSLAD", "the same by soft labels only, in the attack too", "2108.07969", "TaughtOptions"),
        "adaad": _rival("AdaAD", "the same, its attack led by the teacher's answers", "Huang et al. 2023",
                        "AdaAdOptions"),
        "adaiad": _rival("AdaIAD", "the same with introspection", "Huang et al. 2023", "AdaIadOptions"),
        "akd2": _rival("AKD2", "a classifier that a robust and a plain teacher taught", "Chen et al. 2021",
                       "Akd2Options"),
        "mtard": _rival("MTARD", "the same, the teachers' weights balanced while training", "Zhao et al. 2022",
                        "MtardOptions"),
        "plain": _rival("Plain", "a classifier that knows no attack", "-", "PlainOptions"),
    },
    "link_prediction": {
        "recency": _rule("LatestPartner", "who was met last, then the most popular", "-", "RecencyOptions"),
        "partners-partners": _rule("PartnersPartners", "whom the last partner met last", "-"),
        "edgebank": _rule("EdgeBank", "pairs that were there before", "2207.10128", "EdgeBankOptions"),
        "pair-count": _rule("PairCount", "how often the two met", "-"),
        "common-partners": _rule("CommonPartners", "who shares partners with the source", "Adamic and Adar 2003"),
        "tgat": _history("TGAT", "attention to a node's own last interactions", "2002.07962"),
        "graphmixer": _history("GraphMixer", "a mixer over them", "Cong et al. 2023"),
        "dygformer": _history("DyGFormer", "both nodes' lists in one transformer", "2303.13047"),
        "tgn": _history("TGN", "a memory of them, and attention", "2006.10637"),
        "jodie": _history("JODIE", "a recurrent state that drifts in time", "1908.01207"),
        "popular-partner": _rule("PopularPartner", "who was met most often of late", "2307.12510"),
    },
    "table_text": {
        "pointer-generator": _writer("baselines.generators:PointerGenerator", "texts by copying or writing",
                                     "1704.04368", "GeneratorOptions"),
        "seq2seq": _writer("baselines.generators:Seq2Seq", "texts by writing alone", "1706.03762", "GeneratorOptions"),
        "nearest-template": _writer("baselines.rules:NearestTemplate", "texts of the most alike table, values replaced",
                                    "-", "TemplateOptions"),
        "all-cells": _writer("baselines.rules:AllCells", "the values of all cells in their order", "-", "RuleOptions"),
        "levenshtein": _edits("Levenshtein", "texts by edits from nothing", "1905.11006"),
        "sketch-and-write": _edits("SketchAndWrite", "texts written from a skeleton", "-"),
        "forced-beam": _edits("ForcedBeam", "texts written from a skeleton, which the beam must hold", "-"),
    },
    "stream_questions": {
        "slot-memory": _reader("SlotMemoryOnly", "the memory of rehearsal, trained on questions alone", "2106.01096",
                               "Options"),
        "stream-gru": _reader("StreamGRU", "answers from a recurrent network's state of the same bytes", "1406.1078"),
        "memory-tokens": _reader("MemoryTokens", "answers from memory tokens that a transformer rewrites segment by "
                                 "segment", "2207.06881"),
        "memory-tokens-rehearsed": _reader("RehearsedTokens", "the same, trained with rehearsal", "2207.06881",
                                           "Options"),
        "compressive-transformer": _reader("compressive:CompressiveTransformer", "answers from the last items and from "
                                           "older ones, several of them compressed into one", "1911.05507",
                                           "CompressiveOptions"),
        "neural-computer": _reader("computer:NeuralComputer", "answers from locations that a controller writes, finds "
                                   "and frees (DNC)", "Graves et al. 2016", "ComputerOptions"),
        "periodic-memory": _reader("periodic:PeriodicMemory", "answers from recurrent networks of growing periods "
                                   "(HPMN)", "1905.00758", "PeriodicOptions"),
        "reservoir": _reader("kept:ReservoirItems", "answers from a random sample of the stream's items",
                             "Vitter 1985"),
        "segment-search": _reader("kept:SegmentSearch", "answers from a few segments that are searched for in all of "
                                  "the stream, which is kept", "-"),
        "associative": _reader("Associative", "answers from a linear associative memory", "2404.07143"),
        "last-items": _reader("LastItems", "answers from the last items of the stream alone", "-"),
        "full-attention": _reader("FullAttentionReader", "answers by attention to all of the stream, which is kept",
                                  "1706.03762"),
    },
}  # fmt: skip

TASKS = {
    "next_item": Task(
        gives="what comes next after a history of events",
        data="an event log: CSV, TSV, JSONL, Parquet, .inter, text; or .gz",
        read="tenfold.data.options:ReadOptions",
        protocol="tenfold.tasks.next_item.options:Protocol",
        predict="tenfold.tasks.next_item.options:PredictOptions",
        splits=("loo", "stream", "time", "spans", "none"),
        units="users",
        question=("history", "one history instead of a file: item ids, commas between"),
    ),
    "classification": Task(
        gives="the class of a picture, also where it is attacked",
        data="pictures by class: a folder, Parquet, CSV, .npz, .npy, IDX, CIFAR's batches, NAME_labels.npz of mosaics",
        read="tenfold.tasks.classification.options:ReadOptions",
        protocol="tenfold.tasks.classification.options:Protocol",
        predict="tenfold.tasks.classification.options:PredictOptions",
        splits=("parts", "drawn", "none"),
        units="pictures",
        question=("picture", "one picture's file instead of a file of them"),
    ),
    "link_prediction": Task(
        gives="who interacts with whom next, in time",
        data="interactions: source, destination, time; CSV, TSV, JSONL, Parquet, SNAP, JODIE, DyGLib; or .gz",
        read="tenfold.tasks.link_prediction.options:ReadOptions",
        protocol="tenfold.tasks.link_prediction.options:Protocol",
        predict="tenfold.tasks.link_prediction.options:PredictOptions",
        splits=("time", "inductive", "none"),
        units="interactions",
        question=("node", "one node instead of a file: NODE or NODE,TIME"),
    ),
    "table_text": Task(
        gives="texts that say what tables of facts hold",
        data="tables with texts: CSV, JSONL, Parquet, or as WebNLG, E2E, ToTTo, WikiBio ... are published; .gz",
        read="tenfold.tasks.table_text.options:ReadOptions",
        protocol="tenfold.tasks.table_text.options:Protocol",
        predict="tenfold.systems.sana.options:PredictOptions",
        splits=("auto", "given", "tables", "none"),
        units="tables",
        question=("table", "one table instead of a file: 'name=Ada; born=1815'"),
    ),
    "stream_questions": Task(
        gives="answers to questions about a stream",
        data="streams: JSON lines, bAbI, text, a tutoring log; .gz or .xz; or an event log or features (npy, npz) with "
        "--questions FILE",
        read="tenfold.systems.rehearsal.options:ReadOptions",
        protocol="tenfold.systems.rehearsal.options:Protocol",
        predict="tenfold.systems.rehearsal.options:PredictOptions",
        splits=("streams", "given", "none"),
        units="questions",
        inputs={"questions": "a file of questions about DATA, where that is an event log or features"},
        question=("stream", "a short stream and a question, '|' between: 'mary went home | where is mary?'"),
    ),
}

COMMANDS: dict[str, Command] = {
    "attack": Command("tenfold.systems.iad.commands:attack",
                      "Attack a fitted classifier: how right it stays, and the pictures that break it."),
    "serve": Command("tenfold.serving.commands:serve", "Serve a fitted system over HTTP: events in, answers out."),
    "replay": Command("tenfold.serving.commands:replay",
                      "Replay a log into users' states, for a service to start from."),
    "states export": Command("tenfold.serving.commands:export_states", "Write all users' states to one file."),
    "states import": Command("tenfold.serving.commands:import_states", "Read such a file into a store of states."),
    "score": Command(f"{_SANA}.commands:score", "Measure texts of any system by their tables and references."),
    "describe": Command(f"{_SANA}.commands:describe", "Say one table in words, with the source of each word."),
    "ask": Command("tenfold.systems.rehearsal.commands:ask",
                   "Read a long text once, then answer questions about it."),
    "graph stats": Command("tenfold.systems.tcl.commands:stats",
                           "Measure what decides how hard interactions are to predict."),
    "graph embed": Command("tenfold.systems.tcl.commands:embed",
                           "Write each node's vector at a moment, for other programs."),
}  # fmt: skip


def rows() -> dict[str, Row]:
    """All that can be fitted: the systems whose room stands, and the baselines, each with its task."""
    built = {name: row for name, row in SYSTEMS.items() if row.path}
    return built | {
        name: row._replace(task=task) for task, baselines in BASELINES.items() for name, row in baselines.items()
    }


def named(path: str) -> type:
    """'module:Class' -> the class, imported only now."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def row_of(name: str) -> Row:
    """Raises OptionError for a name that is not in the tables, or whose room is not built."""
    if name in SYSTEMS and not SYSTEMS[name].path:
        raise OptionError(f"the room of '{name}' is not built yet; there are {', '.join(rows())}")
    if name not in rows():
        raise OptionError(f"there is no system '{name}'; {nearest(name, rows())}")
    return rows()[name]


def load_class(name: str) -> "type[System]":
    """The class of a system or baseline, imported only now. Raises OptionError for a name that is not in the tables."""
    return _imported(name, row_of(name).path)


def class_called(class_name: str) -> "type[System]":
    """What config.json of an artifact names: a system, or what answers from its export. Raises OptionError."""
    there = {
        path.rpartition(":")[2]: (n, path) for n, row in rows().items() for path in (row.path, row.exported) if path
    }
    if class_name not in there:
        raise OptionError(f"this Tenfold has no system '{class_name}'; {nearest(class_name, there)}")
    return _imported(*there[class_name])


def _imported(name: str, path: str) -> "type[System]":
    row = rows()[name]
    module, _, cls = path.partition(":")
    try:
        return getattr(importlib.import_module(module), cls)
    except ModuleNotFoundError as error:
        if row.extra is None or (error.name or "").startswith("tenfold"):
            raise
        raise OptionError(f"'{name}' needs {error.name}; install it with: pip install 'tenfold[{row.extra}]'") from None
