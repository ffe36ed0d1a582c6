"""Stores of per-user state, all through the same tests: memory, LMDB, Redis."""

import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress

import pytest
from small_records import PAGE

from tenfold.errors import OptionError, StateError
from tenfold.streaming import (
    LmdbStore,
    MemoryStore,
    id_of,
    key_of,
    open_store,
)

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
