"""Relative Gram distance (after Gatys et al. 2015): how far texture statistics are off, as a share of their size.

The mean of ||G - G*|| / ||G*|| (Frobenius) over six layers of VGG-19 and two scales, full size and halved: the half
sees twice the context. The value is 0 for equal statistics, and 1 is as far off as a black picture is; good outputs
score below 0.2. Values compare only between runs with the same weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.losses.gram import gram
from texsynth.metrics import About, Pair
from texsynth.pyramid import shrink

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_4")
ABOUT = About("mean relative Gram distance over six VGG-19 layers and two scales", needs={"vgg19": LAYERS})


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    parts = details(pair, extract, rng)
    return sum(parts.values()) / len(parts)


def details(pair: Pair, extract: Extract, rng: torch.Generator) -> dict[str, float]:
    """The mean over the two scales, for each layer."""
    scales = [[extract(shrink(image, level), LAYERS) for image in (pair.exemplar, pair.output)] for level in (0, 1)]
    return {layer: sum(_relative(*(side[layer] for side in sides)) for sides in scales) / 2 for layer in LAYERS}


def _relative(wanted: Tensor, actual: Tensor) -> float:
    """||G - G*|| / ||G*|| of maps (1, C, h, w); G* is the matrix of the wanted one."""
    target, output = (gram(features[0].flatten(1).T) for features in (wanted, actual))
    return float((output - target).norm() / target.norm())
