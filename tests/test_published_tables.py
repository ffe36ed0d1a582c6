"""Tables as others publish them, each from a small file made here; what is wrong is one sentence with its line."""

import json
from functools import partial

import pytest
from conftest import refusal

from tenfold.data.fact_tables import read_fact_tables, read_in_parts

refused = partial(refusal, read_fact_tables)

XML = """<?xml version="1.0"?><benchmark><entries>
<entry category="City" eid="Id1" size="2"><modifiedtripleset><mtriple>Ada_K | bornIn | "London"</mtriple>
<mtriple>Ada_K | team | A | B</mtriple></modifiedtripleset><lex comment="good" lid="Id1">Ada was.</lex></entry>
</entries></benchmark>"""
TOTTO = {
    "example_id": 7,
    "table_page_title": "Ada",
    "table_section_title": "Films",
    "table": [
        [
            {"value": "Year", "is_header": True, "column_span": 1},
            {"value": "Film", "is_header": True, "column_span": 2},
        ],
        [
            {"value": "1990", "is_header": False},
            {"value": "Up", "is_header": False},
            {"value": "lead", "is_header": False},
        ],
    ],
    "highlighted_cells": [[1, 0], [1, 2]],
    "sentence_annotations": [{"final_sentence": "In 1990 Ada was the lead."}, {"final_sentence": "Ada led."}],
}


def pairs(table):
    return [(cell.attribute, cell.value) for cell in table.cells]


def test_webnlg_as_xml_a_file_or_a_folder(write, tmp_path):
    fine = XML.replace("<mtriple>Ada_K | team | A | B</mtriple>", "")
    (tmp_path / "set" / "2triples").mkdir(parents=True)
    (tmp_path / "set" / "2triples" / "a.xml").write_text(fine)
    for source in (write("a.xml", fine), tmp_path / "set"):
        (table,) = read_fact_tables(source)
        assert [(c.subject, c.attribute, c.value) for c in table.cells] == [("Ada K", "bornIn", "London")]
        assert table.texts == ("Ada was.",) and table.columns["id"] == "City/2/Id1"
    assert "entry 1: Ada_K | team | A | B is no triple" in refused(write("b.xml", XML)).replace("'", "")
    assert "is no XML as WebNLG has it" in refused(write("c.xml", fine[:-9]))


def test_e2e_as_lines_and_as_a_column(write):
    lines = write("e2e.txt", "name[Blue Spice], priceRange[£20-25]\tBlue Spice costs £20-25.\nname[Aromi]\n")
    one, two = read_fact_tables(lines)
    assert pairs(one) == [("name", "Blue Spice"), ("priceRange", "£20-25")] and two.texts == ()
    assert one.texts == ("Blue Spice costs £20-25.",)
    (row,) = read_fact_tables(write("e2e.csv", 'mr,ref\n"name[Blue Spice], area[city, old]",It is there.\n'))
    assert pairs(row) == [("name", "Blue Spice"), ("area", "city, old")] and row.texts == ("It is there.",)
    assert "line 2: the table is 'name[x" in refused(write("bad.csv", 'mr,ref\n"name[x], y",t\n'))


def test_totto_s_highlighted_cells_under_their_headers(write):
    (table,) = read_fact_tables(write("totto.jsonl", json.dumps(TOTTO) + "\n"))
    assert pairs(table) == [("page title", "Ada"), ("section title", "Films"), ("Year", "1990"), ("Film", "lead")]
    assert table.texts == ("In 1990 Ada was the lead.", "Ada led.")
    wrong = {**TOTTO, "highlighted_cells": [[5, 0]]}
    assert "the highlighted cell [5, 0] is no place" in refused(write("wrong.jsonl", json.dumps(wrong) + "\n"))


def test_tables_of_parent_s_script(write):
    one, two = read_fact_tables(write("tables.txt", "name|||ada k\tborn|||1815\nada|||lived in|||london\n"))
    assert pairs(one) == [("name", "ada k"), ("born", "1815")]
    assert two.cells[0].subject == "ada" and two.cells[0].value == "london"
    assert "line 1: 'name' is no record" in refused(write("t2.txt", "name\ta|||b\n"))


def test_the_authors_parallel_files(write):
    parts = {
        "value": "ada k 1815",
        "field": "name name born",
        "lpos": "1 2 1",
        "rpos": "2 1 1",
        "tgt": "ada was born .",
    }
    paths = {part: write(f"train.{part}", f"{line}\n") for part, line in parts.items()}
    (table,) = read_fact_tables(paths["value"])
    assert pairs(table) == [("name", "ada k"), ("born", "1815")] and table.texts == ("ada was born .",)
    write("train.lpos", "1 2\n")
    assert "3, 3, 2, 3 words of value, field, lpos and rpos" in refused(paths["value"])
    paths["field"].unlink()
    assert "needs train.field beside it" in refused(paths["value"])


def test_phrases_of_wikitabletext(write):
    line = "2\tsubj_title_||_year\tada_$$_king_||_1815\tada_$$_king was born in 1815 .\n"
    (table,) = read_fact_tables(write("wtt.txt", line))
    assert pairs(table) == [("subj_title", "ada king"), ("year", "1815")]
    assert table.texts == ("ada king was born in 1815 .",) and table.columns["phrases"] == ["ada king"]


def test_a_layout_by_its_name(write):
    path = write("tables.tsv", "name[Ada]\n")
    assert pairs(read_fact_tables(path, format="e2e")[0]) == [("name", "Ada")]


def test_in_parts_are_the_same_tables(write):
    rows = [{"id": i, "table": {"a": str(i)}, "text": f"{i}."} for i in range(3_000)]
    path = write("many.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    whole, parts = read_fact_tables(path), list(read_in_parts(path))
    assert [pairs(t) for part in parts for t in part] == [pairs(t) for t in whole] and len(whole) == 3_000
    with pytest.raises(Exception, match="is empty"):
        list(read_in_parts(write("none.jsonl", "")))
