"""What an item's page says of it: a table of 8 to 16 facts, the words for each, and a matcher that finds them in texts.

A fact is an attribute and a value as text. Some come from the catalogue; the rest (names, measures, care, origin) are
drawn for the item and can be known only by reading its table.
"""

from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from tenfold.shop.catalog import CUT_WORDS, MATERIALS, PATTERNS
from tenfold.shop.options import Options
from tenfold.shop.simulation import ground
from tenfold.shop.streams import Draws, Kind
from tenfold.shop.traits import BRANDS, CATEGORIES, COLOURS, CUTS, SEASONS

LEAST, MOST = 8, 16


class Cell(NamedTuple):
    attribute: str
    value: str


class Product(NamedTuple):
    """What the catalogue says of an item, in words."""

    category: str
    cut: str
    colour: str
    pattern: str
    material: str
    brand: str
    season: str
    price: str


class Measure(NamedTuple):
    low: float
    high: float
    step: float
    unit: str


# What a category is measured by: a range or some values. What is empty depends on the cut.
MEASURES: dict[str, dict[str, Measure | tuple[str, ...]]] = {
    "tent": {
        "sleeps": Measure(2, 8, 1, "people"), "packed size": ("48 x 16 cm", "52 x 18 cm", "56 x 20 cm", "61 x 21 cm"),
        "height": Measure(105, 210, 5, "cm"), "water column": Measure(2000, 8000, 500, "mm"),
        "weight": Measure(1.6, 9.8, 0.1, "kg"),
    },
    "scarf": {
        "length": Measure(140, 220, 5, "cm"), "width": Measure(22, 68, 2, "cm"), "weight": Measure(90, 320, 10, "g"),
    },
    "shirt": {
        "sizes": ("XS to XL", "S to XXL", "XS to XXL", "36 to 46", "38 to 48"), "buttons": Measure(6, 11, 1, "buttons"),
        "fabric weight": Measure(95, 185, 5, "g/m²"),
    },
    "hoodie": {
        "sizes": ("XS to XL", "S to XXL", "XS to XXL", "M to XXL"), "pockets": Measure(2, 4, 1, "pockets"),
        "fabric weight": Measure(240, 460, 10, "g/m²"),
    },
    "cushion": {
        "size": (), "filling": ("feathers", "kapok", "foam flakes", "buckwheat husks"),
        "weight": Measure(300, 950, 10, "g"),
    },
    "mug": {
        "capacity": Measure(220, 480, 10, "ml"), "height": Measure(8, 13, 0.5, "cm"),
        "weight": Measure(210, 440, 10, "g"),
    },
    "sundress": {
        "sizes": ("34 to 42", "36 to 44", "36 to 46", "XS to XL", "S to XXL"), "length": Measure(84, 138, 2, "cm"),
        "fabric weight": Measure(85, 190, 5, "g/m²"), "pockets": Measure(2, 4, 1, "pockets"),
    },
    "leggings": {
        "sizes": ("XS to XL", "S to XXL", "XS to XXL", "34 to 44"), "inseam": Measure(52, 82, 2, "cm"),
        "fabric weight": Measure(180, 320, 10, "g/m²"), "pockets": Measure(2, 4, 1, "pockets"),
    },
    "sleeping bag": {
        "length": Measure(190, 225, 5, "cm"), "comfort temperature": Measure(-18, 10, 1, "°C"),
        "packed size": ("28 x 15 cm", "32 x 18 cm", "36 x 20 cm", "40 x 22 cm"), "weight": Measure(0.7, 2.6, 0.1, "kg"),
    },
    "beanie": {"circumference": Measure(52, 62, 1, "cm"), "weight": Measure(50, 140, 5, "g")},
    "blazer": {
        "sizes": ("44 to 54", "46 to 56", "36 to 46", "S to XXL"), "length": Measure(62, 80, 1, "cm"),
        "pockets": Measure(3, 6, 1, "pockets"), "lining": ("satin", "taffeta", "twill", "bemberg"),
    },
    "sneakers": {
        "sizes": ("36 to 45", "37 to 46", "39 to 48", "35 to 42"), "sole": Measure(22, 48, 2, "mm"),
        "weight": Measure(260, 480, 10, "g"),
    },
    "rug": {"size": (), "pile": Measure(4, 32, 1, "mm"), "weight": Measure(2.5, 14, 0.5, "kg")},
    "teapot": {
        "capacity": Measure(0.6, 1.8, 0.1, "litres"), "serves": Measure(3, 9, 1, "cups"),
        "height": Measure(11, 19, 0.5, "cm"), "weight": Measure(620, 1480, 20, "g"),
    },
    "sandals": {
        "sizes": ("35 to 42", "36 to 43", "36 to 45", "39 to 46"), "sole": Measure(14, 58, 2, "mm"),
        "weight": Measure(180, 420, 10, "g"),
    },
    "running shoes": {
        "sizes": ("36 to 45", "37 to 47", "40 to 49", "35 to 43"), "drop": Measure(2, 12, 1, "mm"),
        "sole": Measure(24, 44, 2, "mm"), "weight": Measure(190, 340, 5, "g"),
    },
    "lantern": {
        "height": Measure(16, 44, 1, "cm"), "brightness": Measure(80, 620, 20, "lumens"),
        "burning time": Measure(5, 48, 1, "hours"), "weight": Measure(380, 1640, 20, "g"),
    },
    "coat": {
        "sizes": ("34 to 44", "36 to 48", "XS to XL", "S to XXL", "46 to 56"), "length": Measure(78, 128, 2, "cm"),
        "pockets": Measure(2, 7, 1, "pockets"), "lining": ("satin", "taffeta", "twill", "bemberg"),
    },
    "briefcase": {
        "size": ("38 x 28 x 9 cm", "40 x 30 x 10 cm", "42 x 31 x 12 cm", "44 x 33 x 11 cm"),
        "laptop": Measure(13, 17, 1, "inches"), "capacity": Measure(8, 19, 1, "litres"),
        "pockets": Measure(3, 9, 1, "pockets"), "weight": Measure(0.8, 2.1, 0.1, "kg"),
    },
    "cap": {"circumference": Measure(54, 63, 1, "cm"), "weight": Measure(60, 130, 5, "g")},
    "lamp": {
        "height": (), "power": Measure(5, 60, 5, "W"), "cable": Measure(1.2, 4.5, 0.1, "m"),
        "weight": Measure(0.9, 7.8, 0.1, "kg"),
    },
    "apron": {
        "length": Measure(62, 98, 2, "cm"), "width": Measure(55, 87, 2, "cm"), "pockets": Measure(2, 5, 1, "pockets"),
        "fabric weight": Measure(160, 420, 10, "g/m²"),
    },
    "sun hat": {
        "brim": Measure(5, 16, 0.5, "cm"), "circumference": Measure(53, 61, 1, "cm"),
        "sun protection": ("UPF 30", "UPF 40", "UPF 50"), "weight": Measure(70, 190, 5, "g"),
    },
    "sports bag": {
        "capacity": Measure(18, 72, 1, "litres"), "pockets": Measure(2, 8, 1, "pockets"),
        "size": ("45 x 28 x 22 cm", "50 x 30 x 25 cm", "55 x 32 x 27 cm", "60 x 34 x 30 cm"),
        "weight": Measure(0.5, 1.7, 0.1, "kg"),
    },
}  # fmt: skip

