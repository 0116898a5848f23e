"""`--check`: what a repaired picture is worth, measured: how well its seams hide, and that nothing else moved.

A seam is told by windows, not by steps between neighbours, which mislead on regular textures (a brick has edges of its
own): windows that touch what was made are compared with windows elsewhere by the distance to their nearest windows of
the source.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import holes
from texsynth.features.windows import fit
from texsynth.job import Job
from texsynth.run import Result
from texsynth.task import shrink
from texsynth.verbs.inputs import matching

PATCH, COMPONENTS = 9, 24
SIDE = 256  # pixels of the shorter side that windows of PATCH are fine enough for
SCALES = (0, 1)  # halvings below that
COUNT, KEYS, CHUNK = 2048, 1 << 16, 256  # windows compared on each side, with so many, at once


def check(result: Result, job: Job) -> dict[str, Any]:
    """JSON-able, by name; None for what does not apply to a job.

    seam: mean distance of windows that touch what was made to the nearest window of the source, over the mean of
    windows elsewhere; 1 is a picture as good there as anywhere. tile_seam: the same for windows across borders that
    wrap.
    unchanged: are all pixels outside the hole exactly those of the input? changed: the share of pixels that were made.
    """
    image = matching((result.image,))[0]
    hole, tile = job.task.hole, job.task.tile
    valid = [e.valid for e in job.task.exemplars]
    sources = [
        (e.image, torch.ones_like(e.image[:, :1], dtype=torch.bool) if v is None else v)
        for e, v in zip(job.task.exemplars, valid, strict=True)
    ]
    found: dict[str, Any] = {"seam": None, "tile_seam": None, "unchanged": None, "changed": 1.0}
    if any(tile):
        found["tile_seam"] = seam(image, borders(job.task.size, tile), sources, tile)
    if hole is not None:
        before = job.image.pictures[0]
        found["changed"] = float(hole.float().mean())
        found["unchanged"] = bool(((result.image.pixels == before.pixels) | hole).all())
        found["seam"] = seam(image, hole, sources, tile)
    return found


def borders(size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """The outermost pixels along the axes that wrap, (1, 1, h, w) bool."""
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    for dim, wraps in enumerate(tile):
        if wraps:
            mask.narrow(2 + dim, 0, 1).fill_(True)
            mask.narrow(2 + dim, size[dim] - 1, 1).fill_(True)
    return mask


def seam(image: Tensor, made: Tensor, sources: list[tuple[Tensor, Tensor]], tile: tuple[bool, bool]) -> float | None:
    """Mean nearest distance of the windows of (1, 3, h, w) that touch `made` (1, 1, h, w) bool over that of all others;
    None where one side has none.

    sources: pictures (1, 3, H, W), the first of `image`'s own frame, and what of them counts (1, 1, H, W) bool. A
    window's own neighbourhood does not count. Mean over two scales.
    """
    rng = torch.Generator().manual_seed(0)
    ratios = []
    base = max(0, (min(image.shape[2:]) // SIDE).bit_length() - 1)
    for level in (base + scale for scale in SCALES):
        touched = shrink(made.float(), level) > 0
        reduced = [(shrink(s, level), shrink(v.float(), level) == 1) for s, v in sources]
        ratio = _ratio(shrink(image, level), touched, reduced, tile, rng)
        if ratio is not None:
            ratios.append(ratio)
    return sum(ratios) / len(ratios) if ratios else None


def _ratio(
    image: Tensor, made: Tensor, sources: list[tuple[Tensor, Tensor]], tile: tuple[bool, bool], rng: torch.Generator
) -> float | None:
    half = PATCH // 2
    usable = [~holes.grow(~valid, half)[:, :, half : -half or None, half : -half or None] for _, valid in sources]
    if min(*image.shape[2:], *(n for s, _ in sources for n in s.shape[2:])) < 2 * PATCH or not any(
        bool(u.any()) for u in usable
    ):
        return None
    basis = fit([s for s, _ in sources], PATCH, COMPONENTS, rng)
    keys, places = [], []
    for number, ((source, _), use) in enumerate(zip(sources, usable, strict=True)):
        inside = use.flatten().nonzero()[:, 0]
        at = torch.stack([inside // use.shape[3], inside % use.shape[3]], 1) + half
        keys.append(basis.describe(source)[inside])
        places.append(at + number * 1_000_000)
    table, where = torch.cat(keys), torch.cat(places)
    some = torch.randperm(len(table), generator=rng)[:KEYS]
    table, where = table[some], where[some]
    wide = image
    for dim, wraps in enumerate(tile):
        padding = [0, 0, half, half] if dim == 0 else [half, half, 0, 0]
        wide = F.pad(wide, padding, mode="circular") if wraps else wide
    queries = basis.describe(wide)
    near = holes.grow(made, half, tile)
    offset = [0 if wraps else half for wraps in tile]
    near = near[:, :, offset[0] : near.shape[2] - offset[0], offset[1] : near.shape[3] - offset[1]]
    flat, width = near.flatten(), near.shape[3]
    means = []
    for of in (flat.nonzero()[:, 0], (~flat).nonzero()[:, 0]):
        picked = of[torch.randperm(len(of), generator=rng)[:COUNT]]
        if len(picked) == 0:
            return None
        at = torch.stack([picked // width + offset[0], picked % width + offset[1]], 1)
        means.append(_nearest(queries[picked], at, table, where))
    return means[0] / max(means[1], 1e-6)


def _nearest(queries: Tensor, at: Tensor, table: Tensor, where: Tensor) -> float:
    """Mean distance of (n, D) to their nearest rows of a table whose places are not within PATCH of theirs."""
    total = 0.0
    for some, here in zip(queries.split(CHUNK), at.split(CHUNK), strict=True):
        apart = torch.cdist(some, table)
        close = torch.cdist(here.float(), where.float(), p=torch.inf) < PATCH
        total += float(apart.masked_fill_(close, torch.inf).amin(1).sum())
    return total / len(queries)
