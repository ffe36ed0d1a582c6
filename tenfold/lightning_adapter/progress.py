"""What a person sees of a training."""

import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from tenfold.budget import Limits, spelled
from tenfold.training import Stage, validated

TOLD_EVERY = 30.0  # seconds between two lines on where a training is


class Progress(Callback):
    """What a person sees of a stage: a bar with the time left, or lines, at each validation and twice a minute."""

    def __init__(self, stage: Stage, form: str, limits: Limits) -> None:
        self.stage, self.form, self.limits, self.bar, self.task = stage, form, limits, None, None
        self.told, self.began, self.first = 0.0, 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if self.form == "none" or trainer.global_rank > 0:
            return
        batches, most = trainer.num_training_batches, self.limits.max_epochs
        epochs = spelled(most, self.limits.patience)
        self._say(f"{self.stage.name}: {len(self.stage.data):,} samples, {batches:,} batches an epoch, {epochs}")
        self.told = self.began = time.monotonic()
        self.first = self._batches(trainer)
        if self.form != "bar":
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                   TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())  # fmt: skip
        bar: Any = Progress(*columns, console=Console(stderr=True))
        bar.start()
        total = most * trainer.num_training_batches
        self.bar, self.task = bar, bar.add_task(self.stage.name, total=total, completed=self.first)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=self._batches(trainer), description=self._where(trainer, 2))
        elif self.form == "lines" and trainer.global_rank == 0 and time.monotonic() - self.told >= TOLD_EVERY:
            batch = done_in_epoch(trainer)
            self._say(f"{self._where(trainer)}, batch {batch:,}/{trainer.num_training_batches:,}{self._left(trainer)}")

    def validated(self, trainer: pl.Trainer, figures: bool) -> None:
        """Called by the module: Lightning calls a callback before the epoch's validation."""
        if self.form == "lines" and trainer.global_rank == 0:
            self._say(self._where(trainer))

    @staticmethod
    def _batches(trainer: pl.Trainer) -> int:
        return int(trainer.current_epoch * trainer.num_training_batches + done_in_epoch(trainer))

    def _where(self, trainer: pl.Trainer, most: int | None = None) -> str:
        """most: figures of the last validation that are told; beside a bar there is no room for all."""
        told = f"{self.stage.name}: epoch {trainer.current_epoch + 1}/{self.limits.max_epochs}"
        if not self.stage.history:
            return told
        last = self.stage.history[-1]
        figures = [f"{name} {value:.4f}" for name, value in validated(last).items()]
        validation = f", validation {', '.join(figures[:most])}" if figures else ""
        return f"{told}, loss {last['loss']:.4f}{validation}"

    def _left(self, trainer: pl.Trainer) -> str:
        done, now = self._batches(trainer) - self.first, time.monotonic()
        if done <= 0:
            return ""
        rest = self.limits.max_epochs * trainer.num_training_batches - self.first - done
        seconds = rest * (now - self.began) / done
        if self.limits.max_seconds is not None:
            seconds = min(seconds, max(0.0, self.limits.max_seconds - (now - self.began)))
        return f", at most {seconds / 60:.0f} min left" if seconds >= 90 else f", at most {seconds:.0f} s left"

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self.told = time.monotonic()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def done_in_epoch(trainer: pl.Trainer) -> int:
    """Batches."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return int(progress.processed)
