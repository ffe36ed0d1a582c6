"""Files as people have them: told apart by their content, read or refused in a sentence; no row is lost in silence."""

import fuzz_files
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_logs import histories, refused

from tenfold.data.events import read_events
from tenfold.data.graphs import read_interactions
from tenfold.errors import OptionError

# Columns between spaces ----------------------------------------------------------------------------------------------

RATED = "4 71 3.5\n4 72 2\n9 71 4\n"
TIMED = "4 71 5 978300760\n4 72 3 978302109\n9 71 4 978301968\n"


def test_columns_between_spaces_are_no_histories(write):
    for content in (RATED, TIMED, "4 71 72\n9 71 73\n", "1 2 3 4\n", "4 71 72\n4 73\n", "4 The 12\n9 Up\n"):
        sentence = refused(write("a.txt", content))
        assert "name the columns by their place" in sentence and "or say format=lines" in sentence
    by_place = read_events(write("a.txt", TIMED), columns="user=1,item=2,time=4")
    assert histories(by_place) == {4: [71, 72], 9: [71]} and by_place.times.tolist()[0] == 978300760
    assert histories(read_events(write("a.txt", RATED), columns="user=1,item=2")) == {4: [71, 72], 9: [71]}
    assert histories(read_events(write("a.txt", "4 71 72\n9 71\n"))) == {4: [71, 72], 9: [71]}
    assert histories(read_events(write("a.txt", "4 71 72\n9 71 73\n"), format="lines")) == {4: [71, 72], 9: [71, 73]}
    assert histories(read_events(write("a.txt", "ann tea milk\nbob tea\n"))) == {"ann": ["tea", "milk"], "bob": ["tea"]}


@pytest.mark.parametrize("name", ["a.txt", "a.dat", "a"])
def test_a_header_is_no_customer(write, name):
    assert histories(read_events(write(name, "uid movie_id\n4 71\n4 72\n"))) == {4: [71, 72]}
    events = read_events(write(name, "uid movie_id stars ts\n" + TIMED))
    assert histories(events) == {4: [71, 72], 9: [71]} and events.times is not None
    assert histories(read_events(write(name, "buyer thing\n4 71\n"), columns="user=buyer,item=thing")) == {4: [71]}
    assert histories(read_events(write(name, "ann tea\nbob milk\n"))) == {"ann": ["tea"], "bob": ["milk"]}


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("customerNo,articleNo\n4,71\n4,72\n", {"columns": "user=1,item=2"}),
        ("customerNo|articleNo\n4|71\n4|72\n", {"columns": "user=1,item=2", "separator": "|"}),
        ("person thing\n4 71\n4 72\n", {"format": "sasrec"}),
        ("UserID::MovieID::Rating::Timestamp\n4::71::5::1\n4::72::5::2\n", {}),
        ("person thing stars\n4 71 5\n4 72 5\n", {"columns": "user=1,item=2"}),
    ],
)
def test_a_header_where_none_is_expected_is_said(write, content, asked):
    events = read_events(write("a.txt", content), **asked)
    assert histories(events) == {4: [71, 72]}
    assert any("is taken for a header and not for a row" in sentence for sentence in events.report.sentences())


# Separators, spaces, comments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "|", "\t", "~", "::", "||", "¦"])
def test_any_separator_can_be_said(write, separator):
    rows = [["user", "item", "title"], ["4", "71", "a, b"], ["4", "72", "c"]]
    path = write("a.csv", "".join(separator.join(row) + "\n" for row in rows))
    assert histories(read_events(path, separator=separator)) == {4: [71, 72]}
    if separator in ";|\t":
        assert histories(read_events(path)) == {4: [71, 72]}
        quoted = write("b.csv", "".join(separator.join(f'"{field}"' for field in row) + "\n" for row in rows))
        assert histories(read_events(quoted)) == {4: [71, 72]}


def test_columns_by_place_work_for_any_layout(write):
    for separator in ("::", "\t", ",", " ", ";"):
        path = write("a.x", "".join(separator.join(row) + "\n" for row in (["71", "4", "5"], ["72", "4", "3"])))
        assert histories(read_events(path, columns="user=2,item=1")) == {4: [71, 72]}


