"""Figures of texts beside references and tables: BLEU, chrF, ROUGE, and what a text leaves out, invents or repeats.

Texts are lists of tokens, already in the form in which they are to be compared (lower case, markers resolved). BLEU and
chrF are sacrebleu's own; all figures here are percent.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from tenfold.errors import OptionError
from tenfold.metrics.parent import Table, Tokens, longest_common, table_recall, value_of

NUMBER = re.compile(r"\d")


class CorpusFigure:
    """A figure of a whole set that is no mean over texts; it can be had again of texts that are drawn anew."""

    def __init__(self, name: Literal["bleu", "chrf"], predictions: Sequence[Tokens], references: Any) -> None:
        """references: for each prediction a list of texts. Raises OptionError."""
        _check_counts(predictions, references)
        self.metric = _sacrebleu(name)
        most = max((len(each) for each in references), default=1)
        # sacrebleu takes the first references of all texts, then the second ones; one that is not there is None.
        streams = [[" ".join(each[i]) if i < len(each) else None for each in references] for i in range(most)]
        said = [" ".join(text) for text in predictions]
        self.counts = np.array(self.metric._extract_corpus_statistics(said, streams), dtype=np.float64)
        self.signature = str(self.metric.get_signature())

    def __call__(self, weights: np.ndarray | None = None) -> float:
        """weights (N,): how often each text is drawn; none: once."""
        rows = self.counts
        if weights is not None:  # smoothing looks at counts: always those of as many texts
            rows = rows * (np.asarray(weights) * (len(rows) / max(np.sum(weights), 1e-12)))[:, None]
        return float(self.metric._compute_score_from_stats([round(count) for count in rows.sum(0).tolist()]).score)


def _sacrebleu(name: str) -> Any:
    """Raises OptionError."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ModuleNotFoundError:
        raise OptionError("BLEU and chrF need sacrebleu; install it with: pip install 'tenfold[text]'") from None
    return BLEU(tokenize="none", smooth_method="exp", force=True) if name == "bleu" else CHRF()


def bleu(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> float:
    """Corpus BLEU-4 of tokens as they are, smoothed where an order has no match. Raises OptionError."""
    return CorpusFigure("bleu", predictions, references)()


def chrf(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> float:
    """Corpus chrF2 (character 6-grams, beta 2). Raises OptionError."""
    return CorpusFigure("chrf", predictions, references)()


def rouge_l(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> np.ndarray:
    """(N,): F1 of the longest common subsequence, the best over the references. Raises OptionError."""
    _check_counts(predictions, references)

    def one(said: Tokens, meant: Tokens) -> float:
        return _f1(longest_common(said, meant), len(said), len(meant))

    return np.array([100 * max(one(text, r) for r in each) for text, each in zip(predictions, references, strict=True)])


def rouge_n(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]], order: int = 4) -> np.ndarray:
    """(N,): F1 of n-grams, the best over the references. Raises OptionError."""
    _check_counts(predictions, references)
    if order < 1:
        raise OptionError(f"ROUGE counts n-grams of at least 1 token; found {order}")

    def one(said: Counter[Any], meant: Counter[Any]) -> float:
        return _f1((said & meant).total(), said.total(), meant.total())

    return np.array(
        [
            100 * max(one(_grams(text, order), _grams(r, order)) for r in each)
            for text, each in zip(predictions, references, strict=True)
        ]
    )


def bag_f1(predictions: Sequence[Tokens], references: Sequence[Tokens]) -> np.ndarray:
    """(N, 3): precision, recall and F1 of tokens as bags, such as skeletons; two empty ones are equal."""
    _check_counts(predictions, references)
    rows = []
    for said, meant in zip(predictions, references, strict=True):
        both = (Counter(said) & Counter(meant)).total()
        empty = float(not said and not meant)
        rows.append((both / len(said) if said else empty, both / len(meant) if meant else empty))
    p, r = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return 100 * np.stack((p, r, 2 * p * r / np.maximum(p + r, 1e-12)), axis=1)


def omission(text: Tokens, table: Table) -> float:
    """The share of the table's records that the text does not say whole."""
    return 100 * float((table_recall(text, table) < 1).mean())


def unsupported_numbers(text: Tokens, table: Table) -> float:
    """The share of the text's tokens with a digit that no value holds; a number written otherwise counts as one."""
    numbers = [token for token in text if NUMBER.search(token)]
    known = {token for record in table for token in value_of(record)}
    return 100 * sum(token not in known for token in numbers) / len(numbers) if numbers else 0.0


def unsupported_words(text: Tokens, table: Table, common: Collection[str]) -> float:
    """The share of the text's tokens that are in no value or key and not among the common words of training texts."""
    known = {token for record in table for part in record for token in part}
    return 100 * sum(token not in known and token not in common for token in text) / len(text) if text else 0.0


def repetition(text: Tokens) -> float:
    """The share of tokens that are equal to the one before."""
    return 100 * sum(a == b for a, b in pairwise(text)) / len(text) if text else 0.0


def _f1(both: int, said: int, meant: int) -> float:
    return 2 * both / (said + meant) if both else 0.0


def _grams(text: Tokens, order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[start : start + order]) for start in range(len(text) - order + 1))


def _check_counts(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Raises OptionError."""
    if len(predictions) != len(references):
        raise OptionError(
            f"there are {len(predictions):,} predictions and {len(references):,} references; each text needs its own"
        )
