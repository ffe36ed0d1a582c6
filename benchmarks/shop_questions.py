"""The shop's questions: how long they take to draw, how far back their evidence lies, and how often one who does not
know the stream is right.

`solve` reads a question's fields and answers from events, row by row, in plain Python. What it finds in all that had
been seen is the answer; the observer of the last tenth asks it for the same from the last tenth alone, and says the
most frequent answer of the kind where that holds no evidence. The majority says that one always.
"""

import time
from collections import Counter
from typing import Any

import polars as pl

from benchmarks import harness
from tenfold.shop import Shop
from tenfold.shop.questions import draw

Row = dict[str, Any]
Answer = tuple[str, list[int]]


def streams(shop: Shop) -> dict[str, list[Row]]:
    """Each customer's events, with what the catalogue says of their items."""
    table = shop.events().join(shop.catalog().drop("split"), on="item", how="left", maintain_order="left")
    return {name: rows.to_dicts() for (name,), rows in table.group_by("user", maintain_order=True)}


def solve(kind: str, asked: Row, events: list[Row]) -> Answer | None:
    """The answer and the positions of its evidence, or None where there is none or not one answer alone."""
    if kind in ("count", "since"):
        return counted(kind, asked, events)
    if kind == "order":
        return first_of_several(asked, events)
    places = about(asked["thing"], asked["action"], events)
    if kind == "different":
        return different(asked, places, events)
    if not places:
        return None
    at = places[end(asked)]
    if kind == "colour":
        return events[at]["colour"], [at]
    if kind == "brand":
        often = Counter(events[at]["brand"] for at in places).most_common(2)
        return (often[0][0], places) if len(often) == 1 or often[0][1] > often[1][1] else None
    if kind == "looks":
        same = [n for n, event in enumerate(events) if event["item"] == events[at]["item"] and event["event"] == "view"]
        return number(len(same), 5), sorted({at, *same})
    assert kind == "neighbour"
    return beside(at, asked, events)


def about(thing: Row, action: str, events: list[Row]) -> list[int]:
    """Where it was done to such a thing."""
    return [
        at
        for at, event in enumerate(events)
        if event["event"] == action
        and event["category"] in thing["categories"]
        and all(thing[name] in (None, event[name]) for name in ("colour", "material", "brand"))
    ]


def end(asked: Row) -> int:
    return -1 if asked["which"] == "last" else 0


def number(count: int, most: int) -> str:
    return f"{most} or more" if count >= most else f"{count}"


def counted(kind: str, asked: Row, events: list[Row]) -> Answer | None:
    """How often, before the first or since the last of another thing."""
    bounds = about(asked["other"], asked["other_action"], events)
    if not bounds:
        return None
    bound = bounds[end(asked)]
    places = about(asked["thing"], asked["action"], events)
    found = [at for at in places if (at < bound if kind == "count" else at > bound)]
    return number(len(found), 4), sorted([*found, bound])


def first_of_several(asked: Row, events: list[Row]) -> Answer | None:
    plain = dict.fromkeys(("colour", "material", "brand"))
    of_each = [about(plain | {"categories": [choice]}, asked["action"], events) for choice in asked["choices"]]
    chosen = sorted(places[end(asked)] for places in of_each if places)
    return (events[chosen[end(asked)]]["category"], chosen) if chosen else None


def different(asked: Row, places: list[int], events: list[Row]) -> Answer | None:
    """How many different ones, in a month or since its beginning."""
    since = asked["side"] == "since"
    months = {at: f"{events[at]['time']:%Y-%m}" for at in places}
    places = [at for at, month in months.items() if month == asked["month"] or (since and month > asked["month"])]
    return (number(len({events[at][asked["of"]] for at in places}), 5), places) if places else None


def beside(at: int, asked: Row, events: list[Row]) -> Answer | None:
    """What came just before or just after."""
    before = asked["side"] == "before"
    others = [n for n, e in enumerate(events) if e["event"] == asked["action"] and n != at and (n < at) == before]
    if not others:
        return None
    other = others[-1 if before else 0]
    return events[other]["category"], sorted([at, other])


def answered(questions: pl.DataFrame, of_user: dict[str, list[Row]]) -> pl.DataFrame:
    """The questions and whether they are rightly answered: by `solve`, by the majority, by the observer.

    The most frequent answer is that of the training split; where a kind has none there, of all.
    """
    train = questions.filter(pl.col("split") == "train")
    usual = {}
    for kind in questions["kind"].unique():
        known = train if kind in train["kind"] else questions
        usual[kind] = Counter(known.filter(pl.col("kind") == kind)["answer"].to_list()).most_common(1)[0][0]
    right = []
    for row in questions.iter_rows(named=True):
        events, kind = of_user[row["user"]][: row["position"]], row["kind"]
        latest = solve(kind, row["asked"], events[-max(1, len(events) // 10) :])
        observed = latest[0] if latest else usual[kind]
        whole = solve(kind, row["asked"], events) == (row["answer"], row["evidence"])
        right.append((whole, usual[kind] == row["answer"], observed == row["answer"]))
    table = pl.DataFrame(right, schema=["solved", "majority", "observer"], orient="row")
    return questions.hstack(table)


def by_kind(table: pl.DataFrame) -> pl.DataFrame:
    """kind, questions, and the shares that `solve`, the majority and the observer answer rightly."""
    shares = pl.col("solved", "majority", "observer").mean()
    return table.group_by("kind").agg(pl.len().alias("questions"), shares).sort("kind")


def main() -> None:
    quick = harness.arguments(__doc__).quick
    count = 2_000 if quick else 20_000
    draw(Shop(users=2, events=20, questions=1).options, 0, 1)  # compiled from here on
    started = time.perf_counter()
    draw(Shop().options, 0, 2_000)
    figures: dict[str, float] = {"default_s": time.perf_counter() - started}
    shop = Shop(questions=count)
    table = answered(draw(shop.options, 0, count), streams(shop))
    back = table["distance"] / table["position"]
    figures |= {"questions": count, "solved": table["solved"].mean(), "evidence_in_last_tenth": (back <= 0.1).mean()}
    figures["evidence_beyond_half"] = (back > 0.5).mean()
    for name, part in (("all", table), ("test", table.filter(pl.col("split") == "test"))):
        kinds = by_kind(part)
        figures[f"majority_most_{name}"] = kinds["majority"].max()
        figures[f"observer_over_majority_most_{name}"] = (kinds["observer"] - kinds["majority"]).max()
        for row in kinds.iter_rows(named=True) if name == "all" else ():
            figures |= {f"{row['kind']}_majority": row["majority"], f"{row['kind']}_observer": row["observer"]}
    harness.report("shop_questions", figures, notes=["Shares of answers that are right; `most` is over the kinds."])


if __name__ == "__main__":
    main()
