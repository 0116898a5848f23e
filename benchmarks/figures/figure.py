"""What the figure scripts share: their command line, trials run one after the other, and the sheet and tables written.

A figure is a list of trials: one call of a verb of texsynth with one preset each, put into a row and a column. `make`
runs them, `write` lays their pictures out on a sheet (PNG) and their seconds and scores in a table (Markdown and CSV).
What cannot be made keeps its place with the reason in it, and is listed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sheet
import torch
from sheet import Cell, Table
from torch import Tensor

import texsynth
from texsynth import metrics
from texsynth.errors import TexsynthError, UsageError
from texsynth.features import Extract, features
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.methods import method
from texsynth.metrics import Pair
from texsynth.preset import build, read
from texsynth.runs.run import Result
from texsynth.task import Guide
from texsynth.weights import pretrained

Scores = Mapping[str, float | None]
Judge = Callable[[Tensor], Scores]
GENERAL = ("transport", "sliced", "min_patch_colour")  # metrics of likeness that need no weights
NEURAL = ("min_patch", "gram_distance")  # the same, with VGG-19


@dataclass(frozen=True)
class Budget:
    """side: pixels of the exemplars' shorter side. size: of the results. count: exemplars per figure, at most.
    compared: the same where all methods are compared, since one says little about a method. steps: of every level;
    None: as the preset says. published: also presets with the published schedules."""

    side: int
    size: int
    count: int
    compared: int
    steps: int | None = None
    published: bool = False


BUDGETS = {
    "smallest": Budget(48, 48, 1, 1, steps=1),
    "quick": Budget(112, 112, 1, 2),
    "paper": Budget(256, 512, 10, 10, published=True),
}


@dataclass(frozen=True)
class Options:
    """The command line, read and checked. extract: VGG-19 for the metrics that need it, None without weights."""

    name: str
    label: str
    budget: Budget
    exemplars: Path | None
    weights: Path | None
    extract: Extract | None
    out: Path

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of likeness that can be had."""
        return GENERAL if self.extract is None else (*GENERAL, *NEURAL)


@dataclass(frozen=True)
class Trial:
    """One picture to make. verb: a function of texsynth that lacks nothing but preset, settings, weights and seed."""

    row: str
    column: str
    preset: str
    verb: Callable[..., Result]
    judge: Judge
    settings: Mapping[str, Any]
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """picture: (1, 3, h, w), or None where `lack` says why there is none."""

    trial: Trial
    picture: Tensor | None
    seconds: float
    scores: Scores
    lack: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a script wrote, and what it left out, one line each."""

    name: str
    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def options(name: str, description: str | None, arguments: Sequence[str] | None) -> Options:
    """Read the command line of the script `name`; raises UsageError and WeightsError."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=(description or "").splitlines()[0])
    parser.add_argument("--budget", choices=tuple(BUDGETS), default="quick", help="default: %(default)s")
    parser.add_argument(
        "--exemplars", type=Path, help="a folder with stationary/, progression/ ... (default: samples/)"
    )
    found = os.environ.get("TEXSYNTH_WEIGHTS")
    parser.add_argument(
        "--weights", type=Path, default=found, help="VGG-19, file or folder (default: TEXSYNTH_WEIGHTS)"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("figures"), help="default: %(default)s/")
    given = parser.parse_args(arguments)
    if given.exemplars is not None and not given.exemplars.is_dir():
        raise UsageError(f"--exemplars: {given.exemplars} is no folder; give one with stationary/, progression/ ...")
    vgg = None if given.weights is None else pretrained.find("vgg19", given.weights)
    extract = None if vgg is None else network(vgg)
    return Options(
        name, given.budget, BUDGETS[given.budget], given.exemplars, given.weights, extract, given.output / name
    )


def network(path: Path) -> Extract:
    """VGG-19 as deep as the metrics of the figures look; raises WeightsError."""
    module = features("vgg19")
    needed = [layer for name in (*NEURAL, "diversity_po") for layer in metrics.metric(name).about.needs["vgg19"]]
    return module.build(module.Settings(), (False, False), pretrained.read(path, "vgg19", module.keys(needed)))


def generator() -> torch.Generator:
    """Metrics that draw samples draw the same for every picture."""
    return torch.Generator().manual_seed(0)


def judged(options: Options, exemplar: Tensor, names: Sequence[str] = (), guides: Sequence[Guide] = ()) -> Judge:
    """Scores a picture (1, 3, h, w) by the metrics of likeness and by `names`; None where a picture is too small."""

    def judge(picture: Tensor) -> Scores:
        pair = Pair(exemplar, picture, guides=tuple(guides))
        return {name: score(name, pair, options.extract) for name in (*names, *options.metrics)}

    return judge


def synthesized(
    options: Options,
    row: str,
    exemplar: Tensor,
    column: str,
    preset: str,
    settings: Mapping[str, Any] = MappingProxyType({}),
    names: Sequence[str] = (),
    seed: int = 0,
) -> Trial:
    """A trial without guides: more of one exemplar (1, 3, H, W), of the budget's size, judged by `names` too."""
    verb = partial(texsynth.synthesize, Picture(exemplar), options.budget.size)
    return Trial(row, column, preset, verb, judged(options, exemplar, names), settings, seed)


def score(name: str, pair: Pair, extract: Extract | None) -> float | None:
    """One metric; None where a picture is too small for it."""
    module = metrics.metric(name)
    if min(*pair.exemplar.shape[2:], *pair.output.shape[2:]) < module.about.smallest_side:
        return None
    return module.measure(pair, extract if module.about.needs else None, generator())


