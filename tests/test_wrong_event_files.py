"""Every way in which a file or a row can be wrong, in one sentence."""

import gzip
import io

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from small_logs import FILES, HISTORIES, ROWS, histories, lines, refused, table

from tenfold.data.events import read_events
from tenfold.data.options import ReadOptions
from tenfold.data.text_files import Chunk, Layout, quick
from tenfold.data.text_sources import JsonLines
from tenfold.errors import OptionError

# Files that are wrong as a whole -------------------------------------------------------------------------------------


def test_no_file(tmp_path, write):
    write("ratings.csv", "user,item\n")
    assert "there is no file" in refused(tmp_path / "rating.csv") and "did you mean 'ratings.csv'?" in refused(
        tmp_path / "rating.csv"
    )
    assert "check the name and the folder" in refused(tmp_path / "nowhere" / "a.csv")


def test_a_folder(tmp_path, write):
    write("ratings.csv", "user,item\n")
    assert refused(tmp_path) == f"{tmp_path} is a folder; name a file in it (it holds ratings.csv)"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.inter", "a.dat", "a.txt", "a.csv.gz"])
def test_an_empty_file(write, name):
    assert "is empty; give a file with events" in refused(
        write(name, gzip.compress(b"") if name.endswith("gz") else b"")
    )
    if name not in ("a.parquet", "a.csv.gz"):
        assert "is empty; give a file with events" in refused(write(name, b"\n\n"))


@pytest.mark.parametrize("content", ["user,item,time\n", "user,item,time"])
def test_a_header_only(write, content):
    assert "holds a header and no events" in refused(write("a.csv", content))


def test_frames_without_rows():
    assert "holds no events" in refused(table().clear())
    assert "holds no events" in refused(table().clear().to_pandas())


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a"])
def test_the_separator_is_told_by_the_lines(write, name, separator):
    path = write(name, lines(separator, separator.join(["user", "item", "rating", "time"]) + "\n"))
    assert histories(read_events(path)) == HISTORIES


def test_the_wrong_separator(write):
    header = ",".join(["user", "item", "rating", "time"]) + "\n"
    sentence = refused(write("a.inter", lines(",", header)))
    assert "it is separated by ',', and as recbole it should be by tabs; say format=csv" in sentence
    sentence = refused(write("a.csv", lines(",", header)), separator=";")
    assert "it is separated by ','" in sentence and "say format=csv" in sentence
    assert "it is separated by '|'" in (found := refused(write("b.inter", "user|item\n1|2\n")))
    assert found.endswith("say separator='|'")
    with pytest.raises(OptionError, match=r"separator='\"' cannot stand between columns"):
        read_events(write("c.csv", header), separator='"')


def test_columns_that_are_not_there(write):
    path = write("a.csv", "usr,itm,when\n1,2,3\n")
    sentence = refused(path)
    assert "no column that is known as the user" in sentence and "did you mean 'usr'?" in sentence
    assert "columns='user=usr,item=" in sentence
    assert "known as the item" in refused(path, columns="user=usr") and "did you mean 'itm'?" in refused(
        path, columns="user=usr"
    )
    assert "has no column 'itn' to be the item; did you mean 'itm'?" in refused(path, columns="user=usr,item=itn")
    assert "has no column 'wen' to be the time" in refused(path, columns="user=usr,item=itm,time=wen")
    assert "there is no role 'users'; did you mean 'user'?" in refused(path, columns="users=usr")
    assert "'usr' names no column" in refused(path, columns="usr")
    assert "one column for two roles" in refused(path, columns="user=usr,item=usr")
    assert histories(read_events(path, columns="user=usr, item=itm")) == {1: [2]}
    assert read_events(path, columns="user=usr,item=itm,time=when").times.tolist() == [3]


