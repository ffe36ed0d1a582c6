"""LMDB as a store of states: growth, other processes, and what befalls a folder."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock, call

import pytest
from conftest import ROOT, subprocess_of
from small_records import PAGE

from tenfold.errors import OutputError, StateError
from tenfold.streaming import (
    LmdbStore,
)

# LMDB: growth, other processes, and what befalls a folder


def test_the_map_grows_and_what_was_there_stays(tmp_path):
    called = []
    with LmdbStore(tmp_path, sync=False, _map_size=8 * PAGE) as store:
        for n in range(40):
            store.put_many({b"%d-%d" % (n, m): b"%d" % n * PAGE for m in range(3)})
        store.change_many([b"big"], lambda values: called.append(values) or [bytes(400 * PAGE)])
    assert len(called) > 1 and all(values == [None] for values in called)
    with LmdbStore(tmp_path, _map_size=8 * PAGE) as store:
        assert len(store) == 121
        assert store.get_many([b"%d-2" % n for n in range(40)]) == [b"%d" % n * PAGE for n in range(40)]
        called.clear()
        store.change_many([b"big"], lambda values: called.append(values) or [bytes(PAGE)])
    assert len(called) == 1  # the map is as large as it was


def test_the_file_takes_what_it_holds(tmp_path):
    with LmdbStore(tmp_path) as store:
        store.put_many({b"a": b"1"})
        assert os.stat(tmp_path / "data.mdb").st_blocks * 512 < 2**17


def test_what_another_process_has_grown_is_read_and_written(tmp_path):
    with LmdbStore(tmp_path, _map_size=16 * PAGE) as store:
        store.put_many({b"a": b"1"})
        grow = (
            "import sys; from tenfold.streaming import LmdbStore\nLmdbStore(sys.argv[1]).put_many({b'b': bytes(2**21)})"
        )
        assert subprocess_of("-c", grow, str(tmp_path)) == (0, "")
        assert store.get_many([b"a", b"b"]) == [b"1", bytes(2**21)]
        store.put_many({b"c": b"3"})
        assert len(store) == 3


COUNT = """
import sys
from tenfold.streaming import LmdbStore
with LmdbStore(sys.argv[1], sync=False, _map_size=8 * 4096) as store:
    keys = [b"%d" % n for n in range(30)]
    for n in range(300):
        store.change_many(keys, lambda values: [b"%0700d" % (int(value or 0) + 1) for value in values])
"""


def test_processes_lose_no_change(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    counting = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)], env=environment) for _ in range(2)]
    try:
        assert [process.wait(60) for process in counting] == [0, 0]
    finally:
        for process in counting:
            process.kill()
    with LmdbStore(tmp_path) as store:
        assert {int(value) for value in store.get_many(list(store))} == {600} and len(store) == 30


WRITE = """
import itertools, sys
from tenfold.streaming import LmdbStore
store = LmdbStore(sys.argv[1], _map_size=8 * 4096)
for batch in itertools.count():
    store.put_many({b"%d-%d" % (batch, n): b"%d" % batch * 500 for n in range(20)} | {b"last": b"%d" % batch})
    print(batch, flush=True)
