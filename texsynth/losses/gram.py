"""Gram matrices (Gatys et al. 2015): the output's features correlate as the exemplar's do, wherever they are.

For each layer G = F F^T / M over its M positions; the loss is the squared distance of the output's G to that of all
references together. It is blind to where things are, so it carries fine texture and no layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from texsynth.losses import Features, Loss, PatchSettings, Reference, Setup, reference_tables, total
from texsynth.patches.samples import table_weights, tables
from texsynth.settings import setting


@dataclass(frozen=True)
class Settings(PatchSettings):
    """The settings of Gram matrices; by default all layers weigh alike, whatever the network's scale."""

    centred: bool = setting(False, "Whether the mean is taken off first, which compares covariances.")
    normalise: str = setting(
        "relative",
        "What differences are divided by: relative takes the squared norm of the exemplar's matrix, and gatys takes "
        "4 N^2 for N channels, as the paper does.",
        choices=("relative", "gatys"),
    )


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of squared Gram distances; at least 0, and 0 for the exemplar itself."""
    sources = reference_tables(references, settings.patch, settings.stride)
    targets = {name: gram(vectors, settings.centred) for name, vectors in sources.items()}
    units = {name: _unit(target, settings.normalise) for name, target in targets.items()}

    def loss(features: Features) -> Tensor:
        weights = table_weights(setup.pixel_weights, features, settings.patch, settings.stride, setup.tile)
        terms = []
        for name, vectors in tables(features, settings.patch, settings.stride, setup.tile).items():
            if name in targets:
                rows, shares = _counting(vectors, weights[name])
                if len(rows):
                    difference = gram(rows, settings.centred, shares) - targets[name]
                    terms.append((difference / units[name]).square().sum())
        return total(terms, features)

    return loss


def _counting(vectors: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The rows that count, and their shares, (n, 1), which add up to 1; None where all count alike."""
    if weights is None:
        return vectors, None
    rows = (weights > 0).nonzero()[:, 0]
    return vectors[rows], (weights[rows] / weights.sum())[:, None]


def gram(vectors: Tensor, centred: bool = False, shares: Tensor | None = None) -> Tensor:
    """The mean outer product of the rows of (N, D), or their covariance: (D, D).

    shares: how much each row counts, (N, 1), adding up to 1; None where all count alike.
    """
    if centred:
        vectors = vectors - (vectors.mean(0) if shares is None else (vectors * shares).sum(0))
    if shares is None:
        return vectors.T @ vectors / len(vectors)
    return vectors.T @ (vectors * shares)


def _unit(target: Tensor, normalise: str) -> float | Tensor:
    """What differences to a matrix (N, N) are divided by before they are squared."""
    if normalise == "gatys":
        return 2 * len(target)
    size = target.square().sum().sqrt()
    return size.where(size > 0, 1)  # a black exemplar is matched all the same
