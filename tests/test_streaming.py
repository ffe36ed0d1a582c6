"""Per-user state: ids as keys, states as records, both stores through the same tests, and what befalls LMDB."""

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock, call
from zlib import crc32

import numpy as np
import pytest
from conftest import ROOT, subprocess_of
from hypothesis import example, given
from hypothesis import strategies as st

from tenfold.errors import DataError, OptionError, OutputError, StateError
from tenfold.streaming import (
    LmdbStore,
    MemoryStore,
    Record,
    blank,
    hash_of,
    id_of,
    key_of,
    open_store,
    pack,
    pack_many,
    unpack,
    unpack_many,
)

MODEL, OTHER = "0123456789abcdef", "fedcba9876543210"
PAGE = 4096

whole = st.integers(-(2**63), 2**64 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)


# ids


@given(whole | text)
@example("007")
@example(-1)
@example("a" * 510)
@example("\0")
def test_a_key_is_short_enough_and_turns_back_into_its_id(own):
    key = key_of(own)
    assert 0 < len(key) <= 511
    assert id_of(key) == own and type(id_of(key)) is type(own)


@given(st.lists(whole, min_size=2) | st.lists(text, min_size=2))
def test_keys_stand_in_the_order_of_their_ids(ids):
    assert [id_of(key) for key in sorted(map(key_of, ids))] == sorted(ids)


def test_what_looks_alike_is_not_the_same_user():
    assert len({key_of(own) for own in (7, "7", "07", "007", -7, "-7", 7 << 8)}) == 7


def test_numpys_ids_are_the_same_users():
    assert key_of(np.int32(-7)) == key_of(-7) and key_of(np.uint64(2**64 - 1)) == key_of(2**64 - 1)
    assert key_of(np.str_("é")) == key_of("é")


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (True, r"must be text or a whole number, found True \(bool\)"),
        (np.True_, r"found np.True_ \(bool\)"),
        (7.0, r"found 7.0 \(float\)"),
        (None, r"found None \(NoneType\)"),
        (b"7", r"found b'7' \(bytes\)"),
        (np.timedelta64(7, "s"), r"found .* \(timedelta64\)"),
        ("", "is empty; give each user an id"),
        ("a\ud800", r"holds half a character, found 'a\\ud800'"),
        ("a" * 511, "may have 510 bytes, found 511"),
        ("é" * 256, "may have 510 bytes, found 512 .*; give a shorter one"),
        (2**64, "more than 64 bits; give such ids as text"),
        (-(2**63) - 1, "more than 64 bits; give such ids as text"),
    ],
)
def test_what_is_no_id_is_named(own, says):
    with pytest.raises(DataError, match=says):
        key_of(own)


@pytest.mark.parametrize(
    "key", [b"", b"t", b"x7", b"i\0", key_of(7)[:-1], key_of(7) + b"\0", b"t\xff", b"i" + b"\xff" * 9]
)
def test_a_key_of_something_else_is_named(key):
    with pytest.raises(
        StateError, match="is not the key of a user; the store holds something that Tenfold did not write"
    ):
        id_of(key)


# records

states = st.lists(st.floats(width=32), max_size=9).map(lambda numbers: np.array(numbers, dtype=np.float32))
times = st.none() | st.floats(allow_nan=False)
records = st.builds(
    Record, states, st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1), times, st.just(MODEL), st.none()
)


@given(records)
def test_a_record_comes_back_whole(record):
    back = unpack(pack(record), fingerprint=MODEL, size=len(record.state))
    np.testing.assert_array_equal(back.state.view(np.uint32), record.state.view(np.uint32))
    assert back[1:] == record[1:] and [type(field) for field in back[1:]] == [type(field) for field in record[1:]]


def test_the_bytes_are_those_of_the_page():
    """What is on disk, from the docstring and not from the code; 8 x 16 numbers, LISA Mini's, are 512 bytes."""
    state = np.arange(128, dtype=np.float32).reshape(8, 16)
    value = pack(Record(state, 300, 7, 1.5, MODEL))
    assert len(value) == 40 + 512 + 512 + 4
    assert value[:20] == b"10fs" + b"\2\0" + b"f4" + bytes.fromhex(MODEL) + b"\x80\0\0\0"
    assert value[20:32] == b"\7\0\0\0" + b"\x2c\1\0\0\0\0\0\0"
    assert value[32:40] == np.array(1.5, "<f8").tobytes() and value[552:-4] == state.astype("<f4").tobytes()
    assert value[40:552] == bytes(512)


