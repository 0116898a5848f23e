"""Which flipped and turned copies of exemplars are sources: those asked for, or all where lines bend round a hole."""

from __future__ import annotations

from texsynth.field import lattice
from texsynth.field.atlas import COPY_SETS
from texsynth.field.curves import are_thin, bends
from texsynth.task import Task

AUTO = "auto"
CHOICES = (AUTO, *COPY_SETS)
MOST_PIXELS = 1 << 20  # of the full picture: each copy takes as much memory as the picture itself
BYTES_A_PIXEL = 340  # of all copies, at full size, where they continue lines
REGULAR = 0.5  # the autocorrelation from which on the lattice of a picture says more than turned copies


def are_asked_for(copies: str) -> bool:
    """Does the setting ask for copies, whatever the picture?"""
    return len(COPY_SETS.get(copies, COPY_SETS["none"])) > 1


def chosen(task: Task, copies: str, follows: bool = False) -> tuple[str, ...]:
    """The copies that are sources at the first level, of which this is the task. follows: whether the field starts from
    a picture, along which lines go on already."""
    return COPY_SETS[copies if copies != AUTO else "all" if not follows and continue_lines(task, copies) else "none"]


def continue_lines(task: Task, copies: str) -> bool:
    """Are all copies taken because lines bend round a hole, at the level of this task?"""
    if copies != AUTO or task.hole is None or task.start is not None or len(task.exemplars) > 1:
        return False
    if task.size[0] * task.size[1] * 4**task.level > MOST_PIXELS or task.guides or any(task.tile):
        return False
    if not bends(task.exemplars[0].image, task.hole):
        return False
    image, valid = task.exemplars[0].image.cpu(), task.exemplars[0].valid
    grid = lattice.find(image, None if valid is None else valid.cpu())
    return grid is None or grid.height < REGULAR


def need_a_finer_start(finer: Task, copies: str) -> bool:
    """Are such lines too thin for a first level of half the pixels of this task?"""
    if finer.hole is None or not continue_lines(finer, copies):
        return False
    return are_thin(finer.exemplars[0].image, finer.hole)
