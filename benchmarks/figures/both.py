"""Progression and orientation together (Zhou et al. 2023): python both.py [--help]

Each guide alone, then both, so that it shows what one costs the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
import rows
from figure import Options, Outcome, Trial
from material import Steered, picture
from sheet import Cell

import texsynth
from texsynth.guidance import orientation
from texsynth.task import Guide

WORD = "s-curve"
PRESET, NEURAL = "guided-correspondence", "guided-correspondence-neural"


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("both", __doc__, arguments)
    if not (exemplars := material.both(options)):
        return figure.empty(options, "the folder has no both/ with maps and targets")
    size = (options.budget.size, options.budget.size)
    field = orientation.built_in(WORD, size)
    assert field is not None
    strokes = Cell(orientation.strokes(field, size), f"directions: {WORD}")
    note = "One guide, the other, and both at once. `progression` and `orientation` are judged for all three."
    return rows.steered(options, exemplars, trials, ("its map", "the target"), note, strokes)


def trials(options: Options, steered: Steered) -> list[Trial]:
    """Each guide alone, and both together by each preset."""
    size = options.budget.size
    target = material.resized(steered.target, (size, size))
    field = orientation.built_in(WORD, (size, size))
    assert field is not None
    guides = (
        Guide("progression", (steered.source[:, :1],), target[:, :1]),
        Guide("orientation", (orientation.structure(steered.exemplar)[0],), field, 1.0, "direction"),
    )
    judge = figure.judged(options, steered.exemplar, ("progression", "orientation"), guides)
    verb = partial(texsynth.control, picture(steered.exemplar), size)
    maps = picture(steered.source), picture(target)
    ways = {
        "progression": (PRESET, partial(verb, progression=maps)),
        "orientation": (PRESET, partial(verb, orientation=WORD)),
        "both": (PRESET, partial(verb, progression=maps, orientation=WORD)),
        f"both, {NEURAL}": (NEURAL, partial(verb, progression=maps, orientation=WORD)),
    }
    return [Trial(steered.name, column, name, made, judge, {}) for column, (name, made) in ways.items()]


if __name__ == "__main__":
    figure.command(main)
