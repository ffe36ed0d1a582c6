"""Tables of facts from every layout that people have; what is kept of them, and what is wrong, in one sentence."""

import gzip
import json
from functools import partial

import pandas as pd
import polars as pl
import pytest
from conftest import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.fact_tables import Cell, read_fact_tables
from tenfold.errors import DataError

SHOP = [
    {
        "text_id": "t1-0",
        "item": "i1",
        "style": "plain",
        "title": "Red hat",
        "text": "A red hat of wool.",
        "table": [
            {"attribute": "colour", "value": "red", "said": True, "start": 2, "end": 5},
            {"attribute": "price", "value": "12", "said": False, "start": -1, "end": -1},
        ],
        "invented": [{"attribute": "material", "value": "wool", "start": 13, "end": 17}],
        "split": "train",
    },
    {
        "text_id": "t2-0",
        "item": "i2",
        "style": "terse",
        "title": "Bag",
        "text": "Bag.",
        "table": [{"attribute": "cut", "value": "tote", "said": False, "start": -1, "end": -1}],
        "invented": [],
        "split": "test",
    },
]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


refused = partial(refusal, read_fact_tables)


def pairs(table):
    return [(cell.attribute, cell.value) for cell in table.cells]


# Layouts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["jsonl", "jsonl.gz", "parquet", "polars", "pandas"])
def test_texts_of_a_shop(write, tmp_path, layout):
    frame = pl.DataFrame(SHOP)
    if layout.startswith("jsonl"):
        content = jsonl(SHOP).encode()
        source = write(f"texts.{layout}", gzip.compress(content) if layout.endswith("gz") else content)
    elif layout == "parquet":
        source = tmp_path / "texts.parquet"
        frame.write_parquet(source)
    else:
        source = frame if layout == "polars" else pd.DataFrame(SHOP)
    tables = read_fact_tables(source)
    first = tables[0]
    assert first.cells == (
        Cell("colour", "red", None, True, 2, 5),
        Cell("price", "12", None, False, None, None),
    )
    assert first.texts[0][first.cells[0].start : first.cells[0].end] == "red"
    assert first.invented == (Cell("material", "wool", None, None, 13, 17),) and tables[1].invented == ()
    assert (first.title, first.texts) == ("Red hat", ("A red hat of wool.",))
    assert first.columns == {
        "text_id": "t1-0",
        "item": "i1",
        "style": "plain",
        "title": "Red hat",
        "split": "train",
    }
    assert [len(tables.split(part)) for part in ("train", "test")] == [1, 1]
    assert tables.attributes.series.to_list() == ["colour", "price", "cut"]
    assert [table.title for table in tables] == ["Red hat", "Bag"]
    with pytest.raises(IndexError):
        tables[2]


