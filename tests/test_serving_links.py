"""Interactions as a service: what came is known to the next answer, and to a service that begins again."""

import pytest
from small_streams import meetings
from test_serving import ask

pytest.importorskip("orjson", reason="the extra 'serve' is not installed")
pytest.importorskip("prometheus_client", reason="the extra 'serve' is not installed")

from tenfold.errors import DataError, OptionError, OutputError
from tenfold.registry import load_class
from tenfold.serving.app import App
from tenfold.serving.links import LinkService
from tenfold.serving.options import ServeOptions
from tenfold.systems.tcl.system import TCL


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fitted")
    TCL(TCL.tiny).fit(meetings(), max_epochs=1, accelerator="cpu", progress="none").save(path / "tcl")
    return path / "tcl"


def made(system, **more):
    return App(LinkService(system, ServeOptions(), **more), ServeOptions())


HAPPENED = {"source": "p1", "destination": "p7", "time": 905.0}


def test_what_came_is_known_to_the_next_answer(folder):
    system, app = TCL.load(folder), made(TCL.load(folder))
    before = ask(app, "POST", "/links", {"node": "p1", "k": 3, "evidence": 1})
    expected = system.predict_links("p1", k=3, evidence=1)
    assert before[0] == 200 and not before[1]["cold"] and before[1]["model"] == system.fingerprint()
    assert [each["node"] for each in before[1]["links"]] == [each.node for each in expected]
    assert before[1]["links"][0]["evidence"] == [why._asdict() for why in expected[0].evidence]
    told = ask(app, "POST", "/interactions", [HAPPENED, {**HAPPENED, "source": "new", "time": 906.0}])
    assert told == (200, {"taken": 2, "interactions": 93})
    system.observe([("p1", "p7", 905.0), ("new", "p7", 906.0)])
    pair = [{"source": "p1", "destination": "p2", "time": 950.0}, {"source": "new", "destination": "p7", "time": 950.0}]
    scores = ask(app, "POST", "/score", pair)[1]["scores"]
    assert scores == pytest.approx(system.score([("p1", "p2", 950.0), ("new", "p7", 950.0)]).tolist(), abs=1e-6)
    assert ask(app, "POST", "/links", {"node": "nobody"})[1]["cold"]
    assert ask(app, "GET", "/health")[1] == {
        "status": "alive", "system": "TCL", "model": system.fingerprint(), "interactions": 93, "taken": 2, "answers": 2,
        "answers_cold": 1,
    }  # fmt: skip


def test_what_is_wrong_is_said_and_changes_nothing(folder):
    app = made(TCL.load(folder))
    for body, words in [
        ({**HAPPENED, "time": 3.0}, "earlier than the last one"),
        ({**HAPPENED, "time": "soon"}, "time"),
        ({**HAPPENED, "destination": 7}, "destinations are texts here; found 7"),
        ([], "does not fit"),
    ]:
        status, answer = ask(app, "POST", "/interactions", body)
        assert status == 422 and words in answer["error"]
    status, answer = ask(app, "POST", "/links", {"node": "p1", "candidates": ["p2", "p99"]})
    assert status in (404, 422) and "there is no node 'p99' among the candidates" in answer["error"]
    assert app.service.facts()["interactions"] == 91


def test_a_service_that_begins_again_goes_on(folder, tmp_path):
    states = tmp_path / "states"
    app = made(TCL.load(folder), states=states)
    ask(app, "POST", "/interactions", HAPPENED)
    ask(app, "POST", "/interactions", {**HAPPENED, "source": "new", "time": 906.0})
    before = ask(app, "POST", "/links", {"node": "new", "at": 950.0})[1]
    app.service.close()
    (journal,) = states.glob("interactions-*.jsonl")
    with journal.open("ab") as file:
        file.write(b'[["p1", "p3", 9')  # the machine stopped here
    again = made(TCL.load(folder), states=states)
    assert again.service.facts()["interactions"] == 93
    assert ask(again, "POST", "/links", {"node": "new", "at": 950.0})[1] == before
    assert ask(again, "POST", "/interactions", {**HAPPENED, "time": 907.0})[0] == 200
    again.service.close()
    assert journal.read_bytes().count(b"\n") == 3
    journal.write_bytes(b"{}\n" + journal.read_bytes())
    with pytest.raises(DataError, match=r"line 1, is no list of"):
        made(TCL.load(folder), states=states)
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="give a folder"):
        made(TCL.load(folder), states="redis://here")
    with pytest.raises(OutputError, match="cannot be kept"):
        made(TCL.load(folder), states=tmp_path / "file")


def test_a_full_disk_ends_taking_and_is_said(folder, tmp_path, monkeypatch):
    app = made(TCL.load(folder), states=tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for _ in range(2):
        status, answer = ask(app, "POST", "/interactions", HAPPENED)
        assert status == 507 and "No space left on device; nothing more is taken" in answer["error"]
    assert ask(app, "GET", "/ready")[0] == 503 and ask(app, "POST", "/links", {"node": "p1"})[0] == 200


def test_rules_are_served_too():
    app = made(load_class("recency")().fit(meetings()))
    assert ask(app, "POST", "/interactions", HAPPENED)[0] == 200
    assert ask(app, "POST", "/links", {"node": "p1", "k": 1})[1]["links"][0]["node"] == "p7"
