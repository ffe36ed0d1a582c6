"""Every layout of file that is read, to the same events."""

import codecs
import gzip
import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from small_logs import FILES, HISTORIES, histories, lines, refused, table

from tenfold.data.batches import BadRows
from tenfold.data.events import read_events
from tenfold.data.options import ReadOptions
from tenfold.data.sources import told
from tenfold.data.text_files import Chunk, Layout, careful, quick
from tenfold.data.text_sources import Delimited

# Layouts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_all_layouts_give_the_same_events(write, name, packed):
    content = FILES[name].encode()
    path = write(name + ".gz" * packed, gzip.compress(content) if packed else content)
    events = read_events(path)
    assert histories(events) == HISTORIES
    assert events.times.tolist() == [100, 120, 125, 110, 130, 140]
    assert events.fingerprint == read_events(table()).fingerprint
    assert events.report.rows == 6 and events.report.out_of_order == 1


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_parquet(write, compress):
    buffer = io.BytesIO()
    table().write_parquet(buffer)
    path = write(
        "a.parquet.gz" if compress else "a.parquet", gzip.compress(buffer.getvalue()) if compress else buffer.getvalue()
    )
    assert read_events(path).fingerprint == read_events(table()).fingerprint
    assert told(write("unnamed", buffer.getvalue())) == "parquet"


@pytest.mark.parametrize(
    "frame",
    [
        table(),
        table().to_pandas(),
        table().to_pandas().astype(object),
        table().to_pandas().set_index(pd.Index(range(60, 0, -10))),
        table().with_columns(pl.col("userId").cast(pl.UInt8), pl.col("movieId").cast(pl.Float64)),
    ],
    ids=["polars", "pandas", "objects", "index", "other types"],
)
def test_frames(frame):
    assert read_events(frame).fingerprint == read_events(table()).fingerprint


def test_order_alone(write):
    rows = [(7, 30), (9, 31), (7, 32), (7, 30)]
    expected = {7: [30, 32, 30], 9: [31]}
    for content in (lines(" ", rows=rows), lines("\t", rows=rows), lines("  ", rows=rows)):
        events = read_events(write("a.txt", content))
        assert histories(events) == expected and events.times is None
    events = read_events(write("b.txt", "7 30 32 30\n\n9 31\n"))
    assert histories(events) == expected
    assert histories(read_events(write("c.txt", "a b\n"), format="lines")) == {"a": ["b"]}


def test_a_layout_told_by_hand(write):
    path = write("a.csv", lines("\t", "user\titem\trating\ttime\n"))
    assert histories(read_events(path, format="tsv")) == HISTORIES


def test_no_header(write):
    path = write("u.data", lines("\t"))
    events = read_events(path, columns="user=1,item=2,time=4")
    assert histories(events) == HISTORIES and events.report.rows == 6
    assert "name the columns by their place" in refused(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("2,1,view\n2,3,buy\n", {2: [1, 3]}),  # the first row's ids are numbers of its columns too
        ("1,2,978300760\n1,3,978300761\n", {1: [2, 3]}),
        ("0,1,2\n7,30,5\n7,31,6\n", {30: [5], 31: [6]}),  # a data frame's own numbers, written above its rows
        ("50,60\n7,30\n", None),
    ],
)
def test_columns_by_their_place(write, content, expected):
    path = write("a.csv", content)
    if expected is None:
        assert histories(read_events(path, columns="user=50,item=60")) == {7: [30]}
    else:
        assert histories(read_events(path, columns="user=1,item=2")) == expected


@pytest.mark.parametrize("size", [40, 64, 150, 1 << 20])
def test_pieces_of_a_file_are_the_file(write, size):
    """Piece by piece, whatever their size; quoted fields hold separators, quotes and newlines."""
    titles = ["plain", "a,b", 'say ""no""', "two\nlines", "three\n\nlines", ""]
    content = "user,title,item\n" + "".join(f'u{n},"{title}",i{n % 3}\n' for n, title in enumerate(titles * 9))
    source = Delimited(write("a.csv", content), ReadOptions(), "csv", size)
    batches = list(source.batches(["item", "title", "user"]))
    frame = pl.concat([batch.frame for batch in batches])
    expected = pd.read_csv(io.StringIO(content), keep_default_na=False)
    assert frame["user"].to_list() == expected["user"].tolist()
    assert [title or "" for title in frame["title"]] == expected["title"].tolist()
    assert frame["item"].to_list() == expected["item"].tolist()
    places = np.concatenate([batch.places for batch in batches])
    text = content.split("\n")
    assert all(text[place - 1].startswith(f"{user},") for place, user in zip(places, frame["user"], strict=True))


