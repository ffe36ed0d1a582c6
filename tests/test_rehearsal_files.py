"""Files of streams as people have them: JSON lines, bAbI, text, tutoring logs, event logs with questions."""

import gzip
import io
import json
import lzma
import re
import tarfile

import numpy as np
import polars as pl
import pytest
from conftest import refusal

from tenfold.data.events import Events
from tenfold.errors import DataError, OptionError
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.options import ReadOptions
from tenfold.systems.rehearsal.readers import one_stream, read_streams, split_sentences, streams_in_parts

BABI = """1 Mary went to the hall.
2 John took the milk.
3 Where is Mary?\thall\t1
4 Mary went home.
5 Where is Mary? \thome\t4
1 Sandra ran to the garden.
2 Where is Sandra?\tgarden\t1
"""
ROWS = [
    {"id": "a", "stream": ["mary went home", "it rained"], "queries": [
        {"q": "where is mary?", "a": "home", "support": [0], "split": "train"},
        {"q": "did it rain?", "a": "yes", "time": 2, "options": ["yes", "no"], "split": "test"}]},
    {"id": "b", "stream": "John left. He took the milk.", "question": "who left?", "answer": "john", "split": "train"},
    {"id": "c", "stream": ["nothing happened"]},
]  # fmt: skip


def lines(rows):
    return "\n".join(map(json.dumps, rows)) + "\n"


def texts(data, stream):
    words = ["", *data.words.series.to_list()]
    rows = range(data.offsets[stream], data.offsets[stream + 1])
    return [
        " ".join(words[w] for w in data.items.words[data.items.offsets[r] : data.items.offsets[r + 1]]) for r in rows
    ]


@pytest.mark.parametrize("pack", [lambda text: text.encode(), lambda text: gzip.compress(text.encode()),
                                  lambda text: lzma.compress(text.encode())])  # fmt: skip
def test_json_lines(write, pack):
    data = read_streams(write("s.jsonl", pack(lines(ROWS))))
    assert data.ids == ["a", "b", "c"] and texts(data, 1) == ["john left .", "he took the milk ."]
    assert data.questions["time"].to_list() == [2, 2, 2] and data.questions["answer"].to_list() == [
        "home",
        "yes",
        "john",
    ]
    assert data.answers.series.to_list() == ["home", "john", "no", "yes"]
    assert data.fingerprint == read_streams(ROWS).fingerprint
    assert cut(data, "none").part("train").ids == ["a", "b", "c"]


def test_babi_files_folders_and_archives(write, tmp_path):
    path = write("qa1_single-supporting-fact_train.txt", BABI)
    data = read_streams(path)
    assert len(data) == 2 and texts(data, 0) == ["mary went to the hall .", "john took the milk .", "mary went home ."]
    assert data.questions["time"].to_list() == [2, 3, 1] and data.questions["evidence"].to_list() == [[0], [2], [0]]
    assert data.age().tolist() == [2, 1, 1]
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        for name in ("en/qa1_a_train.txt", "en-10k/qa1_a_train.txt", "en-10k/qa1_a_test.txt"):
            content = (BABI * (3 if "10k" in name else 1)).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed = read_streams(tmp_path / "b.tar.gz")
    assert "1 of the files of" in packed.sentences()[1] and packed.sentences()[1].endswith(": en/qa1_a_train.txt")
    assert sorted(packed.questions["split"].unique()) == ["test", "train"] and len(packed) == 12
    found = cut(packed, "given")
    counts = {part: len(found.part(part).questions) for part in ("train", "validation", "test")}
    assert counts["test"] == 9 and counts["train"] + counts["validation"] == 9 and counts["validation"] in (1, 2)
    lengthened = read_streams(path, ReadOptions(lengthen=60, background=str(write("book.txt", "It was so. " * 40))))
    assert len(lengthened) == 3 and (lengthened.lengths > 10).all()
    with pytest.raises(OptionError, match="--background"):
        read_streams(path, ReadOptions(lengthen=60))


def test_a_text_is_one_stream_of_sentences(write):
    data = read_streams(write("book.txt", 'He said: "Go!" And they went.\nHome?\n\nA NEW LINE without an end'))
    assert texts(data, 0) == ['he said : " go ! "', "and they went .", "home ?", "a new line without an end"]
    assert split_sentences("One. Two!  Three\nfour.\n\nfive") == ["One.", "Two!", "Three four.", "five"]
    assert len(data.questions) == 0


