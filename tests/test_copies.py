"""States as a file and back: nothing is lost between any two stores, and nothing foreign comes in."""

import numpy as np
import polars as pl
import pytest

from tenfold import LimaRec, cli
from tenfold.errors import DataError, StateError
from tenfold.streaming import LmdbStore, MemoryStore, copies, key_of
from tenfold.streaming.copies import export_states, import_states
from tenfold.streaming.seen import key_of_seen

USERS = ["u", "7", 7, -3, "ü", *(f"x{n}" for n in range(9))]


@pytest.fixture(scope="module")
def fitted(events):
    return LimaRec(LimaRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")


@pytest.fixture
def full(fitted, monkeypatch):
    monkeypatch.setattr(copies, "AT_ONCE", 4)
    session = fitted.open(keep_seen=5)
    for n, user in enumerate(USERS):
        session.update_many([user] * 2, [f"r{n % 4}i{n % 6}", "r0i1"], [5.0, 6.0], ids=[f"a{n}", f"b{n}"])
    session.store.delete_many([key_of_seen(key_of("x3"))])  # of whom nothing was kept
    return session.store


def test_a_copy_is_the_store(full, fitted, tmp_path):
    file = tmp_path / "copies" / "states.parquet"
    assert export_states(full, file) == len(USERS)
    rows = pl.read_parquet(file)
    assert set(zip(rows["user"], rows["type"], strict=True)) == {
        (str(user), "integer" if isinstance(user, int) else "text") for user in USERS
    }
    with LmdbStore(tmp_path / "states") as store:
        assert import_states(store, file) == len(USERS)
        assert list(store) == list(full) and store.get_many(list(full)) == full.get_many(list(full))
        with fitted.open(full, keep_seen=5) as one:
            expected = one.recommend("u", k=3, exclude_seen=True)
        other = fitted.open(store, keep_seen=5)
        assert other.recommend("u", k=3, exclude_seen=True) == expected
        assert other.update("u", "r0i1", id="b0") and other.states(["u"])["events"] == 2  # ids came along


def test_who_is_there_already_is_replaced_where_asked(full, fitted, tmp_path):
    export_states(full, tmp_path / "states.parquet")
    session = fitted.open()
    session.update("7", "r3i3")
    with pytest.raises(StateError, match="the store holds user '7' already; nothing was written"):
        import_states(session.store, tmp_path / "states.parquet")
    assert list(session) == ["7"]
    assert import_states(session.store, tmp_path / "states.parquet", replace=True) == len(USERS)
    assert session.states(["7"])["events"] == 2 and len(session) == len(USERS)


def test_what_does_not_belong_there_is_refused_and_nothing_is_written(full, fitted, events, tmp_path):
    file = tmp_path / "states.parquet"
    export_states(full, file)
    other = LimaRec(LimaRec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu", seed=3).open()
    other.update("somebody", "r0i1")
    with pytest.raises(StateError, match=f"belongs to model {fitted.fingerprint()}, others to model"):
        import_states(other.store, file)
    assert list(other) == ["somebody"]

    rows = pl.read_parquet(file)

    def refused(changed, error, sentence):
        changed.write_parquet(tmp_path / "changed.parquet")
        store = MemoryStore()
        with pytest.raises(error, match=sentence):
            import_states(store, tmp_path / "changed.parquet")
        assert len(store) == 0

    damaged = rows.with_row_index().with_columns(
        pl.when(pl.col("index") == 9).then(pl.lit(b"10fs and no more")).otherwise("record").alias("record")
    )
    refused(damaged.drop("index"), StateError, f"row 10: the state of user '{rows['user'][9]}' is damaged")
    refused(rows.with_columns(seen=pl.lit(b"10fh")), StateError, "row 1: what user .* had is damaged")
    refused(rows.with_columns(type=pl.lit("number")), DataError, "row 1: found user .* of type 'number'")
    refused(rows.with_columns(type=pl.lit("integer")), DataError, "of type 'integer', expected an id and 'text' or")
    refused(rows.drop("seen"), DataError, "its columns are user, type, record, expected user, type, record, seen")
    (tmp_path / "changed.parquet").write_bytes(b"no Parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        import_states(MemoryStore(), tmp_path / "changed.parquet")


def test_a_damaged_state_is_named_and_no_file_is_left(full, tmp_path):
    full.values[key_of("x5")] = full.values[key_of("x5")][:-1]
    with pytest.raises(StateError, match="the state of user 'x5' is damaged"):
        export_states(full, tmp_path / "states.parquet")
    assert not list(tmp_path.iterdir())


def test_the_commands(fitted, tmp_path, capsys):
    with fitted.open(tmp_path / "states") as session:
        session.update_many(["u", "w"], ["r0i1", "r0i2"])
        expected = session.states(["u", "w"]).copy()
    file, states = str(tmp_path / "copy.parquet"), str(tmp_path / "other")
    assert cli.main(["states", "export", str(tmp_path / "states"), file]) == 0
    assert cli.main(["states", "import", file, states]) == 0
    assert capsys.readouterr().out == f"2 users in {file}\n2 users in {states}\n"
    with fitted.open(states) as session:
        np.testing.assert_array_equal(session.states(["u", "w"])["state"], expected["state"])
    assert cli.main(["states", "import", file, states]) == 2
    assert "holds user 'u' already" in capsys.readouterr().err
    assert cli.main(["states", "import", file, states, "--replace"]) == 0
    assert cli.main(["states", "export", str(tmp_path / "nothing"), file]) == 2
    assert "holds no states" in capsys.readouterr().err and not (tmp_path / "nothing").exists()
