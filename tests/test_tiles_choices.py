"""What sets of tiles choose: plain places of the plane that differ, of the material asked for, and the window that
continues the bands of a tile."""

from __future__ import annotations

import torch

from texsynth.tiles import labels, matching, places
from texsynth.tiles.board import TileFrame
from texsynth.tiles.places import AskedLabels, Offered

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
