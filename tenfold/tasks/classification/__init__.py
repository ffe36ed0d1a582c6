"""Pictures into classes, also under attack: what its methods and baselines share. Read options, losses, lesson, task.

Names are imported when touched: the options beside them are read by help, without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.tasks.classification.task import Classified, Classifier

__all__ = ["Classified", "Classifier"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from tenfold.tasks.classification import task

    return getattr(task, name)
