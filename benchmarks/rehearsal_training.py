"""Rehearsal Memory: words trained on in a second, at 8 and 64 segments, with rehearsal and without, beside the public
Recurrent Memory Transformer and one of our own, on the same streams, of the same width, layers, segments and vectors of
memory.

One step is forward, backward and AdamW, gradients through all segments; width 64, one layer, segments of 8 words, 8
vectors of memory, 32 streams. Ours ask two questions a stream, and draw their batch, fragments included, in each
step. The public code runs as its decoder (GPT-2; the two questions and answers are the last words) and as its encoder
(BERT; one question), each in a process of its own, its batch made before. The sides take turns on one thread; a
round's figure is the median of its steps in processor time, and a ratio the median of those of the rounds. `peak` is
the largest memory of a process that makes one step over 512 segments with activations computed again (batch 32).
`question` is the time of one question after 1,024 and after 65,536 items.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch

from benchmarks import harness
from benchmarks.rivals import sides
from tenfold.options import parse
from tenfold.systems.rehearsal.claims import cost_over_length
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.lengthen import keyed_streams
from tenfold.systems.rehearsal.options import Options
from tenfold.systems.rehearsal.rivals import MemoryTokens, SlotMemoryOnly
from tenfold.systems.rehearsal.samples import StreamSamples
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.training import Draw

BATCH = 32
SHAPE = {"dim": 64, "dropout": 0.0, "hops": 1}
SLOTS = SHAPE | {"memory.slots": 8, "memory.segment": 8, "memory.layers": 1}
PLAIN = SHAPE | {"slots": 8, "segment": 8, "layers": 1}


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    intervals: dict[str, tuple[float, float] | None] = {}
    for segments in (8, 64):
        rates = rounds_of(segments, rounds=1 if quick else 7, steps=3 if quick else 9)
        figures |= {f"{name}_items_per_s_{segments}": harness.median(each) for name, each in rates.items()}
        for name in rates.keys() - {"rehearsal", "without"}:
            for figure, ours in ((f"speedup_vs_{name}", "rehearsal"), (f"without_rehearsal_vs_{name}", "without")):
                each = harness.ratios(rates[ours], rates[name])
                figures[f"{figure}_{segments}"] = harness.median(each)
                intervals[f"{figure}_{segments}"] = harness.interval(each)
    if not quick:
        step = "from benchmarks.rehearsal_training import long_step; long_step()"
        figures["peak_gib_512_segments"] = harness.child([sys.executable, "-c", step]).peak_gib
    cost = cost_over_length("quick" if quick else "cpu")
    ours, all_kept = cost["milliseconds of a question"], cost["of attention to all"]
    figures["question_ms"] = float(np.median(ours[-1, 1:]))
    figures["question_growth"] = float(np.median(ours[-1, 1:]) / np.median(ours[0, 1:]))
    figures["attention_to_all_growth"] = float(np.median(all_kept[-1, 1:]) / np.median(all_kept[0, 1:]))
    notes = [
        "`rmt` is our own Recurrent Memory Transformer, read as ours is; `decoder` and `encoder` are the public code."
    ]
    harness.report("rehearsal_training", figures, notes=[*notes, *sides.absent_rmt()], intervals=intervals)


def rounds_of(segments: int, rounds: int, steps: int) -> dict[str, list[float]]:
    """Words a second of each side in each round."""
    data = keyed_streams(BATCH, segments=segments, facts=4, queries=2)
    words = BATCH * segments * 8
    systems = {
        "rehearsal": Rehearsal(parse(Options, SLOTS)),
        "without": SlotMemoryOnly(parse(Options, SLOTS)),
        "rmt": MemoryTokens(**PLAIN),
    }
    ours = [step_of(system, data) for system in systems.values()]
    found: dict[str, list[float]] = {name: [] for name in systems}
    with tempfile.TemporaryDirectory() as folder:
        streams = sides.streams_for_all(data, BATCH, Path(folder) / "streams.npz")
        for _ in range(rounds):
            for name, seconds in zip(systems, in_turns(ours, steps), strict=True):
                found[name].append(words / seconds)
            for kind in ("decoder", "encoder") if sides.has_rmt() else ():
                seconds = sides.rmt(streams, "--kind", kind, "--steps", steps)["seconds"]
                found.setdefault(kind, []).append(words / harness.median(seconds))
    return found


def step_of(system: Rehearsal | MemoryTokens, data: object) -> Callable[[], None]:
    """One training step of an untrained system on all of the data."""
    system.vocabularies = system.learn_vocabularies(data)  # type: ignore[arg-type]
    parts = cut(data, "none")  # type: ignore[arg-type]
    system.sizes = system.infer_sizes(parts)
    system._network = system.build()
    rehearses = isinstance(system, Rehearsal) and system.rehearses
    samples = StreamSamples(parts.data, system.options.rehearsal if rehearses else None)
    optimizer = torch.optim.AdamW(system.network.parameters(), lr=1e-3)
    epochs = count()

    def step() -> None:
        batch = samples.batch(Draw(0, next(epochs), np.arange(BATCH)))
        optimizer.zero_grad()
        losses = system.loss(batch)
        sum(total / weight for total, weight in losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()

    return step


def long_step() -> None:
    """One step over 512 segments, eight of them at a time in memory."""
    data = keyed_streams(BATCH, segments=512, facts=4, queries=2)
    step_of(Rehearsal(parse(Options, SLOTS | {"memory.recompute": 8})), data)()


def in_turns(steps: list[Callable[[], None]], repeats: int) -> list[float]:
    """Median seconds of the processor of each, one after the other, so that what else the machine does falls on all."""
    for step in steps:
        step()
    found: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        for step, times in zip(steps, found, strict=True):
            begin = time.process_time()
            step()
            times.append(time.process_time() - begin)
    return [harness.median(times) for times in found]


if __name__ == "__main__":
    main()
