"""Trains a stage, and keeps in its run what is needed to go on or to read it again."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from torch import nn
from torch.utils.data import DataLoader

from tenfold.budget import Limits, Spending
from tenfold.errors import RunError
from tenfold.files import digest, write_whole
from tenfold.lightning_adapter.keeping import InterruptedBetweenBatchesError, Keep
from tenfold.lightning_adapter.module import Trainable
from tenfold.lightning_adapter.progress import Progress
from tenfold.lightning_adapter.trainer import Batches, Fetched, fit, form, trainer_of
from tenfold.ops.heap import give_back_freed_memory, keep_freed_memory
from tenfold.ops.threads import unused_cores
from tenfold.training import Budget, EpochBatches, Stage

TORCHRUN = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}  # what torchrun says in the environment
DONE = "done.json"  # of a stage that ended: what it cost, why it ended, and digests of its other files


def train(stage: Stage, budget: Budget, spending: Spending, run: Path | None, *, anew: bool = False) -> bool:
    """Train the stage in place within what the fit may still spend; False where it was read from its run instead.

    With a folder `run`, what is needed to go on is kept there. anew: an earlier stage has changed, and what the run
    holds of this one counts no more.  Raises RunError, TrainingError, and KeyboardInterrupt after Ctrl-C; the run
    folder then holds what is needed to go on.
    """
    limits = spending.limits(stage.name, stage.share, stage.patience)
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
        whole = found.pop("digest") == _digest_of(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise RunError(f"{path} was changed or cut short; start the run anew in another folder")
    return cast(dict[str, Any], found)


def _digest_of(about: dict[str, Any]) -> str:
    return digest(json.dumps(about, sort_keys=True).encode())


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
    progress = Progress(stage, form(budget), limits)
    trainer = trainer_of(stage, budget, limits, run, [keep, progress], processes, here)
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
            fit(trainer, module, Batches(loader), last)
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
    write_whole(folder / DONE, json.dumps(about | {"digest": _digest_of(about)}).encode())
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
