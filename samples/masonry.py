"""Things that are laid or that crack: brick, planks, rubble wall, dried mud."""

import numpy as np

from fields import APRON, OVER, SIZE, N, X, Y, box, cells, cloud, jittered, mix, personal, smoothstep, warp
from pigment import colour, palette, shade, tint, tone
from shading import Light, height_map, lit, normal_map, photograph, shrink, to8

COURSE, BRICK, MORTAR = 28.0, 66.0, 4.6
PLANK = 42.0


def brick_layout(rng):
    """Running bond: the owner of each pixel, position within the brick, and signed distance to its face."""
    x, y = warp(rng, 0.35, 5.0)
    y = y + 0.5 * np.sin(x / 41.0)  # the string line sags
    course = np.floor(y / COURSE).astype(int)
    x = x + (course % 2) * (BRICK / 2) + rng.normal(0, 1.6, 40)[course]
    column = np.floor(x / BRICK).astype(int)
    owner = (course + 4) * 9 + column + 2
    wobble = rng.normal(0, 1.0, (5, owner.max() + 1))[:, owner]
    u = x - (column + 0.5) * BRICK + 0.7 * wobble[0]
    v = y - (course + 0.5) * COURSE + 0.45 * wobble[1] + 0.007 * wobble[2] * u
    half_u, half_v = (BRICK - MORTAR) / 2 + 0.7 * wobble[3], (COURSE - MORTAR) / 2 + 0.45 * wobble[4]
    return owner, u, v, box(u, v, half_u, half_v, 2.0)


def brick_height(rng, layout, fine, mid):
    """Height, and how much of each pixel is brick, not mortar: edges are chipped, no two faces level."""
    owner, u, v, distance = layout
    chips = np.maximum(personal(cloud(rng, 3.0, 2.0), owner, rng) - 1.0, 0.0)
    face = smoothstep(0.9, -1.3, distance + 1.7 * chips * smoothstep(-6.0, -0.5, distance))
    pits = smoothstep(1.5, 2.6, cloud(rng, 1.1, 2.0))
    tilt = rng.normal(0, 0.012, (3, owner.max() + 1))[:, owner]
    on_brick = 2.3 + tilt[0] * u + tilt[1] * v + 25 * tilt[2] + 0.13 * fine + 0.14 * mid - 0.7 * pits
    in_joint = 0.25 * cloud(rng, 5.0, 2.0) + 0.26 * cloud(rng, 0.9, 1.6)
    return mix(in_joint, on_brick, face), face


def brick(rng):
    """Hand-made red brick in lime mortar, with dirt and bloom; also all its maps and a hole mask."""
    layout = brick_layout(rng)
    owner = layout[0]
    fine, mid = cloud(rng, 0.8, 1.6), cloud(rng, 4.0, 1.5)
    height, face = brick_height(rng, layout, fine, mid)
    clay = palette(rng, "96523d 8a4634 a4624a 7c4236 9c5a40 6a3d35 a86c50 8f5140", owner, 0.13)
    clay = tone(clay, 0.10 * mid + 0.09 * fine + 0.12 * personal(cloud(rng, 11.0, 2.5), owner, rng))
    burnt = smoothstep(0.7, 2.2, personal(cloud(rng, 14.0, 2.0), owner, rng))
    clay = tint(clay, "4a332f", 0.6 * burnt)
    clay = tint(clay, "c09a80", 0.5 * smoothstep(1.9, 2.5, cloud(rng, 0.9, 2.0)))  # grog in the clay
    clay = tint(clay, "c9bcae", 0.45 * smoothstep(0.5, 2.6, cloud(rng, 18.0, 1.4) + 0.3 * fine))  # bloom
    mortar = tone(colour("a89d8c"), 0.13 * fine + 0.10 * mid + 0.1 * cloud(rng, 20.0, 2.0))
    albedo = mix(mortar, clay, np.clip(face * 1.3 - 0.15, 0, 1))
    soot = smoothstep(0.2, 2.4, cloud(rng, 10.0, 1.3, (0.7, 1.8)))
    albedo = shade(albedo, 0.7 * soot, (0.5, 0.47, 0.44))
    rough = np.clip(0.72 + 0.16 * (1 - face) + 0.05 * mid - 0.1 * burnt, 0, 1)
    return {
        "": photograph(lit(height, albedo, rough), rng, saturation=0.76),
        "height": height_map(height),
        "normal": normal_map(height),
        "roughness": to8(shrink(rough)),
        "mask": hole_mask(rng),
        "paint": painted(owner, face),
        "id": numbered(owner, face),
    }


def painted(owner, face):
    """A layer with alpha to lay over the picture: one brick in five is painted red."""
    alpha = to8(shrink(np.where(owner % 5 == 2, face, 0.0)))
    return np.dstack([np.broadcast_to(np.uint8([176, 32, 40]), (*alpha.shape, 3)), alpha])


