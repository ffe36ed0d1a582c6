"""What is worn: the pieces of each cut, from the rear to the front, in a box of 100 x 100."""

from tenfold.shop.pictures.outlines import Piece, both, ellipse, marks, mirrored, pair, path, stroke, whole


def shirt(cut: str) -> list[Piece]:
    pieces = []
    if cut == "long-sleeved":
        sleeve = path("M70,20 Q82,23 85,36 L95,82 Q89,87 82,85 L74,48 Z")
        pieces += pair("sleeves", sleeve, grain=-14)
        cuff = path("M93,74 L95.5,83 Q89,88 82,86 L80.5,77 Q87,79 93,74 Z")
        pieces += pair("sleeves", cuff, "solid", 0.93)
    elif cut == "short-sleeved":
        pieces += pair("sleeves", path("M70,20 Q83,23 88,33 L96,47 Q89,54 81,55 L72,42 Z"), grain=-32)
        pieces += pair("sleeves", path("M94,43 L96.5,47.5 Q89,55 80.5,56 L79,51.5 Q87,51 94,43 Z"), "solid", 0.93)
    torso = "M50,19 L61,16 L74,20 Q73,30 76,41 Q73,62 76,91 Q63,95 50,95 Z"
    if cut == "sleeveless":
        torso = "M50,19 L60,16 L69,18 Q66,32 75,41 Q72,62 75,91 Q63,95 50,95 Z"
    pieces += [Piece("body", whole(torso))]
    if cut == "sleeveless":
        pieces += marks("body", *(s for s in both(stroke("M69,18 Q66,32 75,41", 2.4))), ink="solid", tone=0.84)
    pieces += marks("body", path("M46.8,24 L53.2,24 L53.2,94.8 L46.8,94.8 Z"), ink="solid", tone=0.95)
    pieces += marks("body", stroke("M53.4,30 L53.4,94", 0.9), tone=0.72)
    pieces += marks("body", stroke("M66,46 Q68,66 65,88", 1.2, 0.3), stroke("M33,50 Q31,66 35,84", 1.2, 0.3), tone=0.86)
    pieces += [Piece("collar", path("M41,16 Q50,12 59,16 L56,24 Q50,27 44,24 Z"), "lining")]
    pieces += pair("collar", path("M50,26 L57,14.5 Q61,12.5 63.5,16 L66.5,26 L57,33 Z"), "solid", 1.03)
    pieces += [Piece("buttons", ellipse(50, y, 2.0, 2.0), "trim") for y in (37, 49, 61, 73, 85)]
    return pieces


def hoodie(cut: str) -> list[Piece]:
    low = 76 if cut == "cropped" else 90
    pieces = pair("sleeves", path("M71,27 Q85,29 88,44 L96,80 Q90,86 82,84 L73,52 Z"), grain=-14)
    pieces += pair("sleeves", path("M95,74 L97,83 Q90,89 82,87 L80,79 Q88,81 95,74 Z"), "solid", 0.84)
    pieces += [Piece("body", whole(f"M50,24 L62,22 L75,27 Q75,36 78,46 L77,{low} Q64,{low + 3} 50,{low + 3} Z"))]
    hem = whole(f"M50,{low - 3} Q64,{low - 3} 77,{low - 5} L76.5,{low + 3} Q64,{low + 6} 50,{low + 6} Z")
    pieces += [Piece("body", hem, "solid", 0.84)]
    ribs = [stroke(f"M{x},{low - 2} L{x},{low + 5}", 0.9) for x in range(26, 76, 6)]
    pieces += marks("body", *ribs, ink="solid", tone=0.70)
    pieces += [Piece("hood", whole("M50,5 Q66,4 70,18 Q72,27 66,32 Q58,39 50,39 Z"), "solid", 0.97)]
    pieces += [Piece("hood", whole("M50,11 Q60,10 62,20 Q60,29 50,36 Z"), "lining", 0.8, False)]
    top = low - 24
    if cut == "zipped":
        for side in (path(f"M54,{top} L62,{top} L70,{low - 10} L70,{low - 5} L54,{low - 5} Z"),):
            pieces += pair("pocket", side, "solid", 0.94)
        pieces += marks("body", path(f"M46,34 L54,34 L54,{low + 5} L46,{low + 5} Z"), ink="solid", tone=0.72)
        pieces += marks("body", stroke(f"M50,35 L50,{low + 4}", 3.2), ink="metal")
    else:
        pocket = whole(f"M50,{top} L62,{top} L71,{low - 10} L71,{low - 5} L50,{low - 5} Z")
        pieces += [Piece("pocket", pocket, "solid", 0.94)]
    for cord in both(stroke("M54,35 Q56,43 55,52", 1.9)):
        pieces += [Piece("hood", cord, "trim")]
    return pieces


