"""The one door to the bytes of a file: what it is packed in is told by its first bytes, whatever its name says.

gzip, bzip2, xz, Zstandard and zip archives of one file are unpacked as they are read. A pipe, such as /dev/stdin, is
kept in a file of its own, since every reader looks at the beginning before it reads. What holds no table (a workbook, a
picture, a program) is refused by its name.
"""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from tenfold.errors import DataError, nearest

LONGEST = 300  # bytes by which all of these are told
PIPES: dict[tuple[int, int], Any] = {}  # what came through each pipe, by its device and inode
EXCEL = "an Excel workbook; save the sheet as CSV, or hand over a DataFrame"
NO_TABLES = {  # how a file begins that holds none, and what it is
    b"\x7fELF": "a program (ELF)",
    b"MZ": "a program (Windows)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"SQLite format 3": "a database of SQLite; export the table as CSV",
    b"\x89HDF": "an HDF5 file; read it with pandas or h5py and hand over a DataFrame",
    b"\x93NUMPY": "an array of numpy; hand over a DataFrame made of it",
    b"ARROW1": "an Arrow (Feather) file; read it with polars.read_ipc and hand over the frame, or write Parquet",
    b"ORC": "an ORC file; write Parquet or CSV",
    b"Obj\x01": "an Avro file; write Parquet or CSV",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\xd0\xcf\x11\xe0": EXCEL,
    b"\x80\x04\x95": "a pickle, which could run code; write CSV or Parquet",
    b"\x80\x05\x95": "a pickle, which could run code; write CSV or Parquet",
    b"\x80\x03": "a pickle, which could run code; write CSV or Parquet",
    b"\x80\x02": "a pickle, which could run code; write CSV or Parquet",
}


class CutShortError(Exception):
    """The compressed file ends in the middle, or is damaged there."""


def opened(path: Path) -> BinaryIO:
    """The content, unpacked. Raises DataError."""
    file = _raw(path)
    start = file.read(LONGEST)
    file.seek(0)
    for magic, unpack in PACKED.items():
        if start.startswith(magic):
            return unpack(path, file)
    what = next((what for magic, what in NO_TABLES.items() if start.startswith(magic) and _is_binary(magic, start)), "")
    if what or start[257:262] == b"ustar":
        file.close()
        what = what or "a tar archive; unpack it"
        raise DataError(f"{path} is {what if ';' in what else what + '; give a file with rows'}")
    return file


def whole_file(path: Path) -> Path:
    """The path itself, or for a pipe the file that keeps what came through it. Raises DataError."""
    with _raw(path) as file:
        return Path(str(file.name))


def _is_binary(magic: bytes, start: bytes) -> bool:
    """Whether the beginning is no text that happens to begin so, such as a user called MZ."""
    return (
        any(byte >= 0x80 for byte in magic) or any(byte < 9 for byte in start) or magic in (b"%PDF", b"SQLite format 3")
    )


def _raw(path: Path) -> BinaryIO:
    """The bytes as they lie. Raises DataError."""
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            inside = sorted(p.name for p in path.iterdir() if p.is_file())[:5]
            hint = f" (it holds {', '.join(inside)})" if inside else ""
            raise DataError(f"{path} is a folder; name a file in it{hint}")
        if not stat.S_ISREG(mode.st_mode):
            return _piped(path, (mode.st_dev, mode.st_ino))
        return path.open("rb")
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        guess = nearest(path.name, siblings) if siblings else ""
        hint = guess if guess.startswith("did you mean") else "check the name and the folder"
        raise DataError(f"there is no file {path}; {hint}") from None
    except NotADirectoryError:
        above = next((p for p in path.parents if p.is_file()), path.parent)
        raise DataError(f"there is no file {path}: {above} is a file, not a folder; check the path") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from error


