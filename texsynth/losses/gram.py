"""Gram matrices (Gatys et al. 2015): the output's features correlate as the exemplar's do, wherever they are.

For each layer G = F F^T / M over its M positions; the loss is the squared distance of the output's G to that of all
references together. It is blind to where things are, so it carries fine texture and no layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.samples import counts, learned, tables, total
from texsynth.settings import setting


@dataclass(frozen=True)
class Settings:
    """Defaults: the paper's matrices, with layers that weigh alike whatever the network's scale."""

    patch: int = setting(1, "side of the patches that are the vectors; 1: channels alone", low=1, high=31)
    stride: int = setting(1, "step between patches", low=1, high=31)
    centred: bool = setting(False, "covariances: the mean is taken off first")
    normalise: str = setting(
        "relative",
        "divide by the exemplar's squared norm, or by 4 N^2 for N channels as the paper does",
        choices=("relative", "gatys"),
    )


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of squared Gram distances; above 0, and 0 for the exemplar itself."""
    known = learned(references, settings.patch, settings.stride)
    targets = {name: gram(vectors, settings.centred) for name, vectors in known.items()}
    units = {name: _unit(target, settings.normalise) for name, target in targets.items()}

    def loss(features: Features) -> Tensor:
        found = tables(features, settings.patch, settings.stride, setup.tile)
        shares = counts(setup.share, features, settings.patch, settings.stride, setup.tile)
        terms = []
        for name, vectors in found.items():
            if name in targets:
                rows, weights = _counted(vectors, shares[name])
                if len(rows):
                    apart = gram(rows, settings.centred, weights) - targets[name]
                    terms.append((apart / units[name]).square().sum())
        return total(terms, features)

    return loss


def _counted(vectors: Tensor, shares: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The rows that count, and how much each does, (n, 1), adding up to 1; None where all count alike."""
    if shares is None:
        return vectors, None
    rows = (shares > 0).nonzero()[:, 0]
    return vectors[rows], (shares[rows] / shares.sum())[:, None]


def gram(vectors: Tensor, centred: bool = False, weights: Tensor | None = None) -> Tensor:
    """Mean outer product of the rows of (N, D), or their covariance: (D, D). weights: (N, 1), adding up to 1."""
    if centred:
        vectors = vectors - (vectors.mean(0) if weights is None else (vectors * weights).sum(0))
    if weights is None:
        return vectors.T @ vectors / len(vectors)
    return vectors.T @ (vectors * weights)


def _unit(target: Tensor, normalise: str) -> float | Tensor:
    """What differences to a matrix (N, N) are divided by before they are squared."""
    if normalise == "gatys":
        return 2 * len(target)
    size = target.square().sum().sqrt()
    return size.where(size > 0, 1)  # a black exemplar is matched all the same
