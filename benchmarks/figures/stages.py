"""Pseudo optimizers by stages and by training length (Shi and Qiao 2020): python stages.py [--help]

ProPO with as many stages as the weights have layers for, up to six, and with one and two less; each after a third, two
thirds, and all of its steps. One training serves all exemplars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import figure
import learning
import material
from figure import Made, Options, Outcome, Scores, Trial
from learning import Learned, Lesson
from sheet import Cell
from torch import Tensor

from texsynth.metrics import Pair

LADDER = ("relu1_1", "pool1", "pool2", "pool3", "pool4", "relu5_1")  # what each further stage sees
COUNTS, PARTS, SEEDS = 3, 3, 3
NAMES = ("quality_po", "gram_distance")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("stages", __doc__, arguments)
    exemplars = material.stationary(options, options.budget.compared)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    known = learning.held(options)
    layers = [layer for layer in LADDER if layer in known]
    if len(layers) < COUNTS:
        return figure.empty(options, learning.lacking(options, LADDER[:COUNTS]))
    networks = {
        count: learning.learned(options, lesson(layers[:count], list(exemplars.values())), PARTS)
        for count in range(len(layers) - COUNTS + 1, len(layers) + 1)
    }
    made = merged(learning.make(trials(options, exemplars, networks), options), exemplars, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = (
        f"Seconds of a picture are the mean of {SEEDS}, whose unlikeness `diversity_po` is. Lengths are of one training"
        f" that goes on; {training(exemplars)}."
    )
    return figure.write(options, made, leads, figure.table(made), note)


def lesson(layers: Sequence[str], exemplars: Sequence[Tensor]) -> Lesson:
    """A stage for each layer."""
    settings = {"layers": list(layers), "stages": len(layers)}
    return Lesson(f"stages_{len(layers)}", "pseudo-optimizer", exemplars, settings=settings)


def training(exemplars: dict[str, Tensor]) -> str:
    """What was trained on, in words."""
    return f"one network for {' and '.join(exemplars)}" if len(exemplars) > 1 else "networks know this exemplar alone"


def trials(
    options: Options, exemplars: dict[str, Tensor], networks: dict[int, list[Learned]]
) -> list[tuple[Trial, Learned]]:
    """For each picture its seeds, the first of which is judged."""
    out = []
    for row, exemplar in exemplars.items():
        for count, lengths in networks.items():
            for network in lengths:
                column = f"{count} stages, {network.steps} steps"
                for seed in range(SEEDS):
                    trial = figure.synthesized(options, row, exemplar, column, "po", seed=seed)
                    judge = partial(_judge, options, exemplar, NAMES if seed == 0 else ())
                    out.append((replace(trial, judge=judge), network))
    return out


def merged(made: Sequence[Made], exemplars: dict[str, Tensor], options: Options) -> list[Made]:
    """The first seed of each, with the mean of the seconds, and how unlike all seeds are."""
    out = []
    for start in range(0, len(made), SEEDS):
        first, *others = made[start : start + SEEDS]
        if first.picture is not None:
            pictures = tuple(each.picture for each in others if each.picture is not None)
            pair = Pair(exemplars[first.trial.row], first.picture, pictures)
            scores = {**first.scores, "diversity_po": figure.score("diversity_po", pair, options.extract)}
            seconds = sum(each.seconds for each in (first, *others)) / SEEDS
            first = replace(first, seconds=seconds, scores=scores)
        out.append(first)
    return out


def _judge(options: Options, exemplar: Tensor, names: Sequence[str], made: Tensor) -> Scores:
    return {name: figure.score(name, Pair(exemplar, made), options.extract) for name in names}


if __name__ == "__main__":
    figure.command(main)
