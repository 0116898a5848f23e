"""Quality of Shi and Qiao (2020, Pseudo Optimizer): the texture loss between an output and its exemplar.

The sum over layers of 1e5 / 4 times the mean squared difference of the entries of the Gram matrices F F^T / M, of
relu1_1 and the pools. Differs from the paper in: its fifth layer, pool4, is left out, so that weights which end at
relu3_4 do; and where its network is scaled so that the mean of every filter is 1, here each layer is divided by its
mean on the exemplar. Values start at 0, for an exemplar with itself, and have no upper limit. They compare only between
runs with the same weights.
"""

from __future__ import annotations

import torch

from texsynth.features import Extract
from texsynth.metrics import About, Pair
from texsynth.metrics.style_distance import gram_differences

LAYERS = ("relu1_1", "pool1", "pool2", "pool3")
WEIGHT = 1e5 / 4
ABOUT = About(
    "weighted squared Gram distance over relu1_1 and the pools of VGG-19, the texture loss of Shi and Qiao",
    needs={"vgg19": LAYERS},
)


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    return sum(details(pair, extract, rng).values())


def details(pair: Pair, extract: Extract, rng: torch.Generator) -> dict[str, float]:
    differences = gram_differences(pair, extract, LAYERS)
    return {layer: WEIGHT * float(difference) for layer, difference in zip(LAYERS, differences, strict=True)}
