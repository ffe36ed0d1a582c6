"""The network that the task's transformers share: items and places in, blocks of any attention, user vectors out.

Shapes: B users, L events, d width, V items (0 is padding).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.nn.attention import SoftmaxAttention
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Norm, Positions, Transformer, feed_forward


class ItemTransformer(nn.Module):
    """u = blocks(dropout(sqrt(d) e_item + p_place)); what finds the next item is the same table, u E^T (tied)."""

    def __init__(
        self,
        items: int,
        *,
        dim: int,
        layers: int,
        heads: int,
        length: int,
        dropout: float,
        norm: Norm,
        attends: Callable[[], nn.Module] | None = None,
        feeds: str = "dense",
        expansion: int = 1,
    ) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, dim, padding_idx=0)
        nn.init.normal_(self.item.weight, std=0.02)
        with torch.no_grad():
            self.item.weight[0] = 0.0
        self.position, self.drop = Positions(length, dim), Dropout(dropout)
        self.blocks = Transformer(
            dim,
            layers,
            attention=attends or (lambda: SoftmaxAttention(dim, heads, dropout)),
            feed_forward=lambda: feed_forward(feeds, dim, expansion * dim, dropout),
            norm=norm,
        )
        self.scale = math.sqrt(dim)

    def forward(self, events: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """events (B, L), with the state of what came before -> user vectors (B, L, d) and the state after them."""
        # In training padding is on the right and nothing is carried on: nobody has to be told of it.
        keep = None if self.training else events != 0
        count, states = state or (None, None)
        x, count = self.position(self.item(events) * self.scale, keep, count)
        user, states = self.blocks(self.drop(x), keep, states)
        return user, (count, states)
