"""The Euclidean norm of all values (Mahendran and Vedaldi 2015): a weak pull towards 0, whatever the exemplar is.

A prior of network inversions; on raw pixels it is the last and least term of the image editing of Zhou et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.cut import wanted
from texsynth.patches.samples import total


@dataclass(frozen=True)
class Settings:
    """None."""


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The root of the sum of squares, summed over layers; 0 only where all is 0, and there its gradient is 0 too."""

    def loss(features: Features) -> Tensor:
        return total([_counted(layer, setup.share).norm() for layer in features.values()], features)

    return loss


def _counted(layer: Tensor, share: Tensor | None) -> Tensor:
    """Each position so large that its square counts as much as it should."""
    return layer if share is None else layer * wanted(share, layer, 1, 1).sqrt()
