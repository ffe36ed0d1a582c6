"""Pictures with a class each, decoded and of one size: what a classifier is trained on, kept in memory as bytes.

Shapes: N pictures, H and W their height and width, C channels (1 or 3), K classes, B a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
import torch
from numba import njit
from torch import Tensor

from tenfold.data import columns as known
from tenfold.data.dataset import Dataset, ReadReport, check_names
from tenfold.data.hashing import below, mixed
from tenfold.data.picture_arrays import PARTS, Arrays, Found, read_arrays
from tenfold.data.pictures import Pictures, read_pictures
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said
from tenfold.files import digest

UNEVEN = 4  # times as many pictures in the largest class as in the smallest, from which on it is said
TEST, VALIDATION = 0.2, 0.1  # shares that are drawn where a file names no such part
ENOUGH = 500  # validation pictures, where 2 % are fewer than that and 10 % more


@dataclass(frozen=True, eq=False)
class LabelledPictures(Dataset):
    """Row i has pixels and a class."""

    pixels: np.ndarray  # (N, H, W, C) uint8
    labels: np.ndarray  # (N,) int32, numbers in `classes` from 1; 0: a class that these do not hold, or none at all
    classes: Vocabulary
    parts: np.ndarray | None = None  # (N,) uint8: 0 training, 1 validation, 2 test, where the file says it
    report: ReadReport = field(default_factory=ReadReport)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        height, width, channels = self.pixels.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        parts = b"" if self.parts is None else self.parts.tobytes()
        shape = repr(self.pixels.shape).encode()
        return digest(
            shape, np.ascontiguousarray(self.pixels).data, self.labels.tobytes(), self.classes.to_bytes(), parts
        )

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"classes": self.classes}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        check_names(self, vocabularies)
        classes = vocabularies.get("classes", self.classes)
        numbers = np.concatenate([[0], classes.numbers(self.classes.series)]).astype(np.int32)
        return replace(self, classes=classes, labels=numbers[self.labels])

    def take(self, rows: np.ndarray) -> Self:
        """These rows, by number or by a bool for each."""
        parts = None if self.parts is None else self.parts[rows]
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows], parts=parts)

    def x(self, rows: np.ndarray | slice = slice(None)) -> Tensor:
        """(n, C, H, W) float32 in [0, 1]."""
        return torch.from_numpy(np.ascontiguousarray(self.pixels[rows].transpose(0, 3, 1, 2))).float() / 255

    def y(self, rows: np.ndarray | slice = slice(None)) -> Tensor:
        """(n,) int64 from 0; -1 for a picture of no class."""
        return torch.from_numpy(self.labels[rows].astype(np.int64) - 1)

    def names(self) -> list[str]:
        """Of the classes 0, 1, ..."""
        return [str(own) for own in self.classes.ids(range(1, len(self.classes) + 1))]

    def sentences(self) -> list[str]:
        channels, height, width = self.shape
        colour = "grey" if channels == 1 else "in colour"
        counts = np.bincount(self.labels, minlength=len(self.classes) + 1)[1:]
        told = [
            *self.report.sentences(),
            f"{len(self):,} pictures of {height} x {width}, {colour}; {len(counts)} classes",
        ]
        none = int((self.labels == 0).sum())
        if none:
            told.append(f"{none:,} of {len(self):,} pictures have no class that is known; they are left out")
        if len(counts) and counts.min() > 0 and counts.max() >= UNEVEN * counts.min():
            most, least = (self.names()[int(i)] for i in (counts.argmax(), counts.argmin()))
            told.append(
                f"classes are uneven: '{most}' has {counts.max():,} pictures, '{least}' {counts.min():,}; look at the "
                "figures of single classes"
            )
        return told


# Reading --------------------------------------------------------------------------------------------------------------


def read_labelled(
    source: Any, *, size: int | None = None, grey: bool = False, columns: str = "", where: Sequence[str] = (),
    encoding: str = "utf-8", on_bad_rows: str = "refuse", unlabelled: bool = False,
) -> LabelledPictures:  # fmt: skip
    """Pictures and classes from npz, npy, IDX, CIFAR's batches and mosaics (picture_arrays.py), and from all that
    `read_pictures` reads: folders by class, Parquet, CSV, frames.

    size: to which all are brought (they are stretched); without it all must be of one. grey: colours become grey.
    unlabelled: pictures without any class are taken too. Raises DataError.
    """
    if isinstance(source, LabelledPictures):
        return source
    path = Path(source) if isinstance(source, str | Path) else None
    found = read_arrays(path) if path is not None and path.exists() else None
    if found is not None:
        return _of_arrays(found, str(source), size, grey, unlabelled)
    pictures = source if isinstance(source, Pictures) else read_pictures(
        source, columns=columns, where=where, encoding=encoding, on_bad_rows=on_bad_rows
    )  # fmt: skip
    if "label" not in pictures.roles and not unlabelled:
        raise DataError(
            f"{pictures.report.source} says no picture's class: expected a folder for each class, or a column 'label'; "
            f"name it with {as_said('columns', 'label=NAME')}"
        )
    labels = pictures.labels() if "label" in pictures.roles else np.zeros(len(pictures), np.int32)
    pixels = _grey(pictures.pixels(size=size)) if grey else pictures.pixels(size=size)
    return LabelledPictures(pixels, labels, pictures.classes, _parts_of(pictures), pictures.report)


def _parts_of(pictures: Pictures) -> np.ndarray | None:
    """The file's own column of a split, as far as its words are known. Raises DataError for others."""
    if "split" not in pictures.roles:
        return None
    column = pictures.frame[pictures.roles["split"]].cast(pl.String).str.to_lowercase()
    numbers = {word: n for n, name in enumerate(PARTS) for word in (name, *known.PARTS[name])}
    wrong = sorted(set(column.drop_nulls().unique().to_list()) - set(numbers))
    if wrong or column.null_count():
        raise DataError(
            f"{pictures.report.source}: its column '{column.name}' holds {wrong[0]!r}, "
            if wrong
            else f"{pictures.report.source}: its column '{column.name}' has empty places; "
            f"expected {', '.join(PARTS)}; name another column with {as_said('columns', 'split=NAME')}"
        )
    return column.replace_strict(numbers, return_dtype=pl.UInt8).to_numpy()


