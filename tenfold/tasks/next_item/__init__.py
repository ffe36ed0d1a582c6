"""Next-item recommendation: what its methods and baselines share. Read options, events, losses, task, evaluation.

Names are imported when touched: the options beside them are read by help, without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.tasks.next_item.answers import Recommendation
    from tenfold.tasks.next_item.events import NextItemBatch
    from tenfold.tasks.next_item.task import NextItem

__all__ = ["NextItem", "NextItemBatch", "Recommendation"]


def __getattr__(name: str) -> Any:
    if name == "NextItemBatch":
        from tenfold.tasks.next_item import events as home
    elif name == "Recommendation":
        from tenfold.tasks.next_item import answers as home  # type: ignore[no-redef]
    elif name in __all__:
        from tenfold.tasks.next_item import task as home  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(home, name)
