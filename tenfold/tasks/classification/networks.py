"""Networks by name, and teachers that are given: a fitted classifier's folder, or somebody's checkpoint."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold import artifact, registry
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, OptionError, nearest
from tenfold.files import digest
from tenfold.nn.convolutional import (
    MLP,
    MobileNetV2,
    Normalised,
    ResNet18,
    SmallNetwork,
    WideResNet,
    checkpoint_weights,
)
from tenfold.ops.attacks.checks import looks_like_probabilities
from tenfold.tasks.classification.options import ModelOptions, SecondTeacherOptions, TeacherOptions

Shape = tuple[int, int, int]  # channels, height, width
NETWORKS: dict[str, Callable[[int, Shape, int | None], nn.Module]] = {
    "small": lambda classes, shape, width: SmallNetwork(classes, shape[0], width or 32),
    "resnet18": lambda classes, shape, width: ResNet18(classes, shape[0], width or 64),
    "mobilenetv2": lambda classes, shape, width: MobileNetV2(classes, shape[0]),
    "wrn-34-10": lambda classes, shape, width: WideResNet(classes, shape[0], 34, width or 10),
    "mlp": lambda classes, shape, width: MLP(classes, shape[0] * shape[1] * shape[2], width or 256),
}
USUAL = {"small": 32, "resnet18": 64, "mlp": 256}  # widths of those that have one


def build_network(options: ModelOptions, classes: int, shape: Shape) -> nn.Module:
    """Untrained, of pixels in [0, 1] to logits. Raises OptionError."""
    network = made(options.network, options.width, classes, shape)
    if not options.normalise:
        return network
    return Normalised(network, [0.0] * shape[0], [1.0] * shape[0])  # filled in before training, or from the artifact


def made(name: str, width: int | None, classes: int, shape: Shape) -> nn.Module:
    if name in NETWORKS:
        return NETWORKS[name](classes, shape, width)
    if name.startswith("timm/"):
        return _of_timm(name.removeprefix("timm/"), classes, shape[0])
    module, colon, attribute = name.partition(":")
    if not colon:
        raise OptionError(
            f"there is no network '{name}'; {nearest(name, NETWORKS)}; or write timm/NAME or module:callable"
        )
    try:
        call = getattr(importlib.import_module(module), attribute)
        network = call(classes, shape[0])
    except (ImportError, AttributeError, TypeError) as error:
        raise OptionError(
            f"the network '{name}' cannot be had: {error}; name a callable of classes and channels"
        ) from None
    if not isinstance(network, nn.Module):
        raise OptionError(f"the network '{name}' gives a {type(network).__name__}; expected a torch module")
    return network


def _of_timm(name: str, classes: int, channels: int) -> nn.Module:
    try:
        import timm  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise OptionError(
            f"the network 'timm/{name}' needs timm, which is not installed: pip install --no-deps timm (it asks for "
            "torchvision, which would replace torch)"
        ) from None
    try:
        network: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels)
    except RuntimeError as error:
        raise OptionError(f"timm has no network '{name}': {error}") from None
    return network


# Teachers -------------------------------------------------------------------------------------------------------------


class Reordered(nn.Module):
    """A teacher whose classes stand in another order, or has more of them."""

    order: Tensor

    def __init__(self, network: nn.Module, order: list[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("order", torch.tensor(order))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[:, self.order]


def teacher_width(options: TeacherOptions | SecondTeacherOptions, student: ModelOptions) -> int | None:
    """Of a teacher that is trained here: as asked, or twice the student's where it is of the student's kind."""
    if options.width is not None or options.network not in (None, student.network):
        return options.width
    usual = student.width or USUAL.get(student.network)
    return None if usual is None else 2 * usual


def given_digest(path: str) -> str:
    """Of what decides a given teacher's answers. Raises ArtifactError."""
    where = Path(path)
    if where.is_dir():
        return str(artifact.read_config(where)["digest"])
    try:
        return digest(where.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"the teacher {path} cannot be read: {error.strerror or error}; name a folder or checkpoint"
        ) from None


def given_teacher(
    options: TeacherOptions | SecondTeacherOptions, student: ModelOptions, classes: Vocabulary, shape: Shape
) -> nn.Module:
    """A private copy in eval mode, its answers in the order of `classes`. Raises ArtifactError, OptionError."""
    path = Path(options.path)
    if path.is_dir():
        network = _of_folder(path, classes, shape)
    else:
        network = _of_checkpoint(path, options, student, len(classes), shape)
    if options.mean:
        deviation = options.deviation or (1.0,) * len(options.mean)
        if len(options.mean) != shape[0] or len(deviation) != shape[0]:
            raise OptionError(f"teacher.mean and teacher.deviation need a number for each of {shape[0]} channels")
        network = Normalised(network, options.mean, deviation)
    network = network.eval().requires_grad_(False)
    with torch.no_grad():
        answers = network(torch.rand(4, *shape, generator=torch.Generator().manual_seed(0)))
    if answers.ndim != 2 or answers.shape[1] != len(classes):
        raise OptionError(
            f"the teacher {path} gives answers of {tuple(answers.shape[1:])}, and there are {len(classes)} classes"
        )
    if looks_like_probabilities(answers):
        raise OptionError(f"the teacher {path} gives probabilities; logits are needed: take its softmax away")
    return network


def _of_folder(path: Path, classes: Vocabulary, shape: Shape) -> nn.Module:
    name = artifact.read_config(path)["system"]
    system: Any = registry.class_called(name).load(path)
    model = getattr(system, "model", None)
    if model is None:
        raise OptionError(f"the teacher {path} is a {name}, which classifies no pictures")
    theirs: Vocabulary = system.vocabularies["classes"]
    if tuple(system.shape) != shape:
        raise OptionError(
            f"the teacher {path} knows pictures of {system.shape} (channels, height, width), these are {shape}"
        )
    numbers = theirs.numbers(classes.series)
    if (numbers == 0).any():
        missing = classes.ids([int((numbers == 0).argmax()) + 1])[0]
        raise OptionError(
            f"the teacher {path} knows {len(theirs)} classes, and not '{missing}', one of the {len(classes)} here; "
            "train one on the same classes"
        )
    order = (numbers - 1).tolist()
    return model if order == list(range(len(theirs))) else Reordered(model, order)


def _of_checkpoint(
    path: Path, options: TeacherOptions | SecondTeacherOptions, student: ModelOptions, classes: int, shape: Shape
) -> nn.Module:
    network = made(options.network or student.network, options.width, classes, shape)
    try:
        if path.suffix == ".safetensors":
            weights: Any = artifact.unpack(path.read_bytes())
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArtifactError(f"there is no teacher {path}; name a fitted classifier's folder or a checkpoint") from None
    except Exception as error:  # as the damage, or the code that a pickle wants to run, has it
        reason = str(error).splitlines()[0][:200]
        raise ArtifactError(f"the teacher {path} cannot be read as weights alone: {reason}") from error
    if not isinstance(weights, dict):
        raise ArtifactError(f"the teacher {path} holds a {type(weights).__name__}, expected weights by name")
    network.load_state_dict(checkpoint_weights(weights, network, str(path)))
    return network
