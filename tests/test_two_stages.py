"""A system with two stages: what follows a `yield` sees that stage trained, and resuming skips what is done."""

import pytest
import torch
from torch import nn

from tenfold.options import options
from tenfold.system import Evaluation, System
from tenfold.training import Stage

LIMITS = {"max_epochs": 3, "accelerator": "cpu", "save_seconds": 0}
BATCHES = 2 * 3 * 8  # two stages of three epochs of eight batches


class Pairs(list):
    fingerprint = "pairs"

    def sentences(self):
        return ["pairs are pairs"]


@options
class Options:
    width: int = 4


class TeacherAndStudent(System):
    options: Options

    def read(self, data, reading=None):
        return data

    def prepare(self, dataset, split):
        return dataset

    def learn_vocabularies(self, dataset):
        return {}

    def figures(self, data, **protocol):
        return {"loss": self.network["student"](torch.stack([x for x, _ in data])).detach().numpy()[:, 0]}

    def evaluate(self, data, **protocol):
        return Evaluation({name: float(values.mean()) for name, values in self.figures(data).items()})

    def build(self):
        return nn.ModuleDict({"teacher": nn.Sequential(nn.Dropout(), nn.Linear(3, 1)), "student": nn.Linear(3, 1)})

    def stages(self, data):
        teacher, student = self.network["teacher"], self.network["student"]
        yield Stage(name="teacher", network=teacher, data=data, batch_size=4, loss=self.teacher_loss)
        self.seen = teacher(data[0][0]).item()
        assert self.seen == teacher(data[0][0]).item()  # its dropout rests
        yield Stage(name="student", network=student, frozen=[teacher], data=data, batch_size=4, loss=self.student_loss)

    def teacher_loss(self, batch):
        x, y = batch
        return (self.network["teacher"](x) - y).square().sum(), torch.tensor(float(len(x)))

    def student_loss(self, batch):
        assert not self.network["teacher"][1].weight.requires_grad
        x, _ = batch
        return (self.network["student"](x) - self.network["teacher"](x)).square().sum(), torch.tensor(float(len(x)))


class NoPowerError(Exception):
    """What stops the first runs."""


class Dying(TeacherAndStudent):
    """Stops at one batch, counted over both stages."""

    at, count = 0, 0

    def step(self):
        self.count += 1
        if self.count == self.at:
            raise NoPowerError

    def teacher_loss(self, batch):
        self.step()
        return super().teacher_loss(batch)

    def student_loss(self, batch):
        self.step()
        return super().student_loss(batch)


@pytest.fixture(scope="module")
def pairs():
    torch.manual_seed(1)
    return Pairs((x, x.sum(0, keepdim=True)) for x in torch.randn(32, 3))


@pytest.fixture(scope="module")
def whole(pairs):
    return TeacherAndStudent().fit(pairs, **LIMITS)


def assert_equal(system, whole):
    assert system.seen == whole.seen
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, system.network.state_dict()[name]), name


@pytest.mark.parametrize("at", [1, 4, 8, 9, 16, 24, 25, 26, 32, 33, 41, 48])
def test_stopped_anywhere_it_goes_on_as_if_it_had_not(at, pairs, whole, tmp_path):
    dying = Dying()
    dying.at = at
    with pytest.raises(NoPowerError):
        dying.fit(pairs, run=tmp_path, **LIMITS)
    resumed = Dying()
    resumed.fit(pairs, run=tmp_path, resume=True, **LIMITS)
    # A process that was not killed keeps between all batches but the last of an epoch, which is kept at its end.
    assert resumed.count == BATCHES - (at - 1)
    assert_equal(resumed, whole)


def test_a_finished_run_is_read_not_run_again(pairs, whole, tmp_path):
    Dying().fit(pairs, run=tmp_path, **LIMITS)
    again = Dying()
    again.fit(pairs, run=tmp_path, resume=True, **LIMITS)
    assert again.count == 0 and again.history == whole_history(tmp_path)
    assert_equal(again, whole)


def whole_history(run):
    import json

    return {stage: json.loads((run / stage / "history.json").read_text()) for stage in ("teacher", "student")}


def test_what_was_frozen_learns_again_afterwards(whole):
    assert whole.network["teacher"][1].weight.requires_grad