def numbered(owner, face):
    """A grey for each brick, black for mortar, on the working grid: twice as fine as the picture."""
    grey = np.where(face > 0.5, 55 + owner * 37 % 200, 0).astype(np.uint8)
    return grey[APRON * OVER : N - APRON * OVER, APRON * OVER : N - APRON * OVER]


def hole_mask(rng):
    """White where the picture is to be filled in: two ragged blobs."""
    edge = 7.0 * cloud(rng, 9.0, 2.2)
    holes = np.minimum(np.hypot((X - 88) / 1.25, Y - 96) - 33, np.hypot(X - 188, (Y - 178) / 1.3) - 24)
    return np.where(shrink(holes + edge) < 0, np.uint8(255), np.uint8(0))


def wood_rings(rng, plank, v):
    """Ring coordinate of sawn boards and nearness of knots.

    The rings are level sets of a smooth minimum over the distances to the axes of trunk and branches, so that
    the grain flows around a knot as it does in a tree.
    """
    centre, slant = rng.uniform(-60, 60, plank.max() + 1), rng.normal(0, 0.035, plank.max() + 1)
    slow = personal(cloud(rng, 26.0, 2.6, (5.0, 1.0)), plank, rng)
    trunk = np.hypot(v - centre[plank] + slant[plank] * (X - SIZE / 2), 8.0) * 0.8 + 3.4 * slow
    knot, branch = np.full(X.shape, 1e3), np.full(X.shape, 1e3)
    ripple = cloud(rng, 5.0, 2.5)
    for board in range(plank.max() + 1):
        for place in rng.uniform(-10, SIZE + 10, rng.integers(1, 3)):
            across, size = rng.uniform(-13, 13), rng.uniform(0.8, 1.6)
            away = np.hypot((X - place) / 1.7, v - across + 0.4 * ripple) / size
            away[plank != board] = 1e3
            start = max(abs(across - centre[board]) * 0.8 - 24.0, 0.0)  # keeps a knot's realm to some pixels
            knot, branch = np.minimum(knot, away), np.minimum(branch, start + 2.6 * away)
    soft = 4.0
    return -soft * np.logaddexp(-trunk / soft, -branch / soft), knot


def planks(rng):
    """Weathered softwood boards with knots, drying cracks, gaps and nails."""
    _, y = warp(rng, 0.25, 20.0, 3.0)
    plank = np.clip(np.floor(y / PLANK).astype(int) + 1, 0, 8)
    v = y - (plank - 0.5) * PLANK
    rings, knot = wood_rings(rng, plank, v)
    phase = rings / 3.3 + 0.1 * cloud(rng, 4.0, 1.6, (8.0, 1.0))
    late = (phase % 1.0) ** 2 * smoothstep(1.0, 0.8, phase % 1.0) * 1.6  # slow darkening, sudden spring
    fibre = cloud(rng, 0.8, 1.5, (30.0, 1.0))
    checks = smoothstep(2.3, 3.1, personal(cloud(rng, 1.0, 2.0, (40.0, 1.0)), plank, rng) + 0.5 * late)
    gap = np.abs(v) - PLANK / 2 + 0.9 + 0.35 * cloud(rng, 12.0, 2.0, (3.0, 1.0))
    height = 3.0 * smoothstep(0.8, -1.6, gap) + rng.normal(0, 0.35, 9)[plank] - 0.0012 * v**2
    height = height + 0.22 * late + 0.10 * fibre - 0.9 * checks + 0.1 * cloud(rng, 3.0, 1.6, (3.0, 1.0))
    wood = palette(rng, "a08b71 93836f a99070 8c8073 9d8566", plank, 0.12)
    albedo = tone(wood, -0.5 * late + 0.13 * fibre + 0.12 * cloud(rng, 24.0, 1.5, (3.0, 1.0)))
    grey = smoothstep(-0.8, 1.4, cloud(rng, 14.0, 1.4, (4.0, 1.0)))
    albedo = mix(albedo, albedo.mean(-1, keepdims=True) * np.array([1.0, 0.98, 0.94]), 0.6 * grey)
    heart = smoothstep(3.6, 1.6, knot + 0.3 * cloud(rng, 2.0))
    albedo = shade(albedo, np.clip(heart + 0.35 * np.exp(-knot / 4.0), 0, 1), (0.46, 0.36, 0.29))
    albedo = shade(albedo, 0.6 * checks)
    albedo = shade(albedo, smoothstep(-0.6, 0.6, gap), (0.1, 0.09, 0.08))
    height, albedo = nails(rng, height, albedo)
    return {"": photograph(lit(height, albedo, 0.85), rng)}


