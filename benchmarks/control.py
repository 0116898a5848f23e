"""How well and how fast `texsynth control` follows its guides: python benchmarks/control.py EXEMPLARS [--weights FILE]

EXEMPLARS is a folder with progression/, orientation/ and label/ as published with guided correspondence (CVPR 2023).
For each pair of exemplar and target: seconds of the whole command, and

- progression: correlation of the target with the progression read back from the result at its nearest source windows;
- orientation: mean angle between the target and the structure tensor of the result where it is coherent, in degrees;
  and the effective use: exp of the entropy of how often source pixels are copied over the number of output pixels, in
  the lower right 3 / 8 of both sides, from 0, one pixel, to 1, none twice (a target that asks for scarce values: low);
- labels: share of equal labels more than 4 pixels from a boundary, read back at the nearest source windows.

With --weights the neural preset of --neural runs beside the default one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from field import machine
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import windows
from texsynth.guidance import labels, orientation
from texsynth.image import picture as image

PROGRESSION = (("lit_brick", 1), ("amber", 3), ("pink_rust", 6), ("peeling", 6), ("peeling", 3))
ORIENTATION = tuple(
    (name, word) for name in ("dog_fur", "grey_fur", "hair", "wood_rings") for word in ("circle", "s-curve")
)
LABELS = (("sea", "cat"), ("ivy_wall", "cat"), ("paper", "dog"))
PATCH = 9
DEFAULT = "guided-correspondence"


@dataclass(frozen=True)
class Row:
    """One command: its kind, name and flags, and how its result is read."""

    kind: str
    name: str
    words: tuple[str, ...]
    read: Callable[[Tensor], float]


def rgb(path: Path, size: tuple[int, int] | None = None, mode: str = "bilinear") -> Tensor:
    """A picture (1, 3, h, w), brought to a size when one is given."""
    pixels = image.rgb(image.read(path))
    if size is None or tuple(pixels.shape[2:]) == size:
        return pixels
    smooth = mode == "bilinear"
    return F.interpolate(pixels, size, mode=mode, antialias=smooth).clamp(0, 1)


def nearest(made: Tensor, source: Tensor) -> Tensor:
    """For each pixel of the result, the number of the source pixel with the nearest window: (h, w)."""
    basis = windows.fit([source], PATCH, 24, torch.Generator().manual_seed(0))
    pad = (PATCH // 2,) * 4
    keys, query = (basis.describe(F.pad(x, pad, mode="reflect")) for x in (source, made))
    norms = keys.square().sum(1)
    found = [(norms - 2 * some @ keys.T).argmin(1) for some in query.split(512)]
    return torch.cat(found).view(made.shape[2], made.shape[3])


def read_progression(exemplar: Path, source: Path, target: Path) -> Callable[[Tensor], float]:
    def read(made: Tensor) -> float:
        half = F.avg_pool2d(made, 2)
        small = rgb(exemplar)
        small = F.interpolate(small, [n // 2 for n in small.shape[2:]], mode="bilinear", antialias=True)
        size = (small.shape[2], small.shape[3])
        back = rgb(source, size).mean(1).flatten()[nearest(half, small)]
        wanted = rgb(target, (half.shape[2], half.shape[3])).mean(1)[0]
        return float(torch.corrcoef(torch.stack([back.flatten(), wanted.flatten()]))[0, 1])

    return read


def read_orientation(word: str) -> Callable[[Tensor], float]:
    def read(made: Tensor) -> float:
        field, coherence = orientation.structure(made)
        target = orientation.built_in(word, (made.shape[2], made.shape[3]))
        assert target is not None
        return orientation.angle_error(field, target, (coherence > coherence.median()).float())

    return read


def read_labels(exemplar: Path, source: Path, target: Path) -> Callable[[Tensor], float]:
    def read(made: Tensor) -> float:
        half, small = F.avg_pool2d(made, 2), F.avg_pool2d(rgb(exemplar), 2)
        drawn = rgb(source, (small.shape[2], small.shape[3]), "nearest")
        colours = labels.palette([rgb(source)])
        back = labels.ids(drawn, colours).flatten()[nearest(half, small)][None, None]
        wanted = labels.ids(rgb(target, (half.shape[2], half.shape[3]), "nearest"), colours)
        return labels.agreement(back, wanted, away=2)

    return read


def effective_use(saved: Path) -> float:
    """How evenly the lower right of a result uses source pixels, in (0, 1]; `saved` is what `--save-field` wrote."""
    field = np.load(saved)
    places = np.stack([field[axis] for axis in ("exemplar", "copy", "y", "x")], -1)
    corner = places[-(places.shape[0] * 3 // 8) :, -(places.shape[1] * 3 // 8) :].reshape(-1, 4)
    share = np.unique(corner, axis=0, return_counts=True)[1] / len(corner)
    return float(np.exp(-(share * np.log(share)).sum()) / len(corner))


def rows(folder: Path) -> list[Row]:
    """Every pair of exemplar and target."""
    out = []
    for name, number in PROGRESSION:
        here = folder / "progression"
        files = (here / f"{name}.jpg", here / f"{name}_map.png", here / f"target_{number}.png")
        guide = ("--progression", str(files[1]), str(files[2]))
        out.append(Row("progression", f"{name}, target {number}", (str(files[0]), *guide), read_progression(*files)))
    for name, word in ORIENTATION:
        exemplar = str(folder / "orientation" / f"{name}.jpg")
        out.append(Row("orientation", f"{name}, {word}", (exemplar, "--orientation", word), read_orientation(word)))
    for name, animal in LABELS:
        here = folder / "label"
        files = (here / f"{name}.jpg", here / f"{name}_labels.jpg", here / f"target_{animal}.jpg")
        guide = ("--labels", str(files[1]), str(files[2]))
        out.append(Row("labels", f"{name}, {animal}", (str(files[0]), *guide), read_labels(*files)))
    return out


def run(row: Row, preset: str, size: str, out: Path, weights: Path | None) -> float:
    """Run the command; its seconds."""
    words = ["control", *row.words, "-o", str(out), "-s", size, "-p", preset, "--force", "-q", "--max-memory", "16G"]
    words += ["--save-field"] if row.kind == "progression" and preset == DEFAULT else []
    environment = {**os.environ, **({"TEXSYNTH_WEIGHTS": str(weights)} if weights else {})}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "texsynth", *words], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{row.name}: {done.stderr.strip()}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exemplars", type=Path)
    parser.add_argument("--weights", type=Path, help="a VGG-19 file; then the neural preset runs too")
    parser.add_argument("--neural", default="guided-correspondence-neural", help="default: %(default)s")
    parser.add_argument("--size", default="512")
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--keep", type=Path, help="folder for the results")
    args = parser.parse_args()
    print(
        machine() + "\n\n| guide | exemplar, target | preset | s | follows | use |\n|---|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        keep = args.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        for row in (row for row in rows(args.exemplars) if args.only in row.name):
            for preset in [DEFAULT, *([args.neural] if args.weights else [])]:
                out = keep / f"{row.name.replace(', ', '_').replace(' ', '')}_{preset}.png"
                seconds = run(row, preset, args.size, out, args.weights)
                unit = " deg" if row.kind == "orientation" else ""
                saved = out.with_name(f"{out.stem}_field.npz")
                use = f"{effective_use(saved):.2f}" if saved.exists() else ""
                follows = f"{row.read(rgb(out)):.3f}{unit}"
                print(f"| {row.kind} | {row.name} | {preset} | {seconds:.1f} | {follows} | {use} |", flush=True)


if __name__ == "__main__":
    main()
