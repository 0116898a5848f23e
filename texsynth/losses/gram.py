"""Gram matrices (Gatys et al. 2015): the output's features correlate as the exemplar's do, wherever they are.

For each layer G = F F^T / M over its M positions; the loss is the squared distance of the output's G to that of all
references together. It is blind to where things are, so it carries fine texture and no layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, PatchSettings, Reference, Setup, counted_tables, reference_tables, total
from texsynth.settings import setting

GUIDES: tuple[str, ...] = ()  # it follows none


@dataclass(frozen=True)
class Settings(PatchSettings):
    """The settings of Gram matrices; by default all layers weigh alike, whatever the network's scale.

    centred: Whether the exemplar's mean is taken off first, and a constant put beside the channels: that compares
        covariances and means.
    normalise: What differences are divided by: relative takes the squared norm of the exemplar's matrix, and gatys
        takes 4 N^2 for N channels, as the paper does.
    """

    centred: bool = setting(False)
    normalise: str = setting("relative", choices=("relative", "gatys"))


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of squared Gram distances; at least 0, and 0 for the exemplar itself."""
    sources = reference_tables(references, settings)
    views = {name: _view(rows, settings.centred) for name, rows in sources.items()}
    targets = {name: gram(views[name](rows)) for name, rows in sources.items()}
    units = {name: _unit(target, settings.normalise) for name, target in targets.items()}

    def loss(features: Features) -> Tensor:
        terms = []
        for name, vectors, weights in counted_tables(features, targets, settings, setup):
            shares = None
            if weights is not None:
                rows = (weights > 0).nonzero()[:, 0]
                vectors, shares = vectors[rows], (weights[rows] / weights.sum())[:, None]
            difference = gram(views[name](vectors), shares) - targets[name]
            terms.append((difference / units[name]).square().sum())
        return total(terms, features)

    return loss


def gram(vectors: Tensor, shares: Tensor | None = None) -> Tensor:
    """The mean outer product of the rows of (N, D): (D, D).

    shares: how much each row counts, (N, 1), adding up to 1; None where all count alike.
    """
    return vectors.T @ vectors / len(vectors) if shares is None else vectors.T @ (vectors * shares)


def _view(source: Tensor, centred: bool) -> Callable[[Tensor], Tensor]:
    """What becomes of vectors (n, D) before their matrix. With `centred` the mean of the source (N, D) is taken off and
    a constant put beside, (n, D + 1), by which the matrix holds the mean, too. It is as long as the source's deviation,
    so that a shift by that weighs as much as all of the covariance."""
    if not centred:
        return lambda vectors: vectors
    mean = source.mean(0)
    length = (source - mean).square().sum(1).mean().sqrt()
    length = length.where(length > 0, 1)  # the mean of a flat exemplar is matched all the same
    return lambda vectors: torch.cat([vectors - mean, length.expand(len(vectors), 1)], 1)


def _unit(target: Tensor, normalise: str) -> float | Tensor:
    """What differences to a matrix (N, N) are divided by before they are squared."""
    if normalise == "gatys":
        return 2 * len(target)
    size = target.square().sum().sqrt()
    return size.where(size > 0, 1)  # a black exemplar is matched all the same
