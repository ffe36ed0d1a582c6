"""The task: pictures of one size, their classes, the attack that a classifier is to stand, and the verbs.

A method says `method()`, what is learned from a batch (methods.py); teachers that it names in its options are read from
a folder, or trained first in the same fit. A new method is a class of a few lines (baselines.py).

Shapes: N pictures, C channels, H height, W width, K classes.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from tenfold.budget import EPOCHS, stage_limits
from tenfold.data.answers import write_answers
from tenfold.data.labelled_pictures import (
    LabelledPictures,
    PictureBatches,
    PictureSplit,
    read_labelled,
    split_pictures,
)
from tenfold.data.pictures import decoded
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError
from tenfold.nn.convolutional import Normalised
from tenfold.ops.attacks import Threat, check_pixels, check_threat
from tenfold.options import parse
from tenfold.system import Answer, Evaluation, PredictionSummary, System
from tenfold.tasks.classification.evaluation import BUDGETS, Chunks, evaluate, smallest_budgets, threat_told
from tenfold.tasks.classification.export import Exported, export
from tenfold.tasks.classification.lesson import Lesson, Method
from tenfold.tasks.classification.methods import Adversarial, Standard, Trades
from tenfold.tasks.classification.networks import build_network, given_digest, given_teacher, teacher_width
from tenfold.tasks.classification.options import (
    ModelOptions,
    PredictOptions,
    Protocol,
    ReadOptions,
    SecondTeacherOptions,
    TeacherOptions,
)
from tenfold.training import Stage, schedule

AT_ONCE = 256
NOT_ROBUST = 0.05  # accuracy under attack, below which a teacher is said not to be robust
TEACHERS = ("teacher", "second")
TEACHERS_SHARE = 0.5  # of the totals of a fit, for the teachers that are trained in it; the student has the rest


class Classified(NamedTuple):
    """Of one picture: its class, all classes' probabilities, and the smallest budget at which an attack changes it."""

    label: Any
    probability: float
    probabilities: dict[Any, float]
    flips_at: float | None  # in the units of eps; None: not asked for, or not even at eight times eps


