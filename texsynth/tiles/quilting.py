"""Where two pictures that overlap are cut: along the path on which they differ least (Efros & Freeman 2001, "Image
quilting"), and which parts of that cut do not fit, so that they have to be made anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.tiles import board
from texsynth.tiles.board import Box, Cuts, TileFrame, part
from texsynth.tiles.sets import Strip

ROUGH = 0.15  # of the variance, that pictures may differ by on average along a part of a cut that fits
ALONG = 15  # pixels of a cut that are looked at together


@dataclass(frozen=True)
class ShownPlane:
    """What a plane shows, (1, 3, h, w), and the variance of that, of all channels together."""

    image: Tensor
    variance: Tensor


def shown_plane(image: Tensor) -> ShownPlane:
    """That of a picture (1, 3, h, w), whose variance is taken once for all cuts."""
    return ShownPlane(image, image.var((2, 3)).sum())


def of_band(
    frame: TileFrame, cuts: Cuts, strip: Strip, across: bool, plane: ShownPlane | None
) -> list[tuple[Tensor, Tensor]]:
    """The two joints of a band whose parts are cut out of a plane: what each has of its corner, and what is made anew,
    bool. plane: None where it is not there yet, and nothing is anew."""
    height, width = board.between(frame, across, 0, 2 * frame.gap)[2:]
    if plane is None:
        return [(torch.zeros(height, width, dtype=torch.bool),) * 2] * 2
    joints, place = [], (cuts.across if across else cuts.down)[strip]
    pairs = board.seams(frame, cuts, strip, across, place)
    for (middle, corner), is_first in zip(pairs, (True, False), strict=True):
        difference = _difference(part(plane.image[0], corner), part(plane.image[0], middle), plane)
        difference = difference if across else difference.T
        before, anew = _sides(_path(difference), difference, frame.core, is_closed=False)
        of_corner = before if is_first else ~before
        joints.append((of_corner, anew) if across else (of_corner.T, anew.T))
    return joints


def of_tile(
    frame: TileFrame, window: Box, plane: ShownPlane | None, tile: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The joint of a tile, (height, width) with its border: what it has of its bands, and what is made anew, bool.

    plane: That with its window; None where it is not there yet, and nothing is anew. tile: (1, 3, height, width), its
    bands with their margins.
    """
    (height, width), broad = frame.whole, frame.breadth
    outside, core = torch.ones(height, width, dtype=torch.bool), torch.zeros(height, width, dtype=torch.bool)
    if plane is None or tile is None:
        return outside, core
    inner = (height - 2 * broad, width - 2 * broad)  # between the bands
    difference = torch.zeros(height, width)
    there = part(plane.image[0], (window[0] + frame.border, window[1] + frame.border, *inner))
    part(difference, (broad, broad, *inner)).copy_(_difference(part(tile[0], (broad, broad, *inner)), there, plane))
    y, x = _round(frame)
    unrolled, turn = difference[y, x], len(y)
    way = _path(torch.cat([unrolled, unrolled]))[turn // 2 : turn // 2 + turn].roll(turn // 2)
    outside[broad : height - broad, broad : width - broad] = False
    outside[y, x], core[y, x] = _sides(way, unrolled, frame.core, is_closed=True)
    return outside, core


def _difference(one: Tensor, other: Tensor, plane: ShownPlane) -> Tensor:
    """The squared difference of (3, h, w), in variances of the plane: (h, w)."""
    return (one - other).square().sum(0) / (plane.variance + 1e-6)


def _round(frame: TileFrame) -> tuple[Tensor, Tensor]:
    """The (y, x) of the margins of a tile with its border, each (T, D): from place to place round it, and from the
    outer side to the inner one."""
    (height, width), depth = frame.whole, torch.arange(frame.margin) + frame.breadth
    down, along = height - 2 * frame.breadth - 1, width - 2 * frame.breadth - 1  # of the outermost way round
    ends = (height - 1 - depth, width - 1 - depth)
    u, v = (torch.arange(count)[:, None] / count for count in (along, down))

    def between(first: Tensor, last: Tensor, share: Tensor) -> Tensor:
        return (first + (last - first) * share).round().long()

    top = (depth.expand(along, -1), between(depth, ends[1], u))
    right = (between(depth, ends[0], v), ends[1].expand(down, -1))
    bottom = (ends[0].expand(along, -1), between(ends[1], depth, u))
    left = (between(ends[0], depth, v), depth.expand(down, -1))
    y, x = (torch.cat([side[axis] for side in (top, right, bottom, left)]) for axis in (0, 1))
    return y, x


def _path(cost: Tensor) -> Tensor:
    """The cheapest path along the first axis of (T, D), which moves by at most one place a step: (T,)."""
    values = cost.numpy()
    total, before, last = values[0], [], values.shape[1] - 1
    places = np.arange(last + 1)
    left, right = np.maximum(places - 1, 0), np.minimum(places + 1, last)
    for row in values[1:]:
        best = np.where(total[left] < total, left, places)
        best = np.where(total[right] < total[best], right, best)
        before.append(best)
        total = row + total[best]
    path = [int(total.argmin())]
    for best in reversed(before):
        path.append(int(best[path[-1]]))
    return torch.tensor(path[::-1])


def _sides(way: Tensor, difference: Tensor, core: int, is_closed: bool) -> tuple[Tensor, Tensor]:
    """What lies before a path (T,) through (T, D), and what of its surroundings is made anew."""
    depth, half = torch.arange(difference.shape[1]), ALONG // 2
    along = difference.gather(1, way[:, None])[None, :, 0]
    around = F.pad(along[None], (half, half), mode="circular" if is_closed else "replicate")[0]
    rough = F.max_pool1d(F.avg_pool1d(around, ALONG, 1), ALONG, 1, half)[0] > ROUGH
    near = (depth - way[:, None] + 0.5).abs() <= core / 2
    return depth < way[:, None], near & rough[:, None]
