"""Control by labels, "texture by numbers" (after Zhou et al. 2023): python labels.py [--help]"""

from __future__ import annotations

from collections.abc import Sequence

import figure
import material
import rows
from figure import Options, Outcome, Trial
from material import Steered, picture

from texsynth.guidance.labels import ids, palette
from texsynth.task import Guide

PRESETS = ("guided-correspondence", "layout+field", "guided-correspondence-neural")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("labels", __doc__, arguments)
    if not (exemplars := material.labelled(options)):
        return figure.empty(options, "the folder has no label/ with labels and targets")
    note = "Materials where a map puts them. `labels` is the share of the result that looks like what was asked for."
    return rows.steered(options, exemplars, trials, ("its labels", "the target"), note)


def trials(options: Options, steered: Steered) -> list[Trial]:
    """Without the guide, and with it by each preset."""
    size = (options.budget.size, options.budget.size)
    target = material.resized(steered.target, size, "nearest")
    colours = palette([steered.source])
    guide = Guide("labels", (ids(steered.source, colours),), ids(target, colours), 1.0, "l0")
    return rows.guided(options, steered, guide, PRESETS, labels=(picture(steered.source), picture(target)))


if __name__ == "__main__":
    figure.command(main)
