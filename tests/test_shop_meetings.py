"""Meetings: the same however they are drawn, and whom one meets next shows in the partner's own partners."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tenfold.shop.meetings import KNOWN, RECENT, draw, draw_people, measure, meet, oracle
from tenfold.shop.options import Options

SMALL = Options(seed=7, items=60, users=41, events=300, meetings=900)
USUAL = Options(seed=3)


def frame(options):
    return draw(options, 0, options.meetings)


def test_shards_equal_the_whole():
    whole = frame(SMALL)
    assert pl.concat([draw(SMALL, 0, 1), draw(SMALL, 1, 450), draw(SMALL, 450, 900)]).equals(whole)
    meet.cache_clear()
    assert frame(SMALL).equals(whole)
    assert not frame(Options(**SMALL.__dict__ | {"seed": 8})).equals(whole)


def test_users_keep_their_traits_in_a_larger_shop():
    few = draw_people(SMALL)
    many = draw_people(Options(**SMALL.__dict__ | {"users": 73, "items": 99}))
    for trait in ("begin", "gifts", "circle", "sociable"):
        assert np.array_equal(getattr(many, trait)[:41], getattr(few, trait)), trait


@pytest.mark.parametrize("options", [SMALL, USUAL], ids=["small", "usual"])
def test_meetings_are_in_order_between_two_who_have_come(options):
    table = frame(options)
    assert table.schema == {
        "user": pl.String, "partner": pl.String, "time": pl.Datetime("ms"), "kind": pl.String, "split": pl.String,
    }  # fmt: skip
    assert len(table) == options.meetings and (table["user"] != table["partner"]).all()
    assert (table["time"].diff().drop_nulls() > timedelta()).all()
    opened = datetime(2024, 1, 1)
    assert table["time"].min() >= opened and table["time"].max() < opened + timedelta(days=730.5)
    came = pl.Series(draw_people(options).begin)
    for side in ("user", "partner"):
        rows = table[side].str.slice(1).cast(pl.Int64)
        assert ((table["time"] - opened).dt.total_milliseconds() >= came.gather(rows)).all()
    shares = dict(table["split"].value_counts().iter_rows())
    assert [shares[split] * 100 / len(table) for split in ("train", "validation", "test")] == [70, 15, 15]
    order = {"train": 0, "validation": 1, "test": 2}
    assert (table["split"].replace_strict(order).diff().drop_nulls() >= 0).all()


def test_measure_equals_its_definition():
    """Against scores of all candidates written out for each test meeting; ties by all their ranks."""
    table = frame(SMALL)
    pairs = [(int(u[1:]), int(v[1:])) for u, v in table.select("user", "partner").iter_rows()]
    sums = np.zeros(3)
    tests = [at for at, split in enumerate(table["split"]) if split == "test"]
    for at in tests:
        user, partner = pairs[at]

        def latest(of, at=at):
            score = np.full(41, -1)
            for before, pair in enumerate(pairs[:at]):
                if of in pair:
                    score[pair[1] if pair[0] == of else pair[0]] = before
            return score

        own = latest(user)
        popularity = np.bincount(np.array(pairs[:at]).ravel(), minlength=41)
        for number, score in enumerate((popularity, own, latest(int(own.argmax())))):
            others = np.delete(score, user)
            above, tied = (others > score[partner]).sum(), (others == score[partner]).sum()
            sums[number] += np.mean([1 / rank for rank in range(above + 1, above + tied + 1)])
    found = measure(SMALL)
    assert list(found) == ["popularity", "recency", "partner's partners"]
    assert np.allclose(list(found.values()), sums / len(tests))


@pytest.mark.parametrize("seed", [0, 3])
def test_the_partners_partners_tell_who_is_next(seed):
    options = Options(seed=seed)
    rules = measure(options)
    rule = rules.pop("partner's partners")
    assert 0.2 < rule < 0.6 and rule >= 3 * max(rules.values())
    assert oracle(options).mean() > rule + 0.05  # and more than that can be learned


def test_most_are_introduced_by_the_last_two_partners():
    table = frame(USUAL)
    lists: dict[str, list[str]] = {}
    introduced = 0
    kinds: dict[str, list[str]] = {}
    for user, partner, kind in table.select("user", "partner", "kind").iter_rows():
        recent = lists.get(user, [])[::-1]
        if partner not in recent[:KNOWN]:
            introduced += any(partner in lists[v][::-1][:RECENT] for v in recent[:2])
        for one, other in ((user, partner), (partner, user)):
            lists.setdefault(one, []).append(other)
        kinds.setdefault(user, []).append(kind)
    assert 0.6 < introduced / len(table) < 0.8
    shares = [row.count("gift") / len(row) for row in kinds.values() if len(row) >= 10]
    assert np.mean([share < 0.35 or share > 0.65 for share in shares]) > 0.9  # customers have a kind of their own


@pytest.mark.parametrize("users", [1, 2, 3])
@pytest.mark.parametrize("meetings", [1, 50])
def test_small_shops(users, meetings):
    options = Options(users=users, events=users, items=1, categories=1, meetings=meetings)
    table = frame(options)
    assert table.schema == frame(SMALL).schema
    assert len(table) == (meetings if users > 1 else 0) and (table["user"] != table["partner"]).all()
    assert min(measure(options).values()) >= 0 and max(measure(options).values()) <= 1
    assert len(oracle(options)) == (table["split"] == "test").sum()
