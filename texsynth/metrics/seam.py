"""Seam ratio: are the windows across the borders that wrap as good as those elsewhere?

The mean distance of the windows of 9 x 9 pixels that touch a border of a tile to their nearest windows of the exemplar,
over the mean of all other windows, at two scales. Windows tell what steps between neighbours do not: a brick has edges
of its own. Our own measure. From 0; 1 is a tile whose borders look like the rest of it; good tiles score below 1.5,
pictures that were not made to wrap 2 and more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.features.windows import Basis, fit
from texsynth.image import holes
from texsynth.metrics import NotApplicable, Pair, enough
from texsynth.pyramid import shrink

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, None)
NEEDS: Mapping[str, tuple[str, ...]] = {}
PATCH, COMPONENTS = 9, 24
LEAST = 4 * PATCH
DESCRIPTION = "distance of windows across borders that wrap to the exemplar's, over that of windows elsewhere"
HALF = PATCH // 2
SIDE = 256  # pixels of the shorter side that windows of PATCH are fine enough for
SCALES = (0, 1)  # halvings below that
COUNT, KEYS, CHUNK = 2048, 1 << 16, 256  # windows compared on each side, with so many, at once
APART = 1_000_000  # pixels between the frames of sources: none has a window in the neighbourhood of another's

Sources = Sequence[tuple[Tensor, Tensor]]  # pictures (1, 3, H, W), and what of them counts, (1, 1, H, W) bool


@dataclass(frozen=True)
class Windows:
    """table: (n, D) descriptors of windows; places: (n, 2), the (y, x) of their middles."""

    table: Tensor
    places: Tensor

    def some(self, picked: Tensor) -> Windows:
        """Those of some numbers."""
        return Windows(self.table[picked], self.places[picked])


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,  # noqa: ARG001 (`seam` has a seed of its own: the same windows for every picture of a size)
) -> float:
    """Along the axes that wrap. Windows are not compared with those at the same place of the exemplar, so that a tile
    that was made from it in place is not compared with itself."""
    enough("seam", pair, LEAST)
    if not any(pair.tile):
        raise NotApplicable("seam: the output does not wrap; it compares windows across the borders of a tile")
    exemplar, output = pair.exemplar.cpu(), pair.output.cpu()
    everything = torch.ones_like(exemplar[:, :1], dtype=torch.bool)
    ends = borders((output.shape[2], output.shape[3]), pair.tile)
    found = seam(output, ends, [(exemplar, everything)], pair.tile)
    if found is None:
        raise NotApplicable("seam: no window is left to compare with; use a larger exemplar or output")
    return found


def borders(size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """The outermost pixels along the axes that wrap, (1, 1, h, w) bool."""
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    for dim, wraps in enumerate(tile):
        if wraps:
            mask.narrow(2 + dim, 0, 1).fill_(True)
            mask.narrow(2 + dim, size[dim] - 1, 1).fill_(True)
    return mask


def seam(image: Tensor, made: Tensor, sources: Sources, tile: tuple[bool, bool]) -> float | None:
    """Mean nearest distance of the windows of (1, 3, h, w) that touch `made` (1, 1, h, w) bool over that of all others;
    None where one side has none, or nothing to be compared with.

    The first source is of `image`'s own frame; a window's own neighbourhood does not count. Mean over two scales.
    """
    rng = torch.Generator().manual_seed(0)
    base = max(0, (min(image.shape[2:]) // SIDE).bit_length() - 1)
    ratios = []
    for level in (base + scale for scale in SCALES):
        reduced = [(shrink(source, level), shrink(valid.float(), level) == 1) for source, valid in sources]
        ratios.append(_ratio(shrink(image, level), shrink(made.float(), level) > 0, reduced, tile, rng))
    known = [ratio for ratio in ratios if ratio is not None]
    return sum(known) / len(known) if known else None


def _ratio(
    image: Tensor, made: Tensor, sources: Sources, tile: tuple[bool, bool], rng: torch.Generator
) -> float | None:
    """The same at one scale."""
    if min(*image.shape[2:], *(side for source, _ in sources for side in source.shape[2:])) < 2 * PATCH:
        return None
    basis = fit([source for source, _ in sources], PATCH, COMPONENTS, rng)
    keys = _keys(sources, basis)
    if len(keys.table) == 0:
        return None
    keys = keys.some(torch.randperm(len(keys.table), generator=rng)[:KEYS])
    queries, touching = _queries(image, made, basis, tile)
    means = []
    for side in (touching, ~touching):
        numbers = side.nonzero()[:, 0]
        distances = _nearest(queries.some(numbers[torch.randperm(len(numbers), generator=rng)[:COUNT]]), keys)
        if len(distances) == 0:
            return None
        means.append(float(distances.mean()))
    return means[0] / max(means[1], 1e-6)


def _keys(sources: Sources, basis: Basis) -> Windows:
    """All windows of the sources of which every pixel counts."""
    found = []
    for number, (source, valid) in enumerate(sources):
        whole = ~holes.grow(~valid, HALF)[0, 0, HALF:-HALF, HALF:-HALF]
        places = whole.nonzero() + HALF + number * APART
        found.append(Windows(basis.describe(source)[whole.flatten()], places))
    return Windows(torch.cat([each.table for each in found]), torch.cat([each.places for each in found]))


def _queries(image: Tensor, made: Tensor, basis: Basis, tile: tuple[bool, bool]) -> tuple[Windows, Tensor]:
    """All windows of a picture, across borders that wrap; and (n,) bool, do they touch what was made?"""
    near = holes.grow(made, HALF, tile)[0, 0]
    inside = torch.ones_like(near)
    for dim, wraps in enumerate(tile):
        if wraps:
            image = F.pad(image, [0, 0, HALF, HALF] if dim == 0 else [HALF, HALF, 0, 0], mode="circular")
        else:
            inside.narrow(dim, 0, HALF).fill_(False)
            inside.narrow(dim, near.shape[dim] - HALF, HALF).fill_(False)
    return Windows(basis.describe(image), inside.nonzero()), near[inside]


def _nearest(queries: Windows, keys: Windows) -> Tensor:
    """The distance of each of (n,) windows to the nearest key outside its neighbourhood; left out where none is."""
    found = [torch.empty(0)]
    for table, places in zip(queries.table.split(CHUNK), queries.places.split(CHUNK), strict=True):
        near = torch.cdist(places.float(), keys.places.float(), p=torch.inf) < PATCH
        found.append(torch.cdist(table, keys.table).masked_fill_(near, torch.inf).amin(1))
    distances = torch.cat(found)
    return distances[distances.isfinite()]
