"""PARENT and PARENT-T: how much of a text its table, or a reference, says, and how much of the table the text says.

Dhingra et al., ACL 2019 (arXiv 1906.01081); PARENT-T, which needs no reference: Wang et al., ACL 2020. The definition
in plain Python stands beside the compiled version that people call. Texts are lists of tokens. A table is a list of
records (key tokens, value tokens) or triples (head, relation, tail), each a list of tokens; of a triple, head and tail
are what a text should say.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numba import njit

from tenfold.errors import OptionError

ORDERS = 4
SMOOTHING = 1e-5  # in place of what is 0

Tokens = Sequence[str]
Record = Sequence[Tokens]
Table = Sequence[Record]
Lambda = float | Literal["auto"]


class Scores(NamedTuple):
    """One number a text, each (N,): the score of a set is their mean, also for F."""

    precision: np.ndarray
    recall: np.ndarray
    f: np.ndarray


def value_of(record: Record) -> Tokens:
    """What a text should say of a record. Raises OptionError."""
    if len(record) not in (2, 3):
        raise OptionError(
            "a record of a table is (key, value) or (head, relation, tail), each a list of tokens; found "
            f"{record!r:.60}"
        )
    return record[1] if len(record) == 2 else [*record[0], *record[2]]


def grouped_by_key(table: Table) -> list[tuple[list[str], list[str]]]:
    """The tokens of equal keys as one value, in the order in which keys first come: as the authors of SANA evaluate."""
    values = defaultdict[tuple[str, ...], list[str]](list)
    for record in table:
        values[tuple(record[-2])] += value_of(record)
    return [(list(key), value) for key, value in values.items()]


class Overlap:
    """A token is entailed by a table whose values hold it; of an n-gram, the share of such tokens."""

    mean = True

    def weights(self, text: Tokens, table: Table) -> np.ndarray:
        """How far each token of the text is entailed, (n,) from 0 to 1."""
        known = {token for record in table for token in value_of(record)}
        return np.array([float(token in known) for token in text])


class Cooccurrence:
    """A token is as likely entailed as it comes in the texts of training tables that hold one of the table's tokens.

    Of an n-gram, the geometric mean. Keys count as one token, their words joined by "_". tables, texts: of the training
    set; a table with several texts comes several times.
    """

    mean = False

    def __init__(self, tables: Iterable[Table], texts: Iterable[Tokens]) -> None:
        self.count, self.together = Counter[str](), defaultdict[str, Counter[str]](Counter)
        for table, text in zip(tables, texts, strict=True):
            words = Counter(text)
            for token, times in Counter(self._tokens(table)).items():
                self.count[token] += times
                for word, often in words.items():
                    self.together[token][word] += times * often

    @staticmethod
    def _tokens(table: Table) -> list[str]:
        return [token for record in table for token in [*value_of(record), "_".join(record[-2])]]

    def weights(self, text: Tokens, table: Table) -> np.ndarray:
        own = dict.fromkeys(self._tokens(table))
        known = [token for token in own if self.count[token]]

        def likely(word: str) -> float:
            return max((self.together[token][word] / self.count[token] for token in known), default=0.0)

        return np.array([1.0 if word in own else likely(word) for word in text])


Entailment = Overlap | Cooccurrence


def parent(
    predictions: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
    tables: Sequence[Table],
    *,
    lam: Lambda = "auto",
    entailment: Entailment | None = None,
    group_by_key: bool = False,
    several: Literal["best", "each"] = "best",
) -> Scores:
    """PARENT of each prediction (section 3 of the paper).

    references: for each prediction a list of texts.  lam: weight of the recall of the table; auto: what the reference
    leaves out of the table.  entailment: of tokens by tables, word overlap unless another is given.  several: with
    several references precision, recall and F are those of the reference with the best F, as in the authors' code, or
    the largest of each, as in KaijuML/parent.  Raises OptionError.
    """
    if several not in ("best", "each"):
        raise OptionError(f"several references count as 'best' or 'each'; found {several!r}")
    tables = _checked(predictions, tables, group_by_key)
    _check_references(predictions, references)
    weight = -1.0 if lam == "auto" else float(lam)
    if lam != "auto" and not 0 <= weight <= 1:
        raise OptionError(f"lam is 'auto' or from 0 to 1; found {lam}")
    entailment = entailment or Overlap()
    which = np.repeat(np.arange(len(predictions)), [len(each) for each in references])
    texts = [text for each in references for text in each]
    flat = _Flat(predictions, texts, tables, entailment, which)
    found = np.empty((len(texts), 3))
    _parent_of_all(*flat.arrays, which, weight, entailment.mean, found)
    first = np.searchsorted(which, np.arange(len(predictions)))
    if several == "each":
        return Scores(*np.maximum.reduceat(found, first).T) if len(found) else Scores(*found.T)
    best = [
        start + int(found[start : start + len(each), 2].argmax()) for start, each in zip(first, references, strict=True)
    ]
    return Scores(*found[best].T)


def parent_t(
    predictions: Sequence[Tokens],
    tables: Sequence[Table],
    *,
    entailment: Entailment | None = None,
    group_by_key: bool = False,
) -> Scores:
    """PARENT-T of each prediction: without a reference. All values of the table, printed, score 1: read it beside BLEU.

    Raises OptionError.
    """
    tables = _checked(predictions, tables, group_by_key)
    entailment = entailment or Overlap()
    which = np.arange(len(predictions))
    flat = _Flat(predictions, [[]] * len(predictions), tables, entailment, which)
    found = np.empty((len(predictions), 3))
    _parent_of_all(*flat.arrays, which, 1.0, entailment.mean, found)
    return Scores(*found.T)


def table_recall(text: Tokens, table: Table) -> np.ndarray:
    """(K,): the share of each record's value that the text says, as the longest common subsequence."""
    numbers = Numbers()
    own, values = numbers.of(text), [numbers.of(value_of(record)) for record in table]
    return np.array([_common(value, own) / len(value) for value in values])


