"""An edit carried to other pictures (after Zhang et al. 2020): python propagating.py [--help]

One material of a picture is painted over. The targets are synthesised from it, and its map is copied along pixel by
pixel: so it is known where the paint belongs. `propagate` has to find out from the pictures alone, which is easy as far
as these consist of the same pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import figure
import learning
import material
import torch
from figure import Made, Options, Outcome, Scores, Trial
from material import Steered, picture
from sheet import Cell
from torch import Tensor

import texsynth
from texsynth.correspondence.descriptors import LAYERS
from texsynth.guidance.labels import ids, palette
from texsynth.image import picture as image
from texsynth.image.picture import Picture

PRESET = "guided-correspondence"
TARGETS = 2
WAYS = {"windows": (), "vgg19": tuple(name for (name, _), _ in LAYERS)}  # features, and layers that they look at
PAINT, STRENGTH = (0.85, 0.1, 0.25), 0.7


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("propagating", __doc__, arguments)
    given = material.labelled(options)
    if not given:
        return figure.empty(options, "the folder has no label/ with labels and targets")
    made: list[Made] = []
    leads: dict[str, Sequence[Cell]] = {}
    for steered in given:
        colours = palette([steered.source])
        layer = paint(steered.source, colours)
        for number in range(TARGETS):
            row = f"{steered.name.split(',')[0]}, target {number + 1}"
            target, truth = copied(options, steered, colours, number)
            made += [carried(options, trial) for trial in trials(row, steered, layer, target, truth)]
            source = [Cell(steered.exemplar, "the source"), Cell(shown(steered.exemplar, layer), "its paint")]
            leads[row] = [*source, Cell(target, row), Cell(shown(target, truth), "where it belongs")]
    note = (
        "`agreement` is the share of pixels that are painted, or left alone, as they should be; `overlap` is what both"
        " have painted, as a share of what either has."
    )
    return figure.write(options, made, leads, figure.table(made, "picture"), note)


def paint(source: Tensor, colours: Tensor) -> Tensor:
    """Where the second commonest label is: (1, 1, H, W) of 0 and 1."""
    return (ids(source, colours) == 1).float()


def shown(pixels: Tensor, where: Tensor) -> Tensor:
    """A picture with the paint on it."""
    return pixels + STRENGTH * where * (torch.tensor(PAINT).view(1, 3, 1, 1) - pixels)


def copied(options: Options, steered: Steered, colours: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A synthesis, and where its pixels come from under the paint."""
    settings = figure.shortened(PRESET, options.budget)
    maps = {"labels": picture(steered.source)}
    result = texsynth.synthesize(
        picture(steered.exemplar), options.budget.size, preset=PRESET, settings=settings, seed=seed, maps=maps
    )
    return image.rgb(result.image), paint(image.rgb(result.maps["labels"]), colours)


def trials(row: str, steered: Steered, where: Tensor, target: Tensor, truth: Tensor) -> list[Trial]:
    """One for each kind of features."""
    colour = torch.tensor(PAINT).view(1, 3, 1, 1).expand_as(steered.exemplar).contiguous()
    verb: Callable[..., Any] = partial(
        texsynth.propagate, picture(steered.exemplar), Picture(colour, where), picture(target), strength=STRENGTH
    )
    judge = partial(_judge, truth)
    return [Trial(row, features, "", partial(verb, features=features), judge, {}) for features in WAYS]


def carried(options: Options, trial: Trial) -> Made:
    """The paint on a target, judged by where it lies."""
    layers = WAYS[trial.column]
    if lack := learning.lacking(options, layers):
        return Made(trial, None, 0, {}, lack)
    start = time.perf_counter()
    result: Any = trial.verb(weights=options.weights if layers else None)
    seconds = time.perf_counter() - start
    return Made(trial, image.rgb(result.image), seconds, trial.judge(result.layer.alpha))


def _judge(truth: Tensor, alpha: Tensor) -> Scores:
    wanted, got = truth >= 0.5, alpha >= 0.5
    either = float((wanted | got).sum())
    overlap = float((wanted & got).sum()) / either if either else None
    return {"agreement": float((wanted == got).float().mean()), "overlap": overlap}


if __name__ == "__main__":
    figure.command(main)
