"""What is not worn: the pieces of each cut, from the rear to the front, in a box of 100 x 100."""

from math import cos, pi, sin

from tenfold.shop.pictures.outlines import Outline, Piece, ellipse, marks, mirrored, moved, path, stroke, whole


def tent(cut: str) -> list[Piece]:
    if cut == "ridge":
        pieces = [Piece("ropes", s, "cord") for s in (stroke("M50,22 L6,84", 1.3), stroke("M50,22 L97,84", 1.3))]
        pieces += [
            Piece("canopy", path("M50,18 L86,30 L96,82 L82,84 Z"), "solid", 0.80),
            Piece("canopy", path("M50,18 L16,84 L84,84 Z")),
        ]
        pieces += marks("canopy", stroke("M50,18 L16,84", 1.6), stroke("M50,18 L84,84", 1.6), ink="trim")
        pieces += [Piece("door", path("M50,32 Q42,58 36,84 L64,84 Q58,58 50,32 Z"), "dark", 1.1)]
        flap = path("M50,32 Q60,56 68,84 L60,84 Q59,66 50,32 Z")
        return [*pieces, Piece("door", flap, "solid", 0.94), Piece("door", mirrored(flap), "solid", 0.90)]
    if cut == "tunnel":
        pieces = [Piece("ropes", s, "cord") for s in (stroke("M84,42 L98,82", 1.3), stroke("M22,32 L3,82", 1.3))]
        pieces += [Piece("canopy", path("M30,30 Q50,20 70,34 Q88,36 94,82 L30,82 Z"))]
        pieces += marks("canopy", stroke("M52,25 Q72,44 74,82", 1.7), stroke("M70,34 Q86,50 88,82", 1.7), tone=0.72)
        pieces += [
            Piece("canopy", path("M8,82 Q8,28 32,28 Q56,28 56,82 Z"), "cloth", 1.04),
            *marks("canopy", stroke("M8,82 Q8,28 32,28 Q56,28 56,82", 2.2), ink="trim"),
        ]
        pieces += [Piece("door", path("M17,82 Q17,40 32,40 Q47,40 47,82 Z"), "dark", 1.1)]
        return [*pieces, Piece("door", path("M32,40 Q47,40 47,82 L40,82 Q42,56 32,40 Z"), "solid", 0.92)]
    pieces = [Piece("ropes", s, "cord") for s in (stroke("M22,52 L2,82", 1.3), stroke("M78,52 L98,82", 1.3))]
    pieces += [Piece("canopy", path("M8,82 Q14,22 50,20 Q86,22 92,82 Q50,86 8,82 Z"))]
    pieces += marks("canopy", stroke("M50,20 Q24,38 20,83", 1.8), stroke("M50,20 Q76,38 80,83", 1.8), ink="trim")
    pieces += [Piece("door", path("M34,84 Q35,44 50,40 Q65,44 66,84 Z"), "dark", 1.1)]
    return [*pieces, Piece("door", path("M50,40 Q65,44 66,84 L56,84 Q58,60 50,40 Z"), "solid", 0.92)]


