"""Pieces to pixels: anti-aliased filling, patterns, textures, light and shadow, in one compiled pass.

Outlines are filled on a grid SAMPLES times finer than the picture, the front over the rear, so that each sample belongs
to one piece; a pixel's colour is the mean of its samples and its part the one that has most of it. Surfaces get their
roundness from a blurred copy of their own outline, whose slope stands for the way that they face.
H, W: height and width in pixels; K pieces; T things.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.compiled import inner, loop

SAMPLES = 4  # a side of a pixel
INSIDE = (1, 3, 0, 2)  # of each row of a pixel's samples, the one that is looked at where all are of one piece

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Pieces(NamedTuple):
    """The pieces of all things, from the rear to the front."""

    points: Floats  # (N, 2): corners, in samples
    start: Numbers  # (K + 1,): a piece's corners are start[k] .. start[k + 1]
    part: Numbers  # (K,): from 1, numbered within its thing
    thing: Numbers  # (K,): from 0
    surface: Numbers  # (K,): pieces of one surface are rounded as one; in the order of the pieces
    raised: NDArray[np.bool_]  # (K,): it makes its surface's shape; others only lie on it
    colour: Floats  # (K, 3, 3): the first, second and third
    pattern: Numbers  # (K,)
    texture: Numbers  # (K,)
    finish: Floats  # (K, 5): length, depth, gloss, sharpness, halo
    tone: Floats  # (K,)
    shines: NDArray[np.bool_]  # (K,)
    grain: Floats  # (K, 2): cosine and sine of the angle of its cloth


class Things(NamedTuple):
    back: Floats  # (T, 2, 3): from samples to the thing's own coordinates
    scale: Floats  # (T,): samples in one of those
    bounds: Floats  # (T, 4): the thing's own box: left, top, width, height
    print: Floats  # (T, 2): size of patterns; 1 where stripes stand up
    round: Floats  # (T,): 1 soft things .. 2 hard, round ones
    foot: Floats  # (T, 4): where it stands: centre, base and half width in pixels; 1 if it stands


class Scenery(NamedTuple):
    light: Floats  # (6,): direction x and y towards the light, its strength, red, green, blue
    kind: int
    colours: Floats  # (2, 3)
    horizon: float  # share of the height above it
    shift: float  # of boards, panes and tiles


@loop
def paint(pieces, things, scenery, image, part, thing):  # type: ignore[no-untyped-def]
    """Fills image (H, W, 3), part (H, W; 0 background) and thing (H, W; from 1, 0 background), all uint8."""
    height, width = part.shape
    label = np.full((height * SAMPLES, width * SAMPLES), -1, np.int16)
    normal = np.zeros((height * 2, width * 2, 4), np.float32)
    cover = np.zeros((height * 2, width * 2), np.float32)
    first = 0
    count = len(pieces.part)
    for k in range(count):
        _fill(pieces.points[pieces.start[k] : pieces.start[k + 1]], k, label, cover, pieces.raised[k])
        if k + 1 == count or pieces.surface[k + 1] != pieces.surface[k]:
            box = _box(pieces.points[pieces.start[first] : pieces.start[k + 1]], cover.shape)
            _round(cover, normal, box, things.scale[pieces.thing[k]] / 2)
            first = k + 1
    shadow = _shadow(label, things, scenery, height, width)
    _shade(pieces, things, scenery, label, normal, shadow, image, part, thing)


@inner
def _fill(points, k, label, cover, raised):  # type: ignore[no-untyped-def]
    """Samples whose centres lie inside (non-zero winding) get the label; cover counts those of raised pieces."""
    rows, columns = label.shape
    count = len(points)
    low, high = points[0, 1], points[0, 1]
    for i in range(count):
        low, high = min(low, points[i, 1]), max(high, points[i, 1])
    crossing, direction = np.empty(count), np.empty(count, np.int64)
    for row in range(max(0, math.floor(low)), min(rows, math.ceil(high) + 1)):
        y = row + 0.5
        found = 0
        for i in range(count):
            j = i + 1 if i + 1 < count else 0
            if (points[i, 1] <= y) == (points[j, 1] <= y):
                continue
            x = points[i, 0] + (y - points[i, 1]) / (points[j, 1] - points[i, 1]) * (points[j, 0] - points[i, 0])
            way = 1 if points[j, 1] > points[i, 1] else -1
            place = found
            while place > 0 and crossing[place - 1] > x:
                crossing[place], direction[place] = crossing[place - 1], direction[place - 1]
                place -= 1
            crossing[place], direction[place] = x, way
            found += 1
        winding = 0
        for i in range(found - 1):
            winding += direction[i]
            if winding != 0:
                for column in range(
                    max(0, math.ceil(crossing[i] - 0.5)), min(columns, math.ceil(crossing[i + 1] - 0.5))
                ):
                    label[row, column] = k
                    if raised:
                        cover[row // 2, column // 2] = 1.0


@inner
def _box(points, shape):  # type: ignore[no-untyped-def]
    """Top, bottom, left and right of some pieces on the half-fine grid."""
    top, bottom, left, right = shape[0], 0, shape[1], 0
    for i in range(len(points)):
        x, y = points[i, 0] / 2, points[i, 1] / 2
        top, bottom = min(top, int(y) - 1), max(bottom, int(y) + 2)
        left, right = min(left, int(x) - 1), max(right, int(x) + 2)
    return max(top, 0), min(bottom, shape[0]), max(left, 0), min(right, shape[1])


@inner
def _round(cover, normal, box, unit):  # type: ignore[no-untyped-def]
    """Slopes of the surface in `cover`, near its edges and at large; empties cover. unit: grid cells in a unit."""
    top, bottom, left, right = box
    height, width = bottom - top, right - left
    if height <= 0 or width <= 0:
        return
    thickness = min(height, width) / 2.0
    for scale in range(2):
        radius = max(1, int(1.3 * unit + 0.5)) if scale == 0 else max(2, int(min(13.0 * unit, thickness * 0.5)))
        pad = radius + 1
        field = np.zeros((height + 2 * pad, width + 2 * pad), np.float32)
        for y in range(height):
            for x in range(width):
                field[y + pad, x + pad] = cover[top + y, left + x]
        for _ in range(2):
            _blur_rows(field, radius)
            _blur_columns(field, radius)
        for y in range(height):
            for x in range(width):
                if cover[top + y, left + x] > 0:
                    i, j = y + pad, x + pad
                    normal[top + y, left + x, 2 * scale] = (field[i, j - 1] - field[i, j + 1]) * radius
                    normal[top + y, left + x, 2 * scale + 1] = (field[i - 1, j] - field[i + 1, j]) * radius
    cover[top:bottom, left:right] = 0.0


@inner
def _blur_rows(field, radius):  # type: ignore[no-untyped-def]
    height, width = field.shape
    line = np.empty(width, np.float32)
    for y in range(height):
        total = np.float32(0.0)
        for x in range(min(radius, width)):
            total += field[y, x]
        for x in range(width):
            if x + radius < width:
                total += field[y, x + radius]
            if x - radius - 1 >= 0:
                total -= field[y, x - radius - 1]
            line[x] = total / (2 * radius + 1)
        field[y] = line


@inner
def _blur_columns(field, radius):  # type: ignore[no-untyped-def]
    height, width = field.shape
    total = np.zeros(width, np.float32)
    source = field.copy()
    for y in range(min(radius, height)):
        total += source[y]
    for y in range(height):
        if y + radius < height:
            total += source[y + radius]
        if y - radius - 1 >= 0:
            total -= source[y - radius - 1]
        field[y] = total / (2 * radius + 1)


@inner
def _shadow(label, things, scenery, height, width):  # type: ignore[no-untyped-def]
    """How much of the light is taken from the background, (H, W) from 0 to 1."""
    cast = np.zeros((height, width), np.float32)
    unit = things.scale[0] / SAMPLES
    for t in range(len(things.scale)):
        unit = min(unit, things.scale[t] / SAMPLES)
    dx, dy = -round(3.0 * unit * scenery.light[0]), -round(4.0 * unit * scenery.light[1])
    half = SAMPLES // 2
    for y in range(height):
        for x in range(width):
            i, j = y - dy, x - dx
            if 0 <= i < height and 0 <= j < width and label[i * SAMPLES + half, j * SAMPLES + half] >= 0:
                cast[y, x] = 0.42
    radius = max(1, round(2.2 * unit))
    for _ in range(2):
        _blur_rows(cast, radius)
        _blur_columns(cast, radius)
    for t in range(len(things.scale)):
        if things.foot[t, 3] == 0:
            continue
        reach = things.foot[t, 2]
        flat = max(0.16 * reach, 1.0) + 0.8 * unit
        x0, y0 = things.foot[t, 0] - 0.22 * reach * scenery.light[0], things.foot[t, 1] - 0.2 * flat
        for y in range(max(0, int(y0 - 3 * flat)), min(height, int(y0 + 3 * flat) + 1)):
            for x in range(width):
                far = ((x + 0.5 - x0) / (1.12 * reach)) ** 2 + ((y + 0.5 - y0) / flat) ** 2
                if far < 4.0:
                    cast[y, x] = max(cast[y, x], 0.55 * math.exp(-0.9 * far * far))
    return cast


@inner
def _shade(pieces, things, scenery, label, normal, shadow, image, part, thing):  # type: ignore[no-untyped-def]
    height, width = part.shape
    lx, ly, strength = scenery.light[0], scenery.light[1], scenery.light[2]
    votes = np.zeros(len(pieces.part) + 1, np.int64)
    seen = np.empty(SAMPLES * SAMPLES, np.int64)
    ground, total, colour = np.empty(3), np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            total[:] = 0.0
            bare, kinds = 0, 0
            for i in range(SAMPLES * SAMPLES):
                k = label[y * SAMPLES + i // SAMPLES, x * SAMPLES + i % SAMPLES]
                if k < 0:
                    bare += 1
                    continue
                if votes[k] == 0:
                    seen[kinds] = k
                    kinds += 1
                votes[k] += 1
            inside = bare == 0 and kinds == 1  # four samples then do, one in each row and column
            for i in range(SAMPLES * SAMPLES):
                if bare == SAMPLES * SAMPLES or (inside and i % SAMPLES != INSIDE[i // SAMPLES]):
                    continue
                row, column = y * SAMPLES + i // SAMPLES, x * SAMPLES + i % SAMPLES
                k = label[row, column]
                if k >= 0:
                    _sample(pieces, things, k, row, column, lx, ly, strength, label, normal, colour)
                    total += SAMPLES * colour if inside else colour
            if bare > 0:
                _ground(scenery, x + 0.5, y + 0.5, height, width, ground)
                total += bare * ground * (1.0 - shadow[y, x])
            for c in range(3):
                value = total[c] / (SAMPLES * SAMPLES) * scenery.light[3 + c]
                image[y, x, c] = int(255.0 * min(max(value, 0.0), 1.0) + 0.5)
            part[y, x], thing[y, x] = 0, 0
            if 2 * bare <= SAMPLES * SAMPLES:
                _most(pieces, votes, seen, kinds, part, thing, y, x)
            for i in range(kinds):
                votes[seen[i]] = 0


@inner
def _most(pieces, votes, seen, kinds, part, thing, y, x):  # type: ignore[no-untyped-def]
    """The part, of one thing, that has most samples of a pixel."""
    best = 0
    for i in range(kinds):
        k = seen[i]
        count = 0
        for j in range(kinds):
            if pieces.part[seen[j]] == pieces.part[k] and pieces.thing[seen[j]] == pieces.thing[k]:
                count += votes[seen[j]]
        if count > best:
            best = count
            part[y, x], thing[y, x] = pieces.part[k], pieces.thing[k] + 1


@inner
def _sample(pieces, things, k, row, column, lx, ly, strength, label, normal, colour):  # type: ignore[no-untyped-def]
    """The colour of one sample of piece k."""
    t = pieces.thing[k]
    back, bounds = things.back[t], things.bounds[t]
    x = back[0, 0] * (column + 0.5) + back[0, 1] * (row + 0.5) + back[0, 2]
    y = back[1, 0] * (column + 0.5) + back[1, 1] * (row + 0.5) + back[1, 2]
    u, v = (x - bounds[0]) / bounds[2], (y - bounds[1]) / bounds[3]
    c, s = pieces.grain[k, 0], pieces.grain[k, 1]
    cx, cy = c * (x - 50) + s * (y - 50), c * (y - 50) - s * (x - 50)  # along and across the cloth

    share, shade = _pattern(
        pieces.pattern[k], cx / things.print[t, 0], cy / things.print[t, 0], u, v, things.print[t, 1]
    )
    first = pieces.colour[k]
    for i in range(3):
        if share <= 1.0:
            colour[i] = first[0, i] + share * (first[1, i] - first[0, i])
        else:
            colour[i] = first[1, i] + (share - 1.0) * (first[2, i] - first[1, i])
    length, depth, gloss, sharp, halo = pieces.finish[k]
    n = normal[row // 2, column // 2]
    slope = math.sqrt(n[2] * n[2] + n[3] * n[3])
    light = shade * pieces.tone[k]
    faint = 0.0
    if depth != 0.0:
        relief = _texture(pieces.texture[k], cx, cy, length, depth)
        light *= 1.0 + relief
        dark = 1.0 - max(first[0, 0], first[0, 1], first[0, 2])
        faint = 0.22 * dark * dark * relief  # on black a share of nothing would not be seen
    if halo != 0.0:
        light *= 1.0 + halo * min(1.0, 1.1 * slope * slope + 1.2 * (n[0] * n[0] + n[1] * n[1])) - 0.25 * max(halo, 0.0)
    if not pieces.shines[k]:
        edge, form = n[0] * lx + n[1] * ly, n[2] * lx + n[3] * ly
        facing = strength * (0.42 * edge + 0.50 * things.round[t] * form)
        light *= 1.0 + min(facing, 0.25 + 0.2 * facing) - 0.10 * things.round[t] * slope
        faint += 0.05 * max(facing, 0.0)
        light *= 1.0 - 0.34 * _occlusion(pieces, k, row, column, lx, ly, things.scale[t], label)
    for i in range(3):
        colour[i] = colour[i] * light + faint
    if gloss > 0.0:
        nx, ny = 1.5 * n[2], 1.5 * n[3]
        hx, hy = 0.55 * lx, 0.55 * ly
        cosine = (nx * hx + ny * hy + 1.0) / math.sqrt((nx * nx + ny * ny + 1.0) * (hx * hx + hy * hy + 1.0))
        bright = gloss * math.pow(max(cosine, 0.0), 4.0 * sharp)
        for i in range(3):
            colour[i] += bright * (1.0 - min(colour[i], 1.0))
    for i in range(3):
        colour[i] = min(max(colour[i], 0.0), 1.0)


@inner
def _occlusion(pieces, k, row, column, lx, ly, scale, label):  # type: ignore[no-untyped-def]
    """How much a surface in front, towards the light, takes of it."""
    hidden = 0.0
    for step in range(1, 5):
        i, j = row + int(ly * step * 0.55 * scale), column + int(lx * step * 0.55 * scale)
        if 0 <= i < label.shape[0] and 0 <= j < label.shape[1]:
            other = label[i, j]
            if other >= 0 and pieces.surface[other] > pieces.surface[k]:
                hidden += 0.25
    return hidden


@inner
def _noise(x, y):  # type: ignore[no-untyped-def]
    """Smooth value noise, from 0 to 1, with one hill a unit."""
    i, j = math.floor(x), math.floor(y)
    fx, fy = x - i, y - j
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    a, b = _scatter(i, j), _scatter(i + 1, j)
    c, d = _scatter(i, j + 1), _scatter(i + 1, j + 1)
    return (a + (b - a) * fx) * (1 - fy) + (c + (d - c) * fx) * fy


@inner
def _scatter(i, j):  # type: ignore[no-untyped-def]
    """A number of [0, 1) for each cell of a grid."""
    h = np.uint32(int(i) * 374761393 + int(j) * 668265263 & 0xFFFFFFFF)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return h / 4294967296.0


@inner
def _part_of(x):  # type: ignore[no-untyped-def]
    return x - math.floor(x)


@inner
def _pattern(pattern, x, y, u, v, upright):  # type: ignore[no-untyped-def]
    """Where from the first (0) over the second (1) to the third colour (2) a point is, and its lightness."""
    if pattern == 1:  # striped
        return (1.0 if _part_of((x if upright else y) / 13 + 0.15) < 0.36 else 0.0), 1.0
    if pattern == 2:  # checked
        a, b = _part_of(x / 17 + 0.3) < 0.34, _part_of(y / 17 + 0.3) < 0.34
        fine = abs(_part_of(x / 17 + 0.3) - 0.68) < 0.045 or abs(_part_of(y / 17 + 0.3) - 0.68) < 0.045
        return 0.38 * a + 0.38 * b + (0.3 if fine else 0.0), 1.0
    if pattern == 3:  # herringbone
        zigzag = abs(_part_of(x / 18) - 0.5) * 18
        return (0.62 if _part_of((y + zigzag) / 6.5) < 0.40 else 0.0), 1.0
    if pattern == 4:  # floral
        return _flower(x, y), 1.0
    if pattern == 5:  # dotted
        row = math.floor(y / 9)
        dx, dy = (_part_of(x / 12 + 0.5 * (row % 2)) - 0.5) * 12, (_part_of(y / 9) - 0.5) * 9
        return (1.0 if dx * dx + dy * dy < 8.4 else 0.0), 1.0
    if pattern == 6:  # colour-block
        across = 0.22 * u + 0.78 * v
        if across > 0.66:
            return 1.0, 1.0
        return (2.0 if across > 0.61 else 0.0), 1.0
    if pattern == 7:  # camouflage
        if _noise(x / 13 + 7.3, y / 9 + 1.1) > 0.62:
            return 0.0, 0.58
        if _noise(x / 15 + 31.7, y / 10 + 5.9) > 0.64:
            return 0.55, 1.0
        return 0.0, 1.0 if _noise(x / 12 + 3.7, y / 8 + 45.9) < 0.55 else 0.80
    if pattern == 8:  # glazed
        drip = 0.30 + 0.045 * math.sin(x * 0.42) + 0.075 * math.sin(x * 0.19 + 1.0)
        if v < drip:
            return 1.0, 1.0
        return (0.35 if v < drip + 0.035 else 0.0), 1.0
    if pattern == 9:  # marbled
        vein = math.sin(0.11 * x + 0.07 * y + 7.0 * _noise(x / 21 + 3.1, y / 21 + 8.2))
        width = 0.10 + 0.25 * _noise(x / 30 + 11.0, y / 30)
        return (0.9 if abs(vein) < width else 0.0), 1.0
    return 0.0, 1.0


@inner
def _flower(x, y):  # type: ignore[no-untyped-def]
    """Five petals in each cell of a staggered grid, and a leaf between."""
    size = 19.0
    row = math.floor(y / size)
    shift = 0.5 * (row % 2)
    column = math.floor(x / size + shift)
    lot = _scatter(column, row)
    dx = (x / size + shift - column - 0.5) * size + 5.0 * (lot - 0.5)
    dy = (y / size - row - 0.5) * size + 5.0 * (_scatter(row, column + 9) - 0.5)
    far = math.sqrt(dx * dx + dy * dy)
    if far < 1.9:
        return 2.0
    angle = math.atan2(dy, dx) + 6.28 * lot
    return 1.0 if far < 3.6 + 2.9 * abs(math.cos(2.5 * angle)) else 0.0


@inner
def _texture(texture, x, y, length, depth):  # type: ignore[no-untyped-def]
    """By how much a texture lightens a point."""
    turn = 2 * math.pi / length
    if texture == 1:  # weave
        return depth * (math.sin(x * turn) * math.sin(y * turn) - 0.2)
    if texture == 2:  # twill
        return depth * (math.sin((x + y) * turn * 0.75) - 0.1)
    if texture == 3:  # ribs
        return depth * (abs(math.sin(x * turn / 2)) - 0.72)
    if texture == 4:  # knit: columns of V
        column = abs(_part_of(x / length) - 0.5)
        return depth * (
            0.9 * math.sin((y / length * 1.15 + 0.9 * column) * 2 * math.pi) - (1.1 if column > 0.40 else 0.0)
        )
    if texture == 5:  # mottle
        return (
            depth * (_noise(x / length, y / length) + 0.6 * _noise(2.1 * x / length + 9, 2.1 * y / length) - 0.8) * 1.6
        )
    if texture == 6:  # sheen: broad soft folds
        return depth * math.sin((0.8 * x + 0.35 * y) * turn + 2.2 * math.sin(y * turn * 0.45))
    if texture == 7:  # crinkle
        fold = _noise((x + 0.8 * y) / length + 5, (y - 0.4 * x) / (0.55 * length))
        return depth * (1.0 - abs(2.0 * fold - 1.0) * 2.1)
    if texture == 8:  # quilt
        puff = abs(math.sin(y * turn / 2 + 0.35 * math.sin(x * 0.09)))
        return depth * (math.sqrt(puff) - 0.80)
    if texture == 9:  # holes
        row = math.floor(y / length * 1.15)
        dx, dy = _part_of(x / length + 0.5 * (row % 2)) - 0.5, _part_of(y / length * 1.15) - 0.5
        return -depth if dx * dx + dy * dy < 0.085 else 0.06
    if texture == 10:  # specks
        i, j = math.floor(x / length), math.floor(y / length)
        lot = _scatter(i + 17, j + 5)
        dx, dy = x / length - i - 0.3 - 0.4 * _scatter(i, j), y / length - j - 0.3 - 0.4 * _scatter(j, i)
        return depth if dx * dx + dy * dy < 0.19 * lot * lot + 0.02 else 0.02
    if texture == 11:  # plait
        row = math.floor(y / length * 1.6)
        lean = (x if row % 2 == 0 else -x) / length * 1.1 + 0.8 * (y / length * 1.6 - row)
        return depth * (0.75 * math.sin(lean * 2 * math.pi) - (0.8 if y / length * 1.6 - row < 0.22 else -0.1))
    if texture == 12:  # slats
        return depth * (0.25 - (1.35 if _part_of(x / length) < 0.20 else 0.0))
    if texture == 13:  # bumps
        row = math.floor(y / length)
        dx, dy = _part_of(x / length + 0.5 * (row % 2)) - 0.5, _part_of(y / length) - 0.5
        return depth * (0.7 - 4.2 * (dx * dx + dy * dy) - 0.9 * (dx + dy) * 0.6)
    if texture == 14:  # reflection: bands of a bright room
        return depth * (math.sin(x * turn + 1.3) + 0.5 * math.sin(2.7 * x * turn))
    return 0.0


@inner
def _ground(scenery, x, y, height, width, colour):  # type: ignore[no-untyped-def]
    """The background's colour at a point, in pixels."""
    u, v = x / width, y / height
    aspect = width / height
    near, far = scenery.colours[0], scenery.colours[1]
    share, light = 0.0, 1.0
    if scenery.kind == 0:  # studio: darker towards the floor's far corners
        light = 1.03 - 0.10 * v
    elif scenery.kind == 1:  # gradient
        share = v
    elif scenery.kind == 2:  # horizon
        if v > scenery.horizon:
            share, light = 1.0, 0.93 + 0.10 * (v - scenery.horizon) / (1 - scenery.horizon)
        else:
            light = 0.96 + 0.06 * v
    elif scenery.kind == 3:  # table of boards
        if v > scenery.horizon:
            deep = (v - scenery.horizon) / (1 - scenery.horizon)
            board = _part_of((u - 0.5) * aspect * 3.6 / (0.55 + 0.9 * deep) + scenery.shift)
            share, light = 1.0, 0.90 if board < 0.035 else 1.0
        else:
            light = 0.97 + 0.05 * v
    elif scenery.kind == 4:  # disc
        dx, dy = (u - 0.5) * aspect, v - 0.47
        edge = (0.405 - math.sqrt(dx * dx + dy * dy)) * height
        share = min(max(edge + 0.5, 0.0), 1.0)
    elif scenery.kind == 5:  # window: light falls in through panes
        lean = (u * aspect + 0.55 * v) * 2.1 + scenery.shift
        pane = min(max((0.5 - abs(_part_of(lean) - 0.5) - 0.11) * height / 4, 0.0), 1.0)
        share = 0.15
        light = 0.93 + 0.09 * pane
    else:  # tiles
        edge = min(_part_of(u * aspect * 4 + scenery.shift), _part_of(v * 4 + scenery.shift))
        share = 1.0 if edge < 0.07 else 0.0
        light = 1.0 - 0.05 * v
    for c in range(3):
        colour[c] = (near[c] + share * (far[c] - near[c])) * light
