"""Pictures from every layout that people have, decoded as they are meant; and what is wrong, in one sentence."""

import io
import json
import os
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tenfold.data.pictures import MOST_PIXELS, decoded, read_pictures
from tenfold.errors import DataError

H, W = 5, 7
COLOURS = np.arange(H * W * 3, dtype=np.uint8).reshape(H, W, 3)
GREY = (np.arange(H * W, dtype=np.uint8) % 4).reshape(H, W)


def encoded(pixels, kind="PNG", **how):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind, **how)
    return buffer.getvalue()


def shade(value, height=H, width=W):
    return encoded(np.full((height, width, 3), value, np.uint8))


def table(**more):
    """Four pictures of one colour each, with a mask that the last lacks."""
    return pl.DataFrame(
        {
            "image": [shade(10 * n) for n in range(1, 5)],
            "mask": [encoded(GREY)] * 3 + [None],
            "label": ["shoe", "hat", "shoe", "bag"],
            "split": ["train", "val", "train", "test"],
            **more,
        },
        schema_overrides={"mask": pl.Binary},
    )


refused = partial(refusal, read_pictures, shorter_than=500)


def folder_of(tmp_path, names, metadata=None, rows=None):
    for number, name in enumerate(names, start=1):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(shade(10 * number))
    if metadata == "metadata.csv":
        rows.write_csv(tmp_path / metadata)
    elif metadata == "metadata.jsonl":
        rows.write_ndjson(tmp_path / metadata)
    elif metadata:
        rows.write_parquet(tmp_path / metadata)
    return tmp_path


def hugging_face(frame):
    struct = pl.struct(pl.col("image").alias("bytes"), pl.lit("a.png").alias("path"))
    return frame.with_columns(image=struct)


# Layouts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["polars", "pandas", "parquet", "hugging face", "no name"])
def test_bytes_in_a_table(tmp_path, layout):
    frame = table()
    if layout == "hugging face":
        frame = hugging_face(frame)
    source = frame.to_pandas() if layout == "pandas" else frame
    if layout in ("parquet", "hugging face", "no name"):
        source = tmp_path / ("a.parquet" if layout != "no name" else "a")
        frame.write_parquet(source)
    pictures = read_pictures(source)
    assert len(pictures) == 4 and pictures.image == "image" and pictures.masks == {"mask"}
    assert pictures.frame.columns == ["label", "split"]
    assert pictures.pixels()[:, 0, 0].tolist() == [[10] * 3, [20] * 3, [30] * 3, [40] * 3]
    row = pictures[-3]
    assert row["label"] == "hat" and row["image"].shape == (H, W, 3) and row["image"].dtype == np.uint8
    np.testing.assert_array_equal(row["mask"], GREY)
    assert pictures[3]["mask"] is None
    assert [row["label"] for row in pictures] == ["shoe", "hat", "shoe", "bag"]
    with pytest.raises(IndexError):
        pictures[4]


