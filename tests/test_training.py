"""Order and best weights, on a network of one number: each batch adds to it, so that it tells what it has seen."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import SGD

from tenfold import lightning_adapter, run
from tenfold.budget import Spending
from tenfold.errors import OptionError, RunError
from tenfold.files import write_whole
from tenfold.lightning_adapter import progress
from tenfold.ops.threads import unused_cores
from tenfold.run import close_run, open_run
from tenfold.training import Budget, EpochBatches, Stage, schedule


def train(stage, budget, folder, **more):
    return lightning_adapter.train(stage, budget, Spending(budget), folder, **more)


def order(**fields):
    return EpochBatches(61, 8, **{"seed": 1, **fields})


def at(epoch, done, batches):
    batches.where = lambda: (epoch, done)
    draws = list(batches)
    assert all((draw.seed, draw.epoch) == (batches.seed, epoch) for draw in draws)
    return [draw.indices.tolist() for draw in draws]


def test_processes_share_out_the_batches_of_one():
    whole, parts = at(2, 0, order()), [at(2, 0, order(rank=r, processes=3)) for r in range(3)]
    assert [sorted(chain(*shares)) for shares in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]
    assert sorted(chain(*whole)) == list(range(61)) and {len(batch) for batch in whole} == {7, 8}


def test_order_is_of_seed_and_epoch_and_goes_on_where_it_was():
    assert at(0, 0, order()) != at(1, 0, order()) != at(1, 0, order(seed=2))
    assert at(1, 5, order()) == at(1, 0, order())[5:]


def test_batches_by_length_waste_little_and_stay_a_shuffle():
    lengths = np.random.default_rng(2).integers(1, 200, size=1_003)
    batches = EpochBatches(1_003, 8, seed=1, lengths=lambda seed, epoch: lengths)
    first, again, other = at(0, 0, batches), at(0, 0, batches), at(1, 0, batches)
    assert first == again != other and sorted(chain(*first)) == list(range(1_003))
    assert at(0, 7, batches) == first[7:]
    spread = [np.ptp(lengths[batch]) for batch in first]
    assert np.mean(spread) < 0.15 * np.mean([np.ptp(lengths[batch]) for batch in at(0, 0, order_of(1_003))])
    neighbours = [np.mean(lengths[a]) < np.mean(lengths[b]) for a, b in itertools.pairwise(first)]
    assert 0.3 < np.mean(neighbours) < 0.7  # batches come in no order of length


def order_of(size):
    return EpochBatches(size, 8, seed=1)


def test_nothing_to_train_on_is_said():
    with pytest.raises(OptionError, match="nothing to train on"):
        EpochBatches(0, 8, seed=1)


def test_more_processes_than_a_batch_can_feed_are_refused():
    with pytest.raises(OptionError, match="9 processes cannot share batches of 7"):
        order(processes=9)


class Count(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = nn.Parameter(torch.zeros(()))


def counting_stage(figures):
    """Its network's number grows by 1 with each of the 4 batches of an epoch; `figures` are what validation says."""
    network, left = Count(), list(figures)
    return Stage(
        name="count",
        network=network,
        data=list(range(8)),
        batch_size=2,
        loss=lambda batch: (-network.seen * len(batch), torch.tensor(float(len(batch)))),
        validate=lambda: {"figure": left.pop(0)},
        optimizer=lambda parameters: SGD(parameters, lr=1.0),
    )


def dies_at(stage, count):
    """The stage, whose loss fails after so many batches."""
    loss = stage.loss

    def dies(batch):
        nonlocal count
        count -= 1
        if count < 0:
            raise ZeroDivisionError
        return loss(batch)

    return dataclasses.replace(stage, loss=dies)


def limits(**fields):
    return Budget(**{"max_epochs": 4, "accelerator": "cpu", "save_seconds": 0, **fields})


def test_the_best_weights_are_kept_not_the_last():
    stage = counting_stage([0.1, 0.9, 0.2, 0.3])
    train(stage, limits(), None)
    assert stage.network.seen.item() == 8  # after the second epoch


