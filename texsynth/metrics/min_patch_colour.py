"""Minimum patch distance in colours (after Zhou et al. 2023): are all parts of the output in the exemplar's colours?

The mean over crops of the output of the least root of the mean squared difference of RGB values to a crop of the
exemplar. The paper's norm is not known to us; this one is our choice. Crops are of 64 pixels, at every 8th pixel of the
output and at every one of the exemplar. From 0 for copies to 1; fine detail out of step weighs as much as a wrong
colour, so that blurred outputs score better than they look: read it beside `min_patch`. Copied outputs score 0.04 to
0.12.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.metrics import Pair, enough
from texsynth.metrics._crops import View, nearest

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
CROPS = (64, 128)
LEAST = CROPS[0]
DESCRIPTION = "mean over 64 px crops of the least RMS difference of RGB to a crop of the exemplar"


def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """With crops of 64 pixels."""
    enough("min_patch_colour", pair, LEAST)
    return _score(pair, CROPS[0], rng)


def details(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001
    rng: torch.Generator,
) -> dict[str, float]:
    """By the side of the crops, 64 and 128 pixels where the pictures are large enough."""
    enough("min_patch_colour", pair, LEAST)
    smallest = min(*pair.exemplar.shape[2:], *pair.output.shape[2:])
    return {f"{crop} px": _score(pair, crop, rng) for crop in CROPS if crop <= smallest}


def _score(pair: Pair, crop: int, rng: torch.Generator) -> float:
    middle = pair.exemplar.mean((2, 3), keepdim=True)  # products of numbers near zero lose little
    view = View(lambda image: {"full": image - middle}, {"full": 1}, crop, 1)
    return float((nearest(pair.exemplar, pair.output, view, rng) / 3).sqrt().mean())
