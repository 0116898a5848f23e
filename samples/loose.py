"""Things that lie in heaps: pebbles, gravel with moss, terrazzo chips, leaves, coffee beans."""

import numpy as np

from fields import APRON, SIZE, X, cloud, mix, personal, scatter, smoothstep
from pieces import Heap, blob, shard
from pigment import colour, palette, shade, tint, tone
from shading import OVERCAST, Light, height_map, lit, normal_map, photograph, shrink

RIVER = "8f8a82 a39b8d 77736e b7ac9a 5d5b5a 9a8672 86705f c4bdb0 6e675f a08f7c"


def grit(rng):
    """Coarse sand: the ground under loose stones."""
    return 0.9 * cloud(rng, 1.6, 2.2) + 0.3 * cloud(rng, 6.0, 2.0)


def pebble_heap(rng):
    """Three sizes of river stone, the small ones lying between and beneath the large."""
    heap = Heap(grit(rng) - 3.0)
    owner = 0
    for level, smallest, largest, count in (
        (-2.5, 2.5, 5.0, 900),
        (0.0, 5.0, 9.0, 420),
        (2.2, 9.0, 15.0, 110),
    ):
        radii = np.sort(rng.uniform(smallest, largest, count))[::-1]
        for x, y, radius in scatter(rng, radii, 0.74, 25):
            thick, base = radius * rng.uniform(0.42, 0.62), level + rng.normal(0, 0.9) - 0.25 * radius
            shape = blob(rng, thick, base, rng.uniform(2.0, 2.7), 0.07)
            heap.drop(owner, x, y, radius, rng.uniform(0, np.pi), shape, rng.uniform(0.62, 0.95))
            owner += 1
    return heap


def stone_colours(rng, heap, rows):
    """Per-stone tone, mottling, bedding bands in some and quartz veins in a few; sand on the ground."""
    owner = heap.owner + 1
    count = owner.max() + 1
    mottle = personal(cloud(rng, 3.0, 1.3), owner, rng)
    fine = cloud(rng, 0.7, 1.4)
    albedo = tone(palette(rng, rows, owner, 0.16), 0.11 * mottle + 0.07 * fine)
    banded = (rng.random(count) < 0.3)[owner]
    bands = np.sin(heap.v * rng.uniform(5, 12, count)[owner] + 1.5 * mottle) * banded
    albedo = tone(albedo, 0.13 * bands)
    veined = (rng.random(count) < 0.12)[owner]
    from_vein = heap.v + 0.2 * heap.u + 0.12 * mottle - rng.uniform(-0.5, 0.5, count)[owner]
    vein = smoothstep(0.09, 0.03, np.abs(from_vein))
    albedo = tint(albedo, "d5cfc4", 0.7 * vein * veined)
    sand = tone(colour("85796a"), 0.25 * cloud(rng, 0.8, 1.6))
    return np.where((owner == 0)[..., None], sand, albedo)


def pebbles(rng):
    """River pebbles, dry; with height and normals."""
    heap = pebble_heap(rng)
    height = heap.height + 0.07 * cloud(rng, 0.8, 1.5) + 0.1 * cloud(rng, 3.0, 1.6)
    albedo = stone_colours(rng, heap, RIVER)
    rough = np.clip(rng.normal(0.66, 0.08, heap.owner.max() + 2)[heap.owner + 1], 0.5, 1)
    return {
        "": photograph(lit(height, albedo, rough), rng),
        "height": height_map(height),
        "normal": normal_map(height),
    }


def gravel_heap(rng):
    """Crushed stone, everywhere much the same size."""
    heap = Heap(grit(rng) - 2.0)
    stones = scatter(rng, rng.uniform(2.4, 6.0, 2600), 0.7, 12)
    for owner, (x, y, radius) in enumerate(stones):
        shape = shard(rng, radius * rng.uniform(0.5, 0.8), rng.normal(0, 0.9) + 0.1 * radius, 6, 0.5)
        heap.drop(owner, x, y, radius * 1.25, rng.uniform(0, np.pi), shape, rng.uniform(0.65, 1.0))
    return heap


