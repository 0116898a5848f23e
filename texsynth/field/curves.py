"""Lines that bend round a hole: where pieces as they lie cannot continue them, turned and mirrored ones may.

Directions are those of the structure tensor (Bigun and Granlund 1987), as doubled angles: opposite gradients add.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.fill import thickness
from texsynth.image.holes import grow
from texsynth.image.salience import average

LINES = 0.8  # the share of gradients of one direction, near by, from which on a picture is made of lines
EVEN = 0.5  # the squared mean over the mean square of the gradients' energy: below, one edge outdoes all lines
BEND = 0.025  # the share of their directions that cancels out round the hole, from which on lines bend
THIN = 0.25  # the share of their variance that half the pixels lose, from which on lines are thin
LEAST_RING = 4  # pixels round a hole, in which lines are looked at


def bends(image: Tensor, hole: Tensor) -> bool:
    """Are there lines of changing direction all round the hole (1, 1, H, W) bool of a picture (1, 3, H, W)? One edge,
    such as a horizon, makes no lines."""
    if not hole.any():
        return False
    around, thick = _around(hole)
    grey = image.mean(1, keepdim=True)
    dx = F.pad(grey[..., 2:] - grey[..., :-2], (1, 1))
    dy = F.pad(grey[..., 2:, :] - grey[..., :-2, :], (0, 0, 1, 1))
    tensors = torch.cat([dx * dx - dy * dy, 2 * dx * dy, dx * dx + dy * dy, torch.ones_like(dx)], 1)[0]
    window = 2 * (max(3, round(thick / 4)) // 2) + 1
    smooth = average(average(tensors * ~grow(hole, 1)[0], window), window)
    real, imaginary, energy = smooth[:3, around[0, 0]] / smooth[3, around[0, 0]].clamp(min=1e-3)
    lines = (real.square() + imaginary.square()).sqrt().sum()
    left = (real.sum().square() + imaginary.sum().square()).sqrt()
    even = energy.mean().square() > EVEN * energy.square().mean()
    return bool(even) and bool(lines > LINES * energy.sum()) and bool(left < (1 - BEND) * lines)


def are_thin(image: Tensor, hole: Tensor) -> bool:
    """Would half the pixels lose the lines round a hole (1, 1, H, W) bool of a picture (1, 3, H, W)?"""
    grey, around = image.mean(1, keepdim=True), _around(hole)[0]
    halved = F.avg_pool2d(grey, 2, ceil_mode=True, count_include_pad=False)
    again = F.interpolate(halved, scale_factor=2.0)[..., : grey.shape[2], : grey.shape[3]]
    return bool((grey - again)[around].square().mean() > THIN * grey[around].var())


def _around(hole: Tensor) -> tuple[Tensor, int]:
    """The pixels (1, 1, H, W) round a hole up to half its thickness, and its thickness."""
    thick = thickness(hole[0, 0], (False, False))
    return grow(hole, max(LEAST_RING, thick // 2)) & ~hole, thick
