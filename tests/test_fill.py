"""The start of a field inside a hole: pieces that continue what lies around it, and how thick a hole is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import texsynth
from fields import OPEN, atlas_of, copying, grid
from pictures import box, bytes_of, generator, noise, pattern, spots
from texsynth.field.atlas import Atlas
from texsynth.field.fill import Gap, fill, thickness
from texsynth.field.quilt import Blocks, QuiltRules, largest_blocks
from texsynth.image import holes
from texsynth.methods import field as method

RULES = QuiltRules(0.1, 0.0, 1)


def mask(h: int, w: int, *sides: tuple[int, int, int, int]) -> Tensor:
    return torch.from_numpy(box(h, w, *sides))


def with_hole(image: Tensor, hole: Tensor) -> tuple[Atlas, Tensor]:
    """The atlas of a picture with a hole (h, w), and the place of each pixel in it."""
    atlas = atlas_of(holes.smooth(image, hole[None, None]), valid=~hole[None, None])
    return atlas, copying(atlas, *grid(*hole.shape)).index


def picture(name: str, h: int, w: int) -> Tensor:
    return torch.from_numpy(pattern(name, h, w)).permute(2, 0, 1)[None] / 255


def filled(image: Tensor, hole: Tensor, side: int, tile: tuple[bool, bool] = OPEN, seed: int = 0) -> Tensor:
    """What a hole is filled with in pieces of `side`: pointers (h, w); all others must be kept."""
    atlas, places = with_hole(image, hole)
    blocks = largest_blocks(atlas, side, 0.25, generator(seed))
    assert blocks is not None
    index = fill(Gap(places, hole, ~hole, tile), blocks, RULES, generator(seed))
    assert torch.equal(index[~hole], places[~hole])
    assert atlas.valid[index].all()
    return atlas.colours[index].permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("sides", "tile", "thick"),
    [
        (((5, 6, 5, 6),), OPEN, 2),
        (((5, 7, 5, 15),), OPEN, 2),
        (((5, 8, 5, 15),), OPEN, 4),
        (((4, 14, 4, 14),), OPEN, 10),
        (((4, 14, 4, 14), (0, 1, 0, 1)), OPEN, 10),
        (((0, 4, 0, 24),), OPEN, 8),
        (((0, 4, 0, 24),), (True, False), 4),
        (((0, 4, 0, 24), (18, 20, 0, 24)), (True, False), 6),
        (((0, 20, 0, 3), (0, 20, 21, 24)), (False, True), 6),
        (((0, 20, 0, 3), (0, 20, 21, 24)), OPEN, 6),
        ((), OPEN, 0),
        (((0, 20, 0, 24),), OPEN, 0),
    ],
)
def test_how_thick_a_hole_is(sides: tuple[tuple[int, int, int, int], ...], tile: tuple[bool, bool], thick: int) -> None:
    """Twice the way from its innermost pixel to what lies outside, across borders that wrap."""
    assert thickness(mask(20, 24, *sides), tile) == thick


@pytest.mark.parametrize("tile", [OPEN, (True, False), (True, True)])
@pytest.mark.parametrize(
    "hole",
    [
        mask(36, 40, (10, 20, 12, 24)),
        mask(36, 40, (0, 9, 0, 9)),
        mask(36, 40, (7, 8, 7, 8)),
        mask(36, 40, (0, 2, 0, 40), (34, 36, 0, 40)),
        mask(36, 40, (15, 17, 0, 40), (3, 4, 1, 2), (30, 36, 33, 40)),
        noise(36, 40) < 0.05,
    ],
    ids=["inside", "corner", "pixel", "bands", "several", "specks"],
)
@pytest.mark.parametrize("side", [8, 13])
def test_every_hole_is_filled_and_the_rest_kept(hole: Tensor, tile: tuple[bool, bool], side: int) -> None:
    filled(spots(36, 40), hole, side, tile)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["stripes", "slashes", "bricks"])
def test_pieces_continue_what_they_meet(name: str, seed: int) -> None:
    """A piece that fits without a fault is taken where there is one: a pattern of period at most 16 comes back."""
    image = picture(name, 48, 48)
    assert torch.equal(filled(image, mask(48, 48, (18, 30, 17, 31)), 16, seed=seed), image)


def test_pieces_see_across_a_border_that_wraps() -> None:
    """A band along the left and right borders of a picture that repeats comes back, though no piece starts in it."""
    image, hole = picture("slashes", 40, 50), mask(40, 50, (0, 40, 0, 4), (0, 40, 46, 50))
    assert torch.equal(filled(image, hole, 16, (False, True)), image)


def test_only_the_context_is_continued() -> None:
    """What has a place already but is no context is kept, and does not matter."""
    image = picture("slashes", 48, 48)
    hole, moved = mask(48, 48, (16, 32, 16, 28)), mask(48, 48, (16, 32, 28, 36))
    atlas, places = with_hole(image, hole)
    blocks = largest_blocks(atlas, 12, 0.25, generator())
    assert blocks is not None
    fillings = []
    for shift in (0, -9):
        begun = torch.where(moved, places + shift * atlas.row, places)
        index = fill(Gap(begun, hole, ~(hole | moved), OPEN), blocks, RULES, generator())
        assert torch.equal(index[~hole], begun[~hole])
        fillings.append(index[hole])
    assert torch.equal(*fillings)
    assert torch.equal(atlas.colours[fillings[0]], image[0][:, hole].T)


def test_a_piece_covers_what_is_soft_up_to_a_cut() -> None:
    """What is soft and goes on to the hole stays, and what does not is covered; all else is kept."""
    image = picture("bricks", 48, 48)
    hole, soft = mask(48, 48, (0, 48, 22, 26)), mask(48, 48, (0, 48, 16, 22), (0, 48, 26, 32))
    wrong = mask(48, 48, (0, 48, 19, 22))
    atlas, places = with_hole(image, hole)
    begun = torch.where(wrong, places - 13, places)
    blocks = largest_blocks(atlas, 18, 0.4, generator())
    assert blocks is not None
    index = fill(Gap(begun, hole, ~hole, OPEN, soft), blocks, QuiltRules(0.0, 0.0, 32), generator())
    same = (atlas.colours[index] == image[0].permute(1, 2, 0)).all(2)
    assert same[~(hole | soft)].all()
    assert same.float().mean() > 0.98
    assert (atlas.colours[begun] == image[0].permute(1, 2, 0)).all(2).float().mean() < 0.95


@pytest.mark.parametrize(("size", "coarsest"), [((12, 12), 8), ((8, 40), 8), ((23, 12), 8), ((64, 48), 16)])
def test_pieces_fit_on_the_canvas(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], coarsest: int) -> None:
    """However large the other picture is that they are cut from, at every level."""
    sides: list[tuple[int, int]] = []

    def spy(atlas: Atlas, side: int, overlap: float, rng: torch.Generator, most: int) -> Blocks | None:
        sides.append((side, min(atlas.exemplars[0])))
        return largest_blocks(atlas, side, overlap, rng, most=most)

    monkeypatch.setattr(method, "largest_blocks", spy)
    h, w = size
    hole = box(h, w, (2, h - 2, 3, w - 3)).astype(np.uint8) * 255
    settings = {"coarsest": coarsest, "passes": [1]}
    texsynth.inpaint(bytes_of(spots(h, w)), hole, exemplars=bytes_of(spots(64, 64, seed=1)), settings=settings)
    assert sides and all(4 <= side <= canvas for side, canvas in sides), sides
