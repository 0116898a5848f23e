"""What a training leaves in its folder: the course as a table and as a page, and sheets of samples."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import picture as image
from texsynth.image.files import Put, unwritable
from texsynth.image.picture import Picture
from texsynth.report import chart
from texsynth.report.evaluation import comma_separated
from texsynth.report.html import document, figure, section, tables
from texsynth.training.loop import State

COURSE, PAGE, SAMPLES = "course.csv", "course.html", "samples"  # in the folder of a training
GAP = 8  # pixels between samples


def keep(folder: Path, about: Mapping[str, Any], state: State, samples: Sequence[Tensor], put: Put) -> None:
    """Write course.csv, and where there are samples their sheet, samples/STEP.png, and course.html beside it, by `put`.
    Samples are (1, 3, h, w) in [0, 1]; about is what the page says of the run."""
    put(folder / COURSE, csv_text(state))
    if samples:
        shown = sheet(samples)
        try:
            (folder / SAMPLES).mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(SAMPLES, error) from None
        image.write(sample_file(folder, state.step), shown, put=put)
        put(folder / PAGE, page(about, state, shown))


def sample_file(folder: Path, step: int) -> Path:
    """Where the sheet of samples after so many steps goes."""
    return folder / SAMPLES / f"{step:07d}.png"


def sheet(samples: Sequence[Tensor]) -> Picture:
    """Pictures side by side, at their own size, on white."""
    height = max(sample.shape[2] for sample in samples)
    cells = [F.pad(sample.cpu(), (0, GAP, 0, height - sample.shape[2]), value=1.0) for sample in samples]
    return Picture(torch.cat(cells, 3)[..., :-GAP].clamp(0, 1))


def csv_text(state: State) -> str:
    """One line for each row of the course; the metric is empty where it was not measured."""
    names = list(dict.fromkeys(name for row in state.rows for name in row.losses))
    rows = ([row.step, *map(row.losses.get, names), row.metric] for row in state.rows)
    return comma_separated([["step", *names, "metric"], *rows])


def page(about: Mapping[str, Any], state: State, samples: Picture) -> str:
    """The whole document."""
    metric = about["preset"]["settings"]["metric"]
    title = f"train {about['recipe']}: {', '.join(entry['name'] for entry in about['inputs'])}"
    names = list(dict.fromkeys(name for row in state.rows for name in row.losses))
    measured = [(row.step, row.metric) for row in state.rows if row.metric is not None]
    curves = [chart.course(measured, metric)]
    curves += [chart.course([(r.step, r.losses[n]) for r in state.rows if n in r.losses], n) for n in names]
    best = f"{metric} {state.best:.4g} at step {state.best_step} is the best so far."
    return document(
        title,
        f"<header><h1>{html.escape(title)}</h1><p>{html.escape(best)}</p></header>"
        + section("Samples", figure(samples, f"After {state.step} steps"))
        + section("Course", "".join(curves))
        + section("Run", "".join(tables(about))),
    )
