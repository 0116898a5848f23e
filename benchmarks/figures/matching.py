"""The four matching strategies of Optimal Textures (Risser 2020), on the same decoders: python matching.py [--help]

One training for each exemplar serves all four. cdf matches each axis of many random rotations; the others match mean
and covariance at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import figure
import learning
import material
from figure import Options, Outcome, Trial
from learning import Learned, Lesson
from sheet import Cell
from torch import Tensor

from texsynth.learned.optimal_textures.matching import MODES

RECIPE = "optimal-textures"
FEW = {"iterations": 5}  # rotations of cdf, at the smallest


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("matching", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    if not learning.held(options):
        return figure.empty(options, learning.NEED)
    pairs = [pair for row, exemplar in exemplars.items() for pair in trials(options, row, exemplar)]
    made = learning.make(pairs, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "The same decoders, the same noise, and four ways to move features onto those of the exemplar."
    return figure.write(options, made, leads, figure.table(made), note)


def trials(options: Options, row: str, exemplar: Tensor) -> list[tuple[Trial, Learned]]:
    """One for each strategy."""
    (network,) = learning.learned(options, Lesson(row, RECIPE, [exemplar]))
    few = FEW if options.label == "smallest" else {}
    return [
        (figure.synthesized(options, row, exemplar, mode, RECIPE, {"match": mode, **few}), network) for mode in MODES
    ]


if __name__ == "__main__":
    figure.command(main)