def half_a_cosine_after_a_quarter(step, steps):
    done = (step + 0.5) / steps
    return done / 0.25 if done < 0.25 else 0.5 + 0.5 * np.cos(np.pi * (done - 0.25) / 0.75)


@pytest.mark.parametrize("stops", [None, 4, 5, 13])
def test_step_sizes_follow_their_schedule_over_a_stop_too(stops, tmp_path):
    stage = dataclasses.replace(counting_stage([]), validate=None, schedule=schedule("cosine", 0.25))
    if stops is not None:
        with pytest.raises(ZeroDivisionError):
            train(dies_at(stage, stops - 1), limits(), tmp_path)
        stage = dataclasses.replace(stage, network=Count())
        network = stage.network
        stage.loss = lambda batch: (-network.seen * len(batch), torch.tensor(float(len(batch))))
    train(stage, limits(), tmp_path)
    expected = sum(half_a_cosine_after_a_quarter(step, 16) for step in range(16))
    assert stage.network.seen.item() == pytest.approx(expected, rel=1e-6)


def test_a_schedule_cannot_become_longer_under_way(tmp_path):
    def stage(figures):
        return dataclasses.replace(counting_stage(figures), schedule=schedule("cosine", 0.0))

    with pytest.raises(IndexError):
        train(stage([0.1]), limits(), tmp_path)
    with pytest.raises(RunError, match="max_epochs and max_steps cannot be changed"):
        train(stage([0.1]), limits(max_epochs=5), tmp_path)
    train(stage([0.1, 0.2, 0.3, 0.4]), limits(), tmp_path)


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    with pytest.raises(ZeroDivisionError):
        train(dies_at(counting_stage([0.1, 0.2, 0.3]), 13), limits(), tmp_path)
    with pytest.raises(RunError, match="'count' has 3 epochs behind it, and max_epochs is now 2; give 3 or more"):
        train(counting_stage([]), limits(max_epochs=2), tmp_path)


def test_schedules():
    assert schedule("constant", 0.0) is None
    assert [schedule("constant", 0.5)(done) for done in (0.25, 0.5, 1.0)] == [0.5, 1.0, 1.0]
    assert schedule("cosine", 0.0)(1.0) == pytest.approx(0) and schedule("cosine", 0.2)(0.6) == pytest.approx(0.5)


def test_gradients_are_cut_down():
    stage = dataclasses.replace(counting_stage([]), validate=None, clip=0.25)
    train(stage, limits(), None)
    assert stage.network.seen.item() == pytest.approx(16 * 0.25, rel=1e-4)  # a gradient of 1 became one of a quarter


def moving_means(decay, steps):
    """Of a number that grows by 1 a step; the first step's is taken as it is."""
    means = [1.0]
    for seen in range(2, steps + 1):
        means.append(decay * means[-1] + (1 - decay) * seen)
    return means


def test_the_mean_of_the_weights_is_validated_and_kept_and_training_goes_on_without_it():
    stage = counting_stage([])
    stage.ema_decay, validated = 0.9, []
    stage.validate = lambda: {"figure": validated.append(stage.network.seen.item()) or len(validated) * 1.0}
    train(stage, limits(), None)
    means = moving_means(0.9, 16)
    assert validated == pytest.approx(means[3::4], rel=1e-6)
    assert stage.network.seen.item() == pytest.approx(means[-1], rel=1e-6)


def test_without_validation_the_mean_after_the_last_step_is_kept():
    stage = dataclasses.replace(counting_stage([]), validate=None, ema_decay=0.5)
    train(stage, limits(), None)
    assert stage.network.seen.item() == pytest.approx(moving_means(0.5, 16)[-1], rel=1e-6)


