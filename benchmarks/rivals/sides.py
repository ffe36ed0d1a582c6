"""Data written out for all sides alike, and each side's runner as a command."""

import gzip
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness, peers

if TYPE_CHECKING:
    from tenfold.systems.rehearsal.data import Streams

HERE = Path(__file__).parent


def log_for_all(source: Path, folder: Path) -> Path:
    """The log as plain text in FOLDER/data/ml-1m.txt, a place and form that every side reads."""
    target = folder / "data" / "ml-1m.txt"
    target.parent.mkdir()
    with gzip.open(source) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return target


def ours(log: Path, *words: Any) -> dict[str, Any]:
    return harness.child([sys.executable, "-m", "benchmarks.rivals.tenfold_sasrec", log, *map(str, words)]).json


def public(log: Path, *words: Any) -> dict[str, Any]:
    """pmixer/SASRec.pytorch, run by our own interpreter."""
    runner = [sys.executable, HERE / "sasrec_pytorch.py", str(peers.SASREC.folder), log]
    return harness.child([*runner, *map(str, words)]).json


def rectools(log: Path, *words: Any) -> dict[str, Any]:
    """RecTools, run by the interpreter of its own environment."""
    return harness.child([peers.RECTOOLS.python, HERE / "rectools_sasrec.py", log, *map(str, words)]).json


def streams_for_all(data: "Streams", count: int, path: Path) -> Path:
    """Streams of one-word items, all of one length and with as many questions of one word, as numbers of words, in an
    npz that needs nothing of ours."""
    number = {word: place for place, word in enumerate(data.words.series.to_list())}
    asked, answers = (
        np.array([number[word] for word in data.questions[name].to_list()]).reshape(count, -1)
        for name in ("question", "answer")
    )
    np.savez(path, words=data.items.words.reshape(count, -1) - 1, asked=asked, answers=answers, vocabulary=len(number))
    return path


def has_rmt() -> bool:
    return peers.RMT.present and peers.TRANSFORMERS.present


def rmt(streams: Path, *words: Any) -> dict[str, Any]:
    """booydar/recurrent-memory-transformer, run by the interpreter of an environment that has transformers."""
    runner = [peers.TRANSFORMERS.python, HERE / "rmt_public.py", str(peers.RMT.folder), streams]
    return harness.child([*runner, *map(str, words)]).json


def absent_rmt() -> list[str]:
    return [f"{p.name} is not here; {p.had}." for p in (peers.RMT, peers.TRANSFORMERS) if not p.present]


def absent() -> list[str]:
    """A sentence for each rival that is not here."""
    return [f"{p.name} is not here; {p.had}." for p in (peers.SASREC, peers.RECTOOLS) if not p.present]
