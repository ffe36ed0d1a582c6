"""Files that are either the old ones or the new ones, never half of one.

What is being written stands beside its place as `.NAME.PID`. A killed process leaves it there, and the next one that
writes NAME sweeps it, told by a lock on the file, which dies with the process that held it.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import OptionError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

try:
    import fcntl
except ImportError:  # Windows: nothing is swept there
    fcntl = None  # type: ignore[assignment]

REASONS = {
    errno.ENOSPC: "there is no room left on the disk; make room, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; make room, or write elsewhere",
    errno.EACCES: "you may not write there; change the permissions, or write elsewhere",
    errno.EPERM: "you may not write there; change the permissions, or write elsewhere",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder; write elsewhere",
    errno.EEXIST: "there is a file of that name where a folder is needed; write elsewhere",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its links lead in a circle; write elsewhere",
}
PART = re.compile(r"\.(.+)\.(\d+)")  # .NAME.PID


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
        sweep(path.parent, path.name)
        try:
            with _marked(beside):
                yield beside
                with beside.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            with suppress(OSError):  # what failed above is what the user must hear of
                beside.unlink(missing_ok=True)


@contextmanager
def _marked(beside: Path) -> Iterator[None]:
    """In here the part file is there and locked, so that nobody takes it for a dead process's."""
    if fcntl is None:
        yield
        return
    held = os.open(beside, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):  # some file systems know no locks: then the number of the process tells alone
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def sweep(folder: Path, *names: str) -> None:
    """Remove what killed processes left half-written of files of these names in `folder`; none: of any name.

    Only who is sure that every such file is Tenfold's may leave the names out.
    """
    with suppress(OSError):  # a courtesy: what cannot be swept is no error
        for path in folder.iterdir():
            part = PART.fullmatch(path.name)
            if part and (not names or part[1] in names) and _abandoned(path, int(part[2])):
                path.unlink(missing_ok=True)


def _abandoned(part: Path, process: int) -> bool:
    """Whether the process is gone: from this machine and, by its lock on the file, from others that see the folder."""
    if fcntl is None:
        return False
    try:
        if process != os.getpid():  # that of a container often has the number of the one before it
            os.kill(process, 0)
            return False
    except ProcessLookupError:
        pass
    except (PermissionError, OverflowError):  # somebody else's, and alive; or no number of a process
        return False
    with suppress(OSError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`, all of it or nothing. Raises OutputError."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def place(where: str | Path) -> Path:
    """`where` as a path to write to. Raises OutputError for an empty text, which Path takes for the current folder."""
    if isinstance(where, str) and not where.strip():
        raise OutputError(f"{where!r} names no place to write to; give a path")
    return Path(where)


def check_writable(folder: Path) -> None:
    """Whether something could be written into `folder`, asked before hours are spent on it. Raises OutputError."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent  # what would be made stands in the first folder that is there
    with writing(folder):
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        sweep(there, "probe")
        probe = there / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()


def digest(*parts: bytes | memoryview) -> str:
    """Sixteen hex digits that stand for the content."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()[:16]


def save_figure(figure: "Figure", path: Path) -> None:
    """Whole or not at all; the suffix says the kind. Raises OutputError, OptionError."""
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise OptionError(f"{path} names no kind of picture; end it in .png, .svg or .pdf")
    with replacing(path) as beside:
        figure.savefig(beside, format=kind, dpi=150)
