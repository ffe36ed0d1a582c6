"""Per-user state: ids as keys, states as records, and what is no record."""

import math
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small_records import LONGER, MODEL, OTHER, RECORD, text, whole

from tenfold.errors import DataError, StateError
from tenfold.streaming import (
    Record,
    blank,
    hash_of,
    id_of,
    key_of,
    pack,
    pack_many,
    unpack,
    unpack_many,
)

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
