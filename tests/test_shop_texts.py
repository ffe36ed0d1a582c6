"""The shop's texts: tables that fit the item, words that say just what is marked, and English that agrees."""

import re
from collections import Counter

import polars as pl
import pytest
import sacrebleu

from tenfold.shop.catalog import draw_catalog
from tenfold.shop.facts import ATTRIBUTES, Cell, clash, forms, possible, product, said, table
from tenfold.shop.grammar import Ways, ways
from tenfold.shop.options import Options
from tenfold.shop.splits import SPLITS
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.texts import LONGEST, SHORTEST, STYLES, Writer, draw, tokens
from tenfold.shop.traits import CATEGORIES, PAIRS

USUAL = Options(seed=3)


@pytest.fixture(scope="module")
def usual():
    return draw(USUAL, 0, USUAL.texts)


@pytest.fixture(scope="module")
def several(usual):
    """Texts of several shops, as rows."""
    others = [draw(Options(seed=seed, items=700, texts=1_400, invented=0.4), 0, 1_400) for seed in (1, 2**40)]
    return [row for frame in (usual, *others) for row in frame.iter_rows(named=True)]


# A reader of its own: text and value in one plain spelling, then a search for whole words

WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS = {word: str(number) for number, word in enumerate(WORDS, 2)}
PLAIN_SPELLINGS = [
    ("-", " "), (r"\b(\d+(\.\d+)?) by ", r"\1 x "), (r"(?<=\d) euros\b", " euro"), (r"€([\d,.]+\d)", r"\1 euro"),
    (r"\beur ([\d,.]+\d)", r"\1 euro"), (r" per cent\b", "%"), (r" up to ", " to "), (r"\bminus ", "minus"),
    (r"degrees celsius", "°c"), (r"grams per square metre", "g/m²"), (r"\bcentimetres?\b", "cm"),
    (r"\bmillimetres?\b", "mm"), (r"\bmetres?\b", "m"), (r"\bkilogram\b|\bkilograms\b|\bkilos?\b", "kg"),
    (r"\bgrams?\b", "g"), (r"\bmillilitres?\b", "ml"), (r"\bwatts?\b", "w"), (r"\bperson\b", "people"),
    (r"\b(litre|hour|lumen|year|inch|button|pocket|cup)(e?s)?\b", r"\1"), (r"\b24 months\b", "2 year"),
    (r"\b36 months\b", "3 year"), (r"\bstripes\b", "striped"), (r"\bchecks\b", "checked"), (r"\bdots\b", "dotted"),
    (r"\bflowers\b", "floral"), (r"\bmarbling\b", "marbled"), (r"\bwoollen\b", "wool"), (r"\bhooded top\b", "hoodie"),
    (r"\btrainers\b", "sneakers"), (r"\bcarpet\b", "rug"), (r"\bovercoat\b", "coat"), (r"\bgym bag\b", "sports bag"),
    (r"\bmachine wash(ed|able)\b", "machine wash"), (r"\bhand washed cold\b|\bhand washable\b", "hand wash cold"),
    (r"\bdishwasher safe\b", "wash in the dishwasher"),
    (r"\b(dry |sponge )?(clean|dust|polish|wash|brush|rins|wip)e?d (?=with|when|in the)", r"\1\2 "),
    (r"\brins (?=with)", "rinse "), (r"\bwip (?=with)", "wipe "), (r"\b(dry|sponge) cleaned\b", r"\1 clean"),
    (r"\b(straight) sided\b|\b(duffel|sling|boater|backpack|messenger|runner) style\b", r"\1\2"),
]  # fmt: skip


def plain(text):
    text = text.lower().replace("-", "minus", 1) if re.fullmatch(r"-\d+ °C", text) else text.lower()
    text = re.sub(r"(?<= )-(?=\d+ °c)", "minus", text)
    text = re.sub(r"\b(" + "|".join(NUMBERS) + r")\b", lambda word: NUMBERS[word[1]], text)
    for pattern, spelling in PLAIN_SPELLINGS:
        text = re.sub(pattern, spelling, text)
    return text


def reads(text, value):
    """`text` is in its plain spelling."""
    return re.search(rf"(?<![\w])(?<!\d[.,]){re.escape(plain(value))}(?!\w)(?![.,]\d)", text) is not None


def test_what_is_marked_is_what_can_be_read(several):
    for row in several:
        text = plain(row["text"])
        for cell in row["table"]:
            assert reads(text, cell["value"]) == cell["said"], (row["text"], cell)
        for fact in row["invented"]:
            assert reads(text, fact["value"]), (row["text"], fact)


