"""Control by a map of progression (Zhou et al. 2023): python progression.py [--help]

The field and the gradient method, each with the target map and, to compare with, without any.
"""

from __future__ import annotations

from collections.abc import Sequence

import figure
import material
import rows
from figure import Options, Outcome, Trial
from material import Steered, picture

from texsynth.task import Guide

PRESETS = ("guided-correspondence", "layout+field", "guided-correspondence-neural")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("progression", __doc__, arguments)
    if not (exemplars := material.progressions(options)):
        return figure.empty(options, "the folder has no progression/ with maps and targets")
    note = "Textures that change where a map says so. `progression` reads the map back from the result."
    return rows.steered(options, exemplars, trials, ("its map", "the target"), note)


def trials(options: Options, steered: Steered) -> list[Trial]:
    """Without the guide, and with it by each preset."""
    target = material.resized(steered.target, (options.budget.size, options.budget.size))
    guide = Guide("progression", (steered.source[:, :1],), target[:, :1])
    return rows.guided(options, steered, guide, PRESETS, progression=(picture(steered.source), picture(target)))


if __name__ == "__main__":
    figure.command(main)
