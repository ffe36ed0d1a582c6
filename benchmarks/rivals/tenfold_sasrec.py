"""Our side, run as the rivals are: a process of its own that fits SASRec and times the batches of an epoch.

`python -m benchmarks.rivals.tenfold_sasrec LOG [options]`; the last line printed is one JSON object.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from tenfold import SASRec


class Clock(Callback):
    """Real targets and seconds of an epoch's batches; of the first epoch without its first batches, the warm-up."""

    WARM_UP = 8
    timed: dict[str, Any]  # the last epoch; on the class, because `fit` makes the callback from its name

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.warm_up = self.WARM_UP if trainer.current_epoch == 0 else 0
        self.events, self.started, self.cpu_started = 0, time.perf_counter(), time.process_time()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if index < self.warm_up:
            self.started, self.cpu_started = time.perf_counter(), time.process_time()
            return
        self.events += int((batch.next != 0).sum())
        seconds = time.perf_counter() - self.started
        cpu, batches = time.process_time() - self.cpu_started, index + 1 - self.warm_up
        Clock.timed = {"events": self.events, "seconds": seconds, "cpu_seconds": cpu, "batches": batches}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--loss", default="bce", choices=["bce", "softmax"])
    parser.add_argument("--dim", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=2, help="the last one is timed")
    asked = parser.parse_args()
    system = SASRec(
        **{
            "dim": asked.dim,
            "heads": 1,
            "layers": 2,
            "expansion": 1,
            "dropout": 0.2,
            "loss.name": asked.loss,
            "training.batch_size": 128,
        }
    )
    clock = (f"{Clock.__module__}:Clock",)
    system.fit(asked.log, split="none", max_epochs=asked.epochs, accelerator="cpu", callbacks=clock)
    print(json.dumps(Clock.timed))


if __name__ == "__main__":
    # Run as a program this module is __main__; `fit` finds the callback by the module's own name.
    from benchmarks.rivals import tenfold_sasrec

    tenfold_sasrec.main()
