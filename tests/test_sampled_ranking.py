"""The sampled protocol: negatives that are a function of (seed, user), even over what the user never touched."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from tenfold.metrics.ranking import figures, ranks
from tenfold.metrics.sampled import draw_sampled_negatives, sampled_ranks

HISTORIES = [[3, 1, 3, 9], [], [5], [0, 2, 0], list(range(1, 12)), [11, 10, 1], list(range(1, 11))]
ITEMS = np.array([item for history in HISTORIES for item in history], dtype=np.int32)
OFFSETS = np.cumsum([0, *map(len, HISTORIES)])
V = 11


def drawn(users, n=100, seed=0):
    return draw_sampled_negatives(ITEMS, OFFSETS, np.array(users), V, n=n, seed=seed)


def test_negatives_are_even_over_what_the_user_never_touched():
    users = [5, 0, 3, 2, 1]
    for user, row in zip(users, drawn(users, n=20_000), strict=True):
        free = set(range(1, V + 1)) - set(HISTORIES[user])
        values, counts = np.unique(row, return_counts=True)
        assert set(values) == free
        assert chisquare(counts).pvalue > 1e-3


def test_one_free_item_is_drawn_again_and_again_and_none_gives_zeros():
    assert (drawn([6]) == 11).all() and (drawn([4]) == 0).all()


def test_negatives_depend_on_seed_and_user_alone():
    together = drawn([0, 1, 2, 3, 4, 5])
    for user in range(6):
        assert (drawn([user])[0] == together[user]).all()
    again = drawn([5, 0, 5])
    assert (again[1] == together[0]).all() and (again[0] == together[5]).all() and (again[2] == together[5]).all()
    assert (drawn([1], n=7)[0] == together[1][:7]).all()
    assert (drawn([1], seed=1) != together[1]).any()
    same = draw_sampled_negatives(np.zeros(0, np.int32), np.zeros(3, np.int64), np.array([0, 1]), 1000)
    assert len(np.intersect1d(same[0], same[1])) < 40  # users with the same history get draws of their own


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
    above, tied = sampled_ranks(torch.zeros(1, V + 1), torch.tensor([2]), torch.from_numpy(drawn([2])))
    assert figures(above, tied)["hr@10"].item() == pytest.approx(10 / 101)
