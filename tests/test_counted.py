"""The rules that count, each against what it says, counted by hand on a log of three users."""

import itertools
import math

import pytest

from tenfold import FirstOrderMarkov, ItemKNN, PersonalFrequency, Popularity, RepeatLast
from tenfold.data.events import Events

LOG = [["a", "b", "a", "c", "b"], ["b", "c", "b", "d"], ["a", "b", "e"]]


def fitted(cls, **options):
    return cls(**options).fit(Events.from_histories(LOG), split="none")


def ranking(system, history, k=5):
    return [r.item for r in system.recommend(history, k=k)]


def scores(system, history):
    return {r.item: r.score for r in system.recommend(history, k=5)}


def test_popularity():
    assert ranking(fitted(Popularity), ["e"])[:2] == ["b", "a"]  # five and three events
    assert scores(fitted(Popularity), [])["b"] == 5.0


def test_repeat_last():
    assert ranking(fitted(RepeatLast), ["a", "d", "e", "d"])[:4] == ["d", "e", "a", "b"]  # then the most popular


def test_personal_frequency():
    assert ranking(fitted(PersonalFrequency), ["e", "d", "d", "a"])[:4] == ["d", "a", "e", "b"]  # ties by popularity


def test_markov_counts_what_came_next_within_users():
    pairs = [pair for history in LOG for pair in itertools.pairwise(history)]
    found = scores(fitted(FirstOrderMarkov), ["e", "b"])
    for item in "abcde":
        assert math.floor(found[item]) == pairs.count(("b", item))  # the rest is popularity, below 1


def test_markov_counts_only_the_training_part():
    system = FirstOrderMarkov().fit(Events.from_histories(LOG), split="loo")
    assert math.floor(scores(system, ["a"])["b"]) == 1  # of user 0; user 2 has one training event only
    assert math.floor(scores(system, ["c"])["b"]) == 0


@pytest.mark.parametrize("half_life", [1.0, 10.0])
def test_item_knn_is_the_shrunk_cosine_of_the_users(half_life):
    users = {item: {u for u, history in enumerate(LOG) if item in history} for item in "abcde"}

    def likeness(one, other):
        both = len(users[one] & users[other])
        return both / math.sqrt(len(users[one]) * len(users[other])) * both / (both + 2.0)

    found = scores(fitted(ItemKNN, shrink=2.0, neighbours=5, half_life=half_life), ["e", "a"])
    for item in "abcde":
        expected = sum(likeness(h, item) * w for h, w in (("a", 1.0), ("e", 0.5 ** (1 / half_life))) if h != item)
        assert found[item] == pytest.approx(expected, abs=2e-6)


def test_item_knn_keeps_the_nearest():
    system = fitted(ItemKNN, neighbours=1, shrink=2.0)
    assert sum(score > 1e-4 for score in scores(system, ["b"]).values()) == 1
    assert system.sizes["pairs"] == 5
