"""Copies of the exemplars as further sources of the optimising method: flipped and turned, by any angle.

Guided correspondence (Zhou et al. 2023) takes 8 rotations by 45 degrees where a guide asks for a direction, each cut to
the largest square that the turned picture holds. Differs from the paper in: directions are turned by the angle, not
extracted again from the turned picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import COPY_SETS, turn, turn_guide
from texsynth.task import Task

ROTATIONS = 8  # of every exemplar where a guide asks for a direction


@dataclass(frozen=True)
class ExemplarCopy:
    """An exemplar or a copy of it."""

    exemplar: int  # the number of the exemplar
    image: Tensor  # (1, 3, H, W) in [0, 1]
    valid: Tensor | None  # (1, 1, H, W) bool, the usable pixels; None for all
    guides: tuple[Tensor, ...]  # the map (1, C, H, W) of each guide
    place: Tensor | None  # (1, 2, H, W), the (y, x) in [0, 1] of the exemplar of each pixel; None for no copy


def sources(task: Task, copies: str) -> Iterator[ExemplarCopy]:
    """Every exemplar with its copies: those of the set `copies`, or rotations where a guide asks for a direction.
    Exemplars without any usable pixel are left out."""
    directed = any(guide.distance == "direction" and guide.weight > 0 for guide in task.guides)
    device = task.device
    for number, exemplar in enumerate(task.exemplars):
        if exemplar.valid is not None and not exemplar.valid.any():
            continue
        guides = [(guide.sources[number].to(device), guide.distance) for guide in task.guides]
        ys, xs = (torch.linspace(0, 1, n) for n in exemplar.size)
        place = torch.stack(torch.meshgrid(ys, xs, indexing="ij"))[None].to(device)
        image = exemplar.image.to(device)
        valid = None if exemplar.valid is None else exemplar.valid.to(device)
        for copy in COPY_SETS[copies]:
            turned = tuple(turn_guide(values, copy, distance) for values, distance in guides)
            usable = None if valid is None else turn(valid, copy)
            yield ExemplarCopy(number, turn(image, copy), usable, turned, None if copy == "none" else turn(place, copy))
        if directed and copies == "none":
            share = torch.ones_like(image[:, :1]) if valid is None else valid.float()
            for angle in (2 * math.pi * step / ROTATIONS for step in range(1, ROTATIONS)):
                turned = tuple(rotated(values, angle, distance) for values, distance in guides)
                usable = rotated(share, angle, "l2") > 0.99
                there = rotated(place, angle, "l2")
                yield ExemplarCopy(number, rotated(image, angle).clamp(0, 1), usable, turned, there)


def rotated(values: Tensor, angle: float, kind: str = "colour") -> Tensor:
    """(1, C, H, W) turned clockwise on screen by `angle` radians, cut to the largest square inside: (1, C, n, n).

    kind: "colour" is sampled bicubically, "l2" linearly, "l0" by the nearest pixel; "direction" is sampled linearly,
        and its vectors (x, y) are turned as well.
    """
    h, w = values.shape[2:]
    cos, sin = math.cos(angle), math.sin(angle)
    side = max(1, int(min(h, w) / (abs(cos) + abs(sin)) + 1e-6))
    ramp = torch.arange(side, device=values.device) - (side - 1) / 2
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    back = torch.stack([(x * cos + y * sin) * 2 / w, (y * cos - x * sin) * 2 / h], -1)[None]
    mode = {"colour": "bicubic", "l0": "nearest"}.get(kind, "bilinear")
    out = F.grid_sample(values, back, mode=mode, padding_mode="reflection", align_corners=False)
    if kind != "direction":
        return out
    return torch.cat([out[:, :1] * cos - out[:, 1:] * sin, out[:, :1] * sin + out[:, 1:] * cos], 1)
