"""Diversity after Shi and Qiao (2020, Pseudo Optimizer): how much do several outputs of one exemplar differ?

The mean over all pairs of outputs of the mean absolute difference of their features at the same places. The paper names
neither layer nor scale; here the layer is relu3_4 of VGG-19, divided by its mean on the exemplar.
From 0 for outputs that are all the same, without an upper limit; more is better, but noise has more than any texture:
read it beside a metric of quality. Values compare only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch

from texsynth.errors import InputError
from texsynth.features import Extract
from texsynth.metrics import NotApplicable, Pair, enough
from texsynth.metrics._scaled import scaled

LOWER_IS_BETTER: bool | None = False
RANGE: tuple[float, float | None] = (0.0, None)
LAYER = "relu3_4"
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": (LAYER,)}
LEAST = 16
DESCRIPTION = "mean absolute difference of VGG-19's relu3_4 between the outputs of one exemplar"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> float:
    """Of the output and all others together."""
    enough("diversity_po", pair, LEAST)
    if not pair.others:
        raise NotApplicable("diversity_po: there is one output; at least two of the same exemplar are needed")
    images = (pair.output, *pair.others)
    if len({image.shape for image in images}) > 1:
        sizes = sorted({f"{image.shape[3]}x{image.shape[2]}" for image in images})
        raise InputError(f"diversity_po: outputs are {' and '.join(sizes)}; they must be of one size")
    maps = [side[LAYER] for side in scaled(extract, (LAYER,), pair.exemplar, *images)[1:]]
    return float(torch.stack([(one - other).abs().mean() for one, other in combinations(maps, 2)]).mean())
