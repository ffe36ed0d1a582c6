"""Temporal graphs from every layout that public logs and people's own have; and what is wrong, in one sentence."""

import gzip
import lzma
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from conftest import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.graphs import read_interactions
from tenfold.errors import DataError

# (source, destination, time); two rows are equal, two are at one time, and the last comes late
ROWS = [(5, 8, 10.0), (8, 3, 20.0), (5, 8, 20.0), (5, 8, 20.0), (3, 9, 40.0), (9, 5, 30.0)]
ORDER = [0, 1, 2, 3, 5, 4]


def lines(separator, header="", rows=ROWS):
    return header + "".join(separator.join(map(str, row)) + "\n" for row in rows)


def frame(source="user", destination="partner", time="time", **more):
    return pl.DataFrame(ROWS, schema=[source, destination, time], orient="row").with_columns(
        *(pl.Series(name, values) for name, values in more.items())
    )


def interactions(graph):
    return list(zip(graph.ids(graph.sources), graph.ids(graph.destinations), graph.times.tolist(), strict=True))


refused = partial(refusal, read_interactions)


# Layouts -------------------------------------------------------------------------------------------------------------

FILES = {
    "snap.txt": lines(" "),
    "headed.txt": lines(" ", "source target timestamp\n"),
    "a.csv": lines(",", "src,dst,ts\n"),
    "quoted.csv": lines(",", '"user","partner","time"\n'),
    "dyglib.csv": ",u,i,ts,label,idx\n" + "".join(f"{n},{u},{i},{t},0,{n + 1}\n" for n, (u, i, t) in enumerate(ROWS)),
    "a.tsv": lines("\t", "from\tto\tunix_time\n"),
    "a.jsonl": "".join(f'{{"sender": {u}, "receiver": {v}, "t": {t}}}\n' for u, v, t in ROWS),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_all_layouts_give_the_same_graph(write, name, packed):
    content = FILES[name].encode()
    graph = read_interactions(write(name + ".gz" * packed, gzip.compress(content) if packed else content))
    assert interactions(graph) == [ROWS[n] for n in ORDER]
    assert not graph.bipartite and graph.size == 4 and len(graph) == 6
    assert graph.sources.tolist() == [1, 2, 1, 1, 4, 3]  # in the order in which the file names them
    assert graph.fingerprint == read_interactions(frame()).fingerprint
    assert graph.report.rows == 6 and "(1 interactions are earlier" in graph.report.sentences()[0]


def test_frames_and_parquet(tmp_path):
    frame().write_parquet(tmp_path / "a.parquet")
    found = [read_interactions(source) for source in (frame(), frame().to_pandas(), tmp_path / "a.parquet")]
    assert len({graph.fingerprint for graph in found}) == 1
    other = read_interactions(frame().reverse())  # equal times stand the other way round
    assert other.fingerprint != found[0].fingerprint


def test_the_public_csv_of_jodie(write):
    header = "user_id,item_id,timestamp,state_label,comma_separated_list_of_features\n"
    path = write("wikipedia.csv", header + "0,0,0.0,0,-0.175,0.5,1\n1,0,36.0,0,2,3,4\n0,1,36.5,1,5,6,7e-1\n")
    graph = read_interactions(path)
    assert graph.bipartite and graph.size == 4 and len(graph.entities) == 2
    assert graph.sources.tolist() == [1, 2, 1] and graph.destinations.tolist() == [3, 3, 4]
    assert interactions(graph) == [(0, 0, 0.0), (1, 0, 36.0), (0, 1, 36.5)]
    expected = np.array([[-0.175, 0.5, 1], [2, 3, 4], [5, 6, 0.7]], np.float32)
    np.testing.assert_array_equal(graph.features, expected)
    labels = read_interactions(path, features=["state_label", "feature 2"])
    assert labels.features.tolist() == [[0, 0.5], [0, 3], [1, 6]]
    assert "line 3: 6 fields where the other rows have 7" in refused(
        write("short.csv", header + "0,0,0.0,0,1,2,3\n1,0,36.0,0,2,3\n")
    )


def test_a_header_that_is_too_short_and_not_of_features_is_wrong(write):
    assert "line 2: 4 fields where the other rows have 3" in refused(write("a.csv", "src,dst,ts\n1,2,3,4\n"))


def test_columns_by_name_and_by_place(write):
    odd = frame("giver", "taker", "when")
    assert "only 'giver', 'taker', 'when'; say columns='source=NAME," in refused(odd)
    assert interactions(read_interactions(odd, columns="source=giver,destination=taker,time=when"))[0] == ROWS[0]
    path = write("bare.csv", lines(","))
    assert "name the columns by their place, such as columns='source=1,destination=2,time=3'" in refused(path)
    assert interactions(read_interactions(path, columns="source=2,destination=1,time=3"))[0] == (8, 5, 10.0)
    assert "there is no role 'user'" in refused(frame(), columns="user=user")
    assert "did you mean 'partner'" in refused(frame(), columns="destination=partners")


def test_meetings_of_a_shop(tmp_path):
    meetings = pl.DataFrame(
        {
            "user": ["u1", "u2", "u1", "u3"],
            "partner": ["u2", "u3", "u3", "u1"],
            "time": pl.Series([1704067200500, 1704067201000, 1704067202000, 1704067203000]).cast(pl.Datetime("ms")),
            "kind": ["gift", "message", "gift", "gift"],
            "split": ["train", "train", "validation", "test"],
        }
    )
    meetings.write_parquet(tmp_path / "meetings.parquet")
    graph = read_interactions(tmp_path / "meetings.parquet")
    assert not graph.bipartite and graph.entities.series.to_list() == ["u1", "u2", "u3"]
    assert graph.times.tolist() == [1704067200.5, 1704067201, 1704067202, 1704067203]  # seconds since 1970
    assert graph.kind_names.ids(graph.kinds) == ["gift", "message", "gift", "gift"]
    assert [rows.tolist() for rows in graph.split()] == [[0, 1], [2], [3]]
    moved = meetings.with_columns(split=pl.Series(["train", "validation", "validation", "test"]))
    moved.write_parquet(tmp_path / "moved.parquet")
    assert read_interactions(tmp_path / "moved.parquet").fingerprint != graph.fingerprint


# Ids and sides -------------------------------------------------------------------------------------------------------


def test_bipartite_by_name_or_by_word():
    items = frame(destination="item")
    graph = read_interactions(items)
    assert graph.bipartite and graph.size == 4 + 4
    assert graph.sources.tolist() == [1, 2, 1, 1, 4, 3] and graph.destinations.tolist() == [5, 6, 5, 5, 8, 7]
    assert interactions(graph) == [ROWS[n] for n in ORDER]
    assert graph.source_numbers([5, 77]).tolist() == [1, 0]
    assert graph.destination_numbers([8, 5, 77]).tolist() == [5, 8, 0]
    one = read_interactions(items, bipartite=False)
    assert one.fingerprint == read_interactions(frame()).fingerprint
    assert one.destination_numbers([8, 77]).tolist() == [2, 0]
    with pytest.raises(DataError, match="numbered from 1 to"):
        graph.ids([0])


def test_two_sides_that_share_nobody_are_pointed_out():
    rows = pl.DataFrame({"src": [1, 2], "dst": [11, 12], "ts": [0, 1]})
    assert "if these are two sets of ids, say bipartite=True" in read_interactions(rows).report.sentences()[0]
    assert read_interactions(rows, bipartite=False).report.sentences() == []


def test_ids_stay_what_they_are(write):
    path = write("a.csv", "src,dst,ts\n007,7,1\n7,abc,2\n")
    graph = read_interactions(path)
    assert graph.entities.series.to_list() == ["007", "7", "abc"]
    mixed = pl.DataFrame({"src": [1], "dst": ["a"], "ts": [0]})
    assert "holds Int64 and 'dst' String; write both as one kind" in refused(mixed)
    assert read_interactions(mixed, bipartite=True).ids([2, 1]) == ["a", 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(-5, 5)), min_size=1, max_size=40),
    st.booleans(),
)
def test_any_rows_come_back_sorted_and_whole(rows, bipartite):
    data = pl.DataFrame(rows, schema=["src", "dst", "ts"], orient="row")
    graph = read_interactions(data, bipartite=bipartite)
    assert interactions(graph) == sorted(rows, key=lambda row: row[2])  # Python's sort is stable, too
    named = {u for u, _, _ in rows}, {v for _, v, _ in rows}
    assert graph.size == (len(named[0]) + len(named[1]) if bipartite else len(named[0] | named[1]))


