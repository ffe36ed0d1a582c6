"""Labels of the shop: what a small network makes of them, trained plainly and trained against an attack.

Both networks are of one shape and learn from the same pictures. The attack changes each pixel by at most 8 of 255
levels, in ten steps of 2 that raise the loss, from a random start (Madry et al., ICLR 2018); training against it takes
two steps of 5. Figures are shares of the test pictures that are named rightly: as they are, attacked, and drawn again
in the cloth of another class. Each is the worst of two runs, which differ in the shop and in the start of training.
"""

import io
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks import harness
from tenfold.shop import labels
from tenfold.shop.labels import CLASSES, draw
from tenfold.shop.options import Options

EPS, STEP, STEPS = 8 / 255, 2 / 255, 10
BATCH = 100


class Pictures(NamedTuple):
    x: Tensor  # (N, 3, 32, 32) in [0, 1]
    y: Tensor  # (N,)


def pictures(frame: pl.DataFrame, split: str) -> Pictures:
    rows = frame.filter(pl.col("split") == split)
    x = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in rows["image"]])
    y = [CLASSES.index(word) for word in rows["label"]]
    return Pictures(torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255, torch.tensor(y))


def small_network(seed: int, strides: Sequence[int] = (1, 2, 2, 2)) -> nn.Module:
    """Four convolutions and the mean over places."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise((3, 32, 48, 64, 64)), strides, strict=True):
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(CLASSES)))


def attacked(network: nn.Module, x: Tensor, y: Tensor, *, steps: int = STEPS, step: float = STEP) -> Tensor:
    """x changed by at most EPS, in `steps` steps up the loss from a random start."""
    training = network.training
    network.eval()
    worse = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp(0, 1)
    for _ in range(steps):
        worse.requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(network(worse), y, reduction="sum"), worse)
        worse = (worse.detach() + step * slope.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    network.train(training)
    return worse


def fit(network: nn.Module, data: Pictures, *, against: bool, lr: float = 0.004) -> None:
    """Trains on the pictures as they are or, with `against`, attacked by the network as it stands."""
    epochs = 8 if against else 12
    optimizer = torch.optim.Adam(network.parameters())
    batches = len(data.y) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * batches)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(data.y)).split(BATCH)[:batches]:
            x, y = data.x[rows], data.y[rows]
            if against:
                x = attacked(network, x, y, steps=2, step=5 / 255)
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def right(network: nn.Module, data: Pictures, *, attack: bool = False) -> float:
    """The share of pictures that the network names rightly, as they are or attacked."""
    hits = 0
    for x, y in zip(data.x.split(BATCH), data.y.split(BATCH), strict=True):
        seen = attacked(network, x, y) if attack else x
        with torch.no_grad():
            hits += int((network(seen).argmax(1) == y).sum())
    return hits / len(data.y)


def run(rows: int, shop: int, start: int) -> Iterator[tuple[str, float]]:
    """Both networks, trained and measured on the labels of one shop."""
    options = Options(seed=shop, labels=rows)
    frame = draw(options, 0, rows)
    train, test = pictures(frame, "train"), pictures(frame, "test")
    with patch.object(labels, "UNUSUAL", 1.0):
        other = pictures(draw(options, 0, rows), "test")
    for name in ("plain", "against"):
        network = small_network(start)
        began = time.perf_counter()
        fit(network, train, against=name == "against")
        yield f"{name}_training_s", time.perf_counter() - began
        yield f"{name}_right", right(network, test)
        yield f"{name}_attacked", right(network, test, attack=True)
        yield f"{name}_other_cloth", right(network, other)


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    rows = 1_000 if quick else 5_000
    draw(Options(), 0, 10)  # compiled from here on
    began = time.perf_counter()
    frame = draw(Options(labels=rows), 0, rows)
    figures = {"draw_s": time.perf_counter() - began, "png_bytes": float(frame["image"].bin.size().mean())}
    runs = [dict(run(rows, shop, shop + 1)) for shop in range(1 if quick else 2)]
    for name in runs[0]:
        worst = max if name in ("plain_attacked", "plain_training_s", "against_training_s") else min
        figures[name] = worst(found[name] for found in runs)
    parameters = sum(weights.numel() for weights in small_network(0).parameters())
    notes = [f"{rows:,} labels; networks of {parameters:,} parameters; one core."]
    harness.report("shop_labels", figures, notes=notes)


if __name__ == "__main__":
    main()
