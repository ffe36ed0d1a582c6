"""Lightning's Trainer as a budget asks for it, and the batches it is given."""

import logging
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Dataset, default_collate

from tenfold.budget import Limits
from tenfold.errors import OptionError, RunError
from tenfold.lightning_adapter.module import Trainable
from tenfold.lightning_adapter.named import callback, first_line, logger, made
from tenfold.training import Budget, Draw, Stage

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices and tips are not the user's concern
# How many workers prepare batches is the Budget's to say, and a stage may well have one batch.
warnings.filterwarnings("ignore", ".*does not have many workers.*|.*number of training batches.*", UserWarning)
warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*", UserWarning)  # those that are frozen

warnings.filterwarnings("ignore", ".*isinstance.treespec.*", FutureWarning)  # Lightning's own, against torch 2.13


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


def trainer_of(
    stage: Stage,
    budget: Budget,
    limits: Limits,
    run: Path | None,
    own: Sequence[Callback],
    processes: int,
    here: int,
) -> pl.Trainer:
    """own: the callbacks that every run has. processes: in all; here: on this machine. Raises OptionError."""
    callbacks = [*own, *(callback(text) for text in budget.callbacks)]
    found: pl.Trainer = made(
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
        logger=[logger(text, run) for text in budget.loggers] or False,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    return found


def fit(trainer: pl.Trainer, module: Trainable, loader: Batches, last: Path | None) -> None:
    if last is not None:
        try:
            damaged = zipfile.ZipFile(last).testzip()
            if damaged is not None:
                raise ValueError(f"its part {damaged} is damaged")
            held = torch.load(last, weights_only=True, mmap=True, map_location="cpu")
            done = int(held["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"])
        except Exception as error:
            raise RunError(f"{last} cannot be read ({error}); start the run anew in another folder") from None
        if done > module.limits.max_epochs:
            raise RunError(
                f"stage '{module.stage.name}' has {done} epochs behind it, and max_epochs is now "
                f"{module.limits.max_epochs}; give {done} or more, or start the run anew in another folder"
            )
    try:
        trainer.fit(module, cast(Any, loader), ckpt_path=last, weights_only=True)
    except MisconfigurationException as error:  # what a callback finds out only now
        raise OptionError(f"Lightning refuses this training: {first_line(error)}") from None


def form(budget: Budget) -> str:
    if budget.progress != "auto":
        return budget.progress
    return "bar" if sys.stderr.isatty() else "none"
