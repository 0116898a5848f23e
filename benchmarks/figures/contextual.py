"""Guided correspondence against the contextual loss (Zhou et al. 2023): python contextual.py [--help]

Both turn distances between patches into similarities. Guided correspondence asks of every patch of the output that it
match some patch of the exemplar clearly; the contextual loss (Mechrez et al. 2018) asks of every patch of the exemplar
that some patch of the output match it. What of the output no patch of the exemplar asks for is then left to itself.
Everything else is equal here: features, patches, bandwidth, start from noise, steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import material
from figure import Outcome
from sheet import Cell

CARRIER = "ot"  # coarse to fine from noise, by gradient; its objective is replaced
STEPS = [120, 80, 40]
SEEN: dict[str, dict[str, Any]] = {
    "windows": {"features": "windows", "layers": ["full", "half", "quarter"], "patch": 7, "stride": 2},
    "VGG-19": {"features": "vgg19", "layers": ["relu2_1", "relu3_1", "relu3_4"], "patch": 3, "stride": 2},
}
LOSSES: dict[str, dict[str, Any]] = {
    "guided correspondence": {"loss": "correspondence", "occurrence": 0.0, "sample": 1200},
    "contextual": {"loss": "contextual", "sample": 1200},
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("contextual", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    trials = [
        figure.synthesized(
            options, row, exemplar, f"{loss}, {seen}", CARRIER, {"objectives": [LOSSES[loss] | what], "steps": STEPS}
        )
        for row, exemplar in exemplars.items()
        for seen, what in SEEN.items()
        for loss in LOSSES
    ]
    made = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "The best match of every output patch, against the best match of every exemplar patch; all else equal."
    return figure.write(options, made, leads, figure.table(made), note)


if __name__ == "__main__":
    figure.command(main)
