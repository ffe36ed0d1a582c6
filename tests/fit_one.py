"""Fits one system on its small data, in a process of its own so that it can be killed, or shared out among several.

python tests/fit_one.py NAME RUN FOLDER [BATCH]   kills itself at that batch; torchrun may share it out
python tests/fit_one.py --serve                   one order a line (JSON), one answer a line: the imports are paid once
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch
from small import CLASSES, small

import tenfold.lightning_adapter  # noqa: F401  the server's children have it already
from tenfold.options import flat, parse
from tenfold.training import Budget


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
    if kill_at:
        happens_at(system, int(kill_at), lambda: os.kill(os.getpid(), signal.SIGKILL))
    system.fit(small(cls).data(), budget=Budget(max_epochs=2, accelerator="cpu", save_seconds=0), run=Path(run))
    if os.environ.get("RANK", "0") == "0":
        system.save(Path(folder))


def forked(arguments, environment, output):
    """A child's number. Everything is imported before it begins, and nothing has run: it starts in no time."""
    child = os.fork()
    if child:
        return child
    os.setpgrp()
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(environment)
    try:
        fit(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def answer(order):
    """Fits in as many processes as are asked for, which share out the batches; their exit codes and what they said."""
    with tempfile.TemporaryFile() as output, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "TORCHELASTIC_RUN_ID": "one"}
        free.close()
        count = order["processes"]
        everywhere = {"WORLD_SIZE": f"{count}", "LOCAL_WORLD_SIZE": f"{count}", "GROUP_RANK": "0"} | shared
        ranks = (
            [{"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} | everywhere for rank in range(count)] if count > 1 else [{}]
        )
        left = [forked(order["arguments"], rank, output.fileno()) for rank in ranks]
        codes, until = [], time.monotonic() + order["seconds"]
        while left:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child:
                left.remove(child)
                codes.append(os.waitstatus_to_exitcode(status))
            elif time.monotonic() > until or any(codes):  # what waits for one that died would wait long
                for one in left:
                    os.kill(one, signal.SIGKILL)
                until = float("inf")
            else:
                time.sleep(0.01)
        output.seek(0)
        return {"codes": codes, "output": output.read().decode(errors="replace")}


if __name__ == "__main__":
    if sys.argv[1:] != ["--serve"]:
        fit(*sys.argv[1:])
    else:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
