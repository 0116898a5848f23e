"""Where the pixels of an object come from when it takes another shape: maps from the target region to the source's.

The start of single-image edits after "Neural Texture Synthesis with Guided Correspondence" (Zhou et al. 2023), which
itself starts from noise. Thin plates are those of Bookstein 1989. Regions are masks (1, 1, H, W) bool with at least one
pixel, points (n, 2) are (y, x) in pixels, float64. A warp takes points of the target to points of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Warp = Callable[[Tensor], Tensor]

SPOKES = 12  # directions in which a thin plate matches the boundaries
PARTS_SIDE = 128  # pixels of the longer side at which parts are told apart
SPECK_SHARE = 0.02  # of the largest part's area, below which a part is a speck
PIXEL_MOMENT = 1 / 12  # second moment of a pixel about its middle, so that no region is ever flat


@dataclass(frozen=True)
class Moments:
    """A region's area in pixels, centroid (2,) and covariance (2, 2)."""

    area: float
    centroid: Tensor
    covariance: Tensor


def moments(region: Tensor) -> Moments:
    """Area, centroid and covariance of the pixels of a region as unit squares."""
    points = region[0, 0].nonzero().double()
    centroid = points.mean(0)
    off = points - centroid
    return Moments(len(points), centroid, off.T @ off / len(points) + PIXEL_MOMENT * torch.eye(2, dtype=torch.float64))


def similarity(source: Tensor, target: Tensor) -> Warp:
    """Centroid to centroid and area to area, neither turned nor bent."""
    here, there = moments(source), moments(target)
    scale = (here.area / there.area) ** 0.5
    return lambda points: here.centroid + scale * (points - there.centroid)


def affine(source: Tensor, target: Tensor) -> Warp:
    """Centroid and covariance to those of the source, with the least movement: a symmetric, positive map (transport of
    one normal distribution to another), which neither mirrors nor turns."""
    here, there = moments(source), moments(target)
    root = _root(there.covariance)
    inverse = torch.linalg.inv(root)
    matrix = inverse @ _root(root @ here.covariance @ root) @ inverse
    return lambda points: here.centroid + (points - there.centroid) @ matrix


def thin_plate(source: Tensor, target: Tensor) -> Warp:
    """The similarity, bent as little as it takes for the boundaries to meet in directions round the centroids."""
    knots = spokes(target, source)
    plane = similarity(source, target)
    count = len(knots)
    sides = torch.cat([torch.ones(count, 1, dtype=torch.float64), knots], 1)  # (n, 3)
    system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
    system[:count, :count] = _plate(knots, knots)
    system[:count, count:], system[count:, :count] = sides, sides.T
    missing = torch.zeros(count + 3, 2, dtype=torch.float64)
    missing[:count] = spokes(source, target) - plane(knots)
    bend = torch.linalg.solve(system, missing)

    def warp(points: Tensor) -> Tensor:
        flat = torch.cat([torch.ones(len(points), 1, dtype=torch.float64), points], 1)
        moved: Tensor = plane(points) + _plate(points, knots) @ bend[:count] + flat @ bend[count:]
        return moved

    return warp


WARPS = {"affine": affine, "similarity": similarity, "thin-plate": thin_plate}


def spokes(region: Tensor, other: Tensor) -> Tensor:
    """The outermost point of a region in each of SPOKES directions from its centroid, (SPOKES, 2).

    Where it or `other` has none there, a point close to the centroid stands in, as far off as the root of the area
    says, so that the similarity of the two takes one stand-in to the other.
    """
    reach, here = _reach(region), moments(region)
    stand_in = 0.01 * here.area**0.5
    radius = torch.where((reach > 0) & (_reach(other) > 0), reach, stand_in)
    return here.centroid + radius[:, None] * _directions()


def snapped(points: Tensor, region: Tensor) -> Tensor:
    """The pixel of a region nearest to each point: whole numbers (n, 2)."""
    height, width = region.shape[2:]
    whole = _whole(points)
    y, x = whole.T
    fits = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    fits[fits.clone()] = region[0, 0, y[fits], x[fits]]
    whole[~fits] = _nearest(whole[~fits], region)
    return whole


