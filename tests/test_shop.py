"""The shop: the same values however they are drawn, probabilities that are right, and something in it to learn."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from tenfold.errors import OptionError
from tenfold.shop import Options, Shop, info
from tenfold.shop.catalog import MONTH, MONTHS, draw_catalog
from tenfold.shop.customers import draw_habits
from tenfold.shop.market import TOP, build_market, season_of
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS, shares
from tenfold.shop.streams import Draws, Kind, uniforms
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, SEASONS, STYLES, THEMES
from tenfold.shop.truth import AT, measure

SMALL = {"seed": 7, "items": 310, "users": 53, "events": 4_100}
BESIDE = {"pictures": 30, "texts": 40, "scenes": 8, "meetings": 200, "questions": 30, "labels": 20, "makes": 10}
SMALL |= BESIDE

# Values, not files, of the shop above. If they change, the same seed no longer gives the same shop: raise SHOP_VERSION.
DIGESTS = {"catalog": "6fd3dd8392eee2b5", "events": "acab3b102f3f275c", "truth": "5d8061bbf7884338"}


@pytest.fixture(scope="module")
def small():
    return Shop(**SMALL)


@pytest.fixture(scope="module")
def usual():
    return Shop(seed=3)


# The same values, whatever else is drawn


def test_the_generator_is_splitmix64():
    """Against the published algorithm in Python's integers, and its known first output for state 0."""
    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    assert mix(golden) == 0xE220A8397B1DCDAF
    seed, kind, row = 2**63 - 5, Kind.MATCH, 11
    key = mix((seed + golden) & mask)
    key = mix(key ^ (kind * 0x94D049BB133111EB + golden & mask))
    key = mix(key ^ (row * 0xBF58476D1CE4E5B9 + golden & mask))
    expected = [(mix((key + (n + 1) * golden) & mask) >> 11) / 2**53 for n in range(3)]
    assert uniforms(seed, kind, row, row + 1, 3)[0].tolist() == expected


def test_draws_in_python_are_those_of_the_loops():
    draws = Draws(5, Kind.TEXT, 17)
    assert [draws.uniform() for _ in range(100)] == uniforms(5, Kind.TEXT, 17, 18, 100)[0].tolist()
    assert sorted(draws.some("abcdef", 6)) == list("abcdef")
    picked = [draws.pick("abc", (1, 0, 3)) for _ in range(4_000)]
    assert "b" not in picked and abs(picked.count("c") / 4_000 - 0.75) < 0.03  # 4 sigma
    values = np.array([draws.normal() for _ in range(4_000)])
    assert abs(values.mean()) < 0.07 and abs(values.std() - 1) < 0.05


def test_rows_are_dealt_out_in_order():
    owner, number = shares(8, 3)
    assert owner.tolist() == [0, 0, 0, 1, 1, 1, 2, 2] and number.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert shares(2, 3)[0].tolist() == [0, 1]


def test_splits_have_their_shares_and_stay(small):
    splits = small.ground.catalog.split
    assert np.bincount(splits[:300]).tolist() == [240, 30, 30]
    assert (draw_catalog(Options(seed=7, items=2_000)).split[:310] == splits).all()
    assert small.catalog()["split"].to_list() == [SPLITS[split] for split in splits]


def test_draws_are_uniform_and_streams_differ():
    u = uniforms(5, Kind.ITEM, 0, 20_000, 3)
    assert np.abs(np.histogram(u, bins=10, range=(0, 1))[0] / u.size - 0.1).max() < 0.006  # 5 sigma of 60,000 draws
    others = uniforms(6, Kind.ITEM, 0, 20_000, 3), uniforms(5, Kind.BRAND, 0, 20_000, 3)
    pairs = [(u[:, 0], u[:, 1]), (u[:-1, 0], u[1:, 0]), (u[:, 2], others[0][:, 2]), (u[:, 2], others[1][:, 2])]
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs) < 0.035
    assert np.array_equal(uniforms(5, Kind.ITEM, 700, 710, 2), u[700:710, :2])


def test_values_are_those_of_this_version(small):
    assert small.digests() == DIGESTS


def test_another_seed_is_another_shop(small):
    other = Shop(**SMALL | {"seed": 8}).digests()
    assert all(other[table] != digest for table, digest in small.digests().items())


def test_processes_change_nothing(small):
    assert Shop(**SMALL, processes=2).digests() == small.digests()
    assert Shop(**SMALL, processes=1).digests() == small.digests()


def test_shards_change_nothing(small, monkeypatch):
    monkeypatch.setattr("tenfold.shop.simulation.SHARD", 97)
    assert Shop(**SMALL).digests() == small.digests()


