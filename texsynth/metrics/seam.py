"""Seam ratio: are the windows across the borders that wrap as good as those elsewhere?

The mean distance of the windows of 9 x 9 pixels that touch a border of a tile to their nearest windows of the exemplar,
over the mean of all other windows, at two scales. Windows show what steps between neighbouring pixels do not: a brick
has edges of its own. The measure is our own. Values start at 0; 1 is a tile whose borders look like the rest of it;
good tiles score below 1.5, pictures that were not made to wrap 2 and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import Basis, fit
from texsynth.image import holes
from texsynth.metrics import About, NotApplicable, Pair
from texsynth.patches.matches import working_level
from texsynth.pyramid import shrink

PATCH, COMPONENTS = 9, 24
HALF = PATCH // 2
HALVINGS = (0, 1)  # below the working size, of each scale
QUERIES, KEYS = 2048, 1 << 16  # windows of the picture on each side of the comparison, and windows of the sources
QUERIES_AT_ONCE = 256
FRAME_DISTANCE = 1_000_000  # pixels between the frames of sources: no window is in the neighbourhood of another's
ABOUT = About(
    "distance of windows across borders that wrap to the exemplar's, over that of windows elsewhere",
    smallest_side=4 * PATCH,
)

Sources = Sequence[tuple[Tensor, Tensor]]  # pictures (1, 3, H, W), and which of their pixels count, (1, 1, H, W) bool


@dataclass(frozen=True)
class Windows:
    """Windows of pictures: their descriptors, (n, D), and the (y, x) of their middles, (n, 2)."""

    table: Tensor
    places: Tensor

    def drawn(self, most: int, rng: torch.Generator, numbers: Tensor) -> Windows:
        """At most so many of the windows with these numbers."""
        numbers = numbers[torch.randperm(len(numbers), generator=rng)[:most]]
        return Windows(self.table[numbers], self.places[numbers])


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    """The ratio along the axes that wrap, by the same windows of every picture of a size."""
    if not any(pair.tile):
        raise NotApplicable("seam: the output does not wrap; it compares windows across the borders of a tile")
    exemplar, output = pair.exemplar.cpu(), pair.output.cpu()
    everything = torch.ones_like(exemplar[:, :1], dtype=torch.bool)
    edges = borders((output.shape[2], output.shape[3]), pair.tile)
    # A tile may have been made from its exemplar in place: windows of the same place are not compared
    ratio = seam(output, edges, [(exemplar, everything)], pair.tile)
    if ratio is None:
        raise NotApplicable("seam: no window is left to compare with; use a larger exemplar or output")
    return ratio


def borders(size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """The outermost pixels along the axes that wrap, (1, 1, h, w) bool."""
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    for dim, wraps in enumerate(tile):
        if wraps:
            mask.narrow(2 + dim, 0, 1).fill_(True)
            mask.narrow(2 + dim, size[dim] - 1, 1).fill_(True)
    return mask


def seam(image: Tensor, mask: Tensor, sources: Sources, tile: tuple[bool, bool]) -> float | None:
    """The mean nearest distance of the windows of (1, 3, h, w) that touch the mask over that of all others.

    It is the mean over two scales, or None where one side has no window, or nothing to be compared with. The first of
    the sources has the frame of `image`; a window is not compared with its own neighbourhood in it.
    """
    rng = torch.Generator().manual_seed(0)
    ratios = []
    for level in (working_level(image) + halvings for halvings in HALVINGS):
        reduced = [(shrink(source, level), shrink(valid.float(), level) == 1) for source, valid in sources]
        ratio = _ratio(shrink(image, level), shrink(mask.float(), level) > 0, reduced, tile, rng)
        if ratio is not None:
            ratios.append(ratio)
    return sum(ratios) / len(ratios) if ratios else None


def _ratio(
    image: Tensor, mask: Tensor, sources: Sources, tile: tuple[bool, bool], rng: torch.Generator
) -> float | None:
    """The same at one scale."""
    if min(*image.shape[2:], *(side for source, _ in sources for side in source.shape[2:])) < 2 * PATCH:
        return None
    # Draw the windows that are compared with
    basis = fit([source for source, _ in sources], PATCH, COMPONENTS, rng)
    keys = _keys(sources, basis)
    if len(keys.table) == 0:
        return None
    keys = keys.drawn(KEYS, rng, torch.arange(len(keys.table)))
    # Compare windows of either side with them
    queries, touching = _queries(image, mask, basis, tile)
    means = []
    for side in (touching, ~touching):
        distances = _nearest(queries.drawn(QUERIES, rng, side.nonzero()[:, 0]), keys)
        if len(distances) == 0:
            return None
        means.append(float(distances.mean()))
    return means[0] / max(means[1], 1e-6)


def _keys(sources: Sources, basis: Basis) -> Windows:
    """All windows of the sources of which every pixel counts."""
    tables, places = [], []
    for number, (source, valid) in enumerate(sources):
        whole = ~holes.grow(~valid, HALF)[0, 0, HALF:-HALF, HALF:-HALF]
        tables.append(basis.describe(source)[whole.flatten()])
        places.append(whole.nonzero() + HALF + number * FRAME_DISTANCE)
    return Windows(torch.cat(tables), torch.cat(places))


def _queries(image: Tensor, mask: Tensor, basis: Basis, tile: tuple[bool, bool]) -> tuple[Windows, Tensor]:
    """All n windows of a picture, across borders that wrap; and whether they touch the mask, (n,) bool."""
    near = holes.grow(mask, HALF, tile)[0, 0]
    inside = torch.ones_like(near)
    for dim, wraps in enumerate(tile):
        if wraps:
            image = F.pad(image, [0, 0, HALF, HALF] if dim == 0 else [HALF, HALF, 0, 0], mode="circular")
        else:
            inside.narrow(dim, 0, HALF).fill_(False)
            inside.narrow(dim, near.shape[dim] - HALF, HALF).fill_(False)
    return Windows(basis.describe(image), inside.nonzero()), near[inside]


def _nearest(queries: Windows, keys: Windows) -> Tensor:
    """The distance of each window to the nearest key outside its neighbourhood, (n,), without those that have none."""
    least = [torch.empty(0)]
    parts = zip(queries.table.split(QUERIES_AT_ONCE), queries.places.split(QUERIES_AT_ONCE), strict=True)
    for table, places in parts:
        near = torch.cdist(places.float(), keys.places.float(), p=torch.inf) < PATCH
        least.append(torch.cdist(table, keys.table).masked_fill_(near, torch.inf).amin(1))
    distances = torch.cat(least)
    return distances[distances.isfinite()]