def _of_arrays(found: Found, source: str, size: int | None, grey: bool, unlabelled: bool) -> LabelledPictures:
    each = [(part, *_checked(part, source, unlabelled)) for part in found.parts]
    sizes = {x.shape[1:] for _, x, _ in each}
    if len(sizes) > 1:
        raise DataError(f"{source} holds pictures of {' and '.join(map(str, sorted(sizes)))}; bring them to one size")
    x = np.concatenate([x for _, x, _ in each])
    y = np.concatenate([y for _, _, y in each])
    if size is not None and x.shape[1:3] != (size, size):
        x = _stretched(x, size)
    x = _grey(x) if grey and x.shape[3] == 3 else x
    named = [part.part for part, _, _ in each]
    parts = None
    if "" not in named:
        parts = np.concatenate([np.full(len(x), PARTS.index(part.part), np.uint8) for part, x, _ in each])
    labels, classes = _numbered(y, found.names, source)
    return LabelledPictures(x, labels, classes, parts, ReadReport(source=source, rows=len(x)))


def _checked(part: Arrays, source: str, unlabelled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, H, W, C) uint8 and classes. Raises DataError."""
    x, y, of = part.x, part.y, f"{source}{f', part {part.part}' if part.part else ''}"
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim == 4 and x.shape[3] not in (1, 3) and x.shape[1] in (1, 3):
        x = x.transpose(0, 2, 3, 1)
    if x.ndim != 4 or x.shape[3] not in (1, 3) or len(x) == 0:
        raise DataError(f"{of}: pictures are {part.x.shape}; expected (N, H, W), (N, H, W, 3) or (N, 3, H, W), N >= 1")
    if np.issubdtype(x.dtype, np.floating):
        if not np.isfinite(x).all() or x.min() < 0 or x.max() > 1:
            raise DataError(
                f"{of}: pixels are floats from {x.min():.4g} to {x.max():.4g}; expected 0 to 1, or bytes: "
                "undo what normalised them"
            )
        x = np.rint(x * 255).astype(np.uint8)
    elif x.dtype != np.uint8:
        if x.min() < 0 or x.max() > 255:
            raise DataError(f"{of}: pixels go from {x.min()} to {x.max()}; expected 0 to 255")
        x = x.astype(np.uint8)
    if y is None and not unlabelled:
        raise DataError(f"{of}: there are no classes beside the pictures; expected y, labels or targets")
    y = np.full(len(x), -1) if y is None else np.asarray(y).reshape(-1)
    if len(y) != len(x):
        raise DataError(f"{of}: there are {len(x):,} pictures and {len(y):,} classes")
    return np.ascontiguousarray(x), y


def _numbered(y: np.ndarray, names: list[str], source: str) -> tuple[np.ndarray, Vocabulary]:
    """Numbers from 1 and the classes: named, or the labels themselves in order. Raises DataError."""
    if np.issubdtype(y.dtype, np.floating):
        if not (y == np.rint(y)).all():
            raise DataError(
                f"{source}: classes are fractions such as {y[y != np.rint(y)][0]}; expected whole numbers or names"
            )
        y = y.astype(np.int64)
    if names:
        wrong = y[(y < -1) | (y >= len(names))] if y.dtype.kind in "iu" else y[:1]
        if len(wrong):
            raise DataError(f"{source}: a picture's class is {wrong[0]}, and there are names for 0 to {len(names) - 1}")
        return (y.astype(np.int32) + 1), Vocabulary(pl.Series(names))
    classes = np.unique(y[y != -1]) if y.dtype.kind in "iu" else np.unique(y)
    vocabulary = Vocabulary(pl.Series(classes.tolist(), dtype=pl.Int64 if y.dtype.kind in "iu" else pl.String))
    place = np.searchsorted(classes, y) + 1
    return np.where(np.isin(y, classes), place, 0).astype(np.int32), vocabulary


def _grey(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) -> (N, H, W, 1), by the weights of ITU-R 601 as Pillow has them."""
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)


