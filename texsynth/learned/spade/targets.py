"""Maps to practise on, drawn from those of an exemplar (the real-time synthesis of Zhou et al. 2023, supplement B).

A tenth are crops of its maps perturbed by Perlin noise, seven tenths its maps stretched and turned, and two tenths pure
Perlin noise with the exemplar's shares of values. Several maps are cut and turned alike. The amounts are not published;
those below are ours. Directions turn with their map; noise bends the borders of labels, adds to values, and turns
directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.guidance.procedural import perlin
from texsynth.guidance.progression import match_histogram
from texsynth.learned.shared.chance import integer, share
from texsynth.pyramid import axis, tensor_of

Maps = Sequence[Tensor]  # one of each guide, (1, C, H, W)
SEED_BOUND = 1 << 62  # of the seeds of Perlin noise
BUMPS = (2.0, 6.0)  # the fewest and the most bumps of Perlin noise along a side
LABEL_SHIFT = 0.15  # the most that noise moves borders of labels, as a share of a side
VALUE_SHIFT = 0.3  # the most that noise adds to values
DIRECTION_SHIFT = math.pi / 3  # the most that noise turns directions


@dataclass(frozen=True)
class TargetOptions:
    """How targets are drawn.

    chances: how often perturbed maps, stretched maps and noise are drawn, relative to each other.
    factor: the most that sides are stretched or pressed.
    side: the side of a target in pixels.
    """

    chances: tuple[float, float, float]
    factor: float
    side: int


def draw(maps: Maps, distances: Sequence[str], options: TargetOptions, rng: torch.Generator) -> list[Tensor]:
    """A target (1, C, side, side) for each of an exemplar's maps, whose values compare by `distances` (see `Guide`)."""
    ends = list(accumulate(options.chances))
    at = _uniform(rng, 0, ends[-1])
    if at < ends[0]:
        return [perturbed(*pair, rng) for pair in zip(crop(maps, options.side, rng), distances, strict=True)]
    if at < ends[1]:
        return stretched(maps, distances, options, rng)
    return [pure(values, distance, options.side, rng) for values, distance in zip(maps, distances, strict=True)]


def crop(maps: Maps, side: int, rng: torch.Generator) -> list[Tensor]:
    """The same part of maps and pictures of one size, at a random place, as views."""
    rows, columns = maps[0].shape[2:]
    top, left = (integer(n - side + 1, rng) for n in (rows, columns))
    return [values[:, :, top : top + side, left : left + side] for values in maps]


def perturbed(values: Tensor, distance: str, rng: torch.Generator) -> Tensor:
    """A crop of a map, (1, C, side, side), made less regular by noise."""
    side = values.shape[2]
    one, other = ((_perlin(side, rng) * 2 - 1).to(values) for _ in range(2))
    if distance == "l0":
        ramp = torch.arange(side, device=values.device) + 0.5
        y, x = torch.meshgrid(ramp, ramp, indexing="ij")
        places = torch.stack([x + LABEL_SHIFT * side * one[0, 0], y + LABEL_SHIFT * side * other[0, 0]], -1)
        return _read(values, distance, places, torch.eye(2))
    if distance == "direction":
        cos, sin = (DIRECTION_SHIFT * one).cos(), (DIRECTION_SHIFT * one).sin()
        x, y = values[:, :1], values[:, 1:]
        return torch.cat([x * cos - y * sin, x * sin + y * cos], 1)
    return (values + VALUE_SHIFT * one).clamp(0, 1)


def stretched(maps: Maps, distances: Sequence[str], options: TargetOptions, rng: torch.Generator) -> list[Tensor]:
    """Maps, mirrored beyond borders, turned by a random angle and then stretched along both axes, around any place."""
    angle, span = _uniform(rng, 0, 2 * math.pi), math.log(options.factor)
    across, down = (math.exp(_uniform(rng, -span, span)) for _ in range(2))
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = torch.tensor([[across * cos, -across * sin], [down * sin, down * cos]])  # (x, y) of maps -> of targets
    centre = torch.tensor([_uniform(rng, 0, n) for n in (maps[0].shape[3], maps[0].shape[2])])
    ramp = torch.arange(options.side) - (options.side - 1) / 2
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    places = torch.stack([x, y], -1) @ matrix.inverse().T + centre
    return [_read(values, distance, places, matrix) for values, distance in zip(maps, distances, strict=True)]


def pure(values: Tensor, distance: str, side: int, rng: torch.Generator) -> Tensor:
    """Perlin noise with the shares of a map's labels or the histogram of its values; all directions are alike."""
    noise = _perlin(side, rng).to(values)
    if distance == "l0":
        ids, counts = values.unique(return_counts=True)
        order = torch.randperm(len(ids), generator=rng).to(ids.device)
        ends = counts[order].cumsum(0) / counts.sum()
        ranks = noise.flatten().argsort().argsort().float() / noise.numel()
        drawn: Tensor = ids[order][torch.searchsorted(ends, ranks, right=True).clamp(max=len(ids) - 1)]
        return drawn.view_as(noise)
    if distance == "direction":
        turn = noise * math.pi + _uniform(rng, 0, math.pi)
        return torch.cat([turn.cos(), turn.sin()], 1)
    return match_histogram(noise, values.mean(1, keepdim=True)).expand(-1, values.shape[1], -1, -1)


def _read(values: Tensor, distance: str, places: Tensor, matrix: Tensor) -> Tensor:
    """A map at places (side, side, 2), (x, y) in pixels; the vectors of directions are moved by the matrix."""
    size = torch.tensor([values.shape[3], values.shape[2]], device=values.device)
    grid = (places.to(values.device) / size * 2 - 1)[None]
    if distance == "l0":
        return F.grid_sample(values, grid, "nearest", "reflection", align_corners=False)
    if distance != "direction":
        return F.grid_sample(values, grid, "bilinear", "reflection", align_corners=False)
    vectors = axis(F.grid_sample(tensor_of(values), grid, "bilinear", "reflection", align_corners=False))
    return F.normalize(torch.einsum("ij,njhw->nihw", matrix.to(vectors), vectors))


def _perlin(side: int, rng: torch.Generator) -> Tensor:
    """Perlin noise (1, 1, side, side) in [0, 1], with a random number of bumps."""
    period = max(2.0, side / _uniform(rng, *BUMPS))
    return perlin((side, side), period, seed=integer(SEED_BOUND, rng))


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * share(rng)
