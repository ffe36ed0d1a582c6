"""Learning rates that follow a schedule, gradients that are clipped, averages of the weights."""

import dataclasses

import numpy as np
import pytest
import torch
from counting import Count, counting_stage, dies_at, limits, train

from tenfold.errors import OptionError, RunError
from tenfold.training import schedule


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
