"""Things made of strands: cloth, grass, basket."""

import numpy as np

from fields import APRON, OVER, SIZE, N, cloud, lookup, mix, simplex, smoothstep, warp
from pigment import colour, palette, shade, tint, tone
from shading import OVERCAST, Light, height_map, lit, photograph, shrink

THREAD = 8.0  # from one thread of the cloth to the next
STRAND, STAKES = 5.0, 34.0  # and in the basket


def along(field, strand, position):
    """The field's value along a strand: each strand reads a line of its own."""
    return lookup(field, strand * 41.0, position * OVER)


def threads(rng, across, length, phase, slub):
    """One set of parallel threads: height, thread number, offset from the axis of the topmost."""
    wander, swell = cloud(rng, 14.0, 2.5), cloud(rng, 12.0, 2.0)
    middle = np.floor(across / THREAD)
    best = [np.full(across.shape, -9.0), middle, np.zeros_like(across)]
    for number in (middle - 1, middle, middle + 1):
        offset = across - (number + 0.5) * THREAD - 0.42 * along(wander, number, length)
        radius = THREAD * (0.44 + slub * along(swell, number, length))
        round_ = np.sqrt(np.maximum(1.0 - (offset / radius) ** 2, 0.0))
        wave = 1.15 * np.cos(np.pi * (length / THREAD - 0.5 + number + phase))
        top = np.where(np.abs(offset) < radius, wave + 2.4 * round_, -9.0)
        higher = top > best[0]
        best = [np.where(higher, new, old) for new, old in zip((top, number, offset), best, strict=True)]
    return best


def yarn(rng, length, offset, number, dark, light):
    """Reflectance and relief of twisted, hairy yarn."""
    dye = rng.normal(0, 0.09, 64)[number.astype(int) % 64]
    dye = dye + 0.08 * along(cloud(rng, 9.0, 1.6), number, length)
    ply = np.sin(2 * np.pi * (length * 0.8 + offset * 0.75) / 2.7 + 0.9 * cloud(rng, 5.0))
    blend = smoothstep(-1.4, 1.4, cloud(rng, 1.1, 1.4) + along(cloud(rng, 20.0), number, length))
    return tone(mix(colour(dark), colour(light), blend), dye + 0.09 * ply), 0.17 * ply


def cloth(rng):
    """Plain-woven linen, blue-grey on flax, with slubs, gaps and fuzz; with height."""
    x, y = warp(rng, 0.7, 45.0, 3.0)
    x = x + 0.012 * y
    warp_top, warp_number, warp_offset = threads(rng, x, y, 0.0, 0.045)
    weft_top, weft_number, weft_offset = threads(rng, y, x, 1.0, 0.06)
    flax, flax_relief = yarn(rng, y, warp_offset, warp_number, "a3977f", "bcb19a")
    blue, blue_relief = yarn(rng, x, weft_offset, weft_number, "5c6a78", "7d8992")
    over = smoothstep(-0.15, 0.15, warp_top - weft_top)
    height = np.maximum(np.maximum(warp_top, weft_top), -2.2) + mix(blue_relief, flax_relief, over)
    hairs = fuzz(rng)
    height = height + 0.1 * cloud(rng, 0.7, 1.4) + 0.4 * hairs
    albedo = tone(mix(blue, flax, over), 0.1 * cloud(rng, 0.6, 1.2) + 0.04 * cloud(rng, 40.0))
    albedo = tint(albedo, "b5ada0", 0.45 * hairs)
    albedo = shade(albedo, smoothstep(-0.4, -3.4, np.maximum(warp_top, weft_top)))
    soft = Light(azimuth=130.0, elevation=44.0, sun=(1.7, 1.62, 1.5), sky=(0.75, 0.8, 0.86), penumbra=1.6)
    return {"": photograph(lit(height, albedo, 1.0, soft), rng, key=0.26), "height": height_map(height)}


def strokes(rng, theta, count, length, width, bend, stray):
    """Strands that follow an angle field: depth buffers of height, strand, place along and across it."""
    steps, lanes = 72, np.linspace(-1, 1, 7)
    px, py = rng.uniform(-APRON - length, SIZE + APRON + length, (2, count))
    curl, off = rng.normal(0, bend, count), rng.normal(0, stray, count)
    size, floor = length * rng.uniform(0.6, 1.15, count), rng.uniform(0, 7.0, count)
    girth = width * rng.uniform(0.7, 1.3, count)
    chunks = []
    for step in range(steps):
        t = step / (steps - 1)
        column, row = (px + APRON) * OVER, (py + APRON) * OVER
        here = np.clip(row, 0, N - 1).astype(int), np.clip(column, 0, N - 1).astype(int)
        angle = theta[here] + off + curl * (t - 0.4)
        dx, dy = np.cos(angle), np.sin(angle)
        reach = girth * (1 - t**1.8) * min(1.0, 0.5 + 3 * t)
        z = floor + 6.5 * np.sin(1.45 * t)
        side = reach * OVER
        chunks += [(column - dy * k * side, row + dx * k * side, z - reach * k * k, t, k) for k in lanes]
        px, py = px + dx * size / steps, py + dy * size / steps
    return deepest_last(chunks, count)