def test_the_matcher_finds_what_is_said_where_it_is_marked(several):
    for row in several:
        for fact in (*row["table"], *row["invented"]):
            cell, told = Cell(fact["attribute"], fact["value"]), fact.get("said", True)
            assert said(row["text"], cell) == ((fact["start"], fact["end"]) if told else None)
            words = row["text"][fact["start"] : fact["end"]].lower()
            assert not told or words in {form.lower() for role in forms(cell).values() for form in role}


def test_the_matcher_reads_whole_words_and_numbers():
    weight, colour, price = Cell("weight", "2 kg"), Cell("colour", "sand"), Cell("price", "€12.95")
    assert said("It weighs 2 kg.", weight) == (10, 14)
    assert said("2 Kilos of it", weight) == (0, 7)
    assert [said(text, weight) for text in ("1.2 kg", "22 kg", "2 kgs", "1,2 kg", "2 kg-bag", "12-2 kg")] == [None] * 6
    assert said("thousand sandals, Sand", colour) == (18, 22)
    assert said("for 12.95 euros", price) == (4, 15) and said("for 112.95 euros or €12.955", price) is None
    assert said("A two-year and a 2-year warranty", Cell("warranty", "2 years")) == (2, 10)
    assert said("down to -12 °C", Cell("comfort temperature", "12 °C")) is None
    assert said("a 40 x 40 cm cushion of 40 by 40 centimetres", Cell("size", "40 x 40 cm")) == (2, 12)


def test_what_is_invented_is_not_in_the_table(several):
    kinds = Counter()
    for row in several:
        assert len(row["invented"]) <= 1
        for fact in row["invented"]:
            had = [cell for cell in row["table"] if cell["attribute"] == fact["attribute"]]
            assert all(not cell["said"] and cell["value"] != fact["value"] for cell in had)
            assert fact["value"] not in [cell["value"] for cell in row["table"]]
            kinds[bool(had)] += 1
    assert min(kinds.values()) > 200  # contradictions of the table, and what the table lacks


def test_facts_are_invented_as_often_as_asked():
    def rate(share):
        return draw(Options(seed=5, texts=1_500, invented=share), 0, 1_500)["invented"].list.len().mean()

    assert rate(0.0) == 0 and rate(1.0) == 1
    assert abs(rate(0.1) - 0.1) < 0.04  # 5 sigma of 1,500 texts


# Tables


def test_tables_agree_with_the_catalogue():
    options = Options(seed=4, items=1_000)
    catalog = draw_catalog(options).frame()
    sizes, differ = Counter(), set()
    for item, row in enumerate(catalog.iter_rows(named=True)):
        cells = table(options, item)
        named = dict(cells)
        assert len(named) == len(cells)
        assert [cell.attribute for cell in cells] == [a for a in ATTRIBUTES if a in named]
        for attribute in ("brand", "category", "cut", "colour", "pattern", "material"):
            assert named[attribute] == row[attribute]
        assert named.get("season", "all year") == row["season"]
        assert float(named["price"][1:].replace(",", "")) == pytest.approx(row["price"])
        differ.add((row["category"], frozenset(possible(row["category"]))))
        sizes[len(cells)] += 1
    assert set(sizes) == set(range(8, 17))
    assert len({attributes for _, attributes in differ}) > 20  # of 24 categories


def test_names_and_numbers_are_the_item_s_own():
    cells = [dict(table(USUAL, item)) for item in range(2_000)]
    for attribute, least in (("model", 0.9), ("article number", 0.98), ("designer", 0.75)):
        values = [named[attribute] for named in cells if attribute in named]
        assert len(set(values)) > least * len(values) > 200


def test_no_cell_s_words_stand_within_another_s():
    for seed in (1, 2, 3):
        for item in range(1_500):
            cells = table(Options(seed=seed), item)
            assert not any(clash(a, b) for i, a in enumerate(cells) for b in cells[:i]), cells
    assert clash(Cell("length", "30 cm"), Cell("size", "20 x 30 cm"))


# The same values, whatever else is drawn


def test_parts_make_the_whole(usual):
    assert pl.concat([draw(USUAL, *rows) for rows in ((0, 1), (1, 203), (203, 500))]).equals(usual[:500])


def test_more_items_and_texts_change_no_text():
    few = draw(Options(seed=9, items=60, users=20, texts=150), 0, 150)
    many = draw(Options(seed=9, items=70, users=31, texts=290, scenes=10), 0, 290)
    assert few.join(many, on=few.columns, how="semi", maintain_order="left").equals(few)
    assert table(Options(seed=9, items=60), 7) == table(Options(seed=9, items=70), 7) != table(Options(seed=10), 7)
    names = [dict(table(Options(seed=seed), 7))["model"] for seed in range(9, 19)]
    assert len(set(names)) == 10
    other = draw(Options(seed=10, items=60, users=20, texts=150), 0, 150)
    assert not set(other["text"]) & set(few["text"])