def sleeping_bag(cut: str) -> list[Piece]:
    if cut == "rectangular":
        pieces = [Piece("hood", whole("M50,5 L72,5 Q76,5 76,9 L76,28 L50,28 Z"), "solid", 0.86)]
        pieces += [Piece("hood", whole("M50,9 L66,9 Q69,9 69,12 L69,22 L50,22 Z"), "pale", 0.97)]
        pieces += [Piece("shell", whole("M50,24 L74,24 Q76,25 76,28 L76,94 Q76,97 72,97 L50,97 Z"))]
        seams = [stroke(f"M24.5,{y} Q50,{y + 4} 75.5,{y}", 1.1) for y in (42, 56, 70, 84)]
        return [*pieces, *marks("shell", *seams, tone=0.72), Piece("zip", stroke("M67,26 L67,80", 2.6), "trim")]
    pieces = [Piece("hood", whole("M50,2 Q67,2 71,16 Q77,26 78,38 L50,42 Z"), "solid", 0.86)]
    pieces += [Piece("hood", ellipse(50, 20, 13.5, 14), "lining", 1.1)]
    pieces += [Piece("hood", path("M38,24 Q50,14 62,24 Q60,34 50,34 Q40,34 38,24 Z"), "pale", 0.97)]
    if cut == "barrel":
        shell, widths = "M50,37 Q66,37 78,34 Q85,54 80,76 Q74,96 62,98 L50,98 Z", (30, 31, 29, 23)
    else:
        shell, widths = "M50,37 Q66,37 78,34 Q80,50 71,76 Q67,94 60,98 L50,98 Z", (27, 24, 20, 16)
    pieces += [Piece("shell", whole(shell))]
    seams = [
        stroke(f"M{50 - w},{y} Q50,{y + 4} {50 + w},{y}", 1.1) for y, w in zip((49, 61, 73, 85), widths, strict=True)
    ]
    pieces += marks("shell", *seams, tone=0.72)
    return [*pieces, Piece("zip", stroke("M66,34 Q70,52 64,76", 2.6), "trim")]


def cushion(cut: str) -> list[Piece]:
    if cut == "round":
        pieces = [Piece("piping", ellipse(50, 50, 43, 42), "trim"), Piece("face", ellipse(50, 50, 39.5, 38.5))]
        rays = [
            stroke(f"M50,50 L{x},{y}", 0.8, 0.3)
            for x, y in ((50, 30), (67, 40), (67, 61), (50, 70), (33, 61), (33, 40))
        ]
        return [*pieces, *marks("face", *rays, tone=0.80), Piece("face", ellipse(50, 50, 4.6, 4.4), "trim")]
    if cut == "bolster":
        pieces = [
            Piece("face", path("M14,31 L86,31 Q93,50 86,69 L14,69 Z")),
            Piece("piping", stroke("M86,31 Q94,50 86,69", 2.8), "trim"),
        ]
        pieces += [
            Piece("face", ellipse(14, 50, 10, 20), "solid", 0.80),
            Piece("piping", stroke("M14,30 C0,30 0,70 14,70 C28,70 28,30 14,30", 2.8), "trim"),
        ]
        return [*pieces, Piece("piping", ellipse(14, 50, 2.6, 3.6), "trim")]
    edge = "M50,14 Q72,14 88,8 Q93,8 92,13 Q86,32 86,50 Q86,68 92,87 Q93,92 88,92 Q72,86 50,86 Z"
    face = "M50,17 Q72,17 86,12.5 Q89,12 88,15 Q82.5,34 82.5,50 Q82.5,66 88,85 Q89,88 86,87.5 Q72,83 50,83 Z"
    pieces = [Piece("piping", whole(edge), "trim"), Piece("face", whole(face))]
    folds = [
        stroke(f"M{x},{y} L{x + (50 - x) * 0.42},{y + (50 - y) * 0.38}", 1.8, 0.4) for x in (15, 85) for y in (15, 85)
    ]
    return pieces + marks("face", *folds, tone=0.86)


def mug(cut: str) -> list[Piece]:
    if cut == "bowl-shaped":
        body, top, wide, handle = "M50,30 L80,30 Q82,60 66,77 Q60,84 50,84 Z", 30, 30.0, "M77,40 C96,34 98,62 70,64"
    elif cut == "tapered":
        body, top, wide, handle = "M50,18 L79,18 L70,84 Q62,88 50,88 Z", 18, 29.0, "M75,30 C99,26 98,66 71,66"
    else:
        body, top, wide, handle = "M50,20 L74,20 L74,80 Q74,87 66,87 L50,88 Z", 20, 24.0, "M73,33 C98,28 98,72 73,70"
    foot = {
        "straight": "M22,82 Q42,88 62,82 L62,84 Q42,91 22,84 Z",
        "tapered": "M26,85 Q42,89 58,85 L58,86 Q42,90 26,86 Z",
        "bowl-shaped": "M28,81 Q42,84 56,81 L56,82 Q42,86 28,82 Z",
    }
    pieces = [Piece("handle", moved(stroke(handle, 7.5, 6.5), -8, 0), "solid", 0.95)]
    pieces += [Piece("body", moved(whole(body), -8, 0))]
    pieces += marks("body", path(foot[cut]), tone=0.80)
    pieces += [Piece("rim", ellipse(42, top, wide, 5.6), "trim")]
    return [*pieces, *marks("rim", ellipse(42, top + 0.6, wide - 3, 3.9), ink="dark", tone=1.5)]


