"""The figures of two kinds, of which most scripts are one: presets side by side, and maps that steer presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import figure
import material
from figure import Options, Outcome, Trial
from material import Steered, picture
from sheet import Cell

import texsynth
from texsynth.task import Guide

Ways = Mapping[str, tuple[str, Mapping[str, Any]]]  # column -> preset and settings


def side_by_side(
    options: Options, ways: Ways, note: str, names: Sequence[str] = (), count: int | None = None
) -> Outcome:
    """More of each stationary exemplar by each of some ways, judged by `names` too."""
    exemplars = material.stationary(options, count)
    if not exemplars:
        return figure.empty(options, "the folder has no stationary/")
    trials = [
        figure.synthesized(options, row, exemplar, column, name, settings, names)
        for row, exemplar in exemplars.items()
        for column, (name, settings) in ways.items()
    ]
    results = figure.make(trials, options)
    leads = {row: [Cell(exemplar, row)] for row, exemplar in exemplars.items()}
    return figure.write(options, results, leads, figure.table(results), note)


def steered(
    options: Options,
    exemplars: Sequence[Steered],
    trials: Callable[[Options, Steered], list[Trial]],
    labels: tuple[str, str],
    note: str,
    *more: Cell,
    first: str = "exemplar",
) -> Outcome:
    """The trials of each exemplar, led by it, its map and the target, which are labelled so, and by `more`."""
    results = figure.make([trial for each in exemplars for trial in trials(options, each)], options)
    source, target = labels
    leads = {
        s.name: [Cell(s.exemplar, s.name), Cell(s.source, source), Cell(s.target, target), *more] for s in exemplars
    }
    return figure.write(options, results, leads, figure.table(results, first), note)


def guided(options: Options, each: Steered, guide: Guide, presets: Sequence[str], **maps: Any) -> list[Trial]:
    """Without a guide by the first of some presets, and with it by each; maps: as arguments of `texsynth.control`."""
    size = options.budget.size
    judge = figure.judged(options, each.exemplar, (guide.name,), (guide,))
    plain = partial(texsynth.synthesize, picture(each.exemplar), size)
    verb = partial(texsynth.control, picture(each.exemplar), size, **maps)
    return [
        Trial(each.name, f"{presets[0]}, no guide", presets[0], plain, judge, {}),
        *(Trial(each.name, name, name, verb, judge, {}) for name in presets),
    ]
