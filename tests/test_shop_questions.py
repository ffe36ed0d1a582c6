"""Questions: answers that a plain reader of the events finds, and that nobody guesses without having read them."""

import re

import polars as pl
import pytest

from benchmarks.shop_questions import answered, by_kind, streams
from tenfold.shop import Shop
from tenfold.shop.options import Options
from tenfold.shop.questions import FORMS, KINDS, draw

SMALL = Options(seed=7, items=310, users=53, events=4_100, questions=300)


@pytest.fixture(scope="module")
def small():
    return draw(SMALL, 0, 300)


@pytest.fixture(scope="module")
def usual():
    """Enough of them for shares by kind: 8 a customer."""
    shop = Shop(seed=3, questions=8_000)
    return answered(draw(shop.options, 0, 8_000), streams(shop))


def test_shards_equal_the_whole(small, monkeypatch):
    assert pl.concat([draw(SMALL, 0, 1), draw(SMALL, 1, 101), draw(SMALL, 101, 300)]).equals(small)
    monkeypatch.setattr("tenfold.shop.questions.CUSTOMERS", 7)
    assert draw(SMALL, 0, 300).equals(small)
    assert not draw(Options(**SMALL.__dict__ | {"seed": 8}), 0, 300).equals(small)


def test_more_questions_leave_those_that_were_there(small):
    more = draw(Options(**SMALL.__dict__ | {"questions": 420}), 0, 420)
    assert more["question_id"].n_unique() == 420
    kept = more.filter(pl.col("question_id").is_in(small["question_id"].to_list()))
    assert kept.equals(small)


def test_a_question_has_its_customers_split(small):
    of_user = small.group_by("user").agg(pl.col("split").n_unique())
    assert of_user["split"].max() == 1 and small["user"].n_unique() == 53
    assert set(small["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    "sizes",
    [
        {"items": 1, "categories": 1, "users": 1, "events": 1, "questions": 3},
        {"items": 9, "categories": 5, "users": 7, "events": 35, "questions": 1},
        {"users": 60, "events": 300, "questions": 240},
        {"users": 1, "events": 700, "questions": 90},
        {"items": 310, "users": 53, "events": 4_100, "questions": 300, "seed": 7},
    ],
    ids=["least", "one question", "five events each", "one customer", "small"],
)
def test_a_plain_reader_finds_the_answers(sizes):
    shop = Shop(**sizes)
    table = answered(draw(shop.options, 0, sizes["questions"]), streams(shop))
    assert len(table) == sizes["questions"] and table["solved"].all()
    assert (table["position"] >= 1).all() and (table["position"] <= sizes["events"]).all()
    assert (table["distance"] == table["position"] - table["evidence"].list.min()).all()
    assert (table["evidence"].list.max() < table["position"]).all() and (table["evidence"].list.min() >= 0).all()
    for row in table.iter_rows(named=True):
        assert row["answer"] in FORMS[row["kind"]].answers and row["answer"] in row["options"]
        assert 4 <= len(row["options"]) <= 10 and len(set(row["options"])) == len(row["options"])


def test_they_are_read_in_full(usual):
    assert usual["solved"].all()


def test_nobody_guesses(usual):
    """Neither by the most frequent answer nor from the last tenth; shares of a thousand questions, or of a hundred."""
    for table in (usual, usual.filter(pl.col("split") == "test")):
        kinds = by_kind(table)
        assert kinds["kind"].to_list() == sorted(KINDS) and len(KINDS) >= 6
        assert kinds["majority"].max() < 0.3
        assert (kinds["observer"] - kinds["majority"]).max() <= 0.1


def test_evidence_lies_near_and_far(usual):
    back = usual["distance"] / usual["position"]
    assert (back <= 0.1).mean() > 0.1 and (back > 0.5).mean() > 0.2 and usual["distance"].min() <= 2
    assert ((back > 0.1) & (back <= 0.5)).mean() > 0.15


def test_words_say_what_is_asked(usual):
    """Articles, plurals, actions and what is named, by words of the fields."""
    done = {"view": "look", "cart": "cart", "buy": "b(uy|ought)"}
    for row in usual.head(2_000).iter_rows(named=True):
        words, asked = row["question"], row["asked"]
        assert words[0].isupper() and words[-1] in "?." and "  " not in words and "{" not in words
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|\b(a|an) (sneakers|sandals|shoes|leggings)\b", words), words
        assert not re.search(r"\b(sneakers|sandals|shoes|leggings)s\b|pairs? of (?!.*(sneak|sand|shoe|legg))", words)
        assert re.search(done[asked["action"]], words)
        for thing in (asked["thing"], asked["other"]):
            for name in ("colour", "material", "brand"):
                assert thing is None or thing[name] is None or thing[name] in words
        if asked["month"]:
            assert asked["month"][:4] in words and (asked["side"] == "since") == ("since" in words.lower())
        if row["kind"] in ("colour", "neighbour", "looks", "since"):
            assert f" {asked['which']} " in words


def test_phrasings_vary(usual):
    """Each kind is asked in several ways."""
    for kind in KINDS:
        starts = {re.sub(r" .*", "", words) for words in usual.filter(pl.col("kind") == kind)["question"]}
        assert len(starts) >= 3, kind
