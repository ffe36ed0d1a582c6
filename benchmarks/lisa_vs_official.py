"""LISA beside the authors' code (libertyeagle/LISA): the attention, a whole training step, and memory.

Batch 16, histories of 300 and 2,000 events, D = 128, Mini and Base, ML-1M's 3,416 items, BCE with one negative. Core:
all between the codes and what is read from the histograms, forward and backward, with the gradients of codewords,
projections and soft codes; the soft codes are given for each event, as theirs are (ours needs them only for each item).
Step: loss, gradients, Adam (ours fused, as Tenfold trains; theirs as they call it). Memory: what a step adds to a fresh
process. The decay is the configs' 0.1 at 300, and 0 at 2,000, where theirs is not a number (it divides by exp(-0.1 x
2000)). While time is taken both sides keep freed memory, as Tenfold's training does; the processes whose memory is
measured do not. The worst of the four cases is what is told.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks import harness
from benchmarks.lisa_attention import Side, best
from benchmarks.peers import LISA as PEER
from tenfold.nn.codebooks import Encoded
from tenfold.nn.lisa import CodewordAttention
from tenfold.ops.heap import keep_freed_memory
from tenfold.options import parse
from tenfold.systems.lisa.model import LisaNetwork
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.system import LISA
from tenfold.tasks.next_item import NextItemBatch

BATCH, DIM, ITEMS, BOOKS = 16, 128, 3_416, 8
CASES = [(preset, length) for preset in ("mini", "base") for length in (300, 2_000)]
WORDS = {"mini": 16, "base": 128}


class ReadDone(Exception):  # noqa: N818  it is no error
    """Carries out of the authors' forward pass what their attention has read."""


class Catch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ReadDone(x)


class Given(nn.Module):
    """Stands for their item embedding or their encoder, and gives what is given."""

    def __init__(self, *values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, *_: Any, **__: Any) -> Any:
        return self.values if len(self.values) > 1 else self.values[0]


def decay_at(length: int) -> float:
    return 0.1 if length <= 300 else 0.0


def theirs(preset: str, length: int, *, whole: bool) -> Any:
    from models.efficient_attention import EfficientAttnSASRecModel  # type: ignore[import-not-found]
    from models.efficient_attention_target_separate_pq import (  # type: ignore[import-not-found]
        EfficientAttnTargetSeparatePQSASRecModel,
    )

    decay = decay_at(length)
    config = {
        "normalize_input_seq": False,
        "dropout_input_seq": whole,
        "max_seq_len": length,
        "project_qk_in_attention": True,
        "project_v_in_attention": True,
        "using_separate_qkv_projection_weights": True,
        "attention_positional_embedding": "counts_decay" if decay else "none",
        "counts_decay_factor": decay,
        "input_seq_positional_embedding": whole,
        "disallow_query_self_attention": False,
        "target_num_codebooks": BOOKS,
        "target_num_codewords": 128,
        "product_quantization_config": {
            "softmax_temperature": 0.7,
            "similarity_metric": "bilinear",
            "recurrent_encoding": True,
            "inputs_optimize_loss_coefficient": 0.0,
        },
    }
    cls = EfficientAttnTargetSeparatePQSASRecModel if preset == "mini" else EfficientAttnSASRecModel
    return cls(ITEMS + 1, DIM, BOOKS, WORDS[preset], dropout=0.1, **config)


def ours(preset: str, length: int, loss: str = "bce") -> LISA:
    values = {"preset": preset, "dim": DIM, "dropout": 0.1, "attention.decay": decay_at(length), "loss.name": loss}
    system = LISA(parse(Options, values | {"training.length": length}))
    system.sizes = {"items": ITEMS}
    system._network = LisaNetwork(ITEMS, system.options)
    return system