def test_the_mean_of_the_weights_goes_on_after_a_stop_inside_an_epoch(tmp_path):
    def dies(batch):
        if 5 in batch:
            raise ZeroDivisionError
        return stage.loss(batch)

    stage = dataclasses.replace(counting_stage([]), validate=None, ema_decay=0.5)
    with pytest.raises(ZeroDivisionError):
        train(dataclasses.replace(stage, loss=dies), limits(), tmp_path)
    assert 0 < stage.network.seen.item() < 4 and (tmp_path / "count" / "last.ckpt").exists()
    again = dataclasses.replace(counting_stage([]), validate=None, ema_decay=0.5)
    train(again, limits(), tmp_path)
    assert again.network.seen.item() == pytest.approx(moving_means(0.5, 16)[-1], rel=1e-6)


def test_codes_and_counters_have_no_mean():
    stage = dataclasses.replace(counting_stage([]), validate=None, ema_decay=0.9)
    stage.network.register_buffer("codes", torch.arange(40))
    stage.network.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    loss = stage.loss

    def counts(batch):
        stage.network.steps += 1
        return loss(batch)

    stage.loss = counts
    train(stage, limits(), None)
    assert torch.equal(stage.network.codes, torch.arange(40)) and stage.network.steps.item() == 16


@pytest.mark.parametrize("callback", ["EMAWeightAveraging:decay=0.9", "StochasticWeightAveraging:swa_lrs=0.1"])
def test_a_callback_that_averages_weights_is_refused(callback):
    with pytest.raises(OptionError, match="weights are averaged by the option ema_decay"):
        train(counting_stage([]), limits(callbacks=(callback,)), None)


def test_what_lightning_refuses_only_when_it_trains_is_one_sentence():
    with pytest.raises(OptionError, match=r"Lightning refuses this training: .*LearningRateMonitor"):
        train(counting_stage([]), limits(callbacks=("LearningRateMonitor",)), None)


def test_figures_of_numpy_can_be_gone_on_with(tmp_path):
    with pytest.raises(IndexError):
        train(counting_stage([np.float32(0.1), np.float64(0.2)]), limits(), tmp_path)
    stage = counting_stage([np.float32(0.3), np.float32(0.4)])
    train(stage, limits(), tmp_path)
    assert [record["figure"] for record in stage.history] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_first_figure_that_is_no_number_is_not_the_best_for_ever():
    stage = counting_stage([float("nan"), 0.2, 0.1, float("nan")])
    train(stage, limits(), None)
    assert stage.network.seen.item() == 8  # after the second epoch


def test_what_is_frozen_rests_also_as_a_part_of_the_network():
    class Both(Count):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Dropout(0.5))

    network, modes = Both(), []

    def loss(batch):
        modes.append((network.training, network.encoder.training))
        return -network.seen * len(batch), torch.tensor(float(len(batch)))

    stage = dataclasses.replace(
        counting_stage([0.1, 0.2]),
        network=network,
        frozen=[network.encoder],
        loss=loss,
        validate=lambda: {"figure": 1.0},
    )
    train(stage, limits(max_epochs=2), None)
    assert set(modes) == {(True, False)} and len(modes) == 8


def test_patience():
    stage = counting_stage([0.9, 0.1, 0.2])  # a fourth epoch would find no figure
    train(stage, limits(patience=2), None)
    assert stage.network.seen.item() == 4


@pytest.mark.parametrize(("patience", "epochs"), [(2, 3), (3, 4), (9, 6)])
def test_a_run_that_goes_on_has_the_patience_it_is_given_now(patience, epochs, tmp_path):
    figures = [0.5, 0.4, 0.3, 0.2, 0.6, 0.1]
    with pytest.raises(ZeroDivisionError):  # in the third epoch, after one that brought nothing
        train(dies_at(counting_stage(figures), 9), limits(max_epochs=6, patience=3), tmp_path)
    stage = counting_stage(figures[2:])
    train(stage, limits(max_epochs=6, patience=patience), tmp_path)
    assert len(stage.history) == epochs and stage.network.seen.item() == (20 if epochs > 4 else 4)