def make(trials: Sequence[Trial], options: Options) -> list[Made]:
    """Run trials one by one; what they lack (weights, layers of these) is told and no fault."""
    return [_made(trial, options) for trial in trials]


def _made(trial: Trial, options: Options) -> Made:
    settings = {**trial.settings, **shortened(trial.preset, options.budget)}
    lack, needy = lacking(trial.preset, settings, options)
    if lack:
        return Made(trial, None, 0, {}, lack)
    given = {"weights": options.weights} if needy else {}
    start = time.perf_counter()
    result = trial.verb(preset=trial.preset, settings=settings, seed=trial.seed, **given)
    seconds = time.perf_counter() - start
    if result.interrupted:
        raise KeyboardInterrupt
    picture = image.rgb(result.image)
    print(f"{options.name}: {trial.row}, {trial.column}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return Made(trial, picture, seconds, trial.judge(picture))


def shortened(preset: str, budget: Budget) -> dict[str, Any]:
    """The settings that make a preset as quick as the budget asks."""
    if budget.steps is None:
        return {}
    stages = {stage["method"] for stage in read(preset)["stages"]}
    out: dict[str, Any] = {"steps": [budget.steps]} if "optimise" in stages else {}
    return out | (
        {"passes": [budget.steps], "starts": 1, "recuts": [2], "tries": 4, "similar": 0} if "field" in stages else {}
    )


def lacking(preset: str, settings: Mapping[str, Any], options: Options) -> tuple[str, bool]:
    """Why a preset cannot run here, "" where it can; and does it look at weights?"""
    if preset.endswith("-paper") and not options.budget.published:
        return "the published schedule takes minutes a picture: --budget paper", False
    networks = False
    for stage in build(preset, read(preset), settings).stages:
        for name, layers in method(stage.method).needs(stage.settings, None).items():
            kind = features(name).WEIGHTS
            if kind is None:
                continue
            networks = True
            path = None if options.weights is None else pretrained.find(kind, options.weights)
            if path is None:
                return f"needs {kind} weights: --weights FILE or TEXSYNTH_WEIGHTS", True
            held = pretrained.held(path, kind)
            if absent := [layer for layer in layers if layer not in held and not layer.startswith("pool")]:
                return f"needs {absent[-1]}, and {path.name} stops at {held[-1]}", True
    return "", networks


def table(made: Sequence[Made], first: str = "exemplar") -> Table:
    """A line for each picture that was made: row, column, seconds, scores."""
    there = [each for each in made if each.picture is not None]
    names = list(dict.fromkeys(name for each in there for name in each.scores))
    rows = [
        (each.trial.row, each.trial.column, each.seconds, *(each.scores.get(name) for name in names)) for each in there
    ]
    return Table((first, "result", "s", *names), tuple(rows))


def cells(made: Sequence[Made], leads: Mapping[str, Sequence[Cell]]) -> list[list[Cell]]:
    """Rows of a sheet: what leads each of them, by its name, and then its trials."""
    rows = dict.fromkeys(each.trial.row for each in made)
    return [
        [*leads.get(row, ()), *(Cell(m.picture, m.trial.column, m.lack) for m in made if m.trial.row == row)]
        for row in rows
    ]


def write(
    options: Options, made: Sequence[Made], leads: Mapping[str, Sequence[Cell]], results: Table, note: str
) -> Outcome:
    """Write the sheet and the table under the figure's own folder. note: what the figure shows, one paragraph."""
    skipped = list(dict.fromkeys(f"{each.trial.column}: {each.lack}" for each in made if each.lack))
    if options.extract is None and any(set(GENERAL) <= set(each.scores) for each in made):
        skipped.append(f"columns {', '.join(NEURAL)}: need vgg19 weights: --weights FILE or TEXSYNTH_WEIGHTS")
    options.out.mkdir(parents=True, exist_ok=True)
    picture, text, values = (options.out / f"{options.name}{suffix}" for suffix in (".png", ".md", ".csv"))
    sheet.lay_out(cells(made, leads)).save(picture)
    left_out = "".join(f"\n- {line}" for line in skipped)
    parts = [f"# {options.name}, budget {options.label}", note, results.markdown(), about(options)]
    text.write_text("\n\n".join(parts) + (f"\n\nNot run:\n{left_out}" if skipped else "") + "\n", encoding="utf-8")
    values.write_text(results.csv(), encoding="utf-8")
    return Outcome(options.name, (picture, text, values), tuple(skipped))


def empty(options: Options, reason: str) -> Outcome:
    """The outcome of a figure for which there is nothing to show."""
    return Outcome(options.name, (), (f"the whole figure: {reason}",))


def about(options: Options) -> str:
    """How the seconds were taken, one paragraph: they mean little on a machine that is busy with other work."""
    budget, cores = options.budget, os.cpu_count()
    load = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"Exemplars of {budget.side} px on the shorter side, results of {budget.size} px. Seconds are those of one call"
        f" in a running process, {torch.get_num_threads()} threads, {cores} cores{load}."
    )


def command(main: Callable[[], Outcome]) -> None:
    """Run a script's main as a command: what was written on stdout, what was not made on stderr."""
    try:
        outcome = main()
    except TexsynthError as error:
        print(f"figures: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    for path in outcome.files:
        print(path)
    for line in outcome.skipped:
        print(f"not run: {line}", file=sys.stderr)
