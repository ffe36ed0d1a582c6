"""How well interactions are foretold: ranks of the true partner, and the areas under curves of true and false pairs.

Ties have two rules. `figures` of metrics/ranking counts a tied rank as each of its places being as likely; the public
benchmark (TGB) takes the middle place, 1 + greater + equal / 2, which `average_rank` gives. A constant score has chance
level under the first only.

Shapes: Q interactions that are tested, C candidates of each, U units.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tenfold.errors import TrainingError
from tenfold.metrics import ranking

KS = (1, 3, 10)


def places(positive: np.ndarray, others: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """positive (Q,), others (Q, C), there (Q, C) bool -> above (Q,), tied (Q,): of the candidates that are there, how
    many score more than the true one, and as much, itself too. Raises TrainingError for scores that are no numbers."""
    if np.isnan(positive).any() or np.isnan(others[there]).any():
        raise TrainingError("the scores to be ranked hold values that are not numbers; train with a smaller step size")
    above = ((others > positive[:, None]) & there).sum(1)
    return above, ((others == positive[:, None]) & there).sum(1) + 1


def rank_figures(
    above: np.ndarray, tied: np.ndarray, ks: Sequence[int] = KS, *, average: bool = False, protocol: str = ""
) -> dict[str, np.ndarray]:
    """mrr, hit@k and mean_rank, each (Q,).  average: by the middle of tied places, and so named."""
    words = ", ".join(filter(None, [protocol, "average rank" if average else ""]))
    middle = 1 + above + (tied - 1) / 2
    if average:
        found = {"mrr": 1 / middle} | {f"hit@{k}": (middle <= k).astype(np.float64) for k in ks}
    else:
        each = ranking.figures(torch.from_numpy(above), torch.from_numpy(tied), ks)
        found = {"mrr": each["mrr"].numpy()} | {f"hit@{k}": each[f"hr@{k}"].numpy() for k in ks}
    found["mean_rank"] = middle.astype(np.float64)
    return {name + (f"({words})" if words else ""): values for name, values in found.items()}


def average_precision(positive: np.ndarray, negative: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under precision over recall, in steps, equal scores as one step (as scikit-learn has it).

    positive, negative (U,): scores of true pairs and of false ones; weights (U,): how often each of both counts.
    """
    true, false = _counts(positive, negative, weights)
    found = true.cumsum()
    share = found / np.maximum(found + false.cumsum(), 1e-300)
    return float((share * true).sum() / max(found[-1], 1e-300))


def area_under_roc(positive: np.ndarray, negative: np.ndarray, weights: np.ndarray | None = None) -> float:
    """How likely a true pair scores above a false one; equal scores count half."""
    true, false = _counts(positive, negative, weights)
    below = false.sum() - false.cumsum()
    return float((true * (below + false / 2)).sum() / max(true.sum() * false.sum(), 1e-300))


def batch_means(positive: np.ndarray, negative: np.ndarray, size: int = 200) -> tuple[float, float]:
    """Average precision and area under the ROC as DyGLib reports them: the mean over batches, a short last one too."""
    parts = [slice(first, first + size) for first in range(0, len(positive), size)]
    precision = [average_precision(positive[part], negative[part]) for part in parts]
    return float(np.mean(precision)), float(np.mean([area_under_roc(positive[p], negative[p]) for p in parts]))


def _counts(positive: np.ndarray, negative: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Of each distinct score, the highest first: how many true pairs have it, and how many false ones."""
    scores, place = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    if np.isnan(scores).any():
        raise TrainingError(
            "the scores to be compared hold values that are not numbers; train with a smaller step size"
        )
    weights = np.ones(len(positive)) if weights is None else weights
    count = len(scores)
    true = np.bincount(place[: len(positive)], weights, minlength=count)
    return true[::-1], np.bincount(place[len(positive) :], weights, minlength=count)[::-1]
