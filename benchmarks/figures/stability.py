"""How much a result depends on the seed and on the picture it starts from: python stability.py [--help]

The field and transport, each from several seeds and from several first pictures. The last rows of the table give the
spread of each score over the seeds (standard deviation over mean), and with weights how unlike the results are.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import figure
import material
import torch
from figure import Made, Options, Outcome, Trial
from sheet import Cell, Table
from torch import Tensor

from texsynth.image.picture import Picture
from texsynth.metrics import Pair

PRESETS = {"field": "guided-correspondence", "transport": "ot"}
SEEDS = 3


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("stability", __doc__, arguments)
    found = material.stationary(options, 2)
    if len(found) < 2:
        return figure.empty(options, "the folder has fewer than two pictures in stationary/")
    (name, exemplar), (_, other) = found.items()
    made = figure.make(trials(options, exemplar, other), options)
    leads = {row: [Cell(exemplar, name), Cell(other, "another texture")] for row in PRESETS}
    note = f"The same exemplar ({name}) from {SEEDS} seeds and three first pictures. Spread is 0 where nothing depends."
    return figure.write(options, made, leads, with_spread(figure.table(made, "method"), made, options, exemplar), note)


def trials(options: Options, exemplar: Tensor, other: Tensor) -> list[Trial]:
    """For each preset: seeds first, then first pictures."""
    out = []
    for row, preset in PRESETS.items():
        make = partial(figure.synthesized, options, row, exemplar, preset=preset)
        out += [make(f"seed {seed}", seed=seed) for seed in range(SEEDS)]
        firsts = {"from another texture": other, "from grey": torch.full_like(other, float(other.mean()))}
        for column, first in firsts.items():
            trial = make(column)
            out.append(replace(trial, verb=partial(trial.verb, init=Picture(first))))
        if row == "transport":
            out.append(make("from its own colours", settings={"start": "colours"}))
    return out


def with_spread(table: Table, made: Sequence[Made], options: Options, exemplar: Tensor) -> Table:
    """The table, followed by what the seeds of each preset change."""
    rows = list(table.rows)
    columns = table.columns
    if options.extract is not None:
        columns, rows = (*columns, "diversity_po"), [(*row, None) for row in rows]
    for name in PRESETS:
        mine = [row[3:] for row in rows if row[0] == name and str(row[1]).startswith("seed")]
        values = [[v for v in column if isinstance(v, float)] for column in zip(*mine, strict=True)]
        spread = [statistics.pstdev(v) / abs(statistics.mean(v)) if len(v) > 1 and any(v) else None for v in values]
        if options.extract is not None:
            pictures = [m.picture for m in made if m.trial.row == name and m.trial.column.startswith("seed")]
            first, *others = (each for each in pictures if each is not None)
            spread[-1] = figure.score("diversity_po", Pair(exemplar, first, tuple(others)), options.extract)
        rows.append((name, f"spread of {SEEDS} seeds", None, *spread))
    return Table(columns, tuple(rows))


if __name__ == "__main__":
    figure.command(main)