def teapot(cut: str) -> list[Piece]:
    if cut == "tall":
        spout, handle = "M30,66 Q22,56 18,40 L10,33 L19,30 Q28,38 34,46 Z", "M64,40 C94,30 94,76 66,72"
        body, lid, knob = "M50,26 L61,26 Q70,54 71,80 Q70,89 62,90 L50,90 Z", "M50,18 Q58,18 62,27 Q56,29 50,29 Z", 14
    elif cut == "squat":
        spout, handle = "M28,66 Q14,62 10,44 L3,39 L12,34 Q22,42 30,50 Z", "M32,44 C34,4 66,4 68,44"
        body, lid, knob = "M50,41 L64,42 Q86,48 86,64 Q84,82 62,85 L50,85 Z", "M50,35 Q62,36 66,43 Q58,46 50,46 Z", 32
    else:
        spout, handle = "M28,68 Q18,62 14,42 L5,35 L14,30 Q24,38 34,48 Z", "M72,42 C102,34 100,76 72,74"
        body, lid, knob = "M50,32 L60,33 Q80,42 80,62 Q78,84 62,88 L50,88 Z", "M50,25 Q60,26 63,34 Q57,37 50,37 Z", 21
    pieces = [Piece("handle", stroke(handle, 5.6), "wood" if cut == "squat" else "solid", 0.9)]
    pieces += [Piece("spout", path(spout), "solid", 0.95), Piece("body", whole(body))]
    base = whole("M50,88 L61,87 L60,91 L50,92 Z")
    pieces += [Piece("body", moved(base, 0, {"tall": 0, "squat": -4}.get(cut, -2)), "solid", 0.75)]
    return [*pieces, Piece("lid", whole(lid), "solid", 1.03), Piece("lid", ellipse(50, knob, 4.4, 4.0), "trim")]


def rug(cut: str) -> list[Piece]:
    if cut == "round":
        pieces = [
            Piece("fringe", stroke(f"M{50 + 42 * c},{50 + 42 * s} L{50 + 47.5 * c},{50 + 47.5 * s}", 2.0), "cord")
            for c, s in _rays(40)
        ]
        pieces += [Piece("border", ellipse(50, 50, 43, 43), "trim")]
        pieces += [Piece("border", ellipse(50, 50, 40, 40), "solid", 0.85, False)]
        pieces += [Piece("border", ellipse(50, 50, 38.5, 38.5), "trim", 1.0, False)]
        pieces += [Piece("field", ellipse(50, 50, 35, 35))]
        return pieces
    left, right = (30, 70) if cut == "runner" else (17, 83)
    top, low = (11, 89) if cut == "runner" else (16, 84)
    pieces = [
        Piece("fringe", stroke(f"M{x},{y} L{x},{y + 6 * d}", 1.7), "cord")
        for d, y in ((1, low - 1), (-1, top + 1))
        for x in range(left + 2, right, 4)
    ]
    pieces += [
        Piece("border", _rectangle(left, top, right, low), "trim"),
        Piece("border", _rectangle(left + 2.4, top + 2.4, right - 2.4, low - 2.4), "solid", 0.85, False),
        Piece("border", _rectangle(left + 3.6, top + 3.6, right - 3.6, low - 3.6), "trim", 1.0, False),
        Piece("field", _rectangle(left + 6, top + 6, right - 6, low - 6)),
    ]
    diamonds = (30, 50, 70) if cut == "runner" else (50,)
    size = 9 if cut == "runner" else 17
    for y in diamonds:
        pieces += marks(
            "field", path(f"M50,{y - size} L{50 + size * 0.8},{y} L50,{y + size} L{50 - size * 0.8},{y} Z"), ink="trim"
        )
        pieces += marks(
            "field",
            path(f"M50,{y - size * 0.6} L{50 + size * 0.48},{y} L50,{y + size * 0.6} L{50 - size * 0.48},{y} Z"),
            ink="solid",
            tone=0.85,
        )
    return pieces


