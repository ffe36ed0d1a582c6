"""Next-item recommendation: what its methods and baselines share. Read options, events, losses, task, evaluation."""

from tenfold.tasks.next_item.events import NextItemBatch
from tenfold.tasks.next_item.task import NextItem, Recommendation

__all__ = ["NextItem", "NextItemBatch", "Recommendation"]