def blazer(cut: str) -> list[Piece]:
    low = 74 if cut == "cropped" else 93
    pieces = pair("sleeves", path("M71,17 Q84,19 87,32 L93,80 Q87,85 80,83 L73,46 Z"), grain=-10)
    pieces += marks("sleeves", *both(stroke("M82,72 L82.8,77", 1.9)), ink="metal")
    pieces += [Piece("body", path("M40,12 L60,12 L64,22 L50,60 L36,22 Z"), "pale")]
    pieces += marks("body", path("M47.5,22 L52.5,22 L54,50 L50,56 L46,50 Z"), ink="trim", tone=0.9)
    pieces += marks("body", path("M41,13 L50,23 L45,29 Z"), path("M59,13 L50,23 L55,29 Z"), ink="pale", tone=0.90)
    across = 11 if cut == "double-breasted" else 1.5
    left = path(f"M39,13 L28,17 Q28,32 26,44 Q29,56 25,{low} Q36,{low + 2} {48 + across},{low} L50,58 Z")
    right = mirrored(path(f"M39,13 L28,17 Q28,32 26,44 Q29,56 25,{low} Q36,{low + 3} {46 + across},{low - 4} L50,58 Z"))
    pieces += [Piece("body", left), Piece("body", right)]
    pieces += marks("body", *both(stroke(f"M62,{low - 24} L72,{low - 26}", 3.6)), ink="solid", tone=0.80)
    pieces += marks("body", stroke("M65,44 L72,43", 2.4), ink="trim")
    lapel = path("M60,11 Q64,15 66,19 L74,27 L67.5,30.5 L70,35 L51,61 Q52,40 57,27 Z")
    if cut == "double-breasted":
        lapel = path("M60,11 Q64,15 66,18 L81,22 L74,34 L51,63 Q52,40 57,27 Z")
    pieces += pair("lapels", lapel, "solid", 0.88)
    rows = (60, 68) if cut == "cropped" else (63, 74)
    places = [(50, y) for y in rows]
    if cut == "double-breasted":
        places = [(x, y) for y in (64, 74, 84) for x in (38, 58)]
    pieces += [Piece("buttons", ellipse(x, y, 2.5, 2.5), "metal") for x, y in places]
    return pieces


def coat(cut: str) -> list[Piece]:
    low = {"long": 96, "short": 72, "belted": 96}[cut]
    end = min(low - 6, 70)
    pieces = pair("sleeves", path(f"M68,15 Q80,17 83,29 L91,{end} Q85,{end + 5} 77,{end + 2} L71,42 Z"), grain=-12)
    cuff = path(
        f"M89.5,{end - 8} L91.5,{end + 1} Q85,{end + 6} 76.5,{end + 3} L75,{end - 6} Q83,{end - 3} 89.5,{end - 8} Z"
    )
    pieces += pair("sleeves", cuff, "solid", 0.86)
    waist = 66 if cut == "belted" else 73
    body = f"M50,14 L60,11 L71,15 Q72,28 {waist},48 Q{waist + 3},66 {waist + 13},{low} Q64,{low + 2} 50,{low + 2} Z"
    pieces += [Piece("body", whole(body))]
    pieces += marks("body", stroke(f"M55,30 L56,{low + 1}", 1.2), tone=0.66)
    pieces += marks("body", *both(stroke(f"M64,{low - 24} L71,{low - 20}", 3.4)), ink="solid", tone=0.78)
    pieces += [Piece("collar", path("M40,12 Q50,6 60,12 L56,22 L44,22 Z"), "lining")]
    pieces += pair("collar", path("M59,8 Q64,9 66,14 L72,26 L59,36 L50,27 Q55,18 59,8 Z"), "solid", 0.90)
    if cut == "belted":
        pieces += [Piece("body", whole("M50,46 L67,45.5 L67.5,52.5 L50,53 Z"), "solid", 0.72)]
        pieces += [Piece("body", stroke("M47,52 Q43,60 44,68", 4.2), "solid", 0.72)]
        pieces += [
            Piece("body", ellipse(50, 49.5, 4.4, 4.4), "metal"),
            *marks("body", ellipse(50, 49.5, 2.4, 2.4), ink="solid", tone=0.6),
        ]
        rows: tuple[int, ...] = (38, 62, 76)
    else:
        rows = (40, 52, 64) if cut == "short" else (40, 54, 68, 82)
    pieces += [Piece("buttons", ellipse(x, y, 2.4, 2.4), "dark") for y in rows for x in (44, 58)]
    return pieces


