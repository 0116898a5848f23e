"""Labelled sheets of pictures, drawn with PIL alone, and tables as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw
from torch import Tensor

from texsynth import metrics
from texsynth.image import picture as image

GAP, LINE = 8, 13  # pixels between cells, and of a line of text
LEAST = 112  # pixels of a cell's width, for its label
LETTER = 5.6  # pixels of a letter of PIL's own font, about
PAPER, INK, VOID = (250, 250, 250), (40, 40, 40), (228, 228, 228)
ARROWS = {True: " ↓", False: " ↑", None: ""}


@dataclass(frozen=True)
class Cell:
    """A picture (1, 1 or 3, h, w) in [0, 1] with its label; None: a grey place with the reason in it."""

    picture: Tensor | None
    label: str
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers, None where there is no number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]

    def markdown(self) -> str:
        """Numbers to three digits, and an arrow that says which end of a metric is better."""
        head = [name + ARROWS[_better(name)] for name in self.columns]
        lines = [head, ["---"] * len(head), *([_shown(value) for value in row] for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def csv(self) -> str:
        """Every digit; empty where there is no number."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.columns, *self.rows])
        return out.getvalue()


def _better(name: str) -> bool | None:
    return metrics.metric(name).about.lower_is_better if name in metrics.names() else None


def _shown(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def lay_out(rows: Sequence[Sequence[Cell]], columns: int = 8) -> Image.Image:
    """Cells in rows, each row as high as its highest picture and label; long ones go on in the next line."""
    drawn = []
    for row in rows:
        made = [_cell(cell, _size(row)) for cell in row]
        lines = -(-len(made) // columns)
        step = -(-len(made) // lines)  # lines of one row are about as long
        drawn += [_row(made[start : start + step]) for start in range(0, len(made), step)]
    sheet = Image.new(
        "RGB", (max(row.width for row in drawn) + GAP, sum(row.height + GAP for row in drawn) + GAP), PAPER
    )
    top = GAP
    for line in drawn:
        sheet.paste(line, (0, top))
        top += line.height + GAP
    return sheet


def _size(row: Sequence[Cell]) -> tuple[int, int]:
    """Width and height of a place without a picture: those of the last picture in its row."""
    there = [cell.picture for cell in row if cell.picture is not None]
    return (there[-1].shape[3], there[-1].shape[2]) if there else (LEAST, LEAST)


def _row(cells: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(cell.width + GAP for cell in cells), max(cell.height for cell in cells)), PAPER)
    left = GAP
    for cell in cells:
        row.paste(cell, (left, 0))
        left += cell.width + GAP
    return row


def _cell(cell: Cell, void: tuple[int, int]) -> Image.Image:
    """The picture, its label below; small ones at a whole multiple of their size."""
    if cell.picture is None:
        factor = _factor(void[0])
        picture = Image.new("RGB", (void[0] * factor, void[1] * factor), VOID)
        _text(picture, cell.reason, GAP)
    else:
        array = image.to_array(image.Picture(cell.picture.detach().cpu().clamp(0, 1)))
        picture = Image.fromarray(array.squeeze()).convert("RGB")
        factor = _factor(picture.width)
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    lines = _lines(cell.label, picture.width)
    out = Image.new("RGB", (picture.width, picture.height + LINE * len(lines) + 2), PAPER)
    out.paste(picture, (0, 0))
    _text(out, cell.label, picture.height + 2, margin=0)
    return out


def _factor(width: int) -> int:
    return max(1, -(-LEAST // width))


def _text(picture: Image.Image, text: str, top: int, margin: int = 4) -> None:
    """Words from `top` down, broken at the picture's width."""
    lines = _lines(text, picture.width - 2 * margin)
    ImageDraw.Draw(picture).multiline_text((margin, top), "\n".join(lines), fill=INK, spacing=1)


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(8, int(width / LETTER)))
