"""Public data by name: from the folder, from the internet (here a server on this machine), and what is refused."""

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from tenfold.data import public as public_data
from tenfold.data.events import Events, read_events
from tenfold.data.fact_tables import FactTables
from tenfold.data.graphs import TemporalGraph
from tenfold.data.pictures import Pictures
from tenfold.data.public import SETS, public, public_reading
from tenfold.data.public_forms import asked_of
from tenfold.data.questions import Questions
from tenfold.errors import DataError

LOG = b"3 10\n3 11\n4 10\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing: the requests are no news."""


@pytest.fixture
def server(tmp_path):
    """A folder that is served, the downloader that asks it in place of the internet, and what was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        asked = []

        def downloader(url, output_file, whole):
            asked.append(url)
            local = f"http://127.0.0.1:{http.server_port}/{url.rpartition('/')[2]}"
            pooch.HTTPDownloader(timeout=20)(local, output_file, whole)

        yield folder, downloader, asked
        http.shutdown()
        thread.join()


@pytest.fixture
def beauty(monkeypatch, tmp_path):
    """A 'beauty' of three events, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    log = SETS["beauty"].files["log"]._replace(sha256=hashlib.sha256(LOG).hexdigest())
    monkeypatch.setitem(public_data.SETS, "beauty", SETS["beauty"]._replace(files={"log": log}))
    return log


def test_it_is_downloaded_once_and_read(server, beauty):
    folder, downloader, asked = server
    (folder / "beauty.txt").write_bytes(LOG)
    path = public("beauty", downloader=downloader)
    assert public("beauty", downloader=downloader) == path and asked == [beauty.url]
    events = read_events(path, public_reading("beauty", downloader=downloader))
    assert events.catalogue.ids(events.history(0)) == [10, 11]


def test_another_content_is_refused(server, beauty):
    folder, downloader, _ = server
    (folder / "beauty.txt").write_bytes(LOG + b"5 5\n")
    with pytest.raises(DataError, match=r"'beauty' came with another checksum than expected from https.*try again"):
        public("beauty", downloader=downloader)


def test_a_server_that_has_it_not_is_told(server, beauty):
    with pytest.raises(DataError, match=r"could not be downloaded .*404.*TENFOLD_DATA names, as seqrec/beauty.txt"):
        public("beauty", downloader=server[1])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_the_copy_in_the_folder_is_used(server, beauty, monkeypatch, tmp_path, packed):
    _, downloader, asked = server
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path))
    path = tmp_path / "seqrec" / ("beauty.txt.gz" if packed else "beauty.txt")
    path.parent.mkdir()
    path.write_bytes(gzip.compress(LOG) if packed else LOG)
    assert public("beauty", downloader=downloader) == path and not asked
    path.write_bytes(gzip.compress(LOG * 2) if packed else LOG * 2)
    with pytest.raises(DataError, match="is not the public file of that name"):
        public("beauty")
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(DataError, match=r"cannot be read|is not the public file"):
        public("beauty")


def test_what_the_internet_has_not_says_what_to_do(monkeypatch):
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    with pytest.raises(
        DataError, match=r"cannot be downloaded in this form: put seqrec/ml-1m.txt there, or get https://"
    ):
        public("ml-1m")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(DataError, match="there is no public data set 'ml-10k'; did you mean 'ml-100k'"):
        public("ml-10k")


def test_a_set_is_loaded_by_name(server, beauty):
    folder, downloader, asked = server
    (folder / "beauty.txt").write_bytes(LOG)
    events = public_data.load("beauty", downloader=downloader)
    assert isinstance(events, Events) and events.catalogue.ids(events.history(0)) == [10, 11] and asked == [beauty.url]
    assert list(public_data.files("beauty", downloader=downloader)) == ["log"]


def test_text_is_no_dataset():
    with pytest.raises(DataError, match=r"'wikitext-2' is text and no dataset; public.files\('wikitext-2'\)"):
        public_data.load("wikitext-2")
    with pytest.raises(DataError, match=r"'collegemsg' is no file of events .* public.load\('collegemsg'\)"):
        public_reading("collegemsg")