class Classifier(System):
    """Pictures into classes, also where they are attacked."""

    splits = ("parts", "drawn", "none")
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    shown = ("picture", "label", "probability")
    units: ClassVar[str] = "pictures"

    @abstractmethod
    def method(self) -> Method:
        """What is learned from a batch, as the options say."""

    # Data.

    def read(self, data: Any, read_options: ReadOptions | None = None, **inputs: Any) -> LabelledPictures:
        if isinstance(data, LabelledPictures):
            return data
        return read_labelled(data, **asdict(read_options or self._read_as()))

    def _read_as(self) -> ReadOptions:
        """As the training pictures were read, where nothing else is said."""
        return parse(ReadOptions, self.fitted.get("read_options", {}))

    def prepare(self, dataset: LabelledPictures, split_name: str) -> PictureSplit:
        return split_pictures(dataset.recoded(self.vocabularies), split_name)

    def learn_vocabularies(self, dataset: LabelledPictures) -> dict[str, Vocabulary]:
        return {"classes": dataset.classes}

    def infer_sizes(self, prepared: PictureSplit) -> dict[str, int]:
        channels, height, width = prepared.dataset.shape
        return {"classes": len(self.vocabularies["classes"]), "channels": channels, "height": height, "width": width}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that it knows."""
        return self.sizes["channels"], self.sizes["height"], self.sizes["width"]

    @property
    def threat(self) -> Threat:
        return Threat(self.options.attack.eps, self.options.attack.norm)

    def data_notes(self, dataset: LabelledPictures, prepared: PictureSplit) -> list[str]:
        o = self.options.attack
        step = o.step if o.step is not None else o.eps / 4 if o.steps >= 5 else o.eps
        notes = [*prepared.dataset.sentences(), *prepared.sentences(), *check_threat(o.eps, o.norm, step, o.steps)]
        self._check_batches(prepared)
        for name, options in self._given().items():
            network = given_teacher(options, self.options.model, self.vocabularies["classes"], prepared.dataset.shape)
            notes += self._teacher_notes(name, options.path, network, prepared.part("validation"))
        return notes

    def _check_batches(self, prepared: PictureSplit) -> None:
        """Raises DataError where a batch would be of one picture, of which batch norm makes nothing."""
        count, size = len(prepared.rows["train"]), self.options.training.batch_size
        if self.options.model.network != "mlp" and count // -(-count // size) < 2:
            raise DataError(
                f"{count} training pictures in batches of {size} leave a batch of one, which batch norm cannot take; "
                "give more pictures or larger batches"
            )

    def _teacher_notes(self, name: str, path: str, network: nn.Module, validation: LabelledPictures) -> list[str]:
        """What a given teacher is worth, measured. On pictures of validation; nothing where there are none."""
        data = validation.take(np.arange(min(len(validation), AT_ONCE)))
        if len(data) == 0:
            return []
        measured, _ = evaluate(network, data, self.threat, Protocol(attacks=("pgd",), steps=10), told="validation")
        natural, robust = measured["natural"], measured["robust"]
        told = [f"{name} {path}: {natural:.1%} right on {len(data)} validation pictures, {robust:.1%} under pgd-10"]
        if name == "teacher" and robust < NOT_ROBUST:
            told.append(f"the {name} is not robust: what it says of attacked pictures will mostly be wrong")
        return told

    # Networks.

    @property
    def model(self) -> nn.Module:
        """The classifier alone: pixels (N, C, H, W) in [0, 1] to logits (N, K), for any library of attacks."""
        student: nn.Module = self.network["student"]
        return student

    def build(self) -> nn.ModuleDict:
        classes = self.sizes["classes"]
        networks = {"student": build_network(self.options.model, classes, self.shape)}
        if self.sizes.get("alone"):  # exported, without its teachers
            return nn.ModuleDict(networks)
        for name in self._trained():
            networks[name] = build_network(self._teacher_model(name), classes, self.shape)
        method = self.method()
        if isinstance(method, nn.Module):  # one that learns something beside the student
            networks["method"] = method
        return nn.ModuleDict(networks)

    def _teacher_model(self, name: str) -> ModelOptions:
        student, own = self.options.model, getattr(self.options, name)
        return ModelOptions(
            network=own.network or student.network, width=teacher_width(own, student), normalise=student.normalise
        )

    def _named(self) -> dict[str, TeacherOptions | SecondTeacherOptions]:
        """Options of the teachers that the method has."""
        return {name: getattr(self.options, name) for name in TEACHERS if hasattr(self.options, name)}

    def _given(self) -> dict[str, Any]:
        return {name: own for name, own in self._named().items() if own.path}

    def _trained(self) -> dict[str, Any]:
        return {name: own for name, own in self._named().items() if not own.path}

    def depends_on(self) -> dict[str, Any]:
        return {name: given_digest(own.path) for name, own in self._given().items()}

    # Training.

    def stages(self, prepared: PictureSplit) -> Iterator[Stage]:
        classes = self.vocabularies["classes"]
        teachers: dict[str, nn.Module] = {
            name: given_teacher(own, self.options.model, classes, self.shape) for name, own in self._given().items()
        }
        self._normalise(prepared)
        for name, own in self._trained().items():
            teachers[name] = self.network[name]
            known: dict[str, Method] = {"st": Standard(), "at": Adversarial(), "trades": Trades()}
            taught = known[own.learns]
            stage = self._stage(name, self.network[name], taught, prepared)
            stage.share = TEACHERS_SHARE / len(self._trained())
            yield stage
        method = self.network["method"] if "method" in self.network else self.method()
        yield self._stage("student", self.model, method, prepared, **teachers)

    def _stage(
        self, name: str, network: nn.Module, method: Method, prepared: PictureSplit, **teachers: nn.Module
    ) -> Stage:
        training, validation = self.options.training, prepared.part("validation")
        noisy = method.raises != "nothing"
        epochs = int(stage_limits(self.budget).get(name, {}).get("max_epochs", self.budget.max_epochs or EPOCHS))
        lesson = Lesson(
            network, method, self.options.attack, epochs=epochs, validation=validation,
            awp=training.awp, watched=training.watched, seed=self.budget.seed, **teachers,
        )  # fmt: skip
        learns = nn.ModuleList([network, method]) if isinstance(method, nn.Module) else network
        return Stage(
            name=name,
            network=learns,
            frozen=list(teachers.values()),
            loss=lesson.loss,
            data=PictureBatches(prepared.part("train"), crop=training.crop, flip=training.flip, noisy=noisy),
            batch_size=training.batch_size,
            validate=lesson.validate if len(validation) else None,
            optimizer=self._optimizer(),
            schedule=step_sizes(training.schedule),
            clip=training.clip,
            ema_decay=training.ema_decay,
        )

    def _optimizer(self) -> Callable[[Any], Any]:
        training = self.options.training
        if training.optimizer == "adam":
            return partial(Adam, lr=training.lr, weight_decay=training.weight_decay)
        return partial(SGD, lr=training.lr, momentum=0.9, weight_decay=training.weight_decay)

    def _normalise(self, prepared: PictureSplit) -> None:
        """Means and deviations of the training pictures, where networks take them away."""
        wanted = [each for each in self.network.values() if isinstance(each, Normalised)]
        if not wanted:
            return
        pixels = prepared.part("train").pixels
        for network in wanted:
            shape = network.mean.shape
            network.mean.copy_(torch.from_numpy(pixels.mean((0, 1, 2)) / 255).reshape(shape))
            network.deviation.copy_(torch.from_numpy(pixels.std((0, 1, 2)) / 255).clamp(min=1e-3).reshape(shape))

    # Measuring.

    @classmethod
    def figure_names(cls, dataset: LabelledPictures, **protocol: Any) -> list[str]:
        attacks = parse(Protocol, protocol).attacks
        return ["robust", "natural", *attacks, "worst_class", "nrr"] if attacks else ["natural", "worst_class"]

    def evaluate(
        self, data: Any, *, split: str | None = None, part: str = "test", read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None, **protocol: Any,
    ) -> Evaluation:  # fmt: skip
        """Accuracy as it is (natural), after each attack of the protocol, and after all of them (robust).

        Raises DataError, OptionError, NotFittedError.
        """
        return self.attacked(data, split=split, part=part, read_options=read_options, inputs=inputs, **protocol)[0]

    def attacked(
        self, data: Any, *, split: str | None = None, part: str = "test", read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None, keep: bool = False, chunks: Chunks | None = None, **protocol: Any,
    ) -> Any:  # fmt: skip
        """The same, with what was found of each picture and, with `keep`, the changed pictures."""
        _ = self.network
        self.check_inputs(inputs or {})
        asked = parse(Protocol, {k: v for k, v in protocol.items() if v is not None})
        tested = self.tested(data, split, part, read_options)
        if asked.attacked is not None:
            tested = tested.take(np.arange(min(asked.attacked, len(tested))))
        threat = Threat(asked.eps or self.options.attack.eps, asked.norm or self.options.attack.norm)
        told = f"{part} part of split '{split or self.fitted['split']}', {len(tested):,} pictures"
        return evaluate(self.model, tested, threat, asked, told=told, keep=keep, chunks=chunks)

    def tested(
        self, data: Any, split: str | None, part: str, read_options: ReadOptions | None = None
    ) -> LabelledPictures:
        """The pictures of one part, in this system's numbers. Raises DataError."""
        dataset = self.read(data, read_options)
        self._check_shape(dataset)
        name = split or self.fitted["split"]
        if name not in self.splits or part not in ("validation", "test"):
            raise OptionError(
                f"there are the splits {', '.join(self.splits)}, parts validation and test; found '{name}', '{part}'"
            )
        return self.prepare(dataset, name).part(part)

    def _check_shape(self, data: LabelledPictures) -> None:
        if data.shape == self.shape:
            return
        ways = [] if data.shape[1:] == self.shape[1:] else [f"bring them to that size with size={self.shape[1]}"]
        if (self.shape[0], data.shape[0]) == (1, 3):
            ways.append("make them grey with grey=true")
        elif (self.shape[0], data.shape[0]) == (3, 1):
            ways.append("they are all grey, so save them in colour, each level three times")
        raise DataError(
            f"the pictures are {data.shape} (channels, height, width), and {type(self).__name__} was fitted on "
            f"{self.shape}; {' and '.join(ways)}"
        )

    # Answering.

    def export(self, folder: str | Path) -> Exported:
        """ONNX and a program of torch.export with scaling inside, and the classifier without its teachers."""
        return export(self, folder)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """x (N, C, H, W) in [0, 1] -> (N, K). Raises DataError for other pixels or sizes."""
        if tuple(x.shape[1:]) != self.shape:
            raise DataError(f"the pictures are {tuple(x.shape[1:])} (channels, height, width), expected {self.shape}")
        check_pixels(x)
        parts = [self.model(part.to(self.device)).float().cpu() for part in x.split(AT_ONCE)]
        return torch.cat(parts) if parts else torch.empty(0, self.sizes["classes"])

    def classify(self, picture: Any, *, flips: bool = True) -> Classified:
        """One picture: a file, a PIL picture, or an array (H, W[, C]) of bytes or of floats in [0, 1].

        flips: also the smallest budget, of some between a sixteenth and eight times eps, at which an attack changes the
        answer. Raises DataError.
        """
        _ = self.network
        x = self._picture(picture)
        shares = F.softmax(self.logits(x), 1)[0]
        names = self.vocabularies["classes"].ids(range(1, len(shares) + 1))
        best = int(shares.argmax())
        at = self._flips(x)[0] if flips else None
        return Classified(names[best], float(shares[best]), dict(zip(names, shares.tolist(), strict=True)), at)

    def _flips(self, x: Tensor) -> list[float | None]:
        return smallest_budgets(self.model, x.to(self.device), self.threat.eps, self.threat.norm)

    def _picture(self, picture: Any) -> Tensor:
        """(1, C, H, W) in [0, 1]. Raises DataError."""
        if isinstance(picture, str | Path):
            try:
                picture = decoded(Path(picture).read_bytes())
            except OSError as error:
                raise DataError(f"{picture} cannot be read: {error.strerror or error}") from error
        pixels = np.asarray(picture)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim != 3:
            raise DataError(f"a picture is an array (H, W) or (H, W, C); found {pixels.shape}")
        if pixels.dtype == np.uint8:
            pixels = pixels.astype(np.float32) / 255
        if self.shape[0] == 1 and pixels.shape[2] == 3:
            pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
        if self.shape[0] == 3 and pixels.shape[2] == 1:
            raise DataError("the picture is grey, and the classifier was fitted on pictures in colour")
        return torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1).unsqueeze(0)

    def predict(
        self, data: Any, output: str | Path, *, flips: bool = False, read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> PredictionSummary:  # fmt: skip
        """A row for each picture: its number, class, probability, and with `flips` the smallest budget that changes it.

        The output's name says the form: .jsonl, .csv or .parquet. Raises DataError, OptionError, OutputError.
        """
        _ = self.network
        self.check_inputs(inputs or {})
        found = (
            data
            if isinstance(data, LabelledPictures)
            else read_labelled(data, **asdict(read_options or self._read_as()), unlabelled=True)
        )
        self._check_shape(found)
        names = self.vocabularies["classes"].ids(range(1, self.sizes["classes"] + 1))
        summary = PredictionSummary(write_answers(output, self._rows(found, names, flips)))
        summary.notes = found.report.sentences()
        return summary

    def _rows(self, pictures: LabelledPictures, names: list[Any], flips: bool) -> Iterator[dict[str, Any]]:
        for first in range(0, len(pictures), AT_ONCE):
            x = pictures.x(slice(first, first + AT_ONCE))
            shares = F.softmax(self.logits(x), 1).tolist()
            at = self._flips(x) if flips else [None] * len(x)
            for number, (row, budget) in enumerate(zip(shares, at, strict=True), first + 1):
                best = int(np.argmax(row))
                told = {"picture": number, "label": names[best], "probability": round(row[best], 6)}
                yield told | ({"flips_at": budget} if flips else {})

    def answer(self, question: str, **how: Any) -> Answer:
        """question: a picture's file. All classes, the likeliest first."""
        flips = bool(how.get("flips", False))
        found = self.classify(question, flips=flips)
        rows = [[label, f"{share:.4f}"] for label, share in sorted(found.probabilities.items(), key=lambda i: -i[1])]
        notes = []
        if flips:
            at = found.flips_at
            most = BUDGETS[-1] * self.threat.eps
            notes.append(
                f"no attack of up to {threat_told(Threat(most, self.threat.norm))} changed the answer"
                if at is None
                else f"an attack of {threat_told(Threat(at, self.threat.norm))} changes the answer"
            )
        return Answer(("class", "probability"), rows, notes)


def step_sizes(name: str) -> Callable[[float], float] | None:
    """Share of the stage's steps that are done -> factor of the learning rate."""
    if name == "constant":
        return None
    if name == "cosine":
        return schedule("cosine", 0.0)
    if name == "onecycle":  # up in a quarter of the steps, then down to 0 in a straight line
        return lambda done: max(done / 0.25, 0.04) if done < 0.25 else (1 - done) / 0.75
    late = 0.1 if name == "onedrop" else 0.01
    return lambda done: 1.0 if done < 0.5 else 0.1 if done < 0.75 else late