def longest_common(one: Tokens, two: Tokens) -> int:
    """The length of the longest common subsequence."""
    numbers = Numbers()
    return int(_common(numbers.of(one), numbers.of(two)))


def _checked(predictions: Sequence[Tokens], tables: Sequence[Table], group_by_key: bool) -> Sequence[Table]:
    """Raises OptionError."""
    if len(predictions) != len(tables):
        raise OptionError(f"there are {len(predictions):,} predictions and {len(tables):,} tables; each needs one")
    if group_by_key:
        tables = [grouped_by_key(table) for table in tables]
    for place, (text, table) in enumerate(zip(predictions, tables, strict=True), start=1):
        _check_tokens(text, f"prediction {place}")
        if not table or not all(map(value_of, table)):
            raise OptionError(f"table {place} has {'no record' if not table else 'a record without a value'}")
    return tables


def _check_references(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> None:
    """Raises OptionError."""
    if len(predictions) != len(references):
        raise OptionError(
            f"there are {len(predictions):,} predictions and references of {len(references):,} texts; each needs a list"
        )
    for place, each in enumerate(references, start=1):
        if isinstance(each, str) or not each:
            raise OptionError(f"the references of text {place} are {each!r:.60}; give a list such as [['a', 'text']]")
        for text in each:
            _check_tokens(text, f"a reference of text {place}")


def _check_tokens(text: Any, what: str) -> None:
    """Raises OptionError."""
    if isinstance(text, str):
        raise OptionError(f"{what} is {text!r:.60}; give its tokens, such as {text.split()[:3]!r}")


# The definition ------------------------------------------------------------------------------------------------------


def parent_reference(
    prediction: Tokens,
    reference: Tokens | None,
    table: Table,
    *,
    lam: Lambda = "auto",
    entailment: Entailment | None = None,
) -> tuple[float, float, float]:
    """Precision, recall and F of one text, written as they are defined. No reference: PARENT-T."""
    rule = entailment or Overlap()

    def entailed(gram: tuple[str, ...]) -> float:
        own = rule.weights(gram, table)
        return float(own.mean() if rule.mean else own.prod() ** (1 / len(gram)))

    precision, recall = [], []
    for order in range(1, ORDERS + 1):
        said, meant = _grams(prediction, order), _grams(reference or [], order)
        top = sum(n * (a + (1 - a) * entailed(g)) for g, n in said.items() for a in [min(1, meant[g] / n)])
        precision.append(top / said.total() if said else 0.0)
        weight = {g: n * entailed(g) for g, n in meant.items()}
        bottom = sum(weight.values())
        recall.append(sum(w * min(1, said[g] / meant[g]) for g, w in weight.items()) / bottom if bottom else 1.0)
    precision[1:] = [each or SMOOTHING for each in precision[1:]]
    recall[1:] = [each or SMOOTHING for each in recall[1:]]
    p = math.exp(sum(map(math.log, precision)) / ORDERS) if precision[0] else 0.0
    of_reference = math.exp(sum(map(math.log, recall)) / ORDERS) if recall[0] else SMOOTHING
    of_table = _mentioned(prediction, table) or SMOOTHING
    if reference is None:
        r = of_table
    else:
        share = 1 - _mentioned(reference, table) if lam == "auto" else lam
        r = of_reference ** (1 - share) * of_table**share
    return p, r, 2 * p * r / (p + r + 1e-8)


def _grams(text: Tokens, order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[start : start + order]) for start in range(len(text) - order + 1))


