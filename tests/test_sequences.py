"""Ids and times as callers hold them: whatever is a sequence of ids is one, with the same answers for all of them."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import ring_walks

from tenfold.data.events import Events
from tenfold.data.sequences import histories_of, ids_of, seconds
from tenfold.errors import DataError, OptionError
from tenfold.systems import load_class

ONE, TWO = ["r0i1", "r0i2"], ["r1i3"]


@pytest.fixture(scope="module")
def system():
    return load_class("markov")().fit(ring_walks(), split="none")


FRAME = pd.DataFrame({"user": [9, 4, 9, 4], "item": ["r1i3", "r0i1", "nothing", "r0i2"]})
FORMS = {
    "tuple": tuple(ONE),
    "array": np.array(ONE),
    "objects": np.array(ONE, dtype=object),
    "polars": pl.Series(ONE),
    "categories": pl.Series(ONE, dtype=pl.Categorical),
    "pandas": pd.Series(ONE, index=[7, 3]),
    "filtered": FRAME[FRAME.user == 4].item,
    "index": pd.Index(ONE),
    "arrow": pa.array(ONE),
    "generator": (own for own in ONE),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_history_in_any_form(system, form):
    assert system.recommend(FORMS[form], k=3) == system.recommend(ONE, k=3)


SEVERAL = {
    "lists": [ONE, TWO],
    "tuple of tuples": (tuple(ONE), tuple(TWO)),
    "slices": [FRAME.item[[1, 3]], FRAME.item[:1]],
    "polars series": [pl.Series(ONE), pl.Series(TWO)],
    "column of lists": pl.Series([ONE, TWO]),
    "pandas of lists": pd.Series([ONE, TWO], index=["a", "b"]),
    "grouped": pd.DataFrame({"u": [1, 1, 2], "i": [*ONE, *TWO]}).groupby("u").i.apply(list),
    "arrays": [np.array(ONE), np.array(TWO)],
    "arrow": pa.array([ONE, TWO]),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_several_histories_in_any_form(system, form):
    found = system.recommend(SEVERAL[form], k=3)
    assert found == [system.recommend(ONE, k=3), system.recommend(TWO, k=3)]
    assert all(not answer.by_popularity and answer.skipped == 0 for answer in found)


def test_an_array_of_two_dimensions_is_several(system):
    assert system.recommend(np.array([ONE, ONE[::-1]]), k=3)[0] == system.recommend(ONE, k=3)


def test_exclude_and_candidates_in_any_form(system):
    best = [own.item for own in system.recommend(ONE, k=3)]
    assert system.recommend(ONE, k=3, exclude=pd.Series(best, index=[5, 6, 7]))[0].item not in best
    assert [own.item for own in system.recommend(ONE, k=2, candidates=pl.Series(best[:1]))] == best[:1]


@pytest.mark.parametrize("k", [3.0, "3", True, None])
def test_how_many_is_a_whole_number(system, k):
    if k is None:
        assert len(system.recommend(ONE)) == 10
        return
    with pytest.raises(OptionError, match=r"k = .*: a list has a whole number of items"):
        system.recommend(ONE, k=k)
    assert len(system.recommend(ONE, k=np.int64(3))) == 3


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ("r0i1", r"found the text 'r0i1': write \['r0i1'\]"),
        (7, r"found 7: write \[7\]"),
        (FRAME, "found a DataFrame: give one column of it"),
        ({"r0i1": 1}, "found a dict: give one column of it"),
        ([ONE, "r0i1"], "found lists and 'r0i1' in one"),
    ],
)
def test_what_is_no_history(system, history, words):
    with pytest.raises(OptionError, match=words):
        system.recommend(history)


def test_large_and_broken_ids_are_unknown(system):
    odd = [2**64, "x\ud83d", None, float("nan"), pd.NA, *ONE]
    assert system.recommend(odd, k=3).skipped == 5 and system.recommend(odd, k=3) == system.recommend(ONE, k=3)
    numbers = Events.from_histories([[5, 6, 7]]).catalogue
    assert numbers.numbers([2**64, str(2**64), 5]).tolist() == [0, 0, 1]
    assert numbers.numbers([2**64] * 5000 + [6]).tolist() == [0] * 5000 + [2]
    assert Events.from_histories([["a", "b"]]).catalogue.numbers(["x\ud83d"] * 5000 + ["b"])[-1] == 2


def test_events_of_a_stream_in_any_form():
    lisa = load_class("lisa")
    system = lisa(lisa.tiny).fit(ring_walks(), split="none", max_epochs=1)
    log = pd.DataFrame({"user": ["u", "v", "u"], "item": [*ONE, "r0i3"], "at": pd.to_datetime([5, 6, 7], unit="s")})
    shuffled = log.set_index(pd.Index([2, 0, 1]))
    expected = system.open()
    expected.update_many(["u", "v", "u"], [*ONE, "r0i3"], [5, 6, 7])
    for frame in (shuffled, pl.from_pandas(log)):
        session = system.open()
        assert session.update_many(frame["user"], frame["item"], frame["at"]) == 3
        assert session.recommend("u", k=3) == expected.recommend("u", k=3)
        assert session.recommend_many(frame["user"][:2], k=3) == expected.recommend_many(["u", "v"], k=3)
    with pytest.raises(DataError, match="found 3 users, 2 items"):
        system.open().update_many(log.user, log.item[:2])
    with pytest.raises(DataError, match="users are given as a list of ids; found the text 'uvu'"):
        system.open().update_many("uvu", log.item)


# Histories as a log --------------------------------------------------------------------------------------------------


def test_histories_become_events():
    events = Events.from_histories(pl.Series([["a", "b"], ["a"]]), users=pd.Series(["x", "y"], index=[4, 2]))
    assert events.catalogue.ids(events.history(0)) == ["a", "b"] and events.users.ids([1, 2]) == ["x", "y"]
    timed = Events.from_histories([["a", "b"]], times=[pd.Series([datetime(2024, 1, 2), datetime(2024, 1, 1)])])
    assert timed.catalogue.ids(timed.items) == ["b", "a"] and timed.times.tolist() == [1704067200, 1704153600]


@pytest.mark.parametrize(
    ("histories", "asked", "words"),
    [
        ([[1, 2, 3]], {"times": [[4.0, float("nan"), 1.0]]}, "history 0 has an event without a time"),
        ([[1], [2]], {"times": [[1], [float("inf")]]}, "history 1 has an event without a time"),
        ([[1, 2], [3]], {"users": ["a"]}, "there are 2 histories and 1 users; give each history one"),
        ([[1]], {"users": ["a", "b"]}, "there are 1 histories and 2 users"),
        (["abc", "de"], {}, "histories are lists of ids, one for each user; found 'abc' among them"),
        ([1, 2], {}, "histories are lists of ids, one for each user; found 1"),
        ("abc", {}, "histories are given as a list of ids; found the text 'abc'"),
        ([[1, "a"]], {}, "histories hold ids of one kind"),
        ([[2**64]], {}, "numbers above 2\\^63; write them as text"),
        ([["x\ud83d"]], {}, "histories hold ids of one kind"),
    ],
)
def test_what_are_no_histories(histories, asked, words):
    with pytest.raises(DataError, match=words):
        Events.from_histories(histories, **asked)


def test_times_in_any_form():
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    expected = [1704067200.0, 1704067200.5]
    for times in (
        expected, tuple(expected), np.array(expected), pd.Series(expected, index=[3, 1]), pl.Series(expected),
        pd.to_datetime(expected, unit="s"), (pl.Series(expected) * 1e6).cast(pl.Datetime("us")),
        np.array([1704067200_000_000, 1704067200_500_000], dtype="datetime64[us]"),
    ):  # fmt: skip
        assert seconds(times).tolist() == expected
    assert seconds([moment, moment.date(), None, pd.NaT]).tolist()[:2] == [1704067200, 1704067200]
    assert np.isnan(seconds([None, pd.NaT, float("nan")])).all()
    with pytest.raises(DataError, match="found 'soon'"):
        seconds([1, "soon"])


def test_lists_of_ids():
    assert ids_of(range(3)) == [0, 1, 2] and histories_of([]) == ([[]], False) and histories_of([[]]) == ([[]], True)
    with pytest.raises(DataError, match="found array"):
        ids_of(np.array(5))
