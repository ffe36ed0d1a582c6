"""An eleventh system is a folder and a row: a room of twenty lines is written here, and everything works with it.

So is one of another task: the command line takes what `another_task.py` has.
"""

import json
import sys
import textwrap

import pytest
import torch
from another_task import Scales, weighings

from tenfold import cli, command_line, systems
from tenfold.systems import COMMANDS, SYSTEMS, TASKS, Command, Row, Task, load_class

ROOM = """
    '''The item that came most often among the last few of a history: a room to show what a room needs.'''

    import torch
    from typing import Annotated
    from tenfold.options import option, options
    from tenfold.tasks.next_item.baselines.counted import Counted

    @options
    class Options:
        last: Annotated[int, option("events looked at", gt=0)] = 3

    class LatelyOften(Counted):
        options: Options
        tiny = Options()

        def score_histories(self, events):
            ago = (events != 0).sum(1, keepdim=True) - torch.arange(events.shape[1])
            lately = (ago <= self.options.last).to(self.popular.dtype)
            return self.item_totals(events, lately) + self.popular
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    folder = tmp_path / "tenfold_lately_often"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "system.py").write_text(textwrap.dedent(ROOM))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SYSTEMS, "lately-often", Row("tenfold_lately_often.system:LatelyOften", "a try", "-"))
    yield load_class("lately-often")
    for name in [name for name in sys.modules if name.startswith("tenfold_lately_often")]:
        del sys.modules[name]


def test_a_room_of_twenty_lines(room, events, tmp_path):
    assert len([line for line in ROOM.splitlines() if line.strip()]) <= 20
    system = room(last=2).fit(events)
    assert [r.item for r in system.recommend(["r0i1", "r0i1", "r0i1", "r2i5", "r2i4"], k=2)] in (
        ["r2i5", "r2i4"],
        ["r2i4", "r2i5"],
    )
    system.save(tmp_path / "saved")
    assert room.load(tmp_path / "saved").evaluate(events) == system.evaluate(events)


def test_the_command_line_knows_it_by_its_row(room, events, tmp_path, capsys):
    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"u{u} {i}" for u in range(9) for i in events.catalogue.ids(events.history(u))))

    def out(*arguments):
        assert cli.main(arguments) == 0
        return capsys.readouterr().out

    assert "lately-often" in out("list") and "events looked at" in out("info", "lately-often")
    out("fit", "lately-often", str(log), "-o", str(tmp_path / "f"), "--set", "last=1")
    assert "ndcg@10" in out("evaluate", str(tmp_path / "f"), str(log))
    assert json.loads((tmp_path / "f" / "config.json").read_text())["options"] == {"last": 1}


WEIGHING = Task(
    gives="what a scale shows",
    data="lines of JSON: scale, x, y",
    read="another_task:ReadOptions",
    protocol="another_task:Protocol",
    predict="another_task:PredictOptions",
    splits=("fifths", "none"),
    units="weighings",
    inputs=Scales.inputs,
    question=("weighing", "one weighing: the scale, then what lies on it, commas between"),
)


@pytest.fixture
def scales(tmp_path, monkeypatch):
    """A file of weighings, and a row for the system of another task that reads it."""
    row = Row("another_task:Scales", "what scales show", "-", options="another_task:Options", task="weighing")
    monkeypatch.setitem(SYSTEMS, "scales", row)
    monkeypatch.setitem(TASKS, "weighing", WEIGHING)
    monkeypatch.setitem(COMMANDS, "weigh", Command("another_task_commands:weigh", "What a scale shows, once."))
    some = weighings()
    lines = [
        json.dumps({"scale": scale, "x": x.tolist(), "y": y.item()})
        for scale, x, y in zip(some.scales, some.x, some.y, strict=True)
    ]
    path = tmp_path / "weighings.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def told(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_the_command_line_takes_a_system_of_another_task(scales, tmp_path, capsys):
    fitted, quick = str(tmp_path / "f"), ["--max-epochs", "3", "--set", "training.lr=0.1"]
    code, out, _ = told(capsys, "info", "scales")
    assert code == 0 and "splits: fifths, none" in out and "how far off is right" in out
    code, _, err = told(capsys, "fit", "scales", scales, "-o", fitted, *quick)
    assert code == 0 and "106 weighings by 7 scales" in err and "student: 3 epochs in " in err
    code, out, _ = told(capsys, "evaluate", fitted, scales, "--within", "100")
    assert code == 0 and "every fifth weighing" in out and "right" in out and "1.0000" in out
    code, _, err = told(capsys, "predict", fitted, "-i", scales, "-o", tmp_path / "shown.jsonl", "--digits", "1")
    assert code == 0 and "106 weighings answered" in err
    shown = [json.loads(line)["shows"] for line in (tmp_path / "shown.jsonl").read_text().splitlines()]
    assert len(shown) == 106 and all(each == round(each, 1) for each in shown)
    arms = ["--arm", "scales:training.lr=0.1", "--arm", "slow=scales:training.lr=0.0001"]
    code, out, err = told(capsys, "compare", scales, *arms, "--max-epochs", "3", "--protocol", "within=1")
    out = " ".join(out.split())  # a terminal breaks lines where it must
    assert code == 0 and "over weighings, the same for all arms" in out and "seconds to answer for all weighings" in out
    code, out, _ = told(capsys, "predict", fitted, "--weighing", "s1,0.5,0.5,1", "--digits", "2")
    assert code == 0 and "shows" in out and len(out.split()[-1].partition(".")[2]) <= 2
    code, out, _ = told(capsys, "weigh", fitted, "s1", "--x", "1,1,1")
    assert code == 0 and out.startswith("s1: ")
    code, out, _ = told(capsys, "--help")
    assert code == 0 and "What a scale shows, once." in out
    code, out, _ = told(capsys, "tune", "scales", scales, "--trials", "1", "--max-epochs", "1")
    assert code == 0 and "right" in out


def test_an_input_beside_the_data_is_a_flag_and_is_read(scales, tmp_path, capsys):
    errors = tmp_path / "errors.jsonl"
    errors.write_text("".join(json.dumps({"scale": f"s{n}", "error": n / 7}) + "\n" for n in range(7)))
    fit = ["fit", "scales", scales, "--max-epochs", "1", "--errors", errors]
    assert told(capsys, *fit, "-o", tmp_path / "f")[0] == 0
    assert json.loads((tmp_path / "f" / "config.json").read_text())["fitted"]["inputs"] == {"errors": str(errors)}
    scale = Scales(Scales.tiny).read(scales, errors=errors)
    assert torch.allclose(scale.y, scale.x.sum(1, keepdim=True), atol=1e-6)  # what it is off by is taken off
    code, _, err = told(capsys, "fit", "popularity", scales, "-o", tmp_path / "g", "--errors", errors)
    assert code == 2 and "a Popularity takes no --errors; leave it out" in err


def test_two_rows_of_one_command_never_share_a_flag(scales):
    for name in command_line.COMMANDS:
        assert COMMANDS.keys().isdisjoint(command_line.COMMANDS) and command_line.COMMANDS[name]() is not None


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["compare", "DATA", "--arm", "scales", "--protocol", "b=1"],
            "Scales is not measured by 'b'; there are within",
        ),
        (["evaluate", "F", "DATA", "-k", "3"], "a Scales is not measured by -k; leave it out"),
        (["evaluate", "F", "DATA", "--protocol", "withn=3"], "not measured by 'withn'; did you mean 'within'"),
        (["evaluate", "F", "DATA", "--protocol", "within=0"], "option within = '0': it should be greater than 0"),
        (["compare", "DATA", "--arm", "scales", "--exclude-seen"], "a Scales is not measured by --exclude-seen"),
        (["predict", "F", "-i", "DATA", "-o", "x.jsonl", "-k", "3"], "a Scales answers without -k; leave it out"),
        (["predict", "F", "-i", "DATA", "-o", "x.jsonl", "--how", "k=3"], "answers without 'k'; there are digits"),
        (["predict", "F", "-i", "DATA", "-o", "x.jsonl", "--device", "gpu"], "--device gpu cannot be had here"),
        (["predict", "F", "-i", "DATA", "--history-from", "DATA"], "a Scales answers without --history-from"),
        (["predict", "F", "-i", "DATA", "--weighing", "s1"], "give one of --input FILE, --history-from LOG"),
        (["predict", "F", "--history", "s1"], "a Scales answers no --history; leave it out"),
        (
            ["fit", "scales", "DATA", "-o", "G", "--min-user-events", "3"],
            "a Scales reads its files without --min-user-events; leave it out",
        ),
        (["fit", "scales", "DATA", "-o", "G", "--split", "loo"], "Scales knows the splits fifths, none; found 'loo'"),
    ],
)
def test_what_another_task_does_not_know_is_refused(arguments, sentence, scales, tmp_path, capsys):
    Scales(Scales.tiny).fit(weighings(), max_epochs=1).save(tmp_path / "f")
    places = {"F": str(tmp_path / "f"), "DATA": scales, "G": str(tmp_path / "g"), "x.jsonl": str(tmp_path / "x.jsonl")}
    code, _, err = told(capsys, *[places.get(a, a) for a in arguments])
    assert code == 2 and sentence in err and "Traceback" not in err


def test_systems_of_two_tasks_are_not_compared(scales, capsys):
    code, _, err = told(capsys, "compare", scales, "--arm", "scales", "--arm", "popularity")
    assert code == 2 and "arms 'scales' and 'popularity' are of two tasks" in err


def test_every_name_and_every_class_stands_once():
    """An artifact names its class, a command line a row: two of one name would answer for each other."""
    tables = [systems.SYSTEMS, *systems.BASELINES.values()]
    names = [name for table in tables for name in table]
    paths = [path for table in tables for row in table.values() for path in (row.path, row.exported) if path]
    classes = [path.rpartition(":")[2] for path in paths]
    assert len({*names}) == len(names) and len({*classes}) == len(classes)
