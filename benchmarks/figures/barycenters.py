"""Between two textures (after Houdard et al. 2021 and Rabin et al. 2012): python barycenters.py [--help]

The barycenter of transport at two uneven shares, in its quicker form, and with half of each; the same by slices and on
VGG-19 features; and a mosaic of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import figure
import material
from figure import Options, Outcome, Scores, Trial
from material import picture
from sheet import Cell
from torch import Tensor

import texsynth
from texsynth.metrics import Pair

SHARES = (0.25, 0.75)


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("barycenters", __doc__, arguments)
    found = material.stationary(options, 3)
    if len(found) < 3:
        return figure.empty(options, "the folder has fewer than three pictures in stationary/")
    _, *pair = found.items()
    row = " and ".join(name for name, _ in pair)
    made = figure.make(trials(options, row, *(exemplar for _, exemplar in pair)), options)
    leads = {row: [Cell(exemplar, name) for name, exemplar in pair]}
    note = "The distance to each of the two: a barycenter lies between, and its share says where."
    return figure.write(options, made, leads, figure.table(made, "exemplars"), note)


def trials(options: Options, row: str, one: Tensor, other: Tensor) -> list[Trial]:
    """Shares first, then other ways to be half of each."""
    judge = partial(_judge, options, one, other)
    verb = partial(texsynth.barycenter, [picture(one), picture(other)], options.budget.size)
    ways = {f"draft, {1 - share:g} and {share:g}": ("barycenter-draft", share, "transport") for share in SHARES}
    ways |= {
        "transport, half of each": ("barycenter", 0.5, "transport"),
        "sliced, half of each": ("barycenter-sliced", 0.5, "transport"),
        "VGG-19, half of each": ("barycenter-features", 0.5, "transport"),
        "mosaic, half of each": ("guided-correspondence", 0.5, "mosaic"),
    }
    return [
        Trial(row, column, name, partial(verb, blend=(1 - share, share), mode=mode), judge, {})
        for column, (name, share, mode) in ways.items()
    ]


def _judge(options: Options, one: Tensor, other: Tensor, made: Tensor) -> Scores:
    return {
        f"{name} to the {which}": figure.score(name, Pair(exemplar, made), options.extract)
        for name in ("transport", "sliced")
        for which, exemplar in (("first", one), ("second", other))
    }


if __name__ == "__main__":
    figure.command(main)