def test_a_tutoring_log(write):
    data = read_streams(write("students.csv", "3\n7,7,9\n1,0,1\n2\n5,5\n0,0\n"))
    assert texts(data, 0) == ["skill7 right", "skill7 wrong", "skill9 right"]
    assert data.questions["answer"].to_list() == ["wrong", "right", "wrong"]
    assert data.questions["time"].to_list() == [1, 2, 1]


@pytest.mark.parametrize(
    "marks, found",
    [("1,nan,1", "skill '7' and mark 'nan'"), ("1,2,1", "skill '7' and mark '2'"), ("1,,1", "skill '7' and mark ''")],
)
def test_a_mark_that_is_none_is_named(write, marks, found):
    path = write("t.csv", f"1\n4\n1\n3\n7,7,9\n{marks}\n")
    assert f"line 6, answer 2: expected a skill with a mark of 0 or 1; found {found}" in refusal(read_streams, path)


def test_a_first_student_with_one_answer_makes_no_event_log(write):
    data = read_streams(write("t.csv", "1\n4\n1\n2\n7,9\n1,0\n"))
    assert data.lengths.tolist() == [1, 2]


@pytest.mark.parametrize(
    "skill, mark, found",
    [(np.nan, 1, "skill nan and mark 1.0"), (np.inf, 1, "skill inf"), (2.5, 1, "skill 2.5"), (7, np.nan, "mark nan"),
     (-2, 1, "skill -2.0")],
)  # fmt: skip
def test_numbers_that_are_none_are_named_in_arrays(tmp_path, skill, mark, found):
    skills, right = (
        np.array([[7, 7, 9.0], [5, skill, 3], [1, 1, -1]]),
        np.array([[1, 0, 1.0], [0, mark, 1], [1, 0, -1]]),
    )
    np.savez(tmp_path / "s.npz", skills=skills, correct=right)
    said = refusal(read_streams, tmp_path / "s.npz")
    assert "row 2, column 2: expected a skill with a mark of 0 or 1" in said and found in said
    np.savez(tmp_path / "t.npz", skills=np.array([["a"]]), correct=np.array([[1]]))
    assert "skills and answers are numbers; found arrays of <U1" in refusal(read_streams, tmp_path / "t.npz")


def test_a_tutoring_log_of_arrays(tmp_path):
    skills, right = np.array([[7, 7, 9], [5, 5, -1]]), np.array([[1, 0, 1], [0, 0, -1]])
    np.savez(tmp_path / "s.npz", skills=skills, correct=right)
    np.save(tmp_path / "s.npy", np.stack([skills, right], -1))
    for name in ("s.npz", "s.npy"):
        data = read_streams(tmp_path / name)
        assert texts(data, 0) == ["skill7 right", "skill7 wrong", "skill9 right"] and data.lengths.tolist() == [3, 2]
        assert data.questions["answer"].to_list() == ["wrong", "right", "wrong"]
    np.savez(tmp_path / "t.npz", skills=skills, correct=right * 2)
    assert "row 1, column 1: expected a skill with a mark of 0 or 1" in refusal(read_streams, tmp_path / "t.npz")
    np.savez(tmp_path / "u.npz", skills=skills)
    assert "does not hold skills and answers" in refusal(read_streams, tmp_path / "u.npz")
    (tmp_path / "v.npz").write_bytes(b"PK no archive")
    assert "cannot be read as arrays" in refusal(read_streams, tmp_path / "v.npz")


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_parts_of_a_file_are_the_file(write, at_once):
    path = write("s.jsonl", lines(ROWS[:1]) + "\n" + lines(ROWS[1:]))  # an empty line is none
    whole, parts = read_streams(path), list(streams_in_parts(path, at_once=at_once))
    assert len(parts) == {1: 3, 3: 2, 1_000: 1}[at_once]
    assert [stream for part in parts for stream in part.ids] == list(whole.ids)
    own = [row for part in parts for row in part.questions.drop("stream").iter_rows()]
    assert own == list(whole.questions.drop("stream").iter_rows())
    assert [texts(part, n) for part in parts for n in range(len(part))] == [texts(whole, n) for n in range(len(whole))]


