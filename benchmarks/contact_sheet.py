"""Every picture of a folder beside its result, on one sheet.

python benchmarks/contact_sheet.py DIR -o SHEET.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from texsynth import preset, settings
from texsynth.errors import BatchError, TexsynthError
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.requests.synthesize import Request
from texsynth.runs import run
from texsynth.task import Preset
from texsynth.verbs import synthesize

GAP = 12  # pixels between pictures, and around them
LABEL = 22  # height of the line under each pair
PAPER, INK = 250, (40, 40, 40)


@dataclass(frozen=True)
class Pair:
    """One exemplar and its result, both (1, 3, h, w), with the line written under them."""

    exemplar: Tensor
    result: Tensor
    label: str


def make(path: Path, size: str, shorter: int | None, chosen: Preset, seed: int, device: str = "auto") -> Pair:
    """Synthesize one picture, first brought to `shorter` pixels on its shorter side unless that is None."""
    picture = image.read(path)
    if shorter is not None:
        picture = reduced(picture, shorter)
    job = synthesize.build(Request(exemplars=[picture], size=size, device=device))
    result = run.run(job, chosen, seed)
    label = f"{path.stem}  {picture.width}x{picture.height} to {result.image.width}x{result.image.height}"
    return Pair(image.rgb(picture), image.rgb(result.image), f"{label}  {result.seconds:.1f} s")


def reduced(picture: Picture, shorter: int) -> Picture:
    """The picture with its shorter side at most `shorter` pixels, low-pass filtered; alpha is dropped."""
    side = min(picture.height, picture.width)
    size = [round(length * shorter / side) for length in (picture.height, picture.width)]
    if side > shorter:
        pixels = F.interpolate(picture.pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
        return replace(picture, pixels=pixels, alpha=None)
    return replace(picture, alpha=None)


def lay_out(pairs: Sequence[Pair], columns: int, scale: float = 1.0) -> Picture:
    """Pairs in rows of `columns`, exemplar left and result right, on one picture."""
    return grid([cell(pair, scale) for pair in pairs], columns)


def grid(cells: Sequence[NDArray[np.uint8]], columns: int) -> Picture:
    """Cells (h, w, 3), each with a gap on its left and top, in rows of `columns`."""
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    widths = [max(row[i].shape[1] for row in rows if i < len(row)) for i in range(min(columns, len(cells)))]
    heights = [max(c.shape[0] for c in row) for row in rows]
    sheet = np.full((sum(heights) + GAP, sum(widths) + GAP, 3), PAPER, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for block, width in zip(row, widths, strict=False):
            sheet[top + GAP : top + block.shape[0], left + GAP : left + block.shape[1]] = block[GAP:, GAP:]
            left += width
        top += height
    return image.from_array(sheet)


def cell(pair: Pair, scale: float) -> NDArray[np.uint8]:
    """One pair with its label, (h, w, 3), with a gap on its left and top."""
    return beside([scaled(picture, scale) for picture in (pair.exemplar, pair.result)], pair.label)


def beside(blocks: Sequence[NDArray[np.uint8]], label: str) -> NDArray[np.uint8]:
    """Pictures (h, w, 3) in one row with a label below, (h, w, 3), with a gap on the left of each and on top."""
    from PIL import Image, ImageDraw

    height = GAP + max(block.shape[0] for block in blocks) + LABEL
    canvas = np.full((height, sum(GAP + block.shape[1] for block in blocks), 3), PAPER, np.uint8)
    start = GAP
    for block in blocks:
        canvas[GAP : GAP + block.shape[0], start : start + block.shape[1]] = block
        start += block.shape[1] + GAP
    drawn = Image.fromarray(canvas)
    ImageDraw.Draw(drawn).text((GAP, height - LABEL + 5), label, fill=INK)
    return np.asarray(drawn)


def scaled(picture: Tensor, scale: float) -> NDArray[np.uint8]:
    """(1, 3, h, w) -> (h * scale, w * scale, 3) uint8."""
    if scale != 1:
        size = [max(1, round(side * scale)) for side in picture.shape[2:]]
        picture = F.interpolate(picture, size, mode="bilinear", antialias=True)
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(pixels[0].permute(1, 2, 0).numpy())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; prints where the sheet is. Pictures that fail are told and left out: exit code 6."""
    options = parser().parse_args(arguments)
    try:
        chosen = preset.resolve(preset=options.preset, quality=options.quality, values=settings.parse(options.set))
        failed = sheet_of(options, chosen)
    except TexsynthError as error:
        sys.exit(complain(str(error), error.exit_code))
    print(options.output)
    if failed:
        sys.exit(complain(f"{failed} of the pictures failed", BatchError.exit_code))


def sheet_of(options: argparse.Namespace, chosen: Preset) -> int:
    """Make every pair and write the sheet; returns how many failed. Raises BatchError when all did."""
    pairs, failed = [], 0
    paths = image.list_pictures(options.folder)
    for number, path in enumerate(paths, start=1):
        try:
            shorter = None if options.native else options.crop_to
            pair = make(path, options.size, shorter, chosen, options.seed, options.device)
        except TexsynthError as error:
            complain(f"{path.name}: {error}", error.exit_code)
            failed += 1
            continue
        print(f"{number}/{len(paths)}  {pair.label}", file=sys.stderr)
        pairs.append(pair)
    if not pairs:
        raise BatchError(f"{options.folder}: none of the pictures could be synthesized")
    image.write(options.output, lay_out(pairs, options.columns, options.scale))
    return failed


def complain(message: str, code: int) -> int:
    """One line on stderr; returns the exit code."""
    print(f"contact_sheet: {message}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").splitlines()[0]
    out = argparse.ArgumentParser(prog="python benchmarks/contact_sheet.py", description=summary)
    out.add_argument("folder", type=Path, metavar="DIR")
    out.add_argument("-o", "--output", type=Path, required=True, help="the sheet, a new or existing picture")
    out.add_argument("-s", "--size", default="512", help="of the results, as in texsynth synthesize (512)")
    out.add_argument("--crop-to", type=int, default=256, help="shorter side of larger exemplars, resized (256)")
    out.add_argument("--native", action="store_true", help="leave exemplars at their own size")
    out.add_argument("-p", "--preset", help="preset name or file")
    out.add_argument("--quality", choices=("draft", "normal", "high"))
    out.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting (repeatable)")
    out.add_argument("--seed", type=int, default=0)
    out.add_argument("--columns", type=int, default=2, help="pairs side by side (2)")
    out.add_argument("--scale", type=float, default=1.0, help="of the pictures on the sheet (1)")
    out.add_argument("--device", default="auto")
    return out


if __name__ == "__main__":
    main()
