"""Quality of Shi and Qiao (2020, Pseudo Optimizer): the texture loss between an output and its exemplar.

The sum over layers of 1e5 / 4 times the mean squared difference of the entries of the Gram matrices F F^T / M, of
relu1_1 and the pools. Differs from the paper in: its fifth layer, pool4, is left out, so that weights which end at
relu3_4 do; and where its network is scaled so that the mean of every filter is 1, here each layer is divided by its
mean on the exemplar. Compare only between runs with the same weights. From 0 for an exemplar with itself, without an
upper limit.
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
LAYERS = ("relu1_1", "pool1", "pool2", "pool3")
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": LAYERS}
LEAST = 16
WEIGHT = 1e5 / 4
DESCRIPTION = "weighted squared Gram distance over relu1_1 and the pools of VGG-19, the texture loss of Shi and Qiao"


def measure(pair: Pair, extract: Extract | None, rng: torch.Generator) -> float:
    """The sum over layers."""
    return sum(details(pair, extract, rng).values())


@torch.no_grad()
def details(
    pair: Pair,
    extract: Extract | None,
    rng: torch.Generator,  # noqa: ARG001 (the metrics' common signature; no chance here)
) -> dict[str, float]:
    """The term of each layer."""
    enough("quality_po", pair, LEAST)
    sides = scaled(extract, LAYERS, pair.exemplar, pair.output)
    terms = {}
    for layer in LAYERS:
        wanted, got = (gram(side[layer][0].flatten(1).T) for side in sides)
        terms[layer] = WEIGHT * float((got - wanted).square().mean())
    return terms
