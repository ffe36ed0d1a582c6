"""SASRec: Kang and McAuley, ICDM 2018 (arXiv 1808.09781): self-attention over the last events of a history.

Ours: windows that tile the whole history where the paper trains on its last events only, and as the default loss the
full softmax, which is far stronger than the paper's one negative (`loss.name=bce`). The feed-forward has d units, as
the paper's; `expansion=4`, usual today, was better by a twelfth on MovieLens-1M (docs/log.md).
"""

from typing import Annotated, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.network import ItemTransformer
from tenfold.tasks.next_item.options import LossOptions, Training
from tenfold.tasks.next_item.task import NextItem


@options
class Options:
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks", gt=0)] = 2
    heads: Annotated[int, option("of the attention; they divide dim", gt=0)] = 1
    dropout: Annotated[float, option("of embeddings, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))] = (
        0.2
    )
    norm: Annotated[Literal["pre", "post"], option("where a block's norms stand")] = "pre"
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of dim", gt=0)] = 1
    loss: LossOptions = LossOptions()
    training: Training = Training()


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
