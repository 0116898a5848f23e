"""The lattice of a regular exemplar: found where there is one, bent to whole cells, and kept in step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fields import OPEN, atlas_of, grid
from pictures import noise
from texsynth.field import lattice
from texsynth.field.atlas import Atlas
from texsynth.field.lattice import InStep, Lattice
from texsynth.field.quilt import Steer

REGULAR = 0.25  # what the field solver asks of the weaker peak


def brick(size: tuple[int, int], course: float, length: float, fine: int = 4) -> Tensor:
    """A running bond of courses `course` high and bricks `length` long, (1, 3, h, w), antialiased."""
    y, x = (((torch.arange(n * fine) + 0.5) / fine) for n in size)
    row = (y / course).floor()
    down, along = y / course - row, (x / length + 0.5 * (row[:, None] % 2)) % 1
    mortar = (down[:, None] < 0.3) | (along * length < 0.3 * course)
    picture = F.avg_pool2d(torch.where(mortar, 0.8, 0.3)[None, None], fine)
    return picture.expand(1, 3, -1, -1).contiguous()


def hexagons(size: tuple[int, int], period: float) -> Tensor:
    """Spots on a hexagonal lattice whose neighbours are `period` apart, (1, 3, h, w)."""
    (y, x), turns = grid(*size), (0, math.pi / 3, 2 * math.pi / 3)
    steep = 4 * math.pi / (math.sqrt(3) * period)
    waves = sum(torch.cos(steep * (x * math.cos(angle) + y * math.sin(angle))) for angle in turns)
    return torch.sigmoid(2 * waves)[None, None].expand(1, 3, -1, -1).contiguous()


def bond(course: float, length: float) -> Tensor:
    return torch.tensor([[0.0, length], [course, length / 2]])


def checked(image: Tensor, true: Tensor, within: float = 0.25) -> Lattice:
    """The lattice of a picture, whose vectors must be a basis of that of `true`, each within that many pixels."""
    pattern = lattice.find(image)
    assert pattern is not None
    cells = pattern.vectors @ torch.linalg.inv(true)
    assert abs(float(torch.linalg.det(cells.round()))) == pytest.approx(1), f"{pattern.vectors} of {true}"
    assert float((pattern.vectors - cells.round() @ true).norm(dim=1).max()) <= within
    return pattern


@pytest.mark.parametrize(("course", "length"), [(8, 16), (10, 20), (8.3, 17.7), (6.4, 14.9)])
def test_bricks_are_found(course: float, length: float) -> None:
    assert checked(brick((72, 84), course, length), bond(course, length)).height > 0.6


@pytest.mark.parametrize("period", [12, 13.37, 9.6, 16.2])
def test_hexagons_are_found(period: float) -> None:
    checked(hexagons((72, 84), period), torch.tensor([[period, 0], [period / 2, period * math.sqrt(0.75)]]))


@pytest.mark.parametrize("scale", [0.9, 1.07, 1.31])
def test_a_resampled_and_noisy_pattern_is_found(scale: float) -> None:
    """Periods of no whole number of pixels."""
    resampled = F.interpolate(brick((72, 84), 8, 16), scale_factor=scale, mode="bilinear", antialias=True)
    assert checked(resampled + 0.2 * noise(*resampled.shape), bond(8 * scale, 16 * scale)).height > REGULAR


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_lattice(seed: int) -> None:
    white = noise(1, 3, 64, 80, seed=seed)
    for picture in (white, F.avg_pool2d(white, 5, 1, 2)):
        pattern = lattice.find(picture)
        assert pattern is None or pattern.height < REGULAR


@pytest.mark.parametrize("values", [torch.full((64,), grey) for grey in (0.0, 0.3, 1.0)] + [torch.arange(64.0) / 64])
def test_constants_and_ramps_have_no_lattice(values: Tensor) -> None:
    assert lattice.find(values[None, None, :, None].expand(1, 3, 64, 56)) is None


def test_stripes_may_be_shifted_along_themselves_only() -> None:
    """Any shift along a stripe maps it onto itself; across it, only whole periods do."""
    pattern = lattice.find((torch.arange(64.0) * 0.7).sin()[None, None, :, None].expand(1, 3, 64, 64))
    if pattern is not None:
        across = pattern.vectors[:, 0] * 0.7 / (2 * math.pi)
        assert torch.allclose(across, across.round(), atol=0.03)


def test_a_message_gives_full_size_pixels() -> None:
    text = Lattice(torch.tensor([[0.0, 8.0], [4.0, 2.5]]), 0.5).describe(4)
    assert text == "steps (x, y) of (32.0, 0.0) and (10.0, 16.0) pixels, autocorrelation 0.50"


@pytest.mark.parametrize("tile", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("size", [(96, 96), (61, 97), (40, 150)])
def test_a_tiling_canvas_holds_whole_cells(size: tuple[int, int], tile: tuple[bool, bool]) -> None:
    pattern = Lattice(bond(8.3, 17.7), 1.0)
    bent = pattern.bent(size, tile)
    sides = torch.diag(torch.tensor(size).float())
    cells, before = sides @ torch.linalg.inv(bent), sides @ torch.linalg.inv(pattern.vectors)
    for axis, wraps in enumerate(tile):
        assert torch.allclose(cells[axis], before[axis].round() if wraps else before[axis], atol=1e-4)
    assert float((bent - pattern.vectors).norm(dim=1).max()) < 3
    assert (lattice.bending(pattern, size, tile) is None) == (not any(tile))


def test_a_lattice_that_fits_need_not_be_bent() -> None:
    pattern = Lattice(bond(8, 16), 1.0)
    assert torch.allclose(pattern.bent((64, 96), (True, True)), pattern.vectors, atol=1e-4)
    assert lattice.bending(pattern, (64, 96), (True, True)) is None


def test_a_canvas_smaller_than_a_cell_bends_nothing() -> None:
    pattern = Lattice(bond(30, 60), 1.0)
    assert torch.equal(pattern.bent((10, 10), (True, True)), pattern.vectors)


CELLS = Lattice(16 * torch.eye(2), 1.0)  # the lattice of the picture below


def cells() -> Tensor:
    """A picture of 3 x 3 cells of 16 x 16 pixels, every pixel of a cell with its own colour."""
    cell = noise(1, 3, 16, 16, seed=3)
    cell[:, :, :8, :] *= 0.3  # dark upper half: the phase matters
    return cell.repeat(1, 1, 3, 3)


@pytest.mark.parametrize("size", [(24, 40), (40, 24), (23, 41)])
def test_the_phase_chosen_has_nearly_the_exemplar_s_mean(size: tuple[int, int]) -> None:
    """Compared with all phases in whole pixels, by building each canvas."""
    picture = cells()
    phase = lattice.balance(picture, CELLS, CELLS.vectors, size)
    y, x = grid(*size)

    def off(dy: int, dx: int) -> float:
        canvas = picture[0][:, (y + dy) % 16, (x + dx) % 16]
        return float((canvas.mean((1, 2)) - picture.mean((0, 2, 3))).norm())

    every = sorted(off(dy, dx) for dy in range(16) for dx in range(16))
    assert off(*(int(p) for p in (phase * 16).round())) <= min(every[len(every) // 20], every[len(every) // 2] / 3)


def steered(size: tuple[int, int], tile: tuple[bool, bool] = OPEN) -> tuple[Steer, Atlas]:
    """The price, at most 0.5, of leaving the step of the cells on a canvas, and the atlas of the cells."""
    atlas = atlas_of(cells(), margin=2)
    return lattice.steer(CELLS, cells(), atlas, size, tile, InStep(0.5)), atlas


def test_a_place_in_step_costs_nothing_and_half_a_cell_off_all() -> None:
    charge, atlas = steered((48, 56))
    cost = charge(atlas.join(*(torch.tensor([n]) for n in (0, 5, 9))), *grid(48, 56))
    y, x = (cost < 1e-4).nonzero()[0].tolist()
    for oy, ox in ((1, 0), (0, 1), (1, 1)):
        assert float(cost[y + 16 * oy, x + 16 * ox]) < 1e-4
        assert float(cost[y + 8 * oy, x + 8 * ox]) == pytest.approx(0.5)
    assert 0 < float(cost[y + 1, x]) < 0.5


def test_copying_on_in_step_stays_in_step() -> None:
    """A source pixel moves with its place: the price of a whole coherent piece is one price."""
    charge, atlas = steered((48, 48))
    y, x = grid(40, 40)
    for shift in range(8):
        cost = charge(atlas.join(torch.zeros_like(y), y + shift, x), y, x)
        assert float(cost.max() - cost.min()) < 1e-3


def test_a_bent_canvas_stays_in_step_across_its_wrap() -> None:
    """On 50 pixels that hold three cells of 16, both ends agree."""
    assert torch.allclose(CELLS.bent((50, 50), (True, True)), torch.eye(2) * 50 / 3, atol=1e-4)
    charge, atlas = steered((50, 50), (True, True))
    index = atlas.join(*torch.zeros(3, 1, dtype=torch.long))
    y, x = grid(50, 50)
    for dy, dx in ((0, 50), (50, 0)):
        assert torch.allclose(charge(index, y + dy, x + dx), charge(index, y, x), atol=1e-3)


@pytest.mark.parametrize(("course", "length"), [(8.0, 16.0), (7.3, 20.6)])
def test_steps_of_a_brick_are_its_length_and_two_courses(course: float, length: float) -> None:
    pattern = lattice.find(brick((96, 112), course, length))
    assert pattern is not None
    assert lattice.steps(pattern) == pytest.approx((2 * course, length), rel=0.02)


@pytest.mark.parametrize(
    ("vectors", "steps"),
    [
        ([[0.0, 10.0], [7.0, 0.0]], (7.0, 10.0)),
        ([[0.0, 10.0], [7.0, 5.0]], (14.0, 10.0)),
        ([[5.0, 5.0], [5.0, -5.0]], (10.0, 10.0)),
        ([[0.2, 10.0], [7.0, 5.0]], (14.0, 10.0)),
        ([[1.3, 10.0], [7.0, 3.7]], (None, None)),
    ],
)
def test_steps_combine_few_vectors_along_an_axis(vectors: list[list[float]], steps: tuple[float | None, ...]) -> None:
    expected = tuple(None if step is None else pytest.approx(step, abs=0.5) for step in steps)
    assert lattice.steps(Lattice(torch.tensor(vectors), 1.0)) == expected


@pytest.mark.parametrize(
    ("size", "tile", "better"),
    [
        ((56, 80), (True, True), None),
        ((57, 80), (True, True), (56, 80)),
        ((55, 89), (True, True), (42, 80)),
        ((55, 89), (False, True), (55, 80)),
        ((55, 89), (True, False), (42, 89)),
        ((55, 89), (False, False), None),
        ((12, 80), (True, True), None),
    ],
)
def test_the_largest_part_that_holds_whole_steps(
    size: tuple[int, int], tile: tuple[bool, bool], better: tuple[int, int] | None
) -> None:
    """Nothing better where all fits already, or not even one step does."""
    assert lattice.whole(Lattice(bond(7, 10), 1.0), size, tile) == better


def test_a_lattice_grows_with_its_picture() -> None:
    pattern = Lattice(bond(7, 10), 0.5).times(4)
    assert torch.equal(pattern.vectors, bond(28, 40)) and pattern.height == 0.5
