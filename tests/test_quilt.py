"""The start of a field: cuts, blocks, and the quilt they make."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fields import atlas_of, grid
from pictures import generator, noise, spots
from texsynth.field import potential, search
from texsynth.field import quilt as laying
from texsynth.field.atlas import Atlas
from texsynth.field.quilt import (
    LARGEST_TABLE,
    Blocks,
    Quilt,
    QuiltRules,
    largest_blocks,
    lay,
    mismatch,
    prior_of,
    quilt,
)
from texsynth.field.quilting import cut_sides, meet, path, waves
from texsynth.field.search import BlockSpectra, BlockTable

FREE = QuiltRules(spread=0.0, proportion=0.0, tries=8)
USUAL = QuiltRules(spread=0.1, proportion=0.1, tries=8)

OPEN = torch.zeros(1, 4, dtype=torch.bool)  # no side lies on the border of the canvas


def table(atlas: Atlas, side: int, overlap: float = 0.5) -> Blocks:
    blocks = largest_blocks(atlas, side, overlap, generator())
    assert blocks is not None
    return blocks


def seams(atlas: Atlas, index: Tensor) -> float:
    """Mean price of the meetings of all neighbours; most continue each other."""
    down = meet(atlas.colours, index[:-1], index[1:], atlas.row)
    right = meet(atlas.colours, index[:, :-1], index[:, 1:], 1)
    return float(torch.cat([down.flatten(), right.flatten()]).mean())


def picture(canvas: Quilt, size: tuple[int, int]) -> Tensor:
    return canvas.index.view(canvas.h, canvas.w)[: size[0], : size[1]]


@pytest.mark.parametrize(("rows", "cols"), [(1, 4), (4, 1), (5, 4), (4, 6)])
def test_a_path_is_the_cheapest_of_all(rows: int, cols: int) -> None:
    """Against every path there is."""
    error = noise(6, rows, cols, seed=rows)
    at, cost = path(error)
    for number in range(6):
        price = {
            columns: sum(float(error[number, r, c]) for r, c in enumerate(columns))
            for columns in itertools.product(range(cols), repeat=rows)
            if all(abs(a - b) <= 1 for a, b in itertools.pairwise(columns))
        }
        assert min(price, key=lambda columns: price[columns]) == tuple(at[number].tolist())
        assert min(price.values()) == pytest.approx(float(cost[number]), abs=1e-5)


@pytest.mark.parametrize("size", [(4, 200), (200, 4), (1, 300), (300, 1), (70, 8)])
def test_a_long_canvas_is_laid_in_as_few_groups_as_a_square_one(size: tuple[int, int]) -> None:
    """Every corner is laid once, and no two of a group lie next to each other, across the borders too."""
    rows, columns = size
    groups = waves(list(range(rows)), list(range(columns)), 2, 6)
    assert sorted(corner for group in groups for corner in group) == list(
        itertools.product(range(rows), range(columns))
    )
    assert len(groups) <= 110
    for group in groups:
        for (y, x), (v, u) in itertools.combinations(group, 2):
            down, along = abs(y - v), abs(x - u)
            assert min(down, rows - down) > 1 or min(along, columns - along) > 1


@pytest.mark.parametrize("size", [(8, 1024), (1024, 8)])
def test_the_work_for_a_block_does_not_grow_with_the_length_of_an_exemplar(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The places at which use is looked up, and the places of blocks whose use is compared."""
    blocks = largest_blocks(atlas_of(noise(1, 3, *size)), 7, 0.5, generator())
    assert blocks is not None
    assert blocks.site_cells.numel() <= 1 << 16
    index = torch.full((256,), int(blocks.corners[0]))
    canvas = Quilt(16, 16, (False, False), blocks.atlas, index, index > 0, torch.zeros(size[0] * size[1]))
    lookups: list[int] = []
    monkeypatch.setattr(
        torch.Tensor, "scatter_add_", lambda _use, _dim, places, _weight: lookups.append(places.shape[1])
    )
    prior_of(canvas, blocks, torch.zeros(1, 2, dtype=torch.long), QuiltRules(0.1, 0.0, 1))
    assert 0 < lookups[0] <= 80**2


