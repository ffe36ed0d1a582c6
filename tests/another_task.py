"""A system that recommends nothing, for what all tasks share: scales, each with its own error, and what they show.

It has what next-item systems do not have: two stages, of which the second sees the first one trained, a verb and a
protocol of its own, and figures of single weighings.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
import torch
from torch import nn
from torch.optim import Adam

from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError
from tenfold.files import digest, replacing
from tenfold.options import Tune, option, options
from tenfold.system import Answer, Evaluation, PredictionSummary, Statistic, System
from tenfold.training import Stage


@dataclass
class Weighings:
    """scales: the ids; x (N, 3): what lay on it; y (N, 1): what it showed."""

    scales: list[str]
    x: torch.Tensor
    y: torch.Tensor
    tested: bool = True  # every fifth is

    @property
    def fingerprint(self):
        return digest(repr(self.scales).encode(), self.x.numpy().tobytes(), bytes([self.tested]))

    def sentences(self):
        return [f"{len(self.scales)} weighings by {len(set(self.scales))} scales"]

    def part(self, name):
        fifth = torch.arange(len(self.scales)) % 5
        rows = {"train": fifth < 3, "validation": fifth == 3, "test": fifth == 4}[name] if self.tested else fifth < 5
        which = rows.nonzero()[:, 0].tolist()
        return Weighings([self.scales[i] for i in which], self.x[which], self.y[which], self.tested)


def weighings(size=106, scales=7):
    """106, of which 64 are trained on: eight batches of 8. A scale shows the sum, and is wrong by its number."""
    torch.manual_seed(1)
    which, x = [i % scales for i in range(size)], torch.randn(size, 3)
    return Weighings([f"s{i}" for i in which], x, x.sum(1, keepdim=True) + torch.tensor(which).unsqueeze(1) / scales)


@options
class Training:
    lr: Annotated[float, option("learning rate", gt=0, tune=Tune(1e-3, 1e-1, "log"))] = 0.01


@options
class Options:
    dim: Annotated[int, option("width of the teacher", gt=0)] = 16
    dropout: float = 0.2
    training: Training = Training()


@options
class ReadOptions:
    encoding: Annotated[str, option("what text files are written in")] = "utf-8"


@options
class PredictOptions:
    digits: Annotated[int, option("places behind the point", ge=0)] = 3


@options
class Protocol:
    within: Annotated[float, option("how far off is right", gt=0)] = 0.5


class Student(nn.Module):
    def __init__(self, scales):
        super().__init__()
        self.error, self.weigh = nn.Embedding(scales + 1, 1), nn.Linear(3, 1)

    def forward(self, scale, x):
        return self.weigh(x) + self.error(scale)


class Teacher(nn.Module):
    def __init__(self, scales, options):
        super().__init__()
        self.error, self.drop = nn.Embedding(scales + 1, options.dim), nn.Dropout(options.dropout)
        self.read, self.say = nn.Linear(3, options.dim), nn.Linear(options.dim, 1)

    def forward(self, scale, x):
        return self.say(self.drop(torch.tanh(self.read(x) + self.error(scale))))


def weighted_median(values, weights):
    """Of values that are there so many times each."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= weights.sum() / 2
    return values[order][np.argmax(reached)]


