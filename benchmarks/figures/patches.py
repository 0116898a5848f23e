"""Sizes of patches and numbers of scales: python patches.py [--help]

The field by the size of its windows and of its first level, transport by the size of its patches: small ones keep
colours and lose objects, large ones keep objects and lose fine detail. multiscale.py has the layers of transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import material
from figure import Outcome
from sheet import Cell

FIELD, TRANSPORT = "guided-correspondence", "ot"
NAMES = ("copy_rate",)
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"field, windows of {side} px": (FIELD, {"patch": side}) for side in (5, 9, 15)},
    **{f"field, coarsest {side} px": (FIELD, {"coarsest": side}) for side in (32, 128)},
    **{f"transport, patches of {side} px": (TRANSPORT, {"patch": side}) for side in (2, 4, 6)},
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("patches", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    trials = [
        figure.synthesized(options, row, exemplar, column, name, settings, NAMES)
        for row, exemplar in exemplars.items()
        for column, (name, settings) in WAYS.items()
    ]
    made = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "What windows and levels do, for the field and for transport; the defaults are 9 px from 64 px, and 4 px."
    return figure.write(options, made, leads, figure.table(made), note)


if __name__ == "__main__":
    figure.command(main)
