"""Fits one system on its small data, in a process of its own so that it can be killed, or shared out among several.

python tests/fit_one.py NAME RUN FOLDER [BATCH]   kills itself at that batch; torchrun may share it out
"""

import os
import signal
import sys
from pathlib import Path

import torch
from small import CLASSES, small

import tenfold.lightning_adapter  # noqa: F401  a warm server's children have it already
from tenfold.options import flat, parse
from tenfold.tasks.classification import lesson
from tenfold.training import Budget

FAR = 0.05  # where attacks on a KL start that processes share: by 0.001 rounding decides some of its gradient's signs


def without_dropout(cls):
    """Its tiny options; dropout differs between processes by design."""
    values = flat(vars(cls.tiny))
    return parse(type(cls.tiny), {n: 0.0 if n.endswith("dropout") else v for n, v in values.items()})


def happens_at(system, batch, happens):
    """`happens` is called at this batch of all that the system is trained on, before its loss is."""
    stages, count = system.stages, 0

    def counted(loss):
        def counting(samples):
            nonlocal count
            count += 1
            if count == batch:
                happens()
            return loss(samples)

        return counting

    def counted_stages(prepared):
        for stage in stages(prepared):
            stage.loss = counted(stage.loss)
            yield stage

    system.stages = counted_stages
    return system


def fit(name, run, folder, kill_at=None):
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    cls = CLASSES[name]
    system = cls(without_dropout(cls))
    if "RANK" in os.environ:
        lesson.NEAR = FAR
    if kill_at:
        happens_at(system, int(kill_at), lambda: os.kill(os.getpid(), signal.SIGKILL))
    save = {"save_seconds": 0} if kill_at else {}  # between all batches, so that it is killed with something kept
    system.fit(small(cls).data(), budget=Budget(max_epochs=2, accelerator="cpu", **save), run=Path(run))
    if os.environ.get("RANK", "0") == "0":
        system.save(Path(folder))


if __name__ == "__main__":
    fit(*sys.argv[1:])
