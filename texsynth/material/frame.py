"""The frame of a surface in a photograph: the projective map from straightened pixels to those of the photograph.

Places are (x, y) in pixels from the upper left corner of the picture, so that the middle of its first pixel is
(0.5, 0.5) and its lower right corner is (width, height). A map of other resolution has a frame of the same shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Corners = tuple[tuple[float, float], ...]  # (x, y) of four corners, clockwise from the upper left
NEARLY_PARALLEL = 0.03  # of the depth, by which two ends of a side must differ for the focal length to be told


@dataclass(frozen=True)
class Frame:
    """Where the pixels of a straightened picture lie in a photograph.

    matrix: (3, 3) float64; takes (x, y, 1) of the straightened picture to (x, y, 1) of the photograph, up to a factor.
    size: (height, width) of the straightened picture.
    """

    matrix: Tensor
    size: tuple[int, int]

    def cropped(self, x: float, y: float, width: int, height: int) -> Frame:
        """The frame of a part of the straightened picture."""
        move = torch.tensor([[1.0, 0, x], [0, 1, y], [0, 0, 1]], dtype=torch.float64)
        return Frame(self.matrix @ move, (height, width))

    def finer(self, down: float, along: float) -> Frame:
        """The frame for a map that is so many times as high and wide as the photograph."""
        height, width = (max(1, round(side * times)) for side, times in zip(self.size, (down, along), strict=True))
        times = torch.tensor([along, down, 1.0], dtype=torch.float64)
        back = torch.tensor([self.size[1] / width, self.size[0] / height, 1.0], dtype=torch.float64)
        return Frame(torch.diag(times) @ self.matrix @ torch.diag(back), (height, width))

    def places(self, top: int, bottom: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of the middles of the pixels in these rows, the places (h, w, 2) in the photograph, and how these move for a
        step of one pixel along and down, (h, w, 2) each; all (x, y), float64."""
        y, x = (torch.arange(*ends, dtype=torch.float64) + 0.5 for ends in ((top, bottom), (0, self.size[1])))
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x)), x.new_ones(len(y), len(x))], -1)
        homogeneous = grid @ self.matrix.T
        depth = homogeneous[..., 2:]
        place = homogeneous[..., :2] / depth
        along, down = ((self.matrix[:2, axis] - place * self.matrix[2, axis]) / depth for axis in (0, 1))
        return place, along, down

    def turn(self, top: int, bottom: int) -> Tensor:
        """By how much the photograph is turned where it is straightened, (h, w) radians clockwise on screen: the
        rotation that is nearest to the change of places (the one of its polar decomposition)."""
        _, along, down = self.places(top, bottom)
        return -torch.atan2(along[..., 1] - down[..., 0], along[..., 0] + down[..., 1])


def of_corners(corners: Corners, size: tuple[int, int]) -> Frame:
    """The frame in which the four corners of a surface become those of a picture of `size` (height, width)."""
    height, width = size
    ends = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    rows, values = [], []
    for (x, y), (u, v) in zip(ends, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), torch.tensor(values, dtype=torch.float64))
    return Frame(torch.cat([solved, solved.new_ones(1)]).view(3, 3), size)


def mean_sides(corners: Corners) -> tuple[float, float]:
    """The mean (height, width) of opposite sides of a quadrangle, in pixels."""
    top, right, bottom, left = (math.dist(corners[n], corners[(n + 1) % 4]) for n in range(4))
    return (right + left) / 2, (top + bottom) / 2


def true_aspect(corners: Corners, middle: tuple[float, float]) -> float | None:
    """The width of a rectangle, divided by its height, that a pinhole camera saw as these corners.

    middle: where the optical axis meets the picture, (x, y); half its size unless it was cropped. The focal length
    follows from the two vanishing points (Zhang & He 2007, "Whiteboard scanning and image enhancement", equations 11
    to 20). None where opposite sides are so near to parallel that it cannot be told.
    """
    # Upper left, upper right, lower right, lower left.
    m1, m2, m4, m3 = (torch.tensor([x - middle[0], y - middle[1], 1.0], dtype=torch.float64) for x, y in corners)
    diagonal, right, below = (torch.linalg.cross(m, m4) for m in (m1, m2, m3))
    n2 = torch.dot(diagonal, m3) / torch.dot(right, m3) * m2 - m1
    n3 = torch.dot(diagonal, m2) / torch.dot(below, m2) * m3 - m1
    depths = float(n2[2]), float(n3[2])
    if min(map(abs, depths)) < NEARLY_PARALLEL:
        return None
    focal = -float(torch.dot(n2[:2], n3[:2])) / (depths[0] * depths[1])  # its square
    if focal <= 0:
        return None
    scale = torch.tensor([1 / focal, 1 / focal, 1.0], dtype=torch.float64)
    return math.sqrt(float((scale * n2 * n2).sum() / (scale * n3 * n3).sum()))


def turns(corners: Corners) -> list[float]:
    """Twice the areas of the triangles at the four corners, above zero where the outline turns clockwise on screen: all
    are for corners in order around a convex surface."""
    areas = []
    for n in range(4):
        (x0, y0), (x1, y1), (x2, y2) = (corners[(n + step) % 4] for step in (-1, 0, 1))
        areas.append((x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1))
    return areas