def lantern(cut: str) -> list[Piece]:
    pieces = [Piece("handle", stroke("M32,26 C30,-4 70,-4 68,26", 3.0), "metal", 0.92)]
    if cut == "round":
        pieces += [Piece("glass", whole("M50,30 Q66,30 72,44 Q77,58 66,74 L50,76 Z"), "glow")]
        pieces += _flame(60)
        pieces += _bars(stroke("M32,34 Q18,56 34,78", 3.4), stroke("M68,34 Q82,56 66,78", 3.4))
        pieces += [
            Piece("frame", whole("M50,14 L56,14 Q60,22 69,28 Q71,33 66,35 L50,36 Z"), "cloth"),
            Piece("frame", whole("M50,72 L66,72 Q76,80 78,92 Q64,96 50,96 Z"), "cloth"),
        ]
        return pieces
    if cut == "six-sided":
        pieces += [Piece("glass", whole("M50,32 L66,32 L74,54 L66,78 L50,78 Z"), "glow"), *_flame(62)]
        pieces += _bars(
            stroke("M35,32 L26,54 L35,78", 3.6),
            stroke("M65,32 L74,54 L65,78", 3.6),
            stroke("M44,32 L41,54 L44,78", 2.6),
            stroke("M56,32 L59,54 L56,78", 2.6),
        )
        return [
            *pieces,
            Piece("frame", whole("M50,10 L54,11 Q60,22 72,30 L70,37 L50,38 Z")),
            Piece("frame", whole("M50,75 L69,75 L74,84 L70,94 L50,95 Z")),
        ]
    pieces += [Piece("glass", path("M29,34 L71,34 L71,82 L29,82 Z"), "glow"), *_flame(64)]
    pieces += _bars(
        stroke("M28,32 L28,84", 5.0),
        stroke("M72,32 L72,84", 5.0),
        stroke("M50,34 L50,44", 2.6),
        stroke("M29,74 L71,74", 2.6),
    )
    return [
        *pieces,
        Piece("frame", whole("M50,14 L59,15 L78,32 L77,38 L50,38 Z")),
        Piece("frame", whole("M50,79 L77,79 L79,94 Q66,96 50,96 Z")),
    ]


def lamp(cut: str) -> list[Piece]:
    if cut == "pendant":
        pieces = [
            Piece("stem", stroke("M50,2 L50,36", 2.4), "dark"),
            Piece("base", whole("M50,1 L58,1 Q58,7 50,8 Z"), "metal"),
        ]
        pieces += [Piece("shade", ellipse(50, 78, 38, 8), "glow"), Piece("shade", ellipse(50, 80, 8, 9), "glow", 1.1)]
        return [*pieces, Piece("shade", whole("M50,36 L56,36 Q60,44 72,50 Q88,60 90,79 Q70,73 50,73 Z"))]
    if cut == "floor":
        pieces = [
            Piece("base", whole("M50,92 Q70,92 72,97 L50,98.5 Z"), "metal", 0.9),
            Piece("stem", stroke("M50,32 L50,93", 2.8), "metal", 0.92),
        ]
        return [
            *pieces,
            Piece("shade", whole("M50,3 L63,3 L80,36 Q65,40 50,40 Z")),
            *marks("shade", whole("M50,36 Q65,36 78.5,32.6 L80,36 Q65,40 50,40 Z"), ink="trim"),
        ]
    pieces = [Piece("stem", stroke("M50,46 L50,66", 4.2), "metal", 0.92)]
    pieces += [
        Piece("base", whole("M50,56 Q56,58 62,66 Q70,76 64,88 Q60,92 50,92 Z"), "solid", 0.86),
        Piece("base", whole("M50,90 L66,90 Q68,95 66,96 L50,96 Z"), "metal", 0.9),
    ]
    return [
        *pieces,
        Piece("shade", whole("M50,5 L66,5 L84,48 Q68,53 50,53 Z")),
        *marks(
            "shade",
            whole("M50,48.6 Q68,48.6 83,44.5 L84.5,49 Q68,53.5 50,53.5 Z"),
            whole("M50,4 L66,4 L67,7.4 L50,7.8 Z"),
            ink="trim",
        ),
    ]


