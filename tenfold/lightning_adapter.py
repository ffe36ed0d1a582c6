"""The one file that knows Lightning: progress, devices, processes, checkpoints, early stopping, exact resuming.

A run that is killed, also inside an epoch, and resumed gives the weights of an uninterrupted one because order is a
function of (seed, epoch), dropout of (seed, rank, epoch, batch), and what is kept is always kept between two batches.
"""

import importlib
import inspect
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import lightning.pytorch.callbacks
import lightning.pytorch.loggers
import numpy as np
import safetensors.torch
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, default_collate

from tenfold.budget import Limits, Spending
from tenfold.errors import OptionError, RunError, TrainingError, nearest
from tenfold.files import digest, replacing, write_whole
from tenfold.ops.heap import give_back_freed_memory, keep_freed_memory
from tenfold.ops.threads import unused_cores
from tenfold.options import assignments
from tenfold.training import Budget, Draw, EpochBatches, Stage

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices and tips are not the user's concern
# How many workers prepare batches is the Budget's to say, and a stage may well have one batch.
warnings.filterwarnings("ignore", ".*does not have many workers.*|.*number of training batches.*", UserWarning)
warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*", UserWarning)  # those that are frozen

warnings.filterwarnings("ignore", ".*isinstance.treespec.*", FutureWarning)  # Lightning's own, against torch 2.13

TORCHRUN = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}  # what torchrun says in the environment


_AVERAGE = (
    "it swaps weights around Lightning's validation, which is not ours; weights are averaged by the option ema_decay"
)
_SEARCH = "tune searches learning rates, and training.batch_size says the size of batches"
_BAR = "the budget's progress says what is shown (auto, bar, lines, none)"
_FREEZE = "what rests in training, and when, is said by a system's stages"
_WORDS = "words alone do not make one; give a class of your own, as package.module:Class"
REFUSED = {  # Lightning's callbacks that do nothing good here, and why
    "EMAWeightAveraging": _AVERAGE, "StochasticWeightAveraging": _AVERAGE, "WeightAveraging": _AVERAGE,
    "BatchSizeFinder": _SEARCH, "LearningRateFinder": _SEARCH,
    "ProgressBar": _BAR, "RichProgressBar": _BAR, "TQDMProgressBar": _BAR,
    "BackboneFinetuning": _FREEZE, "BaseFinetuning": _FREEZE,
    "BasePredictionWriter": "predict writes the answers",
    "Callback": _WORDS, "Checkpoint": _WORDS, "GradientAccumulationScheduler": _WORDS, "LambdaCallback": _WORDS,
    "ThroughputMonitor": _WORDS,
}  # fmt: skip


TOLD_EVERY = 30.0  # seconds between two lines on where a training is
LOOKED_AT = 50  # steps after which losses on a card are looked at: each look waits for the card


