"""Relative Gram distance (after Gatys et al. 2015): how far texture statistics are off, as a share of their size.

The mean of ||G - G*|| / ||G*|| (Frobenius) over six layers of VGG-19 and two scales, full size and halved: the half
sees twice the context. From 0 for equal statistics; 1 is as far off as a black picture's. Good outputs score below 0.2.
Values compare only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.losses.gram import gram
from texsynth.metrics import Pair, enough
from texsynth.pyramid import shrink

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, None)
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_4")
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": LAYERS}
LEAST = 16
DESCRIPTION = "mean relative Gram distance over six VGG-19 layers and two scales"


def measure(pair: Pair, extract: Extract | None, rng: torch.Generator) -> float:
    """The mean over layers and scales."""
    parts = details(pair, extract, rng)
    return sum(parts.values()) / len(parts)


@torch.no_grad()
def details(
    pair: Pair,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> dict[str, float]:
    """The mean over the two scales, of each layer."""
    assert extract is not None
    enough("gram_distance", pair, LEAST)
    seen = [[extract(shrink(image, level), LAYERS) for image in (pair.exemplar, pair.output)] for level in (0, 1)]
    return {layer: sum(_relative(*(side[layer] for side in sides)) for sides in seen) / 2 for layer in LAYERS}


def _relative(wanted: Tensor, got: Tensor) -> float:
    """||G - G*|| / ||G*|| of maps (1, C, h, w)."""
    target, made = (gram(features[0].flatten(1).T) for features in (wanted, got))
    return float((made - target).norm() / target.norm())
