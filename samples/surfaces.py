"""Skins and coatings: fish scales, rust creeping over paint."""

import numpy as np

from fields import OVER, X, blur, cloud, jittered, mix, personal, smoothstep
from pieces import Heap
from pigment import colour, palette, shade, tint, tone
from shading import Light, height_map, lit, photograph, shrink, to8


def scale_shape(rng, lift):
    """One scale: a leaning disc whose free edge, towards +u, lies over the scale behind it."""
    dent = rng.normal(0, 0.03, 3)

    def shape(u, v):
        angle = np.arctan2(v, u)
        r = np.hypot(u, v) * (1 + sum(d * np.cos(k * angle) for d, k in zip(dent, (2, 3, 5), strict=True)))
        arched = 4.6 * u - 1.9 * v * v - 0.9 * np.maximum(u, 0) ** 2 + 0.45 * smoothstep(1.0, 0.86, r)
        return np.where(r < 1.0, lift + arched, -np.inf)

    return shape


def scale_heap(rng):
    """Staggered rows of scales, each covering the next."""
    heap = Heap(np.full_like(X, -20.0))
    for owner, (x, y) in enumerate(jittered(rng, 22.0, 10.5, 0.035)):
        angle, radius = rng.normal(0, 0.05), 14.6 * rng.uniform(0.96, 1.04)
        heap.drop(owner, x, y, radius, angle, scale_shape(rng, rng.normal(0, 0.1)), 0.92)
    return heap


def scales(rng):
    """Carp scales, wet; with height."""
    heap = scale_heap(rng)
    owner, u, v = heap.owner + 1, heap.u, heap.v
    focus = np.hypot(u + 0.55, v)
    fan = np.arctan2(v, u + 0.55)
    rings = np.sin(2 * np.pi * (focus * 9.0 + 0.25 * cloud(rng, 2.0)))
    rays = np.sin(fan * 26 + 1.5 * personal(cloud(rng, 6.0), owner, rng)) * smoothstep(0.5, 1.3, focus)
    skin = personal(cloud(rng, 5.0, 1.5), owner, rng)
    rows = "9c8a58 8e8256 a8945e 83794f 94875f"
    albedo = palette(rng, rows, owner, 0.13)
    rim = smoothstep(0.80, 0.97, np.hypot(u, v))
    albedo = mix(albedo * 0.34, albedo * 1.2, smoothstep(-0.1, 0.62, u - 0.35 * v * v + 0.07 * skin))
    albedo = tint(albedo, "4c4a38", 0.6 * rim)
    albedo = tone(albedo, 0.1 * rings + 0.16 * rays + 0.1 * skin + 0.06 * cloud(rng, 0.7, 1.3))
    sheen = smoothstep(-1.5, 1.5, cloud(rng, 45.0, 2.0) + 0.5 * skin)
    albedo = albedo * mix(np.array([1.0, 0.95, 0.85]), np.array([0.88, 1.0, 1.08]), sheen)
    spots = smoothstep(1.9, 2.4, cloud(rng, 1.4, 2.0))
    albedo = shade(albedo, 0.5 * spots)
    height = heap.height + 0.045 * rings + 0.05 * rays + 0.06 * skin
    rough = 0.36 + 0.02 * cloud(rng, 6.0)
    light = Light(azimuth=105.0, elevation=55.0, penumbra=1.2)
    return {
        "": photograph(lit(height, albedo, rough, light, 0.8, 0.11), rng, contrast=0.07),
        "height": height_map(heap.height),
    }


def evened(field):
    """The field's ranks as 0..1, so that every stage of a process gets the same area."""
    order = np.argsort(field, axis=None, kind="stable")
    ranks = np.empty(field.size)
    ranks[order] = np.linspace(0, 1, field.size)
    return ranks.reshape(field.shape)


