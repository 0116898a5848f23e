"""Planes of source pixels and fields into them: nothing is lost, mixed up or copied from where it may not be."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fields import copying, field_of, grid, scattered, whole_plane
from pictures import noise
from texsynth.errors import UsageError
from texsynth.field.atlas import (
    COPIES,
    COPY_SETS,
    Atlas,
    Field,
    blur_homes,
    build_atlas,
    coordinates,
    double,
    enlarge,
    settle,
    turn,
    usage,
)
from texsynth.field.follow import follow
from texsynth.field.geometry import rotated
from texsynth.task import Exemplar, Task

ALL = COPY_SETS["all"]


def task(*sizes: tuple[int, int], size: tuple[int, int] = (24, 28), holes: float = 0.0) -> Task:
    """Exemplars of random pixels, a share `holes` of which may not be copied."""
    exemplars = []
    for number, (h, w) in enumerate(sizes):
        valid = noise(1, 1, h, w, seed=100 + number) >= holes if holes else None
        exemplars.append(Exemplar(f"e{number}", noise(1, 3, h, w, seed=number), valid))
    return Task(tuple(exemplars), size)


@pytest.fixture
def mixed() -> Atlas:
    """Two exemplars of different shapes in all copies."""
    return build_atlas(task((12, 17), (9, 8)), ALL, 4)


def test_split_and_join_are_inverse(mixed: Atlas) -> None:
    inside = mixed.valid.nonzero()[:, 0]
    assert len(inside) == 8 * (12 * 17 + 9 * 8)
    plane, y, x = mixed.split(inside)
    assert torch.equal(mixed.join(plane, y, x), inside)
    for number, (h, w) in enumerate(mixed.shapes):
        here = plane == number
        assert [int(n) for t in (y[here], x[here]) for n in t.aminmax()] == [0, h - 1, 0, w - 1]


def test_join_clips_into_its_plane(mixed: Atlas) -> None:
    for plane, (h, w) in enumerate(mixed.shapes):
        p = torch.full((4,), plane)
        index = mixed.join(p, torch.tensor([-5, -1, h, 99]), torch.tensor([w, -3, 99, 2]))
        assert [t.tolist() for t in mixed.split(index)] == [p.tolist(), [0, 0, h - 1, h - 1], [w - 1, 0, w - 1, 2]]


def test_neighbours_are_one_and_a_row_apart(mixed: Atlas) -> None:
    index = whole_plane(mixed, 3).index
    assert (index.diff(dim=1) == 1).all() and (index.diff(dim=0) == mixed.row).all()


def test_the_margin_is_never_valid_and_has_no_home(mixed: Atlas) -> None:
    inside = torch.cat([whole_plane(mixed, p).index.flatten() for p in range(mixed.planes)])
    outside = torch.ones(len(mixed.valid), dtype=torch.bool)
    outside[inside] = False
    assert not mixed.valid[outside].any()
    assert torch.equal(mixed.home == -1, outside)
    _, y, x = mixed.split(torch.arange(len(mixed.valid)))
    assert outside[(y < 0) | (x < 0)].all()


@pytest.mark.parametrize("margin", [3, 20])
def test_the_margin_continues_the_picture_by_reflection(margin: int) -> None:
    """Also where the margin is wider than the picture."""
    atlas = build_atlas(task((12, 17)), ("none",), margin)
    padded, image = atlas.picture(atlas.colours)[0], noise(1, 3, 12, 17)[0]
    for y, x in ((-margin, -margin), (-1, 3), (12, 5), (12 + margin - 1, 17 + margin - 1), (4, 17)):
        row, column = (i % p if i % p < n else p - i % p for i, p, n in ((y, 22, 12), (x, 32, 17)))
        assert torch.equal(padded[:, y + margin, x + margin], image[:, row, column])


@pytest.mark.parametrize("name", ALL)
def test_every_copy_holds_exactly_the_turned_exemplar(mixed: Atlas, name: str) -> None:
    """Against a formula for every copy that shares nothing with the code."""
    for number, (h, w) in enumerate(mixed.exemplars):
        field = whole_plane(mixed, number * 8 + mixed.copies.index(name))
        y, x = grid(*field.size)
        at = {
            "none": (y, x),
            "rotate-90": (x, w - 1 - y),
            "rotate-180": (h - 1 - y, w - 1 - x),
            "rotate-270": (h - 1 - x, y),
            "flip-x": (y, w - 1 - x),
            "flip-y": (h - 1 - y, x),
            "transpose": (x, y),
            "anti-transpose": (h - 1 - x, w - 1 - y),
        }[name]
        exemplar = noise(1, 3, h, w, seed=number)
        assert torch.equal(field.image(), exemplar[:, :, at[0], at[1]])
        assert torch.equal(turn(exemplar, name), field.image())


def test_validity_turns_with_its_copy() -> None:
    atlas = build_atlas(task((12, 17), holes=0.4), ALL, 3)
    for plane, name in enumerate(ALL):
        valid = atlas.valid[whole_plane(atlas, plane).index]
        assert torch.equal(valid, turn(noise(1, 1, 12, 17, seed=100) >= 0.4, name)[0, 0])


def test_follow_copies_every_bit(mixed: Atlas) -> None:
    """Also of values far outside [0, 1]."""
    layers = [(noise(1, 2, h, w, seed=h) - 0.5) * 3e7 for h, w in mixed.exemplars]
    for layer in layers:
        layer.view(-1)[:4] = torch.tensor([float("inf"), -0.0, 1e-42, -1e30])
    field = scattered(mixed, (20, 30))
    out, at = follow(field, layers, "data"), coordinates(field)
    assert out.shape == (1, 2, 20, 30)
    for number, layer in enumerate(layers):
        here = at.exemplar == number
        assert here.any()
        expected = layer[0][:, at.y[here], at.x[here]]
        assert out[0][:, here].numpy().tobytes() == expected.numpy().tobytes()


def test_coordinates_agree_with_what_is_copied(mixed: Atlas) -> None:
    """A picture of coordinates copied through the field, and the field's picture read at its coordinates."""
    layers = [
        torch.stack([torch.full(size, number), *grid(*size)])[None].float()
        for number, size in enumerate(mixed.exemplars)
    ]
    field = scattered(mixed, (31, 19))
    at = coordinates(field)
    copied = follow(field, layers, "data")[0].long()
    assert torch.equal(copied, torch.stack([at.exemplar, at.y, at.x]))
    assert torch.equal(at.exemplar * 8 + at.copy, mixed.split(field.index)[0])
    for number, (h, w) in enumerate(mixed.exemplars):
        here = at.exemplar == number
        exemplar = noise(1, 3, h, w, seed=number)[0]
        assert torch.equal(field.image()[0][:, here], exemplar[:, at.y[here], at.x[here]])


