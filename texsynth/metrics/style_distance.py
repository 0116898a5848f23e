"""Style distance of exemplar-guided synthesis (Zheng et al. 2020, MSCA): are the shallow Gram matrices right?

The mean over relu1_1, relu1_2, relu2_1 and relu2_2 of VGG-19 of the mean squared difference of the entries of the Gram
matrices F F^T / M. The paper names the first two blocks and no scale; here each layer is divided by its mean on the
exemplar. From 0 for an exemplar with itself, without an upper limit. Compare only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.losses.gram import gram
from texsynth.metrics import Pair, enough
from texsynth.metrics._scaled import scaled

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, None)
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": LAYERS}
LEAST = 16
DESCRIPTION = "mean squared difference of Gram matrices of the first two blocks of VGG-19"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> float:
    """The mean over layers."""
    enough("style_distance", pair, LEAST)
    sides = scaled(extract, LAYERS, pair.exemplar, pair.output)
    terms = []
    for layer in LAYERS:
        wanted, got = (gram(side[layer][0].flatten(1).T) for side in sides)
        terms.append((got - wanted).square().mean())
    return float(torch.stack(terms).mean())
