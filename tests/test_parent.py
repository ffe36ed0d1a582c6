"""PARENT and PARENT-T: the published vectors, the definition, edges; what other implementations say of the same texts.

Those others are checkouts in TENFOLD_PEERS (python -m benchmarks.peers); without them their test is skipped.
"""

import random

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks.peers import KAIJU, SANA
from benchmarks.rivals.parent_peers import google_functions, kaiju_functions
from tenfold.errors import OptionError
from tenfold.metrics.parent import (
    Cooccurrence,
    common_reference,
    grouped_by_key,
    longest_common,
    parent,
    parent_reference,
    parent_t,
    table_recall,
)

TABLE = [
    (key.split(), value.split())
    for key, value in (
        ("birth name", "michael dahlquist"),
        ("born", "december 22 , 1965"),
        ("birth place", "seattle , washington"),
        ("died", "july 14 , 2005"),
        ("death place", "skokie , illinois"),
        ("genres", "male"),
        ("occupation(s)", "drummer"),
        ("instruments", "drums"),
    )
]
START = "michael dahlquist ( december 22 , 1965 -- july 14 , 2005 ) was a drummer"
REFERENCE = f"{START} in the seattle band silkworm .".split()
OUTPUTS = [
    (START + end).split() for end in (" in the california band grateful dead .", " .", " from seattle , washington .")
]


@pytest.mark.parametrize(
    "lam, expected",
    [
        ("auto", [(0.7904, 0.7539, 0.7717), (0.9675, 0.7353, 0.8355), (0.9194, 0.7873, 0.8482)]),
        (0.5, [(0.7904, 0.7268, 0.7573), (0.9675, 0.7113, 0.8199), (0.9194, 0.7688, 0.8374)]),
    ],
)
def test_the_published_example(lam, expected):
    found = parent(OUTPUTS, [[REFERENCE]] * 3, [TABLE] * 3, lam=lam)
    assert_allclose(np.array(found).T, expected, atol=5e-5)


def test_the_published_example_without_a_reference():
    expected = [(0.4798, 0.5833, 0.5265), (0.6521, 0.5833, 0.6158), (0.6687, 0.6667, 0.6677)]
    assert_allclose(np.array(parent_t(OUTPUTS, [TABLE] * 3)).T, expected, atol=5e-5)


# Random cases: few words, so that n-grams repeat; empty texts, texts of one word, repeated keys, triples among them.


def cases(count, seed=1):
    rng = random.Random(seed)

    def text(low=0, high=13):
        return [rng.choice("abcdefghij") for _ in range(rng.randint(low, high))]

    def table():
        triples = rng.random() < 0.5
        records = range(rng.randint(1, 5))
        return [(text(1, 2), text(1, 2), text(1, 3)) if triples else ([rng.choice("xy")], text(1, 4)) for _ in records]

    tables = [table() for _ in range(count)]
    return [text() for _ in range(count)], [[text() for _ in range(rng.randint(1, 3))] for _ in range(count)], tables


def trained(count=40):
    _, references, tables = cases(count, seed=7)
    return Cooccurrence(tables, [each[0] for each in references])


@pytest.mark.parametrize("lam", ["auto", 0.0, 0.3, 1.0])
@pytest.mark.parametrize("entailment", [None, trained()], ids=["overlap", "cooccurrence"])
def test_compiled_is_the_definition(lam, entailment):
    predictions, references, tables = cases(150)
    found = parent(predictions, references, tables, lam=lam, entailment=entailment)
    each = parent(predictions, references, tables, lam=lam, entailment=entailment, several="each")
    for i, (text, own, table) in enumerate(zip(predictions, references, tables, strict=True)):
        rows = [parent_reference(text, one, table, lam=lam, entailment=entailment) for one in own]
        assert_allclose([side[i] for side in found], max(rows, key=lambda row: row[2]), rtol=0, atol=1e-9)
        assert_allclose([side[i] for side in each], np.max(rows, axis=0), rtol=0, atol=1e-9)
    found = parent_t(predictions, tables, entailment=entailment)
    for i, (text, table) in enumerate(zip(predictions, tables, strict=True)):
        expected = parent_reference(text, None, table, entailment=entailment)
        assert_allclose([side[i] for side in found], expected, rtol=0, atol=1e-9)


