"""Transport on many scales against one (Houdard et al. 2021): python multiscale.py [--help]

The paper's layers compare patches of the same size at several resolutions; the levels here also work coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import material
from figure import Outcome
from sheet import Cell

WAYS: dict[str, dict[str, Any]] = {
    "one layer, one level": {"layers": ["full"], "scales": [1.0], "steps": [200]},
    "three layers, one level": {"scales": [1.0], "steps": [200]},
    "one layer, coarse to fine": {"layers": ["full"]},
    "three layers, coarse to fine": {},
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("multiscale", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    trials = [
        figure.synthesized(options, row, exemplar, column, "ot", settings)
        for row, exemplar in exemplars.items()
        for column, settings in WAYS.items()
    ]
    made = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "Structure larger than a patch comes from coarse scales alone."
    return figure.write(options, made, leads, figure.table(made), note)


if __name__ == "__main__":
    figure.command(main)
