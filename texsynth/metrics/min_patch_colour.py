"""Minimum patch distance in colours (after Zhou et al. 2023): are all parts of the output in the exemplar's colours?

The mean over crops of the output of the least root of the mean squared difference of RGB values to a crop of the
exemplar. We do not know the paper's norm; this one is our choice. Crops are of 64 pixels, at every 8th pixel of the
output and at every pixel of the exemplar. Values go from 0 for copies to 1. Fine detail out of step weighs as much as a
wrong colour, so that blurred outputs score better than they look: read it beside `min_patch`. Copied outputs score 0.04
to 0.12.
"""

from __future__ import annotations

import torch

from texsynth.metrics import About, Pair
from texsynth.metrics.min_patch import CROPS, by_crop
from texsynth.patches.crops import View, nearest_crops

ABOUT = About(
    "mean over 64 px crops of the least RMS difference of RGB to a crop of the exemplar",
    range=(0.0, 1.0),
    smallest_side=CROPS[0],
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    return _score(pair, CROPS[0], rng)


def details(pair: Pair, extract: None, rng: torch.Generator) -> dict[str, float]:
    return by_crop(pair, lambda crop: _score(pair, crop, rng))


def _score(pair: Pair, crop: int, rng: torch.Generator) -> float:
    mean = pair.exemplar.mean((2, 3), keepdim=True)  # products of numbers near zero lose little
    view = View(lambda image: {"full": image - mean}, {"full": 1}, crop, 1)
    return float((nearest_crops(pair.exemplar, pair.output, view, rng) / 3).sqrt().mean())
