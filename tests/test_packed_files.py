"""Archives and pipes: told by their bytes, read or refused in a sentence."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from fuzz_files import zipped, zipped_alone
from small_logs import histories, refused

from tenfold.data.events import read_events
from tenfold.data.fact_tables import read_fact_tables
from tenfold.data.graphs import read_interactions
from tenfold.data.pictures import read_pictures
from tenfold.data.questions import read_questions
from tenfold.errors import DataError

# What files are packed in --------------------------------------------------------------------------------------------

CSV = b"user,item\n7,10\n7,11\n"


def zstd(content):
    return pa.compress(content, "zstd", asbytes=True)


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd, "zip": zipped_alone}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["a.csv.{}", "a.csv", "log"])
def test_archives_are_told_by_their_bytes(write, kind, name):
    path = write(name.format(kind), PACKED[kind](CSV))
    assert histories(read_events(path)) == {7: [10, 11]}
    frame = pl.DataFrame({"user": [7], "item": [10]})
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    assert histories(read_events(write("a.parquet", PACKED[kind](buffer.getvalue())))) == {7: [10]}
    assert histories(read_events(write("parquet.csv", buffer.getvalue()))) == {7: [10]}


@pytest.mark.parametrize("kind", PACKED)
def test_other_readers_take_archives_too(write, kind):
    pack = PACKED[kind]
    assert len(read_interactions(write("a.csv", pack(b"src,dst,time\n1,2,3\n")))) == 1
    assert len(read_questions(write("a.jsonl", pack(b'{"question": "who?", "answer": "ann"}\n')))) == 1
    assert len(read_fact_tables(write("b.jsonl", pack(b'{"table": {"a": "b"}, "text": "c"}\n')))) == 1
    with pytest.raises(DataError, match="there is no file"):
        read_pictures(write("c.csv", pack(b"file_name\nnone.png\n")))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
def test_archives_that_are_cut_short_or_damaged(write, kind):
    rng = np.random.default_rng(0)
    rows = "user,item\n" + "".join(f"{u},{i}\n" for u, i in rng.integers(0, 10**6, (40_000, 2)))
    whole = PACKED[kind](rows.encode())
    sentence = refused(write(f"a.csv.{kind}", whole[: len(whole) // 2]))
    assert ("cannot be read: File is not a zip file" if kind == "zip" else "cut short") in sentence
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    assert "\n" not in refused(write(f"b.csv.{kind}", bytes(damaged)))


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(a_csv=CSV, b_csv=CSV), r"a zip archive of 2 files \(a.csv, b.csv\); unpack it"),
        (zipped(), "a zip archive without a file"),
        (zipped(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "an Excel workbook; save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an Excel workbook"),
        (b"\x7fELF\x02\x01\x01" + bytes(99), r"a program \(ELF\)"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"SQLite format 3\0" + bytes(99), "a database of SQLite"),
        (b"\x80\x04\x95\x10\0\0\0", "a pickle"),
        (tarred(), "a tar archive; unpack it"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_what_holds_no_rows_is_named(write, name, content, words):
    with pytest.raises(DataError, match=words):
        read_events(write(name, content))


def test_text_that_begins_like_a_program(write):
    assert histories(read_events(write("a.csv", "MZ,item\nann,5\n"), columns="user=MZ")) == {"ann": [5]}


def test_a_folder_in_the_path_that_is_a_file(write):
    path = write("a.csv", CSV)
    assert f"there is no file {path / 'b.csv'}: {path} is a file, not a folder" in refused(path / "b.csv")


# Pipes ---------------------------------------------------------------------------------------------------------------

READS = "import sys; from tenfold.data.events import read_events; e = read_events(sys.argv[1]); print(len(e.items))"


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="this machine has no /dev/stdin")
@pytest.mark.parametrize(
    "content",
    [CSV, gzip.compress(CSV), zipped(a_csv=CSV), b'{"user":1,"item":2}\n{"user":1,"item":3}\n'],
    ids=["csv", "gzip", "zip", "jsonl"],
)
def test_a_pipe_is_read(content, warm):
    done = subprocess.run([*warm, READS, "/dev/stdin"], input=content, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip() == b"2", done.stderr.decode()


def test_a_named_pipe_is_read(tmp_path, warm):
    os.mkfifo(tmp_path / "p")
    with subprocess.Popen([*warm, READS, str(tmp_path / "p")], stdout=subprocess.PIPE) as reader:
        (tmp_path / "p").write_bytes(CSV)
        assert reader.communicate(timeout=60)[0].strip() == b"2"


def test_devices(tmp_path):
    assert "is empty" in refused("/dev/null")
    assert "is a device; give a file" in refused("/dev/zero")