def gravel(rng):
    """Grey gravel which moss has begun to cover; with the labels of the two."""
    heap = gravel_heap(rng)
    tufts = 1.0 * cloud(rng, 1.1, 1.7) + 1.0 * cloud(rng, 3.6, 2.2)
    spread = cloud(rng, 13.0, 2.6) * 1.6 + 0.35 * cloud(rng, 2.5, 1.8) - 0.09 * heap.height + 0.1
    cushion = 2.6 * np.tanh(np.maximum(spread, 0.0) * 2.2) + 1.7
    moss = smoothstep(-0.05, 0.12, spread)
    height = mix(heap.height + 0.08 * cloud(rng, 0.7, 1.5), cushion + tufts, moss)
    grey = "8b8983 777572 9c9890 6a6864 a8a39a 857f78"
    stones = stone_colours(rng, heap, grey)
    lush = smoothstep(-1.6, 2.0, tufts + 0.6 * cloud(rng, 12.0, 2.0))
    green = mix(colour("3c4a1c"), colour("8a9440"), lush)
    green = tint(green, "77683a", 0.6 * smoothstep(0.7, 2.2, cloud(rng, 8.0, 1.6)))
    green = tone(green, 0.22 * cloud(rng, 0.6, 1.3))
    picture = photograph(lit(height, mix(stones, green, moss), 0.95, occlusion=0.9), rng)
    share = shrink((spread > 0.03).astype(float))[..., None] >= 0.5
    return {"": picture, "labels": np.where(share, np.uint8((46, 139, 40)), np.uint8((150, 150, 160)))}


def terrazzo(rng):
    """Honed terrazzo: marble chips of many sizes in cream cement."""
    heap = Heap(np.zeros_like(X))
    radii = np.concatenate([rng.uniform(2, 5, 700), rng.uniform(5, 9, 160), rng.uniform(9, 15, 26)])
    chips = scatter(rng, np.sort(radii)[::-1], 0.92, 30)
    for owner, (x, y, radius) in enumerate(chips):
        shape = shard(rng, 0.0, 1.0, int(rng.integers(5, 8)))
        heap.drop(owner, x, y, radius * 1.2, rng.uniform(0, np.pi), shape, rng.uniform(0.6, 1.0))
    owner = heap.owner + 1
    marble = "d8d2c6 8f8a84 b98f72 a5604c 5c5a57 c7b08d 7f8474 cdc6ba 46474a b79c85"
    vein = personal(cloud(rng, 6.0, 1.5), owner, rng)
    speck = cloud(rng, 0.7, 1.3)
    albedo = tone(palette(rng, marble, owner, 0.1), 0.13 * vein + 0.035 * speck)
    streak = smoothstep(0.16, 0.02, np.abs(vein - 0.4))
    albedo = tint(albedo, "dcd6cc", 0.4 * streak)
    cement = tone(colour("c4baa8"), 0.045 * cloud(rng, 9.0, 1.4) + 0.04 * speck)
    dust = smoothstep(1.75, 2.2, cloud(rng, 0.8, 2.2))
    cement = tint(cement, "857b6e", 0.6 * dust)
    chip = (heap.owner >= 0).astype(float)
    albedo = mix(cement, albedo, chip)
    pores = smoothstep(2.3, 2.8, cloud(rng, 0.9, 2.0)) * (1 - chip)
    albedo = tone(shade(albedo, 0.6 * pores), 0.03 * cloud(rng, 30.0, 1.5))
    height = 0.08 * chip - 0.5 * pores
    return {"": photograph(lit(height, albedo, 0.6, OVERCAST, specular=0.02), rng, key=0.42, softness=0.6)}


def leaf_outline(u):
    """Half width of an ovate leaf at u along its length, -1..1."""
    t = np.clip((u + 1) / 2, 0, 1)
    return 1.75 * t**0.6 * (1 - t) ** 0.95


