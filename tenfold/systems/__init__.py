"""The systems and their baselines by name. A row here makes a new one known.

Command line, contract tests, comparisons and the README's table are made from these rows, which import nothing heavy.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tenfold.errors import OptionError, nearest

if TYPE_CHECKING:
    from tenfold.system import System


class Row(NamedTuple):
    path: str  # module:Class; empty where the room is not built yet
    gives: str  # what a user gets, in one sentence
    paper: str  # arXiv number, or where the rule comes from
    extra: str | None = None  # what `pip install tenfold[...]` must have brought
    exported: str = ""  # module:Class that answers from what the system's `export` wrote


SYSTEMS = {
    "lisa": Row("tenfold.systems.lisa.system:LISA",
                "next-item recommendation over very long histories, attention in linear time", "2105.14068",
                exported="tenfold.systems.lisa.export:Compact"),
    "limarec": Row("", "a recommender that is updated per event, online, at constant cost per user", "2105.14060"),
    "rehearsal": Row("", "answers about a stream that is far too long to keep, from a fixed-size memory", "2106.01096"),
    "tcl": Row("", "who will interact with what next, on a graph that grows in continuous time", "2105.07944"),
    "sana": Row("", "faithful text from a table of facts, with nothing left out and nothing invented", "2105.14778"),
    "m6t": Row("", "a transformer with far more parameters at the same cost per token", "2105.15082"),
    "ufcbert": Row("", "pictures from any mix of text, reference pictures and preserved blocks", "2105.14211"),
    "lowrankgan": Row("", "edits of one region of a generated picture that leave the rest alone", "2106.04488"),
    "iais": Row("", "search for pictures by text and text by pictures, with relations understood", "2105.13868"),
    "iad": Row("", "a small classifier that stays right under attack, taught by a teacher it trusts where it should",
               "2106.04928"),
}  # fmt: skip

_RULES = "tenfold.tasks.next_item.baselines.counted"
_PAIRS = "tenfold.tasks.next_item.baselines.item_pairs"
_NETWORKS = "tenfold.tasks.next_item.baselines"

BASELINES = {
    "next_item": {
        "sasrec": Row(f"{_NETWORKS}.sasrec:SASRec", "next items by self-attention over the last events", "1808.09781"),
        "gru4rec": Row(f"{_NETWORKS}.gru4rec:GRU4Rec", "next items from a recurrent network", "1511.06939"),
        "lrurec": Row(f"{_NETWORKS}.lrurec:LRURec", "next items from a linear recurrence", "2310.02367"),
        "transformer": Row(f"{_NETWORKS}.transformer:Transformer", "next items by any attention", "2006.16236"),
        "item-knn": Row(f"{_PAIRS}:ItemKNN", "items whose users also had the history's items", "Sarwar et al. 2001"),
        "markov": Row(f"{_PAIRS}:FirstOrderMarkov", "items that came right after the last one", "-"),
        "personal-frequency": Row(f"{_RULES}:PersonalFrequency", "the items that the user had most often", "-"),
        "repeat-last": Row(f"{_RULES}:RepeatLast", "the user's latest items again", "-"),
        "popularity": Row(f"{_RULES}:Popularity", "the items that are had most often, for everybody", "-"),
    },
}  # fmt: skip


def rows() -> dict[str, Row]:
    """All that can be fitted: the systems whose room stands, and the baselines."""
    built = {name: row for name, row in SYSTEMS.items() if row.path}
    return built | {name: row for task in BASELINES.values() for name, row in task.items()}


def load_class(name: str) -> "type[System]":
    """The class of a system or baseline, imported only now. Raises OptionError for a name that is not in the tables."""
    if name in SYSTEMS and not SYSTEMS[name].path:
        raise OptionError(f"the room of '{name}' is not built yet; there are {', '.join(rows())}")
    if name not in rows():
        raise OptionError(f"there is no system '{name}'; {nearest(name, rows())}")
    return _imported(name, rows()[name].path)


def class_called(class_name: str) -> "type[System]":
    """What config.json of an artifact names: a system, or what answers from its export. Raises OptionError."""
    there = {
        path.rpartition(":")[2]: (n, path) for n, row in rows().items() for path in (row.path, row.exported) if path
    }
    if class_name not in there:
        raise OptionError(f"this Tenfold has no system '{class_name}'; {nearest(class_name, there)}")
    return _imported(*there[class_name])


def load(folder: str | Path) -> "System":
    """The fitted system in a folder, of whatever class it is. Raises ArtifactError, OptionError."""
    from tenfold.artifact import read_config

    return class_called(read_config(Path(folder))["system"]).load(folder)


def _imported(name: str, path: str) -> "type[System]":
    row = rows()[name]
    module, _, cls = path.partition(":")
    try:
        return getattr(importlib.import_module(module), cls)
    except ModuleNotFoundError as error:
        if row.extra is None or (error.name or "").startswith("tenfold"):
            raise
        raise OptionError(f"'{name}' needs {error.name}; install it with: pip install 'tenfold[{row.extra}]'") from None