# Features, kinds -----------------------------------------------------------------------------------------------------


def test_features_in_columns_and_in_lists():
    columns = frame(f0=[1, 2, 3, 4, 5, 6], f1=[0.5] * 6, price=[9] * 6)
    graph = read_interactions(columns)
    assert graph.features.dtype == np.float32 and graph.features.tolist() == [[n + 1, 0.5] for n in ORDER]
    assert read_interactions(columns, features=["price"]).features.tolist() == [[9]] * 6
    assert read_interactions(columns, features=[]).features is None
    assert "no column 'prize' of features; did you mean 'price'" in refused(columns, features=["prize"])
    lists = frame(features=[[n, 2 * n, 0] for n in range(6)])
    assert read_interactions(lists).features.tolist() == [[n, 2 * n, 0] for n in ORDER]
    both = read_interactions(lists.with_columns(f7=pl.lit(3)))
    assert both.features.shape == (6, 4)


def test_features_that_are_none():
    ragged = frame(features=[[1, 2]] * 3 + [[1]] + [[1, 2]] * 2)
    assert "row 4: 'features' holds 1 features, and the first row 2" in refused(ragged)
    assert len(read_interactions(ragged, on_bad_rows="report")) == 5
    assert "row 2: 'features' is" in refused(frame(features=[[1.0], [None], *[[1.0]] * 4]))
    assert "row 3: 'f1' is 'nan', expected a number" in refused(frame(f1=[1.0, 1, float("nan"), 1, 1, 1]))
    assert "row 1: 'f1' is 'x', expected a number" in refused(frame(f1=["x", *"12345"]))
    some = read_interactions(frame(f1=["x", *"12345"]), on_bad_rows="report")
    assert some.features[:, 0].tolist() == [1, 2, 3, 5, 4]


