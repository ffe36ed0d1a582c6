"""The benchmarks' frame: what a benchmark prints is what is kept, and what cannot run says so."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import __main__ as runner
from benchmarks import harness, page, peers


def test_the_last_line_is_the_result(capsys):
    harness.report("speed", {"ratio": 2.5, "events": 12345}, notes=["A rival is absent."])
    *table, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert found["benchmark"] == "speed" and found["figures"] == {"ratio": 2.5, "events": 12345}
    assert {"cpu", "cores", "memory_gib", "os", "threads"} <= found["machine"].keys()
    assert {"python", "tenfold", "torch", "numpy", "polars"} <= found["versions"].keys()
    assert any("12,345" in line for line in table) and "A rival is absent." in table


def test_repeated_timings_have_an_interval(capsys):
    low, high = harness.interval([1.0, 1.1, 1.2])
    assert 0 < low < 1.0 < 1.2 < high < 2 and harness.interval([1.0]) is None
    assert harness.interval([2.0, 2.0]) == pytest.approx((2.0, 2.0))
    slow = [1.0, 3.0, 2.0]  # the machine was busy with others: what is twice as fast is so in each turn
    assert harness.interval(harness.ratios(slow, [0.5 * each for each in slow])) == pytest.approx((2.0, 2.0))
    harness.report("speed", {"s": 1.1, "once": 3.0}, intervals={"s": (1.0, 1.2), "once": harness.interval([3.0])})
    *table, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert found["intervals"] == {"s": [1.0, 1.2]} and any("1.1 [1, 1.2]" in line for line in table)
    kept = found | {"command": "c", "commit": "abc", "date": "2026-01-01", "seconds": 1.0}
    assert "| `s` | 1.1 [1, 1.2] |" in page.page({"speed": kept}) and "| `once` | 3 |" in page.page({"speed": kept})
    rows = page.rows_of({"speed": kept}, [("speed", "s", "how long it takes", "{} s")])
    assert rows[-1] == "| how long it takes | 1.1 [1, 1.2] s |"


@pytest.mark.skipif(not harness.PROC.is_dir(), reason="/proc tells peak memory only on Linux")
def test_a_childs_memory_is_its_own():
    """200 MiB that this process holds are not the child's; 100 MiB that the child let go of are."""
    ours = bytearray(200 << 20)
    ours[:: 1 << 12] = b"x" * len(ours[:: 1 << 12])
    code = "x = bytearray(b'x') * (100 << 20); del x; print('{}')"
    small, large = harness.child([sys.executable, "-c", "print('{}')"]), harness.child([sys.executable, "-c", code])
    assert small.json == {} and small.peak_gib < 0.1 < large.peak_gib < 0.2


def test_a_child_that_fails_is_quoted():
    with pytest.raises(RuntimeError, match="ended with 7"):
        harness.child([sys.executable, "-c", "raise SystemExit(7)"])
    with pytest.raises(RuntimeError, match="NoSuchThingError"):
        harness.child([sys.executable, "-c", "class NoSuchThingError(Exception): ...\nraise NoSuchThingError"])


def test_data_that_is_absent_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path))
    (tmp_path / "here.txt").touch()
    assert harness.data("here.txt") == tmp_path / "here.txt"
    with pytest.raises(SystemExit) as ended:
        harness.data("seqrec/none.txt")
    assert ended.value.code == harness.SKIPPED
    assert f"seqrec/none.txt is not in {tmp_path}" in capsys.readouterr().err


def test_a_rival_is_found_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.delenv("TENFOLD_PEERS", raising=False)
    assert not peers.SASREC.present and not peers.RECTOOLS.present
    monkeypatch.setenv("TENFOLD_PEERS", str(tmp_path))
    model = tmp_path / "pmixer+SASRec.pytorch" / "python" / "model.py"
    model.parent.mkdir(parents=True)
    assert not peers.SASREC.present
    model.touch()
    assert peers.SASREC.present and "pmixer+SASRec.pytorch" in peers.SASREC.had


def test_streams_for_the_public_memory_transformer_hold_what_ours_are_asked(tmp_path, monkeypatch):
    from benchmarks.rivals import sides
    from tenfold.systems.rehearsal.lengthen import keyed_streams

    data = keyed_streams(5, segments=3, segment=4, facts=3, queries=2)
    words = np.array(data.words.series.to_list())
    with np.load(sides.streams_for_all(data, 5, tmp_path / "s.npz")) as found:
        assert int(found["vocabulary"]) == len(words) and found["words"].shape == (5, 12)
        assert words[found["asked"]].ravel().tolist() == data.questions["question"].to_list()
        assert words[found["answers"]].ravel().tolist() == data.questions["answer"].to_list()
        evidence = np.array(data.questions["evidence"].to_list()).reshape(5, 2, 2)
        pairs = np.take_along_axis(found["words"][:, None], evidence, 2)
        assert (pairs == np.stack([found["asked"], found["answers"]], -1)).all()
    monkeypatch.setenv("TENFOLD_PEERS", str(tmp_path))
    assert not sides.has_rmt() and len(sides.absent_rmt()) == 2
    assert "recurrent-memory-transformer is not here; a plain checkout of" in sides.absent_rmt()[0]


