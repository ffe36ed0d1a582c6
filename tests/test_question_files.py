"""Questions from every kind of file, held against the log that they are about; and what is wrong, in one sentence."""

import json
from functools import partial

import pandas as pd
import polars as pl
import pytest
from conftest import refusal

from tenfold.data.events import Events
from tenfold.data.questions import Question, read_questions
from tenfold.errors import DataError

LOG = Events.from_histories([["hat", "bag", "hat"], ["shoe"] * 5], users=["u1", "u2"])
ROWS = [
    {
        "question_id": "q1",
        "user": "u2",
        "position": 5,
        "kind": "first",
        "question": "What came first?",
        "answer": "shoe",
        "options": ["hat", "shoe"],
        "evidence": [0],
        "distance": 5,
        "split": "train",
    },
    {
        "question_id": "q2",
        "user": "u1",
        "position": 2,
        "kind": "count",
        "question": "How many bags?",
        "answer": "1",
        "options": [],
        "evidence": [1],
        "distance": 1,
        "split": "test",
    },
]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def changed(**values):
    """The second row is another."""
    return [ROWS[0], ROWS[1] | values]


refused = partial(refusal, read_questions)


@pytest.mark.parametrize("layout", ["jsonl", "parquet", "polars", "pandas"])
def test_questions_of_a_shop(write, tmp_path, layout):
    source = {"jsonl": lambda: write("a.jsonl", jsonl(ROWS)), "pandas": lambda: pd.DataFrame(ROWS)}.get(
        layout, lambda: pl.DataFrame(ROWS)
    )()
    if layout == "parquet":
        source.write_parquet(tmp_path / "a.parquet")
        source = tmp_path / "a.parquet"
    questions = read_questions(source, events=LOG)
    assert questions[0] == Question(
        "q1", "u2", 5, "first", "What came first?", "shoe", ("hat", "shoe"), (0,), 5, "train"
    )
    assert [question.id for question in questions] == ["q1", "q2"] and questions[-1].options == ()
    assert questions.answers.series.to_list() == ["1", "shoe"]
    assert questions.split("test")[0].id == "q2" and questions.kind("first")[0].id == "q1"
    users, seen = questions.asked_of(LOG)
    assert users.tolist() == [1, 0] and seen.tolist() == [5, 2]
    assert LOG.history(users[0])[questions[0].evidence[0]] == LOG.catalogue.numbers(["shoe"])[0]
    with pytest.raises(IndexError):
        questions[2]


def test_only_questions_and_answers(write):
    questions = read_questions(write("a.csv", "query,label,notes\nWhy?,007,x\nHow?,8,\n"))
    assert questions[0] == Question(None, None, None, None, "Why?", "007", (), (), None, None)
    assert questions.frame["notes"].to_list() == ["x", None]
    for ask in (lambda: questions.split("train"), lambda: questions.kind("a"), lambda: questions.asked_of(LOG)):
        with pytest.raises(DataError, match=r"has no column of the (split|kind|user); name it with columns="):
            ask()


def test_text_files_have_evidence_as_numbers_between_spaces(write):
    path = write("a.tsv", "question\tanswer\tuser\tposition\tevidence\nWhy?\tno\t7\t3\t0 2\nHow?\tso\t8\t\t\n")
    questions = read_questions(path)
    assert questions[0].evidence == (0, 2) and questions[0].user == 7 and questions[0].position == 3
    assert questions[1].evidence == () and questions[1].position is None
    log = Events.from_histories([[1, 2, 3], [4] * 6], users=[7, 8])
    assert questions.asked_of(log)[1].tolist() == [3, 6]  # all, where it is not said


def test_questions_that_are_only_to_be_answered_need_no_answer(write):
    rows = [ROWS[0] | {"answer": None}, ROWS[1] | {"answer": " "}, ROWS[1] | {"question": ""}]
    path = write("a.jsonl", jsonl(rows[:2]))
    assert "line 1: the answer is missing" in refused(path)
    assert [question.answer for question in read_questions(path, answers=False)] == [None, None]
    without = write("b.jsonl", jsonl([{k: v for k, v in row.items() if k != "answer"} for row in ROWS]))
    assert "no column that is known as the answer" in refused(without)
    found = read_questions(without, answers=False, events=LOG)
    assert found[0].answer is None and found[0].options == ("hat", "shoe") and len(found) == 2
    assert "line 3: the question is missing" in refused(write("c.jsonl", jsonl(rows)), answers=False)
    assert "none of its options" in refused(write("d.jsonl", jsonl(changed(options=["2"]))), answers=False)