def test_near_misses_of_all_roles_are_offered_at_once(write):
    path = write("a.csv", "tme,usr,itm,title\n3,1,2,x\n")
    assert refused(path).endswith("did you mean 'usr'? say columns='user=usr,item=itm,time=tme'")
    assert refused(path, columns="user=usr").endswith("did you mean 'itm'? say columns='user=usr,item=itm,time=tme'")
    assert refused(write("b.csv", "user,thing,title\n1,2,x\n")).endswith("; say columns='user=user,item=NAME'")
    assert refused(write("c.csv", "user,thing,when\n1,2,3\n")).endswith("; say columns='user=user,item=NAME'")
    assert "'c20' and 10 more; say" in refused(write("d.csv", ",".join(f"c{n}" for n in range(1, 31)) + "\n"))


def test_a_time_that_is_not_known_as_one_is_told(write):
    path = write("a.csv", "user,item,tme,rate\n1,2,9,5\n1,3,8,4\n")
    events = read_events(path)
    assert histories(events) == {1: [2, 3]} and events.times is None
    assert events.report.sentences() == [
        f"no column of {path} is known as the time (found 'tme', 'rate'): rows are taken in the file's order; "
        "if one of these is the time, name it with columns='time=tme'"
    ]
    assert histories(read_events(path, columns="time=tme")) == {1: [3, 2]}
    path = write("b.csv", "buyer,item,when_bought,title,rate\n1,2,9,a,5\n")
    (sentence,) = read_events(path, columns="user=buyer").report.sentences()
    assert sentence.endswith("name it with columns='user=buyer,time=NAME'")
    (sentence,) = read_events(pl.DataFrame({"user": [1], "item": [2], "moment": [3]})).report.sentences()
    assert sentence.startswith("no column of the polars frame is known as the time (found 'moment')")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "user,item\n1,2\n"),
        ("a.csv", "event_id,user,item\n7,1,2\n"),
        ("a.csv", "user,item,rating,time\n1,2,5,9\n"),
        ("a.txt", "1 2\n1 3\n"),
        ("a.dat", "1::2::5::9\n"),
    ],
)
def test_where_no_column_can_be_the_time_nothing_is_told(write, name, content):
    assert read_events(write(name, content)).report.sentences() == []


def test_a_column_twice(write):
    assert "two columns of the name 'item'" in refused(write("a.csv", "user,item,item\n1,2,3\n"))


def test_what_is_no_log():
    assert "found list" in refused([1, 2])


