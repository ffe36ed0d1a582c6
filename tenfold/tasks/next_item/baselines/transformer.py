"""A transformer whose attention is chosen by name: SASRec's network with another mixer, for comparing mixers alone.

linear: Katharopoulos et al. 2020 (arXiv 2006.16236); local: a window; random-feature: Choromanski et al. 2021
(arXiv 2009.14794); key-quantised: Lingle 2024 (arXiv 2309.16354). Same embeddings, blocks, losses and windows for all.
"""

from typing import Any

from torch import nn

from tenfold.nn.attention import attention
from tenfold.nn.recent import check_recent
from tenfold.tasks.next_item.baselines.options import TransformerOptions as Options
from tenfold.tasks.next_item.network import ItemTransformer
from tenfold.tasks.next_item.options import Training
from tenfold.tasks.next_item.streams import Recurrent


class Transformer(Recurrent):
    options: Options
    tiny = Options(attention="linear", dim=16, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01))

    @property
    def streams(self) -> bool:  # type: ignore[override]
        """Sums and counts have one size whatever was seen; what softmax and a window look back on are events."""
        return self.options.attention not in ("softmax", "local")

    def attention(self) -> nn.Module:
        """One block's."""
        o = self.options
        if o.attention == "lisa+recent":
            check_recent(o.recent, o.training.length)
        settings: dict[str, dict[str, Any]] = {
            "local": {"window": o.window},
            "random-feature": {"features": o.features},
            "key-quantised": {"codewords": o.codewords},
            "lisa": {"codewords": o.codewords},
            "lisa+recent": {"codewords": o.codewords, "recent": o.recent},
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