def _piped(path: Path, key: tuple[int, int]) -> BinaryIO:
    """What comes through a pipe, from its beginning however often it is opened. Raises DataError."""
    if key not in PIPES:
        with path.open("rb", buffering=0) as pipe:
            if pipe.isatty():
                raise DataError(f"{path} is a terminal; give a file, or pipe one in")
            kept = tempfile.NamedTemporaryFile(prefix="tenfold-")  # noqa: SIM115 (it lives as long as the process)
            if not stat.S_ISCHR(path.stat().st_mode):  # such as /dev/zero, which has no end
                shutil.copyfileobj(pipe, kept)
            elif pipe.read(1):
                raise DataError(f"{path} is a device; give a file")
            kept.flush()
        PIPES[key] = kept
    return open(PIPES[key].name, "rb")


# What files are packed in --------------------------------------------------------------------------------------------


class _Reading(io.RawIOBase):
    """A source that only has `read`, as a file; its errors become those of a file that is cut short."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], Any]) -> None:
        self._read, self._close = read, close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def _gzip(path: Path, file: BinaryIO) -> BinaryIO:
    return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]


def _bzip2(path: Path, file: BinaryIO) -> BinaryIO:
    return bz2.BZ2File(file)  # type: ignore[return-value]


def _xz(path: Path, file: BinaryIO) -> BinaryIO:
    return lzma.LZMAFile(file)  # type: ignore[return-value]


def _zstd(path: Path, file: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(file), "zstd")
    return io.BufferedReader(_Reading(stream.read, file.close), 1 << 20)


def _zip(path: Path, file: BinaryIO) -> BinaryIO:
    """Raises DataError unless it holds one file."""
    try:
        archive = zipfile.ZipFile(file)
        inside = [info for info in archive.infolist() if not info.is_dir() and not _is_beside(info.filename)]
        names = [info.filename for info in inside]
        if "[Content_Types].xml" in names or "content.xml" in names:
            raise DataError(f"{path} is {EXCEL}")
        if names and all(name.endswith(".npy") for name in names):
            raise DataError(f"{path} is an archive of numpy's arrays; hand over a DataFrame made of them")
        if len(inside) != 1:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise DataError(
                f"{path} is a zip archive of {len(inside)} files ({shown}); unpack it and name one of them"
                if inside
                else f"{path} is a zip archive without a file; give a file with rows"
            )
        if inside[0].flag_bits & 1:
            raise DataError(f"{path} is a zip archive under a password; unpack it")
        return archive.open(inside[0])  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise DataError(f"{path} is a zip archive that cannot be read: {error}; unpack it, or pack it anew") from error


def _is_beside(name: str) -> bool:
    """What a packing program adds of its own."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


Unpack = Callable[[Path, BinaryIO], BinaryIO]
PACKED: dict[bytes, Unpack] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\x00": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"PK\x03\x04": _zip,
    b"PK\x05\x06": _zip,  # an empty one
}
KINDS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}
ENDINGS = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd", ".zip")  # of names, beside the ending proper


def packed_in(path: Path) -> str:
    """The name of what the file is packed in, for a sentence; 'gzip' where that cannot be told any more."""
    with _raw(path) as file:
        start = file.read(8)
    return next((kind for magic, kind in KINDS.items() if start.startswith(magic)), "zip archive")


def is_packed(path: Path) -> bool:
    with _raw(path) as file:
        start = file.read(8)
    return any(start.startswith(magic) for magic in PACKED)


def pieces(path: Path, file: IO[bytes], size: int) -> Iterator[bytes]:
    """All that can be read, then the reason why no more can be. Raises DataError, CutShortError."""
    import pyarrow as pa

    reason = ""
    while not reason:
        parts, length = list[bytes](), 0
        try:
            while length < size and (part := file.read1(size - length)):  # type: ignore[attr-defined]
                parts.append(part)
                length += len(part)
        except EOFError:
            reason = "it ends in the middle: the file was cut short"
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException) as error:
            reason = f"it is damaged ({error})"
        except OSError as error:
            if not isinstance(file, bz2.BZ2File | io.BufferedReader) or error.errno is not None:
                raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
            reason = f"it is damaged or was cut short ({error})"
        if parts:
            yield b"".join(parts)
        elif not reason:
            return
    raise CutShortError(reason)
