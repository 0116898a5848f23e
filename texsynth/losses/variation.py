"""Total variation (Rudin, Osher and Fatemi 1992): how much neighbours differ, whatever the exemplar looks like.

It is used beside other losses, mostly on raw pixels, to quieten the grain that networks do not see. The editing recipe
of Zhou et al. 2023 takes it over four directions, twice: the mean of absolute differences, and their Frobenius norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup, total
from texsynth.patches.cut import patch_weights
from texsynth.settings import setting

STRAIGHT = ((0, 1), (1, 0))
DIAGONAL = ((1, 1), (1, -1))
GUIDES: tuple[str, ...] = ()  # it follows none


@dataclass(frozen=True)
class Settings:
    """The settings of total variation; by default it takes absolute differences to the right and down.

    power: Whether differences are taken as absolute values (1) or squared (2).
    diagonal: Whether both diagonal neighbours count too.
    measure: How differences are put together: mean takes the mean of their powers, and norm takes the root of the sum
        of these, which is Frobenius' norm for power 2.
    """

    power: int = setting(1, choices=(1, 2))
    diagonal: bool = setting(False)
    measure: str = setting("mean", choices=("mean", "norm"))


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """Mean or norm of the differences of neighbours, summed over directions and layers; 0 for a flat picture."""
    steps = (*STRAIGHT, *DIAGONAL) if settings.diagonal else STRAIGHT

    def loss(features: Features) -> Tensor:
        terms, share = [], setup.pixel_weights
        for layer in features.values():
            weights = None if share is None else patch_weights(share, layer, 1, 1)[None, None]
            for step in steps:
                pairs = _inner(_rolled(layer, step) - layer, step, setup.tile)
                if pairs.numel():
                    # A pair counts as much as the one of the two that counts more
                    counts = None if weights is None else torch.maximum(_rolled(weights, step), weights)
                    counts = None if counts is None else _inner(counts, step, setup.tile)
                    terms.append(_size(pairs, counts, settings))
        return total(terms, features)

    return loss


def _size(pairs: Tensor, weights: Tensor | None, settings: Settings) -> Tensor:
    """The mean or norm of all differences (1, C, h, w), weighted by (1, 1, h, w)."""
    if settings.measure == "norm":
        counted = pairs if weights is None else pairs * weights.pow(1 / settings.power)
        norm: Tensor = torch.linalg.vector_norm(counted, settings.power)
        return norm
    powers = pairs.abs().pow(settings.power)
    if weights is None:
        return powers.mean()
    return (powers.mean(1, keepdim=True) * weights).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def _rolled(layer: Tensor, step: tuple[int, int]) -> Tensor:
    """At each position of (1, C, h, w) the value one `step` (down, right) away."""
    return torch.roll(layer, (-step[0], -step[1]), (2, 3))


def _inner(pairs: Tensor, step: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """The values of pairs (1, C, h, w), without those across a border that does not wrap."""
    for dim, moved, wraps in zip((2, 3), step, tile, strict=True):
        if moved and not wraps:
            pairs = pairs.narrow(dim, 0 if moved > 0 else 1, pairs.shape[dim] - 1)
    return pairs
