"""Files that are the old ones or the new ones, and refusals of the operating system in words."""

import os

import pytest

from tenfold.errors import OutputError
from tenfold.files import check_writable, replacing, write_whole


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
