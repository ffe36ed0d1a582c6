"""A fitted classifier as files that other programs run: ONNX and a program of torch.export, scaling of pixels inside.

Both take pictures as they come, (N, H, W, C) float32 from 0 to 255, any N, and give logits (N, K). Beside them
stands the classifier without its teachers, which `predict`, `evaluate` and `attack` take like the fitted one.
"""

import copy
import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.artifact import Exported, to_onnx
from tenfold.files import replacing, write_whole

SAMPLE = 2  # pictures by which a program is traced; their number is free afterwards


class FromPixels(nn.Module):
    """Bytes to logits: what is exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network(pictures.permute(0, 3, 1, 2) / 255.0)


def export(system: Any, folder: str | Path) -> Exported:
    """Raises NotFittedError, OutputError."""
    folder = Path(folder)
    alone = type(system)(system.options)
    alone.sizes, alone.vocabularies = system.sizes | {"alone": 1}, system.vocabularies
    alone.statistics, alone.fitted, alone.history = system.statistics, system.fitted, system.history
    alone._network = nn.ModuleDict({"student": system.model})
    alone.save(folder)
    channels, height, width = system.shape
    network = FromPixels(copy.deepcopy(system.model)).cpu().eval().requires_grad_(False)
    sample = torch.zeros(SAMPLE, height, width, channels)
    count = torch.export.Dim("pictures", min=1)
    program = torch.export.export(network, (sample,), dynamic_shapes=({0: count},))
    with replacing(folder / "classifier.pt2") as beside:
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        beside.write_bytes(buffer.getvalue())
    classes = alone.vocabularies["classes"].ids(range(1, system.sizes["classes"] + 1))
    notes = [
        f"input: pictures (N, {height}, {width}, {channels}), float32 from 0 to 255; output: logits (N, {len(classes)})"
    ]
    if not to_onnx(
        network, {"pictures": sample}, ["logits"], folder / "classifier.onnx", free={"pictures": {0: count}}
    ):
        notes.append("classifier.onnx was not written: it needs onnx and onnxscript; install tenfold[export]")
    write_whole(folder / "classes.json", json.dumps(classes).encode())
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    return Exported(sizes, notes)
