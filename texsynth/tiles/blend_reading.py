"""A texture that is ready for blending, read back from its JSON, which may be of others: its colours, without maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from texsynth.errors import InputError, one_line, shown
from texsynth.image import picture as image
from texsynth.image.pixels import size_in_memory
from texsynth.tiles import blend_store, store
from texsynth.tiles.blending import ANY_PIXEL, LONGEST_SIDE, TABLE_WIDTH, Gaussian, Grid

LARGEST = 1e6  # of any number that is no whole one
SHARPEST = 64.0  # the power of a third, the least that the largest weight is, is not 0 in 32 bits


def is_blend(content: Mapping[str, Any]) -> bool:
    """Is the object of a JSON that of a texture for blending?"""
    return content.get(blend_store.KEY) == blend_store.VERSION


def read(path: Path, memory: int | None = None) -> tuple[Grid, Gaussian]:
    """How the texture is drawn, and its colours. Raises InputError where the JSON or a picture is missing, damaged, or
    not as `texsynth tiles blend` writes it, and ResourceError for pictures of more than `memory` bytes together."""
    name, content = one_line(path.name), store.loaded(path)
    if not is_blend(content):
        raise InputError(f"{name}: is not the JSON of a blend; give one that `texsynth tiles blend` wrote")
    try:
        grid = _grid(content)
        return grid, _layer(path.parent, content.get("image"), grid.size, memory)
    except ValueError as fault:
        raise InputError(f"{name}: {fault}; give one as `texsynth tiles blend` wrote it") from None


def _grid(content: Mapping[str, Any]) -> Grid:
    width, height = _whole(content, "blend_size", 2, 1, LONGEST_SIDE)
    (seed,) = _whole(content, "blend_seed", 1, 0, 0xFFFFFFFF)
    (cells,) = _whole(content, "blend_cells", 1, 1, ANY_PIXEL)
    a, b, c, d = _whole(content, "blend_steps", 4, 0, ANY_PIXEL)
    side = float(_numbers(content, "blend_grid", 1, 0.01))
    sharpness = float(_numbers(content, "blend_sharpness", 1, 0.01, SHARPEST))
    return Grid((height, width), seed, side, sharpness, cells, (a, b, c, d))


def _layer(folder: Path, entry: Any, size: tuple[int, int], memory: int | None) -> Gaussian:
    if not isinstance(entry, dict):
        raise ValueError(f"image is {shown(entry)}, not its files and numbers")
    files = (folder / store.beside(word, entry.get(word)) for word in ("gaussian", "table"))
    pictures: list[image.Picture] = []
    for file in files:
        left = None if memory is None else memory - sum(map(size_in_memory, pictures))
        pictures.append(image.read(file, left))
    texture, table = (picture.pixels for picture in pictures)
    channels = texture.shape[1]
    (levels,) = _whole(entry, "blend_levels", 1, 1, LONGEST_SIDE.bit_length())
    if tuple(texture.shape[2:]) != size or tuple(table.shape) != (1, channels, levels, TABLE_WIDTH):
        raise ValueError("its textures are not of the sizes that it says")
    common, origin, axes = (
        _numbers(entry, f"blend_{name}", channels**power, low)
        for name, power, low in (("common", 1, 0.0), ("origin", 1, -LARGEST), ("axes", 2, -LARGEST))
    )
    if bool((common > 1).any()):
        raise ValueError(f"blend_common is {shown(entry['blend_common'])}; allowed: 0 to 1")
    return Gaussian(texture, table[0], common, origin, axes.view(channels, channels).T.contiguous())


def _flat(value: Any) -> list[Any]:
    """The numbers of a list, or of lists in a list, in order."""
    parts = value if isinstance(value, list) else [value]
    return [number for part in parts for number in (part if isinstance(part, list) else [part])]


def _whole(content: Mapping[str, Any], name: str, count: int, low: int, high: int) -> list[int]:
    values = _flat(content.get(name))
    if len(values) != count or any(type(value) is not int or not low <= value <= high for value in values):
        raise ValueError(f"{name} is {shown(content.get(name))}; allowed: {count} of {low} to {high}")
    return values


def _numbers(content: Mapping[str, Any], name: str, count: int, low: float, high: float = LARGEST) -> Tensor:
    """So many finite numbers from `low` to `high`, (count,)."""
    values = _flat(content.get(name))
    good = all(type(value) in (int, float) and math.isfinite(value) and low <= value <= high for value in values)
    if len(values) != count or not good:
        raise ValueError(f"{name} is {shown(content.get(name))}; allowed: {count} from {low:g} to {high:g}")
    return torch.tensor(values, dtype=torch.float32)