def briefcase(cut: str) -> list[Piece]:
    if cut == "messenger":
        pieces = [
            Piece("handle", stroke("M16,46 C8,-12 92,-12 84,46", 4.4), "solid", 0.72),
            Piece(
                "case", path("M12,36 L88,36 Q91,36 91,40 L90,82 Q90,88 84,88 L16,88 Q10,88 10,82 L9,40 Q9,36 12,36 Z")
            ),
        ]
        pieces += [Piece("flap", path("M9,34 L91,34 L91,62 Q90,74 78,75 L22,75 Q10,74 9,62 Z"), "cloth", 1.02)]
        return [
            *pieces,
            *(Piece("flap", stroke(f"M{x},36 L{x},82", 6.0), "solid", 0.72) for x in (30, 70)),
            *(Piece("clasp", path(f"M{x - 4},66 L{x + 4},66 L{x + 4},75 L{x - 4},75 Z"), "metal") for x in (30, 70)),
        ]
    top, flap = (40, 60) if cut == "slim" else (28, 58)
    grip = moved(stroke("M36,2 L36,-10 Q36,-14 41,-14 L59,-14 Q64,-14 64,-10 L64,2", 4.6), 0, top)
    case = whole(f"M50,{top} L89,{top} Q94,{top} 94,{top + 5} L94,81 Q94,86 89,86 L50,86 Z")
    pieces = [Piece("handle", grip, "solid", 0.72), Piece("case", case)]
    pieces += marks("case", stroke("M11,82 L89,82", 1.0), tone=0.7)
    if cut == "deep":
        pieces += [Piece("case", path("M16,66 L84,66 L84,82 L16,82 Z"), "solid", 0.90)]
    front = f"M50,{top - 1} L88,{top - 1} Q94,{top - 1} 94,{top + 5} L94,{flap - 3} Q72,{flap + 2} 50,{flap + 4} Z"
    pieces += [Piece("flap", whole(front), tone=1.02)]
    pieces += marks("flap", stroke(f"M8,{flap - 5} Q50,{flap + 4} 92,{flap - 5}", 1.0), tone=0.72)
    places = (50,) if cut == "slim" else (28, 72)
    return pieces + [
        Piece(
            "clasp",
            path(f"M{x - 5},{flap - 4} L{x + 5},{flap - 4} L{x + 5},{flap + 6} Q{x},{flap + 9} {x - 5},{flap + 6} Z"),
            "metal",
        )
        for x in places
    ]


