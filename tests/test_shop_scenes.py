"""Scenes: what a caption says is so in its picture and not in its twin's, and nothing but places tells them apart.

`true_of` reads captions and boxes by itself; of the library it knows only the words of the catalogue.
"""

import io
import itertools
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tenfold.shop.catalog import item_ids
from tenfold.shop.options import Options
from tenfold.shop.pictures.picture import Placed, compose, look
from tenfold.shop.scenes import RELATIONS, draw, paint, plan
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS
from tenfold.shop.traits import CATEGORIES, COLOURS

USUAL = Options(seed=3, users=3, events=100, scenes=2_000, pixels=64)
SMALL = Options(seed=5, items=60, users=3, events=100, scenes=41, pixels=32)

NOUNS = sorted((c.name for c in CATEGORIES), key=len, reverse=True)
PATTERNS = sorted({p for c in CATEGORIES for p in c.patterns})
LOOKS = "|".join([*sorted(COLOURS, key=len, reverse=True), *PATTERNS, "larger", "smaller"])
MENTION = re.compile(rf"\b(?:an?|the) (pair of )?((?:(?:{LOOKS}) )*)({'|'.join(NOUNS)}|ones?)\b", re.IGNORECASE)

# Captions without the names in them: the relation, and which of the things named are in it, in the order of naming.
SAYS = {
    "@ is left of @.": ("left of", 0, 1),
    "@ is to the left of @.": ("left of", 0, 1),
    "@ is right of @.": ("left of", 1, 0),
    "@ is to the right of @.": ("left of", 1, 0),
    "to the left of @ is @.": ("left of", 1, 0),
    "to the right of @ there is @.": ("left of", 0, 1),
    "@, with @ further to the right.": ("left of", 0, 1),
    "on the left is @, on the right @.": ("left of", 0, 1),
    "@ on the right, @ on the left.": ("left of", 1, 0),
    "@ is left of @ and @ right of it.": ("left of", 0, 1, 2),
    "@ is between @ on the left and @ on the right.": ("left of", 1, 0, 2),
    "from left to right: @, @ and @.": ("left of", 0, 1, 2),
    "from right to left: @, @ and @.": ("left of", 2, 1, 0),
    "@ on the left, @ in the middle and @ on the right.": ("left of", 0, 1, 2),
    "@ is above @.": ("above", 0, 1),
    "@ is below @.": ("above", 1, 0),
    "above @ is @.": ("above", 1, 0),
    "below @ there is @.": ("above", 0, 1),
    "@, with @ underneath.": ("above", 0, 1),
    "at the top is @, at the bottom @.": ("above", 0, 1),
    "@ at the bottom, @ at the top.": ("above", 1, 0),
    "@ is in front of @.": ("in front of", 0, 1),
    "@ is behind @.": ("in front of", 1, 0),
    "in front of @ there is @.": ("in front of", 1, 0),
    "@ is partly hidden by @.": ("in front of", 1, 0),
    "@ hides a part of @.": ("in front of", 0, 1),
    "in front is @, behind it @.": ("in front of", 0, 1),
    "@ in front, @ behind.": ("in front of", 0, 1),
    "@ is larger than @.": ("larger than", 0, 1),
    "@ is bigger than @.": ("larger than", 0, 1),
    "@ looks larger than @.": ("larger than", 0, 1),
    "@ is smaller than @.": ("larger than", 1, 0),
    "@ beside @, which is smaller.": ("larger than", 0, 1),
}
OF_A_KIND = {  # the two at the named sides, and the third: like the first, unlike the second
    "@ on the S has the same colour as @, unlike @ on the S.": (0, 2, 1),
    "@ has the same colour as @ on the S, not @ on the S.": (1, 2, 0),
    "it is @ on the S, not @ on the S, that has the same colour as @.": (0, 1, 2),
}
BESIDE = {
    "@ has the same colour as the thing to its S, not the thing to its S.",
    "@ has the colour of what is to its S and not of what is to its S.",
    "the thing to the S of @ has the same colour, the thing to its S does not.",
}


def longer(thing):
    return max(thing["x1"] - thing["x0"], thing["y1"] - thing["y0"])


HOLDS = {
    "left of": lambda a, b: a["x1"] <= b["x0"],
    "above": lambda a, b: a["y1"] <= b["y0"],
    "in front of": lambda a, b: (
        a["y1"] > b["y1"] and min(a["x1"], b["x1"]) > max(a["x0"], b["x0"]) and b["y1"] > a["y0"]
    ),
    "larger than": lambda a, b: longer(a) >= 1.35 * longer(b),
}