@pytest.mark.skipif(not SANA.present, reason=f"needs {SANA.had}")
def test_equal_to_the_authors_functions():
    theirs = google_functions()
    predictions, references, tables = cases(1000)
    for lam, weight in (("auto", None), (0.5, 0.5)):
        found = parent(predictions, references, tables, lam=lam)
        for i in range(1000):
            expected = theirs["parent"]([predictions[i]], [references[i]], [tables[i]], lambda_weight=weight)[:3]
            assert_allclose([side[i] for side in found], expected, rtol=0, atol=1e-9)
    found = parent_t(predictions, tables)
    for i in range(1000):
        expected = theirs["parent_t"]([predictions[i]], [references[i]], [tables[i]])[:3]
        assert_allclose([side[i] for side in found], expected, rtol=0, atol=1e-9)


@pytest.mark.skipif(not KAIJU.present, reason=f"needs {KAIJU.had}")
def test_equal_to_kaiju():
    theirs = kaiju_functions()
    predictions, references, tables = cases(1000)
    found = parent(predictions, references, tables, lam=0.5, several="each")
    for i in range(1000):
        expected = theirs["parent_instance_level"]((predictions[i], references[i], tables[i]))
        assert_allclose([side[i] for side in found], expected, rtol=0, atol=1e-9)


def test_edges():
    table = [(["k"], ["a", "b"])]
    nothing = parent([[]], [[["a"]]], [table], lam=0.5)
    assert nothing.precision[0] == 0 and nothing.f[0] == 0
    one = parent([["a"]], [[["a"]]], [table], lam=0.5)  # no n-grams above one: orders 2 to 4 count as 1e-5
    assert_allclose(one.precision[0], 1e-5**0.75)
    copied = parent_t([["a", "b", "a", "b"]], [table])
    assert_allclose([copied.precision[0], copied.recall[0]], [1, 1])
    assert parent([], [], []).f.shape == (0,)


def test_equal_keys_as_one_value():
    table = [(["team"], ["ajax"]), (["born"], ["1980"]), (["team"], ["psv"])]
    assert grouped_by_key(table) == [(["team"], ["ajax", "psv"]), (["born"], ["1980"])]
    text = ["he", "left", "ajax"]
    assert_allclose(parent_t([text], [table]).recall[0], 1 / 3)
    assert_allclose(parent_t([text], [table], group_by_key=True).recall[0], 1 / 4)
    triples = [(["ada"], ["born", "in"], ["london"]), (["ada"], ["died", "in"], ["london"])]
    assert grouped_by_key(triples)[0] == (["born", "in"], ["ada", "london"])


def test_recall_by_record_and_longest_common_subsequences():
    assert table_recall(["ada", "of", "london"], [(["a"], ["ada", "king"]), (["b"], ["rome"])]).tolist() == [0.5, 0]
    rng = random.Random(2)
    for _ in range(100):
        one, two = ([rng.choice("abc") for _ in range(rng.randint(0, 8))] for _ in range(2))
        assert longest_common(one, two) == common_reference(one, two)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"predictions": [["a"], ["b"]]}, "there are 2 predictions and 1 tables; each needs one"),
        ({"references": []}, "there are 1 predictions and references of 0 texts"),
        ({"references": ["a text"]}, "the references of text 1 are 'a text'; give a list such as"),
        ({"references": [["a text"]]}, "a reference of text 1 is 'a text'; give its tokens"),
        ({"predictions": ["a text"]}, "prediction 1 is 'a text'; give its tokens"),
        ({"tables": [[]]}, "table 1 has no record"),
        ({"tables": [[(["k"], [])]]}, "table 1 has a record without a value"),
        ({"tables": [[(["k"],)]]}, r"a record of a table is \(key, value\) or \(head, relation, tail\)"),
        ({"lam": 1.5}, "lam is 'auto' or from 0 to 1; found 1.5"),
        ({"several": "mean"}, "several references count as 'best' or 'each'; found 'mean'"),
    ],
)
def test_wrong_input_is_one_sentence(wrong, sentence):
    given = {"predictions": [["a"]], "references": [[["a"]]], "tables": [[(["k"], ["a"])]]} | wrong
    with pytest.raises(OptionError, match=sentence):
        parent(**given)
