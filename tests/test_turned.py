"""Copies turned along a direction field: what is turned exactly stays exact, what flows flows, nothing leaks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fields import field_of, free, grid
from pictures import box, directions, generator, noise
from texsynth.field.atlas import Atlas, Field, build_atlas, double, turn, turn_guide
from texsynth.field.follow import follow
from texsynth.field.geometry import heading, rotated, turned_back
from texsynth.field.guide import Guiding, Prices, encode
from texsynth.field.turned import space as turned_space
from texsynth.field.turned.space import TurnedSpace
from texsynth.field.turned.start import PieceRules, start
from texsynth.field.turned.sweep import copies_of, extend, refresh, sweep
from texsynth.field.turned.walk import walk
from texsynth.guidance import orientation
from texsynth.task import Exemplar, Guide, Task

PATCH = 5
RULES = PieceRules(block=0.5, overlap=0.5, spread=0.1, tries=8, starts=1)
LEVEL = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)  # the direction of a row
MOVES = ("none", "rotate-90", "rotate-180", "rotate-270")


def stripes(size: int, seed: int = 0) -> Tensor:
    """Level stripes of changing brightness, (1, 3, size, size)."""
    y, x = grid(size, size)
    wave = 0.5 + 0.25 * torch.sin(2 * math.pi * y / 6) + 0.1 * torch.sin(2 * math.pi * x / 23 + seed)
    return wave + 0.1 * noise(1, 3, size, size, seed=seed)


def asked(images: list[Tensor], sources: list[Tensor], target: Tensor, **more: object) -> Task:
    guide = Guide("direction", tuple(sources), target, 1.0, "direction")
    exemplars = tuple(Exemplar(f"e{n}", image) for n, image in enumerate(images))
    return Task(exemplars, (target.shape[2], target.shape[3]), guides=(guide,), **more)  # type: ignore[arg-type]


def flowing(*size: int, seed: int = 0, **more: object) -> Task:
    """Stripes that are to flow along a field of directions of this size."""
    return asked([stripes(24)], [directions(24, 24)], directions(*size, seed=seed), **more)


def prepared(task: Task, rng: torch.Generator) -> TurnedSpace:
    atlas = build_atlas(task, ("none",), turned_space.margin(PATCH))
    frames = turned_space.find_frames(task.guides[0], atlas)
    basis = turned_space.find_basis(atlas, frames, PATCH, 16, rng)
    return turned_space.describe(atlas, frames, basis, atlas.valid, rng)


def begun(task: Task) -> tuple[TurnedSpace, Field]:
    """The search space of a task and the quilt that its field begins with."""
    space = prepared(task, generator())
    return space, start(space, task.size, task.tile, RULES, generator())


def synthesised(task: Task, levels: int = 2, passes: int = 2, seed: int = 0) -> Field:
    """A whole run, coarse to fine."""
    rng, field = generator(seed), None
    for level in range(levels - 1, -1, -1):
        now = task.at(level)
        space = prepared(now, rng)
        guiding = encode(now.guides[1:], space.atlas)
        if field is None:
            field = start(space, now.size, now.tile, RULES, rng, guiding)
        else:
            field = refresh(double(field, space.atlas, now.size), space.frames)
        for _ in range(passes):
            field = sweep(field, space, Prices(free(space.described), 2.5, guiding), rng)
    assert field is not None
    return field


def swept(field: Field, space: TurnedSpace, rng: torch.Generator | None = None, jump: float = 2.5) -> Field:
    """The field after one pass that charges for nothing but jumps."""
    return sweep(field, space, Prices(free(space.described), jump), rng or generator())


def turned_plane(atlas: Atlas, plane: int, move: str) -> Field:
    """The field that copies one plane from corner to corner, turned by quarter turns."""
    h, w = atlas.shapes[plane]
    place = turn(torch.stack(grid(h, w))[None], move)[0].permute(1, 2, 0)
    angle = torch.full(place.shape[:2], -math.pi / 2 * MOVES.index(move))
    index = atlas.join(torch.full_like(place[..., 0], plane), place[..., 0], place[..., 1])
    return replace(field_of(atlas, index), place=place.float(), angle=angle)


@pytest.mark.parametrize("plane", [0, 1])
@pytest.mark.parametrize("move", MOVES)
def test_a_whole_turned_source_fits_without_cost(move: str, plane: int) -> None:
    """Where the target is the source's field of directions, turned, the source turned with it is the solution. The
    sign of a direction does not matter."""
    images, fields = [noise(1, 3, 20, 26), noise(1, 3, 17, 22, seed=1)], [directions(20, 26), directions(17, 22)]
    target = turn_guide(fields[plane], move, "direction")
    task = asked(images, fields, target * (noise(*target.shape[2:]) - 0.5).sign())
    space = prepared(task, generator())
    field = turned_plane(space.atlas, plane, move)
    assert torch.equal(field.image(), turn(images[plane], move))
    after = swept(field, space)
    assert float(after.cost.max()) < 1e-6
    assert after.place is not None and field.place is not None and after.angle is not None
    assert torch.allclose(after.place, field.place, atol=1e-3)
    same = (after.angle - field.angle).cos()
    same[:: len(same) - 1, :: same.shape[1] - 1] = 1  # at the corners, reflected twice, windows fit either way round
    assert float(same.min()) > 0.999


def test_windows_turned_by_half_a_turn_change_signs_only() -> None:
    space = prepared(asked([noise(1, 3, 20, 26)], [directions(20, 26)], directions(9, 9)), generator())
    picture, place, turn = noise(30, 30, 3, seed=2), 8 + 12 * noise(40, 2), heading(6 * noise(40, seed=3))
    one, other = (space.basis.describe(picture, place, way) for way in (turn, -turn))
    assert torch.allclose(other, one * space.basis.mirror, atol=1e-4)
    assert {-1.0, 1.0} == set(space.basis.mirror.tolist())


@pytest.mark.parametrize("degrees", [10, 45, 100, 170])
def test_windows_turn_with_the_picture(degrees: float) -> None:
    """A picture and its frame turned by any angle keep their descriptors, but for what interpolation loses, and for
    what the nearest quarter of a pixel does: a four-hundredth of an average window."""

    def scene(place: Tensor) -> Tensor:
        y, x = place.unbind(-1)
        return torch.stack([(x / 3).sin(), (y / 4 + x / 5).cos(), (x / 6 - y / 3).sin()], -1)

    space = prepared(asked([noise(1, 3, 20, 26)], [directions(20, 26)], directions(9, 9)), generator())
    angle, middle = torch.tensor(math.radians(degrees)), torch.tensor([20.0, 20.0])
    at = torch.stack(grid(41, 41), -1).float()
    before, after = scene(at), scene(middle + rotated(-angle, at - middle))
    here = heading(torch.zeros(1))
    expected = space.basis.describe(before, middle[None], here)
    turned_along = space.basis.describe(after, middle[None], heading(angle[None]))
    wrong = space.basis.describe(after, middle[None], here)
    error, most = (float((each - expected).square().sum()) for each in (turned_along, wrong))
    assert error < 0.01 * most + 0.0025


@pytest.mark.parametrize("target", ["circle", "s-curve", "angle:35"])
def test_a_texture_of_one_direction_flows_along_any_other(target: str) -> None:
    wanted = orientation.built_in(target, (96, 96))
    assert wanted is not None
    image = synthesised(asked([stripes(48)], [LEVEL.expand(1, 2, 48, 48)], wanted)).image()
    flow, clear = orientation.structure(image)
    assert orientation.angle_error(flow, wanted, (clear > clear.median()).float()) < 8


def test_the_same_seed_gives_the_same_field() -> None:
    task = flowing(31, 40, seed=1)
    one, again, other = (synthesised(task, seed=seed) for seed in (1, 1, 2))
    for name in ("index", "place", "angle", "cost"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.index, other.index)


def test_a_pass_makes_a_field_better() -> None:
    (space, field), rng = begun(flowing(31, 40, seed=1)), generator()
    costs = []
    for _ in range(4):
        field = swept(field, space, rng)
        costs.append(float(field.cost.mean()))
    assert costs[-1] < 0.8 * costs[0]


def test_along_what_does_not_change_copies_relax() -> None:
    """Shaken along stripes, where no window tells, pixels calm down towards where their neighbours continue to."""
    wave = 0.5 + 0.4 * torch.sin(torch.arange(30.0))
    upright = LEVEL.flip(1).expand(1, 2, 30, 30)
    space = prepared(asked([wave.expand(1, 3, 30, 30)], [upright], upright), generator())
    still = turned_plane(space.atlas, 0, "none")
    shake = 0.4 * (noise(30, 30, 2) - 0.5) * torch.tensor([1.0, 0.0])
    assert still.place is not None
    calm = swept(replace(still, place=still.place + shake), space, jump=100).place
    assert calm is not None
    assert float((calm - still.place)[3:-3, 3:-3, 0].std()) < 0.25 * float(shake[..., 0].std())


@pytest.mark.parametrize("begin", [0.3, 2.0, 4.5])
def test_a_walk_follows_the_lines(begin: float) -> None:
    """In the frame of circles, a way straight ahead goes round, across the angle where directions start again."""
    start_at = 10 * torch.tensor([math.sin(begin), math.cos(begin)])

    def frame(at: Tensor, _: float) -> Tensor:
        return heading(torch.atan(-at[..., 1] / at[..., 0]))

    for way in (-6.0, 6.0):
        place, turn = walk(start_at, torch.tensor([0.0, way]), frame, frame(start_at, 0.0))
        assert float(place.norm()) == pytest.approx(10, abs=0.6)  # straight on it would be 11.7
        assert float((place - start_at).norm()) == pytest.approx(5.9, abs=0.2)
        assert float(turn @ frame(start_at, 0.0)) == pytest.approx(math.cos(0.55), abs=0.1)


def test_what_may_not_be_copied_never_is() -> None:
    """Neither as a pointer nor as a tint between pixels: everything forbidden is green, all else is red."""
    image, valid = stripes(32), ~torch.from_numpy(box(32, 32, (9, 14, 5, 20), (0, 32, 27, 28)))[None, None]
    image[:, 1:] = 0
    image = torch.where(valid, image, torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1))
    task = asked([image], [directions(32, 32)], directions(40, 40, seed=1))
    task = replace(task, exemplars=(Exemplar("holed", image, valid),))
    field = synthesised(task, levels=1)
    for each in (field, double(synthesised(task.at(1), levels=1), field.atlas, task.size)):
        assert each.atlas.valid[each.index].all()
        assert float(each.image()[:, 1].max()) == 0


def test_a_tiling_output_has_no_border() -> None:
    """Moved round, it is improved to the same, moved round."""
    slant = torch.tensor([0.6, 0.8]).view(1, 2, 1, 1).expand(1, 2, 24, 20)
    space, field = begun(asked([stripes(24)], [directions(24, 24)], slant, tile=(True, True)))
    shift = {name: getattr(field, name).roll((7, 9), (0, 1)) for name in ("index", "place", "angle", "cost")}
    one, other = (swept(each, space) for each in (field, replace(field, **shift)))
    assert torch.equal(other.index, one.index.roll((7, 9), (0, 1)))
    assert torch.allclose(other.image(), one.image().roll((7, 9), (2, 3)), atol=1e-5)


def test_open_borders_do_not_wrap() -> None:
    wide = extend(copies_of(begun(flowing(24, 20))[1]), (False, False), 3)
    assert wide.place.shape == (30, 26, 2)
    step = turned_back(wide.turn, torch.tensor([0.0, 1.0]).expand_as(wide.place))
    assert torch.allclose(wide.place.diff(dim=1)[:, :3], step[:, :3], atol=1e-4)  # the border pixel's copy, continued


def test_a_remix_uses_every_exemplar() -> None:
    images, sources = [stripes(24), 0.3 * stripes(24, seed=5)], [directions(24, 24), directions(24, 24, seed=1)]
    field = synthesised(asked(images, sources, directions(64, 64)), levels=1)
    share = float((field.atlas.split(field.index)[0] == 1).float().mean())
    assert 0.2 < share < 0.8


@pytest.mark.parametrize("passes", [0, 2])
def test_other_guides_are_followed_too(passes: int) -> None:
    """Left from the first exemplar, right from the second; nearly so before any pass."""
    task = asked([stripes(24), stripes(24, seed=5)], [directions(24, 24), directions(24, 24)], directions(40, 40))
    side = (torch.arange(40) >= 20).float().expand(1, 1, 40, 40).contiguous()
    parts = Guide("part", (torch.zeros(1, 1, 24, 24), torch.ones(1, 1, 24, 24)), side, 10.0)
    field = synthesised(replace(task, guides=(*task.guides, parts)), passes=passes)
    missed = float((field.atlas.split(field.index)[0] != side[0, 0]).float().mean())
    assert missed <= (0.2 if passes == 0 else 0.0)


def test_a_guide_counts_by_its_strength() -> None:
    """Without any, only prices are left to choose by: of two alike exemplars the cheaper one."""
    space, field = begun(asked([stripes(24)] * 2, [directions(24, 24)] * 2, directions(30, 30)))
    plane = space.atlas.split(torch.arange(len(space.table)))[0]
    dear, table = free(space.described) + 0.5 * (plane == 0), plane.float()[:, None]
    for strength, expected in ((0.0, 1.0), (5.0, 0.0)):
        guiding = Guiding(table, torch.zeros(30, 30, 1), torch.full((30, 30, 1), strength))
        after = field
        for _ in range(3):
            after = sweep(after, space, Prices(dear, 2.5, guiding), generator())
        assert float(after.atlas.split(after.index)[0].float().mean()) == pytest.approx(expected, abs=0.1)


def test_normals_turn_with_their_copies() -> None:
    """Vectors along the source's direction arrive along the target's, whichever sign each has."""
    source, target = directions(24, 24), directions(40, 40, seed=2)
    field = synthesised(flowing(40, 40, seed=2), levels=1)
    up = torch.cat([source[:, :1], -source[:, 1:], torch.zeros(1, 1, 24, 24)], 1)  # in a normal map y points up
    out = 2 * follow(field, [(up + 1) / 2], "normal") - 1
    across = out[:, 0] * target[:, 1] + out[:, 1] * target[:, 0]
    assert float(across.abs().max()) < 1e-4
    assert torch.allclose(out[:, :2].norm(dim=1), torch.ones(1, 40, 40), atol=1e-4)


def test_a_whirl_does_not_break_anything() -> None:
    """Directions that have no value in the middle, in the source and in the output."""
    circle = orientation.built_in("circle", (33, 33))
    assert circle is not None
    field = synthesised(asked([noise(1, 3, 33, 33)], [circle], circle))
    assert field.place is not None and field.angle is not None
    for values in (field.image(), field.cost, field.place, field.angle):
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("size", [(5, 40), (3, 3), (64, 7)])
def test_small_and_narrow_outputs_are_covered(size: tuple[int, int]) -> None:
    for tile in ((False, False), (True, True)):
        field = synthesised(flowing(*size, tile=tile), levels=1)
        assert field.size == size and field.atlas.valid[field.index].all()


def test_dear_parts_are_left() -> None:
    """A price on half of the source moves the output to the other half."""
    (space, field), rng = begun(asked([stripes(32)], [directions(32, 32)], directions(40, 40))), generator()
    left = space.atlas.split(torch.arange(len(space.table)))[2] < 16
    for _ in range(6):
        field = sweep(field, space, Prices(free(space.described) + 3.0 * left, 2.5), rng)
    assert float(left[field.index].float().mean()) < 0.1
