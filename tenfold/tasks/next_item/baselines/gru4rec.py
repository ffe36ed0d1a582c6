"""GRU4Rec: Hidasi et al., ICLR 2016 (arXiv 1511.06939): a recurrent network over the events.

Ours: tied items and the task's losses in place of its ranking losses, windows in place of session-parallel batches.
"""

import torch
from torch import Tensor, nn

from tenfold.nn.dropout import Dropout
from tenfold.tasks.next_item.baselines.options import GRU4RecOptions as Options
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.streams import Recurrent


class GRU(nn.Module):
    """Shapes: B users, L events, d width. The state is the recurrence's after the last event, (B, d)."""

    def __init__(self, items: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.item, self.drop = nn.Embedding(items + 1, dim, padding_idx=0), Dropout(dropout)
        nn.init.normal_(self.item.weight, std=dim**-0.5)
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.gru, self.out = nn.GRU(dim, dim, batch_first=True), nn.Linear(dim, dim)

    def forward(self, events: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h, _ = self.gru(self.drop(self.item(events)), None if state is None else state.unsqueeze(0))  # (B, L, d)
        count = (events != 0).sum(1)  # padding is on the right: what it did to the recurrence is not carried on
        last = h[torch.arange(len(h), device=h.device), (count - 1).clamp(min=0)]
        if state is not None:
            last = torch.where(count[:, None] > 0, last, state)
        return self.out(h), last


class GRU4Rec(Recurrent):
    options: Options
    tiny = Options(dim=16, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    def build(self) -> GRU:
        return GRU(self.sizes["items"], self.options.dim, self.options.dropout)
