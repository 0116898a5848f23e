"""A level of the correspondence field along a field of directions: as in `field.py`, but the windows turn.

In place of the few turned copies of guided correspondence (Zhou et al. 2023), every window is turned by the difference
between the target's and the source's direction, the remedy that the authors name. All other guides apply as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from texsynth.field import potential
from texsynth.field.atlas import Field, build_atlas, double
from texsynth.field.guide import Prices, encode
from texsynth.field.space import surroundings
from texsynth.field.turned.space import describe, find_basis, find_frames, margin
from texsynth.field.turned.start import PieceRules, start
from texsynth.field.turned.sweep import refresh, sweep
from texsynth.methods._field_settings import Settings
from texsynth.task import Guide, Task

BLOCK, OVERLAP, SPREAD, TRIES = 0.5, 0.5, 0.2, 16  # of the rules by which pieces are laid
MOST_STARTS = 4  # that are worth their time: the best of eight was not preferred by eye
PROPORTION_PRICE = 0.01  # of the potential: where windows turn, more of it tears pieces

Improve = Callable[[Field, Tensor], "tuple[Field, Tensor]"]


def direction(task: Task) -> Guide | None:
    """The guide of directions, if the task has one."""
    return next((guide for guide in task.guides if guide.distance == "direction" and guide.weight > 0), None)


def begin(task: Task, before: Field | None, settings: Settings, rng: torch.Generator) -> tuple[Field, Improve]:
    """The field of this level, from the coarser level's (`before`) or from nothing, and the pass that improves it. A
    pass takes a field and the potential (homes,) and returns the next ones."""
    guide = direction(task)
    assert guide is not None
    atlas = build_atlas(task, ("none",), margin(settings.patch))
    frames = find_frames(guide, atlas)
    guiding = encode(tuple(g for g in task.guides if g is not guide), atlas)
    basis = find_basis(atlas, frames, settings.patch, settings.components, rng)
    if before is None:
        space = describe(atlas, frames, basis, atlas.valid, rng)
        rules = PieceRules(BLOCK, OVERLAP, SPREAD, TRIES, min(settings.starts, MOST_STARTS))
        field = start(space, task.size, task.tile, rules, rng, guiding)
    else:
        field = refresh(double(before, atlas, task.size), frames)
        wanted = surroundings(atlas, field.index) if guiding is None else atlas.valid
        space = describe(atlas, frames, basis, wanted, rng)
    colours = potential.palette(atlas)

    def improve(field: Field, psi: Tensor) -> tuple[Field, Tensor]:
        psi = potential.ascend(psi, atlas, field.index, *colours)
        price = potential.prices(atlas, field.index, psi, space.described, 0.0 if guiding else PROPORTION_PRICE, 0.0)
        return sweep(field, space, Prices(price, settings.kappa, guiding), rng), psi

    return field, improve
