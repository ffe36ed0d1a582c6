"""Pictures with classes from every layout, decoded alike; parts; keyed crops and flips; what is wrong."""

import gzip
import os
import pickle
import struct

import numpy as np
import polars as pl
import pytest
import torch
from conftest import refusal
from PIL import Image

from tenfold.data.labelled_pictures import PictureBatches, read_labelled, split_pictures
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError
from tenfold.training import Draw

N, H, W = 12, 5, 7
COLOURS = np.random.default_rng(0).integers(0, 256, (N, H, W, 3)).astype(np.uint8)
GREYS = COLOURS[..., 0]
LABELS = np.arange(N) % 3


def refused(source, **how):
    return refusal(read_labelled, source, shorter_than=500, **how)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


# Layouts.


def test_npz_of_parts_with_names_of_classes(tmp_path):
    path = npz(tmp_path / "a.npz", x_train=GREYS[:8], y_train=LABELS[:8], x_test=GREYS[8:], y_test=LABELS[8:],
               classes=np.array(["ant", "bee", "cat"]))  # fmt: skip
    found = read_labelled(path)
    assert found.shape == (1, H, W) and found.names() == ["ant", "bee", "cat"]
    assert np.array_equal(found.pixels[..., 0], GREYS) and np.array_equal(found.labels, LABELS + 1)
    assert found.parts.tolist() == [0] * 8 + [2] * 4


def test_npy_beside_each_other_and_planes_first(tmp_path):
    np.save(tmp_path / "x.npy", COLOURS.transpose(0, 3, 1, 2))
    np.save(tmp_path / "y.npy", np.array(["b", "a", "c"])[LABELS])
    for source in (tmp_path / "x.npy", tmp_path):
        found = read_labelled(source)
        assert np.array_equal(found.pixels, COLOURS) and found.names() == ["a", "b", "c"] and found.parts is None
        assert found.labels.tolist()[:3] == [2, 1, 3]


def test_floats_from_0_to_1_are_pictures_too(tmp_path):
    found = read_labelled(npz(tmp_path / "a.npz", x=(GREYS / 255).astype(np.float32), y=LABELS))
    assert np.array_equal(found.pixels[..., 0], GREYS)


def idx(numbers):
    return (
        struct.pack(">HBB", 0, 8, numbers.ndim) + struct.pack(f">{numbers.ndim}I", *numbers.shape) + numbers.tobytes()
    )


def test_idx_files_plain_and_gzip(tmp_path):
    for name, rows in (("train", slice(0, 8)), ("t10k", slice(8, N))):
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREYS[rows])))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(LABELS[rows].astype(np.uint8)))
    found = read_labelled(tmp_path)
    assert np.array_equal(found.pixels[..., 0], GREYS) and np.array_equal(found.labels, LABELS + 1)
    assert found.parts.tolist() == [0] * 8 + [2] * 4
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREYS[:8])[:-3]))
    assert "says that it holds 8 x 5 x 7 numbers and holds 277" in refused(tmp_path)


def cifar(rng, count, classes):
    data = rng.integers(0, 256, (count, 3072)).astype(np.uint8)
    return data, rng.integers(0, classes, count).tolist()


def test_cifar_s_python_batches(tmp_path):
    rng = np.random.default_rng(1)
    batches = {name: cifar(rng, 4, 10) for name in ("data_batch_1", "data_batch_2", "test_batch")}
    for name, (data, labels) in batches.items():
        (tmp_path / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
    names = [f"class {n}" for n in range(10)]
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    found = read_labelled(tmp_path)
    data, labels = batches["data_batch_2"]
    assert found.names() == names and found.parts.tolist() == [0] * 8 + [2] * 4
    assert np.array_equal(found.pixels[5, 1, 2], data[1].reshape(3, 32, 32)[:, 1, 2])
    assert found.labels[4:8].tolist() == [label + 1 for label in labels]


def test_cifar_s_binary_files(tmp_path):
    rng = np.random.default_rng(1)
    data, labels = cifar(rng, 3, 10)
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], data], 1)
    (tmp_path / "data_batch_1.bin").write_bytes(rows.tobytes())
    found = read_labelled(tmp_path)
    assert np.array_equal(found.pixels[2, 3, 4], data[2].reshape(3, 32, 32)[:, 3, 4])
    (tmp_path / "data_batch_1.bin").write_bytes(rows.tobytes()[:-1])
    assert "no multiple of 3073" in refused(tmp_path)


