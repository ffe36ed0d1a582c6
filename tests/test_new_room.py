"""An eleventh system is a folder and a row: a room of twenty lines is written here, and everything works with it."""

import json
import sys
import textwrap

import pytest

from tenfold import cli
from tenfold.systems import SYSTEMS, Row, load_class

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
