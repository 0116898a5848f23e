"""Control by a field of directions (Zhou et al. 2023): python orientation.py [--help]"""

from __future__ import annotations

from collections.abc import Sequence

import figure
import material
import rows
from figure import Options, Outcome, Trial
from material import Steered
from sheet import Cell
from torch import Tensor

from texsynth.guidance import orientation
from texsynth.task import Guide

WORDS = ("angle:30", "circle", "s-curve")
PRESETS = ("guided-correspondence", "guided-correspondence-neural")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("orientation", __doc__, arguments)
    given = material.orientations(options)
    if not given:
        return figure.empty(options, "the folder has no orientation/")
    asked = [(f"{name}, {word}", exemplar, word) for name, exemplar in given for word in WORDS]
    made = figure.make([trial for row in asked for trial in trials(options, *row)], options)
    size = (options.budget.size, options.budget.size)
    leads = {
        row: [Cell(exemplar, row), Cell(orientation.strokes(field(word, size), size), "directions asked for")]
        for row, exemplar, word in asked
    }
    note = "Textures that run where they are told. `orientation` is the mean angle to that, in degrees; chance is 45."
    return figure.write(options, made, leads, figure.table(made), note)


def field(word: str, size: tuple[int, int]) -> Tensor:
    """A built-in field of directions, (1, 2, *size)."""
    found = orientation.built_in(word, size)
    assert found is not None
    return found


def trials(options: Options, row: str, exemplar: Tensor, word: str) -> list[Trial]:
    """Without the guide, and with it by each preset."""
    size = (options.budget.size, options.budget.size)
    guide = Guide("orientation", (orientation.structure(exemplar)[0],), field(word, size), 1.0, "direction")
    return rows.guided(options, Steered(row, exemplar, exemplar, exemplar), guide, PRESETS, orientation=word)


if __name__ == "__main__":
    figure.command(main)
