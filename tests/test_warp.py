"""The warps of edit: laws that hold for every shape, and what each of them promises by itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from pictures import generator, identity, mask
from texsynth.verbs import warp
from texsynth.verbs.warp import WARPS

SIZE = (40, 48)


def disc(y: float, x: float, radius: float, stretch: float = 1.0, turn: float = 0.0) -> Tensor:
    """An ellipse, `stretch` times as long as wide, its long axis `turn` radians from the x axis; (1, 1, *SIZE) bool."""
    dy, dx = (identity(*SIZE) - torch.tensor([y, x]).view(1, 2, 1, 1)).split(1, 1)
    along, across = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    return (along / stretch) ** 2 + across**2 <= radius**2


def box(top: int, left: int, height: int, width: int) -> Tensor:
    return mask(*SIZE, (top, top + height, left, left + width))


SHAPES = {
    "disc": disc(20, 20, 9),
    "ellipse": disc(16, 24, 6, 2, 0.5),
    "box": box(5, 9, 20, 12),
    "L": box(5, 5, 25, 6) | box(24, 5, 6, 30),
    "ring": disc(20, 24, 15) & ~disc(20, 24, 11),
    "two": box(2, 2, 6, 6) | box(30, 38, 6, 6),
    "line": box(7, 30, 1, 14),
    "pixel": box(11, 12, 1, 1),
    "all": box(0, 0, *SIZE),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
kinds = pytest.mark.parametrize("kind", WARPS.values(), ids=list(WARPS))


def points(region: Tensor) -> Tensor:
    return region[0, 0].nonzero().double()


@kinds
@shapes
def test_a_shape_that_stays_is_not_moved(kind: warp.Callable[..., warp.Warp], shape: Tensor) -> None:
    where = points(shape)
    assert torch.allclose(kind(shape, shape)(where), where, atol=1e-6)


@kinds
@pytest.mark.parametrize("shift", [(6, -5), (-3, 8)])
def test_a_shape_that_moves_is_moved_back(kind: warp.Callable[..., warp.Warp], shift: tuple[int, int]) -> None:
    source = SHAPES["ellipse"] & box(8, 10, 20, 25)
    target = source.roll(shift, (2, 3))
    where = points(target)
    assert torch.allclose(kind(source, target)(where), where - torch.tensor(shift), atol=1e-6)


@pytest.mark.parametrize("kind", ["similarity", "affine"])
@shapes
def test_centroids_meet(kind: str, shape: Tensor) -> None:
    source = SHAPES["ellipse"]
    centre = warp.moments(shape).centroid
    assert torch.allclose(WARPS[kind](source, shape)(centre[None])[0], warp.moments(source).centroid)


@shapes
def test_a_similarity_scales_by_the_root_of_the_areas_and_turns_nothing(shape: Tensor) -> None:
    source = SHAPES["box"]
    a, b, c = WARPS["similarity"](source, shape)(torch.tensor([[3.0, 4.0], [4.0, 4.0], [3.0, 5.0]]).double())
    scale = (float(source.sum()) / float(shape.sum())) ** 0.5
    assert torch.allclose(torch.stack([b - a, c - a]), scale * torch.eye(2, dtype=torch.float64))


@shapes
def test_an_affine_warp_matches_second_moments_with_the_least_movement(shape: Tensor) -> None:
    """The map is symmetric and positive: no mirror, no turn on top."""
    source = SHAPES["L"]
    map_ = WARPS["affine"](source, shape)
    a, b, c = map_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).double())
    matrix = torch.stack([b - a, c - a])
    assert torch.allclose(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0
    moved = matrix.T @ warp.moments(shape).covariance @ matrix
    assert torch.allclose(moved, warp.moments(source).covariance)


def test_an_affine_warp_of_an_ellipse_stretches_along_its_axes() -> None:
    """A wide ellipse becomes a tall one without a turn by 90 degrees: what is at the right stays at the right."""
    wide, tall = disc(20, 24, 6, 2), disc(20, 24, 6, 2, math.pi / 2)
    right = WARPS["affine"](wide, tall)(torch.tensor([[20.0, 29.0]]).double())[0]
    assert float(right[1]) > 30 and float(right[0]) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("source", ["disc", "box", "L", "ring"])
@pytest.mark.parametrize("target", ["disc", "ellipse", "box", "L"])
def test_a_thin_plate_takes_boundary_to_boundary(source: str, target: str) -> None:
    one, other = SHAPES[source], SHAPES[target]
    moved = WARPS["thin-plate"](one, other)(warp.spokes(other, one))
    assert torch.allclose(moved, warp.spokes(one, other), atol=1e-6)


@pytest.mark.parametrize("shape", ["disc", "ellipse", "box"])
def test_spokes_end_on_the_boundary(shape: str) -> None:
    region = SHAPES[shape]
    ends, centre = warp.spokes(region, region), warp.moments(region).centroid
    away = (ends - centre) / (ends - centre).norm(dim=1, keepdim=True)
    inner, outer = ((ends + step * away).round().long() for step in (-1.0, 1.0))
    assert region[0, 0, inner[:, 0], inner[:, 1]].all()
    assert not region[0, 0, outer[:, 0], outer[:, 1]].any()


@shapes
def test_snapped_points_lie_in_the_region_and_are_the_nearest(shape: Tensor) -> None:
    where = 70 * torch.rand(200, 2, dtype=torch.float64, generator=generator()) - 12
    snapped = warp.snapped(where, shape)
    assert shape[0, 0, snapped[:, 0], snapped[:, 1]].all()
    best = torch.cdist((where + 0.5).floor(), points(shape)).amin(1)
    assert torch.allclose((snapped - (where + 0.5).floor()).norm(dim=1), best)


def test_snapping_leaves_the_pixels_of_the_region_alone() -> None:
    where = points(SHAPES["ring"])
    assert torch.equal(warp.snapped(where + 0.3, SHAPES["ring"]), where.long())


@pytest.mark.parametrize("half", [0.5, -0.5])
def test_snapped_neighbours_stay_neighbours_half_a_pixel_off(half: float) -> None:
    snapped = warp.snapped(points(SHAPES["all"])[: SIZE[1] - 1] + half, SHAPES["all"])
    assert (snapped[1:, 1] - snapped[:-1, 1] == 1).sum() >= SIZE[1] - 3


def same(parts: Iterable[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(part, piece) for part, piece in zip(parts, expected, strict=True))


@pytest.mark.parametrize("factor", [1, 5])
def test_parts_are_what_hangs_together(factor: int) -> None:
    """Also in pictures so large that they are looked at coarsely."""
    pieces = [box(20, 3, 12, 20), box(3, 30, 10, 10), box(30, 34, 6, 6)]
    large = [piece.repeat_interleave(factor, 2).repeat_interleave(factor, 3) for piece in pieces]
    assert same(warp.parts(torch.stack(large).any(0)), large)


def test_specks_go_with_the_nearest_part() -> None:
    big, small, speck = box(2, 2, 20, 20), box(30, 30, 8, 8), box(35, 42, 2, 2)
    assert same(warp.parts(big | small | speck), [big, small | speck])


def test_which_part_is_made_of_which() -> None:
    left, right, third = box(10, 2, 6, 6), box(10, 38, 6, 6), box(30, 20, 6, 6)
    shifted = [part.roll(2, 2) for part in (right, left)]
    for sources, targets, expected in (
        ([left, right], shifted, [(right, shifted[0]), (left, shifted[1])]),
        ([left], [right, third], [(left, right), (left, third)]),
        ([left, right], [third], [(left | right, third)]),
    ):
        pairs = warp.paired(sources, targets)
        assert same(itertools.chain(*pairs), list(itertools.chain(*expected)))
    assert same(itertools.chain(*warp.paired([left, right], [left, right, third])[:2]), [left, left, right, right])