def sundress(cut: str) -> list[Piece]:
    low = {"mini": 74, "midi": 87, "maxi": 98}[cut]
    wide = {"mini": 78, "midi": 81, "maxi": 78}[cut]
    pieces = [Piece("straps", strap, "solid", 0.9) for strap in both(stroke("M61,28 Q60,14 57,4", 3.4))]
    skirt = (
        f"M50,43 L62,43 Q69,62 {wide},{low - 2} Q{wide - 6},{low + 2} {wide - 12},{low} Q62,{low - 2} 50,{low + 1} Z"
    )
    pieces += [Piece("skirt", whole(skirt))]
    folds = [
        stroke(f"M{x},48 Q{50 + (x - 50) * 1.5},{(48 + low) / 2} {50 + (x - 50) * 2.4},{low - 4}", 0.8, 2.6)
        for x in (42, 50, 58)
    ]
    pieces += marks("skirt", *folds, tone=0.88)
    if cut == "maxi":
        pieces += marks("skirt", whole("M50,71 Q64,71 72.5,69 L73.5,72 Q64,74 50,74 Z"), ink="solid", tone=0.80)
    pieces += [Piece("bodice", whole("M50,29 Q57,20 63,23 Q67,26 66,33 Q63,38 62.5,45 Q56,47 50,47 Z"))]
    pieces += marks("bodice", *both(stroke("M57,32 Q58,40 57,46", 1.0)), tone=0.85)
    pieces += [Piece("bodice", whole("M50,42.5 L62.5,42 L63,46.5 L50,47.5 Z"), "trim")]
    return pieces


def leggings(cut: str) -> list[Piece]:
    low = 70 if cut == "cropped" else 97
    if cut == "flared":
        leg = f"M50,8 L64,8 Q71,24 67,46 Q63,62 66,72 L79,{low} Q68,{low + 2} 55,{low} L54,66 Q52,48 50,32 Z"
    else:
        leg = f"M50,8 L64,8 Q71,24 68,46 Q68,64 64,{low} Q60.5,{low + 1.5} 57,{low} Q53,66 53.5,52 Q52,42 50,32 Z"
    pieces = [Piece("legs", mirrored(path(leg)), grain=6), Piece("legs", path(leg), grain=-6)]
    shin = 70 if cut == "flared" else 63
    pieces += marks("legs", *both(stroke(f"M65,16 Q69,30 66,48 Q64.5,62 {shin},{low - 4}", 2.0)), ink="trim")
    pieces += marks("legs", *both(stroke("M56,52 Q59,54.5 63,53", 1.1, 0.4)), tone=0.82)
    pieces += [Piece("waistband", whole("M50,4 L63.5,4 L66.2,15 Q60,17 50,17 Z"), "solid", 0.78)]
    pieces += marks("waistband", whole("M50,10 L64.8,9.6 L65.2,11.4 L50,11.8 Z"), ink="trim")
    return pieces


