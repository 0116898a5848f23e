"""Guides as pictures, for `--save-guides` and the report: the maps as the solver used them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from texsynth.field import pictures
from texsynth.guidance import orientation
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips

if TYPE_CHECKING:
    from texsynth.field.planes import Copying
    from texsynth.job import Job
    from texsynth.task import Guide

COPIES = "copies"
LONGEST_DRAWING = 2048  # pixels of a drawing of strokes, which larger ones would not make clearer
Draw = Callable[[], Picture]


def names(job: Job, copies: bool) -> list[str]:
    """What `drawings` will draw; copies: will there be a field?"""
    return [*(name for name, _ in _sheets(job)), *([COPIES] if copies else [])]


def drawings(job: Job, field: Copying | None) -> dict[str, Picture | Strips]:
    """Every map of every guide, by a name that can be a file's; with a field also which copy each pixel is from."""
    drawn: dict[str, Picture | Strips] = {name: draw() for name, draw in _sheets(job)}
    return drawn if field is None else {**drawn, COPIES: pictures.by_rows(field, pictures.plane_picture)}


def _sheets(job: Job) -> Iterator[tuple[str, Draw]]:
    """Names, and how to draw each: sources first, numbered where there are several."""
    for guide in job.task.guides:
        for number, (values, exemplar) in enumerate(zip(guide.sources, job.task.exemplars, strict=True), 1):
            name = f"{guide.name}_source" + (f"-{number}" if len(guide.sources) > 1 else "")
            yield name, partial(_map, guide, values)
            if guide.distance == "direction":
                yield f"{name}_strokes", partial(_strokes, values, exemplar.image)
        yield f"{guide.name}_target", partial(_map, guide, guide.target)
        if guide.distance == "direction":
            yield f"{guide.name}_target_strokes", partial(_strokes, guide.target, None)
    if job.task.guides and (strength := job.task.guides[0].strength) is not None:
        yield "guide_weight", partial(Picture, strength, depth="uint16")


def _map(guide: Guide, values: Tensor) -> Picture:
    """Values as they are, directions as hues, ids in the colours of their labels."""
    if guide.distance == "direction":
        return Picture(orientation.as_colour(values))
    if guide.palette is not None:
        return Picture(guide.palette[values[0, 0].long()].permute(2, 0, 1).unsqueeze(0))
    return Picture(values, depth="uint16")


def _strokes(field: Tensor, under: Tensor | None) -> Picture:
    height, width = field.shape[2:]
    share = min(1.0, LONGEST_DRAWING / max(height, width))
    return Picture(orientation.strokes(field, (max(1, round(height * share)), max(1, round(width * share))), under))
