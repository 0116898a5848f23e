"""An evaluation as text for files: a CSV, and an HTML page that needs nothing else and stays below 3 MB."""

from __future__ import annotations

import base64
import csv
import html as markup
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import metrics
from texsynth.features.windows import fit
from texsynth.image.picture import Picture
from texsynth.metrics import Pair
from texsynth.patches.nearest import nearest
from texsynth.pyramid import shrink
from texsynth.report import chart
from texsynth.report.html import STYLE, document, embedded, listing, png, reduced, section, table, tables
from texsynth.report.scores import Evaluation, Line, Row, lines

PICTURED = 100  # outputs that are shown; further ones have their scores only
PIXELS = 500_000  # of all pictures on a page: at most 3 bytes each as PNG, and 4 characters
LONGEST_SHOT = 512  # pixels of a picture's longer side
POINTS = 120  # of a curve of losses
PATCH, COMPONENTS = 9, 24  # pixels, and principal directions, of the windows whose sources are shown
WORK = 1 << 30  # pairs of windows that are compared for one picture
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula of a spreadsheet begins with
ARROWS = {True: "↓", False: "↑", None: ""}
EXTRA = "figure svg { display: block; border-radius: 3px; } td strong { color: var(--mark); }"


@dataclass(frozen=True)
class Shot:
    """What the page shows of one output: PNGs, and their (height, width)."""

    exemplar: bytes
    output: bytes
    sources: bytes
    size: tuple[int, int]


def csv_text(evaluation: Evaluation) -> str:
    """The table with a line of names; empty where a metric does not apply."""
    rows = [["exemplar", "output", *evaluation.names]]
    return comma_separated([*rows, *([line.exemplar, line.output, *line.values] for line in lines(evaluation))])