FORMS = {
    "objects": [{"attribute": "colour", "value": "red"}, {"attribute": "size", "value": 4}],
    "pairs": [["colour", "red"], ["size", 4]],
    "one object": {"colour": "red", "size": 4, "gone": None, "empty": "", "none": "<none>"},
    "lists in an object": {"colour": ["red"], "size": [4]},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_table(write, form):
    tables = read_fact_tables(write("a.jsonl", jsonl([{"table": FORMS[form], "text": "a red one"}])))
    assert pairs(tables[0]) == [("colour", "red"), ("size", "4")] and tables[0].texts == ("a red one",)


def test_objects_in_parquet_have_only_their_own_attributes(tmp_path):
    pl.DataFrame({"table": [{"a": "1", "b": None}, {"a": None, "b": "2"}]}).write_parquet(tmp_path / "a.parquet")
    assert [pairs(table) for table in read_fact_tables(tmp_path / "a.parquet")] == [[("a", "1")], [("b", "2")]]


def test_triples_and_several_texts(write):
    row = {"eid": "Id1", "triples": [["Aarhus", "leader", "Bundsgaard"]], "texts": ["one", "two"], "size": 1}
    tables = read_fact_tables(write("dev.jsonl", jsonl([row])))
    assert tables[0].cells == (Cell("leader", "Bundsgaard", "Aarhus", None, None, None),)
    assert tables[0].texts == ("one", "two") and tables[0].columns == {"eid": "Id1", "size": 1}


def test_names_of_triples_are_as_texts_have_them(write):
    """As in WebNLG's XML: SANA could copy no token of Abilene,_Texas."""
    triples = [
        ["Abilene_Airport", "cityServed", "Abilene,_Texas"],
        ["Ada", "said", '"snake_case is fine"'],
        ["A", "birth_year", 3],
    ]
    (table,) = read_fact_tables(write("dev.jsonl", jsonl([{"triples": triples, "text": "x"}])))
    assert [(cell.subject, cell.value) for cell in table.cells] == [
        ("Abilene Airport", "Abilene, Texas"), ("Ada", "snake_case is fine"), ("A", "3"),
    ]  # fmt: skip
    assert [cell.attribute for cell in table.cells] == ["cityServed", "said", "birth year"]
    (cells,) = read_fact_tables(write("own.jsonl", jsonl([{"table": {"file": "a_b.txt"}, "text": "x"}])))
    assert pairs(cells) == [("file", "a_b.txt")]  # only triples are WebNLG's


def test_columns_are_cells_where_no_column_is_a_table(write):
    path = write(
        "goods.csv", "id,title,colour,price,description,split\n7,Hat,red,,A hat.,train\n8,Bag,,9.50,A bag.,dev\n"
    )
    tables = read_fact_tables(path)
    assert [pairs(table) for table in tables] == [[("colour", "red")], [("price", "9.50")]]
    assert tables[0].texts == ("A hat.",) and tables[1].columns == {"id": "8", "title": "Bag", "split": "dev"}
    assert len(tables.split("validation")) == 1
    misspelt = pl.DataFrame({"tabel": [[{"attribute": "colour", "value": "red"}]], "text": ["a"]})
    assert "row 1: 'tabel' is" in refused(misspelt)


def test_wikibio(write):
    box = "name_1:ada\tname_2:lovelace\tborn:<none>\ttime_1:12:30\tname:again\tbirth_date_1:1815\n\nname:x\n"
    path = write("test.box.gz", gzip.compress(box.encode()))
    assert [table.texts for table in read_fact_tables(path)] == [(), (), ()]
    write("test.summary", "ada lovelace wrote .\nnobody .\nx .\n")
    tables = read_fact_tables(path)
    expected = [("name", "ada lovelace"), ("time", "12:30"), ("name", "again"), ("birth_date", "1815")]
    assert pairs(tables[0]) == expected and pairs(tables[1]) == []
    assert [table.texts[0] for table in tables] == ["ada lovelace wrote .", "nobody .", "x ."]
    write("test.summary", "only one\n")
    assert "has 3 tables, and" in refused(path) and "has 1 texts" in refused(path)


def test_wikibio_with_counted_sentences(write):
    path = write("valid.box", "a:1\na:2\na:3\n")
    write("valid.sent", "one\ntwo\nthree\n")
    write("valid.nb", "2\n0\n1\n")
    assert [table.texts for table in read_fact_tables(path)] == [("one",), (), ("three",)]
    write("valid.nb", "2\n1\n1\n")
    assert "counts 4 sentences, and" in refused(path)


def test_wikibio_lines_that_are_wrong(write):
    path = write("a.box", "name_1:ada\nname\n")
    assert "a.box, line 2: 'name' is no item of a WikiBio table" in refused(path)
    assert len(read_fact_tables(path, on_bad_rows="report")) == 1


def test_wikitabletext(write):
    path = write("MSRA.dev", "2\tsubj_title_||_year\tada_$$_lovelace_||_1815\tada_$$_lovelace in 1815 .\n")
    assert pairs(read_fact_tables(path)[0]) == [("subj_title", "ada lovelace"), ("year", "1815")]
    assert read_fact_tables(path)[0].texts == ("ada lovelace in 1815 .",)
    assert "line 1: 2 attributes and 1 values" in refused(write("b", "2\ta_||_b\tc\td\n"))
    assert "line 2: 3 fields, expected 4" in refused(write("c", "2\ta_||_b\tc_||_d\te\n1\ta\tb\n"))


def test_public_tables(public):
    sizes = {
        "wikibio_sample/test.box.gz": (100, 100),
        "wikitabletext/MSRA_NLC.Table2Text.dev.gz": (1_318, 1_318),
        "webnlg_v2/dev.jsonl.gz": (1_619, 4_316),
    }
    for name, expected in sizes.items():
        tables = read_fact_tables(public / "sana" / name)
        assert (len(tables), tables.frame["texts"].list.len().sum()) == expected
        assert tables.report.bad == 0 and all(table.cells for table in tables)


# What is wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"table": "red", "text": "a"}, "the table is 'red', expected a list"),
        ({"text": "a"}, "the table is missing, expected a list"),
        ({"table": [["colour", "red"], {"attribute": "x"}]}, "cell 2 of the table: it is"),
        ({"table": [["colour"]]}, "cell 1 of the table: it is"),
        ({"table": [[7, "red"]]}, "cell 1 of the table: the attribute is '7', expected its name"),
        ({"table": {"size": {"cm": 4}}}, "'size' is"),
        ({"table": [], "text": 7}, "the text is '7', expected text"),
        ({"table": [], "text": ["a", 7]}, "the text is"),
        (
            {"table": [{"attribute": "a", "value": "b", "start": 0, "end": 3}], "text": "ab"},
            "it stands from 0 to 3 of a text of 2 characters",
        ),
        ({"table": [{"attribute": "a", "value": "b", "start": 1, "end": 1}]}, "it stands from 1 to 1 of a text"),
        ({"table": [{"attribute": "a", "value": "b", "start": 1, "end": None}]}, "it stands from 1 to None"),
    ],
)
def test_rows_that_are_wrong(write, row, reason):
    path = write("a.jsonl", jsonl([SHOP[0], row]))
    sentence = refused(path)
    assert "a.jsonl, line 2: " in sentence and reason in sentence
    tables = read_fact_tables(path, on_bad_rows="report")
    assert len(tables) == 1 and (tables.report.rows, tables.report.bad) == (2, 1)


def test_lines_that_are_no_rows(write):
    path = write("a.jsonl", jsonl(SHOP) + "{broken\n")
    assert "line 3: it is no JSON object" in refused(path)
    assert len(read_fact_tables(path, on_bad_rows="report")) == 2
    assert "is empty; give a file with tables" in refused(write("b.jsonl", "\n"))
    assert "all 1 rows are wrong, the first, line 1" in refused(
        write("c.jsonl", '{"table": 7}\n'), on_bad_rows="report"
    )
    assert "there is no file" in refused("gone.jsonl")
    assert "no column 'tabel' to be the table; did you mean 'table'" in refused(path, columns="table=tabel")
    with pytest.raises(DataError, match="columns='split=NAME'"):
        read_fact_tables(write("d.jsonl", '{"table": {"a": 1}}\n')).split("train")


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(WORDS, WORDS), max_size=4), min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, tables):
    path = tmp_path_factory.mktemp("facts") / "a.jsonl"
    path.write_text(jsonl([{"table": [{"attribute": a, "value": v} for a, v in table]} for table in tables]))
    assert [pairs(table) for table in read_fact_tables(path)] == tables
