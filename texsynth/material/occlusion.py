"""Ambient occlusion of a height map, by the angles of its horizon.

What a point sees is cut into slices, planes that stand upright on the picture. In each of them the horizon on both
sides is the steepest line to a point within the radius, and the light between the two is integrated in closed form,
weighted by the cosine to the surface's normal (Jimenez et al. 2016, "Practical realtime strategies for accurate
indirect occlusion", equations 7 to 10). Points are looked at ever further apart, see `distances`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from texsynth.image import rows
from texsynth.material.relief import Wraps, framed, slopes

SLICES = 8  # half as many as directions
NEAR, GROWTH = 4, 1.05  # up to this distance every pixel is looked at; then each step is longer by this factor


def distances(radius: float) -> list[float]:
    """How far away points are looked at, in pixels: 1, 2, 3, 4, then by GROWTH further up to the radius."""
    steps = [float(step) for step in range(1, min(NEAR, int(radius)) + 1)]
    while steps[-1] * GROWTH < radius:
        steps.append(max(steps[-1] * GROWTH, steps[-1] + 1))
    return [step for step in steps if step < radius] + [float(radius)]


def visible(height: Tensor, strength: float, radius: float, wraps: Wraps, device: torch.device) -> Tensor:
    """The share of an even light from all sides that reaches each point of heights (1, 1, H, W), in [0, 1], (1, 1, H,
    W). A height of 1 is `strength` pixels; what is further away than `radius` pixels stands in nobody's light, and
    beyond a border where the map does not repeat the ground is as high as there."""
    reach = math.ceil(radius)

    def make(top: int, bottom: int) -> Tensor:
        # Before the frame is made, as that is what takes memory.
        right, down = (strength * slope for slope in slopes(height, top, bottom, wraps, device))
        around = strength * framed(height, top, bottom, reach, wraps).to(device)
        length = (right**2 + down**2 + 1).sqrt_()
        share = torch.zeros_like(right)
        for number in range(SLICES):
            angle = math.pi * number / SLICES
            along = -right * math.cos(angle) - down * math.sin(angle)  # of the normal, before it has unit length
            low, high = (_horizon(around, reach, radius, turn) for turn in (angle + math.pi, angle))
            share += _slice(along, length, low, high)
        return (share / SLICES).clamp_(0, 1).cpu()

    return rows.composed(height.shape, make, height)


def _horizon(around: Tensor, reach: int, radius: float, angle: float) -> Tensor:
    """The greatest slope from each point to those within the radius in a direction, clockwise from the x
    axis, (1, 1, H, W); `around` has `reach` more pixels on all sides."""
    height, width = (side - 2 * reach for side in around.shape[2:])
    here = around[:, :, reach : reach + height, reach : reach + width]
    steepest = torch.full_like(here, -math.inf)
    steps = {(round(d * math.sin(angle)), round(d * math.cos(angle))) for d in distances(radius)}
    for y, x in sorted(steps):
        there = around[:, :, reach + y : reach + y + height, reach + x : reach + x + width]
        torch.maximum(steepest, (there - here).mul_(1 / math.hypot(y, x)), out=steepest)
    return steepest


def _slice(along: Tensor, length: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The light of one slice: `along` is the part of the normal along it, of one that is 1 high and `length` long; low
    and high are the slopes of the horizon behind and ahead."""
    across = (along**2 + 1).sqrt()  # the length of the normal's projection
    tilt = along.atan()  # its angle to the upright, ahead positive
    behind = -(math.pi / 2 - low.atan_())
    ahead = math.pi / 2 - high.atan_()
    # Nothing is seen from below the surface itself.
    behind = torch.maximum(behind, tilt - math.pi / 2)
    ahead = torch.minimum(ahead, tilt + math.pi / 2)
    arcs = sum(tilt.cos() + 2 * h * tilt.sin() - (2 * h - tilt).cos() for h in (behind, ahead))
    assert isinstance(arcs, Tensor)
    return across / length * arcs / 4
