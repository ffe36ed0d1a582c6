"""Labels of the shop: the same rows however they are drawn, balanced, overlapping, and right but not robust."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image
from polars.testing import assert_frame_equal
from sklearn.neighbors import KNeighborsClassifier

from tenfold.shop import labels
from tenfold.shop.labels import CLASSES, LIKE, PIXELS, WEAVE, draw
from tenfold.shop.options import Options
from tenfold.shop.streams import Draws, Kind

ROWS = 1_500


@pytest.fixture(scope="module")
def usual():
    return draw(Options(seed=3, labels=ROWS), 0, ROWS)


def levels(frame):
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in frame["image"]]).astype(int)


def test_shards_equal_the_whole(usual):
    options = Options(seed=3, labels=37)
    parts = [draw(options, first, last) for first, last in ((0, 1), (1, 13), (13, 13), (13, 20), (20, 37))]
    assert_frame_equal(pl.concat(parts), usual[:37])


def test_other_sizes_and_seeds(usual):
    assert_frame_equal(draw(Options(seed=3, labels=10, items=24, users=5), 0, 10), usual[:10])
    other = draw(Options(seed=4, labels=10), 0, 10)
    assert not set(other["image"]) & set(usual["image"])


def test_rows_are_what_they_say(usual):
    assert usual.schema == {"label_id": pl.String, "image": pl.Binary, "label": pl.String, "split": pl.String}
    assert usual["label_id"][12] == "l000012" and usual["label_id"].n_unique() == ROWS
    pictures = [Image.open(io.BytesIO(png)) for png in usual["image"]]
    assert {(p.format, p.mode, p.size) for p in pictures} == {("PNG", "RGB", (PIXELS, PIXELS))}
    assert usual["image"].bin.size().mean() < 2_000


def test_no_picture_stands_in_two_splits(usual):
    assert usual["image"].n_unique() == ROWS


def test_classes_are_balanced_in_each_split(usual):
    for block in usual.iter_slices(10):
        assert set(block["label"]) == set(CLASSES)
        assert sorted(block["split"]) == ["test", *["train"] * 8, "validation"]
    for hundred in usual.iter_slices(100):
        counts = hundred.group_by("split", "label").len()
        assert counts.height == 30
        assert set(counts.filter(pl.col("split") != "train")["len"]) == {1}
    assert len({tuple(block["label"]) for block in usual.iter_slices(10)}) > 140  # of 10! orders


def test_threads_are_within_reach_of_eight_levels(monkeypatch):
    options = Options(seed=5, labels=200)
    woven = levels(draw(options, 0, 200))
    monkeypatch.setattr(labels, "WEAVE", (0.0, 0.0))
    change = np.abs(woven - levels(draw(options, 0, 200))).max((1, 2, 3))
    assert change.max() <= 8 and np.median(change) >= 5


def test_each_class_has_threads_of_its_own():
    """The strongest wave of a cloth turned as far as things are lies nearer to its own than to any other's."""

    def wave(cloth, angle):
        spectrum = np.abs(np.fft.fft2(labels._weave(Draws(0, Kind.LABEL, 1), cloth, angle)))
        place = np.unravel_index(spectrum[:, : PIXELS // 2 + 1].argmax(), (PIXELS, PIXELS // 2 + 1))
        return np.fft.fftfreq(PIXELS)[list(place)]

    own = np.array([wave(cloth, 0.0) for cloth in range(len(CLASSES))])
    for cloth in range(len(CLASSES)):
        for degrees in (-9, 9):
            turned = wave(cloth, np.radians(degrees))
            distance = np.minimum(np.linalg.norm(own - turned, axis=1), np.linalg.norm(own + turned, axis=1))
            assert distance.argmin() == cloth
    assert WEAVE[1] < 8


def test_silhouettes_tell_much_and_not_all(usual):
    """The nearest silhouette, found by contrast to the ground in the top row, names most things and mistakes some."""
    x = levels(usual)
    ground = x[:, :1].mean((1, 2), keepdims=True)
    silhouette = (np.abs(x - ground).max(3) > 45).reshape(ROWS, -1)
    train, test = (np.flatnonzero(usual["split"] == split) for split in ("train", "test"))
    label = usual["label"].to_numpy()
    nearest = KNeighborsClassifier(1).fit(silhouette[train], label[train])
    found, true = nearest.predict(silhouette[test]), label[test]
    assert 0.6 < (found == true).mean() < 0.95
    wrong = found != true
    assert np.mean([f in LIKE[t] for f, t in zip(found[wrong], true[wrong], strict=True)]) > 0.5


@pytest.mark.slow
def test_a_plain_network_is_right_and_not_robust(usual):
    """The figures of benchmarks/shop_labels.py with a third of its pictures and a network that looks less closely."""
    import torch

    from benchmarks.shop_labels import EPS, attacked, fit, pictures, right, small_network

    train, test = pictures(usual, "train"), pictures(usual, "test")
    plain, against = (small_network(1, strides=(2, 2, 1, 2)) for _ in range(2))
    changed = attacked(plain, test.x, test.y)
    assert (changed - test.x).abs().max() <= EPS + 1e-6 and changed.min() >= 0 and changed.max() <= 1
    assert not torch.equal(changed, test.x)
    fit(plain, train, against=False, lr=0.01)
    assert right(plain, test) >= 0.7 and right(plain, test, attack=True) <= 0.1
    fit(against, train, against=True, lr=0.01)
    assert right(against, test, attack=True) >= 0.4
