"""Texts from tables of facts: what its methods and rivals share. Tokens, numbering, networks, task, evaluation.

Names are imported when touched: the options beside them are read by help, without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.tasks.table_text.task import Description, TableText

__all__ = ["Description", "TableText"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from tenfold.tasks.table_text import task

    return getattr(task, name)
