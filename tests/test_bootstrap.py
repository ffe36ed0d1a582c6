"""Intervals against an independent bootstrap, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from tenfold.errors import DataError
from tenfold.metrics import bootstrap as ours
from tenfold.metrics.bootstrap import difference_interval, mean_interval, ratio_interval


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


def test_a_ratio_holds_the_truth_as_often_as_it_says():
    """Users differ in what the arms gain on them, and stay who they are in all seeds, as on real data."""
    rng, held, narrow = np.random.default_rng(3), 0, 0
    for _ in range(200):
        gain = 0.1 + 0.9 * rng.standard_normal(120)  # of the first arm, by user
        runs = [{"a": 1 + gain + 0.3 * rng.standard_normal(120), "b": np.ones(120)} for _ in range(5)]
        low, high = ratio_interval(runs, "a", "b", same_users=True)
        held += low <= 1.1 <= high
        low, high = ratio_interval(runs, "a", "b", same_users=False)
        narrow += low <= 1.1 <= high
    assert 180 <= held <= 200
    assert narrow < 180  # a draw for each seed averages out what is odd about a user


def test_seeds_with_users_of_their_own_hold_the_truth_too():
    rng, held = np.random.default_rng(4), 0
    for _ in range(200):
        runs = []
        for users in (50, 61, 72, 83, 94):
            hard = rng.exponential(size=users)
            runs.append({"a": 1.2 * hard + 0.3 * rng.standard_normal(users), "b": hard})
        low, high = ratio_interval(runs, "a", "b", same_users=False)
        held += low <= 1.2 <= high
    assert 178 <= held <= 200


def test_pairs_see_what_means_hide():
    hard = np.random.default_rng(1).random(200)  # users differ far more than the arms do
    low, high = difference_interval(1.05 * hard, hard)
    assert 0 < low <= 0.05 * hard.mean() <= high
    low, high = ratio_interval([{"a": 1.05 * hard, "b": hard}] * 5, "a", "b", same_users=True)
    assert low == pytest.approx(1.05) and high == pytest.approx(1.05)


def test_a_rival_that_scores_nothing_makes_the_ratio_unbounded():
    hit = np.array([0.0, 1.0] * 9)
    assert ratio_interval([{"a": hit, "b": 0 * hit}], "a", "b", same_users=True)[1] == np.inf
    assert ratio_interval([{"a": 0 * hit, "b": 0 * hit}], "a", "b", same_users=True) == (0, np.inf)


def test_one_user_and_figures_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="needs two or more of them; found 1"):
        mean_interval(np.ones(1))
    with pytest.raises(DataError, match="figure 2 of 3 is"):
        mean_interval(np.array([0.5, np.nan, 1.0]))