def _mentioned(text: Tokens, table: Table) -> float:
    return sum(common_reference(value, text) / len(value) for value in map(value_of, table)) / len(table)


def common_reference(one: Tokens, two: Tokens) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for token in one:
        before, row = row, [0]
        for j, other in enumerate(two):
            row.append(before[j] + 1 if token == other else max(before[j + 1], row[j]))
    return row[-1]


# The same, compiled --------------------------------------------------------------------------------------------------


class _Flat:
    """Tokens as numbers end to end, and how far each is entailed by its table."""

    def __init__(
        self,
        predictions: Sequence[Tokens],
        references: Sequence[Tokens],
        tables: Sequence[Table],
        entailment: Entailment,
        which: np.ndarray,
    ) -> None:
        numbers = Numbers()
        self.predictions = _end_to_end(predictions, numbers)
        self.references = _end_to_end(references, numbers)
        self.values = _end_to_end([value_of(record) for table in tables for record in table], numbers)
        self.records = _offsets([len(table) for table in tables])
        if isinstance(entailment, Overlap):  # only the compiled loop need know
            empty = np.empty(0)
            self.weights = empty, empty
        else:
            self.weights = (
                _joined(entailment.weights(*pair) for pair in zip(predictions, tables, strict=True)),
                _joined(entailment.weights(text, tables[i]) for text, i in zip(references, which, strict=True)),
            )

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return *self.predictions, *self.references, *self.values, self.records, *self.weights


class Numbers(defaultdict[str, int]):
    """A number for each token, as they come."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def of(self, tokens: Iterable[str]) -> np.ndarray:
        return np.fromiter(map(self.__getitem__, tokens), dtype=np.int64)


def _end_to_end(texts: Sequence[Tokens], numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all texts as numbers, and where each text begins."""
    return numbers.of(chain.from_iterable(texts)), _offsets([*map(len, texts)])


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def _joined(weights: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0), *weights])


def _compiled(function: Any) -> Any:
    return cast(Any, njit)(cache=True, nogil=True, error_model="numpy")(function)


@_compiled
def _common(one, two):  # type: ignore[no-untyped-def]
    """The length of the longest common subsequence."""
    row = np.zeros(len(two) + 1, np.int64)
    for token in one:
        corner = 0  # of the row before, one to the left
        for j in range(len(two)):
            above = row[j + 1]
            row[j + 1] = corner + 1 if token == two[j] else max(above, row[j])
            corner = above
    return row[-1]


@_compiled
def _mentioned_share(text, values, offsets, first, last):  # type: ignore[no-untyped-def]
    total = 0.0
    for record in range(first, last):
        value = values[offsets[record] : offsets[record + 1]]
        total += _common(value, text) / len(value)
    return total / (last - first)


