"""The native core gives the same bytes as the tensor operations, and is not missed where it is not built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import Texsynth, array
from fields import atlas_of, scattered
from pictures import directions, generator, noise, spots
from texsynth import native
from texsynth.cli import doctor
from texsynth.field.align import align
from texsynth.field.atlas import COPY_SETS, Atlas, Field
from texsynth.field.guide import Guiding, Prices
from texsynth.field.magnify.carry import carry
from texsynth.field.magnify.mend import mend
from texsynth.field.magnify.sheet import Pointers, Sheet, lay
from texsynth.field.magnify.slide import slide
from texsynth.field.magnify.tone import enlarged
from texsynth.field.quilt import largest_blocks, sums_of_sites
from texsynth.field.quilting import Candidates, cheapest_cuts, path
from texsynth.field.recut import cheapest_closed_cuts, rings, seams
from texsynth.field.space import Space, describe, find_basis, finer_look_alikes, look_alikes
from texsynth.field.sweep import near_seams, sweep
from texsynth.field.turned import space as turned_space
from texsynth.field.turned import sweep as turned
from texsynth.field.turned.start import PieceRules, start
from texsynth.image import picture as image
from texsynth.image.tone import Equations, change
from texsynth.native.sums import in_lanes, in_turn
from texsynth.patches.shortlist import KEPT, LANES, least_of_rows, shortlist
from texsynth.task import Exemplar, Guide

built = pytest.mark.skipif(native.core() is None, reason=f"the native core is {native.describe()}")
TILES = [(False, False), (True, False), (False, True), (True, True)]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """What a function gives with the native core, which it must use, in one thread and in three, and without it."""
    kernel = native.kernel

    def used(name: str, *tensors: Tensor) -> Any:
        twin = kernel(name, *tensors)
        assert twin is not None, f"{name} is not used"
        return twin

    def run(function: Callable[[], Any]) -> list[Any]:
        results = []
        monkeypatch.setattr(native, "kernel", used)
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(function())
        torch.set_num_threads(1)
        with monkeypatch.context() as patch:
            patch.setattr(native, "kernel", lambda *_: None)
            return [*results, function()]

    return run


def same(fields: list[Field]) -> bool:
    return all(torch.equal(fields[0].index, f.index) and torch.equal(fields[0].cost, f.cost) for f in fields[1:])


def errors(kind: str, shape: tuple[int, ...], wall: float) -> Tensor:
    """Errors of a kind that is hard to tell apart, or at the limits of what there is."""
    values = noise(*shape, seed=3)
    if kind == "ties":
        return (values * 3).floor()
    if kind == "walls":
        return torch.where(values < 0.5, wall, values)
    return values - 0.1 if kind == "below nothing" else values


@built
@pytest.mark.parametrize("kind", ["any", "ties", "walls", "below nothing"])
@pytest.mark.parametrize("slope", [0.0, 0.7])
def test_paths(kind: str, slope: float, both: Callable[..., list[Any]]) -> None:
    for shape in ((70, 24, 9), (200, 7, 16), (3, 1, 5), (5, 6, 1), (1, 1, 1), (0, 4, 4), (4, 9, 2)):
        one, *others = both(lambda shape=shape: path(errors(kind, shape, 1e30 if slope else torch.inf), slope))
        for other in others:
            assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]), shape


@built
def test_a_path_of_nothing_is_refused_by_both(both: Callable[..., list[Any]]) -> None:
    def refused() -> bool:
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            path(torch.zeros(2, 3, 0))
        return True

    assert all(both(refused))


def space_of(atlas: Atlas, components: int, ties: bool = False) -> Space:
    """A space whose descriptors are such that candidates often cost the same."""
    basis = find_basis(atlas, 5, components, generator())
    table = describe(atlas, basis, atlas.valid)
    table = (table * 2).round() if ties else table
    return Space(atlas, basis, table, atlas.valid, look_alikes(atlas, table, atlas.valid, 3, generator()))


@built
@pytest.mark.parametrize(("components", "ties", "further"), [(24, False, 0), (5, False, 2), (11, True, 0)])
@pytest.mark.parametrize("tile", TILES)
def test_passes(
    components: int, ties: bool, further: int, tile: tuple[bool, bool], both: Callable[..., list[Any]]
) -> None:
    """On pieces and on single pixels, by colours and by maps beside them; some pixels may not be copied."""
    valid = noise(1, 1, 24, 30, seed=2) > 0.03
    atlas = atlas_of(spots(24, 30), spots(24, 30, 5), valid=valid, further=further)
    space = space_of(atlas, components, ties)
    price = torch.where(atlas.valid, (noise(len(atlas.valid)) * 4).round() / 8 - 0.2, torch.inf)
    field = scattered(atlas, (40, 33), tile=tile)
    for _ in range(2):
        results = both(lambda field=field: sweep(field, space, Prices(price, 1.5)))
        assert same(results) and not torch.equal(results[0].index, field.index)
        field = results[0]


@built
@pytest.mark.parametrize("goals", [1, 9])
def test_passes_along_guides_and_beside_what_is_fixed(goals: int, both: Callable[..., list[Any]]) -> None:
    atlas = atlas_of(spots(24, 30))
    space, n = space_of(atlas, 24), len(atlas.valid)
    values = (noise(n, goals, seed=1) * 3).round()
    strength = noise(40, 33, 1, seed=6).expand(-1, -1, goals)
    guiding = Guiding(values, noise(40, 33, goals, seed=4), strength)
    prices = Prices(torch.where(atlas.valid, 0.0, torch.inf), 2.0, guiding)
    fixed = noise(40, 33, seed=9) < 0.2
    for still in (None, fixed):
        results = both(lambda still=still: sweep(scattered(atlas, (40, 33)), space, prices, generator(), still))
        assert same(results)


@built
@pytest.mark.parametrize(
    ("size", "tile", "further"), [((40, 33), TILES[0], 0), ((33, 24), TILES[3], 0), ((3, 50), TILES[1], 3)]
)
def test_turned_copies(
    size: tuple[int, int], tile: tuple[bool, bool], further: int, both: Callable[..., list[Any]]
) -> None:
    """From two sources of which parts may not be copied, along directions that turn, with a guide and without."""
    valid, margin = noise(1, 1, 24, 30, seed=2) > 0.03, turned_space.margin(5)
    atlas = atlas_of(spots(24, 30), spots(24, 30, 5), valid=valid, margin=margin, further=further)
    sources = (directions(24, 30), directions(24, 30, seed=1))
    frames = turned_space.find_frames(Guide("direction", sources, directions(*size, seed=2), 1.0, "direction"), atlas)
    basis = turned_space.find_basis(atlas, frames, 5, 11, generator())
    spaces = both(lambda: turned_space.describe(atlas, frames, basis, atlas.valid, generator()))
    assert all(torch.equal(spaces[0].table, other.table) for other in spaces[1:])
    rules = PieceRules(block=0.5, overlap=0.5, spread=0.1, tries=4, starts=1)
    one, *others = both(lambda: start(spaces[0], size, tile, rules, generator()))
    for other in others:
        assert torch.equal(one.index, other.index) and torch.equal(one.place, other.place)
        assert torch.equal(one.angle, other.angle)
    field = scattered(atlas, size, tile=tile)
    place = torch.stack(atlas.split(field.index)[1:], -1) + (noise(*size, 2, seed=7) - 0.5)
    field = replace(field, place=place, angle=6 * noise(*size, seed=8))
    guiding = Guiding((noise(len(atlas.valid), 2) * 3).round(), noise(*size, 2, seed=4), noise(*size, 2, seed=6))
    price = torch.where(atlas.valid, (noise(len(atlas.valid)) * 4).round() / 8 - 0.2, torch.inf)
    for guide in (None, guiding):
        prices = Prices(price, 1.5, guide)
        results = both(lambda field=field, prices=prices: turned.sweep(field, spaces[0], prices, generator()))
        assert same(results) and not torch.equal(results[0].index, field.index)
        assert all(
            torch.equal(results[0].place, f.place) and torch.equal(results[0].angle, f.angle) for f in results[1:]
        )
        field = results[0]
    one, *others = both(field.image)
    assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize("size", [(30, 41), (1, 17), (9, 1)])
@pytest.mark.parametrize("tile", TILES)
def test_what_lies_near_seams(size: tuple[int, int], tile: tuple[bool, bool], both: Callable[..., list[Any]]) -> None:
    """Of a field with a few seams, of one of nothing but seams, and of one with none."""
    atlas = atlas_of(spots(44, 48), valid=noise(1, 1, 44, 48) > 0.001)
    whole = scattered(atlas, size, tile=tile)
    rows, columns = (torch.arange(n) for n in size)
    index = atlas.join(torch.tensor(0), rows[:, None] % 31, columns.expand(*size))
    for field in (whole, replace(whole, index=index), replace(whole, index=index % 7 + index)):
        for radius in (1, 5):
            one, *others = both(lambda field=field, radius=radius: near_seams(field, radius))
            assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(("levels", "further"), [(1000, 0), (1000, 4), (2, 0)])
def test_sliding(tile: tuple[bool, bool], levels: int, further: int, both: Callable[..., list[Any]]) -> None:
    """Of pieces of many sizes, also where many shifts cost the same."""
    atlas = atlas_of((spots(30, 30) * levels).round() / levels, further=further)
    coarse = scattered(atlas, (9, 8), tile=tile).index
    rows, columns = torch.arange(36), torch.arange(32)
    plane, y, x = atlas.split(coarse.repeat_interleave(4, 0).repeat_interleave(4, 1))
    index = atlas.join(plane, y + rows[:, None] % 4, x + columns % 4)
    index = index.roll((1, 2), (0, 1))  # across the wrap pieces go on
    field = replace(scattered(atlas, (36, 32), tile=tile), index=index)
    fixed = noise(36, 32) < 0.002
    for still in (None, fixed):
        results = both(lambda still=still: align(field, 6, generator(), still))
        assert same(results) and not torch.equal(results[0].index, index)


@built
@pytest.mark.parametrize("levels", [1000, 2])
def test_look_alikes(levels: int, both: Callable[..., list[Any]]) -> None:
    """On two levels, also where many windows are alike, and some may not be copied."""
    coarse, fine = (
        atlas_of((spots(n, n) * levels).round() / levels, valid=noise(1, 1, n, n, seed=2) > 0.03) for n in (20, 40)
    )
    basis = find_basis(coarse, 5, 24, generator())
    table, finer = (describe(atlas, basis, atlas.valid) for atlas in (coarse, fine))
    few = torch.zeros_like(coarse.valid)
    few[coarse.valid.nonzero()[:6, 0]] = True  # that lie so near each other that none is left
    for valid in (coarse.valid, few):
        atlas = replace(coarse, valid=valid)
        first, *others = both(lambda atlas=atlas: look_alikes(atlas, table, coarse.valid, 3, generator()))
        assert all(torch.equal(first, other) for other in others)
        asking, described = fine.valid, fine.valid & (noise(len(fine.valid)) < 0.5)
        task = finer, first, coarse, asking, described
        one, *others = both(lambda task=task: finer_look_alikes(fine, *task))
        assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize("size", [(40, 33), (1, 6), (6, 1), (9, 2)])
def test_changes_of_tone(size: tuple[int, int], both: Callable[..., list[Any]]) -> None:
    """By the whole multigrid, with weights that wrap and some pixels that must not change."""
    h, w = size
    weights = noise(1, 1, h, w), noise(1, 1, h, w, seed=1)
    hold = torch.where(noise(1, 1, h, w, seed=2) < 0.1, 1e6, 0.01)
    goal = noise(1, 3, h, w, seed=3) - 0.5
    one, *others = both(lambda: change(Equations(weights, hold), goal, (True, True)))
    assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize(("rows", "pieces", "count"), [(32, 70, 49), (1, 1200, 8), (5, 3, 3), (4, 0, 9)])
def test_sums_over_sites(rows: int, pieces: int, count: int, both: Callable[..., list[Any]]) -> None:
    values, weight = noise(rows, 60) - 0.5, noise(count, seed=1)
    sites = torch.randint(60, (pieces, count), generator=generator())
    one, *others = both(lambda: sums_of_sites(values, sites, weight))
    assert one.shape == (rows, pieces) and all(torch.equal(one, other) for other in others)


def candidates(side: int, places: int, tries: int, levels: int, channels: int) -> Candidates:
    """Candidates of noise with so many levels, whose cuts often cost the same where these are few."""
    atlas = atlas_of(noise(1, 3, side + 9, side + 7))
    blocks = largest_blocks(atlas, side, 0.5, generator(), (noise(len(atlas.valid), channels) * levels).floor())
    assert blocks is not None
    some = torch.randint(len(blocks.corners), (places, tries + 1), generator=generator(1))
    old = blocks.corners[some[:, -1:]] + blocks.inner
    price = (noise(places, tries) * levels).floor() / 4
    return Candidates(blocks.planes, blocks.corners[some[:, :-1]], blocks.inner, old, price, noise(places, 4) < 0.3)


@built
@pytest.mark.parametrize("levels", [1000, 2])
@pytest.mark.parametrize(
    ("side", "places", "tries", "channels"), [(12, 30, 8, 3), (7, 90, 1, 6), (5, 3, 2, 3), (6, 0, 4, 3)]
)
def test_cuts(side: int, places: int, tries: int, channels: int, levels: int, both: Callable[..., list[Any]]) -> None:
    """On four sides of a piece, of which some meet nothing; and round its middle, among old seams."""
    some = candidates(side, places, tries, levels, channels)
    painted = (noise(places, side, 1) + noise(places, 1, side, seed=1) < 1).flatten(1)
    one, *others = both(lambda: cheapest_cuts(some, painted, side // 2))
    assert all(torch.equal(a, b) for other in others for a, b in zip(one, other, strict=True))
    seam = (noise(places, side**2) * levels).floor()
    one, *others = both(lambda: cheapest_closed_cuts(some, seam, rings(side, seam.device)))
    assert all(torch.equal(a, b) for other in others for a, b in zip(one, other, strict=True))
    assert places == 0 or 0 < one[1].float().mean() < 1


@built
@pytest.mark.parametrize(("size", "further"), [((70, 33), 3), ((1, 9), 0), ((9, 1), 0)])
@pytest.mark.parametrize("tile", TILES)
def test_what_seams_cost(
    size: tuple[int, int], further: int, tile: tuple[bool, bool], both: Callable[..., list[Any]]
) -> None:
    """Of single pixels, and of rows whose neighbours lie outside of the atlas."""
    blocks = largest_blocks(atlas_of(spots(30, 26), margin=0, further=further), 8, 0.5, generator())
    assert blocks is not None
    for index in (scattered(blocks.atlas, size).index, torch.arange(size[1]).repeat(size[0], 1)):
        one, *others = both(lambda index=index: seams(blocks, index, tile))
        assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize(("patch", "components", "further"), [(5, 11, 0), (9, 24, 3), (3, 27, 0)])
def test_descriptors(patch: int, components: int, further: int, both: Callable[..., list[Any]]) -> None:
    """Of a picture of two colours at the ends of a range, whose sums are the largest, and of others; not of all."""
    for picture in (spots(40, 50).round() * 3 - 1, spots(40, 50), torch.full((1, 3, 12, 12), 0.3)):
        other = spots(20, 30) if picture.max() <= 1 else picture
        atlas = atlas_of(picture, other, copies="flips", further=further)
        basis = find_basis(atlas, patch, components, generator())
        wanted = atlas.valid & (noise(len(atlas.valid)) < 0.7)
        one, *others = both(lambda atlas=atlas, basis=basis, wanted=wanted: describe(atlas, basis, wanted)[wanted])
        assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize("kind", ["any", "ties", "walls", "below nothing"])
@pytest.mark.parametrize("columns", [LANES * (KEPT + 1), 1000, 2056])
def test_shortlists(kind: str, columns: int, both: Callable[..., list[Any]]) -> None:
    """They give the least of a row or say that they cannot, also where there are equals or next to nothing else."""
    costs, rise = errors(kind, (300, columns), torch.inf), noise(columns, seed=4) * 0.02
    rows = torch.randperm(300, generator=generator())[:210]
    if kind == "ties":
        rise = torch.zeros(columns)
    one, *others = both(lambda: (short := shortlist(costs), short.least(rows, rise), least_of_rows(costs, rows, rise)))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))
        if kind in ("any", "below nothing"):  # of equal groups any may be kept
            assert all(torch.equal(a, b) for a, b in zip(vars(one[0]).values(), vars(other[0]).values(), strict=True))
    wanted = (costs[rows] - rise).amin(1)
    sure = one[1] >= 0
    for columns_of, some in ((one[1], sure), (one[2], slice(None))):
        at = columns_of[some]
        assert torch.equal(costs[rows[some], at] - rise[at], wanted[some])
    assert kind != "any" or float(sure.float().mean()) > 0.5


def sheet_of(*images: Tensor, valid: Tensor | None = None, margin: int = 4) -> Sheet:
    return lay([Exemplar("e", image, valid) for image in images], COPY_SETS["flips"], margin)


@built
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pointers_of_a_finer_field(factor: int, both: Callable[..., list[Any]]) -> None:
    """From planes of two sizes with holes, the finer ones a little smaller than they might be."""
    sizes = (24, 30), (20, 33)
    coarse = atlas_of(*(spots(h, w) for h, w in sizes), copies="flips")
    field = scattered(coarse, (21, 12))
    field.index[:, 4:] = field.index[:, 4:] // 50 * 50 + torch.arange(8)  # runs of pixels
    for share in (0.0, 0.3, 0.9):
        fine = sheet_of(*(spots(h * factor - 1, w * factor - 1) for h, w in sizes))
        fine.valid[noise(fine.pixels // 7 + 1).repeat_interleave(7)[: fine.pixels] < share] = False

        def carried(pixels: int, fine: Sheet = fine) -> Tensor:
            out = torch.zeros(21 * factor - factor // 2, 12 * factor - factor // 2, dtype=torch.int32)
            return carry(Pointers(field.index.int(), coarse, TILES[0]), fine, factor, out, pixels).index

        one, *others = (index for some in (10000, 200) for index in both(lambda some=some: carried(some)))
        assert all(torch.equal(one, other) for other in others) and fine.valid[one.long()].all()


@dataclass(frozen=True)
class SomeGoals:
    """Guides of a field of 40 x 33 pixels, as a magnified field has them."""

    table: Tensor
    unit: float = 1e-5

    def rows(self, top: int, bottom: int) -> tuple[Tensor, Tensor]:
        goals = self.table.shape[1]
        return noise(40, 33, goals, seed=4)[top:bottom], noise(40, 33, goals, seed=6)[top:bottom]


def pieces_of(sheet: Sheet, size: tuple[int, int], side: int, tile: tuple[bool, bool] = TILES[0]) -> Pointers:
    """A field of pieces of so many pixels, shifted so that some go on across the wrap."""
    usable = sheet.valid.nonzero()[:, 0]
    rows, columns = (torch.arange(n) for n in size)
    count = [-(-n // side) for n in size]
    first = usable[torch.randint(len(usable), count, generator=generator())]
    plane, y, x = sheet.split(first[rows // side][:, columns // side])
    index = sheet.join(plane, y + (rows % side)[:, None], x + columns % side)
    index[~sheet.valid[index]] = usable[0]
    return Pointers(index.roll((side // 2, side // 3), (0, 1)).int(), sheet, tile)


@built
@pytest.mark.parametrize(("patch", "tile"), list(zip([3, 9, 11, 5], TILES, strict=True)))
def test_mending(patch: int, tile: tuple[bool, bool], both: Callable[..., list[Any]]) -> None:
    """Of pieces and of single pixels, beside holes and fixed pixels, along guides; windows end outside of the sheet."""
    valid = noise(1, 1, 24, 30, seed=2) > 0.03
    for levels, margin, side, goals, still in ((255, 4, 7, 0, False), (2, 1, 1, 0, True), (8, 2, 6, 3, True)):
        sheet = sheet_of(((spots(24, 30) * levels).round() / levels), spots(24, 30, 5), valid=valid, margin=margin)
        field = pieces_of(sheet, (40, 33), side, tile)
        fixed = noise(40, 33, seed=9) < 0.2 if still else None
        guide = SomeGoals((noise(sheet.pixels, goals, seed=1) * 3).round()) if goals else None

        def mended(pixels: int, sheet: Sheet = sheet, field: Pointers = field, more: Any = (fixed, guide)) -> Tensor:
            copy = replace(field, index=field.index.clone())
            mend(copy, sheet, patch, 2, *more, pixels=pixels)
            return copy.index

        one, *others = (index for some in (10000, 99) for index in both(lambda some=some, mended=mended: mended(some)))
        assert all(torch.equal(one, other) for other in others)
        moved = one != field.index
        assert moved.any() and sheet.valid[one[moved].long()].all() and not (still and moved[fixed].any())


@built
@pytest.mark.parametrize("tile", TILES)
def test_sliding_at_any_size(tile: tuple[bool, bool], both: Callable[..., list[Any]]) -> None:
    """Of pieces and of single pixels, of which some meet across the wrap, beside holes and fixed pixels."""
    valid = noise(1, 1, 24, 30, seed=2) > 0.001
    for levels, margin, side, still in ((255, 4, 7, False), (2, 1, 1, False), (8, 2, 6, True)):
        sheet = sheet_of(((spots(24, 30) * levels).round() / levels), spots(24, 30, 5), valid=valid, margin=margin)
        field = pieces_of(sheet, (40, 33), side, tile)
        fixed = noise(40, 33, seed=9) < 0.002 if still else None

        def slid(pixels: int, sheet: Sheet = sheet, field: Pointers = field, fixed: Any = fixed) -> Tensor:
            copy = replace(field, index=field.index.clone())
            slide(copy, sheet, 4, generator(), fixed, pixels)
            return copy.index

        one, *others = (index for some in (10000, 99) for index in both(lambda some=some, slid=slid: slid(some)))
        assert all(torch.equal(one, other) for other in others)
        moved = one != field.index
        assert moved.any() and sheet.valid[one[moved].long()].all() and not (still and moved[fixed].any())


@built
@pytest.mark.parametrize("factor", [1, 2, 3, 8])
@pytest.mark.parametrize("tile", TILES)
def test_changes_of_tone_at_a_finer_level(tile: tuple[bool, bool], factor: int, both: Callable[..., list[Any]]) -> None:
    """Of pieces that have slid, also by too much."""
    coarse, fine = (sheet_of(spots(24 * f, 30 * f), spots(20 * f, 33 * f)) for f in (1, factor))
    field, values = pieces_of(coarse, (19, 14), 5, tile), noise(1, 3, 19, 14, seed=3) - 0.5
    out = torch.zeros(19 * factor - factor // 2, 14 * factor, dtype=torch.int32)
    carried = carry(field, fine, factor, out)
    out += (noise(*out.shape, seed=5) < 0.5) * (fine.row * (factor // 2 + 3) - 1)
    one, *others = both(lambda: enlarged(values, field, carried, factor, 0, out.shape[0]))
    parts = [enlarged(values, field, carried, factor, *rows) for rows in ((0, 5), (5, out.shape[0]))]
    assert all(torch.equal(one, other) for other in (*others, torch.cat(parts, 2)))


def test_sums_are_those_of_any_order_but_for_rounding() -> None:
    for count in (1, 3, 8, 11, 24, 75):
        values = noise(6, count)
        assert torch.allclose(in_lanes(values), values.sum(1)) and torch.allclose(in_turn(values), values.sum(1))
    assert in_lanes(torch.zeros(0, 24)).shape == (0,)


@built
def test_a_whole_picture(texsynth: Texsynth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image.write(tmp_path / "a.png", image.Picture(spots(48, 40)))
    names = []
    for name in ("with", "without"):
        names.append(str(tmp_path / f"{name}.png"))
        assert texsynth("synthesize", "a.png", "-o", names[-1], "-s", "96x80", "--tile", "x").code == 0
        monkeypatch.setattr(native, "core", lambda: None)
    assert (array(names[0]) == array(names[1])).all()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the doctor says so."""
    monkeypatch.setenv(native.SWITCH, "0")
    native.loaded.cache_clear()
    try:
        assert native.kernel("path", torch.zeros(1, 1, 1)) is None
        assert doctor.native() == {"used": False, "message": "switched off by TEXSYNTH_NATIVE=0"}
    finally:
        native.loaded.cache_clear()


@built
def test_it_takes_only_what_it_can_read() -> None:
    plain = torch.zeros(2, 3, 4)
    assert native.kernel("path", plain) is not None
    for other in (plain.double(), plain.transpose(0, 1), plain.to("meta"), plain.clone().requires_grad_()):
        assert native.kernel("path", other) is None
