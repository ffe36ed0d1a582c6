"""Fits one system on the ring walks, in a process of its own so that it can be killed, or shared out by torchrun.

python tests/fit_one.py NAME RUN FOLDER [BATCH]   kills itself at that batch
"""

import os
import signal
import sys
from pathlib import Path

import torch
from conftest import ring_walks

from tenfold.options import flat, parse
from tenfold.systems import load_class
from tenfold.training import Budget


def without_dropout(cls):
    """Its tiny options; dropout differs between processes by design."""
    values = flat(vars(cls.tiny))
    return parse(type(cls.tiny), {n: 0.0 if n.endswith("dropout") else v for n, v in values.items()})


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    name, run, folder, *kill_at = sys.argv[1:]
    cls = load_class(name)
    system = cls(without_dropout(cls))
    if kill_at:
        loss, left = system.loss, int(kill_at[0])

        def dying_loss(batch):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(batch)

        system.loss = dying_loss
    system.fit(ring_walks(), budget=Budget(max_epochs=2, accelerator="cpu", save_seconds=0), run=Path(run))
    if os.environ.get("RANK", "0") == "0":
        system.save(Path(folder))