"""


@pytest.mark.parametrize("batches", [3, 40])
def test_a_killed_writer_leaves_all_that_it_committed(tmp_path, batches):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(batches)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    with LmdbStore(tmp_path) as store:
        last = int(store.get_many([b"last"])[0])
        assert last >= int(said[-1]) >= batches - 1 and len(store) == 20 * (last + 1) + 1
        keys = [b"%d-%d" % (batch, n) for batch in range(last + 1) for n in range(20)]
        assert store.get_many(keys) == [key.split(b"-")[0] * 500 for key in keys]
        store.put_many({b"after": b"1"})


@pytest.mark.parametrize("then", ["another opens it", "it grows"])
def test_a_killed_reader_holds_nothing_back(tmp_path, then):
    """Its slot would keep LMDB from ever using the pages again that it was reading."""
    killed = "import os, sys; from tenfold.streaming import LmdbStore; store = LmdbStore(sys.argv[1]); "
    killed += "reading = store._environment.begin(); os.kill(os.getpid(), 9)"
    with LmdbStore(
        tmp_path, _map_size=8 * PAGE
    ) as store:  # keeps LMDB from clearing all slots when the last one closes
        assert subprocess_of("-c", killed, str(tmp_path)) == (-signal.SIGKILL, "")
        slots = store._environment.readers()
        if then == "it grows":
            store.put_many({b"a": bytes(16 * PAGE)})
        else:
            opens = "import sys; from tenfold.streaming import LmdbStore; LmdbStore(sys.argv[1])"
            assert subprocess_of("-c", opens, str(tmp_path)) == (0, "")
        left = {line.split()[0] for line in store._environment.readers().splitlines()[1:]} - {str(os.getpid())}
        assert len(slots.splitlines()) >= 2 and not left


def test_a_reader_sees_one_moment(tmp_path):
    with LmdbStore(tmp_path) as store:
        store.put_many({b"a": b"1", b"b": b"1"})
        store.change_many([b"a"], lambda values: [str(store.get_many([b"a"])).encode()])  # what was committed before
        assert store.get_many([b"a"]) == [b"[b'1']"]


@pytest.mark.parametrize("sync", [True, False])
def test_without_sync_it_is_on_the_disk_when_closed(tmp_path, sync):
    store = LmdbStore(tmp_path, sync=sync)
    assert store._environment.flags()["sync"] is sync
    store._environment = Mock(wraps=store._environment)
    store.close()
    store.close()
    assert store._environment.sync.call_args_list == ([] if sync else [call(True)])


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "x").write_text("")
    for path in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(OutputError, match=f"^{path} could not be written: .* file.*; write elsewhere$"):
            LmdbStore(path)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StateError, match="is not empty and holds no states; choose a new or an empty folder"):
        LmdbStore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_folder_that_may_not_be_written_to_is_named():
    mine = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # one that is reached also by those who are not root
        LmdbStore(folder).close()
        modes = {Path(folder) / "data.mdb": 0o444, Path(folder) / "lock.mdb": 0o444, Path(folder): 0o555}
        for path, mode in modes.items():
            path.chmod(mode)
        try:
            if mine == 0:
                os.seteuid(65534)  # root is refused nothing
            for wanted in (Path(folder), Path(folder) / "new"):
                with pytest.raises(
                    OutputError, match=f"^{wanted} could not be written: you may not write there; change"
                ):
                    LmdbStore(wanted)
        finally:
            os.seteuid(mine)
            Path(folder).chmod(0o755)


def test_a_full_disk_is_named_and_the_store_stays_as_it_was(tmp_path):
    """A limit on the file's length stands for the disk's end: at both a write stops half-way."""
    full = """
import resource, signal, sys
from tenfold.errors import OutputError
from tenfold.streaming import LmdbStore
store = LmdbStore(sys.argv[1])
store.put_many({b"a": b"1"})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, resource.RLIM_INFINITY))
try:
    store.put_many({b"a": b"2", b"b": bytes(2**20)})
except OutputError as error:
    print(error)
