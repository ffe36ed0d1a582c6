"""The page: whole in one file, right in what it shows, and deaf to markup in the user's own words."""

import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from tenfold.claims import Bound, Claim, Result
from tenfold.compare import compare
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.errors import OutputError
from tenfold.report import (
    Section,
    claims_section,
    comparison_section,
    curve,
    gallery,
    page,
    picture,
    table,
    text,
    whiskers,
    write_report,
)
from tenfold.tasks.next_item.baselines.counted import Popularity
from tenfold.tasks.next_item.baselines.item_pairs import FirstOrderMarkov
from tenfold.tasks.next_item.report import histories_section
from tenfold.training import Budget

EVIL = "<script>alert('x')</script> & \"quoted\""
VOID = {"meta", "img", "br", "wbr"}


class Balanced(HTMLParser):
    """Every tag that opens closes, in order; what stands between them is gathered."""

    def __init__(self, whole):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(whole)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


@pytest.fixture(scope="module")
def comparison(events):
    arms = {"popularity": "popularity", EVIL: "markov", "last": "repeat-last"}
    return compare(events, arms, budget=Budget(progress="none"))


def titled():
    """Five users who go through the same six items, which have titles and prices."""
    events = Events.from_histories([[f"i{(u + n) % 6}" for n in range(4 + u)] for u in range(5)])
    ids = events.catalogue.series.to_list()
    prices = [None if own == "i3" else 10.5 + int(own[1:]) for own in ids]
    frame = pl.DataFrame({"title": [f"Title {own} {EVIL}" for own in ids], "price": prices, "brand": "Title"})
    return Events(
        events.items, events.offsets, events.times, events.users, events.catalogue, events.report, frame
    )  # fmt: skip


def test_the_page_is_one_file_that_asks_nothing_of_a_network(comparison, events, tmp_path):
    sections = [comparison_section(comparison), Section("A plot", picture(comparison.plot(), "the comparison"))]
    write_report(tmp_path / "a" / "report.html", EVIL, sections, lead=EVIL, about=[EVIL])
    whole = (tmp_path / "a" / "report.html").read_text()
    found = Balanced(whole)
    for tag, attributes in found.tags:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert "url(" not in whole and "@import" not in whole and "http" not in whole
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found.tags
    assert "".join(found.words).count(EVIL) >= 4  # shown as it is, never run


def test_the_same_page_is_the_same_bytes(comparison):
    assert picture(comparison.plot(), "a") == picture(comparison.plot(), "a")
    assert page("t", [comparison_section(comparison)]) == page("t", [comparison_section(comparison)])


def test_the_comparison_shows_each_arms_figures(comparison):
    words = " ".join(Balanced(comparison_section(comparison).html).words)
    for row in comparison.rows:
        low, high = row.intervals["ndcg@10"]
        assert f"{row.figures['ndcg@10']:.3f}" in words and f"{low:.3f} to {high:.3f}" in words
    assert comparison.protocol in words and "these fits differ" in words
    for note in comparison.notes:
        assert note in words


def test_whiskers_stand_where_their_numbers_are():
    html = whiskers([("a", 0.5, (0.4, 0.6), "x"), ("b", 0.25, None, "y")], strong=1)
    dots = [float(x) for x in re.findall(r'class="dot" style="left:([\d.]+)%', html)]
    (bar, *_), (width, *_) = re.findall(r'bar" style="left:([\d.]+)%', html), re.findall(r"width:([\d.]+)%", html)
    assert dots[0] / dots[1] == pytest.approx(2, rel=1e-3) and float(bar) / dots[0] == pytest.approx(0.8, rel=1e-3)
    assert float(bar) + float(width) == pytest.approx(100 / 1.04, abs=0.02)
    assert html.count("whisker strong") == 1
    assert "left:0.00%" in whiskers([("nothing", 0.0, (0.0, 0.0), "")])


def test_whiskers_below_nothing_stay_on_the_page():
    html = whiskers([("a", -2.0, (-2.2, -1.8), ""), ("b", -4.0, None, ""), ("c", 1.0, None, "")])
    places = [float(place) for place in re.findall(r"left:(-?[\d.]+)%", html)]
    assert len(places) == 6 and all(0 <= place <= 100 for place in places)
    assert places[3] < places[1] < places[5]  # b, a, c


