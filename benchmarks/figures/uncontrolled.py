"""All methods on the same exemplars, without guides: pictures, quality and run time: python uncontrolled.py [--help]

The comparison that every paper of the field opens with. Presets for barycenters and edits are left to their own
figures; those with the published schedules run with `--budget paper`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import figure
import material
from figure import Outcome
from sheet import Cell, Table

from texsynth import preset
from texsynth.methods import method

OTHERS = ("barycenter", "edit")
FIRST = ("guided-correspondence", "guided-correspondence-high", "layout+field", "correspondence+field")
NAMES = ("copy_rate", "use", "repetition")


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("uncontrolled", __doc__, arguments)
    exemplars = material.stationary(options, options.budget.compared)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    known = [name for name in preset.names() if not name.startswith(OTHERS) and not _trained(name)]
    presets = [*(name for name in FIRST if name in known), *(name for name in known if name not in FIRST)]
    trials = [
        figure.synthesized(options, row, exemplar, name, name, names=NAMES)
        for row, exemplar in exemplars.items()
        for name in presets
    ]
    made = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    note = "What each preset makes of an exemplar, how like it that is, how much is copied, and how long it took."
    return figure.write(options, made, leads, with_means(figure.table(made)), note)


def _trained(name: str) -> bool:
    """Does a preset use a model? Those are compared in trained.py."""
    return any(method(stage["method"]).RECIPES for stage in preset.read(name)["stages"])


def with_means(table: Table) -> Table:
    """The table, followed by the means of each preset where there are several exemplars."""
    means: list[tuple[str | float | None, ...]] = []
    for name in dict.fromkeys(row[1] for row in table.rows):
        mine = [row[2:] for row in table.rows if row[1] == name]
        columns = [[value for value in column if isinstance(value, float)] for column in zip(*mine, strict=True)]
        if len(mine) > 1:
            means.append(("mean", name, *(statistics.mean(column) if column else None for column in columns)))
    return Table(table.columns, (*table.rows, *means))


if __name__ == "__main__":
    figure.command(main)
