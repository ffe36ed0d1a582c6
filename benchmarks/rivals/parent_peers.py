"""Other implementations of PARENT, loaded from their checkouts: functions by name. Their command lines are left out."""

import sys
from typing import Any

from benchmarks.peers import KAIJU, SANA, Peer


def google_functions() -> dict[str, Any]:
    """Google's, as the authors of SANA have it beside their code; its script reads arguments as it is loaded."""
    source = _source(SANA, "utils/parent/table_text_eval.py")
    for line in ("from six.moves import range", "from six.moves import zip"):  # what Python 2 wanted
        source = source.replace(line, "")
    given, sys.argv = sys.argv, ["parent", "--references", "a", "--generations", "b", "--tables", "c"]
    try:
        return _run(source)
    finally:
        sys.argv = given


def kaiju_functions() -> dict[str, Any]:
    source = _source(KAIJU, "parent/parent.py")
    lines = [line for line in source.splitlines() if not line.startswith("import tqdm")]  # bars that are not asked for
    return _run("\n".join(lines))


def _source(peer: Peer, path: str) -> str:
    assert peer.folder is not None
    return (peer.folder / path).read_text()


def _run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "a_rival"}
    exec(compile(source, "a_rival", "exec"), names)
    return names
