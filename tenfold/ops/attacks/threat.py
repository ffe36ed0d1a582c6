"""What an attacker may do: move a picture by at most eps in a norm, and stay among pixels."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
TINY = 1e-12


@dataclass(frozen=True)
class Threat:
    """All x~ with |x~ - x| <= eps and pixels in [0, 1]. Of linf each pixel counts, of l2 the picture as a whole."""

    eps: float
    norm: Norm = "linf"

    def project(self, moved: Tensor, x: Tensor) -> Tensor:
        """The allowed picture next to `moved`: into the ball around x first, then to [0, 1], which keeps it there."""
        if self.norm == "linf":
            return torch.clamp(moved, x - self.eps, x + self.eps).clamp_(0, 1)
        change = moved - x
        return (x + change * (self.eps / length(change).clamp(min=TINY)).clamp(max=1)).clamp_(0, 1)

    def start(self, x: Tensor, noise: Tensor) -> Tensor:
        """A picture in the ball from noise (N, C, H, W) uniform in [-1, 1]: uniform in linf; in l2 a random direction,
        as far as the noise's first number says."""
        if self.norm == "linf":
            return (x + self.eps * noise).clamp_(0, 1)
        far = noise.flatten(1)[:, :1].abs().reshape(-1, *[1] * (x.ndim - 1))
        return (x + self.eps * far * noise / length(noise).clamp(min=TINY)).clamp_(0, 1)

    def edge(self, x: Tensor, noise: Tensor) -> Tensor:
        """A picture on the ball's border from the same noise, as APGD starts."""
        size = noise.abs().flatten(1).amax(1).reshape(-1, *[1] * (x.ndim - 1)) if self.norm == "linf" else length(noise)
        return (x + self.eps * noise / size.clamp(min=TINY)).clamp_(0, 1)

    def ascent(self, gradient: Tensor) -> Tensor:
        """The direction of unit size in which the loss rises most."""
        return gradient.sign() if self.norm == "linf" else gradient / length(gradient).clamp(min=TINY)

    def size(self, change: Tensor) -> Tensor:
        """(N,) how large each change is."""
        flat = change.flatten(1)
        return flat.abs().amax(1) if self.norm == "linf" else flat.norm(dim=1)


def length(change: Tensor) -> Tensor:
    """Euclidean, of each picture (N, 1, 1, 1)."""
    return change.flatten(1).norm(dim=1).reshape(-1, *[1] * (change.ndim - 1))