def test_items_keep_their_traits_in_a_larger_shop(small):
    larger = Shop(**SMALL | {"items": 977, "users": 31, "events": 500}).catalog()
    assert larger.head(310).equals(small.catalog())


def test_users_keep_their_traits_in_a_larger_shop(small):
    larger = Shop(**SMALL | {"users": 171, "events": 9_000})
    assert larger.customers().drop("events").head(53).equals(small.customers().drop("events"))
    more_items = Shop(**SMALL | {"items": 800})
    assert more_items.customers().equals(small.customers())


# What is in it


def test_the_catalogue_hangs_together(usual):
    catalog = usual.catalog()
    assert catalog.columns[:3] == ["item", "title", "category"] and catalog["item"].n_unique() == 2_000
    assert catalog["category"].n_unique() == len(CATEGORIES) >= 12
    materials = {c.name: c.materials for c in CATEGORIES}
    assert all(row["material"] in materials[row["category"]] for row in catalog.iter_rows(named=True))
    styles = {b.name: b.style for b in BRANDS}
    assert all(row["style"] == styles[row["brand"]] for row in catalog.iter_rows(named=True))
    assert catalog.group_by("brand").agg(pl.col("colour").n_unique())["colour"].max() <= 5 < len(COLOURS)
    scarfs = catalog.filter(pl.col("category") == "scarf").group_by("material").agg(pl.col("price").mean())
    price = dict(scarfs.iter_rows())
    assert price["cashmere"] > price["wool"] > price["acrylic"]
    assert (catalog["price"] > 0).all() and (catalog["price"] * 100 % 100 - 95).abs().max() < 1e-6


def test_titles_say_what_it_is(small):
    for row in small.catalog().iter_rows(named=True):
        pattern = "" if row["pattern"] == "plain" else row["pattern"] + " "
        said = f"{row['colour']} {pattern}{row['material']} {row['category']} by {row['brand']}"
        assert row["title"] == said[0].upper() + said[1:]


def test_events_are_whole_and_in_order(small):
    events = small.events()
    assert events.columns == ["user", "item", "time", "event"] and len(events) == 4_100
    assert events["user"].unique(maintain_order=True).to_list() == [f"u{row:05d}" for row in range(53)]
    assert (
        events.select((pl.col("time").diff() > pl.duration()) | (pl.col("user") != pl.col("user").shift()))[1:]
        .to_series()
        .all()
    )
    assert events["item"].is_in(small.catalog()["item"].to_list()).all()
    assert events["time"].dt.year().is_in([2024, 2025, 2026]).all()


def test_a_cart_follows_a_view_and_a_purchase_a_cart(small):
    events = small.events().with_columns(pl.col("user", "item", "event").shift().name.prefix("before_"))
    for action, before in (("cart", "view"), ("buy", "cart")):
        rows = events.filter(pl.col("event") == action)
        assert len(rows) > 50
        same = (pl.col("item") == pl.col("before_item")) & (pl.col("user") == pl.col("before_user"))
        assert rows.select((same & (pl.col("before_event") == before)).all()).item()


def test_nothing_is_seen_before_it_is_sold(usual):
    seen = usual.events().group_by("item").agg(pl.col("time").min())
    sold = seen.join(usual.catalog().select("item", "arrived"), on="item")
    assert (sold["time"].dt.date() >= sold["arrived"]).all()
    assert (sold["arrived"] > sold["arrived"].min()).mean() > 0.2  # many arrive later


def test_seasons_show(usual):
    events = usual.events().join(usual.catalog(), on="item")
    share = events.group_by(pl.col("time").dt.month()).agg((pl.col("theme") == "winter").mean()).sort("time")["theme"]
    assert min(share[0], share[1], share[11]) > 2 * max(share[5], share[6], share[7])
    assert [SEASONS[season_of(month)] for month in (0, 2, 3, 11, 12)] == [
        "winter",
        "spring",
        "spring",
        "winter",
        "winter",
    ]


def test_dear_things_are_for_those_who_can(usual):
    tier = pl.Series("tier", usual.ground.catalog.tier)
    events = usual.events().join(usual.catalog().select("item").with_columns(tier), on="item")
    means = dict(events.join(usual.customers(), on="user").group_by("purse").agg(pl.col("tier").mean()).iter_rows())
    assert means["budget"] < means["middle"] < means["premium"]


def test_popularity_and_histories_have_long_tails(usual):
    sold = usual.events()["item"].value_counts()["count"].sort(descending=True)
    assert sold.head(200).sum() > 0.3 * 200_000 and sold.max() > 8 * sold.median()
    counts = usual.events()["user"].value_counts()["count"]
    assert counts.max() > 3 * counts.median() and counts.min() >= 5 and counts.sum() == 200_000


