"""Link prediction in time: who interacts with whom next. What its methods and baselines share.

Names are imported when touched: the options beside them are read by help, without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.tasks.link_prediction.data import Links
    from tenfold.tasks.link_prediction.task import Answers, LinkPrediction

__all__ = ["Answers", "LinkPrediction", "Links"]


def __getattr__(name: str) -> Any:
    if name == "Links":
        from tenfold.tasks.link_prediction import data as home
    elif name in __all__:
        from tenfold.tasks.link_prediction import task as home  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(home, name)
