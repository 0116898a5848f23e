"""The search space of one level: the source pixels that a field may copy, their windows and their look-alikes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import Basis, fit
from texsynth.field.atlas import Atlas
from texsynth.image.holes import grow

PIXELS_DESCRIBED_AT_ONCE = 1 << 18  # bounds the memory
REACH = 16  # pixels round those in use that a level may move to
QUERIES_AT_ONCE = 1024  # windows that are compared with all others at once


@dataclass(frozen=True)
class Space:
    """What a field may copy from at one level.

    basis: the principal directions of windows.
    table: (N, D) float32, the descriptor of each source pixel's window.
    described: (N,) bool, which source pixels have a descriptor and so may be copied.
    jumps: (N, K) int32, the look-alikes of each source pixel.
    """

    atlas: Atlas
    basis: Basis
    table: Tensor
    described: Tensor
    jumps: Tensor


def draw(pixels: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Up to `most` of some flat indices (n,), at random but in the order in which they came."""
    if len(pixels) <= most:
        return pixels
    return pixels[torch.randperm(len(pixels), generator=rng)[:most].sort().values.to(pixels.device)]


def surroundings(atlas: Atlas, used: Tensor) -> Tensor:
    """The valid pixels within REACH of the flat indices `used`, (N,) bool: so the work of a level follows the output
    where the exemplar is larger."""
    mark = torch.zeros_like(atlas.valid)
    mark[used.flatten()] = True
    return grow(atlas.picture(mark), REACH).flatten() & atlas.valid


def find_basis(atlas: Atlas, patch: int, components: int, rng: torch.Generator) -> Basis:
    """The principal directions of the `patch` x `patch` windows of all planes."""
    margin, pictures = 2 * (patch // 2), atlas.picture(atlas.colours)
    planes = [p[None, :, : h + margin, : w + margin] for p, (h, w) in zip(pictures, atlas.shapes, strict=True)]
    return fit(planes, patch, components, rng)


def describe(atlas: Atlas, basis: Basis, wanted: Tensor) -> Tensor:
    """The descriptors (N, D) of the `wanted` (N,) bool source pixels; others may have one or 0."""
    half, step = basis.patch // 2, max(1, PIXELS_DESCRIBED_AT_ONCE // atlas.row)
    table = torch.zeros(len(wanted), len(basis.kernel), device=wanted.device)
    descriptors = table.view(atlas.planes, atlas.rows, atlas.row, -1)
    wanted, pictures = wanted.view(atlas.planes, atlas.rows, atlas.row), atlas.picture(atlas.colours)
    for plane in range(atlas.planes):
        for top in range(half, atlas.rows - half, step):
            bottom = min(top + step, atlas.rows - half)
            columns = wanted[plane, top:bottom].any(0).nonzero()[:, 0]
            if len(columns) == 0:
                continue
            left, right = int(columns[0]), int(columns[-1]) + 1
            part = pictures[plane : plane + 1, :, top - half : bottom + half, left - half : right + half]
            descriptors[plane, top:bottom, left:right] = basis.describe(part).view(bottom - top, right - left, -1)
    return table


def nearest(atlas: Atlas, basis: Basis, table: Tensor, image: Tensor) -> Tensor:
    """The source pixel whose window is nearest to that of each pixel of (1, 3, h, w), as (h, w) int64."""
    usable = atlas.valid.nonzero()[:, 0]
    keys = table[usable]
    norms = (keys**2).sum(1)
    query = basis.describe(F.pad(image, (basis.patch // 2,) * 4, mode="replicate"))
    picks = [(norms - 2 * some @ keys.T).argmin(1) for some in query.split(QUERIES_AT_ONCE)]
    return usable[torch.cat(picks)].view(*image.shape[2:])