def deepest_last(chunks, count):
    """Rasterise points by height: numpy keeps the last of several writes, so the highest goes last."""
    column, row, z = (np.concatenate([chunk[i] for chunk in chunks]) for i in range(3))
    strand = np.tile(np.arange(count), len(chunks))
    t, k = (np.repeat([chunk[i] for chunk in chunks], count) for i in (3, 4))
    order = np.argsort(z, kind="stable")
    order = order[(column[order] >= 0) & (column[order] < N) & (row[order] >= 0) & (row[order] < N)]
    place = row[order].astype(int), column[order].astype(int)
    out = np.zeros((4, N, N))
    out[1] = -1
    for layer, values in zip(out, (z, strand, t, k), strict=True):
        layer[place] = values[order]
    return out


def fuzz(rng):
    """A few loose fibres lying on cloth: their coverage."""
    strand = strokes(rng, 3.0 * cloud(rng, 12.0, 3.0), 420, 11.0, 0.28, 1.5, 3.0)[1]
    return 0.8 * (strand >= 0)


def grass(rng):
    """Long wind-combed grass; with the direction in which it lies."""
    theta = 0.45 + 1.15 * simplex(rng, 170.0) + 0.5 * simplex(rng, 420.0)
    z, strand, t, k = strokes(rng, theta, 9000, 30.0, 0.95, 0.5, 0.16)
    strand = strand.astype(int)
    rows = "5f7033 6d7b3a 7d8445 566630 8f8f55 a39a68 66733a 4d5c2c"
    albedo = palette(rng, rows, strand + 1, 0.17)
    albedo = mix(albedo * 0.6, tint(albedo, "aaa56c", 0.35 * t), smoothstep(0.0, 0.55, t))
    fold = -0.2 * np.exp(-((k / 0.3) ** 2))
    albedo = tone(albedo, fold + 0.07 * cloud(rng, 0.6, 1.3) + 0.1 * cloud(rng, 12.0, 1.6))
    albedo = shade(albedo, smoothstep(9.5, -2.0, z))
    picture = photograph(lit(z * 0.8, albedo, 0.62, Light(elevation=48.0), 0.6, 0.03), rng)
    field = np.stack([shrink(np.cos(theta)), shrink(np.sin(theta))])
    field = (field / np.linalg.norm(field, axis=0)).astype(np.float32)
    return {"": picture, "direction": field}


def wicker(rng):
    """Basket: willow strands, three by three, in front of and behind round stakes."""
    x, y = warp(rng, 0.8, 18.0, 2.5)
    number = np.floor(y / STRAND).astype(int) + 9  # counted from above the apron
    shift, lift = rng.normal(0, 0.35, (2, 90))[:, number]
    round_ = np.sqrt(np.maximum(1 - ((y % STRAND - STRAND / 2 - 0.5 * shift) / 2.55) ** 2, 0))
    weave = 4.2 * np.cos(np.pi * (x / STAKES + number // 3)) + 2.6 * round_ + 0.55 * lift
    weave = np.where(round_ > 0, weave, -6.0)
    offset = (x + STAKES / 2) % STAKES - STAKES / 2
    stake = np.where(np.abs(offset) < 3.4, 0.4 + 3.2 * np.sqrt(np.maximum(1 - (offset / 3.4) ** 2, 0)), -6.0)
    over = smoothstep(-0.2, 0.2, weave - stake)
    grain = mix(cloud(rng, 1.0, 1.5, (1.0, 14.0)), cloud(rng, 0.8, 1.5, (18.0, 1.0)), over)
    height = np.maximum(weave, stake) + 0.12 * grain
    rows = "a8763f 9a6a38 b58650 8c5d31 a57a4a 7d522c"
    owner = np.where(over > 0.5, number + 10, np.floor(x / STAKES + 0.5).astype(int) + 1)
    albedo = palette(rng, rows, owner, 0.13)
    albedo = tone(albedo, 0.16 * grain + 0.14 * cloud(rng, 7.0, 1.4, (3.0, 1.0)))
    albedo = shade(albedo, smoothstep(0.5, -6.0, height), (0.4, 0.4, 0.4))
    return {"": photograph(lit(height, albedo, 0.55, OVERCAST, 0.9, 0.05), rng, key=0.23)}