def comma_separated(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; None is empty. A text that a spreadsheet would take for a formula has an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def number(value: float | None) -> str:
    """A score as people read it."""
    return "-" if value is None else f"{value:.4g}"


def title(name: str) -> str:
    """A metric's name with an arrow to where it is better."""
    return f"{name} {ARROWS[metrics.metric(name).about.lower_is_better]}".rstrip()


def longest(outputs: int, exemplars: int) -> int:
    """The longer side of the pictures of a page that shows so many."""
    shown = min(outputs, PICTURED)
    side = int(math.sqrt(PIXELS / (1.25 * shown + min(exemplars, shown))))
    return min(LONGEST_SHOT, side)  # source maps have half a side


def shot(pair: Pair, side: int, seed: int) -> Shot:
    """The pictures of one output, none with a side of more than `side` pixels."""
    exemplar, output = (png(Picture(reduced(image, side).cpu())) for image in (pair.exemplar, pair.output))
    sources = reduced(sources_picture(pair, torch.Generator().manual_seed(seed)), max(1, side // 2))
    return Shot(exemplar, output, png(Picture(sources.cpu())), (pair.output.shape[2], pair.output.shape[3]))


@torch.no_grad()
def sources_picture(pair: Pair, rng: torch.Generator) -> Tensor:
    """Which window of the exemplar each pixel's surroundings are most like, (1, 3, h, w): red is x, green is y there.
    Pictures are halved until there are few enough windows, and then those around all pixels are compared."""
    level = 0
    exemplar, output = pair.exemplar, pair.output
    while exemplar[0, 0].numel() * output[0, 0].numel() > WORK and min(*exemplar.shape[2:], *output.shape[2:]) > 32:
        level += 1
        exemplar, output = shrink(pair.exemplar, level), shrink(pair.output, level)
    patch = min(PATCH, (min(*exemplar.shape[2:], *output.shape[2:]) - 1) | 1)
    basis = fit([exemplar], patch, COMPONENTS, rng)
    padded = F.pad(output, (patch // 2,) * 4, mode="replicate")
    _, place = nearest(basis.describe(padded), basis.describe(exemplar))
    rows, columns = (n - patch + 1 for n in exemplar.shape[2:])
    y, x = (place // columns) / max(rows - 1, 1), (place % columns) / max(columns - 1, 1)
    return torch.stack([x, y, torch.full_like(x, 0.5)]).view(1, 3, *output.shape[2:])


def page(evaluation: Evaluation, shots: Sequence[Shot]) -> str:
    """The whole document; shots are those of the first rows."""
    rows = evaluation.rows
    exemplars = list(dict.fromkeys(row.exemplar for row in rows))
    heading = f"evaluate: {exemplars[0] if len(exemplars) == 1 else f'{len(exemplars)} exemplars'}"
    weights = [f"{entry.name}, SHA-256 {entry.sha256}" for entry in evaluation.weights.values()]
    descriptions = [f"{name}: {metrics.metric(name).about.description}" for name in evaluation.names]
    left = [f"{name}: {reason}" for name, reason in evaluation.left_out.items()]
    hidden = [f"pictures of the first {len(shots)} outputs only"] if len(shots) < len(rows) else []
    parts = [
        f"<header><h1>{markup.escape(heading)}</h1><p>Outputs: {len(rows)}. ↓ less is better, ↑ more is.</p></header>",
        section("Scores", _table(evaluation)),
        *_sections(rows, shots),
        section("Metrics", listing(descriptions)),
        section("Weights", listing(weights)) if weights else "",
        section("Left out", listing(left)) if left else "",
        section("Notes", listing([*hidden, *evaluation.notices])) if hidden or evaluation.notices else "",
    ]
    return document(heading, "".join(parts), STYLE + EXTRA)


def _table(evaluation: Evaluation) -> str:
    head = "".join(f"<th>{markup.escape(text)}</th>" for text in ("exemplar", "output", *map(title, evaluation.names)))
    return f"<table><tr>{head}</tr>{''.join(map(_row, lines(evaluation)))}</table>"


def _row(line: Line) -> str:
    values = (f"<strong>{number(v)}</strong>" if b else number(v) for v, b in zip(line.values, line.best, strict=True))
    names = (markup.escape(text) for text in (line.exemplar, line.output))
    return f"<tr>{''.join(f'<td>{text}</td>' for text in (*names, *values))}</tr>"


def _sections(rows: Sequence[Row], shots: Sequence[Shot]) -> Iterator[str]:
    """One for each exemplar: its picture, and those of its outputs."""
    shown = list(enumerate(zip(rows, shots, strict=False)))
    for exemplar, group in groupby(shown, key=lambda item: item[1][0].exemplar):
        members = list(group)
        body = embedded(members[0][1][1].exemplar, "Exemplar")
        body += "".join(_output(number, row, shot) for number, (row, shot) in members)
        yield section(markup.escape(exemplar), body)


def _output(index: int, row: Row, shot: Shot) -> str:
    """The pictures of one output, and how it was made."""
    height, width = shot.size
    frame = f'<figure><svg role="img" style="width:min(100%,{LONGEST_SHOT}px)" viewBox="0 0 '
    data = f"data:image/png;base64,{base64.b64encode(shot.output).decode()}"
    size = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    copies = "".join(f'<use href="#output{index}" x="{x}" y="{y}"/>' for y in (0, height) for x in (0, width))
    details = "".join(
        table(name, {key: number(value) for key, value in parts.items()}) for name, parts in row.details.items()
    )
    return (
        f'{frame}{width} {height}"><image id="output{index}" {size} href="{data}"/></svg>'
        f"<figcaption>{markup.escape(row.output)} <small>{width} x {height}</small></figcaption></figure>"
        f'{frame}{2 * width} {2 * height}">{copies}</svg><figcaption>Side by side '
        f"<small>{'wraps in ' + row.tile if row.tile != 'none' else 'not said to wrap'}</small></figcaption></figure>"
        f"{embedded(shot.sources, 'Most like this place of the exemplar: red is x, green is y')}{details}{_run(row)}"
    )


def _run(row: Row) -> str:
    """The record of the run that made an output, with its losses where it holds them."""
    if row.record is None:
        return ""
    plain = {key: value for key, value in row.record.items() if key != "losses"}
    curve = chart.curve(_losses(row.record.get("losses")))
    return f"{curve}<details><summary>How it was made</summary>{''.join(tables(plain))}</details>"


def _losses(found: Any) -> list[list[Any]]:
    """(stage, level, step, loss) of some of the steps; none where a record has none, or something else."""
    entries: list[Any] = found if isinstance(found, list) else []
    if not all(isinstance(e, list) and [type(value) for value in e[2:]] == [int, float] for e in entries):
        return []
    return entries[:: max(1, math.ceil(len(entries) / POINTS))]