@pytest.mark.parametrize("limit", [{"patience": 2}, {"max_seconds": 1e-9}])
def test_what_was_stopped_in_its_last_validation_is_done(limit, tmp_path):
    """Ctrl-C while that is validated with which patience or time run out: nothing is left to train. What time ended
    within an epoch was kept before its validation, which is done again."""
    figures, budget = [0.5, 0.4, 0.3, 0.6], limits(**limit)
    whole, stopped = counting_stage(figures), counting_stage(figures)
    again = counting_stage(figures[:1] if "max_seconds" in limit else [])
    train(whole, budget, None)
    last, validate = len(whole.history), stopped.validate

    def interrupted():
        if len(stopped.history) + 1 == last:
            os.kill(os.getpid(), signal.SIGINT)
        return validate()

    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(stopped, validate=interrupted), budget, tmp_path)
    train(again, budget, tmp_path)
    assert last < 4 and again.network.seen == whole.network.seen
    assert [record["figure"] for record in again.history] == figures[:last]


def test_several_losses_are_added_each_with_its_own_weight():
    network = Count()

    def losses(batch):
        few = batch[batch == 3]  # one batch of four holds it
        weights = torch.tensor(float(len(batch))), torch.tensor(float(len(few)))
        return {"all": (network.seen * batch.sum(), weights[0]), "few": (-network.seen * 10.0 * len(few), weights[1])}

    stage = dataclasses.replace(counting_stage([]), network=network, loss=losses, validate=None)
    train(stage, limits(max_epochs=1), None)
    assert network.seen.item() == pytest.approx(10 - (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7) / 2)
    record = stage.history[0]
    assert record["loss"] == pytest.approx(record["loss/all"] + record["loss/few"]) and record["loss/few"] != 0


def test_a_run_that_dies_in_its_validation_validates_again(tmp_path):
    stage = counting_stage([0.1])
    with pytest.raises(IndexError):
        train(stage, limits(), tmp_path)
    stage = counting_stage([0.9, 0.2, 0.3])
    train(stage, limits(), tmp_path)
    assert stage.network.seen.item() == 8  # the second epoch's figure was asked for again, and is the best


def test_a_run_ends_within_the_epoch_in_which_its_time_is_up():
    stage = counting_stage([0.1])  # a second validation would find no figure
    train(stage, limits(max_seconds=1e-9), None)
    assert [(record["epoch"], record["figure"]) for record in stage.history] == [(0.25, 0.1)]
    assert stage.network.seen.item() == 1


@pytest.mark.parametrize("total, used_up", [("max_steps", 6), ("max_units", 12)])
def test_what_a_total_ended_goes_on_with_more_of_it_as_if_it_had_not_ended(total, used_up, tmp_path):
    """Six steps of two samples are an epoch and a half."""
    whole, ended = counting_stage([0.1, 0.5, 0.2, 0.3]), counting_stage([0.1, 0.9])
    train(whole, limits(), None)
    train(ended, limits(**{total: used_up}), tmp_path)
    assert [record["epoch"] for record in ended.history] == [1, 1.5] and ended.spent[total] == used_up
    again = counting_stage([])
    assert not train(again, limits(**{total: used_up}), tmp_path)  # nothing is left of it: read, not trained
    assert again.history == ended.history and again.network.seen == ended.network.seen
    longer = counting_stage([0.5, 0.2, 0.3])
    assert train(longer, limits(**{total: 100}), tmp_path)
    assert longer.network.seen == whole.network.seen
    assert [record["figure"] for record in longer.history] == [0.1, 0.5, 0.2, 0.3]


