"""Presets side by side on the same exemplars: seconds of whole commands, and distances to the exemplar.

    python benchmarks/methods.py EXEMPLAR... --presets gram field+gram --weights FILE [--side 256] [--size 256]

Every exemplar is brought to `--side` pixels on its shorter side. A preset may carry settings (`ot-paper:steps=5`) and a
factor on its seconds (`ot-paper:steps=5*100`, for what takes hours: time per step times the published steps; its
distances then stand for nothing and are left out). Ratios hold within one run of this script only.
"""

from __future__ import annotations

import argparse
import json
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
from torch.nn import functional as F

from texsynth import metrics
from texsynth.features import features
from texsynth.image import picture as image
from texsynth.weights import pretrained

METRICS = ("min_patch", "gram_distance", "transport")


@dataclass(frozen=True)
class Wanted:
    """A preset, the settings that go with it, and the factor that its seconds are multiplied by."""

    text: str
    preset: str
    sets: tuple[str, ...]
    factor: float


def wanted(text: str) -> Wanted:
    """ "ot-paper:steps=5:rate=0.1*100" as its parts."""
    body, _, factor = text.partition("*")
    preset, *sets = body.split(":")
    return Wanted(text, preset, tuple(sets), float(factor or 1))


def prepare(path: Path, side: int, folder: Path) -> Path:
    """The exemplar with `side` pixels on its shorter side."""
    picture = image.read(path)
    h, w = picture.pixels.shape[2:]
    size = (round(h * side / min(h, w)), round(w * side / min(h, w)))
    small = F.interpolate(image.rgb(picture), size, mode="bilinear", antialias=True).clamp(0, 1)
    out = folder / f"{path.stem}.png"
    image.write(out, image.Picture(small))
    return out


def command(exemplar: Path, what: Wanted, out: Path, args: argparse.Namespace) -> float:
    """Run it and give its seconds."""
    words = ["synthesize", str(exemplar), "-o", str(out), "-s", str(args.size), "-p", what.preset, "--force", "-q"]
    words += ["--seed", str(args.seed), "--max-memory", args.max_memory]
    words += [word for text in what.sets for word in ("--set", text)]
    environment = {**os.environ, "TEXSYNTH_WEIGHTS": str(args.weights)}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "texsynth", *words], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{what.text} on {exemplar.stem}: {done.stderr.strip()}")
    return (time.perf_counter() - start) * what.factor


def distances(exemplar: Path, out: Path, file: Path) -> list[float]:
    """Every metric of METRICS."""
    module = features("vgg19")
    needed = [layer for name in METRICS for layer in metrics.metric(name).about.needs.get("vgg19", ())]
    extract = module.build(module.Settings(), (False, False), pretrained.read(file, "vgg19", module.keys(needed)))
    pair = metrics.Pair(image.rgb(image.read(exemplar)), image.rgb(image.read(out)))
    rng = torch.Generator().manual_seed(0)
    return [metrics.metric(name).measure(pair, extract, rng) for name in METRICS]


def table(rows: Sequence[tuple[str, str, float, list[float] | None]]) -> str:
    """Markdown: a line per run, and a line with the means of each preset."""
    lines = [f"| preset | exemplar | s | {' | '.join(METRICS)} |", "|---" * (3 + len(METRICS)) + "|"]
    for preset in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == preset]
        for _, exemplar, seconds, values in mine:
            cells = [f"{v:.4f}" for v in values] if values else [""] * len(METRICS)
            lines.append(f"| {preset} | {exemplar} | {seconds:.1f} | {' | '.join(cells)} |")
        known = [row[3] for row in mine if row[3]]
        means = [f"{statistics.mean(column):.4f}" for column in zip(*known, strict=True)] or [""] * len(METRICS)
        lines.append(f"| **{preset}** | mean | {statistics.mean(row[2] for row in mine):.1f} | {' | '.join(means)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exemplars", type=Path, nargs="+")
    parser.add_argument("--presets", required=True, nargs="+", help="NAME[:KEY=VALUE]...[*FACTOR]")
    parser.add_argument("--weights", type=Path, required=True, help="a VGG-19 file, also for the metrics")
    parser.add_argument("--side", type=int, default=256, help="of the exemplars (default 256)")
    parser.add_argument("--size", default="256", help="of the results, as --size (default 256)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-memory", default="16G")
    parser.add_argument("--keep", type=Path, help="folder for the results")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    args = parser.parse_args()
    print(machine(), flush=True)
    rows: list[tuple[str, str, float, list[float] | None]] = []
    with tempfile.TemporaryDirectory() as name:
        keep = args.keep or Path(name)
        keep.mkdir(parents=True, exist_ok=True)
        for path in args.exemplars:
            exemplar = prepare(path, args.side, Path(name))
            for what in map(wanted, args.presets):
                out = keep / f"{path.stem}_{what.preset}.png"
                seconds = command(exemplar, what, out, args)
                values = distances(exemplar, out, args.weights) if what.factor == 1 else None
                rows.append((what.text, path.stem, seconds, values))
                print(f"{what.text} on {path.stem}: {seconds:.1f} s {values or ''}", file=sys.stderr, flush=True)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
