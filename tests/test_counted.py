"""The rules that count, each against what it says, counted by hand on a log of three users."""

import itertools
import math
import resource

import numpy as np
import pytest
import torch

from tenfold import FirstOrderMarkov, ItemKNN, PersonalFrequency, Popularity, RepeatLast
from tenfold.data.events import Events
from tenfold.tasks.next_item.baselines.item_pairs import MOST_ITEMS
from tenfold.tasks.next_item.task import NextItem

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


RULES = [Popularity, RepeatLast, PersonalFrequency, FirstOrderMarkov, ItemKNN]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "how", [{}, {"exclude_seen": True}, {"exclude": [3, 8]}, {"candidates": [1, 4, 9, 11, 30, 31]}]
)
def test_the_first_of_few_are_the_first_of_all(rule, how):
    """Lists found among the few items that a rule says something of, and from a score for each item."""
    rng = np.random.default_rng(5)
    events = Events.from_histories([rng.integers(1, 40, rng.integers(2, 30)).tolist() for _ in range(23)])
    system = rule().fit(events, split="none")
    seen = how.get("exclude_seen", False)
    numbers = {name: events.catalogue.numbers(ids) for name, ids in how.items() if ids is not True}
    histories = [np.zeros(0, np.int64), *(events.history(user).astype(np.int64)[:-1] for user in range(23))]
    _, scores = system.top_k(histories, k=7, exclude_seen=seen, **numbers)
    items, expected = NextItem.top_k(system, histories, k=7, exclude_seen=seen, **numbers)
    assert scores == pytest.approx(expected, abs=1e-5) and (items[np.isfinite(expected)] > 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_one_user_with_a_hundred_thousand_events(rule):
    """In memory linear in events: in a square of this history there would be forty gigabytes."""
    rng = np.random.default_rng(6)
    long = rng.integers(0, 700, 100_000).tolist()
    events = Events.from_histories([long, *([n, n + 1, n + 3] for n in range(30))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = rule().fit(events, split="stream").evaluate(events)
    assert 0 < found["hr@10"] < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB


def test_a_crawler_is_paired_by_its_latest_items_and_that_is_said():
    crawler = [f"c{n}" for n in range(MOST_ITEMS + 50)]
    others = [["c0", "c1"], ["c0", "c1"], ["c2049", "c2048"]]
    told = []
    system = ItemKNN().fit(Events.from_histories([crawler, *others]), split="none", log=told.append)
    assert (
        f"1 user had more than {MOST_ITEMS:,} items: pairs are counted among the latest {MOST_ITEMS:,} of each" in told
    )
    assert system.recommend(["c0"], k=1)[0].item == "c1"
    assert {r.item for r in system.recommend(["c60"], k=3) if r.score > 1e-4} <= set(crawler[50:])
    assert system.sizes["pairs"] <= (MOST_ITEMS + 50) * system.options.neighbours


def test_pairs_counted_part_by_part_are_those_counted_at_once(monkeypatch):
    rng = np.random.default_rng(7)
    events = Events.from_histories([rng.integers(0, 60, 25).tolist() for _ in range(40)])
    whole = ItemKNN(neighbours=9).fit(events)
    monkeypatch.setattr("tenfold.tasks.next_item.baselines.item_pairs.PAIRS_AT_ONCE", 500)
    parts = ItemKNN(neighbours=9).fit(events)
    for one, other in zip(whole.network.buffers(), parts.network.buffers(), strict=True):
        assert torch.equal(one, other)