def test_totals_are_shared_out_and_what_is_left_over_goes_on():
    spending = Spending(
        Budget(max_seconds=100, max_steps=1_000, stage=("student.max_epochs=3", "teacher.max_steps=50"))
    )
    assert spending.limits("teacher", 0.3) == (20, None, 30, 50, None)
    spending.book({"max_seconds": 10, "max_steps": 50, "max_units": 7})
    assert spending.limits("student", 0.5) == (3, None, 70, 750, None)
    spending.book({"max_seconds": 70, "max_steps": 50, "max_units": 7})
    assert spending.limits("last", 1.0) == (20, None, 20, 900, None) and spending.unused() == []


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("teacher", "limits nothing; write NAME.LIMIT=VALUE"),
        ("teacher.epochs=3", "there is no limit 'epochs'; did you mean 'max_epochs'"),
        ("teacher.max_epochs=0", "found '0', expected a number above 0"),
        ("teacher.max_epochs=many", "found 'many', expected a number above 0"),
    ],
)
def test_limits_of_a_stage_that_limit_nothing_are_refused(text, sentence):
    with pytest.raises(OptionError, match=sentence):
        Spending(Budget(stage=(text,))).limits("teacher", 1.0)


def test_it_validates_as_often_as_it_is_told():
    stage = counting_stage([0.1, 0.2, 0.9, 0.3])
    train(stage, limits(validate_every=0.5, max_epochs=2), None)
    assert [record["epoch"] for record in stage.history] == [0.5, 1, 1.5, 2]
    assert stage.network.seen.item() == 6 and stage.last["seen"].item() == 8
    seldom = counting_stage([0.1, 0.2])
    train(seldom, limits(validate_every=3), None)
    assert [record.get("figure") for record in seldom.history] == [None, None, 0.1, 0.2]  # and at the end


@pytest.mark.parametrize("at", [3, 4, 5, 7])
def test_validations_within_epochs_resume_exactly(at, tmp_path):
    figures = [0.1, 0.2, 0.9, 0.3]
    budget, whole = limits(validate_every=0.5, max_epochs=2), counting_stage(figures)
    train(whole, budget, None)
    stopped = counting_stage(figures)
    with pytest.raises(ZeroDivisionError):
        train(dies_at(stopped, at), budget, tmp_path)
    again = counting_stage(figures[len(stopped.history) :])
    train(again, budget, tmp_path)
    assert [(r["epoch"], r["figure"]) for r in again.history] == [(r["epoch"], r["figure"]) for r in whole.history]
    assert again.network.seen == whole.network.seen


@pytest.mark.parametrize("weights", [[1.0] * 8, [1.0, 3.0, 2.0, 5.0, 0.5, 1.0, 4.0, 2.0]])
def test_batches_that_share_a_step_give_the_gradients_of_one(weights):
    """Whatever their weights are: two batches of two are one of four."""
    x, w = torch.arange(8.0), torch.tensor(weights)
    found = []
    for batch_size, accumulate in ((4, 1), (2, 2)):
        network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(network.weight, 0.5)

        def loss(batch, network=network):
            x, w = batch
            return ((network(x[:, None])[:, 0] - 1).square() * w).sum(), w.sum()

        one = Stage(name="one", network=network, loss=loss, data=InOrder(x, w), batch_size=batch_size,
                    optimizer=lambda parameters: SGD(parameters, lr=0.001))  # fmt: skip
        train(one, limits(max_epochs=1, accumulate=accumulate), None)
        found.append(network.weight.item())
        assert one.spent["max_steps"] == 2
    assert found[0] == pytest.approx(found[1], rel=1e-6) and found[0] != 0.5


class InOrder:
    """Samples in the order of the batches, so that batches of two halve those of four."""

    def __init__(self, x, w):
        self.x, self.w, self.at = x, w, 0

    def __len__(self):
        return len(self.x)

    def batch(self, draw):
        here = slice(self.at, self.at + len(draw.indices))
        self.at += len(draw.indices)
        return self.x[here], self.w[here]


@pytest.mark.parametrize("name", ["final.safetensors", "history.json", "last.safetensors", "done.json"])
def test_a_finished_stage_that_was_damaged_is_named(name, tmp_path):
    stage = counting_stage([0.1, 0.9, 0.2, 0.3])
    train(stage, limits(), tmp_path)
    path = tmp_path / "count" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"is not what the run wrote|was changed or cut short"):
        train(counting_stage([]), limits(), tmp_path)


