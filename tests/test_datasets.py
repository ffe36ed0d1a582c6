"""Every dataset keeps the same base: a fingerprint of its content, sentences, and numbering by an older vocabulary."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tenfold.data.dataset import Dataset, frame_bytes
from tenfold.data.events import Events, read_events
from tenfold.data.fact_tables import read_fact_tables
from tenfold.data.graphs import read_interactions
from tenfold.data.pictures import read_pictures
from tenfold.data.questions import read_questions
from tenfold.data.splits import split
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError


def picture(colour):
    file = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(file, "PNG")
    return file.getvalue()


def made(kind, changed=False):
    """A small dataset; changed: with one value that is another."""
    last = "zebra" if changed else "ant"
    if kind == "events":
        frame = pl.DataFrame({"user": ["a", "a", "b"], "item": ["ant", "bee", last], "time": [1, 2, 3]})
        return read_events(frame)
    if kind == "graph":
        return read_interactions(pl.DataFrame({"source": ["ant", "bee"], "target": ["bee", last], "t": [1, 2]}))
    if kind == "bipartite":
        frame = pl.DataFrame({"user": ["ant", "bee"], "item": ["x", last], "time": [1, 2], "type": ["buy", "view"]})
        return read_interactions(frame)
    if kind == "pictures":
        colours = ["red", "blue", "green" if changed else "white"]
        return read_pictures(pl.DataFrame({"image": list(map(picture, colours)), "label": ["bee", "ant", "bee"]}))
    if kind == "tables":
        cells = [[{"attribute": "ant", "value": "1"}, {"attribute": "bee", "value": "2"}]]
        cells.append([{"attribute": last, "value": "3"}])
        return read_fact_tables(pl.DataFrame({"table": cells, "text": ["one", "two"]}))
    return read_questions(pl.DataFrame({"question": ["who?", "what?"], "answer": ["bee", last]}))


KINDS = ["events", "graph", "bipartite", "pictures", "tables", "questions"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_base_of_each(kind):
    data, again, other = made(kind), made(kind), made(kind, changed=True)
    assert isinstance(data, Dataset) and len(data) > 0
    assert data.fingerprint == again.fingerprint != other.fingerprint and len(data.fingerprint) == 16
    assert data.sentences() == data.report.sentences()
    same = data.recoded(data.vocabularies)
    assert [len(v) for v in same.vocabularies.values()] == [len(v) for v in data.vocabularies.values()]
    assert data.recoded({}).vocabularies == data.vocabularies
    with pytest.raises(DataError, match=r"there are no wheels in .*; there are"):
        data.recoded({"wheels": Vocabulary(pl.Series(["a"]))})


OLDER = Vocabulary(pl.Series(["cat", "bee", "x"]))  # bee is number 2, and the rest is unknown


def test_each_is_numbered_by_an_older_vocabulary():
    assert made("events").recoded({"items": OLDER}).items.tolist() == [0, 2, 0]
    graph = made("graph").recoded({"entities": OLDER})
    assert graph.sources.tolist() == [0, 2] and graph.destinations.tolist() == [2, 0]
    assert graph.size == 3 and graph.ids([2]) == ["bee"]
    pair = made("bipartite").recoded({"entities": OLDER, "partners": OLDER, "kinds": Vocabulary(pl.Series(["view"]))})
    assert pair.sources.tolist() == [0, 2] and pair.destinations.tolist() == [6, 0] and pair.ids([6]) == ["x"]
    assert pair.kinds.tolist() == [0, 1]
    alone = made("bipartite").recoded({"partners": OLDER})  # the sources' own numbers stay
    assert alone.sources.tolist() == [1, 2] and alone.destinations.tolist() == [5, 0]
    assert made("pictures").recoded({"classes": OLDER}).labels().tolist() == [2, 0, 2]
    numbers, begin = made("tables").recoded({"attributes": OLDER}).attribute_numbers()
    assert numbers.tolist() == [0, 2, 0] and begin.tolist() == [0, 2, 3]
    assert made("questions").recoded({"answers": OLDER}).answer_numbers().tolist() == [2, 0]
    assert made("questions").answer_numbers().tolist() == [2, 1]


def test_a_fingerprint_knows_what_would_run_together():
    a, b = pl.DataFrame({"x": ["1", "23"]}), pl.DataFrame({"x": ["12", "3"]})
    assert len({frame_bytes(f) for f in (a, b, a.rename({"x": "y"}), a.cast(pl.Int64))}) == 4
    assert frame_bytes(pl.DataFrame({"x": [object()]}))


def test_pictures_in_files_and_in_bytes(tmp_path):
    for name, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / f"{name}.png").write_bytes(picture(colour))
    whole = read_pictures(tmp_path)
    assert whole.fingerprint == read_pictures(tmp_path).fingerprint
    (tmp_path / "b.png").write_bytes(picture("green"))
    assert read_pictures(tmp_path).fingerprint != whole.fingerprint
    later = read_pictures(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"b.png\): its file cannot be read"):
        _ = later.fingerprint


# Kinds of events -----------------------------------------------------------------------------------------------------

CLICKS = """user,item,time,event
u,1,5,view
u,2,4,cart
v,1,1,view
u,1,6,buy
v,3,2,
"""


def test_events_carry_their_kind(write):
    events = read_events(write("a.csv", CLICKS))
    assert events.report.columns["kind"] == "event" and events.kind_names.series.to_list() == ["view", "cart", "buy"]
    assert events.catalogue.ids(events.items) == [2, 1, 1, 1, 3]
    assert events.kinds.tolist() == [2, 1, 3, 1, 0]  # in order of time, none for the last
    assert events.fingerprint != read_events(write("b.csv", CLICKS.replace("buy", "return"))).fingerprint
    bought = read_events(write("a.csv", CLICKS), where=("event!=view",))
    assert bought.kind_names.series.to_list() == ["cart", "buy"] and bought.kinds.tolist() == [1, 2, 0]
    named = read_events(write("c.csv", CLICKS.replace("event", "what")), columns="kind=what")
    assert named.kinds.tolist() == events.kinds.tolist()
    assert split(events, "stream").events.kinds is events.kinds
    older = events.recoded({"kinds": Vocabulary(pl.Series(["buy", "view"])), "items": Vocabulary(pl.Series([3, 2]))})
    assert older.kinds.tolist() == [0, 2, 1, 2, 0] and older.items.tolist() == [2, 0, 0, 0, 1]


def test_what_happened_twice_is_of_one_kind(write):
    rows = "user,item,time,type\nu,1,5,view\nu,1,5,cart\nu,1,5,view\nv,1,5,view\nv,2,5,view\n"
    assert read_events(write("a.csv", rows)).report.equal == 1
    kept = read_events(write("a.csv", rows), deduplicate=True)
    assert kept.kinds.tolist() == [1, 2, 1, 1] and kept.items.tolist() == [1, 1, 1, 2]
    fewer = read_events(write("a.csv", rows), min_item_events=2, min_user_events=2)
    assert fewer.kinds.tolist() == [1, 2, 1] and fewer.kind_names.series.to_list() == ["view", "cart"]


def test_kinds_of_histories():
    events = Events.from_histories([["a", "b", "c"]], times=[[3, 1, 2]], kinds=[["buy", None, "view"]])
    assert events.catalogue.ids(events.items) == ["b", "c", "a"] and events.kinds.tolist() == [0, 2, 1]
    with pytest.raises(DataError, match="history 0 has 2 events and 1 kinds"):
        Events.from_histories([["a", "b"]], kinds=[["view"]])


def test_a_column_of_ids_is_no_kind(write):
    rows = "user,item,time,event\n" + "".join(f"{n % 7},{n % 5},{n},e{n}\n" for n in range(600))
    events = read_events(write("a.csv", rows))
    assert events.kinds is None and "more than 256 kinds of events: it is not taken" in events.sentences()[0]
    with pytest.raises(DataError, match="more than 256 kinds of events; name another one"):
        read_events(write("a.csv", rows), columns="kind=event")


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ('{"user": 1, "item": 2, "type": true}\n{"user": 1, "item": 3, "type": false}\n', ["true", "false"]),
        ('{"user": 1, "item": 2, "type": "a"}\n{"user": 1, "item": 3, "type": 7}\n', ["a", "7"]),
        ('{"user": 1, "item": 2, "type": {"of": 1}}\n{"user": 1, "item": 3}\n', ['{"of": 1}', None]),
    ],
)
def test_kinds_of_json_are_what_they_are(write, rows, kinds):
    events = read_events(write("a.jsonl", rows))
    assert [None if n == 0 else events.kind_names.ids([n])[0] for n in events.kinds.tolist()] == kinds
    assert np.array_equal(events.items, [1, 2])
