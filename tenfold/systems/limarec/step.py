"""One event of each of N users on their stored numbers, in numpy: what the network does, without the sixty small torch
operations that an event costs there. Tested against the network; it serves events on the CPU, in float32.

Shapes: N users, d width, H heads, D = d / H, K interests.
"""

import math
from typing import Any, cast

import numpy as np

from tenfold.nn.transformer import Block
from tenfold.ops.item_counts import FADED
from tenfold.ops.linear_attention import EPS
from tenfold.systems.limarec.model import LARGEST, LimaRecNetwork

Array = np.ndarray


class Step:
    """Weights of a network as they are now, and the step itself."""

    def __init__(self, network: LimaRecNetwork) -> None:
        self.weights = {name: weight.detach().numpy() for name, weight in network.state_dict().items()}
        self.shapes, self.scale = network.shapes(), network.scale
        self.feature_map, self.sharp = network.feature_map, network.interests.weights == "exp"
        self.layers = len(network.blocks)
        norms = [cast(Block, block) for block in network.blocks]
        self.eps = [(block.norm1.eps, block.norm2.eps) for block in norms]
        left = [*(f"blocks.{n}.attention.left" for n in range(self.layers)), "interests.left"]
        counts = network.counts
        self.keys = None if counts is None else network.keys.numpy()
        self.fade = np.zeros(0, np.float32) if counts is None else counts.fade.numpy()
        self.left = [1 / (1 + np.exp(-self.weights[name])) if name in self.weights else None for name in left]

    def __call__(self, numbers: Array, items: Array) -> None:
        """numbers (N, S), changed in place by one event of each user, items (N,)."""
        w, place = self.weights, 0
        parts = []
        for shape in self.shapes:
            size = math.prod(shape)
            parts.append(numbers[:, place : place + size].reshape(len(numbers), *shape))  # views
            place += size
        *sums, interests, last, counters = parts
        x = w["item.weight"][items] * np.float32(self.scale)  # (N, d)
        for layer in range(self.layers):
            x = self._block(layer, x, sums[layer])
        self._read(x, interests[:, :, 0])
        if last.shape[1]:
            last[:] = x @ w["latest.weight"].T
        if self.keys is not None:
            counters *= self.fade[:, None]
            counters[counters < FADED] = 0
            counters[np.arange(len(items))[:, None], np.arange(len(self.fade)), self.keys[items]] += 1

    def _block(self, layer: int, x: Array, sums: Array) -> Array:
        """x (N, d), sums (N, H, D, D + 1)."""
        own = f"blocks.{layer}."
        qkv = self._linear(f"{own}attention.qkv", x).reshape(len(x), 3, *sums.shape[1:3])
        q, k, v = self._phi(qkv[:, 0]), self._phi(qkv[:, 1]), qkv[:, 2]  # (N, H, D)
        left = self.left[layer]
        if left is not None:
            sums *= left[:, None, None]
        sums[..., :-1] += k[..., None] * v[..., None, :]
        sums[..., -1] += k
        o = (q[..., None, :] @ sums)[..., 0, :]  # (N, H, D + 1)
        y = self._linear(f"{own}attention.out", (o[..., :-1] / (o[..., -1:] + np.float32(EPS))).reshape(x.shape))
        x = self._norm(f"{own}norm1", x + y, self.eps[layer][0])
        h = np.maximum(self._linear(f"{own}feed_forward.inner", x), 0)
        return self._norm(f"{own}norm2", x + self._linear(f"{own}feed_forward.outer", h), self.eps[layer][1])

    def _read(self, x: Array, sums: Array) -> None:
        """x (N, d), sums (N, K, d + 1)."""
        w = self.weights
        k, mu = x @ w["interests.key.weight"].T, w["interests.mu"]
        if self.sharp:
            a = np.exp(np.float32(LARGEST) * np.tanh(k @ mu.T / np.float32(math.sqrt(mu.shape[1]) * LARGEST)))
        else:
            a = self._phi(k) @ self._phi(mu).T
        if self.left[-1] is not None:
            sums *= self.left[-1][:, None]
        sums[..., :-1] += a[..., None] * (x @ w["interests.value.weight"].T)[:, None]
        sums[..., -1] += a

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name: str, x: Array, eps: float) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(eps))
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _phi(self, x: Array) -> Array:
        maps: dict[str, Any] = {
            "elu": lambda: np.where(x >= 0, x + 1, np.exp(np.minimum(x, 0))),
            "relu": lambda: np.maximum(x, 0) + np.float32(1e-6),
            "exp": lambda: (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True),
            "softplus": lambda: np.logaddexp(x, np.float32(0)),
        }
        return maps[self.feature_map]()
