"""Nearest neighbour in conv1 (Zheng et al. 2020, MSCA): does the output use the exemplar's small features?

This is `nn_pixel` with the 64 channels of relu1_1 of VGG-19, which see windows of 3 x 3 pixels, in place of colours:
the mean over positions of the squared difference to the nearest vector of the exemplar, mean over channels. The paper
names neither layer nor scale; here the layer is divided by its mean on the exemplar. Values start at 0 and have no
upper limit. They compare only between runs with the same weights.
"""

from __future__ import annotations

import torch

from texsynth.features import Extract
from texsynth.metrics import About, Pair, scaled_features
from texsynth.patches.nearest import nearest, sampled

LAYER = "relu1_1"
POSITIONS = 4096  # of the output, on a regular grid
ABOUT = About(
    "mean squared difference of the output's features in relu1_1 of VGG-19 to the nearest of the exemplar",
    needs={"vgg19": (LAYER,)},
)


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    exemplar, output = (side[LAYER] for side in scaled_features(extract, (LAYER,), pair.exemplar, pair.output))
    return float(nearest(sampled(output, POSITIONS), exemplar[0].flatten(1).T)[0].mean() / exemplar.shape[1])
