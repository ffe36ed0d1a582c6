"""Each split against its definition, written out user by user."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.events import Events, read_events
from tenfold.data.splits import SPLITS, split
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError

logs = st.lists(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=1, max_size=23), min_size=1, max_size=7
)


def events_of(log):
    return Events.from_histories([[i for i, _ in user] for user in log], times=[[t for _, t in user] for user in log])


def parts(found):
    """Each user's (training, validation, test) places, counted from the user's first event."""
    offsets = found.events.offsets
    ends = zip(offsets[:-1], found.train_end, found.valid_end, offsets[1:], strict=True)
    return [(int(a - o), int(b - a), int(e - b)) for o, a, b, e in ends]


def by_definition(name, times):
    """(training, validation, test) of each user, from everybody's sorted times."""
    if name == "none":
        return [(len(mine), 0, 0) for mine in times]
    if name == "loo":
        return [(len(m) - 2, 1, 1) if len(m) >= 3 else (len(m), 0, 0) for m in times]
    if name == "stream":
        cuts = [[max(len(m) * share // 10, 1) for share in (8, 9)] for m in times]
        return [(a, b - a, len(m) - b) for m, (a, b) in zip(times, cuts, strict=True)]
    ordered = sorted(t for mine in times for t in mine)
    if name == "spans":
        half = (ordered[0] + ordered[-1]) / 2
        first, second = half, half + (ordered[-1] - half) / 6
        return [
            (sum(t < first for t in m), sum(first <= t < second for t in m), sum(t >= second for t in m)) for m in times
        ]
    first, second = (ordered[math.floor(len(ordered) * share / 10)] for share in (8, 9))
    return [
        (sum(t < first for t in m), sum(first <= t < second for t in m), sum(t >= second for t in m)) for m in times
    ]


@pytest.mark.parametrize("name", SPLITS)
@settings(deadline=None)
@given(logs)
def test_a_split_is_its_definition(name, log):
    events, expected = events_of(log), by_definition(name, [[t for _, t in user] for user in log])
    if not any(train for train, _, _ in expected):
        with pytest.raises(DataError, match="leaves nothing to train on"):
            split(events, name)
        return
    found = split(events, name)
    assert parts(found) == expected
    assert found.train_end.dtype == found.valid_end.dtype == np.int64

    asked = {"validation": [], "test": []}
    for user, (train, valid, test) in enumerate(expected):
        begin = int(events.offsets[user])
        asked["validation"] += [(user, begin + train + n) for n in range(valid)]
        asked["test"] += [(user, begin + train + valid + n) for n in range(test)]
    for part, pairs in asked.items():
        queries = found.queries(part)
        assert list(zip(queries.user.tolist(), queries.position.tolist(), strict=True)) == pairs

    trained = [events.history(user)[:train].tolist() for user, (train, _, _) in enumerate(expected)]
    counts = np.zeros(len(events.catalogue) + 1, dtype=np.int64)
    for items in trained:
        for item in items:
            counts[item] += 1
    assert found.train_counts().tolist() == counts.tolist()
    assert int(found.trained().sum()) == counts.sum()


def test_users_without_a_test_are_counted():
    events = Events.from_histories([[1], [1, 2], [1, 2, 3], [3] * 10])
    assert split(events, "loo").sentences() == ["split 'loo': 2 of 4 users have too few events to test, and only train"]
    assert split(events, "stream").sentences() == [
        "split 'stream': 1 of 4 users have too few events to test, and only train"
    ]
    assert split(events, "none").sentences() == []
    assert split(Events.from_histories([[1, 2, 3]]), "loo").sentences() == []


def test_the_time_split_says_who_is_cold():
    events = events_of([[(1, t) for t in range(8)], [(2, 8), (3, 9)], [(1, 2), (2, 9)]])
    (sentence,) = split(events, "time").sentences()
    assert "2 of 3 users have events in the test part, and 1 of these also in training" in sentence


def test_splits_that_cannot_be():
    events = Events.from_histories([[1, 2, 3]])
    with pytest.raises(DataError, match="split 'time' needs times, and these events have only an order"):
        split(events, "time")
    with pytest.raises(DataError, match="split 'spans' needs times"):
        split(events, "spans")
    with pytest.raises(OptionError, match=r"there is no split 'lou'; did you mean 'loo'\?"):
        split(events, "lou")
    with pytest.raises(OptionError, match=r"there is no part 'tests' of a split; did you mean 'test'\?"):
        split(events, "loo").queries("tests")


def test_unknown_items_are_counted_as_none():
    events = Events.from_histories([["a", "b", "a", "c"]]).recoded(Vocabulary(pl.Series(["b", "c"])))
    assert split(events, "none").train_counts().tolist() == [0, 1, 1]


def test_the_fingerprint_names_events_and_cuts():
    events = Events.from_histories([[1, 2, 3, 4, 5, 6]])
    same = split(Events.from_histories([[1, 2, 3, 4, 5, 6]]), "loo").fingerprint
    assert split(events, "loo").fingerprint == same
    assert (
        len({same, split(events, "none").fingerprint, split(Events.from_histories([[1, 2, 3]]), "loo").fingerprint})
        == 3
    )


def test_ml_100k(public):
    path = public / "seqrec" / "ml-100k.inter.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    events = read_events(path)
    assert len(split(events, "stream").queries("test").user) == 10_439  # counted independently, by the data's own notes
    assert len(split(events, "loo").queries("validation").user) == 943
    late = split(events, "time")
    assert abs(len(late.queries("test").user) - 10_000) < 20 and abs(len(late.queries("validation").user) - 10_000) < 20
    cut = events.times[late.queries("test").position].min()
    assert events.times[late.trained()].max() < events.times[late.queries("validation").position].min() < cut
