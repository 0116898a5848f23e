"""One picture edited, with and without turned and mirrored copies as sources (Zhou et al. 2023): python editing.py

An object takes another shape. With copies there is more to choose from, so that an outline in a new direction can be
met; without them all light and grain stays as it fell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
import rows
import torch
from figure import Options, Outcome, Trial
from material import Steered, picture

import texsynth
from texsynth.task import Guide

PRESET, NEURAL = "guided-correspondence", "edit-neural"
COPIES = ("none", "rotations", "all")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("editing", __doc__, arguments)
    if not (exemplars := material.edited(options)):
        return figure.empty(options, "the folder has no edit/ with masks")
    note = "`labels` is the share of the result that looks like what was asked for: object here, surroundings there."
    return rows.steered(options, exemplars, trials, ("the object", "its new shape"), note, first="picture")


def trials(options: Options, steered: Steered) -> list[Trial]:
    """One for each set of copies, then the neural preset."""
    verb = partial(texsynth.edit, *(picture(each) for each in (steered.exemplar, steered.source, steered.target)))
    masks = [(mask.mean(1, keepdim=True) >= 0.5).to(torch.float32) for mask in (steered.source, steered.target)]
    guide = Guide("labels", (masks[0],), masks[1], 1.0, "l0")
    judge = figure.judged(options, steered.exemplar, ("labels",), (guide,))
    ways = [(f"copies: {copies}", PRESET, partial(verb, copies=copies)) for copies in COPIES]
    return [Trial(steered.name, column, name, way, judge, {}) for column, name, way in [*ways, (NEURAL, NEURAL, verb)]]


if __name__ == "__main__":
    figure.command(main)
