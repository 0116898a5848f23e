"""What tiles and blends choose: plain places of a plane that differ, of the material asked for; the window that
continues the bands of a tile; the steps of a lattice, and axes of colours."""

from __future__ import annotations

import threading

import pytest
import torch

from texsynth.field import lattice
from texsynth.image.picture import Picture
from texsynth.tiles import blendset, gaussian, labels, matching, places, sets, steps
from texsynth.tiles.blending import Grid, bake, corners, offsets_of
from texsynth.tiles.board import TileFrame
from texsynth.tiles.places import AskedLabels, Offered
from texsynth.tiles.side_by_side import each
from texsynth.tiles.steps import InSteps

FRAME = TileFrame((48, 48), border=4, margin=8, gap=4, core=4)
SPOTS = [(24, 24), (24, 72), (72, 72)]  # corners in a plane that do not overlap


def noise(side: int) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2))


def test_a_corner_does_not_show_what_another_one_shows() -> None:
    sources = torch.arange(96 * 96).view(96, 96)
    sources[60:84, 60:84] = sources[12:36, 12:36]  # the last place shows the first one again
    offered = Offered({0: SPOTS[:1], 1: [SPOTS[2], SPOTS[1]]}, {}, {})
    plane = torch.full((1, 3, 96, 96), 0.5)
    assert places.plain(FRAME, offered, plane, sources).corners == {0: SPOTS[0], 1: SPOTS[1]}


def test_a_corner_shows_the_material_that_is_asked_for() -> None:
    there = torch.zeros(96, 96)
    there[60:84, 60:84] = 1
    side = FRAME.breadth + 2 * FRAME.margin
    asked = AskedLabels(there, {colour: torch.full((side, side), float(colour)) for colour in (0, 1)}, {}, {})
    offered = Offered({1: SPOTS, 0: SPOTS[::-1]}, {}, {})
    chosen = places.plain(FRAME, offered, torch.full((1, 3, 96, 96), 0.5), None, asked).corners
    assert chosen == {1: SPOTS[2], 0: SPOTS[1]}


def test_a_corner_has_a_usual_colour_even_where_another_one_is_plainer() -> None:
    plane = 0.3 + 0.2 * noise(96)
    plane[..., :48, :48] = 0.8 + 0.02 * plane[..., :48, :48]
    offered = Offered({0: SPOTS[::2]}, {}, {})
    assert places.plain(FRAME, offered, plane, None).corners == {0: SPOTS[2]}


def test_each_tile_gets_the_window_that_continues_its_bands() -> None:
    plane, windows, order = noise(128), [(y, x, 48, 48) for y in (8, 64) for x in (8, 64)], [2, 0, 3, 1]
    tiles = []
    for number in order:
        top, left = (place - FRAME.border for place in windows[number][:2])
        tiles.append(plane[:, :, top : top + FRAME.whole[0], left : left + FRAME.whole[1]])
    assert matching.matched(FRAME, windows, plane, tiles) == [windows[number] for number in order]


def test_labels_hardly_count_beside_an_outline() -> None:
    wanted = torch.zeros(1, 1, 12, 12)
    wanted[..., 6:] = 1
    row = labels.firmness(wanted, slack=2)[0, 0, 5]
    assert row[:4].eq(1).all() and row[8:].eq(1).all() and row[4:8].eq(labels.LEAST_FIRMNESS).all()


@pytest.mark.parametrize("turned", [False, True])
def test_offsets_in_steps_of_a_lattice_map_the_texture_onto_itself(turned: bool) -> None:
    course = torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(2)).repeat(1, 1, 1, 4)
    image = torch.cat([course, course.roll(16, 3)], 2).repeat(1, 1, 4, 1)
    image = image.mT.contiguous() if turned else image
    there = steps.measured(image, steps.ON)
    assert isinstance(there, InSteps) and there.size == (128, 128) and there.cells == 32
    offsets = steps.offsets(Grid(there.size, 0, 37.0, 1.0, there.cells, there.steps))
    assert offsets is not None and len(offsets.unique(dim=0)) == 32
    for x, y in offsets.unique(dim=0).tolist():
        assert torch.equal(image.roll((-y, -x), (2, 3)), image)
    assert gaussian.common(image - image.mean((2, 3), keepdim=True), offsets).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("shift", [8, -8])
