"""Total variation (Rudin, Osher and Fatemi 1992): how much neighbours differ, whatever the exemplar looks like.

Used beside other losses, mostly on raw pixels, to quieten the grain that networks do not see. The editing recipe of
Zhou et al. 2023 takes it over four directions, twice: the mean of absolute differences, and their Frobenius norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.cut import wanted
from texsynth.patches.samples import total
from texsynth.settings import setting

STRAIGHT = ((0, 1), (1, 0))
DIAGONAL = ((1, 1), (1, -1))


@dataclass(frozen=True)
class Settings:
    """Defaults: absolute differences to the right and down."""

    power: int = setting(1, "absolute or squared differences", choices=(1, 2))
    diagonal: bool = setting(False, "count both diagonal neighbours too")
    measure: str = setting(
        "mean", "mean of the powers, or norm: the root of their sum (Frobenius' for power 2)", choices=("mean", "norm")
    )


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """Mean or norm of the differences of neighbours, summed over directions and layers; 0 for a flat picture."""
    steps = (*STRAIGHT, *DIAGONAL) if settings.diagonal else STRAIGHT

    def loss(features: Features) -> Tensor:
        terms = []
        for layer in features.values():
            for step in steps:
                pairs = _differences(layer, step, setup.tile)
                if pairs.numel():
                    terms.append(_size(pairs, _either(setup.share, layer, step, setup.tile), settings))
        return total(terms, features)

    return loss


def _size(pairs: Tensor, shares: Tensor | None, settings: Settings) -> Tensor:
    """Of all differences (1, C, h, w), weighted by (1, 1, h, w)."""
    if settings.measure == "norm":
        counted = pairs if shares is None else pairs * shares.pow(1 / settings.power)
        norm: Tensor = torch.linalg.vector_norm(counted, settings.power)
        return norm
    powers = pairs.abs().pow(settings.power)
    if shares is None:
        return powers.mean()
    return (powers.mean(1, keepdim=True) * shares).sum() / shares.sum().clamp_min(torch.finfo(shares.dtype).tiny)


def _differences(layer: Tensor, step: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """Of each position of (1, C, h, w) to the one `step` (down, right) away; across the border only where it tiles."""
    return _inner(torch.roll(layer, (-step[0], -step[1]), (2, 3)) - layer, step, tile)


def _either(share: Tensor | None, layer: Tensor, step: tuple[int, int], tile: tuple[bool, bool]) -> Tensor | None:
    """How much these pairs of a layer count: as the more wanted of the two does. None: all alike."""
    if share is None:
        return None
    share = wanted(share, layer, 1, 1)[None, None]
    return _inner(torch.maximum(torch.roll(share, (-step[0], -step[1]), (2, 3)), share), step, tile)


def _inner(there: Tensor, step: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """Without the pairs that lie across a border that does not tile."""
    for dim, moved, wraps in zip((2, 3), step, tile, strict=True):
        if moved and not wraps:
            there = there.narrow(dim, 0 if moved > 0 else 1, there.shape[dim] - 1)
    return there
