"""Freely turned copies: what lies between source pixels, and how vectors turn.

A turned copy meets its source between the pixels. Colours are read there by the cubic of Keys 1981 ("Cubic convolution
interpolation for digital image processing"; Catmull-Rom), held between the four pixels around so that nothing rings.
Angles are radians clockwise on screen: from the x axis, right, towards the y axis, down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from texsynth.field.atlas import Atlas

CHUNK = 1 << 16  # values read at once: bounds the memory


def turned(angle: Tensor, offset: Tensor) -> Tensor:
    """Offsets (..., 2) as (y, x), turned by `angle` (...)."""
    cos, sin = angle.cos(), angle.sin()
    y, x = offset[..., 0], offset[..., 1]
    return torch.stack([sin * x + cos * y, cos * x - sin * y], -1)


def turned_normals(normals: Tensor, angle: Tensor) -> Tensor:
    """Tangent-space vectors (1, C, h, w), OpenGL (y up) and encoded 0..1, turned by `angle` (h, w)."""
    cos, sin = angle.cos().to(normals), angle.sin().to(normals)
    x, y = normals[:, 0] - 0.5, normals[:, 1] - 0.5
    out = normals.clone()
    out[:, 0], out[:, 1] = 0.5 + cos * x + sin * y, 0.5 + cos * y - sin * x
    return out


def moved_normals(normals: Tensor, copy: Tensor, moves: Sequence[tuple[int, bool]]) -> Tensor:
    """Encoded vectors (1, C, h, w), each moved by that of the `moves` (quarter turns counter-clockwise, mirrored
    first?) that `copy` (h, w) numbers. Exact: right angles only swap and invert channels (v -> 1 - v)."""
    out = normals.clone()
    for number, (turns, mirrored) in enumerate(moves):
        x, y = normals[:, 0], normals[:, 1]
        if mirrored:
            x = 1 - x
        for _ in range(turns):  # counter-clockwise, y up: (x, y) -> (-y, x)
            x, y = 1 - y, x
        here = (copy == number)[None]
        out[:, 0], out[:, 1] = torch.where(here, x, out[:, 0]), torch.where(here, y, out[:, 1])
    return out


def settle(atlas: Atlas, plane: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to places (..., 2) in planes (...), and the places: those from which nothing may be
    copied are moved to pixels from which it may."""
    y, x = place.round().long().unbind(-1)
    index = atlas.join(plane, y, x)
    if not atlas.valid[index].all():
        index = snap(atlas, plane, y, x, index)
    found, *spot = atlas.split(index)
    exact = torch.stack(spot, -1)
    limit = torch.tensor(atlas.shapes, device=plane.device)[found] - 1
    held = torch.minimum(place.clamp(min=0), limit)
    near = ((held - exact).abs().amax(-1) <= 0.5) & (found == plane)
    return index, torch.where(near[..., None], held, exact)


def snap(atlas: Atlas, plane: Tensor, y: Tensor, x: Tensor, index: Tensor) -> Tensor:
    """Pointers at pixels that may not be copied (a coarse pixel may be half valid) moved to one that may: one of the
    same coarse pixel, or else any."""
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        sibling = atlas.join(plane, y ^ dy, x ^ dx)
        index = torch.where(~atlas.valid[index] & atlas.valid[sibling], sibling, index)
    usable = atlas.valid.nonzero()[:, 0]
    return torch.where(atlas.valid[index], index, usable[index % len(usable)])


def read(atlas: Atlas, index: Tensor, place: Tensor, table: Tensor) -> Tensor:
    """Values (h, w, C) of a table (N, C) of source pixels at `place` (h, w, 2), (y, x) in the planes of the nearest
    pixels `index` (h, w); those pixels' own values where some around may not be copied."""
    out = table[index]
    origin = atlas.join(atlas.split(index)[0], *torch.zeros_like(index)[None].expand(2, -1, -1))
    first = origin + place[..., 0].floor().long() * atlas.row + place[..., 1].floor().long()
    part = place - place.floor()
    chunks = zip(first.flatten().split(CHUNK), part.flatten(0, 1).split(CHUNK), strict=True)
    between = torch.cat([cubic(table, atlas.row, f, p) for f, p in chunks]).view_as(out)
    holes = ~atlas.valid & (atlas.home >= 0)
    if not holes.any():
        return between
    near = F.max_pool2d(F.pad(atlas.picture(holes[:, None].float()), (1, 2, 1, 2)), 4, stride=1)
    return torch.where(near.flatten()[first][..., None] > 0, out, between)


def cubic(table: Tensor, row: int, first: Tensor, part: Tensor) -> Tensor:
    """Values (n, C) of a table (N, C), `row` pixels a line, at the pixels `first` (n,) and fractions `part` (n, 2) of a
    pixel down and right of them. On whole pixels every value is exact."""
    (wy, wx), last = (_weights(t) for t in part.to(table.dtype).unbind(1)), len(table) - 1
    out = torch.zeros(len(first), table.shape[1], dtype=table.dtype, device=table.device)
    low, high = torch.full_like(out, torch.inf), torch.full_like(out, -torch.inf)
    for dy in range(4):
        for dx in range(4):
            value = table[(first + (dy - 1) * row + dx - 1).clamp(0, last)]
            weight = (wy[dy] * wx[dx])[:, None]
            out += weight * value
            if dy in (1, 2) and dx in (1, 2):
                low, high = torch.minimum(low, value), torch.maximum(high, value)
    return torch.minimum(torch.maximum(out, low), high)


def _weights(t: Tensor) -> list[Tensor]:
    """Of the four pixels around, for the fraction t (n,) past the second."""
    return [
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    ]
