"""Sliced patch distance (after Heitz et al. 2021 and Elnekave and Weiss 2022): do windows spread as the exemplar's do?

At three scales of a Gaussian pyramid all windows of 7 x 7 pixels of each side are projected on 64 random unit
directions; along each the sorted projections are compared, which in one dimension is optimal transport. The value is
the mean squared difference over directions and those scales that hold a window; sides of different sizes are compared
at equal ranks. From 0 for an exemplar with itself; copied outputs score 0.0001, blurred ones 0.005, noise above 0.03.
Unlike `transport` it takes all windows and no sample, and differences that no single direction shows escape it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract, windows
from texsynth.metrics import Pair, enough

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, None)
NEEDS: Mapping[str, tuple[str, ...]] = {}
SCALES = ("full", "half", "quarter")
PATCH, DIRECTIONS = 7, 64
RANKS = 1 << 14  # at which sorted lists of different lengths are compared
LEAST = 16
DESCRIPTION = "mean squared difference of sorted projections of all 7 x 7 windows, over 64 directions and three scales"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """The mean over scales."""
    enough("sliced", pair, LEAST)
    pyramid = windows.build(windows.Settings(reduction="gaussian"), (False, False), None)
    sources, made = (pyramid(image, SCALES) for image in (pair.exemplar, pair.output))
    slices = torch.randn(DIRECTIONS, 3 * PATCH**2, generator=rng).to(pair.exemplar)
    kernel = F.normalize(slices).view(DIRECTIONS, 3, PATCH, PATCH)
    sides = [(sources[scale], made[scale]) for scale in SCALES]
    fits = [pair for pair in sides if min(min(layer.shape[2:]) for layer in pair) >= PATCH]
    return sum(_distance(*pair, kernel) for pair in fits) / len(fits)


def _distance(source: Tensor, made: Tensor, kernel: Tensor) -> float:
    """Mean squared difference of the sorted projections of two layers (1, 3, h, w)."""
    sides = [F.conv2d(layer, kernel)[0].flatten(1).sort(1).values for layer in (source, made)]
    counts = [side.shape[1] for side in sides]
    if counts[0] != counts[1]:
        sides = [F.interpolate(side[None], RANKS, mode="nearest-exact")[0] for side in sides]
    return float((sides[0] - sides[1]).square().mean())
