"""The sampled protocol: negatives that are a function of (seed, user), even over what the user never touched."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import chisquare

from tenfold import Popularity
from tenfold.data.events import Events
from tenfold.errors import OptionError
from tenfold.metrics.ranking import figures, ranks
from tenfold.metrics.sampled import draw_sampled_negatives, keys_of, sampled_ranks

HISTORIES = [[3, 1, 3, 9], [], [5], [0, 2, 0], list(range(1, 12)), [11, 10, 1], list(range(1, 11))]
ITEMS = np.array([item for history in HISTORIES for item in history], dtype=np.int32)
OFFSETS = np.cumsum([0, *map(len, HISTORIES)])
V = 11


def drawn(users, n=100, seed=0):
    return draw_sampled_negatives(ITEMS, OFFSETS, np.array(users), V, n=n, seed=seed)


def test_negatives_are_even_over_what_the_user_never_touched():
    users = [5, 0, 3, 2, 1]
    seeds = [drawn(users, n=3, seed=seed) for seed in range(4_000)]
    for user, rows in zip(users, np.swapaxes(seeds, 0, 1), strict=True):
        free = set(range(1, V + 1)) - set(HISTORIES[user])
        for place in range(3):  # of the list, each item as often
            values, counts = np.unique(rows[:, place], return_counts=True)
            assert set(values) == free
            assert chisquare(counts).pvalue > 1e-4
        assert all(len(set(row)) == 3 for row in rows.tolist())


def test_many_items_are_drawn_evenly_and_each_once():
    none, one = np.zeros(0, np.int32), np.zeros(2, np.int64)
    rows = np.array([draw_sampled_negatives(none, one, np.array([0]), 500, n=40, seed=s)[0] for s in range(2_000)])
    assert all(len(set(row)) == 40 for row in rows.tolist())
    assert chisquare(np.bincount(rows.ravel(), minlength=501)[1:]).pvalue > 1e-4


def test_who_has_fewer_left_gets_all_of_them_and_zeros():
    assert sorted(drawn([0], n=100)[0].tolist()) == [*[0] * 92, 2, 4, 5, 6, 7, 8, 10, 11]
    assert drawn([6], n=3).tolist() == [[11, 0, 0]] and (drawn([4]) == 0).all()


def test_negatives_are_a_function_of_ids_not_of_places():
    """The same log with its users, and so its items, in another order."""
    rng = np.random.default_rng(3)
    log = {f"u{u}": [f"i{i}" for i in rng.integers(0, 90, rng.integers(1, 30))] for u in range(25)}

    def by_id(users):
        items = list(dict.fromkeys(i for user in users for i in log[user]))
        packed = np.array([items.index(i) + 1 for user in users for i in log[user]])
        offsets = np.cumsum([0, *(len(log[user]) for user in users)])
        rows = draw_sampled_negatives(
            packed, offsets, np.arange(len(users)), len(items), n=20, user_keys=keys_of(users), item_keys=keys_of(items)
        )
        return {user: [items[n - 1] for n in row] for user, row in zip(users, rows, strict=True)}

    first, second = by_id(list(log)), by_id(sorted(log, reverse=True))
    assert first == second and all(not set(first[user]) & set(log[user]) for user in log)
    assert keys_of([7, "7", "é\ud800"]).tolist()[:1] == keys_of(["7"]).tolist()


def test_the_same_log_in_another_order_has_the_same_figures():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"user": np.repeat(np.arange(50), 6), "item": rng.integers(0, 40, 300), "time": list(range(6)) * 50}
    )
    turned = frame.sort("user", "time", descending=[True, False])
    system = Popularity().fit(frame)
    figures = [dict(one.evaluate(data, ks=[5], sampled=10))
               for one in (system, Popularity().fit(turned)) for data in (frame, turned)]  # fmt: skip
    assert all(each == pytest.approx(figures[0]) for each in figures)


def test_more_than_the_catalogue_is_refused_and_who_has_fewer_is_counted():
    events = Events.from_histories([["a", "b", "c", "d"], ["a", "b"] * 3, ["e", "f", "g", "a"]])
    system = Popularity().fit(events)
    with pytest.raises(OptionError, match="sampled = 7 is not less than the catalogue of 7 items; give 0"):
        system.evaluate(events, sampled=7, ks=[1])
    found = system.evaluate(events, sampled=4, ks=[1])
    assert (
        "2 of 3 users have fewer than 4 items that they never had: theirs are ranked among all of these" in found.notes
    )
    assert not [note for note in system.evaluate(events, sampled=3, ks=[1]).notes if "fewer than" in note]


def test_negatives_depend_on_seed_and_user_alone():
    together = drawn([0, 1, 2, 3, 4, 5])
    for user in range(6):
        assert (drawn([user])[0] == together[user]).all()
    again = drawn([5, 0, 5])
    assert (again[1] == together[0]).all() and (again[0] == together[5]).all() and (again[2] == together[5]).all()
    assert (drawn([1], seed=1) != together[1]).any()
    same = draw_sampled_negatives(np.zeros(0, np.int32), np.zeros(3, np.int64), np.array([0, 1]), 1000)
    assert len(np.intersect1d(same[0], same[1])) < 40  # of 100: users with the same history get draws of their own


def test_ranks_are_those_among_target_and_negatives():
    rng = torch.Generator().manual_seed(1)
    scores, target = torch.randint(0, 9, (5, V + 1), generator=rng).float(), torch.tensor([2, 4, 7, 1, 0])
    negatives = torch.randint(0, V + 1, (5, 6), generator=rng)
    above, tied = sampled_ranks(scores, target, negatives)
    for u in range(4):
        against = [scores[u, i] for i in negatives[u].tolist() if i]
        assert above[u] == sum(s > scores[u, target[u]] for s in against)
        assert tied[u] == sum(s == scores[u, target[u]] for s in against) + 1
    assert figures(above, tied)["hr@10"][4] == 0


def test_with_every_other_item_as_a_negative_it_is_the_full_ranking():
    rng = torch.Generator().manual_seed(2)
    scores, target = torch.randn(3, V + 1, generator=rng), torch.tensor([2, 4, 7])
    negatives = torch.tensor([[i for i in range(1, V + 1) if i != t] for t in target.tolist()])
    sampled, full = sampled_ranks(scores, target, negatives), ranks(scores, target)
    assert sampled[0].tolist() == full[0].tolist() and sampled[1].tolist() == full[1].tolist()


def test_a_constant_scorer_has_the_protocols_chance_level():
    above, tied = sampled_ranks(torch.zeros(1, V + 1), torch.tensor([2]), torch.from_numpy(drawn([2], n=6)))
    assert figures(above, tied, [3])["hr@3"].item() == pytest.approx(3 / 7)
