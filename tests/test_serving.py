"""The service: answers as the session gives them, each refusal by status and sentence, batches, and the document.

The application is called as a server calls it, without a socket; one test starts the command itself.
"""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("orjson", reason="the extra 'serve' is not installed")
pytest.importorskip("prometheus_client", reason="the extra 'serve' is not installed")

from tenfold import LISA, GRU4Rec, LimaRec, SASRec
from tenfold.errors import OptionError
from tenfold.serving.app import App
from tenfold.serving.next_item import NextItemService
from tenfold.serving.options import ServeOptions
from tenfold.streaming import MemoryStore, key_of, pack_many


@pytest.fixture(scope="module")
def fitted(events):
    return LimaRec(LimaRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")


@pytest.fixture
def app(fitted):
    return made(fitted)


def made(system, tokens=frozenset(), log=None, **more):
    of_service = ("max_body", "max_waiting", "max_ahead", "items", "keep_log")
    options = {name: more.pop(name) for name in of_service if name in more}
    given = ServeOptions(**options)
    return App(NextItemService(system, given, **more), given, tokens=frozenset(tokens), log=log)


async def asked(app, method, path, body=None, headers=()):
    """What a server does with one request."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    parts, sent = [content[i : i + 1000] for i in range(0, max(len(content), 1), 1000)], []

    async def receive():
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [*headers, (b"content-length", str(len(content)).encode())],
    }  # fmt: skip
    await app(scope, receive, send)
    text = sent[1]["body"].decode()
    return sent[0]["status"], json.loads(text) if path != "/metrics" else text


def ask(app, *request, **more):
    return asyncio.run(asked(app, *request, **more))


# Answers.


def test_events_then_answers_as_a_session_gives_them(app, fitted):
    session = fitted.open()
    for n, item in enumerate(["r0i1", "r0i2", "r1i3"]):
        event = {"user": "u", "item": item, "time": 10.0 + n, "id": f"e{n}"}
        told = ask(app, "POST", "/events", event)
        assert told == (200, {"applied": 1, "unknown": 0, "repeated": 0, "late": 0})
        session.update("u", item, 10.0 + n)
    assert ask(app, "POST", "/events", event)[1]["repeated"] == 1
    status, answer = ask(app, "POST", "/recommend", {"user": "u", "k": 4})
    expected = session.recommend("u", k=4, explain=True)
    assert status == 200 and answer["by_popularity"] is False and answer["model"] == fitted.fingerprint()
    assert [each["item"] for each in answer["items"]] == [each.item for each in expected]
    assert [each["interest"] for each in answer["items"]] == expected.interests.tolist()
    assert np.allclose([each["score"] for each in answer["items"]], [each.score for each in expected])
    by_history = ask(app, "POST", "/recommend", {"history": ["r0i1", "r0i2", "r1i3"], "k": 4})[1]
    assert [each["item"] for each in by_history["items"]] == [each.item for each in expected]


def test_users_are_told_apart_shown_and_forgotten(app):
    ask(app, "POST", "/events", [{"user": 7, "item": "r0i1"}, {"user": "7", "item": "r0i2"}, {"user": 7, "item": "?"}])
    assert ask(app, "GET", "/users/7")[1]["last_item"] == "r0i2"
    whole = ask(app, "GET", "/users/7?type=integer")[1]
    assert (whole["user"], whole["events"], whole["last_item"], whole["time"]) == (7, 1, "r0i1", None)
    assert ask(app, "DELETE", "/users/7")[1] == {"user": "7", "deleted": True}
    assert ask(app, "DELETE", "/users/7")[1]["deleted"] is False
    assert ask(app, "GET", "/users/7")[0] == 404 and ask(app, "GET", "/users/7?type=integer")[0] == 200
    ask(app, "POST", "/events", {"user": "ä/b", "item": "r0i1"})
    assert ask(app, "GET", "/users/%C3%A4%2Fb")[1]["user"] == "ä/b"


def test_a_new_user_gets_what_is_popular_flagged(app, fitted):
    status, answer = ask(app, "POST", "/recommend", {"user": "nobody", "k": 2})
    best = fitted.popularity().topk(2).values.tolist()
    assert status == 200 and answer["by_popularity"] and [each["score"] for each in answer["items"]] == best
    assert "interest" not in answer["items"][0]


def test_similar_items_and_lists(app):
    status, answer = ask(app, "POST", "/similar", {"item": "r0i1", "k": 3})
    assert status == 200 and len(answer["items"]) == 3 and "r0i1" not in {each["item"] for each in answer["items"]}
    ask(app, "POST", "/events", {"user": "u", "item": "r0i1"})
    only = ask(app, "POST", "/recommend", {"user": "u", "candidates": ["r1i1", "r1i2"], "exclude": ["r1i2"]})[1]
    assert [each["item"] for each in only["items"]] == ["r1i1"]


@pytest.mark.parametrize("cls", [LISA, GRU4Rec])
def test_any_system_that_streams_is_served(cls, events):
    system = cls(cls.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")
    app = made(system)
    ask(app, "POST", "/events", [{"user": "u", "item": item} for item in ("r0i1", "r0i2")])
    found = ask(app, "POST", "/recommend", {"user": "u", "k": 3})[1]["items"]
    assert [each["item"] for each in found] == [each.item for each in system.recommend(["r0i1", "r0i2"], k=3)]


def test_what_does_not_stream_answers_for_histories(events):
    system = SASRec(SASRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")
    app = made(system)
    assert len(ask(app, "POST", "/recommend", {"history": ["r0i1"], "k": 3})[1]["items"]) == 3
    assert ask(app, "POST", "/recommend", {"user": "u"}) == (
        422,
        {"error": "a SASRec keeps no states; send a 'history'"},
    )
    assert ask(app, "POST", "/events", {"user": "u", "item": "r0i1"})[0] == 404
    with pytest.raises(OptionError, match="a SASRec keeps no states; leave --states out"):
        made(system, states="memory")


# Batches.


def test_requests_that_wait_are_answered_together_and_each_its_own(app, fitted):
    calls = []
    answer = app.service.session.store.change_many
    app.service.session.store.change_many = lambda *given: calls.append(1) or answer(*given)

    async def all_at_once():
        sent = [asked(app, "POST", "/events", {"user": f"u{n}", "item": f"r0i{n % 6}"}) for n in range(40)]
        told = await asyncio.gather(*sent)
        found = await asyncio.gather(
            *(asked(app, "POST", "/recommend", {"user": f"u{n}", "k": 1 + n % 5}) for n in range(40))
        )
        return told, found

    told, found = asyncio.run(all_at_once())
    assert all(one == (200, {"applied": 1, "unknown": 0, "repeated": 0, "late": 0}) for one in told)
    assert len(calls) < 10
    for n, (status, answer) in enumerate(found):
        expected = fitted.recommend([f"r0i{n % 6}"], k=1 + n % 5)
        assert status == 200 and [each["item"] for each in answer["items"]] == [each.item for each in expected]


def test_answers_do_not_wait_for_the_disk(app):
    """A recommendation is answered while an event is being written, and does not know of it yet."""
    store, writes, go_on = app.service.session.store, threading.Event(), threading.Event()
    change = store.change_many

    def slow(*given):
        writes.set()
        assert go_on.wait(60)
        return change(*given)

    store.change_many = slow

    async def meanwhile():
        event = asyncio.ensure_future(asked(app, "POST", "/events", {"user": "u", "item": "r0i1"}))
        while not writes.is_set():
            await asyncio.sleep(0.001)
        status, answer = await asked(app, "POST", "/recommend", {"user": "u"})
        assert status == 200 and answer["by_popularity"] and not event.done()
        go_on.set()
        assert (await event)[1]["applied"] == 1
        return await asked(app, "POST", "/recommend", {"user": "u"})

    assert not asyncio.run(meanwhile())[1]["by_popularity"]


def test_one_that_is_wrong_spoils_no_other(fitted):
    store = MemoryStore()
    app = made(fitted, states=store)
    ask(app, "POST", "/events", [{"user": "bad", "item": "r0i1"}, {"user": "good", "item": "r0i1"}])
    rows = app.service.session.states(["bad"]).copy()
    rows["state"][0, 0] = np.nan
    store.put_many({key_of("bad"): pack_many(rows)[0]})

    async def together():
        events = [
            {"user": "bad", "item": "r0i2"},
            {"user": "good", "item": "r0i2"},
            {"user": "good", "item": "r0i2", "time": 1e15},
        ]
        asks = [{"user": "bad"}, {"user": "good"}, {"user": "x", "history": []}]
        one = [asked(app, "POST", "/events", event) for event in events]
        other = [asked(app, "POST", "/recommend", question) for question in asks]
        return await asyncio.gather(*one, *other)

    found = asyncio.run(together())
    assert [status for status, _ in found] == [409, 200, 422, 409, 200, 422]
    assert "state of user 'bad' holds values that are NaN" in found[0][1]["error"]
    assert app.service.session.states(["good"])["events"][0] == 2


# Refusals.


def test_bad_input_has_its_stated_answer(app):
    wrong = {
        (400, "the body is no JSON"): [b'{"user":', b"\xff\xfe", b""],
        (422, "the body does not fit"): [
            {"user": "u"}, {"user": "", "item": "i"}, {"user": True, "item": "i"}, {"user": 1.5, "item": "i"}, [],
            {"user": "u", "item": "i", "time": -1}, {"user": "u", "item": "i", "time": "soon"},
            {"user": "u", "item": "i", "tyme": 3}, {"user": 2**64, "item": "i"}, "text",
            [{"user": "u", "item": "i"}] * 1001,
        ],
        (422, "lies more than 86400 s ahead of the clock"): [{"user": "u", "item": "r0i1", "time": 1e12}],
        (413, "a body may have 1,048,576 bytes"): [b" " * 10_000_000],
    }  # fmt: skip
    for (status, sentence), bodies in wrong.items():
        for body in bodies:
            found = ask(app, "POST", "/events", body)
            assert found[0] == status and sentence in found[1]["error"], body
    assert ask(app, "POST", "/events", {"user": "u", "item": "unknown"}) == (
        200, {"applied": 0, "unknown": 1, "repeated": 0, "late": 0},
    )  # fmt: skip
    assert ask(app, "POST", "/recommend", {"user": "u", "k": 0})[0] == 422
    assert ask(app, "POST", "/recommend", {"user": "u", "exclude_seen": True})[0] == 422
    assert ask(app, "POST", "/recommend", {"user": "u", "candidates": ["none of them"]})[0] == 422
    assert ask(app, "POST", "/similar", {"item": "unknown"})[0] == 404
    assert ask(app, "GET", "/users/x?type=float")[0] == 422 and ask(app, "GET", "/users/x?kind=text")[0] == 422
    assert ask(app, "GET", "/events") == (405, {"error": "/events takes POST, found GET"})
    assert ask(app, "PUT", "/users/x")[0] == 405 and ask(app, "POST", "/health")[0] == 405
    assert ask(app, "GET", "/elsewhere")[0] == 404
    assert ask(app, "GET", "/ready") == (200, {"status": "ready"})


def test_late_events_are_refused_where_the_service_was_told_so(fitted):
    app = made(fitted, late="refuse")
    ask(app, "POST", "/events", {"user": "u", "item": "r0i1", "time": 9.0})
    status, told = ask(app, "POST", "/events", {"user": "u", "item": "r0i1", "time": 8.0})
    assert status == 422 and "older than the latest" in told["error"]


def test_tokens(fitted):
    app = made(fitted, tokens={"one", "zwei"})
    assert ask(app, "GET", "/health")[0] == ask(app, "GET", "/ready")[0] == 200
    for header in ([], [(b"authorization", b"Bearer three")], [(b"authorization", b"one")]):
        status, told = (
            ask(app, "GET", "/metrics", headers=header) if header else ask(app, "POST", "/recommend", {"user": "u"})
        )
        assert status == 401 and "error" in told
    assert ask(app, "POST", "/recommend", {"user": "u"}, headers=[(b"authorization", b"bearer zwei")])[0] == 200


def test_too_many_that_wait_are_refused(fitted):
    app = made(fitted, max_waiting=3)

    async def many():
        return await asyncio.gather(*(asked(app, "POST", "/recommend", {"user": f"u{n}"}) for n in range(9)))

    statuses = [status for status, _ in asyncio.run(many())]
    assert statuses.count(503) == 6 and statuses.count(200) == 3


def test_a_full_disk_is_said_and_the_service_stays(app):
    from tenfold.errors import OutputError

    store, whole = app.service.session.store, app.service.session.store.change_many

    def full(*_):
        raise OutputError("states cannot be written: there is no room left on the disk")

    store.change_many = full
    assert ask(app, "POST", "/events", {"user": "u", "item": "r0i1"})[0] == 507
    store.change_many = whole
    assert ask(app, "GET", "/users/u")[0] == 404  # what was not acknowledged is not there
    assert ask(app, "POST", "/events", {"user": "u", "item": "r0i1"})[1]["applied"] == 1


# What it tells of itself.


def test_the_document_names_what_is_answered(app):
    document = ask(app, "GET", "/openapi.json")[1]
    assert set(document["paths"]) == {
        "/events", "/recommend", "/similar", "/users/{id}", "/health", "/ready", "/metrics", "/openapi.json"
    }  # fmt: skip
    asked_for = {
        ("post", "/events"): [b"{", {"user": "u"}, {"user": "u", "item": "r0i1"}],
        ("post", "/recommend"): [b"{", {"k": "x"}, {"user": "u"}],
        ("post", "/similar"): [b"{", {}, {"item": "?"}, {"item": "r0i1"}],
    }
    for (method, path), bodies in asked_for.items():
        answers = document["paths"][path][method]["responses"]
        assert {"200", "400", "413", "422", "500", "503"} <= set(answers)
        for body in bodies:
            assert str(ask(app, method.upper(), path, body)[0]) in answers
    schemas = document["components"]["schemas"]
    event = schemas["Event"]
    assert set(event["properties"]) == {"user", "item", "time", "id"} and set(event["required"]) == {"user", "item"}
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= set(schemas)


def test_figures_and_logs_count_what_happened(fitted):
    log = io.BytesIO()
    app = made(fitted, log=log)
    ask(app, "POST", "/events", [{"user": "u", "item": "r0i1"}, {"user": "u", "item": "?"}])
    ask(app, "POST", "/recommend", {"user": "u"})
    ask(app, "POST", "/recommend", b"{")
    text = ask(app, "GET", "/metrics")[1]
    for line in (
        'tenfold_requests_total{endpoint="POST /events",status="200"} 1.0',
        'tenfold_requests_total{endpoint="POST /recommend",status="400"} 1.0',
        'tenfold_service{what="applied"} 1.0',
        'tenfold_service{what="unknown"} 1.0',
    ):
        assert line in text
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 400, 200] and lines[0]["request"] == "POST /events"
    assert ask(app, "GET", "/health")[1]["answers"] == 1


# The command.


def free(process):
    line = process.stdout.readline()
    assert "listens on http://" in line, line + process.stderr.read()
    return line.strip().rpartition(" ")[2]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"authorization": "Bearer secret"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_a_killed_service_has_lost_nothing_that_it_acknowledged(fitted, tmp_path):
    """kill -9 in mid-stream: what was acknowledged is there, what is sent again counts once."""
    pytest.importorskip("uvicorn")
    fitted.save(tmp_path / "model")
    (tmp_path / "tokens").write_text("secret\n")
    command = [
        sys.executable, "-m", "tenfold", "serve", str(tmp_path / "model"), "--states", str(tmp_path / "states"),
        "--port", "0", "--tokens", str(tmp_path / "tokens"), "--quiet",
    ]  # fmt: skip
    events = [{"user": f"u{n % 7}", "item": f"r0i{n % 6}", "id": f"e{n}"} for n in range(60)]
    for stop in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                where = free(process)
                with pytest.raises(urllib.error.HTTPError, match="401"):
                    urllib.request.urlopen(f"{where}/metrics", timeout=30)
                told = [post(f"{where}/events", event) for event in events[: 33 if stop == signal.SIGKILL else 60]]
                assert sum(each["applied"] + each["repeated"] for each in told) == len(told)
                process.send_signal(stop)
                assert process.wait(30) == (-signal.SIGKILL if stop == signal.SIGKILL else 0)
            finally:
                process.kill()
    assert sum(each["repeated"] for each in told) == 33
    once = fitted.open()
    once.update_many([each["user"] for each in events], [each["item"] for each in events])
    with fitted.open(tmp_path / "states") as session:
        for user in once:
            np.testing.assert_allclose(
                session.states([user])["state"], once.states([user])["state"], rtol=1e-4, atol=1e-5
            )
            assert session.states([user])["events"] == once.states([user])["events"]
