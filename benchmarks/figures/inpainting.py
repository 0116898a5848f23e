"""Holes filled: by the field, and by gradient with transport (after Houdard et al. 2021): python inpainting.py [--help]

`seam` is the distance of windows that touch the hole to the nearest windows of the picture elsewhere, over that of
windows elsewhere: 1 is as good there as anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
import torch
from figure import Outcome, Scores, Trial
from material import Steered, picture
from sheet import Cell
from torch import Tensor

import texsynth
from texsynth.metrics.seam import seam

WAYS = {
    "field": "guided-correspondence",
    "layout, then field": "layout+field",
    "transport": "ot",
    "transport, VGG-19": "ot-features",
    "Gram, VGG-19": "gram",
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("inpainting", __doc__, arguments)
    given = material.holed(options)
    if not given:
        return figure.empty(options, "the folder has no inpaint/ with masks")
    made = figure.make([trial for steered in given for trial in trials(steered)], options)
    leads = {s.name: [Cell(holed(s), f"{s.name}, with its hole")] for s in given}
    note = "A picture with a hole, and what fills it. `seam` is 1 where the filling fits as well as all else."
    return figure.write(options, made, leads, figure.table(made, "picture"), note)


def trials(steered: Steered) -> list[Trial]:
    """One for each way."""
    verb = partial(texsynth.inpaint, picture(steered.exemplar), picture(steered.source))
    judge = partial(_judge, steered)
    return [Trial(steered.name, column, name, verb, judge, {}) for column, name in WAYS.items()]


def holed(steered: Steered) -> Tensor:
    """The picture with its hole in white."""
    return torch.where(steered.source > 0.5, 1.0, steered.exemplar)


def _judge(steered: Steered, made: Tensor) -> Scores:
    hole = steered.source.mean(1, keepdim=True) >= 0.5
    return {"seam": seam(made, hole, [(steered.exemplar, ~hole)], (False, False))}


if __name__ == "__main__":
    figure.command(main)