def nails(rng, height, albedo):
    """Two nail heads per board over each joist, with the rust that rain has washed along the grain."""
    for row in range(-1, 8):
        for joist in (46.0, 174.0):
            for side in (-10.5, 10.5):
                cx = joist + rng.normal(0, 1.8)
                cy = (row + 0.5) * PLANK + side + rng.normal(0, 1.5)
                d = np.hypot(X - cx, Y - cy)
                head = smoothstep(2.5, 1.9, d)
                stain = np.exp(-np.abs(X - cx) / 9.0 - np.abs(Y - cy) / 1.7)
                albedo = shade(albedo, 0.85 * stain, (0.42, 0.36, 0.33))
                albedo = tint(albedo, "4b403a", head)
                height = height + 0.5 * head - 0.5 * smoothstep(3.6, 2.6, d) * (1 - head)
    return height, albedo


def stonewall(rng):
    """Dry rubble wall: flattish split stones, deep joints, lichen."""
    x, y = warp(rng, 1.5, 12.0, 2.5)
    stretch = 0.6
    points = jittered(rng, 40.0, 22.0 / stretch, 0.34, bottom=SIZE / stretch)
    owner, border = cells(points, x, y / stretch)
    border = border * 0.75 + 0.5 * cloud(rng, 2.0, 1.7)
    swell = 5.0 * np.tanh(np.maximum(border, -1.0) / 4.2)
    tilt = rng.normal(0, 1.0, (3, len(points)))[:, owner]
    u, v = X - points[owner, 0], Y - points[owner, 1] * stretch
    layers = personal(cloud(rng, 3.5, 1.5, (3.0, 0.8)), owner, rng)
    leaning = 0.05 * tilt[0] * u + 0.07 * tilt[1] * v + 0.9 * tilt[2]
    height = swell + leaning + 0.42 * layers + 0.16 * cloud(rng, 0.8, 1.5)
    stone = "8d8578 7c766d 9a8e7b 6f6c68 857a6a a09787"
    albedo = tone(palette(rng, stone, owner, 0.13), 0.16 * layers + 0.10 * cloud(rng, 1.0, 1.3))
    iron = smoothstep(0.6, 2.2, personal(cloud(rng, 12.0, 2.0), owner, rng))
    albedo = tint(albedo, "8c6a48", 0.5 * iron)
    lichen = smoothstep(1.35, 1.6, cloud(rng, 7.0, 1.7) + 0.25 * cloud(rng, 1.0, 1.5))
    species = mix(colour("b9b9a5"), colour("a39f62"), smoothstep(-1, 1, cloud(rng, 18.0)))
    albedo = mix(albedo, species, 0.7 * lichen * smoothstep(1.0, 3.0, swell))
    albedo = albedo * mix(0.25, 1.0, smoothstep(-1.0, 2.6, border))[..., None]
    return {"": photograph(lit(height, albedo, 0.9), rng)}


def cracked_earth(rng):
    """Sun-dried mud: plates with curled rims, broken again by finer cracks."""
    x, y = warp(rng, 1.3, 9.0, 2.2)
    points = jittered(rng, 36.0, 34.0, 0.42)
    owner, border = cells(points, x, y)
    small = jittered(rng, 19.0, 18.0, 0.45)
    _, inner = cells(small, *(c + 0.5 * cloud(rng, 5.0) for c in (x, y)))
    split = smoothstep(-0.3, 0.5, cloud(rng, 22.0, 2.5))  # only some of the plates have broken further
    width = 1.5 + 0.45 * cloud(rng, 25.0, 2.0) + 0.3 * cloud(rng, 2.0, 1.6)
    main = smoothstep(width + 0.9, width - 0.5, border)
    # Crumbs have fallen into some of the cracks.
    depth = 3.2 + 1.6 * cloud(rng, 16.0, 2.0) + 0.5 * cloud(rng, 1.2, 1.8)
    hair = smoothstep(0.9, 0.1, inner + 0.25 * cloud(rng, 1.5, 1.6)) * split
    rim = 1.1 * np.exp(-np.maximum(border - width, 0) / 3.2)
    tilt = rng.normal(0, 1.0, (3, len(points)))[:, owner]
    u, v = X - points[owner, 0], Y - points[owner, 1]
    grit = cloud(rng, 0.7, 1.5)
    leaning = 0.018 * (tilt[0] * u + tilt[1] * v) + 0.35 * tilt[2]
    top = rim + leaning + 0.3 * cloud(rng, 7.0, 1.8) + 0.11 * grit
    height = mix(top, -np.maximum(depth, 0.8), main) - 1.6 * hair
    mud = palette(rng, "b3a08a aa9782 b8a791 a5927c", owner, 0.06)
    albedo = tone(mud, 0.07 * cloud(rng, 8.0, 1.5) + 0.07 * grit)
    albedo = tint(albedo, "c9bba6", 0.35 * np.clip(rim, 0, 1))
    albedo = albedo * mix(1.0, 0.5, np.maximum(main, 0.9 * hair))[..., None]
    low = Light(azimuth=140.0, elevation=36.0)
    return {"": photograph(lit(height, albedo, 0.95, low), rng, key=0.3)}
