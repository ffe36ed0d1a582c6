"""A transformer whose attention is chosen by name: SASRec's network with another mixer, for comparing mixers alone.

linear: Katharopoulos et al. 2020 (arXiv 2006.16236); local: a window; random-feature: Choromanski et al. 2021
(arXiv 2009.14794); key-quantised: Lingle 2024 (arXiv 2309.16354). Same embeddings, blocks, losses and windows for all.
"""

from typing import Annotated, Any, Literal

from torch import nn

from tenfold.nn.attention import attention
from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.network import ItemTransformer
from tenfold.tasks.next_item.options import LossOptions, Training
from tenfold.tasks.next_item.task import NextItem


@options
class Options:
    attention: Annotated[str, option("softmax, linear, local, random-feature, key-quantised or lisa")] = "softmax"
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks", gt=0)] = 2
    heads: Annotated[int, option("of the attention; they divide dim", gt=0)] = 2
    dropout: Annotated[float, option("of embeddings, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))] = (
        0.2
    )
    norm: Annotated[Literal["pre", "post"], option("where a block's norms stand")] = "pre"
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of dim", gt=0)] = 1
    window: Annotated[int, option("events that local attention looks back on", gt=0)] = 32
    features: Annotated[int, option("of random-feature attention, for each head", gt=0)] = 64
    codewords: Annotated[int, option("of key-quantised and lisa, for each head", gt=0)] = 64
    loss: LossOptions = LossOptions()
    training: Training = Training()


class Transformer(NextItem):
    options: Options
    tiny = Options(attention="linear", dim=16, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    def attention(self) -> nn.Module:
        """One block's."""
        o = self.options
        settings: dict[str, dict[str, Any]] = {
            "local": {"window": o.window},
            "random-feature": {"features": o.features},
            "key-quantised": {"codewords": o.codewords},
            "lisa": {"codewords": o.codewords},
        }
        return attention(o.attention, o.dim, o.heads, o.dropout, **settings.get(o.attention, {}))

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
            attends=self.attention,
        )
