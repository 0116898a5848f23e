"""Networks trained for an exemplar beside what they replace: python trained.py [--help]

The field, direct optimisation, the texture networks of the same objectives (Ulyanov et al. 2016, Houdard et al. 2021),
and Optimal Textures (Risser 2020): seconds of training and of a picture, and how like it is. Then a picture of four
times the side from the texture network, shown reduced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import figure
import learning
import material
from figure import Made, Options, Outcome, Trial
from learning import Learned, Lesson
from material import picture
from sheet import Cell
from torch import Tensor

import texsynth

LARGE = 4  # times the side


@dataclass(frozen=True)
class Way:
    """A preset of synthesis, and where that uses a network, what trains it. taught: the preset of that."""

    preset: str
    recipe: str = ""
    taught: str = ""


NET = "texture network, transport"
WAYS = {
    "field": Way("guided-correspondence"),
    "transport": Way("ot"),
    NET: Way("feed-forward", "texture-net", "texture-net"),
    "Gram, VGG-19": Way("gram"),
    "texture network, Gram": Way("feed-forward", "texture-net", "texture-net-gram"),
    "optimal textures": Way("optimal-textures", "optimal-textures", "optimal-textures"),
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("trained", __doc__, arguments)
    exemplars = material.stationary(options)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    made = [each for row, exemplar in exemplars.items() for each in of_exemplar(options, row, exemplar)]
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = (
        "A network pays once, in training, and then makes any number of pictures of any size. What it is trained for is"
        " what direct optimisation lowers for each picture anew."
    )
    return figure.write(options, made, leads, figure.table(made), note)


def of_exemplar(options: Options, row: str, exemplar: Tensor) -> list[Made]:
    """All ways, and the large picture in a row of its own."""
    networks = {column: learned(options, row, exemplar, way) for column, way in WAYS.items()}
    pairs = [
        (figure.synthesized(options, row, exemplar, column, way.preset), networks[column])
        for column, way in WAYS.items()
    ]
    side = LARGE * options.budget.size
    verb = partial(texsynth.synthesize, picture(exemplar), side)
    trial = Trial(f"{row}, {LARGE}x", f"{NET}, {side} px", WAYS[NET].preset, verb, lambda _: {}, {})
    *made, large = learning.make([*pairs, (trial, networks[NET])], options)
    assert large.picture is not None  # it needs no weights
    small = material.resized(large.picture, (options.budget.size,) * 2)
    return [*made, replace(large, picture=small)]


def learned(options: Options, row: str, exemplar: Tensor, way: Way) -> Learned | None:
    """The network of a way, if it uses one."""
    if not way.recipe:
        return None
    (network,) = learning.learned(options, Lesson(f"{row}_{way.taught}", way.recipe, [exemplar], way.taught))
    return network


if __name__ == "__main__":
    figure.command(main)
