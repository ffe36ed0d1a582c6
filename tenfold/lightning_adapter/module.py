"""A stage in the form that Lightning trains: losses over processes and batches, totals, validation, best weights."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tenfold.budget import Limits
from tenfold.errors import RunError, TrainingError
from tenfold.lightning_adapter.progress import Progress, done_in_epoch
from tenfold.training import Budget, EpochBatches, Stage

if TYPE_CHECKING:
    from tenfold.lightning_adapter.keeping import Keep

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
            self._validate(self.current_epoch + done_in_epoch(self.trainer) / len(self.order))

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
        done = done_in_epoch(self.trainer) / len(self.order)  # less than 1 where a total ended it
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

    def _of_training(self) -> dict[str, Tensor]:
        """Buffers that training needs to go on and a fitted network does not: those that a module names so."""
        return {
            f"{name}.{buffer}": module.get_buffer(buffer)
            for name, module in self.network.named_modules()
            for buffer in getattr(module, "of_training", ())
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["best"], checkpoint["of training"] = self.best, self._of_training()
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
        for name, buffer in self._of_training().items():
            buffer.copy_(checkpoint["of training"][name])
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
