"""Files of decoded pictures with their classes: npz and npy, IDX (the MNIST family), CIFAR's batches, mosaics.

Each reader gives the parts that a file names, as `Arrays`. CIFAR's Python batches are pickles: they are read by an
unpickler that knows arrays, dictionaries and text, and refuses everything else, so that no file can run anything.
"""

import gzip
import io
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tenfold.errors import DataError

PARTS = ("train", "validation", "test")
IMAGES, LABELS = ("x", "images", "pictures", "data", "image"), ("y", "labels", "targets", "fine_labels", "label")
IDX_NAMES = {"train": ("train",), "validation": ("validation", "val"), "test": ("t10k", "test")}


class Arrays(NamedTuple):
    """One part: which one ('' where the file does not say), pictures and their classes."""

    part: str
    x: np.ndarray  # (N, H, W) or (N, H, W, C), uint8 or floats in [0, 1]
    y: np.ndarray | None  # (N,) whole numbers or text


class Found(NamedTuple):
    parts: list[Arrays]
    names: list[str]  # of the classes 0, 1, ...; none where the labels are names themselves


def read_arrays(path: Path) -> Found | None:
    """What stands in a file or folder of one of these kinds; None where it is of no such kind. Raises DataError."""
    for told, read in READERS:
        if told(path):
            try:
                return read(path)
            except (OSError, ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError, KeyError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(
                    f"{path} cannot be read: {str(error).splitlines()[0][:200]}; put a whole copy there"
                ) from error
    return None


# npz and npy ----------------------------------------------------------------------------------------------------------


def _is_npz(path: Path) -> bool:
    return path.suffix == ".npz" and path.is_file() and not path.name.endswith("_labels.npz")


def _npz(path: Path) -> Found:
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    parts = []
    for part in (*PARTS, ""):
        x, y = (_one_of(held, part, names) for names in (IMAGES, LABELS))
        if x is not None:
            parts.append(Arrays(part, x, y))
    if not parts:
        raise DataError(
            f"{path} holds {', '.join(held) or 'nothing'}; expected pictures x and classes y, or x_train, y_train, "
            "x_test and y_test"
        )
    return Found(parts, _names(held.get("classes", held.get("class_names"))))


def _one_of(held: Mapping[str, np.ndarray], part: str, names: tuple[str, ...]) -> np.ndarray | None:
    spelled = {"validation": ("validation", "val", "valid")}.get(part, (part,))
    keys = [f"{name}_{each}" for each in spelled for name in names] + [
        f"{each}_{name}" for each in spelled for name in names
    ]
    return next((held[key] for key in (keys if part else names) if key in held), None)


def _names(classes: np.ndarray | None) -> list[str]:
    return [] if classes is None else [str(name) for name in classes.tolist()]


def _is_npy(path: Path) -> bool:
    return (path.suffix == ".npy" and path.is_file()) or (path.is_dir() and any(path.glob("*.npy")))


def _npy(path: Path) -> Found:
    """x.npy with y.npy beside it; a folder of x_train.npy, y_train.npy and so on."""
    folder = path if path.is_dir() else path.parent
    held = {each.stem: np.load(each, allow_pickle=False) for each in sorted(folder.glob("*.npy"))}
    if path.is_file():
        held = {"x": held[path.stem], **{name: held[name] for name in (*LABELS, "classes") if name in held}}
    parts = []
    for part in (*PARTS, ""):
        x, y = (_one_of(held, part, names) for names in (IMAGES, LABELS))
        if x is not None:
            parts.append(Arrays(part, x, y))
    if not parts:
        raise DataError(
            f"{path} holds {', '.join(held)}; expected x.npy and y.npy, or x_train.npy, y_train.npy, x_test.npy ..."
        )
    return Found(parts, _names(held.get("classes")))


# IDX ------------------------------------------------------------------------------------------------------------------


def _is_idx(path: Path) -> bool:
    return path.is_dir() and any(re.search(r"idx3[-.]ubyte", each.name) for each in path.iterdir())


def _idx(path: Path) -> Found:
    parts = []
    for part, starts in IDX_NAMES.items():
        files = {
            rank: next(
                (f for f in sorted(path.iterdir()) if f.name.startswith(starts) and f"idx{rank}" in f.name), None
            )
            for rank in (1, 3)
        }
        if files[3] is not None:
            parts.append(Arrays(part, _idx_file(files[3]), None if files[1] is None else _idx_file(files[1])))
    if not parts:
        raise DataError(f"{path} holds IDX files, none of which begins with train, val or t10k; name them so")
    return Found(parts, [])


def _idx_file(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != 8:
        raise DataError(f"{path} is no IDX file of bytes: it begins with {content[:4]!r}")
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4).astype(np.int64)
    numbers = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if len(numbers) != int(np.prod(shape)):
        raise DataError(f"{path} says that it holds {' x '.join(map(str, shape))} numbers and holds {len(numbers):,}")
    return numbers.reshape(shape)


# CIFAR ----------------------------------------------------------------------------------------------------------------

PICKLES = re.compile(r"^(data_batch_\d+|test_batch|train|test|batches\.meta|meta)$")
BINARIES = re.compile(r"^(data_batch_\d+|test_batch|train|test)\.bin$")
HARMLESS = {("numpy", "dtype"), ("numpy", "ndarray"), ("_codecs", "encode")} | {
    (f"{home}.multiarray", name) for home in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")
}


class OnlyArrays(pickle.Unpickler):
    """Knows how arrays are written, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in HARMLESS:
            return super().find_class(module, name)
        raise DataError(f"it asks for {module}.{name}, which no file of arrays needs: it was not read")


def unpickled(path: Path) -> dict[str, Any]:
    """A CIFAR batch's dictionary. Raises DataError for a file that asks for anything but arrays."""
    try:
        held = OnlyArrays(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # as the damage has it
        raise DataError(f"{path} is no batch of CIFAR: {str(error)[:120] or type(error).__name__}") from error
    if not isinstance(held, dict):
        raise DataError(f"{path} is no batch of CIFAR: it holds a {type(held).__name__}, expected a dictionary")
    return {k.decode() if isinstance(k, bytes) else str(k): v for k, v in held.items()}


def _is_cifar(path: Path) -> bool:
    return path.is_dir() and any(PICKLES.match(f.name) or BINARIES.match(f.name) for f in path.iterdir() if f.is_file())


def _cifar(path: Path) -> Found:
    files = sorted(f for f in path.iterdir() if f.is_file())
    binary = any(BINARIES.match(f.name) for f in files)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    names: list[str] = []
    for file in files:
        if "meta" in file.name and (file.suffix == ".txt" or PICKLES.match(file.name)):
            names = _meta(file)
        elif (BINARIES if binary else PICKLES).match(file.name):
            part = "test" if file.name.startswith("test") else "train"
            found.setdefault(part, []).append(_binary(file) if binary else _batch(file))
    return Found(
        [
            Arrays(part, np.concatenate([x for x, _ in each]), np.concatenate([y for _, y in each]))
            for part, each in found.items()
        ],
        names,
    )


def _meta(file: Path) -> list[str]:
    if file.suffix == ".txt":
        return [line.strip() for line in file.read_text().splitlines() if line.strip()]
    held = unpickled(file)
    names = held.get("label_names", held.get("fine_label_names", []))
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    held = unpickled(file)
    labels = held.get("labels", held.get("fine_labels"))
    if "data" not in held or labels is None:
        raise DataError(f"{file} is no batch of CIFAR: it holds {', '.join(held)}, expected data and labels")
    return _planes(np.asarray(held["data"], np.uint8), file), np.asarray(labels, np.int64)


def _binary(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10: a byte of label before each picture; CIFAR-100, whose files are train and test, two."""
    labels = 2 if file.stem in ("train", "test") else 1
    content = np.frombuffer(file.read_bytes(), np.uint8)
    if len(content) % (labels + 3072):
        raise DataError(
            f"{file} holds {len(content):,} bytes, which is no multiple of {labels + 3072}; put a whole copy there"
        )
    rows = content.reshape(-1, labels + 3072)
    return _planes(rows[:, labels:], file), rows[:, labels - 1].astype(np.int64)


def _planes(data: np.ndarray, file: Path) -> np.ndarray:
    if data.ndim != 2 or data.shape[1] != 3072:
        raise DataError(f"{file} holds pictures of {data.shape[1:]} numbers, expected 3,072: three planes of 32 x 32")
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


# Mosaics --------------------------------------------------------------------------------------------------------------


def _is_mosaic(path: Path) -> bool:
    return path.name.endswith("_labels.npz") and path.is_file()


def _mosaic(path: Path) -> Found:
    """NAME_labels.npz holds classes by part; beside it NAME_train_0.jpg ... or NAME_test.webp hold the pictures as
    square tiles, row by row: as many tiles as there are labels left."""
    stem = path.name.removesuffix("_labels.npz")
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    parts = []
    for part in PARTS:
        if part not in held:
            continue
        pattern = re.compile(rf"^{re.escape(stem)}_{part}(_\d+)?\.(jpg|jpeg|png|webp)$")
        sheets = sorted(f for f in path.parent.iterdir() if pattern.match(f.name))
        if not sheets:
            raise DataError(
                f"{path} has {len(held[part]):,} labels of the part '{part}', and there is no {stem}_{part}.* beside it"
            )
        each = -(-len(held[part]) // len(sheets))
        x = np.concatenate([_tiles(sheet, each) for sheet in sheets])[: len(held[part])]
        parts.append(Arrays(part, x, held[part]))
    return Found(parts, _names(held.get("classes")))


def _tiles(path: Path, count: int) -> np.ndarray:
    """(count, s, s, 3): the square tiles of a square sheet that holds them row by row."""
    with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    across = int(np.ceil(np.sqrt(count)))
    side = pixels.shape[1] // across
    if side * across != pixels.shape[1] or pixels.shape[0] % side:
        raise DataError(
            f"{path} is {pixels.shape[0]} x {pixels.shape[1]} and holds no {count:,} square tiles in rows of {across}"
        )
    down = pixels.shape[0] // side
    tiles = pixels.reshape(down, side, across, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
    return tiles[:count]


READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Found]], ...] = (
    (_is_mosaic, _mosaic),
    (_is_npz, _npz),
    (_is_npy, _npy),
    (_is_idx, _idx),
    (_is_cifar, _cifar),
)
