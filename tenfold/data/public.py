"""Public event logs by name: where they live on the internet, their checksum, their licence and how they are read.

Files are taken from the folder that TENFOLD_DATA names, where they lie as seqrec/NAME, plain or gzip; what is not there
is downloaded once, through pooch, into the user's cache. None is part of this package: read the licence first.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.data.options import ReadOptions
from tenfold.errors import DataError, nearest

RAW = "https://raw.githubusercontent.com"
GROUPLENS = "research use with citation (Harper and Konstan 2015), no redistribution without permission"
Downloader = Callable[..., Any]  # pooch's: called with url, output_file and the Pooch


class PublicFile(NamedTuple):
    name: str  # in the folder of data sets, without .gz
    sha256: str  # of the content, decompressed
    url: str = ""
    instead: str = ""  # what to do where the internet has no such file


class PublicSet(NamedTuple):
    about: str
    licence: str
    log: PublicFile
    format: str
    events: int
    users: int
    items: int
    titles: PublicFile | None = None


SETS = {
    "ml-1m": PublicSet(
        about="MovieLens-1M as a log without ratings or times, items of fewer than 5 events left out, ties by movie id",
        licence=GROUPLENS,
        log=PublicFile(
            "seqrec/ml-1m.txt",
            "4723cba9f8bdcceade6d0942ca12c9c3c0aeb0340c14fe1027c097184b046afc",
            instead="get https://files.grouplens.org/datasets/movielens/ml-1m.zip and read its ratings.dat with "
            "min_item_events=5: the same events, equal times in that file's order",
        ),
        format="sasrec",
        events=999_611,
        users=6_040,
        items=3_416,
        titles=PublicFile(
            "seqrec/ml-1m.movies.dat",
            "ad22fd112a753c753925eea3a7a46b7ed82b1273fc4f47f798ee52ec0c28576b",
            f"{RAW}/recohut/coldstart-recsys/da72950ca514faee94f010a2cb6e99a373044ec1/data/MeLU/ml-1m/movies.dat",
        ),
    ),
    "ml-100k": PublicSet(
        about="MovieLens-100K with ratings and times, as an atomic file of RecBole; not in order of time",
        licence=GROUPLENS,
        log=PublicFile(
            "seqrec/ml-100k.inter",
            "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            f"{RAW}/RUCAIBox/RecBole/7b02be5ec80a88310f2d04a27a82adfcbb5dc211/dataset/ml-100k/ml-100k.inter",
        ),
        format="recbole",
        events=100_000,
        users=943,
        items=1_682,
        titles=PublicFile(
            "seqrec/ml-100k.item",
            "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            f"{RAW}/RUCAIBox/RecBole/7b02be5ec80a88310f2d04a27a82adfcbb5dc211/dataset/ml-100k/ml-100k.item",
        ),
    ),
    "beauty": PublicSet(
        about="Amazon Beauty (2014), users and items with 5 events or more, as cut by BERT4Rec's authors; no times",
        licence="Apache-2.0 repository; the reviews are of McAuley et al., for research",
        log=PublicFile(
            "seqrec/beauty.txt",
            "f480b7a7403852342ffd8f9809bb30697dd669be31813d0e204b698fec86ef49",
            f"{RAW}/FeiSun/BERT4Rec/615eaf2004abecda487a38d5b0c72f3dcfcae5b3/data/beauty.txt",
        ),
        format="sasrec",
        events=353_962,
        users=40_226,
        items=54_542,
    ),
    "wikipedia-edits": PublicSet(
        about="a month of edits of Wikipedia's 1,000 most edited pages (Kumar et al. 2019); no times, many repeats",
        licence="CC BY-SA (Wikipedia's edit history), from an Apache-2.0 repository",
        log=PublicFile(
            "seqrec/wikipedia-edits.txt",
            "ab5d5addedafb496a212d939cb595637f580e436f640916ba337edb03aa02bed",
            f"{RAW}/pmixer/SASRec.pytorch/fde8a9c08febc2c898dc269b1d98ab762c50d2be/python/data/wikipedia.txt",
        ),
        format="sasrec",
        events=157_474,
        users=8_227,
        items=1_000,
    ),
}


def public(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> Path:
    """The log of this name on this machine. Raises DataError."""
    return _file(_set(name).log, name, downloader, progress)


def public_reading(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> ReadOptions:
    """How the log of this name is read, titles of its items included where there are any. Raises DataError."""
    found = _set(name)
    items = _file(found.titles, name, downloader, progress) if found.titles else ""
    return ReadOptions(format=found.format, items=str(items))  # type: ignore[arg-type]


def _set(name: str) -> PublicSet:
    if name not in SETS:
        raise DataError(f"there is no public data set '{name}'; {nearest(name, SETS)}")
    return SETS[name]


def _file(file: PublicFile, name: str, downloader: Downloader | None, progress: bool) -> Path:
    folder = os.environ.get("TENFOLD_DATA")
    for path in (Path(folder, file.name), Path(folder, file.name + ".gz")) if folder else ():
        if path.is_file():
            _check(path, file)
            return path
    if not file.url:
        raise DataError(
            f"'{name}' is not in the folder that TENFOLD_DATA names ({folder or 'it is not set'}) and cannot be "
            f"downloaded in this form: put {file.name} there, or {file.instead}"
        )
    return _downloaded(file, name, downloader, progress)


def _check(path: Path, file: PublicFile) -> None:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; put a whole copy there") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{path} is not the public file of that name: its content has the sha256 {found[:12]}..., expected "
            f"{file.sha256[:12]}...; remove it, or put the original there"
        )


def _downloaded(file: PublicFile, name: str, downloader: Downloader | None, progress: bool) -> Path:
    import pooch

    # a downloader that is given shows its own progress, and pooch refuses both
    bar = {"progressbar": progress} if downloader is None else {"downloader": downloader}
    cache = Path(pooch.os_cache("tenfold"))
    try:
        found = pooch.retrieve(
            file.url, known_hash=f"sha256:{file.sha256}", path=cache, fname=Path(file.name).name, **bar
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError: another checksum
        what = (
            "came with another checksum than expected" if isinstance(error, ValueError) else "could not be downloaded"
        )
        raise DataError(
            f"'{name}' {what} from {file.url} ({str(error).splitlines()[0][:160]}); try again, or put the file into "
            f"the folder that TENFOLD_DATA names, as {file.name}"
        ) from error
    return Path(found)
