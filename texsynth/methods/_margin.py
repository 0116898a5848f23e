"""More of the picture than is asked for, cut off at the end; published methods leave the border as it comes.

A pixel at a border that does not wrap is in few patches, and in the halved layers in fewer still, so nothing says what
it should be. Pixels made beyond the border give it the neighbours that all others have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.methods._neighbourhood import placed
from texsynth.objective import Objective
from texsynth.task import Guide, Task

Sides = tuple[int, int]  # pixels above and below, and left and right


def sides(task: Task, margin: int, objectives: Sequence[Objective]) -> Sides:
    """How far the picture goes on beyond its borders: nowhere with a hole, as what is around that is known, nor where
    places in the picture have a meaning."""
    if task.hole is not None or placed(objectives):
        return 0, 0
    return (0 if task.tile[0] else margin), (0 if task.tile[1] else margin)


def larger(task: Task, beyond: Sides) -> Task:
    """The task of the larger picture. Maps keep the values of their borders, and pointers, which a picture is copied
    by, turn back there; a start picture is left as it is."""
    if beyond == (0, 0):
        return task

    def kept(values: Tensor) -> Tensor:
        for axis, extra in zip((2, 3), beyond, strict=True):
            at = torch.arange(-extra, values.shape[axis] + extra, device=values.device)
            values = values.index_select(axis, at.clamp(0, values.shape[axis] - 1))
        return values

    def wider(guide: Guide) -> Guide:
        strength = None if guide.strength is None else kept(guide.strength)
        return replace(guide, target=kept(guide.target), strength=strength)

    return replace(
        task,
        size=(task.size[0] + 2 * beyond[0], task.size[1] + 2 * beyond[1]),
        guides=tuple(wider(guide) for guide in task.guides),
        start=None if task.start is None else continued(task.start, beyond),
        blend=None if task.blend is None else kept(task.blend),
    )


def continued(image: Tensor, beyond: Sides, was: Tensor | None = None, around: Tensor | None = None) -> Tensor:
    """The picture (1, C, h, w) with its margin, (1, C, h + 2 y, w + 2 x).

    around: (1, C, H, W), which shows `was`, the same scene at any size, and more on all sides: the margin is what can
    be seen there, mirrored from its borders on. Without it the picture itself is mirrored.
    """
    if beyond == (0, 0):
        return image
    h, w = image.shape[2:]
    seen = image
    if was is not None and around is not None:
        (rows, columns), (height, width) = around.shape[2:], was.shape[2:]
        seen = F.interpolate(
            around, (round(rows * h / height), round(columns * w / width)), mode="bilinear", antialias=h < height
        )
    for axis, extra in zip((2, 3), beyond, strict=True):
        have, want = seen.shape[axis], image.shape[axis]
        at = (torch.arange(-extra, want + extra, device=image.device) + (have - want) // 2) % (2 * have)
        seen = seen.index_select(axis, torch.minimum(at, 2 * have - 1 - at))
    seen[:, :, beyond[0] : beyond[0] + h, beyond[1] : beyond[1] + w] = image
    return seen


def cropped(image: Tensor, beyond: Sides) -> Tensor:
    """The picture (1, C, h + 2 y, w + 2 x) without its margin."""
    (y, x), (h, w) = beyond, image.shape[2:]
    return image if beyond == (0, 0) else image[:, :, y : h - y, x : w - x].contiguous()