def test_a_path_over_equal_errors_is_connected() -> None:
    at, cost = path(torch.ones(2, 30, 7))
    assert (at[:, 1:] - at[:, :-1]).abs().max() <= 1
    assert torch.allclose(cost, torch.full((2,), 30.0))


def test_meeting_is_free_for_pixels_that_continue_each_other() -> None:
    atlas = atlas_of(noise(1, 3, 12, 15))
    index = atlas.valid.nonzero()[:, 0]
    for stride in (1, atlas.row):
        onward = index[atlas.valid[index + stride]]
        assert (meet(atlas.colours, onward, onward + stride, stride) == 0).all()
        apart = meet(atlas.colours, onward, onward.flip(0), stride)
        assert (apart > 0).float().mean() > 0.9


def test_meeting_compares_both_continuations() -> None:
    """The colours (a | b) beside what stands left of b, and what stands right of a."""
    colours = torch.tensor([[0.0], [1.0], [5.0], [0.5], [0.75], [9.0]]).expand(-1, 3)
    expected = 3 * ((1.0 - 0.5) ** 2 + (5.0 - 0.75) ** 2) / 2
    assert float(meet(colours, torch.tensor(1), torch.tensor(4), 1)) == pytest.approx(expected)


def test_cuts_follow_what_is_painted() -> None:
    """The old stays on its side of the cut, and the cut lies where both agree."""
    gap, column = torch.ones(1, 8, 8), torch.arange(8).expand(1, 8, 8)
    gap[:, :, 2] = 0
    keep, cost = cut_sides(gap, column < 4, OPEN, 4)
    assert keep[0, 4, :2].all() and not keep[0, 4, 2:].any()
    assert not (keep & (column >= 4)).any()
    assert float(cost) < float(cut_sides(gap + 1, column < 4, OPEN, 4)[1])
    assert float(cut_sides(torch.zeros(1, 8, 8), column < 1, OPEN, 4)[1]) == 0


def test_no_cut_where_the_canvas_ends() -> None:
    """A side on the border has no neighbour to meet, whatever is painted along it."""
    gap, painted = torch.ones(1, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool)
    gap[:, 2, :] = gap[:, :, 2] = 0
    top_only = torch.tensor([[True, False, True, True]])
    keep, _ = cut_sides(gap, painted, top_only, 4)
    assert keep[0, 0].all() and not keep[0, 4:].any()


def test_cuts_turn_to_all_sides() -> None:
    """Painted all round: the new block keeps a middle, bounded by the agreeing ring."""
    gap = torch.ones(1, 12, 12)
    gap[:, 2, :], gap[:, -3, :], gap[:, :, 2], gap[:, :, -3] = 0, 0, 0, 0
    keep, cost = cut_sides(gap, gap >= 0, OPEN, 4)
    assert not keep[0, 3:9, 3:9].any()
    assert keep[0, 0].all() and keep[0, -1].all() and keep[0, :, 0].all() and keep[0, :, -1].all()
    assert float(cost) == 0


def test_nothing_painted_keeps_nothing() -> None:
    keep, cost = cut_sides(torch.ones(2, 8, 8), torch.zeros(2, 8, 8, dtype=torch.bool), OPEN.expand(2, 4), 4)
    assert not keep.any()
    assert (cost == 0).all()


@pytest.mark.parametrize("copies", ["none", "all"])
def test_blocks_are_all_the_squares_of_valid_pixels(copies: str) -> None:
    valid = torch.ones(1, 1, 20, 27, dtype=torch.bool)
    valid[:, :, 9, 6] = valid[:, :, 3, 20] = False
    atlas = atlas_of(noise(1, 3, 20, 27), valid=valid, copies=copies)
    blocks = table(atlas, 6)
    pixels = blocks.corners[:, None] + blocks.inner
    assert atlas.valid[pixels].all()
    expected = sum(bool(valid[0, 0, y : y + 6, x : x + 6].all()) for y in range(15) for x in range(22))
    assert len(set(blocks.corners.tolist())) == len(blocks.corners) == len(atlas.copies) * expected
    assert (blocks.side, blocks.overlap) == (6, 3)


