"""Copies of the exemplars as further sources of the optimising method: flipped and turned, by any angle.

Guided correspondence (Zhou et al. 2023) takes 8 rotations by 45 degrees where a direction is asked for, each cut to the
largest square that the turned picture holds. Differs from the paper in: directions are turned by the angle, not
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
from texsynth.task import Exemplar, Task

ROTATIONS = 8  # where a direction is asked for


@dataclass(frozen=True)
class Source:
    """An exemplar or a copy of it. place: (1, 2, H, W), the (y, x) in [0, 1] that each pixel comes from; None where it
    is its own. guides: (1, C, H, W) for each guide."""

    exemplar: int
    image: Tensor
    valid: Tensor | None
    guides: tuple[Tensor, ...]
    place: Tensor | None


def sources(task: Task, copies: str) -> Iterator[Source]:
    """Every exemplar and its copies: those of the set `copies`, and rotations where a direction is asked for; none of
    an exemplar that may not be used at all."""
    directed = any(guide.distance == "direction" and guide.weight > 0 for guide in task.guides)
    for number, exemplar in enumerate(task.exemplars):
        if exemplar.valid is not None and not exemplar.valid.any():
            continue
        device = task.device
        guides = [(guide.sources[number].to(device), guide.distance) for guide in task.guides]
        place = _place(exemplar).to(device)
        image = exemplar.image.to(device)
        valid = None if exemplar.valid is None else exemplar.valid.to(device)
        for copy in COPY_SETS[copies]:
            turned = tuple(turn_guide(values, copy, distance) for values, distance in guides)
            own = None if copy == "none" else turn(place, copy)
            yield Source(number, turn(image, copy), None if valid is None else turn(valid, copy), turned, own)
        if directed and copies == "none":
            for step in range(1, ROTATIONS):
                angle = 2 * math.pi * step / ROTATIONS
                seen = torch.ones_like(image[:, :1]) if valid is None else valid.float()
                turned = tuple(rotated(values, angle, distance) for values, distance in guides)
                kept = rotated(seen, angle, "l2") > 0.99
                yield Source(number, rotated(image, angle).clamp(0, 1), kept, turned, rotated(place, angle, "l2"))


def rotated(values: Tensor, angle: float, kind: str = "colour") -> Tensor:
    """(1, C, H, W) turned clockwise on screen by `angle` radians, cut to the largest square inside: (1, C, n, n).

    kind: "colour" is sampled bicubically, "l2" linearly, "l0" by nearest; "direction" turns its vectors (x, y) too.
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


def _place(exemplar: Exemplar) -> Tensor:
    ys, xs = (torch.linspace(0, 1, n) for n in exemplar.size)
    return torch.stack(torch.meshgrid(ys, xs, indexing="ij"))[None]