def test_kinds():
    graph = read_interactions(frame(kind=["gift", None, "call", "gift", "", "call"]))
    assert graph.kinds.tolist() == [1, 0, 2, 1, 2, 0] and graph.kind_names.series.to_list() == ["gift", "call"]
    assert read_interactions(frame()).kinds is None


# Splits --------------------------------------------------------------------------------------------------------------


def test_splits_by_time_keep_a_moment_together():
    times = [0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8, 9, 9]
    graph = read_interactions(pl.DataFrame({"src": [1] * 13, "dst": range(13), "ts": times}))
    train, validation, test = graph.split((0.6, 0.25))
    low, high = np.quantile(times, [0.6, 0.85])
    assert train.tolist() == [n for n, t in enumerate(times) if t <= low]
    assert validation.tolist() == [n for n, t in enumerate(times) if low < t <= high]
    assert test.tolist() == [n for n, t in enumerate(times) if t > high]
    assert (graph.times[train].max(), graph.times[validation].min()) == (6, 7)
    part = graph.take(test)
    assert part.ids(part.destinations) == test.tolist()  # whose ids were the rows' numbers
    assert part.times.tolist() == graph.times[test].tolist() and part.entities is graph.entities


def test_splits_that_cannot_be():
    graph = read_interactions(pl.DataFrame({"src": [1, 2], "dst": [3, 4], "ts": [5, 5]}))
    with pytest.raises(DataError, match="of 2 interactions none is left for validation"):
        graph.split()
    for shares in ((0.7, 0.3), (0, 0.5), (0.5, 0)):
        with pytest.raises(DataError, match="whose sum is below 1"):
            graph.split(shares)
    named = read_interactions(frame(split=["train"] * 3 + ["dev"] * 3))
    with pytest.raises(DataError, match="no part 'test'"):
        named.split()
    assert [len(rows) for rows in named.split((0.1, 0.7))] == [1, 4, 1]  # shares are stronger than the column


