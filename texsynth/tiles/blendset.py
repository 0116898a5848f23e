"""A texture and its maps, ready to be blended together: all are drawn at the same offsets with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from texsynth.image.pixels import LEVELS, Picture
from texsynth.tiles import gaussian, periodic, steps
from texsynth.tiles.blending import Gaussian, Grid, Slopes, bake, mixed_colours, side_of
from texsynth.tiles.periodic import Fade
from texsynth.tiles.steps import InSteps
from texsynth.tiles.suitability import PLANES

SHARPNESS = 4.0  # of weights: large enough to keep leaves whole, and small enough for no seam to show
SHARPNESS_IN_STEP = 8.0  # of objects in rows, which have outlines and colours of their own
LONGEST_PREVIEW = 2048  # pixels
TABLE_DEPTH = "uint16"  # its steps are differences of colours
REPEATS = 4  # of the texture, along a side of the preview

Layered = TypeVar("Layered", bound="Gaussian | Slopes")


@dataclass(frozen=True)
class BlendSet:
    """A texture ready to be blended.

    image: Of its colours. maps: Of each map by name, a normal map as slopes.
    lattice: By whose steps it is drawn; in words why by none.
    once: The texture as it repeats, (1, C, H, W), drawn at one offset only.
    """

    grid: Grid
    image: Gaussian
    maps: Mapping[str, Gaussian | Slopes]
    lattice: InSteps | str
    once: Tensor


def layout(image: Tensor, seed: int, lattice: str | InSteps) -> tuple[Grid, Fade, InSteps | str]:
    """The grid of a texture (1, 3, H, W) and how its borders fade. Its lattice is measured where it is not told. The
    grid may be smaller than it, by what is cropped right and below for whole steps."""
    in_steps = lattice if isinstance(lattice, InSteps) else steps.measured(image, lattice)
    if isinstance(in_steps, str):
        size = image.shape[2], image.shape[3]
        return Grid(size, seed & 0xFFFFFFFF, side_of(size), SHARPNESS), periodic.fade(image), in_steps
    size = in_steps.size
    side = max(side_of(size), *in_steps.along)
    grid = Grid(size, seed & 0xFFFFFFFF, side, SHARPNESS_IN_STEP, in_steps.cells, in_steps.steps)
    return grid, periodic.fade(cropped(image, size), in_steps.along), in_steps


def cropped(values: Tensor, size: tuple[int, int], scale: int = 1) -> Tensor:
    """The upper left part, of `size`, of values so many times as fine."""
    return values[:, :, : size[0] * scale, : size[1] * scale]


def prepared(
    image: Tensor, colours: Picture, maps: Mapping[str, tuple[Picture, bool]], seed: int, lattice: str | InSteps
) -> BlendSet:
    """The set of a texture (1, 3, H, W) in [0, 1], which tells its lattice, with its colours as they are, and its maps,
    each with whether it is one of normals, at whole multiples of its resolution. All is as files will hold it."""
    grid, fade, in_steps = layout(image, seed, lattice)
    offsets = steps.offsets(grid)
    ready: dict[str, Gaussian | Slopes] = {}
    for name, (picture, is_normal) in maps.items():
        scale = picture.width // image.shape[3]
        part, finer = cropped(picture.pixels, grid.size, scale), None if offsets is None else offsets * scale
        if is_normal:
            ready[name] = as_stored(gaussian.slopes(part, fade.times(scale), finer), picture.depth)
        else:
            layer = as_stored(gaussian.gaussian(part, fade.times(scale), finer), picture.depth)
            ready[name] = gaussian.corrected(layer, part, grid.sharpness, finer)
    part = cropped(colours.pixels, grid.size)
    layer = as_stored(gaussian.gaussian(part, fade, offsets), colours.depth)
    right = gaussian.corrected(layer, part, grid.sharpness, offsets)
    return BlendSet(grid, right, ready, in_steps, once(layer))


def depth_of(depth: str) -> str:
    """The depth of what is written of a picture of some depth."""
    return depth if depth in LEVELS else "uint16"


def as_stored(layer: Layered, depth: str) -> Layered:
    """A layer as its files will hold it, of a picture of some depth."""
    stored = replace(layer, texture=_rounded(layer.texture, LEVELS[depth_of(depth)]))
    if isinstance(stored, Gaussian):
        return replace(stored, table=_rounded(stored.table, LEVELS[TABLE_DEPTH]))
    return stored


def _rounded(values: Tensor, levels: int) -> Tensor:
    return (values.clamp(0, 1) * levels).round() / levels


def plane(image: Tensor, in_steps: InSteps | None = None) -> Tensor:
    """A blended plane of a texture (1, 3, H, W) in [0, 1], PLANES times its size, by which it is judged: with offsets
    in steps, or with free ones."""
    ready = prepared(image, Picture(image, depth="uint16"), {}, 0, steps.OFF if in_steps is None else in_steps)
    return bake(ready.grid, ready.image, (PLANES * image.shape[2], PLANES * image.shape[3])).clamp(0, 1)


def preview(ready: BlendSet) -> Tensor:
    """The plane that repeats the texture 4 x 4 times would cover, (1, C, h, w), at a mip level at which its sides have
    LONGEST_PREVIEW pixels at most."""
    level, longest = 0, REPEATS * max(ready.grid.size)
    while longest >> level > LONGEST_PREVIEW:
        level += 1
    size = [max(1, side >> level) * REPEATS for side in ready.grid.size]
    return bake(ready.grid, ready.image, (size[0], size[1]), level)


def once(layer: Gaussian) -> Tensor:
    """The texture as it repeats, (1, C, H, W): drawn at one offset only."""
    return mixed_colours(layer, layer.texture, torch.ones(1, *layer.texture.shape[2:]))[None]
