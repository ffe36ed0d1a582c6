"""The search: defaults first, the same draws for the same seed, chosen by the validation part and nothing else."""

import json
import math
import random

import numpy as np
import pytest
from another_task import Scales, weighings

from tenfold.arms import Arm, parse_arm
from tenfold.errors import OptionError, TrainingError
from tenfold.system import Evaluation
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.training import Budget
from tenfold.tune import draws, searched, tune

BUDGET = Budget(max_epochs=1, progress="none")
TINY = "gru4rec:dim=8,training.length=12,training.batch_size=16"


def test_the_first_trial_is_the_arm_itself_and_a_longer_search_begins_with_a_shorter_one():
    arm = parse_arm(TINY)
    four, six = draws(arm, 4, seed=3), draws(arm, 6, seed=3)
    assert four[0] == arm.options and six[:4] == four
    assert len({repr(options) for options in six}) == 6
    assert draws(arm, 4, seed=4)[1:] != four[1:]


def test_what_was_given_stays_and_what_is_drawn_lies_in_its_range():
    arm = parse_arm(TINY)
    names = searched(arm)
    assert "training.lr" in names and "dim" not in names
    for options in draws(arm, 9, seed=1)[1:]:
        assert options.dim == 8 and options.training.length == 12
        assert 3e-4 <= options.training.lr <= 3e-3
    fixed = parse_arm(TINY + ",training.lr=0.02")
    assert set(searched(fixed)) == set(names) - {"training.lr"}
    assert {options.training.lr for options in draws(fixed, 5, seed=1)} == {0.02}


def test_the_best_of_the_validation_part_is_kept_and_every_trial_told(events, tmp_path):
    told, budget = [], Budget(max_epochs=6, progress="none")
    found = tune(TINY, events, trials=3, budget=budget, seed=2, log=told.append)
    assert [trial.number for trial in found.trials] == [1, 2, 3] and len(told) == 3
    figures = [trial.figure for trial in found.trials]
    assert found.trials[found.chosen - 1].figure == max(figures) > min(figures)
    assert found.system.options == found.best == draws(parse_arm(TINY), 3, seed=2)[found.chosen - 1]
    for trial, options in zip(found.trials, draws(parse_arm(TINY), 3, seed=2), strict=True):
        alone = GRU4Rec(options).fit(events, split="loo", budget=budget)
        assert trial.figure == alone.evaluate(events, part="validation")["ndcg@10"]
    found.save(tmp_path / "tuned.json")
    written = json.loads((tmp_path / "tuned.json").read_text())
    assert written["part"] == "validation" and written["best"]["dim"] == 8
    assert [trial["figure"] for trial in written["trials"]] == figures


def test_the_smallest_is_the_best_of_a_figure_of_which_less_is_better():
    arm, budget = Arm("scales", Scales, {}), Budget(max_epochs=4, progress="none")
    found = tune(arm, weighings(), trials=4, budget=budget, metric="median_error")
    figures = [trial.figure for trial in found.trials]
    assert found.trials[found.chosen - 1].figure == min(figures) < max(figures)
    assert found.system.evaluate(weighings(), part="validation")["median_error"] == min(figures)
    assert tune(arm, weighings(), trials=1, budget=budget).metric == "right"  # the first, unless told


def test_the_old_name_of_log_works_and_says_so(events):
    told = []
    with pytest.warns(FutureWarning, match="argument tell is called log now"):
        tune("popularity", events, budget=BUDGET, tell=told.append)
    assert len(told) == 1


def test_another_figure_may_be_watched(events):
    assert tune("popularity", events, metric="mrr", budget=BUDGET).metric == "mrr"
    with pytest.raises(OptionError, match=r"there is no figure 'ndcg@5'; did you mean 'ndcg@10'\?"):
        tune("popularity", events, metric="ndcg@5", budget=BUDGET)


def test_a_mean_over_users_is_watched_and_no_number_is_not_the_best_for_ever(events, monkeypatch):
    evaluate, calls = GRU4Rec.evaluate, []

    def sometimes(self, data, **protocol):
        found, per_unit = evaluate(self, data, **protocol), {"right": np.ones(61)}
        calls.append(self.options)
        figures = Evaluation({"whole": 0.5, "right": math.nan if len(calls) == 1 else 0.1 * len(calls)})
        figures.per_unit, figures.protocol = per_unit, found.protocol
        return figures

    monkeypatch.setattr(GRU4Rec, "evaluate", sometimes)
    monkeypatch.setattr(GRU4Rec, "figure_names", classmethod(lambda cls, dataset, **protocol: ()))
    found = tune(TINY, events, trials=3, budget=BUDGET)
    assert found.metric == "right" and found.chosen == 3


def test_an_arm_with_nothing_to_draw_is_fitted_once(events):
    found = tune("popularity", events, trials=5, budget=BUDGET)
    assert [trial.values for trial in found.trials] == [{}] and found.chosen == 1


def test_a_draw_that_cannot_be_trained_is_told_and_passed_over(events, monkeypatch):
    fit, calls = GRU4Rec.fit, []

    def sometimes(self, *args, **kwargs):
        calls.append(self.options)
        if len(calls) == 2:
            raise TrainingError("the loss is no number")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(GRU4Rec, "fit", sometimes)
    found = tune(TINY, events, trials=3, budget=BUDGET)
    assert found.trials[1].figure is None and found.trials[1].note == "failed: the loss is no number"
    assert found.chosen != 2 and [trial.number for trial in found.trials] == [1, 2, 3]
    calls[:] = [None]  # now the defaults fail: there is nothing to go on with
    with pytest.raises(TrainingError, match="no number"):
        tune(TINY, events, trials=3, budget=BUDGET)


def test_options_that_do_not_go_together_are_drawn_again(monkeypatch):
    seen = []

    def picky(rng: random.Random, given):
        seen.append(rng.random())
        if seen[-1] < 0.8:
            raise OptionError("dim does not divide by heads")
        return parse_arm(TINY).options

    monkeypatch.setattr(GRU4Rec, "draw_options", picky)
    assert len(draws(parse_arm(TINY), 3, seed=0)) == 3 and len(seen) > 2
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0)
    with pytest.raises(OptionError, match="100 draws gave no options that go together; the last: dim does not"):
        draws(parse_arm(TINY), 2, seed=0)


def test_no_trials_are_refused(events):
    with pytest.raises(OptionError, match="a search of 0 trials finds nothing"):
        tune("popularity", events, trials=0, budget=BUDGET)
