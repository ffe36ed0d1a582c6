"""LRURec: Yue et al., WSDM 2024 (arXiv 2310.02367): blocks of linear recurrent units over the events.

As in the paper's public code: 2 d complex channels in a block, whose factors start on a ring near the unit circle;
norms after each residual; no places, since a recurrence knows the order. Real weights here give the real and imaginary
parts that its complex ones give. Ours: no bias for each item, because all rivals here find items by the same table;
Adam without weight decay; the task's windows and losses.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Block, DenseFeedForward
from tenfold.ops.linear_recurrence import linear_recurrence
from tenfold.tasks.next_item.baselines.options import LRURecOptions as Options
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.streams import Recurrent


class LinearRecurrentUnit(nn.Module):
    """h_l = lambda h_{l-1} + gamma (B x_l),  y_l = Re(C h_l), with lambda = exp(-exp(nu) + i exp(theta)), |lambda| < 1.

    Orvieto et al., ICML 2023 (arXiv 2303.06349), section 3: |lambda|^2 starts uniform between r_min^2 and r_max^2, and
    gamma, learned too, where it keeps the size of h at that of its input. Called as an attention layer is.
    Shapes: B users, L events, d width, M = 2 d channels. The state is h after the last event, (B, M, 2) real.
    """

    def __init__(self, dim: int, *, r_min: float, r_max: float) -> None:
        super().__init__()
        if r_min > r_max:
            raise OptionError(f"a ring needs r_min <= r_max; found r_min {r_min} and r_max {r_max}")
        radius2, turn = (1 - torch.rand(2 * dim) for _ in range(2))  # never 0, whose logarithm is wanted
        radius2 = r_min**2 + radius2 * (r_max**2 - r_min**2)
        self.nu_log = nn.Parameter((-0.5 * radius2.log()).log())
        self.theta_log = nn.Parameter((2 * torch.pi * turn).log())
        self.gamma_log = nn.Parameter(0.5 * (1 - radius2).log())
        self.inner, self.outer = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)  # B and C, real beside imaginary

    def forward(self, x: Tensor, keep: Tensor | None = None, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, L, d), keep (B, L) or None -> y (B, L, d) and the state."""
        exact = torch.promote_types(x.dtype, torch.float32)
        nu, theta, gamma = (log.to(exact).exp() for log in (self.nu_log, self.theta_log, self.gamma_log))
        inner = self.inner(x).to(exact).unflatten(-1, (-1, 2)) * gamma.unsqueeze(-1)  # (B, L, M, 2)
        h, after = linear_recurrence(
            torch.view_as_complex(inner),
            torch.polar((-nu).exp(), theta),
            keep=keep,
            state=None if state is None else torch.view_as_complex(state),
        )
        return self.outer(torch.view_as_real(h).flatten(2).to(x.dtype)), torch.view_as_real(after)


class RecurrentNetwork(nn.Module):
    """Events -> user vectors. Shapes: B users, L events, d width, V items (0 is padding)."""

    def __init__(self, items: int, *, dim: int, layers: int, dropout: float, r_min: float, r_max: float) -> None:
        super().__init__()
        self.item, self.norm, self.drop = nn.Embedding(items + 1, dim, 0), nn.LayerNorm(dim), Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                dim,
                attention=LinearRecurrentUnit(dim, r_min=r_min, r_max=r_max),
                feed_forward=DenseFeedForward(dim, 4 * dim, dropout, "gelu"),
                dropout=dropout,
            )
            for _ in range(layers)
        )
        for name, weight in self.named_parameters():
            if "norm" not in name and "log" not in name:
                nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04)
        with torch.no_grad():
            self.item.weight[0] = 0.0

    def forward(self, events: Tensor, state: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """events (B, L), with the state of what came before -> user vectors (B, L, d) and the state after them."""
        keep = None if self.training else events != 0  # in training padding is on the right and nothing is carried on
        x, states = self.norm(self.drop(self.item(events))), []
        for block, before in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            x, after = block(x, keep, before)
            states.append(after)
        return x, states


class LRURec(Recurrent):
    options: Options
    tiny = Options(dim=16, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    def build(self) -> RecurrentNetwork:
        o = self.options
        return RecurrentNetwork(
            self.sizes["items"], dim=o.dim, layers=o.layers, dropout=o.dropout, r_min=o.r_min, r_max=o.r_max
        )