def test_a_column_of_numbers_stands_on_the_right():
    html = table(
        ["name", "figure", "said"], [["a", "0.5", ("1 of 2", "note")], ["b", ("+0.1", "0 to 1"), "-"]], strong=1
    )
    assert html.count("<th class=number>figure") == 1 and html.count("<td class=number>") == 4
    assert "<th>name" in html and html.count("<tr class=strong>") == 1 and "<small>0 to 1</small>" in html


def test_histories_show_titles_what_came_next_and_what_each_system_says():
    events = titled()
    cut = split(events, "loo")
    systems = {"next": FirstOrderMarkov().fit(events), "most": Popularity().fit(events)}
    found = Balanced(histories_section(cut, systems, users=[4, 1], k=3).html)
    words = "".join(found.words)
    assert words.count("Then came") == 2 and words.count(EVIL) == len(re.findall("Title i", words))
    assert "came next" not in words  # said by the style, at items of class hit
    for user in (4, 1):
        own = [f"i{(user + n) % 6}" for n in range(4 + user)]
        assert f"Latest events of {len(own) - 1}" in words
        for system in systems.values():
            expected = [one.item for one in system.recommend(history=own[:-1], k=3)]
            shown = "".join(f"Title {item} {EVIL}{_price(item)}" for item in expected)
            assert shown in words
    lists = [attributes.get("class") for tag, attributes in found.tags if tag == "li"]
    assert lists.count("next") == 2 and lists.count("hit") >= 2  # after an item the next one of the ring always came


def _price(item):
    return "" if item == "i3" else f"{10.5 + int(item[1:]):g}"


def test_users_are_drawn_whatever_the_systems_say(events):
    cut = split(events, "loo")
    one, two = Popularity().fit(events), FirstOrderMarkov().fit(events)
    heads = [
        re.findall("<h3>(.*?)</h3>", histories_section(cut, {"a": system}).html) for system in (one, two)
    ]  # fmt: skip
    assert heads[0] == heads[1] and len(set(heads[0])) == 4
    assert "Items of the history are left out" in histories_section(cut, {"a": one}, exclude_seen=True).html


def test_an_item_again_and_again_is_one_line():
    events = Events.from_histories([["a", "a", "a", "b", "a", "b"], ["b", "a", "b", "a"]])
    html = histories_section(split(events, "loo"), {"most": Popularity().fit(events)}, users=[0], k=1).html
    assert "<ul><li>a<small>3 times</small></li><li>b</li><li>a</li></ul>" in html


def test_claims_show_verdicts_and_problems():
    claim = Claim(name="C1", says=EVIL, source="Table 1", expect=Bound(figure="ms"), measure=lambda size: {})
    finding = Bound(figure="ms", at_most=2).finding([{"ms": np.array([1.2, 1.25, 1.3])}], same_units=True)
    results = [Result(claim, "cpu", finding, 1, 0.5), Result(claim, "cpu", None, 1, 0.5, "ValueError: no card")]
    words = "".join(Balanced(claims_section(results).html).words)
    assert "ms 1.25 [1.1" in words and "holds" in words and "ValueError: no card" in words
    assert "not measured" in words and EVIL in words


def test_a_picture_tells_what_it_shows():
    figure = Figure()
    figure.subplots().plot([1, 2])
    assert f'alt="{text(EVIL)}"' in picture(figure, EVIL)


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="it is a folder; name a file"):
        write_report(tmp_path, "t", [])


def test_pictures_stand_in_rows_and_lines_in_a_chart_whatever_they_are_called():
    tiles = gallery([(b"1", EVIL), (b"2", "two")], width="5rem")
    drawn = curve([("a", [1, 2], [0.1, 0.2]), (EVIL, [1, 2], [0.3, 0.4])], x="steps", y="right", told=EVIL)
    whole = page("t", [Section("s", tiles + drawn)])
    assert whole.count("<figure") == 3 and "<script>" not in whole and "&lt;script&gt;" in whole
    Balanced(whole)
