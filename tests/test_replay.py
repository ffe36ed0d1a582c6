"""Replay: a log into states in pieces of users, equal to its events sent one by one, and gone on with after a death."""

import numpy as np
import pytest

from tenfold import GRU4Rec, LimaRec, SASRec
from tenfold.data.events import Events
from tenfold.errors import OptionError, StateError
from tenfold.streaming import MemoryStore
from tenfold.tasks.next_item import replay as module
from tenfold.tasks.next_item.replay import prequential, replay


@pytest.fixture(scope="module", params=["limarec", "gru4rec", "by time"])
def fitted(request, events):
    if request.param == "gru4rec":
        system = GRU4Rec(GRU4Rec.tiny)
    else:
        more = {"memory.decay": "time", "memory.gap_codes": True} if request.param == "by time" else {}
        system = LimaRec(LimaRec.tiny).set_params(**more)
    return system.fit(events, max_epochs=1, progress="none", accelerator="cpu")


@pytest.fixture(scope="module")
def log(events):
    rng = np.random.default_rng(3)
    histories = [[f"r{r}i{i}" for r, i in zip(rng.integers(5, size=n), rng.integers(6, size=n), strict=True)]
                 for n in rng.integers(1, 60, size=40)]  # fmt: skip
    times = [np.cumsum(rng.integers(0, 90, len(own))).astype(float) for own in histories]
    return Events.from_histories(histories, times=times)  # ring 4 is not known to the system


def sent(system, log):
    session = system.open()
    for user in range(len(log.users)):
        part = slice(log.offsets[user], log.offsets[user + 1])
        (name,) = log.users.ids([user + 1])
        session.update_many([name] * (part.stop - part.start), log.catalogue.ids(log.items[part]), log.times[part])
    return session


def same(session, expected):
    assert sorted(session) == sorted(expected)
    for user in expected:
        one, other = session.states([user])[0], expected.states([user])[0]
        np.testing.assert_allclose(one["state"], other["state"], rtol=1e-3, atol=1e-4)
        assert one["events"] == other["events"] and one["item"] == other["item"] and one["time"] == other["time"]


def test_a_replay_is_its_events_sent_one_after_another(fitted, log, monkeypatch):
    monkeypatch.setattr(module, "CELLS", 100)
    monkeypatch.setattr(module, "USERS_AT_ONCE", 7)
    store = MemoryStore()
    done = replay(fitted, log, store)
    expected = sent(fitted, log)
    assert done.users == 40 and done.parts == 6 and done.went_on == 0
    assert done.unknown == sum(str(i)[1] == "4" for i in log.catalogue.ids(log.items))
    assert done.events + done.unknown == len(log.items)
    same(fitted.open(store), expected)


def test_a_replay_that_died_goes_on_and_nothing_counts_twice(fitted, log, monkeypatch):
    monkeypatch.setattr(module, "USERS_AT_ONCE", 7)
    store, put, calls = MemoryStore(), MemoryStore.put_many, []

    def dying(self, values):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(1)
        put(self, values)

    with monkeypatch.context() as broken:
        broken.setattr(MemoryStore, "put_many", dying)
        with pytest.raises(KeyboardInterrupt):
            replay(fitted, log, store)
    less = Events.from_histories([["r0i1", "r0i2"]])
    with pytest.raises(StateError, match="holds the beginning of another replay"):
        replay(fitted, less, store)
    done = replay(fitted, log, store)
    assert done.went_on == 3 and done.parts == 6
    same(fitted.open(store), sent(fitted, log))
    assert len(store) == len(fitted.open(store))  # the note of the replay is gone


def test_shards_make_the_whole(fitted, log):
    store, users = MemoryStore(), 0
    for number in range(3):
        users += replay(fitted, log, store, shard=(number, 3)).users
    assert users == 40
    same(fitted.open(store), sent(fitted, log))
    with pytest.raises(OptionError, match="found 3/3"):
        replay(fitted, log, store, shard=(3, 3))


def test_prequential_figures_are_those_of_every_event(fitted, log):
    found = prequential(fitted, log)
    assert set(found) >= {"ndcg@10", "hr@10", "mrr"} and 0 < found["mrr"] < found["hr@10"] < 1


def test_what_keeps_no_states_is_refused(events, log):
    system = SASRec(SASRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")
    with pytest.raises(OptionError, match="a SASRec keeps no states; replay is for systems that stream"):
        replay(system, log, None)