def leaf(rng, base, curl):
    """A fallen leaf: toothed, folded along the midrib, curled."""
    teeth, bend, lean = rng.uniform(18, 26), rng.normal(0, 0.12), rng.normal(0, 0.14, 2)

    def shape(u, v):
        v = v - bend * (u**2 - 0.4)
        half = leaf_outline(u) * (1 - 0.07 * np.abs(((u * teeth / 2) % 1.0) - 0.3))
        stalk = (np.abs(v) < 0.045) & (u > -1.35) & (u < -0.9)
        rise = base + curl * (np.abs(v) ** 1.5 + 0.5 * u**2 + lean[0] * u + lean[1] * v) * 4.0
        fold = 0.6 * np.exp(-np.abs(v) / 0.05)
        return np.where((np.abs(v) < half) & (np.abs(u) < 1) | stalk, rise - fold, -np.inf)

    return shape


def leaves(rng):
    """Autumn leaves, several deep."""
    heap = Heap(grit(rng) - 3.0)
    places = rng.uniform(-APRON, SIZE + APRON, (1500, 2))
    for owner, (x, y) in enumerate(places):
        radius = rng.uniform(10.0, 17.0)
        shape = leaf(rng, 9.0 * owner / len(places) + rng.normal(0, 0.5), rng.normal(0.35, 0.45))
        heap.drop(owner, x, y, radius, rng.uniform(0, 2 * np.pi), shape, rng.uniform(0.5, 0.68))
    owner = heap.owner + 1
    rows = "a8743a 8d5a30 b98a3e c29a4c 7a4a2c 9c6a36 6b4a34 b5793a 94803f 8a4630"
    blotch = personal(cloud(rng, 5.0, 1.6), owner, rng)
    albedo = tone(palette(rng, rows, owner, 0.2), 0.13 * blotch + 0.07 * cloud(rng, 0.8, 1.4))
    albedo = tint(albedo, "4e3524", 0.7 * smoothstep(1.1, 2.0, blotch))
    side = heap.u * 4.5 - np.abs(heap.v) * 3.4
    midrib = smoothstep(0.07, 0.02, np.abs(heap.v))
    ribs = np.maximum(0.6 * smoothstep(0.09, 0.0, np.abs(side % 1.0 - 0.5)), midrib)
    albedo = mix(albedo, albedo * 1.5 + 0.02, 0.55 * ribs)
    height = heap.height - 0.16 * ribs + 0.14 * blotch + 0.05 * cloud(rng, 0.8, 1.5)
    return {"": photograph(lit(height, albedo, 0.6, occlusion=0.9), rng)}


def bean(rng, base):
    """A roasted bean, crease up or down: an egg with a wavering furrow along it."""
    crease, waver, phase = rng.random() < 0.55, rng.normal(0, 0.09), rng.uniform(0, 6)

    def shape(u, v):
        r2 = u**2 + (v * (1 + 0.07 * u)) ** 2
        dome = np.sqrt(np.maximum(1 - r2, 0))
        line = v - waver * np.sin(3 * u + phase)
        cut = (0.32 * np.exp(-((line / 0.1) ** 2)) + 0.22 * np.exp(-((line / 0.3) ** 2))) * crease
        return np.where(r2 < 1, base + (5.2 if crease else 6.6) * (dome - cut * dome**0.5), -np.inf)

    return shape


def coffee(rng):
    """Roasted coffee beans."""
    heap = Heap(np.full_like(X, -8.0))
    for level, count in enumerate((700, 520, 420)):
        for x, y, radius in scatter(rng, rng.uniform(10.5, 13.0, count), (0.5, 0.56, 0.62)[level], 25):
            owner = heap.owner.max() + 1
            shape = bean(rng, level * 3.2 + rng.normal(0, 0.9))
            heap.drop(owner, x, y, radius, rng.uniform(0, 2 * np.pi), shape, rng.uniform(0.66, 0.76))
    owner = heap.owner + 1
    skin = personal(cloud(rng, 4.0, 1.5), owner, rng)
    roast = "46301f 513824 3a281b 553c2a 32241a 4b3423"
    albedo = tone(palette(rng, roast, owner, 0.1), 0.14 * skin + 0.08 * cloud(rng, 0.8, 1.4))
    height = heap.height + 0.1 * skin + 0.05 * cloud(rng, 1.2, 1.8)
    window = Light(azimuth=118.0, elevation=52.0, penumbra=1.6)
    radiance = lit(height, albedo, 0.5 + 0.03 * skin, window, 1.1, 0.05)
    return {"": photograph(radiance, rng, key=0.1, contrast=0.07)}
