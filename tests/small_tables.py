"""Small tables of people with a sentence each, the same ones for equal sizes."""

import polars as pl

from tenfold.data.fact_tables import read_fact_tables

CITIES = ("Rome", "Oslo", "Paris", "Lima", "Turin")
TRADES = ("painter", "sailor", "baker")


def person(number):
    """Names are rare: most have no number of their own, and must be copied."""
    name, city = f"{'ABCDEFG'[number % 7]}da{number % 53} Quist", CITIES[number * 3 % 5]
    trade, born = TRADES[number % 3], str(1900 + number * 7 % 60)
    cells = {"name": name, "city": city, "trade": trade, "born": born}
    if number % 4 == 0:
        del cells["trade"]
        return cells, f"{name} was born in {city} in {born}."
    return cells, f"Born in {born}, {name} is a {trade} of {city}."


def people(train=64, validation=8, test=8, more_keys=False):
    rows = []
    parts = ["train"] * train + ["validation"] * validation + ["test"] * test
    for number, part in enumerate(parts):
        cells, text = person(number)
        if more_keys and number % 2:
            cells["motto"], text = f"onward{number}", f"{text} Onward onward{number} !"
        table = [{"attribute": key, "value": value} for key, value in cells.items()]
        rows.append({"id": f"p{number}", "table": table, "text": text, "split": part})
    return read_fact_tables(pl.DataFrame(rows))