print(store.get_many([b"a", b"b"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.put_many({b"a": b"3"})
print(store.get_many([b"a", b"b"]))
"""
    code, said = subprocess_of("-c", full, str(tmp_path))
    assert code == 0 and said.splitlines() == [
        f"{tmp_path} could not be written: there is no room left on the disk; make room, or write elsewhere",
        "[b'1', None]",
        "[b'3', None]",
    ]


def damaged(path: Path, how: str) -> None:
    length = path.stat().st_size
    with path.open("r+b") as file:
        if how == "overwritten":
            file.write(b"\xff" * 2 * PAGE)
        elif how == "pages zeroed":
            file.seek(2 * PAGE)
            file.write(bytes(length - 2 * PAGE))
        else:
            file.truncate({"headless": 100, "cut": 70 * PAGE, "cut after the header": 2 * PAGE}[how])


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("overwritten", r"data.mdb is damaged, or is not LMDB's \(.*MDB_INVALID.*\); put a copy of it back"),
        ("headless", r"data.mdb is damaged, or is not LMDB's \(.*\); put a copy of it back, or begin in a new folder"),
        ("cut", "data.mdb is cut short: it has 286,720 bytes of .*; put a copy of it back, or begin in a new folder"),
        ("cut after the header", "data.mdb is cut short: it has 8,192 bytes of .*; put a copy of it back"),
        ("pages zeroed", r"data.mdb is damaged, or is not LMDB's \(.*MDB_CORRUPTED.*\); put a copy of it back"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, how, says):
    with LmdbStore(tmp_path) as store:
        store.put_many({b"%d" % n: bytes(PAGE) for n in range(100)})
    damaged(tmp_path / "data.mdb", how)
    with pytest.raises(StateError, match=says):
        LmdbStore(tmp_path).get_many([b"50"])


def test_a_folder_that_was_refused_can_be_mended(tmp_path):
    LmdbStore(tmp_path / "whole").close()
    whole = (tmp_path / "whole" / "data.mdb").read_bytes()
    with LmdbStore(tmp_path / "cut") as store:
        store.put_many({b"a": bytes(PAGE)})
    damaged(tmp_path / "cut" / "data.mdb", "cut after the header")
    with pytest.raises(StateError, match="cut short") as refused:
        LmdbStore(tmp_path / "cut")
    (tmp_path / "cut" / "data.mdb").write_bytes(whole)
    assert list(LmdbStore(tmp_path / "cut")) == [], refused  # which holds the frame that refused


def test_a_file_whose_end_was_given_back_counts_as_whole(tmp_path):
    """LMDB by itself leaves its last page unwritten here: a page that the last delete took, and gave back."""
    with LmdbStore(tmp_path) as store:
        store.put_many({b"%05d" % n: bytes(552) for n in range(50)})
        for first, end in ((30, 35), (25, 30), (10, 50)):
            store.delete_many([b"%05d" % n for n in range(first, end)])
    with LmdbStore(tmp_path) as store:
        assert list(store) == [b"%05d" % n for n in range(10)]


def test_a_store_that_grows_while_it_is_opened_is_opened(tmp_path, monkeypatch):
    import lmdb

    LmdbStore(tmp_path).close()
    answers, opened = iter([lmdb.MapResizedError("mdb_txn_begin: MDB_MAP_RESIZED"), None]), lmdb.open

    def once_refused(*arguments, **named):
        if error := next(answers):
            raise error
        return opened(*arguments, **named)

    monkeypatch.setattr("lmdb.open", once_refused)
    with LmdbStore(tmp_path) as store:
        assert len(store) == 0


def test_a_store_whose_making_was_stopped_is_made(tmp_path):
    for name in ("lock.mdb", "data.mdb"):
        (tmp_path / name).touch()
        with LmdbStore(tmp_path) as store:
            store.put_many({b"a": b"1"})
        with LmdbStore(tmp_path) as store:
            assert store.get_many([b"a"]) == [b"1"]
        for path in tmp_path.iterdir():
            path.unlink()


def test_one_process_opens_a_folder_once(tmp_path):
    with (
        LmdbStore(tmp_path),
        pytest.raises(StateError, match="is open in this process already; use that store, or close it"),
    ):
        LmdbStore(tmp_path)
    LmdbStore(tmp_path).close()


def test_a_closed_store_says_so(tmp_path):
    store = LmdbStore(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StateError, match="was closed; open it again"):
        store.get_many([b"a"])


def test_a_forked_process_must_open_for_itself(tmp_path):
    forked = """
import os, sys
from tenfold.errors import StateError
from tenfold.streaming import LmdbStore
store = LmdbStore(sys.argv[1])
if os.fork() == 0:
    try:
        store.put_many({b"a": b"1"})
    except StateError as error:
        print(error, flush=True)
    store.close()
    LmdbStore(sys.argv[1]).put_many({b"a": b"2"})
    os._exit(0)
os.wait()
print(store.get_many([b"a"]))
"""
    assert subprocess_of("-c", forked, str(tmp_path)) == (
        0,
        f"{tmp_path} was opened before this process was forked; close it here and open it\n[b'2']\n",
    )


def test_what_lmdb_refuses_otherwise_is_told(tmp_path):
    with LmdbStore(tmp_path) as store, pytest.raises(StateError, match=r"cannot be used: LMDB says '.*BAD_VALSIZE"):
        store.put_many({b"k" * 512: b""})
