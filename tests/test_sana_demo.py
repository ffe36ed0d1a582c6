"""Facts told and invented, by the shop's matcher: copying a table invents nothing, another table's words are seen."""

from types import SimpleNamespace

import numpy as np
import polars as pl

from tenfold.data.fact_tables import read_fact_tables
from tenfold.systems.sana.demo import facts_told, shop_texts
from tenfold.tasks.table_text.baselines.rules import AllCells

ROWS = [
    ({"length": "160 cm", "weight": "90 g"}, "160 cm long and 90 g ."),
    ({"width": "160 cm", "weight": "120 g"}, "160 cm wide , 120 g ."),
    ({"length": "200 cm", "colour": "red"}, "red , 200 cm long ."),
]


def fitted(rows):
    listed = [
        {"table": [{"attribute": key, "value": value} for key, value in cells.items()], "text": text, "split": part}
        for part in ("train", "validation", "test")
        for cells, text in rows
    ]
    tables = read_fact_tables(pl.DataFrame(listed))
    return AllCells().fit(tables), tables


def test_copying_all_cells_invents_nothing():
    tables = shop_texts(1_000)
    found = facts_told(AllCells().fit(tables), tables, 200)
    assert (found["facts told"] == 100).all() and len(found["facts told"]) > 90
    assert (found["facts invented a text"] == 0).all()  # although "40 cm" of a height is another table's width


def test_what_only_another_table_says_is_invented(monkeypatch):
    system, tables = fitted(ROWS)
    texts = iter(["160 cm , 120 g", "160 cm , red , 120 g", "200 cm long"])
    monkeypatch.setattr(system, "explained", lambda table, text: SimpleNamespace(text=next(texts)))
    found = facts_told(system, tables, 3)
    assert np.allclose(found["facts told"], [50, 100, 50])
    assert found["facts invented a text"].tolist() == [1, 1, 0]  # a weight and a colour; 160 cm are the table's own