def parts(region: Tensor) -> list[Tensor]:
    """The connected parts of a region, largest first; gaps of a pixel are bridged, and specks go with the nearest."""
    factor = max(1, -(-max(region.shape[2:]) // PARTS_SIDE))
    coarse = F.max_pool2d(region.float(), factor, ceil_mode=True) > 0
    number = torch.arange(1.0, coarse.numel() + 1).view(coarse.shape) * coarse
    while not torch.equal(number, spread := F.max_pool2d(number, 3, 1, 1) * coarse):
        number = spread
    height, width = region.shape[2:]
    fine = number.repeat_interleave(factor, 2).repeat_interleave(factor, 3)[:, :, :height, :width]
    apart = [region & (fine == value) for value in number.unique().tolist() if value > 0]
    apart.sort(key=lambda part: -int(part.sum()))
    whole = [part for part in apart if int(part.sum()) >= SPECK_SHARE * int(apart[0].sum())]
    centres = torch.stack([moments(part).centroid for part in whole])
    for speck in apart[len(whole) :]:
        nearest = int((centres - moments(speck).centroid).norm(dim=1).argmin())
        whole[nearest] = whole[nearest] | speck
    return whole


def paired(sources: list[Tensor], targets: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pairs of a source part and the target part that it is warped into.

    For as many targets as sources the pairs with the least movement, all of them used. Otherwise a single source is
    repeated, several become a single target together, and of other numbers each target is made of the nearest.
    """
    if len(targets) == 1:
        return [(torch.stack(sources).any(0), targets[0])]
    here, there = (torch.stack([moments(part).centroid for part in some]) for some in (sources, targets))
    apart = torch.cdist(there, here)
    if len(sources) != len(targets):
        return [(sources[nearest], target) for nearest, target in zip(apart.argmin(1).tolist(), targets, strict=True)]
    origins: dict[int, int] = {}
    for flat in apart.flatten().argsort(stable=True).tolist():
        goal, origin = divmod(flat, len(sources))
        if goal not in origins and origin not in origins.values():
            origins[goal] = origin
    return [(sources[origins[goal]], target) for goal, target in enumerate(targets)]


def _whole(points: Tensor) -> Tensor:
    """The nearest pixels; halves go up, all of them, so that neighbours stay neighbours."""
    return (points + 0.5 + 1e-9).floor().long()


def _nearest(points: Tensor, region: Tensor) -> Tensor:
    """The pixel of a region nearest to each pixel (n, 2), which may lie outside the picture: (n, 2).

    Columns are tried outwards from each point, by the region's nearest row in them, until none can hold a nearer pixel.
    """
    height, width = region.shape[2:]
    rows, far = _rows(region[0, 0]), height + width + int(points.abs().max()) if len(points) else 0
    nearest, best = points.clone(), torch.full((len(points),), far * far)
    left, reach = torch.arange(len(points)), 0
    while len(left):
        y, x = points[left].T
        for column in (-reach, reach):
            at = x + column
            row = rows[y.clamp(0, height - 1), at.clamp(0, width - 1)]
            away = torch.where((at >= 0) & (at < width) & (row >= 0), (row - y) ** 2 + reach**2, far * far)
            nearer = away < best[left]
            best[left[nearer]] = away[nearer]
            nearest[left[nearer]] = torch.stack([row[nearer], at[nearer]], 1)
        reach += 1
        left = left[best[left] > reach**2]
    return nearest


def _rows(region: Tensor) -> Tensor:
    """For every pixel of a region (H, W) bool the row of the region's nearest pixel in its column, -1 where it has none
    there: (H, W)."""
    height = len(region)
    row = torch.arange(height)[:, None].expand(region.shape)
    above = torch.where(region, row, -3 * height).cummax(0).values
    below = torch.where(region, row, 3 * height).flip(0).cummin(0).values.flip(0)
    nearest = torch.where(row - above <= below - row, above, below)
    return torch.where((nearest >= 0) & (nearest < height), nearest, -1)


def _root(matrix: Tensor) -> Tensor:
    """The symmetric square root of a symmetric, positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    return root


def _directions() -> Tensor:
    angle = torch.arange(SPOKES, dtype=torch.float64) * (2 * torch.pi / SPOKES)
    return torch.stack([angle.sin(), angle.cos()], 1)


def _reach(region: Tensor) -> Tensor:
    """How far a region goes from its centroid in each direction, to the far side of its last pixel there; 0 where it
    has none: (SPOKES,)."""
    height, width = region.shape[2:]
    steps = 0.5 * torch.arange(1, 2 * (height + width), dtype=torch.float64)
    points = moments(region).centroid + steps[:, None, None] * _directions()  # (R, SPOKES, 2)
    y, x = _whole(points).unbind(2)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    inside &= region[0, 0, y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return (inside * (steps[:, None] + 0.5)).amax(0)


def _plate(points: Tensor, knots: Tensor) -> Tensor:
    """r^2 log r between all pairs, (n, k)."""
    squared = torch.cdist(points, knots, compute_mode="donot_use_mm_for_euclid_dist").square()
    return squared * squared.clamp(min=1e-12).log() / 2
