"""What the command line says of how files were read: flags as a person writes them, and a way on from each sentence."""

import os
import threading

import pytest

from tenfold.cli import main

LOG = "user,item,time,event\nu,a,1,view\nu,b,2,buy\nu,a,2,buy\nu,a,2,buy\nv,a,3,buy\nv,c,4,buy\n"


@pytest.fixture
def fitted(write, tmp_path, capsys):
    """A system that remembers that it was fitted on `event=buy`, and what was said then."""
    assert main(["fit", "popularity", str(write("log.csv", LOG)), "-o", str(tmp_path / "s"), "--split", "none",
                 "--where", "event=buy"]) == 0  # fmt: skip
    return str(tmp_path / "s"), capsys.readouterr().err


def test_notes_name_flags(fitted):
    assert "1 event equals an earlier one in user, item and time and is kept; --deduplicate leaves it out" in fitted[1]


def test_a_remembered_where_can_be_dropped(fitted, write, capsys):
    events = str(write("b.jsonl", '{"user": "u", "item": "a"}\n{"user": "v", "item": "b"}\n'))
    assert main(["predict", fitted[0], "-i", events]) == 2
    assert "has no column 'event'; there are user, item; or say --where '' to take all rows" in capsys.readouterr().err
    assert main(["predict", fitted[0], "-i", events, "--where", ""]) == 0
    assert "2 of 2 users are shown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("4 71 5 978300760\n", "say --format lines if each line is a user"),
        ('user,item,title\n1,a,"Heroes" live\n', "say --quote none"),
        ("user,item,date\n1,a,31/05/2024\n", "such as --time-format '%d/%m/%Y'"),
        ("user,item,date\n1,a,soon\n", "--on-bad-rows report"),
        ("usr,item\n1,a\n", "say --columns 'user=usr,item=item'"),
    ],
)
def test_refusals_name_flags(write, tmp_path, capsys, content, said):
    assert main(["fit", "popularity", str(write("a.txt", content)), "-o", str(tmp_path / "s"), "--split", "none"]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    flags = {"lines": ["--format", "lines"], "none": ["--quote", "none"], "'%d/%m/%Y'": ["--time-format", "%d/%m/%Y"]}
    for words, flag in flags.items():
        if said.endswith(words) or f" {words} " in said:
            asked = ["fit", "popularity", str(tmp_path / "a.txt"), "-o", str(tmp_path / "s"), "--split", "none", *flag]
            assert main(asked) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_predict_reads_a_pipe(fitted, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=[LOG])
    writer.start()
    assert main(["predict", fitted[0], "-i", str(tmp_path / "pipe"), "-o", str(tmp_path / "out.jsonl")]) == 0
    writer.join()
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 2