@pytest.mark.parametrize(("items", "texts"), [(1, 1), (1, 9), (5, 3), (24, 24)])
def test_small_shops_have_texts(items, texts):
    frame = draw(Options(items=items, categories=min(items, 24), users=1, events=1, texts=texts), 0, texts)
    assert len(frame) == texts == frame["text_id"].n_unique() == frame["text"].n_unique()
    assert draw(Options(items=items, categories=items, users=1, events=1, texts=texts), 0, 0).schema == frame.schema


def test_a_text_is_in_the_split_of_its_item(usual):
    catalog = draw_catalog(USUAL)
    expected = [SPLITS[catalog.split[int(item[1:])]] for item in usual["item"]]
    assert usual["split"].to_list() == expected and len(set(expected)) == 3
    assert usual.group_by("item").agg(pl.col("split").n_unique())["split"].max() == 1


# What there is to learn, and that it reads well


def test_lengths_and_styles_are_spread(usual):
    lengths = sorted(tokens(text) for text in usual["text"])
    assert lengths[0] >= SHORTEST and lengths[-1] <= LONGEST
    assert lengths[250] < 16 and lengths[2_500] < 45 and lengths[-250] > 70  # of 5,000
    assert tokens("It isn't 1.5 kg: a two-year warranty, €9.95!") == 12
    shares = Counter(usual["style"])
    assert [round(shares[style] / 5_000, 1) for style in STYLES] == [0.5, 0.2, 0.3]
    cells = usual["table"].explode().struct.field("said")
    assert 0.5 < cells.mean() < 0.85


def test_sentences_have_many_skeletons(usual):
    assert usual["skeleton"].n_unique() >= 2_000
    masked = set()
    for row in usual.iter_rows(named=True):
        text = row["text"]
        for fact in sorted((*row["table"], *row["invented"]), key=lambda fact: -fact["start"]):
            if fact["start"] >= 0:
                text = text[: fact["start"]] + fact["attribute"] + text[fact["end"] :]
        masked.add(text)
    assert len(masked) >= 2_000


def test_printing_the_cells_is_no_description(usual):
    references = [usual["text"].to_list()]
    for printed in ("{attribute} {value}", "{attribute}: {value},", "{value}", "{value},"):
        guesses = [" ".join(printed.format(**cell) for cell in row) for row in usual["table"]]
        assert sacrebleu.corpus_bleu(guesses, references).score < 30
    right = [text.replace(" is ", " was ") for text in references[0]]
    assert sacrebleu.corpus_bleu(right, references).score > 80


def test_english_agrees(several):
    for text in (text for row in several for text in (row["text"], row["title"])):
        assert not re.search(r"[{}\[\]<>|@]|  | [.,;!?]|[.!?,;]{2}|\ba (8|11|18)\b|[.!?] [a-z]", text), text
        assert not re.search(r"\ba(?= [aeiou8])|\ban(?= [b-df-hj-np-tv-z2-79])", text, re.IGNORECASE), text
        assert not re.search(r"\b(it|this) (are|have|come|weigh|hold|cost|go)\b", text, re.IGNORECASE), text
        assert not re.search(r"\b(they|these) (is|has|comes|weighs|holds|costs|goes)\b", text, re.IGNORECASE), text
        assert text[0].isupper() or text[0].isdigit(), text
    plural = "|".join((*PAIRS, "trainers"))
    for row in several:
        text = row["text"].replace("a pair of ", "").replace("Count them", "")
        assert not re.search(rf"\b(a|an|this) ([\w-]+ )?({plural})\b", text), text
        assert not re.search(rf"\b({plural}) (is|has|comes|weighs|costs)\b", text), text
        category = next(cell["value"] for cell in row["table"] if cell["attribute"] == "category")
        assert category in PAIRS or not re.search(r"\b(they|these|them)\b", text, re.IGNORECASE), text


def test_every_phrase_can_be_said():
    """Of each category the cells of many tables, in each way that the grammar has for them."""
    options = Options(seed=8, items=600)
    heard = set()
    for item in range(600):
        category, cells = product(options, item).category, table(options, item)
        for cell in cells:
            if cell.attribute == "category" or (category, cell.attribute) in heard:
                continue
            heard.add((category, cell.attribute))
            for place in Ways._fields:
                for phrase in getattr(ways(cell, category), place):
                    writer = Writer(Draws(8, Kind.TEXT, item), cells, "plain")
                    writer.say(phrase)
                    assert said(writer.text, cell) == writer.spans[cell.attribute], (writer.text, cell)
            assert ways(cell, category).does and ways(cell, category).notes
    assert len({category for category, _ in heard}) == len(CATEGORIES)
    assert {attribute for _, attribute in heard} == set(ATTRIBUTES) - {"category"}