def test_a_line_is_named_where_empty_ones_come_before_it(write):
    assert "line 3 has no stream" in refusal(read_streams, write("s.jsonl", lines(ROWS[:1]) + '\n{"q": "a"}\n'))


def test_an_event_log_with_questions_beside_it(tmp_path):
    events = Events.from_histories(
        [["i1", "i2", "i1"], ["i2"]], users=["u1", "u2"], titles={"i1": "Sand hat", "i2": "Blue bag"},
        kinds=[["view", "buy", "view"], ["cart"]], times=[[1.71e9, 1.711e9, 1.72e9], [1.72e9]],
    )  # fmt: skip
    asked = pl.DataFrame({"user": ["u1", "u1"], "question": ["what was bought?", "what was seen?"],
                          "answer": ["bag", "hat"],
                          "position": [3, 1], "evidence": [[1], [0]]})  # fmt: skip
    data = read_streams(events, questions=asked)
    assert data.ids == ["u1"] and texts(data, 0) == ["view sand hat march", "buy blue bag march", "view sand hat july"]
    assert data.questions["time"].to_list() == [3, 1] and data.age().tolist() == [2, 1]
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\nu1,i1,1\n")
    assert "name the file of questions about it with --questions" in refusal(read_streams, log)


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([{"stream": []}], "is empty; a stream has one item"),
        ([{"stream": ["", " "]}], "is empty; a stream has one item"),
        ([{"stream": ["a", float("nan")]}], "item 1, from 0, of the stream '1' is nan, expected a text"),
        ([{"stream": [None]}], "item 0, from 0, of the stream '1' is null"),
        (
            [{"stream": ["a", [0.5, 0.2]]}],
            "is [0.5, 0.2], expected a text, or a number that names something; mend it, or",
        ),
        ([{"stream": [True]}], "is True, expected a text"),
        (
            [{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "time": "soon"}]}],
            "after 'soon' items; a time is a",
        ),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "time": 0.5}]}], "after 0.5 items; a time is a whole"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "time": float("nan")}]}], "after nan items"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "support": ["x"]}]}], "has the evidence ['x'], expected"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "support": {"x": 0}}]}], "has the evidence {'x': 0}"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "support": -1}]}], "has evidence [-1], and 1 items"),
        (
            [{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "options": "c"}]}],
            "has the options 'c', expected",
        ),
        (
            [{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "options": [["c"]]}]}],
            "the options [['c']], expected",
        ),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": ["c", "d"]}]}], "has the answer ['c', 'd'], expected a text"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": " "}]}], "has an empty answer"),
        ([{"stream": ["a"], "queries": [{"q": ["b"], "a": "c"}]}], "has no text"),
        (
            [{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "time": 2}]}],
            "is asked after 2 items, and the stream has 1",
        ),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "time": 0}]}], "is asked after 0 items"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "support": [1]}]}], "has evidence [1]"),
        ([{"stream": ["a"], "queries": [{"q": "b?", "a": "c", "options": ["d"]}]}], "which is none of its options"),
        ([{"stream": ["a"], "queries": [{"q": " ", "a": "c"}]}], "has no text"),
        ([{"story_": ["a"]}], "has no stream (it has 'story_'); write {"),
        ([{"stream": 7}], "has no stream (its 'stream' is 7); write {"),
        ([{"stream": ["a"], "queries": {"q": "b"}}], 'queries are a list of {"q": "...", "a": "..."}; found {'),
        ([{"stream": ["a"], "q": "b?", "kind": [1]}], "has the kind [1], expected a text; mend it, or leave it out"),
        ([{"stream": ["a"], "q": "b?", "split": {"x": 1}}], "has the split {'x': 1}, expected a text; mend it"),
        ([{"stream": ["a"], "q": "b?", "split": True}], "has the split True, expected a text"),
        ([7], "row 2 is 7, expected an object with a stream; write {"),
        (["mary"], "row 2 is 'mary', expected an object"),
        ([{"stream": ["a"], "id": [1]}], "has the id [1], expected a text or a number; mend it"),
        ([{"stream": ["a"], "id": " "}], "has the id ' ', expected a text or a number; mend it"),
        ([{"stream": ["a"], "queries": [{"id": [1], "q": "b?"}]}], "has the id [1], expected a text or a number"),
        (
            [{"stream": ["a"], "queries": [{"id": 0, "q": "b?"}, {"id": 0, "q": "c?"}]}],
            "has the id '0', as one of row 2 has; expected an id of its own",
        ),
        ([], "holds no stream"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(rows, sentence):
    said = refusal(read_streams, [{"stream": ["fine"]}, *rows] if rows else rows)
    assert sentence.replace("stream '1'", "stream '2'") in said and (not rows or said.startswith("row 2"))
    assert re.search(r"[;,] (mend|write|add|rename|give|or leave|so |a stream|found)", said), said


def test_two_streams_of_one_id_are_refused_and_one_that_comes_again_is_asked_more_often(write):
    other = [ROWS[0], {"id": "b", "stream": ["x y"]}, {"id": "a", "stream": ["mary went home"]}]
    path = write("s.jsonl", lines(other))
    for read in (read_streams, lambda source: list(streams_in_parts(source, at_once=1))):
        said = refusal(read, path)
        assert f"{path}, line 3: the stream id 'a' is also that of {path}, line 1, whose items are others; " in said
        assert "rename one" in said
    numbered = [{"id": 2, "stream": ["a b"]}, {"stream": ["c d"]}]  # the second is called by its line
    assert "the stream id '2' is also that of row 1" in refusal(read_streams, numbered)
    weighted = [{"id": 1, "stream": ["a b"]}, {"id": 1, "stream": ["a b"], "weights": [2]}]
    assert "row 2: the stream id '1'" in refusal(read_streams, weighted)
    again = [{"id": "s", "story": ["mary left", "it rained"], "question": f"{word}?", "answer": word} for word in "abc"]
    data = read_streams(write("t.jsonl", lines(again)))
    assert data.ids == ["s"] and data.lengths.tolist() == [2] and data.questions["stream"].to_list() == [0, 0, 0]
    assert data.questions["id"].to_list() == ["s", "s/2", "s/3"]
    assert any("2 streams come again, with the id and the items of one before" in each for each in data.sentences())
    parts = list(streams_in_parts(write("t.jsonl", lines(again)), at_once=1))
    assert [part.questions["id"].to_list() for part in parts] == [["s"], ["s/2"], ["s/3"]]
    assert not any("come again" in each for each in read_streams(ROWS).sentences())
    book = write("book.txt", "It was so. " * 40)
    long = read_streams(write("t.jsonl", lines(again)), ReadOptions(lengthen=20, background=str(book)))
    assert long.ids == ["s/1", "s/2", "s/3"]


def test_a_place_is_no_part_of_what_data_say(write):
    data = read_streams(write("s.jsonl", lines(ROWS)))
    assert data.questions["place"][2].endswith("s.jsonl, line 2")
    assert data.fingerprint == read_streams(ROWS).fingerprint


def test_numbers_that_name_something_are_items_times_and_answers():
    rows = [
        {"stream": [7, 8.5, "a"], "queries": [{"q": 7, "a": True, "time": "2", "support": 1, "options": [True, 3]}]}
    ]
    data = read_streams(rows)
    assert texts(data, 0) == ["7", "8 . 5", "a"] and data.answers.series.to_list() == ["3", "True"]
    assert data.questions.select("time", "evidence", "answer").row(0) == (2, [1], "True")


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("1 Where is Mary?\thall\t1\n", "line 8: the evidence is statement '1', and no statement before"),
        ("1 Mary went.\n2 Where?\thall\t7\n", "line 9: the evidence is statement '7'"),
        ("1 Mary went.\n2 Where?\thall\tx\n", "line 9: the evidence is statement 'x'"),
        ("1 Mary went.\n2 Where?\t\t1\n", "line 9: a question about 'q/train/3' has an empty answer"),
        ("1 Where?\thall\n", "line 8: the stream 'q/train/3' is empty"),
        ("1 Mary went.\n2 \thall\n", "line 9: a question about 'q/train/3' has no text"),
    ],
)
def test_what_is_wrong_in_babi_is_said_with_its_line(write, text, sentence):
    assert sentence in refusal(read_streams, write("q.txt", BABI + text))


