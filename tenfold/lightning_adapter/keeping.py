"""What a run needs to go on, kept between two batches; Ctrl-C is answered there."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from tenfold.files import replacing


class InterruptedBetweenBatchesError(Exception):
    """Ctrl-C between two batches; Lightning turns a KeyboardInterrupt into an exit of the whole process."""


class Keep(Checkpoint):
    """Keeps what a run needs to go on: every so often, at the end of an epoch, and at Ctrl-C before it stops.

    Ctrl-C is answered between two batches, where weights, optimizer and counters belong together; a second one at once.
    A Checkpoint to Lightning, because only those are called after the validation of an epoch, whose figures are kept.
    """

    def __init__(self, path: Path | None, seconds: float) -> None:
        self.path, self.seconds, self.kept, self.interrupted = path, seconds, time.monotonic(), False
        self.within = False  # whether a total was used up within an epoch

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # only there may a signal be caught
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def interrupt(*_: Any) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        # The last batch's turn comes after the validation; between two batches of one step nothing can be kept.
        if index + 1 < trainer.num_training_batches and (index + 1) % module.budget.accumulate == 0:
            module.after_batch(index)
            self.within = bool(module.stopped)
            late = time.monotonic() - self.kept >= self.seconds
            self._keep(trainer, due=self.interrupted or late or self.within)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        if not self.within:
            self._keep(trainer, due=True)
        elif trainer.strategy.broadcast(self.interrupted):  # what was kept within the epoch can go on
            raise InterruptedBetweenBatchesError

    def _keep(self, trainer: pl.Trainer, *, due: bool) -> None:
        due, stop = trainer.strategy.broadcast((due, self.interrupted))  # the first process decides for all
        if due and self.path is not None:
            self._write(trainer, self.path)
            self.kept = time.monotonic()
        if stop:
            raise InterruptedBetweenBatchesError

    def _write(self, trainer: pl.Trainer, path: Path) -> None:
        """Whole or not at all: a process killed while it writes leaves the checkpoint before this one."""
        if trainer.global_rank > 0:  # every process takes part, the first one writes
            trainer.save_checkpoint(path, weights_only=False)
            return
        with replacing(path) as beside:
            trainer.save_checkpoint(beside, weights_only=False)
