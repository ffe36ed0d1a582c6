"""What Rehearsal Memory's claims are measured on: bAbI as it is and lengthened, a tenth of the questions."""

import numpy as np
import pytest

from tenfold.claims import run_claims
from tenfold.systems.rehearsal import babi
from tenfold.systems.rehearsal.claims import crowded, keyed, tenth


def test_a_tenth_of_the_training_streams_keep_their_questions():
    data = keyed("quick", 0)
    silent, asked = tenth(data)
    part = data.questions["split"].to_numpy()
    trained = set(data.questions["stream"].to_numpy()[part == "train"])
    assert {int(own) for own in silent.ids} == trained and len(silent.questions) == 0
    kept = asked.questions.filter(asked.questions["split"] == "train")["stream"].n_unique()
    assert kept == len(trained) // 10 > 0
    for name in ("valid", "test"):
        assert (asked.questions["split"] == name).sum() == (part == name).sum() > 0


def test_longer_streams_hold_as_many_facts():
    short, long = crowded("quick", 0), crowded("quick", 0, 4)
    assert set(long.lengths) == {4 * length for length in set(short.lengths)}
    assert len(long.questions) == len(short.questions)
    assert long.words == short.words  # so that who knows the one knows the other


@pytest.mark.usefixtures("public")
def test_babi_is_one_task_of_the_larger_set_and_its_long_tests_are_fixed():
    data = babi.as_it_is("qa15")
    part = data.questions["split"].to_numpy()
    assert (np.sum(part == "train"), np.sum(part == "test")) == (10_000, 1_000)
    assert set(data.questions["kind"]) == {"qa15"}
    few = babi.few(data)
    assert 0 < len(few) < len(data) / 10 and all("/train/" in own for own in few.ids)
    tests = babi.long_tests("qa6", 512)
    assert len(tests) == len(tests.questions) == 200 and all(own.startswith("qa6-512-") for own in tests.ids)


@pytest.mark.usefixtures("public")
def test_training_streams_among_the_book_are_as_long_as_asked(monkeypatch):
    files = babi._files("qa1")
    name, content = files["qa1", "train"]
    short = content[: content.index(b"\n1 ", 600) + 1]
    monkeypatch.setattr(babi, "_files", lambda task: {("qa1", "train"): (name, short)})
    data = babi.long_training("qa1", 128)
    words = np.add.reduceat(np.diff(data.items.offsets), data.offsets[:-1])
    assert (words >= 128).all() and (words < 128 + 60).all() and len(data) == len(data.questions) == short.count(b"?")


def test_claims_run_quickly_and_none_counts():
    results = run_claims("rehearsal", quick=True, only=["C11"], log=lambda line: None)
    assert [result.verdict for result in results] == 2 * ["(inconclusive; quick, does not count)"]
    assert set(results[0].finding.others) == {"rehearsed before", "from scratch", "from scratch, no rehearsal"}
