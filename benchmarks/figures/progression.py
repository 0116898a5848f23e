"""Control by a map of progression (Zhou et al. 2023): python progression.py [--help]

The field and the gradient method, each with the target map and, to compare with, without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
from figure import Options, Outcome, Trial
from material import Steered, picture
from sheet import Cell

import texsynth
from texsynth.task import Guide

PRESETS = ("guided-correspondence", "layout+field", "guided-correspondence-neural")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("progression", __doc__, arguments)
    given = material.progressions(options)
    if not given:
        return figure.empty(options, "the folder has no progression/ with maps and targets")
    made = figure.make([trial for steered in given for trial in trials(options, steered)], options)
    leads = {s.name: [Cell(s.exemplar, s.name), Cell(s.source, "its map"), Cell(s.target, "the target")] for s in given}
    note = "Textures that change where a map says so. `progression` reads the map back from the result."
    return figure.write(options, made, leads, figure.table(made), note)


def trials(options: Options, steered: Steered) -> list[Trial]:
    """Without the guide, and with it by each preset."""
    size = options.budget.size
    target = material.resized(steered.target, (size, size))
    guide = Guide("progression", (steered.source[:, :1],), target[:, :1])
    judge = figure.judged(options, steered.exemplar, ("progression",), (guide,))
    plain = partial(texsynth.synthesize, picture(steered.exemplar), size)
    maps = picture(steered.source), picture(target)
    verb = partial(texsynth.control, picture(steered.exemplar), size, progression=maps)
    return [
        Trial(steered.name, f"{PRESETS[0]}, no guide", PRESETS[0], plain, judge, {}),
        *(Trial(steered.name, name, name, verb, judge, {}) for name in PRESETS),
    ]


if __name__ == "__main__":
    figure.command(main)