HEIGHTS_OF_CUT = {"table": Measure(28, 62, 1, "cm"), "floor": Measure(128, 178, 2, "cm"),
                  "pendant": Measure(21, 54, 1, "cm")}  # fmt: skip
SIZES_OF_CUT = {
    "square": ("40 x 40 cm", "45 x 45 cm", "50 x 50 cm", "60 x 60 cm"),
    "round": ("40 cm across", "45 cm across", "55 cm across"),
    "bolster": ("60 x 20 cm", "70 x 22 cm", "80 x 25 cm", "90 x 20 cm"),
    "rectangular": ("120 x 170 cm", "140 x 200 cm", "160 x 230 cm", "200 x 300 cm", "170 x 240 cm"),
    "runner": ("65 x 180 cm", "70 x 200 cm", "80 x 250 cm", "80 x 300 cm"),
}
ROUND_RUGS = ("120 cm across", "150 cm across", "180 cm across", "200 cm across")

HARD = frozenset(("brass", "steel", "glass", "bamboo"))  # dusted
FIRED = frozenset(("stoneware", "porcelain", "enamel", "cast iron"))  # washed up
WIPED = frozenset(("leather", "cork", "rubber", "straw", "jute"))
DELICATE = frozenset(("wool", "cashmere", "silk", "velvet", "down", "viscose"))

GEAR = ("tent", "sleeping bag", "sports bag", "briefcase", "sneakers", "running shoes")  # does not go into a machine