def test_a_checkpoint_with_a_flipped_bit_is_named(tmp_path):
    with pytest.raises(IndexError):
        train(counting_stage([0.1]), limits(), tmp_path)
    path = tmp_path / "count" / "last.ckpt"
    content = bytearray(path.read_bytes())
    at = content.find(np.float32(4.0).tobytes())  # what the network had seen after an epoch
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"last.ckpt cannot be read"):
        train(counting_stage([0.1]), limits(), tmp_path)


def test_the_history_is_kept_over_a_stop(tmp_path):
    stage = counting_stage([0.1, 0.2])
    with pytest.raises(IndexError):
        train(stage, limits(), tmp_path)
    stage = counting_stage([0.3, 0.4])
    train(stage, limits(), tmp_path)
    assert [record["figure"] for record in stage.history] == [0.1, 0.2, 0.3, 0.4]
    assert [record["epoch"] for record in stage.history] == [1, 2, 3, 4]


def test_a_checkpoint_cut_short_is_named(tmp_path):
    with pytest.raises(IndexError):
        train(counting_stage([0.1]), limits(), tmp_path)
    path = tmp_path / "count" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"last\.ckpt cannot be read"):
        train(counting_stage([0.1]), limits(), tmp_path)


@pytest.mark.parametrize("logger", ["csv", "tensorboard", "csv:name=mine"])
def test_loggers_by_name_get_what_is_watched(logger, tmp_path):
    train(counting_stage([0.1, 0.2, 0.3, 0.4]), limits(loggers=(logger,)), tmp_path)
    logs = [path for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert any(path.name == "metrics.csv" or path.name.startswith("events.out") for path in logs)
    if logger != "tensorboard":
        assert "watched" in next(path for path in logs if path.name == "metrics.csv").read_text().splitlines()[0]


class Bare(Logger):
    """Says nothing of how it is made."""

    name, version = "bare", 0

    def log_metrics(self, metrics, step=None):
        calls.append(sorted(metrics))

    def log_hyperparams(self, *_, **__):
        calls.append("hyperparameters")


def test_a_logger_without_a_constructor_of_its_own(monkeypatch):
    calls.clear()
    monkeypatch.setitem(sys.modules, "tenfold.remembering", sys.modules[__name__])
    train(counting_stage([0.1]), limits(loggers=("tenfold.remembering:Bare",), max_epochs=1), None)
    assert any("watched" in names for names in calls)
    with pytest.raises(OptionError, match=r"logger 'logger' cannot be had here: .*abstract"):
        train(counting_stage([0.1]), limits(loggers=("logger",), max_epochs=1), None)


def test_callbacks_by_name(tmp_path):
    calls.clear()
    budget = limits(callbacks=("test_training:Remember:word=hello", "ModelSummary:max_depth=1"), max_epochs=1)
    # `test_training` has no dot, so it is looked for among Lightning's own.
    with pytest.raises(OptionError, match="there is no 'test_training'"):
        train(counting_stage([0.1]), budget, None)
    import tenfold

    tenfold.remembering = __import__("sys").modules[__name__]
    __import__("sys").modules["tenfold.remembering"] = tenfold.remembering
    train(counting_stage([0.1]), limits(callbacks=("tenfold.remembering:Remember:word=hello",), max_epochs=1), None)
    assert calls == ["hello"]


calls = []


class Remember(Callback):
    def __init__(self, word):
        self.word = word

    def on_train_start(self, trainer, module):
        calls.append(self.word)


def test_mixed_precision_computes_in_it():
    stage = counting_stage([0.1])
    seen, network = [], nn.Linear(3, 1)

    def loss(batch):
        y = network(torch.ones(len(batch), 3))
        seen.append(y.dtype)
        return y.float().sum(), torch.tensor(float(len(batch)))

    stage = dataclasses.replace(stage, network=network, loss=loss)
    train(stage, limits(precision="bf16-mixed", max_epochs=1), None)
    assert set(seen) == {torch.bfloat16} and network.weight.dtype == torch.float32


def test_what_is_offered_is_not_refused(tmp_path, monkeypatch):
    """Every callback that the refusal of an unknown name offers can be made, or asks for what it needs."""
    monkeypatch.chdir(tmp_path)  # where ModelCheckpoint writes
    with pytest.raises(OptionError) as told:
        train(counting_stage([0.1]), limits(callbacks=("zzz",)), None)
    offered = str(told.value).partition("there are ")[2].split(", ")
    assert "ModelCheckpoint" in offered and len(offered) > 8
    for name in offered:
        try:
            train(counting_stage([0.1]), limits(callbacks=(name,), max_epochs=1), None)
        except OptionError as error:
            assert "missing" in str(error) or "logger" in str(error), name
    for name in ("LearningRateFinder", "richprogressbar", "Callback"):
        assert name.lower() not in map(str.lower, offered)
        with pytest.raises(OptionError, match="cannot be used here: "):
            train(counting_stage([0.1]), limits(callbacks=(name,)), None)


def test_a_line_for_each_epoch(capsys):
    train(counting_stage([0.1, 0.9]), limits(progress="lines", max_epochs=2), None)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "count: 8 samples, 4 batches an epoch, at most 2 epochs"
    assert lines[1].startswith("count: epoch 1/2, loss") and lines[2].endswith("validation figure 0.9000")


def test_a_line_now_and_then_says_where_a_long_epoch_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_EVERY", 0.0)
    train(counting_stage([0.1, 0.9]), limits(progress="lines", max_epochs=2), None)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("count: epoch 1/2, batch 3/4, at most ") and line.endswith("left") for line in lines)


