"""The Euclidean norm of all values (Mahendran and Vedaldi 2015): a weak pull towards 0, whatever the exemplar is.

It is a prior of network inversions; on raw pixels it is the last and least term of the image editing of Zhou et al.
2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup, total
from texsynth.patches.cut import patch_weights


@dataclass(frozen=True)
class Settings:
    """This loss has no settings."""


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The root of the sum of squares, summed over layers; 0 only where all is 0, and there its gradient is 0 too."""

    def loss(features: Features) -> Tensor:
        return total([_weighted(layer, setup.pixel_weights).norm() for layer in features.values()], features)

    return loss


def _weighted(layer: Tensor, pixel_weights: Tensor | None) -> Tensor:
    """The layer, so scaled at each position that its square is weighted."""
    return layer if pixel_weights is None else layer * patch_weights(pixel_weights, layer, 1, 1).sqrt()