def test_a_first_line_that_says_the_separator_is_no_row(write):
    for first in ("sep=;\n", '\ufeff"sep=;"\r\n'):
        events = read_events(write("a.csv", first + "user;item\n4;71\n;72\n"), on_bad_rows="report")
        assert histories(events) == {4: [71]} and events.report.first_bad[0][0] == 4


def test_spaces_in_a_file_of_tabs(write):
    pairs = "ann\ttea\n" * 120 + "cleo\tgreen tea\n"
    assert histories(read_events(write("a.txt", pairs)))["cleo"] == ["green tea"]
    assert histories(read_events(write("b.txt", "user\titem\n" + pairs)))["cleo"] == ["green tea"]


def test_another_encoding_is_named_whatever_the_layout(write):
    for name in ("a.txt", "a.csv", "a.tsv", "a"):
        path = write(name, "7 10\n7 11\n".encode("utf-16"))
        assert "is written in utf-16, not in utf-8; say encoding=utf-16" in refused(path)
    assert histories(read_events(write("a.txt", "7 10\n7 11\n".encode("utf-16")), encoding="utf-16")) == {7: [10, 11]}
    assert refused(write("b.csv", "user item\n1 2\n")).endswith("say separator=space")
    assert histories(read_events(write("b.csv", "user item\n1 2\n"), separator="space")) == {1: [2]}


def test_separators_by_name(write):
    assert histories(read_events(write("a", "user\titem\n4\t71\n"), separator="tab")) == {4: [71]}
    assert histories(read_events(write("a", "user item\n4  71\n"), separator="space")) == {4: [71]}
    with pytest.raises(OptionError, match="cannot stand between columns"):
        read_events(write("a", "user,item\n4,71\n"), separator="a\nb")


def test_spaces_round_values_are_no_part_of_them(write):
    content = 'user, item, time, note\n7, 10, 5, "x, y"\n 7 ,10 ,3,z\n8,"10", 2024-05-31,\n'
    events = read_events(write("a.csv", content), on_bad_rows="report")
    assert histories(events) == {7: [10, 10]} and events.times.tolist() == [3, 5]
    assert "line 4: time is '2024-05-31'" in events.report.sentences()[0]
    assert histories(read_events(write("b.csv", "user;item\nann lee; green tea\n"))) == {"ann lee": ["green tea"]}


@pytest.mark.parametrize(
    "content",
    [
        "user,item,time,,\n7,10,5,,\n7,11,6,,\n",
        "user,item,time\n7,10,5,\n7,11,6,\n",
        "user,item,time,\n7,10,5,\n7,11,6,,\n",
    ],
)
def test_separators_at_the_end(write, content):
    assert histories(read_events(write("a.csv", content))) == {7: [10, 11]}


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r\n"])
def test_line_ends(write, end):
    for name, content in (
        ("a.csv", "user,item\n7,10\n7,11\n"),
        ("a.txt", "7 10\n7 11\n"),
        ("b.txt", "7 10 11\n8 10\n"),
    ):
        assert histories(read_events(write(name, content.replace("\n", end))))[7] == [10, 11]
    assert histories(read_events(write("a.jsonl", '{"user":7,"item":10}\n'.replace("\n", end)))) == {7: [10]}


def test_comments_before_the_first_row(write):
    path = write("a.csv", "# made by hand\n# in May\nuser,item\n7,10\n#8,11\n")
    events = read_events(path)
    assert histories(events) == {"7": [10], "#8": [11]}
    assert events.report.sentences() == [f"2 lines before the first row of {path} begin with '#': they are comments"]
    assert histories(read_events(path, comment="#")) == {7: [10]}
    named = read_events(write("b.csv", "#user,item\n7,10\n"))
    assert histories(named) == {7: [10]} and "the last names the columns: user, item" in named.report.sentences()[0]
    hashes = read_events(write("c.csv", "#1,10\n#2,11\n"), columns="user=1,item=2")
    assert histories(hashes) == {"#1": [10], "#2": [11]}
    some = read_events(write("d.csv", "#1,10\n#2,11\n3,11\n"), columns="user=1,item=2")
    assert len(some.items) == 3
    assert histories(read_events(write("out.x", "% sym weighted\n7 10 2 4\n"), columns="user=1,item=2")) == {7: [10]}
    assert "Matrix Market" in refused(write("a.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 5\n"))
    bad = read_events(write("e.csv", "#\nuser,item\n7\n8,1\n"), on_bad_rows="report")
    assert bad.report.first_bad[0][0] == 3  # lines are counted as the file has them


