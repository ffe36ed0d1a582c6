"""The shop on disk: what was drawn, whole or not there, and readable by the library's own readers."""

import json
import os
from dataclasses import asdict

import polars as pl
import pytest
from test_shop import BESIDE, DIGESTS, SMALL

from tenfold.data.events import read_events
from tenfold.data.fact_tables import read_fact_tables
from tenfold.data.graphs import read_interactions
from tenfold.data.pictures import read_pictures
from tenfold.data.questions import read_questions
from tenfold.errors import DataError, OptionError, OutputError
from tenfold.shop import Shop, info
from tenfold.shop.simulation import draw_shard

OF_TABLES = {
    "pictures": "a4f108d6e113f6b2", "texts": "43032c9304699119", "scenes": "a3c2033d87d5ac85",
    "meetings": "3912a6950b293002", "questions": "64984a7f8a18eaac", "labels": "86fe0c66d2c668dc",
    "makes": "20e75e46f3447c59",
}  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return Shop(**SMALL)


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """Its folder, in one that was not there; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("written") / "a" / "shop"
    small.write(folder)
    return folder


def test_a_folder_holds_what_was_drawn(small, written):
    folder = written
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "catalog.parquet", "events.parquet", "index.html", "labels.parquet", "makes.parquet",
        "meetings.parquet", "pictures.parquet", "questions.jsonl", "scenes.parquet", "shop.json", "texts.jsonl",
        "truth.parquet",
    ]  # fmt: skip
    for name, frame in (("catalog", small.catalog()), ("events", small.events()), ("truth", small.truth())):
        assert pl.read_parquet(folder / f"{name}.parquet").equals(frame)
    facts = json.loads((folder / "shop.json").read_text())
    assert facts["options"] == asdict(small.options) and facts["digests"] == DIGESTS | OF_TABLES
    for name, rows in BESIDE.items():
        assert facts["tables"][name]["rows"] == sum(facts["tables"][name]["splits"].values()) == rows
    readme, told = (folder / "README.md").read_text(), info(folder)
    for text in (readme, str(told)):
        assert "310 items" in text and "53 users" in text and "4,100 events" in text and "seed 7" in text
        assert f"{facts['learnable']['loo']['oracle'][1]:.3f}" in text
    assert told.facts == facts
    for name in ("pictures", "scenes", "meetings", "labels", "makes"):
        assert pl.read_parquet(folder / f"{name}.parquet").equals(small.table(name)), name
    for name in ("texts", "questions"):
        assert [json.loads(line) for line in (folder / f"{name}.jsonl").open()] == small.table(name).to_dicts(), name


def test_the_librarys_readers_read_it(small, written, tmp_path):
    small.write(tmp_path / "folders", folders=True, only=["pictures", "scenes", "labels", "makes"])
    for name, column in (("pictures", "image"), ("scenes", "image"), ("labels", "image"), ("makes", "answer")):
        packed = read_pictures(written / f"{name}.parquet", image=column)
        loose = read_pictures(tmp_path / "folders" / name)  # what file_name names is called image
        assert len(packed) == len(loose) == BESIDE[name]
        assert packed.frame["split"].equals(loose.frame["split"])
        for row in (0, len(packed) - 1):
            assert (packed[row][column] == loose[row]["image"]).all()
    assert info(tmp_path / "folders").facts["digests"]["scenes"] == OF_TABLES["scenes"]
    pictures = read_pictures(written / "pictures.parquet")
    assert pictures[3]["mask"].max() <= len(pictures[3]["parts"]) and pictures[3]["image"].shape == (64, 64, 3)
    texts = read_fact_tables(written / "texts.jsonl")
    told = small.texts().row(5, named=True)
    assert texts[5].texts == (told["text"],) and [cell.said for cell in texts[5].cells] == [
        c["said"] for c in told["table"]
    ]
    meetings = read_interactions(written / "meetings.parquet")
    assert len(meetings.times) == BESIDE["meetings"] and not meetings.bipartite
    events = read_events(written / "events.parquet")
    questions = read_questions(written / "questions.jsonl", events=events)
    assert len(questions) == BESIDE["questions"] and len(questions.asked_of(events)[0]) == len(questions)


def test_a_table_that_is_none_is_named(small, tmp_path):
    with pytest.raises(OptionError, match="the shop has no table 'picture'; did you mean 'pictures'"):
        small.write(tmp_path / "shop", only=["picture"])
    with pytest.raises(OptionError, match="the shop has no table 'films'"):
        small.table("films")
    assert not (tmp_path / "shop").exists()


def test_the_page_shows_what_was_drawn(small, written):
    page = (written / "index.html").read_text()
    assert page.count("data:image/png;base64,") > 60
    caption, question = small.scenes()["caption"][0], small.questions()["question"][0]
    for words in (small.catalog()["title"][0], caption, question, "<mark"):
        assert words in page


def test_events_are_written_in_parts(small, tmp_path, monkeypatch):
    monkeypatch.setattr("tenfold.shop.folder.ROWS", 333)
    small.write(tmp_path, only=["events"])
    assert pl.read_parquet(tmp_path / "events.parquet").equals(small.events())


def test_the_same_shop_gives_the_same_bytes(small, written, tmp_path):
    Shop(**SMALL, processes=2).write(tmp_path)
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    small.write(written)  # writing it again is no conflict
    assert before == {path.name: path.read_bytes() for path in written.iterdir()}
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_other_folders_are_left_alone(small, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"is not empty; name another folder, .* \(force=True, --force\)"):
        small.write(tmp_path, only=["events"])
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    small.write(tmp_path, force=True, only=["events"])
    assert (tmp_path / "notes.txt").read_text() == "mine" and info(tmp_path).facts["options"]["seed"] == 7


def test_folders_of_others_are_left_alone(small, tmp_path):
    """Also where they are called as ours would be; ours go with the shop that wrote them."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"labels is there already and is no shop's; move it away"):
        small.write(tmp_path, force=True, folders=True, only=["pictures", "labels"])
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    small.write(tmp_path, force=True, folders=True, only=["pictures"])
    assert (tmp_path / "pictures" / "000003-mask.png").exists()
    small.write(tmp_path, force=True, only=["events"])
    assert not (tmp_path / "pictures").exists() and (tmp_path / "labels" / "mine.txt").read_text() == "mine"