def older(value):
    """The record as format 1 had it."""
    body = value[:4] + b"\1" + value[5:40] + value[552:-4]
    return body + crc32(body).to_bytes(4, "little")


def test_records_of_format_1_are_read_beside_those_of_format_2():
    first = Record(np.arange(5, dtype=np.float32), 3, 2, 1.5, MODEL)
    second = first._replace(events=4, ids=np.arange(1, 65, dtype=np.uint64))
    rows = unpack_many([older(pack(first)), pack(second)], fingerprint=MODEL, size=5)
    assert rows["events"].tolist() == [3, 4] and rows["state"].tolist() == [[0, 1, 2, 3, 4]] * 2
    assert not rows["ids"][0].any() and rows["ids"][1].tolist() == list(range(1, 65))
    assert pack_many(rows) == [pack(first), pack(second)]  # what is written is format 2
    assert unpack(pack(second), fingerprint=MODEL, size=5).ids.tolist() == list(range(1, 65))
    torn = older(pack(first))[:-1]
    with pytest.raises(StateError, match="is cut short: it has 63 bytes of 64; delete it and replay"):
        unpack(torn, fingerprint=MODEL, size=5)
    with pytest.raises(StateError, match="belongs to model"):
        unpack(older(pack(first)), fingerprint=OTHER, size=5)


def test_event_ids_are_hashed_as_users_are_told_apart():
    assert hash_of("7") != hash_of(7) and hash_of("7") == hash_of(np.str_("7")) and 0 < hash_of("x") < 2**64
    with pytest.raises(DataError, match="must be text or a whole number"):
        hash_of(7.5)


def test_a_batch_is_its_records_in_order():
    rng = np.random.default_rng(0)
    singles = [Record(rng.normal(size=3).astype(np.float32), n, n + 2, n / 4, MODEL) for n in range(5)]
    rows = unpack_many([*map(pack, singles[:2]), None, *map(pack, singles[2:])], fingerprint=MODEL, size=3)
    assert rows["events"].tolist() == [0, 1, 0, 2, 3, 4] and rows["item"].tolist() == [2, 3, 0, 4, 5, 6]
    assert rows["time"].tolist()[3:] == [0.5, 0.75, 1] and math.isnan(rows["time"][2])
    assert rows["state"].tolist() == [
        *(s.state.tolist() for s in singles[:2]),
        [0] * 3,
        *(s.state.tolist() for s in singles[2:]),
    ]
    assert pack_many(rows[[0, 1, 3, 4, 5]]) == list(map(pack, singles))
    rows["events"] += np.arange(6)
    rows["state"][:, 1] = 8
    again = unpack(pack_many(rows)[5], fingerprint=MODEL, size=3)
    assert again.events == 9 and again.state.tolist()[1] == 8 and again.state[2] == singles[4].state[2]


def test_a_batch_of_nobody():
    assert len(unpack_many([], fingerprint=MODEL, size=3)) == 0
    assert pack_many(blank(0, fingerprint=MODEL, size=3)) == []


RECORD = pack(Record(np.ones(4, np.float32), 3, 2, None, MODEL))
LONGER = RECORD[:-4] + bytes(4)