@_compiled
def _overlap(text, values):  # type: ignore[no-untyped-def]
    found = np.zeros(len(text))
    for i in range(len(text)):
        for value in values:
            if value == text[i]:
                found[i] = 1.0
                break
    return found


@_compiled
def _same(one, i, two, j, order):  # type: ignore[no-untyped-def]
    for k in range(order):  # noqa: SIM110 - as numba wants it
        if one[i + k] != two[j + k]:
            return False
    return True


@_compiled
def _times(one, i, two, order):  # type: ignore[no-untyped-def]
    """How often the n-gram of `one` at i comes in `two`."""
    count = 0
    for j in range(len(two) - order + 1):
        count += _same(one, i, two, j, order)
    return count


@_compiled
def _entailed(weights, i, order, mean):  # type: ignore[no-untyped-def]
    if mean:
        total = 0.0
        for k in range(order):
            total += weights[i + k]
        return total / order
    product = 1.0
    for k in range(order):
        product *= weights[i + k]
    return product ** (1.0 / order)


@_compiled
def _precision(said, meant, weights, order, mean):  # type: ignore[no-untyped-def]
    """Each n-gram is met once for each time it comes, so that its count is 1 and the shares add up."""
    grams = len(said) - order + 1
    if grams <= 0:
        return 0.0
    total = 0.0
    for i in range(grams):
        share = min(1.0, _times(said, i, meant, order) / _times(said, i, said, order))
        total += share + (1.0 - share) * _entailed(weights, i, order, mean)
    return total / grams


@_compiled
def _recall(said, meant, weights, order, mean):  # type: ignore[no-untyped-def]
    top, bottom = 0.0, 0.0
    for i in range(len(meant) - order + 1):
        weight = _entailed(weights, i, order, mean)
        bottom += weight
        top += weight * min(1.0, _times(meant, i, said, order) / _times(meant, i, meant, order))
    return 1.0 if bottom == 0.0 else top / bottom


@_compiled
def _parent_of_all(  # type: ignore[no-untyped-def]
    said_all,
    said_at,
    meant_all,
    meant_at,
    values,
    value_at,
    records,
    said_weights,
    meant_weights,
    which,
    lam,
    mean,
    out,
):
    for place in range(len(which)):
        of = which[place]
        said, meant = said_all[said_at[of] : said_at[of + 1]], meant_all[meant_at[place] : meant_at[place + 1]]
        first, last = records[of], records[of + 1]
        if len(said_weights) + len(meant_weights) == 0:
            own = values[value_at[first] : value_at[last]]
            by_said, by_meant = _overlap(said, own), _overlap(meant, own)
        else:
            by_said = said_weights[said_at[of] : said_at[of + 1]]
            by_meant = meant_weights[meant_at[place] : meant_at[place + 1]]
        log_p, log_r, no_p, no_r = 0.0, 0.0, False, False
        for order in range(1, ORDERS + 1):
            p = _precision(said, meant, by_said, order, mean)
            r = _recall(said, meant, by_meant, order, mean)
            if order > 1:
                p, r = p if p > 0 else SMOOTHING, r if r > 0 else SMOOTHING
            no_p, no_r = no_p or p == 0, no_r or r == 0
            log_p += math.log(p) if p > 0 else 0.0
            log_r += math.log(r) if r > 0 else 0.0
        p = 0.0 if no_p else math.exp(log_p / ORDERS)
        log_r = math.log(SMOOTHING) if no_r else log_r / ORDERS
        of_table = _mentioned_share(said, values, value_at, first, last)
        log_t = math.log(of_table if of_table > 0 else SMOOTHING)
        share = 1.0 - _mentioned_share(meant, values, value_at, first, last) if lam < 0 else lam
        r = math.exp((1.0 - share) * log_r + share * log_t)
        out[place, 0], out[place, 1], out[place, 2] = p, r, 2 * p * r / (p + r + 1e-8)