def test_cut_short_gzip(write):
    content = gzip.compress(lines(",", "user,item,rating,time\n", ROWS * 5000).encode(), compresslevel=1)
    path = write("a.csv.gz", content[: len(content) // 2])
    sentence = refused(path)
    assert "cut short" in sentence and f"{path}, line " in sentence
    events = read_events(path, on_bad_rows="report")
    assert 0 < len(events.items) < 30_000 and events.report.bad == 1
    line = events.report.first_bad[0][0]
    assert len(events.items) == line - 2  # whole lines: the header, and the one that is cut, are no events
    damaged = bytearray(content)
    damaged[-6] ^= 255  # of the checksum
    assert "damaged" in refused(write("b.csv.gz", bytes(damaged)))
    assert "gzip" in refused(write("c.gz", content[:8]))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.txt.gz", "ratings.dat.gz", "a.jsonl.gz", "a.parquet.gz", "no ending"])
def test_damaged_gzip(write, name):
    separator = "::" if "dat" in name else " " if "txt" in name else ","
    plain = lines(separator, "" if separator != "," else "user,item,rating,time\n", ROWS * 50).encode()
    if "jsonl" in name:
        plain = b'{"user": 1, "item": 2}\n' * 300
    if "parquet" in name:
        buffer = io.BytesIO()
        table().write_parquet(buffer)
        plain = buffer.getvalue()
    whole = gzip.compress(plain)
    for place in (12, 20, len(whole) // 2):
        content = bytearray(whole)
        content[place] ^= 255
        path = write(name, bytes(content))
        sentence = refused(path)
        assert str(path) in sentence and "\n" not in sentence


@pytest.mark.parametrize("name", ["a.csv.gz", "a.txt.gz", "a.jsonl.gz", "no ending"])
def test_a_small_gzip_that_is_cut_short_is_reported(write, name):
    rows = [(n % 7, n, 5, n * 97) for n in range(400)]
    separator, header = (" ", "") if "txt" in name else (",", "user,item,rating,time\n")
    plain = lines(separator, header, rows).encode()
    if "txt" in name:
        plain = lines(" ", rows=[row[:2] for row in rows]).encode()
    if "jsonl" in name:
        plain = "".join(f'{{"user": {row[0]}, "item": {row[1]}}}\n' for row in rows).encode()
    content = gzip.compress(plain)
    path = write(name, content[: len(content) // 2])
    assert "from here on the gzip cannot be read, it ends in the middle: the file was cut short" in refused(path)
    events = read_events(path, on_bad_rows="report")
    assert 0 < len(events.items) < 400 and events.report.bad == 1


def test_cut_short_parquet(write):
    buffer = io.BytesIO()
    table().write_parquet(buffer)
    for content in (buffer.getvalue()[:-7], buffer.getvalue()[:5], b"user,item\n1,2\n", b"PAR1" * 9):
        assert "is no whole Parquet file" in refused(write("a.parquet", content))
    frame = pl.DataFrame({"user": [f"u{n}" for n in range(9999)], "item": range(9999)})
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    damaged = bytearray(buffer.getvalue())
    damaged[4:900] = b"\xff" * 896
    assert "Parquet" in refused(write("b.parquet", bytes(damaged)))


def test_json_that_is_none(write):
    assert "line 1: expected a JSON object a line" in refused(write("a.jsonl", "user,item\n1,2\n"))
    assert "one JSON array; write one object a line" in refused(write("a.json", '[{"user": 1, "item": 2}]'))
    assert "line 2: byte 0xe9 is not UTF-8" in refused(write("d.jsonl", b'\n{"user": "\xe9", "item": 2}\n'))
    assert histories(read_events(write("e.jsonl", "\n" * 200 + FILES["a.jsonl"]))) == HISTORIES
    path = write("b.jsonl", '{"user": 1, "item": 2}\n{"user": 1, "it\n\n5\n{"user": 3, "item": 4}\n')
    assert f"{path}, line 2: it is no JSON object" in refused(path)
    events = read_events(path, on_bad_rows="report")
    assert histories(events) == {1: [2], 3: [4]} and [place for place, _ in events.report.first_bad] == [2, 4]
    pieces = JsonLines(write("c.jsonl", FILES["a.jsonl"]), ReadOptions(), size=70)
    assert [place for batch in pieces.batches(["user"]) for place in batch.places] == [1, 2, 3, 4, 5, 6]


# Rows that are wrong -------------------------------------------------------------------------------------------------

BAD = {
    "too few fields": ("2,31", "2 fields where the other rows have 3"),
    "too many fields": ("2,31,5,9", "4 fields where the other rows have 3"),
    "no user": (",31,5", "the user is missing (column 'user')"),
    "no item": ("2,,5", "the item is missing (column 'item')"),
    "no time": ("2,31,", "the time is missing (column 'time')"),
    "words": ("2,31,yesterday", "time is 'yesterday', expected a number"),
    "infinite": ("2,31,inf", "time is 'inf', expected a number"),
    "NUL": ("2,3\0,5", "a NUL byte stands in it"),
    "open quote": ('"2,31,5', "a quote is opened and never closed"),
    "loose quote": ('"2"x,31,5', "its quotes do not fit"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row(write, name):
    row, why = BAD[name]
    good = [f"{n},{n + 30},{n + 100}" for n in range(1, 9)]
    path = write("a.csv", "user,item,time\n" + "\n".join([*good[:5], row, *good[5:]]) + "\n")
    assert f"{path}, line 7: {why}" in refused(path) and "on_bad_rows=report" in refused(path)
    events = read_events(path, on_bad_rows="report")
    assert histories(events) == {n: [n + 30] for n in range(1, 9)}
    assert events.report.bad == 1 and events.report.first_bad[0][0] == 7 and why in events.report.first_bad[0][1]
    assert events.report.rows == 9
    (sentence,) = events.report.sentences()
    assert sentence.startswith(f"1 of 9 rows of {path} are wrong and left out (line 7: {why}")


def test_many_bad_rows_are_counted_and_the_first_told(write):
    rows = [f"{n},{n},{'x' if n % 2 else n}" for n in range(20)]
    events = read_events(write("a.csv", "user,item,time\n" + "\n".join(rows)), on_bad_rows="report")
    assert events.report.bad == 10 and [place for place, _ in events.report.first_bad] == [3, 5, 7, 9, 11]
    assert "and 5 more)" in events.report.sentences()[0]
    assert "all 2 rows are wrong, the first, line 2, because" in refused(
        write("b.csv", "user,item,time\n1,2,x\n1,2,y\n"), on_bad_rows="report"
    )


def test_bad_rows_of_other_layouts(write):
    assert "line 2: user '9' has no item" in refused(write("a.txt", "7 30 31\n9\n"))
    assert "line 2: 1 field where the other rows have 2" in refused(write("b.txt", "7 30\n9\n"), format="sasrec")
    assert "line 2: 3 fields where the other rows have 4" in refused(write("a.dat", "1::2::3::4\n1::2::3\n"))
    frame = pl.DataFrame({"user": [1.0, None, 2.5, float("nan")], "item": ["a", "b", "c", "d"]})
    assert "row 2: the user is missing" in refused(frame)
    events = read_events(frame, on_bad_rows="report")
    assert histories(events) == {1: ["a"]} and events.report.first_bad[1] == (
        3,
        "the user is '2.5', expected text or a whole number",
    )


def test_mixed_ids(write):
    path = write("a.jsonl", '{"user": 7, "item": 1}\n{"user": "ann", "item": 1}\n')
    sentence = refused(path)
    assert "'user' is " in sentence and "write all of the column as one kind" in sentence
    frame = pd.DataFrame({"user": ["ann", 7, "bob"], "item": [1, 2, 3]})
    assert "the pandas frame, row 2: 'user' is a number (7) where other rows have text" in refused(frame)
    assert "'item' is list" in refused(write("b.jsonl", '{"user": 7, "item": [1]}\n'))
    assert "holds Boolean, and ids must be text or whole numbers" in refused(
        pl.DataFrame({"user": [True], "item": [1]})
    )
    assert histories(read_events(write("c.csv", "user,item\n7,1\nann,1\n"))) == {"7": [1], "ann": [1]}
    big = pl.DataFrame({"user": [2**63 + 5], "item": [1]}, schema={"user": pl.UInt64, "item": pl.Int64})
    assert "numbers above 2^63" in refused(big)


def test_an_arrow_table_of_categories():
    column = pa.array(["b", "a", "b"]).dictionary_encode()
    frame = pl.DataFrame(pl.from_arrow(pa.table({"user": column, "item": pa.array([1, 2, 3])})))
    assert histories(read_events(frame)) == {"b": [1, 3], "a": [2]}


def test_a_row_too_long_is_seen_though_its_end_is_not_read():
    for text in (b"1,2,3\n1,2,3,4\n", b"1,2,3\n1,2\n1,2,3,4\n", b"1,2,3\n\n1,2,3\n"):
        assert quick(Chunk(text, 1), Layout(",", False, 3), [0]) is None
    assert quick(Chunk(b"1,2,3\n4,5,6\n", 1), Layout(",", False, 3), [0]).frame.rows() == [("1",), ("4",)]