def apron(cut: str) -> list[Piece]:
    if cut == "waist":
        pieces = [Piece("straps", s, "solid", 0.78) for s in both(stroke("M72,32 Q84,33 90,42 Q93,50 88,62", 4.0))]
        pieces += [Piece("skirt", whole("M50,30 L76,30 Q82,56 81,80 Q79,84 74,84 L50,84 Z"))]
        pieces += [Piece("skirt", whole("M50,29 L76.5,29 L77.5,36 L50,36.5 Z"), "solid", 0.82)]
        pieces += [Piece("pocket", side, "solid", 0.92) for side in both(path("M56,46 L73,46 L73,62 Q64.5,68 56,62 Z"))]
        return pieces + marks("pocket", *both(stroke("M56,48.5 L73,48.5", 2.4)), ink="trim")
    if cut == "cross-back":
        pieces = [
            Piece("straps", s, "solid", 0.78) for s in both(stroke("M62,24 Q58,10 42,4 Q24,2 18,18 Q17,30 26,46", 3.8))
        ]
    else:
        pieces = [Piece("straps", stroke("M38,22 Q36,3 50,3 Q64,3 62,22", 3.6), "solid", 0.78)]
        pieces += [Piece("straps", s, "solid", 0.78) for s in both(stroke("M72,46 Q83,46 88,56 Q89,62 86,72", 3.4))]
    pieces += [Piece("skirt", whole("M50,40 L66,41 Q73,44 76,50 Q78,70 75,92 Q73,95 68,95 L50,95 Z"))]
    pieces += [Piece("bib", whole("M50,19 L63,19 Q64,33 71,44 L71,48 L50,48 Z"))]
    pieces += marks("bib", whole("M50,18.5 L63.3,18.5 L63.8,22.5 L50,22.5 Z"), ink="trim")
    pieces += marks("skirt", whole("M50,46.8 L73.5,46.8 L74,49 L50,49 Z"), ink="solid", tone=0.72)
    pieces += [Piece("pocket", whole("M50,58 L66,58 L65,73 Q64,76 60,76 L50,76 Z"), "solid", 0.92)]
    return pieces + marks(
        "pocket", whole("M50,58 L66,58 L65.7,61.5 L50,61.5 Z"), stroke("M50,60 L50,76", 0.9), ink="trim"
    )


def scarf(cut: str) -> list[Piece]:
    if cut == "square":
        edge = [(8 + 42 * t, 26 + 62 * t) for t in (0.03, 0.14, 0.25, 0.36, 0.47, 0.58, 0.69, 0.80, 0.91)]
        pieces = [Piece("fringe", s, "trim") for x, y in edge for s in both(stroke(f"M{x},{y} L{x - 5},{y + 7}", 2.2))]
        pieces += [Piece("fringe", stroke("M50,87 L50,97", 2.4), "trim")]
        pieces += [Piece("body", whole("M50,17 Q74,17 93,24 Q74,58 50,89 Z"))]
        pieces += marks("body", *both(stroke("M86,28 Q72,54 50,81", 1.8)), ink="trim")
        pieces += [Piece("body", whole("M50,14 Q72,14 88,20 Q70,48 50,70 Z"), tone=1.03)]
        return pieces + marks("body", *both(stroke("M81,23 Q66,46 50,63", 1.8)), ink="trim")
    if cut == "looped":
        pieces = _tassels("fringe", 38, 52, 88, 97) + _tassels("fringe", 54, 68, 80, 89)
        pieces += [Piece("body", path("M52,44 Q62,46 70,80 Q62,83 53,81 Q50,62 46,52 Z"), grain=-8, tone=0.92)]
        pieces += [Piece("body", path("M40,44 Q50,46 54,89 Q45,91 36,89 Q38,64 36,50 Z"), grain=3)]
        pieces += [Piece("body", path("M18,26 Q20,8 50,7 Q80,8 82,26 Q70,16 50,17 Q30,16 18,26 Z"), "solid", 0.62)]
        pieces += [
            Piece(
                "body",
                path("M17,24 Q18,44 50,46 Q82,44 83,24 Q85,14 78,12 Q80,27 50,29 Q20,27 22,12 Q15,14 17,24 Z"),
                tone=0.90,
            )
        ]
        pieces += [
            Piece(
                "body", path("M20,33 Q30,44 50,44 Q70,44 80,33 Q84,38 78,48 Q66,60 50,60 Q34,60 22,48 Q16,38 20,33 Z")
            )
        ]
        return pieces + marks("body", stroke("M28,46 Q40,54 54,53", 1.1, 0.4), tone=0.80)
    pieces = _tassels("fringe", 26, 43, 86, 95) + _tassels("fringe", 57, 74, 86, 95)
    pieces += [Piece("body", path("M28,22 Q30,6 50,6 Q70,6 72,22 L66,28 Q62,15 50,15 Q38,15 34,28 Z"), "solid", 0.66)]
    pieces += [
        Piece("body", path("M72,20 Q76,52 75,87 Q66,89 56,87 Q56,56 53,38 Q62,32 64,15 Q70,14 72,20 Z"), grain=-3)
    ]
    pieces += [
        Piece("body", path("M28,20 Q24,52 25,87 Q34,89 44,87 Q45,60 50,42 Q38,32 36,15 Q30,14 28,20 Z"), grain=3)
    ]
    return pieces + marks(
        "body", stroke("M31,24 Q36,36 40,44", 1.4, 0.4), stroke("M69,24 Q64,36 60,44", 1.4, 0.4), tone=0.80
    )


