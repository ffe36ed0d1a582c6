"""Ten methods of 2021 as ten systems under one contract. A class is imported when its name is first touched."""

from typing import Any

from tenfold.registry import load_class, rows
from tenfold.version import VERSION

__version__ = VERSION
_names = {row.path.rpartition(":")[2]: name for name, row in rows().items()}  # SASRec -> sasrec


def __getattr__(name: str) -> Any:
    if name in _names:
        return load_class(_names[name])
    raise AttributeError(f"module 'tenfold' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_names])