@pytest.mark.parametrize("metadata", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_a_folder_with_metadata(tmp_path, metadata):
    rows = pl.DataFrame(
        {
            "file_name": ["b.png", "inner/a.png"],
            "mask_file_name": ["m.png", None],
            "caption": ["a hat", "two shoes"],
            "size": [3, 4],
        }
    )
    folder = folder_of(tmp_path, ["b.png", "inner/a.png", "not named.png"], metadata, rows)
    (folder / "m.png").write_bytes(encoded(GREY))
    for source in (folder, str(folder), folder / metadata):
        pictures = read_pictures(source)
        assert pictures.frame.rows() == [("a hat", 3), ("two shoes", 4)]
        assert pictures.pixels()[:, 0, 0, 0].tolist() == [10, 20]
        np.testing.assert_array_equal(pictures[0]["mask"], GREY)
        assert pictures[1]["mask"] is None


def test_a_folder_for_each_class(tmp_path):
    names = ["hat/a.png", "hat/deep/b.JPG", "shoe/c.png", "bag/d.png", "bag/.hidden.png"]
    folder = folder_of(tmp_path, names)
    (folder / "hat" / "notes.txt").write_text("no picture")
    (folder / ".trash").mkdir()
    (folder / ".trash" / "e.png").write_bytes(b"")
    pictures = read_pictures(folder)
    assert pictures.frame["label"].to_list() == ["bag", "hat", "hat", "shoe"]
    assert pictures.frame["file_name"].to_list() == ["bag/d.png", "hat/a.png", "hat/deep/b.JPG", "shoe/c.png"]
    assert pictures.classes.series.to_list() == ["bag", "hat", "shoe"] and pictures.labels().tolist() == [1, 2, 2, 3]
    assert pictures.pixels()[:, 0, 0, 0].tolist() == [40, 10, 20, 30]


def test_a_folder_of_pictures_alone_has_no_labels(tmp_path):
    pictures = read_pictures(folder_of(tmp_path, ["b.png", "a.png"]))
    assert pictures.frame.rows() == [("a.png",), ("b.png",)] and len(pictures.classes) == 0
    with pytest.raises(DataError, match="no column of labels"):
        pictures.labels()


def test_folders_of_a_split(tmp_path):
    folder = folder_of(tmp_path, ["train/hat/a.png", "train/shoe/b.png", "test/shoe/c.png"])
    pictures = read_pictures(folder)
    assert pictures.frame["split"].to_list() == ["test", "train", "train"]
    assert pictures.split("train").labels().tolist() == [1, 2] and pictures.split("test").labels().tolist() == [2]
    assert pictures.split("test").pixels()[0, 0, 0, 0] == 30


def test_folders_of_a_split_with_metadata(tmp_path):
    for part, extra in (("train", {"colour": ["red"]}), ("val", {})):
        (tmp_path / part).mkdir()
        rows = pl.DataFrame({"file_name": ["a.png"], **extra})
        folder_of(tmp_path / part, ["a.png"], "metadata.csv", rows)
    pictures = read_pictures(tmp_path)
    assert pictures.frame.to_dicts() == [{"colour": "red", "split": "train"}, {"colour": None, "split": "val"}]
    assert len(pictures.split("validation")) == 1


def test_pictures_and_nothing_else():
    pictures = read_pictures(table().select("image"))
    assert pictures[2].keys() == {"image"} and pictures.take([3, 0]).pixels()[:, 0, 0, 0].tolist() == [40, 10]


def test_the_only_picture_needs_no_name_and_several_do():
    frame = table().rename({"image": "png"}).drop("mask")
    assert read_pictures(frame).image == "png"
    two = frame.with_columns(reference=pl.col("png"))
    assert "there are png, reference; name the column with image=NAME" in refused(two)
    assert "did you mean 'png'?" in refused(two, image="pngs")
    made = read_pictures(two, image="reference")
    assert made.image == "reference" and made[0]["png"].shape == (H, W, 3)


def test_columns_of_names_of_files(tmp_path):
    folder = folder_of(tmp_path, ["a.png", "b.png"])
    (folder / "list.csv").write_text("photo,label\na.png,007\nb.png,8\n")
    pictures = read_pictures(folder / "list.csv", image="photo")
    assert pictures.frame["label"].to_list() == ["007", "8"] and pictures.pixels().shape == (2, H, W, 3)


def test_names_of_files_beside_bytes_are_only_said():
    pictures = read_pictures(table(file_name=["gone.png"] * 4))
    assert pictures.frame["file_name"].to_list() == ["gone.png"] * 4


def test_public_pictures(public):
    coco = read_pictures(public / "iais" / "coco_mini.parquet")
    rows, texts = coco.pairs()
    assert len(coco) == 101 and len(texts) == 505 and coco.pixels([3, 1], size=32).shape == (2, 32, 32, 3)
    assert texts[5:10] == coco[1]["captions"] and (rows[5:10] == 1).all()
    twemoji = read_pictures(public / "iais" / "emoji_twemoji.parquet")
    assert [len(twemoji.split(part)) for part in ("train", "validation", "test")] == [3_340, 119, 327]


# Rows and columns ----------------------------------------------------------------------------------------------------


def test_labels_and_classes():
    pictures = read_pictures(table())
    assert pictures.labels().tolist() == [3, 2, 3, 1] and pictures.labels().dtype == np.int32
    train = pictures.split("train")
    assert train.labels().tolist() == [3, 3] and train.classes == pictures.classes
    other = read_pictures(table(label=["hat", "rug", None, "shoe"]))
    assert other.labels(pictures.classes).tolist() == [2, 0, 0, 3]
    numbers = read_pictures(table(label=[7, 3, 7, 10]))
    assert numbers.classes.series.to_list() == [3, 7, 10] and numbers.labels().tolist() == [2, 1, 2, 3]
    assert read_pictures(table(label=[True, False, True, True])).labels().tolist() == [2, 1, 2, 2]
    assert "label" not in read_pictures(table(label=[["a"]] * 4)).roles
    named = read_pictures(table(kind=["x", "y", "y", "z"]), columns="label=kind,split=label")
    assert named.labels().tolist() == [1, 2, 2, 3] and len(named.split("shoe")) == 2


def test_captions_are_one_or_many():
    one = read_pictures(table(caption=["a", None, " ", "d"]))
    assert one.pairs()[0].tolist() == [0, 3] and one.pairs()[1] == ["a", "d"]
    many = read_pictures(table(captions=[["a", "b"], [], None, ["c", None, ""]]))
    assert many.pairs()[0].tolist() == [0, 0, 3] and many.pairs()[1] == ["a", "b", "c"]
    assert many.take([3, 3]).pairs()[0].tolist() == [0, 1]
    with pytest.raises(DataError, match="columns='caption=NAME'"):
        read_pictures(table()).pairs()


def test_where_and_rows_that_are_wrong():
    frame = table(price=[1, 2, 3, 4])
    assert read_pictures(frame, where=["price>=2", "label=shoe"]).pixels()[:, 0, 0, 0].tolist() == [30]
    assert "where leaves none of 4 rows" in refused(frame, where=["price>9"])
    gone = frame.with_columns(image=pl.when(pl.col("price") != 3).then("image"))
    assert "row 3: its picture is missing (column 'image')" in refused(gone)
    some = read_pictures(gone, on_bad_rows="report", where=["price>1"])
    assert some.pixels()[:, 0, 0, 0].tolist() == [20, 40]
    assert (some.report.rows, some.report.bad, some.report.left_out) == (4, 1, 1)
    assert some.report.first_bad[0][0] == 3


def test_splits():
    pictures = read_pictures(table())
    assert [len(pictures.split(name)) for name in ("train", "validation", "val", "test")] == [2, 1, 1, 1]
    with pytest.raises(DataError, match="no part 'tests' in its column 'split'; did you mean 'test'"):
        pictures.split("tests")
    with pytest.raises(DataError, match="columns='split=NAME'"):
        read_pictures(table().drop("split")).split("train")


def test_rows_by_number_and_by_bool():
    pictures = read_pictures(table())
    for rows in ([1, 3], np.array([False, True, False, True]), [-3, -1], pictures.labels() < 3):
        assert (
            pictures.take(rows).pixels()[:, 0, 0, 0].tolist() == pictures.pixels(rows)[:, 0, 0, 0].tolist() == [20, 40]
        )
    assert len(pictures.take([])) == 0
    for rows in ([4], np.array([True])):
        with pytest.raises(IndexError):
            pictures.take(rows)


# Pixels --------------------------------------------------------------------------------------------------------------


def test_sizes():
    frame = table(image=[shade(10), shade(20, 9, 4), shade(30), shade(40)])
    pictures = read_pictures(frame)
    assert pictures.pixels([3, 0]).shape == (2, H, W, 3)
    assert pictures.pixels(size=6).shape == (4, 6, 6, 3) and pictures.pixels(size=(3, 8)).shape == (4, 3, 8, 3)
    assert pictures.pixels(size=(3, 8))[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
    with pytest.raises(DataError, match=r"row 2, picture 'image': its height and width are \(9, 4\).*size=64"):
        pictures.pixels()
    with pytest.raises(DataError, match="size=0: expected"):
        pictures.pixels(size=0)
    assert pictures.pixels([], size=4).shape == (0, 4, 4, 3)


def test_masks_keep_their_values():
    pictures = read_pictures(table())
    masks = pictures.pixels([0, 1], column="mask")
    np.testing.assert_array_equal(masks, np.stack([GREY, GREY]))
    larger = pictures.pixels([0], size=(2 * H, 3 * W), column="mask")
    np.testing.assert_array_equal(larger[0], GREY.repeat(2, 0).repeat(3, 1))
    assert set(np.unique(pictures.pixels([0], size=(3, 4), column="mask"))) <= set(np.unique(GREY))
    with pytest.raises(DataError, match="row 4, picture 'mask': there is none"):
        pictures.pixels(column="mask")
    with pytest.raises(DataError, match="no pictures 'masc'; did you mean 'mask'"):
        pictures.pixels(column="masc")


PALETTE = Image.fromarray(GREY, "P")
PALETTE.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
DEEP = (np.arange(H * W, dtype=np.uint16) * 300).reshape(H, W)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(COLOURS), COLOURS),
        (encoded(GREY), np.stack([GREY] * 3, 2)),
        (encoded(Image.fromarray(GREY > 1)), np.stack([(GREY > 1) * np.uint8(255)] * 3, 2)),
        (encoded(PALETTE), np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[GREY]),
        (encoded(PALETTE, transparency=2), np.array([[0] * 3, [255, 0, 0], [255] * 3, [0, 0, 255]], np.uint8)[GREY]),
        (encoded(np.dstack([COLOURS, np.zeros((H, W), np.uint8)])), np.full((H, W, 3), 255, np.uint8)),
        (encoded(np.dstack([COLOURS, np.full((H, W), 255, np.uint8)])), COLOURS),
        (encoded(Image.merge("LA", [Image.fromarray(GREY)] * 2).point(lambda v: 0)), np.full((H, W, 3), 255, np.uint8)),
        (encoded(DEEP), np.stack([(DEEP >> 8).astype(np.uint8)] * 3, 2)),
        (encoded(COLOURS, "BMP"), COLOURS),
        (encoded(COLOURS, "WEBP", lossless=True), COLOURS),
    ],
    ids=["rgb", "grey", "bits", "palette", "palette hole", "alpha", "opaque", "grey alpha", "16 bits", "bmp", "webp"],
)
def test_every_mode_becomes_the_colours_that_are_meant(content, expected):
    found = decoded(content)
    assert found.dtype == np.uint8 and found.flags.writeable
    np.testing.assert_array_equal(found, expected)