def _stretched(x: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    def one(pixels: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS)).reshape(size, size, -1)

    return np.stack([one(pixels) for pixels in x])


# Parts ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PictureSplit:
    """A dataset, and which of its pictures are of which part; those of no known class are in none."""

    dataset: LabelledPictures
    name: str
    rows: dict[str, np.ndarray]
    drawn: tuple[str, ...]  # parts that the file did not name

    @property
    def fingerprint(self) -> str:
        return digest(self.dataset.fingerprint.encode(), *(rows.tobytes() for rows in self.rows.values()))

    def part(self, name: str) -> LabelledPictures:
        return self.dataset.take(self.rows[name])

    def sentences(self) -> list[str]:
        counts = ", ".join(
            f"{len(self.rows[name]):,} {called}"
            for name, called in zip(PARTS, ("training", "validation", "test"), strict=True)
        )
        told = [f"{counts} pictures"]
        if self.drawn:
            told[0] += f"; {' and '.join(self.drawn)} drawn, the same share of each class"
        return told


def split_pictures(data: LabelledPictures, name: str) -> PictureSplit:
    """'parts': as the file says, and what it does not name drawn from its training pictures, the same share of each
    class. 'drawn': all drawn. 'none': trained and tested on all. Raises DataError."""
    labelled = np.flatnonzero(data.labels > 0)
    if len(labelled) == 0:
        raise DataError(f"{data.report.source or 'the data'}: no picture has a class that is known")
    if name == "none":
        return PictureSplit(data, name, dict.fromkeys(PARTS, labelled), ())
    said = None if name == "drawn" else data.parts
    rows, drawn = {part: np.empty(0, np.int64) for part in PARTS}, list[str]()
    rest = labelled
    if said is not None:
        rows = {part: labelled[said[labelled] == number] for number, part in enumerate(PARTS)}
        rest = rows["train"]
    for part, share in (("test", TEST), ("validation", VALIDATION)):
        if len(rows[part]) == 0:
            if part == "validation":
                share = min(share, max(0.02, ENOUGH / max(len(rest), 1)))
            rows[part] = _drawn(rest, data.labels, share, PARTS.index(part))
            rest = np.setdiff1d(rest, rows[part], assume_unique=True)
            drawn.append(part)
    rows["train"] = rest
    _check_train(data, rest)
    return PictureSplit(data, name, rows, tuple(drawn))