def test_the_steps_of_a_lattice_are_its_vectors(shift: int) -> None:
    """Whichever way round these lie."""
    course = torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(2)).repeat(1, 1, 1, 4)
    image = torch.cat([course.roll(shift * row, 3) for row in range(8)], 2)
    there = steps.measured(image, steps.ON)
    assert isinstance(there, InSteps)
    grid, numbers = Grid(there.size, 0, 37.0, 1.0, there.cells, there.steps), torch.tensor([1, 0])
    regular = lattice.find(image)
    assert regular is not None
    assert torch.equal(offsets_of(grid, numbers, numbers.flip(0)).T, regular.vectors.round().long().flip(1) % 128)


def test_offsets_are_those_of_each_place_however_many_are_asked_for() -> None:
    grid = Grid((64, 64), 7, 5.0)
    y, x = torch.meshgrid(torch.arange(40) - 20.5, torch.arange(40) - 20.5, indexing="ij")
    offsets, weights = corners(grid, x, y)
    for row, column in [(r, c) for r in (0, 17, 39) for c in range(40)] + [(r, 0) for r in range(40)]:
        alone = corners(grid, x[row, column].reshape(1, 1), y[row, column].reshape(1, 1))
        assert torch.equal(alone[0][..., 0, 0], offsets[..., row, column])
        assert torch.equal(alone[1][..., 0, 0], weights[..., row, column])


@pytest.mark.parametrize("threads", [1, 2])
def test_parts_that_are_done_side_by_side_keep_their_order_and_tell_of_failures(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert each(lambda number: number**2, range(9)) == [number**2 for number in range(9)]
        with pytest.raises(ZeroDivisionError):
            each(lambda number: 1 // number, [1, 0])
    finally:
        torch.set_num_threads(before)


def test_a_blend_has_the_proportions_of_colours_that_depend_on_each_other() -> None:
    """Colours of three kinds only, whose axes do not correlate and depend on each other all the same."""
    kinds = torch.tensor([[0.2, 0.5, 0.5], [0.8, 0.1, 0.5], [0.8, 0.9, 0.5]])
    numbers = torch.randint(0, 3, (64, 64), generator=torch.Generator().manual_seed(4))
    image = kinds[numbers].movedim(2, 0)[None]
    ready = blendset.prepared(image, Picture(image, depth="uint16"), {}, 0, steps.OFF)
    plane = bake(ready.grid, ready.image, (512, 512)).clamp(0, 1)[0].flatten(1)
    assert torch.allclose(torch.cov(plane), torch.cov(image[0].flatten(1)), atol=0.004)
    assert torch.allclose(plane.mean(1), image[0].flatten(1).mean(1), atol=0.01)


def test_no_more_than_two_parts_are_held_at_once() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    meeting = threading.Barrier(3)
    try:
        with pytest.raises(threading.BrokenBarrierError):
            each(lambda _: meeting.wait(0.2), range(3))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("colours", [2, 3])
def test_the_number_of_a_tile_has_its_colours_as_digits(colours: int) -> None:
    """Shaders find the tile of a cell by them, without a table."""
    powers = [colours**digit for digit in range(4)]
    corners, edges = sets.corner(colours).tiles, sets.wang(colours, colours**4).tiles
    every = list(range(colours**4))
    assert [sum(c * p for c, p in zip(tile.corners, powers, strict=True)) for tile in corners] == every
    assert [sum(c * p for c, p in zip(tile.edges, powers, strict=True)) for tile in edges] == every