def test_cmyk_of_a_print_shop():
    red = decoded(encoded(Image.new("CMYK", (W, H), (0, 255, 255, 0)), "JPEG"))
    assert red.shape == (H, W, 3) and red[..., 0].min() > 250 and red[..., 1:].max() < 5


def test_exif_turns_the_picture():
    upright = Image.fromarray(COLOURS)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    found = decoded(encoded(upright, exif=exif))
    np.testing.assert_array_equal(found, np.rot90(COLOURS, -1))
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(GREY), exif=exif), mask=True), np.rot90(GREY, -1))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(GREY), GREY),
        (encoded(PALETTE), GREY),
        (encoded(Image.fromarray(GREY > 1)), (GREY > 1).astype(np.uint8)),
        (encoded(DEEP), DEEP),
        (encoded(np.dstack([GREY] * 3)), GREY),
        (encoded(np.dstack([GREY, GREY, GREY, GREY + 9])), GREY),
    ],
    ids=["grey", "palette", "bits", "16 bits", "grey in rgb", "grey in rgba"],
)
def test_masks_of_every_mode(content, expected):
    found = decoded(content, mask=True)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_picture_in_colours_is_no_mask():
    with pytest.raises(DataError, match=r"in colours \(RGB\), and a mask has one number"):
        decoded(encoded(COLOURS), mask=True)