@pytest.mark.parametrize("copies", ["none", "all"])
@pytest.mark.parametrize(("worth", "way"), [(0, BlockSpectra), (10**6, BlockTable)])
def test_the_search_is_exact(copies: str, worth: int, way: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """By transforms, of planes of odd sizes a few at once, and by a product: with weights for each place or for all."""
    monkeypatch.setattr(search, "WORTH_TRANSFORMING", worth)
    monkeypatch.setattr(search, "VALUES_AT_ONCE", 2 * 8 * 25 * 30)
    valid = noise(1, 1, 23, 29, seed=4) > 0.002
    blocks = table(atlas_of(noise(1, 3, 23, 29), valid=valid, copies=copies), 9)
    assert isinstance(blocks.search, way)
    pixels = blocks.corners[:, None] + blocks.inner
    old, weight = pixels[:5] + 1, noise(5, 81)
    for weights in (weight, weight > 0.5, weight[:1] > 0.5, weight < 0):
        squares = (blocks.colours[pixels] - blocks.colours[old][:, None]).square().sum(-1)
        expected = (squares * weights[:, None]).sum(-1) / weights.sum(1, keepdim=True).clamp(min=1)
        assert torch.allclose(mismatch(blocks, old, weights), expected, atol=1e-5)


def test_blocks_are_halved_until_some_fit() -> None:
    valid = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    valid[:, :, 5:14, 20:29] = True  # nine pixels a side
    atlas = atlas_of(noise(1, 3, 40, 40), valid=valid)
    blocks = table(atlas, 32)
    assert (blocks.side, blocks.overlap, len(blocks.corners)) == (8, 4, 4)


def test_specks_make_no_blocks() -> None:
    valid = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    valid[:, :, ::4, ::4] = True
    valid[:, :, 10:13, 10:13] = True  # three pixels a side are too few
    assert largest_blocks(atlas_of(noise(1, 3, 40, 40), valid=valid), 32, 0.5, generator()) is None
    assert largest_blocks(atlas_of(noise(1, 3, 40, 40)), 3, 0.5, generator()) is None


def test_no_more_than_most_blocks() -> None:
    """Their number does not grow with the exemplar, and the sample covers all of it."""
    atlas = atlas_of(noise(1, 3, 100, 104))
    blocks = table(atlas, 4)
    assert len(set(blocks.corners.tolist())) == len(blocks.corners) == LARGEST_TABLE < 97 * 101
    _, y, x = atlas.split(blocks.corners)
    assert int(y.min()) < 4 and int(y.max()) > 92 and int(x.min()) < 4 and int(x.max()) > 96
    assert atlas.valid[blocks.corners[:, None] + blocks.inner].all()


def test_the_table_of_large_blocks_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laying, "TABLE_VALUES", 20_000)
    blocks = table(atlas_of(noise(1, 3, 40, 50)), 16)
    assert isinstance(blocks.search, BlockTable) and blocks.search.colours.shape == (26, 768)
    assert blocks.search.colours.numel() <= 20_000 < 25 * 35 * 768
    assert len(table(atlas_of(noise(1, 3, 40, 50)), 4).corners) == 416


def test_cells_tell_places_and_exemplars_apart() -> None:
    blocks = table(atlas_of(noise(1, 3, 20, 30), noise(1, 3, 33, 17), copies="flips"), 8)
    assert torch.equal(blocks.cells.unique(), torch.arange(10 * 15 + 17 * 9))  # cells of two pixels
    assert int(blocks.cells[:600].max()) < int(blocks.cells[600:].min())
    assert torch.equal(blocks.site_cells, blocks.cells[blocks.sites])