def test_columns_by_name(write):
    path = write("a.jsonl", jsonl([{"prompt": "Why?", "reply": "no", "who": 3}]))
    assert "is known as the question, only 'prompt', 'reply', 'who'; say columns='" in refused(path)
    assert read_questions(path, columns="question=prompt,answer=reply,user=who")[0].user == 3
    assert "no role 'prompt'" in refused(path, columns="prompt=question")


def test_public_questions(public):
    questions = read_questions(public / "rehearsal" / "long_babi_test.jsonl.gz")
    assert len(questions) == 1_800 and len(questions.kind("qa6")) == 600
    first = questions.frame.row(0, named=True)
    assert (first["answer"], first["evidence"]) == ("office", [10])
    assert "john" in first["story"][10].lower()  # who was asked about


# What is wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"question": None}, "the question is missing"),
        ({"answer": "  "}, "the answer is missing"),
        ({"position": -1}, "the position is '-1', expected a whole number from 0"),
        ({"distance": 1.5}, "the distance is '1.5', expected a whole number from 0"),
        ({"options": ["2", "3"]}, "the answer '1' is none of its options, '2', '3'; mend it"),
        ({"evidence": [1, -2]}, "its evidence is event -2, and events count from 0"),
    ],
)
def test_rows_that_are_wrong(write, values, reason):
    path = write("a.jsonl", jsonl(changed(**values)))
    assert f"a.jsonl, line 2: {reason}" in refused(path)
    questions = read_questions(path, on_bad_rows="report")
    assert [question.id for question in questions] == ["q1"]
    assert (questions.report.rows, questions.report.bad) == (2, 1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"user": "u3"}, "mend the question, or give the log that it is about"),
        (
            {"position": 4, "evidence": [1]},
            "line 2: it is asked after 4 events, and user 'u1' has 3 in histories; expected no more",
        ),
        (
            {"evidence": [0, 2]},
            "line 2: its evidence is event 2 from 0, and 2 had been seen; expected one of these, so mend",
        ),
    ],
)
def test_questions_that_do_not_fit_the_log(write, values, reason):
    path = write("a.jsonl", jsonl(changed(**values)))
    assert len(read_questions(path)) == 2  # without the log nobody can know
    assert reason in refused(path, events=LOG)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"answer": 1}, "line 2: 'answer' is a number (1) where other rows have text"),
        ({"options": "a|b"}, "column 'options' holds values of several kinds"),
        ({"evidence": [0.5]}, "expected lists of places of events; write lists of whole numbers, from 0"),
    ],
)
def test_columns_that_are_wrong(write, values, reason):
    assert reason in refused(write("a.jsonl", jsonl(changed(**values))))


@pytest.mark.parametrize("role, wanted", [("kind", "text; write one text a row"), ("position", "numbers; write one")])
def test_a_column_of_lists_where_a_value_is_expected_is_named(write, role, wanted):
    path = write("a.jsonl", jsonl([{"question": "Why?", "answer": "no", role: [1, 2]}]))
    assert f"the {role} ('{role}') holds List(Int64), expected {wanted}" in refused(path)
    assert f"name another column with columns='{role}=NAME'" in refused(path)


def test_nothing_to_read(write, tmp_path):
    assert "is empty; give a file with questions" in refused(write("a.jsonl", " \n"))
    assert "holds a header and no questions" in refused(write("a.csv", "question,answer\n"))
    path = write("b.jsonl", '{"question": "", "answer": ""}\n')
    assert "all 1 rows are wrong, the first, line 1" in refused(path, on_bad_rows="report")
    assert "there is no file" in refused(tmp_path / "gone.jsonl")
    assert "the options ('options') holds String, expected lists; write JSON Lines" in refused(
        write("c.csv", "question,answer,options\na,b,b\n")
    )
