"""Areas under curves are scikit-learn's, ranks of ties are TGB's and the house's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tenfold.errors import TrainingError
from tenfold.metrics.temporal import (
    area_under_roc,
    average_precision,
    batch_means,
    places,
    rank_figures,
)


@pytest.mark.parametrize("levels", [2, 7, 10_000])
def test_areas_are_those_of_scikit_learn(levels):
    rng = np.random.default_rng(levels)
    positive, negative = rng.integers(0, levels, 83) + 0.4 * levels, rng.integers(0, levels, 83) * 1.0
    scores, truth = np.concatenate([positive, negative]), np.repeat([1, 0], 83)
    weights = rng.integers(0, 4, 83).astype(float)
    for each in (None, weights):
        both = None if each is None else np.tile(each, 2)
        assert average_precision(positive, negative, each) == pytest.approx(
            average_precision_score(truth, scores, sample_weight=both)
        )
        assert area_under_roc(positive, negative, each) == pytest.approx(
            roc_auc_score(truth, scores, sample_weight=both)
        )
    found = [
        (average_precision(positive[p], negative[p]), area_under_roc(positive[p], negative[p]))
        for p in (slice(0, 50), slice(50, 83))
    ]
    assert batch_means(positive, negative, 50) == pytest.approx(np.mean(found, axis=0))


def test_ranks_and_their_two_rules():
    positive = np.array([2.0, 1, 5])
    others = np.array([[3.0, 2, 2, 9], [0, 0, 0, 9], [1, 5, 2, 3]])
    there = np.array([[True] * 3 + [False]] * 2 + [[True] * 4])
    above, tied = places(positive, others, there)
    assert above.tolist() == [1, 0, 0] and tied.tolist() == [3, 1, 2]
    average = rank_figures(above, tied, average=True)
    assert average["mrr(average rank)"].tolist() == [1 / 3, 1, 1 / 1.5]
    assert average["hit@1(average rank)"].tolist() == [0, 1, 0] and average["hit@3(average rank)"].all()
    own = rank_figures(above, tied, protocol="sampled")
    assert own["mrr(sampled)"] == pytest.approx([(1 / 2 + 1 / 3 + 1 / 4) / 3, 1, (1 + 1 / 2) / 2])
    assert own["hit@1(sampled)"] == pytest.approx([0, 1, 1 / 2])
    assert own["hit@3(sampled)"] == pytest.approx([2 / 3, 1, 1])
    assert own["mean_rank(sampled)"].tolist() == [3, 1, 1.5]


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(TrainingError, match="not numbers"):
        places(np.array([np.nan]), np.zeros((1, 2)), np.ones((1, 2), bool))
    with pytest.raises(TrainingError, match="not numbers"):
        average_precision(np.array([np.nan]), np.zeros(1))
