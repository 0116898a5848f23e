"""A margin around the picture that is optimised with it and cut off at the end; published methods have none.

A pixel at a border that does not wrap is in few patches, and in the halved layers in fewer still, so little says what
it should be. The pixels of the margin give it the neighbours that all other pixels have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.objective import Objective
from texsynth.objective.window import depend_on_place
from texsynth.task import Guide, Task

Sides = tuple[int, int]  # pixels of margin above and below, and left and right


def sides(task: Task, margin: int, objectives: Sequence[Objective]) -> Sides:
    """The margins of a task: none where a hole has its surroundings, and where objectives depend on the place."""
    if task.hole is not None or depend_on_place(objectives):
        return 0, 0
    return (0 if task.tile[0] else margin), (0 if task.tile[1] else margin)


def larger(task: Task, margins: Sides) -> Task:
    """The task of the picture with its margins, in which maps keep the values of their borders and pointers turn back;
    the start picture stays as it is."""
    if margins == (0, 0):
        return task

    def padded(values: Tensor) -> Tensor:
        for dim, extra in zip((2, 3), margins, strict=True):
            at = torch.arange(-extra, values.shape[dim] + extra, device=values.device)
            values = values.index_select(dim, at.clamp(0, values.shape[dim] - 1))
        return values

    def wider(guide: Guide) -> Guide:
        strength = None if guide.strength is None else padded(guide.strength)
        return replace(guide, target=padded(guide.target), strength=strength)

    return replace(
        task,
        size=(task.size[0] + 2 * margins[0], task.size[1] + 2 * margins[1]),
        guides=tuple(wider(guide) for guide in task.guides),
        start=None if task.start is None else extended(task.start, margins),
        blend=None if task.blend is None else padded(task.blend),
    )


def extended(image: Tensor, margins: Sides, before: Tensor | None = None, around: Tensor | None = None) -> Tensor:
    """The picture (1, C, h, w) with its margins, (1, C, h + 2 y, w + 2 x).

    around: (1, C, H, W), a larger view of the same scene at any scale, in which the part `before` corresponds to the
    picture. The margins come from it, mirrored at its borders; without it the picture itself is mirrored.
    """
    if margins == (0, 0):
        return image
    h, w = image.shape[2:]
    view = image
    if before is not None and around is not None:
        (rows, columns), (height, width) = around.shape[2:], before.shape[2:]
        view = F.interpolate(
            around, (round(rows * h / height), round(columns * w / width)), mode="bilinear", antialias=h < height
        )
    for dim, extra in zip((2, 3), margins, strict=True):
        available, inner = view.shape[dim], image.shape[dim]
        at = (torch.arange(-extra, inner + extra, device=image.device) + (available - inner) // 2) % (2 * available)
        view = view.index_select(dim, torch.minimum(at, 2 * available - 1 - at))
    view[:, :, margins[0] : margins[0] + h, margins[1] : margins[1] + w] = image
    return view


def cropped(image: Tensor, margins: Sides) -> Tensor:
    """The picture (1, C, h + 2 y, w + 2 x) without its margins, (1, C, h, w)."""
    (y, x), (h, w) = margins, image.shape[2:]
    return image if margins == (0, 0) else image[:, :, y : h - y, x : w - x].contiguous()
