"""The words of the shop: what there is to sell, what it may look like, and how the attributes hang together.

A category belongs to a theme (what one shops for together, in the order of its row below) and a brand to a style. An
item's segment is its theme and its style: what a customer's interest is about.
"""

from typing import NamedTuple

SEASONS = ("all year", "spring", "summer", "autumn", "winter")


class Category(NamedTuple):
    name: str
    price: float  # of a middling one
    season: str
    materials: tuple[str, ...]  # the usual first
    patterns: tuple[str, ...]


class Brand(NamedTuple):
    name: str
    style: str
    price: float  # its prices over the usual ones


PAIRS = ("leggings", "sneakers", "sandals", "running shoes")  # what one has a pair of

THEMES = ("camping", "winter", "office", "street", "home", "kitchen", "summer", "sport")

WOVEN = ("plain", "striped", "checked", "herringbone")
PRINTED = ("plain", "striped", "floral", "dotted")
SPORTY = ("plain", "striped", "colour-block", "camouflage")
PAINTED = ("plain", "glazed", "dotted", "marbled")

# Category c belongs to theme c mod 8, so a shop of few categories still has something of each theme.
CATEGORIES = (
    Category("tent", 180, "summer", ("nylon", "canvas", "polyester"), SPORTY),
    Category("scarf", 28, "winter", ("wool", "cashmere", "acrylic", "silk"), WOVEN),
    Category("shirt", 45, "all year", ("cotton", "linen", "silk"), WOVEN),
    Category("hoodie", 52, "autumn", ("cotton", "fleece", "polyester"), SPORTY),
    Category("cushion", 24, "all year", ("cotton", "velvet", "linen"), PRINTED),
    Category("mug", 12, "all year", ("stoneware", "porcelain", "enamel"), PAINTED),
    Category("sundress", 58, "summer", ("cotton", "linen", "viscose"), PRINTED),
    Category("leggings", 36, "all year", ("elastane", "cotton", "polyester"), SPORTY),
    Category("sleeping bag", 95, "summer", ("nylon", "down", "polyester"), SPORTY),
    Category("beanie", 18, "winter", ("wool", "acrylic", "cashmere"), WOVEN),
    Category("blazer", 120, "spring", ("wool", "linen", "cotton"), WOVEN),
    Category("sneakers", 85, "spring", ("leather", "canvas", "mesh"), SPORTY),
    Category("rug", 140, "autumn", ("wool", "jute", "cotton"), PRINTED),
    Category("teapot", 38, "winter", ("stoneware", "porcelain", "cast iron"), PAINTED),
    Category("sandals", 55, "summer", ("leather", "cork", "rubber"), PRINTED),
    Category("running shoes", 98, "spring", ("mesh", "nylon", "rubber"), SPORTY),
    Category("lantern", 32, "autumn", ("steel", "brass", "glass"), PAINTED),
    Category("coat", 190, "winter", ("wool", "down", "cashmere"), WOVEN),
    Category("briefcase", 130, "all year", ("leather", "canvas", "nylon"), WOVEN),
    Category("cap", 22, "summer", ("cotton", "corduroy", "wool"), SPORTY),
    Category("lamp", 70, "winter", ("brass", "glass", "bamboo"), PAINTED),
    Category("apron", 26, "all year", ("cotton", "linen", "denim"), PRINTED),
    Category("sun hat", 30, "summer", ("straw", "cotton", "linen"), PRINTED),
    Category("sports bag", 48, "all year", ("nylon", "canvas", "polyester"), SPORTY),
)

# What a thing of a category is made up of, from the largest part on, and how it may be cut: a matter of the item alone.
PARTS = {
    "tent": ("canopy", "door", "ropes"),
    "scarf": ("body", "fringe"),
    "shirt": ("body", "sleeves", "collar", "buttons"),
    "hoodie": ("body", "sleeves", "hood", "pocket"),
    "cushion": ("face", "piping"),
    "mug": ("body", "handle", "rim"),
    "sundress": ("skirt", "bodice", "straps"),
    "leggings": ("legs", "waistband"),
    "sleeping bag": ("shell", "hood", "zip"),
    "beanie": ("crown", "cuff"),
    "blazer": ("body", "sleeves", "lapels", "buttons"),
    "sneakers": ("upper", "sole", "laces"),
    "rug": ("field", "border", "fringe"),
    "teapot": ("body", "spout", "handle", "lid"),
    "sandals": ("sole", "straps", "buckle"),
    "running shoes": ("upper", "sole", "stripe"),
    "lantern": ("glass", "frame", "handle"),
    "coat": ("body", "sleeves", "collar", "buttons"),
    "briefcase": ("case", "flap", "handle", "clasp"),
    "cap": ("crown", "peak"),
    "lamp": ("shade", "stem", "base"),
    "apron": ("skirt", "bib", "straps", "pocket"),
    "sun hat": ("brim", "crown", "band"),
    "sports bag": ("body", "straps", "pocket"),
}
CUTS = {
    "tent": ("dome", "ridge", "tunnel"),
    "scarf": ("long", "looped", "square"),
    "shirt": ("long-sleeved", "short-sleeved", "sleeveless"),
    "hoodie": ("pullover", "zipped", "cropped"),
    "cushion": ("square", "round", "bolster"),
    "mug": ("straight", "tapered", "bowl-shaped"),
    "sundress": ("mini", "midi", "maxi"),
    "leggings": ("full-length", "cropped", "flared"),
    "sleeping bag": ("mummy", "rectangular", "barrel"),
    "beanie": ("cuffed", "slouchy", "bobble"),
    "blazer": ("single-breasted", "double-breasted", "cropped"),
    "sneakers": ("low-top", "high-top", "slip-on"),
    "rug": ("rectangular", "round", "runner"),
    "teapot": ("round", "tall", "squat"),
    "sandals": ("flat", "wedge", "slide"),
    "running shoes": ("cushioned", "racing", "trail"),
    "lantern": ("square", "round", "six-sided"),
    "coat": ("long", "short", "belted"),
    "briefcase": ("slim", "deep", "messenger"),
    "cap": ("baseball", "flat", "bucket"),
    "lamp": ("table", "floor", "pendant"),
    "apron": ("bib", "waist", "cross-back"),
    "sun hat": ("wide-brimmed", "boater", "floppy"),
    "sports bag": ("duffel", "backpack", "sling"),
}

