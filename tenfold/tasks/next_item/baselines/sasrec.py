"""SASRec: Kang and McAuley, ICDM 2018 (arXiv 1808.09781): self-attention over the last events of a history.

Ours: windows that tile the whole history where the paper trains on its last events only, and as the default loss the
full softmax, which is far stronger than the paper's one negative (`loss.name=bce`). The feed-forward has 4 d units, as
is usual today, where the paper's has d (`expansion=1`); it was better or level on each log where both were tried
(docs/log.md).
"""

from tenfold.tasks.next_item.baselines.options import SASRecOptions as Options
from tenfold.tasks.next_item.network import ItemTransformer
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.task import NextItem


class SASRec(NextItem):
    options: Options
    tiny = Options(dim=16, heads=2, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    def build(self) -> ItemTransformer:
        o = self.options
        return ItemTransformer(
            self.sizes["items"],
            dim=o.dim,
            layers=o.layers,
            heads=o.heads,
            length=o.training.length,
            dropout=o.dropout,
            norm=o.norm,
            expansion=o.expansion,
        )