plain = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n",\t\x1f'), max_size=5)
odd = st.text(st.sampled_from('a,"\n 0é'), max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.one_of(plain, odd), min_size=3, max_size=3), min_size=1, max_size=12))
def test_the_quick_way_agrees_with_the_careful_one(rows):
    if any(not "".join(row).strip() for row in rows):
        rows = [["x", *row[1:]] for row in rows]
    text = pd.DataFrame(rows).to_csv(index=False, header=False, lineterminator="\n")
    chunk, layout = Chunk(text.encode(), 5), Layout(",", True, 3)
    slow = careful(chunk, layout, [0, 2], BadRows("it", "line", refuse=True))
    found = [[(value or "").lstrip(" ") for value in row] for row in slow.frame.rows()]
    assert found == [[row[0].lstrip(" "), row[2].lstrip(" ")] for row in rows]
    fast = quick(chunk, layout, [0, 2])
    if fast is not None:  # spaces round a field are left out later, by both ways
        bare = [frame.select(pl.all().fill_null("").str.strip_chars(" ")) for frame in (fast.frame, slow.frame)]
        assert_frame_equal(*bare)
        assert fast.places.tolist() == slow.places.tolist()


@settings(deadline=None)
@given(st.text(st.sampled_from('ab,"\n\0'), max_size=30))
@example(',""')
@example('"",a\n"",b')
def test_the_quick_way_never_takes_what_is_wrong(text):
    chunk, layout = Chunk(text.encode() + b"\n", 1), Layout(",", True, 2)
    bad = BadRows("it", "line", refuse=False)
    slow, fast = careful(chunk, layout, [0, 1], bad), quick(chunk, layout, [0, 1])
    if fast is not None:
        assert not bad.count
        assert_frame_equal(fast.frame, slow.frame)


ids = st.one_of(
    st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=20),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.sampled_from(["7", "07", "007", "-0", "1e3", "+5", "12345678901234567890"]), min_size=1, max_size=20),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ids, st.data())
def test_ids_come_back_as_they_were(tmp_path, own, data):
    """Through every format; in text, 7 and "7" are one, as the other ids of the column say."""
    users = data.draw(st.lists(st.sampled_from(own), min_size=len(own), max_size=len(own)))
    frame = pl.DataFrame({"user": users, "item": own, "time": range(len(own))})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    expected = {user: [item for u, item in zip(users, own, strict=True) if u == user] for user in dict.fromkeys(users)}
    assert histories(read_events(frame)) == expected
    assert histories(read_events(frame.to_pandas())) == expected
    for name in ("a.parquet", "a.jsonl"):
        assert histories(read_events(tmp_path / name)) == expected
    for name in ("a.csv", "a.tsv"):
        found = histories(read_events(tmp_path / name))
        assert {str(user): [str(item) for item in items] for user, items in found.items()} == {
            str(user): [str(item) for item in items] for user, items in expected.items()
        }


def test_leading_zeros_stay(write):
    events = read_events(write("a.csv", "user,item\n1,007\n2,7\n1,12\n"))
    assert histories(events) == {1: ["007", "12"], 2: ["7"]}


# Encodings -----------------------------------------------------------------------------------------------------------

CAFE = "user,item\n1,café\n2,thé\n"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "cp1252", "utf-16-le"])
def test_encodings(write, encoding):
    events = read_events(write("a.csv", CAFE.encode(encoding)), encoding=encoding)
    assert histories(events) == {1: ["café"], 2: ["thé"]}


def test_the_wrong_encoding(write):
    path = write("a.csv", CAFE.encode("latin-1"))
    sentence = refused(path)
    assert f"{path}, line 2: byte 0xe9 is not UTF-8" in sentence and "encoding=latin-1" in sentence
    assert "there is no encoding 'latin1000'; did you mean 'latin-1'?" in refused(path, encoding="latin1000")
    path = write("b.csv", CAFE.encode("latin-1") + b"3,tea\n")
    events = read_events(path, on_bad_rows="report")
    assert histories(events) == {3: ["tea"]} and events.report.bad == 2
    assert "line 3: the bytes are not shift-jis" in refused(
        write("c.csv", b"user,item\n1,tea\n\x80\xa0,a\n"), encoding="shift-jis"
    )


def test_utf_16_is_named(write):
    for encoding, found in (("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")):
        path = write("a.csv", CAFE.encode(encoding))
        assert f"is written in {found}, not in utf-8; say encoding={found}" in refused(path)
    assert "utf-32" in refused(write("b.csv", codecs.BOM_UTF32_LE + CAFE.encode("utf-32-le")))
