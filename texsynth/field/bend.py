"""How the rows of a hand-made texture bend: the drift of each pixel of an exemplar from a rigid lattice.

A near-regular texture is a regular one that is bent a little (Liu et al. 2004, "Near-regular texture analysis and
manipulation"). The picture that repeats the mean cell is registered with the exemplar by least squares (Lucas & Kanade
1981) over ever smaller windows, and the mean cell is taken again each time: it becomes sharper as its copies line up.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.lattice import Lattice
from texsynth.image.rows import interpolated

ROUNDS = 12  # of registering, enough for half a cell
WIDEST = 0.35  # of the shorter side: sigma of the windows of the first round
NARROWEST = 0.15  # the same in the last one
WINDOW_CELLS = 0.7  # of the longer vector, that sigma has at least: less than a cell says nothing of its place
SLOW = 0.7  # of the longer vector: sigma of the means that are taken off, so that slow light does not count
STIFFNESS = 0.02  # of the mean squared slope, added to that of a window: one that shows nothing stays
COARSE = 4  # the least sigma in cells of means, which are taken before a window is laid over them
LONGEST_STEP = 1.0  # pixels a round
FEWEST_CELLS = 12  # in the exemplar: fewer have no mean cell
CLEAR = 0.35  # share of the variance that repeating the bent cell explains, at least: else it is no lattice
WORTH_BENDING = 0.85  # of the variance that the rigid cell leaves unexplained, that the bent one leaves at most


def straightened(grid: Lattice, image: Tensor) -> Lattice:
    """The lattice of (1, 3, H, W) with the drift of its pixels, and with the mean of its vectors over the picture; the
    rigid one where neither explains much, or bending hardly more."""
    cells = image.shape[2] * image.shape[3] / max(1e-9, abs(float(torch.linalg.det(grid.vectors))))
    if cells < FEWEST_CELLS:
        return grid
    detail = image - _blur(image, SLOW * _longest(grid.vectors))
    drift, rigid, bent = _registered(detail, grid.vectors)
    itself = cells / (cells - 1)  # a pixel is a part of the mean cell that it is held against
    if 1 - itself * bent < CLEAR or bent > WORTH_BENDING * rigid:
        return grid
    # What grows evenly over the picture belongs to the vectors.
    at = _places(image)
    centred = at - at.mean((0, 1))
    slope = torch.linalg.lstsq(centred.flatten(0, 1), drift.flatten(0, 1)).solution
    even = torch.linalg.inv(torch.eye(2) + slope)
    drift = (at + drift) @ even - at
    return replace(grid, vectors=grid.vectors @ even, drift=drift - drift.mean((0, 1)))


def explained(grid: Lattice, image: Tensor) -> float:
    """The share of the variance of (1, 3, H, W) that repeating the mean cell of a rigid lattice explains; a pixel does
    not count for itself. Slow light does not count."""
    detail, to_cells = image - _blur(image, SLOW * _longest(grid.vectors)), torch.linalg.inv(grid.vectors)
    cells = _places(image) @ to_cells
    each = image.shape[2] * image.shape[3] / max(1e-9, abs(float(torch.linalg.det(grid.vectors))))
    off = _repeated(_mean_cell(detail, cells, _cell_shape(grid.vectors)), cells) - detail
    left = float(off.square().mean() / detail.square().mean().clamp(min=1e-9))
    return 1 - left * each / max(1.0, each - 1)


def _registered(detail: Tensor, vectors: Tensor) -> tuple[Tensor, float, float]:
    """The drift (H, W, 2) of (1, 3, H, W), and the share of its variance that the repeated mean cell leaves unexplained
    without it and with it."""
    side, to_cells, at = min(detail.shape[2:]), torch.linalg.inv(vectors), _places(detail)
    widest = WIDEST * side
    narrowest = min(widest, max(NARROWEST * side, WINDOW_CELLS * _longest(vectors)))
    shape = _cell_shape(vectors)
    drift, left = torch.zeros_like(at), []
    for sigma in torch.logspace(math.log10(widest), math.log10(narrowest), ROUNDS).tolist():
        cell = _mean_cell(detail, (at + drift) @ to_cells, shape)
        off = (_repeated(cell, (at + drift) @ to_cells) - detail)[0]
        left.append(float(off.square().mean() / detail.square().mean().clamp(min=1e-9)))
        near = ((at + drift + move) @ to_cells for move in torch.tensor([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]]))
        below, above, right, before = (_repeated(cell, cells)[0] for cells in near)
        drift = drift - _step(below - above, right - before, off, sigma)
        drift = drift - drift.mean((0, 1))
    return drift, left[0], left[-1]


def _step(down: Tensor, along: Tensor, off: Tensor, sigma: float) -> Tensor:
    """The move (H, W, 2) that takes most off the difference `off` (3, H, W), given its slopes, all (3, H, W)."""
    products = torch.stack([down * down, along * along, down * along, down * off, along * off]).sum(1)
    yy, xx, yx, y, x = _blur(products[None], sigma)[0]
    stiff = STIFFNESS * (yy.mean() + xx.mean()) + 1e-9
    yy, xx = yy + stiff, xx + stiff
    step = torch.stack([xx * y - yx * x, yy * x - yx * y], -1) / (yy * xx - yx * yx)[..., None]
    limited: Tensor = step.clamp(-LONGEST_STEP, LONGEST_STEP)
    return limited


def _cell_shape(vectors: Tensor) -> list[int]:
    """The pixels of a mean cell along each vector."""
    return [max(4, round(float(length))) for length in vectors.norm(dim=1)]


def _longest(vectors: Tensor) -> float:
    return float(vectors.norm(dim=1).max())


def _places(image: Tensor) -> Tensor:
    """(H, W, 2), the position (y, x) of each pixel."""
    return torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in image.shape[2:]), indexing="ij"), -1)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """(1, C, H, W) under a Gaussian window, of which only what lies inside counts."""
    (h, w), step = picture.shape[2:], max(1, int(sigma / COARSE))
    small, sigma = F.avg_pool2d(picture, step, ceil_mode=True, count_include_pad=False), sigma / step
    reach = max(1, math.ceil(2.5 * sigma))
    window = torch.exp(-0.5 * (torch.arange(-reach, reach + 1.0) / sigma) ** 2)

    def both(layers: Tensor) -> Tensor:
        down = F.conv2d(layers.transpose(0, 1), window.view(1, 1, -1, 1), padding=(reach, 0))
        return F.conv2d(down, window.view(1, 1, 1, -1), padding=(0, reach)).transpose(0, 1)

    blurred = both(small) / both(torch.ones_like(small[:, :1]))
    return interpolated(blurred, [step * side for side in blurred.shape[2:]])[:, :, :h, :w]


def _mean_cell(picture: Tensor, cells: Tensor, shape: list[int]) -> Tensor:
    """The mean (1, C, a, b) over all cells of (1, C, H, W), whose pixels lie at `cells` (H, W, 2) in lattice units."""
    at = (cells - cells.floor()) * torch.tensor(shape)
    corner, values = at.floor(), torch.cat([picture[0], torch.ones_like(picture[0, :1])]).flatten(1)
    total = torch.zeros(shape[0] * shape[1], len(values))
    for move in torch.cartesian_prod(torch.arange(2), torch.arange(2)):
        weight = (1 - (at - corner - move).abs()).prod(-1)
        y, x = ((corner + move).long() % torch.tensor(shape)).unbind(-1)
        total.index_add_(0, (y * shape[1] + x).flatten(), (values * weight.flatten()).T)
    mean: Tensor = total[:, :-1] / total[:, -1:].clamp(min=1e-6)
    return mean.T.reshape(1, -1, *shape)


def _repeated(cell: Tensor, cells: Tensor) -> Tensor:
    """The picture (1, C, H, W) that repeats a cell (1, C, a, b), at places `cells` (H, W, 2) in lattice units."""
    closed = F.pad(cell, (0, 1, 0, 1), mode="circular")
    return F.grid_sample(closed, (2 * (cells - cells.floor()) - 1).flip(-1)[None], align_corners=True)
