"""Questions about what a customer did, asked when the events are past: answers, and the events that hold them.

A question is drawn by what it should be, an answer and how far back the evidence lies, and looked for among things that
the customer met. So answers are about equally frequent, and the last tenth of the stream seldom gives the right one
unless all of the evidence lies in it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenfold.shop.catalog import MATERIALS, START, Catalog, Numbers, user_ids
from tenfold.shop.options import Options
from tenfold.shop.simulation import draw_shard, ground
from tenfold.shop.splits import SPLITS, shares, splits
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import ACTIONS, BRANDS, CATEGORIES, COLOURS, PAIRS

Column = NDArray[Any]

NUMBERS = 4096  # of a customer's questions, in the rows of streams
TRIES = 80  # candidates looked at for one question
CUSTOMERS = 256  # whose events are drawn at a time
CHOICES = MANY = 6  # answers to choose from, where there are more than these
RECENT = 0.6  # of those whose evidence lies further back: how often about what was met in the last tenth again
MIDWAY = 0.15  # asked before the stream has ended


class Noun(NamedTuple):
    one: str
    many: str
    categories: tuple[str, ...]
    pair: bool  # one of them is a pair, and "were"


PLURALS = {"scarf": "scarves", "sundress": "sundresses"} | {name: name for name in PAIRS}
NAMES = tuple(c.name for c in CATEGORIES)
GROUPS = (
    Noun("hat", "hats", ("beanie", "cap", "sun hat"), False),
    Noun("shoes", "shoes", ("sneakers", "sandals", "running shoes"), True),
    Noun("bag", "bags", ("briefcase", "sports bag"), False),
    Noun("light", "lights", ("lantern", "lamp"), False),
    Noun("top", "tops", ("shirt", "hoodie"), False),
)
NOUNS = (
    *(Noun(name, PLURALS.get(name, name + "s"), (name,), name in PAIRS) for name in NAMES),
    *GROUPS,
    Noun("thing", "things", NAMES, False),
)
THING = len(NOUNS) - 1
GROUP_OF = {NAMES.index(name): len(NAMES) + row for row, group in enumerate(GROUPS) for name in group.categories}
HOLDS = np.array([[name in noun.categories for name in NAMES] for noun in NOUNS])  # (nouns, categories)
WORDS = {
    "colour": COLOURS,
    "material": MATERIALS,
    "brand": tuple(b.name for b in BRANDS),
    "category": NAMES,
}


class Stream(NamedTuple):
    """L events of a customer, or of several one after another; columns of numbers into WORDS."""

    item: Column
    action: Column
    month: Column  # of the calendar, since the shop opened
    category: Column
    colour: Column
    material: Column
    brand: Column

    def part(self, first: int, last: int | None = None) -> "Stream":
        return Stream(*(column[first:last] for column in self))


class Thing(NamedTuple):
    """What a question speaks of: any of the noun's categories, of what is named; -1 is anything."""

    noun: int
    colour: int = -1
    material: int = -1
    brand: int = -1

    def places(self, stream: Stream, action: int) -> Column:
        """Positions of the events of this action about it."""
        holds = HOLDS[self.noun][stream.category] & (stream.action == action)
        for value, column in zip(self[1:], (stream.colour, stream.material, stream.brand), strict=True):
            if value >= 0:
                holds = holds & (column == value)
        return np.flatnonzero(holds)

    def within(self, other: "Thing") -> bool:
        """Whether all that this may be the other may be too."""
        named = all(theirs in (-1, own) for own, theirs in zip(self[1:], other[1:], strict=True))
        return named and bool((HOLDS[self.noun] <= HOLDS[other.noun]).all())

    def words(self) -> dict[str, str]:
        noun = NOUNS[self.noun]
        before = f"{COLOURS[self.colour]} " if self.colour >= 0 else ""
        before += f"{MATERIALS[self.material]} " if self.material >= 0 else ""
        after = f" by {WORDS['brand'][self.brand]}" if self.brand >= 0 else ""
        one = before + noun.one + after
        return {
            "thing": one,
            "things": before + noun.many + after,
            "a_thing": f"a pair of {one}" if noun.pair else with_article(one),
            "was": "were" if noun.pair else "was",
            "it": "them" if noun.pair else "it",
        }

    def fields(self) -> dict[str, Any]:
        named = {
            name: WORDS[name][value] if value >= 0 else None
            for name, value in zip(("colour", "material", "brand"), self[1:], strict=True)
        }
        return {"categories": list(NOUNS[self.noun].categories)} | named


