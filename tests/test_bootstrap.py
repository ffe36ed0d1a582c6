"""Intervals against an independent bootstrap, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import bootstrap

from tenfold.errors import DataError
from tenfold.metrics import bootstrap as ours
from tenfold.metrics.bootstrap import difference_interval, mean_interval


def gamma(users, seed=0):
    return np.random.default_rng(seed).gamma(0.5, size=users)


@pytest.mark.parametrize("users", [37, 900])
def test_intervals_equal_scipys(users):
    first, second = gamma(users), gamma(users, seed=1)
    kind = {"method": "percentile", "n_resamples": 20_000, "rng": np.random.default_rng(5)}
    expected = bootstrap((first,), np.mean, **kind).confidence_interval
    width = expected.high - expected.low
    assert mean_interval(first) == pytest.approx(tuple(expected), abs=0.05 * width)
    paired = bootstrap((first, second), lambda a, b, axis: np.mean(a - b, axis), paired=True, **kind)
    width = paired.confidence_interval.high - paired.confidence_interval.low
    assert difference_interval(first, second) == pytest.approx(tuple(paired.confidence_interval), abs=0.05 * width)


def test_many_users_are_pooled_without_changing_the_interval(monkeypatch):
    values = np.sort(gamma(3_001))  # neighbours in the file may be alike: groups must not be of neighbours
    alone = mean_interval(values)
    monkeypatch.setattr(ours, "MOST", 700)
    pooled = mean_interval(values)
    assert pooled != alone and pooled == pytest.approx(alone, abs=0.1 * (alone[1] - alone[0]))


def test_chunks_of_draws_change_nothing(monkeypatch):
    whole = mean_interval(gamma(41))
    monkeypatch.setattr(ours, "CHUNK", 41 * 7)  # 2,000 is no multiple of 7
    assert mean_interval(gamma(41)) == whole == mean_interval(gamma(41))


def test_mean_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        low, high = mean_interval(rng.exponential(size=150))
        held += low <= 1 <= high
    assert 180 <= held <= 198


def test_few_repeats_have_the_interval_of_a_t():
    values = np.array([1.5, 1.6, 1.7])
    half = stats.t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert mean_interval(values) == pytest.approx((1.6 - half, 1.6 + half), abs=0.05 * half)
    held, rng = 0, np.random.default_rng(7)
    for _ in range(400):
        low, high = mean_interval(rng.standard_normal(5))
        held += low <= 0 <= high
    assert 366 <= held <= 394  # 95 %, and three standard deviations of as many tosses


def test_one_user_and_figures_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="needs two or more of them; found 1"):
        mean_interval(np.ones(1))
    with pytest.raises(DataError, match="figure 2 of 3 is"):
        mean_interval(np.array([0.5, np.nan, 1.0]))