def test_a_comment_names_columns(write):
    path = write("a.txt", "# FromNodeId\tToNodeId\n1\t2\n1\t3\n")
    assert histories(read_events(path)) == {1: [2, 3]}
    assert histories(read_events(path, columns="user=ToNodeId,item=FromNodeId")) == {2: [1], 3: [1]}


def test_a_graph_with_comments(write):
    path = write("a.txt", "# Nodes: 3\n# FromNodeId\tToNodeId\tTime\n1\t2\t5\n1\t3\t6\n")
    graph = read_interactions(path)
    assert graph.sources.tolist() == [1, 1] and graph.destinations.tolist() == [2, 3] and len(graph.sentences()) == 2
    assert read_interactions(write("b.txt", "src dst time\n1 2 5\n")).ids([1, 2]) == [1, 2]
    assert read_interactions(write("c.txt", "1 2 5 0.5\n1 3 6 0.7\n")).times.tolist() == [5, 6]
    assert read_interactions(write("d.csv", "src;dst;time\n1;2;5\n")).times.tolist() == [5]
    days = write("e.csv", "src~dst~date\n1~2~31/05/2024\n")
    assert read_interactions(days, separator="~", time_format="%d/%m/%Y").times.tolist() == [1717113600]


# Quotes --------------------------------------------------------------------------------------------------------------


def test_quotes_in_titles(write):
    rows = ['a\t"Heroes', 'b\tLive at "Foo"', 'c\t12" mix"', 'd\tend"', 'e\t"well, yes"', 'f\t"a\tb"']
    path = write("a.tsv", "user\titem\ttitle\n" + "".join(f"1\t{row}\n" for row in rows))
    assert histories(read_events(path)) == {1: list("abcdef")}
    events = read_events(path, quote="none", on_bad_rows="report")
    assert histories(events) == {1: list("abcde")} and events.report.bad == 1
    over_two = write("b.tsv", 'user\titem\ttitle\tn\n1\ta\t"two\nlines"\t5\n1\tb\tone\t6\n')
    assert histories(read_events(over_two)) == {1: ["a", "b"]}
    commas = write("c.csv", 'user,item,title\n1,a,"open\n1,b,plain\n1,c,closed"\n2,a,plain\n')
    told = read_events(commas)
    assert histories(told) == {1: ["a"], 2: ["a"]}
    assert "1 row of" in told.report.sentences()[0] and "from line 2 on; if quotes are no" in told.report.sentences()[0]
    assert histories(read_events(commas, quote="none")) == {1: ["a", "b", "c"], 2: ["a"]}
    assert "say quote=none" in refused(write("d.csv", 'user,item,title\n1,a,"Heroes" live\n'))


letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
field = st.one_of(st.sampled_from(fuzz_files.NOISE), st.text(letters, max_size=4))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(field, min_size=1, max_size=9),
    st.sampled_from(sorted(fuzz_files.FORMS)),
    st.sampled_from(fuzz_files.ENDS),
    st.sampled_from(fuzz_files.ENCODINGS),
    st.sampled_from(fuzz_files.PACKED),
)
def test_rows_in_are_rows_out_and_rows_told(tmp_path, notes, form, end, encoding, packed):
    """Whatever stands in a column that nobody asks for. `python tests/fuzz_files.py` makes more."""
    fuzz_files.check(tmp_path, form, notes, end, encoding, packed)