def beanie(cut: str) -> list[Piece]:
    pieces = []
    if cut == "slouchy":
        crown = path("M17,68 Q10,38 34,21 Q56,6 76,18 Q92,28 88,40 Q84,52 83,68 Z")
        pieces += [Piece("crown", crown)]
        lines = [
            stroke("M30,64 Q28,40 58,20", 1.5, 0.5),
            stroke("M50,64 Q50,40 66,21", 1.5, 0.5),
            stroke("M68,64 Q70,44 76,26", 1.5, 0.5),
        ]
        pieces += marks("crown", *lines, tone=0.80)
        return [*pieces, *_cuff(62, 76)]
    if cut == "bobble":
        bobble = path(
            "M50,2 Q56,-1 59,5 Q66,5 65,12 Q69,18 63,21 Q60,27 53,25 Q46,29 42,23 Q35,22 36,15 Q33,8 40,7 Q43,0 50,2 Z"
        )
        pieces += [Piece("crown", bobble, "trim")]
        pieces += marks(
            "crown",
            *(stroke(f"M50,13 L{x},{y}", 0.8, 1.8) for x, y in ((40, 8), (45, 22), (58, 20), (60, 9), (50, 4))),
            ink="trim",
            tone=0.86,
        )
    pieces += [Piece("crown", whole("M50,19 Q68,19 77,36 Q84,50 84,72 L50,72 Z"))]
    lines = [stroke(f"M50,21 Q{50 + d},34 {50 + 1.25 * d},70", 0.6, 1.6) for d in (-22, -8, 8, 22)]
    pieces += marks("crown", *lines, tone=0.80)
    return pieces + _cuff(62 if cut == "bobble" else 58, 84)


def cap(cut: str) -> list[Piece]:
    if cut == "flat":
        peak = path("M54,62 Q84,60 97,70 Q99,76 90,77 Q68,80 50,72 Z")
        crown = path("M6,56 Q8,36 34,28 Q58,22 78,40 Q92,54 93,66 Q84,68 70,66 Q44,74 22,70 Q6,66 6,56 Z")
        pieces = [Piece("peak", peak, "solid", 0.72), Piece("crown", crown)]
        seams = (
            stroke("M41,27 Q34,46 34,70", 1.2),
            stroke("M41,27 Q64,36 72,64", 1.2),
            stroke("M7,58 Q10,68 24,69 Q44,72 70,65", 2.2),
        )
        return [*pieces, *marks("crown", *seams, tone=0.74), Piece("crown", ellipse(41, 26.5, 3.6, 2.2), "solid", 0.85)]
    if cut == "bucket":
        pieces = [Piece("peak", whole("M50,60 L70,58 Q84,66 94,82 Q72,92 50,92 Z"), tone=0.88)]
        rings = [stroke(f"M{50 - w},{y} Q50,{y + 9} {50 + w},{y}", 1.0) for w, y in ((29, 69), (34, 74.5), (38.5, 80))]
        pieces += marks("peak", *rings, tone=0.72)
        pieces += [Piece("crown", whole("M50,26 Q65,26 67,32 L73,61 Q62,67 50,67 Z"))]
        pieces += marks(
            "crown",
            stroke("M34,32 Q50,38 66,32", 1.2),
            stroke("M28,57 Q50,66 72,57", 1.2),
            stroke("M50,35 L50,66", 1.0),
            tone=0.74,
        )
        return [*pieces, *marks("crown", ellipse(40, 48, 1.6, 1.6), ellipse(60, 48, 1.6, 1.6), ink="dark")]
    pieces = [Piece("crown", path("M12,64 Q10,26 44,22 Q74,20 78,60 Q60,66 40,67 Q20,68 12,64 Z"))]
    pieces += marks(
        "crown",
        stroke("M44,22 Q52,42 52,66", 1.2),
        stroke("M44,22 Q24,36 24,66", 1.2),
        stroke("M44,22 Q68,32 77,58", 1.2),
        tone=0.74,
    )
    pieces += [Piece("crown", ellipse(44, 21.5, 3.4, 2.2), "solid", 0.8)]
    pieces += marks("crown", ellipse(37, 36, 1.5, 1.5), ellipse(58, 36, 1.5, 1.5), ink="dark")
    pieces += [
        Piece("peak", path("M34,66 Q54,53 79,58 Q96,64 97,72 Q94,76 84,74 Q58,66 40,72 Q34,71 34,66 Z"), "solid", 0.82)
    ]
    return pieces + marks("peak", stroke("M41,68.5 Q62,59 90,70", 0.9), ink="solid", tone=0.62)


