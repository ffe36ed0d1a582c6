"""Pictures and what is said of them: from Parquet, from frames, from folders. Compressed until they are asked for.

Shapes: N pictures, H and W their height and width. Classes are numbered from 1, in order of their names; 0 is no class.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl
from PIL import Image, ImageOps

from tenfold.data import columns as known
from tenfold.data.attributes import typed
from tenfold.data.batches import BadRows, Source, nothing_left
from tenfold.data.dataset import ReadReport, Table, check_names
from tenfold.data.sources import table_of
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said, nearest

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # no EPS: Pillow would start another program for it
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"  # Hugging Face's imagefolder: 'file_name' is the picture, 'mask_file_name' a second one
MOST_PIXELS = 1 << 26  # of one picture; a small file can claim to hold more than fits the memory
ROLES = {
    "label": ("label", "class", "classname", "target"),
    "caption": ("caption", "captions", "text", "texts", "sentence", "sentences", "description"),
    "split": ("split", "part", "subset"),
}


@dataclass(frozen=True, eq=False)
class Pictures(Table):
    """Row i has a picture, columns, and perhaps more pictures, such as a mask or a reference."""

    frame: pl.DataFrame  # (N rows) what the file says beside the pictures, under the file's own names
    contents: dict[str, pl.Series]  # of each column of pictures (N,): the compressed bytes, or the path of the file
    image: str  # the column of the picture proper
    masks: frozenset[str]  # columns whose pictures are numbers, not colours
    roles: dict[str, str]  # label, caption, split, as far as there are any -> the file's own column
    classes: Vocabulary  # all labels of the file, sorted; empty where it has none
    places: np.ndarray  # (N,) the row or line of each
    report: ReadReport = field(default_factory=ReadReport)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """All columns of a row, its pictures as uint8 (H, W, 3), masks as (H, W), None where there is none.

        Raises DataError when one cannot be decoded, IndexError.
        """
        row = range(len(self))[row]
        said = self.frame.row(row, named=True) if self.frame.width else {}
        return {**said, **{name: self._decoded(name, row) for name in self.contents}}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[row] for row in range(len(self)))

    def pixels(
        self,
        rows: Sequence[int] | np.ndarray | None = None,
        size: int | tuple[int, int] | None = None,
        column: str = "",
    ) -> np.ndarray:
        """uint8 (n, H, W, 3) of these rows, of all by default; of a mask (n, H, W), its values as they are.

        size: S or (H, W); pictures are stretched to it, and masks take the nearest value. column: of pictures, the
        first by default. Raises DataError when pictures of several sizes are asked for without one, or when one is
        missing or cannot be decoded.
        """
        column = column or self.image
        if column not in self.contents:
            raise DataError(f"{self.report.source} has no pictures '{column}'; {nearest(column, self.contents)}")
        height_width = (size, size) if isinstance(size, int) else size
        if height_width is not None and (len(height_width) != 2 or min(height_width) < 1):
            raise DataError(f"size={size}: expected a number of pixels, or height and width, of 1 or more")
        asked, found = known.index(range(len(self)) if rows is None else rows, len(self)), None
        for place, row in enumerate(asked):
            pixels = self._decoded(column, row, height_width)
            if pixels is None:
                raise DataError(f"{self._of(column, row)} there is none; choose rows that have one")
            if found is None:
                found = np.empty((len(asked), *pixels.shape), pixels.dtype)
            if pixels.shape != found.shape[1:]:
                raise DataError(
                    f"{self._of(column, row)} its height and width are {pixels.shape[:2]}, and those of the pictures "
                    f"before it {found.shape[1:3]}; give a size to bring them to, such as size=64"
                )
            found[place] = pixels
        if found is None:
            return np.empty((0, *(height_width or (0, 0)), *(() if column in self.masks else (3,))), np.uint8)
        return found

    def labels(self, classes: Vocabulary | None = None) -> np.ndarray:
        """(N,) int32 numbers in `classes`, by default the file's own; 0 where a label is missing or none of them."""
        if "label" not in self.roles:
            raise DataError(
                f"{self.report.source} has no column of labels; name it with {as_said('columns', 'label=NAME')}"
            )
        own = known.own_ids(self.frame[self.roles["label"]], self.report.source)
        return (self.classes if classes is None else classes).numbers(own)

    def pairs(self) -> tuple[np.ndarray, list[str]]:
        """Each caption (M of them) and the row (M,) of its picture: one picture may have a list of them, or none."""
        if "caption" not in self.roles:
            raise DataError(
                f"{self.report.source} has no column of captions; name it with {as_said('columns', 'caption=NAME')}"
            )
        column = self.frame[self.roles["caption"]]
        texts = column if isinstance(column.dtype, pl.List) else column.cast(pl.String).reshape((-1, 1)).arr.to_list()
        each = pl.DataFrame({"row": np.arange(len(self)), "text": texts}).explode("text").drop_nulls("text")
        each = each.filter(pl.col("text").cast(pl.String).str.strip_chars() != "")
        return each["row"].to_numpy(), each["text"].cast(pl.String).to_list()

    def split(self, name: str) -> Self:
        """Those of one part of the split: 'train', 'validation' (or as the file calls it), 'test'. Raises DataError."""
        if "split" not in self.roles:
            raise DataError(
                f"{self.report.source} has no column of a split; name it with {as_said('columns', 'split=NAME')}"
            )
        return self.take(known.part(self.report.source, self.frame[self.roles["split"]], name))

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        """These rows, by number, in this order, or by a bool for each; the classes and their numbers stay."""
        index = known.index(rows, len(self))
        contents = {name: column.gather(index) for name, column in self.contents.items()}
        frame = self.frame[index] if self.frame.width else self.frame
        return replace(self, frame=frame, contents=contents, places=self.places[index])

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"classes": self.classes}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same pictures, whose `labels()` are numbers in other `classes`; 0 for a class that these do not hold."""
        check_names(self, vocabularies)
        return replace(self, classes=vocabularies.get("classes", self.classes))

    def contents_of_fingerprint(self) -> Iterator[bytes]:
        """Roles, classes and the compressed pictures: files are read."""
        yield repr((self.image, sorted(self.masks), sorted(self.roles.items()))).encode()
        yield self.classes.to_bytes()
        for name, column in self.contents.items():
            yield name.encode()
            for row, content in enumerate(column):
                try:
                    held = Path(content).read_bytes() if isinstance(content, str) else content
                except OSError as error:
                    raise DataError(
                        f"{self._of(name, row)} its file cannot be read: {error.strerror or error}"
                    ) from error
                yield b"none" if held is None else len(held).to_bytes(8) + held

    def _decoded(self, column: str, row: int, size: tuple[int, int] | None = None) -> np.ndarray | None:
        content = self.contents[column][int(row)]
        if content is None:
            return None
        try:
            if isinstance(content, str):
                content = Path(content).read_bytes()
            return decoded(content, mask=column in self.masks, size=size)
        except DataError as error:
            raise DataError(f"{self._of(column, row)} {error}") from error
        except OSError as error:
            raise DataError(f"{self._of(column, row)} its file cannot be read: {error.strerror or error}") from error

    def _of(self, column: str, row: int) -> str:
        content = self.contents[column][int(row)]
        file = f" ({content})" if isinstance(content, str) else ""
        return f"{self.report.source}, {self.report.place} {self.places[row]}, picture '{column}'{file}:"


# Decoding ------------------------------------------------------------------------------------------------------------


def decoded(content: bytes, *, mask: bool = False, size: tuple[int, int] | None = None) -> np.ndarray:
    """A picture's file as uint8 (H, W, 3), upright, on white where it is transparent.

    mask: (H, W), its grey values or the numbers of its palette's colours, unchanged, as wide as the file has them.
    size: (H, W) to bring it to. Raises DataError.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(
                    f"it claims {picture.width:,} x {picture.height:,} pixels, and {MOST_PIXELS:,} is the most; make "
                    "it smaller"
                )
            upright = ImageOps.exif_transpose(picture)
        done = _numbers(upright) if mask else _colours(upright)
        if size is not None:
            done = done.resize(size[::-1], Image.Resampling.NEAREST if mask else Image.Resampling.LANCZOS)
        pixels = np.array(done)
        return pixels.astype(pixels.dtype.newbyteorder("="))
    except DataError:
        raise
    except Image.UnidentifiedImageError:
        raise DataError(f"it is none of {', '.join(FORMATS)}: it begins with {content[:8]!r}") from None
    except Exception as error:  # as the damage has it: OSError, SyntaxError, struct.error ...
        reason = str(error) or type(error).__name__
        raise DataError(f"it cannot be decoded: {reason}; mend it or leave it out") from error