def named(caption, things):
    """The one thing that each name means, by its words; of a kind, those at a side (from the left)."""
    found, last = [], None
    for name in MENTION.finditer(caption):
        pair, adjectives, noun = name[1], name[2].strip(), name[3]
        last = last if noun in ("one", "ones") else noun
        words = set(re.findall(LOOKS, adjectives))
        fits = [
            t for t in things if t["category"] == last and words - {"larger", "smaller"} <= {t["colour"], t["pattern"]}
        ]
        if words & {"larger", "smaller"}:
            fits = sorted(fits, key=longer)[-1:] if "larger" in words else sorted(fits, key=longer)[:1]
        assert bool(pair) == (last in ("leggings", "sneakers", "sandals", "running shoes"))
        found.append(sorted(fits, key=lambda t: t["x0"]))
    return found


def told(caption):
    """The caption without its names."""
    return MENTION.sub("@", caption[0].lower() + caption[1:])


def true_of(caption, things):
    """The relation that a caption tells, and whether it is so, from the boxes and colours of a picture's things."""
    text, names = told(caption), named(caption, things)
    if text in SAYS:
        relation, *order = SAYS[text]
        assert all(len(name) == 1 for name in names), caption  # no name may mean two things
        row = [names[n][0] for n in order]
        return relation, all(HOLDS[relation](a, b) for a, b in itertools.pairwise(row))
    sides = re.findall(r"left|right", text)
    assert sorted(sides) == ["left", "right"]
    text = re.sub(r"left|right", "S", text)
    if text in BESIDE:
        ((thing,),) = names
        beside = {
            "left": [t for t in things if HOLDS["left of"](t, thing)],
            "right": [t for t in things if HOLDS["left of"](thing, t)],
        }
        ((same,), (other,)) = (beside[side] for side in sides)
    else:
        one, another, third = (names[n] for n in OF_A_KIND[text])
        assert one == another and len(one) == 2 and HOLDS["left of"](*one) and len(third) == 1
        same, other = (one[("left", "right").index(side)] for side in sides)
        (thing,) = third
    assert (same["colour"] == thing["colour"]) != (other["colour"] == thing["colour"])
    return "same colour as", same["colour"] == thing["colour"]


def twins_of(scenes):
    for pair in scenes.partition_by("pair", maintain_order=True):
        yield pair.to_dicts()


@pytest.fixture(scope="module")
def thousand():
    """A thousand pairs."""
    return draw(USUAL, 0, 2_000)


# What can be learned


def test_the_reader_of_boxes_is_always_right(thousand):
    relations = Counter()
    for one, other in twins_of(thousand):
        for mine, twin in ((one, other), (other, one)):
            assert true_of(mine["caption"], mine["objects"]) == (mine["relation"], True), mine["caption"]
            assert true_of(mine["caption"], twin["objects"]) == (mine["relation"], False), mine["caption"]
            relations[mine["relation"]] += 1
    assert set(relations) == set(RELATIONS) and min(relations.values()) > 200


def test_bags_tell_no_twins_apart(thousand):
    """Whatever scores a bag of words and a bag of things with their attributes gives twins the same score."""
    for one, other in twins_of(thousand):
        words = [Counter(re.findall(r"[\w-]+", scene["caption"].lower())) for scene in (one, other)]
        things = [
            Counter(
                tuple(t[key] for key in ("item", "name", "category", "colour", "pattern")) for t in scene["objects"]
            )
            for scene in (one, other)
        ]
        assert words[0] == words[1] and things[0] == things[1]
        assert one["caption"] != other["caption"] and one["image"] != other["image"]
        assert one["relation"] == other["relation"] and one["split"] == other["split"]


def test_no_other_relation_tells_twins_apart():
    """Where sizes are told, places stay as they are; where places are told, sizes and all other places do."""
    for pair in range(1_000):
        planned = plan(USUAL, pair)
        (x0, y0, x1, y1), (u0, v0, u1, v1) = (np.array(layout.boxes).T for layout in planned.twins)
        if planned.relation == "larger than":
            assert (np.argsort(x0) == np.argsort(u0)).all()
            continue
        assert np.allclose(x1 - x0, u1 - u0) and np.allclose(y1 - y0, v1 - v0)
        if planned.relation in ("above", "in front of"):
            assert np.allclose(x0, u0)
        else:
            assert np.allclose(y0, v0)


def test_captions_are_worded_in_many_ways(thousand):
    assert len({told(caption) for caption in thousand["caption"]}) >= 40


def test_attributes_are_told_apart_from_places_too(thousand):
    """In enough twins both things are of a category: which has which colour or pattern is what the caption binds."""
    bound = [
        one for one, _ in twins_of(thousand)
        if one["relation"] != "same colour as" and max(Counter(t["category"] for t in one["objects"]).values()) == 2
    ]  # fmt: skip
    assert 300 < len(bound) < 700
    confused = [{"white", "cream"}, {"black", "navy"}, {"red", "rust"}, {"sand", "cream"}, {"mustard", "sand"}]
    for scene in bound:
        said = [set(re.findall(LOOKS, name[2])) for name in MENTION.finditer(scene["caption"]) if name[2]]
        assert not any(a <= c and b <= c and a != b for c in confused for a, b in itertools.combinations(said, 2))