def sun_hat(cut: str) -> list[Piece]:
    if cut == "boater":
        pieces = [Piece("brim", ellipse(50, 66, 46, 13)), *marks("brim", ellipse(50, 64, 33, 8), tone=0.62)]
        pieces += [
            Piece("crown", path("M22,34 Q50,27 78,34 L80,63 Q50,74 20,63 Z")),
            Piece("crown", ellipse(50, 34, 28, 7), tone=1.05),
        ]
        return [*pieces, Piece("band", path("M21,49 Q50,59 79,49 L80,63 Q50,74 20,63 Z"), "trim")]
    if cut == "floppy":
        pieces = [
            Piece(
                "brim",
                path("M3,60 Q8,44 50,42 Q92,44 97,62 Q98,76 86,78 Q76,88 62,82 Q48,92 34,83 Q20,88 13,76 Q3,72 3,60 Z"),
            )
        ]
        folds = [stroke(f"M{50 + d},62 Q{50 + 1.3 * d},72 {50 + 1.5 * d},81", 0.6, 2.6) for d in (-20, -8, 9, 22)]
        pieces += marks("brim", *folds, tone=0.82)
        pieces += marks("brim", ellipse(50, 59, 31, 10), tone=0.66)
        pieces += [Piece("crown", whole("M50,18 Q68,18 73,36 Q77,48 77,58 Q64,67 50,67 Z"))]
        return [*pieces, Piece("band", whole("M50,55 Q66,55 76.3,48 L77.2,58 Q64,67 50,67 Z"), "trim")]
    pieces = [Piece("brim", ellipse(50, 61, 48, 20)), *marks("brim", ellipse(50, 57, 29, 10), tone=0.66)]
    pieces += [Piece("crown", whole("M50,19 Q60,24 66,21 Q73,30 76,54 Q64,64 50,64 Z"))]
    pieces += marks("crown", path("M40,21 Q50,32 60,21 Q54,40 50,42 Q45,40 40,21 Z"), tone=0.85)
    return [*pieces, Piece("band", whole("M50,52 Q64,52 75,44 L76.3,54 Q64,64 50,64 Z"), "trim")]


