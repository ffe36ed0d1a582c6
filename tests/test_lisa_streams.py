"""LISA event by event: a session answers as the whole history does, from a state of one size."""

import pytest
from small_lisa import PRESETS, history_of, small
from torch.testing import assert_close

from tenfold import LISA, SASRec
from tenfold.errors import DataError, OptionError, StateError, UnknownIdError
from tenfold.streaming import key_of


@pytest.fixture(scope="module", params=PRESETS)
def fitted(request, events):
    return small(request.param).fit(events, max_epochs=2, progress="none")


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_session_answers_as_the_whole_history_does(fitted, where, tmp_path):
    history = history_of(fitted, 5000)
    with fitted.open(None if where == "memory" else tmp_path / "states") as session:
        for at, item in enumerate(history[:40]):
            assert session.update("u", item, time=at)
        assert session.update_many(["u"] * 4960, history[40:]) == 4960
        streamed, batch = session.recommend("u", k=24), fitted.recommend(history, k=24)
        assert_close(dict(streamed), dict(batch), rtol=1e-4, atol=1e-4)
        assert not streamed.by_popularity and len(session) == 1 and list(session) == ["u"]
    if where == "folder":
        with fitted.open(tmp_path / "states") as session:
            assert dict(session.recommend("u", k=24)) == dict(streamed)


def test_users_of_a_batch_of_events_do_not_mix(fitted):
    session, histories = fitted.open(), {7: history_of(fitted, 30, 1), "7": history_of(fitted, 5, 2)}
    users = [7, 7, "7"] * 5 + [7] * 20
    left = {user: iter(items) for user, items in histories.items()}
    events = [(user, next(left[user])) for user in users]
    assert session.update_many(*zip(*events, strict=True)) == 35
    for user, items in histories.items():
        assert_close(dict(session.recommend(user, k=24)), dict(fitted.recommend(items, k=24)), rtol=1e-4, atol=1e-4)
    session.forget(7)
    assert 7 not in session and "7" in session


def test_what_is_unknown_changes_nothing_and_popularity_answers(fitted):
    session = fitted.open()
    assert session.update("u", "never seen") is False and "u" not in session
    told = session.recommend("u", k=3)
    assert told.by_popularity and [x.item for x in told] == [x.item for x in fitted.recommend([], k=3)]
    with pytest.raises(UnknownIdError, match="there is no item 'never seen'"):
        session.update("u", "never seen", on_unseen="refuse")
    with pytest.raises(DataError, match="found 2 users, 1 items"):
        session.update_many(["u", "v"], ["x"])
    known = history_of(fitted, 3)
    session.update_many(["u"] * 3, known)
    assert known[0] not in [x.item for x in session.recommend("u", k=5, exclude=known[:1])]
    assert [x.item for x in session.recommend("u", k=5, candidates=known[:1])] == known[:1]


def test_a_state_of_another_model_is_refused(fitted, events, tmp_path):
    with fitted.open(tmp_path) as session:
        session.update("u", history_of(fitted, 1)[0])
    other = fitted.clone().fit(events, max_epochs=1, seed=5, progress="none")
    with pytest.raises(StateError, match="user 'u' belongs to model"):
        other.open(tmp_path)


def test_a_session_does_not_outlive_the_model_it_was_opened_on(events):
    system = small("mini").fit(events, max_epochs=1, progress="none")
    session, item = system.open(), history_of(system, 1)[0]
    session.update("u", item)
    system.fit(events, max_epochs=1, seed=3, progress="none")
    for act in (lambda: session.recommend("u"), lambda: session.update("u", item)):
        with pytest.raises(StateError, match="fitted again since these states were opened"):
            act()


def test_one_user_of_many_events_does_not_cost_the_others(fitted, monkeypatch):
    asked, advance = [], type(fitted).advance
    monkeypatch.setattr(
        type(fitted), "advance", lambda self, s, rows: asked.append(rows.shape) or advance(self, s, rows)
    )
    monkeypatch.setattr("tenfold.tasks.next_item.session.CELLS", 64)
    items = history_of(fitted, 90)
    users = ["long"] * 50 + [f"u{i}" for i in range(40)]
    fitted.open().update_many(users, items)
    assert sum(n * width for n, width in asked) == 90 and max(asked)[0] <= 64
    monkeypatch.undo()
    session = fitted.open()
    session.update_many(users, items)
    assert_close(dict(session.recommend("long", k=24)), dict(fitted.recommend(items[:50], k=24)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [0, -1, 25])
def test_a_session_s_k_is_that_of_a_list(fitted, k):
    with pytest.raises(OptionError, match=f"k = {k}"):
        fitted.open().recommend("u", k=k)


def test_times_are_numbers_and_the_latest_is_kept(fitted):
    session, item = fitted.open(), history_of(fitted, 1)[0]
    with pytest.raises(DataError, match="time is a number of seconds or a date-time; found 'yesterday'"):
        session.update("u", item, time="yesterday")
    session.update("u", item, time=5)
    session.update("u", item)
    rows = session._read(session.store.get_many([key_of("u")]), ["u"])
    assert rows["events"][0] == 2 and rows["time"][0] == 5  # the latest there is


def test_one_text_is_no_history(fitted):
    for act in (fitted.recommend, fitted.attention_to, lambda x: fitted.recommend([], exclude=x)):
        with pytest.raises(OptionError, match="given as a list of ids; found the text 'i9'"):
            act("i9")
    with pytest.raises(OptionError, match="on_unseen is 'skip' or 'refuse'; found 'bogus'"):
        fitted.recommend([], on_unseen="bogus")


def test_who_keeps_no_state_of_one_size_says_so(events):
    with pytest.raises(OptionError, match="a SASRec keeps no state of constant size"):
        SASRec(SASRec.tiny).fit(events, max_epochs=1, progress="none").open()
    system = small("mini", layers=2).fit(events, max_epochs=1, progress="none")
    with pytest.raises(OptionError, match="streams with one layer; found layers = 2"):
        system.open()


def test_the_state_is_as_small_as_the_paper_says(fitted):
    assert fitted.state_size == 3 * 5
    assert LISA(preset="mini").set_params().options.codebooks.words * 8 * 4 == 512