def test_json_lines_that_hold_no_object_are_json_lines(write):
    assert "line 1 holds NoneType, expected an object" in refusal(read_streams, write("n.jsonl", "null\n"))
    assert "line 1 is no JSON" in refusal(read_streams, write("t.jsonl", "mary went home\n"))


def test_lengthen_and_bad_rows_are_for_files_that_know_them(write, tmp_path):
    book, path = write("book.txt", "It was so. " * 40), write("s.jsonl", lines(ROWS))
    assert (read_streams(path, ReadOptions(lengthen=60, background=str(book))).lengths > 10).all()
    with pytest.raises(OptionError, match="lengthen=60 is for stories that are asked about"):
        read_streams(book, ReadOptions(lengthen=60, background=str(book)))
    with pytest.raises(OptionError, match="on_bad_rows=report is for event logs"):
        read_streams(path, ReadOptions(on_bad_rows="report"))


def test_what_was_found_in_a_log_is_said_and_wrong_rows_can_be_left_out(write):
    log = write("log.csv", "user,item,time\nu1,i2,1720000000\nu1,i1,1710000000\n")
    asked = [{"user": "u1", "question": "what was last?", "answer": answer, "position": 2} for answer in ("i2", "")]
    questions = write("q.jsonl", lines(asked))
    assert "line 2: the answer is missing" in refusal(read_streams, log, questions=questions)
    data = read_streams(log, ReadOptions(on_bad_rows="report"), questions=questions)
    assert texts(data, 0) == ["i1 march", "i2 july"] and len(data.questions) == 1
    said = " ".join(data.sentences())
    assert "is not in order of time" in said and "1 of 2 rows" in said


