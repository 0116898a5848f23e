"""A method for tests that copies exactly what the task's start points at, and the last usable pixel elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fakes.shared import estimate, hold, needs, refuses, schedule  # noqa: F401 (parts of this method)
from texsynth.field.atlas import COPY_SETS, Field, build_atlas
from texsynth.settings import setting
from texsynth.task import Canvas

COPIES = True
RECIPES = ()


@dataclass(frozen=True)
class Settings:
    copies: str = setting("none", "further sources", choices=tuple(COPY_SETS))


def begin(task, canvas, level, settings, rng, say):
    atlas = build_atlas(task, COPY_SETS[settings.copies], 1)
    index = atlas.valid.nonzero()[-1].expand(task.size)
    if task.start is not None:
        y, x = task.start[0].nan_to_num(0).round().long()
        index = torch.where(task.start[0, 0].isnan(), index, atlas.join(torch.zeros_like(y), y, x))
    field = Field(hold(task, atlas, index), torch.zeros(task.size), atlas, task.tile)
    return Canvas(field.image(), field), lambda canvas: (canvas, 0.0)
