"""Mean and deviation of every channel, as the exemplar has them (Wang et al. 2021, IMAGINE).

DeepInversion (Yin et al. 2020) holds a classifier's inputs to the statistics of its batch norms; IMAGINE, and after it
the image editing of Zhou et al. 2023, to those of the one exemplar. It is blind to where things are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.samples import counts, learned, tables, total

SCALE = 100  # theirs, beside weights that are stated for it
LEAST = 1e-12  # variance: below it a channel counts as flat, and its deviation pulls at nothing


@dataclass(frozen=True)
class Settings:
    """None."""


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """100 times the mean squares, over channels, of the differences in mean and in (biased) deviation, summed over
    layers; all references are one sample. At least 0, and 0 for the exemplar itself."""
    targets = {name: moments(vectors) for name, vectors in learned(references, 1, 1).items()}

    def loss(features: Features) -> Tensor:
        shares, terms = counts(setup.share, features, 1, 1, setup.tile), []
        for name, vectors in tables(features, 1, 1, setup.tile).items():
            share = shares[name]
            if name in targets and (share is None or share.any()):
                terms.append(SCALE * (moments(vectors, share) - targets[name]).square().mean(1).sum())
        return total(terms, features)

    return loss


def moments(vectors: Tensor, share: Tensor | None = None) -> Tensor:
    """Means and deviations of the columns of (N, C): (2, C). share: (N,), how much each row counts; None: alike."""
    weights = vectors.new_ones(len(vectors)) if share is None else share
    weights = (weights / weights.sum())[:, None]
    mean = (weights * vectors).sum(0)
    variance = (weights * (vectors - mean).square()).sum(0)
    return torch.stack([mean, variance.clamp(min=LEAST).sqrt()])
