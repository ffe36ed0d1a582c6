"""A fitted memory as three ONNX files that other programs run: encoder, update and reader.

    keys, values = encoder(words, count)
    memory = update(memory, keys, values, count, number)
    scores, slots = reader(memory, asked)

U streams at once, K slots of w numbers, segments of N items, items of W words (two at least, 0 at padding), d width.
words (U, N, W) int64, or, where items are features, (U, N, F) float32; count (U,) int64, how many of
a segment's items there are; keys and values (U, N, d);
number (U,) int64, of the segment in its stream, from 0; asked (U, W) int64; scores (U, A) of the answers, before
softmax; slots (U, K), how much of each was read. stream.json beside them has the sizes, M_0 of one stream, words and
answers by number. For a question that comes before a segment is full, update a copy of the memory with what there is.
"""

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tenfold.artifact import Exported, to_onnx
from tenfold.errors import OptionError
from tenfold.files import write_whole
from tenfold.nn.slot_memory import SlotMemory
from tenfold.systems.rehearsal.model import StreamNetwork

if TYPE_CHECKING:
    from tenfold.systems.rehearsal.system import Rehearsal

FILES = ("encoder.onnx", "update.onnx", "reader.onnx")


class Part(nn.Module):
    def __init__(self, streams: StreamNetwork) -> None:
        super().__init__()
        self.streams = streams


class Encoder(Part):
    def forward(self, words: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        machine = self.streams.machine
        keep = torch.arange(words.shape[1], device=words.device) < count.unsqueeze(1)
        # A stream that has nothing new would have no item to attend to; update then throws away what is made of it.
        keep = keep | (torch.arange(words.shape[1], device=words.device) == 0)
        keys, values = machine.read_segments(self.streams.item(words).unsqueeze(1), keep.unsqueeze(1))
        return keys[:, 0], values[:, 0]


class Update(Part):
    def forward(self, memory: Tensor, keys: Tensor, values: Tensor, count: Tensor, number: Tensor) -> Tensor:
        keep = torch.arange(keys.shape[1], device=keys.device) < count.unsqueeze(1)
        after: Tensor = self.streams.machine.step(memory, keys, values, keep, number)[0]
        return after


class Reader(Part):
    def forward(self, memory: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        found = self.streams.answer(asked, memory)
        return found.scores, found.slots


def export(system: "Rehearsal", folder: str | Path) -> Exported:
    """Beside the artifact itself, which `predict` and `evaluate` take. Raises NotFittedError, OutputError, OptionError
    for a memory that is not ours."""
    network = copy.deepcopy(system.streams).cpu().eval().requires_grad_(False)
    machine, folder = network.machine, Path(folder)
    if not isinstance(machine, SlotMemory):
        raise OptionError(
            f"{type(system).__name__} has another memory than slots, and only theirs is exported; save it"
        )
    system.save(folder)
    memory = machine.start(2).contiguous()
    features = system.sizes.get("features", 0)
    words = torch.ones(2, machine.segment, 3, dtype=torch.long)
    if features:
        words = torch.zeros(2, machine.segment, features)
    asked, count = torch.ones(2, 3, dtype=torch.long), torch.full((2,), machine.segment)
    keys, values = Encoder(network)(words, count)
    streams, wide = torch.export.Dim("streams", min=1), torch.export.Dim("words", min=2)
    each = {0: streams}
    done = [
        to_onnx(Encoder(network), {"words": words, "count": count}, ["keys", "values"], folder / FILES[0],
                free={"words": each if features else {0: streams, 2: wide}, "count": each}),
        to_onnx(Update(network), {"memory": memory, "keys": keys, "values": values, "count": count,
                                  "number": torch.zeros_like(count)}, ["memory_after"], folder / FILES[1],
                free=dict.fromkeys(("memory", "keys", "values", "count", "number"), each)),
        to_onnx(Reader(network), {"memory": memory, "asked": asked}, ["scores", "slots"], folder / FILES[2],
                free={"memory": each, "asked": {0: streams, 1: wide}}),
    ]  # fmt: skip
    about = {"segment": machine.segment, "slots": machine.slots, "dim": machine.dim, "width": machine.width,
             "start": machine.start(1)[0].tolist(),
             "features": features, "words": ["", *system.vocabularies["words"].series.to_list()],
             "answers": system.vocabularies["answers"].series.to_list()}  # fmt: skip
    write_whole(folder / "stream.json", json.dumps(about).encode())
    notes = [f"a memory is {machine.slots} x {machine.width} float32; stream.json has M_0, words and answers by number"]
    if not all(done):
        notes.append(f"{', '.join(FILES)} were not written: they need onnx and onnxscript; install tenfold[export]")
    return Exported({path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}, notes)