def sports_bag(cut: str) -> list[Piece]:
    if cut == "backpack":
        pieces = [
            Piece("straps", stroke("M42,12 C42,1 58,1 58,12", 3.6), "solid", 0.72),
            *(
                Piece("straps", s, "solid", 0.72)
                for s in (stroke("M27,34 Q14,52 22,84", 6.0), stroke("M73,34 Q86,52 78,84", 6.0))
            ),
        ]
        pieces += [
            Piece("body", whole("M50,8 Q68,8 74,24 Q78,44 78,82 Q78,94 68,95 L50,95 Z")),
            *marks("body", stroke("M27,34 Q50,20 73,34", 2.0), ink="trim"),
        ]
        return [
            *pieces,
            Piece("pocket", whole("M50,54 L65,54 Q70,55 70,62 L69,82 Q68,88 62,88 L50,88 Z"), "solid", 0.88),
            *marks("pocket", stroke("M34,62 L66,62", 1.8), ink="trim"),
        ]
    if cut == "sling":
        pieces = [Piece("straps", stroke("M60,20 C104,22 106,82 66,90", 5.4), "solid", 0.72)]
        pieces += [Piece("body", path("M36,4 Q42,9 48,5 Q54,10 60,5 Q65,9 70,6 L63,22 L41,22 Z"), "lining", 1.3)]
        pieces += [
            Piece(
                "body", path("M40,19 L64,19 Q76,24 78,36 L77,88 Q77,96 68,97 L35,97 Q26,96 26,88 L25,36 Q27,24 40,19 Z")
            )
        ]
        folds = [
            stroke(f"M{x},24 Q{52 + 1.5 * (x - 52)},30 {52 + 1.9 * (x - 52)},40", 1.2, 0.4) for x in (43, 49, 56, 61)
        ]
        pieces += [*marks("body", *folds, tone=0.78), Piece("straps", stroke("M39,20.5 Q52,24 65,20.5", 3.6), "trim")]
        pieces += [
            Piece(
                "pocket",
                path("M36,56 L67,56 Q69,56 69,59 L68,81 Q68,84 64,84 L39,84 Q35,84 35,81 L34,59 Z"),
                "solid",
                0.88,
            )
        ]
        return [*pieces, *marks("pocket", stroke("M38,62 L65,62", 1.8), ink="trim")]
    pieces = [Piece("straps", stroke("M28,54 C28,8 72,8 72,54", 4.0), "solid", 0.62)]
    pieces += [
        Piece("body", path("M13,42 Q50,36 87,42 Q96,46 96,63 Q96,80 87,85 Q50,88 13,85 Q4,80 4,63 Q4,46 13,42 Z")),
        *marks("body", stroke("M16,47 Q50,41 84,47", 2.0), ink="trim"),
    ]
    pieces += [
        Piece("body", s, "solid", 0.80)
        for s in (
            path("M13,42 Q4,46 4,63 Q4,80 13,85 Q20,84 20,63 Q20,44 13,42 Z"),
            path("M87,42 Q96,46 96,63 Q96,80 87,85 Q80,84 80,63 Q80,44 87,42 Z"),
        )
    ]
    pieces += [Piece("straps", s, "solid", 0.72) for s in (stroke("M33,85.5 L33,54 C33,16 67,16 67,54 L67,85.5", 4.4),)]
    return [
        *pieces,
        Piece("pocket", path("M40,58 L60,58 L60,80 Q50,81 40,80 Z"), "solid", 0.90),
        *marks("pocket", stroke("M41,62 L59,62", 1.8), ink="trim"),
    ]


def _bars(*outlines: Outline) -> list[Piece]:
    return [Piece("frame", outline, "solid") for outline in outlines]


def _flame(y: float) -> list[Piece]:
    flame = whole(f"M50,{y - 13} Q53,{y - 6} 55,{y - 1} Q56,{y + 5} 50,{y + 6} Z")
    return [
        Piece("glass", whole(f"M50,{y + 4} L55,{y + 4} L55,{y + 14} L50,{y + 14} Z"), "pale", raised=False),
        Piece("glass", flame, "flame", raised=False),
    ]


def _rectangle(left: float, top: float, right: float, low: float) -> Outline:
    return path(f"M{left},{top} L{right},{top} L{right},{low} L{left},{low} Z")


def _rays(count: int) -> list[tuple[float, float]]:
    return [(cos(2 * pi * n / count), sin(2 * pi * n / count)) for n in range(count)]
