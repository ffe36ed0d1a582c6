"""Recommendations file to file: in order, whole or not there, equal to `recommend`."""

import csv
import gzip
import json

import polars as pl
import pytest

from tenfold import Popularity, SASRec
from tenfold.data.events import Events
from tenfold.data.options import ReadOptions
from tenfold.errors import DataError, OptionError, OutputError, UnknownIdError
from tenfold.tasks.next_item import predict as predicting

HISTORIES = {"ann": ["r0i1", "r0i2"], "bob": [], "eve": ["r1i4", "what?", "r1i5"], "joe": ["r3i0"], "kim": ["no", "no"]}


@pytest.fixture(scope="module")
def system():
    from conftest import ring_walks

    return SASRec(SASRec.tiny).fit(ring_walks(), max_epochs=2, accelerator="cpu")


def written(tmp_path, ending, histories=None):
    path = tmp_path / f"in.{ending}"
    rows = [{"user": u, "history": h} for u, h in (histories or HISTORIES).items()]
    if ending == "parquet":
        pl.DataFrame(rows, schema={"user": pl.String, "history": pl.List(pl.String)}).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    rows = pl.read_parquet(path).to_dicts() if path.suffix == ".parquet" else [*map(json.loads, path.open())]
    return {row["user"]: row for row in rows}


@pytest.mark.parametrize("at_once", [1, 2, 8_192])
@pytest.mark.parametrize("endings", [("parquet", "jsonl"), ("jsonl", "parquet")])
def test_rows_of_histories(endings, at_once, system, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "USERS_AT_ONCE", at_once)
    out = tmp_path / f"out.{endings[1]}"
    assert system.predict(written(tmp_path, endings[0]), out, k=3) == len(HISTORIES)
    found = read(out)
    assert list(found) == list(HISTORIES)
    for user, history in HISTORIES.items():
        expected = system.recommend(history, k=3)
        assert found[user]["items"] == [r.item for r in expected]
        assert found[user]["scores"] == pytest.approx([r.score for r in expected], rel=1e-5)
        assert (found[user]["skipped"], found[user]["by_popularity"]) == (expected.skipped, expected.by_popularity)


def log(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"{user},{item}" for user, history in HISTORIES.items() for item in history]
    path.write_text("\n".join(["user,item", *rows]))
    return path


def test_an_event_log_and_some_of_its_users(system, tmp_path):
    out = tmp_path / "out.parquet"
    assert system.predict(log(tmp_path), out, k=2) == 4  # bob has no event
    every = read(out)
    (tmp_path / "users.csv").write_text("user\njoe\nann\n")
    some = {"users": tmp_path / "users.csv", "history_from": log(tmp_path)}
    assert system.predict(log(tmp_path), out, k=2, **some) == 2
    assert list(read(out)) == ["joe", "ann"] and read(out)["ann"]["items"] == every["ann"]["items"]


def test_a_csv_with_titles(system, tmp_path):
    """Lists are cells of JSON; an item that has no title has null."""
    titles, out = tmp_path / "titles.csv", tmp_path / "out.csv"
    titles.write_text(
        "id,title\n" + "".join(f"r{ring}i{n},ring {ring} number {n}\n" for ring in range(3) for n in range(6))
    )
    with_titles = ReadOptions(items=str(titles))
    for source in (written(tmp_path, "jsonl"), log(tmp_path)):
        count = system.predict(source, out, k=24, read_options=with_titles)
        assert any("items are not described in" in note for note in count.notes)
        rows = {row["user"]: row for row in csv.DictReader(out.open(newline=""))}
        items, shown = json.loads(rows["ann"]["items"]), json.loads(rows["ann"]["titles"])
        assert len(items) == 24 and shown == [f"ring {i[1]} number {i[3]}" if i[1] != "3" else None for i in items]
    (tmp_path / "plain.csv").write_text("id,colour\nr0i1,red\n")
    refused(
        system, DataError, r"plain\.csv has no column of titles; found colour", written(tmp_path, "jsonl"),
        tmp_path / "no.csv", read_options=ReadOptions(items=str(tmp_path / "plain.csv")),
    )  # fmt: skip


