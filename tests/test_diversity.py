"""Lists of several kinds, and a service that knows what kind its items are."""

import asyncio

import numpy as np
import pytest
from test_serving import asked, made

from tenfold import LimaRec
from tenfold.errors import DataError, OptionError
from tenfold.serving.catalogue import Catalogue
from tenfold.tasks.next_item.diversity import chosen, of_pairs


@pytest.fixture(scope="module")
def fitted(events):
    return LimaRec(LimaRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")


@pytest.fixture
def described(fitted, tmp_path):
    """A file of the 24 items: their ring as a category, a price, and titles."""
    ids = fitted.vocabularies["items"].ids(np.arange(1, 25))
    rows = [f"{own},{own.upper()},{own[:2]},{5 * int(own[3:])}" for own in ids]
    (tmp_path / "items.csv").write_text("\n".join(["item,title,ring,price", *rows, "another,Else,r9,1"]))
    return str(tmp_path / "items.csv")


def test_the_weight_is_the_definition():
    """Greedy, written out: a score between 0 and 1, and the share of those picked that are of other kinds."""
    rng = np.random.default_rng(0)
    for weight in (0.0, 0.3, 0.8, 1.0):
        scores, kinds = np.sort(rng.random(12))[::-1], rng.integers(3, size=12)
        picked = list[int]()
        for _ in range(5):
            left = [n for n in range(12) if n not in picked]
            value = {
                n: (1 - weight) * (scores[n] - scores.min()) / np.ptp(scores)
                + weight * (np.mean([kinds[n] != kinds[m] for m in picked]) if picked else 1)
                for n in left
            }
            picked.append(max(left, key=lambda n: (round(value[n], 12), -n)))
        assert chosen(scores, kinds, 5, weight).tolist() == picked
    assert chosen(np.ones(2), np.zeros(2), 5, 0.5).tolist() == [0, 1] and len(chosen(np.ones(0), np.ones(0), 5, 1)) == 0


def test_diversity_of_pairs_is_the_definition():
    kinds = np.array([3, 1, 3, 3, 2])
    pairs = [(a, b) for a in range(5) for b in range(a)]
    assert of_pairs(kinds) == pytest.approx(np.mean([kinds[a] != kinds[b] for a, b in pairs]))
    assert of_pairs(kinds[:1]) == 0.0


def test_a_session_spreads_a_list_over_interests_and_over_kinds(fitted):
    session = fitted.open(keep_shown=30)
    session.update_many(["u"] * 6, ["r0i1", "r0i2", "r1i3", "r2i0", "r0i3", "r3i1"])
    kinds = np.array([0, *(int(own[1]) for own in fitted.vocabularies["items"].ids(np.arange(1, 25)))])
    plain = session.recommend("u", k=4, explain=True)
    assert session.recommend("u", k=4, diversity=0.0) == plain
    spread = session.recommend("u", k=4, diversity=1.0, kinds=kinds)
    assert of_pairs(kinds[spread.numbers]) == 1.0 and spread[0] == plain[0]
    by_interest = session.recommend("u", k=4, diversity=0.9)
    found = session.recommend("u", k=24, explain=True).interests  # of all items: how many interests find any
    assert len(set(by_interest.interests)) == min(4, len(set(found))) >= len(set(plain.interests))
    assert len(session.recommend("nobody", k=4, diversity=0.5)) == 4  # popularity, in its order
    with pytest.raises(OptionError, match="diversity is a number from 0 to 1; found 2"):
        session.recommend("u", diversity=2)
    with pytest.raises(OptionError, match="no interests|k "):
        session.recommend("u", k=99)


def test_a_service_filters_by_attributes_and_tells_titles(fitted, described):
    app = made(fitted, items=described)

    async def run():
        await asked(app, "POST", "/events", [{"user": "u", "item": item} for item in ("r0i1", "r1i2", "r0i3")])
        for who in ({"user": "u"}, {"history": ["r0i1", "r1i2"]}):
            status, answer = await asked(app, "POST", "/recommend", who | {"k": 3, "where": {"ring": ["r2", "r9"]}})
            assert status == 200 and {one["item"][:2] for one in answer["items"]} == {"r2"}
            assert all(one["title"] == one["item"].upper() for one in answer["items"])
            question = who | {"k": 9, "where": {"ring": ["r2", "r3"], "price": [5, 10]}}
            _, answer = await asked(app, "POST", "/recommend", question)
            assert {one["item"] for one in answer["items"]} == {"r2i1", "r2i2", "r3i1", "r3i2"}
            _, answer = await asked(app, "POST", "/recommend", question | {"candidates": ["r2i1", "r0i1", "r3i5"]})
            assert [one["item"] for one in answer["items"]] == ["r2i1"]
            _, answer = await asked(app, "POST", "/recommend", who | {"k": 4, "diversity": 1.0, "diverse_by": "ring"})
            assert len({one["item"][:2] for one in answer["items"]}) == 4
        for question, said in (
            ({"user": "u", "where": {"rings": ["r2"]}}, "items have no attribute 'rings'; did you mean 'ring'"),
            ({"user": "u", "where": {"ring": ["r7"]}}, "no item has ring in ['r7']"),
            ({"user": "u", "where": {"ring": "r7"}}, "where.ring"),
            ({"user": "u", "diversity": 1.5}, "diversity: it should be less than or equal to 1"),
            ({"history": ["r0i1"], "diversity": 0.5}, "needs 'diverse_by'"),
        ):
            status, answer = await asked(app, "POST", "/recommend", question)
            assert status == 422 and said in answer["error"]

    asyncio.run(run())


def test_without_a_file_there_are_no_attributes(fitted, tmp_path):
    catalogue = Catalogue("", fitted.vocabularies["items"])
    assert catalogue.titles is None
    with pytest.raises(OptionError, match="start it with --items FILE"):
        catalogue.where({"ring": ["r1"]}, None)
    (tmp_path / "items.csv").write_text("item,title\nnobody's,No\n")
    with pytest.raises(DataError, match="describes none of the 24 items"):
        made(fitted, items=str(tmp_path / "items.csv"))
