"""How the files of public sets become datasets. Each function takes the files of a set, by the names that `public_sets`
gives them, and the set's options.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from tenfold.data.containers import opened
from tenfold.data.events import Events, read_events
from tenfold.data.fact_tables import FactTables, read_fact_tables
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.data.pictures import Pictures, read_pictures
from tenfold.data.questions import Questions, read_questions
from tenfold.errors import DataError

Files = Mapping[str, Path]
TILE, TILES = 32, 100  # pixels of a picture, and pictures in a row of a mosaic
LANGUAGES = ("de", "fr", "es", "ru", "zh")  # beside English


# Events and graphs ---------------------------------------------------------------------------------------------------


def log(files: Files, format: str) -> Events:
    return read_events(files["log"], format=format, items=str(files.get("titles", "")))


def checkins(files: Files) -> Events:
    """Who was where at which minute; the places' latitude and longitude are attributes of the items."""
    arrays = _arrays(files["log"])
    frame = pl.DataFrame({"user": arrays["user"], "item": arrays["poi"], "time": arrays["minute"] * 60.0})
    events = read_events(frame)
    place = np.array(events.catalogue.series.to_list()) - 1
    where = pl.DataFrame(dict(zip(("latitude", "longitude"), arrays["poi_latlon"][place].T, strict=True)))
    return replace(_named(events, files["log"]), attributes=where)


def exercises(files: Files) -> Events:
    """Who answered exercises of which skills; whether right or wrong is the kind of the event."""
    arrays, frames = _arrays(files["log"]), []
    for part in ("train", "test"):
        lengths = arrays[f"{part}_len"]
        users = np.repeat([f"{part}/{n}" for n in range(1, len(lengths) + 1)], lengths)
        kinds = np.where(arrays[f"{part}_correct"] == 1, "right", "wrong")
        frames.append(pl.DataFrame({"user": users, "item": arrays[f"{part}_skill"], "kind": kinds}))
    return _named(read_events(pl.concat(frames)), files["log"])


def interactions(files: Files, bipartite: bool) -> TemporalGraph:
    return read_interactions(files["log"], bipartite=bipartite)


# Pictures ------------------------------------------------------------------------------------------------------------


def picture_table(files: Files, **reading: Any) -> Pictures:
    return read_pictures(files["pictures"], **reading)


def arrays(files: Files) -> Pictures:
    """Arrays x_train, y_train, x_test, y_test of pictures and the numbers of their classes."""
    found = _arrays(files["pictures"])
    frames = [
        _frame(found[f"x_{part}"], label=found["classes"][found[f"y_{part}"]], split=[part] * len(found[f"y_{part}"]))
        for part in ("train", "test")
    ]
    return _named(read_pictures(pl.concat(frames), masks=()), files["pictures"])