def test_what_was_seen_may_be_left_out(system, tmp_path):
    system.predict(written(tmp_path, "jsonl"), tmp_path / "out.jsonl", k=24, exclude_seen=True)
    found = read(tmp_path / "out.jsonl")
    assert not set(found["ann"]["items"]) & set(HISTORIES["ann"]) and len(found["ann"]["items"]) == 22


def test_integer_ids_stay_integers(tmp_path):
    from tenfold.data.events import Events

    system = SASRec(SASRec.tiny).fit(Events.from_histories([[7, 9, 11, 7], [9, 7, 9, 11]]), max_epochs=1)
    path = tmp_path / "in.parquet"
    pl.DataFrame({"user": [1, 2], "history": [[7], [9, 11]]}).write_parquet(path)
    system.predict(path, tmp_path / "out.parquet", k=3)
    assert set(read(tmp_path / "out.parquet")[1]["items"]) == {7, 9, 11}


def refused(system, error, match, data, output, **arguments):
    with pytest.raises(error, match=match):
        system.predict(data, output, **arguments)
    assert not output.exists()


def test_wrong_input_is_named_and_leaves_nothing(system, tmp_path):
    out, good = tmp_path / "out.parquet", written(tmp_path, "parquet")
    refused(system, OptionError, "k = 99 is larger than the catalogue of 24", good, out, k=99)
    refused(system, OptionError, r"written as \.parquet, \.jsonl, \.csv; found 'out\.xls'", good, tmp_path / "out.xls")
    refused(
        system, UnknownIdError, "user 'eve' holds an item that this system does not know", good, out, on_unseen="refuse"
    )
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"user": "ann", "history": ["r0i1"]}\n{"user": "bob"}\n')
    refused(system, DataError, r'bad\.jsonl, line 2: expected \{"user": \.\.\., "history"', bad, out)
    (tmp_path / "users.csv").write_text("user\nann\nanne\n")
    arguments = {"users": tmp_path / "users.csv", "history_from": log(tmp_path)}
    refused(
        system, UnknownIdError, r"line 3: there is no user 'anne' in .*; did you mean 'ann'", good, out, **arguments
    )
    (tmp_path / "users.csv").write_text("person\nann\n")
    refused(system, DataError, r"has no column 'user'; found person", good, out, **arguments)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-20])
    refused(system, DataError, "cut", cut, out)
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(OutputError, match="it is a folder; name a file"):
        system.predict(good, tmp_path / "folder.parquet")


# Rows of histories that are wrong ------------------------------------------------------------------------------------


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


ANN = {"user": "ann", "history": ["r0i1"]}


@pytest.mark.parametrize("at_once", [1, 8_192])
@pytest.mark.parametrize(
    "row",
    [
        {"user": "bob", "history": "i3"},
        {"user": "bob", "history": {"r0i1": 4}},
        {"user": "bob", "history": None},
        {"user": None, "history": ["r0i1"]},
        {"user": "", "history": ["r0i1"]},
        {"history": ["r0i1"]},
    ],
    ids=json.dumps,
)
def test_a_history_is_a_list_of_a_user(system, tmp_path, monkeypatch, row, at_once):
    monkeypatch.setattr(predicting, "USERS_AT_ONCE", at_once)
    bad, out = tmp_path / "bad.jsonl", tmp_path / "out.parquet"
    bad.write_text(lines(ANN, "", row, {"user": "kim", "history": []}))
    refused(system, DataError, r'bad\.jsonl, line 3: expected .*, an id and a list of ids, found \{"', bad, out)
    answered = system.predict(bad, out, k=2, read_options=ReadOptions(on_bad_rows="report"))
    assert answered == 2 and list(read(out)) == ["ann", "kim"]
    sentence, without = answered.notes
    assert without == "1 of 2 users have no item that the system knows: popularity answered"
    assert sentence.startswith(f"1 of 3 rows of {bad} are wrong and left out (line 3: expected")


