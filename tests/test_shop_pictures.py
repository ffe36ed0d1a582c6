"""Pictures: the same bytes however they are drawn, parts where their masks say, and nothing lost of what they show."""

import io
import itertools

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tenfold.shop.catalog import MATERIALS, PATTERNS
from tenfold.shop.options import Options
from tenfold.shop.pictures import surfaces
from tenfold.shop.pictures.outlines import path, stroke, whole
from tenfold.shop.pictures.picture import (
    BACKDROPS,
    SHAPES,
    Background,
    Light,
    Look,
    Placed,
    Pose,
    View,
    compose,
    draw_view,
    look,
    picture,
    shape,
)
from tenfold.shop.pictures.shading import SAMPLES
from tenfold.shop.pictures.table import draw, material_known
from tenfold.shop.simulation import ground
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, CUTS, PARTS, STYLES

SMALL = Options(seed=7, items=50, users=3, events=100, pictures=120, pixels=32)
LIGHT = Light(angle=-40, strength=1.0, exposure=1.0, warmth=0.0)
STUDIO = Background("studio", BACKDROPS[0], 0.6, 0.3)
STILL = View(Pose(), 0.86, (0.5, 0.5), LIGHT, STUDIO)
EVERY_CUT = [(category.name, cut) for category in CATEGORIES for cut in CUTS[category.name]]


def plain(category, cut, colour="red", material=None):
    known = next(c for c in CATEGORIES if c.name == category)
    return Look(category, cut, colour, "plain", material or known.materials[0], "classic", BRANDS[0].name)


def decoded(pngs):
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])


@pytest.fixture(scope="module")
def small():
    return draw(SMALL, 0, 120)


# The table


def test_shards_equal_the_whole(small):
    parts = [draw(SMALL, 0, 1), draw(SMALL, 1, 70), draw(SMALL, 70, 70), draw(SMALL, 70, 120)]
    assert pl.concat(parts).equals(small)
    assert not draw(Options(**SMALL.__dict__ | {"seed": 8}), 0, 120)["image"].equals(small["image"])


def test_more_pictures_leave_those_that_were_there(small):
    more = draw(Options(**SMALL.__dict__ | {"items": 70, "pictures": 230}), 0, 230)
    assert more["picture"].n_unique() == 230
    assert more.filter(pl.col("picture").is_in(small["picture"].to_list())).equals(small)