class Asked(NamedTuple):
    """A question without its words."""

    kind: str
    action: int
    thing: Thing = Thing(THING)
    which: str = "first"  # or last
    other_action: int = 0  # what `thing` is counted before or since
    other: Thing = Thing(THING)
    side: str = "before"  # or after; of a month, in or since
    month: int = 0
    of: str = "colour"  # or brand or category: of which there are different ones
    choices: tuple[int, ...] = ()  # categories


Found = tuple[str, list[int]]  # the answer, and the positions of its evidence


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _end(places: Column, which: str) -> int:
    return int(places[0 if which == "first" else -1])


def _colour(asked: Asked, stream: Stream) -> Found | None:
    places = asked.thing.places(stream, asked.action)
    if not len(places):
        return None
    at = _end(places, asked.which)
    return COLOURS[stream.colour[at]], [at]


def _brand(asked: Asked, stream: Stream) -> Found | None:
    places = asked.thing.places(stream, asked.action)
    often = np.bincount(stream.brand[places], minlength=1)
    if not len(places) or (often == often.max()).sum() > 1:
        return None
    return WORDS["brand"][often.argmax()], places.tolist()


def _neighbour(asked: Asked, stream: Stream) -> Found | None:
    places = asked.thing.places(stream, asked.action)
    if not len(places):
        return None
    at = _end(places, asked.which)
    others = np.flatnonzero(stream.action == asked.action)
    beside = int(np.searchsorted(others, at)) + (1 if asked.side == "after" else -1)
    if not 0 <= beside < len(others):
        return None
    other = int(others[beside])
    return NAMES[stream.category[other]], sorted((at, other))


def _order(asked: Asked, stream: Stream) -> Found | None:
    of_choices = [Thing(category).places(stream, asked.action) for category in asked.choices]
    ends = sorted(_end(places, asked.which) for places in of_choices if len(places))
    if not ends:
        return None
    return NAMES[stream.category[_end(np.array(ends), asked.which)]], ends


def _count(asked: Asked, stream: Stream) -> Found | None:
    anchors = asked.other.places(stream, asked.other_action)
    if not len(anchors):
        return None
    places, at = asked.thing.places(stream, asked.action), int(anchors[0])
    counted = places[places < at].tolist()
    return at_most(len(counted), 4), [*counted, at]


def _since(asked: Asked, stream: Stream) -> Found | None:
    anchors = asked.other.places(stream, asked.other_action)
    if not len(anchors):
        return None
    places, at = asked.thing.places(stream, asked.action), _end(anchors, asked.which)
    counted = places[places > at].tolist()
    return at_most(len(counted), 4), [at, *counted]


def _different(asked: Asked, stream: Stream) -> Found | None:
    places = asked.thing.places(stream, asked.action)
    months = stream.month[places]
    places = places[months == asked.month if asked.side == "in" else months >= asked.month]
    if not len(places):
        return None
    return at_most(len(np.unique(getattr(stream, asked.of)[places])), 5), places.tolist()


def _looks(asked: Asked, stream: Stream) -> Found | None:
    places = asked.thing.places(stream, asked.action)
    if not len(places):
        return None
    at = _end(places, asked.which)
    looks = np.flatnonzero((stream.item == stream.item[at]) & (stream.action == 0)).tolist()
    return at_most(len(looks), 5), sorted({at, *looks})


def at_most(count: int, most: int) -> str:
    return str(count) if count < most else f"{most} or more"


class Form(NamedTuple):
    """One kind of question."""

    answers: tuple[str, ...]
    near: float  # how often all of its evidence should lie in the last tenth
    solve: Callable[[Asked, Stream], Found | None]
    phrases: tuple[str, ...]


