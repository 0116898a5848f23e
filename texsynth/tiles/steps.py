"""Offsets in steps of a lattice: the texture of bricks is drawn only at places where its rows meet those beside it.

The texture is cropped to whole steps of its lattice along both axes, so that it wraps in step. The lattice then is a
group of n offsets, and a place in it is told in whole numbers: shaders need no fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field import bend, lattice
from texsynth.field.lattice import Lattice
from texsynth.pyramid import shrink
from texsynth.tiles.blending import ANY_PIXEL, Grid, offsets_of

SIDE = 256  # pixels of the shorter side, at most, of the picture in which a lattice is looked for
BENT = 0.12  # of a cell, that pixels may be out of step before rows break visibly
LEAST_CELLS = 6  # in the texture: with fewer it repeats more than it is out of step without them
SAMPLES = 4096  # offsets that stand for all of them
AUTO, ON, OFF = "auto", "on", "off"


@dataclass(frozen=True)
class InSteps:
    """The offsets of a regular texture.

    size: (height, width), what is left of it. cells, steps: as of `Grid`.
    along: the shortest steps (y, x) along the axes, in pixels.
    words: the lattice. bent: how far its rows bend, in pixels, where that is too much for them to meet; else 0.
    """

    size: tuple[int, int]
    cells: int
    steps: tuple[int, int, int, int]
    along: tuple[float, float]
    words: str
    bent: float = 0.0

    def times(self, factor: float) -> InSteps:
        """Those of the same texture so many times as fine: they are shares of its sides."""
        (height, width), (down, across) = self.size, self.along
        size = round(height * factor), round(width * factor)
        return replace(self, size=size, along=(down * factor, across * factor), bent=self.bent * factor)


def measured(image: Tensor, wanted: str = AUTO) -> InSteps | str:
    """The offsets of a texture (1, 3, H, W), or in words why it has none. wanted: "auto" takes a clear lattice only,
    "on" any."""
    if wanted == OFF:
        return "not looked for"
    grid, level = _lattice(image)
    if grid is None or (wanted == AUTO and not _is_clear(grid)):
        return "it has no lattice" if grid is None else f"its lattice is weak (autocorrelation {grid.height:.2f})"
    in_steps = _in_steps(grid, (image.shape[2], image.shape[3]), 2**level)
    if isinstance(in_steps, str) or (wanted == AUTO and in_steps.cells < LEAST_CELLS):
        few = "it holds too few whole steps of its lattice to be drawn in many ways"
        return in_steps if isinstance(in_steps, str) else few
    drift = 0.0 if grid.drift is None else float(grid.drift.norm(dim=-1).quantile(0.9))
    too_bent = drift > BENT * float(grid.vectors.norm(dim=1).min())
    return replace(in_steps, bent=drift * 2**level if too_bent else 0.0)


def is_regular(image: Tensor) -> bool:
    """Has a texture (1, 3, H, W) a clear lattice, be it one that offsets can be steps of or not?"""
    grid, _ = _lattice(image)
    return grid is not None and _is_clear(grid)


def _lattice(image: Tensor) -> tuple[Lattice | None, int]:
    """The lattice of a texture reduced so many times by 2, and how many."""
    level = max(0, math.ceil(math.log2(min(image.shape[2:]) / SIDE)))
    small = shrink(image, level)
    grid = lattice.find(small)
    return None if grid is None else bend.straightened(grid, small), level


def _is_clear(grid: Lattice) -> bool:
    return grid.height >= lattice.REGULAR or grid.drift is not None


def _in_steps(grid: Lattice, size: tuple[int, int], factor: int) -> InSteps | str:
    """The offsets of a lattice that was measured in a picture so many times as coarse."""
    fine = Lattice(grid.vectors * factor, grid.height)
    down, along = lattice.steps(fine)
    if down is None or along is None or down > size[0] or along > size[1]:
        return f"its lattice has no steps along both axes ({fine.describe(1)})"
    whole = lattice.whole(fine, size, (True, True)) or size
    height, width = whole
    vectors = fine.bent(whole, (True, True))
    counts = (torch.diag(torch.tensor([float(height), float(width)])) @ torch.linalg.inv(vectors)).round().long()
    (a, b), (c, d) = counts.tolist()  # the sides in vectors: height = a v + b w, width = c v + d w
    determinant = a * d - b * c
    cells, sign = abs(determinant), 1 if determinant > 0 else -1
    if not 1 < cells < ANY_PIXEL:
        return f"its lattice has {cells} cells, and 2 to {ANY_PIXEL - 1} can be used"
    # By Cramer's rule v = (d height - b width) / determinant, and w = (a width - c height) / determinant.
    xv, xw, yv, yw = (sign * part % cells for part in (-b, a, d, -c))
    return InSteps(whole, cells, (xv, xw, yv, yw), (down, along), fine.describe(1))


def offsets(grid: Grid) -> Tensor | None:
    """Offsets (N, 2) in pixels (x, y) that stand for all of a lattice; None where any pixel may be one."""
    if grid.cells == ANY_PIXEL:
        return None
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randint(grid.cells, (2, SAMPLES), generator=rng)
    return offsets_of(grid, a, b).T
