"""The Euclidean norm of all values (Mahendran and Vedaldi 2015): a weak pull towards 0, whatever the exemplar is.

It is a prior of network inversions, and on raw pixels the last and least term of image editing in Zhou et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup, total
from texsynth.losses import NoSettings as Settings
from texsynth.patches.cut import patch_weights

GUIDES: tuple[str, ...] = ()  # it follows none


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The root of the weighted sum of squares, summed over layers; where all is 0 its gradient is 0 too."""
    share = setup.pixel_weights

    def loss(features: Features) -> Tensor:
        layers = list(features.values())
        weighted = layers if share is None else [layer * patch_weights(share, layer, 1, 1).sqrt() for layer in layers]
        return total([layer.norm() for layer in weighted], features)

    return loss
