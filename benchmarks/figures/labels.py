"""Control by labels, "texture by numbers" (after Zhou et al. 2023): python labels.py [--help]"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
from figure import Options, Outcome, Trial
from material import Steered, picture
from sheet import Cell

import texsynth
from texsynth.guidance.labels import ids, palette
from texsynth.task import Guide

PRESETS = ("guided-correspondence", "layout+field", "guided-correspondence-neural")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("labels", __doc__, arguments)
    given = material.labelled(options)
    if not given:
        return figure.empty(options, "the folder has no label/ with labels and targets")
    made = figure.make([trial for steered in given for trial in trials(options, steered)], options)
    leads = {
        s.name: [Cell(s.exemplar, s.name), Cell(s.source, "its labels"), Cell(s.target, "the target")] for s in given
    }
    note = "Materials where a map puts them. `labels` is the share of the result that looks like what was asked for."
    return figure.write(options, made, leads, figure.table(made), note)


def trials(options: Options, steered: Steered) -> list[Trial]:
    """Without the guide, and with it by each preset."""
    size = options.budget.size
    target = material.resized(steered.target, (size, size), "nearest")
    colours = palette([steered.source])
    guide = Guide("labels", (ids(steered.source, colours),), ids(target, colours), 1.0, "l0")
    judge = figure.judged(options, steered.exemplar, ("labels",), (guide,))
    plain = partial(texsynth.synthesize, picture(steered.exemplar), size)
    maps = picture(steered.source), picture(target)
    verb = partial(texsynth.control, picture(steered.exemplar), size, labels=maps)
    return [
        Trial(steered.name, f"{PRESETS[0]}, no guide", PRESETS[0], plain, judge, {}),
        *(Trial(steered.name, name, name, verb, judge, {}) for name in PRESETS),
    ]


if __name__ == "__main__":
    figure.command(main)
