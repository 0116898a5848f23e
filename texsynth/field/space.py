"""What a field may copy from at one level, described: the windows and the look-alikes of the source pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import Basis, fit
from texsynth.field.atlas import Atlas

STRIP = 1 << 18  # pixels whose windows are described at once: bounds the memory
REACH = 16  # pixels round the used ones that a level may move to


@dataclass(frozen=True)
class Space:
    """table: (N, D) descriptors; described: (N,) bool, which source pixels have one and so may be copied; jumps: (N, K)
    look-alikes."""

    atlas: Atlas
    basis: Basis
    table: Tensor
    described: Tensor
    jumps: Tensor


def surroundings(atlas: Atlas, used: Tensor) -> Tensor:
    """Valid pixels within REACH of the `used` flat indices, (N,) bool.

    Where the exemplar is larger than the output, the work of a level so follows the output.
    """
    mark = torch.zeros(len(atlas.valid), device=used.device)
    mark[used.flatten()] = 1
    wide = mark.view(atlas.planes, 1, atlas.rows, atlas.row)
    for kernel, padding in (((2 * REACH + 1, 1), (REACH, 0)), ((1, 2 * REACH + 1), (0, REACH))):
        wide = F.max_pool2d(wide, kernel, stride=1, padding=padding)
    return (wide.flatten() > 0) & atlas.valid


def find_basis(atlas: Atlas, patch: int, components: int, rng: torch.Generator) -> Basis:
    """The principal directions of the windows of all planes."""
    margin, pictures = 2 * (patch // 2), atlas.picture(atlas.colours)
    planes = [p[None, :, : h + margin, : w + margin] for p, (h, w) in zip(pictures, atlas.shapes, strict=True)]
    return fit(planes, patch, components, rng)


def describe(atlas: Atlas, basis: Basis, wanted: Tensor) -> Tensor:
    """Descriptors (N, D) of the `wanted` (N,) source pixels; zero, and without cost, far from them."""
    half = basis.patch // 2
    table = torch.zeros(len(wanted), len(basis.kernel), device=wanted.device)
    places = table.view(atlas.planes, atlas.rows, atlas.row, -1)
    wanted = wanted.view(atlas.planes, atlas.rows, atlas.row)
    pictures = atlas.picture(atlas.colours)
    step = max(1, STRIP // atlas.row)
    for plane in range(atlas.planes):
        for top in range(half, atlas.rows - half, step):
            bottom = min(top + step, atlas.rows - half)
            columns = wanted[plane, top:bottom].any(0).nonzero()[:, 0]
            if len(columns) == 0:
                continue
            left, right = int(columns[0]), int(columns[-1]) + 1
            part = pictures[plane : plane + 1, :, top - half : bottom + half, left - half : right + half]
            places[plane, top:bottom, left:right] = basis.describe(part).view(bottom - top, right - left, -1)
    return table


def nearest(atlas: Atlas, basis: Basis, table: Tensor, image: Tensor) -> Tensor:
    """The source pixel whose window is nearest to that of each pixel of (1, 3, h, w), as (h, w)."""
    margin = basis.patch // 2
    usable = atlas.valid.nonzero()[:, 0]
    keys = table[usable]
    norms = (keys**2).sum(1)
    query = basis.describe(F.pad(image, (margin,) * 4, mode="replicate"))
    picks = [(norms - 2 * some @ keys.T).argmin(1) for some in query.split(1024)]
    return usable[torch.cat(picks)].view(*image.shape[2:])