def test_threads_are_those_of_the_budget_and_are_put_back():
    before, found = torch.get_num_threads(), []
    stage = counting_stage([0.1])
    validate = stage.validate
    stage = dataclasses.replace(stage, validate=lambda: found.append(torch.get_num_threads()) or validate())
    train(stage, limits(max_epochs=1, threads=3), None)
    assert found == [3] and torch.get_num_threads() == before
    assert unused_cores() >= 1


def test_of_two_that_start_at_once_the_second_leaves_the_first_one_s_description(tmp_path, monkeypatch):
    """Both have seen an empty folder; the other one is quicker to the lock, and has written."""
    lock = run._lock

    def quicker(folder):
        (folder / "run.json").write_text('{"seed": 0}')
        write_whole(folder / "count" / "last.ckpt", b"something to go on with")
        lock(folder)

    monkeypatch.setattr(run, "_lock", quicker)
    with pytest.raises(RunError, match="holds another run: its seed is 0, this one's 1"):
        open_run(tmp_path / "run", {"seed": 1}, resume=False)
    assert (tmp_path / "run" / "run.json").read_text() == '{"seed": 0}'


def test_two_processes_never_train_in_one_folder(tmp_path):
    """The other one's lock goes when it goes, even by kill -9."""
    code = (
        f"from pathlib import Path; from tenfold.run import open_run; "
        f"open_run(Path({str(tmp_path / 'run')!r}), {{'seed': 1}}, resume=False); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=r"another process is training in .*run; wait until it ends"):
            open_run(tmp_path / "run", {"seed": 1}, resume=True)
        close_run(tmp_path / "run", failed=True, refused=True)
        assert (tmp_path / "run" / "run.json").exists()  # who was refused takes nothing of the other's away
        other.kill()
    open_run(tmp_path / "run", {"seed": 1}, resume=True)
    open_run(tmp_path / "run", {"seed": 1}, resume=True)  # its own lock hinders nobody
    with pytest.raises(RunError, match="holds another run: its seed is 1"):
        open_run(tmp_path / "run", {"seed": 2}, resume=True)
    close_run(tmp_path / "run")