@pytest.mark.parametrize("tile", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("size", [(32, 48), (61, 37), (12, 70), (9, 9)])
def test_a_quilt_covers_all_with_valid_pixels(size: tuple[int, int], tile: tuple[bool, bool]) -> None:
    """Also where the canvas is smaller than a block."""
    valid = torch.ones(1, 1, 32, 40, dtype=torch.bool)
    valid[:, :, 12, 18] = False
    atlas = atlas_of(spots(32, 40), valid=valid, copies="flips")
    blocks = table(atlas, 12)
    canvas = lay(blocks, size, tile, USUAL, generator(1))
    assert canvas.painted.all()
    assert atlas.valid[canvas.index].all()
    for wraps, length, n in zip(tile, (canvas.h, canvas.w), size, strict=True):
        assert length == n if wraps else length >= n
    assert torch.equal(quilt(blocks, size, tile, USUAL, generator(1)), picture(canvas, size))


@pytest.mark.parametrize("tile", [(True, True), (True, False), (False, True)])
def test_a_tiling_quilt_meets_itself(tile: tuple[bool, bool]) -> None:
    """Across the wrap a meeting costs at most four times one inside, on average over six seeds; else ten times.

    Inside, neighbours that continue each other meet for nothing and count as well.
    """
    atlas = atlas_of(spots(48, 48))
    blocks = table(atlas, 16)
    inside, wrap, open_ends = [], [], []
    for seed in range(6):
        index = quilt(blocks, (64, 72), tile, replace(USUAL, starts=2), generator(seed))
        for dim, (wraps, stride) in enumerate(zip(tile, (atlas.row, 1), strict=True)):
            met = meet(blocks.colours, index, index.roll(-1, dim), stride)
            inside.append(met.narrow(dim, 0, met.shape[dim] - 1).mean())
            (wrap if wraps else open_ends).append(met.narrow(dim, met.shape[dim] - 1, 1).mean())
    usual = float(torch.stack(inside).mean())
    assert float(torch.stack(wrap).mean()) <= 4 * usual
    if open_ends:
        assert float(torch.stack(open_ends).mean()) > 10 * usual


def test_a_quilt_is_made_of_pieces() -> None:
    """Most neighbours continue each other, and the quilt takes from many places."""
    atlas = atlas_of(spots(48, 48))
    index = quilt(table(atlas, 16), (96, 96), (False, False), USUAL, generator())
    assert float((index[:, 1:] == index[:, :-1] + 1).float().mean()) > 0.85
    assert len(index.unique()) > 0.7 * 48 * 48


def test_the_best_of_several_quilts_is_kept() -> None:
    """The one whose cuts are cheapest; they differ."""
    atlas = atlas_of(spots(48, 48))
    blocks, rng = table(atlas, 16), generator(5)
    several = [lay(blocks, (64, 64), (True, True), USUAL, rng) for _ in range(4)]
    assert len({canvas.cost for canvas in several}) == 4
    kept = quilt(blocks, (64, 64), (True, True), replace(USUAL, starts=4), generator(5))
    assert torch.equal(kept, picture(min(several, key=lambda canvas: canvas.cost), (64, 64)))


def test_quilts_follow_their_cuts_better_than_chance() -> None:
    """The seams of a quilt cost far less than those of blocks set side by side at random."""
    atlas = atlas_of(spots(48, 48))
    blocks = table(atlas, 16)
    index = quilt(blocks, (64, 64), (False, False), FREE, generator())
    at = torch.randint(len(blocks.corners), (4, 4), generator=generator())
    chance = (blocks.corners[at][:, :, None] + blocks.inner).view(4, 4, 16, 16).transpose(1, 2).reshape(64, 64)
    assert seams(atlas, index) < 0.6 * seams(atlas, chance)


def test_the_spread_keeps_repeats_apart() -> None:
    """Priced, near repeats get rarer: fewer source pixels stand twice within half an exemplar."""
    atlas = atlas_of(noise(1, 3, 32, 32))
    blocks = table(atlas, 8)

    def repeats(spread: float) -> int:
        rules = QuiltRules(spread, 0.0, 8)
        quilts = torch.stack([quilt(blocks, (64, 64), (False, False), rules, generator(seed)) for seed in range(3)])
        windows = F.unfold(quilts[:, None].double(), 16, stride=16).transpose(1, 2).flatten(0, 1)
        return sum(256 - len(window.unique()) for window in windows)

    assert repeats(1.0) < 0.8 * repeats(0.0)


@pytest.mark.parametrize(("exemplar", "quilts"), [((8, 64), 1), ((24, 24), 4)])
def test_a_long_exemplar_lays_no_more_blocks_than_it_needs(
    monkeypatch: pytest.MonkeyPatch, exemplar: tuple[int, int], quilts: int
) -> None:
    """Its blocks are small, so that one quilt has hundreds."""
    monkeypatch.setattr(laying, "MOST_BLOCKS", 100)
    laid: list[Quilt] = []

    def counted(*words: Any) -> Quilt:
        laid.append(lay(*words))
        return laid[-1]

    monkeypatch.setattr(laying, "lay", counted)
    rules = QuiltRules(spread=0.0, proportion=0.0, tries=1, starts=4)
    quilt(table(atlas_of(noise(1, 3, *exemplar)), 4), (16, 24), (False, False), rules, generator())
    assert len(laid) == quilts


def test_a_steer_decides_where_blocks_go() -> None:
    """A price on being out of step by place is obeyed: columns modulo 8 agree with their source."""
    atlas = atlas_of(noise(1, 3, 40, 40))

    def steer(index: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return 10.0 * ((atlas.split(index)[2] - x) % 8 != 0) + 0 * y

    rules = QuiltRules(0.1, 0.1, 8, (steer,))
    x = atlas.split(quilt(table(atlas, 12), (48, 48), (False, False), rules, generator()))[2]
    assert ((x - torch.arange(48)) % 8 == 0).all()


def split_atlas() -> tuple[Atlas, Tensor]:
    """An even grey exemplar, 32 x 32, and a field that only uses its left half."""
    atlas = atlas_of(0.5 + 0.01 * noise(1, 3, 32, 32))
    y, x = grid(32, 32)
    return atlas, atlas.join(torch.zeros_like(y), y, x % 16)


def risen(atlas: Atlas, index: Tensor, steps: int = 1) -> Tensor:
    """The potential after some steps of the ascent, in which the same pixels are used, (homes,)."""
    psi = torch.zeros(atlas.homes)
    for _ in range(steps):
        psi = potential.ascend(psi, atlas, index, *potential.palette(atlas))
    return psi


def test_the_potential_rises_where_use_is_more_than_even() -> None:
    once, again = (risen(*split_atlas(), steps).view(32, 32) for steps in (1, 2))
    assert float(once[:, :12].min()) > 0 > float(once[:, 20:].max())
    assert float(again[:, 4].mean()) > float(once[:, 4].mean())
    assert risen(*split_atlas(), 202).aminmax() == potential.LIMITS


def test_even_use_changes_no_potential() -> None:
    atlas = atlas_of(noise(1, 3, 24, 32), copies="flips")
    assert float(risen(atlas, atlas.valid.nonzero()[:, 0]).abs().max()) < 1e-3


def test_the_potential_rises_for_a_colour_used_too_much() -> None:
    """Red and blue in a fine checkerboard, of which all places are used alike but only the red."""
    y, x = grid(32, 32)
    red = (y + x) % 2 == 0
    atlas = atlas_of(torch.stack([0.1 + 0.8 * red, torch.full((32, 32), 0.1), 0.9 - 0.8 * red.float()])[None])
    psi = risen(atlas, atlas.join(torch.zeros_like(y), y, x)[red]).view(32, 32)
    assert float(psi[red].min()) > float(psi[~red].max()) + 1


def test_prices_are_infinite_outside_what_is_allowed() -> None:
    atlas, index = split_atlas()
    psi, allowed = noise(atlas.homes), atlas.valid & (torch.arange(len(atlas.valid)) % 3 == 0)
    price = potential.prices(atlas, index, psi, allowed, 0.5, 0.0)
    assert torch.equal(price[allowed], 0.5 * psi[atlas.home[allowed]])
    assert (price[~allowed] == torch.inf).all()


def test_occurrence_prices_what_is_used_more_than_even() -> None:
    atlas, index = split_atlas()
    price = potential.prices(atlas, index, torch.zeros(atlas.homes), atlas.valid, 0.5, 2.0)[atlas.valid].view(32, 32)
    assert torch.allclose(price[:, :14], torch.full((32, 14), 2.0), atol=1e-3)
    assert torch.allclose(price[:, 18:], torch.zeros(32, 14), atol=1e-3)


@pytest.mark.parametrize(
    ("size", "tile"), [((10, 10), (True, True)), ((10, 30), (True, False)), ((30, 30), (True, True))]
)
def test_copies_are_counted_where_blocks_are_larger_than_the_canvas(
    size: tuple[int, int], tile: tuple[bool, bool]
) -> None:
    """Such a block comes round to pixels that it has painted itself."""
    canvas = lay(table(atlas_of(noise(1, 3, 40, 40)), 12), size, tile, USUAL, generator())
    assert torch.equal(canvas.copies, laying.count_copies(canvas.atlas, canvas.index)) and canvas.painted.all()