def test_results_are_kept_with_command_and_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    code = "from benchmarks import harness; harness.report('fake', {'x': 1.5})"
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: real([sys.executable, "-c", code], **how))
    assert runner.run("fake", quick=False) == "measured"
    monkeypatch.undo()
    kept = json.loads((tmp_path / "fake.json").read_text())
    assert kept["figures"] == {"x": 1.5} and kept["command"] == "python -m benchmarks.fake" and kept["commit"]
    assert "| `x` | 1.5 |" in page.page({"fake": kept})


def test_every_benchmark_explains_itself():
    assert {"import_time", "sasrec_training", "evaluation", "predict"} <= set(runner.names())
    for name in runner.names():
        text = (harness.ROOT / "benchmarks" / f"{name}.py").read_text()
        assert text.startswith('"""') and re.search(rf'report\(\s*"{name}"', text), name


def test_what_stands_between_markers_is_replaced_and_nothing_else():
    text = "a\n<!-- x -->\n<!-- end of x -->\nb\n"
    once = page.between_markers(text, "x", "new")
    assert once == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n" == page.between_markers(once, "x", "new")
    with pytest.raises(SystemExit, match="<!-- y -->"):
        page.between_markers(text, "y", "new")


def test_a_part_of_a_benchmark_is_a_result_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    code = "import sys; from benchmarks import harness; harness.report('fake', {'x': len(sys.argv)})"
    real, ran = subprocess.Popen, []

    def instead(command, **how):
        ran.append(command)
        return real([sys.executable, "-c", code, *command[3:]], **how)

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", instead)
        assert runner.run("fake.half", quick=False) == "measured"
    kept = json.loads((tmp_path / "fake.half.json").read_text())
    assert ran[0][1:] == ["-m", "benchmarks.fake", "--only", "half"]
    assert kept["benchmark"] == "fake.half" and kept["figures"] == {"x": 3}
    assert kept["command"] == "python -m benchmarks.fake --only half"
    for name, parts in runner.PARTS.items():
        text = (harness.ROOT / "benchmarks" / f"{name}.py").read_text()
        assert all(f'"{part}"' in text for part in parts)


def test_the_readme_shows_speed_and_quality_apart_each_with_its_configuration():
    found = page.results()
    for row in [*page.SPEED, *page.QUALITY]:
        assert len(row) == 5 and row[4], row
        assert row[1] in found[row[0]]["figures"], row  # nothing that is no longer measured
        assert not any("joined" in note.lower() for note in found[row[0]].get("notes", [])), row
    text = page.figures_table(found, {"Speed": page.SPEED, "Quality": page.QUALITY}, "results.md")
    assert text.index("**Speed**") < text.index("4.07 x") < text.index("**Quality**") < text.index("0.823")
    assert page.figures_table({}, {"": []}, "results.md") == "Nothing has been measured yet."


def test_a_claims_row_says_its_commit_and_what_was_measured_before_there_was_one():
    claim = {"name": "C1", "says": "so", "source": "s", "note": "", "verdict": "holds", "seeds": 5, "seconds": 1}
    claim |= {"date": "2026-01-01", "about": "a / b", "value": 1.5, "low": 1.2, "high": None}
    claim |= {"others": {"a": 3.0, "b": 2.0}, "intervals": {"a": [2.5, 3.5]}}
    machine = {"system": "L", "machine": "x", "python": "3", "cores": 2, "threads": 1, "torch": "2", "gpu": None}
    measured = {"system": "s", "size": "cpu", "machine": machine}
    told = page.claims_table(measured | {"claims": [claim]})
    assert "a / b 1.5 [1.2, infinite]" in told and "a 3 [2.5, 3.5], b 2 |" in told
    assert "| holds (then) |" in told and page.EARLIER_TOLD in told
    told = page.claims_table(measured | {"claims": [claim | {"commit": "abc"}]})
    assert "| 5 | holds | abc |" in told and page.EARLIER_TOLD not in told


def test_the_ladders_answer_lies_where_a_window_of_fifty_does_not_look():
    from benchmarks.lisa_ladder import RUNGS, WINDOW, draw

    for rung in ("near", "far"):
        drawn = draw(RUNGS[rung], 2, 3, 25)
        events, cut = drawn.split.events, drawn.split
        tested = cut.valid_end < events.offsets[1:]
        assert (cut.train_end < events.offsets[1:]).sum() == 28 and tested.sum() == 25
        seen = []
        for end in events.offsets[1:][tested]:
            cue, answer = events.items[end - 2 : end]
            before = events.items[end - 2 - WINDOW : end - 2]
            seen.append(cue in before or answer in before)
        assert all(seen) if rung == "near" else not any(seen)
        assert drawn.hits["observer"].mean() > 0.9 > drawn.hits["popular"].mean()
