"""Histogram-preserving blending: a texture without end, drawn by a few lines of arithmetic that shaders repeat.

Heitz & Neyret 2018, "High-Performance By-Example Noise using a Histogram-Preserving Blending Operator", and Deliot &
Heitz 2019, "Procedural Stochastic Textures by Tiling and Blending". All here is float32 and whole numbers of 32
bits, so that GLSL, HLSL and OSL give the same picture. Their uniforms have these names, in STEM_blend.json too:

- blend_size (uvec2): width and height of the texture, in pixels. A place is in pixels of it, x right and y down, and
  the middle of its first pixel is (0.5, 0.5): place = uv * blend_size.
- blend_seed (uint): of the hash (tiles/hashing.py), below 2^32.
- blend_grid (float): the side of a triangle of the grid, in pixels.
- blend_sharpness (float): the power of the weights; 1 is that of the papers.
- blend_cells (uint), blend_steps (uvec4): the offsets that a texture may be drawn at. Of the hash h of a corner of the
  grid, a = (h & 65535) % cells and b = (h >> 16) % cells; the offset is
  x = (width * ((a * steps.x + b * steps.y) % cells) + cells / 2) / cells,
  y = (height * ((a * steps.z + b * steps.w) % cells) + cells / 2) / cells, all in whole numbers below 2^31.
  Any whole pixel is cells = 32768, steps = (1, 0, 0, 1). Steps of a lattice of n cells in the texture: cells = n.
- blend_gaussian (sampler2D): the Gaussian texture T, which repeats, linear with mips, never sRGB.
- blend_table (sampler2D): the inverse look-up table, 256 values wide, a row for each mip level of T; linear, clamped,
  no mips, never sRGB.
- blend_levels (float): its rows.
- blend_common (vec3, of scalars float): the share of T's variance that is the same at all its offsets; 0 but for
  lattices.
- blend_origin (vec3), blend_axes (mat3, whose columns are axes): colour = blend_origin + blend_axes * value.
  Of a map with one value a pixel both are floats: value = blend_origin + blend_axes * value.
- Of a normal map: blend_normal (sampler2D), the periodic normal map; blend_slopes (vec2), the mean of its slopes;
  blend_common (vec2).

The steps, in this order:

1. The grid. u = (x - y / sqrt 3) / grid, v = y * (2 / sqrt 3) / grid; base = floor(u, v), f = (u, v) - base,
   z = 1 - f.x - f.y. Where z > 0, the corners are base, base + (0, 1), base + (1, 0) with the weights z, f.y, f.x;
   else base + (1, 1), base + (1, 0), base + (0, 1) with -z, 1 - f.y, 1 - f.x.
2. The weights: each to the power blend_sharpness, over their sum.
3. The samples: T at (place + offset) / size for each corner, with the derivatives of place / size, as offsets jump.
4. Per channel: norm = sqrt(common + (1 - common) * sum of w^2); g = 0.5 + sum of w * (T - 0.5) / norm, in [0, 1].
5. The table, per channel: at ((g * 255 + 0.5) / 256, (level + 0.5) / levels), where level is
   0.5 * log2(max(|d place / d screen x|^2, |d place / d screen y|^2)) within 0 and levels - 1.
6. The colour, by origin and axes; its values are those of the exemplar's file, which for most are sRGB, so that an
   engine that computes in linear light decodes them as the last step.

Normals have steps 1 to 3 too. Each sample n = 2 * sample - 1 gives the slopes n.xy / max(n.z, STEEPEST); the blend is
slopes + sum of w * (its slopes - slopes) / norm per part, and the normal is (s.x, s.y, 1) to length 1, (n + 1) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.tiles.hashing import mixed

TABLE_WIDTH = 256  # values of a row of the table
STEEPEST = 1 / 16  # the third part of a normal, at least, where its slopes are taken
ANY_PIXEL = 1 << 15  # cells where offsets are any whole pixels
LONGEST_SIDE = 65535  # pixels of a texture: products with a number of cells stay below 2^31
PIXELS_AT_ONCE = 1 << 19  # of a bake, which bounds the memory
SHEAR, STRETCH = 0.57735026919, 1.15470053838  # 1 / sqrt 3, 2 / sqrt 3


@dataclass(frozen=True)
class Grid:
    """Where a texture is drawn at: what all maps of a material share. See the uniforms above.

    size: (height, width) of the texture, in pixels.
    side: blend_grid. sharpness, cells, steps: as the uniforms.
    """

    size: tuple[int, int]
    seed: int
    side: float
    sharpness: float = 1.0
    cells: int = ANY_PIXEL
    steps: tuple[int, int, int, int] = (1, 0, 0, 1)


@dataclass(frozen=True)
class Gaussian:
    """A texture ready to be blended.

    texture: T, (1, C, H, W) in [0, 1] round 0.5, of the grid's size or a whole number of times as fine.
    table: (C, levels, TABLE_WIDTH) in [0, 1].
    common: (C,), blend_common.
    origin, axes: (C,) and (C, C) whose columns are axes: colour = origin + axes @ value.
    """

    texture: Tensor
    table: Tensor
    common: Tensor
    origin: Tensor
    axes: Tensor


@dataclass(frozen=True)
class Slopes:
    """A normal map ready to be blended: the periodic map (1, 3, H, W) in [0, 1], the mean (2,) of its slopes, and
    blend_common (2,)."""

    texture: Tensor
    mean: Tensor
    common: Tensor


def corners(grid: Grid, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """For places (x, y) in pixels, float32 of one shape: the offsets (3, 2, ...) in pixels (x, y), int64, and the
    weights (3, ...) of the three corners of their triangle. Steps 1 and 2."""
    u, v = (x - y * SHEAR) / grid.side, y * STRETCH / grid.side
    left, top = u.floor(), v.floor()
    fx, fy = u - left, v - top
    z = 1 - fx - fy
    first, i, j = z > 0, left.long(), top.long()
    weights = torch.where(first, torch.stack([z, fy, fx]), torch.stack([-z, 1 - fy, 1 - fx]))
    weights = weights.clamp(min=0) ** grid.sharpness
    far = (~first).long()
    places = ((i + far, j + far), (i + far, j + 1 - far), (i + 1 - far, j + far))
    return torch.stack(_offsets(grid, places)), weights / weights.sum(0)


def _offsets(grid: Grid, places: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The offsets (2, ...) in pixels (x, y) of places (i, j) of the grid, hashed once each where pixels are more."""
    (i, j), *_ = places
    left, top = int(i.min()) - 1, int(j.min()) - 1
    wide, high = int(i.max()) + 2 - left, int(j.max()) + 2 - top
    if wide * high > i.numel():
        return [_offset(grid, *place) for place in places]
    across, down = torch.meshgrid(torch.arange(left, left + wide), torch.arange(top, top + high), indexing="ij")
    every = _offset(grid, across, down).flatten(1)
    return [every[:, ((i - left) * high + j - top).flatten()].reshape(2, *i.shape) for i, j in places]


