"""`--check`: what a result is worth, measured: how well its seams hide, that nothing else moved, that labels hold.

A seam is told by windows, not by steps between neighbours, which mislead on regular textures (a brick has edges of its
own): windows that touch what was made are compared with windows elsewhere by the distance to their nearest windows of
the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import holes
from texsynth.features.windows import Basis, fit
from texsynth.job import Job
from texsynth.run import Result
from texsynth.sources import follow
from texsynth.task import shrink
from texsynth.verbs.inputs import matching

PATCH, COMPONENTS = 9, 24
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


def check(result: Result, job: Job) -> dict[str, Any]:
    """JSON-able, by name; None for what does not apply to a job.

    seam: mean distance of windows that touch what was made to the nearest window of the source, over the mean of
    windows elsewhere; 1 is a picture as good there as anywhere. tile_seam: the same for windows across borders that
    wrap.
    unchanged: are all pixels outside the hole exactly those of the input? changed: the share of pixels that were made.
    overlap: how well labels lie where they were asked for, in [0, 1].
    """
    image, (hole, tile) = matching((result.image,))[0], (job.task.hole, job.task.tile)
    sources = [(e.image, e.image[:, :1] >= 0 if e.valid is None else e.valid) for e in job.task.exemplars]
    found: dict[str, Any] = {"seam": None, "tile_seam": None, "unchanged": None, "changed": 1.0}
    if any(tile):
        found["tile_seam"] = seam(image, borders(job.task.size, tile), sources, tile)
    if hole is not None:
        before = job.image.pictures[0]
        found["changed"] = float(hole.float().mean())
        found["unchanged"] = bool(((result.image.pixels == before.pixels) | hole).all())
        found["seam"] = seam(image, hole, sources, tile)
    found["overlap"] = overlap(result, job)
    return found


def overlap(result: Result, job: Job) -> float | None:
    """Intersection over union of each label asked for with where it came from, read back through the field; the mean
    over labels but the most common one, the background, unless there is no other. None without labels or a field."""
    guide = next((guide for guide in job.task.guides if (guide.name, guide.distance) == ("labels", "l0")), None)
    if guide is None or result.field is None:
        return None
    made, wanted = follow(result.field, guide.sources, "labels"), guide.target.to(guide.sources[0].device)
    names, counts = wanted.unique(return_counts=True)
    if len(names) > 1:
        names = names[torch.arange(len(names), device=names.device) != counts.argmax()]
    shares = [((made == name) & (wanted == name)).sum() / ((made == name) | (wanted == name)).sum() for name in names]
    return float(torch.stack(shares).mean())


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
