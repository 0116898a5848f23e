"""Mean and deviation of every channel, as the exemplar has them (Wang et al. 2021, IMAGINE).

DeepInversion (Yin et al. 2020) holds a classifier's inputs to the statistics of its batch norms; IMAGINE, and after it
the image editing of Zhou et al. 2023, to those of the one exemplar. It is blind to where things are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, PatchSettings, Reference, Setup, counted_tables, reference_tables, total
from texsynth.losses import NoSettings as Settings

PAPER_SCALE = 100  # the paper states the weights of its losses for this
SMALLEST_VARIANCE = 1e-12  # below it a channel counts as flat, and its deviation has no gradient
CHANNELS = PatchSettings()  # the vectors are the channels alone
GUIDES: tuple[str, ...] = ()  # it follows none


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """100 times the mean squares, over channels, of the differences in mean and in (biased) deviation.

    It is a sum over layers, and all references are one sample; at least 0, and 0 for the exemplar itself.
    """
    targets = {name: moments(vectors) for name, vectors in reference_tables(references, CHANNELS).items()}

    def loss(features: Features) -> Tensor:
        layers = counted_tables(features, targets, CHANNELS, setup)
        differences = (moments(vectors, weights) - targets[name] for name, vectors, weights in layers)
        return total([PAPER_SCALE * difference.square().mean(1).sum() for difference in differences], features)

    return loss


def moments(vectors: Tensor, weights: Tensor | None = None) -> Tensor:
    """Means and deviations of the columns of (N, C): (2, C). weights: (N,), how much each row counts."""
    weights = vectors.new_ones(len(vectors)) if weights is None else weights
    shares = (weights / weights.sum())[:, None]
    mean = (shares * vectors).sum(0)
    variance = (shares * (vectors - mean).square()).sum(0)
    return torch.stack([mean, variance.clamp(min=SMALLEST_VARIANCE).sqrt()])