class Trainable(pl.LightningModule):
    """A stage in the form that a Trainer takes."""

    def __init__(
        self, stage: Stage, budget: Budget, limits: Limits, progress: "Progress", keep: "Keep", order: EpochBatches
    ) -> None:
        super().__init__()
        self.network = stage.network  # registered, so that its weights are moved, wrapped and checkpointed
        self.frozen = nn.ModuleList(stage.frozen)
        self.stage, self.budget, self.limits, self.progress, self.order = stage, budget, limits, progress, order
        self.keep = keep
        # Of the whole stage, if nothing stops it before its last epoch; an epoch ends with a step.
        self.steps = -(-len(order) // budget.accumulate) * limits.max_epochs
        if limits.max_steps is not None:
            self.steps = min(self.steps, int(limits.max_steps))
        self.steps = max(1, self.steps)
        self.best: tuple[float, dict[str, Tensor]] | None = None  # the watched figure and the weights that had it
        self.waited = 0  # validations since then
        self.validated = 0.0  # epochs that were done at the last validation
        self.earlier_seconds, self.began = 0.0, time.monotonic()  # of training, before and since this process began
        self.done_steps, self.done_units = 0, 0
        self.stopped = ""  # by which total, where one ended the training
        self.threads = torch.get_num_threads()
        self.sums: dict[str, list[Any]] = {}  # of each part of the loss, it and its weight so far in this epoch
        self.weights = 0.0  # of the batches that wait for a step, where several make one
        self.unseen: list[tuple[int, Tensor]] = []  # losses on a card that were not looked at yet, by batch
        # Registered as well, so that a checkpoint holds it; without gradients, so that no process waits for them.
        self.mean = (
            AveragedModel(stage.network, multi_avg_fn=get_ema_multi_avg_fn(stage.ema_decay), use_buffers=True)
            .eval()
            .requires_grad_(False)
            if stage.ema_decay
            else None
        )

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.began

    @property
    def spent(self) -> dict[str, float]:
        return {"max_seconds": self.seconds, "max_steps": self.done_steps, "max_units": self.done_units}

    @property
    def impatient(self) -> bool:
        return self.limits.patience is not None and self.waited >= self.limits.patience

    def on_train_start(self) -> None:
        """What was kept when nothing was left to train trains no further; Lightning forgets that."""
        if not self.earlier_seconds:
            return
        self.stopped = self.limits.reached(self.spent)
        self.trainer.should_stop |= bool(self.stopped) or self.impatient
        if self.stopped and self.sums:  # within an epoch, and interrupted before the validation that followed
            self.keep.within = True
            self._validate(self.current_epoch + _done_in_epoch(self.trainer) / len(self.order))

    def training_step(self, batch: Any, index: int) -> Tensor:
        # Once an epoch does not do: on resuming, Lightning starts the loader before the epoch's hook.
        torch.manual_seed(_seed(self.budget.seed, self.global_rank, self.current_epoch, index))
        found = self.stage.loss(batch)
        named = found if isinstance(found, dict) else {"loss": found}
        exactly = self.budget.accumulate > 1 and len(named) == 1  # batches of any weight add up to their mean
        parts: list[Tensor] = []
        for name, (total, weight) in named.items():
            # Gradients are averaged over the processes: times their number, they are the sum over the whole batch.
            everywhere = cast(Tensor, self.trainer.strategy.reduce(weight.detach().clone(), reduce_op="sum"))
            self._count(name, total.detach(), weight.detach())
            if exactly:
                parts.append(total * self.trainer.world_size)
                self.weights += float(everywhere)
            else:
                parts.append(total * self.trainer.world_size / everywhere.clamp(min=1e-12))  # of nothing at all: 0
        loss = sum(parts[1:], parts[0])
        self._look(index, loss.detach())
        self.log("loss", loss.detach() / max(float(everywhere), 1e-12) if exactly else loss.detach())
        if self.limits.max_units is not None:
            self.done_units += self._units(batch, index)
        return loss

    def _count(self, name: str, total: Tensor, weight: Tensor) -> None:
        """Into the sums of this epoch and process: numbers on the CPU, tensors on a card, which nobody waits for."""
        sums = self.sums.setdefault(name, [0.0, 0.0])
        for place, value in enumerate((total, weight)):
            sums[place] = sums[place] + (float(value) if value.device.type == "cpu" else value.float())

    def _look(self, index: int, loss: Tensor) -> None:
        """Raises TrainingError for a loss that is no number: at once on the CPU, on a card every so many steps."""
        self.unseen.append((index, loss))
        if loss.device.type != "cpu" and len(self.unseen) < LOOKED_AT and index + 1 < len(self.order):
            return
        values = torch.stack([each for _, each in self.unseen]).tolist()
        for (at, _), value in zip(self.unseen, values, strict=True):
            if not np.isfinite(value):
                lr = self.trainer.optimizers[0].param_groups[0]["lr"]
                raise TrainingError(
                    f"the loss of stage '{self.stage.name}' became {value} in epoch {self.current_epoch + 1}, "
                    f"batch {at + 1}, at a learning rate of {lr:g}; try a smaller one, or precision 32-true"
                )
        self.unseen.clear()

    def _units(self, batch: Any, index: int) -> int:
        """Of all processes."""
        if self.stage.units is None:
            return self.order.size // len(self.order) + (index < self.order.size % len(self.order))
        own = torch.tensor(float(self.stage.units(batch)), device=self.device)
        return int(cast(Tensor, self.trainer.strategy.reduce(own, reduce_op="sum")))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Of several batches: their gradients' sum, which Lightning divides by their number, over their weight."""
        if self.budget.accumulate > 1 and self.weights:
            factor = self.budget.accumulate / self.weights
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
            self.weights = 0.0

    def optimizer_step(self, *arguments: Any, **more: Any) -> None:
        super().optimizer_step(*arguments, **more)
        self.done_steps += 1
        if self.mean is None:
            return
        self.mean.update_parameters(self.network)  # here, because a checkpoint may be written right after the step
        for mean, own in zip(self.mean.module.buffers(), self.network.buffers(), strict=True):
            if not mean.is_floating_point():  # codes and counters have no mean
                mean.copy_(own)

    def learn(self) -> None:
        """Dropout is on from here, but for what is frozen, also where that is a part of the network."""
        self.network.train()
        self.frozen.eval()

    @contextmanager
    def mean_weights(self) -> Iterator[None]:
        """In here the network has the mean of its weights, if one is kept."""
        if self.mean is None:
            yield
            return
        own = {name: w.detach().clone() for name, w in self.network.state_dict().items()}
        self.network.load_state_dict(self.mean.module.state_dict())
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def after_batch(self, index: int) -> None:
        """Within an epoch, before a checkpoint is kept there: whether to validate, and whether a total is used up."""
        batches = len(self.order)
        every = self.budget.validate_every * batches
        if every < batches and int((index + 1) / every) > int(index / every):
            self._validate(self.current_epoch + (index + 1) / batches)
        self.stopped = self.trainer.strategy.broadcast(self.limits.reached(self.spent))  # the first clock decides
        self.trainer.should_stop |= bool(self.stopped) or self.impatient

    def on_train_epoch_end(self) -> None:
        done = _done_in_epoch(self.trainer) / len(self.order)  # less than 1 where a total ended it
        epoch = self.current_epoch + done
        last = epoch >= self.limits.max_epochs or self.trainer.should_stop
        if last or epoch - self.validated >= self.budget.validate_every - 1e-9:
            self._validate(epoch)
        else:
            self._record(epoch, {})
        self.sums = {}
        self.stopped = self.stopped or self.trainer.strategy.broadcast(self.limits.reached(self.spent))
        self.trainer.should_stop |= bool(self.stopped) or self.impatient

    def _validate(self, epoch: float) -> None:
        """epoch: how many of them are done."""
        if epoch == self.validated:
            return
        figures: dict[str, float] = {}
        if self.stage.validate is not None:
            self.network.eval()
            # What validation draws is the same in all processes, which must agree on what is best. Five numbers: numpy
            # fills up with zeros to four, and these are no batch's. A validation within an epoch has its batch as well.
            within = round(epoch % 1 * len(self.order))
            state = torch.get_rng_state()
            torch.manual_seed(_seed(self.budget.seed, 0, int(np.ceil(epoch)) - 1, within, 1))
            with self.mean_weights():
                with torch.no_grad():  # plain numbers: those of numpy could not be read back from a checkpoint
                    figures = {name: float(value) for name, value in self.stage.validate().items()}
                watched = next(iter(figures.values()))
                self.waited += 1
                if self.best is None or watched > self.best[0] or np.isnan(self.best[0]) > np.isnan(watched):
                    self.best = watched, {name: w.detach().clone() for name, w in self.network.state_dict().items()}
                    self.waited = 0
            torch.set_rng_state(state)
            self.learn()
            self.log_dict({**figures, "watched": watched})
        self.validated = epoch
        self._record(epoch, figures)

    def _record(self, epoch: float, figures: dict[str, float]) -> None:
        """Of all processes: the mean loss since the epoch began, and what a validation found."""
        parts = {}
        for name, (total, weight) in self.sums.items():
            pair = torch.tensor([float(total), float(weight)], dtype=torch.float64)
            if self.trainer.world_size > 1:
                pair = cast(Tensor, self.trainer.strategy.reduce(pair.float().to(self.device), reduce_op="sum")).cpu()
            parts[name] = float(pair[0] / max(float(pair[1]), 1e-12))
        record = {"epoch": float(epoch), "loss": sum(parts.values()), "seconds": self.seconds} | figures
        if len(parts) > 1:
            apart = {f"loss/{name}": value for name, value in parts.items()}
            self.log_dict(apart)
            record |= apart
        self.stage.history.append(record)
        self.progress.validated(self.trainer, bool(figures))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["best"] = self.best
        sums = {name: [float(each) for each in pair] for name, pair in self.sums.items()}
        checkpoint["so far"] = {
            "seconds": self.seconds, "sums": sums, "history": self.stage.history, "waited": self.waited,
            "validated": self.validated, "units": self.done_units, "taken": self.done_steps, "weights": self.weights,
        }  # fmt: skip
        checkpoint["steps"], checkpoint["threads"] = self.steps, torch.get_num_threads()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises RunError where the learning rate would go on by another schedule than it began."""
        if self.stage.schedule is not None and checkpoint["steps"] != self.steps:
            raise RunError(
                f"the learning rate of stage '{self.stage.name}' follows a schedule over all steps, so max_epochs and "
                "max_steps cannot be changed; give the numbers with which the run began, or start another run from "
                "what it saved"
            )
        self.best, so_far = checkpoint["best"], checkpoint["so far"]
        self.earlier_seconds, self.sums, self.waited = so_far["seconds"], so_far["sums"], so_far["waited"]
        self.validated, self.done_units, self.done_steps = so_far["validated"], so_far["units"], so_far["taken"]
        self.weights = so_far["weights"]
        self.stage.history[:] = so_far["history"]
        if self.budget.threads is None:  # sums in another order are other sums
            torch.set_num_threads(checkpoint["threads"])

    def configure_optimizers(self) -> Any:
        optimizer, factor = self.stage.optimizer(self.network.parameters()), self.stage.schedule
        if factor is None:
            return optimizer
        rates = LambdaLR(optimizer, lambda step: float(factor(min((step + 0.5) / self.steps, 1.0))))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


def _seed(*where: int) -> int:
    return int(np.random.SeedSequence(where).generate_state(1, np.uint64)[0])


class Fetched(Dataset[Any]):
    """A stage's data as a loader asks for it: a batch at a time, by what the sampler drew."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __getitems__(self, draw: Draw) -> Any:
        if hasattr(self.data, "batch"):
            return self.data.batch(draw)
        return default_collate([self.data[int(i)] for i in draw.indices])


class Batches:
    """A loader that starts when its first batch is asked for; Lightning would start it before it restores the epoch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        yield from self.loader

    def __len__(self) -> int:
        return len(self.loader)

    def state_dict(self) -> dict[str, Any]:
        return {}  # the place is in Lightning's own counters; without these two methods it warns that there is none

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing is kept here, so there is nothing to load."""


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


class Progress(Callback):
    """What a person sees of a stage: a bar with the time left, or lines, at each validation and twice a minute."""

    def __init__(self, stage: Stage, form: str, limits: Limits) -> None:
        self.stage, self.form, self.limits, self.bar, self.task = stage, form, limits, None, None
        self.told, self.began, self.first = 0.0, 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if self.form == "none" or trainer.global_rank > 0:
            return
        batches, most = trainer.num_training_batches, self.limits.max_epochs
        epochs = f"at most {most:,} epoch{'s' if most > 1 else ''}"
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
            self.bar.update(self.task, completed=self._batches(trainer), description=self._where(trainer))
        elif self.form == "lines" and trainer.global_rank == 0 and time.monotonic() - self.told >= TOLD_EVERY:
            batch = _done_in_epoch(trainer)
            self._say(f"{self._where(trainer)}, batch {batch:,}/{trainer.num_training_batches:,}{self._left(trainer)}")

    def validated(self, trainer: pl.Trainer, figures: bool) -> None:
        """Called by the module: Lightning calls a callback before the epoch's validation."""
        if self.form == "lines" and trainer.global_rank == 0:
            self._say(self._where(trainer))

    @staticmethod
    def _batches(trainer: pl.Trainer) -> int:
        return int(trainer.current_epoch * trainer.num_training_batches + _done_in_epoch(trainer))

    def _where(self, trainer: pl.Trainer) -> str:
        told = f"{self.stage.name}: epoch {trainer.current_epoch + 1}/{self.limits.max_epochs}"
        if not self.stage.history:
            return told
        last = self.stage.history[-1]
        figures = [f"{n} {v:.4f}" for n, v in last.items() if n not in ("epoch", "loss", "seconds") and "/" not in n][
            :2
        ]
        validation = f", validation {', '.join(figures)}" if figures else ""
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


def _done_in_epoch(trainer: pl.Trainer) -> int:
    """Batches."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return int(progress.processed)


DONE = "done.json"  # of a stage that ended: what it cost, why it ended, and digests of its other files


def train(stage: Stage, budget: Budget, spending: Spending, run: Path | None, *, anew: bool = False) -> bool:
    """Train the stage in place within what the fit may still spend; False where it was read from its run instead.

    With a folder `run`, what is needed to go on is kept there. anew: an earlier stage has changed, and what the run
    holds of this one counts no more.  Raises RunError, TrainingError, and KeyboardInterrupt after Ctrl-C; the run
    folder then holds what is needed to go on.
    """
    limits = spending.limits(stage.name, stage.share)
    folder = None if run is None else run / stage.name
    if folder is not None and anew and folder.is_dir():
        for name in (DONE, "final.safetensors", "last.safetensors", "history.json", "last.ckpt"):
            (folder / name).unlink(missing_ok=True)
    done = None if folder is None else _done(folder)
    if folder is not None and done is not None and not _goes_on(folder, done, limits):
        _read_stage(stage, folder, done)
        trained = False
    else:
        with computing(budget):
            _train(stage, budget, limits, run, folder)
        trained = True
    spending.book(stage.spent)
    stage.network.eval()  # what follows uses it; a teacher with dropout would teach noise
    return trained


def _goes_on(folder: Path, done: dict[str, Any], limits: Limits) -> bool:
    """Whether a stage that a total ended has more of that total now."""
    if not done["stopped"] or not (folder / "last.ckpt").exists():
        return False
    return not limits.reached(done["spent"])


def _done(folder: Path) -> dict[str, Any] | None:
    """Raises RunError."""
    path = folder / DONE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        whole = isinstance(found["spent"], dict) and isinstance(found["digests"], dict) and "stopped" in found
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise RunError(f"{path} was changed or cut short; start the run anew in another folder")
    return cast(dict[str, Any], found)


def _read_stage(stage: Stage, folder: Path, done: dict[str, Any]) -> None:
    content = {}
    for name, wanted in done["digests"].items():
        path = folder / name
        content[name] = path.read_bytes() if path.is_file() else b""
        if digest(content[name]) != wanted:
            raise RunError(f"{path} is not what the run wrote: it was damaged or changed; start the run anew")
    stage.network.load_state_dict(safetensors.torch.load(content["final.safetensors"]))
    if "last.safetensors" in content:
        stage.last = safetensors.torch.load(content["last.safetensors"])
    stage.history[:] = json.loads(content["history.json"])
    stage.spent = done["spent"]


def _train(stage: Stage, budget: Budget, limits: Limits, run: Path | None, folder: Path | None) -> None:
    rank, processes, here = (int(os.environ.get(n, d)) for n, d in TORCHRUN.items())
    keep = Keep(folder and folder / "last.ckpt", budget.save_seconds)
    progress = Progress(stage, _form(budget), limits)
    trainer = _trainer(stage, budget, limits, run, [keep, progress], processes, here)
    order = EpochBatches(
        len(stage.data),
        stage.batch_size,
        seed=budget.seed,
        rank=rank,
        processes=processes,
        lengths=getattr(stage.data, "lengths", None),
    )
    place: Any = trainer.fit_loop.epoch_loop.batch_progress
    order.where = lambda: (trainer.current_epoch, place.current.processed)
    loader = DataLoader(Fetched(stage.data), batch_sampler=cast(Any, order), num_workers=budget.workers,
                        collate_fn=lambda batch: batch)  # fmt: skip
    last = keep.path if keep.path is not None and keep.path.exists() else None
    module = Trainable(stage, budget, limits, progress, keep, order)
    try:
        with keep.listening(), frozen(stage.frozen):
            module.learn()
            _fit(trainer, module, Batches(loader), last)
    except InterruptedBetweenBatchesError:
        raise KeyboardInterrupt from None
    finally:
        progress.close()
    device = trainer.strategy.root_device  # Lightning brings everything back to the CPU
    for network in (stage.network, *stage.frozen):
        network.to(device)
    stage.spent = module.spent
    if module.mean is not None:
        stage.network.load_state_dict(module.mean.module.state_dict())
    if module.best is not None:
        if module.waited:  # the last weights were not the best
            stage.last = {name: w.detach().cpu().clone() for name, w in stage.network.state_dict().items()}
        stage.network.load_state_dict(module.best[1])
    # No collective may follow trainer.fit, which ends the group: the processes meet in the files.
    if folder is not None and rank == 0:
        _write_stage(stage, folder, stopped=module.stopped if keep.within else "")


def _write_stage(stage: Stage, folder: Path, *, stopped: str) -> None:
    """done.json comes last: where it stands, the rest is whole. stopped: by which total, where it can go on."""
    weights = {name: w.detach().cpu().clone().contiguous() for name, w in stage.network.state_dict().items()}
    files = {
        "history.json": json.dumps(stage.history).encode(),
        "final.safetensors": safetensors.torch.save(weights),
    }
    if stage.last is not None:
        files["last.safetensors"] = safetensors.torch.save({n: w.contiguous() for n, w in stage.last.items()})
    for name, content in files.items():
        write_whole(folder / name, content)
    digests = {name: digest(content) for name, content in files.items()}
    about = {"stopped": stopped, "spent": stage.spent, "digests": digests}
    write_whole(folder / DONE, json.dumps(about).encode())
    if not stopped:
        (folder / "last.ckpt").unlink(missing_ok=True)


@contextmanager
def computing(budget: Budget) -> Iterator[None]:
    """In here torch has as many threads as the budget says, or as there are cores that nobody else keeps busy; where
    OMP_NUM_THREADS or torchrun says how many, that holds."""
    before, wanted = torch.get_num_threads(), budget.threads
    if wanted is None and not os.environ.get("OMP_NUM_THREADS") and "RANK" not in os.environ:
        wanted = min(before, unused_cores())
    if wanted is not None and wanted != before:
        torch.set_num_threads(wanted)
    if budget.keep_memory:
        keep_freed_memory()
    try:
        yield
    finally:
        give_back_freed_memory()
        torch.set_num_threads(before)


def _trainer(
    stage: Stage,
    budget: Budget,
    limits: Limits,
    run: Path | None,
    own: Sequence[Callback],
    processes: int,
    here: int,
) -> pl.Trainer:
    """own: the callbacks that every run has. processes: in all; here: on this machine. Raises OptionError."""
    callbacks = [*own, *(_callback(text) for text in budget.callbacks)]
    made: pl.Trainer = _made(
        pl.Trainer,
        f"accelerator={budget.accelerator}, precision={budget.precision}",
        max_epochs=limits.max_epochs,
        min_epochs=0,
        accumulate_grad_batches=budget.accumulate,
        accelerator=budget.accelerator,
        precision=budget.precision,
        devices=here if processes > 1 else 1,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        use_distributed_sampler=False,  # EpochBatches deals out
        gradient_clip_val=stage.clip,
        callbacks=callbacks,
        logger=[_logger(text, run) for text in budget.loggers] or False,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    return made


def _fit(trainer: pl.Trainer, module: Trainable, loader: Batches, last: Path | None) -> None:
    if last is not None:
        try:
            damaged = zipfile.ZipFile(last).testzip()
            if damaged is not None:
                raise ValueError(f"its part {damaged} is damaged")
            torch.load(last, weights_only=True, mmap=True, map_location="cpu")
        except Exception as error:
            raise RunError(f"{last} cannot be read ({error}); start the run anew in another folder") from None
    try:
        trainer.fit(module, cast(Any, loader), ckpt_path=last, weights_only=True)
    except MisconfigurationException as error:  # what a callback finds out only now
        raise OptionError(f"Lightning refuses this training: {_first_line(error)}") from None


def _form(budget: Budget) -> str:
    if budget.progress != "auto":
        return budget.progress
    return "bar" if sys.stderr.isatty() else "none"


def _logger(text: Any, run: Path | None) -> Any:
    """'csv', 'tensorboard:name=x' or 'package.module:Class' -> a logger; it writes into the run's folder by default."""
    cls, arguments = _named(text, lightning.pytorch.loggers, "Logger")
    if "save_dir" not in arguments and "save_dir" in inspect.signature(cls).parameters:
        arguments["save_dir"] = str(run / "logs" if run else Path("logs"))
    return _made(cls, f"logger '{text}'", **arguments)


def _callback(text: Any) -> Any:
    cls, arguments = _named(text, lightning.pytorch.callbacks, "", without=REFUSED)
    name: str = cls.__name__
    if name in REFUSED and getattr(lightning.pytorch.callbacks, name, None) is cls:
        raise OptionError(f"callback '{text}' cannot be used here: {REFUSED[name]}")
    return _made(cls, f"callback '{text}'", **arguments)


def _made(cls: Any, asked: str, **arguments: Any) -> Any:
    """Raises OptionError where Lightning, or what it asks for, refuses: a missing card or package, a wrong argument."""
    try:
        return cls(**arguments)
    except (TypeError, ValueError, ImportError, RuntimeError, MisconfigurationException) as error:
        raise OptionError(f"{asked} cannot be had here: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _named(text: str, home: Any, ending: str, without: Collection[str] = ()) -> tuple[Any, dict[str, Any]]:
    """'NAME:KEY=VALUE,...' -> class and arguments, NAME being one of Lightning's `home` or 'any.module:Class'.

    without: classes that are not offered where a name is unknown.
    """
    module, _, rest = text.partition(":")
    name, values = module, rest
    if "." in module:  # somebody's own: package.module:Class:key=value
        name, _, values = rest.partition(":")
        try:
            home = importlib.import_module(module)
        except ImportError as error:
            raise OptionError(f"'{text}' cannot be had: {error}; name a module that can be imported") from None
    known = {n.lower(): getattr(home, n) for n in dir(home) if isinstance(getattr(home, n), type)}
    cls: Any = known.get(name.lower()) or known.get(f"{name}{ending}".lower())
    if cls is None:
        offered = sorted({one.__name__ for one in known.values()} - set(without))
        raise OptionError(f"there is no '{name}' in {home.__name__}; {nearest(name, offered)}")
    arguments = assignments(values.split(",")) if values else {}
    return cls, {key: _value(value) for key, value in arguments.items()}


def _value(text: str) -> Any:
    """A number, true, false or null as it is meant; anything else is text."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text


@contextmanager
def frozen(networks: Sequence[nn.Module]) -> Iterator[None]:
    """In here the networks' weights take no gradient; that their dropout rests is for `Trainable.learn`."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    modes = [(network, network.training) for network in networks]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for network, mode in modes:
            network.train(mode)