# What is wrong -------------------------------------------------------------------------------------------------------


def test_no_such_file_or_nothing_in_it(tmp_path):
    (tmp_path / "pictures.parquet").write_bytes(b"")
    assert "did you mean 'pictures.parquet'?" in refused(tmp_path / "picture.parquet")
    assert "is empty; give a file with pictures" in refused(tmp_path / "pictures.parquet")
    (tmp_path / "inner").mkdir()
    assert "holds no pictures; expected a metadata.csv" in refused(tmp_path / "inner")
    table().clear().write_parquet(tmp_path / "none.parquet")
    assert "holds no pictures; give a file with pictures" in refused(tmp_path / "none.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "none.parquet").read_bytes()[:-9])
    assert "no whole Parquet file" in refused(tmp_path / "cut.parquet")
    assert "found list" in refused([1, 2])


def test_no_pictures_in_the_columns():
    assert "only 'label', 'split'; name one that holds names of files with image=NAME" in refused(
        table().select("label", "split")
    )
    assert "no column 'lable' to be the label; did you mean 'label'?" in refused(table(), columns="label=lable")
    assert "no role 'labels'; did you mean 'label'?" in refused(table(), columns="labels=label")


def test_metadata_that_names_what_is_not_there(tmp_path):
    rows = pl.DataFrame({"file_name": ["a.png", "b.png"], "n": [1, 2]})
    folder = folder_of(tmp_path, ["a.png"], "metadata.csv", rows)
    sentence = refused(folder)
    assert f"metadata.csv, line 3: there is no file {folder / 'b.png'}" in sentence
    assert read_pictures(folder, on_bad_rows="report").frame.rows() == [(1,)]
    (folder / "metadata.csv").write_text("file_name,n\nb.png,1\n")
    assert "all 1 rows are wrong, the first, line 2" in refused(folder, on_bad_rows="report")
    (folder / "metadata.csv").write_text("")
    assert "is empty; give a file with pictures" in refused(folder)
    (folder / "metadata.csv").write_text("file_name,n\na.png\n")
    assert "line 2: 1 field where the other rows have 2" in refused(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is none of PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "it is none of PNG, JPEG"),
        (encoded(np.arange(30_000).astype(np.uint8).reshape(100, 100, 3))[:90], "it cannot be decoded: .*truncated"),
    ],
    ids=["empty", "postscript", "truncated"],
)
def test_a_picture_that_cannot_be_decoded(content, reason):
    pictures = read_pictures(table(image=[shade(1), shade(2), content, shade(3)]))
    assert pictures.pixels([0, 1, 3]).shape == (3, H, W, 3)
    for read in (lambda: pictures[2], pictures.pixels):
        with pytest.raises(DataError, match=f"the polars frame, row 3, picture 'image': {reason}"):
            read()


