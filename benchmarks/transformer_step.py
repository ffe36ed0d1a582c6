"""The parts of a transformer's training step beside torch's own, forward and backward, in the same run.

attention: causal, with dropout on its weights, at SASRec's size and at d = 64 with two heads. dropout: a layer's. step:
two post-norm blocks against torch.nn.TransformerEncoder with the same layers and dropouts. linear_cross_entropy: 25,000
positions among 3,417 classes, d = 64, time and memory. The sides take turns; a ratio above 1 says how many times
quicker (or smaller) ours is, from the quickest of each side's runs.
"""

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import harness
from tenfold.nn.attention import attention
from tenfold.nn.transformer import Transformer, feed_forward
from tenfold.ops.causal_attention import causal_attention
from tenfold.ops.dropout import dropout
from tenfold.ops.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_reference

P, LENGTH, ROWS, CLASSES, WIDTH = 0.2, 200, 25_000, 3_417, 64
Side = Callable[[], Tensor]


def seconds(sides: dict[str, Side], runs: int) -> dict[str, float]:
    """The quickest run of each side, forward and backward, after one that does not count."""
    best = dict.fromkeys(sides, float("inf"))
    for run in range(runs + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side().sum().backward()
            if run:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def attentions(batch: int, heads: int, dim: int) -> dict[str, Side]:
    qkv = torch.randn(batch, LENGTH, 3, heads, dim // heads, requires_grad=True)

    def torchs() -> Tensor:
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=P, is_causal=True)

    return {"ours": lambda: causal_attention(qkv, dropout=P), "torch": torchs}


def dropouts(batch: int, dim: int) -> dict[str, Side]:
    x = torch.randn(batch, LENGTH, dim, requires_grad=True)
    return {"ours": lambda: dropout(x, P), "torch": lambda: F.dropout(x, P)}


def steps(batch: int, heads: int, dim: int) -> dict[str, Side]:
    x, later = torch.randn(batch, LENGTH, dim), nn.Transformer.generate_square_subsequent_mask(LENGTH)
    ours = Transformer(
        dim,
        2,
        attention=lambda: attention("softmax", dim, heads, P),
        feed_forward=lambda: feed_forward("dense", dim, dim, P),
        dropout=P,
    )
    layer = nn.TransformerEncoderLayer(dim, heads, dim, P, batch_first=True)
    torchs = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
    return {"ours": lambda: ours(x)[0], "torch": lambda: torchs(x, mask=later, is_causal=True)}


def losses(rows: int) -> dict[str, Side]:
    torch.manual_seed(0)
    h = torch.randn(rows, WIDTH, requires_grad=True)
    table, target = torch.randn(CLASSES, WIDTH, requires_grad=True), torch.randint(1, CLASSES, (rows,))
    return {
        "ours": lambda: linear_cross_entropy(h, table, target, first=1),
        "torch": lambda: linear_cross_entropy_reference(h, table, target, first=1),
    }


def memory(side: str, rows: int) -> float:
    """GiB that one loss and its gradients add to a fresh process."""
    code = (
        "from benchmarks import harness, transformer_step as step\n"
        f"side = step.losses({rows})['{side}']\n"
        "before = harness.peak_gib()\n"
        "side().backward()\n"
        "print('{\"gib\": %.6f}' % (harness.peak_gib() - before))"
    )
    return harness.child([sys.executable, "-c", code]).json["gib"]


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.manual_seed(0)
    runs, batch, rows = (2, 16, 2_500) if quick else (7, 128, ROWS)
    figures: dict[str, float] = {}
    for name, sides in {
        "attention_d50_h1": attentions(batch, 1, 50),
        "attention_d64_h2": attentions(batch, 2, 64),
        "dropout": dropouts(batch, 50),
        "step_d50_h1": steps(batch, 1, 50),
        "linear_cross_entropy": losses(rows),
    }.items():
        best = seconds(sides, runs)
        figures[f"{name}_ratio"] = best["torch"] / best["ours"]
        figures[f"{name}_s"] = best["ours"]
    used = {side: memory(side, rows) for side in ("ours", "torch")}
    figures["linear_cross_entropy_memory_ratio"] = used["torch"] / used["ours"]
    figures["linear_cross_entropy_memory_gib"] = used["ours"]
    harness.report("transformer_step", figures)


if __name__ == "__main__":
    main()
