"""What improves a field: pieces that slide, look-alikes, and the sweep over pixels near seams."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fields
from fields import copying, free, grid, scattered
from pictures import generator, noise, spots
from texsynth.features.windows import Basis
from texsynth.field import space as comparing
from texsynth.field.align import align
from texsynth.field.atlas import COPY_SETS, Atlas, Field, build_atlas
from texsynth.field.guide import Guiding, Prices
from texsynth.field.space import (
    REACH,
    SHORTEST_JUMP,
    Space,
    describe,
    find_basis,
    finer_look_alikes,
    look_alikes,
    surroundings,
)
from texsynth.field.sweep import extend, near_seams, sweep
from texsynth.task import Exemplar, Task

PATCH = 5
atlas_of = partial(fields.atlas_of, margin=PATCH // 2)


def described(atlas: Atlas, basis: Basis | None = None) -> Tensor:
    """The descriptors of all pixels that may be copied."""
    return describe(atlas, basis or find_basis(atlas, PATCH, 24, generator()), atlas.valid)


def alike(atlas: Atlas, count: int = 3) -> tuple[Tensor, Tensor]:
    """The descriptors of all pixels that may be copied, and their look-alikes (N, count)."""
    table = described(atlas)
    return table, look_alikes(atlas, table, atlas.valid, count, generator())


def space_of(atlas: Atlas) -> Space:
    table, similar = alike(atlas)
    return Space(atlas, find_basis(atlas, PATCH, 24, generator()), table, atlas.valid, similar)


def exact_basis(atlas: Atlas) -> Basis:
    """All directions of windows, so that nothing of their distances is lost."""
    return find_basis(atlas, PATCH, 3 * PATCH**2, generator())


def raw_windows(atlas: Atlas) -> Tensor:
    """The windows of raw pixels of all source pixels, (N, 3 * PATCH^2)."""
    windows = F.unfold(atlas.picture(atlas.colours), PATCH, padding=PATCH // 2)
    return windows.permute(0, 2, 1).reshape(len(atlas.valid), -1)


def window_weight() -> Tensor:
    """The square root of the Gaussian by which pixels of a window count, (3 * PATCH^2,)."""
    ramp = torch.arange(PATCH) - PATCH // 2
    g = torch.exp(-(ramp.float() ** 2) / (2 * (PATCH / 3) ** 2))
    return (g[:, None] * g).sqrt().flatten().repeat(3)


def swept(field: Field, space: Space, prices: Prices, passes: int = 4) -> Field:
    for _ in range(passes):
        field = sweep(field, space, prices)
    return field


def columns(atlas: Atlas) -> Tensor:
    """The column of every source pixel in its plane, (N,)."""
    return atlas.split(torch.arange(len(atlas.valid)))[2]


def mismatch(field: Field) -> float:
    """Mean squared difference of raw windows of the output and of the source, inside the output: a second measure that
    shares nothing with the solver's."""
    inner = field.index[PATCH // 2 : -(PATCH // 2), PATCH // 2 : -(PATCH // 2)].flatten()
    return float((raw_windows(field.atlas)[inner].T - F.unfold(field.image(), PATCH)[0]).square().mean())


@pytest.mark.parametrize(("dy", "dx"), [(1, 0), (-1, 0), (0, 1), (1, -1)])
def test_pieces_that_are_a_pixel_off_slide_together(dy: int, dx: int) -> None:
    """On a picture that never repeats, two pieces become one."""
    atlas = atlas_of(spots(44, 44))
    y, x = (t + 4 for t in grid(36, 36))
    right = x >= 22
    index = align(copying(atlas, y + dy * right, x + dx * right), 20, generator()).index
    assert len((index - y * atlas.row - x).unique()) == 1


def test_pieces_slide_together_across_the_wrap() -> None:
    """A tiling canvas of two halves that only meet at its ends: the piece in between slides to both."""
    atlas = atlas_of(spots(40, 24).repeat(1, 1, 1, 2))
    y, x = grid(32, 24)
    field = copying(atlas, y + 4 + ((y >= 10) & (y < 20)), x + 12, (False, True))
    assert len((atlas.split(align(field, 20, generator()).index)[1] - y).unique()) == 1


def test_a_piece_in_place_stays() -> None:
    atlas = atlas_of(spots(40, 40))
    field = copying(atlas, *(t + 3 for t in grid(32, 32)))
    assert torch.equal(align(field, 10, generator()).index, field.index)


def test_pieces_never_slide_onto_what_may_not_be_copied() -> None:
    """Two pieces a row apart, neither of which has room to move."""
    valid = torch.zeros(1, 1, 40, 30, dtype=torch.bool)
    valid[:, :, 2:34, :15] = True
    valid[:, :, 3:35, 15:] = True
    atlas = atlas_of(spots(40, 30), valid=valid)
    y, x = grid(32, 30)
    field = copying(atlas, y + 2 + (x >= 15), x)
    assert torch.equal(align(field, 20, generator()).index, field.index)


@pytest.mark.parametrize("seed", range(3))
def test_sliding_keeps_all_pixels_valid(seed: int) -> None:
    atlas = atlas_of(noise(1, 3, 20, 26), valid=noise(1, 1, 20, 26, seed=9) > 0.3, copies="all")
    done = align(scattered(atlas, (24, 24), seed, (True, False)), 5, generator(seed))
    assert atlas.valid[done.index].all()


def apart(atlas: Atlas, a: Tensor, b: Tensor) -> Tensor:
    """Chebyshev distance in pixels, large between planes."""
    pa, ya, xa = atlas.split(a)
    pb, yb, xb = atlas.split(b)
    return torch.maximum((ya - yb).abs(), (xa - xb).abs()) + 10000 * (pa != pb)


@pytest.mark.parametrize("copies", ["none", "flips"])
def test_look_alikes_are_valid_and_not_next_door(copies: str) -> None:
    valid = noise(1, 1, 30, 34, seed=5) > 0.2
    atlas = atlas_of(spots(30, 34), spots(30, 34, seed=1), valid=valid, copies=copies)
    picks = alike(atlas)[1].long()
    usable = atlas.valid.nonzero()[:, 0]
    assert atlas.valid[picks[usable]].all()
    for k in range(3):
        assert (apart(atlas, picks[usable, k], usable) >= SHORTEST_JUMP).all()
        for other in range(k):
            assert (apart(atlas, picks[usable, k], picks[usable, other]) >= SHORTEST_JUMP).all()
    rest = (~atlas.valid).nonzero()
    assert (picks[rest[:, 0]] == rest).all()


@pytest.mark.parametrize("exemplar", [(8, 64), (24, 24)])
def test_pixels_of_a_long_exemplar_are_compared_with_fewer(
    monkeypatch: pytest.MonkeyPatch, exemplar: tuple[int, int]
) -> None:
    """It has no coarser level, so that all its pixels are compared with others at once."""
    monkeypatch.setattr(comparing, "MOST_PAIRS", 512 * 20)
    kept = alike(atlas_of(noise(1, 3, *exemplar)), 2)[1]
    others = kept[(kept[:, 0] != kept[:, 1])].unique()
    assert (len(others) <= 20) == (exemplar == (8, 64))


def test_the_best_look_alike_comes_first() -> None:
    """Against all distances at once."""
    atlas = atlas_of(spots(24, 24))
    table, picks = alike(atlas, 2)
    usable = atlas.valid.nonzero()[:, 0]
    distance = torch.cdist(table[usable], table[usable])
    distance[apart(atlas, usable[:, None], usable[None]) < SHORTEST_JUMP] = torch.inf
    best = distance.min(1).values
    assert torch.allclose((table[usable] - table[picks[usable, 0]]).norm(dim=1), best, atol=1e-3)
    assert ((table[usable] - table[picks[usable, 1]]).norm(dim=1) >= best - 1e-3).all()


def test_a_repeated_object_is_found() -> None:
    """A picture that stands there twice: the look-alike is the same place in the other one."""
    half = spots(24, 24)
    atlas = atlas_of(half, half)
    picks = alike(atlas, 1)[1][:, 0].long()
    twin = atlas.rows * atlas.row
    usable = atlas.valid.nonzero()[:, 0]
    assert torch.equal(picks[usable], (usable + twin) % (2 * twin))


def refined(valid: Tensor, narrow: bool) -> tuple[Atlas, Tensor, Tensor, Tensor, Atlas]:
    """An atlas, its look-alikes, which pixels have one, the coarse look-alikes, and the coarse atlas."""
    task = Task((Exemplar("a", spots(40, 48), valid),), (16, 16))
    coarse, fine = (build_atlas(t, COPY_SETS["flips"], PATCH // 2) for t in (task.at(1), task))
    parents = alike(coarse)[1]
    wanted = surroundings(fine, fine.valid.nonzero()[:100, 0]) if narrow else fine.valid
    table = describe(fine, find_basis(fine, PATCH, 24, generator()), wanted)
    return fine, finer_look_alikes(fine, table, parents, coarse, wanted, wanted), wanted, parents, coarse


@pytest.mark.parametrize("narrow", [False, True])
def test_finer_look_alikes_lie_near_their_parents_doubled(narrow: bool) -> None:
    """Within a pixel, and never outside what is described; what is not described itself has none."""
    atlas, picks, wanted, parents, coarse = refined(noise(1, 1, 40, 48, seed=6) > 0.1, narrow)
    assert bool((atlas.valid & ~wanted).any()) == narrow
    some = wanted.nonzero()[:, 0]
    plane, y, x = atlas.split(some)
    parent = coarse.join(plane, y // 2, x // 2)
    moved = 0
    for k in range(3):
        pick = picks[some, k].long()
        assert wanted[pick].all()
        p, py, px = coarse.split(parents[parent, k].long())
        centre = atlas.join(p, 2 * py + y % 2, 2 * px + x % 2)
        stays = pick == some  # where nothing near the doubled parent is described
        assert ((apart(atlas, pick, centre) <= 1) | stays).all()
        moved += int((~stays).sum())
    assert moved > (0.05 if narrow else 0.98) * 3 * len(some)
    rest = (~wanted).nonzero()
    assert (picks[rest[:, 0]] == rest).all()


def test_surroundings_are_what_lies_within_reach() -> None:
    valid = noise(1, 1, 60, 80, seed=2) > 0.1
    atlas = atlas_of(spots(60, 80), spots(60, 80, seed=1), valid=valid)
    used = atlas.valid.nonzero()[[700, 715, -20], 0]
    every = torch.arange(len(atlas.valid))
    near = torch.stack([apart(atlas, every, u) <= REACH for u in used]).any(0)
    assert torch.equal(surroundings(atlas, used), near & atlas.valid)


def test_descriptors_keep_distances() -> None:
    """With all directions kept, the squared distance of two descriptors is that of the weighted windows, in units of
    their variance; and wanting few pixels changes none of theirs."""
    atlas = atlas_of(spots(20, 24))
    basis = exact_basis(atlas)
    wanted = atlas.valid & (torch.rand(len(atlas.valid), generator=generator()) < 0.05)
    table, part = described(atlas, basis), describe(atlas, basis, wanted)
    assert torch.allclose(table[wanted], part[wanted], atol=1e-4)
    some = atlas.valid.nonzero()[::7, 0]
    raw, short = (raw_windows(atlas) * window_weight())[some], table[some]
    assert torch.allclose(torch.cdist(short, short) ** 2, torch.cdist(raw, raw) ** 2 / basis.variance, atol=2e-2)
    assert float((table[atlas.valid] ** 2).sum(1).mean()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("tile", [(False, False), (True, True)])
def test_a_field_goes_on_beyond_its_ends(tile: tuple[bool, bool]) -> None:
    """Wrapped where it tiles, else on through the border pixel's own copy."""
    atlas = atlas_of(noise(1, 3, 20, 20))
    field = copying(atlas, *(t + 5 for t in grid(8, 9)), tile)
    wrapped = F.pad(field.index[None, None].double(), (2,) * 4, mode="circular")[0, 0].long()
    assert torch.equal(extend(field, 2), wrapped if tile[0] else copying(atlas, *(t + 3 for t in grid(12, 13))).index)


def test_only_pixels_near_seams_are_active() -> None:
    atlas = atlas_of(noise(1, 3, 40, 60))
    y, x = (t + 5 for t in grid(24, 40))
    field = copying(atlas, y, x + 7 * (x >= 25))  # the seam lies between columns 19 and 20
    assert torch.equal(near_seams(field, 3), ((grid(24, 40)[1] - 19.5).abs() < 4.5))
    assert not near_seams(copying(atlas, y, x), 3).any()
    assert near_seams(copying(atlas, y, x, (True, True)), 3)[0].all()


def test_a_coherent_field_does_not_change() -> None:
    """Inside the exemplar, and from corner to corner of it: nothing moves and nothing costs."""
    atlas = atlas_of(spots(40, 44))
    space = space_of(atlas)
    for y, x in (tuple(t + 6 for t in grid(28, 30)), grid(40, 44)):
        field = copying(atlas, y, x)
        done = sweep(field, space, Prices(free(atlas.valid), 1.0))
        assert torch.equal(done.index, field.index)
        assert float(done.cost.max()) < 1e-6


def test_a_period_that_tiles_does_not_change() -> None:
    """One period of a picture that repeats: its seam is at the wrap only, and costs nothing there."""
    atlas = atlas_of(noise(1, 3, 20, 16).repeat(1, 1, 3, 3))
    field = copying(atlas, *(t + 12 for t in grid(20, 16)), (True, True))
    assert near_seams(field, 3).any()
    done = sweep(field, space_of(atlas), Prices(free(atlas.valid), 1.0))
    assert float(done.cost.max()) < 1e-6
    assert torch.equal(done.image(), field.image())


@pytest.mark.parametrize("copies", ["none", "all"])
def test_sweeping_lowers_the_distance_of_windows(copies: str) -> None:
    """From pixels at random to under half, by a measure of raw windows that the solver does not use."""
    atlas = atlas_of(spots(36, 40), copies=copies)
    space, course = space_of(atlas), [scattered(atlas, (40, 40))]
    for _ in range(6):
        course.append(sweep(course[-1], space, Prices(free(atlas.valid), 1.0)))
    off = [mismatch(field) for field in course]
    assert off[1] < 0.8 * off[0]
    assert off[-1] < 0.5 * off[0]
    assert off[-1] == pytest.approx(min(off), rel=0.2)


def test_the_cost_is_the_distance_of_windows() -> None:
    """With all directions kept and nothing that can move, the cost is the measured distance."""
    atlas = atlas_of(spots(30, 30))
    basis = exact_basis(atlas)
    no_jumps = torch.arange(len(atlas.valid), dtype=torch.int32)[:, None]
    space = Space(atlas, basis, described(atlas, basis), atlas.valid, no_jumps)
    field = scattered(atlas, (16, 16))
    done = sweep(field, space, Prices(free(torch.zeros_like(atlas.valid)), 1.0))
    assert torch.equal(done.index, field.index)
    source = raw_windows(atlas)[field.index[2:-2, 2:-2].flatten()]
    difference = (F.unfold(field.image(), PATCH)[0].T - source) * window_weight()
    expected = difference.square().sum(1) / basis.variance
    assert torch.allclose(done.cost[2:-2, 2:-2].flatten(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_pixel_of_infinite_price_is_never_chosen(seed: int) -> None:
    """Though it would match better: only the left half has a price that can be paid."""
    atlas = atlas_of(spots(36, 36))
    left = atlas.valid & (columns(atlas) < 18)
    y, x = (torch.randint(n, (30, 30), generator=generator(seed)) for n in (36, 18))
    field = swept(copying(atlas, y, x), space_of(atlas), Prices(free(left), 1.0))
    assert left[field.index].all()


def test_jumps_are_taken_less_the_dearer_they_are() -> None:
    """kappa multiplies the distance of a jump."""
    atlas = atlas_of(spots(36, 36))
    space, start = space_of(atlas), scattered(atlas, (32, 32))

    def pieces(kappa: float) -> float:
        field = swept(start, space, Prices(free(atlas.valid), kappa))
        return float((field.index[:, 1:] != field.index[:, :-1] + 1).float().mean())

    assert pieces(100.0) < pieces(1.0)


def test_a_price_is_avoided() -> None:
    atlas = atlas_of(spots(36, 36))
    space, start, right = space_of(atlas), scattered(atlas, (32, 32)), columns(atlas) >= 18

    def share(price: float) -> float:
        field = swept(start, space, Prices(free(atlas.valid) + price * right, 1.0))
        return float(right[field.index].float().mean())

    assert share(0.3) < 0.6 * share(0.0)


def test_a_pass_follows_guides() -> None:
    """A guide far above all distances of windows moves every pixel it wants elsewhere."""
    atlas = atlas_of(noise(1, 3, 24, 24))
    goal = torch.ones(24, 24, 1)
    guiding = Guiding((columns(atlas) >= 12).float()[:, None], goal, torch.full_like(goal, 1000.0))
    field = copying(atlas, *grid(24, 24))
    done = sweep(field, space_of(atlas), Prices(free(atlas.valid), 1.0, guiding), generator())
    assert float(guiding.price(field.index).mean()) > 400
    assert float(guiding.price(done.index).max()) == 0
