"""Where the pixels of a result were copied from, in the pictures that the page shows."""

from __future__ import annotations

from typing import Any

import torch

from texsynth.errors import InputError
from texsynth.field.atlas import Atlas
from texsynth.field.planes import Planes
from texsynth.job import Job
from texsynth.runs.run import Result
from texsynth.verbs import parse

Place = tuple[int, int, int, str]  # the exemplar, x, y, the name of its copy
NOWHERE = "it was not copied from anywhere"


def origin(request: Any, job: Job, result: Result, x: int, y: int) -> Place:
    """Where a pixel of a result comes from, before a --crop is taken off; raises InputError where that is nowhere."""
    field, hole = result.field, job.task.hole
    if field is None:
        raise InputError(NOWHERE)
    height, width = field.size
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"the result has {width}x{height} pixels, and {x},{y} is none of them")
    if hole is not None and not bool(hole[0, 0, y, x]):  # it has stayed as it was
        return _read(request, 0, x, y, "none")
    index: torch.Tensor = field.part(y, y + 1).index[0, x]
    at = field.atlas.origins(index.view(1))
    exemplar, copy, down, along = (int(values[0]) for values in (at.exemplar, at.copy, at.y, at.x))
    return _read(request, exemplar, along, down, field.atlas.copies[copy])


def _read(request: Any, exemplar: int, x: int, y: int, copy: str) -> Place:
    """A place as a pixel of the picture as it was read: a border that was added comes off, and what was cropped away
    comes back. Both are of one picture only: of others nothing is cropped, and nothing is added to them."""
    left, top = (0, 0) if request.crop is None else parse.crop(request.crop)[:2]
    extend = getattr(request, "extend", None)
    if extend is not None and exemplar == 0:
        margins = parse.extend(extend)
        left, top = left - margins[0], top - margins[1]
    return exemplar, x + left, y + top, copy


def size_of(planes: Planes) -> int:
    """The bytes that a table of source pixels takes."""
    if not isinstance(planes, Atlas):
        return 0
    tables = {t.data_ptr(): t.nbytes for t in (planes.colours, planes.valid, planes.home, planes.compared)}
    return sum(tables.values())