def test_a_pickle_that_wants_to_run_something_is_not_read(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    assert "asks for posix.system, which no file of arrays needs" in refused(tmp_path)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04 nonsense")
    assert "is no batch of CIFAR" in refused(tmp_path)


def test_mosaics_of_tiles(tmp_path):
    tiles = np.random.default_rng(2).integers(0, 256, (14, 4, 4, 3)).astype(np.uint8)

    def sheet(some):
        padded = np.concatenate([some, np.zeros((9 - len(some), 4, 4, 3), np.uint8)])
        return Image.fromarray(padded.reshape(3, 3, 4, 4, 3).transpose(0, 2, 1, 3, 4).reshape(12, 12, 3))

    sheet(tiles[:9]).save(tmp_path / "set_test.png")
    sheet(tiles[9:]).crop((0, 0, 12, 8)).save(tmp_path / "set_train.png")
    train = np.arange(5) % 2
    np.savez(tmp_path / "set_labels.npz", train=train, test=np.arange(9) % 2, classes=np.array(["a", "b"]))
    found = read_labelled(tmp_path / "set_labels.npz")
    assert np.array_equal(found.pixels[5:], tiles[:9]) and np.array_equal(found.pixels[:5], tiles[9:])
    assert found.labels.tolist() == [*(train + 1), *(np.arange(9) % 2 + 1)]
    (tmp_path / "set_train.png").unlink()
    assert "there is no set_train.* beside it" in refused(tmp_path / "set_labels.npz")


def test_folders_by_class_frames_and_sizes(tmp_path):
    for row in range(N):
        folder = tmp_path / ["ant", "bee", "cat"][LABELS[row]]
        folder.mkdir(exist_ok=True)
        Image.fromarray(COLOURS[row]).save(folder / f"{row:02}.png")
    found = read_labelled(tmp_path)
    assert found.names() == ["ant", "bee", "cat"] and found.shape == (3, H, W) and len(found) == N
    assert read_labelled(tmp_path, size=4).shape == (3, 4, 4)
    grey = read_labelled(tmp_path, grey=True)
    assert grey.shape == (1, H, W)
    Image.fromarray(COLOURS[0][:3]).save(tmp_path / "ant" / "small.png")
    assert "give a size" in refused(tmp_path)


def test_the_same_pictures_have_the_same_fingerprint_whatever_file_they_stood_in(tmp_path):
    one = read_labelled(npz(tmp_path / "a.npz", x=COLOURS, y=LABELS))
    np.save(tmp_path / "x.npy", COLOURS)
    np.save(tmp_path / "y.npy", LABELS)
    assert read_labelled(tmp_path / "x.npy").fingerprint == one.fingerprint
    assert one.take(np.arange(N - 1)).fingerprint != one.fingerprint
    other = read_labelled(npz(tmp_path / "b.npz", x=COLOURS, y=(LABELS + 1) % 3))
    assert other.fingerprint != one.fingerprint


# What is wrong.


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"x": COLOURS}, "there are no classes beside the pictures"),
        ({"x": COLOURS, "y": LABELS[:-1]}, "there are 12 pictures and 11 classes"),
        ({"x": COLOURS / 127.5 - 1, "y": LABELS}, r"pixels are floats from -1 to 1; expected 0 to 1"),
        ({"x": COLOURS.astype(np.int32) + 200, "y": LABELS}, "expected 0 to 255"),
        ({"x": COLOURS[0, 0], "y": LABELS}, r"pictures are \(7, 3\)"),
        ({"x": COLOURS, "y": LABELS + 0.5}, "classes are fractions such as 0.5"),
        ({"x": COLOURS, "y": LABELS, "classes": np.array(["a", "b"])}, "a picture's class is 2, and there are names"),
        ({"frames": COLOURS}, "holds frames; expected pictures x and classes y"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(tmp_path, arrays, sentence):
    with pytest.raises(DataError, match=sentence):
        read_labelled(npz(tmp_path / "a.npz", **arrays))


def test_a_file_that_is_cut_short_and_parts_that_are_unknown(tmp_path):
    path = npz(tmp_path / "a.npz", x=COLOURS, y=LABELS)
    path.write_bytes(path.read_bytes()[:200])
    assert "cannot be read" in refused(path)
    frame = pl.DataFrame({"image": [b"x"], "label": ["a"], "split": ["holdout"]})
    assert "its column 'split' holds 'holdout'" in refused(frame_of(split=["holdout"] * N))
    assert frame.height == 1
    assert "says no picture's class" in refused(frame_of().drop("label"))


def frame_of(**more):
    import io

    def png(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return pl.DataFrame({"image": [png(p) for p in COLOURS], "label": [f"c{n}" for n in LABELS], **more})


# Parts.


def many(counts, parts=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    from tenfold.data.labelled_pictures import LabelledPictures

    pixels = np.zeros((len(labels), 2, 2, 1), np.uint8)
    return LabelledPictures(
        pixels, (labels + 1).astype(np.int32), Vocabulary(pl.Series([*"abcdef"[: len(counts)]])), parts
    )


def test_parts_that_a_file_does_not_name_are_drawn_from_each_class():
    cut = split_pictures(many([100, 50]), "parts")
    assert {part: np.bincount(cut.part(part).labels)[1:].tolist() for part in cut.rows} == {
        "train": [72, 36],
        "validation": [8, 4],
        "test": [20, 10],
    }
    assert sorted(np.concatenate(list(cut.rows.values()))) == list(range(150))
    assert "test and validation drawn" in cut.sentences()[0]


def test_parts_that_a_file_names_are_kept_and_none_trains_on_all():
    data = many([100, 50], (np.arange(150) % 3 * 2 % 3).astype(np.uint8))
    cut = split_pictures(data, "parts")
    assert [len(cut.rows[part]) for part in ("train", "validation", "test")] == [50, 50, 50]
    assert cut.rows["test"].tolist() == list(range(1, 150, 3)) and cut.drawn == ()
    assert len(split_pictures(data, "drawn").rows["test"]) == 30
    assert all(len(rows) == 150 for rows in split_pictures(data, "none").rows.values())


def test_a_class_of_one_picture_stays_in_training_and_one_class_alone_is_refused():
    assert 100 in split_pictures(many([100, 1]), "drawn").rows["train"]
    with pytest.raises(DataError, match="1 class has training pictures"):
        split_pictures(many([30]), "drawn")


def test_uneven_classes_and_unknown_ones_are_told():
    data = many([100, 20])
    assert "classes are uneven: 'a' has 100 pictures, 'b' 20" in data.sentences()[-1]
    only = data.recoded({"classes": Vocabulary(pl.Series(["b", "z"]))})
    assert only.labels.tolist() == [0] * 100 + [1] * 20
    assert any("100 of 120 pictures have no class that is known" in told for told in only.sentences())


# Batches.


def test_batches_are_functions_of_seed_epoch_and_picture(tmp_path):
    data = read_labelled(npz(tmp_path / "a.npz", x=COLOURS, y=LABELS))
    batches = PictureBatches(data, crop=2, flip=True, noisy=True)
    whole = batches.batch(Draw(1, 2, np.arange(N)))
    some = batches.batch(Draw(1, 2, np.array([7, 3])))
    assert torch.equal(some.x, whole.x[[7, 3]]) and torch.equal(some.noise, whole.noise[[7, 3]])
    assert some.y.tolist() == [LABELS[7], LABELS[3]]
    other = batches.batch(Draw(1, 3, np.arange(N)))
    assert not torch.equal(other.x, whole.x) and not torch.equal(other.noise, whole.noise)


def test_crops_and_flips_are_what_padding_and_cutting_gives(tmp_path):
    data = read_labelled(npz(tmp_path / "a.npz", x=COLOURS, y=LABELS))
    plain = PictureBatches(data, crop=0, flip=False, noisy=False).batch(Draw(0, 0, np.arange(N)))
    assert torch.equal(plain.x, data.x()) and plain.noise.numel() == 0
    padded = torch.nn.functional.pad(data.x(), (2, 2, 2, 2))
    seen = set()
    for epoch in range(40):
        x = PictureBatches(data, crop=2, flip=True, noisy=False).batch(Draw(0, epoch, np.arange(3))).x
        for row in range(3):
            cuts = {
                (down, right, turned): cut.flip(-1) if turned else cut
                for down in range(5)
                for right in range(5)
                for turned in (False, True)
                for cut in [padded[row, :, down : down + H, right : right + W]]
            }
            places = [place for place, cut in cuts.items() if torch.equal(cut, x[row])]
            assert len(places) == 1
            seen.add(places[0])
    assert len({p[0] for p in seen}) == 5 and len({p[1] for p in seen}) == 5 and len({p[2] for p in seen}) == 2
