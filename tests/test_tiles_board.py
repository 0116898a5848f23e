"""Corner and Wang sets: where their parts lie, and that tiles which fit have their borders in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tile_sets
from conftest import Draw
from pictures import bytes_of, noise, spots
from texsynth.errors import ResourceError, UsageError
from texsynth.field import lattice
from texsynth.field.atlas import build_atlas
from texsynth.image.picture import Picture
from texsynth.job import Job, Layer
from texsynth.requests.tiles import corner, wang
from texsynth.runs import machine
from texsynth.runs.run import Result
from texsynth.task import Exemplar, Period, Preset, Task
from texsynth.tiles import board, matching, places, quilting, sets
from texsynth.tiles.board import IMAGE, Bands, Cuts, Piece, Sheet, TileFrame
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import Strip, TileSet
from texsynth.verbs import tile_steps
from texsynth.verbs import tiles as verb
from texsynth.weights.pretrained import Fetching

FRAME = TileFrame((40, 44), border=3, margin=4, gap=2, core=2)
SOLVED = {"patch": 5, "passes": [0], "starts": 1, "recuts": [0], "align": 0, "similar": 0, "tries": 1, "components": 3}
QUICK = SOLVED | {"spread": 0.0, "proportion": 0.0}


def sheet(pixels: Tensor) -> dict[str, Layer]:
    """A sheet of one picture, and of a map with the same values twice as fine."""
    finer = pixels[:, :1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    return {IMAGE: Layer((Picture(pixels),)), "fine": Layer((Picture(finer),), "data", Fraction(2))}


def numbered(height: int, width: int) -> Tensor:
    """(1, 1, h, w), the number of each pixel."""
    return torch.arange(float(height * width)).view(1, 1, height, width)


def cut_at_random(tiles: TileSet, frame: TileFrame, plane: Sheet) -> Cuts:
    height, width = plane[IMAGE].pictures[0].height, plane[IMAGE].pictures[0].width
    offered = places.everywhere(tiles, frame, (height, width))
    image = noise(1, 3, height, width, seed=2)
    return places.plain(frame, offered, image, torch.arange(height * width).view(height, width))


def bands(tiles: TileSet, plane: Sheet) -> Bands:
    """The bands of a set as they are before their seams are filled."""
    cuts = cut_at_random(tiles, FRAME, plane)

    def ready(strips: Sequence[Strip], across: bool) -> dict[Strip, Sheet]:
        uncut = {strip: quilting.of_band(FRAME, cuts, strip, across, None) for strip in strips}
        parts = {strip: board.band(FRAME, plane, cuts, strip, across, uncut[strip]) for strip in strips}
        return {strip: board.assembled(part.size, part.pieces) for strip, part in parts.items()}

    return Bands(ready(tiles.across, True), ready(tiles.down, False))


def test_tiles_show_their_bands_and_their_window_and_nothing_else() -> None:
    tiles, (height, width) = sets.corner(2), FRAME.size
    plane = sheet(numbered(4 * height, 4 * width) + 1)
    ready, windows = bands(tiles, plane), board.windows(tiles, FRAME)
    for number, window in enumerate(windows):
        joint = quilting.of_tile(FRAME, window, None)
        part = board.tile(FRAME, tiles, number, plane, window, ready, joint)
        whole = board.assembled(part.size, part.pieces)
        pixels = whole[IMAGE].pictures[0].pixels
        assert torch.equal(whole["fine"].pictures[0].pixels[:, :, ::2, ::2], pixels)
        assert bool((pixels > 0).all())  # something lies everywhere
        middle = board.part(plane[IMAGE].pictures[0].pixels, window)[0, 0, height // 2, width // 2]
        assert pixels[0, 0, height // 2 + FRAME.border, width // 2 + FRAME.border] == middle
        hole, reach, seam = board.uncovered(part.size, part.stays), 2 * FRAME.border, 2 * FRAME.margin
        assert hole[0, 0, part.size[0] // 2].nonzero()[:, 0].tolist() == [
            *range(reach, reach + seam),
            *range(part.size[1] - reach - seam, part.size[1] - reach),
        ]


def test_margins_of_bands_agree_at_their_corners() -> None:
    tiles = sets.corner(2)
    plane = sheet(numbered(160, 176))
    ready, reach = bands(tiles, plane), FRAME.border + FRAME.margin
    for one, flat in ready.across.items():
        for other, steep in ready.down.items():
            if one.start == other.start:
                both = [
                    board.part(each[IMAGE].pictures[0].pixels, (0, 0, 2 * reach, 2 * reach)) for each in (flat, steep)
                ]
                assert torch.equal(*both)


def test_the_middle_of_a_band_lies_where_its_edge_does() -> None:
    plane, strip = sheet(numbered(160, 176)), Strip(0, 0, 1)
    cuts = Cuts({0: (40, 44), 1: (80, 88)}, {strip: (120, 44)}, {strip: (40, 132)})
    for across in (True, False):
        part = board.band(FRAME, plane, cuts, strip, across, quilting.of_band(FRAME, cuts, strip, across, None))
        pixels = board.assembled(part.size, part.pieces)[IMAGE].pictures[0].pixels[0, 0]
        middle, reach = [side // 2 for side in part.size], FRAME.border + FRAME.margin
        at = (
            (120 - reach + middle[0], 44 - reach + middle[1])
            if across
            else (40 - reach + middle[0], 132 - reach + middle[1])
        )
        assert pixels[middle[0], middle[1]] == 176 * at[0] + at[1]
        assert pixels[reach, reach] == 176 * 40 + 44
        end = (reach, part.size[1] - reach) if across else (part.size[0] - reach, reach)
        assert pixels[end] == 176 * 80 + 88
        for one, other in board.seams(FRAME, cuts, strip, across, (cuts.across if across else cuts.down)[strip]):
            assert one[2:] == other[2:] == ((2 * reach, 4) if across else (4, 2 * reach))


def test_parts_lie_apart_on_boards_that_hold_them() -> None:
    sizes = [(10, 20)] * 5 + [(90, 5)]
    boards = board.spread(sizes, 3, (60, 60))
    assert [len(each) for each in boards] == [5, 1]
    assert board.extent(sizes[:5], boards[0], 3) == (42, 49)
    covered = [Piece({}, (0, 0, *size), at) for size, at in zip(sizes, boards[0], strict=False)]
    hole = board.uncovered((42, 49), [(*piece.at, *piece.box[2:]) for piece in covered])
    assert int((~hole).sum()) == 5 * 200


def test_maps_have_their_own_resolution_again_where_it_divides_a_tile() -> None:
    layer = Layer((Picture(numbered(3, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)),), "data")
    coarse = board.own_resolution(layer, Fraction(1, 4), (4, 4), 4)
    assert torch.equal(coarse.pictures[0].pixels, numbered(3, 3))
    assert board.own_resolution(layer, Fraction(1, 4), (6, 4), 4) == layer
    assert board.own_resolution(layer, Fraction(1, 4), (4, 4), 3) == layer


def test_tiles_are_cut_where_band_and_window_differ_least() -> None:
    frame = TileFrame((40, 44), border=3, margin=8, gap=2, core=4)
    plane = noise(1, 3, 80, 88, seed=1)
    window = (40, 44, *frame.size)
    tile = noise(1, 3, *frame.whole, seed=2)
    # Both are the same along a ring that bulges at one side.
    ring = torch.zeros(frame.whole, dtype=torch.bool)
    for reach, value in ((9, True), (12, False)):
        ring[reach : frame.whole[0] - reach, reach : frame.whole[1] - reach] = value
    ring[15:30, 6:12], ring[18:27, 9:12] = True, False
    padded = torch.nn.functional.pad(plane, (3,) * 4, mode="replicate")
    shown = board.part(padded, (40, 44, *frame.whole))
    tile = torch.where(ring, shown, tile)
    outside, core = quilting.of_tile(frame, window, quilting.shown_plane(plane), tile)
    assert not core.any()
    edges = torch.zeros_like(ring)
    edges[:, 1:] |= outside.diff(dim=1)
    edges[1:] |= outside.diff(dim=0)
    assert not (edges & ~torch.nn.functional.max_pool2d(ring[None].float(), 3, 1, 1)[0].bool()).any()
    assert outside[:9].all() and not outside[12:-12, 12:-12].any() and not outside[22, 10]
    # Where nothing fits all of the cut is made anew.
    _, core = quilting.of_tile(frame, window, quilting.shown_plane(plane), noise(1, 3, *frame.whole, seed=2))
    assert bool(core[frame.whole[0] // 2].any()) and int(core.sum()) > 400


def test_bands_are_cut_where_their_parts_differ_least() -> None:
    strip, plane = Strip(0, 0, 1), noise(1, 3, 160, 176, seed=1)
    cuts = Cuts({0: (40, 44), 1: (80, 88)}, {strip: (40, 44)}, {strip: (40, 132)})
    first, second = quilting.of_band(FRAME, cuts, strip, True, quilting.shown_plane(plane))
    assert not first[1].any() and second[1].any()
    assert first[0].shape == second[0].shape == (14, 4)
    assert not first[0][:, -1].all() or not first[0][:, 0].any()
    assert not second[0][:, 0].all() and second[0].any()


def test_each_tile_gets_the_window_that_continues_its_margins() -> None:
    tiles, frame = sets.corner(2), TileFrame((40, 48), border=4, margin=8, gap=2, core=2)
    plane = torch.nn.functional.interpolate(noise(1, 3, 40, 48, seed=1), (160, 192), mode="bilinear")
    windows, order = (
        board.windows(tiles, frame),
        torch.randperm(16, generator=torch.Generator().manual_seed(0)).tolist(),
    )
    inner = [number for number in order if number in (5, 6, 9, 10)]  # others may not be moved so far
    shown = []
    for number in order:
        top, left = windows[number][:2]
        by = 4 if number in inner else 0
        padded = torch.nn.functional.pad(plane, (8,) * 4, mode="replicate")
        shown.append(board.part(padded, (top - 4 + by + 8, left - 4 - by + 8, *frame.whole)))
    places_of = matching.matched(frame, windows, plane, shown)
    expected = [
        (windows[n][0] + (4 if n in inner else 0), windows[n][1] - (4 if n in inner else 0), *frame.size) for n in order
    ]
    assert places_of == expected


def test_parts_of_a_plane_are_in_step_with_its_lattice() -> None:
    cell = torch.rand(1, 3, 10, 12, generator=torch.Generator().manual_seed(3))
    image = cell.repeat(1, 1, 6, 6)
    canvas = Exemplar("canvas", torch.zeros(1, 3, 30, 30), torch.zeros(1, 1, 30, 30, dtype=torch.bool))
    task = Task((canvas, Exemplar("regular", image)), (30, 30))
    atlas, grid = build_atlas(task, ("none",), 2), lattice.find(image)
    assert grid is not None
    shift = torch.zeros(1, 2, 30, 30)
    shift[:, 1, :, 15:] = 5
    charge = lattice.steer_parts(grid, image, atlas, Period((40.0, 48.0), shift), 1.0)
    phase = lattice.balance(image, grid, grid.bent((40.0, 48.0), (True, True)), (40.0, 48.0)) @ grid.vectors
    y, x = torch.tensor([7]), torch.tensor([9])
    source = [round(float(n)) % side for n, side in zip(phase, (10, 12), strict=True)]

    def price(across: int, column: int) -> float:
        index = atlas.join(torch.tensor([1]), y + source[0] + 10, x + source[1] + across + 12)
        return float(charge(index, y, torch.tensor([column])))

    assert price(0, 9) == price(12, 9) == price(24, 9) == 0
    assert price(6, 9) > 0.9
    assert price(5 + 8, 17) == 0 < price(8, 17)  # further right on the canvas, and in the plane


def make(kind: str, source: str, **asked: Any) -> tuple[verb.TileWork, Drawn]:
    """A set, made as quickly as can be."""
    request: Any = {"corner": corner, "wang": wang}[kind].Request(exemplars=[source], **{"settings": QUICK, **asked})
    work = verb.prepare(f"tiles {kind}", request, [source], lambda _: None, Fetching(lambda _: None))
    return work, verb.execute(work).drawn


@pytest.fixture
def exemplar(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """An exemplar, with maps twice as fine and half as fine that say which pixel of it each of theirs is."""
    monkeypatch.chdir(tmp_path)
    draw("spots.png", bytes_of(spots(48, 40, seed=4)))
    for name, size in (("fine", (96, 80)), ("coarse", (24, 20))):
        draw(f"{name}.png", bytes_of(noise(1, 3, *size, seed=size[0])))
    return {"fine_id": ["fine.png"], "coarse": ["coarse.png"], "same": ["spots.png"]}


@pytest.mark.parametrize(
    ("kind", "asked", "count"),
    [
        ("corner", {}, 16),
        ("corner", {"size": "28", "colours": 3}, 81),
        ("wang", {"size": "20"}, 16),
        ("wang", {"tiles": 8}, 8),
    ],
)
def test_tiles_that_fit_have_their_borders_in_common_in_every_map(
    exemplar: dict[str, list[str]], kind: str, asked: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if count == 81:  # all cuts are left as they are, as filling so many takes long
        monkeypatch.setattr(quilting, "ROUGH", torch.inf)
    work, drawn = make(kind, "spots.png", **{"size": "24", "maps": exemplar, "exact_copies": True, **asked})
    assert len(drawn.image.pictures) == len(drawn.tiles.tiles) == count
    coarse = Fraction(1, 2) if drawn.border % 2 == 0 else 1  # where its values do not divide the border, they repeat
    assert {name: layer.scale for name, layer in drawn.maps.items()} == {"fine_id": 2, "coarse": coarse, "same": 1}
    for picture, follower in zip(drawn.image.pictures, drawn.maps["same"].pictures, strict=True):
        assert torch.equal(picture.pixels, follower.pixels)  # a map that is the picture follows it exactly
    for layer in (drawn.image, *drawn.maps.values()):
        tile_sets.check_bands(drawn.tiles, layer, drawn.border)
    top, left = (side // 2 + drawn.border - 6 for side in drawn.size)
    middles = {p.pixels[..., top : top + 12, left : left + 12].numpy().tobytes() for p in drawn.image.pictures}
    assert len(middles) == count
    assert work.size == drawn.size and work.record["tiles"]["border"] == drawn.border


def test_a_size_that_breaks_the_steps_of_a_regular_texture_is_noticed(
    tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw("regular.png", bytes_of(noise(1, 3, 12, 16, seed=3).repeat(1, 1, 7, 6)))
    for size, notices in (("48", 0), ("54x56", 1)):
        request: Any = corner.Request(exemplars=["regular.png"], size=size)
        work = verb.prepare("tiles corner", request, ["regular.png"], lambda _: None, Fetching(lambda _: None))
        broken = [notice for notice in work.notices if "repeats every 16.0x12.0 px" in notice]
        assert len(broken) == notices
        assert all("--size 48x60 holds" in notice for notice in broken)


@pytest.mark.usefixtures("exemplar")
def test_any_number_of_threads_gives_the_same_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """And proportions of colours count for the plane alone, not for what is filled."""
    shown, proportions = [], []

    def solved(job: Job, preset: Preset, seed: int, heard: tile_steps.Hearing) -> Result:
        proportions.append(preset.stages[-1].settings.proportion)
        return solve(job, preset, seed, heard)

    solve = tile_steps.solved
    monkeypatch.setattr(tile_steps, "solved", solved)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            machine.use_threads(threads)
            _, drawn = make("wang", "spots.png", size="20", tiles=8, settings=QUICK | {"proportion": 0.1})
            shown.append(torch.cat([picture.pixels for picture in drawn.image.pictures]))
    finally:
        machine.use_threads(before)
    assert torch.equal(*shown)
    assert proportions == [0.1, 0, 0, 0] * 2
    assert shown[0].unique().numel() > 10


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"size": "19"}, UsageError, "at least 20"),
        ({"preset": "gram", "settings": None}, UsageError, "does not copy"),
        ({"max_memory": "300M"}, ResourceError, "above the limit"),
    ],
)
def test_what_cannot_be_made_is_refused(asked: dict[str, Any], error: type[Exception], words: str) -> None:
    request = replace(corner.Request(exemplars=["spots.png"], settings=QUICK, size="40"), **asked)
    with pytest.raises(error, match=words):
        verb.prepare("tiles corner", request, ["spots.png"], lambda _: None, Fetching(lambda _: None))
