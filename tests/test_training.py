"""Best weights, patience and what is frozen, on a network of one number: it tells what it has seen."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from counting import Count, counting_stage, dies_at, limits, train
from torch import nn

from tenfold.errors import OptionError


def test_the_best_weights_are_kept_not_the_last():
    stage = counting_stage([0.1, 0.9, 0.2, 0.3])
    train(stage, limits(), None)
    assert stage.network.seen.item() == 8  # after the second epoch


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