# Each with its other forms: after "can be", and of some as an adjective.
CARE = {
    "machine wash at 30 °C": ("machine washed at 30 °C", "machine washable at 30 °C"),
    "machine wash at 40 °C": ("machine washed at 40 °C", "machine washable at 40 °C"),
    "machine wash at 60 °C": ("machine washed at 60 °C", "machine washable at 60 °C"),
    "hand wash cold": ("hand washed cold", "hand washable"),
    "dry clean": ("dry cleaned",),
    "sponge clean": ("sponge cleaned",),
    "wipe with a damp cloth": ("wiped with a damp cloth",),
    "brush when dry": ("brushed when dry",),
    "dust with a soft brush": ("dusted with a soft brush",),
    "polish with a soft cloth": ("polished with a soft cloth",),
    "wash in the dishwasher": ("washed in the dishwasher", "dishwasher safe"),
    "rinse with hot water": ("rinsed with hot water",),
}

ONSETS = (
    "Vel", "Tor", "Mar", "Cas", "Lun", "Or", "Zan", "Bri", "Fen", "Hal", "Kes", "Nar", "Pel", "Quin", "Ros", "Sil",
    "Tam", "Ul", "Wen", "Yor", "Dra", "Gal", "Jas", "Ib", "Eld", "Av", "Cor", "Sol", "Myr", "Ban",
)  # fmt: skip
MIDDLES = ("", "", "a", "e", "i", "o", "an", "el", "is", "or")
MODEL_ENDS = ("mora", "vik", "tane", "lis", "dor", "ria", "nello", "sko", "bena", "tus", "mare", "lune", "dex", "quil")
PLACE_ENDS = ("wick", "ford", "stad", "bury", "holm", "minster", "mouth", "gate", "haven", "ley", "dorf", "mond")
SURNAME_ENDS = ("strand", "ini", "kova", "quist", "well", "berg", "etti", "mann", "ard", "owska", "dahl", "moor")
FIRST_NAMES = (
    "Mira", "Jonas", "Ilse", "Tomas", "Anouk", "Petra", "Elio", "Signe", "Ravi", "Noor", "Hugo", "Greta", "Marek",
    "Livia", "Oskar", "Yuna", "Bruno", "Freya", "Dario", "Selma", "Kaito", "Alma", "Levi", "Inga",
)  # fmt: skip
PORTS = ("Port", "Upper", "Saint", "Mount")
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"

GENERAL = ("article number", "recycled content", "care", "origin", "designer", "warranty")
# In this order they stand in a table.
ATTRIBUTES = (
    "brand", "model", "category", "cut", "colour", "pattern", "material", "lining", "filling", "fabric weight",
    "sizes", "size", "length", "width", "height", "inseam", "circumference", "brim", "sole", "drop", "pile",
    "capacity", "serves", "sleeps", "laptop", "pockets", "buttons", "brightness", "burning time", "power", "cable",
    "water column", "comfort temperature", "sun protection", "packed size", "weight", "recycled content", "care",
    "season", "designer", "origin", "warranty", "article number", "price",
)  # fmt: skip


def product(options: Options, item: int) -> Product:
    c = ground(options).catalog
    category = int(c.category[item])
    return Product(
        category=CATEGORIES[category].name,
        cut=CUT_WORDS[3 * category + int(c.cut[item])],
        colour=COLOURS[c.colour[item]],
        pattern=PATTERNS[c.pattern[item]],
        material=MATERIALS[c.material[item]],
        brand=BRANDS[c.brand[item]].name,
        season=SEASONS[c.season[item]],
        price=f"€{c.price[item]:,.2f}",
    )


def table(options: Options, item: int) -> tuple[Cell, ...]:
    """The item's facts in the order of ATTRIBUTES, a function of (seed, item) alone.

    A season is told only of what is not for all year. No cell's words stand within another's, so that finding one of
    them in a text tells which it is.
    """
    draws = Draws(options.seed, Kind.FACT, item)
    of = product(options, item)
    cells = [Cell(*fact) for fact in of._asdict().items() if fact[1] != "all year"]
    count = LEAST + draws.below(MOST - LEAST + 1)
    model, *rest = possible(of.category)
    others = [model, *draws.some(rest, len(rest))]
    cells += [drawn_cell(draws, attribute, of) for attribute in others[: max(count - len(cells), 1)]]
    return tuple(sorted(cells, key=lambda cell: ATTRIBUTES.index(cell.attribute)))


def possible(category: str) -> tuple[str, ...]:
    """The attributes that a category's tables may have beside the catalogue's."""
    return "model", *MEASURES[category], *GENERAL


def drawn_cell(draws: Draws, attribute: str, of: Product) -> Cell:
    """A value that such a product's attribute might have; of the catalogue's, not the category, any that it knows."""
    return Cell(attribute, _value(draws, attribute, of))


