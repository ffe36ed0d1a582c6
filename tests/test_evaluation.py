"""Figures that are means over units, and statistics of a whole set, with what makes both comparable."""

from functools import partial

import numpy as np
import pytest
from another_task import Scales, weighings, weighted_median
from scipy.stats import bootstrap

from tenfold.errors import DataError, OptionError
from tenfold.metrics import evaluation
from tenfold.metrics.evaluation import Evaluation, Statistic, base_name, draws_of
from tenfold.tune import watched


def median_of(values):
    return Statistic(partial(weighted_median, values), len(values))


def test_an_evaluation_holds_means_statistics_and_what_has_neither():
    off = np.random.default_rng(0).gamma(2.0, size=301)
    found = Evaluation.of(
        {"right": (off < 2).astype(float)},
        statistics={"median": median_of(off)},
        whole={"coverage@10": 0.5},
        protocol="as told",
        notes=["a note"],
    )
    assert dict(found) == {"right": (off < 2).mean(), "median": np.median(off), "coverage@10": 0.5}
    assert (found.protocol, found.notes) == ("as told", ["a note"])
    assert set(found.intervals) == {"right", "median"} == set(found.measured)
    expected = bootstrap((off,), np.median, method="percentile", n_resamples=4_000, rng=1).confidence_interval
    assert found.intervals["median"] == pytest.approx(tuple(expected), abs=0.2 * (expected.high - expected.low))


def test_draws_of_equal_sizes_are_pairs():
    off = np.random.default_rng(0).gamma(2.0, size=301)
    drawn = draws_of({"one": median_of(off), "two": median_of(off + 1), "three": off, "four": off + 1})
    assert np.allclose(drawn["two"] - drawn["one"], 1) and np.allclose(drawn["four"] - drawn["three"], 1)
    assert drawn["one"].std() > 0.01 and drawn["three"].std() > 0.01


def test_statistics_of_many_units_are_drawn_less_often_and_have_the_same_interval(monkeypatch):
    off = np.random.default_rng(0).gamma(2.0, size=3_001)
    calls = []

    def median(weights):
        calls.append(1)
        return weighted_median(off, weights)

    whole = Evaluation.of({}, statistics={"x": Statistic(median, len(off))}, protocol="").intervals["x"]
    monkeypatch.setattr(evaluation, "MANY", 3_000)
    calls.clear()
    fewer = Evaluation.of({}, statistics={"x": Statistic(median, len(off))}, protocol="").intervals["x"]
    assert len(calls) == evaluation.DRAWS_OF_MANY + 1
    assert fewer == pytest.approx(whole, abs=0.2 * (whole[1] - whole[0]))


def test_a_single_unit_and_a_figure_that_is_no_number_have_no_interval():
    alone = Evaluation.of({"right": np.ones(1)}, statistics={"median": median_of(np.ones(1))}, protocol="")
    assert alone.intervals == {} and dict(alone) == {"right": 1.0, "median": 1.0}
    odd = Evaluation.of({"a": np.array([1.0, np.nan, 2.0]), "b": np.array([1.0, 0.0, 2.0])}, protocol="")
    assert set(odd.intervals) == {"b"} and np.isnan(odd["a"])


def test_a_statistic_that_some_draws_do_not_have_uses_the_others():
    def share_of_first(weights, often):
        return weights[0] / weights[:often].sum() if weights[:often].sum() else np.nan

    most = Evaluation.of({}, statistics={"x": Statistic(partial(share_of_first, often=3), 50)}, protocol="")
    low, high = most.intervals["x"]
    assert -0.1 < low < 1 / 3 < high < 1.1
    few = Evaluation.of({}, statistics={"x": Statistic(lambda w: 1.0 if (w == 1).all() else np.nan, 50)}, protocol="")
    assert few.intervals == {} and few["x"] == 1.0


def test_what_cannot_be_an_evaluation_is_refused():
    with pytest.raises(DataError, match=r"right needs one number for each unit that was tested; found \(0,\)"):
        Evaluation.of({"right": np.zeros(0)}, protocol="")
    with pytest.raises(ValueError, match="two figures are called 'right'"):
        Evaluation.of({"right": np.ones(3)}, whole={"right": 1.0}, protocol="")


def test_the_old_name_still_works_and_says_so():
    found = Evaluation.of({"right": np.ones(3)}, protocol="")
    with pytest.warns(FutureWarning, match="Evaluation.by_user is called per_unit now"):
        assert found.by_user is found.per_unit


def test_what_is_watched_unless_told():
    whole = Evaluation.of({}, whole={"coverage": 0.1}, protocol="")
    assert watched(whole, None) == "coverage"  # there is nothing better
    both = Evaluation.of({"hr@5": np.ones(3), "ndcg@5": np.ones(3)}, whole={"a": 0.1}, protocol="")
    assert watched(both, None) == "ndcg@5"
    median = Evaluation.of({}, statistics={"median": median_of(np.ones(3))}, whole={"a": 0.1}, protocol="")
    assert watched(median, None) == "median" and watched(median, "a") == "a"
    with pytest.raises(OptionError, match="holds no figure to choose by"):
        watched(Evaluation.of({}, protocol=""), None)


def test_a_system_says_of_which_figures_less_is_better():
    assert Scales.direction("median_error") == Scales.direction("median_error@2") == -1
    assert Scales.direction("right") == 1
    names = ("hr@10(sampled-100)", "ece(attacked)", "median_rank (warm)", "mrr")
    assert [base_name(name) for name in names] == ["hr", "ece", "median_rank", "mrr"]
    found = Scales().fit(weighings(), max_epochs=2, progress="none").evaluate(weighings())
    low, high = found.intervals["median_error"]
    assert low <= found["median_error"] <= high