def _check_train(data: LabelledPictures, rows: np.ndarray) -> None:
    present = np.unique(data.labels[rows])
    if len(present) < 2:
        raise DataError(
            f"{data.report.source or 'the data'}: {len(present)} class has training pictures; a classifier needs two "
            "or more, each with two or more pictures"
        )


def _drawn(rows: np.ndarray, labels: np.ndarray, share: float, key: int) -> np.ndarray:
    """That share of the rows of each class, sorted: a class of one picture gives none."""
    hashed = _hashes(rows, key)
    taken = []
    for label in np.unique(labels[rows]):
        own = np.flatnonzero(labels[rows] == label)
        count = min(max(round(share * len(own)), 1), len(own) - 1)
        taken.append(rows[own[np.argsort(hashed[own], kind="stable")[:count]]])
    return np.sort(np.concatenate(taken)) if taken else rows[:0]


@njit(cache=True)
def _hashes(rows, key):  # type: ignore[no-untyped-def]
    out = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        out[i] = mixed(mixed(np.uint64(7), key), rows[i])
    return out


# Batches --------------------------------------------------------------------------------------------------------------


class PictureBatch(NamedTuple):
    x: Tensor  # (B, C, H, W) float32 in [0, 1], cropped and flipped by chance
    y: Tensor  # (B,) int64
    noise: Tensor  # (B, C, H, W) in [-1, 1): where attacks start
    epoch: int


class PictureBatches:
    """A Stage's data: crops and flips are index arithmetic, functions of (seed, epoch, picture), as is the noise."""

    def __init__(self, data: LabelledPictures, *, crop: int, flip: bool, noisy: bool) -> None:
        """crop: how many black pixels are put around a picture before one of its size is cut out; noisy: noise is
        wanted."""
        self.data, self.crop, self.flip, self.noisy = data, crop, flip, noisy
        self.pixels = np.ascontiguousarray(data.pixels)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, draw: Any) -> PictureBatch:
        from tenfold.ops.attacks.noise import noise

        rows = np.asarray(draw.indices)
        out = np.zeros((len(rows), *self.data.shape), np.float32)
        _cropped(self.pixels, rows, np.uint64(draw.seed), np.uint64(draw.epoch), self.crop, self.flip, out)
        start = noise(draw.seed, draw.epoch, rows, self.data.shape) if self.noisy else torch.empty(0)
        return PictureBatch(torch.from_numpy(out), self.data.y(rows), start, draw.epoch)


@njit(cache=True, nogil=True)
def _cropped(pixels, rows, seed, epoch, crop, flip, out):  # type: ignore[no-untyped-def]
    height, width, channels = pixels.shape[1:]
    root = mixed(mixed(mixed(seed, 3), epoch), 1)
    for b in range(len(rows)):
        key = mixed(root, rows[b])
        down = below(mixed(key, 1), 2 * crop + 1) - crop
        right = below(mixed(key, 2), 2 * crop + 1) - crop
        turned = flip and below(mixed(key, 3), 2) == 1
        for i in range(height):
            from_row = i + down
            if from_row < 0 or from_row >= height:
                continue
            for j in range(width):
                from_column = (width - 1 - j if turned else j) + right
                if from_column < 0 or from_column >= width:
                    continue
                for c in range(channels):
                    out[b, c, i, j] = np.float32(pixels[rows[b], from_row, from_column, c]) / np.float32(255)