def _value(draws: Draws, attribute: str, of: Product) -> str:
    match attribute:
        case "brand":
            return draws.pick(BRANDS).name
        case "cut":
            return draws.pick(CUTS[of.category])
        case "colour":
            return draws.pick(COLOURS)
        case "pattern" | "material":
            kind = next(c for c in CATEGORIES if c.name == of.category)
            return draws.pick(kind.patterns if attribute == "pattern" else kind.materials)
        case "season":
            return draws.pick(SEASONS[1:])
        case "price":
            euros = max(2, round(float(of.price[1:].replace(",", "")) * draws.uniform(0.5, 2)))
            return f"€{euros - 0.05:,.2f}"
        case "model":
            name = draws.pick(ONSETS) + draws.pick(MIDDLES) + draws.pick(MODEL_ENDS)
            return f"{name} {10 * draws.below(98) + 20}" if draws.happens(0.65) else name
        case "article number":
            return f"{draws.pick(CODE_LETTERS)}{draws.pick(CODE_LETTERS)}-{10000 + draws.below(90000)}"
        case "recycled content":
            return f"{5 * draws.below(19) + 10}%"
        case "care":
            return draws.pick(_care(of))
        case "origin":
            town = draws.pick(ONSETS) + draws.pick(MIDDLES[:6]) + draws.pick(PLACE_ENDS)
            return f"{draws.pick(PORTS)} {town}" if draws.happens(0.2) else town
        case "designer":
            return f"{draws.pick(FIRST_NAMES)} {draws.pick(ONSETS)}{draws.pick(SURNAME_ENDS)}"
        case "warranty":
            return f"{draws.pick((2, 3, 4, 5, 6, 7, 8, 10, 12))} years"
        case "size" if of.category in ("rug", "cushion"):
            return draws.pick(ROUND_RUGS if of[:2] == ("rug", "round") else SIZES_OF_CUT[of.cut])
    lamp = (of.category, attribute) == ("lamp", "height")
    choice = HEIGHTS_OF_CUT[of.cut] if lamp else MEASURES[of.category][attribute]
    if not isinstance(choice, Measure):
        return draws.pick(choice)
    number = choice.low + choice.step * draws.below(round((choice.high - choice.low) / choice.step) + 1)
    number = round(number, 1)
    return f"1 {SINGULAR.get(choice.unit, choice.unit)}" if number == 1 else f"{number:g} {choice.unit}"


def _care(of: Product) -> tuple[str, ...]:
    material = of.material
    if material in FIRED:
        return "wash in the dishwasher", "rinse with hot water", "wipe with a damp cloth"
    if material in HARD:
        return "dust with a soft brush", "polish with a soft cloth", "wipe with a damp cloth"
    if material in WIPED or of.category in GEAR:
        return "wipe with a damp cloth", "brush when dry", "sponge clean"
    if material in DELICATE:
        return "hand wash cold", "dry clean", "machine wash at 30 °C"
    return "machine wash at 30 °C", "machine wash at 40 °C", "machine wash at 60 °C", "hand wash cold"


# The words of a fact

WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")  # from 2 on
COUNTED = frozenset(("people", "pockets", "buttons", "cups", "years"))  # units that go with a number in words
SINGULAR = {"people": "person", "litres": "litre", "hours": "hour", "lumens": "lumen", "years": "year",
            "inches": "inch", "buttons": "button", "pockets": "pocket", "cups": "cup"}  # fmt: skip
IN_FULL = {
    "cm": ("centimetres",), "mm": ("millimetres",), "m": ("metres",), "g": ("grams",), "kg": ("kilograms", "kilos"),
    "ml": ("millilitres",), "W": ("watts",), "g/m²": ("grams per square metre",), "°C": ("degrees Celsius",),
}  # fmt: skip
BEFORE_A_NOUN = {"cm": "centimetre", "g": "gram", "ml": "millilitre", "W": "watt", "kg": "kilo", "m": "metre"}
SYNONYMS = {"hoodie": "hooded top", "sneakers": "trainers", "rug": "carpet", "coat": "overcoat",
            "sports bag": "gym bag"}  # fmt: skip
CUT_FORMS = {"straight": "straight-sided", "duffel": "duffel-style", "sling": "sling-style", "boater": "boater-style",
             "backpack": "backpack-style", "messenger": "messenger-style", "runner": "runner-style"}  # fmt: skip
NOUNS = {"striped": "stripes", "checked": "checks", "dotted": "dots", "floral": "flowers", "marbled": "marbling"}
ADJECTIVES = {"wool": "woollen", "cast iron": "cast-iron"}

