"""Small classifiers of pictures: x (N, C, H, W), pixels in [0, 1] -> logits (N, K).

`SmallNetwork` is the one that the shop's labels are measured with. ResNet-18, MobileNetV2 and the wide ResNet are those
for pictures of 32 x 32 that the literature on adversarial training uses (first convolution of stride 1, no pooling
after it), and their weights have the names of its public checkpoints. Nothing is normalised, unless `Normalised` is put
around a network.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import ArtifactError


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the whole batch, also where several processes hold a part of it each."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.distributed.is_available() and torch.distributed.is_initialized()):
            return super().forward(x)
        if torch.distributed.get_world_size() == 1:
            return super().forward(x)
        return self._of_all(x)

    def _of_all(self, x: Tensor) -> Tensor:
        """Sums of x and of its squares go round with their gradients."""
        from torch.distributed.nn.functional import all_reduce

        wide = x.double()
        count = x.new_full((1,), x.numel() / x.shape[1], dtype=torch.float64)
        sums = all_reduce(torch.cat((wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count)))
        total, squares, number = sums[: x.shape[1]], sums[x.shape[1] : -1], sums[-1]
        mean = total / number
        variance = squares / number - mean.square()
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
            unbiased = variance.detach() * number.detach() / (number.detach() - 1)
            self.running_mean.lerp_(mean.detach().to(self.running_mean), share)
            self.running_var.lerp_(unbiased.to(self.running_var), share)
        scale = (variance + self.eps).rsqrt().to(x)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean.to(x) * scale
        shift = shift if self.bias is None else shift + self.bias
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


class Normalised(nn.Module):
    """A network that gets its pictures with these means and deviations of each channel taken away: attacks then act on
    pixels, and the network sees what it was trained on."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Any:
        return self.network((x - self.mean) / self.deviation)


class SmallNetwork(nn.Module):
    """Four convolutions, three of which halve the picture, and the mean over places."""

    def __init__(self, classes: int, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        widths = (channels, width, width * 3 // 2, width * 2, width * 2)
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise(widths), (1, 2, 2, 2), strict=True):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layers(x).mean((2, 3)))


class MLP(nn.Module):
    """Two hidden layers, without any norm: for pictures of a few hundred numbers, such as digits."""

    def __init__(self, classes: int, numbers: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layers(x))


# ResNet-18 ---------------------------------------------------------------------------------------------------------


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential:
    if stride == 1 and before == after:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), BatchNorm2d(after))


class BasicBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), BatchNorm2d(after)
        self.shortcut = _shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """11,173,962 parameters at 10 classes and width 64 (He et al. 2016, for pictures of 32 x 32)."""

    def __init__(self, classes: int, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False), BatchNorm2d(width)
        widths = (width, width, width * 2, width * 4, width * 8)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(BasicBlock(before, after, stride), BasicBlock(after, after, 1))
            for (before, after), stride in zip(pairwise(widths), (1, 2, 2, 2), strict=True)
        )
        self.linear = nn.Linear(width * 8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean((2, 3)))


# MobileNetV2 -------------------------------------------------------------------------------------------------------

STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedBlock(nn.Module):
    def __init__(self, before: int, after: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner, self.stride = before * expansion, stride
        self.conv1, self.bn1 = nn.Conv2d(before, inner, 1, bias=False), BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.bn2 = BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, after, 1, bias=False), BatchNorm2d(after)
        self.shortcut = _shortcut(before, after, 1) if stride == 1 else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.stride == 1 else y


class MobileNetV2(nn.Module):
    """2,296,922 parameters at 10 classes (Sandler et al. 2018, for pictures of 32 x 32)."""

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 32, 3, 1, 1, bias=False), BatchNorm2d(32)
        self.layers = nn.Sequential(*self._blocks())
        self.conv2, self.bn2 = nn.Conv2d(320, 1280, 1, bias=False), BatchNorm2d(1280)
        self.linear = nn.Linear(1280, classes)

    @staticmethod
    def _blocks() -> Iterator[InvertedBlock]:
        before = 32
        for expansion, after, times, stride in STAGES:
            for number in range(times):
                yield InvertedBlock(before, after, expansion, stride if number == 0 else 1)
                before = after

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


# Wide ResNet -------------------------------------------------------------------------------------------------------


class WideBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = BatchNorm2d(before), nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = BatchNorm2d(after), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.equal = before == after
        self.convShortcut = None if self.equal else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(x))
        z = self.conv2(F.relu(self.bn2(self.conv1(y))))
        return z + (x if self.convShortcut is None else self.convShortcut(y))


class Blocks(nn.Module):
    def __init__(self, number: int, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            *(WideBlock(before if i == 0 else after, after, stride if i == 0 else 1) for i in range(number))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class WideResNet(nn.Module):
    """Depth 34 and width 10: 46.16 million parameters at 10 classes (Zagoruyko 2016, as TRADES has it)."""

    def __init__(self, classes: int, channels: int = 3, depth: int = 34, width: int = 10) -> None:
        super().__init__()
        number = (depth - 4) // 6
        widths = (16, 16 * width, 32 * width, 64 * width)
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.block1, self.block2, self.block3 = (
            Blocks(number, before, after, stride)
            for (before, after), stride in zip(pairwise(widths), (1, 2, 2), strict=True)
        )
        self.bn1, self.fc = BatchNorm2d(widths[-1]), nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def checkpoint_weights(weights: Mapping[str, Any], network: nn.Module, origin: str) -> dict[str, Tensor]:
    """A public checkpoint's weights by this network's names: those under 'state_dict', without 'module.', without what
    TRADES' wide ResNet stores and never uses. Raises ArtifactError where names or shapes are not the network's."""
    for key in ("state_dict", "model", "net"):
        inner = weights.get(key)
        if isinstance(inner, Mapping):
            weights = inner
    ours = network.state_dict()
    found = {name.removeprefix("module."): weight for name, weight in weights.items() if isinstance(weight, Tensor)}
    found = {name: weight for name, weight in found.items() if not name.startswith("sub_block1.")}
    for name, weight in ours.items():
        if name.endswith("num_batches_tracked"):
            found.setdefault(name, weight)
    wrong = sorted({*ours} ^ {*found}) or sorted(n for n, w in found.items() if w.shape != ours[n].shape)
    if wrong:
        name = wrong[0]
        there, needed = (tuple(each[name].shape) if name in each else "none" for each in (found, ours))
        raise ArtifactError(
            f"{origin} does not fit the network: '{name}' is {there} there and {needed} here; name the network, its "
            "width and the number of classes with which it was trained"
        )
    return found
