"""A candidate's own count in LISA (tasks/next_item/counts.py), by three kinds of keys. None is in the paper.

The histograms tell how often each codeword of each codebook came, not which came together. `codewords`: a candidate's
count is the least of its codewords' counts, which the state has already. `items`: beside the histograms a sketch counts
items by their numbers; `joint`: by all their codes together, so that items of equal codes, as rare ones have while
codes are learned, are counted as one.
"""

import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.ops.item_counts import item_keys, joint_keys
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.counts import ItemCounts


def sketch_counters(options: Options) -> int:
    """How many numbers of a user's state the sketch is."""
    return options.counts.rows * options.counts.width if options.counts.of in ("items", "joint") else 0


class CodeCounts(ItemCounts):
    of_items: Tensor  # (V + 1, R)

    def __init__(self, options: Options, items: int) -> None:
        """items: V.  Raises OptionError."""
        o, books = options.counts, options.codebooks
        if o.of == "codewords" and options.soft:
            raise OptionError("soft codes have no counts of single codewords; found counts.of=codewords; take items")
        sketched = o.of != "codewords"
        super().__init__(options.dim, *((o.rows, o.width, o.decay) if sketched else (books.books, books.words)))
        self.of, self.sketched = o.of, sketched
        self.register_buffer("of_items", torch.zeros(0, self.rows, dtype=torch.long), persistent=False)
        self.have(items)

    def have(self, items: int) -> None:
        """A catalogue of V items. Not left to the first batch: a mean of weights copies buffers of one size."""
        if self.of == "items":
            self.of_items = item_keys(items, self.rows, self.width)

    def fading(self, rate: Tensor | None) -> Tensor | None:
        """Factors of the counters at each event (R,), where they fade as the histograms do, by lambda (B,)."""
        if self.sketched:
            return None
        return torch.exp(-(torch.zeros_like(self.fade) if rate is None else rate))

    def keys(self, codes: Tensor, numbers: Tensor | None = None) -> Tensor:
        """codes (U, B) of a whole catalogue, padding first, or of the items of these numbers (U,) -> (U, R) int64."""
        if self.of == "codewords":
            return codes.long()
        if self.of == "joint":
            return joint_keys(codes, self.rows, self.width)
        return self.of_items if numbers is None else self.of_items[numbers]
