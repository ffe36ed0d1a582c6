"""Files that are either the old ones or the new ones, never half of one."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tenfold.errors import OutputError

REASONS = {
    errno.ENOSPC: "there is no room left on the disk; make room, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; make room, or write elsewhere",
    errno.EACCES: "you may not write there; change the permissions, or write elsewhere",
    errno.EPERM: "you may not write there; change the permissions, or write elsewhere",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder; write elsewhere",
    errno.EEXIST: "there is a file of that name where a folder is needed; write elsewhere",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """In here an operating system's refusal becomes one sentence that names `path`. Raises OutputError."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        reason = REASONS.get(error.errno or 0, f"{error.strerror or error}; write elsewhere")
        raise OutputError(f"{path} could not be written: {reason}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what stands there at the end is moved into place, whole. Raises OutputError.

    Whoever reads, and whatever dies, sees the old file or the new one.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            with suppress(OSError):  # what failed above is what the user must hear of
                beside.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`, all of it or nothing. Raises OutputError."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def check_writable(folder: Path) -> None:
    """Whether something could be written into `folder`, asked before hours are spent on it. Raises OutputError."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent  # what would be made stands in the first folder that is there
    with writing(folder):
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        probe = there / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()


def digest(*parts: bytes | memoryview) -> str:
    """Sixteen hex digits that stand for the content."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()[:16]
