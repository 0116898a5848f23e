"""The part of a picture with a hole that has to be optimised (inpainting by patch transport, Houdard et al. 2021).

Pixels far from the hole are in no patch that touches it, so only a window around it is optimised. The pixels outside
the hole stay as they are, and what lies outside the window is never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from texsynth.features import features
from texsynth.objective import Objective
from texsynth.task import Task

PROBE = 64  # side of the picture that layers are measured on, and the guess at their reach without that
NETWORK_REACH = 8  # cells on either side that a cell of a network's layer is made from (78 pixels of 16 for relu5_1)
PYRAMID_REACH = 3  # the same for a pyramid, whose kernels overlap

Window = tuple[slice, slice, slice, slice]
WHOLE: Window = (slice(None), slice(None), slice(None), slice(None))


def completed(task: Task, image: Tensor) -> Tensor:
    """The picture (1, 3, h, w) with the first exemplar's pixels outside the task's hole."""
    assert task.hole is not None
    return torch.where(task.hole.to(image.device), image, task.exemplars[0].image.to(image))


def window(task: Task, objectives: Sequence[Objective]) -> Window:
    """The part of the output that the objectives see from the patches that touch the hole, as an index of images. It is
    everything without a hole, along axes that tile, and where objectives depend on the place in the picture."""
    if task.hole is None or not task.hole.any():
        return WHOLE
    cell, margin = _reach(task, objectives)
    spans = [slice(0, side) for side in task.size]
    for axis, wraps in enumerate(task.tile):
        where = task.hole.any(3 - axis)[0, 0].nonzero()[:, 0]
        start = max(0, int(where[0]) - margin) // cell * cell  # layers of the window are then cut from those of all
        stop = min(task.size[axis], (int(where[-1]) + margin) // cell * cell + cell)
        if not wraps and not depend_on_place(objectives):
            spans[axis] = slice(start, stop)
    return slice(None), slice(None), spans[0], spans[1]


def extent(task: Task, margins: tuple[float, float] = (0, 0)) -> float:
    """About how many pixels are optimised, with margins (y, x) on either side of a picture without a hole."""
    if task.hole is None:
        return (task.size[0] + 2 * margins[0]) * (task.size[1] + 2 * margins[1])
    pixels = 1.0
    for axis, wraps in enumerate(task.tile):
        where = task.hole.any(3 - axis)[0, 0].nonzero()[:, 0].tolist() or [0]
        pixels *= task.size[axis] if wraps else min(task.size[axis], where[-1] - where[0] + 2 * PROBE)
    return pixels


def within(task: Task, part: Window) -> Task:
    """The task of that part of the output alone; the sources stay as they are."""
    if part == WHOLE or task.hole is None:
        return task
    hole = task.hole[part]
    guides = tuple(
        replace(guide, target=guide.target[part], strength=None if guide.strength is None else guide.strength[part])
        for guide in task.guides
    )
    return replace(task, size=(hole.shape[2], hole.shape[3]), hole=hole, guides=guides)


def depend_on_place(objectives: Sequence[Objective]) -> bool:
    """Does any objective depend on the place of a patch in the picture?"""
    return any(getattr(o.loss_settings, "context", 0) > 0 for o in objectives)


def _reach(task: Task, objectives: Sequence[Objective]) -> tuple[int, int]:
    """Pixels of the largest cell of all layers, and how far from the hole a pixel may count."""
    largest, margin = 1, 1
    for o in objectives:
        module = features(o.features)
        extract = module.build(o.features_settings, (True, True), task.weights.get(o.features))
        with torch.no_grad():
            layers = extract(torch.zeros(1, 3, PROBE, PROBE, device=task.device), o.layers)
        cell = max(math.ceil(PROBE / layer.shape[3]) for layer in layers.values())
        patch = getattr(o.loss_settings, "patch", 1)
        largest = max(largest, cell)
        margin = max(margin, cell * (patch + (NETWORK_REACH if module.WEIGHTS else PYRAMID_REACH)))
    return largest, margin
