"""Public data sets by name: event logs, graphs, pictures, tables, questions; `public_sets` has the table of them.

    from tenfold.data import public
    graph = public.load("collegemsg")

Files are taken from the folder that TENFOLD_DATA names, where they lie as seqrec/NAME and so on, plain or gzip; what
is not there is downloaded once, through pooch, into the user's cache. None is part of this package: read the licence
first.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.data.options import ReadOptions
from tenfold.data.public_sets import SETS, PublicFile, PublicSet
from tenfold.errors import DataError, nearest

Downloader = Callable[..., Any]  # pooch's: called with url, output_file and the Pooch


def load(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> Any:
    """The public set of this name, read: Events, TemporalGraph, Pictures, FactTables or Questions, by its `kind`.

    Parts are had by `split("train")` where the set has any. Raises DataError.
    """
    from tenfold.data import public_forms

    found = _set(name)
    if not found.form:
        raise DataError(f"'{name}' is text and no dataset; public.files('{name}') says where its files are")
    form = getattr(public_forms, found.form)
    return form(files(name, downloader=downloader, progress=progress), **found.options)


def files(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> dict[str, Path]:
    """The files of the set on this machine, each checked against its checksum. Raises DataError."""
    return {part: _file(file, name, downloader, progress) for part, file in _set(name).files.items()}


def public(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> Path:
    """The log of this name on this machine, or a set's first file. Raises DataError."""
    return _file(next(iter(_set(name).files.values())), name, downloader, progress)


def public_reading(name: str, *, downloader: Downloader | None = None, progress: bool = True) -> ReadOptions:
    """How the log of this name is read, titles of its items included where there are any. Raises DataError."""
    found = _set(name)
    if found.form != "log":
        raise DataError(f"'{name}' is no file of events to be read as it is; public.load('{name}') reads it")
    titles = found.files.get("titles")
    items = _file(titles, name, downloader, progress) if titles else ""
    return ReadOptions(format=found.options["format"], items=str(items))


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
            file.url, known_hash=f"sha256:{file.sha256}", path=cache, fname=file.name.replace("/", "-"), **bar
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
