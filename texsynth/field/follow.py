"""Layers through a field: what lies over the exemplars is copied along with their pixels, value by value.

A layer may be finer than its exemplars by a whole factor. A source pixel then holds a block of values, which is copied
whole, turned and mirrored with its copy. Along freely turned copies each value is the one nearest to its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.field.atlas import Field, spread, turn
from texsynth.field.geometry import moved_normals, rotated, rotated_normals
from texsynth.field.planes import COPIES, Copying, Planes
from texsynth.image.load import NORMAL_DX, NORMALS

VALUES_AT_ONCE = 1 << 18  # values whose places are worked out at once: bounds the memory


def follow(field: Copying, layers: Sequence[Tensor], role: str = "colour", scale: int = 1) -> Tensor:
    """Copy one layer per exemplar through the field, bit-exactly.

    layers: each (1, C, scale * H, scale * W). The result is (1, C, scale * h, scale * w).
    role: "normal" turns and mirrors tangent-space vectors (OpenGL, y up, encoded in [0, 1]) with their copy, and
        "normal_dx" those whose y points down (DirectX). Freely turned copies read "colour" at a scale of 1 between
        pixels, and all else at the nearest value.

    Raises UsageError when a layer does not have its exemplar's size times the scale.
    """
    for layer, (height, width) in zip(layers, field.atlas.exemplars, strict=True):
        if tuple(layer.shape[2:]) != (scale * height, scale * width):
            raise UsageError(f"a layer is {tuple(layer.shape[2:])}, its exemplar {(height, width)} at scale {scale}")
    if isinstance(field, Field) and field.place is not None and role == "colour" and scale == 1:
        return field.read(spread(layers, field.atlas)).to(layers[0].device)
    tables = [layer[0].flatten(1) for layer in layers]
    table = tables[0] if len(tables) == 1 else torch.cat(tables, dim=1)
    height, width = field.size
    out = table.new_empty(1, len(table), scale * height, scale * width)
    rows = max(1, VALUES_AT_ONCE // (scale * scale * width))
    for top in range(0, height, rows):
        part = field.part(top, top + rows)
        out[:, :, scale * top : scale * (top + rows)] = _copied(part, table, role, scale)
    return out


def _copied(field: Copying, table: Tensor, role: str, scale: int) -> Tensor:
    """What a field copies from the values of all layers, (C, N): (1, C, scale * h, scale * w)."""
    index, cell = _pointers(field, scale)
    values = table[:, _places(field.atlas, index, cell, scale).flatten().to(table.device)].view(1, -1, *index.shape)
    if role not in NORMALS:
        return values
    down = role == NORMAL_DX
    copy = field.atlas.split(index)[0].to(table.device) % len(field.atlas.copies)
    values = moved_normals(values, copy, [COPIES[name] for name in field.atlas.copies], down)
    if field.angle is None:
        return values
    return rotated_normals(values, _repeated(field.angle, scale).to(table.device), down)


def _pointers(field: Copying, scale: int) -> tuple[Tensor, Tensor]:
    """The source pixel that each value comes from, and the number of the value, in reading order, in the block of that
    pixel as its copy shows it: (scale * h, scale * w) each."""
    index, within = _repeated(field.index, scale), torch.arange(scale, device=field.index.device)
    if not isinstance(field, Field) or field.place is None or field.angle is None or scale == 1:
        return index, (within[:, None] * scale + within).repeat(field.size)
    # Find the place of each value, in values of the plane.
    middle = (scale - 1) / 2
    offset = torch.stack(torch.meshgrid(within - middle, within - middle, indexing="ij"), -1).repeat(*field.size, 1)
    place = _repeated(field.place, scale) * scale + middle + rotated(-_repeated(field.angle, scale), offset)
    # Take the nearest one, or the nearest in the pixel of the field where that may not be copied.
    plane, *pixel = field.atlas.split(index)
    corner = scale * torch.stack(pixel, -1)
    limit = scale * torch.tensor(field.atlas.shapes, device=index.device)[plane] - 1
    nearest = torch.minimum(place.round().long().clamp(min=0), limit)
    beside = field.atlas.join(plane, *(nearest // scale).unbind(-1))
    usable = field.atlas.valid[beside]
    nearest = torch.where(usable[..., None], nearest, nearest.clamp(corner, corner + scale - 1))
    y, x = (nearest % scale).unbind(-1)
    return torch.where(usable, beside, index), y * scale + x


def _places(atlas: Planes, index: Tensor, cell: Tensor, scale: int) -> Tensor:
    """Where values lie in the table of all layers: the numbers `cell` in the blocks of the source pixels `index`."""
    if scale == 1:
        return atlas.home_of(index)
    device = index.device
    # The block of a turned copy holds the values of the block of its exemplar in another order.
    block = torch.arange(scale * scale, device=device).view(scale, scale)
    within = torch.stack([turn(block, name).flatten() for name in atlas.copies])
    at = atlas.origins(index)
    cell = within[at.copy, cell]
    sizes = torch.tensor(atlas.exemplars, device=device) * scale
    areas, width = sizes.prod(1), sizes[at.exemplar, 1]
    first = (areas.cumsum(0) - areas)[at.exemplar]
    return first + (at.y * scale + cell // scale) * width + at.x * scale + cell % scale


def _repeated(values: Tensor, scale: int) -> Tensor:
    """Each of (h, w, ...) as a square of scale x scale."""
    return values.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
