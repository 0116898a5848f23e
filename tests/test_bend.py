"""The bend of a near-regular exemplar: measured where rows bend, left alone where they do not, and taken out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from builders import run
from pictures import noise
from texsynth import preset
from texsynth.field import atlas, bend, lattice
from texsynth.field.lattice import Lattice
from texsynth.task import Exemplar, Task

COURSE, LENGTH = 8.0, 16.0
SIZE = (72, 84)
VECTORS = torch.tensor([[0.0, LENGTH], [COURSE, LENGTH / 2]])


def places(size: tuple[int, int]) -> Tensor:
    """(h, w, 2), the position of each pixel."""
    return torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij"), -1)


def unbent(at: Tensor, bow: float) -> Tensor:
    """Where in a straight wall the places (..., 2) of the wall lie whose rows sag by `bow` pixels."""
    y, x = at.unbind(-1)
    sag = bow * torch.sin(math.pi * x / SIZE[1])
    return torch.stack([y + sag, x + 0.5 * bow * torch.sin(math.pi * y / SIZE[0])], -1)


def wall(bow: float, fine: int = 4) -> Tensor:
    """A running bond whose rows sag, with grain, (1, 3, h, w), antialiased."""
    at = unbent(places((SIZE[0] * fine, SIZE[1] * fine)) / fine, bow)
    y, x = at.unbind(-1)
    row = (y / COURSE).floor()
    down, along = y / COURSE - row, (x / LENGTH + 0.5 * (row % 2)) % 1
    mortar = (down < 0.3) | (along * LENGTH < 0.3 * COURSE)
    picture = F.avg_pool2d(torch.where(mortar, 0.8, 0.3)[None, None], fine)
    return (picture + 0.1 * (noise(1, 3, *SIZE) - 0.5)).clamp(0, 1)


def in_step(slip: Tensor) -> float:
    """The share of places whose lattice coordinates (..., 2) are within a tenth of a cell of their common phase."""
    turns = torch.polar(torch.ones_like(slip), 2 * math.pi * slip)
    off = (turns * turns.mean((0, 1)).conj()).angle().abs().amax(-1)
    return float((off < 2 * math.pi / 10).float().mean())


def read(picture: Tensor) -> Lattice:
    grid = lattice.find(picture)
    assert grid is not None
    return grid


def cells_of(at: Tensor, grid: Lattice, bow: float) -> Tensor:
    """The coordinates (..., 2) in the cells of `grid` that places (..., 2) of a wall were drawn with."""
    basis = (grid.vectors @ torch.linalg.inv(VECTORS)).round()
    return unbent(at, bow) @ torch.linalg.inv(basis @ VECTORS)


@pytest.mark.parametrize("bow", [2.0, 7.0])
def test_the_bend_of_a_wall_is_measured(bow: float) -> None:
    """Nearly every pixel has the phase that it was drawn with, up to one even stretch."""
    straight = bend.straightened(read(wall(bow)), wall(bow))
    assert straight.drift is not None
    slip = (places(SIZE) + straight.drift) @ torch.linalg.inv(straight.vectors) - cells_of(places(SIZE), straight, bow)
    at = torch.cat([places(SIZE), torch.ones(*SIZE, 1)], -1).flatten(0, 1)
    even = at @ torch.linalg.lstsq(at, slip.flatten(0, 1)).solution
    assert in_step(slip - even.view(*SIZE, 2)) > 0.95


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_a_straight_wall_is_left_as_it_is(strength: float) -> None:
    picture = (wall(0.0) + strength * (noise(1, 3, *SIZE, seed=4) - 0.5)).clamp(0, 1)
    grid = read(picture)
    assert bend.straightened(grid, picture) is grid


@pytest.mark.parametrize("seed", range(3))
def test_blobs_at_random_do_not_bend_to_a_lattice(seed: int) -> None:
    picture = F.avg_pool2d(noise(1, 3, *SIZE, seed=seed), 7, 1, 3)
    grid = Lattice(torch.tensor([[0.0, 9.0], [8.0, 3.0]]), 0.3)
    assert bend.straightened(grid, picture) is grid


def test_few_cells_have_no_mean() -> None:
    picture = wall(4.0)[:, :, :30, :40]
    grid = Lattice(VECTORS, 0.5)
    assert bend.straightened(grid, picture) is grid


def test_rows_that_sag_hold_over_the_whole_canvas() -> None:
    """Nearly all of a canvas copies what is in step, by the phases that the wall was drawn with."""
    said: list[str] = []
    task, values = Task((Exemplar("wall", wall(5.0)),), (120, 120)), {"passes": [1], "tries": 12, "recuts": 4}
    outcome = run(task, *preset.resolve(values=values).stages, say=said.append)
    assert any("bent by up to" in line for line in said)
    assert outcome.canvas is not None and outcome.canvas.field is not None
    at = atlas.coordinates(outcome.canvas.field)
    straight = bend.straightened(read(wall(5.0)), wall(5.0))
    source = cells_of(torch.stack([at.y, at.x], -1).float(), straight, 5.0)
    assert in_step(source - places((120, 120)) @ torch.linalg.inv(straight.vectors)) > 0.85
