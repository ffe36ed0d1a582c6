"""A training step of IAD-I beside the authors' code (ZFancy/IAD): ResNet-18, pictures of 3 x 32 x 32, float32 on both.

Their step is the body of their script's own `train`, with its `.cuda()` and `synchronize()` taken out, after
introspection has begun; ours is the lesson's loss, its gradients and the same SGD. Both have the same weights, teacher
and pictures, and take turns; the better of two turns counts, in seconds of the processor, which others on the machine
move less than the clock's. Detached introspection, and bfloat16 where the processor has it, are beside them in the
first turn. Passes are counted by hooks, in pictures of the batch: a forward pass is one, a backward pass to the input
one more, to the weights one more.
"""

import ast
import importlib.util
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.peers import IAD as PEER
from tenfold.data.labelled_pictures import LabelledPictures, PictureBatch
from tenfold.data.vocabulary import Vocabulary
from tenfold.nn.convolutional import ResNet18
from tenfold.ops.heap import keep_freed_memory
from tenfold.tasks.classification.lesson import Lesson
from tenfold.tasks.classification.methods import Iad
from tenfold.tasks.classification.options import ThreatOptions

CLASSES, SIDE = 10, 32


def batch_of(size: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(size, 3, SIDE, SIDE), torch.randint(CLASSES, (size,))


# Theirs.


def their_networks() -> tuple[Any, Any]:
    """Student and teacher by their own ResNet-18."""
    assert PEER.folder is not None
    path = PEER.folder / "models" / "resnet.py"
    spec = importlib.util.spec_from_file_location("their_resnet", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    return module.ResNet18(num_classes=CLASSES), module.ResNet18(num_classes=CLASSES)


def their_step(student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """Their `train` over one batch."""
    assert PEER.folder is not None
    source = (PEER.folder / "IAD-I.py").read_text()
    for words in (".cuda()", "torch.cuda.synchronize()"):
        source = source.replace(words, "" if words == ".cuda()" else "None")
    source = source.replace("size_average=False", "reduction='sum'")  # what the older argument means
    wanted = [n for n in ast.parse(source).body if getattr(n, "name", "") in ("AttackPGD", "train")]
    names: dict[str, Any] = {
        "torch": torch, "nn": nn, "F": F, "time": time, "device": "cpu", "trainloader": [(x, y)],
        "tqdm": lambda loader, **_: Shown(loader), "print": lambda *_: None,
        "args": SimpleNamespace(begin=0, beta=0.1, alpha=1.0, temp=1.0),
        "KL_loss": nn.KLDivLoss(reduction="none"), "XENT_loss": nn.CrossEntropyLoss(),
    }  # fmt: skip
    exec(compile(ast.Module(wanted, []), "IAD-I.py", "exec"), names)
    config = {"epsilon": 8 / 255, "num_steps": 10, "step_size": 2 / 255}
    attacked = names["AttackPGD"](student, config)
    teacher.eval().requires_grad_(False)
    optimizer = torch.optim.SGD(attacked.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    return lambda: names["train"](0, optimizer, attacked, student, teacher)


class Shown(list[Any]):
    """Stands for their progress bar."""

    def set_description(self, _: str) -> None:
        """Shows nothing."""


# Ours.


def our_step(
    student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, *, detach: bool = False, precision: Any = None
) -> Callable[[], None]:
    import numpy as np
    import polars as pl

    names = Vocabulary(pl.Series([str(n) for n in range(CLASSES)]))
    few = LabelledPictures(np.zeros((2, SIDE, SIDE, 3), np.uint8), np.array([1, 2], np.int32), names)
    teacher.eval().requires_grad_(False)
    lesson = Lesson(
        student, Iad(beta=0.1, begin=0.0, detach=detach), ThreatOptions(), epochs=1, validation=few, teacher=teacher
    )
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    noise = 2 * torch.rand_like(x) - 1

    def step() -> None:
        student.train()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is not None):
            total, weight = lesson.loss(PictureBatch(x, y, noise, 0))
        (total / weight).backward()
        optimizer.step()

    return step


def passes(step: Callable[[], None], x: Tensor, first_layers: list[nn.Module]) -> float:
    """Forward units of a step, in batches: forwards, and backwards to input and weights."""
    count = [0.0]
    hooks = []
    for layer in first_layers:

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            learns = any(w.requires_grad for w in module.parameters()) and torch.is_grad_enabled()
            to_input = inputs[0].requires_grad
            count[0] += 1.0 + (1.0 if to_input else 2.0 if learns else 0.0)

        hooks.append(layer.register_forward_hook(hook))
    step()
    for each in hooks:
        each.remove()
    return count[0]


def has_bfloat16() -> bool:
    """Whether this processor multiplies in it."""
    asked = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(each is not None and bool(each()) for each in asked)


def best_of(steps: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    found = dict.fromkeys(steps, float("inf"))
    for turn in range(turns):
        for name, step in steps.items():
            if turn and name not in ("ours", "theirs"):
                continue
            began = time.process_time()
            step()
            found[name] = min(found[name], time.process_time() - began)
    return found


def main() -> None:
    quick = harness.arguments(__doc__).quick
    if not PEER.present:
        harness.skip(f"{PEER.name} is not here; {PEER.had}")
    torch.set_num_threads(2)
    keep_freed_memory()
    x, y = batch_of(64)
    theirs, teacher = their_networks()
    own, own_teacher = ResNet18(CLASSES), ResNet18(CLASSES)
    own.load_state_dict(theirs.state_dict())
    own_teacher.load_state_dict(teacher.state_dict())
    student = ResNet18(CLASSES)
    detached = ResNet18(CLASSES)
    steps = {
        "theirs": their_step(theirs, teacher, x, y),
        "ours": our_step(own, own_teacher, x, y),
    }
    if not quick:
        steps["detached"] = our_step(detached, own_teacher, x, y, detach=True)
        if has_bfloat16():
            steps["bf16"] = our_step(student, own_teacher, x, y, precision=torch.bfloat16)
    found = best_of(steps, 1 if quick else 2)
    figures = {"time_ratio_vs_official": found["ours"] / found["theirs"]}
    figures |= {f"{name}_s": seconds for name, seconds in found.items()}
    figures |= counted_units()
    notes = ["Batch 64, two threads, the same weights, teacher and pictures; the best of turns that alternate."]
    if not quick and "bf16" not in steps:
        notes.append("Not in bfloat16: this processor has no instructions for it, and would take many times longer.")
    harness.report("iad_step", figures, notes=notes)


def counted_units() -> dict[str, float]:
    """Units of ours, by hooks on the first convolution of student, teacher and their folded copies; batch of 4."""
    x, y = batch_of(4)
    figures = {}
    for name, detach in (("units", False), ("units_detached", True)):
        student, teacher = ResNet18(CLASSES, width=8), ResNet18(CLASSES, width=8)
        step = our_step(student, teacher, x, y, detach=detach)
        step()
        lesson: Any = step.__closure__  # the copies stand in the lesson's arena
        arena = next(cell.cell_contents for cell in lesson if isinstance(cell.cell_contents, Lesson)).arena
        layers = [student.conv1, arena.student.copy.conv1, arena.teacher.copy.conv1]
        figures[name] = passes(step, x, layers)
    return figures


if __name__ == "__main__":
    main()