class Scales(System):
    options: Options
    tiny = Options(training=Training(lr=0.1))
    splits, units, lower_is_better = ("fifths", "none"), "weighings", ("median_error",)
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    inputs: ClassVar = {"errors": "a file of what each scale is known to be off by: lines of scale and error"}
    unit = "gram"

    def read(self, data, read_options=None, errors=None):
        encoding = (read_options or ReadOptions()).encoding
        off = {row["scale"]: row["error"] for row in self._lines(errors, encoding)} if errors else {}
        if isinstance(data, Weighings):
            found = data
        else:
            rows = self._lines(data, encoding)
            x, y = [row["x"] for row in rows], [[row.get("y", 0.0)] for row in rows]
            found = Weighings([row["scale"] for row in rows], torch.tensor(x), torch.tensor(y))
        known = torch.tensor([[off.get(scale, 0.0)] for scale in found.scales])
        return Weighings(found.scales, found.x, found.y - known, found.tested)

    @staticmethod
    def _lines(path, encoding):
        rows = [json.loads(line) for line in Path(path).read_text(encoding).splitlines()]
        if not rows:
            raise DataError(f"{path} is empty; expected lines of JSON")
        return rows

    def prepare(self, dataset, split):
        return Weighings(dataset.scales, dataset.x, dataset.y, tested=split == "fifths")

    def learn_vocabularies(self, dataset):
        return {"scales": Vocabulary(pl.Series(sorted(set(dataset.scales))))}

    def build(self):
        scales = self.sizes["scales"]
        return nn.ModuleDict({"teacher": Teacher(scales, self.options), "student": Student(scales)})

    def stages(self, prepared):
        teacher, student = self.network["teacher"], self.network["student"]
        own = prepared.part("train")
        data = list(zip(self.numbers(own), own.x, own.y, strict=True))
        stage = partial(Stage, data=data, batch_size=8, optimizer=partial(Adam, lr=self.options.training.lr))
        yield stage(name="teacher", network=teacher, loss=self.teacher_loss, share=0.5)
        self.seen = teacher(*(part.unsqueeze(0) for part in data[0][:2])).item()
        assert self.seen == teacher(*(part.unsqueeze(0) for part in data[0][:2])).item()  # its dropout rests
        yield stage(
            name="student",
            network=student,
            frozen=[teacher],
            loss=self.student_loss,
            validate=partial(self.validate, prepared.part("validation")) if prepared.tested else None,
        )

    def teacher_loss(self, batch):
        """Two, of weights that differ from batch to batch: all weighings, and those of one scale once more."""
        scale, x, y = batch
        off, one = (self.network["teacher"](scale, x) - y).square()[:, 0], (scale == 1).float()
        return {"all": (off.sum(), torch.tensor(float(len(x)))), "first scale": (0.1 * off @ one, one.sum())}

    def student_loss(self, batch):
        assert not self.network["teacher"].say.weight.requires_grad
        scale, x, _ = batch
        wanted = self.network["teacher"](scale, x)
        return (self.network["student"](scale, x) - wanted).square().sum(), torch.tensor(float(len(x)))

    def depends_on(self):
        return {"the unit": self.unit}

    def extra_files(self):
        return {"unit.txt": self.unit.encode()}

    def load_extra_files(self, files):
        self.unit = files["unit.txt"].decode()

    def numbers(self, some):
        return torch.from_numpy(self.vocabularies["scales"].numbers(some.scales).astype(np.int64))

    @torch.no_grad()
    def weigh(self, some):
        return self.network["student"](self.numbers(some), some.x)

    def answer(self, question, *, digits=3):
        scale, *x = question.split(",")
        asked = Weighings([scale], torch.tensor([[float(each) for each in x]]), torch.zeros(1, 1))
        return Answer(("scale", "shows"), [[scale, round(self.weigh(asked).item(), digits)]])

    def validate(self, part):
        return {"closeness": -float((self.weigh(part) - part.y).abs().mean())}

    def evaluate(self, data, *, split=None, part="test", within=0.5, read_options=None, inputs=None):
        _ = self.network
        dataset = self.read(data, read_options, **(inputs or {}))
        asked = self.prepare(dataset, split or self.fitted["split"]).part(part)
        off = (self.weigh(asked) - asked.y).abs().numpy()[:, 0].astype(float)
        return Evaluation.of(
            {"right": (off < within).astype(float)},
            statistics={"median_error": Statistic(partial(weighted_median, off), len(off))},
            protocol=f"every fifth weighing, {part} part, right within {within}",
        )

    def predict(self, data, output, *, digits=3, read_options=None, inputs=None):
        asked = self.read(data, read_options, **(inputs or {}))
        shown = (round(each, digits) for each in self.weigh(asked)[:, 0].tolist())
        with replacing(Path(output)) as beside:
            beside.write_text("".join(f"{json.dumps({'shows': each})}\n" for each in shown))
        return PredictionSummary(len(asked.scales))
