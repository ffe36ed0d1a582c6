"""The texts of the shop: a title and a description of an item, beside its table with what is said of it, and where.

A stochastic grammar (grammar.py) chooses which facts to tell, orders and merges them and words them. Some texts tell a
fact that their table does not have, as a careless seller does; it is marked.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from tenfold.files import digest
from tenfold.shop.catalog import item_ids, pick
from tenfold.shop.facts import Cell, Product, clash, drawn_cell, forms, possible, product, said, table
from tenfold.shop.grammar import (
    BESIDE_THE_NOUN,
    CLOSINGS,
    LEADS,
    NOTE_OPENINGS,
    OPENINGS,
    THEME_CLOSINGS,
    THEME_OF,
    TITLES,
    ways,
)
from tenfold.shop.options import Options
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS, shares
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import PAIRS

STYLES = ("plain", "terse", "marketing")
SHARES = (0.5, 0.2, 0.3)  # of the styles
SHORTEST, LONGEST = 8, 100  # tokens of a text
LENGTHS = {"plain": (6, 90), "terse": (6, 58), "marketing": (8, 90)}  # tokens after which a text may end
TEXTS_OF_AN_ITEM = 4096  # more than an item has, so that each has a stream of its own

TOPICS = (
    ("colour", "pattern", "cut", "material", "lining", "filling"),
    ("brand", "model", "designer", "origin"),
    ("care", "season", "recycled content", "fabric weight"),
    ("price", "warranty", "article number"),
)  # told together; measures are a topic, too
TOPIC_OF = {attribute: topic for topic, attributes in enumerate(TOPICS) for attribute in attributes}
LEFT_OUT = 0.3  # of the facts, at most, however long the text
SHAPES = (
    ("does", "does twice", "does thrice", "aside, does", "aside, does twice", "does, with", "states", "states twice",
     "does, states"),
    (0.18, 0.22, 0.08, 0.14, 0.07, 0.1, 0.08, 0.06, 0.07),
)  # fmt: skip  # of sentences, and how often they come
LEADING = {"plain": 0.06, "marketing": 0.3}  # sentences that begin with "besides" and the like
CLOSES = {"plain": 0.15, "marketing": 0.5}  # texts that end in pleasantries
LOOKS = {"cut": 0.5, "colour": 0.6, "pattern": 0.5, "material": 0.6, "season": 0.12, "capacity": 0.2, "sleeps": 0.3}

# How phrases are written (grammar.py), and what of them is decided when they are said.
TOKEN = re.compile(r"\w+(?:[-.,']\w+)*|[^\w\s]")
SLOT = re.compile(r"\{([^}:]*):?([^}]*)\}")
PART = re.compile(r"(\{[^}]*\}|\[[^]]*\])")
BLANK = re.compile(r"<([^>]*)>")
ARTICLE = re.compile(r"@(?= )")
AN = re.compile(r" (?:[aeiou]|8|1[18](?!\d))", re.IGNORECASE)  # what "an" stands before: orange, 80, 18
AFTER_A_QUESTION = re.compile(r"(?<=\? )[a-z]")
TAIL_ORDER = ("by", "from", "of", "in", "for", "with", "at")

CELL = {"attribute": pl.String, "value": pl.String}
SPAN = {"start": pl.Int64, "end": pl.Int64}
SCHEMA: dict[str, Any] = {
    "text_id": pl.String,
    "item": pl.String,
    "style": pl.String,
    "title": pl.String,
    "text": pl.String,
    "table": pl.List(pl.Struct({**CELL, "said": pl.Boolean, **SPAN})),
    "invented": pl.List(pl.Struct({**CELL, **SPAN})),
    "skeleton": pl.String,
    "split": pl.String,
}


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """The texts first .. last - 1: text_id, item, style, title, text, table, invented, skeleton, split.

    table has all cells of the item in order: attribute, value, said, and where in `text` the words stand that say it,
    in characters (-1 and -1 if none do). invented has the facts of the text that are not in the table. skeleton stands
    for the text with the words of each fact replaced by its attribute: texts of one skeleton have the same.
    """
    owner, number = (column[first:last] for column in shares(options.texts, options.items))
    written = [write(options, item, n) for item, n in zip(owner.tolist(), number.tolist(), strict=True)]
    ids = item_ids(options.items).gather(owner)
    columns: dict[str, Any] = {
        "text_id": [f"t{item:05d}-{n}" for item, n in zip(owner.tolist(), number.tolist(), strict=True)],
        "item": ids,
        **{name: [getattr(text, name) for text in written] for name in Written._fields},
        "split": pick(SPLITS, ground(options).catalog.split[owner]),
    }
    return pl.DataFrame(columns, schema=SCHEMA)


class Written(NamedTuple):
    """A text as a row of the table has it."""

    style: str
    title: str
    text: str
    table: list[dict[str, Any]]
    invented: list[dict[str, Any]]
    skeleton: str


def write(options: Options, item: int, number: int) -> Written:
    """The item's text of this number: of the descriptions that come to mind the first that says what it means to.

    One is refused if a fact that it does not tell could be read out of it, such as the cut tall out of "9 cm tall".
    """
    draws = Draws(options.seed, Kind.TEXT, item * TEXTS_OF_AN_ITEM + number)
    of, cells = product(options, item), table(options, item)
    style = draws.pick(STYLES, SHARES)
    invents = draws.happens(options.invented)
    length = draws.uniform(*LENGTHS[style])
    while True:
        invented = _invented(draws, of, cells) if invents else None
        told = [cell for cell in cells if invented is None or cell.attribute != invented.attribute]
        writer = Writer(draws, [*told, invented] if invented else told, style)
        writer.describe(length)
        if writer.means(cells, invented):
            break
    text, spans = writer.text, writer.spans
    places = [
        (-1, -1) if invented and cell.attribute == invented.attribute else spans.get(cell.attribute, (-1, -1))
        for cell in cells
    ]
    return Written(
        style=style,
        title=_title(draws, cells, style),
        text=text,
        table=[
            {**cell._asdict(), "said": start >= 0, "start": start, "end": end}
            for cell, (start, end) in zip(cells, places, strict=True)
        ],
        invented=[{**invented._asdict(), "start": spans[invented.attribute][0], "end": spans[invented.attribute][1]}]
        if invented
        else [],
        skeleton=digest(writer.skeleton.encode()),
    )


def tokens(text: str) -> int:
    """Words, numbers and punctuation marks."""
    return len(TOKEN.findall(text))


def _invented(draws: Draws, of: Product, cells: Sequence[Cell]) -> Cell:
    """Another value of an attribute of the table, or a value of one that it lacks; not to be mistaken for any cell."""
    has = [cell.attribute for cell in cells if cell.attribute not in ("category", "model")]
    lacks = [attribute for attribute in possible(of.category) if attribute not in has and attribute != "model"]
    while True:
        cell = drawn_cell(draws, draws.pick(lacks if lacks and draws.happens(0.4) else has), of)
        if not any(clash(cell, other) for other in cells):
            return cell


def _title(draws: Draws, cells: Sequence[Cell], style: str) -> str:
    writer = Writer(draws, cells, style)
    writer.queue = list(cells)
    writer.say(writer.fill(draws.pick(TITLES[style])), stop="")
    return writer.text


class Writer:
    """A text in the making. Phrases are filled (<a NP>), then said ({colour}, [is|are], @) piece by piece."""

    def __init__(self, draws: Draws, cells: Sequence[Cell], style: str) -> None:
        self.draws, self.style = draws, style
        self.cells = {cell.attribute: cell for cell in cells}
        self.category = self.cells["category"].value
        self.plural = self.category in PAIRS
        self.text, self.skeleton = "", ""
        self.spans: dict[str, tuple[int, int]] = {}  # where each attribute was first said
        self.words: dict[str, str] = {}  # the form chosen for what may be said again
        self.length = 0.0  # tokens after which the text may end
        self.queue: list[Cell] = []  # facts still to tell, in this order
        self.last_subject: tuple[str, bool] | None = None

    def means(self, cells: Sequence[Cell], invented: Cell | None) -> bool:
        """Whether a reader finds just the facts that were told, where they were told, in a text of a good length."""
        told = {cell: self.spans.get(cell.attribute) for cell in cells}
        if invented is not None:
            told |= {cell: None for cell in cells if cell.attribute == invented.attribute}
            told[invented] = self.spans.get(invented.attribute)
            if told[invented] is None:
                return False
        fits = SHORTEST <= tokens(self.text) <= LONGEST
        return fits and all(said(self.text, cell) == span for cell, span in told.items())

    # What is told

    def describe(self, length: float) -> None:
        self.length, self.queue = length, self.order()
        if self.style == "terse":
            self.note()
            return
        self.open()
        while tokens(self.text) < self.length and self.queue:
            self.go_on()
        if tokens(self.text) < SHORTEST or self.draws.happens(CLOSES[self.style]):
            self.say(self.draws.pick(CLOSINGS[self.style] + THEME_CLOSINGS[THEME_OF[self.category]]), stop=self.mark())

    def order(self) -> list[Cell]:
        """The facts that may be told, those of a topic mostly together; some of them are left out."""
        bases = [self.draws.uniform() for _ in range(len(TOPICS) + 1)]
        left_out = self.draws.uniform(0, LEFT_OUT)
        places = []
        for cell in self.cells.values():
            place = bases[TOPIC_OF.get(cell.attribute, len(TOPICS))] + self.draws.uniform(0, 0.4)
            if cell.attribute != "category" and not self.draws.happens(left_out):
                places.append((place, cell))
        return [cell for _, cell in sorted(places)]

    def open(self) -> None:
        left = {cell.attribute for cell in self.queue} | {"category"}
        openings = [o for o in OPENINGS[self.style] if left.issuperset(attribute for attribute, _ in SLOT.findall(o))]
        self.say(self.fill(self.draws.pick(openings)), stop=self.mark())

    def go_on(self) -> None:
        """One more sentence, of one to three facts."""
        draws = self.draws
        if self.style == "marketing" and draws.happens(0.4) and (pitch := self.take("pitches")):
            self.say(pitch, stop=self.mark())
            return
        lead = draws.pick(LEADS[self.style]) if draws.happens(LEADING[self.style]) else ""
        shape = draws.pick(*SHAPES) if tokens(self.text) < LONGEST - 30 else "does"
        aside = self.take("aside") if shape.startswith("aside") and not lead else ""
        states = self.take("states") if "states" in shape else ""
        if shape == "states" and states:
            self.say(states)
            return
        if shape == "states twice" and states and (more := self.take("states")):
            self.say(states + draws.pick(("; ", ", and ", " and ")) + more)
            return
        does = self.verbs({"does twice": 2, "aside, does twice": 2, "does thrice": 3}.get(shape, 1), beside=aside)
        if not does:
            self.say(states or aside)  # it was the last fact
            return
        subject, plural = self.subject()
        sentence = f"{aside}, {subject} {does}" if aside else f"{lead}{subject} {does}"
        measured = not any(attribute in TOPIC_OF for attribute, _ in SLOT.findall(does))
        if shape == "does, with" and measured and (tails := self.tails(1 + draws.below(2), only="with")):
            sentence += "," + tails
        if states:
            sentence += f", and {states}"
        self.say(sentence, plural=plural, stop="?" if "did " in lead else ".")

    def note(self) -> None:
        """Facts without sentences, named or not, between commas, dots or the like."""
        draws = self.draws
        named = draws.happens(0.3)
        between = draws.pick((", ", ". ", "; ", " / "), (0.4, 0.35, 0.15, 0.1))
        left = {cell.attribute for cell in self.queue} | {"category"}
        openings = [o for o in NOTE_OPENINGS if left.issuperset(attribute for attribute, _ in SLOT.findall(o))]
        self.say(self.fill(draws.pick(openings)), stop="")
        while tokens(self.text) < max(self.length, SHORTEST) and self.queue:
            joint = ". " if draws.happens(0.15) else between
            if named:
                attribute = self.queue.pop(0).attribute
                self.say(f"{attribute}: {{{attribute}}}", joint=joint, stop="")
            else:
                self.say(self.take("notes"), joint=joint, stop="")
        self.text += "."

    # Phrases

    def take(self, place: str, avoid: Sequence[str] = (), only: str = "") -> str:
        """A phrase of one of the next facts to tell, not begun by what is to be avoided; empty if there is none."""
        for number, cell in enumerate(self.queue[:5]):
            phrases = [
                phrase
                for phrase in getattr(ways(cell, self.category), place)
                if phrase.startswith(only) and _beginning(phrase) not in avoid
            ]
            if phrases:
                del self.queue[number]
                return self.draws.pick(phrases)
        return ""

    def verbs(self, count: int, beside: str = "") -> str:
        """What the product is, has or does, up to `count` facts: "is made in Orvik, weighs 90 g and costs €12.95".

        `beside` is the aside of the same sentence, whose first word is not said again: "made in Orvik, it is made of".
        """
        found: list[str] = []
        while len(found) < count:
            begun = [_beginning(phrase) for phrase in found] + [f"[is|are] {_beginning(beside)}"]
            phrase = self.take("does", avoid=begun)
            if not phrase:
                break
            found.append(phrase)
        if len(found) > 1 and all(phrase.startswith("[is|are] ") for phrase in found) and self.draws.happens(0.7):
            found[1:] = [phrase.removeprefix("[is|are] ") for phrase in found[1:]]
        return _listed(found)

    def tails(self, count: int, *, only: str = "", avoid: Sequence[str] = ()) -> str:
        """Up to `count` facts behind a noun: " in navy with 3 pockets and a satin lining"."""
        found: list[str] = []
        while len(found) < count:
            begun = [_beginning(phrase) for phrase in found]
            phrase = self.take("tail", [*avoid, *(word for word in begun if word != "with")], only)
            if not phrase:
                break
            found.append(phrase)
        having = [phrase.removeprefix("with ") for phrase in found if phrase.startswith("with ")]
        merged = [phrase for phrase in found if not phrase.startswith("with ")]
        merged += ["with " + _listed(having)] if having else []
        return "".join(
            f" {phrase}" for phrase in sorted(merged, key=lambda phrase: TAIL_ORDER.index(_beginning(phrase)))
        )

    def fill(self, template: str) -> str:
        """The template with its blanks filled, from facts that are then told."""
        named = {attribute for attribute, _ in SLOT.findall(template)}
        self.queue = [cell for cell in self.queue if cell.attribute not in named]
        return BLANK.sub(lambda blank: self.blank(blank[1]), template)

    def blank(self, what: str) -> str:
        draws = self.draws
        match what:
            case "more":
                if self.length < 15:
                    return ""
                tails = self.tails(draws.pick((0, 1, 2), (0.35, 0.4, 0.25)), avoid=("by", "from"))
                first = self.take("aside") if draws.happens(0.45) else ""
                second = self.take("aside", avoid=(_beginning(first),)) if first and draws.happens(0.4) else ""
                return tails + (f", {_listed([first, second] if second else [first])}" if first else "")
            case "aside":
                return self.take("aside") or "as always"
            case "does" | "does twice":
                return self.verbs(2 if "twice" in what else 1) or "[is|are] here to stay"
            case "singular does":
                return re.sub(r"\[([^|]*)\|[^]]*\]", r"\1", self.verbs(1)) or "is here to stay"
        bare = self.noun_phrase()
        if what == "this NP":
            return f"[this|these] {bare}"
        if what == "one NP" and self.plural:
            return f"a pair of {bare}"
        return bare if what == "bare NP" or self.plural else f"@ {bare}"

    def noun_phrase(self) -> str:
        """The category with some looks in front of it: "long navy striped wool scarf"."""
        looks = set()
        for cell in list(self.queue):
            if self.draws.happens(LOOKS.get(cell.attribute, 0.0)):
                looks.add(cell.attribute)
                self.queue.remove(cell)
        plain = self.cells["pattern"].value == "plain"
        compound = "cut" in looks and self.cells["cut"].value in BESIDE_THE_NOUN
        order = (
            "{sleeps:attr}", "{capacity:attr}", "" if compound else "{cut:attr}", "{pattern}" if plain else "",
            "{colour:attr}", "" if plain else "{pattern}",
            "{material:attr}", "{season}", "{cut:attr}" if compound else "",
        )  # fmt: skip
        return " ".join([*(s for s in order if s and SLOT.findall(s)[0][0] in looks), "{category}"])

    def subject(self) -> tuple[str, bool]:
        """The product as the subject of a sentence, and whether it takes the plural."""
        known = "category" in self.spans
        at_first = self.last_subject is None
        choices = [("they" if known and self.plural else "it", known and self.plural)] * 5
        if known:
            choices += [("the {category}", self.plural)] * 2
        if known and not at_first:
            choices += [("[this|these] {category}", self.plural)]
        if "model" in self.spans and not at_first:
            choices += [("the {model}", False)]
        subject = self.draws.pick(
            [choice for choice in choices if choice != self.last_subject or choice in choices[:1]]
        )
        self.last_subject = subject
        return subject

    def mark(self) -> str:
        return "!" if self.style == "marketing" and self.draws.happens(0.35) else "."

    # Words

    def say(self, phrase: str, *, plural: bool | None = None, joint: str = " ", stop: str = ".") -> None:
        """Put a filled phrase into words behind the text."""
        if plural is None:
            plural = self.plural
        begins = not self.text or joint in (" ", ". ")
        pieces: list[tuple[str, str]] = []  # words, and the attribute that they say
        for part in PART.split(phrase):
            if part.startswith("{"):
                ((attribute, role),) = SLOT.findall(part)
                pieces.append((self.word(attribute, role or "value"), attribute))
            elif part.startswith("["):
                pieces.append((part[1:-1].split("|")[plural], ""))
            elif part:
                pieces.append((part, ""))
        after = ""
        for place in reversed(range(len(pieces))):
            words, attribute = pieces[place]
            if "@" in words:
                words = _with_articles(words, after)
                pieces[place] = words, attribute
            after = words + after
        self.text += joint if self.text else ""
        self.skeleton += joint + SLOT.sub(r"{\1}", phrase)
        for place, (words, attribute) in enumerate(pieces):
            if (place == 0 and begins) or self.text.endswith("? "):
                words = words[0].upper() + words[1:]
            words = AFTER_A_QUESTION.sub(lambda letter: letter[0].upper(), words)
            if attribute:
                self.spans.setdefault(attribute, (len(self.text), len(self.text) + len(words)))
            self.text += words
        self.text += "" if self.text.endswith("?") else stop

    def word(self, attribute: str, role: str) -> str:
        """One of the cell's forms; what may be named again keeps its name."""
        if attribute in self.words:
            return self.words[attribute]
        usual, *others = forms(self.cells[attribute])[role]
        word = self.draws.pick(others) if others and self.draws.happens(0.4) else usual
        if attribute in ("category", "model", "brand"):
            self.words[attribute] = word
        return word


def _with_articles(words: str, after: str) -> str:
    """Each @ replaced by a or an, which depends on the words behind it, of which the last ones may be in `after`."""
    behind = words + after
    return ARTICLE.sub(lambda at: "an" if AN.match(behind, at.end()) else "a", words)


def _beginning(phrase: str) -> str:
    """What two phrases side by side must not share: the first word, or two if the first is a form of "be"."""
    first, _, rest = phrase.partition(" ")
    return f"{first} {rest.partition(' ')[0]}" if first == "[is|are]" else first


def _listed(phrases: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join([*([", ".join(phrases[:-1])] if phrases[1:] else []), *phrases[-1:]])
