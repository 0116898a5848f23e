"""The contextual loss (Mechrez et al. 2018): every patch of the exemplar should be some output patch's clear choice.

Kept to compare with: guided correspondence (Zhou et al. 2023) takes the best source for each output patch instead, and
the logarithm before the mean. Dense; larger layers are sampled anew at each evaluation. Where output patches count
unlike shares, those that may be chosen are drawn in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.samples import counts, draw, learned, tables, total
from texsynth.settings import setting

EPSILON = 1e-5  # keeps the relative distance finite where a patch is met exactly


@dataclass(frozen=True)
class Settings:
    """The paper's defaults."""

    patch: int = setting(1, "side of the patches compared", low=1, high=31)
    stride: int = setting(1, "step between patches", low=1, high=31)
    h: float = setting(0.5, "bandwidth; small: only the nearest", low=0.01, high=10.0)
    sample: int = setting(4096, "most patches compared on each side, 0: all", low=0, high=1000000)


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of -log of the mean contextual similarity; 0 for the exemplar itself, log N when blind."""
    known = learned(references, settings.patch, settings.stride)
    means = {name: vectors.mean(0) for name, vectors in known.items()}

    def loss(features: Features) -> Tensor:
        terms = []
        shares = counts(setup.share, features, settings.patch, settings.stride, setup.tile)
        for name, vectors in tables(features, settings.patch, settings.stride, setup.tile).items():
            if name in known:
                some = vectors[draw(vectors, settings.sample, setup.rng, shares[name])] - means[name]
                if not len(some):
                    continue
                sources = known[name][draw(known[name], settings.sample, setup.rng)] - means[name]
                terms.append(_dissimilarity(some, sources, settings.h))
        return total(terms, features)

    return loss


def _dissimilarity(targets: Tensor, sources: Tensor, h: float) -> Tensor:
    """-log of how surely each of the centred sources (M, D) is chosen by the target (N, D) that wants it most."""
    distance = (1 - F.normalize(targets) @ F.normalize(sources).T).clamp(min=0)
    relative = distance / (distance.amin(1, keepdim=True) + EPSILON)
    return -((1 - relative) / h).softmax(1).amax(0).mean().log()