def test_more_interests_and_longer_rests_put_what_is_needed_further_back():
    def old(**options):
        """The share of events about an item last met more than 200 events before."""
        drawn, counts = Shop(seed=2, users=40, items=600, events=40_000, **options), []
        item, ends = drawn.drawn.item, drawn.ground.counts.cumsum()
        for begin, end in zip(ends - drawn.ground.counts, ends, strict=True):
            row, last = item[begin:end], {}
            for place, each in enumerate(row):
                if place > 0.8 * len(row) and each in last:
                    counts.append(place - last[each] > 200)
                last[each] = place
        return np.mean(counts)

    assert old(interests=40, rest=40.0) > old() + 0.1


def test_interests_rest_and_return(usual):
    """Between two visits to one theme and style often lie more than 50 events."""
    catalog = usual.ground.catalog
    segment = catalog.segment[usual.drawn.item]
    gaps, at = [], 0
    for count in usual.ground.counts:
        places = [np.flatnonzero(segment[at : at + count] == s) for s in np.unique(segment[at : at + count])]
        gaps += [gap for where in places if len(where) > 10 for gap in np.diff(where) if gap > 1]
        at += count
    gaps = np.array(gaps)
    assert (gaps > 50).sum() > 1_000 and (gaps > 50).mean() > 0.03


# What the truth is


def test_the_oracle_is_calibrated(usual):
    """What it expects of itself is what happens: its hits, and the events that it gives some probability."""
    truth = usual.truth()
    for k in AT:
        expected, hit = truth[f"expected_{k}"].to_numpy(), truth[f"hit_{k}"].to_numpy()
        sigma = np.sqrt((expected * (1 - expected)).sum())
        assert abs((hit - expected).sum()) < 4 * sigma
    for low, high in [(0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)]:
        rows = truth.filter(pl.col("expected_10").is_between(low, high, closed="left"))
        expected, hit = rows["expected_10"].to_numpy(), rows["hit_10"].to_numpy()
        assert len(rows) > 100 and abs((hit - expected).sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())


def test_no_event_is_impossible(usual):
    truth = usual.truth()
    assert truth["probability"].min() > 0 and truth["probability"].max() < 1
    assert (truth["expected_1"] <= truth["expected_10"]).all() and (truth["expected_20"] <= 1 + 1e-6).all()
    hit = truth.filter(pl.col("hit_1") == 1)
    assert np.allclose(hit["probability"], hit["expected_1"])


