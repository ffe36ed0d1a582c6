"""What a session does beside the model: events sent twice, late events, what was seen, states that are no numbers."""

from zlib import crc32

import numpy as np
import pytest

from tenfold import LimaRec
from tenfold.errors import DataError, OptionError, StateError
from tenfold.streaming import MemoryStore, key_of, pack_many
from tenfold.streaming.seen import Seen, key_of_seen, latest, pack_seen, unpack_seen


@pytest.fixture(scope="module")
def fitted(events):
    return LimaRec(LimaRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")


def state(session, user="u"):
    return session.states([user])[0]


def same(session, other, user="u"):
    one, two = state(session, user), state(other, user)
    assert one["events"] == two["events"] and one["item"] == two["item"]
    np.testing.assert_allclose(one["state"], two["state"], rtol=1e-5, atol=1e-6)


# Events with ids.


def test_what_is_sent_again_counts_once(fitted):
    once, twice = fitted.open(), fitted.open()
    for n, item in enumerate(["r0i1", "r0i2", "r1i3"]):
        once.update("u", item)
        assert twice.update("u", item, id=f"e{n}")
        assert twice.update("u", item, id=f"e{n}")  # done already
    same(once, twice)
    applied = twice.update_many(["u", "w", "u"], ["r0i1"] * 3, ids=["e2", "e2", "e3"])  # another user's e2 is another
    assert (applied, applied.repeated, applied.late, applied.unknown) == (2, 1, 0, 0)
    once.update("u", "r0i1")
    same(once, twice)


def test_repeats_within_a_batch_and_events_without_ids(fitted):
    session, expected = fitted.open(), fitted.open()
    items, ids = ["r0i1", "r0i2", "r0i1", "r0i1", "r0i3"], ["a", None, "a", None, "b"]
    applied = session.update_many(["u"] * 5, items, ids=ids)
    expected.update_many(["u"] * 4, ["r0i1", "r0i2", "r0i1", "r0i3"])
    assert applied == 4 and applied.repeated == 1
    same(session, expected)
    assert (state(session)["ids"] != 0).sum() == 2


@pytest.mark.parametrize("sizes", [[1] * 70, [63, 7], [70], [64, 64, 1]])
def test_the_last_64_ids_are_remembered(fitted, sizes):
    session, sent = fitted.open(), 0
    for size in sizes:
        session.update_many(["u"] * size, ["r0i1"] * size, ids=list(range(sent, sent + size)))
        sent += size
    events = state(session)["events"]
    session.update_many(["u"] * 64, ["r0i1"] * 64, ids=list(range(sent - 64, sent)))
    assert state(session)["events"] == events == sent
    assert session.update_many(["u"], ["r0i1"], ids=[sent - 65]) == 1  # too old to be known


# Late events.


def test_late_events_are_taken_left_out_or_refused(fitted):
    items, times = ["r0i1", "r0i2", "r0i3", "r0i4"], [10.0, 30.0, 20.0, 30.0]
    for late, counted in (("append", items), ("ignore", ["r0i1", "r0i2", "r0i4"])):
        session, expected = fitted.open(late=late), fitted.open()
        applied = session.update_many(["u"] * 4, items, times)
        expected.update_many(["u"] * len(counted), counted)
        assert (applied, applied.late) == (len(counted), 4 - len(counted))
        same(session, expected)
        assert state(session)["time"] == 30
        assert session.update("u", "r0i1", 29.0) == (late == "append")
        assert session.update("u", "r0i1")  # without a time it is never late
    session = fitted.open(late="refuse")
    session.update("u", "r0i1", 10.0)
    with pytest.raises(DataError, match=r"an event of user 'u' is older than the latest .* nothing was applied"):
        session.update_many(["w", "u"], ["r0i1", "r0i2"], [5.0, 9.0])
    assert state(session)["events"] == 1 and "w" not in session
    with pytest.raises(OptionError, match="late is 'append', 'ignore' or 'refuse'; found 'never'"):
        fitted.open(late="never")


# What was seen.


def test_what_was_had_is_not_recommended(fitted):
    session = fitted.open(keep_seen=3)
    session.update_many(["u"] * 5, ["r0i0", "r0i1", "r0i2", "r0i1", "r0i3"])
    session.update("w", "r1i1")
    every = {each.item for each in session.recommend("u", k=24)}
    left = {each.item for each in session.recommend("u", k=24, exclude_seen=True)}
    assert every - left == {"r0i2", "r0i1", "r0i3"}  # the latest three distinct ones
    assert {each.item for each in session.recommend("new", k=24, exclude_seen=True)} == every
    assert list(session) == ["u", "w"] and len(session) == 2
    session.forget("u")
    assert list(session) == ["w"] and session.store.get_many([key_of_seen(key_of("u"))]) == [None]
    with pytest.raises(OptionError, match="hold nothing of what was seen; open them with keep_seen=1000"):
        fitted.open().recommend("u", exclude_seen=True)


def test_what_was_shown_is_kept_where_asked(fitted):
    session = fitted.open(keep_shown=6)
    session.update("u", "r0i0")
    first = [each.item for each in session.recommend("u", k=4)]
    second = [each.item for each in session.recommend("u", k=4, exclude_seen=True)]
    assert not set(first) & set(second)
    third = {each.item for each in session.recommend("u", k=24, exclude_seen=True)}
    assert third.isdisjoint(second) and set(first[2:]).isdisjoint(third) and set(first[:2]) <= third  # six are kept


def test_seen_records_come_back_and_what_is_damaged_is_named():
    seen = Seen(np.array([3, 9], np.int32), np.array([7], np.int32))
    value = pack_seen(seen, "0123456789abcdef")
    back = unpack_seen(value, "0123456789abcdef", 9_000)
    assert back.had.tolist() == [3, 9] and back.shown.tolist() == [7]
    for place in range(len(value)):
        with pytest.raises(StateError, match="what user 'u' had"):
            unpack_seen(value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :], "0123456789abcdef", 9_000, "u")
    with pytest.raises(StateError, match="belongs to model 0123456789abcdef"):
        unpack_seen(value, "fedcba9876543210", 9_000, "u")
    with pytest.raises(StateError, match="'u' had names no items of this model"):
        unpack_seen(value, "0123456789abcdef", 8, "u")  # a hand-made record: an item behind the catalogue
    head, body = value[:16] + (3).to_bytes(4, "little") + value[20:24], value[24:-4]
    more = head + body + crc32(head + body).to_bytes(4, "little")  # says that three were had, and holds two
    with pytest.raises(StateError, match="'u' had names no items of this model"):
        unpack_seen(more, "0123456789abcdef", 9_000, "u")
    assert latest(np.array([1, 2, 3]), [2, 5], 3).tolist() == [3, 2, 5]


