"""A field carried up level by level, to pictures of any size: synthesis magnification (Lefebvre and Hoppe 2005).

A run that is too large to be solved whole is solved at a working size, where all methods work as they always do. Its
field is then carried up: a pixel becomes a block of pixels that copy the same block of the finer exemplar. What was a
step of one pixel is one of several there, so pieces slide by a pixel, and pixels near seams try what their neighbours
continue to. Windows are compared where they lie, in 8-bit colours, so that a level needs four bytes for each copy of
a source pixel and four for each pixel of the output, whatever has been done below.

Differs from the paper in: seams are mended at every level, where the paper only jitters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field.atlas import Field
from texsynth.field.magnify import guiding, sheet
from texsynth.field.magnify.carry import carry
from texsynth.field.magnify.mend import mend
from texsynth.field.magnify.sheet import Pointers, Sheet
from texsynth.field.magnify.slide import slide
from texsynth.field.planes import Planes
from texsynth.image import scratch
from texsynth.image.strips import spans
from texsynth.pyramid import octaves
from texsynth.task import Task

WORKING_PIXELS = 2048**2  # of an output or of the exemplars, that are solved whole
SLID = 0.6  # of the work of a level, about, when its pieces have slid
SMALLEST_EXEMPLAR = 64  # its shorter side in pixels, about, that is left of an exemplar at the working size


@dataclass(frozen=True)
class Seams:
    """How seams are mended at the levels above the working size.

    patch: the side of the windows that are compared, in pixels. rounds: of sliding pieces. passes: over pixels near
    seams.
    """

    patch: int
    rounds: int
    passes: int


@dataclass(frozen=True)
class Rung:
    """One step up. level: the halvings below full size that it leads to; factor: how many times as fine it is."""

    level: int
    factor: int


def halvings(task: Task) -> int:
    """How many times a task is halved to have its working size: 0 where it can be solved as it is."""
    height, width = task.size
    pixels = max(height * width, sum(h * w for h, w in (exemplar.size for exemplar in task.exemplars)))
    most = octaves(task.shorter_side, SMALLEST_EXEMPLAR, 0)[1]
    return next((n for n in range(most) if pixels <= WORKING_PIXELS * 4**n), most)


def rungs(factor: int) -> list[Rung]:
    """The steps that enlarge by a whole factor: an odd one first, then halvings undone."""
    level = 0
    while factor % 2 == 0:
        factor, level = factor // 2, level + 1
    first = [Rung(level, factor)] if factor > 1 else []
    return first + [Rung(n, 2) for n in range(level - 1, -1, -1)]


def pointers(field: Field) -> Pointers:
    """A field as pointers that take four bytes a pixel."""
    atlas = field.atlas
    planes = Planes(atlas.copies, atlas.shapes, atlas.exemplars, atlas.rows, atlas.row, atlas.margin)
    return Pointers(field.index.int().cpu(), planes, field.tile)


def raised(
    field: Pointers, task: Task, rung: Rung, seams: Seams, rng: torch.Generator, progress: Callable[[float], None]
) -> Pointers:
    """The field one step up, for the task of that level.

    progress: takes the share of the work that is done, after each of its parts.
    """
    laid = sheet.lay(task.exemplars, field.atlas.copies, seams.patch // 2)
    index = torch.from_numpy(scratch.empty(task.size, "int32"))
    field = carry(field, laid, rung.factor, index)
    fixed = None if task.hole is None else ~task.hole[0, 0].cpu()
    if fixed is not None:
        _hold(field, laid, fixed)
    if seams.rounds:
        slide(field, laid, seams.rounds, rng, fixed)
    progress(SLID)
    goals = guiding.encode(task.guides, laid, seams.patch)
    for number in range(seams.passes):
        mend(field, laid, seams.patch, 1, fixed, goals)
        progress(SLID + (1 - SLID) * (number + 1) / seams.passes)
    return field


def _hold(field: Pointers, laid: Sheet, fixed: Tensor) -> None:
    """Let pixels outside a hole copy themselves, and the first exemplar show in the hole what is copied into it, since
    windows beside the hole reach into it."""
    rows, columns = fixed.shape
    places = torch.arange(columns) + laid.margin
    for top, bottom in spans((rows, columns)):
        at = (torch.arange(top, bottom) + laid.margin)[:, None] * laid.row + places
        stays, part = fixed[top:bottom], field.index[top:bottom]
        part[stays] = at[stays].int()
        inside = ~stays & ~laid.valid[at]
        laid.colours[at[inside]] = laid.colours[part[inside].long()]