def test_follow_refuses_a_layer_of_another_size(mixed: Atlas) -> None:
    with pytest.raises(UsageError, match="its exemplar"):
        follow(scattered(mixed, (4, 4)), [torch.zeros(1, 1, 12, 17), torch.zeros(1, 1, 9, 9)])


def normals(height: Tensor) -> Tensor:
    """Tangent-space normals of (h, w) heights, OpenGL (y up), encoded in [0, 1], (1, 3, h, w)."""
    down, right = torch.gradient(height)
    n = torch.stack([-right, down, torch.ones_like(height)])  # uphill on screen is -down
    return (torch.nn.functional.normalize(n, dim=0)[None] + 1) / 2


@pytest.mark.parametrize("name", ALL)
def test_normals_turn_like_their_heights(name: str) -> None:
    """The normals that a copy brings are those of the turned relief."""
    height = 4 * noise(13, 18, seed=7)
    atlas = build_atlas(task((13, 18)), ALL, 2)
    field = whole_plane(atlas, ALL.index(name))
    out, data = (follow(field, [normals(height)], role) for role in ("normal", "data"))
    assert torch.allclose(out, normals(turn(height, name)), atol=1e-6)
    assert torch.equal(out, data) if name == "none" else not torch.allclose(out, data, atol=1e-2)


