"""A material as engines want it: cobblestones with moss in the joints, as base colour and four maps, 512 x 512.

The maps are drawn on the working grid, which has two samples for each unit of length of the other samples. No map holds
light: shadows and highlights are the renderer's.
"""

import numpy as np

from fields import APRON, OVER, SIZE, N, X, Y, blur, cloud, jittered, mix, personal, smoothstep, warp
from pigment import palette, shade, tint, tone
from shading import encoded, to8

RELIEF = 26.0  # pixels of the maps from the lowest to the highest place
INSIDE = slice(APRON * OVER, N - APRON * OVER)
GRANITE = "8d877f 9a938a 7d7a77 a39a8d 6e6b68 948478 86807c 5b5a5a 9b8a80 766f68"


def rounded_cells(points, x, y, softness):
    """For each position the index of the nearest point, and the distance to the border of its cell with round corners:
    a soft minimum over the borders with all other cells."""
    away = np.stack([(x - px) ** 2 + (y - py) ** 2 for px, py in points])
    owner = away.argmin(0)
    best = np.take_along_axis(away, owner[None], 0)[0]
    total = np.zeros(x.shape)
    for i, (px, py) in enumerate(points):
        apart = np.hypot(px - points[owner, 0], py - points[owner, 1])
        to_bisector = (away[i] - best) / np.maximum(2 * apart, 1e-9)
        total += np.where(owner == i, 0.0, np.exp(-to_bisector / softness))
    return owner, -softness * np.log(total)


def stones(rng):
    """Worn granite: the owner of each position, how far it is inside its stone, and the height of the stones."""
    x, y = warp(rng, 0.9, 9.0, 2.4)
    points = jittered(rng, SIZE / 6, SIZE / 8, 0.14)
    owner, border = rounded_cells(points, x, y, 2.3)
    count = len(points)
    inside = border - rng.uniform(-0.5, 1.0, count)[owner] - 0.9 + 0.45 * cloud(rng, 2.6, 1.9)
    chipped = smoothstep(1.2, 2.4, personal(cloud(rng, 5.0, 2.0), owner, rng))
    inside = inside - 1.5 * chipped * smoothstep(7.0, 1.0, inside)
    shoulder = rng.uniform(6.0, 9.5, count)[owner]
    t = np.clip(inside / shoulder, 0.0, 1.0)
    dome = (1.0 - (1.0 - t) ** 2.3) ** (1 / 1.75)
    tilt = rng.normal(0, 1.0, (4, count))[:, owner]
    u, v = X - points[owner, 0], Y - points[owner, 1]
    top = 8.6 + 0.85 * tilt[0] + 0.026 * (tilt[1] * u + tilt[2] * v) - (0.0028 + 0.0008 * tilt[3]) * (u**2 + v**2)
    return owner, inside, dome * top


def weathered(rng, owner, inside, height):
    """The stones' surface: height with dents, pits and grain, reflectance with crystals and stains, and roughness."""
    dents = personal(cloud(rng, 6.0, 2.2), owner, rng)
    mottle, grain = personal(cloud(rng, 2.4, 1.5), owner, rng), cloud(rng, 0.55, 1.5)
    pits = smoothstep(1.7, 2.7, cloud(rng, 0.9, 2.0) + 0.35 * dents)
    worn = smoothstep(2.0, 8.5, inside + 1.2 * dents)  # feet and wheels have polished what stands out
    height = height + 0.34 * dents + 0.13 * mottle + mix(0.15, 0.055, worn) * grain - 0.5 * pits
    albedo = tone(palette(rng, GRANITE, owner, 0.13), 0.11 * mottle + 0.08 * dents)
    pale = smoothstep(0.9, 1.7, cloud(rng, 0.75, 2.2))
    dark = smoothstep(1.2, 1.9, cloud(rng, 0.6, 2.2))
    albedo = tone(albedo, 0.34 * pale - 0.55 * dark + 0.05 * grain)
    albedo = tint(albedo, "8a5c3c", 0.36 * smoothstep(0.9, 2.3, personal(cloud(rng, 9.0, 1.8), owner, rng)))
    lichen = smoothstep(1.7, 2.3, cloud(rng, 4.5, 1.8) + 0.3 * grain) * smoothstep(2.0, 4.0, inside)
    albedo = tint(albedo, "a9ab8f", 0.62 * lichen)
    albedo = shade(albedo, 0.62 * smoothstep(5.0, -0.5, inside + 0.7 * mottle), (0.50, 0.45, 0.38))  # soil that clings
    albedo = shade(albedo, 0.5 * pits)
    polish = rng.normal(0, 0.045, owner.max() + 1)[owner]
    rough = mix(0.78, 0.36 + polish, worn) + 0.07 * pale - 0.06 * dark + 0.045 * mottle + 0.2 * pits
    return height, albedo, mix(rough, 0.9, lichen)