TYPES = {
    "events": Events,
    "graph": TemporalGraph,
    "pictures": Pictures,
    "tables": FactTables,
    "questions": Questions,
}
LARGE = ("cifar10", "babi")  # some seconds each


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in SETS])
def test_each_holds_what_it_says(public, monkeypatch, name):
    monkeypatch.setenv("TENFOLD_DATA", str(public))
    found = SETS[name]
    for file in found.files.values():
        if not any(Path(public, file.name + end).is_file() for end in ("", ".gz")):
            pytest.skip(f"{file.name} is not in {public}")
    if found.kind == "text":
        assert all(path.stat().st_size for path in public_data.files(name).values())
        return
    data = public_data.load(name)
    assert type(data) is TYPES[found.kind] and data.report.source.startswith(str(public)) and found.about
    holds = {"pictures": len, "tables": len, "questions": len, "interactions": len, "users": len}
    holds |= {
        "events": lambda d: len(d.items),
        "items": lambda d: len(d.catalogue),
        "entities": lambda d: d.size,
        "classes": lambda d: len(d.classes),
        "captions": lambda d: len(d.pairs()[1]),
    }
    for part in ("train", "validation", "test", "test_new"):
        holds[part] = lambda d, part=part: len(d.split(part))
    assert {what: holds[what](data) for what in found.holds} == dict(found.holds)


def test_special_forms(public, monkeypatch):
    """Values that the sets' own descriptions give."""
    monkeypatch.setenv("TENFOLD_DATA", str(public))
    for name in ("seqrec", "iais", "iad", "rehearsal"):
        if not (public / name).is_dir():
            pytest.skip(f"{name} is not in {public}")
    clothes = public_data.load("fashion-mnist-small")
    assert clothes.split("train").pixels([0]).shape == (1, 28, 28, 3)
    counts = np.bincount(clothes.split("test").labels(clothes.classes))[1:]
    assert sorted(counts.tolist()) == sorted([203, 214, 190, 219, 195, 197, 200, 194, 188, 200])
    skills = public_data.load("assist2009")
    assert skills.users.ids([1, 2922]) == ["train/1", "test/1"] and set(skills.kind_names.series) == {"right", "wrong"}
    told = public_data.load("nlvr-dev")
    assert told[0]["caption"] and told[0]["image" if "image" in told.contents else "png"].shape == (100, 400, 3)
    movies = public_data.load("ml-1m")
    titled = sum(movies.title(number) != str(movies.catalogue.ids([number])[0]) for number in range(1, 301))
    assert titled >= 299


def test_cifar_is_cut_where_it_should_be(public, monkeypatch):
    monkeypatch.setenv("TENFOLD_DATA", str(public))
    if not (public / "iad").is_dir():
        pytest.skip(f"CIFAR-10 is not in {public}")
    found = public_data.files("cifar10")
    monkeypatch.setattr(public_data, "files", lambda *_, **__: {n: found[n] for n in ("test", "labels")})
    test = public_data.load("cifar10")
    assert [row["label"] for row in map(test.__getitem__, range(3))] == ["cat", "ship", "ship"] and len(test) == 10_000
    mean = test.pixels().mean((0, 1, 2)) / 255
    assert mean == pytest.approx([0.494214, 0.485131, 0.450409], abs=1e-6)


def test_a_story_of_babi():
    lines = [
        "1 Mary went out.", "2 John came in.", "3 Where is Mary? \tgarden\t1", "4 Mary slept.",
        "5 Who slept?\tMary\t4 2", "1 Sam ran.", "2 Who ran?\tSam\t1",
    ]  # fmt: skip
    one, two, three = asked_of(lines, "qa1", "test")
    assert (one["question"], one["answer"], one["evidence"], len(one["story"])) == ("Where is Mary?", "garden", [0], 2)
    assert two["evidence"] == [1, 2] and two["story"][-1] == "Mary slept." and two["id"] == "qa1/test/2"
    assert three["story"] == ["Sam ran."]
