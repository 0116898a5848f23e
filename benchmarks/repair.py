"""How fast and how well pictures are repaired and blended: python benchmarks/repair.py [EXEMPLARS]

First the seconds of whole commands on samples/, with the limits that the project set itself. Then, with EXEMPLARS, a
folder with stationary/*.jpg (default: the environment's TEXSYNTH_EXEMPLARS), what was held out and made again: a hole
of a quarter of the shorter side in the middle of each exemplar, and each made tileable. The numbers are those of
`--check`: the distance of windows at what was made to their nearest source windows, over that of windows elsewhere, 1
being as good; `original` is the same for what the hole held before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from field import machine
from methods import prepare
from torch import Tensor

from texsynth.image import picture as image
from texsynth.metrics import seam as metric
from texsynth.requests.inpaint import Request
from texsynth.task import Task
from texsynth.verbs import inpaint

SAMPLES = Path(__file__).parent.parent / "samples"
HELD_OUT = 0.25  # of the shorter side
COLUMNS = ("fill s", "seam", "original", "tileable s", "seam", "tile seam")


@dataclass(frozen=True)
class Row:
    """One timed command, without its output, and the seconds it may take."""

    name: str
    words: tuple[str, ...]
    limit: float


def timed(words: Sequence[str], out: Path) -> float:
    """Run a command; its seconds."""
    command = [sys.executable, "-m", "texsynth", *words, "-o", str(out), "--force", "-q", "--max-memory", "16G"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stderr.strip()}")
    return time.perf_counter() - start


def square(size: tuple[int, int], side: int) -> Tensor:
    """A square hole in the middle of a picture, (1, 1, *size) bool."""
    hole = torch.zeros(1, 1, *size, dtype=torch.bool)
    top, left = ((n - side) // 2 for n in size)
    hole[:, :, top : top + side, left : left + side] = True
    return hole


def masked(hole: Tensor, path: Path) -> str:
    """Write a hole as a mask; its path."""
    image.write(path, image.Picture(hole.float()))
    return str(path)


def resized(name: str, side: int, folder: Path) -> str:
    """A sample with `side` pixels on its shorter side; its path."""
    (folder / str(side)).mkdir(exist_ok=True)
    return str(prepare(SAMPLES / name, side, folder / str(side)))


def rows(folder: Path) -> list[Row]:
    """The timed commands."""
    mask = masked(square((512, 512), round(512 * 0.3**0.5)), folder / "mask.png")
    pair = (resized("brick.png", 256, folder), resized("gravel.jpg", 256, folder))
    blend = ("barycenter", *pair, "--size", "256", "--mode")
    return [
        Row("a hole of 30 % in 512", ("inpaint", resized("brick.png", 512, folder), "--mask", mask), 6),
        Row("make-tileable 1024", ("inpaint", resized("gravel.jpg", 1024, folder), "--make-tileable", "xy"), 15),
        Row("barycenter 256, transport", (*blend, "transport"), 60),
        Row("barycenter 256, mosaic", (*blend, "mosaic"), 10),
    ]


def time_all(folder: Path, repeats: int) -> None:
    """Print the seconds of every row."""
    print("| work | median s | range s | limit | |\n|---|---|---|---|---|", flush=True)
    for row in rows(folder):
        seconds = [timed(row.words, folder / "out.png") for _ in range(repeats)]
        median = statistics.median(seconds)
        verdict = "met" if median <= row.limit else "MISSED"
        spread = f"{min(seconds):.1f}-{max(seconds):.1f}"
        print(f"| {row.name} | {median:.1f} | {spread} | {row.limit:g} s | {verdict} |", flush=True)


def seam(picture: Tensor, made: Tensor, task: Task) -> float:
    """The measure of `--check` for a picture (1, 3, h, w)."""
    sources = [(e.image, e.image[:, :1] >= 0 if e.valid is None else e.valid) for e in task.exemplars]
    found = metric.seam(picture, made, sources, task.tile)
    return float("nan") if found is None else found


def held_out(path: Path, keep: Path) -> list[float]:
    """The COLUMNS of one exemplar."""
    original = image.rgb(image.read(path))
    hole = square((original.shape[2], original.shape[3]), round(HELD_OUT * min(original.shape[2:])))
    mask, filled, tiled = (
        keep / f"{path.stem}_mask.png",
        keep / f"{path.stem}_filled.png",
        keep / f"{path.stem}_tile.png",
    )
    seconds = timed(("inpaint", str(path), "--mask", masked(hole, mask)), filled)
    task = inpaint.build(Request(exemplars=[path], mask=mask)).task
    out = [seconds, seam(image.rgb(image.read(filled)), hole, task), seam(original, hole, task)]
    seconds = timed(("inpaint", str(path), "--make-tileable", "xy"), tiled)
    task = inpaint.build(Request(exemplars=[path], make_tileable="xy")).task
    made, band = image.rgb(image.read(tiled)), task.hole
    assert band is not None
    return [*out, seconds, seam(made, band, task), seam(made, metric.borders(task.size, task.tile), task)]


def line(name: str, values: Sequence[float]) -> str:
    """One line of the table, seconds to a tenth."""
    return f"| {name} | " + " | ".join(f"{v:.1f}" if n % 3 == 0 else f"{v:.3f}" for n, v in enumerate(values)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exemplars", type=Path, nargs="?", default=os.environ.get("TEXSYNTH_EXEMPLARS") or None)
    parser.add_argument("--repeats", type=int, default=3, help="of the timed commands, 0 for none (default 3)")
    parser.add_argument("--only", default="", help="a part of the exemplars' names")
    parser.add_argument("--keep", type=Path, help="folder for the results")
    args = parser.parse_args()
    print(machine() + "\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        keep = args.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        if args.repeats:
            time_all(Path(name), args.repeats)
        if args.exemplars is None:
            print("\nThe held-out table needs a folder of exemplars: give it, or set TEXSYNTH_EXEMPLARS.")
            return
        print(f"\n| exemplar | {' | '.join(COLUMNS)} |" + "\n|---" + "|---" * len(COLUMNS) + "|", flush=True)
        table = []
        for path in sorted((args.exemplars / "stationary").glob("*.jpg")):
            if args.only not in path.stem:
                continue
            table.append(held_out(path, keep))
            print(line(path.stem, table[-1]), flush=True)
        print(line("mean", [statistics.mean(column) for column in zip(*table, strict=True)]))


if __name__ == "__main__":
    main()