def core(preset: str, length: int) -> dict[str, Side]:
    torch.manual_seed(0)
    p = torch.randn(BATCH * length, BOOKS, WORDS[preset]).softmax(-1)
    codes, gradient = p.argmax(-1), torch.randn(BATCH, length, DIM)
    # theirs: one-hots with a straight-through gradient, as their encoder hands them over
    soft = p.view(BATCH, length, BOOKS, -1).clone().requires_grad_()
    one_hot = torch.zeros_like(soft).scatter_(-1, codes.view(BATCH, length, BOOKS, 1), 1.0)
    model = theirs(preset, length, whole=False)
    model.item_embeddings = Given(torch.zeros(BATCH, length, DIM))
    codewords = model.pq_encoding_module.codebooks
    model.dropout1 = Catch()
    mask, lengths = torch.ones(BATCH, length), torch.full((BATCH,), length)
    learned = [codewords, model.q_proj_weights, model.k_proj_weights, model.v_proj_weights]

    encoder = Given(torch.zeros(BATCH, length, DIM), one_hot)
    encoder.codebooks = codewords
    model.pq_encoding_module = encoder

    def official() -> None:
        encoder.values = (encoder.values[0], one_hot + soft - soft.detach())
        try:
            model(None, None, mask, lengths, update_ip_table=True)
        except ReadDone as caught:
            torch.autograd.grad(caught.args[0], [*learned, soft], gradient)

    attention = CodewordAttention(DIM, BOOKS, decay=decay_at(length))
    own = nn.Parameter(codewords.detach().clone())
    given, rows = p.clone().requires_grad_(), torch.arange(BATCH * length).view(BATCH, length)
    byte_codes = codes.to(torch.uint8)

    def tenfold() -> None:
        y, _ = attention(rows, Encoded(given, byte_codes, given), attention.tables(own))
        torch.autograd.grad(y, [own, attention.query, attention.key, attention.value, given], gradient)

    return {"ours": tenfold, "official": official}


def batch_of(length: int) -> NextItemBatch:
    torch.manual_seed(0)
    events = torch.randint(1, ITEMS + 1, (BATCH, length + 1))
    return NextItemBatch(events[:, :-1], events[:, 1:], torch.randint(1, ITEMS + 1, (BATCH, length, 1)))


def step(preset: str, length: int, side: str) -> Side:
    batch = batch_of(length)
    if side == "ours":
        system = ours(preset, length)
        adam = Adam(system.network.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)

        def tenfold() -> None:
            adam.zero_grad()
            total, weight = system.loss(batch)
            (total / weight).backward()
            adam.step()

        return tenfold
    from loss import BinaryCELoss  # type: ignore[import-not-found]

    model, criterion = theirs(preset, length, whole=True), BinaryCELoss()
    official_adam = Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98))
    mask, lengths = torch.ones(BATCH, length), torch.full((BATCH,), length)
    targets = torch.cat([batch.next.unsqueeze(-1), batch.negatives], -1)

    def official() -> None:
        official_adam.zero_grad()
        scores, _ = model(batch.events, targets, mask, lengths, update_ip_table=True)
        loss = (criterion(scores[:, :, 0], scores[:, :, 1:]) * mask).sum() / lengths.sum()
        loss.backward()
        official_adam.step()

    return official


def memory(preset: str, length: int, side: str) -> float:
    """GiB that a training step adds to a fresh process that has its model and batch."""
    code = (
        "from benchmarks import harness, lisa_vs_official as here\n"
        "here.find_theirs()\n"
        f"step = here.step({preset!r}, {length}, {side!r})\n"
        f"here.step({preset!r}, 8, {side!r})()\n"  # compiles, and takes what a first step takes whatever its size
        "before = harness.peak_gib()\n"
        "step()\n"
        "print('{\"gib\": %.6f}' % (harness.peak_gib() - before))"
    )
    return harness.child([sys.executable, "-c", code]).json["gib"]


def find_theirs() -> None:
    if PEER.folder is None or not PEER.present:
        harness.skip(f"the authors' code is not here; {PEER.had}")
    sys.path.insert(0, str(PEER.folder))


def main() -> None:
    quick = harness.arguments(__doc__).quick
    find_theirs()
    keep_freed_memory()
    figures: dict[str, float] = {}
    ratios: dict[str, list[float]] = {"core_speedup": [], "model_speedup": [], "memory_ratio": []}
    for preset, length in CASES[:1] if quick else CASES:
        runs = 5 if length < 1000 else 2
        timed = {
            "core_speedup": best(core(preset, length), runs),
            "model_speedup": best({side: step(preset, length, side) for side in ("ours", "official")}, runs),
            "memory_ratio": {side: memory(preset, length, side) for side in ("ours", "official")},
        }
        for name, found in timed.items():
            ratios[name].append(found["official"] / found["ours"])
            figures[f"{preset}_{length}_{name}"] = ratios[name][-1]
            unit = "gib" if name == "memory_ratio" else "s"
            figures |= {f"{preset}_{length}_{name.partition('_')[0]}_{side}_{unit}": x for side, x in found.items()}
    harness.report("lisa_vs_official", {name: min(found) for name, found in ratios.items()} | figures)


if __name__ == "__main__":
    main()
