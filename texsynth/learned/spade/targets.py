"""Maps to practise on, drawn from those of an exemplar (the real-time synthesis of Zhou et al. 2023, supplement B).

A tenth are crops of its maps perturbed by Perlin noise, seven tenths its maps stretched and turned, two tenths pure
Perlin noise with the exemplar's shares of values. Several maps are cut and turned alike. How far is not published: what
stands below is ours. Directions turn with their map; noise bends borders of labels, adds to values, turns directions.
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
from texsynth.pyramid import axis, tensor_of

Maps = Sequence[Tensor]  # one of each guide, (1, C, H, W)
SEEDS = 1 << 62
BUMPS = (2.0, 6.0)  # of Perlin noise along a side
BENT = 0.15  # of a side, by which noise moves borders of labels
ADDED = 0.3  # what it adds to values, at most
TURNED = math.pi / 3  # by how much it turns directions, at most


@dataclass(frozen=True)
class How:
    """How often maps are perturbed, stretched and pure noise, relative to each other; by which factor, at most, sides
    are stretched or pressed; and the side of what is drawn."""

    perturbed: float
    stretched: float
    noise: float
    factor: float
    side: int


def draw(maps: Maps, distances: Sequence[str], how: How, rng: torch.Generator) -> list[Tensor]:
    """A target for each of an exemplar's maps, (1, C, side, side). distances: how each is compared, as in `Guide`."""
    ends = list(accumulate((how.perturbed, how.stretched, how.noise)))
    at = _uniform(rng, 0, ends[-1])
    if at < ends[0]:
        return [_perturbed(*pair, rng) for pair in zip(crop(maps, how.side, rng), distances, strict=True)]
    if at < ends[1]:
        return stretched(maps, distances, how, rng)
    return [pure(values, distance, how.side, rng) for values, distance in zip(maps, distances, strict=True)]


def crop(maps: Maps, side: int, rng: torch.Generator) -> list[Tensor]:
    """The same part of maps and pictures of one size, anywhere, as views."""
    rows, columns = maps[0].shape[2:]
    top, left = (int(torch.randint(n - side + 1, (), generator=rng)) for n in (rows, columns))
    return [values[:, :, top : top + side, left : left + side] for values in maps]


def stretched(maps: Maps, distances: Sequence[str], how: How, rng: torch.Generator) -> list[Tensor]:
    """Maps turned by any angle, and then stretched along both axes, around any place; mirrored beyond their borders."""
    angle, span = _uniform(rng, 0, 2 * math.pi), math.log(how.factor)
    across, down = (math.exp(_uniform(rng, -span, span)) for _ in range(2))
    cos, sin = math.cos(angle), math.sin(angle)
    out = torch.tensor([[across * cos, -across * sin], [down * sin, down * cos]])  # (x, y) of the maps -> of the target
    centre = torch.tensor([_uniform(rng, 0, n) for n in (maps[0].shape[3], maps[0].shape[2])])
    ramp = torch.arange(how.side) - (how.side - 1) / 2
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    places = torch.stack([x, y], -1) @ out.inverse().T + centre
    return [_read(values, distance, places, out) for values, distance in zip(maps, distances, strict=True)]


def pure(values: Tensor, distance: str, side: int, rng: torch.Generator) -> Tensor:
    """Perlin noise with the shares of labels or the histogram of values that a map has; of directions all."""
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


def _perturbed(values: Tensor, distance: str, rng: torch.Generator) -> Tensor:
    """A crop of a map, (1, C, side, side), less regular than it was."""
    side = values.shape[2]
    one, other = ((_perlin(side, rng) * 2 - 1).to(values) for _ in range(2))
    if distance == "l0":
        ramp = torch.arange(side, device=values.device) + 0.5
        y, x = torch.meshgrid(ramp, ramp, indexing="ij")
        places = torch.stack([x + BENT * side * one[0, 0], y + BENT * side * other[0, 0]], -1)
        return _read(values, distance, places, torch.eye(2))
    if distance == "direction":
        cos, sin = (TURNED * one).cos(), (TURNED * one).sin()
        x, y = values[:, :1], values[:, 1:]
        return torch.cat([x * cos - y * sin, x * sin + y * cos], 1)
    return (values + ADDED * one).clamp(0, 1)


def _read(values: Tensor, distance: str, places: Tensor, out: Tensor) -> Tensor:
    """A map at places (side, side, 2), (x, y) in pixels, its vectors moved by the matrix `out`."""
    size = torch.tensor([values.shape[3], values.shape[2]], device=values.device)
    grid = (places.to(values.device) / size * 2 - 1)[None]
    if distance == "l0":
        return F.grid_sample(values, grid, "nearest", "reflection", align_corners=False)
    if distance != "direction":
        return F.grid_sample(values, grid, "bilinear", "reflection", align_corners=False)
    vectors = axis(F.grid_sample(tensor_of(values), grid, "bilinear", "reflection", align_corners=False))
    return F.normalize(torch.einsum("ij,njhw->nihw", out.to(vectors), vectors))


def _perlin(side: int, rng: torch.Generator) -> Tensor:
    """(1, 1, side, side) from 0 to 1."""
    period = max(2.0, side / _uniform(rng, *BUMPS))
    return perlin((side, side), period, seed=int(torch.randint(SEEDS, (), generator=rng)))


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))