def test_one_stream_is_asked_about(write):
    assert one_stream(write("a.jsonl", lines(ROWS[:1]))) == ["mary went home", "it rained"]
    assert "holds several streams" in refusal(one_stream, write("b.jsonl", lines(ROWS)))
    assert "is empty" in refusal(one_stream, write("c.jsonl", '{"stream": []}\n'))
    assert "item 0, from 0" in refusal(one_stream, write("d.jsonl", '{"stream": [null]}\n'))


def test_files_of_babi_that_cannot_be_read(write, tmp_path):
    assert "cannot be read" in refusal(read_streams, tmp_path / "none.tar.gz")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("qa1_a_train.txt")
        member.size = 40_000
        archive.addfile(member, io.BytesIO(np.random.default_rng(0).integers(97, 123, 40_000).astype(np.uint8)))
    assert "cannot be unpacked" in refusal(read_streams, write("b.tar.gz", packed.getvalue()[:9_000]))
    path = write("qa1_b_train.txt", "1 Zoé went.\n2 Where?\thall\t1\n".encode("latin-1"))
    assert "is not in utf-8" in refusal(read_streams, path, read_options=ReadOptions(layout="babi"))
    assert len(read_streams(path, ReadOptions(layout="babi", encoding="latin-1"))) == 1


def test_what_asks_about_a_log_is_named_with_its_line_and_its_own_columns(write):
    log = write("log.csv", "user,item,time\nu1,i1,1710000000\nu1,i2,1720000000\n")
    asked = {"who": "u1", "prompt": "what was last?", "answer": "i2", "position": 2}
    questions = write("q.jsonl", lines([asked]))
    said = refusal(read_streams, log, questions=questions)
    assert "question_columns='" in said and " columns=" not in said
    named = ReadOptions(question_columns="user=who,question=prompt")
    assert read_streams(log, named, questions=questions).questions["place"].to_list() == [f"{questions}, line 1"]
    early = write("e.jsonl", lines([asked, asked | {"position": 0}]))
    said = refusal(read_streams, log, read_options=named, questions=early)
    assert "e.jsonl, line 2: a question about 'u1' is asked after 0 items" in said
    blind = [{name: value for name, value in asked.items() if name != "answer"}, asked | {"answer": ""}]
    for rows in (blind[:1], blind):  # who answers needs none, who trains does
        unanswered = write("u.jsonl", lines(rows))
        (part,) = streams_in_parts(log, named, questions=unanswered)
        assert part.questions["answer"].to_list() == [None] * len(rows)
        assert "the answer" in refusal(read_streams, log, read_options=named, questions=unanswered)
    twice = write("t.jsonl", lines([asked | {"id": "q"}] * 2))
    said = refusal(read_streams, log, read_options=named, questions=twice)
    assert f"{twice}, line 2: a question about 'u1' has the id 'q', as one of {twice}, line 1 has" in said