@pytest.mark.parametrize("pixels", [32, 128])
def test_captions_are_true_at_other_sizes(pixels):
    options = Options(seed=8, users=3, events=100, scenes=300, pixels=pixels)
    for one, other in twins_of(draw(options, 0, 300 if pixels == 32 else 80)):
        for mine, twin in ((one, other), (other, one)):
            assert true_of(mine["caption"], mine["objects"]) == (mine["relation"], True), mine["caption"]
            assert true_of(mine["caption"], twin["objects"]) == (mine["relation"], False), mine["caption"]


def test_what_is_in_front_hides_some_of_what_is_behind():
    catalog = ground(USUAL).catalog
    hidden = []
    for pair in range(150):
        planned = plan(USUAL, pair)
        if planned.relation != "in front of":
            continue
        for which, layout in enumerate(planned.twins):
            behind = layout.order[-2]
            box = tuple(USUAL.pixels * edge for edge in layout.boxes[behind])
            placed = Placed(look(catalog, planned.items[behind]), box, planned.poses[behind])
            alone = compose([placed], planned.light, planned.background, USUAL.pixels, 3 * USUAL.pixels // 2)
            seen = paint(USUAL, planned, which).things == len(layout.order) - 1
            hidden.append(1 - seen.sum() / (alone.things > 0).sum())
    assert len(hidden) > 30 and min(hidden) >= 0.1 and max(hidden) <= 0.5


def test_names_read_as_english(thousand):
    for caption in thousand["caption"]:
        assert re.fullmatch(r"[A-Z][^.]*\.", caption) and "  " not in caption
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", caption)


# Boxes and files


def test_boxes_are_where_things_were_planned_and_seen():
    for pair in range(60):
        planned = plan(USUAL, pair)
        for which, layout in enumerate(planned.twins):
            scene = paint(USUAL, planned, which)
            for n, (thing, box) in enumerate(zip(layout.order, scene.boxes, strict=True)):
                rows, columns = np.nonzero(scene.things == n + 1)
                assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                meant = np.array(layout.boxes[thing]) * USUAL.pixels
                assert (meant[:2] >= 0).all() and (meant[2:] <= np.array([1.5, 1]) * USUAL.pixels).all()
                if planned.relation != "in front of" or n != len(layout.order) - 2:
                    assert np.abs(meant - box).max() < 3  # pixels: a rope is thin


def test_the_table(thousand):
    scenes = thousand
    assert scenes.columns == ["scene", "pair", "image", "caption", "relation", "objects", "split"]
    assert scenes["scene"][11] == "s000011" and scenes["pair"].to_list() == [row // 2 for row in range(2_000)]
    image = Image.open(io.BytesIO(scenes["image"][7]))
    assert image.size == (96, 64) and image.mode == "RGB"
    frame = ground(USUAL).catalog.frame()
    things = scenes.explode("objects").unnest("objects").join(frame, on="item", suffix="_there")
    for column in ("category", "colour", "pattern", "split"):
        assert (things[column] == things[f"{column}_there"]).all()
    assert set(scenes["objects"].list.len()) == {2, 3}


def test_splits_keep_their_share(thousand):
    shares = thousand["split"].value_counts(normalize=True)
    shares = dict(shares.iter_rows())
    assert set(shares) == set(SPLITS)
    assert 0.76 < shares["train"] < 0.84 and 0.07 < shares["test"] < 0.13 and 0.07 < shares["validation"] < 0.13


def test_shards_equal_the_whole():
    whole = draw(SMALL, 0, 41)
    assert len(whole) == 41
    assert pl.concat([draw(SMALL, 0, 13), draw(SMALL, 13, 14), draw(SMALL, 14, 41)]).equals(whole)
    assert draw(SMALL, 5, 5).schema == whole.schema


def test_more_scenes_and_customers_keep_the_rows():
    more = Options(seed=5, items=60, users=30, events=900, scenes=1_000, pixels=32)
    assert draw(more, 0, 41).equals(draw(SMALL, 0, 41))
    other = Options(seed=6, items=60, users=3, events=100, scenes=41, pixels=32)
    assert not draw(other, 0, 41)["caption"].equals(draw(SMALL, 0, 41)["caption"])


@pytest.mark.parametrize("items", [1, 2, 3, 24])
def test_small_shops_do_not_lie(items):
    options = Options(seed=4, items=items, categories=items, users=2, events=20, scenes=120, pixels=64)
    scenes = draw(options, 0, 120)
    split = dict(zip(item_ids(items), ground(options).catalog.frame()["split"], strict=True))
    for one, other in twins_of(scenes):
        for mine, twin in ((one, other), (other, one)):
            assert true_of(mine["caption"], mine["objects"]) == (mine["relation"], True), mine["caption"]
            assert true_of(mine["caption"], twin["objects"]) == (mine["relation"], False), mine["caption"]
            assert {split[t["item"]] for t in mine["objects"]} == {mine["split"]}
    assert len(draw(options, 0, 1)) == 1
