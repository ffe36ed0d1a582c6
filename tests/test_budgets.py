"""How long it is trained: limits of a fit and of a stage, validation between, several batches to a step."""

import pytest
import torch
from counting import counting_stage, dies_at, limits, train
from torch import nn
from torch.optim import SGD

from tenfold.budget import Spending
from tenfold.errors import OptionError
from tenfold.training import Budget, Stage


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
    "asked, own, epochs",
    [
        ({}, None, (20, None)),
        ({}, 10, (200, 10)),  # until it is no better
        ({"patience": 3}, 10, (200, 3)),
        ({"patience": 3}, None, (20, 3)),
        ({"max_epochs": 7}, 10, (7, None)),
        ({"max_epochs": 7, "patience": 2}, 10, (7, 2)),
        ({"stage": ("a.max_epochs=4",)}, 10, (4, None)),
    ],
)
def test_a_stage_goes_on_until_it_is_no_better_unless_epochs_are_asked_for(asked, own, epochs):
    assert Spending(Budget(**asked)).limits("a", 1.0, own)[:2] == epochs


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