def sneakers(cut: str) -> list[Piece]:
    pieces = []
    holes: tuple[tuple[float, float], ...]
    if cut == "high-top":
        upper = path(
            "M8,72 Q10,58 12,42 Q13,28 15,18 Q28,15 43,19 Q45,34 52,45 Q66,52 84,59 Q95,63 95,72 L95,78 L8,78 Z"
        )
        pieces += [Piece("upper", path("M16,22 Q28,10 44,20 L44,28 L18,28 Z"), "lining"), Piece("upper", upper)]
        pieces += marks("upper", ellipse(25, 36, 7, 7), ink="trim")
        tongue = path("M36,14 Q44,13 46,18 Q50,34 58,46 L50,47 Q40,34 36,14 Z")
        holes = ((38, 25), (44, 33), (50, 41), (55.5, 48))
    else:
        upper = path("M7,72 Q8,60 9,50 Q10,42 16,42 Q24,50 38,43 Q48,40 54,46 Q68,55 84,59 Q95,63 95,72 L95,78 L7,78 Z")
        pieces += [Piece("upper", path("M12,44 Q26,34 46,42 L40,52 L14,52 Z"), "lining"), Piece("upper", upper)]
        tongue = path("M38,35 Q46,32 49,37 Q54,44 62,50 L56,54 Q44,48 38,35 Z")
        holes = ((41, 43), (47.5, 47.5), (54, 52))
    pieces += marks("upper", path("M7,76 Q8,60 9.5,52 Q20,56 24,66 Q25,72 24,78 L7,78 Z"), ink="solid", tone=0.80)
    pieces += [Piece("upper", path("M74,56 Q95,60 95,73 L95,78 L66,78 Q66,66 74,56 Z"), "solid", 0.92)]
    if cut == "slip-on":
        pieces += marks("upper", path("M44,46 Q52,46 56,56 Q48,58 40,52 Z"), ink="dark")
        pieces += marks("upper", stroke("M47,48 L44,53", 1.2), stroke("M51,49 L48,55", 1.2), ink="trim")
    else:
        pieces += [Piece("upper", tongue, "solid", 0.9)]
        pieces += [Piece("laces", stroke(f"M{x},{y + 1} L{x + 10},{y - 2.5}", 3.0), "pale") for x, y in holes]
    sole = path("M5,75 Q50,72 96,75 Q99,80 95,87 Q50,88 9,87 Q4,84 5,75 Z")
    pieces += [Piece("sole", sole, "sole")]
    return pieces + marks("sole", path("M6,79 Q50,76 97,79 L97,81 Q50,78.5 6,81 Z"), ink="trim")


def running_shoes(cut: str) -> list[Piece]:
    upper = path("M6,72 Q4,52 8,38 Q13,33 17,38 Q24,49 36,42 Q43,35 50,38 Q64,53 84,57 Q97,61 97,72 Z")
    pieces = [Piece("upper", path("M12,40 Q28,30 46,40 L40,50 L16,52 Z"), "lining"), Piece("upper", upper)]
    pieces += marks("upper", path("M6,70 Q4,52 8,38 Q12,34 16,39 Q18,56 28,70 Z"), ink="solid", tone=0.78)
    pieces += marks("upper", path("M80,56.5 Q97,61 97,71 L74,71 Q76,62 80,56.5 Z"), ink="solid", tone=0.86)
    for n in range(4):
        x, y = 46 + 5.6 * n, 43.5 + 3.9 * n
        pieces += [Piece("upper", stroke(f"M{x - 4},{y + 2} L{x + 4},{y - 2}", 2.3), "pale")]
    pieces += [Piece("stripe", path("M24,67 Q40,65 60,52 L66,55 Q50,71 30,71 Z"), "trim")]
    if cut == "cushioned":
        sole = path("M2,67 Q14,73 50,70 Q80,70 97,66 Q101,74 92,80 Q60,84 8,83 Q-1,78 2,67 Z")
        slots = [stroke(f"M{x},77 L{x + 8},77", 2.6) for x in (12, 26, 40, 54)]
        return [*pieces, Piece("sole", sole, "sole"), *marks("sole", *slots, ink="trim")]
    if cut == "racing":
        sole = path("M4,69 Q50,72 98,66 Q98,73 92,74 Q60,73 44,75 Q20,78 5,76 Z")
        return [*pieces, Piece("sole", sole, "sole")]
    lugs = [path(f"M{x},74 L{x + 7},74 L{x + 6},82 L{x + 1},82 Z") for x in range(6, 90, 10)]
    pieces += [Piece("sole", lug, "dark") for lug in lugs]
    return [*pieces, Piece("sole", path("M4,68 Q50,71 98,67 Q100,74 95,76 L6,77 Q3,74 4,68 Z"), "sole")]