COUNTS = tuple(at_most(n, 4) for n in range(5))
FROM_ONE = tuple(at_most(n, 5) for n in range(1, 6))
FORMS = {
    "colour": Form(
        COLOURS, 0.11, _colour,
        (
            "What colour {was} the {which} {thing} that the customer {done}?",
            "Which colour did the {which} {thing} have that the customer {done}?",
            "Name the colour of the {which} {thing} that the customer {done}.",
        ),
    ),
    "brand": Form(
        WORDS["brand"], 0.3, _brand,
        (
            "Which brand's {things} did the customer {do} most often?",
            "Of all brands, whose {things} did the customer {do} most often?",
            "Name the brand whose {things} the customer {done} most often.",
        ),
    ),
    "neighbour": Form(
        NAMES, 0.08, _neighbour,
        (
            "What did the customer {do} just {side} the {which} {thing} that they {done}?",
            "Which kind of thing came just {side} the {which} {thing}, of all that the customer {done}?",
            "Of all that the customer {done}, name what came right {side} the {which} {thing}.",
        ),
    ),
    "order": Form(
        NAMES, 0.1, _order,
        (
            "Which of these did the customer {do} {at_which}: {or_choices}?",
            "Of {and_choices}, which did the customer {do} {at_which}?",
            "Name what the customer {done} {at_which}: {or_choices}.",
        ),
    ),
    "count": Form(
        COUNTS, 0.6, _count,
        (
            "How many times had the customer {done_a_thing} before they first {done_an_other}?",
            "Before the customer first {done_an_other}, how many times had they {done_a_thing}?",
            "Count the times that the customer {done_a_thing} before they first {done_an_other}.",
        ),
    ),
    "since": Form(
        COUNTS, 0.22, _since,
        (
            "How many times has the customer {done_a_thing} since they {which} {done_an_other}?",
            "Since the customer {which} {done_an_other}, how many times have they {done_a_thing}?",
            "Count the times that the customer has {done_a_thing} since they {which} {done_an_other}.",
        ),
    ),
    "different": Form(
        FROM_ONE, 0.28, _different,
        (
            "How many different {of} of {things} {did} the customer {do_or_done} {in} {month}?",
            "{In} {month}, how many different {of} of {things} {did} the customer {do_or_done}?",
            "Count the different {of} of {things} that the customer {has}{done} {in} {month}.",
        ),
    ),
    "looks": Form(
        FROM_ONE, 0.5, _looks,
        (
            "How many times in all has the customer looked at the {which} {thing} that they {done}?",
            "The {which} {thing} that the customer {done}: how many times in all have they looked at {it}?",
            "Count the customer's looks at the {which} {thing} that they {done}, all of them.",
        ),
    ),
}  # fmt: skip
KINDS = tuple(FORMS)
DO, DONE = ("look at", "put into the cart", "buy"), ("looked at", "put into the cart", "bought")
DONE_IT = ("looked at {}", "put {} into the cart", "bought {}")
PLURAL_OF = {"colour": "colours", "brand": "brands", "category": "kinds"}
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """question_id, user, position, kind, question, answer, options, asked, evidence, distance, split; 11 columns.

    position: events that had been seen when it is asked; evidence: positions, from 0, of the events that give the
    answer, for a count also of what bounds it; distance: from the first of them to `position`, 1 for the last event
    seen; options: answers to choose from. asked says what the words say, in fields: action, which (first or last),
    thing, other_action, other, side, month (2025-03), of, choices, null where a kind has none; a thing's categories,
    and its colour, material and brand where they are named. The split is the customer's.
    """
    shared = ground(options)
    owner, number = shares(options.questions, options.users)
    split = splits(options.seed, Kind.USER_SPLIT, options.users)
    ids = user_ids(options.users)
    rows = []
    for row, stream in zip(range(first, last), _streams(options, shared.catalog, owner[first:last]), strict=True):
        user = int(owner[row])
        draws = Draws(options.seed, Kind.QUESTION, user * NUMBERS + int(number[row]))
        rows.append(
            {"question_id": f"{ids[user]}-{number[row]}", "user": ids[user]}
            | _ask(draws, stream)
            | {"split": SPLITS[split[user]]}
        )
    return pl.DataFrame(rows, schema=SCHEMA)