# States that cannot be served.


def test_a_state_that_is_no_number_refuses_that_user_by_name(fitted):
    store = MemoryStore()
    session = fitted.open(store)
    session.update_many(["u", "w"], ["r0i1", "r0i1"])
    rows = session.states(["u"]).copy()
    rows["state"][0, 2] = np.nan
    store.put_many({key_of("u"): pack_many(rows)[0]})
    with pytest.raises(StateError, match="the state of user 'u' holds values that are NaN"):
        session.recommend("u")
    with pytest.raises(StateError, match="user 'u'"):
        session.update("u", "r0i1")
    assert session.recommend("w", k=3)
    session.forget("u")
    assert session.update("u", "r0i1")


def test_what_does_not_fit_together_is_refused(fitted):
    session = fitted.open()
    with pytest.raises(DataError, match="found 2 users, 2 items and 1 ids"):
        session.update_many(["u", "w"], ["r0i1", "r0i1"], ids=["a"])
    with pytest.raises(DataError, match=r"must be text or a whole number, found 1\.5"):
        session.update("u", "r0i1", id=1.5)
    with pytest.raises(OptionError, match="a number of items, 0 or more; found -1"):
        fitted.open(keep_seen=-1)
    assert len(session) == 0


@pytest.mark.parametrize("users", [["u"], [7], ["u", 7, "w"]])
def test_a_store_of_another_model_is_refused_at_opening(fitted, events, tmp_path, users):
    """New users would be written among its states."""
    other = fitted.clone().fit(events, max_epochs=1, seed=9, progress="none", accelerator="cpu")
    with fitted.open(tmp_path) as session:
        session.update_many(users, ["r0i1"] * len(users))
    for where in (tmp_path, str(tmp_path)):
        with pytest.raises(StateError, match=f"user .* belongs to model {fitted.fingerprint()}, this"):
            other.open(where)
    with fitted.open(tmp_path) as session:  # the refusal held nothing
        assert len(session) == len(users)
        session.forget(*users)
    with other.open(tmp_path) as session:  # empty, it is anybody's
        session.update("new", "r0i1")


def test_a_damaged_record_does_not_close_the_store(fitted):
    store = MemoryStore()
    fitted.open(store).update_many(["a", "b"], ["r0i1", "r0i1"])
    key = key_of("a")
    store.put_many({key: b"10fs" + store.get_many([key])[0][4:-1] + b"!"})
    session = fitted.open(store)
    with pytest.raises(StateError, match="user 'a' is damaged"):
        session.recommend("a")
    session.forget("a")
    store.put_many({key_of("b"): b"10fs, or not"})
    assert fitted.open(store).store is store