Forms = MappingProxyType[str, tuple[str, ...]]


@lru_cache(maxsize=1 << 15)
def forms(cell: Cell) -> Forms:
    """Role -> the forms that a cell may take in it, the usual one first; "value" stands alone, "attr" before a noun.

    No other words say the cell.
    """
    attribute, value = cell
    roles: dict[str, tuple[str, ...]]
    match attribute:
        case "category":
            roles = {"value": (value, SYNONYMS[value]) if value in SYNONYMS else (value,)}
        case "colour":
            roles = {"value": (value,), "attr": (value.replace(" ", "-"), value)}
        case "material":
            roles = {"value": (value,), "attr": (value, ADJECTIVES.get(value, value))}
        case "pattern":
            roles = {"value": (value,)}
            if value in NOUNS:
                roles["noun"] = (NOUNS[value],)
        case "cut":
            roles = {"value": (value,), "attr": (CUT_FORMS.get(value, value),)}
        case "season":
            roles = {"value": (value,)}
        case "care":
            passive, *adjective = CARE[value]
            roles = {"value": (value,), "passive": (passive,)}
            if adjective:
                roles["adjective"] = tuple(adjective)
        case "price":
            roles = {"value": (value, f"{value[1:]} euros", f"EUR {value[1:]}")}
        case "recycled content":
            roles = {"value": (value, f"{value[:-1]} per cent")}
        case "sizes":
            roles = {"value": (value, value.replace(" to ", " up to "))}
        case "brand" | "model" | "article number" | "designer" | "origin" | "sun protection" | "lining" | "filling":
            roles = {"value": (value,)}
        case _:
            roles = _measure_forms(value)
    return MappingProxyType({role: tuple(dict.fromkeys(words)) for role, words in roles.items()})


def _measure_forms(value: str) -> dict[str, tuple[str, ...]]:
    if " x " in value:
        sides, _, unit = value.rpartition(" ")
        by = sides.replace(" x ", " by ")
        return {"value": (value, f"{by} {unit}", f"{by} {IN_FULL[unit][0]}"), "attr": (value,)}
    if value.endswith(" across"):
        return {"value": (value, value.replace("cm", "centimetres"))}
    number, _, unit = value.partition(" ")
    one = SINGULAR.get(unit, unit)
    if unit == "°C":
        minus = number.replace("-", "minus ")
        return {"value": (value, f"{minus} {unit}", f"{minus} degrees Celsius")}
    if unit in COUNTED:
        word = WORDS[int(number) - 2]
        months = (f"{12 * int(number)} months",) if unit == "years" and int(number) < 4 else ()
        return {"value": (f"{word} {unit}", value, *months), "attr": (f"{word}-{one}", f"{number}-{one}")}
    full = tuple(f"{number} {name.removesuffix('s') if number == '1' else name}" for name in IN_FULL.get(unit, ()))
    before = BEFORE_A_NOUN.get(unit, one)
    attr = (f"{number} {unit}", f"{number}-{before}") if unit in BEFORE_A_NOUN else (f"{number}-{before}",)
    return {"value": (value, *full)} | ({} if unit in ("mm", "g/m²") else {"attr": attr})


@lru_cache(maxsize=1 << 15)
def _spellings(cell: Cell) -> tuple[str, ...]:
    """Every form in small letters, longer ones first."""
    return tuple(sorted({form.lower() for words in forms(cell).values() for form in words}, key=lambda f: (-len(f), f)))


def said(text: str, cell: Cell) -> tuple[int, int] | None:
    """Where the first words of `text` that say the cell begin and end, in characters; None if nothing says it.

    The words are one of the cell's forms, in small or capital letters, and not a part of longer words or numbers:
    "2 kg" is not in "1.2 kg", nor "wool" in "wool-free".
    """
    text, best = text.lower(), None
    for form in _spellings(cell):
        start = text.find(form)
        while start >= 0 and (
            _goes_on(text[max(start - 2, 0) : start][::-1]) or _goes_on(text[start + len(form) :][:2])
        ):
            start = text.find(form, start + 1)
        if start >= 0 and (best is None or start < best[0]):
            best = start, start + len(form)
    return best


def _goes_on(after: str) -> bool:
    """Whether a word goes on into the one or two characters beside it."""
    return after[:1].isalnum() or after[:1] == "-" or (after[:1] in (".", ",") and after[1:].isdigit())


def clash(cell: Cell, other: Cell) -> bool:
    """Whether some words that say one cell would say the other as well."""
    return any(said(form, b) for a, b in ((cell, other), (other, cell)) for form in _spellings(a))
