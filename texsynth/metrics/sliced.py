"""Sliced patch distance (after Heitz et al. 2021 and Elnekave and Weiss 2022): do windows spread as the exemplar's do?

At three scales of a Gaussian pyramid all windows of 7 x 7 pixels of each side are projected on 64 random unit
directions; along each the sorted projections are compared, which in one dimension is optimal transport. The value is
the mean squared difference over directions and those scales that hold a window; sides of different sizes are compared
at equal ranks. It is 0 for an exemplar with itself; copied outputs score 0.0001, blurred ones 0.005, noise above 0.03.
Unlike `transport` it takes all windows and no sample, and differences that no single direction shows escape it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import windows
from texsynth.metrics import About, Pair

SCALES = ("full", "half", "quarter")
PATCH, DIRECTIONS = 7, 64
RANKS = 1 << 14  # at which sorted lists of different lengths are compared
ABOUT = About("mean squared difference of sorted projections of all 7 x 7 windows, over 64 directions and three scales")


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    pyramid = windows.build(windows.Settings(reduction="gaussian"), (False, False), None)
    exemplar, output = (pyramid(image, SCALES) for image in (pair.exemplar, pair.output))
    directions = torch.randn(DIRECTIONS, 3 * PATCH**2, generator=rng).to(pair.exemplar)
    kernel = F.normalize(directions).view(DIRECTIONS, 3, PATCH, PATCH)
    layers = [(exemplar[scale], output[scale]) for scale in SCALES]
    large = [sides for sides in layers if min(min(layer.shape[2:]) for layer in sides) >= PATCH]
    return sum(_distance(*sides, kernel) for sides in large) / len(large)


def _distance(exemplar: Tensor, output: Tensor, kernel: Tensor) -> float:
    """Mean squared difference of the sorted projections of two layers (1, 3, h, w)."""
    sides = [F.conv2d(layer, kernel)[0].flatten(1).sort(1).values for layer in (exemplar, output)]
    if sides[0].shape != sides[1].shape:
        sides = [F.interpolate(side[None], RANKS, mode="nearest-exact")[0] for side in sides]
    return float((sides[0] - sides[1]).square().mean())