# Values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["N/A", "0", "unknown", "17"])
def test_one_wrong_time_does_not_make_the_others_wrong(write, first):
    rows = [f"a,{first}", "b,2024-01-02", "c,2024-01-04 10:00:00+0530", "d,2024-01-03"]
    events = read_events(
        write("a.csv", "user,item,time\n" + "".join(f"1,{row}\n" for row in rows)), on_bad_rows="report"
    )
    assert histories(events) == {1: ["b", "d", "c"]} and events.report.bad == 1
    numbers = read_events(write("b.csv", "user,item,time\n1,a,2024-01-02\n1,b,7\n1,c,5\n"), on_bad_rows="report")
    assert histories(numbers) == {1: ["c", "b"]} and "line 2" in numbers.report.sentences()[0]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2024-01-01 00:00:05+00", 5), ("2024-01-01T00:00:05+0530", 5 - 19800), ("2024-01-01 00:00:05 +0200", 5 - 7200),
        ("20240101T000005Z", 5), ("20240101T000005.5", 5.5), ("2024-01-01T00:00:05,250Z", 5.25), ("2024-01-01", 0),
        ("2024-01-01T00:01", 60), ("2024-01-01 00:00:05 UTC", 5), ("2024-01-01T00:00:05-08:00", 5 + 28800),
        ("2024-01-01 00:01+01", 60 - 3600),
    ],
)  # fmt: skip
def test_times_as_iso_8601_writes_them(write, written, seconds):
    events = read_events(write("a.tsv", f"user\titem\ttime\n1\t2\t{written}\n"))
    assert events.times.tolist() == [1704067200 + seconds]


def test_other_times_when_their_format_is_said(write):
    path = write("a.csv", "user,item,date\n1,a,31/05/2024\n1,b,01/05/2024\n")
    assert "time is '31/05/2024'" in refused(path) and "time_format='%d/%m/%Y'" in refused(path)
    assert histories(read_events(path, time_format="%d/%m/%Y")) == {1: ["b", "a"]}
    path = write("b.csv", "user,item,date\n1,a,May 31 2024 17:20 +0200\n1,b,gone\n")
    events = read_events(path, time_format="%b %d %Y %H:%M %z", on_bad_rows="report")
    assert events.times.tolist() == [1717168800] and events.report.bad == 1
    with pytest.raises(OptionError, match="is no format from which a moment can be read"):
        read_events(path, time_format="%Q%!")


def test_large_numbers_are_told_apart_or_refused(write):
    big = 2**53 + 1
    mixed = write("a.jsonl", f'{{"user":{big},"item":1}}\n{{"user":{big - 1},"item":1}}\n{{"user":2.0,"item":2}}\n')
    assert "numbers above 2^53 run together" in refused(mixed)
    assert len(read_events(write("b.jsonl", f'{{"user":{big},"item":1}}\n{{"user":{big - 1},"item":1}}\n'))) == 2
    assert "numbers above 2^63; write them as text" in refused(write("c.jsonl", f'{{"user":{2**63},"item":1}}\n'))
    assert "numbers above 2^63" in refused(
        pl.DataFrame({"user": [2**64 - 1], "item": [1]}, schema={"user": pl.UInt64, "item": pl.Int64})
    )
    times = f'{{"user":1,"item":1,"time":{10**18}}}\n{{"user":1,"item":1,"time":1.5}}\n'
    assert len(read_events(write("d.jsonl", times)).items) == 2
    assert "'9007199254740992.0'" in refused(pd.DataFrame({"user": [float(2**53), 1.0], "item": [1, 2]}))


def test_half_a_character_is_a_wrong_row(write):
    path = write(
        "a.jsonl", '{"user":"u","item":"x\\ud83d"}\n{"user":"u","item":"\\ud83d\\ude00"}\n{"user":"v","item":"y"}\n'
    )
    assert "line 1: it holds half of a character" in refused(path)
    events = read_events(path, on_bad_rows="report")
    assert histories(events) == {"u": ["\U0001f600"], "v": ["y"]} and events.report.bad == 1
    assert "half of a character" in refused(
        pd.DataFrame({"user": [1, 2], "item": pd.Series(["a", "x\ud83d"], dtype=object)})
    )


def test_objects_as_python_writes_them(write):
    path = write(
        "a.json", "{u'user': u'ann', 'item': 5, 'good': True}\n{'user': \"o'neil\", 'item': 6}\n__import__('os')\n"
    )
    assert "line 3: it is no JSON object" in refused(path)
    assert histories(read_events(path, on_bad_rows="report")) == {"ann": [5], "o'neil": [6]}


@pytest.mark.parametrize("kind", ["category", "decimal", "binary"])
def test_ids_of_other_types(kind):
    column = {
        "category": pl.Series(["a", "b"], dtype=pl.Categorical),
        "decimal": pl.Series([7, 8]).cast(pl.Decimal(10, 0)),
        "binary": pl.Series([b"a", b"b"]),
    }[kind]
    found = histories(read_events(pl.DataFrame({"user": [1, 1], "item": column})))
    assert found == {1: [7, 8] if kind == "decimal" else ["a", "b"]}
    objects = pd.DataFrame({"user": [1, 1], "item": pd.Series(["a", 5], dtype=object)})
    assert "write all of the column as one kind" in refused(objects)


