"""The version, below everything, because runs, artifacts and measurements are marked with it."""

from functools import cache
from pathlib import Path

VERSION = "0.1.0"


@cache
def code_commit() -> str:
    """The commit of this package's code, with '+' where files of it have changed since; empty outside a checkout."""
    import subprocess  # not for those who only want the version

    home = Path(__file__).resolve().parent

    def told(*words: str) -> str:
        return subprocess.run(["git", "-C", str(home), *words], capture_output=True, text=True, check=True).stdout

    try:
        changed = told("status", "--porcelain", "--untracked-files=no", "--", str(home))
        return told("rev-parse", "--short=12", "HEAD").strip() + ("+" if changed.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
