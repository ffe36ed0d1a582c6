"""Recommendations file to file: in order, whole or not there, equal to `recommend`."""

import json

import polars as pl
import pytest

from tenfold import SASRec
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
    refused(system, OptionError, r"written as \.parquet or \.jsonl; found 'out\.xls'", good, tmp_path / "out.xls")
    refused(
        system, UnknownIdError, "user 'eve' holds an item that this system does not know", good, out, on_unseen="refuse"
    )
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"user": "ann", "history": ["r0i1"]}\n{"user": "bob"}\n')
    refused(system, DataError, r'bad\.jsonl, line 2: expected \{"user": \.\.\., "history"', bad, out)
    (tmp_path / "users.csv").write_text("user\nann\nanne\n")
    arguments = {"users": tmp_path / "users.csv", "history_from": log(tmp_path)}
    refused(system, UnknownIdError, r"row 2: there is no user 'anne' in .*; did you mean 'ann'", good, out, **arguments)
    (tmp_path / "users.csv").write_text("person\nann\n")
    refused(system, DataError, r"has no column 'user'; found person", good, out, **arguments)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-20])
    refused(system, DataError, "cut", cut, out)
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(OutputError, match="it is a folder; name a file"):
        system.predict(good, tmp_path / "folder.parquet")
