"""Dropout as a layer: torch's own, but for the speed on a CPU (ops/dropout.py)."""

from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.ops.dropout import dropout


class Dropout(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise OptionError(f"a dropout's probability is between 0 and 1; found {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
