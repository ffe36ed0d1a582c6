"""Intervals over units and seeds, by how often they hold the truth."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from tenfold.metrics import bootstrap
from tenfold.metrics.evaluation import Statistic
from tenfold.metrics.intervals import Sample, difference_interval, interval, ratio_interval, samples

USERS = 943  # of MovieLens-100K
TRIALS = 400
# So many of TRIALS tosses lie there in 999 of 1,000 runs if the coverage is 93 to 97 %.
FEWEST, MOST = int(stats.binom.ppf(0.0005, TRIALS, 0.93)), int(stats.binom.ppf(0.9995, TRIALS, 0.97))


@pytest.fixture
def fewer_draws(monkeypatch):
    """Enough for an interval whose coverage is counted, and drawn once: they are the same for so many users."""
    drawn, weights = {}, bootstrap._weights
    monkeypatch.setattr(bootstrap, "DRAWS", 400)

    def once(rng, *sizes):
        return drawn[sizes] if sizes in drawn else drawn.setdefault(sizes, weights(rng, *sizes))

    monkeypatch.setattr(bootstrap, "_weights", once)


def arm(rng, users, seeds, *, gain, spread, taste):
    """Skewed figures that users keep over seeds, what this method is to each of them, and what each seed draws anew.

    spread: the standard deviation between seeds, as a share of the figure.  taste: that of what users keep of a method.
    """
    own = gain * users * (1 + taste * rng.standard_normal(USERS))
    return [own * (1 + spread * rng.standard_normal()) + users**0.5 * rng.standard_normal(USERS) for _ in range(seeds)]


def covered(seeds, spread, taste, seed):
    """How often the intervals of a figure, a difference and a ratio hold the truth."""
    rng, held = np.random.default_rng(seed), np.zeros(3, dtype=int)
    for _ in range(TRIALS):
        users = rng.gamma(0.3, 1 / 0.3, USERS)  # their mean is 1
        first = arm(rng, users, seeds, gain=1.2, spread=spread, taste=taste)
        second = arm(rng, users, seeds, gain=1.0, spread=spread, taste=taste)
        found = samples({"a": first, "b": second})
        ends = [interval(found["a"]), difference_interval(found["a"], found["b"])]
        for n, ((low, high), true) in enumerate(zip(ends, (1.2, 0.2), strict=True)):
            held[n] += low <= true <= high
        # the ratio's interval holds r where that of first - r * second holds 0
        low, high = interval(found["a"].less(1.2, found["b"]))
        held[2] += low <= 0 <= high
    return held


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread, taste", [(0.05, 1.0), (0.1, 0.3)])
def test_ninety_five_percent_are_ninety_five_percent(seeds, spread, taste, fewer_draws):
    held = covered(seeds, spread, taste, seed=seeds)
    assert all(FEWEST <= each <= MOST for each in held), held / TRIALS


def test_one_seed_speaks_of_this_training_alone(fewer_draws):
    """Its interval holds what this training has on all users, and does not hold what the method has."""
    rng, fits, methods = np.random.default_rng(1), 0, 0
    for _ in range(TRIALS):
        users, luck = rng.gamma(0.3, 1 / 0.3, USERS), 1 + 0.15 * rng.standard_normal()
        low, high = interval(samples({"a": [users * luck]})["a"])
        fits += low <= luck <= high
        methods += low <= 1 <= high
    assert FEWEST <= fits <= MOST and methods < FEWEST


def test_seeds_with_units_of_their_own(fewer_draws):
    rng, held = np.random.default_rng(4), 0
    for _ in range(TRIALS):
        runs = [rng.exponential(size=units) * (1 + 0.1 * rng.standard_normal()) for units in (50, 61, 72, 83, 94)]
        low, high = interval(samples({"a": runs}, same_units=False)["a"])
        held += low <= 1 <= high
    assert FEWEST <= held <= MOST


def test_pairs_see_what_means_hide():
    hard = np.random.default_rng(1).random(200)  # users differ far more than the arms do
    found = samples({"a": [1.05 * hard] * 3, "b": [hard] * 3})
    low, high = difference_interval(found["a"], found["b"])
    assert 0 < low <= 0.05 * hard.mean() <= high
    assert ratio_interval(found["a"], found["b"]) == pytest.approx((1.05, 1.05))


def test_a_ratio_holds_what_a_difference_holds(fewer_draws):
    rng = np.random.default_rng(2)
    users = rng.gamma(0.3, 1 / 0.3, USERS)
    found = samples({name: arm(rng, users, 3, gain=1.1, spread=0.05, taste=0.5) for name in "ab"})
    ends = ratio_interval(found["a"], found["b"])
    assert ends[0] < found["a"].value / found["b"].value < ends[1]
    for end, side in zip(ends, (0, 1), strict=True):
        assert interval(found["a"].less(end, found["b"]))[side] == pytest.approx(0, abs=1e-9)


def test_a_rival_that_scores_nothing_makes_the_ratio_unbounded():
    hit = np.array([0.0, 1.0] * 15)
    found = samples({"some": [hit], "none": [0 * hit]})
    assert ratio_interval(found["some"], found["none"])[1] == np.inf
    assert ratio_interval(found["none"], found["none"]) == (0, np.inf)
    low, high = ratio_interval(found["none"], found["some"])
    assert low == 0 and high < 1e-9


def test_a_statistic_has_an_interval_over_seeds_too(fewer_draws):
    rng = np.random.default_rng(3)
    values = [rng.random(200) + shift for shift in (0.0, 0.1, 0.2)]

    def median(of, weights):
        return float(np.median(np.repeat(of, weights.astype(int))))

    figures = [Statistic(partial(median, of), 200) for of in values]
    low, high = interval(samples({"a": figures})["a"])
    alone = interval(samples({"a": figures[1:2]})["a"])
    assert low < 0.6 < high and high - low > 1.5 * (alone[1] - alone[0])


def test_what_has_no_interval():
    assert interval(samples({"a": [np.ones(1)] * 3})["a"]) is None  # one user says nothing of others
    assert interval(Sample(np.array([1.0]), np.full((10, 1), np.nan), 5)) is None
    assert interval(Sample(np.array([1.0]), None, 5)) is None