def test_a_picture_has_its_items_split(small):
    split = ground(SMALL).catalog.frame().select("item", of_item="split")
    assert (small.join(split, on="item")["split"] == small.join(split, on="item")["of_item"]).all()
    assert set(small["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    "sizes",
    [{"items": 1, "categories": 1, "pictures": 1}, {"items": 1, "categories": 1, "pictures": 3}, {"pictures": 2}],
    ids=["one", "one item", "fewer pictures than items"],
)
def test_small_shops(sizes):
    options = Options(**{"items": 30, "users": 1, "events": 1, "pixels": 32} | sizes)
    table = draw(options, 0, options.pictures)
    assert len(table) == table["picture"].n_unique() == options.pictures
    assert decoded(table["image"]).shape == (options.pictures, 32, 32, 3)


def test_files_hold_what_was_drawn(small):
    images, masks = decoded(small["image"]), decoded(small["mask"])
    assert images.shape == (120, 32, 32, 3) and masks.shape == (120, 32, 32) and images.dtype == np.uint8
    catalog = ground(SMALL).catalog
    for row in (0, 57, 119):
        item, number = (int(part) for part in small["picture"][row][1:].split("-"))
        drawn = picture(look(catalog, item), draw_view(Draws(7, Kind.PICTURE, item * 4096 + number)), 32)
        assert (drawn.image == images[row]).all() and (drawn.mask == masks[row]).all()
        assert small["parts"][row].to_list() == list(PARTS[CATEGORIES[catalog.category[item]].name])


def test_pictures_of_an_item_differ(small):
    images = small.group_by("item").agg(pl.col("image").n_unique().alias("images"), pl.len().alias("rows"))
    assert (images["images"] == images["rows"]).all() and images["rows"].max() == 3


def test_pictures_take_little_room():
    table = draw(Options(seed=1, users=1, events=1), 0, 200)
    assert (table["image"].bin.size() + table["mask"].bin.size()).mean() < 5_000


# What is drawn where


def test_outlines():
    assert path("M0,0 L4,0 Q4,2 4,4")[-1].tolist() == [4, 4] and len(path("M0,0 C1,0 2,0 3,0")) == 9
    assert np.allclose(whole("M50,0 L60,0 L60,9 L50,9 Z"), [[50, 0], [60, 0], [60, 9], [50, 9], [50, 9], [40, 9],
                                                          [40, 0], [50, 0]])  # fmt: skip
    line = stroke("M10,20 L30,20", 4, 2)
    assert line[:, 1].min() == pytest.approx(18) and line[:, 1].max() == pytest.approx(22)
    assert line[:, 0].min() == pytest.approx(8, abs=0.2) and line[:, 0].max() == pytest.approx(31, abs=0.2)


@pytest.mark.parametrize("category, cut", EVERY_CUT)
def test_each_cut_is_whole(category, cut):
    """It stays in its picture, shows each of its parts (but those that it lacks), and none that is not its own."""
    drawn = picture(plain(category, cut), STILL, 64)
    lacking = {("shirt", "sleeveless"): {"sleeves"}, ("sneakers", "slip-on"): {"laces"}, ("apron", "waist"): {"bib"}}
    shown = {PARTS[category][n - 1] for n in np.unique(drawn.mask) if n}
    assert shown == set(PARTS[category]) - lacking.get((category, cut), set())
    rows, columns = np.nonzero(drawn.mask)
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    assert 0.86 * 64 - 3 <= longer <= 0.86 * 64 + 1 and 0.08 < (drawn.mask > 0).mean() < 0.8
    assert rows.min() > 0 and rows.max() < 63 and columns.min() > 0 and columns.max() < 63


def test_cuts_differ():
    """In a tenth of the pixels or more that either of two fills, save for a zip, which is narrow."""
    for category, cuts in CUTS.items():
        drawn = [picture(plain(category, cut), STILL, 64) for cut in cuts]
        for one, other in itertools.combinations(drawn, 2):
            filled = (one.mask > 0) | (other.mask > 0)
            differ = np.abs(one.image.astype(int) - other.image).max(-1) > 24
            least = 0.04 if category == "hoodie" else 0.10
            assert differ[filled].mean() > least, (category, differ[filled].mean())


def inside(points, x, y):
    """Non-zero winding by angles: another way than the rasteriser's crossings."""
    angle = np.arctan2(points[:, 1] - y, points[:, 0] - x)
    turn = np.diff(np.append(angle, angle[0]))
    return round(float(((turn + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi))) != 0


@pytest.mark.parametrize("category, cut", [("shirt", "long-sleeved"), ("teapot", "squat"), ("sports bag", "sling")])
def test_masks_are_the_front_pieces_of_each_pixel(category, cut):
    """Against a plain drawing: the front piece at each sample, the commonest part of a pixel's samples."""
    pixels = 24
    drawn = picture(plain(category, cut), STILL, pixels)
    flat = shape(category, cut)
    low, high = flat.points.min(0), flat.points.max(0)
    size = 0.86 * pixels / (high - low).max()
    room = 0.86 * pixels - size * (high - low)
    stands = np.array([0.5, 1.0 if category != "shirt" else 0.5])
    points = (flat.points - low) * size + 0.07 * pixels + stands * room
    for y, x in np.ndindex(pixels, pixels):
        counts = np.zeros(5, int)
        for i, j in np.ndindex(SAMPLES, SAMPLES):
            at = x + (j + 0.5) / SAMPLES, y + (i + 0.5) / SAMPLES
            over = [k for k in range(len(flat.part)) if inside(points[flat.start[k] : flat.start[k + 1]], *at)]
            counts[flat.part[over[-1]] if over else 0] += 1
        seen = drawn.mask[y, x]
        if 2 * counts[0] > SAMPLES**2:
            assert seen == 0
        elif 2 * counts[0] < SAMPLES**2:
            assert seen > 0 and counts[seen] == counts[1:].max()


def test_mirrors_and_turns():
    boot = plain("sneakers", "high-top")
    one, other = (picture(boot, STILL._replace(pose=Pose(mirror=m)), 64).mask for m in (False, True))
    assert (one[:, ::-1] == other).mean() > 0.99 and (one == other).mean() < 0.95
    upright, turned = (
        picture(plain("leggings", "full-length"), STILL._replace(pose=Pose(angle=angle)), 64).mask for angle in (0, 12)
    )
    rows, columns = np.nonzero(turned)
    assert np.polyfit(rows, columns, 1)[0] == pytest.approx(-np.tan(np.radians(12)), abs=0.07)  # the feet go left
    rows, columns = np.nonzero(upright)
    assert abs(np.polyfit(rows, columns, 1)[0]) < 0.01


# What is seen


def middle(look, view=STILL, pixels=48):
    """The median colour of the largest part."""
    drawn = picture(look, view, pixels)
    return np.median(drawn.image[drawn.mask == 1], axis=0) / 255


def test_colours_stay_nameable_under_every_light():
    """The nearest of the sixteen is the one, whatever the light and the way it faces."""

    def features(colours):
        """Lightness counts less than hue: it is what light changes."""
        colours = np.asarray(colours)
        lightness = colours.mean(-1, keepdims=True)
        return np.concatenate([lightness, 3 * (colours - lightness)], -1)

    table = features([surfaces.RGB[colour] for colour in COLOURS])
    for strength, exposure, warmth in ((0.7, 0.94, -1), (1.15, 1.04, 1), (1.15, 0.94, 1), (0.7, 1.04, -1)):
        view = STILL._replace(light=Light(40, strength, exposure, warmth))
        for category, cut in (("shirt", "long-sleeved"), ("cushion", "square"), ("rug", "round")):
            for colour in COLOURS:
                seen = middle(plain(category, cut, colour, "cotton"), view)
                assert COLOURS[np.abs(table - features(seen)).sum(1).argmin()] == colour, (category, colour, seen)


def test_black_and_white_are_seen_on_every_background():
    for colour in ("black", "white"):
        for pair in BACKDROPS:
            for own in pair:
                assert max(abs(a - b) for a, b in zip(surfaces.RGB[colour], own, strict=True)) > 0.12, (colour, own)


def test_the_first_colour_prevails_in_each_pattern():
    for pattern in surfaces.PATTERNS:
        if pattern in ("checked", "herringbone", "camouflage"):
            continue  # blends of the two colours
        for size in {surfaces.print_of(brand.name) for brand in BRANDS}:
            brand = next(b.name for b in BRANDS if surfaces.print_of(b.name) == size)
            seen = picture(Look("rug", "round", "navy", pattern, "silk", "classic", brand), STILL, 64)
            pixels = seen.image[seen.mask == 1].astype(int)
            assert (pixels[:, 2] - pixels[:, 0] > 30).mean() > 0.5, (pattern, size)


def test_everything_in_the_catalogue_can_be_drawn():
    assert set(surfaces.RGB) == set(COLOURS) and set(surfaces.FINISHES) == set(MATERIALS)
    assert set(surfaces.PATTERNS) == set(PATTERNS) and set(surfaces.STYLES) == set(STYLES)
    assert set(SHAPES) == {category.name for category in CATEGORIES}
    assert {finish.texture for finish in surfaces.FINISHES.values()} <= set(surfaces.TEXTURES)


def test_only_look_alikes_look_alike():
    seen = {
        material: picture(plain("cushion", "square", "teal", material), STILL, 64).image.tobytes()
        for material in sorted(MATERIALS)
    }
    metals = {"brass", "steel"}  # told apart by trimmings, which a cushion has not
    for one in seen:
        for other in seen:
            alike = surfaces.FINISHES[one] is surfaces.FINISHES[other] or {one, other} <= metals
            assert (seen[one] == seen[other]) == alike, (one, other)
    gold, silver = (picture(plain("lantern", "square", "teal", m), STILL, 64).image for m in ("brass", "steel"))
    assert (gold != silver).any()


def test_the_observer_says_the_most_usual_of_what_looks_alike():
    sundress = next(c for c in CATEGORIES if c.name == "sundress")
    assert surfaces.best_guess(sundress, "viscose") == "cotton" == surfaces.best_guess(sundress, "cotton")
    hat = next(c for c in CATEGORIES if c.name == "sun hat")
    assert surfaces.best_guess(hat, "linen") == "cotton" and surfaces.best_guess(hat, "straw") == "straw"


def test_patterns_and_brands_are_seen():
    shirt = plain("shirt", "long-sleeved")
    images = [picture(shirt._replace(pattern=p), STILL, 64).image.astype(int) for p in surfaces.PATTERNS]
    for n, one in enumerate(images):
        assert all(np.abs(one - other).mean() > 1.0 for other in images[n + 1 :])
    striped = shirt._replace(pattern="striped")
    prints = {picture(striped._replace(brand=b.name), STILL, 64).image.tobytes() for b in BRANDS}
    assert len(prints) == len({surfaces.print_of(b.name) for b in BRANDS}) == 6


def test_light_comes_from_its_side():
    cushion = plain("cushion", "round")
    for angle in (-50, 50):
        drawn = picture(cushion, STILL._replace(light=LIGHT._replace(angle=angle)), 64)
        face = np.where(drawn.mask == 1, drawn.image.sum(2, dtype=int), 0)
        halves = face[:, :32].sum() / (face[:, :32] > 0).sum(), face[:, 32:].sum() / (face[:, 32:] > 0).sum()
        assert (halves[1] > 1.05 * halves[0]) if angle > 0 else (halves[0] > 1.05 * halves[1])


# Several things


def test_a_scene_of_one_is_the_picture():
    mug = plain("mug", "tapered")
    size, free = 0.86 * 48, 0.14 * 48
    box = (free / 2, free / 2, free / 2 + size, free / 2 + size)
    scene, alone = compose([Placed(mug, box)], LIGHT, STUDIO, 48, 48), picture(mug, STILL, 48)
    assert (scene.image == alone.image).all() and (scene.parts == alone.mask).all()


def test_scenes_put_the_later_in_front():
    things = [
        Placed(plain("rug", "rectangular", "sand"), (0, 0, 64, 64)),
        Placed(plain("teapot", "round", "red"), (16, 20, 56, 60), Pose(mirror=True)),
        Placed(plain("mug", "straight", "navy"), (60, 30, 90, 62)),
    ]
    scene = compose(things, LIGHT, STUDIO, 64, 96)
    assert scene.image.shape == (64, 96, 3) and set(np.unique(scene.things)) == {0, 1, 2, 3}
    pot = compose(things[1:2], LIGHT, STUDIO, 64, 96)
    both = (scene.things == 2) & (pot.things == 1)
    assert ((scene.things == 2) != (pot.things == 1)).mean() < 0.005  # at its edge, where a pixel is of two things
    assert (scene.parts[both] == pot.parts[both]).mean() > 0.995
    for thing, box in zip(things, scene.boxes, strict=True):
        left, top, right, bottom = box
        assert thing.box[0] - 1 <= left < right <= thing.box[2] + 1
        assert thing.box[1] - 1 <= top < bottom <= thing.box[3] + 1
    rows, columns = np.nonzero(scene.things == 3)
    assert scene.boxes[2] == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert ((scene.things > 0) == (scene.parts > 0)).all()


def test_what_is_hidden_has_no_box():
    small, large = (
        Placed(plain("mug", "straight"), (30, 40, 36, 48)),
        Placed(plain("rug", "rectangular"), (0, 0, 64, 64)),
    )
    boxes = compose([small, large], LIGHT, STUDIO, 64, 64).boxes
    assert boxes[0] is None and boxes[1] is not None


@pytest.mark.slow
def test_a_small_network_reads_pictures_of_unseen_items():
    """Few small pictures and four convolutions; benchmarks/shop_pictures.py has the figures of the usual size."""
    from benchmarks.shop_pictures import ATTRIBUTES, pictures, read

    options = Options(items=4_000, users=1, events=1, pictures=4_000, pixels=32)
    figures = read(pictures(options), 12, widths=(32, 48, 64, 96), strides=(2, 2, 2, 1))
    assert figures["category"] > 0.7 > 10 / ATTRIBUTES["category"] and figures["colour"] > 0.9
    assert (
        0.8 < material_known(Options(items=5_000, users=1, events=1, pictures=5_000, pixels=32)) < 0.95
    )  # some materials look alike, and most do not