@pytest.mark.parametrize(
    ("name", "sizes"),
    # of the test parts: what the public evaluation (DyGLib) has
    [("CollegeMsg.txt.gz", (59_835, 1_899, 8_976)), ("wikipedia_edges.txt.gz", (157_474, 9_227, 23_621))],
)
def test_public_logs(public, name, sizes):
    graph = read_interactions(public / "tcl" / name)
    assert (len(graph), graph.size, len(graph.split().test)) == sizes
    assert (np.diff(graph.times) >= 0).all() and graph.report.bad == 0


# What is wrong -------------------------------------------------------------------------------------------------------


def test_bad_rows(write):
    path = write("a.csv", "src,dst,ts\n1,2,10\n,2,11\n1,2,soon\n1,2\n1,,13\n2,1,nan\n4,5,14\n")
    assert "line 5: 2 fields where the other rows have 3" in refused(path)
    graph = read_interactions(path, on_bad_rows="report")
    assert interactions(graph) == [(1, 2, 10), (4, 5, 14)]
    assert (graph.report.rows, graph.report.bad) == (7, 5)
    places = dict(graph.report.first_bad)
    assert places[3] == "the source is missing (column 'src')" and "'soon', expected a number" in places[4]


def test_nothing_to_read(write, tmp_path):
    assert "is empty; give a file with interactions" in refused(write("a.csv", ""))
    assert "holds a header and no interactions" in refused(write("b.csv", "src,dst,ts\n"))
    wrong = write("c.csv", "src,dst,ts\n1,2,x\n")
    assert "all 1 rows are wrong, the first, line 2" in refused(wrong, on_bad_rows="report")
    assert "there is no file" in refused(tmp_path / "gone.csv")
    assert "is a folder; name a file in it" in refused(tmp_path)
    assert "where leaves none of 6 rows" in refused(frame(), where=["time>99"])
    assert "say columns='source=user,destination=item,time=NAME'" in refused(write("d.csv", "user,item\n1,2\n"))


def test_where():
    graph = read_interactions(frame(kind=list("abcabc")), where=["kind!=a", "time<=30"])
    assert interactions(graph) == [ROWS[1], ROWS[2], ROWS[5]] and graph.report.left_out == 3


class TemporalData:
    """As PyTorch Geometric's: columns of tensors."""

    def __init__(self, src, dst, t, msg=None):
        self.src, self.dst, self.t = torch.tensor(src), torch.tensor(dst), torch.tensor(t)
        self.msg = None if msg is None else torch.tensor(msg)


def test_an_object_of_pytorch_geometric():
    data = TemporalData([3, 1, 3], [5, 5, 9], [30, 10, 20], [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]])
    graph = read_interactions(data, bipartite=True)
    assert graph.ids(graph.sources) == [1, 3, 3] and graph.ids(graph.destinations) == [5, 9, 5]
    assert graph.times.tolist() == [10, 20, 30] and graph.features.tolist() == [[2, 3], [4, 5], [0.5, 1]]
    assert read_interactions(TemporalData([3, 1], [5, 5], [30, 10])).features is None
    with pytest.raises(DataError, match="unequal lengths"):
        read_interactions(TemporalData([3, 1], [5], [30, 10]))
    with pytest.raises(DataError, match="3 messages of 2"):
        read_interactions(TemporalData([3, 1], [5, 5], [30, 10], [[1.0]] * 3))


@pytest.mark.parametrize(
    "text",
    [
        "user_id,item_id,timestamp,state_label,comma_separated_list_of_features\n1,2,10,0,0.5,1\n3,4,20,0,2,3\n",
        "ts,src,dst,subreddit,num_words,score\n10,1,2,z,3,4\n20,3,4,z,5,6\n",
        "day,src,dst,callsign,typecode\n10,1,2,AA,B7\n20,3,4,AA,B7\n",
        "day,src,dst,weight\n10,1,2,1.0\n20,3,4,2.0\n",
    ],
    ids=["wiki", "comment", "flight", "coin"],
)
def test_the_public_csvs_of_tgb(tmp_path, text):
    file = tmp_path / "edgelist.csv.xz"
    file.write_bytes(lzma.compress(text.encode()))
    graph = read_interactions(file)
    assert graph.ids(graph.sources) == [1, 3] and graph.ids(graph.destinations) == [2, 4]
    assert graph.times.tolist() == [10, 20]
