"""The grid of two features and two statistics: {patches, VGG-19} x {Gram, transport}: python grid.py [--help]

After Houdard et al. 2021, who hold transport of patches against Gram matrices of VGG: what is owed to the features,
and what to the distance between their distributions.
"""

from __future__ import annotations

from collections.abc import Sequence

import figure
import material
from figure import Outcome
from sheet import Cell

PRESETS = {
    "patches, Gram": "gram-windows",
    "patches, transport": "ot",
    "VGG-19, Gram": "gram",
    "VGG-19, transport": "ot-features",
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("grid", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    trials = [
        figure.synthesized(options, row, exemplar, column, name)
        for row, exemplar in exemplars.items()
        for column, name in PRESETS.items()
    ]
    made = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "Each method wins on the statistic that it optimises: `transport` and `gram_distance` are two of these."
    return figure.write(options, made, leads, figure.table(made), note)


if __name__ == "__main__":
    figure.command(main)
