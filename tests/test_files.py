"""Files that are the old ones or the new ones, and refusals of the operating system in words."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from tenfold.errors import OutputError
from tenfold.files import check_writable, place, replacing, sweep, write_whole

WRITES = "import os, sys, time; from pathlib import Path; from tenfold.files import replacing\n"


def test_a_write_that_dies_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a" / "file"
    write_whole(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as beside:
        beside.write_bytes(b"half of the n")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and [p.name for p in path.parent.iterdir()] == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OutputError, match="x could not be written: it is a folder; name a file"):
        write_whole(tmp_path / "x", b"")


def test_a_file_where_a_folder_is_needed_is_named(tmp_path):
    (tmp_path / "x").write_text("")
    for write in (lambda: write_whole(tmp_path / "x" / "y", b""), lambda: check_writable(tmp_path / "x")):
        with pytest.raises(OutputError, match=r"could not be written: .* file"):
            write()


def test_no_permission_is_named(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied")  # the tests may run as root, whom nothing refuses

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    with pytest.raises(OutputError, match="you may not write there"):
        check_writable(tmp_path)


def test_a_full_disk_is_named():
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full to write to")
    from tenfold.files import writing

    with (
        pytest.raises(OutputError, match="no room left on the disk"),
        writing("/dev/full"),
        open("/dev/full", "wb") as f,
    ):
        f.write(b"x")
        f.flush()


def dead_process():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_a_killed_process_left_is_swept_by_the_next_that_writes_the_file(tmp_path):
    program = f"{WRITES}with replacing(Path(sys.argv[1])) as b: b.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out.csv")], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    assert killed.returncode == -signal.SIGKILL and left.name.startswith(".out.csv.") and left.read_bytes() == b"half"
    others = [tmp_path / f".Xauthority.{dead_process()}", tmp_path / ".out.csv.swp", tmp_path / "out.csv.7"]
    for other in others:
        other.write_text("mine")
    write_whole(tmp_path / "out.csv", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "out.csv", *others])


def test_what_a_living_process_writes_is_left_to_it(tmp_path):
    program = f"{WRITES}with replacing(Path(sys.argv[1])) as b: b.write_bytes(b'1'); print('on', flush=True); input()"
    words = [sys.executable, "-c", program, str(tmp_path / "file")]
    with subprocess.Popen(words, cwd=ROOT, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "on\n"
        write_whole(tmp_path / "file", b"2")
        renumbered = (
            tmp_path / f".file.{dead_process()}"
        )  # as seen from another machine: a number that is nobody's here
        os.rename(tmp_path / f".file.{other.pid}", renumbered)
        sweep(tmp_path)
        assert renumbered.exists()
        os.rename(renumbered, tmp_path / f".file.{other.pid}")
        other.communicate("\n")
    assert (tmp_path / "file").read_bytes() == b"1" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_path_is_not_the_current_folder(empty):
    with pytest.raises(OutputError, match="names no place to write to"):
        place(empty)