def _colours(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow would clip at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DataError(f"a pixel is one number of 32 bits ({picture.mode}), not a colour; read it as a mask")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    return picture.convert("RGB")


def _numbers(picture: Image.Image) -> Image.Image:
    if picture.mode == "1":
        return Image.fromarray(np.asarray(picture).astype(np.uint8))
    if picture.mode in ("L", "P", "I", "F") or picture.mode.startswith("I;16"):
        return picture
    bands = picture.split()
    if picture.mode in ("LA", "PA") or (
        picture.mode in ("RGB", "RGBA") and bands[0].tobytes() == bands[1].tobytes() == bands[2].tobytes()
    ):
        return bands[0]
    raise DataError(f"it is a picture in colours ({picture.mode}), and a mask has one number a pixel")


# Reading -------------------------------------------------------------------------------------------------------------


def read_pictures(
    source: "str | Path | pd.DataFrame | pl.DataFrame",
    *,
    image: str = "image",
    masks: Iterable[str] = ("mask",),
    columns: str = "",
    where: Iterable[str] | None = None,
    encoding: str = "utf-8",
    format: str = "auto",
    on_bad_rows: str = "refuse",
) -> Pictures:
    """Pictures from a table (Parquet or a frame with their bytes, any table that names their files) or from a folder.

    A folder holds metadata.csv, .jsonl or .parquet, in which `file_name` is the picture and such as `mask_file_name` a
    second one; or a folder for each class, which becomes the column `label`; or just pictures. Folders called train,
    validation and test are read so each, and the column `split` says which.

    image: the column of the picture; where none has that name, the only one with pictures. masks: which others are
    numbers, not colours. columns: 'label=NAME,caption=NAME,split=NAME' where names do not say it themselves.
    on_bad_rows: a row without its picture ends the reading ("refuse"), or is left out and counted ("report").
    Raises DataError, OptionError; that a picture is damaged is found when it is decoded.
    """
    masks = tuple(masks)

    def table(data: Any, root: Path) -> _Part:
        rows = table_of(data, "pictures", encoding=encoding, format=format, on_bad_rows=on_bad_rows)
        return _table(rows, root, image, masks, where or ())

    if not isinstance(source, str | Path):
        part = table(source, Path())
    elif Path(source).is_dir():
        part = _folder(Path(source), table)
    else:
        part = table(source, Path(source).parent)
    name = part.report.source
    first = _main(image, part.contents)
    if first not in part.contents:
        others = nearest(image, part.contents)
        raise DataError(f"{name} has no pictures '{image}'; {others}; name the column with image=NAME")
    frame, roles = part.frame, known.roles(name, part.frame.columns, columns, ROLES, ())
    if "label" in roles and frame[roles["label"]].dtype == pl.Boolean:
        frame = frame.with_columns(pl.col(roles["label"]).cast(pl.Int64))
    if "label" in roles and frame[roles["label"]].dtype.is_nested() and "label" not in known.spelled_out(columns):
        del roles["label"]  # it only has the name of one
    labels = known.own_ids(frame[roles["label"]], name) if "label" in roles else pl.Series(dtype=pl.String)
    classes = Vocabulary(labels.drop_nulls().unique().sort())
    numbers = frozenset(masks) & set(part.contents)
    return Pictures(frame, part.contents, first, numbers, roles, classes, part.places, part.report)


def _main(image: str, contents: Mapping[str, pl.Series]) -> str:
    """The column of the picture proper: the one of that name, or the only one when no name was given."""
    return next(iter(contents)) if image == "image" and len(contents) == 1 else image


class _Part(NamedTuple):
    """What one table or folder gives."""

    frame: pl.DataFrame
    contents: dict[str, pl.Series]
    places: np.ndarray
    report: ReadReport


def _table(source: Source, root: Path, image: str, masks: Sequence[str], where: Iterable[str]) -> _Part:
    """root: the folder from which names of files are meant."""
    frame, places = source.whole()
    conditions = known.conditions(source.name, where, frame.columns)
    keep, unclear = known.chosen(conditions, frame, places)
    left_out = int((~keep).sum()) - len(unclear)
    source.bad.add(unclear)
    rows = len(frame) + source.bad.count - len(unclear)
    if not rows:
        raise DataError(nothing_left(source, 0, 0, "pictures"))
    frame, places = frame.filter(pl.Series(keep)), places[keep]
    found = _contents(frame, root, (image, *masks))
    frame, contents = frame.drop(found), {column.name: column for column in found.values()}
    if not contents:
        raise DataError(
            f"{source.name} has no column of pictures (bytes of PNG or JPEG, or '{FILE_NAME}'), only "
            f"{', '.join(map(repr, frame.columns))}; name one that holds names of files with image=NAME"
        )
    wrong = list[tuple[int, str]]()
    if (main := _main(image, contents)) in contents:
        gone = places[contents[main].is_null().to_numpy()]
        wrong += [(int(place), f"its picture is missing (column '{main}')") for place in gone]
    for name, column in contents.items():
        paths = column if column.dtype == pl.String else ()
        wrong += [
            (int(place), f"there is no file {path}, which it names as its '{name}'")
            for place, path in zip(places, paths, strict=False)
            if path is not None and not os.path.isfile(path)
        ]
    source.bad.add(wrong)
    good = ~np.isin(places, [place for place, _ in wrong])
    if not good.any():
        raise DataError(nothing_left(source, rows, left_out, "pictures"))
    report = ReadReport(
        source=source.name,
        place=source.place,
        rows=rows,
        bad=source.bad.count,
        first_bad=tuple(source.bad.first),
        left_out=left_out,
        remarks=tuple(source.told()),
    )
    contents = {name: column.filter(pl.Series(good)) for name, column in contents.items()}
    return _Part(
        typed(frame.filter(pl.Series(good)), source.text) if frame.width else frame, contents, places[good], report
    )


def _contents(frame: pl.DataFrame, root: Path, named: Sequence[str]) -> dict[str, pl.Series]:
    """The columns of pictures, bytes or paths, under the frame's own names for them; where there are bytes, names of
    files are just columns. named: which hold names of files if they hold text."""
    found = dict[str, pl.Series]()
    for column in frame.iter_columns():
        held = column
        if isinstance(column.dtype, pl.Struct) and {"bytes", "path"} <= {inner.name for inner in column.dtype.fields}:
            held, path = column.struct.field("bytes"), column.struct.field("path")
            if len(held) and held.null_count() == len(held):  # Hugging Face's way to say that they are elsewhere
                found[column.name] = _paths(path, column.name, root)
                continue
        if held.dtype == pl.Binary:
            found[column.name] = held.rename(column.name)
    for column in () if found else frame.iter_columns():
        own = column.name
        if own == FILE_NAME or own.endswith(f"_{FILE_NAME}"):
            found[own] = _paths(column, "image" if own == FILE_NAME else own.removesuffix(f"_{FILE_NAME}"), root)
        elif own in named and column.dtype == pl.String:
            found[own] = _paths(column, own, root)
    return found


def _paths(names: pl.Series, name: str, root: Path) -> pl.Series:
    return pl.Series(name, [None if own is None else str(root / str(own)) for own in names], dtype=pl.String)


def _folder(folder: Path, table: Callable[[Any, Path], _Part]) -> _Part:
    metadata = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if metadata is not None:
        return table(metadata, folder)
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    parts = {name for part, others in known.PARTS.items() for name in (part, *others)}
    if inside and {name.lower() for name in inside} <= parts:
        return _parts(folder, inside, table)
    files = list(_files(folder))
    if not files:
        raise DataError(
            f"{folder} holds no pictures; expected a metadata.csv or metadata.jsonl with '{FILE_NAME}', files such as "
            f"a.png, or a folder of them for each class"
        )
    frame = pl.DataFrame({FILE_NAME: ["/".join(names) for names in files]})
    if all(len(names) > 1 for names in files):
        frame = frame.with_columns(label=pl.Series([names[0] for names in files]))
    paths = pl.Series([str(folder.joinpath(*names)) for names in files])
    report = ReadReport(source=str(folder), place="file", rows=len(files))
    return _Part(frame, {"image": paths}, np.arange(1, len(files) + 1), report)


def _files(folder: Path) -> Iterator[tuple[str, ...]]:
    """The pictures in it and in its folders, as parts of their paths, sorted; hidden ones are not looked at."""
    found = list[tuple[str, ...]]()
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        above = Path(top).relative_to(folder).parts
        found += [(*above, n) for n in files if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
    return iter(sorted(found))


def _parts(folder: Path, names: list[str], table: Callable[[Any, Path], _Part]) -> _Part:
    """The folders of a split, end to end; which one a row is from stands in its column `split`."""
    found = [_folder(folder / name, table) for name in names]
    frames = [
        pl.DataFrame([*part.frame.iter_columns(), pl.Series("split", [name] * len(part.places), dtype=pl.String)])
        for part, name in zip(found, names, strict=True)
    ]
    contents = pl.concat([pl.DataFrame(part.contents) for part in found], how="diagonal")
    report = ReadReport(
        source=str(folder),
        place=found[0].report.place,
        rows=sum(part.report.rows for part in found),
        bad=sum(part.report.bad for part in found),
        first_bad=tuple(bad for part in found for bad in part.report.first_bad)[: BadRows.SHOWN],
        left_out=sum(part.report.left_out for part in found),
        remarks=tuple(remark for part in found for remark in part.report.remarks),
    )
    frame = pl.concat(frames, how="diagonal_relaxed")
    return _Part(frame, {c.name: c for c in contents.iter_columns()}, np.concatenate([p.places for p in found]), report)
