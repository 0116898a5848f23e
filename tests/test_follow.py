"""Layers through a field: at every scale, each value is the one that lies where its pixel was copied from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fields import atlas_of, copying, grid, scattered, whole_plane
from pictures import noise
from texsynth.errors import UsageError
from texsynth.field import follow as follow_module
from texsynth.field.atlas import COPY_SETS, Field, coordinates, settle, turn
from texsynth.field.follow import follow
from texsynth.field.geometry import rotated

ALL = COPY_SETS["all"]
SCALES = pytest.mark.parametrize("scale", [1, 2, 3])


def blocks(values: Tensor, scale: int) -> Tensor:
    """(1, C, scale * h, scale * w) as (h, w, C, scale, scale)."""
    return values[0].unfold(1, scale, scale).unfold(2, scale, scale).permute(1, 2, 0, 3, 4)


@SCALES
@pytest.mark.parametrize("number", range(len(ALL)))
def test_a_copied_plane_is_the_turned_layer(scale: int, number: int) -> None:
    """To the last bit: the layer, turned as a picture is."""
    atlas = atlas_of(noise(1, 3, 9, 13), copies="all")
    layer = (noise(1, 2, 9 * scale, 13 * scale, seed=3) - 0.5) * 3e7
    out = follow(whole_plane(atlas, number), [layer], "data", scale)
    assert torch.equal(out, turn(layer, ALL[number]))


@SCALES
def test_every_block_is_one_of_its_source(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a field without order over two exemplars, whatever part of it is worked out at once."""
    atlas = atlas_of(noise(1, 3, 12, 17), noise(1, 3, 9, 8), copies="all")
    layers = [noise(1, 2, scale * h, scale * w, seed=h) for h, w in atlas.exemplars]
    field = scattered(atlas, (11, 14))
    out, at = follow(field, layers, "data", scale), coordinates(field)
    for y, x in torch.cartesian_prod(torch.arange(11), torch.arange(14)).tolist():
        source = blocks(layers[at.exemplar[y, x]], scale)[at.y[y, x], at.x[y, x]]
        assert torch.equal(blocks(out, scale)[y, x], turn(source, ALL[at.copy[y, x]]))
    monkeypatch.setattr(follow_module, "VALUES_AT_ONCE", 40 * scale * scale)
    assert torch.equal(follow(field, layers, "data", scale), out)


@pytest.mark.parametrize("name", ALL)
def test_finer_normals_turn_like_coarse_ones(name: str) -> None:
    """The vectors that a copy brings are those of its pixels, turned alike at every scale."""
    layer = noise(1, 3, 8, 10, seed=5)
    field = whole_plane(atlas_of(noise(1, 3, 8, 10), copies="all"), ALL.index(name))
    plain, fine = (follow(field, [layer.repeat_interleave(n, 2).repeat_interleave(n, 3)], "normal", n) for n in (1, 3))
    assert torch.equal(fine, plain.repeat_interleave(3, 2).repeat_interleave(3, 3))


def turned(size: tuple[int, int], angle: float, valid: Tensor | None = None) -> Field:
    """A piece of a 20 x 24 exemplar, turned by `angle` round places between its pixels."""
    atlas, turns = atlas_of(noise(1, 3, 20, 24), valid=valid), torch.full(size, angle)
    place = torch.tensor([4.3, 6.7]) + rotated(-turns, torch.stack(grid(*size), -1).float())
    index, place = settle(atlas, torch.zeros(size, dtype=torch.long), place)
    return replace(copying(atlas, *atlas.split(index)[1:]), place=place, angle=turns)


def coordinates_layer(scale: int) -> Tensor:
    """A layer of a 20 x 24 exemplar that holds the place of each value."""
    return torch.stack(grid(20 * scale, 24 * scale))[None].float()


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.9])
@pytest.mark.parametrize("scale", [2, 4])
def test_along_turned_copies_each_value_is_the_nearest(angle: float, scale: int) -> None:
    """Middles of values are (n + 1/2) / scale pixels from the corner, in the output and in the source."""
    field = turned((9, 9), angle)
    assert field.place is not None and field.angle is not None
    y, x = grid(9 * scale, 9 * scale)
    offset = torch.stack([(y + 0.5) / scale - y // scale - 0.5, (x + 0.5) / scale - x // scale - 0.5], -1)
    middle = field.place[y // scale, x // scale] + rotated(-field.angle[y // scale, x // scale], offset)
    place = (middle + 0.5) * scale - 0.5
    inside = ((place > 0) & (place < torch.tensor([20, 24]) * scale - 1)).all(-1)
    out = follow(field, [coordinates_layer(scale)], "data", scale)[0].permute(1, 2, 0)
    assert inside.float().mean() > 0.5
    assert float((out - place)[inside].abs().max()) <= 0.5 + 1e-4


def test_turned_copies_bring_no_value_of_what_may_not_be_copied() -> None:
    """Also where the nearest value lies beside the pixel of the field."""
    valid = noise(1, 1, 20, 24, seed=2) > 0.4
    layer = torch.where(valid, 1.0, torch.nan).repeat_interleave(3, 2).repeat_interleave(3, 3)
    field = turned((9, 9), 0.4, valid)
    assert not follow(field, [layer], "data", 3).isnan().any()


def test_a_turned_copy_at_right_angles_is_a_turned_block() -> None:
    """A quarter turn of places on whole pixels is what the turned copy of the plane gives."""
    y, x = grid(6, 6)
    plain = copying(atlas_of(noise(1, 3, 20, 24)), x + 2, 15 - y)
    place = torch.stack([x + 2, 15 - y], -1).float()
    field = replace(plain, place=place, angle=torch.full((6, 6), -torch.pi / 2))
    layer = coordinates_layer(2)
    expected = torch.rot90(layer[:, :, 4:16, 20:32], 1, (2, 3))
    assert torch.equal(follow(field, [layer], "data", 2), expected)


def test_a_layer_of_another_size_is_refused() -> None:
    field = scattered(atlas_of(noise(1, 3, 12, 17)), (4, 4))
    with pytest.raises(UsageError, match="at scale 2"):
        follow(field, [torch.zeros(1, 1, 12, 17)], "data", 2)


@pytest.mark.parametrize("name", ALL)
def test_normals_turn_in_their_own_convention(name: str) -> None:
    """Green down is green up upside down, before the copy and after it, to the last bit of 8-bit values."""
    layer = (noise(1, 3, 8, 10, seed=5) * 256).floor() / 256
    field = whole_plane(atlas_of(noise(1, 3, 8, 10), copies="all"), ALL.index(name))
    up, down = follow(field, [layer], "normal"), follow(field, [flipped(layer)], "normal_dx")
    assert torch.equal(flipped(down), up)


def flipped(normals: Tensor) -> Tensor:
    """Normals (1, 3, h, w) of the other convention."""
    return torch.cat([normals[:, :1], 1 - normals[:, 1:2], normals[:, 2:]], 1)
