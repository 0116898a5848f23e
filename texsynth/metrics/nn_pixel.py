"""Nearest pixel (Zheng et al. 2020, MSCA): does the output use the exemplar's colours?

The mean over positions of the output of the squared difference to the nearest colour of the exemplar, mean over RGB in
[0, 1]; the paper states neither square nor scale. Up to 4096 positions on a regular grid stand for all. From 0, where
every colour is one of the exemplar's, to 1; good outputs score below 0.0001.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.metrics import Pair, enough
from texsynth.patches.nearest import nearest, sampled

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
LEAST = 1
COUNT = 4096
DESCRIPTION = "mean squared difference of the output's pixels to the nearest colours of the exemplar"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,  # noqa: ARG001
) -> float:
    """The mean over positions and channels."""
    enough("nn_pixel", pair, LEAST)
    return float(nearest(sampled(pair.output, COUNT), pair.exemplar[0].flatten(1).T)[0].mean() / 3)
