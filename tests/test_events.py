"""Events in memory: vocabularies, order, ties, duplicates, rows chosen, k-cores, titles, and what a person is told."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold import Popularity
from tenfold.data import packing
from tenfold.data.columns import iso_seconds
from tenfold.data.events import Events, read_events
from tenfold.data.options import ReadOptions
from tenfold.data.splits import split
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError


def log(rows, columns=("user", "item", "time")):
    return pl.DataFrame(rows, schema=list(columns), orient="row")


def histories(events):
    users = events.users.ids(range(1, len(events) + 1))
    return {own: events.catalogue.ids(events.history(u)) for u, own in enumerate(users)}


# Vocabularies --------------------------------------------------------------------------------------------------------


def test_a_vocabulary_finds_ids_in_either_spelling():
    whole, text = Vocabulary(pl.Series([70, 7, -3])), Vocabulary(pl.Series(["70", "007", "ann"]))
    asked = [7, "7", "007", 70.0, "70", -3, "-3", None, "x", 7.5, True]
    assert whole.numbers(asked).tolist() == [2, 2, 0, 1, 1, 3, 3, 0, 0, 0, 0]
    assert text.numbers([70, "70", "007", 7, "ann", None, "Ann"]).tolist() == [1, 1, 2, 0, 3, 0, 0]
    assert whole.ids([3, 1]) == [-3, 70] and text.ids(np.array([2])) == ["007"] and whole.ids([]) == []
    assert (whole.kind, text.kind) == ("integer", "text") and len(text) == 3
    assert whole.numbers([7]).dtype == np.int32


@pytest.mark.parametrize("own", [[70, 7, -3], ["70", "007", "ann"]])
def test_many_ids_are_found_as_few_are(own):
    vocabulary = Vocabulary(pl.Series(own))
    for asked in (["70", "7", "007", "x", "+7", " 7"], [70, 7, 8, -3]):
        expected = vocabulary.numbers(asked).tolist()
        assert vocabulary.numbers(pl.Series(asked)).tolist() == expected
        assert vocabulary.numbers(asked * 2000).tolist() == expected * 2000


def test_ids_must_be_ids():
    for wrong in (pl.Series([1, 1]), pl.Series(["a", None]), pl.Series([1.5]), pl.Series([True])):
        with pytest.raises(DataError, match="ids"):
            Vocabulary(wrong)
    with pytest.raises(DataError, match=r"numbered from 1 to 2, found 0 \.\. 5"):
        Vocabulary(pl.Series(["a", "b"])).ids([0, 5])


@given(st.one_of(st.lists(st.text(), unique=True), st.lists(st.integers(-(2**63), 2**63 - 1), unique=True)))
def test_a_vocabulary_written_is_the_one_read(own):
    kind = pl.Int64 if own and isinstance(own[0], int) else pl.String
    vocabulary = Vocabulary(pl.Series(own, dtype=kind))
    content = vocabulary.to_bytes()
    again = Vocabulary.from_bytes(content)
    assert again == vocabulary and again.to_bytes() == content and again.fingerprint == vocabulary.fingerprint


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"kind":"float","ids":[]}', b'{"kind":"text","ids":[1]}', b'{"kind":"in']
)
def test_a_damaged_vocabulary_is_refused(content):
    with pytest.raises(DataError, match="no vocabulary as Tenfold writes it"):
        Vocabulary.from_bytes(content)


def test_extending_keeps_the_numbers():
    old = Vocabulary(pl.Series(["b", "7"]))
    assert old.extended(Vocabulary(pl.Series(["c", "b", "a"]))).series.to_list() == ["b", "7", "c", "a"]
    assert old.extended(Vocabulary(pl.Series([8, 7]))).series.to_list() == ["b", "7", "8"]
    assert Vocabulary(pl.Series([7])).extended(Vocabulary(pl.Series([9, 7]))).series.to_list() == [7, 9]
    assert Vocabulary(pl.Series([7])).extended(old).series.to_list() == ["7", "b"]


def test_near_misses():
    assert Vocabulary(pl.Series(["lamp", "chair"])).nearest("lmap") == "did you mean 'lamp'?"
    many = Vocabulary(pl.Series([f"item_{n}" for n in range(50_000)] + ["chandelier"]))
    assert many.nearest("chandelir") == "did you mean 'chandelier'?"
    assert many.nearest("zzz") == "ids here look like 'item_0'"
    assert Vocabulary(pl.Series([5, 9, 7])).nearest("x") == "ids here are whole numbers from 5 to 9"


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 400).map(lambda n: f"i{n}"), min_size=1), min_size=1, max_size=6))
def test_ids_are_numbered_as_they_appear(batches):
    numbering, known = packing.Numbering(size=2), {}  # so small that it grows many times
    for batch in batches:
        numbers, first = numbering.add(pl.Series(batch))
        new = [row for row, own in enumerate(batch) if own not in known and known.setdefault(own, len(known) + 1)]
        assert numbers.tolist() == [known[own] for own in batch]
        assert first.tolist() == new
    assert numbering.ids().to_list() == list(known)


# Order, ties, duplicates ---------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 6)), min_size=1, max_size=60))
def test_users_are_packed_in_order_of_time_and_ties_in_that_of_the_file(rows):
    events = read_events(log(rows))
    expected = {user: sorted((r for r in rows if r[0] == user), key=lambda r: r[2]) for user, _, _ in rows}
    assert histories(events) == {user: [item for _, item, _ in mine] for user, mine in expected.items()}
    assert list(histories(events)) == list(dict.fromkeys(user for user, _, _ in rows))  # by appearance
    assert events.times.tolist() == [float(time) for mine in expected.values() for _, _, time in mine]
    latest, late = {}, 0
    for user, _, time in rows:
        late += time < latest.get(user, time)
        latest[user] = max(time, latest.get(user, time))
    assert events.report.out_of_order == late
    equal = len(rows) - len(set(rows))
    assert events.report.equal == equal and events.report.duplicates == 0
    once = read_events(log(rows), deduplicate=True)
    kept = {user: list(dict.fromkeys(mine)) for user, mine in expected.items()}
    assert histories(once) == {user: [item for _, item, _ in mine] for user, mine in kept.items()}
    assert once.report.duplicates == equal and once.report.equal == 0


def test_an_unsorted_log_is_told_or_refused():
    rows = log([(1, 5, 10), (2, 5, 7), (2, 6, 9), (1, 6, 8), (1, 7, 9)])
    (sentence,) = read_events(rows).report.sentences()
    assert "is not in order of time (2 events" in sentence and "equal times in the file's order" in sentence
    with pytest.raises(DataError, match="row 4: this event is earlier than one before it of the same user"):
        read_events(rows, require_sorted=True)
    assert read_events(rows.sort("time"), require_sorted=True).report.sentences() == []
    assert read_events(rows.sort("user", "time"), require_sorted=True).report.sentences() == []


def test_the_line_that_is_out_of_order(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\n1,5,10\n\n2,5,7\n1,6,8\n")
    with pytest.raises(DataError, match="line 5: this event is earlier"):
        read_events(path, require_sorted=True)


def test_times_belong_to_their_own_history():
    with pytest.raises(DataError, match="history 0 has 2 events and 1 times"):
        Events.from_histories([["a", "b"], ["c"]], times=[[1], [2, 3]])
    with pytest.raises(DataError, match="2 histories and 1 lists of times"):
        Events.from_histories([["a"], ["c"]], times=[[1]])


def test_events_that_were_read_cannot_be_read_in_another_way():
    events = Events.from_histories([["a", "b"]])
    assert read_events(events) is events
    with pytest.raises(OptionError, match="min_item_events says how a file is read"):
        read_events(events, min_item_events=5)
    with pytest.raises(OptionError, match="min_user_events says how a file is read"):
        Popularity().fit(split(events, "none"), split="none", read_options=ReadOptions(min_user_events=5))


def test_duplicates_without_times_are_equal_pairs():
    rows = log([("a", 1), ("b", 1), ("a", 2), ("a", 1), ("a", 1), ("b", 2)], ("user", "item"))
    assert histories(read_events(rows)) == {"a": [1, 2, 1, 1], "b": [1, 2]}
    assert read_events(rows).report.sentences() == []
    once = read_events(rows, deduplicate=True)
    assert histories(once) == {"a": [1, 2], "b": [1, 2]} and once.report.sentences() == ["2 duplicates are left out"]


def test_an_event_id_seen_before_is_a_duplicate():
    rows = log([("e1", 1, 5), ("e2", 1, 6), ("e1", 2, 7), ("e3", 2, 7), ("e2", 1, 6)], ("event_id", "user", "item"))
    events = read_events(rows)
    assert histories(events) == {1: [5, 6], 2: [7]} and events.report.duplicates == 2
    rows = rows.rename({"event_id": "uuid"})
    assert len(read_events(rows).items) == 5
    assert len(read_events(rows, columns="event=uuid").items) == 3


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 7)), min_size=1, max_size=60),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_k_cores(rows, least_user, least_item):
    left = list(rows)
    while True:
        users, items = Counter(u for u, _ in left), Counter(i for _, i in left)
        fewer = [(u, i) for u, i in left if users[u] >= least_user and items[i] >= least_item]
        if len(fewer) == len(left):
            break
        left = fewer
    read_options = ReadOptions(min_user_events=least_user, min_item_events=least_item)
    if not left:
        with pytest.raises(DataError, match="lower min_user_events or min_item_events"):
            read_events(log(rows, ("user", "item")), read_options)
        return
    events = read_events(log(rows, ("user", "item")), read_options)
    assert histories(events) == {user: [i for u, i in left if u == user] for user, _ in left}
    assert events.report.dropped == len(rows) - len(left)
    assert sorted(events.catalogue.series) == sorted({i for _, i in left})


# Times ---------------------------------------------------------------------------------------------------------------

MOMENTS = [
    "2024-05-31",
    "2024-05-31 17:20",
    "2024-05-31T17:20:05.25",
    "2024-05-31T17:20:05Z",
    "2024-05-31 17:20:05 UTC",
]
MOMENTS += ["2024-05-31T17:20:05+02:00", "2024-05-31T17:20:05-0330", "1969-12-31T23:59:59"]


def test_date_times_are_seconds():
    expected = [pd.Timestamp(moment).timestamp() for moment in MOMENTS]
    assert iso_seconds(pl.Series(MOMENTS)).to_list() == expected
    rows = log([(1, n, moment) for n, moment in enumerate(MOMENTS)])
    assert read_events(rows).times.tolist() == sorted(expected)
    for wrong in ("yesterday", "31.05.2024", "2024-13-01", "17:20", "2024-05-31T25:00", ""):
        assert iso_seconds(pl.Series([wrong])).to_list() == [None]


def test_times_of_every_type_are_the_same_events(tmp_path):
    moments = pd.to_datetime(["2024-05-31 17:20:05.5", "2024-05-30 00:00:00.0", "2024-06-01 01:02:03.0"])
    frame = pd.DataFrame({"user": [1, 1, 2], "item": [5, 6, 7], "time": moments})
    forms = [frame, frame.assign(time=moments.tz_localize("UTC").tz_convert("Asia/Tokyo")), pl.from_pandas(frame)]
    forms += [frame.assign(time=[m.timestamp() for m in moments]), frame.assign(time=[m.isoformat() for m in moments])]
    forms += [frame.assign(time=moments.astype(object))]
    expected = [moments[1].timestamp(), moments[0].timestamp(), moments[2].timestamp()]
    for form in forms:
        events = read_events(form)
        assert events.times.tolist() == expected and histories(events) == {1: [6, 5], 2: [7]}
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_events(tmp_path / "a.csv").fingerprint == read_events(frame).fingerprint


def test_numbers_stay_what_they_are():
    milliseconds = [1717175999123, 1717175999122]
    assert read_events(log([(1, 5, milliseconds[0]), (2, 5, milliseconds[1])])).times.tolist() == milliseconds


def test_a_log_has_numbers_or_dates(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\n1,5,2024-05-31\n1,6,17000\n")
    with pytest.raises(DataError, match="line 3: time is '17000', expected a date-time as in other rows"):
        read_events(path)
    path.write_text("user,item,time\n1,5,17000\n1,6,2024-05-31\n")
    with pytest.raises(DataError, match="line 3: time is '2024-05-31', expected a number as in other rows"):
        read_events(path)
    with pytest.raises(DataError, match="times must be numbers or date-times, found Boolean"):
        read_events(log([(1, 5, True)]))


# Rows and columns chosen ---------------------------------------------------------------------------------------------

EVENTS = [("a", 1, "view", 5.0, "2024-01-01"), ("a", 2, "buy", 4.0, "2024-01-02"), ("b", 1, "buy", 3.5, "2024-01-03")]
EVENTS += [("b", 3, "buy", None, "2024-01-04"), ("c", 2, "", 4.5, "2024-01-05")]
COLUMNS = ("user", "item", "event", "rating", "date")


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (["event=buy"], [1, 2, 3]),
        (["event == buy"], [1, 2, 3]),
        (["event!=buy"], [0, 4]),
        (["rating>=4"], [0, 1, 4]),
        (["rating > 4"], [0, 4]),
        (["rating<4"], [2]),
        (["rating<=4.0"], [1, 2]),
        (["rating=4"], [1]),
        (["item=1"], [0, 2]),
        (["date>=2024-01-03"], [2, 3, 4]),
        (["event=buy", "rating>=4"], [1]),
        (["event="], [4]),
    ],
)
@pytest.mark.parametrize("form", ["frame", "csv"])
def test_where(tmp_path, where, kept, form):
    data = log(EVENTS, COLUMNS)
    if form == "csv":
        data.write_csv(tmp_path / "a.csv")
        data = tmp_path / "a.csv"
    events = read_events(data, where=tuple(where))
    expected = {}
    for row in kept:
        expected.setdefault(EVENTS[row][0], []).append(EVENTS[row][1])
    assert histories(events) == expected
    assert events.report.left_out == len(EVENTS) - len(kept)
    assert f"{len(EVENTS) - len(kept)} of 5 rows are left out by where" in events.report.sentences()


def test_where_that_cannot_be():
    data = log(EVENTS, COLUMNS)
    for where, sentence in {
        "evnt=buy": "has no column 'evnt'; did you mean 'event'; or say where='' to take all rows",
        "buy": "compares nothing",
        "event>=buy": ">= compares numbers or dates, and 'buy' is neither; use = or !=",
        "rating>=9": "where leaves none of 5 rows",
    }.items():
        with pytest.raises(DataError, match=sentence.replace("?", r"\?")):
            read_events(data, where=(where,))
    with pytest.raises(DataError, match="row 1: 'event' is 'view', which cannot be compared in where 'event>=3'"):
        read_events(data, where=("event>=3",))


def test_a_row_that_is_not_wanted_may_be_wrong():
    rows = log([(1, 5, "7", "buy"), (1, None, "never", "view"), (1, 6, "8", "buy")], ("user", "item", "time", "event"))
    assert histories(read_events(rows, where=("event=buy",))) == {1: [5, 6]}


def test_options_of_reading():
    with pytest.raises(OptionError, match=r"there is no option 'column'; did you mean 'columns'\?"):
        read_events(log(EVENTS, COLUMNS), column="user=user")
    with pytest.raises(OptionError, match="format"):
        read_events(log(EVENTS, COLUMNS), format="xls")
    events = read_events(log(EVENTS, COLUMNS), ReadOptions(where=("event=buy",)), min_user_events=2)
    assert histories(events) == {"b": [1, 3]}
    assert read_events(events) is events


# Titles --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl", "items.parquet", "movies.dat", "a.item"])
def test_titles_join_by_id(tmp_path, name):
    path = tmp_path / name
    items = pl.DataFrame(
        {"item_id": [9, 7, 8, 7], "movie_title": ["Nine", "Sevèn", None, "again"], "year": [1999, 2007, 1988, 1]}
    )
    if name == "items.csv":
        items.write_csv(path)
    elif name == "items.jsonl":
        items.write_ndjson(path)
    elif name == "items.parquet":
        items.write_parquet(path)
    elif name == "movies.dat":
        path.write_bytes("9::Nine::1999\n7::Sevèn::2007\n8::::1988\n7::again::1\n".encode("latin-1"))
    else:
        path.write_text(
            "item_id:token\tmovie_title:token_seq\tyear:float\n"
            + items.write_csv(None, separator="\t", include_header=False)
        )
    log_path = tmp_path / "log.csv"
    log_path.write_text("user,item\n1,7\n1,8\n2,5\n2,9\n")
    encoding = "latin-1" if name == "movies.dat" else "utf-8"
    events = read_events(log_path, items=str(path), encoding=encoding)
    assert [events.title(number) for number in range(1, 5)] == ["Sevèn", "8", "5", "Nine"]
    assert events.attributes["title"].to_list() == ["Sevèn", None, None, "Nine"]
    year = next(column for column in events.attributes.columns if column != "title")
    assert events.attributes[year].to_list() == [2007, 1988, None, 1999]
    assert f"1 of 4 items are not described in {path}" in events.report.sentences()
    assert f"1 rows of {path} describe an item again; the first counts" in events.report.sentences()
    other = events.recoded(Vocabulary(pl.Series([9, 6, 7])))
    assert [other.title(number) for number in range(1, 4)] == ["Nine", "6", "Sevèn"]


def test_titles_that_cannot_be_joined(tmp_path):
    rows = log([(1, 5), (1, 6)], ("user", "item"))
    with pytest.raises(DataError, match="there is no file"):
        read_events(rows, items=str(tmp_path / "none.csv"))
    path = tmp_path / "items.csv"
    path.write_text("itme,title\n5,Five\n")
    with pytest.raises(DataError, match=r"has no column of item ids, only itme, title; did you mean 'itme'\?"):
        read_events(rows, items=str(path))
    path.write_text("item,title\nx,Ex\n")
    with pytest.raises(DataError, match="describes none of the 2 items"):
        read_events(rows, items=str(path))
    path.write_text("id,name\n6,Six\n5,Five\n")
    assert read_events(rows, items=str(path)).title(1) == "Five"


# Events --------------------------------------------------------------------------------------------------------------


def test_events_from_lists():
    events = Events.from_histories([["b", "a", "b"], ["c"]], times=[[3, 1, 2], [9]], titles={"a": "A"})
    assert histories(events) == {1: ["a", "b", "b"], 2: ["c"]} and events.times.tolist() == [1, 2, 3, 9]
    assert [events.title(n) for n in (1, 2, 3)] == ["b", "A", "c"]
    assert (events.items.dtype, events.offsets.dtype) == (np.int32, np.int64)
    named = Events.from_histories([[4], [4, 5]], users=["ann", "bob"])
    assert histories(named) == {"ann": [4], "bob": [4, 5]} and named.times is None
    with pytest.raises(DataError, match="histories hold ids of one kind"):
        Events.from_histories([["a", 4]])
    with pytest.raises(DataError, match="2 events and 1 times"):
        Events.from_histories([[4, 5]], times=[[1]])


def test_the_fingerprint_is_of_ids_items_order_and_times():
    rows = [(1, 5, 10), (2, 6, 11), (1, 7, 12)]
    same = read_events(log(rows)).fingerprint
    assert read_events(log([(1, 5, 10.0), (2, 6, 11.0), (1, 7, 12.0)])).fingerprint == same
    for other in (
        [(3, 5, 10), (2, 6, 11), (3, 7, 12)],
        [(1, 5, 10), (2, 6, 11), (1, 8, 12)],
        [(1, 5, 10), (2, 6, 11), (1, 7, 13)],
        [(1, 5, 10), (2, 6, 11), (2, 7, 12)],
        rows[:2],
    ):
        assert read_events(log(other)).fingerprint != same
    assert read_events(log([row[:2] for row in rows], ("user", "item"))).fingerprint != same


def test_recoded_events_stay_in_place():
    events = Events.from_histories([["b", "a", "c", "b"], ["c"]])
    other = events.recoded(Vocabulary(pl.Series(["x", "b", "a"])))
    assert other.items.tolist() == [2, 3, 0, 2, 0] and other.offsets.tolist() == [0, 4, 5]
    assert other.users == events.users and len(other.catalogue) == 3


@pytest.mark.parametrize(
    ("name", "events", "users", "items"),
    [
        ("ml-1m.txt.gz", 999_611, 6_040, 3_416),
        ("ml-100k.inter.gz", 100_000, 943, 1_682),
        ("beauty.txt.gz", 353_962, 40_226, 54_542),
        ("wikipedia-edits.txt.gz", 157_474, 8_227, 1_000),
    ],
)
def test_public_logs(public, name, events, users, items):
    path = public / "seqrec" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = read_events(path)
    assert (len(found.items), len(found), len(found.catalogue)) == (events, users, items)
    whole = pd.read_csv(path, sep=r"\s+", header=None if "inter" not in name else 0, engine="c")
    if "inter" in name:
        whole = whole.sort_values("timestamp:float", kind="stable")
    mine = whole[whole.iloc[:, 0] == found.users.ids([users // 2])[0]]
    assert found.catalogue.ids(found.history(users // 2 - 1)) == mine.iloc[:, 1].tolist()