@pytest.mark.parametrize("size", [(24, 20), (23, 19)])
def test_doubling_keeps_a_piece_in_one_piece(size: tuple[int, int]) -> None:
    """A coherent piece stays coherent, at twice its place."""
    asked = task((32, 40), size=size)
    coarse = build_atlas(asked.at(1), ALL, 3)
    y, x = grid(*asked.at(1).size)
    rows, cols = grid(*size)
    for plane in (0, 1, 4):
        field = replace(copying(coarse, y + 2, x + 3, (True, False), plane), cost=noise(*y.shape))
        fine = double(field, build_atlas(asked, ALL, 3), size)
        assert fine.tile == (True, False)
        at = torch.stack(fine.atlas.split(fine.index))
        assert torch.equal(at, torch.stack([torch.full(size, plane), rows + 4, cols + 6]))
        assert torch.equal(fine.cost, field.cost[rows // 2, cols // 2])


@pytest.mark.parametrize("holes", [0.2, 0.7, 0.97])
@pytest.mark.parametrize("copies", ["none", "all"])
def test_doubling_never_points_at_what_may_not_be_copied(holes: float, copies: str) -> None:
    asked = task((29, 36), (15, 22), size=(41, 50), holes=holes)
    coarse = build_atlas(asked.at(1), COPY_SETS[copies], 3)
    field = double(scattered(coarse, asked.at(1).size), build_atlas(asked, COPY_SETS[copies], 3), asked.size)
    assert field.atlas.valid[field.index].all()


def test_doubling_stays_inside_its_coarse_pixel_where_it_can() -> None:
    """Of a half valid coarse pixel the valid half is used, not any other place."""
    asked = task((32, 40), size=(30, 30), holes=0.5)
    coarse = build_atlas(asked.at(1), ("none",), 2)
    field = scattered(coarse, (15, 15))
    fine = double(field, build_atlas(asked, ("none",), 2), (30, 30))
    for at, parent in zip(fine.atlas.split(fine.index)[1:], coarse.split(field.index)[1:], strict=True):
        assert torch.equal(at // 2, parent.repeat_interleave(2, 0).repeat_interleave(2, 1))


@pytest.mark.parametrize("level", [0, 1, 3])
def test_enlarging_reaches_the_full_size(level: int) -> None:
    asked = task((64, 50), size=(75, 53), holes=0.3)
    coarse = asked.at(level)
    field = enlarge(scattered(build_atlas(coarse, ("none", "flip-x"), 2), coarse.size), asked)
    assert (field.size, field.atlas.exemplars) == ((75, 53), ((64, 50),))
    assert field.atlas.valid[field.index].all()


def test_enlarging_keeps_a_copy_whole() -> None:
    """The whole exemplar at an eighth of its size becomes the exemplar."""
    asked = task((64, 48), size=(64, 48))
    field = enlarge(whole_plane(build_atlas(asked.at(3), ("none",), 2), 0), asked)
    assert torch.equal(field.image(), asked.exemplars[0].image)


@pytest.mark.parametrize("holes", [0.0, 0.6])
def test_use_is_relative_to_even_use(holes: float) -> None:
    """Mean 1 over what may be copied, whatever is copied, and use through any copy counts."""
    atlas = build_atlas(task((12, 17), (9, 8), holes=holes), ALL, 2)
    usable = torch.zeros(atlas.homes, dtype=torch.bool)
    usable[atlas.home[atlas.valid]] = True
    use = usage(atlas, scattered(atlas, (40, 33)).index)
    assert float(use[usable].mean()) == pytest.approx(1, abs=1e-4)
    assert (use[~usable] == 0).all()


def test_use_through_every_copy_is_use_of_one_place() -> None:
    atlas = build_atlas(task((12, 17)), ALL, 2)
    once_each = torch.cat([whole_plane(atlas, p).index.flatten() for p in range(8)])
    assert torch.allclose(usage(atlas, once_each), torch.ones(12 * 17))


@pytest.mark.parametrize("size", [1, 3, 5, 11, 41])
def test_blurring_the_sources_equals_a_loop(size: int) -> None:
    """Windows end at the border of their own exemplar, and may be larger than it."""
    atlas = build_atlas(task((12, 17), (9, 8)), ("none",), 2)
    pictures, half = [noise(12, 17), noise(9, 8, seed=1)], size // 2
    values = torch.cat([picture.flatten() for picture in pictures])
    expected = [
        picture[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1].mean()
        for picture in pictures
        for y, x in itertools.product(*(range(n) for n in picture.shape))
    ]
    assert torch.allclose(blur_homes(atlas, values, size), torch.stack(expected), atol=1e-5)


def pixels_of(field: Field) -> Tensor:
    """The places (h, w, 2) of the pixels that a field points to."""
    return torch.stack(field.atlas.split(field.index)[1:], -1).float()


def turned_field(atlas: Atlas, size: tuple[int, int], angle: float, spot: tuple[float, float]) -> Field:
    """One coherent copy of the first plane, turned by `angle`, that puts the place `spot` in the output's corner."""
    turns = torch.full(size, angle)
    place = torch.tensor(spot) + rotated(-turns, torch.stack(grid(*size), -1).float())
    index, place = settle(atlas, torch.zeros(size, dtype=torch.long), place)
    return replace(field_of(atlas, index), place=place, angle=turns)


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0, -1.2])
def test_doubling_keeps_a_turned_copy_whole(angle: float) -> None:
    """Every step in the output is the same step, turned back, in the source; centres of pixels stay in line."""
    asked = task((60, 64), size=(24, 20))
    coarse = build_atlas(asked.at(1), ("none",), 4)
    fine = double(turned_field(coarse, (12, 10), angle, (15.2, 16.4)), build_atlas(asked, ("none",), 4), (24, 20))
    middle = torch.tensor([2 * 15.2 + 0.5, 2 * 16.4 + 0.5])  # where the corner between four pixels comes from
    y, x = (middle + rotated(torch.tensor(-angle), torch.tensor([-0.5, -0.5]))).tolist()
    expected = turned_field(fine.atlas, (24, 20), angle, (y, x))
    assert fine.place is not None and expected.place is not None
    assert torch.allclose(fine.place, expected.place, atol=1e-4)
    assert torch.equal(fine.index, expected.index)
    assert fine.angle is not None and (fine.angle == angle).all()


def test_a_copy_that_is_not_turned_doubles_like_pointers() -> None:
    asked = task((32, 40), size=(30, 31))
    coarse, fine = (build_atlas(t, ("none",), 4) for t in (asked.at(1), asked))
    plain = scattered(coarse, (15, 16))
    placed = replace(plain, place=pixels_of(plain), angle=torch.zeros(15, 16))
    one, other = (double(field, fine, (30, 31)) for field in (plain, placed))
    assert torch.equal(one.index, other.index) and torch.equal(one.image(), other.image())


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_enlarging_a_turned_field(level: int, holes: float) -> None:
    asked = task((64, 50), size=(45, 53), holes=holes)
    coarse = asked.at(level)
    field = enlarge(turned_field(build_atlas(coarse, ("none",), 4), coarse.size, 0.7, (3.3, 4.1)), asked)
    assert field.size == (45, 53) and field.place is not None
    assert field.atlas.valid[field.index].all()
    assert float((field.place - pixels_of(field)).abs().max()) <= 0.5


def test_between_pixels_a_slope_is_exact_and_nothing_rings() -> None:
    """What changes evenly is read exactly; no value leaves the range of the four pixels around it."""
    asked = task((20, 24), size=(9, 9))
    y, x = grid(20, 24)
    atlas = build_atlas(asked, ("none",), 4)
    field = turned_field(atlas, (9, 9), 0.4, (4.3, 6.7))
    assert field.place is not None
    slope = follow(field, [(0.3 * y - 0.2 * x)[None, None]])
    assert torch.allclose(slope[0, 0], 0.3 * field.place[..., 0] - 0.2 * field.place[..., 1], atol=1e-5)
    picture, whole = asked.exemplars[0].image[0], field.place.floor().long()
    near = torch.stack([picture[:, whole[..., 0] + dy, whole[..., 1] + dx] for dy in (0, 1) for dx in (0, 1)])
    image = field.image()[0]
    assert ((image <= near.amax(0) + 1e-6) & (image >= near.amin(0) - 1e-6)).all()
    assert torch.equal(image[None], follow(field, [asked.exemplars[0].image]))


def test_between_pixels_only_colours_are_mixed() -> None:
    """Data arrive as they are, from the nearest pixel; on whole pixels so do colours."""
    asked = task((20, 24), (9, 12), size=(9, 9))
    atlas = build_atlas(asked, ("none",), 4)
    field = turned_field(atlas, (9, 9), 0.4, (4.3, 6.7))
    layers = [noise(1, 1, 20, 24, seed=7), noise(1, 1, 9, 12, seed=8)]
    plain = replace(field, place=None, angle=None)
    assert torch.equal(follow(field, layers, "data"), follow(plain, layers, "data"))
    assert not torch.equal(follow(field, layers), follow(plain, layers))
    assert torch.equal(follow(replace(field, place=pixels_of(field)), layers), follow(plain, layers))


@pytest.mark.parametrize("name", ["rotate-90", "rotate-180", "rotate-270"])
def test_normals_turn_by_an_angle_as_by_quarter_turns(name: str) -> None:
    layer = noise(1, 3, 16, 16, seed=5)
    copy = whole_plane(build_atlas(task((16, 16)), ("none", name), 4), 1)
    at = coordinates(copy)
    plain = copying(build_atlas(task((16, 16)), ("none",), 4), at.y, at.x)
    angle = torch.full((16, 16), -COPIES[name][0] * math.pi / 2)  # counter-clockwise on screen
    field = replace(plain, place=pixels_of(plain), angle=angle)
    assert torch.allclose(follow(field, [layer], "normal"), follow(copy, [layer], "normal"), atol=1e-6)
