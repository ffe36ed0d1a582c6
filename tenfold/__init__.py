"""Ten methods of 2021 as ten systems under one contract. A class is imported when its name is first touched.

Nothing but the version is imported here: the program must be able to answer Ctrl-C before anything takes time.
"""

from tenfold.version import VERSION

TYPE_CHECKING = False  # as typing's, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

__version__ = VERSION


def _names() -> "dict[str, str]":
    from tenfold.registry import rows

    return {row.path.rpartition(":")[2]: name for name, row in rows().items()}  # SASRec -> sasrec


def __getattr__(name: str) -> "Any":
    if not name.startswith("_") and name in (names := _names()):
        from tenfold.registry import load_class

        return load_class(names[name])
    raise AttributeError(f"module 'tenfold' has no attribute '{name}'")


def __dir__() -> "list[str]":
    return sorted([*globals(), *_names()])
