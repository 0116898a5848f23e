"""Pairs of a target and an exemplar for training CoCosNet (Zhang et al. 2020), cut from the same few pictures.

In some pairs both show nearly the same place, and the exemplar is bent, so the true match of every cell is known
(pseudo exemplar pairs); in the others they are disjoint, or of two pictures, so there is nothing to copy in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.cocosnet.network import CELL
from texsynth.learned.shared import adversarial
from texsynth.learned.shared.chance import integer, share
from texsynth.settings import setting

Box = tuple[int, int]  # (top, left) of a square


@dataclass(frozen=True)
class Sample:
    """A picture (1, 3, H, W) in [0, 1], or a crop of it, and the ids of its labels (1, 1, H, W)."""

    image: Tensor
    labels: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[2], self.image.shape[3]


@dataclass(frozen=True)
class ExemplarPair:
    """A target and an exemplar. places: (1, 2, h, w), the (y, x), in cells of the exemplar, that the target's cells
    show; NaN where it shows none; None where both are disjoint."""

    target: Sample
    exemplar: Sample
    places: Tensor | None


@dataclass(frozen=True)
class PairSettings(adversarial.Settings):
    """The settings of how pairs are cut.

    paired: The share of pairs that show the same place.
    bend: The degrees that exemplars are turned by, at most.
    stretch: The share that the axes of exemplars are enlarged by, at most.
    """

    paired: float = setting(0.3, low=0.0, high=1.0)
    bend: float = setting(10.0, low=0.0, high=45.0)
    stretch: float = setting(0.15, low=0.0, high=1.0)


def room(size: tuple[int, int], crop: int) -> bool:
    """Whether a picture of `size` has room for two disjoint crops."""
    return min(size) >= crop and max(size) >= 2 * crop


def draw(samples: Sequence[Sample], settings: PairSettings, rng: torch.Generator) -> ExemplarPair:
    """A pair drawn from samples that all have room for two crops, which are of whole cells."""
    number = integer(len(samples), rng)
    sample, crop = samples[number], settings.crop // CELL * CELL
    paired = share(rng) < settings.paired
    other = sample
    if paired:
        box = (integer(sample.size[0] - crop + 1, rng), integer(sample.size[1] - crop + 1, rng))
        near = near_by(sample.size, crop, box, rng)
    elif len(samples) > 1 and share(rng) < 0.5:
        other = samples[(number + 1 + integer(len(samples) - 1, rng)) % len(samples)]
        boxes = [tuple(integer(n - crop + 1, rng) for n in one.size) for one in (sample, other)]
        box, near = ((one[0], one[1]) for one in boxes)
    else:
        box, near = disjoint(sample.size, crop, rng)
    straight, bent = _turned(settings, rng), _turned(settings, rng) @ _bent(settings, rng)
    places = _places(box, straight, near, bent, crop).to(sample.image.device) if paired else None
    return ExemplarPair(_cut(sample, box, straight, crop), _cut(other, near, bent, crop), places)


def disjoint(size: tuple[int, int], crop: int, rng: torch.Generator) -> tuple[Box, Box]:
    """Two squares that do not meet along an axis drawn among those that hold both; free along the other one."""
    wide = [axis for axis in (0, 1) if size[axis] >= 2 * crop]
    axis = wide[integer(len(wide), rng)]
    low = integer(size[axis] - 2 * crop + 1, rng)
    high = low + crop + integer(size[axis] - 2 * crop - low + 1, rng)
    free = [integer(size[1 - axis] - crop + 1, rng) for _ in range(2)]
    boxes = [(at, other) if axis == 0 else (other, at) for at, other in zip((low, high), free, strict=True)]
    return (boxes[0], boxes[1]) if share(rng) < 0.5 else (boxes[1], boxes[0])


def near_by(size: tuple[int, int], crop: int, box: Box, rng: torch.Generator) -> Box:
    """A square that is up to half its side from another one, along each axis."""
    half = crop // 2
    moved = [at - half + integer(2 * half + 1, rng) for at in box]
    top, left = (min(max(at, 0), n - crop) for at, n in zip(moved, size, strict=True))
    return top, left


def _cut(sample: Sample, box: Box, matrix: Tensor, crop: int) -> Sample:
    """A square of a sample, resampled by a matrix that leads from places in the crop to places in the square, (x, y)
    in [-1, 1]."""
    image, labels = (
        x[:, :, box[0] : box[0] + crop, box[1] : box[1] + crop] for x in (sample.image, sample.labels.float())
    )
    if torch.equal(matrix, torch.eye(2)):
        return Sample(image, labels)
    theta = torch.cat([matrix, matrix.new_zeros(2, 1)], 1)[None].to(image)
    at = F.affine_grid(theta, [1, 1, crop, crop], align_corners=False)
    bent = F.grid_sample(image, at, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)
    return Sample(bent, F.grid_sample(labels, at, mode="nearest", padding_mode="border", align_corners=False))


def _places(box: Box, straight: Tensor, near: Box, bent: Tensor, crop: int) -> Tensor:
    """Where in the exemplar, cut from `near` by the matrix `bent`, the cells of the target are, cut from `box` by
    `straight`: (1, 2, h, w), NaN where they are outside."""
    count = crop // CELL
    ramp = (torch.arange(count) + 0.5) / count * 2 - 1
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    moved = torch.tensor([box[1] - near[1], box[0] - near[0]]) * (2 / crop)
    places = (torch.stack([x, y], -1) @ straight.T + moved) @ torch.linalg.inv(bent).T
    places = torch.where((places.abs() <= 1).all(-1, keepdim=True), places, torch.nan)
    return ((places.flip(-1) + 1) / 2 * count - 0.5).permute(2, 0, 1)[None]


def _turned(settings: PairSettings, rng: torch.Generator) -> Tensor:
    """The matrix of a drawn quarter turn and mirroring, as far as they are allowed."""
    turn, flip = integer(4, rng) * settings.turns, share(rng) < 0.5 and settings.flips
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turn]
    return torch.tensor([[cos, -sin], [sin, cos]]).float() @ torch.diag(torch.tensor([-1.0 if flip else 1.0, 1.0]))


def _bent(settings: PairSettings, rng: torch.Generator) -> Tensor:
    """The matrix of a mild distortion that stays inside the square."""
    angle = math.radians(settings.bend) * (2 * share(rng) - 1)
    cos, sin = math.cos(angle), math.sin(angle)
    inside = 1 / (cos + abs(sin))
    across, down = (inside / (1 + settings.stretch * share(rng)) for _ in range(2))
    return torch.tensor([[cos * across, -sin * down], [sin * across, cos * down]])
