"""A regular surface straightened by itself: its measured lattice becomes one of rows and columns.

The lattice is that of field/lattice.py, and the drift of every pixel from it that of field/bend.py; a projective map is
fitted to the two, the picture is straightened by it and measured again. What is left is the shape of a cell, which no
lattice tells: rows and columns keep their mean step in the photograph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field import bend, lattice
from texsynth.image.load import extent, matching
from texsynth.image.picture import Picture
from texsynth.material.frame import Frame
from texsynth.material.straighten import straightened
from texsynth.pyramid import shrink

MEASURED_SIDE = 512  # pixels of the shorter side, at most, that are measured
MOST_MULTIPLES = 4  # of each vector, that together make a step of rows or columns
MOST_STAGGERED = 4  # cells that a rectangle of rows and columns holds: two for bricks, which are laid half a brick over
STAGGER_PRICE = 3.0  # degrees off a right angle that one more cell in the rectangle counts for
TURN_PRICE = 0.15  # the same for a degree by which it is turned
MOST_TURNED, MOST_SHEARED = 30.0, 12.0  # degrees that rows may be turned, and columns off the right angle to them
LEAST_EXPLAINED = 0.25  # of the variance, by repeating the mean cell of what is straightened
SHARES = (0.5, 1.0, 1.0, 1.0)  # of the sides of what is straightened so far, that are measured one after the other
SETTLED = 0.5  # pixels, by which the corners move in a round that is the last one
FITTED = 24  # places a side, at which a projective map is fitted
LEFT_OVER = 1.0  # degrees, by which rows and columns may miss the axes in the end
NEAREST_HORIZON = 0.2  # of the depth in the middle of the photograph: less at a corner is no picture of a surface
SMALLEST_SIDE = 16  # pixels
CANDIDATES = 128  # columns among which the borders of what is kept are chosen


@dataclass(frozen=True)
class Regular:
    """What was measured of a regular surface.

    frame: of the largest upright part that lies inside the photograph.
    turned: degrees clockwise on screen by which its rows were turned in the photograph.
    steps: pixels from one column and from one row to the next where they repeat, (along, down).
    """

    frame: Frame
    turned: float
    steps: tuple[float, float]


def measured(picture: Picture) -> Regular | None:
    """What a regular picture says of its own frame; None where it has no lattice whose rows and columns can be told."""
    level = max(0, (min(extent(picture)) // MEASURED_SIDE).bit_length())
    small = Picture(shrink(matching((picture,))[0], level))
    size = extent(small)
    frame: Frame | None = upright(torch.eye(3, dtype=torch.float64), size)
    for share in SHARES:
        if frame is None:
            return None
        part = _middle(frame, share)
        rows = _rows(small, part)
        if rows is None:
            if share == 1:
                return None
            continue  # it holds too few cells
        straight = upright(part.matrix @ torch.linalg.inv(_to_rows(*rows, part.size)), size)
        still = straight is not None and share == 1 and _moved(frame, straight) < SETTLED
        frame = straight
        if still:
            break
    final = None if frame is None else _rows(small, frame)
    if frame is None or final is None:
        return None
    grid, steps = final
    lengths = steps.norm(dim=1)
    turned = torch.atan2(steps[:, 0], steps[:, 1]).rad2deg() - torch.tensor([0.0, 90.0])
    explained = bend.explained(grid, straightened(small, frame).pixels)
    if float(turned.abs().max()) > LEFT_OVER or explained < LEAST_EXPLAINED:
        return None
    times = picture.width / small.width
    whole = frame.finer(picture.height / small.height, times)
    return Regular(whole, _turned(frame, size), (float(lengths[0]) * times, float(lengths[1]) * times))


def _rows(small: Picture, frame: Frame) -> tuple[lattice.Lattice, Tensor] | None:
    """The lattice of a picture in a frame, and the steps (y, x) to the next column and to the next row, (2, 2)."""
    image = straightened(small, frame).pixels
    grid = lattice.find(image)
    pair = None if grid is None else rectangle(grid.vectors)
    if grid is None or pair is None:
        return None
    bent = bend.straightened(grid, image)
    return bent, pair @ bent.vectors


def _middle(frame: Frame, share: float) -> Frame:
    """The middle part of a frame that has this share of its sides."""
    height, width = (max(SMALLEST_SIDE, round(share * side)) for side in frame.size)
    return frame.cropped((frame.size[1] - width) / 2, (frame.size[0] - height) / 2, width, height)


def _moved(frame: Frame, other: Frame) -> float:
    """By how many pixels two frames differ at the corners of the first, but for a shift."""
    height, width = frame.size
    ends = torch.tensor([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=torch.float64)
    there = ends @ (torch.linalg.inv(other.matrix) @ frame.matrix).T
    moved = there[:, :2] / there[:, 2:] - ends[:, :2]
    return float((moved - moved.mean(0)).norm(dim=1).max())


def rectangle(vectors: Tensor) -> Tensor | None:
    """The multiples (2, 2) of lattice vectors (2, 2), rows (y, x), that make the likeliest step along rows and down
    columns: near to the axes, near to a right angle, and with few cells in their rectangle. None where there is no such
    pair."""
    counts = torch.arange(-MOST_MULTIPLES, MOST_MULTIPLES + 1.0)
    multiples = torch.cartesian_prod(counts, counts)
    steps = multiples @ vectors
    angle = torch.atan2(steps[:, 0], steps[:, 1]).rad2deg()
    some = multiples.abs().sum(1) > 0
    along, down = (some & ((angle - axis).abs() <= MOST_TURNED) for axis in (0.0, 90.0))
    first, second = torch.cartesian_prod(along.nonzero()[:, 0], down.nonzero()[:, 0]).unbind(1)
    cells = multiples[first, 0] * multiples[second, 1] - multiples[first, 1] * multiples[second, 0]
    sheared = (angle[second] - angle[first] - 90).abs()
    turned = (angle[second] + angle[first] - 90).abs() / 2
    price = sheared + STAGGER_PRICE * (cells.abs() - 1) + TURN_PRICE * turned
    price[(cells.abs() < 0.5) | (cells.abs() > MOST_STAGGERED + 0.5) | (sheared > MOST_SHEARED)] = math.inf
    if len(price) == 0 or not bool(torch.isfinite(price.min())):
        return None
    best = price.argmin()
    return torch.stack([multiples[first[best]], multiples[second[best]]])


def _to_rows(grid: lattice.Lattice, steps: Tensor, size: tuple[int, int]) -> Tensor:
    """The projective map (3, 3) of places (x, y, 1) of a picture of `size` to those at which its lattice has rows and
    columns."""
    lines = [torch.linspace(0, side - 1, FITTED).round().long() for side in size]
    y, x = torch.meshgrid(*lines, indexing="ij")
    at = torch.stack([y, x], -1).double()
    place = at if grid.drift is None else at + grid.drift[y, x]
    goal = (place @ torch.linalg.inv(steps.double()) * steps.norm(dim=1)).flatten(0, 1)  # (x, y)
    scale = float(max(size))
    here = (at.flip(-1).flatten(0, 1) + 0.5) / scale
    one, none = torch.ones(len(here), 1, dtype=torch.float64), torch.zeros(len(here), 3, dtype=torch.float64)
    full = torch.cat([here, one], 1)
    # With one denominator for both, in least squares; an affine map has none.
    across = here if grid.drift is not None else here[:, :0]
    equations = torch.cat(
        [
            torch.cat([full, none, -goal[:, :1] / scale * across], 1),
            torch.cat([none, full, -goal[:, 1:] / scale * across], 1),
        ]
    )
    solved = torch.linalg.lstsq(equations, (goal / scale).T.reshape(-1, 1)).solution[:, 0]
    last = torch.cat([solved[6:], solved.new_zeros(8 - len(solved)), solved.new_ones(1)])
    unit = torch.diag(torch.tensor([scale, scale, 1.0], dtype=torch.float64))
    fitted: Tensor = unit @ torch.cat([solved[:6], last]).view(3, 3) @ torch.linalg.inv(unit)
    return fitted


def upright(matrix: Tensor, size: tuple[int, int]) -> Frame | None:
    """The frame of the largest upright rectangle of what a matrix straightens of a photograph of `size`, at the scale
    of the photograph in its middle; None where the photograph reaches the horizon, or too little is left."""
    height, width = size
    back = torch.linalg.inv(matrix)
    ends = torch.tensor([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=torch.float64)
    middle = torch.tensor([width / 2, height / 2, 1], dtype=torch.float64) @ back.T
    there = ends @ back.T / middle[2]
    if float(there[:, 2].min()) < NEAREST_HORIZON:
        return None
    scale = abs(float(middle[2])) ** 1.5 / abs(float(torch.linalg.det(back))) ** 0.5
    corners = there[:, :2] / there[:, 2:] * scale
    left, top, right, bottom = _inside(corners)
    frame = Frame(matrix @ torch.diag(torch.tensor([1 / scale, 1 / scale, 1.0], dtype=torch.float64)), (1, 1))
    sides = int(right - left), int(bottom - top)
    return frame.cropped(left, top, *sides) if min(sides) >= SMALLEST_SIDE else None


def _inside(corners: Tensor) -> tuple[float, float, float, float]:
    """The largest upright rectangle (left, top, right, bottom) inside a convex quadrangle (4, 2), as (x, y)."""
    x = torch.linspace(float(corners[:, 0].min()), float(corners[:, 0].max()), CANDIDATES, dtype=torch.float64)
    low, high = torch.full_like(x, -math.inf), torch.full_like(x, math.inf)
    centre = corners.mean(0)
    for number in range(4):
        (x0, y0), (x1, y1) = corners[number].tolist(), corners[(number + 1) % 4].tolist()
        if abs(x1 - x0) < 1e-9:
            continue
        slope = (y1 - y0) / (x1 - x0)
        line = y0 + slope * (x - x0)
        if float(centre[1]) > y0 + slope * (float(centre[0]) - x0):
            low = torch.maximum(low, line)
        else:
            high = torch.minimum(high, line)
    top, bottom = torch.maximum(low[:, None], low), torch.minimum(high[:, None], high)
    area = (x - x[:, None]).clamp(min=0) * (bottom - top).clamp(min=0)
    first, last = divmod(int(area.argmax()), CANDIDATES)
    return float(x[first]), float(top[first, last]), float(x[last]), float(bottom[first, last])


def _turned(frame: Frame, size: tuple[int, int]) -> float:
    """Degrees clockwise by which the rows of a frame are turned in the middle of the photograph, of `size`."""
    at = torch.linalg.inv(frame.matrix) @ torch.tensor([size[1] / 2, size[0] / 2, 1], dtype=torch.float64)
    x, y = (at[:2] / at[2]).tolist()
    ends = frame.matrix @ torch.tensor([[x, x + 1.0], [y, y], [1.0, 1.0]], dtype=torch.float64)
    step = ends[:2, 1] / ends[2, 1] - ends[:2, 0] / ends[2, 0]
    return math.degrees(math.atan2(float(step[1]), float(step[0])))