def sandals(cut: str) -> list[Piece]:
    if cut == "wedge":
        pieces = [Piece("straps", stroke("M11,56 Q4,40 12,31 Q24,24 35,31", 5.4), "solid", 0.86)]
        wedge = path("M4,54 Q14,62 36,64 Q60,68 92,74 Q98,78 94,83 L72,84 Q52,80 42,84 L9,86 Q4,70 4,54 Z")
        pieces += [Piece("sole", wedge, "footbed", 1.10)]
        grooves = [stroke(f"M6,{y} Q26,{y + 1} {x},{y + 6}", 1.2) for y, x in ((66, 66), (72, 60), (78, 46))]
        pieces += marks("sole", *grooves, ink="footbed", tone=0.86)
        pieces += [
            Piece("sole", path("M3,52 Q14,60 36,61 Q62,66 94,72 L95,76 Q60,72 36,67 Q10,66 3,58 Z"), "solid", 0.74)
        ]
        pieces += [
            Piece("straps", stroke("M34,30 Q42,40 42,63", 5.4)),
            Piece("straps", path("M55,67 Q56,47 72,49 Q88,54 91,74 Q72,71 55,67 Z")),
        ]
        return [
            *pieces,
            Piece("buckle", ellipse(34, 31, 4.4, 4.4), "metal"),
            *marks("buckle", ellipse(34, 31, 2.1, 2.1), ink="solid", tone=0.6),
        ]
    sole = path(
        "M50,4 Q64,4 69,18 Q73,34 67,50 Q64,60 66,74 Q66,96 50,97 Q35,96 34,76 Q35,62 32,48 Q26,32 31,18 Q37,4 50,4 Z"
    )
    inner = path(
        "M50,7 Q62,7 66,19 Q70,34 64,50 Q61,60 63,74 Q63,93 50,94 Q38,93 37,76 Q38,62 35,48 Q29,32 34,19 Q39,7 50,7 Z"
    )
    pieces = [Piece("sole", sole, "sole", 0.92), Piece("sole", inner, "footbed", 1.06)]
    pieces += marks("sole", ellipse(50, 24, 13, 12), ellipse(50, 80, 9, 9), ink="footbed", tone=0.92)
    if cut == "slide":
        pieces += [Piece("straps", path("M25,24 Q50,14 75,24 L76,52 Q50,42 24,52 Z"))]
        pieces += marks("straps", stroke("M26,27 Q50,18 74,27", 1.2), stroke("M25,48 Q50,39 75,48", 1.2), tone=0.75)
        return [
            *pieces,
            Piece("buckle", path("M68,27 L74,28 L75,45 L69,43 Z"), "metal"),
            *marks("buckle", stroke("M71.5,31 L72,40", 2.2), ink="solid", tone=0.55),
        ]
    pieces += [Piece("straps", stroke("M50,15 Q49,28 50,40", 6.0), "solid", 0.9)]
    pieces += [Piece("straps", path("M26,26 Q44,28 52,40 Q62,32 73,30 L74,42 Q60,44 52,50 Q42,42 26,38 Z"))]
    pieces += [Piece("straps", path("M31,66 Q50,56 69,66 L69,76 Q50,66 31,76 Z"))]
    return [
        *pieces,
        Piece("buckle", ellipse(66, 69, 4.6, 4.6), "metal"),
        *marks("buckle", ellipse(66, 69, 2.2, 2.2), ink="solid", tone=0.55),
    ]


def _cuff(top: float, right: float) -> list[Piece]:
    left = 100 - right - 2
    right += 2
    cuff = path(
        f"M{left},{top + 2} Q50,{top - 3} {right},{top + 2} L{right},{top + 22} Q50,{top + 28} {left},{top + 22} Z"
    )
    ribs = [stroke(f"M{x},{top + 1} L{x},{top + 24}", 1.5) for x in range(int(left) + 6, int(right) - 3, 7)]
    return [Piece("cuff", cuff, "solid", 0.94), *marks("cuff", *ribs, ink="solid", tone=0.74)]


def _tassels(part: str, first: int, last: int, top: float, low: float) -> list[Piece]:
    return [Piece(part, stroke(f"M{x},{top - 1} L{x},{low}", 2.2, 2.6), "trim") for x in range(first, last + 1, 4)]
