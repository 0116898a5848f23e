"""Diversity after Shi and Qiao (2020, Pseudo Optimizer): how much do several outputs of one exemplar differ?

The mean over all pairs of outputs of the mean absolute difference of their features at the same places. The paper names
neither layer nor scale; here the layer is relu3_4 of VGG-19, divided by its mean on the exemplar.
Values start at 0, for outputs that are all the same, and have no upper limit. More is better, but noise has more than
any texture, so read it beside a metric of quality. Values compare only between runs with the same weights.
"""

from __future__ import annotations

from itertools import combinations

import torch

from texsynth.errors import InputError
from texsynth.features import Extract
from texsynth.metrics import About, NotApplicable, Pair, scaled_features

LAYER = "relu3_4"
ABOUT = About(
    "mean absolute difference of VGG-19's relu3_4 between the outputs of one exemplar",
    lower_is_better=False,
    needs={"vgg19": (LAYER,)},
)


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    if not pair.others:
        raise NotApplicable("diversity_po: there is one output; at least two of the same exemplar are needed")
    images = (pair.output, *pair.others)
    if len({image.shape for image in images}) > 1:
        sizes = sorted({f"{image.shape[3]}x{image.shape[2]}" for image in images})
        raise InputError(f"diversity_po: outputs are {' and '.join(sizes)}; they must be of one size")
    maps = [side[LAYER] for side in scaled_features(extract, (LAYER,), pair.exemplar, *images)[1:]]
    return float(torch.stack([(one - other).abs().mean() for one, other in combinations(maps, 2)]).mean())
