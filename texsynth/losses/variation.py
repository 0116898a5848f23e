"""Total variation (Rudin, Osher and Fatemi 1992): how much neighbours differ, whatever the exemplar looks like.

Used beside other losses, mostly on raw pixels, to quieten the grain that networks do not see. The editing recipe of
Zhou et al. 2023 takes it over four directions, in both powers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as setting

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.losses._samples import total

STRAIGHT = ((0, 1), (1, 0))
DIAGONAL = ((1, 1), (1, -1))


@dataclass(frozen=True)
class Settings:
    """Defaults: absolute differences to the right and down."""

    power: int = setting(default=1, metadata={"help": "absolute or squared differences", "choices": (1, 2)})
    diagonal: bool = setting(default=False, metadata={"help": "count both diagonal neighbours too"})


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The mean difference of neighbours, summed over directions and layers; 0 for a flat picture."""
    steps = (*STRAIGHT, *DIAGONAL) if settings.diagonal else STRAIGHT

    def loss(features: Features) -> Tensor:
        pairs = [_differences(layer, step, setup.tile) for layer in features.values() for step in steps]
        return total([pair.abs().pow(settings.power).mean() for pair in pairs if pair.numel()], features)

    return loss


def _differences(layer: Tensor, step: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """Of each position of (1, C, h, w) to the one `step` (down, right) away; across the border only where it tiles."""
    there = torch.roll(layer, (-step[0], -step[1]), (2, 3)) - layer
    for dim, moved, wraps in zip((2, 3), step, tile, strict=True):
        if moved and not wraps:
            there = there.narrow(dim, 0 if moved > 0 else 1, there.shape[dim] - 1)
    return there