@pytest.mark.parametrize(
    ("value", "model", "size", "says"),
    [
        (b"", MODEL, 4, "is no record of Tenfold's; name the folder of a store"),
        (b"x" * len(RECORD), MODEL, 4, "is no record of Tenfold's"),
        (RECORD[:19], MODEL, 4, "is cut short: it has 19 bytes of 572; delete it and replay this user's events"),
        (RECORD[:-1], MODEL, 4, "is cut short: it has 571 bytes of 572"),
        (RECORD + b"\0", MODEL, 4, "is damaged: its bytes do not fit their length and checksum"),
        (LONGER + crc32(LONGER).to_bytes(4, "little"), MODEL, 4, "is damaged: its bytes do not fit their length"),
        (
            RECORD[:4] + b"\3" + RECORD[5:],
            MODEL,
            4,
            "was written in format 3, this Tenfold reads formats 1 and 2; use that Tenfold",
        ),
        (
            RECORD,
            OTHER,
            4,
            f"belongs to model {MODEL}, this is model {OTHER}; load that model, or begin an empty store",
        ),
        (RECORD, MODEL, 5, "holds 4 numbers of type f4, expected 5 of type f4; load the model that wrote it"),
        (RECORD[:6] + b"f8" + RECORD[8:], MODEL, 4, "holds 4 numbers of type f8, expected 4 of type f4"),
    ],
)
def test_what_is_not_a_whole_record_of_this_model_is_named(value, model, size, says):
    with pytest.raises(StateError, match=f"^a user's state {says}"):
        unpack(value, fingerprint=model, size=size)
    good = pack_many(blank(2, fingerprint=model, size=size))
    with pytest.raises(StateError, match=f"^the state of user 'u3' {says}"):
        unpack_many([*good, value], fingerprint=model, size=size, users=["u1", "u2", "u3"])


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(place, change):
    wrong = bytearray(RECORD)
    wrong[place] ^= change
    with pytest.raises(StateError):
        unpack(bytes(wrong), fingerprint=MODEL, size=4)


def test_a_fingerprint_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 16 hex digits"):
        blank(1, fingerprint=MODEL[:-2], size=3)


