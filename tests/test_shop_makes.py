"""Pictures to make: what a row gives and what it asks for fit together, and leave one answer."""

import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

from tenfold.shop import Options
from tenfold.shop.makes import BLOCKS, CONTROLS, GREY, RIM, RIMMED, STANDARD, described, draw, plan
from tenfold.shop.pictures.picture import BACKDROPS, BACKGROUNDS, picture
from tenfold.shop.simulation import ground
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, CUTS

OPTIONS = Options(seed=4, items=120, users=5, events=50, makes=150)


@pytest.fixture(scope="module")
def makes():
    return draw(OPTIONS, 0, OPTIONS.makes)


@pytest.fixture(scope="module")
def plans():
    catalog = ground(OPTIONS).catalog
    return [plan(OPTIONS, catalog, row % 120, row // 120) for row in range(600)]


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_shards_equal_the_whole_and_rows_stay(makes):
    assert draw(OPTIONS, 40, 90).equals(makes[40:90])
    more = draw(Options(seed=4, items=130, users=5, events=50, makes=300), 0, 300)
    shared = makes.join(more, on="make", how="inner", suffix="_of_more")
    assert len(shared) == len(makes)
    for column in makes.columns[1:]:
        assert shared[column].equals(shared[f"{column}_of_more"], check_names=False), column


def test_what_is_given_is_the_answers(makes):
    for row in makes.iter_rows(named=True):
        answer, size = pixels(row["answer"]), OPTIONS.pixels // BLOCKS
        assert answer.shape == (64, 64, 3) and (row["given"] is None) == (not row["kept"])
        assert (row["reference"] is not None) == ("reference" in row["controls"])
        assert (row["text"] is not None) == ("text" in row["controls"]) and bool(row["kept"]) == (
            "kept" in row["controls"]
        )
        if row["kept"]:
            given = pixels(row["given"])
            for block in range(BLOCKS * BLOCKS):
                top, left = size * (block // BLOCKS), size * (block % BLOCKS)
                there = given[top : top + size, left : left + size]
                if block in row["kept"]:
                    assert (there == answer[top : top + size, left : left + size]).all()
                else:
                    assert (there == GREY).all()


def test_the_answer_is_the_item(makes):
    catalog = ground(OPTIONS).catalog.frame()
    joined = makes.join(catalog, on="item", suffix="_of_item")
    for row in joined.iter_rows(named=True):
        for name in ("category", "cut", "colour", "pattern", "material", "style", "brand"):
            assert row["wanted"][name] == row[name]
        assert row["split"] == row["split_of_item"]
    without = [row for row in makes.iter_rows(named=True) if not row["kept"]]
    seen = [
        plan(OPTIONS, ground(OPTIONS).catalog, int(row["item"][1:]), int(row["make"].split("-")[1])) for row in without
    ]
    for row, make in zip(without[:10], seen, strict=False):
        assert (pixels(row["answer"]) == picture(make.wanted, STANDARD, 64).image).all()


def test_each_control_comes_as_often_as_said(plans):
    for controls, share in CONTROLS.items():
        found = sum(make.controls == controls for make in plans) / len(plans)
        assert abs(found - share) < 0.075  # 4 sigma


def test_words_and_reference_leave_one_look(plans):
    """Of all looks that a category can have, one has what the words name and, else, what the reference shows."""
    for make in plans[:200]:
        if "kept" in make.controls:
            continue
        kind = next(kind for kind in CATEGORIES if kind.name == make.wanted.category)
        brands = [brand for brand in BRANDS if make.reference is None or brand.name == make.reference.brand]
        fitting = []
        for cut, colour, pattern, material, brand in itertools.product(
            CUTS[kind.name], COLOURS, kind.patterns, kind.materials, brands
        ):
            other = make.wanted._replace(
                cut=cut, colour=colour, pattern=pattern, material=material, brand=brand.name, style=brand.style
            )
            named = all(getattr(other, name) == getattr(make.wanted, name) for name in make.named)
            shown = make.reference is None or all(
                getattr(other, name) == getattr(make.reference, name)
                for name in ("cut", "colour", "pattern", "material", "brand")
                if name not in make.named
            )
            if named and shown:
                fitting.append(other)
        assert fitting == [make.wanted]


def apart(first, second, where=None):
    """Mean difference of two pictures, in levels, over the pixels of a mask."""
    differences = np.abs(first.astype(int) - second.astype(int)).mean(-1)
    return differences.mean() if where is None else differences[where].mean()


def blocks(kept):
    return np.isin(np.arange(BLOCKS * BLOCKS), kept).reshape(BLOCKS, BLOCKS).repeat(8, 0).repeat(8, 1)


def with_brand(look, brand):
    return look._replace(brand=brand.name, style=brand.style)


def test_words_and_reference_leave_one_picture(plans):
    """Whichever brand's the thing may be, as far as the reference shows it and the words tell, the answer is the same.

    Plain references of things that are to have a pattern are the hard case: they show no print.
    """
    asked = [make for make in plans if make.text is not None and make.reference is not None]
    hard = [make for make in asked if "pattern" in make.named and make.reference.pattern == "plain"]
    assert len(hard) >= 5
    for make in hard + asked[:25]:
        shown = picture(make.reference, make.seen_from, 64).image
        answer = picture(make.wanted, make.view, 64).image
        for brand in BRANDS:
            if "brand" in make.named and brand.name != make.wanted.brand:
                continue
            if apart(picture(with_brand(make.reference, brand), make.seen_from, 64).image, shown) < 0.02:
                assert apart(picture(with_brand(make.wanted, brand), make.view, 64).image, answer) < 0.1, make


def test_half_a_picture_tells_the_colour(plans):
    for make in [make for make in plans if make.kept and len(make.controls) == 2][:40]:
        answer, given = picture(make.wanted, make.view, 64).image, blocks(make.kept)
        for colour in set(COLOURS) - {make.wanted.colour}:
            assert apart(picture(make.wanted._replace(colour=colour), make.view, 64).image, answer, given) > 2


def test_all_three_are_needed_and_enough(plans):
    """The rim shows the background and nothing of the thing; the thing's colour is in the words, its cut is not."""
    asked = [make for make in plans if len(make.controls) == 3]
    for make in asked[:50]:
        drawn, rim = picture(make.wanted, make.view, 64), blocks(make.kept)
        assert make.kept == RIM and rim.sum() == 28 * 64 and not (rim & (drawn.mask > 0)).any()
        assert "colour" in make.named and not {"cut", "category"} & set(make.named)
        assert make.view._replace(background=RIMMED.background) == RIMMED
    make = asked[0]
    seen = [
        picture(make.wanted, RIMMED._replace(background=make.view.background._replace(kind=kind, colours=pair)), 64)
        for kind, pair in itertools.product(BACKGROUNDS, BACKDROPS)
    ]
    rims = [one.image[blocks(RIM)].astype(int) for one in seen]
    assert min(np.abs(a - b).mean() for a, b in itertools.combinations(rims, 2)) > 0.25  # levels


def test_words_name_what_they_are_said_to_and_nothing_else(plans):
    """Read by a plain matcher: longest words first, each taken out of the text once it is found."""
    known = {
        "brand": {brand.name for brand in BRANDS},
        "colour": set(COLOURS),
        "pattern": {pattern for kind in CATEGORIES for pattern in kind.patterns},
        "material": {material for kind in CATEGORIES for material in kind.materials},
        "category": {kind.name for kind in CATEGORIES},
    }
    for make in plans:
        if make.text is None:
            continue
        words = known | {"cut": set(CUTS[make.wanted.category])}
        left, found = make.text, {}
        for _length, name, word in sorted(((len(w), n, w) for n, ws in words.items() for w in ws), reverse=True):
            shorter = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", "", left, count=1)
            if shorter != left:
                assert name not in found, make.text
                left, found[name] = shorter, word
        assert found == {name: getattr(make.wanted, name) for name in make.named}, make.text


def test_references_look_otherwise(plans):
    """Seen alike, the thing asked for and the reference have one outline and clearly other colours."""
    for make in [make for make in plans if make.reference is not None][:60]:
        wanted, other = picture(make.wanted, STANDARD, 64), picture(make.reference, STANDARD, 64)
        assert (wanted.mask == other.mask).all()
        assert apart(wanted.image, other.image, wanted.mask > 0) > 5
        assert make.seen_from != make.view


def test_references_differ_where_it_matters(plans):
    for make in plans:
        if make.reference is None:
            continue
        assert make.reference.colour != make.wanted.colour
        assert make.reference._replace(colour="", pattern="", material="") == make.wanted._replace(
            colour="", pattern="", material=""
        )
        if make.text is None:
            assert make.reference == make.wanted._replace(colour=make.reference.colour)
        else:
            assert "colour" in make.named


def test_blocks_show_the_thing_and_its_colour(plans):
    """Where words leave the colour out, or there are none, half of the thing is given, and not all of it."""
    for make in [make for make in plans if make.kept and len(make.controls) == 2]:
        mask = picture(make.wanted, make.view, 64).mask > 0
        assert (mask & blocks(make.kept)).sum() > 0.48 * mask.sum()
        assert not blocks(make.kept).all()


def test_english_is_right():
    catalog = ground(OPTIONS).catalog
    wanted = plan(OPTIONS, catalog, 0, 0).wanted
    shoes = wanted._replace(category="sneakers", cut="low-top", colour="olive", pattern="plain", material="mesh")
    assert described(shoes, ("cut", "colour", "material")).startswith("a pair of low-top olive mesh sneakers by ")
    assert described(shoes._replace(category="apron", cut="bib"), ("colour",)).startswith("an olive apron by ")


@pytest.mark.parametrize("sizes", [{"items": 1, "categories": 1, "makes": 3}, {"items": 40, "makes": 1}])
def test_any_size_works(sizes):
    options = Options(users=1, events=5, **sizes)
    assert len(draw(options, 0, options.makes)) == options.makes