# What a theme's customers look for in which season, over the usual.
THEME_SEASONS = {
    "camping": {"spring": 1.4, "summer": 2.0, "autumn": 0.8, "winter": 0.3},
    "winter": {"spring": 0.5, "summer": 0.2, "autumn": 1.5, "winter": 2.2},
    "office": {"spring": 1.2, "summer": 0.7, "autumn": 1.2, "winter": 0.9},
    "street": {"spring": 1.1, "summer": 1.0, "autumn": 1.1, "winter": 0.8},
    "home": {"spring": 0.9, "summer": 0.7, "autumn": 1.2, "winter": 1.3},
    "kitchen": {"spring": 0.9, "summer": 0.8, "autumn": 1.1, "winter": 1.3},
    "summer": {"spring": 1.4, "summer": 2.0, "autumn": 0.5, "winter": 0.2},
    "sport": {"spring": 1.4, "summer": 1.1, "autumn": 0.8, "winter": 0.8},
}

COLOURS = (
    "black", "white", "grey", "navy", "red", "rust", "mustard", "olive",
    "teal", "sky blue", "cream", "sand", "pink", "plum", "orange", "lime",
)  # fmt: skip

# The colours of a style, the most typical first.
PALETTES = {
    "classic": ("navy", "grey", "cream", "black", "plum", "red"),
    "minimal": ("white", "black", "grey", "sand", "sky blue", "cream"),
    "rustic": ("olive", "rust", "sand", "mustard", "cream", "grey"),
    "retro": ("mustard", "teal", "orange", "plum", "rust", "sky blue"),
    "urban": ("black", "grey", "olive", "red", "white", "lime"),
    "bright": ("pink", "lime", "orange", "sky blue", "red", "teal"),
}
STYLES = tuple(PALETTES)

# How many like it: added to a customer's liking of a segment, on the scale of a Gumbel draw.
THEME_FANS = {"street": 1.8, "home": 1.4, "summer": 1.0, "winter": 0.6, "kitchen": 0.2, "sport": -0.4, "office": -0.9,
              "camping": -1.4}  # fmt: skip
STYLE_FANS = {"classic": 1.8, "urban": 1.2, "minimal": 0.6, "rustic": -0.2, "retro": -0.8, "bright": -1.6}

BRANDS = (
    Brand("Norvane", "classic", 1.0), Brand("Aldermoor", "classic", 1.5), Brand("Pellworth", "classic", 0.8),
    Brand("Hale & Finch", "classic", 2.0), Brand("Ostra", "minimal", 1.2), Brand("Blankform", "minimal", 0.8),
    Brand("Kuvio", "minimal", 1.0), Brand("Sennen", "minimal", 1.8), Brand("Thornleaf", "rustic", 0.9),
    Brand("Brackenhill", "rustic", 1.2), Brand("Old Quarry", "rustic", 0.7), Brand("Fjellgard", "rustic", 1.9),
    Brand("Polychord", "retro", 0.9), Brand("Velora", "retro", 1.3), Brand("Sundial", "retro", 0.7),
    Brand("Marchetto", "retro", 1.8), Brand("Gridlock", "urban", 0.8), Brand("Northline", "urban", 1.1),
    Brand("Kerbside", "urban", 0.7), Brand("Obsidia", "urban", 1.9), Brand("Piccolina", "bright", 0.8),
    Brand("Zestful", "bright", 0.7), Brand("Tamarillo", "bright", 1.2), Brand("Lumenta", "bright", 1.7),
)  # fmt: skip

MATERIAL_PRICES = {"cashmere": 1.9, "silk": 1.6, "down": 1.5, "leather": 1.4, "velvet": 1.25, "porcelain": 1.25,
                   "brass": 1.25, "wool": 1.15, "linen": 1.1, "cast iron": 1.3, "acrylic": 0.7, "polyester": 0.75,
                   "rubber": 0.8, "jute": 0.8}  # fmt: skip

PRICE_CLASSES = ("budget", "middle", "premium")
ACTIONS = ("view", "cart", "buy")
