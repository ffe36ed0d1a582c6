"""A candidate's own count in LISA (tasks/next_item/counts.py), by codes. Neither is in the paper.

The histograms tell how often each codeword of each codebook came, not which came together. `codewords`: a candidate's
count is the least of its codewords' counts, which the state has already. `joint`: beside the histograms a sketch counts
all codes of an event together.
"""

import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.ops.item_counts import joint_keys
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.counts import ItemCounts


def joint_counters(options: Options) -> int:
    """How many numbers of a user's state the sketch is."""
    return options.counts.rows * options.counts.width if options.counts.of == "joint" else 0


class CodeCounts(ItemCounts):
    def __init__(self, options: Options) -> None:
        """Raises OptionError."""
        o, books = options.counts, options.codebooks
        if o.of == "codewords" and options.soft:
            raise OptionError("soft codes have no counts of single codewords; found counts.of=codewords; take joint")
        joint = o.of == "joint"
        super().__init__(options.dim, *((o.rows, o.width, o.decay) if joint else (books.books, books.words)))
        self.joint = joint

    def fading(self, rate: Tensor | None) -> Tensor | None:
        """Factors of the counters at each event (R,), where they fade as the histograms do, by lambda (B,)."""
        if self.joint:
            return None
        return torch.exp(-(torch.zeros_like(self.fade) if rate is None else rate))

    def keys(self, codes: Tensor) -> Tensor:
        """codes (V + 1, B) -> (V + 1, R) int64."""
        return joint_keys(codes, self.rows, self.width) if self.joint else codes.long()