def soil(rng):
    """What lies between the stones: earth with grit, damp in places. Height, reflectance, roughness."""
    crumbs, grit = cloud(rng, 2.2, 1.8), smoothstep(0.9, 1.9, cloud(rng, 0.9, 2.4))
    height = 0.55 * cloud(rng, 7.0, 2.0) + 0.34 * crumbs + 0.6 * grit + 0.8
    albedo = tone(palette(rng, "4b3c2e", np.zeros((N, N), int), 0.0), 0.2 * crumbs + 0.1 * cloud(rng, 0.6, 1.4))
    albedo = tint(albedo, "8f8473", 0.75 * grit)
    damp = smoothstep(0.2, 1.1, cloud(rng, 22.0, 2.2)) * (1 - 0.6 * grit)
    return height, shade(albedo, 0.6 * damp, (0.52, 0.50, 0.48)), mix(0.93, 0.34, damp)


def moss(rng, inside):
    """Cushions that fill the joints of damp corners: how much of each position they cover, height, reflectance."""
    tufts, buds = cloud(rng, 3.0, 2.4), cloud(rng, 0.75, 2.0)
    spread = 1.35 * cloud(rng, 26.0, 2.4) + 0.55 * cloud(rng, 4.0, 1.9) + 0.45
    edge = spread - 0.30 * np.maximum(inside + 1.0, -3.0) + 0.12 * buds
    cover = smoothstep(-0.05, 0.2, edge)
    height = 2.4 + 1.9 * np.tanh(np.maximum(edge, 0.0)) + 0.55 * tufts + 0.42 * buds
    lush = smoothstep(-1.6, 1.8, buds + 0.7 * tufts + 0.4 * cloud(rng, 12.0, 2.0))
    green = mix(palette(rng, "333a1b", np.zeros((N, N), int), 0.0), np.array([0.150, 0.180, 0.044]), lush)
    green = tint(green, "6f6233", 0.6 * smoothstep(0.8, 2.0, cloud(rng, 9.0, 1.6)))
    return cover, height, tone(green, 0.16 * cloud(rng, 0.5, 1.3))


def open_sky(height, directions=16, reach=48):
    """The part of a sky of even light, weighted by the cosine, that each place of a level surface sees over its
    surroundings: 1 less the squared sine of the horizon, as the mean of all directions. Lengths are samples."""
    seen = np.zeros(height.shape)
    steps = np.unique(np.round(np.geomspace(1, reach, 14)).astype(int))
    for angle in np.arange(directions) * 2 * np.pi / directions:
        slope = np.zeros(height.shape)
        for step in steps:
            dx, dy = round(step * np.cos(angle)), round(step * np.sin(angle))
            slope = np.maximum(slope, (np.roll(height, (-dy, -dx), (0, 1)) - height) / np.hypot(dx, dy))
        seen += 1 / (1 + slope**2)
    return seen / directions


def cobble(rng):
    """Cobblestones: worn granite setts, moss and damp earth in the joints. All maps of the material."""
    owner, inside, relief = stones(rng)
    on_stone, granite, rough = weathered(rng, owner, inside, relief)
    in_joint, earth, earthy = soil(rng)
    cover, cushion, green = moss(rng, inside)
    stone = smoothstep(-0.35, 0.55, inside)
    height, albedo = mix(in_joint, np.maximum(on_stone, in_joint - 1.0), stone), mix(earth, granite, stone)
    cover = cover * smoothstep(-1.2, 1.0, cushion - height)  # moss lies in what is lower than its cushion
    height, albedo = mix(height, np.maximum(cushion, height), cover), mix(albedo, green, cover)
    rough = mix(mix(earthy, rough, stone), 0.96, cover)
    height = blur(height, 0.3)[INSIDE, INSIDE]
    return maps_of(height, albedo[INSIDE, INSIDE], rough[INSIDE, INSIDE])


def maps_of(height, albedo, rough):
    """The maps of a material by the words of their files; the normal map's slopes are those of the height map, whose
    whole range stands for RELIEF pixels."""
    levels = np.round((height - height.min()) / np.ptp(height) * 65535)
    relief = levels / 65535 * RELIEF
    down, right = np.gradient(relief)
    normal = np.dstack([-right, down, np.ones_like(relief)])
    return {
        "BaseColor": to8(encoded(albedo)),
        "Normal": to8(0.5 + 0.5 * normal / np.linalg.norm(normal, axis=-1, keepdims=True)),
        "Height": levels.astype(np.uint16),
        "Roughness": to8(rough),
        "AmbientOcclusion": to8(open_sky(np.pad(relief, 48, mode="reflect"))[48:-48, 48:-48]),
    }
