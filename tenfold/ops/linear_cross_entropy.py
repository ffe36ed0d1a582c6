"""Cross entropy of a linear layer's answers, without ever holding an answer for each row and class.

The definition, and a version that goes over the rows in chunks: logits, loss and at once the gradients of both factors,
so that a chunk's logits live in the cache and the backward pass only scales (the idea of Liger's fused linear cross
entropy, arXiv 2410.10989). Memory is that of the gradients, N d + V d, in place of N V.

Shapes: N rows, d width, V classes, C rows of a chunk.
"""

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.errors import ShapeError
from tenfold.ops.products import product

# Logits held at a time: 8 MB in float32. One thread alone is quickest at 1 to 4 MB; with several, each step of a chunk
# ends when the slowest thread does, and on a busy machine fewer and larger chunks lose less by that.
CHUNK_NUMBERS = 1 << 21


def linear_cross_entropy_reference(h: Tensor, table: Tensor, target: Tensor, *, first: int = 0) -> Tensor:
    """sum_n -log softmax(h_n table^T)[target_n] over the classes from `first` on and the rows whose target is one."""
    rows = target >= first
    return F.cross_entropy(h[rows] @ table[first:].T, target[rows] - first, reduction="sum")


class Beside(Protocol):
    """Numbers (N, V - first), most of which may be 0; C of the N rows at a time."""

    def add(self, answers: Tensor, rows: slice, gate: Tensor) -> None:
        """answers (C, V - first) += gate (C,) times the rows' numbers, in place."""

    def dot(self, weights: Tensor, rows: slice) -> Tensor:
        """(C,): the sums over classes of weights (C, V - first) times the rows' numbers."""
        ...


def linear_cross_entropy(
    h: Tensor,
    table: Tensor,
    target: Tensor,
    *,
    first: int = 0,
    chunk: int | None = None,
    gate: Tensor | None = None,
    beside: Beside | None = None,
) -> Tensor:
    """The same in memory that does not grow with N V; h (N, d), table (V, d), target (N,) integers below V.

    Classes below `first` (the padding's row of an embedding) are no answers, and a row whose target is one of them
    counts nothing. gate (N,): times numbers (N, V - first) that stand `beside` the answers and do not learn, and are
    added to them. Sums are float32 or better, under autocast too. Raises ShapeError.
    """
    if h.dim() != 2 or table.dim() != 2 or h.shape[1] != table.shape[1] or target.shape != h.shape[:1]:
        raise ShapeError(
            f"linear cross entropy needs h (N, d), table (V, d) and target (N,); "
            f"found h {tuple(h.shape)}, table {tuple(table.shape)}, target {tuple(target.shape)}"
        )
    if not 0 <= first < len(table):
        raise ShapeError(f"linear cross entropy's first class must be one of the table's {len(table)}; found {first}")
    real = target >= first
    if gate is not None and not bool(real.all()):
        raise ShapeError("linear cross entropy with something beside its answers needs a target in each row")
    if not bool(real.all()):
        h, target = h[real], target[real]
    device = h.device.type
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    learns = torch.is_grad_enabled() and (h.requires_grad or table.requires_grad)
    chunk = chunk or max(32, CHUNK_NUMBERS // len(table))
    return _LinearCrossEntropy.apply(h, table, gate, target, beside, first, chunk, autocast, learns)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        table: Tensor,
        gate: Tensor | None,
        *arguments: Any,
    ) -> Tensor:
        with torch.autocast(h.device.type, enabled=False):
            total, *gradients = _chunks(h, table, gate, *arguments)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        learned = (None if gradient is None else gradient * scale for gradient in ctx.saved_tensors)
        return *learned, None, None, None, None, None, None


def _chunks(
    h: Tensor,
    table: Tensor,
    gate: Tensor | None,
    target: Tensor,
    beside: Beside | None,
    first: int,
    chunk: int,
    autocast: torch.dtype | None,
    learns: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    dtype = autocast or torch.promote_types(h.dtype, table.dtype)  # of the products
    exact = torch.promote_types(dtype, torch.float32)  # of the sums
    rows, classes = h.to(dtype), table[first:].to(dtype)
    places = (target - first).unsqueeze(1)  # (N, 1)
    total = torch.zeros((), dtype=exact, device=h.device)
    h_gradient = torch.empty_like(rows) if learns else None
    gate_gradient = torch.empty_like(gate) if learns and gate is not None else None
    # turned, (d, V), as products give it best
    table_gradient = torch.zeros(table.shape[::-1], dtype=exact, device=h.device) if learns else None
    for start in range(0, len(h), chunk):
        here = slice(start, start + chunk)
        part, place = rows[here], places[here]
        z = product(part, classes.T).to(exact)  # (C, V); no copy where dtype is exact
        if gate is not None and beside is not None:
            beside.add(z, here, gate[here].to(exact))
        at_target = z.gather(1, place)
        z.sub_(top := z.amax(1, keepdim=True)).exp_()
        mass = z.sum(1, keepdim=True)
        total += (mass.log() + top - at_target).sum()
        if h_gradient is None or table_gradient is None:
            continue
        z.div_(mass).scatter_add_(1, place, torch.full_like(mass, -1.0))  # softmax minus the truth
        if gate_gradient is not None and beside is not None:
            gate_gradient[here] = beside.dot(z, here).to(gate_gradient.dtype)
        z = z.to(dtype)
        h_gradient[here] = product(z, classes)
        table_gradient[:, first:] += product(part.T, z).to(exact)
    if h_gradient is not None and table_gradient is not None:
        return total, h_gradient.to(h.dtype), table_gradient.T.to(table.dtype).contiguous(), gate_gradient
    return total, None, None, None