def test_users_of_two_kinds_are_refused(system, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(lines(ANN, {"user": 7, "history": []}))
    refused(system, DataError, r"bad\.jsonl, line \d: 'user' is .*as one kind", bad, tmp_path / "out.parquet")
    bad.write_text(lines({"user": [7], "history": []}))
    refused(system, DataError, r"line 1: 'user' is list \(\[7\]\)", bad, tmp_path / "out.jsonl")
    bad.write_text(lines({"user": 7.5, "history": []}, {"user": 7, "history": []}))
    refused(system, DataError, r"line 1: expected .*, an id and a list", bad, tmp_path / "out.jsonl")
    bad.write_text(lines({"user": 7.0, "history": []}, {"user": 8, "history": []}))
    assert system.predict(bad, tmp_path / "out.parquet") == 2 and list(read(tmp_path / "out.parquet")) == [7, 8]


def test_the_line_in_another_encoding_is_named(system, tmp_path):
    bad, out = tmp_path / "bad.jsonl", tmp_path / "out.jsonl"
    cafe = lines({"user": "café", "history": ["r0i1"]})
    bad.write_bytes((lines(ANN) * 20_000 + cafe).encode("latin-1"))  # far behind the first buffer
    refused(system, DataError, r"line 20001: byte 0xe9 is not UTF-8; .* encoding=latin-1", bad, out)
    bad.write_bytes((lines(ANN) + cafe).encode("latin-1"))
    assert system.predict(bad, out, read_options=ReadOptions(encoding="latin-1")) == 2 and list(read(out)) == [
        "ann",
        "café",
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_histories_may_be_gzipped(system, tmp_path, ending):
    plain = written(tmp_path, ending)
    packed = tmp_path / f"in.{ending}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for source, target in ((plain, "a.jsonl"), (packed, "b.jsonl")):
        assert system.predict(source, tmp_path / target, k=3) == len(HISTORIES)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_histories_are_told_by_their_file_and_not_by_how_the_log_was_read(system, tmp_path):
    read_options = ReadOptions(format="movielens", columns="user=1,item=2")
    assert system.predict(written(tmp_path, "jsonl"), tmp_path / "out.jsonl", read_options=read_options) == len(
        HISTORIES
    )


def test_rows_of_parquet_are_held_to_what_jsonl_is(system, tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    users, histories = ["a", None, "b", "c"], [["r0i1"], ["r0i1"], None, []]
    pl.DataFrame({"user": users, "history": histories}).write_parquet(source)
    refused(system, DataError, r"in\.parquet, row 2: the row has no user or no history", source, out)
    answered = system.predict(source, out, read_options=ReadOptions(on_bad_rows="report"))
    assert answered == 2 and list(read(out)) == ["a", "c"] and "2 of 4 rows of " in answered.notes[0]
    pl.DataFrame({"user": [True], "history": [["r0i1"]]}).write_parquet(source)
    refused(
        system,
        DataError,
        "column .user. holds Boolean, and ids must be text or whole numbers",
        source,
        tmp_path / "b.jsonl",
    )


def test_whole_numbers_written_as_floats_are_understood(tmp_path):
    system = Popularity().fit(Events.from_histories([[1, 2, 2], [2, 3, 3]]), split="none")
    source = tmp_path / "in.parquet"
    pl.DataFrame({"user": [7.0], "history": [[1.0, 2.0]]}).write_parquet(source)
    system.predict(source, tmp_path / "out.jsonl", k=1)
    found = json.loads((tmp_path / "out.jsonl").read_text())
    assert found["user"] == 7 and found["skipped"] == 0 and not found["by_popularity"]


def test_damaged_histories_are_named_and_not_the_output(system, tmp_path):
    good = written(tmp_path, "parquet", {f"u{n}": [f"r0i{n % 6}"] for n in range(3_000)})
    content = bytearray(good.read_bytes())
    content[4:400] = b"\xff" * 396
    good.write_bytes(content)
    with pytest.raises(DataError, match=r"in\.parquet cannot be read as Parquet") as told:
        system.predict(good, tmp_path / "out.jsonl")
    assert "out.jsonl" not in str(told.value) and not (tmp_path / "out.jsonl").exists()


# What was left out ---------------------------------------------------------------------------------------------------


def test_what_was_found_while_reading_is_told(system, tmp_path):
    out, source = tmp_path / "out.jsonl", tmp_path / "log.csv"
    (without,) = system.predict(written(tmp_path, "jsonl"), out).notes
    assert without == "2 of 5 users have no item that the system knows: popularity answered"
    source.write_text("user,item,tme\nann,r0i1,3\n,r0i2,4\nbob,r0i1,5\n")
    answered = system.predict(source, out, read_options=ReadOptions(on_bad_rows="report"))
    wrong, untimed = answered.notes
    assert answered == 2 and f"{answered:,}" == "2"
    assert wrong.startswith(f"1 of 3 rows of {source} are wrong and left out (line 3: the user is missing")
    assert untimed.startswith(f"no column of {source} is known as the time (found 'tme')")


# Files of users ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(system, tmp_path):
    """Asks for the users of a file, from a log in which leading zeros tell them apart."""
    source, out = tmp_path / "log.csv", tmp_path / "out.jsonl"
    source.write_text("user,item\n001,r0i1\n1,r0i2\n02,r1i1\nñ,r1i2\n")

    def asked(name, content=None, **read_options):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        answered = system.predict(
            source, out, users=path, history_from=source, read_options=ReadOptions(**read_options)
        )
        return list(read(out)), answered.notes

    return asked


def test_ids_of_users_keep_their_zeros(asked, tmp_path):
    pl.DataFrame({"user": ["02", "001"]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"user": [1]}).write_parquet(tmp_path / "b.parquet")
    assert asked("a.parquet") == (["02", "001"], []) and asked("b.parquet") == (["1"], [])
    for name, content in {
        "a.csv": "user\n02\n001\n",
        "b.csv": 'name,"user"\nx,"02"\n\ny,001\n',
        "a.tsv": "name\tuser\nx\t02\ny\t001\n",
        "a.txt": "user\n02\n001",
        "no ending": "user\n02\n001\n",
        "a.jsonl": '{"user": "02"}\n{"user": "001"}\n',
        "a.csv.gz": gzip.compress(b"user\n02\n001\n"),
    }.items():
        assert asked(name, content) == (["02", "001"], []), name
    assert asked("c.csv", "user\n1\n") == asked("c.jsonl", '{"user": 1}\n') == (["1"], [])
    (tmp_path / "log.csv").write_text("user,item\nñ,r1i2\n", encoding="latin-1")
    as_the_log = {"encoding": "latin-1", "format": "csv", "columns": "user=user"}
    assert asked("d.txt", "user\nñ\n".encode("latin-1"), **as_the_log) == (["ñ"], [])
    assert asked("d.jsonl", '{"user": "ñ"}\n'.encode("latin-1"), **as_the_log) == (["ñ"], [])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", "", "is empty; give a file with a column 'user' and a row for each user"),
        ("a.parquet", "", "is empty; give a file with a column 'user' and a row for each user"),
        ("a.csv", "user\nñ\n".encode("latin-1"), "line 2: byte 0xf1 is not UTF-8; .* encoding=latin-1"),
        ("a.jsonl", '{"user": "ñ"}\n'.encode("latin-1"), "line 1: byte 0xf1 is not UTF-8"),
        ("a.jsonl", '{"user": "1"}\n{"user": 1}\n', r"line \d: 'user' is .*as one kind"),
        ("a.jsonl", '{"user": "1"}\n{"user": \n', "line 2: it is no JSON object"),
        ("a.parquet", "user\n1\n", "is no whole Parquet file"),
        ("a.csv", "user,name\n1,a\n,b\n", "line 3: the user is '', expected text or a whole number"),
        ("a.csv", "1\n2\n", "has no header"),
        ("none.csv", None, "there is no file"),
    ],
)
def test_users_that_cannot_be_read(asked, name, content, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        asked(name, content)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["users", "users.csv", "users.parquet", "users.jsonl"])
def test_users_in_a_folder(asked, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name} is a folder; name a file in it"):
        asked(name)


def test_users_that_are_left_out_are_told(asked):
    users, notes = asked("a.csv", "user,name\n1,a\n,b\n02,c\n", on_bad_rows="report")
    assert users == ["1", "02"] and len(notes) == 1
    assert "1 of 3 rows of " in notes[0] and "a.csv are wrong and left out (line 3: the user is ''" in notes[0]