_THING = pl.Struct({"categories": pl.List(pl.String), "colour": pl.String, "material": pl.String, "brand": pl.String})
SCHEMA: dict[str, Any] = {
    "question_id": pl.String,
    "user": pl.String,
    "position": pl.Int64,
    "kind": pl.String,
    "question": pl.String,
    "answer": pl.String,
    "options": pl.List(pl.String),
    "asked": pl.Struct(
        {
            "action": pl.String,
            "which": pl.String,
            "thing": _THING,
            "other_action": pl.String,
            "other": _THING,
            "side": pl.String,
            "month": pl.String,
            "of": pl.String,
            "choices": pl.List(pl.String),
        }
    ),
    "evidence": pl.List(pl.Int64),
    "distance": pl.Int64,
    "split": pl.String,
}


def tail_start(position: int) -> int:
    """Where the last tenth of what had been seen begins; it has at least one event."""
    return position - max(1, position // 10)


def _streams(options: Options, catalog: Catalog, owners: Numbers) -> Iterator[Stream]:
    """The whole stream of each of `owners`, which do not fall."""
    opened = np.datetime64(START, "s")
    counts = ground(options).counts
    begin = end = 0  # customers whose events are at hand
    for owner in owners.tolist():
        if owner >= end:
            begin, end = owner, min(owner + CUSTOMERS, int(owners[-1]) + 1)
            drawn = draw_shard(options, begin, end)
            months = (opened + drawn.time.astype("timedelta64[s]")).astype("datetime64[M]").astype(np.int64)
            months -= opened.astype("datetime64[M]").astype(np.int64)
            of_item = catalog.category, catalog.colour, catalog.material, catalog.brand
            several = Stream(drawn.item, drawn.action, months, *(column[drawn.item] for column in of_item))
            offsets = np.concatenate([[0], counts[begin:end].cumsum()])
        place = owner - begin
        yield several.part(offsets[place], offsets[place + 1])


def _ask(draws: Draws, stream: Stream) -> dict[str, Any]:
    """One question, in all its columns that do not name the customer."""
    position = len(stream.item)
    if draws.happens(MIDWAY):
        position -= draws.below(position // 2 + 1)
    stream = stream.part(0, position)
    asked, (answer, evidence) = _choose(draws, stream)
    form = FORMS[asked.kind]
    choices: list[str] = [NAMES[category] for category in asked.choices] or list(form.answers)
    if len(choices) > CHOICES:
        wrong = [choice for choice in choices if choice != answer]
        choices = draws.some([answer, *draws.some(wrong, CHOICES - 1)], CHOICES)
    return {
        "position": position,
        "kind": asked.kind,
        "question": draws.pick(form.phrases).format(**_words(asked)),
        "answer": answer,
        "options": choices,
        "asked": _fields(asked),
        "evidence": evidence,
        "distance": position - evidence[0],
    }


def _choose(draws: Draws, stream: Stream) -> tuple[Asked, Found]:
    """The first candidate that is as wanted; else one of the nearest answer, for a count rather from further back.

    Of another kind where there is none. One whose evidence lies further back, but which the last tenth alone answers
    rightly, is taken only where there is no other.
    """
    tail = tail_start(len(stream.item))
    latest = stream.part(tail)
    for kind in draws.some(KINDS, len(KINDS)):
        form = FORMS[kind]
        place = {answer: number for number, answer in enumerate(form.answers)}
        wanted, near = draws.pick(form.answers), draws.happens(form.near)
        recent = near or draws.happens(RECENT)
        close, distant, guessed = (dict[str, tuple[Asked, Found]]() for _ in range(3))  # by their answers
        for number in range(TRIES):
            asked = _propose(draws, stream, kind, tail if recent and 2 * number < TRIES else 0)
            found = form.solve(asked, stream) if asked else None
            if asked is None or found is None or (kind == "brand" and len(found[1]) < 2):
                continue
            pool = close
            if found[1][0] < tail:
                seen = form.solve(asked, latest)
                pool = guessed if seen is not None and seen[0] == found[0] else distant
            pool.setdefault(found[0], (asked, found))
            if found[0] == wanted and pool is (close if near else distant):
                break
        pool = distant or close or guessed
        if near and (wanted in close or len(form.answers) > MANY):  # small counts are near more often than large ones
            pool = close or pool
        if pool:
            return min(pool.values(), key=lambda candidate: abs(place[candidate[1][0]] - place[wanted]))
    return Asked("colour", 0), (COLOURS[stream.colour[0]], [0])  # a stream begins with a look


def _propose(draws: Draws, stream: Stream, kind: str, since: int) -> Asked | None:
    """A question about what the customer met from position `since` on; None where there was no such event."""
    action = draws.pick((0, 1, 2), (0.5, 0.25, 0.25))
    places = np.flatnonzero(stream.action[since:] == action) + since
    if not len(places):
        return None
    at = draws.pick(places.tolist())
    which, side = draws.pick(("first", "last")), draws.pick(("before", "after"))
    if kind == "colour":
        return Asked(kind, action, _thing(draws, stream, at, "colour"), which)
    if kind == "brand":
        return Asked(kind, action, _thing(draws, stream, at, "brand"))
    if kind == "neighbour":
        return Asked(kind, action, _thing(draws, stream, at), which, side=side)
    if kind == "looks":
        return Asked(kind, action, _thing(draws, stream, at), which)
    if kind == "order":
        met = np.unique(stream.category[places]).tolist()
        return Asked(kind, action, which=which, choices=tuple(draws.some(met, 4))) if len(met) >= 4 else None
    if kind == "different":
        of = draws.pick(("colour", "brand", "category"))
        thing = Thing(THING) if of == "category" or draws.happens(0.3) else _thing(draws, stream, at, of)
        return Asked(kind, action, thing, month=int(stream.month[at]), of=of, side=draws.pick(("in", "since")))
    counted = since + draws.below(len(stream.item) - since)
    thing, other, done = _thing(draws, stream, counted), _thing(draws, stream, at), int(stream.action[counted])
    if done >= action and thing.within(other):
        return None  # no hat is bought before the first hat is seen
    return Asked(kind, done, thing, which if kind == "since" else "first", action, other)


def _thing(draws: Draws, stream: Stream, at: int, without: str = "") -> Thing:
    """What the event at `at` is about, in words that say more or less of it."""
    category = int(stream.category[at])
    group = GROUP_OF.get(category, category)
    names = [name for name in ("colour", "material", "brand") if name != without]
    named = draws.some(names, draws.pick((0, 1, 2), (0.4, 0.45, 0.15)))
    values = {name: int(getattr(stream, name)[at]) for name in named}
    return Thing(group if draws.happens(0.5) else category, **values)


def _words(asked: Asked) -> dict[str, str]:
    thing = asked.thing.words()
    choices = [Thing(category).words()["a_thing"] for category in asked.choices]
    year, month = divmod(asked.month, 12)
    within = asked.side == "in"
    more = {
        "which": asked.which,
        "at_which": "first" if asked.which == "first" else "most recently",
        "side": asked.side,
        "do": DO[asked.action],
        "done": DONE[asked.action],
        "done_a_thing": DONE_IT[asked.action].format(thing["a_thing"]),
        "done_an_other": DONE_IT[asked.other_action].format(asked.other.words()["a_thing"]),
        "of": PLURAL_OF[asked.of],
        "did": "did" if within else "has",
        "do_or_done": DO[asked.action] if within else DONE[asked.action],
        "has": "" if within else "has ",
        "in": "in" if within else "since the beginning of",
        "In": "In" if within else "Since the beginning of",
        "month": f"{MONTH_NAMES[month]} {START.year + year}",
    }
    for word in ("or", "and") if choices else ():
        more[f"{word}_choices"] = f"{', '.join(choices[:-1])} {word} {choices[-1]}"
    return thing | more


USED = {  # fields of a kind, beside the action
    "colour": ("thing", "which"),
    "brand": ("thing",),
    "neighbour": ("thing", "which", "side"),
    "order": ("which", "choices"),
    "count": ("thing", "other_action", "other"),
    "since": ("thing", "which", "other_action", "other"),
    "different": ("thing", "side", "month", "of"),
    "looks": ("thing", "which"),
}


def _fields(asked: Asked) -> dict[str, Any]:
    year, month = divmod(asked.month, 12)
    values: dict[str, Any] = {
        "thing": asked.thing.fields(),
        "which": asked.which,
        "other_action": ACTIONS[asked.other_action],
        "other": asked.other.fields(),
        "side": asked.side,
        "month": f"{START.year + year}-{month + 1:02d}",
        "of": asked.of,
        "choices": [NAMES[category] for category in asked.choices],
    }
    used = {name: value for name, value in values.items() if name in USED[asked.kind]}
    return {"action": ACTIONS[asked.action]} | used