def mosaics(files: Files) -> Pictures:
    """10,000 pictures in one large one, row by row; their classes in an archive beside it."""
    found, frames = _arrays(files["labels"]), []
    first = {"train": 0, "test": 0}
    for name, path in files.items():
        if name == "labels":
            continue
        part = name.partition("_")[0]
        try:
            with Image.open(path, formats=("JPEG", "WEBP")) as picture:
                whole = np.asarray(picture.convert("RGB"))
        except OSError as error:
            raise DataError(f"{path} cannot be decoded: {error}") from error
        side = TILE * TILES
        if whole.shape != (side, side, 3):
            raise DataError(f"{path} is {whole.shape[1]} x {whole.shape[0]} pixels, expected {side} x {side}")
        tiles = whole.reshape(TILES, TILE, TILES, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
        classes = found[part][first[part] : first[part] + len(tiles)]
        first[part] += len(tiles)
        frames.append(_frame(tiles, label=found["classes"][classes], split=[part] * len(tiles)))
    return _named(read_pictures(pl.concat(frames), masks=()), files["labels"].parent)


def sentences_beside(files: Files) -> Pictures:
    """Pictures in a table and sentences about them in JSON lines, joined by `identifier`."""
    with opened(files["sentences"]) as file:
        said = pl.read_ndjson(io.BytesIO(file.read()))
    said = said.select("identifier", pl.col("sentence").alias("caption"), "label", "directory")
    pictures = pl.read_parquet(files["pictures"]).join(said, on="identifier", how="inner", maintain_order="left")
    return _named(read_pictures(pictures, image="png", masks=()), files["pictures"])


def captions_beside(files: Files) -> Pictures:
    """An array of pictures, and a table of captions in several languages whose `image` is the picture's row."""
    said = pl.read_parquet(files["captions"]).with_columns(pl.col(pl.Categorical).cast(pl.String))
    columns = ["image", "codepoints", "subcategory", "split"]
    rows = said.filter(pl.col("lang") == "en").select(
        *columns, pl.col("category").alias("label"), pl.col("label").alias("caption"), "tags"
    )
    for language in LANGUAGES:
        own = said.filter(pl.col("lang") == language).select("image", pl.col("label").alias(f"caption_{language}"))
        rows = rows.join(own, on="image", how="left", maintain_order="left")
    images = _arrays(files["pictures"])["images"][rows["image"].to_numpy()]
    return _named(read_pictures(_frame(images, **rows.drop("image").to_dict()), masks=()), files["pictures"])


def _frame(pixels: np.ndarray, **columns: Any) -> pl.DataFrame:
    """uint8 (N, H, W) or (N, H, W, 3) as uncompressed files in memory, which cost nothing to write or to read."""
    grey = pixels.ndim == 3
    head = f"P{5 if grey else 6} {pixels.shape[2]} {pixels.shape[1]} 255\n".encode()
    contents = [head + picture.tobytes() for picture in pixels]
    return pl.DataFrame({"image": pl.Series(contents, dtype=pl.Binary), **columns})


# Tables and questions ------------------------------------------------------------------------------------------------


def parts_of_tables(files: Files) -> FactTables:
    """A file for each part of the split; texts in files beside them are found by the reader."""
    parts = {name: read_fact_tables(path) for name, path in files.items() if not name.endswith("_texts")}
    frames = [part.frame.with_columns(pl.lit(name).alias("split")) for name, part in parts.items()]
    first = next(iter(parts.values()))
    report = replace(
        first.report,
        source=str(next(iter(files.values())).parent),
        rows=sum(part.report.rows for part in parts.values()),
        bad=sum(part.report.bad for part in parts.values()),
    )
    return FactTables(pl.concat(frames, how="diagonal_relaxed"), {**first.roles, "split": "split"}, report)


def questions(files: Files) -> Questions:
    return read_questions(files["questions"])


def babi(files: Files) -> Questions:
    """Files of lines `ID text` or `ID question <tab> answer <tab> supporting IDs`; ID 1 begins a new story."""
    rows = list[dict[str, Any]]()
    with opened(files["archive"]) as file, tarfile.open(fileobj=io.BytesIO(file.read())) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            name = re.search(r"(qa\d+)_.*_(train|test)\.txt$", member.name)
            content = archive.extractfile(member) if name else None
            if name and content:
                lines = content.read().decode().splitlines()
                rows += [{"kind": name[1], "split": name[2], **row} for row in asked_of(lines, name[1], name[2])]
    return _named(read_questions(pl.DataFrame(rows)), files["archive"])


def asked_of(lines: list[str], task: str, part: str) -> Iterator[dict[str, Any]]:
    """The questions of one file, in its order; evidence counts the sentences told before, from 0."""
    story, place, asked = list[str](), dict[int, int](), 0
    for line in lines:
        number, _, text = line.partition(" ")
        if number == "1":
            story, place = [], {}
        question, tab, rest = text.partition("\t")
        if not tab:
            place[int(number)] = len(story)
            story.append(text)
            continue
        answer, _, support = rest.partition("\t")
        asked += 1
        yield {
            "id": f"{task}/{part}/{asked}",
            "question": question.strip(),
            "answer": answer,
            "evidence": sorted(place[int(own)] for own in support.split()),
            "story": list(story),
        }


# What they share -----------------------------------------------------------------------------------------------------


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Raises DataError."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an archive of arrays: {error}") from error


def _named(dataset: Any, source: Path) -> Any:
    """Whose report names the file, not the frame that was made of it."""
    return replace(dataset, report=replace(dataset.report, source=str(source)))