def corrosion(rng, progress, mid):
    """By how much rust leads (above 0 the paint has gone), and the stain that it washes out."""
    onset = 0.5 + 0.36 * cloud(rng, 8.0, 1.4) + 0.04 * mid
    pinholes = 0.3 * smoothstep(1.0, 2.2, cloud(rng, 1.6, 2.0)) * smoothstep(0.1, 0.4, progress)
    # Whatever the noise says, the ends are clean and wholly rusted.
    ends = 0.5 * smoothstep(0.85, 1.0, progress) - 0.6 * smoothstep(0.16, 0.0, progress)
    lead = progress * 1.4 - 0.24 - onset + pinholes + ends
    gone = smoothstep(-0.02, 0.03, lead)
    wash = np.mean([np.roll(gone, 2 * OVER * step, 0) for step in range(10)], 0)  # rain carries rust down
    near = blur(gone, 3.0)
    patchy = smoothstep(-1.5, 1.5, cloud(rng, 4.0, 1.5, (0.7, 2.5)))
    return lead, np.clip((1.2 * near + 1.2 * blur(wash, 0.8)) * mix(0.35, 1.0, patchy), 0, 1)


def painted(rng, progress, stain, fine, mid):
    """Old blue-green paint: chalky, grubbier and more stained as rust progresses."""
    paint = tone(colour("80958f"), 0.06 * cloud(rng, 14.0, 1.5) + 0.035 * fine)
    chalk = smoothstep(0.3, 2.2, cloud(rng, 5.0, 1.4, (0.8, 2.0)))
    paint = tint(paint, "b3bcb4", 0.35 * chalk)
    grubby = 0.4 * smoothstep(0.1, 0.8, progress) * smoothstep(-1.0, 1.5, mid + cloud(rng, 9.0, 1.4))
    paint = tint(paint, "5f5a48", grubby)
    scratched = smoothstep(2.6, 3.1, cloud(rng, 0.7, 2.2, (12.0, 1.0)))
    paint = tint(paint, "4f4a45", 0.5 * scratched)
    return tint(paint, "7d4a26", 0.9 * stain)


def oxide(rng, age, flakes, fine, mid):
    """Rust: orange when fresh, dark and scaly when old, ochre powder in places."""
    fresh = mix(colour("a2622f"), colour("7a4426"), smoothstep(-1.3, 1.3, mid + 0.5 * fine))
    old = mix(colour("452b24"), colour("68452f"), smoothstep(-1.2, 1.6, flakes + 0.6 * fine))
    ochre = smoothstep(0.8, 2.2, cloud(rng, 3.0, 1.4) + 0.4 * fine)
    blend = mix(fresh, old, smoothstep(0.05, 0.7, age + 0.12 * mid))
    return tone(tint(blend, "b07b45", 0.55 * ochre * (1 - 0.6 * age)), 0.14 * fine)


def rust(rng):
    """Paint giving way to rust; with the progression (0 sound paint, 1 rusted through) and roughness."""
    progress = evened(cloud(rng, 17.0, 3.2))
    fine, mid, flakes = cloud(rng, 0.8, 1.4), cloud(rng, 2.5, 1.6), cloud(rng, 4.0, 1.8)
    lead, stain = corrosion(rng, progress, mid)
    rusted = smoothstep(-0.015, 0.02, lead)
    age = smoothstep(0.0, 0.75, lead)
    blister = np.exp(np.minimum(lead, 0) / 0.05) * (1 - rusted)
    crust = 0.42 * mid + 0.24 * fine + age * (0.8 * np.round(flakes * 1.5 + 0.3 * mid) / 1.5) - 0.9 * age
    height = mix(1.0 + 0.05 * mid + 0.03 * fine + 0.7 * blister, crust, rusted)
    albedo = mix(painted(rng, progress, stain, fine, mid), oxide(rng, age, flakes, fine, mid), rusted)
    rough = np.clip(mix(0.45 + 0.25 * stain, 0.88 + 0.05 * mid, rusted), 0.3, 1.0)
    return {
        "": photograph(lit(height, albedo, rough, specular=0.03), rng),
        "progression": to8(shrink(progress)),
        "roughness": to8(shrink(rough)),
    }
