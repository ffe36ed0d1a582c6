"""Tables made for questions that no published set answers: long texts, invented clauses, and cells that are all said.

`people` draws biographies (every value verbatim in the text, in random order, three phrasings a key), with clauses that
the table does not hold in a share of the training texts. `mentioned` leaves a table the cells that its text says.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from tenfold.data.fact_tables import FactTables, read_fact_tables

SYLLABLES = (
    "ba",
    "de",
    "fi",
    "go",
    "hu",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "zu",
    "lan",
    "mor",
    "kel",
)
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
PHRASES = {
    "team": ("he played for {}", "he was with {}", "his club was {}"),
    "award": ("he won the {}", "he was given the {}", "the {} went to him"),
    "spouse": ("he was married to {}", "his wife was {}", "he shared his life with {}"),
    "residence": ("he lived in {}", "his home was {}", "he settled in {}"),
    "alma mater": ("he studied at {}", "he was a student of {}", "he went to {}"),
    "employer": ("he worked for {}", "he was employed by {}", "he served {}"),
}
REPEATED = ("team", "award")  # of which a long table has several


def _word(rng: random.Random, least: int = 2, most: int = 3) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(least, most)))


class _World:
    """What values are drawn from: the same for every seed of people."""

    def __init__(self) -> None:
        rng = random.Random(7)
        self.places = [_word(rng) for _ in range(300)]
        self.nations = [_word(rng) + "ish" for _ in range(20)]
        self.trades = [_word(rng) + "er" for _ in range(40)]
        self.teams = [f"{_word(rng)} {rng.choice(('united', 'rovers', 'city'))}" for _ in range(200)]
        self.awards = [f"{_word(rng)} {rng.choice(('medal', 'prize', 'cup of honour'))}" for _ in range(30)]
        self.schools = [f"{_word(rng)} college" for _ in range(60)]
        self.firms = [f"{_word(rng)} works" for _ in range(80)]

    def value(self, rng: random.Random, key: str) -> str:
        if key == "spouse":
            return f"{_word(rng)} {_word(rng)}"
        of = {"team": self.teams, "award": self.awards, "residence": self.places, "alma mater": self.schools}
        return rng.choice(of.get(key, self.firms))


def people(
    count: int,
    *,
    seed: int = 1,
    records: tuple[int, int] = (3, 7),
    invented: float = 0.0,
    parts: Sequence[float] = (0.8, 0.1),
) -> FactTables:
    """records: least and most beside the name.  invented: share of training texts with a clause that the table does not
    hold.  parts: shares of training and validation; the rest is tested."""
    world, rng, rows = _World(), random.Random(seed), []
    for number in range(count):
        share = number / count
        part = "train" if share < parts[0] else "validation" if share < sum(parts) else "test"
        cells, text = _person(world, rng, rng.randint(*records), invents=part == "train" and rng.random() < invented)
        table = [{"attribute": key, "value": value} for key, value in cells]
        rows.append({"id": f"p{number}", "table": table, "text": text, "split": part})
    return read_fact_tables(pl.DataFrame(rows))


def _person(world: _World, rng: random.Random, records: int, *, invents: bool) -> tuple[list[tuple[str, str]], str]:
    cells = [("name", " ".join(_word(rng) for _ in range(rng.randint(2, 3))))]
    born = f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1850, 1999)}"
    cells += [("birth date", born), ("birth place", rng.choice(world.places))][:records]
    cells += [("nationality", rng.choice(world.nations)), ("occupation", rng.choice(world.trades))][
        : max(records - 2, 0)
    ]
    keys = list(PHRASES)
    while len(cells) < records + 1:
        key = rng.choice(keys)
        cells.append((key, world.value(rng, key)))
        if key not in REPEATED or records <= 7:
            keys.remove(key)
    of = dict(cells[:5])
    begin = of["name"]
    if "birth place" in of:
        begin += f" ( born {of['birth date']} in {of['birth place']} )"
    elif "birth date" in of:
        begin += f" ( born {of['birth date']} )"
    said = [of[key] for key in ("nationality", "occupation") if key in of]
    begin += f" was a {' '.join(said)}" if said else " lived"
    rest = cells[5:] if len(cells) > 5 else []
    clauses = [rng.choice(PHRASES[key]).format(value) for key, value in rest]
    if invents:
        key = rng.choice(list(PHRASES))
        clauses.append(rng.choice(PHRASES[key]).format(world.value(rng, key)))
    rng.shuffle(clauses)
    rng.shuffle(cells)
    return cells, " , ".join([begin, *clauses]) + " ."


def mentioned(tables: FactTables) -> FactTables:
    """The same tables with those cells only whose value is in the text as a subsequence, as if all should be told."""
    kept, rows = [], []
    for row, table in enumerate(tables):
        text = table.texts[0].split() if table.texts else []
        cells = [
            c for c in tables.frame["table"][row].to_list() if c["value"].split() and _within(c["value"].split(), text)
        ]
        if cells:
            kept.append(cells)
            rows.append(row)
    found = tables.take(rows)
    column = pl.Series("table", kept, dtype=tables.frame.schema["table"])
    return replace(found, frame=found.frame.with_columns(column))


def _within(value: Sequence[str], text: Sequence[str]) -> bool:
    rest = iter(text)
    return all(token in rest for token in value)
