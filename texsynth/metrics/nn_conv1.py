"""Nearest neighbour in conv1 (Zheng et al. 2020, MSCA): does the output use the exemplar's small features?

As `nn_pixel`, with the 64 channels of relu1_1 of VGG-19, which see windows of 3 x 3 pixels, in place of colours: the
mean over positions of the squared difference to the nearest vector of the exemplar, mean over channels. The paper names
neither layer nor scale; here the layer is divided by its mean on the exemplar. From 0, without an upper limit. Compare
only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.metrics import Pair, enough
from texsynth.metrics._scaled import scaled
from texsynth.patches.nearest import nearest, sampled

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, None)
LAYER = "relu1_1"
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": (LAYER,)}
LEAST = 16
COUNT = 4096
DESCRIPTION = "mean squared difference of the output's features in relu1_1 of VGG-19 to the nearest of the exemplar"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> float:
    """The mean over positions and channels."""
    enough("nn_conv1", pair, LEAST)
    wanted, got = (side[LAYER] for side in scaled(extract, (LAYER,), pair.exemplar, pair.output))
    return float(nearest(sampled(got, COUNT), wanted[0].flatten(1).T)[0].mean() / wanted.shape[1])
