"""The plan of a run of the correspondence field: its levels and passes, and what they take."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from texsynth import native
from texsynth.field import cells, lattice
from texsynth.field.lattice import Lattice
from texsynth.field.search import WORTH_TRANSFORMING
from texsynth.methods import _oriented, _turned
from texsynth.methods._field_settings import Settings
from texsynth.pyramid import octaves
from texsynth.task import Estimate, Level, Task

PASS, ORIENTED_PASS = 0.09e-6, 1.5e-6  # seconds of a pixel in a pass
BEGINNING, DESCRIBING = 0.1e-6, 0.35e-6  # of a pixel of the output and of the exemplars where a level begins
PACE_WITHOUT_CORE = 6.0  # what quilts and passes take without the native core, in times with it
TURNED_PACE_WITHOUT_CORE = 2.5  # the same of passes along directions
CHANNEL = 0.1  # more of the work for each channel that is compared beside the colours
CHANNEL_BYTES, CHANNEL_BYTES_OF_HOLES = 8, 20  # of a pixel of the exemplars, for each channel that is compared then
USUAL_SIDE = 64  # pixels of the shorter side of exemplars, below which pieces cost less in proportion as they are more
HOLE_PIECE_MINIMUM = 8  # the least side in pixels of a piece in a hole


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Levels from about `coarsest` pixels of the exemplar's shorter side to `finest`, or full size. A task that is
    itself reduced has the passes that its levels would have in the whole."""
    bottom, top = octaves(task.shorter_side, settings.coarsest, settings.finest)
    if task.hole is not None and top > bottom:
        if lattice_of_bits(task.at(bottom), settings) is not None:
            top = bottom
        elif _turned.need_a_finer_start(task.at(top - 1), settings.copies):
            top -= 1
    last = len(settings.passes) - 1 - int(task.level)
    steps = [settings.passes[max(0, last - level)] for level in range(top, bottom - 1, -1)]
    if _oriented.direction(task) is not None:  # bent pieces never fit as they lie
        steps = [step * 3 // 2 for step in steps[:-1]] + steps[-1:]
    return [Level(top - n, step) for n, step in enumerate(steps)]


def lattice_of_bits(task: Task, settings: Settings) -> Lattice | None:
    """The lattice of a regular picture with a hole, where no piece of what is left of it shows enough."""
    valid, off = task.exemplars[0].valid, settings.lattice == "off" or _turned.are_asked_for(settings.copies)
    if off or task.hole is None or valid is None or len(task.exemplars) > 1 or any(task.tile) or task.start is not None:
        return None
    if float(valid.float().mean()) > cells.MOST_LEFT:
        return None
    image, valid = task.exemplars[0].image.cpu(), valid.cpu()
    grid = lattice.find(image, valid)
    if grid is None or (settings.lattice == "auto" and grid.height < settings.regular):
        return None
    least = HOLE_PIECE_MINIMUM << octaves(task.shorter_side, settings.coarsest, 0)[1]
    return cells.refined(grid, image, valid) if cells.in_bits(grid, valid, least) else None


def rounds_of(settings: Settings, depth: int) -> int:
    """The rounds of recutting at a level below which so many are coarser."""
    return settings.recuts[depth] if depth < len(settings.recuts) else 0


def estimate(task: Task, settings: Settings) -> Estimate:
    """The cost, fitted to whole runs on two cores (benchmarks/estimates.py): 256 to 4096 pixels in and out."""
    pixels, levels = task.size[0] * task.size[1], schedule(task, settings)
    pace, turned_pace = (1.0, 1.0) if native.core() is not None else (PACE_WITHOUT_CORE, TURNED_PACE_WITHOUT_CORE)
    copies = len(_turned.chosen(task.at(levels[0].scale), settings.copies))
    source = sum(h * w for h, w in (e.size for e in task.exemplars)) * copies
    finest, passed = 0.25 ** levels[-1].scale, sum(level.steps * 0.25**level.scale for level in levels) * pixels
    free = float(task.hole.float().mean()) if task.hole is not None else 1.0
    if _oriented.direction(task) is not None:
        memory, seconds = 1100 * source + 310 * pixels, 0.8 + 1.5e-6 * passed * turned_pace
    else:
        held = _turned.BYTES_A_PIXEL if copies > 1 and settings.copies == _turned.AUTO else 250
        memory = max(held * source + 40 * pixels, 160 * source + 180 * pixels) + 30 * pixels * len(task.guides)
        memory += 60 * pixels if task.hole is not None or task.start is not None else 0
        slower = 4 if task.blend is not None else 2 if task.guides else 1
        seconds = 0.08e-6 * passed * slower * pace + (0.4e-6 * source + 0.25e-6 * pixels) * finest
    if further := _further(task):
        seconds *= 1 + CHANNEL * further
        memory += (CHANNEL_BYTES if task.hole is None else CHANNEL_BYTES_OF_HOLES) * (3 + further) * source
    if task.hole is not None:  # several fillings of it are compared
        seconds += 0.1 + 0.4e-6 * pixels
    # The table of the first pieces, at most: of a larger one, Fourier transforms take the place.
    pieces = 4 * (4 + _further(task)) * WORTH_TRANSFORMING * source * 0.25 ** levels[0].scale
    return Estimate(int(max(memory * finest, pieces * free)), 0.3 + seconds + _laying(task, settings, levels) * pace)


def _further(task: Task) -> int:
    """The channels that are compared beside the colours."""
    further = task.exemplars[0].further
    return 0 if further is None else further.shape[1]


def _laying(task: Task, settings: Settings, levels: Sequence[Level]) -> float:
    """The seconds that it takes to lay the first pieces."""
    pixels = task.size[0] * task.size[1]
    free = float(task.hole.float().mean()) if task.hole is not None else 1.0
    share = settings.guided if task.guides else settings.block
    step = share * max(USUAL_SIDE, task.shorter_side) * (1 - settings.overlap)
    side = share * task.shorter_side * 0.5 ** levels[0].scale
    larger = max(1.0, side / 32) ** 2  # in pixels at that level, than the usual piece
    recut = rounds_of(settings, 0) > 0 and not task.guides and task.hole is None and task.start is None
    rounds = sum(4**depth * count for depth, count in enumerate(settings.recuts[: len(levels)]))
    quilts = 1 + rounds / 16 if recut else settings.starts
    laid = free * pixels / step**2 * quilts * (16 * larger**2 + settings.tries * larger) / 48
    return float(0.00045 * laid)


def seconds(task: Task, settings: Settings) -> list[tuple[float, float]]:
    """What each level takes to begin, and for its passes; fitted to runs of 256 to 2048 pixels, part by part."""
    levels, pixels = schedule(task, settings), task.size[0] * task.size[1]
    slower = 4 if task.blend is not None else 2 if task.guides else 1
    alone = 2 / min(2, torch.get_num_threads())  # what all threads work at takes longer with one
    pace, turned_pace = (1.0, 1.0) if native.core() is not None else (PACE_WITHOUT_CORE, TURNED_PACE_WITHOUT_CORE)
    one = PASS * slower * pace * alone
    if _oriented.direction(task) is not None:
        one = ORIENTED_PASS * turned_pace
    source = sum(h * w for h, w in (e.size for e in task.exemplars))
    wider = 1 + CHANNEL * _further(task)
    begin = alone * (BEGINNING * pixels + DESCRIBING * source) * wider
    parts = [
        (0.02 + begin * 0.25**level.scale, one * wider * pixels * 0.25**level.scale * level.steps) for level in levels
    ]
    first = 0.3 + _laying(task, settings, levels) * pace * alone**0.5
    if task.hole is not None:
        first += 0.1 + 0.4e-6 * pixels * 0.25 ** levels[0].scale
    return [(parts[0][0] + first, parts[0][1]), *parts[1:]]
