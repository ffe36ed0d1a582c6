"""Figures of texts, each on an example that one can count by hand, and corpus figures against sacrebleu."""

import numpy as np
import pytest
import sacrebleu
from numpy.testing import assert_allclose

from tenfold.errors import OptionError
from tenfold.metrics import texts

SAID = [["the", "red", "hat"], ["a", "hat", "of", "red", "wool", ",", "size", "8"]]
MEANT = [
    [["the", "red", "hat"], ["a", "red", "hat"]],
    [["a", "red", "hat", "of", "wool", ",", "size", "8", ",", "warm"]],
]
TABLE = [(["colour"], ["red"]), (["size"], ["8"]), (["kind"], ["hat"])]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_corpus_figures_are_sacrebleu_s_also_of_drawn_texts(name):
    figure = texts.CorpusFigure(name, SAID, MEANT)

    def theirs(draws):
        lines = [" ".join(SAID[i]) for i in draws]
        streams = [[" ".join(MEANT[i][k]) if k < len(MEANT[i]) else None for i in draws] for k in range(2)]
        metric = sacrebleu.BLEU(tokenize="none", force=True) if name == "bleu" else sacrebleu.CHRF()
        return metric.corpus_score(lines, streams).score

    assert_allclose(figure(), theirs([0, 1]))
    assert_allclose(figure(np.array([2, 0])), theirs([0, 0]))
    assert_allclose(figure(np.array([0, 2])), theirs([1, 1]))
    assert figure(np.array([3, 3])) == figure()  # smoothing looks at counts: they are always those of as many texts
    assert getattr(texts, name)(SAID, MEANT) == figure()
    assert "version" in figure.signature


def test_rouge():
    assert texts.rouge_l(SAID, MEANT)[0] == 100
    assert_allclose(texts.rouge_l(SAID, MEANT)[1], 100 * 2 * 7 / (8 + 10))  # a hat of wool , size 8
    assert_allclose(texts.rouge_n(SAID, MEANT)[1], 100 * 2 * 1 / (5 + 7))  # wool , size 8
    assert texts.rouge_n([["a"]], [[["a"]]], 4)[0] == 0


def test_bags():
    found = texts.bag_f1([["a", "a", "b"], [], ["a"]], [["a", "b", "b", "c"], [], []])
    assert_allclose(found[0], [100 * 2 / 3, 50, 100 * 2 * (2 / 3) * 0.5 / (2 / 3 + 0.5)])
    assert found[1].tolist() == [100, 100, 100] and found[2].tolist() == [0, 0, 0]


def test_what_is_left_out_invented_and_repeated():
    assert_allclose(texts.omission(SAID[0], TABLE), 100 / 3)
    assert texts.unsupported_numbers(["size", "8", "or", "9", ",", "1,000", "g"], TABLE) == pytest.approx(200 / 3)
    assert texts.unsupported_numbers(["none"], TABLE) == 0
    assert texts.unsupported_words(["the", "red", "hat", "of", "kings"], TABLE, {"the", "of"}) == 20
    assert texts.unsupported_words([], TABLE, set()) == 0
    assert texts.repetition(["the", "the", "the", "hat"]) == 50 and texts.repetition([]) == 0


def test_wrong_counts_are_said():
    with pytest.raises(OptionError, match="there are 2 predictions and 1 references"):
        texts.bleu(SAID, MEANT[:1])
    with pytest.raises(OptionError, match="at least 1 token; found 0"):
        texts.rouge_n(SAID, MEANT, 0)
