"""A system with two stages: what follows a `yield` sees that stage trained, and resuming skips what is done."""

import json

import pytest
import torch
from another_task import Scales, weighings
from fit_one import happens_at
from small import BATCHES

from tenfold.errors import OptionError, RunError

LIMITS = {"max_epochs": 3, "accelerator": "cpu", "save_seconds": 0}
ALL = 2 * 3 * BATCHES  # two stages of three epochs


class NoPowerError(Exception):
    """What stops the first runs."""


def no_power():
    raise NoPowerError


@pytest.fixture(scope="module")
def whole():
    return Scales().fit(weighings(), **LIMITS)


def assert_equal(system, whole):
    assert system.seen == whole.seen
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, system.network.state_dict()[name]), name


@pytest.mark.parametrize("at", [1, 4, 8, 9, 16, 24, 25, 26, 32, 33, 41, 48])
def test_stopped_anywhere_it_goes_on_as_if_it_had_not(at, whole, tmp_path):
    with pytest.raises(NoPowerError):
        happens_at(Scales(), at, no_power).fit(weighings(), run=tmp_path, **LIMITS)
    # A process that was not killed keeps between all batches but the last of an epoch, which is kept at its end.
    left = ALL - (at - 1)
    resumed = happens_at(Scales(), left + 1, no_power).fit(weighings(), run=tmp_path, resume=True, **LIMITS)
    assert_equal(resumed, whole)


def test_a_finished_run_is_read_not_run_again(whole, tmp_path):
    Scales().fit(weighings(), run=tmp_path, **LIMITS)
    again = happens_at(Scales(), 1, no_power).fit(weighings(), run=tmp_path, resume=True, **LIMITS)
    kept = {stage: json.loads((tmp_path / stage / "history.json").read_text()) for stage in ("teacher", "student")}
    assert again.history == kept
    assert_equal(again, whole)


def test_what_else_decides_the_weights_is_a_part_of_the_run_and_of_the_artifact(tmp_path):
    system = Scales()
    system.unit = "ounce"
    with pytest.raises(NoPowerError):
        happens_at(system, 20, no_power).fit(weighings(), run=tmp_path / "run", **LIMITS)
    with pytest.raises(RunError, match="its depends on the unit is 'ounce', this one's 'gram'"):
        Scales().fit(weighings(), run=tmp_path / "run", resume=True, **LIMITS)
    system = Scales()
    system.unit = "ounce"
    system.fit(weighings(), run=tmp_path / "run", resume=True, **LIMITS).save(tmp_path / "saved")
    assert Scales.load(tmp_path / "saved").unit == "ounce"


class Drawing(Scales):
    """Draws between its stages, as one does that starts codewords from what it has learned."""

    def stages(self, prepared):
        assert self.budget.max_epochs == LIMITS["max_epochs"]
        for stage in super().stages(prepared):
            yield stage
            self.drawn = torch.randn(3).tolist()
            if stage.name == "teacher":
                self.between = self.drawn


def test_what_is_drawn_between_stages_does_not_depend_on_a_stop(tmp_path):
    uninterrupted = Drawing().fit(weighings(), **LIMITS)
    with pytest.raises(NoPowerError):
        happens_at(Drawing(), 30, no_power).fit(weighings(), run=tmp_path, **LIMITS)
    resumed = Drawing().fit(weighings(), run=tmp_path, resume=True, **LIMITS)
    assert resumed.between == uninterrupted.between


def test_two_stages_of_one_name_are_refused():
    class Twice(Scales):
        def stages(self, prepared):
            for stage in super().stages(prepared):
                stage.name = "one"
                yield stage

    with pytest.raises(ValueError, match="two stages are called 'one'"):
        Twice().fit(weighings(), **LIMITS)


def test_what_was_frozen_learns_again_afterwards(whole):
    assert whole.network["teacher"].say.weight.requires_grad


def test_a_total_is_shared_out_and_a_stage_goes_on_when_there_is_more(whole, tmp_path):
    """Half of ten steps are the teacher's; with all the steps that three epochs need, both go on to the same end."""
    few = {**LIMITS, "max_steps": 10}
    short = Scales().fit(weighings(), run=tmp_path, **few)
    assert [short.history[stage][-1]["epoch"] for stage in ("teacher", "student")] == [5 / BATCHES, 5 / BATCHES]
    again = happens_at(Scales(), 1, no_power).fit(weighings(), run=tmp_path, resume=True, **few)
    assert_equal(again, short)
    longer = Scales().fit(weighings(), run=tmp_path, resume=True, **{**LIMITS, "max_steps": 2 * 3 * BATCHES})
    assert_equal(longer, whole)


def test_a_stage_by_name_has_its_own_limits():
    system = Scales().fit(weighings(), stage=("teacher.max_epochs=1", "pupil.max_epochs=1"), **LIMITS)
    assert [len(system.history[stage]) for stage in ("teacher", "student")] == [1, 3]
    assert "limits were given for stages that there are not: pupil" in system.notes


def test_the_last_weights_are_kept_beside_the_best(tmp_path):
    system = Scales(training=dict(lr=0.5)).fit(weighings(), **{**LIMITS, "max_epochs": 6})
    figures = [record["closeness"] for record in system.history["student"]]
    assert figures.index(max(figures)) < len(figures) - 1  # steps are too long to end with the best
    system.save(tmp_path)
    best, last = Scales.load(tmp_path), Scales.load(tmp_path, weights="last")
    part = weighings().part("validation")
    assert best.validate(part)["closeness"] == pytest.approx(max(figures))
    assert last.validate(part)["closeness"] == pytest.approx(figures[-1])
    last.save(tmp_path / "again")
    assert Scales.load(tmp_path / "again").validate(part)["closeness"] == pytest.approx(figures[-1])
    with pytest.raises(OptionError, match="weights are 'best' or 'last'; found 'worst'"):
        Scales.load(tmp_path, weights="worst")
