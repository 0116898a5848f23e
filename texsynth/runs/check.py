"""`--check`: how good a result is: how well its seams hide, that nothing else moved, that labels hold.

Steps between neighbours mislead on regular textures, whose bricks have edges of their own. So a seam is measured by
windows: those that touch synthesised pixels are compared with windows elsewhere, by the distance to their nearest
windows of the source.
"""

from __future__ import annotations

from typing import Any

import torch

from texsynth.field.follow import follow
from texsynth.image.load import matching
from texsynth.job import Job
from texsynth.metrics.seam import borders, seam
from texsynth.runs.run import Result


def check(result: Result, job: Job) -> dict[str, Any]:
    """JSON-able values by name; None for what does not apply to a job.

    seam: the mean distance of windows that touch the hole to the nearest window of the source, over the mean of windows
    elsewhere; 1 is a picture as good there as anywhere. tile_seam: the same for windows across borders that wrap.
    unchanged: are all pixels outside the hole exactly those of the input? changed: the share of the hole.
    overlap: how well labels lie where they were asked for, in [0, 1].
    """
    image, (hole, tile) = matching((result.image,))[0], (job.task.hole, job.task.tile)
    sources = [(e.image, e.image[:, :1] >= 0 if e.valid is None else e.valid) for e in job.task.exemplars]
    values: dict[str, Any] = {"seam": None, "tile_seam": None, "unchanged": None, "changed": 1.0}
    if any(tile):
        values["tile_seam"] = seam(image, borders(job.task.size, tile), sources, tile)
    if hole is not None:
        before = job.image.pictures[0]
        values["changed"] = float(hole.float().mean())
        values["unchanged"] = bool(((result.image.pixels == before.pixels) | hole).all())
        values["seam"] = seam(image, hole, sources, tile)
    values["overlap"] = overlap(result, job)
    return values


def overlap(result: Result, job: Job) -> float | None:
    """Intersection over union of each label asked for with where it came from, read back through the field; the mean
    over labels but the most common one, the background, unless there is no other. None without labels or a field."""
    guide = next((guide for guide in job.task.guides if (guide.name, guide.distance) == ("labels", "l0")), None)
    if guide is None or result.field is None:
        return None
    copied, wanted = follow(result.field, guide.sources, "labels"), guide.target.to(guide.sources[0].device)
    names, counts = wanted.unique(return_counts=True)
    if len(names) > 1:
        names = names[torch.arange(len(names), device=names.device) != counts.argmax()]
    shares = [
        ((copied == name) & (wanted == name)).sum() / ((copied == name) | (wanted == name)).sum() for name in names
    ]
    return float(torch.stack(shares).mean())