# stores


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A server of our own on a port that is free, or a reason to skip."""
    pytest.importorskip("redis", reason="the extra 'serve' is not installed")
    if shutil.which("redis-server") is None:
        pytest.skip("Debian's package redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--dir", str(tmp_path_factory.mktemp("redis")), "--save", ""]
    with subprocess.Popen([*command, "--appendonly", "no"], stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0", process
        finally:
            process.kill()


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request, tmp_path):
    if request.param == "redis":
        url, _ = request.getfixturevalue("redis_server")
        opened = open_store(f"{url}?prefix=t{abs(hash(str(tmp_path)))}*")
    else:
        opened = MemoryStore() if request.param == "memory" else LmdbStore(tmp_path / "states", sync=False)
    with opened as store:
        yield store


def test_two_clients_of_redis_lose_no_change(redis_server):
    stores = [open_store(f"{redis_server[0]}?prefix=two") for _ in range(2)]
    threads = [
        threading.Thread(target=lambda store=store: [store.change_many([b"a", b"b"], add_one) for _ in range(50)])
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert stores[0].get_many([b"a", b"b"]) == [b"100", b"100"] and len(stores[1]) == 2


def test_records_in_redis_go_when_their_time_is_over(redis_server):
    with (
        open_store(f"{redis_server[0]}?prefix=short&ttl=1") as store,
        open_store(f"{redis_server[0]}?prefix=long") as kept,
    ):
        for each in (store, kept):
            each.put_many({b"a": b"1"})
            each.change_many([b"b"], lambda values: [b"2"])
        assert store.get_many([b"a", b"b"]) == [b"1", b"2"]
        time.sleep(1.2)
        assert store.get_many([b"a", b"b"]) == [None, None] and kept.get_many([b"a", b"b"]) == [b"1", b"2"]


def test_what_redis_cannot_be_asked_is_said(redis_server):
    url = redis_server[0]
    for wrong in ("ttl=soon", "ttl=0", "prefix=a{b", "color=red"):
        with pytest.raises(OptionError, match=f"found {wrong.partition('{')[0]}"):
            open_store(f"{url}?{wrong}")
    with pytest.raises(OptionError, match=r"states cannot be kept at http://x; name a folder, redis://"):
        open_store("http://x")
    with pytest.raises(StateError, match=r"Redis at 127\.0\.0\.1:1 does not answer as it should"):
        open_store("redis://127.0.0.1:1")
    store = open_store(url)
    store.close()
    with pytest.raises(StateError, match="was closed; open it again"):
        store.get_many([b"a"])


def test_what_is_put_is_there_in_the_order_asked(store):
    store.put_many({b"a": b"1", b"b": b"", b"c": b"3"})
    store.put_many({b"c": b"33", b"d": b"4"})
    assert store.get_many([b"d", b"x", b"b", b"c", b"a", b"d"]) == [b"4", None, b"", b"33", b"1", b"4"]
    assert len(store) == 4 and store.get_many([]) == []


def test_deleted_keys_are_gone_and_others_stay(store):
    store.put_many({b"a": b"1", b"b": b"2", b"c": b"3"})
    store.delete_many([b"b", b"x"])
    assert store.get_many([b"a", b"b", b"c"]) == [b"1", None, b"3"] and len(store) == 2


def test_keys_come_in_order_by_prefix_and_survive_changes_meanwhile(store):
    users = [*range(-300, 900), *map(str, range(1300))]  # more than are read in one transaction
    store.put_many({key_of(user): b"" for user in reversed(users)})
    assert [id_of(key) for key in store] == [*range(-300, 900), *sorted(map(str, range(1300)))]
    assert [id_of(key) for key in store.keys(key_of("12"))] == sorted(u for u in map(str, range(1300)) if u[:2] == "12")
    assert [id_of(key) for key in store.keys(b"i")] == [*range(-300, 900)]
    assert list(store.keys(b"x")) == []
    for key in store.keys(b"i"):
        store.delete_many([key])
    assert len(store) == 1300
    others = [*(b"x%03d" % n for n in range(1000)), b"x999\0", b"x999\0\0", b"\xff" * 510, b"\xff" * 511]
    store.put_many({key: b"" for key in others})
    assert list(store.keys(b"x")) == others[:-2] and list(store.keys(b"\xff")) == others[-2:]


def test_change_reads_and_writes_in_the_order_of_the_keys(store):
    store.put_many({b"a": b"1", b"b": b"2", b"c": b"3"})
    seen = []

    def change(values):
        seen.append(values)
        return [b"new", None, b"1+", None]

    store.change_many([b"x", b"b", b"a", b"y"], change)
    assert seen == [[None, b"2", b"1", None]]
    assert list(zip(store, store.get_many(list(store)), strict=True)) == [(b"a", b"1+"), (b"c", b"3"), (b"x", b"new")]


def test_a_change_that_raises_leaves_the_store_as_it_was(store):
    store.put_many({b"a": b"1", b"b": b"2"})

    def stop(values):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change_many([b"a", b"b"], stop)
    for wrong in ([b"9"], [b"9"] * 3):
        with pytest.raises(ValueError, match="zip"):
            store.change_many([b"a", b"b"], lambda _, wrong=wrong: wrong)
    with pytest.raises(ValueError, match="needs each key once: gather the events of a user before"):
        store.change_many([b"a", b"b", b"a"], lambda values: [b"9"] * 3)
    assert store.get_many([b"a", b"b"]) == [b"1", b"2"]
    store.put_many({b"a": b"3"})  # and nothing is locked
    assert store.get_many([b"a"]) == [b"3"]


def add_one(values):
    return [str(int(value or 0) + 1).encode() for value in values]


def test_threads_lose_no_change_and_may_read_while_the_map_grows(tmp_path):
    for store in (MemoryStore(), LmdbStore(tmp_path / "states", sync=False, _map_size=16 * PAGE)):
        failed = []

        def work(name, store=store, failed=failed):
            try:
                for n in range(60):
                    store.change_many([b"a", b"b"], add_one)
                    store.put_many({b"%s%d" % (name, n): bytes(PAGE)})
                    assert len(store.get_many([b"a"] * 40)) == 40
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in (b"x", b"y", b"z")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failed and store.get_many([b"a", b"b"]) == [b"180", b"180"] and len(store) == 182
        store.close()


def test_where_states_may_be_kept(tmp_path):
    memory = MemoryStore()
    assert open_store(memory) is memory
    assert isinstance(open_store(None), MemoryStore) and isinstance(open_store("memory"), MemoryStore)
    with open_store(str(tmp_path / "a" / "b")) as store:
        assert isinstance(store, LmdbStore) and (tmp_path / "a" / "b" / "data.mdb").is_file()


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