def test_rules_equal_their_definition(small):
    """Against rankings written out in full, for each customer's last events."""
    counts, items, drawn = small.ground.counts, 310, small.drawn
    found = measure(drawn.item, counts, items, drawn.truth)
    ends = counts.cumsum()
    for split, held in (("loo", np.ones_like(counts)), ("stream", counts // 10)):
        trained = np.concatenate([drawn.item[e - n : e - 2 * h] for e, n, h in zip(ends, counts, held, strict=True)])
        popular = np.bincount(trained, minlength=items) / (len(trained) + 1)
        hits = {rule: [] for rule in found[split].rules}
        for end, count, last in zip(ends, counts, held, strict=True):
            of_user = {rule: [] for rule in hits}
            for at in range(end - last, end):
                history = drawn.item[end - count : at]
                latest = np.zeros(items)
                latest[history] = np.arange(1, len(history) + 1)
                often = np.bincount(history, minlength=items)
                for rule, score in zip(hits, (popular, latest + popular, often + popular), strict=True):
                    own = score[drawn.item[at]]
                    above, tied = (score > own).sum(), (score == own).sum()
                    of_user[rule].append([np.clip((k - above) / tied, 0, 1) for k in AT])
            if last:
                for rule, rows in of_user.items():
                    hits[rule].append(np.mean(rows, 0))
        for rule, means in hits.items():
            assert np.allclose(np.mean(means, 0), found[split].rules[rule], atol=2e-6), (split, rule)


def test_there_is_something_to_learn(usual):
    for truth in usual.learnable.values():
        assert truth.gap(10) >= 0.2
        assert truth.oracle[1] > 2 * truth.rules["personal frequency"][1] > 4 * truth.rules["popularity"][1]


# Sizes


@pytest.mark.parametrize(
    "sizes",
    [
        {"items": 1, "categories": 1, "users": 1, "events": 1},
        {"items": 2, "categories": 2, "users": 3, "events": 3},
        {"items": 24, "users": 1, "events": 700},
        {"items": 5_000, "users": 7, "events": 91},
        {"items": 130, "categories": 12, "users": 5, "events": 400},
    ],
    ids=str,
)
def test_any_size_works(sizes, tmp_path):
    shop = Shop(seed=2, **sizes)
    told = shop.write(tmp_path / "shop", only=["events"])
    assert len(shop.events()) == sizes["events"] == sum(told.facts["drawn"]["events"].values())
    assert shop.events()["user"].n_unique() == sizes["users"]
    assert len(shop.catalog()) == sizes["items"]
    assert shop.catalog()["category"].n_unique() == sizes.get("categories", 24)
    assert str(info(tmp_path / "shop")) == str(told)


def test_tables_stay_when_there_is_more(small):
    more = Shop(**SMALL | {"pictures": 70, "texts": 90, "labels": 60, "items": 330, "users": 60})
    for name, key in (("pictures", "picture"), ("texts", "text_id")):
        shared = small.table(name).join(more.table(name), on=key, how="inner", suffix="_of_more")
        assert len(shared) >= 20
        for column in small.table(name).columns:
            if column != key and name == "pictures":
                assert shared[column].equals(shared[f"{column}_of_more"], check_names=False), column
    assert more.labels().head(len(small.labels())).equals(small.labels())


def test_progress_is_shown_when_asked_for(capsys):
    Shop(**SMALL, progress=True).events()
    assert "drawing 4,100 events" in capsys.readouterr().err
    Shop(**SMALL).events()
    assert capsys.readouterr().err == ""


# Options


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"items": 0}, "option items = 0"),
        ({"users": -3}, "option users = -3"),
        ({"events": "many"}, "option events = 'many'"),
        ({"seed": "chance"}, "option seed = 'chance'"),
        ({"seed": -1}, "option seed = -1"),
        ({"seed": 2**63}, "option seed"),
        ({"seed": 1.5}, "option seed = 1.5"),
        ({"categories": 25}, "option categories = 25"),
        ({"items": 11, "categories": 12}, "a shop of 11 items cannot have 12 categories"),
        ({"users": 20, "events": 19}, "19 events are too few for 20 users"),
        ({"user": 20}, "there is no option 'user'; did you mean 'users'"),
        ({"processes": 0}, "cannot be drawn by 0 processes"),
        ({"options": Options(), "items": 50}, "got options and items beside them"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_one_sentence(values, sentence):
    with pytest.raises(OptionError) as refused:
        Shop(**values)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_options_and_their_package_are_light():
    heavy = "numpy", "numba", "polars", "torch"
    code = f"import sys, tenfold.shop.options; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_followers_are_of_the_next_category_and_of_the_same():
    options = Options(items=600)
    catalog = draw_catalog(options)
    market = build_market(catalog, options)
    category, kinds = catalog.category[market.item], len(THEMES)
    rows = np.flatnonzero((market.follower >= 0).all(1))
    assert len(rows) > 300
    for row in rows:
        pool = category[market.start[market.segment[row]] : market.start[market.segment[row] + 1]]
        following = category[market.follower[row]]
        assert (following[:3] == following[0]).all() and following[0] != category[row] and following[0] in pool
        assert (following[3:] == category[row]).all() and (following % kinds == category[row] % kinds).all()
        assert row not in market.follower[row] and len(set(market.follower[row])) == 5
    alike = catalog.colour[market.item[market.follower[rows, 0]]] == catalog.colour[market.item[rows]]
    assert alike.mean() > 0.4


def test_pools_sum_to_one_and_their_best_come_first():
    shared = ground(Options(seed=4, items=3_700))
    market = shared.market
    full = np.flatnonzero(np.diff(market.start) > 0)
    assert np.allclose(market.limits[:, :, market.start[full + 1] - 1], 1)
    g = int(full[5])
    share = np.diff(market.limits[9, 1, market.start[g] : market.start[g + 1]], prepend=0.0)
    assert np.allclose(share[market.top[9, 1, g] - market.start[g]], np.sort(share)[::-1][:TOP])
    assert np.allclose(market.season.sum(1), 1)


def test_arrivals_and_activity_are_spread():
    options = Options(users=4_000, events=90_000)
    shared = ground(options)
    habits = draw_habits(options, shared.market, shared.counts, 0, 4_000)
    assert (habits.chain + habits.loyal).max() < 1
    assert 0.45 < (habits.arrival == 0).mean() < 0.55 and 0.7 < habits.arrival.max() < 0.8
    assert set(habits.interests) == {8, 9, 10, 11} and len(STYLES) * len(THEMES) == shared.catalog.segments
    assert MONTH * MONTHS == 2 * 31_557_600  # two years