def _offset(grid: Grid, i: Tensor, j: Tensor) -> Tensor:
    """The offset (2, ...) in pixels (x, y) of corners (i, j) of the grid."""
    number = mixed(i, j, grid.seed)
    return offsets_of(grid, (number & 0xFFFF) % grid.cells, (number >> 16) % grid.cells)


def offsets_of(grid: Grid, a: Tensor, b: Tensor) -> Tensor:
    """The offsets (2, ...) in pixels (x, y) of the numbers a and b, in [0, cells), of their two steps."""
    n, (height, width), (xa, xb, ya, yb) = grid.cells, grid.size, grid.steps
    return torch.stack(
        [(side * ((a * s + b * t) % n) + n // 2) // n for side, s, t in ((width, xa, xb), (height, ya, yb))]
    )


def bake(grid: Grid, layer: Gaussian | Slopes, size: tuple[int, int], level: int = 0) -> Tensor:
    """The plane from its upper left on, (1, C, height, width) of `size`, at a mip level of the layer's texture."""
    texture = reduced(layer.texture, level)
    step = grid.size[0] / texture.shape[2], grid.size[1] / texture.shape[3]
    rows = max(1, PIXELS_AT_ONCE // size[1])
    parts = []
    for top in range(0, size[0], rows):
        y = (torch.arange(top, min(top + rows, size[0])) + 0.5) * step[0]
        x = (torch.arange(size[1]) + 0.5) * step[1]
        parts.append(_blended(grid, layer, texture, y[:, None].expand(-1, len(x)), x.expand(len(y), -1), level))
    return torch.cat(parts, 1)[None]


def reduced(texture: Tensor, level: int) -> Tensor:
    """A mip level of (1, C, H, W): averages over blocks of 2^level pixels a side."""
    height, width = (max(1, side >> level) for side in texture.shape[2:])
    return texture if level == 0 else F.adaptive_avg_pool2d(texture, (height, width))


def _blended(grid: Grid, layer: Gaussian | Slopes, texture: Tensor, y: Tensor, x: Tensor, level: int) -> Tensor:
    """Steps 1 to 6 at places of one mip level, (C, ...)."""
    offsets, weights = corners(grid, x, y)
    samples = [_sampled(texture, grid.size, x + offset[0], y + offset[1]) for offset in offsets]
    if isinstance(layer, Gaussian):
        return mixed_colours(layer, torch.stack(samples), weights, level)
    slopes = [slopes_of(sample[None])[0] - layer.mean[:, None, None] for sample in samples]
    turned = _sum(torch.stack(slopes), weights, layer.common) + layer.mean[:, None, None]
    return normals_of(turned[None])[0]


def mixed_colours(layer: Gaussian, samples: Tensor, weights: Tensor, level: int = 0) -> Tensor:
    """Steps 4 to 6 of samples (N, C, ...) with weights (N, ...), at a mip level: the colours (C, ...)."""
    values = (0.5 + _sum(samples - 0.5, weights, layer.common)).clamp(0, 1)
    looked = torch.stack([_looked_up(table, value, level) for table, value in zip(layer.table, values, strict=True)])
    origin = layer.origin.reshape(-1, *[1] * (looked.dim() - 1))
    colours: Tensor = origin + torch.tensordot(layer.axes, looked, 1)
    return colours


def _sum(samples: Tensor, weights: Tensor, common: Tensor) -> Tensor:
    """Step 4: the blend (C, ...) that keeps the variance of samples (N, C, ...) with a mean of 0."""
    total, squares = (samples * weights[:, None]).sum(0), weights.square().sum(0)
    return torch.stack([part / (c + (1 - c) * squares).sqrt() for part, c in zip(total, common, strict=True)])


def _sampled(texture: Tensor, size: tuple[int, int], x: Tensor, y: Tensor) -> Tensor:
    """The texture (1, C, H, W), which repeats, at places in pixels of the grid, linear between its own pixels."""
    (height, width), values = texture.shape[2:], texture[0]
    across, down = x * (width / size[1]) - 0.5, y * (height / size[0]) - 0.5
    left, top = across.floor(), down.floor()
    fx, fy = across - left, down - top
    columns, lines = left.long(), top.long()

    def at(dy: int, dx: int) -> Tensor:
        index = (lines + dy) % height * width + (columns + dx) % width
        return values.flatten(1)[:, index.flatten()].reshape(-1, *index.shape)

    if not bool(fx.any()) and not bool(fy.any()):  # whole pixels, as at the finest level
        return at(0, 0)
    upper, lower = (at(dy, 0) * (1 - fx) + at(dy, 1) * fx for dy in (0, 1))
    return upper * (1 - fy) + lower * fy


def _looked_up(table: Tensor, value: Tensor, level: int) -> Tensor:
    """Step 5: a row of the table (levels, TABLE_WIDTH) at values in [0, 1]."""
    row = table[min(level, len(table) - 1)]
    place = value * (TABLE_WIDTH - 1)
    left = place.floor().clamp(max=TABLE_WIDTH - 2)
    index, share = left.long(), place - left
    looked: Tensor = row[index] * (1 - share) + row[index + 1] * share
    return looked


def slopes_of(colours: Tensor) -> Tensor:
    """The slopes (1, 2, H, W) of the colours (1, 3, H, W) of a normal map."""
    normals = 2 * colours - 1
    return normals[:, :2] / normals[:, 2:].clamp(min=STEEPEST)


def normals_of(slopes: Tensor) -> Tensor:
    """The colours of a normal map, of its slopes."""
    vectors = torch.cat([slopes, torch.ones_like(slopes[:, :1])], 1)
    return (F.normalize(vectors, dim=1) + 1) / 2


def side_of(size: tuple[int, int]) -> float:
    """The side of a triangle of the grid that Heitz & Neyret take, for a texture of `size`."""
    return min(size) / (2 * math.sqrt(3))