def test_another_shop_is_not_replaced(small, tmp_path):
    small.write(tmp_path, only=["events"])
    other = Shop(**SMALL | {"seed": 9})
    with pytest.raises(OutputError, match=r"holds another shop \(seed 7, items 310, .*\); name another folder"):
        other.write(tmp_path, only=["events"])
    assert info(tmp_path).facts["digests"] == small.digests()
    other.write(tmp_path, force=True, only=["events"])
    assert info(tmp_path).facts["digests"] == other.digests() != small.digests()


def test_a_file_is_no_folder(small, tmp_path):
    (tmp_path / "shop").write_text("")
    with pytest.raises(OutputError, match="is a file, and a shop is a folder"):
        small.write(tmp_path / "shop", only=["events"])
    with pytest.raises(DataError, match="is not a folder"):
        info(tmp_path / "shop")


@pytest.mark.parametrize("stage", ["catalog", "events", "pictures", "texts", "README", "shop"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")], ids=["ctrl-c", "full"])
def test_what_stops_in_writing_leaves_nothing_that_looks_whole(small, tmp_path, monkeypatch, stage, error):
    real = os.replace

    def replace(source, target):
        if str(target.name).startswith(stage):
            raise error
        real(source, target)

    monkeypatch.setattr("os.replace", replace)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else OutputError, match=r"room|^$"):
        small.write(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_ctrl_c_while_drawing_changes_nothing(small, tmp_path, monkeypatch):
    small.write(tmp_path / "old", only=["events"])
    drawn = []

    def interrupted(*shard):
        drawn.append(shard)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw_shard(*shard)

    monkeypatch.setattr("tenfold.shop.simulation.SHARD", 400)
    monkeypatch.setattr("tenfold.shop.simulation.draw_shard", interrupted)
    for folder in ("new", "old"):
        drawn.clear()
        with pytest.raises(KeyboardInterrupt):
            Shop(**SMALL | {"seed": 12}).write(tmp_path / folder, force=True, only=["events"])
        assert len(drawn) == 3
    assert not (tmp_path / "new").exists()
    assert info(tmp_path / "old").facts["digests"] == small.digests()


@pytest.mark.parametrize("name", ["catalog.parquet", "events.parquet", "truth.parquet"])
def test_a_folder_that_is_not_whole_is_named(small, tmp_path, name):
    small.write(tmp_path, only=["events"])
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-1])
    with pytest.raises(DataError, match=rf"{name} has {len(content) - 1} bytes, where shop.json says {len(content)}"):
        info(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        info(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"shop": 1}', '"shop"', "\x00"])
def test_a_manifest_that_is_none_is_named(small, tmp_path, content):
    (tmp_path / "shop.json").write_text(content)
    with pytest.raises(DataError, match=r"shop.json is not what a shop writes"):
        info(tmp_path)
    with pytest.raises(OutputError, match="is not empty"):
        small.write(tmp_path, only=["events"])


def test_no_shop_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no whole shop"):
        info(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        info(tmp_path / "missing")
