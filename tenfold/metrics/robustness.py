"""Figures of a classifier under attack, of what was right for each picture.

Shapes: N pictures, K classes. A picture counts as robust where it is right as it is and after every attack that was
tried; of equal logits none is right.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tenfold.metrics.evaluation import Statistic


def worst_case(natural: np.ndarray, attacked: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) bool: right on the picture and after all attacks."""
    found = natural.copy()
    for right in attacked.values():
        found &= right
    return found


def class_shares(right: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(K,) the share that is right of each class; NaN for a class without pictures."""
    total = np.bincount(labels, minlength=classes).astype(float)
    hits = np.bincount(labels, weights=right.astype(float), minlength=classes)
    return np.divide(hits, total, out=np.full(classes, np.nan), where=total > 0)


def worst_class(right: np.ndarray, labels: np.ndarray, classes: int) -> Statistic:
    """The smallest share of a class, as a figure that pictures can be drawn for."""

    def compute(weights: np.ndarray) -> float:
        total = np.bincount(labels, weights=weights, minlength=classes)
        hits = np.bincount(labels, weights=weights * right, minlength=classes)
        there = total > 0
        return float((hits[there] / total[there]).min()) if there.any() else float("nan")

    return Statistic(compute, len(right))


def natural_robust_mean(natural: np.ndarray, robust: np.ndarray) -> Statistic:
    """NRR: the harmonic mean of natural and robust accuracy."""

    def compute(weights: np.ndarray) -> float:
        n, r = float(weights @ natural / weights.sum()), float(weights @ robust / weights.sum())
        return 2 * n * r / (n + r) if n + r else 0.0

    return Statistic(compute, len(natural))


def stronger_without_gradients(
    attacked: Mapping[str, np.ndarray], blind: str = "square", by: float = 0.01
) -> float | None:
    """By how much the attack that sees no gradients beats all others together; None where by no more than `by`."""
    seeing = [right for name, right in attacked.items() if name != blind]
    if blind not in attacked or not seeing:
        return None
    apart = float(np.logical_and.reduce(seeing).mean() - attacked[blind].mean())
    return apart if apart > by else None


def never_rises(shares: Sequence[float], slack: float = 0.005) -> bool:
    """Whether robust accuracy falls, or stays, along growing budgets or steps."""
    return all(later <= earlier + slack for earlier, later in pairwise(shares))