# Rows to keep --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["true", "True", "TRUE", "1"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "polars", "pandas", "numbers"])
def test_booleans_in_any_spelling(tmp_path, said, form):
    frame = pl.DataFrame({"user": [1, 1, 1], "item": [5, 6, 7], "good": [True, False, None]})
    if form == "numbers":
        frame = frame.with_columns(pl.col("good").cast(pl.Int8))
    data = tmp_path / f"a.{form}"
    if form == "csv":
        frame.write_csv(data)
    elif form == "jsonl":
        frame.write_ndjson(data)
    elif form == "parquet":
        frame.write_parquet(data)
    else:
        data = frame.to_pandas() if form == "pandas" else frame
    assert histories(read_events(data, where=(f"good={said}",))) == {1: [5]}
    assert histories(read_events(data, where=(f"good!={said}",))) == {1: [6, 7]}


def test_ids_and_dates_in_where(write):
    rows = ["a,007,2024-05-31", "b,7,2024-05-31T00:00:00", "c,1E3,2024-06-01", "d,1000,2024-06-01 12:00"]
    path = write("a.csv", "user,item,code,day\n" + "".join(f"1,{row}\n" for row in rows))

    def kept(condition):
        return "".join(histories(read_events(path, where=(condition,))).get(1, []))

    assert [kept(f"code{c}") for c in ("=7", "=007", "=1000", "=1E3", "!=007")] == ["b", "a", "d", "c", "bcd"]
    assert kept("code=7.0") == "b" and kept("day=2024-05-31") == "ab" and kept("day!=2024-05-31") == "cd"
    assert kept("day=2024-06-01T12:00:00") == "d"


# Columns -------------------------------------------------------------------------------------------------------------


def test_two_columns_that_could_be_the_user(write):
    events = read_events(write("a.csv", "customer,user,item,time\n1,2,3,4\n"))
    assert histories(events) == {2: [3]}
    (sentence,) = events.report.sentences()
    assert "'user' of" in sentence and "is taken for the user, though 'customer' could be it too" in sentence
    (sentence,) = read_events(write("b.csv", "user_id,userid,item,time\n1,2,3,4\n")).report.sentences()
    assert (
        "'user_id' of" in sentence and "'userid' could be it too; name another one with columns='user=NAME'" in sentence
    )
    assert not read_events(
        write("b.csv", "user_id,userid,item,time\n1,2,3,4\n"), columns="user=userid"
    ).report.sentences()


def test_an_event_id_that_repeats_is_none(write):
    rows = [(n % 3, n, n % 4) for n in range(30)]
    path = write("a.csv", "user,item,event_id\n" + "".join(f"{u},{i},{e}\n" for u, i, e in rows))
    events = read_events(path)
    assert len(events.items) == 30 and "it repeats in 26 of the first 30 rows" in events.report.sentences()[-1]
    assert len(read_events(path, columns="event=event_id").items) == 4
    few = write("b.csv", "user,item,event_id\n" + "".join(f"1,{n},{max(n, 3)}\n" for n in range(10)))
    assert len(read_events(few).items) == 7 and len(read_events(few, columns="event=").items) == 10


# Frames of other kinds -----------------------------------------------------------------------------------------------

COLUMNS = {"user": [7, 7], "item": ["a", "b"]}


@pytest.mark.parametrize(
    "data",
    [
        COLUMNS, pl.DataFrame(COLUMNS).lazy(), pa.table(COLUMNS), pa.RecordBatch.from_pydict(COLUMNS),
        {"user": np.array([7, 7]), "item": pd.Series(["a", "b"])},
    ],
    ids=["dict", "lazy", "table", "record batch", "dict of arrays"],
)  # fmt: skip
def test_frames_of_other_kinds(data):
    assert histories(read_events(data)) == {7: ["a", "b"]}


def test_what_is_no_frame():
    assert "the dict is no table" in refused({"user": [1, 2], "item": [1]})
    assert "an Arrow table or a dict of columns; found int" in refused(5)
