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
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, default_collate

from tenfold.errors import OptionError, RunError, TrainingError, nearest
from tenfold.files import replacing, write_whole
from tenfold.ops.heap import give_back_freed_memory, keep_freed_memory
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
_SEARCH = "tune searches step sizes, and training.batch_size says the size of batches"
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


class Trainable(pl.LightningModule):
    """A stage in the form that a Trainer takes."""

    def __init__(self, stage: Stage, budget: Budget, progress: "Progress", steps: int) -> None:
        """steps: of the whole stage, if nothing stops it before its last epoch."""
        super().__init__()
        self.network = stage.network  # registered, so that its weights are moved, wrapped and checkpointed
        self.frozen = nn.ModuleList(stage.frozen)
        self.stage, self.budget, self.progress, self.steps = stage, budget, progress, steps
        self.best: tuple[float, dict[str, Tensor]] | None = None  # the watched figure and the weights that had it
        self.earlier_seconds, self.began = 0.0, time.monotonic()  # of training, before and since this process began
        self.sums: dict[str, list[float]] = {}  # of each part of the loss, it and its weight so far in this epoch
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

    def on_train_start(self) -> None:
        """Kept at the end of an epoch that was to be the last, a run has nothing left; Lightning forgets that."""
        if self.earlier_seconds and not self.sums:
            stops = [each for each in self.trainer.callbacks if isinstance(each, Patience)]  # type: ignore[attr-defined]
            limit = self.budget.max_seconds
            over = limit is not None and self.earlier_seconds >= limit
            self.trainer.should_stop |= over or any(each.spent for each in stops)

    def training_step(self, batch: Any, index: int) -> Tensor:
        # Once an epoch does not do: on resuming, Lightning starts the loader before the epoch's hook.
        torch.manual_seed(_seed(self.budget.seed, self.global_rank, self.current_epoch, index))
        found = self.stage.loss(batch)
        parts: list[Tensor] = []
        for name, (total, weight) in (found if isinstance(found, dict) else {"loss": found}).items():
            # Gradients are averaged over the processes: times their number, they are the sum over the whole batch.
            everywhere = cast(Tensor, self.trainer.strategy.reduce(weight.detach().clone(), reduce_op="sum"))
            parts.append(total * self.trainer.world_size / everywhere.clamp(min=1e-12))  # of nothing at all: 0
            sums, of = self.sums.setdefault(name, [0.0, 0.0]), float(everywhere)
            sums[0] += float(parts[-1].detach()) * of
            sums[1] += of
        loss = sum(parts[1:], parts[0])
        value = float(loss.detach())
        if not np.isfinite(value):
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise TrainingError(
                f"the loss of stage '{self.stage.name}' became {value} in epoch {self.current_epoch + 1}, "
                f"batch {index + 1}, at a learning rate of {lr:g}; try a smaller one, or precision 32-true"
            )
        self.log("loss", value)
        return loss

    def optimizer_step(self, *arguments: Any, **more: Any) -> None:
        super().optimizer_step(*arguments, **more)
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

    def on_train_epoch_end(self) -> None:
        parts = {name: total / max(weight, 1e-12) for name, (total, weight) in self.sums.items()}
        record = {"epoch": float(self.current_epoch + 1), "loss": sum(parts.values())}
        self.sums = {}
        record["seconds"] = self.seconds
        if self.stage.validate is not None:
            self.network.eval()
            # What validation draws is the same in all processes, which must agree on what is best. Five numbers: numpy
            # fills up with zeros to four, and these are no batch's.
            torch.manual_seed(_seed(self.budget.seed, 0, self.current_epoch, 0, 1))
            with self.mean_weights():
                with torch.no_grad():  # plain numbers: those of numpy could not be read back from a checkpoint
                    figures = {name: float(value) for name, value in self.stage.validate().items()}
                watched = next(iter(figures.values()))
                if self.best is None or watched > self.best[0] or np.isnan(self.best[0]):
                    self.best = watched, {name: w.detach().clone() for name, w in self.network.state_dict().items()}
            self.learn()
            self.log_dict({**figures, "watched": watched})
            record |= figures
        if len(parts) > 1:
            apart = {f"loss/{name}": value for name, value in parts.items()}
            self.log_dict(apart)
            record |= apart
        self.stage.history.append(record)
        self.progress.epoch_ends(self.trainer)
        if self.budget.max_seconds is not None:  # the first process's clock decides for all
            self.trainer.should_stop |= self.trainer.strategy.broadcast(self.seconds >= self.budget.max_seconds)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["best"] = self.best
        checkpoint["so far"] = {"seconds": self.seconds, "sums": self.sums, "history": self.stage.history}
        checkpoint["steps"] = self.steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises RunError where the step sizes would go on by another schedule than they began."""
        if self.stage.schedule is not None and checkpoint["steps"] != self.steps:
            raise RunError(
                f"the step sizes of stage '{self.stage.name}' follow a schedule over all epochs, so max_epochs cannot "
                "be changed; give the number with which the run began, or start another run from what it saved"
            )
        self.best = checkpoint["best"]
        self.earlier_seconds, self.sums = checkpoint["so far"]["seconds"], checkpoint["so far"]["sums"]
        self.stage.history[:] = checkpoint["so far"]["history"]

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


class Patience(EarlyStopping):
    """A run that goes on has the patience that it is given now; Lightning would put back the older one."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        given = self.patience
        super().load_state_dict(state_dict)
        self.patience = given

    @property
    def spent(self) -> bool:
        return self.wait_count >= self.patience


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
        if index + 1 < trainer.num_training_batches:  # the last batch's turn comes after the validation
            self._keep(trainer, due=self.interrupted or time.monotonic() - self.kept >= self.seconds)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        self._keep(trainer, due=True)

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
    """What a person sees of a stage: a bar with the time left, or a line for each epoch."""

    def __init__(self, stage: Stage, form: str) -> None:
        self.stage, self.form, self.bar, self.task = stage, form, None, None

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if self.form != "bar" or trainer.global_rank > 0:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                   TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())  # fmt: skip
        bar: Any = Progress(*columns, console=Console(stderr=True))
        bar.start()
        total = (trainer.max_epochs or 1) * trainer.num_training_batches
        self.bar, self.task = bar, bar.add_task(self.stage.name, total=total, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.global_step, description=self._told(trainer))

    def epoch_ends(self, trainer: pl.Trainer) -> None:
        """Called by the module: Lightning calls a callback before the epoch's validation."""
        if self.form == "lines" and trainer.global_rank == 0:
            print(self._told(trainer), file=sys.stderr, flush=True)

    def _told(self, trainer: pl.Trainer) -> str:
        told = f"{self.stage.name}: epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        if not self.stage.history:
            return told
        last = self.stage.history[-1]
        figures = [f"{n} {v:.4f}" for n, v in last.items() if n not in ("epoch", "seconds")][:2]
        return f"{told}, {', '.join(figures)}"

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def train(stage: Stage, budget: Budget, run: Path | None) -> None:
    """Raises KeyboardInterrupt after Ctrl-C; the run folder then holds what is needed to go on."""
    folder = None if run is None else run / stage.name
    if folder is not None and (folder / "final.safetensors").exists():
        stage.network.load_state_dict(safetensors.torch.load_file(folder / "final.safetensors"))
        stage.history[:] = json.loads((folder / "history.json").read_text())
        return
    rank, processes, here = (int(os.environ.get(n, d)) for n, d in TORCHRUN.items())
    keep = Keep(folder and folder / "last.ckpt", budget.save_seconds)
    progress = Progress(stage, _form(budget))
    trainer = _trainer(stage, budget, run, [keep, progress], processes, here)
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
    module = Trainable(stage, budget, progress, steps=len(order) * budget.max_epochs)
    keep_freed_memory()
    try:
        with keep.listening(), frozen(stage.frozen):
            module.learn()
            _fit(trainer, module, Batches(loader), last)
    except InterruptedBetweenBatchesError:
        raise KeyboardInterrupt from None
    finally:
        progress.close()
        give_back_freed_memory()
    if module.best is not None:
        stage.network.load_state_dict(module.best[1])
    elif module.mean is not None:
        stage.network.load_state_dict(module.mean.module.state_dict())
    # No collective may follow trainer.fit, which ends the group: the processes meet in the files.
    if folder is not None and rank == 0:
        write_whole(folder / "history.json", json.dumps(stage.history).encode())
        weights = {name: w.detach().cpu().clone().contiguous() for name, w in stage.network.state_dict().items()}
        write_whole(folder / "final.safetensors", safetensors.torch.save(weights))
        (folder / "last.ckpt").unlink(missing_ok=True)


def _trainer(
    stage: Stage, budget: Budget, run: Path | None, own: Sequence[Callback], processes: int, here: int
) -> pl.Trainer:
    """own: the callbacks that every run has. processes: in all; here: on this machine. Raises OptionError."""
    callbacks = [*own, *(_callback(text) for text in budget.callbacks)]
    if budget.patience is not None and stage.validate is not None:
        callbacks.append(Patience("watched", mode="max", patience=budget.patience, check_on_train_epoch_end=True))
    made: pl.Trainer = _made(
        pl.Trainer,
        f"accelerator={budget.accelerator}, precision={budget.precision}",
        max_epochs=budget.max_epochs,
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
