"""Public data by name: from the folder, from the internet (here a server on this machine), and what is refused."""

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from tenfold.data import public as public_data
from tenfold.data.events import read_events
from tenfold.data.public import SETS, public, public_reading
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
    log = SETS["beauty"].log._replace(sha256=hashlib.sha256(LOG).hexdigest())
    monkeypatch.setitem(public_data.SETS, "beauty", SETS["beauty"]._replace(log=log))
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


@pytest.mark.parametrize("name", SETS)
def test_each_holds_what_it_says(public, monkeypatch, name):
    monkeypatch.setenv("TENFOLD_DATA", str(public))
    if not list((public / "seqrec").glob(SETS[name].log.name.rpartition("/")[2] + "*")):
        pytest.skip(f"{SETS[name].log.name} is not in {public}")
    events = read_events(public_data.public(name), public_reading(name))
    assert (len(events.items), len(events), len(events.catalogue)) == SETS[name][4:7]
    if SETS[name].titles:
        titled = sum(events.title(number) != str(events.catalogue.ids([number])[0]) for number in range(1, 301))
        assert titled >= 299
