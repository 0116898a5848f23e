"""The contextual loss (Mechrez et al. 2018): every patch of the exemplar should be some output patch's clear choice.

It is here for comparison: guided correspondence (Zhou et al. 2023) takes the best source for each output patch instead,
and the logarithm before the mean. The loss is dense; of larger layers a sample is drawn anew at each evaluation. Where
some output patches count more than others, those that may be chosen are drawn in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Features, Loss, PatchSettings, Reference, Setup, counted_tables, reference_tables, total
from texsynth.patches.samples import draw
from texsynth.settings import setting

DISTANCE_EPSILON = 1e-5  # the paper's; it keeps the relative distance finite where a patch is met exactly
GUIDES: tuple[str, ...] = ()  # it follows none


@dataclass(frozen=True)
class Settings(PatchSettings):
    """The settings of the contextual loss; the defaults are the paper's.

    h: The bandwidth of the similarity; with a small one only the nearest patch counts.
    sample: At most this many patches are compared on each side; 0 takes all of them.
    """

    h: float = setting(0.5, low=0.01, high=10.0)
    sample: int = setting(4096, low=0, high=1000000)


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of -log of the mean contextual similarity.

    It is 0 for the exemplar itself, and log N for an output that cannot tell N source patches apart.
    """
    sources = reference_tables(references, settings)
    means = {name: vectors.mean(0) for name, vectors in sources.items()}

    def loss(features: Features) -> Tensor:
        terms = []
        for name, vectors, weights in counted_tables(features, sources, settings, setup):
            targets = vectors[draw(vectors, settings.sample, setup.rng, weights)] - means[name]
            drawn = sources[name][draw(sources[name], settings.sample, setup.rng)] - means[name]
            terms.append(_dissimilarity(targets, drawn, settings.h))
        return total(terms, features)

    return loss


def _dissimilarity(targets: Tensor, sources: Tensor, h: float) -> Tensor:
    """-log of the mean over centred sources (M, D) of how surely the target (N, D) that wants it most chooses each."""
    distance = (1 - F.normalize(targets) @ F.normalize(sources).T).clamp(min=0)
    relative = distance / (distance.amin(1, keepdim=True) + DISTANCE_EPSILON)
    return -((1 - relative) / h).softmax(1).amax(0).mean().log()
