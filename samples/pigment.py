"""Reflectance: colours in linear light, and the ways in which materials vary theirs."""

import numpy as np

from fields import mix


def linear(srgb):
    """sRGB in 0..1 to linear light."""
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def colour(code):
    """Linear RGB of a colour written as six hexadecimal digits."""
    return linear(np.array(list(bytes.fromhex(code))) / 255.0)


def palette(rng, codes, owner, spread=0.12):
    """A colour per owner: one of those given, made a little lighter or darker and warmer or cooler."""
    rows, count = np.array([colour(code) for code in codes.split()]), owner.max() + 1
    picked = rows[rng.integers(0, len(rows), count)]
    warmer = rng.normal(0, 0.4 * spread, (count, 1)) * (1.0, 0.1, -1.0)
    return (picked * np.exp(rng.normal(0, spread, (count, 1)) + warmer))[owner]


def tint(albedo, code, amount):
    """Take on a colour, by an amount per pixel."""
    return mix(albedo, colour(code), amount)


def tone(albedo, stops):
    """Lighten or darken by natural exponents, so that equal steps look alike on dark and on light."""
    return albedo * np.exp(stops)[..., None]


def shade(albedo, amount, towards=(0.0, 0.0, 0.0)):
    """Multiply by 1 where the amount is 0 and by `towards` where it is 1: dirt, damp, depth."""
    return albedo * mix(np.ones(3), np.asarray(towards, float), amount)
