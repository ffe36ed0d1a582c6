"""A public log written out for all sides alike, and each side's runner as a command."""

import gzip
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks import harness, peers

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


def absent() -> list[str]:
    """A sentence for each rival that is not here."""
    return [f"{p.name} is not here; {p.had}." for p in (peers.SASREC, peers.RECTOOLS) if not p.present]
