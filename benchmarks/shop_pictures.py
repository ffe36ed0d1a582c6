"""Pictures of the shop: how fast they are drawn, and what a small convolutional network reads in those of unseen items.

Some materials look alike on purpose: `material_known` is how often one is right who tells apart all that can be told
apart and says the most usual of the rest, given the category.
"""

import io
import itertools
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks import harness
from tenfold.shop.catalog import MATERIALS
from tenfold.shop.options import Options
from tenfold.shop.pictures.surfaces import LOOK_ALIKE
from tenfold.shop.pictures.table import draw, material_known
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS
from tenfold.shop.traits import CATEGORIES, COLOURS

# Each item has one picture, and what looks alike a network learns by heart: 12,000 pictures for 48 epochs named 84.6 %
# of the test items' materials, 24,000 for 24 named 84.9 %, where the knowing observer had 86.7 %. So more pictures,
# each seen seldom: after 10 epochs of 60,000 it named 86.5 % of the validation part (observer 87.5 %), and got 4 more.
PICTURES, EPOCHS = 60_000, 14
ATTRIBUTES = {"category": len(CATEGORIES), "colour": len(COLOURS), "material": len(MATERIALS)}


class Pictures(NamedTuple):
    images: Tensor  # (N, 3, P, P) uint8
    labels: Tensor  # (N, 3): numbers of category, colour and material
    split: np.ndarray  # (N,) of words
    seconds: float  # that drawing took
    bytes: float  # of PNG, image and mask, for each


class Reader(nn.Module):
    """Convolutions, their mean and their maximum: pixels to the scores of each attribute's words."""

    def __init__(self, widths: Sequence[int] = (32, 48, 64, 96, 128), strides: Sequence[int] = (2, 1, 2, 2, 2)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (into, out), stride in zip(itertools.pairwise((3, *widths)), strides, strict=True):
            layers += [nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleList(nn.Linear(2 * widths[-1], words) for words in ATTRIBUTES.values())

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, P, P) uint8 -> scores (N, words) of each attribute."""
        x = self.body(images.float() / 127.5 - 1)
        x = F.dropout(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1), 0.3, self.training)
        return [head(x) for head in self.heads]


def pictures(options: Options) -> Pictures:
    draw(options, 0, 1)  # compiles
    began = time.perf_counter()
    table = draw(options, 0, options.pictures)
    seconds = time.perf_counter() - began
    catalog = ground(options).catalog
    item = table["item"].str.slice(1).cast(pl.Int64).to_numpy()
    images = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in table["image"]])
    return Pictures(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        labels=torch.from_numpy(np.stack([getattr(catalog, name)[item] for name in ATTRIBUTES], 1)),
        split=table["split"].to_numpy(),
        seconds=seconds,
        bytes=float((table["image"].bin.size() + table["mask"].bin.size()).mean()),  # type: ignore[arg-type]
    )


def read(drawn: Pictures, epochs: int, **shape: Sequence[int]) -> dict[str, float]:
    """How often a network trained on pictures of training items reads each attribute of test items."""
    torch.manual_seed(0)
    network = Reader(**shape)
    train = torch.from_numpy(np.flatnonzero(drawn.split == SPLITS[0]))
    test = torch.from_numpy(np.flatnonzero(drawn.split == SPLITS[2]))
    steps = epochs * -(-len(train) // 64)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.004, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.004, total_steps=steps)
    for _ in range(epochs):
        for batch in train[torch.randperm(len(train))].split(64):
            images = drawn.images[batch]
            images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
            moved = [part.roll(torch.randint(-3, 4, (2,)).tolist(), (2, 3)) for part in images.split(8)]
            scores = network(torch.cat(moved))
            losses = [F.cross_entropy(s, drawn.labels[batch, n]) for n, s in enumerate(scores)]
            loss = losses[0] + losses[1] + 2 * losses[2]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        said = torch.cat([torch.stack([s.argmax(1) for s in network(drawn.images[b])], 1) for b in test.split(256)])
    true = drawn.labels[test]
    figures = dict(zip(ATTRIBUTES, (said == true).float().mean(0).tolist(), strict=True))
    looks = torch.tensor([list(LOOK_ALIKE).index(next(a for a in LOOK_ALIKE if m in a)) for m in MATERIALS])
    return figures | {"material_look": float((looks[said[:, 2]] == looks[true[:, 2]]).float().mean())}


def main() -> None:
    quick = harness.arguments(__doc__).quick
    figures: dict[str, float] = {}
    for pixels in (32,) if quick else (64, 32):
        count = 2_000 if quick else PICTURES
        options = Options(items=count, pictures=count, pixels=pixels)
        drawn = pictures(options)
        figures[f"ms_each_{pixels}"] = 1000 * drawn.seconds / len(drawn.images)
        figures[f"bytes_each_{pixels}"] = drawn.bytes
        figures |= {f"{name}_{pixels}": rate for name, rate in read(drawn, 8 if quick else EPOCHS).items()}
        figures["material_known"] = material_known(options)
    notes = ["Drawn and read by one process; rates are of pictures of test items, of which training saw none."]
    harness.report("shop_pictures", figures, notes=notes)


if __name__ == "__main__":
    main()