def test_files_that_cannot_be_read(write, tmp_path):
    assert "is empty" in refusal(read_streams, write("e.jsonl", ""))
    assert "cannot be read" in refusal(read_streams, tmp_path / "none.jsonl")
    assert "line 2 is no JSON" in refusal(read_streams, write("j.jsonl", lines(ROWS[:1]) + '{"stream": [\n'))
    assert "cannot be decompressed" in refusal(
        read_streams, write("g.jsonl.gz", gzip.compress(lines(ROWS).encode())[:-9])
    )
    assert "a line of bAbI begins with a number" in refusal(read_streams, write("q.txt", BABI + "Mary went.\n"))
    assert "a student has three" in refusal(
        read_streams, write("t.csv", "3\n7,7,9\n1,0,1\n2\n"), read_options=ReadOptions(layout="tutoring")
    )
    assert "2 answers are announced, 3 skills" in refusal(read_streams, write("u.csv", "2\n7,7,9\n1,0,1\n"))
    assert "is not in ascii" in refusal(
        read_streams, write("u.txt", "é. a"), read_options=ReadOptions(encoding="ascii")
    )


def test_splits(write):
    rows = [{"id": n, "stream": ["a b"], "queries": [{"q": "a?", "a": "b"}]} for n in range(30)]
    found = cut(read_streams(rows), "streams")
    parts = [set(found.part(part).ids) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [24, 3, 3] and len(set.union(*parts)) == 30
    with pytest.raises(DataError, match="needs three streams with questions"):
        cut(read_streams(rows[:2]), "streams")
    with pytest.raises(
        DataError,
        match="of the question 'a\\?' it is not said which part it is of, and of 30 it is not; write \"split\"",
    ):
        cut(read_streams(rows), "given")
    with pytest.raises(
        DataError, match="row 1: a question's part is train, validation or test; found 'later'; mend it"
    ):
        cut(read_streams([{**row, "split": "later"} for row in rows]), "given")


def test_unknown_words_are_counted_and_too_many_refused():
    from tenfold.systems.rehearsal.system import Rehearsal

    rows = [
        {"id": n, "stream": ["mary went home", "john left"], "queries": [{"q": "where?", "a": "home"}]}
        for n in range(30)
    ]
    system = Rehearsal(Rehearsal.tiny).fit(read_streams(rows), max_epochs=1, accelerator="cpu")
    some = [{**row, "stream": ["mary went away", "john left"]} for row in rows]
    assert any(
        "20.0% of the words are unknown" in note for note in system.prepare(read_streams(some), "none").sentences()
    )
    other = [{**row, "stream": ["all is new here"]} for row in rows]
    with pytest.raises(DataError, match=r"100% of the words .* are unknown .*\('all', 'is', 'new' \.\.\.\)"):
        system.evaluate(other)
    with pytest.raises(DataError, match=r"75% of the words of this stream are unknown .*\('fred', 'knows', 'all'"):
        system.answer("mary | fred knows all | where?")
    assert system.answer("mary | went home | where?").rows
    wrong = [{**row, "queries": [{"q": "where?", "a": "hall"}]} for row in rows]
    found = system.evaluate(wrong)
    assert found["accuracy"] == 0 and any("answers are none that the system knows" in note for note in found.notes)


@pytest.mark.slow
def test_the_files_of_the_specification(public):
    folder = public / "rehearsal"
    long = read_streams(folder / "long_babi_test.jsonl.gz")
    assert len(long) == 1_800 and set(long.questions["kind"].unique()) == {"qa1", "qa2", "qa6"}
    for question in long.questions.filter(pl.col("kind") == "qa1").head(50).iter_rows(named=True):
        assert question["answer"] in texts(long, question["stream"])[question["evidence"][-1]].split()
    book = read_streams(folder / "book_sentences.txt.gz")
    assert book.lengths[0] > 5_000
    assert np.isin(
        read_streams(folder / "babi_dev.tar.gz").questions["kind"].unique().to_numpy(), [f"qa{n}" for n in range(1, 21)]
    ).all()
