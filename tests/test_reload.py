"""A running service takes another model: its answers are those of all that was acknowledged, and nothing stops."""

import asyncio
import json
import time

import numpy as np
import pytest
from test_serving import asked, made

from tenfold import LimaRec, SASRec
from tenfold.errors import OptionError, OutputError
from tenfold.serving import reload as module
from tenfold.serving.reload import KeptLog
from tenfold.streaming import MemoryStore


@pytest.fixture(scope="module")
def models(events, tmp_path_factory):
    """Folders of two models, and the second one; the first does not know ring 3."""
    folder = tmp_path_factory.mktemp("models")
    few = events.recoded(events.catalogue)
    first = LimaRec(LimaRec.tiny).fit(few, max_epochs=1, progress="none", accelerator="cpu")
    second = LimaRec(LimaRec.tiny).fit(few, max_epochs=1, progress="none", accelerator="cpu", seed=3)
    for name, system in (("first", first), ("second", second)):
        system.save(folder / name)
    return folder, first, second


def sent(n):
    return [{"user": f"u{(n + i) % 4}", "item": f"r{i % 4}i{(n + i) % 6}", "id": f"{n}-{i}"} for i in range(3)]


async def exchanged(app, number):
    """Asks until the new model answers."""
    for _ in range(500):
        status, said = await asked(app, "GET", "/reload")
        assert status == 200 and "failed" not in f"{said['next']}"
        if said["next"] is None:
            return said["model"]
        await asked(app, "POST", "/events", [{"user": "late", "item": "r0i1", "id": f"late {number}"}])
        number += 1
        await asyncio.sleep(0.01)
    raise AssertionError(said)


@pytest.mark.parametrize("near", [0, 1 << 16])
def test_the_new_model_knows_all_that_was_acknowledged(models, tmp_path, near, monkeypatch):
    """near=0: it reads to the end beside the service; else all is read between two requests."""
    folder, first, second = models
    monkeypatch.setattr(module, "NEAR", near)
    monkeypatch.setattr(module, "AT_ONCE", 200)
    app = made(first, keep_log=str(tmp_path / "kept" / "events.jsonl"), states=str(tmp_path / "states"))

    async def run():
        for n in range(12):
            status, _ = await asked(app, "POST", "/events", sent(n))
            assert status == 200
        await asked(app, "POST", "/events", sent(3))  # again: counts once
        await asked(app, "POST", "/events", {"user": "u1", "item": "nobody's", "time": 5.0})
        await asked(app, "DELETE", "/users/u2")
        await asked(app, "POST", "/events", {"user": "u2", "item": "r1i1", "time": 7.0})
        body = {"model": str(folder / "second"), "states": str(tmp_path / "new")}
        status, said = await asked(app, "POST", "/reload", body)
        assert status == 200 and said["model"] == first.fingerprint() and said["next"].startswith("reads the log: ")
        assert await exchanged(app, 0) == second.fingerprint()
        await asked(app, "POST", "/events", {"user": "u3", "item": "r0i0"})  # and on it goes

        expected = second.open()
        lines = [json.loads(line) for line in (tmp_path / "kept" / "events.jsonl").read_text().splitlines()]
        for line in lines:
            if "forget" in line:
                expected.forget(line["forget"])
            else:
                expected.update(line["user"], line["item"], line.get("time"), id=line.get("id"))
        assert expected.states(["u2"])["events"] == 1 and ("late" in expected) == (near == 0)
        for user in expected:
            status, kept = await asked(app, "GET", f"/users/{user}")
            assert status == 200 and kept["events"] == expected.states([user])["events"][0]
            _, answer = await asked(app, "POST", "/recommend", {"user": user, "k": 4})
            assert answer["model"] == second.fingerprint()
            scores = [one.score for one in expected.recommend(user, k=4)]
            np.testing.assert_allclose([one["score"] for one in answer["items"]], scores, rtol=1e-3, atol=1e-4)

    asyncio.run(run())


def test_what_cannot_be_taken_is_refused_and_the_service_goes_on(models, events, tmp_path):
    folder, first, _ = models
    app = made(first, keep_log=str(tmp_path / "events.jsonl"), states=str(tmp_path / "states"))
    SASRec(SASRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu").save(folder / "sasrec")
    with first.open(tmp_path / "full") as session:
        session.update("u", "r0i1")

    async def run():
        await asked(app, "POST", "/events", sent(0))
        for body, status, said in (
            ({"model": str(folder / "first")}, 409, "that answers already"),
            ({"model": str(folder / "sasrec")}, 409, "a SASRec keeps no states of users"),
            ({"model": str(folder / "nothing")}, 422, "nothing"),
            ({"model": str(folder / "second"), "states": str(tmp_path / "full")}, 409, "belongs to model"),
            ({"states": "memory"}, 422, "model"),
        ):
            found, answer = await asked(app, "POST", "/reload", body)
            assert found == status and said in answer["error"]
        assert (await asked(app, "GET", "/reload"))[1] == {"model": first.fingerprint(), "next": None}
        assert (await asked(app, "POST", "/recommend", {"user": "u0"}))[0] == 200

    asyncio.run(run())


def test_a_reading_that_fails_is_told_and_the_old_model_answers(models, tmp_path, monkeypatch):
    folder, first, _ = models
    monkeypatch.setattr(module, "NEAR", 0)
    (tmp_path / "events.jsonl").write_text("no JSON\n")
    app = made(first, keep_log=str(tmp_path / "events.jsonl"))

    async def run():
        assert (await asked(app, "POST", "/reload", {"model": str(folder / "second")}))[0] == 200
        for _ in range(200):
            _, said = await asked(app, "GET", "/reload")
            if "failed" in said["next"]:
                break
            time.sleep(0.01)
        assert said["model"] == first.fingerprint() and "JSON" in said["next"]
        assert (await asked(app, "POST", "/events", sent(0)))[0] == 200

    asyncio.run(run())


def test_without_a_log_there_is_no_reload(models, tmp_path):
    _, first, _ = models
    app = made(first)
    assert asyncio.run(asked(app, "POST", "/reload", {"model": "m"}))[0] == 404
    store = MemoryStore()
    first.open(store).update("u", "r0i1")
    with pytest.raises(OptionError, match="the states hold users, and"):
        made(first, states=store, keep_log=str(tmp_path / "events.jsonl"))


def test_a_log_is_whole_lines_of_one_service(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    log = KeptLog(path)
    log.append([{"user": "u", "item": 1}, {"user": "u", "item": 2}])
    with pytest.raises(OptionError, match="is kept by another service"):
        KeptLog(path)

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tenfold.serving.reload.os.fsync", full)
        with pytest.raises(OutputError, match="disk"):
            log.append([{"user": "u", "item": 3}])
    log.append([{"user": "u", "item": 4}])
    assert [event["item"] for events, _ in log.read(0) for event in events] == [1, 2, 4]
    log.close()
    with path.open("ab") as file:
        file.write(b'{"user": "u", "it')  # the process died here
    again = KeptLog(path)
    again.append([{"user": "u", "item": 5}])
    assert [json.loads(line)["item"] for line in path.read_text().splitlines()] == [1, 2, 4, 5]