def test_a_file_that_went_away_is_named(tmp_path):
    pictures = read_pictures(folder_of(tmp_path, ["a.png", "b.png"]))
    os.remove(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"file 2, picture 'image' \(.*b.png\): its file cannot be read: No such file"):
        pictures.pixels()


def test_decompression_bombs_are_refused():
    bomb = encoded(Image.new("1", (9000, MOST_PIXELS // 9000 + 1)))
    assert len(bomb) < 20_000
    with pytest.raises(DataError, match="it claims 9,000 x 7,457 pixels, and 67,108,864 is the most"):
        decoded(bomb)


VALID = [encoded(COLOURS), encoded(COLOURS, "JPEG"), encoded(PALETTE, "GIF"), encoded(COLOURS, "TIFF")]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(VALID), st.data())
def test_damage_is_a_sentence_or_a_picture(content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        found = decoded(bytes(damaged))
        assert found.ndim == 3 and found.dtype == np.uint8
    except DataError as error:
        assert str(error)


def test_nothing_is_unpickled():
    import pickle

    with pytest.raises(DataError, match="it is none of"):
        decoded(pickle.dumps(COLOURS))


def test_metadata_with_objects(tmp_path):
    rows = [
        {"file_name": "a.png", "objects": [{"item": "i1", "box": [0, 1, 2, 3]}], "size": 1},
        {"file_name": "b.png", "objects": [], "size": 2.5, "late": True},
    ]
    folder = folder_of(tmp_path, ["a.png", "b.png"])
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pictures = read_pictures(folder)
    assert pictures[0]["objects"] == rows[0]["objects"] and pictures[1]["late"] is True
    assert pictures.frame["size"].to_list() == [1, 2.5]
    rows[1]["objects"] = "none"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "column 'objects' holds values of several kinds" in refused(folder)


def test_pandas_with_objects():
    frame = pd.DataFrame({"image": [shade(1), shade(2)], "parts": [["a", "b"], ["c"]], "n": [1, np.nan]})
    pictures = read_pictures(frame)
    assert pictures.frame.rows() == [(["a", "b"], 1.0), (["c"], None)]
