"""Lists whose items are not all of a kind: ComiRec's controllable aggregation (Cen et al., KDD 2020, section 3.4).

ComiRec picks greedily by f(u, i) + lambda sum_{j in S} [kind of i is not that of j]. Ours: scores are brought between 0
and 1 over the candidates and the sum to a share of S, so that one weight from 0 to 1 means the same for every model.

Shapes: n candidates, the best first, k chosen.
"""

from collections.abc import Sequence

import numpy as np

from tenfold.tasks.next_item.answers import Recommendations

CANDIDATES = 10  # times k, from which a list of k is chosen


def diversified(
    answers: Sequence[Recommendations], k: int, weight: float, kinds: np.ndarray | None
) -> list[Recommendations]:
    """Lists of k from longer ones. kinds (V + 1,): of the items by their numbers; None: which of a user's vectors found
    each, as `interests` of the answers say; where these say nothing, or popularity answered, the order stays."""
    found = []
    for answer in answers:
        own = kinds[answer.numbers] if kinds is not None else None if answer.by_popularity else answer.interests
        own = np.zeros(len(answer)) if own is None else own
        found.append(answer.only(chosen(np.array([each.score for each in answer]), own, k, weight)))
    return found


def chosen(scores: np.ndarray, kinds: np.ndarray, k: int, weight: float) -> np.ndarray:
    """Places (k or fewer,) among the candidates, in the order in which they are picked; scores (n,), kinds (n,).

    weight: 0 leaves the order as it is, 1 looks at kinds first and at scores only between equals.
    """
    scores = scores.astype(np.float64)
    spread = np.ptp(scores) if len(scores) else 0.0
    own = (scores - scores.min()) / spread if spread > 0 else np.zeros(len(scores))
    _, kind = np.unique(kinds, return_inverse=True)
    had, left, places = np.zeros(kind.max(initial=0) + 1), np.ones(len(scores), dtype=bool), list[int]()
    for picked in range(min(k, len(scores))):
        other = 1 - had[kind] / picked if picked else np.ones(len(scores))
        value = np.where(left, (1 - weight) * own + weight * other, -np.inf)
        places.append(int(value.argmax()))  # of equals the first, which scores best
        had[kind[places[-1]]] += 1
        left[places[-1]] = False
    return np.array(places, dtype=np.int64)


def of_pairs(kinds: np.ndarray) -> float:
    """ComiRec's diversity of a list: the share of its pairs of items that are of different kinds; 0 of one item."""
    n = len(kinds)
    _, counts = np.unique(kinds, return_counts=True)
    return float(1 - (counts * (counts - 1)).sum() / (n * (n - 1))) if n > 1 else 0.0
