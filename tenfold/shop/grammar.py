"""The ways to say each fact of an item, as phrases that sentences are put together from (texts.py).

In a phrase {colour} or {colour:attr} stands for a cell in one of its forms (facts.py), [is|are] for the word that
agrees with one thing or several, and @ for a or an. Apart from its cells a phrase claims nothing that could be wrong.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from tenfold.shop.facts import Cell, forms
from tenfold.shop.traits import CATEGORIES, THEMES

THEME_OF = {category.name: THEMES[row % len(THEMES)] for row, category in enumerate(CATEGORIES)}


class Ways(NamedTuple):
    """How a fact may be said, by the place in a sentence."""

    does: tuple[str, ...] = ()  # after the product as subject
    tail: tuple[str, ...] = ()  # after a noun
    aside: tuple[str, ...] = ()  # participles: behind a comma, or in front of the sentence
    states: tuple[str, ...] = ()  # a sentence of its own
    notes: tuple[str, ...] = ()  # no sentence at all
    pitches: tuple[str, ...] = ()  # a sentence of an advertisement


WAYS = {
    "brand": Ways(
        does=("[comes|come] from {brand}", "[is|are] made by {brand}", "[carries|carry] the {brand} name",
              "[belongs|belong] to the {brand} range"),
        tail=("by {brand}", "from {brand}"),
        aside=("made by {brand}", "signed {brand}"),
        states=("the maker is {brand}", "{brand} makes [it|them]", "behind [it|them] stands {brand}"),
        notes=("{brand}", "by {brand}", "made by {brand}"),
        pitches=("trust {brand} to get it right", "nobody does it like {brand}", "this is {brand} at its best"),
    ),
    "model": Ways(
        does=("[goes|go] by the name of {model}", "[is|are] called {model}", "[is|are] sold as {model}"),
        aside=("called {model}", "named {model}", "known as {model}"),
        states=("the model is called {model}", "the name to ask for is {model}"),
        notes=("{model}", "model {model}"),
        pitches=("remember the name: {model}", "{model} is a name to remember"),
    ),
    "colour": Ways(
        does=("[comes|come] in {colour}", "[is|are] {colour} in colour", "[is|are] kept in {colour}"),
        tail=("in {colour}",),
        aside=("finished in {colour}", "coloured {colour}"),
        states=("the colour is {colour}", "[its|their] colour is {colour}", "{colour} is the colour"),
        notes=("{colour}", "in {colour}", "colour {colour}"),
        pitches=("you will love the {colour}", "[it looks|they look] wonderful in {colour}",
                 "who could resist {colour}?", "the {colour} does the talking"),
    ),
    "season": Ways(
        does=("[is|are] made for {season}", "[suits|suit] {season} best",
              "[belongs|belong] to the {season} collection"),
        tail=("for {season}", "for {season} days"),
        aside=("made for {season}", "meant for {season}"),
        states=("the season for [it|them] is {season}", "{season} is the time for [it|them]"),
        notes=("for {season}", "{season}", "{season} collection"),
        pitches=("{season} can come", "make this {season} one to remember", "[it was|they were] born for {season}"),
    ),
    "price": Ways(
        does=("[costs|cost] {price}", "[sells|sell] for {price}", "[is|are] priced at {price}"),
        tail=("at {price}",),
        aside=("priced at {price}",),
        states=("the price is {price}", "you pay {price}", "the price comes to {price}"),
        notes=("{price}", "price {price}", "at {price}"),
        pitches=("all this for just {price}", "and it can be yours for {price}", "who would have thought: only {price}",
                 "at {price}, there is nothing to think over"),
    ),
    "lining": Ways(
        does=("[is|are] lined with {lining}", "[has|have] @ {lining} lining"),
        tail=("with @ {lining} lining",),
        aside=("lined with {lining}",),
        states=("the lining is {lining}", "inside there is {lining}"),
        notes=("{lining} lining", "lined with {lining}"),
        pitches=("feel the {lining} lining",),
    ),
    "filling": Ways(
        does=("[is|are] filled with {filling}", "[has|have] a filling of {filling}"),
        tail=("with a filling of {filling}",),
        aside=("filled with {filling}", "stuffed with {filling}"),
        states=("inside there are {filling}", "the filling consists of {filling}"),
        notes=("filling {filling}", "filled with {filling}"),
        pitches=("sink into {filling}",),
    ),
    "fabric weight": Ways(
        does=("[has|have] a fabric weight of {fabric weight}", "[uses|use] a fabric of {fabric weight}"),
        tail=("with a fabric weight of {fabric weight}",),
        states=("the fabric weighs {fabric weight}", "the weight of the fabric is {fabric weight}"),
        notes=("fabric weight {fabric weight}", "fabric of {fabric weight}", "{fabric weight}"),
        pitches=("feel the fabric: {fabric weight}",),
    ),
    "sizes": Ways(
        does=("[comes|come] in sizes {sizes}", "[is|are] available in sizes {sizes}", "[is|are] sold in sizes {sizes}"),
        tail=("in sizes {sizes}",),
        aside=("available in sizes {sizes}", "offered in sizes {sizes}"),
        states=("sizes run from {sizes}", "the sizes are {sizes}", "you can choose from sizes {sizes}"),
        notes=("sizes {sizes}", "in sizes {sizes}", "{sizes}"),
        pitches=("find your fit in sizes {sizes}", "there is one for you in sizes {sizes}"),
    ),
    "size": Ways(
        does=("[measures|measure] {size}", "[is|are] {size} in size"),
        tail=("of {size}",),
        aside=("measuring {size}",),
        states=("the dimensions are {size}", "the size is {size}", "[its|their] dimensions come to {size}"),
        notes=("{size}", "size {size}", "measures {size}"),
        pitches=("{size} is all the room you need",),
    ),
    "length": Ways(
        does=("[measures|measure] {length} from end to end", "[is|are] {length} long",
              "[has|have] a length of {length}"),
        tail=("with a length of {length}",),
        aside=("measuring {length} in length", "cut to a length of {length}"),
        states=("the length is {length}", "[its|their] length comes to {length}"),
        notes=("length {length}", "{length} long", "{length} in length"),
        pitches=("enjoy {length} from end to end",),
    ),
    "width": Ways(
        does=("[is|are] {width} wide", "[has|have] a width of {width}", "[measures|measure] {width} across"),
        tail=("with a width of {width}",),
        aside=("cut {width} wide",),
        states=("the width is {width}", "[its|their] width comes to {width}"),
        notes=("width {width}", "{width} wide"),
        pitches=("with {width} from side to side, there is plenty to enjoy",),
    ),
    "height": Ways(
        does=("[is|are] {height} high", "[stands|stand] {height} tall", "[reaches|reach] a height of {height}"),
        tail=("with a height of {height}",),
        aside=("standing {height} high",),
        states=("the height is {height}", "[its|their] height comes to {height}", "from top to bottom it is {height}"),
        notes=("height {height}", "{height} high", "{height} tall"),
        pitches=("{height} of pure pleasure",),
    ),
    "inseam": Ways(
        does=("[has|have] an inseam of {inseam}",),
        tail=("with @ {inseam:attr} inseam", "with an inseam of {inseam}"),
        states=("the inseam is {inseam}", "the inseam measures {inseam}"),
        notes=("inseam {inseam}", "{inseam} inseam"),
        pitches=("with @ {inseam:attr} inseam, you are free to move",),
    ),
    "circumference": Ways(
        does=("[fits|fit] a head of {circumference}", "[has|have] a circumference of {circumference}"),
        tail=("with a circumference of {circumference}",),
        aside=("made for a head of {circumference}",),
        states=("the circumference is {circumference}", "the inside measures {circumference}"),
        notes=("circumference {circumference}", "head size {circumference}", "{circumference} around"),
        pitches=("if your head measures {circumference}, look no further",),
    ),
    "brim": Ways(
        does=("[has|have] a brim of {brim}", "[comes|come] with @ {brim:attr} brim"),
        tail=("with @ {brim:attr} brim", "with a brim of {brim}"),
        states=("the brim measures {brim}", "the brim is {brim} wide"),
        notes=("brim {brim}", "{brim:attr} brim"),
        pitches=("hide from the sun under a brim of {brim}",),
    ),
    "sole": Ways(
        does=("[has|have] soles of {sole}", "[stands|stand] on soles of {sole}"),
        tail=("with soles of {sole}",),
        states=("the soles are {sole} thick", "the soles measure {sole}"),
        notes=("soles {sole}", "sole height {sole}"),
        pitches=("{sole} of sole carry you through the day",),
    ),
    "drop": Ways(
        does=("[has|have] a heel drop of {drop}",),
        tail=("with a drop of {drop}",),
        states=("the drop from heel to toe is {drop}", "heel and toe lie {drop} apart in height"),
        notes=("drop {drop}", "heel drop {drop}"),
        pitches=("feel what a drop of {drop} does for your stride",),
    ),
    "pile": Ways(
        does=("[has|have] a pile of {pile}",),
        tail=("with a pile of {pile}",),
        states=("the pile is {pile} high", "the pile measures {pile}"),
        notes=("pile {pile}", "pile height {pile}"),
        pitches=("let your toes sink into {pile} of pile",),
    ),
    "capacity": Ways(
        does=("[holds|hold] {capacity}", "[has|have] a capacity of {capacity}", "[takes|take] {capacity}"),
        tail=("with a capacity of {capacity}", "with room for {capacity}"),
        aside=("holding {capacity}",),
        states=("the capacity is {capacity}", "there is room for {capacity}"),
        notes=("{capacity}", "capacity {capacity}", "holds {capacity}"),
        pitches=("[it takes|they take] {capacity} without a murmur", "fill it up: there is room for {capacity}"),
    ),
    "serves": Ways(
        does=("[fills|fill] {serves}", "[is|are] enough for {serves}"),
        tail=("with enough for {serves}",),
        aside=("filling {serves}",),
        states=("one filling gives {serves}", "you can pour {serves} from it"),
        notes=("{serves}", "for {serves}"),
        pitches=("{serves}, and nobody goes thirsty",),
    ),
    "sleeps": Ways(
        does=("[sleeps|sleep] {sleeps}", "[has|have] room for {sleeps}", "[is|are] big enough for {sleeps}"),
        tail=("for {sleeps}", "with room for {sleeps}"),
        aside=("sleeping {sleeps}",),
        states=("there is room for {sleeps}", "{sleeps} find a place in it"),
        notes=("for {sleeps}", "sleeps {sleeps}"),
        pitches=("bring your friends: there is room for {sleeps}",),
    ),
    "laptop": Ways(
        does=("[takes|take] laptops of up to {laptop}", "[has|have] room for @ {laptop:attr} laptop"),
        tail=("with room for @ {laptop:attr} laptop",),
        states=("@ {laptop:attr} laptop fits inside", "laptops of up to {laptop} fit in"),
        notes=("for @ {laptop:attr} laptop", "laptops up to {laptop}"),
        pitches=("even your {laptop:attr} laptop will feel at home",),
    ),
    "pockets": Ways(
        does=("[has|have] {pockets}", "[comes|come] with {pockets}", "[offers|offer] {pockets}"),
        tail=("with {pockets}",),
        aside=("fitted with {pockets}",),
        states=("there are {pockets}", "{pockets} take what you carry"),
        notes=("{pockets}", "with {pockets}"),
        pitches=("{pockets} wait for your treasures", "and yes, there are {pockets}"),
    ),
    "buttons": Ways(
        does=("[closes|close] with {buttons}", "[has|have] {buttons}"),
        tail=("with {buttons}",),
        aside=("closed by {buttons}",),
        states=("there are {buttons} in front", "{buttons} close it"),
        notes=("{buttons}",),
        pitches=("count them: {buttons}",),
    ),
    "brightness": Ways(
        does=("[gives|give] {brightness}", "[shines|shine] with {brightness}"),
        tail=("with @ {brightness:attr} light", "with {brightness}"),
        aside=("shining with {brightness}",),
        states=("the brightness is {brightness}", "the light reaches {brightness}"),
        notes=("{brightness}", "brightness {brightness}"),
        pitches=("light up the night with {brightness}",),
    ),
    "burning time": Ways(
        does=("[burns|burn] for {burning time}", "[lasts|last] {burning time}"),
        tail=("with a burning time of {burning time}",),
        aside=("burning for {burning time}",),
        states=("one filling lasts {burning time}", "the burning time is {burning time}"),
        notes=("burning time {burning time}", "burns {burning time}"),
        pitches=("let it glow for {burning time}",),
    ),
    "power": Ways(
        does=("[takes|take] bulbs of up to {power}", "[uses|use] @ {power:attr} bulb"),
        tail=("with @ {power:attr} bulb",),
        aside=("made for bulbs of up to {power}",),
        states=("the bulb may have up to {power}", "[its|their] power is {power}"),
        notes=("{power}", "bulb up to {power}", "power {power}"),
        pitches=("{power} are all it takes to glow",),
    ),
    "cable": Ways(
        does=("[has|have] a cable of {cable}", "[comes|come] with @ {cable:attr} cable"),
        tail=("with @ {cable:attr} cable", "with a cable of {cable}"),
        states=("the cable measures {cable}", "the cable reaches {cable}"),
        notes=("cable {cable}", "{cable:attr} cable"),
        pitches=("the cable reaches {cable}, so put it where you like",),
    ),
    "water column": Ways(
        does=("[withstands|withstand] a water column of {water column}",
              "[is|are] waterproof to {water column}"),
        tail=("with a water column of {water column}",),
        aside=("waterproof to {water column}", "sealed to {water column}"),
        states=("the water column is {water column}", "the fabric keeps out water to {water column}"),
        notes=("water column {water column}", "waterproof to {water column}"),
        pitches=("let it rain: the water column is {water column}",),
    ),
    "comfort temperature": Ways(
        does=("[is|are] comfortable at {comfort temperature}", "[keeps|keep] you warm at {comfort temperature}"),
        tail=("with a comfort temperature of {comfort temperature}",),
        aside=("made for nights of {comfort temperature}",),
        states=("the comfort temperature is {comfort temperature}", "you stay warm at {comfort temperature}"),
        notes=("comfort {comfort temperature}", "comfort temperature {comfort temperature}"),
        pitches=("sleep like a bear at {comfort temperature}",),
    ),
    "sun protection": Ways(
        does=("[is|are] rated {sun protection}", "[offers|offer] {sun protection} protection"),
        tail=("with {sun protection} protection",),
        aside=("rated {sun protection}",),
        states=("the sun protection is {sun protection}", "[its|their] rating is {sun protection}"),
        notes=("{sun protection}", "sun protection {sun protection}"),
        pitches=("let the sun try its worst: [this is|these are] rated {sun protection}",),
    ),
    "packed size": Ways(
        does=("[packs|pack] away to {packed size}", "[has|have] a packed size of {packed size}"),
        tail=("with a packed size of {packed size}",),
        aside=("packing away to {packed size}",),
        states=("the packed size is {packed size}", "packed, it measures {packed size}"),
        notes=("packed {packed size}", "packed size {packed size}", "packs to {packed size}"),
        pitches=("packed to {packed size}, it goes wherever you go",),
    ),
    "weight": Ways(
        does=("[weighs|weigh] {weight}", "[comes|come] in at {weight}", "[has|have] a weight of {weight}",
              "[weighs|weigh] just {weight}"),
        tail=("with a weight of {weight}",),
        aside=("weighing {weight}", "weighing in at {weight}"),
        states=("the weight is {weight}", "[its|their] weight comes to {weight}", "the scales show {weight}"),
        notes=("{weight}", "weight {weight}", "weighs {weight}"),
        pitches=("at {weight}, you will hardly notice [it|them]", "a mere {weight} on the scales"),
    ),
    "recycled content": Ways(
        does=("[is|are] made with {recycled content} recycled material",
              "[contains|contain] {recycled content} recycled material",
              "[has|have] a recycled content of {recycled content}"),
        tail=("with a recycled content of {recycled content}", "with {recycled content} recycled material"),
        states=("the recycled content is {recycled content}", "{recycled content} of the material is recycled",
                "recycled material makes up {recycled content}"),
        notes=("{recycled content} recycled", "recycled content {recycled content}"),
        pitches=("feel good about {recycled content} recycled material",
                 "{recycled content} recycled, and proud of it"),
    ),
    "care": Ways(
        does=("can be {care:passive}", "should be {care:passive}", "[is|are] {care:adjective}",
              "[is|are] best {care:passive}"),
        states=("to clean [it|them], {care}", "for care, {care}", "the label says: {care}",
                "the maker's advice is to {care}"),
        notes=("{care}", "care: {care}", "{care:adjective}"),
        pitches=("easy to live with: just {care}", "caring for [it|them] is simple: {care}"),
    ),
    "origin": Ways(
        does=("[is|are] made in {origin}", "[comes|come] from a workshop in {origin}", "[is|are] produced in {origin}"),
        aside=("made in {origin}", "produced in {origin}"),
        states=("the workshop is in {origin}", "the place of making is {origin}",
                "{origin} is where [it is|they are] made"),
        notes=("made in {origin}", "from {origin}", "origin {origin}"),
        pitches=("{origin} sends its best", "fresh from the workshops of {origin}"),
    ),
    "designer": Ways(
        does=("[is|are] designed by {designer}", "[is|are] the work of {designer}",
              "[goes|go] back to a sketch by {designer}"),
        aside=("designed by {designer}", "drawn by {designer}"),
        states=("the design is by {designer}", "{designer} designed [it|them]", "the idea came from {designer}"),
        notes=("design {designer}", "designed by {designer}", "designer: {designer}"),
        pitches=("{designer} has done it again", "only {designer} could have designed [it|them]"),
    ),
    "warranty": Ways(
        does=("[comes|come] with @ {warranty:attr} warranty", "[carries|carry] a warranty of {warranty}",
              "[is|are] guaranteed for {warranty}"),
        tail=("with @ {warranty:attr} warranty", "with a warranty of {warranty}"),
        aside=("guaranteed for {warranty}", "backed by @ {warranty:attr} warranty"),
        states=("the warranty runs for {warranty}", "you get a warranty of {warranty}",
                "@ {warranty:attr} warranty is part of the deal"),
        notes=("{warranty:attr} warranty", "warranty {warranty}", "guaranteed for {warranty}"),
        pitches=("relax: the warranty runs for {warranty}", "we stand behind [it|them] for {warranty}"),
    ),
    "article number": Ways(
        does=("[is|are] listed as {article number}", "[has|have] the article number {article number}"),
        aside=("listed as {article number}",),
        states=("the article number is {article number}", "you find [it|them] under number {article number}",
                "to order, ask for {article number}"),
        notes=("article {article number}", "no. {article number}", "article number {article number}"),
        pitches=("ask for {article number} and thank us later",),
    ),
}  # fmt: skip

WORKED = {
    "tent": "sewn", "scarf": "woven", "shirt": "sewn", "hoodie": "sewn", "cushion": "sewn", "sundress": "sewn",
    "leggings": "sewn", "sleeping bag": "sewn", "beanie": "knitted", "blazer": "tailored", "rug": "woven",
    "coat": "tailored", "briefcase": "stitched", "cap": "sewn", "apron": "sewn", "sports bag": "stitched",
    "sneakers": "put together", "sandals": "put together", "running shoes": "put together",
}  # fmt: skip
CUT_NOUNS = {
    "tent": "design", "scarf": "format", "shirt": "style", "hoodie": "style", "cushion": "shape", "mug": "shape",
    "sundress": "length", "leggings": "cut", "sleeping bag": "shape", "beanie": "style", "blazer": "cut",
    "sneakers": "style", "rug": "format", "teapot": "shape", "sandals": "style", "running shoes": "build",
    "lantern": "shape", "coat": "style", "briefcase": "style", "cap": "style", "lamp": "version", "apron": "style",
    "sun hat": "style", "sports bag": "style",
}  # fmt: skip
BESIDE_THE_NOUN = frozenset((
    "dome", "ridge", "tunnel", "bolster", "mummy", "barrel", "bobble", "wedge", "slide", "table", "floor", "pendant",
    "baseball", "bucket", "bib", "waist", "cross-back", "racing", "trail", "mini", "midi", "maxi",
))  # fmt: skip  # "a brass table lamp", where others come first: "a long wool scarf"
PATTERN_NOUNS = {"plain": "finish", "herringbone": "weave", "floral": "print", "camouflage": "print",
                 "glazed": "finish", "marbled": "finish"}  # fmt: skip
NO_ADJECTIVE = frozenset(("herringbone", "camouflage", "colour-block"))  # "is herringbone"


def ways(cell: Cell, category: str) -> Ways:
    """The phrases that can say the cell of a thing of this category."""
    tied = cell.attribute in ("material", "cut", "pattern", "care", "origin")
    return _ways(cell.attribute, cell.value if tied else "", category)


@cache
def _ways(attribute: str, value: str, category: str) -> Ways:
    match attribute:
        case "material":
            return _material_ways(value, category)
        case "cut":
            return _cut_ways(CUT_NOUNS[category])
        case "pattern":
            return _pattern_ways(value)
        case "care":
            roles = forms(Cell(attribute, value))
            return Ways(*(tuple(p for p in phrases if _role(p) in roles) for phrases in WAYS["care"]))
        case "origin" if category in WORKED:
            of, work = WAYS["origin"], WORKED[category]
            return of._replace(
                does=(*of.does, f"[is|are] {work} in {{origin}}"), aside=(*of.aside, f"{work} in {{origin}}")
            )
    return WAYS[attribute]


def _role(phrase: str) -> str:
    return phrase.partition("{")[2].partition("}")[0].partition(":")[2] or "value"


def _material_ways(value: str, category: str) -> Ways:
    if value == "down":
        return Ways(
            does=("[is|are] filled with {material}",),
            tail=("with @ {material} filling",),
            aside=("filled with {material}",),
            states=("the filling is {material}", "inside there is {material}"),
            notes=("{material}", "{material} filling"),
            pitches=("nothing keeps you warm like {material}",),
        )
    worked = f"{WORKED[category]} from" if category in WORKED else "made from"
    return Ways(
        does=("[is|are] made of {material}", f"[is|are] {worked} {{material}}", "[consists|consist] of {material}"),
        tail=("in {material}", "of {material}"),
        aside=("made of {material}", f"{worked} {{material}}"),
        states=("the material is {material}", "{material} is the material", "the maker has chosen {material}"),
        notes=("{material}", "in {material}", "material {material}"),
        pitches=("you can feel the {material}", "nothing beats {material}", "once {material}, always {material}"),
    )


def _cut_ways(noun: str) -> Ways:
    return Ways(
        does=(
            f"[has|have] @ {{cut}} {noun}",
            f"[comes|come] in @ {{cut}} {noun}",
            f"[is|are] made in @ {{cut}} {noun}",
        ),
        tail=(f"in @ {{cut}} {noun}", f"with @ {{cut}} {noun}"),
        aside=(f"made in @ {{cut}} {noun}",),
        states=(f"this is the {{cut}} {noun}", f"the makers have gone for @ {{cut}} {noun}"),
        notes=(f"{{cut}} {noun}", f"{noun}: {{cut}}"),
        pitches=(f"that {{cut}} {noun} is hard to resist", f"just look at that {{cut}} {noun}"),
    )


def _pattern_ways(value: str) -> Ways:
    noun = PATTERN_NOUNS.get(value, "design")
    adjective, named = value not in NO_ADJECTIVE, "noun" in forms(Cell("pattern", value))
    does = (
        f"[has|have] @ {{pattern}} {noun}",
        f"[comes|come] with @ {{pattern}} {noun}",
        f"[shows|show] @ {{pattern}} {noun}",
    )
    return Ways(
        does=does + (("[is|are] {pattern}",) if adjective else ()) + (("[has|have] {pattern:noun}",) if named else ()),
        tail=(f"with @ {{pattern}} {noun}", f"in @ {{pattern}} {noun}") + (("with {pattern:noun}",) if named else ()),
        states=((f"the {noun} is {{pattern}}",) if adjective else ())
        + (f"the maker has given [it|them] @ {{pattern}} {noun}",),
        notes=(f"{{pattern}} {noun}",) + (("{pattern}",) if adjective else ()) + (("{pattern:noun}",) if named else ()),
        pitches=(f"the {{pattern}} {noun} steals the show", f"you will not tire of the {{pattern}} {noun}"),
    )


# Sentences. <a NP> is the product with some of its looks, <one NP> too, but a pair of what comes in pairs; <this NP>
# has "this" or "these", and <bare NP> no article; <does> is a verb phrase, <more> some tails and asides, or none.

OPENINGS = {
    "plain": (
        "the {model} by {brand} is <one NP><more>", "the {model} from {brand} is <one NP><more>",
        "the {brand} {model} is <one NP><more>", "{brand}'s {model} is <one NP><more>",
        "<this NP> [comes|come] from {brand}",
        "<this NP> <does>", "<this NP> <does twice>", "<this NP> by {brand} <does>",
        "<this NP> by {brand} <does twice>",
        "<a NP> by {brand}<more>", "<a NP> from {brand}<more>", "<a NP><more>",
        "with the {model}, {brand} offers <one NP><more>",
        "{brand} makes <this NP><more>", "{brand} presents <one NP><more>", "from {brand} [comes|come] <a NP><more>",
        "{model} is what {brand} calls <this NP><more>", "{model} is the name of <this NP><more>",
        "the {model} is <one NP><more>",
        "here [is|are] <a NP><more>", "<aside>, <this NP> <does>",
        "under the name of {model}, {brand} sells <one NP><more>",
    ),
    "marketing": (
        "meet the {model}: <one NP><more>", "say hello to <this NP><more>", "looking for <a NP>?",
        "dreaming of <a NP>?",
        "looking for <a NP>? {brand} has the answer", "fall in love with <this NP><more>",
        "make room for <this NP><more>",
        "treat yourself to <a NP><more>", "there are many ways to please yourself, and then there is the {model}",
        "your search ends here: <a NP><more>", "imagine <a NP><more>", "{brand} proudly presents <this NP><more>",
        "why wait? <this NP> by {brand} <does>", "here [it is|they are] at last: <a NP> by {brand}<more>",
        "from {brand}, with love: <a NP><more>", "you asked for <a NP>, and {brand} listened", "<this NP> <does>",
        "the {model} has arrived: <one NP><more>", "the {model} by {brand} <singular does>",
        "the new {brand} is here: <a NP><more>", "do you know the {model}? it is <one NP><more>",
        "spoil someone with <this NP> by {brand}<more>", "one look at <this NP> and you will know",
    ),
}  # fmt: skip
LEADS = {
    "plain": ("in addition, ", "besides, ", "as for the details: "),
    "marketing": (
        "best of all, ", "better still, ", "what is more, ", "did we mention that ", "and did you know that ",
        "and yes, ",
        "rest assured: ", "the best part: ", "no wonder: ", "believe it or not, ", "you will be glad to hear that ",
    ),
}  # fmt: skip
CLOSINGS = {
    "plain": ("a sound choice", "a piece to keep", "good to have around", "a good one to give, too", "simply well made",
              "nothing more is needed"),
    "marketing": ("order [it|them] today", "do not miss out", "you deserve it", "what are you waiting for?",
    "go on, treat yourself",
                  "your friends will ask where you found [it|them]", "make [it|them] yours",
                  "life is better with style",
                  "get [it|them] while you can"),
}  # fmt: skip
THEME_CLOSINGS: Mapping[str, tuple[str, ...]] = {
    "camping": ("see you at the campfire", "ready for the next trip", "good company under the stars"),
    "winter": ("cosy days are ahead", "let the cold come", "good company on chilly mornings"),
    "office": ("ready for the working week", "Monday can come", "made to mean business"),
    "street": ("ready for the city", "a friend for every day", "good for wherever you are going"),
    "home": ("at home in any room", "coming home has never been nicer", "a friend of the house"),
    "kitchen": ("at home in any kitchen", "tea time will not be the same", "breakfast will thank you"),
    "summer": ("the sun is waiting", "all that is missing is the sea", "a friend for sunny days"),
    "sport": ("ready when you are", "on your marks", "the gym is calling"),
}
NOTE_OPENINGS = ("<bare NP>", "<bare NP> by {brand}", "<bare NP> from {brand}", "{brand} {model}: <bare NP>",
                    "{brand} {category}", "{model} by {brand}", "{category} {model}")  # fmt: skip
TITLES = {
    "plain": ("<bare NP> by {brand}", "{brand} {model}, {category}", "<bare NP>, {brand}", "{model}: <bare NP>",
    "<bare NP>",
              "{brand} {model}: <bare NP>", "<bare NP> {model}"),
    "terse": ("{brand} {model}", "{category} {model}", "{brand} {category}", "{category}, {colour}",
    "{model}, {category}"),
    "marketing": ("the {model} by {brand}", "meet the {model}", "the {brand} {category} to fall for",
    "your new <bare NP>",
                  "{model}, the <bare NP> by {brand}", "say hello to the {model}", "<bare NP>: simply {brand}"),
}  # fmt: skip
