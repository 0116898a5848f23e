"""Relative Gram distance (after Gatys et al. 2015): how far texture statistics are off, as a share of their size.

The mean of ||G - G*|| / ||G*|| (Frobenius) over six layers of VGG-19 and two scales, full size and halved: the half
sees twice the context. Values compare only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.losses.gram import gram
from texsynth.task import shrink

LOWER_IS_BETTER = True
RANGE: tuple[float, float | None] = (0.0, None)
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_4")
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": LAYERS}
DESCRIPTION = "mean relative Gram distance over six VGG-19 layers and two scales"


@torch.no_grad()
def measure(
    exemplar: Tensor,
    output: Tensor,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> float:
    """0 for equal statistics, 1 where they are as far off as a black picture's."""
    assert extract is not None
    distances = []
    for level in (0, 1):
        wanted, got = (extract(shrink(image, level), LAYERS) for image in (exemplar, output))
        for layer in LAYERS:
            target, made = (gram(features[layer][0].flatten(1).T) for features in (wanted, got))
            distances.append((made - target).norm() / target.norm())
    return float(torch.stack(distances).mean())
